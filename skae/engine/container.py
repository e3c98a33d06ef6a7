"""Files of numbers: one safetensors file, with a description in its header, that is written whole or not at all.

The format is that of the safetensors library, version 0.3 and later, which reads these files: eight bytes with the
length of the header, the header as JSON text, and the numbers of all arrays, one array after another. What else a file
tells is JSON text in the header's "__metadata__", beside a checksum of all of it.

A file is not to be trusted. Every length in it is compared with the length of the file before anything is allocated,
and nothing of it is run.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np

from .._version import __version__
from ..exceptions import FileError
from .replaced import replaced

__all__ = ["Contents", "DamagedFileError", "FilePath", "damaged", "read", "write", "write_whole"]

FORMAT = 1
"""Number of the format of what the header tells. Files of another format cannot be read."""
DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U64": np.dtype(np.uint64),
    "U32": np.dtype(np.uint32),
    "U16": np.dtype(np.uint16),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}
"""What the format calls the dtypes."""
CODES = {dtype: code for code, dtype in DTYPES.items()}
MOST_HEADER = 100_000_000
"""Bytes of the longest header. The library reads none that is longer."""
OBJECT_BYTES, ITEM_BYTES = 400, 72
"""Memory that an object, and any other item, of JSON takes in Python at most."""
TIMES, EXTRA = 8, 2**20
"""A header that would take more than so many times the size of its file, and these bytes, is refused."""
MOST_DIGITS = 40
"""Digits of the longest whole number. Reading many more takes long."""
LONGEST_STEP = 2**24
"""Bytes that are hashed and read at a time."""
KINDS = {
    "model": "a model that was saved: load it with skae.load",
    "checkpoint": (
        "a checkpoint of a fit: pass its path as checkpoint to an estimator with the parameters of "
        "that fit, and call fit with the same data"
    ),
}
"""What the files of each kind are, and what to do with them."""
OTHERS = {
    b"\x80": "a pickle",
    b"PK": "a zip archive, such as skops and torch write (skops.io.load reads those of skops)",
    b"\x1f\x8b": "a compressed file",
    b"x\x9c": "a compressed file of joblib",
    b"\x93NUMPY": "an array of numpy",
    b"\x89HDF": "an HDF5 file",
}
"""First bytes of files that are none of these, and what they are."""

FilePath: TypeAlias = "str | os.PathLike[str]"


class Contents(NamedTuple):
    """What a file holds."""

    version: str
    """Version of skae that wrote it."""
    content: Any
    """What the header tells: dicts, lists, text, finite numbers, bools and None."""
    arrays: dict[str, np.ndarray]


# ------------------------------------------------------------------ writing


def write(path: FilePath, kind: str, content: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a file. It is there whole or, after an error or a crash, as it was before.

    The numbers are written beside the file, brought to the disk, and then take its name.

    Parameters
    ----------
    path : str or path-like
        Where to write. A file that is there is replaced, and keeps its permissions.
    kind : {"model", "checkpoint"}
        What the file is.
    content : object
        What the header tells, as values of JSON. Numbers must be finite.
    arrays : mapping of str to ndarray
        Arrays of bools, whole numbers, or numbers of 16, 32 or 64 bits.

    Raises
    ------
    FileError
        If the path is a folder or a device, or the content is too long or cannot be told in JSON.
    OSError
        If the file cannot be written.
    """
    assert kind in KINDS
    target = _target(path)
    kept = {name: _little_endian(array) for name, array in arrays.items()}
    told = {"format": FORMAT, "kind": kind, "skae": __version__, "content": content}
    header, order = _header(_text(told), kept)
    write_whole(target, [header, *(_bytes_of(kept[name]) for name in order)])


def write_whole(path: FilePath, pieces: Iterable[bytes | memoryview]) -> None:
    """Write bytes to a file, which is there whole or, after an error or a crash, as it was before.

    Parameters
    ----------
    path : str or path-like
        Where to write. A file that is there is replaced, and keeps its permissions.
    pieces : iterable of bytes-like
        What to write.

    Raises
    ------
    FileError
        If the path is a folder or a device.
    OSError
        If the file cannot be written.
    """
    with replaced(_target(path)) as part, part.open("wb") as file:
        for piece in pieces:
            file.write(piece)


def _target(path: FilePath) -> Path:
    """The file that a path stands for, behind links, or an error."""
    target = Path(os.path.realpath(os.fspath(path)))
    if target.exists() and not target.is_file():
        raise FileError(f"{os.fspath(path)!r} is no file but {_sort(target)}: name a file in it or another one.")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(target.parent)!r} to write a file to: make it first.")
    return target


