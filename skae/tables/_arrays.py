"""Arrays in .npy and .npz files. Nothing is allocated before a header's promise is compared with the file's size."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from ._words import printable, quoted, quoted_path

__all__ = ["Table", "table_of"]

TABLES = ("X", "data", "images")
TARGETS = ("y", "target", "labels")
"""Names of arrays in the order in which they are looked for."""
DEFLATED = 1032
"""Bytes that one byte of a deflated file may stand for, at the most."""
SLACK = 64
"""Bytes that an empty deflated file may have."""
ENCRYPTED = 1
"""Bit of the flags of a member."""
BROKEN = (ValueError, EOFError, OSError, RuntimeError, OverflowError, zipfile.BadZipFile, zlib.error)
"""What reading raises for files that are damaged, forged or encrypted."""


@dataclass
class Table:
    """Arrays as they are stored.

    Attributes
    ----------
    X : ndarray of shape (n_samples, ...)
        Of numbers or truth values, with two dimensions or more.
    y : ndarray or None
    target_is_column : bool
        Whether the target that was asked for is no array, so that it has to be a column of X.
    """

    X: np.ndarray
    y: np.ndarray | None
    target_is_column: bool


@dataclass
class _Header:
    """What the header of an array promises."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int


def table_of(path: Path, target: str | None) -> Table:
    """Read the table in a file of arrays, and the target. Other arrays are not loaded.

    Parameters
    ----------
    path : Path
    target : str or None
        Name of an array, or of a column. None looks for the arrays in ``TARGETS``.
    """
    with _explained(path), path.open("rb") as file:
        if file.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX:
            file.seek(0)
            return Table(_load(file, path.stat().st_size, "", "fiub"), None, target is not None)
        with zipfile.ZipFile(file) as archive:
            return _members(archive, target, path)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what reading raises into one sentence."""
    try:
        yield
    except BROKEN as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
    except MemoryError:
        reason = "it does not fit in the memory"
    else:
        return
    raise ValueError(f"Cannot read {quoted_path(path)} as arrays of numbers: {printable(reason).rstrip('.')}.")


def _members(archive: zipfile.ZipFile, target: str | None, path: Path) -> Table:
    """The table and the target of an archive."""
    infos = {info.filename.removesuffix(".npy"): info for info in archive.infolist() if info.filename.endswith(".npy")}
    y_name = next((name for name in ([target] if target is not None else TARGETS) if name in infos), None)
    name = next((name for name in TABLES if name in infos and name != y_name), None)
    if name is None or len(_peek(archive, infos[name]).shape) < 2:
        name = next((n for n in infos if n != y_name and _is_table(archive, infos[n])), None)
    if name is None:
        raise ValueError("none of its arrays has rows and columns of numbers")
    X = _member(archive, infos[name], path, "fiub")
    y = None if y_name is None else _member(archive, infos[y_name], path, "fiubUS")
    return Table(X, y, target is not None and y is None)


def _is_table(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bool:
    try:
        header = _peek(archive, info)
    except BROKEN:
        return False
    return len(header.shape) >= 2 and math.prod(header.shape) > 0 and header.dtype.kind in "fiub"


def _peek(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Header:
    if info.flag_bits & ENCRYPTED:
        raise ValueError(f"array {quoted(info.filename)} is encrypted")
    with archive.open(info) as file:
        return _header(file)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, kinds: str) -> np.ndarray:
    """Load one array of an archive. The sizes in the directory of the archive may be forged, too."""
    _peek(archive, info)
    room = path.stat().st_size
    most = DEFLATED * info.compress_size + SLACK if info.compress_type == zipfile.ZIP_DEFLATED else info.compress_size
    if info.compress_size > room or (
        info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) and info.file_size > most
    ):
        raise ValueError(
            f"array {quoted(info.filename)} is said to have {info.file_size} bytes, which the file cannot hold"
        )
    with archive.open(info) as file:
        return _load(file, info.file_size, info.filename.removesuffix(".npy"), kinds)


def _load(file: Any, size: int, name: str, kinds: str) -> np.ndarray:
    """Load an array from a file of a size in bytes, if its header promises no more than that."""
    header = _header(file)
    said = f"array {quoted(name)}" if name else "the array"
    if header.dtype.kind not in kinds or header.dtype.itemsize == 0:
        raise ValueError(f"{said} holds {header.dtype}, not numbers")
    if len(header.shape) < (2 if "U" not in kinds else 1):
        raise ValueError(f"{said} has shape {header.shape}, and no rows and columns")
    if math.prod(header.shape) == 0:
        raise ValueError(f"{said} has shape {header.shape}, so it is empty")
    promised = math.prod(header.shape) * header.dtype.itemsize
    if promised > size - header.start:
        raise ValueError(f"the header of {said} promises {promised} bytes, and the file has {size - header.start}")
    file.seek(0)
    return npy.read_array(file, allow_pickle=False)


def _header(file: Any) -> _Header:
    """Read a header. One that is forged makes numpy raise errors of any type."""
    try:
        version = npy.read_magic(file)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, _, dtype = read(file)
    except Exception as error:
        raise ValueError(f"its header is not that of an array ({type(error).__name__})") from None
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not opened")
    if len(shape) > 32 or any(length < 0 or isinstance(length, bool) for length in shape):
        raise ValueError(f"its header tells the shape {str(shape)[:100]}, which no array has")
    return _Header(shape, dtype, file.tell())
