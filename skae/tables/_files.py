"""The text of a file: unpacked if it is compressed, and decoded."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ._words import listed, printable, quoted, quoted_path

__all__ = ["PACKED", "text_of"]

PACKED: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zip": Path.open}
"""Endings of compressed files of text, and what opens them."""
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks with the encodings that they tell. The longer ones go first."""
HEAD = 1000
"""Bytes that tell whether a file is in UTF-16."""
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError, OverflowError)
"""What the unpackers raise for files that are damaged, forged or encrypted, or of an unknown kind."""


def text_of(path: Path, encoding: str | None) -> str:
    """Read a file of text, whose lines end with a line feed afterwards.

    Parameters
    ----------
    path : Path
        A file of text, or a .gz, .bz2, .xz or .zip file that holds one.
    encoding : str or None
        Name of a codec. None reads a byte order mark, and takes files without one as UTF-8.

    Returns
    -------
    text : str
    """
    try:
        with PACKED.get(path.suffix.lower(), Path.open)(path, "rb") as file:
            content = _member(file, path) if path.suffix.lower() == ".zip" else file.read()
    except BROKEN as error:
        raise ValueError(f"Cannot read {quoted_path(path)}: {printable(_first_line(error))}") from None
    except MemoryError:
        raise ValueError(f"Cannot read {quoted_path(path)}: it does not fit in the memory.") from None
    text = _decoded(content, path, encoding).removeprefix("\ufeff")
    if "\0" in text:
        raise ValueError(f"Cannot read {quoted_path(path)} as {_said(encoding)}: {_nul(content)}.")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _member(file: Any, path: Path) -> bytes:
    """The one file in an archive. Folders, and the notes that macOS adds, do not count."""
    with zipfile.ZipFile(file) as archive:
        names = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX/")]
        if len(names) != 1:
            held = f"{len(names)} files: {listed(map(quoted, names), 10)}" if names else "no file"
            raise ValueError(f"the archive holds {held}. Unpack the one that is meant.")
        return archive.read(names[0])


def _decoded(content: bytes, path: Path, encoding: str | None) -> str:
    told = next((name for mark, name in MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding or told)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        why = f"byte 0x{content[error.start]:02x} in line {line} is not text. Try --encoding latin-1"
        why = _nul(content) if b"\0" in content else why
        raise ValueError(f"Cannot read {quoted_path(path)} as {_said(encoding or told)}: {why}.") from None
    except (LookupError, ValueError):
        raise ValueError(f"There is no encoding {quoted(encoding)}: take utf-8, utf-16 or latin-1, say.") from None


def _nul(content: bytes) -> str:
    """What to say of NUL bytes. Texts in UTF-16 have one beside each letter."""
    for start, likely in ((1, "utf-16-le"), (0, "utf-16-be")):
        beside = content[start:HEAD:2]
        if 2 * beside.count(0) > len(beside) > 3 * content[1 - start : HEAD : 2].count(0):
            return f"it holds NUL bytes. Try --encoding {likely}"
    return "it holds NUL bytes, so it is no file of text"


def _said(encoding: str | None) -> str:
    return f"text in the encoding {encoding or 'utf-8'}"


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