def _sort(path: Path) -> str:
    return "a folder" if path.is_dir() else "a device or a pipe"


def _little_endian(array: np.ndarray) -> np.ndarray:
    """An array as the format holds it: with its entries one after another, the lowest byte first."""
    array = np.asarray(array)
    if array.dtype.newbyteorder("=") not in CODES:
        raise FileError(f"Arrays of dtype {array.dtype} cannot be written to a file.")
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _bytes_of(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _text(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise FileError(f"What is to be saved cannot be told in JSON ({error}).") from error


def _header(told: str, arrays: Mapping[str, np.ndarray]) -> tuple[bytes, list[str]]:
    """The bytes before the numbers, and the names of the arrays in the order in which they follow.

    Wide numbers come first, and the header is a multiple of eight bytes, so that all are aligned in the file.
    """
    order = sorted(arrays, key=lambda name: -arrays[name].itemsize)
    entries: dict[str, Any] = {"__metadata__": {"skae": told, "sha256": _checksum(told, arrays)}}
    start = 0
    for name in order:
        array, stop = arrays[name], start + arrays[name].nbytes
        entries[name] = {"dtype": _code(array), "shape": list(array.shape), "data_offsets": [start, stop]}
        start = stop
    text = _text(entries).encode("ascii")
    text += b" " * (-len(text) % 8)
    if len(text) > MOST_HEADER:
        raise FileError(f"What is to be saved besides arrays takes {len(text)} bytes, but at most {MOST_HEADER} fit.")
    return len(text).to_bytes(8, "little") + text, order


def _code(array: np.ndarray) -> str:
    return CODES[array.dtype.newbyteorder("=")]


def _checksum(told: str, arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of what a file holds. It does not depend on the order of the arrays or on the layout of the header."""
    found = hashlib.sha256(told.encode("utf-8", "surrogatepass"))
    for name in sorted(arrays):
        array = arrays[name]
        found.update(json.dumps([name, _code(array), array.shape]).encode("ascii"))
        found.update(_bytes_of(array))
    return found.hexdigest()


# ------------------------------------------------------------------ reading


def read(path: FilePath, kind: str) -> Contents:
    """Read a file that ``write`` wrote.

    Parameters
    ----------
    path : str or path-like
    kind : {"model", "checkpoint"}
        What the file must be.

    Returns
    -------
    contents : Contents

    Raises
    ------
    FileError
        If the file is damaged, of another kind or of another version, or no such file at all.
    OSError
        If it is not there or cannot be read.
    """
    name, place = repr(os.fspath(path)), Path(path)
    if not stat.S_ISREG(place.stat().st_mode):
        raise FileError(f"{name} is no file but {_sort(place)}: name a file that skae wrote.")
    try:
        with place.open("rb") as file:
            told, arrays = _parts(file, os.fstat(file.fileno()).st_size)
        held = _understood(told, arrays, kind)
    except _StrangeError as error:
        raise FileError(f"{name} {error}") from None
    except _DamageError as error:
        raise damaged(path, error) from None
    return held


class DamagedFileError(FileError):
    """A file of skae does not hold what it should."""


def damaged(path: FilePath, what: object) -> DamagedFileError:
    """The error about a file that does not hold what it should."""
    return DamagedFileError(f"{os.fspath(path)!r} is damaged: {what}: load another copy, or write it again.")


class _DamageError(Exception):
    """What is wrong with a file."""


class _StrangeError(Exception):
    """What a file is instead of the one that is asked for, as the end of a sentence about it."""


def _parts(file: BinaryIO, size: int) -> tuple[str, dict[str, np.ndarray]]:
    """The text in the header of a file of so many bytes, and the arrays, which agree with the checksum."""
    start = file.read(8)
    if size == 0:
        raise _StrangeError("is empty: name a file that skae wrote.")
    length = int.from_bytes(start, "little")
    text = file.read(length) if 0 < length <= min(size - 8, MOST_HEADER) else b""
    if not text.startswith(b"{"):
        sort = next((sort for first, sort in OTHERS.items() if start.startswith(first)), None)
        whole = "is no file of skae, or the beginning of one" if sort is None else f"is {sort}, and no file of skae"
        raise _StrangeError(f"{whole}: name a file that skae wrote.")
    entries = _parsed(text, size, "the header")
    about = entries.pop("__metadata__", None) if isinstance(entries, dict) else None
    if not (isinstance(about, dict) and isinstance(about.get("skae"), str)):
        raise _StrangeError("is a safetensors file of another program: name a file that skae wrote.")
    arrays = _arrays(file, entries, size - 8 - length)
    told: str = about["skae"]
    if about.get("sha256") != _checksum(told, arrays):
        raise _DamageError("its checksum is not that of what it holds")
    return told, {name: array.astype(array.dtype.newbyteorder("="), copy=False) for name, array in arrays.items()}


def _arrays(file: BinaryIO, entries: Mapping[str, Any], n_bytes: int) -> dict[str, np.ndarray]:
    """The arrays that a header describes. They must take the bytes that follow it, without gaps or overlaps."""
    spans = sorted((*_span(name, entry), name) for name, entry in entries.items())
    ends = [0, *(stop for _, stop, _ in spans)]
    if [start for start, _, _ in spans] != ends[:-1] or ends[-1] != n_bytes:
        raise _DamageError(f"its arrays do not take the {n_bytes} bytes that follow the header")
    found = {}
    for _, _, name in spans:
        dtype, shape = DTYPES[entries[name]["dtype"]], entries[name]["shape"]
        try:
            array = np.empty(shape, dtype.newbyteorder("<"))
        except ValueError:
            raise _DamageError(f"the array {_short(name)} has the shape {_short(shape)}") from None
        rest = _bytes_of(array)
        while rest:
            n = file.readinto(rest[:LONGEST_STEP])  # type: ignore[attr-defined]
            if not n:
                raise _DamageError("it ends too early")
            rest = rest[n:]
        if dtype == np.bool_ and (array.view(np.uint8) > 1).any():
            raise _DamageError(f"the array {_short(name)} holds something else than bools")
        found[name] = array
    return found


def _span(name: str, entry: Any) -> tuple[int, int]:
    """First and last byte of an array, as many as its dtype and its shape ask for."""
    if isinstance(entry, dict) and entry.keys() == {"dtype", "shape", "data_offsets"}:
        code, shape, span = entry["dtype"], entry["shape"], entry["data_offsets"]
        if isinstance(code, str) and code in DTYPES and _are_sizes(shape) and _are_sizes(span) and len(span) == 2:
            start, stop = span
            if stop - start == math.prod(shape) * DTYPES[code].itemsize:
                return start, stop
    raise _DamageError(f"the header does not say what the array {_short(name)} is")


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= 64 and all(type(n) is int and 0 <= n <= sys.maxsize for n in value)


def _short(value: Any) -> str:
    """A value for a message."""
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _understood(text: str, arrays: dict[str, np.ndarray], kind: str) -> Contents:
    """What a header tells, if it is of this kind and of this format."""
    size = len(text) + sum(array.nbytes for array in arrays.values())
    told = _parsed(text.encode("utf-8", "surrogatepass"), size, "the text in the header")
    if not (isinstance(told, dict) and told.keys() == {"format", "kind", "skae", "content"}):
        raise _DamageError("it does not say what it is")
    version, own = told["skae"], told["kind"]
    if not (isinstance(version, str) and re.fullmatch(r"[\w.+-]{1,40}", version, re.ASCII)):
        raise _DamageError("it does not say which version of skae wrote it")
    if told["format"] != FORMAT:
        raise _StrangeError(
            f"was written by skae {version}, whose files skae {__version__} cannot read: load it with that version."
        )
    if own not in [*KINDS]:
        raise _DamageError("it does not say what it is")
    if own != kind:
        raise _StrangeError(f"is {KINDS[own]}.")
    return Contents(version, told["content"], arrays)


# ------------------------------------------------------------------ JSON of strangers


def _parsed(text: bytes, size: int, what: str) -> Any:
    """Read JSON that takes no more memory than a file of this size may, and that says everything once."""
    n_objects, n_items = text.count(b"{"), text.count(b",") + text.count(b"[") + text.count(b":")
    if len(text) + OBJECT_BYTES * n_objects + ITEM_BYTES * n_items > TIMES * size + EXTRA:
        raise _DamageError(f"{what} has more parts than a file of this size may have")
    try:
        return json.loads(
            text.decode("utf-8", "surrogatepass"),
            object_pairs_hook=_unique,
            parse_constant=_refused,
            parse_int=_whole,
            parse_float=_finite,
        )
    except (ValueError, RecursionError):
        raise _DamageError(f"{what} is no JSON") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name twice")
    return found


def _refused(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError("a number that is too long")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number that is too large")
    return number
