"""replaced(): a file that is written beside the old one, and takes its place when it is complete."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["replaced"]

ABANDONED = 3600.0
"""Seconds since the last write to a part after which its process must have been killed."""


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A path to write to. What was written takes the place of the old file when it is complete, and not before.

    So the file is there whole or, after an error or a crash, as it was before. It keeps its permissions, and a link to
    it stays one. Parts that killed processes left in the folder are removed after an hour.

    Parameters
    ----------
    path : Path
        The file to replace. It need not be there.

    Yields
    ------
    part : Path
        An empty file in the same folder. It is removed if the context ends by an error.

    Raises
    ------
    OSError
        If the file cannot be written, or cannot take the place of the old one.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skae.engine.replaced import replaced
    >>> with TemporaryDirectory() as folder:
    ...     with replaced(Path(folder, "a.txt")) as part:
    ...         n_written = part.write_text("complete")
    ...     Path(folder, "a.txt").read_text()
    'complete'
    """
    target = Path(os.path.realpath(path))
    part = target.with_name(f".skae-{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        part.touch(exist_ok=False)
        mode = stat.S_IMODE((target if target.exists() else part).stat().st_mode)
        part.chmod(mode | stat.S_IWUSR)  # before anything is written that not everybody may read
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.chmod(mode)
        _remove_abandoned(part)
        part.replace(target)
    except BaseException:
        with suppress(OSError):  # the error of the context is the one to tell
            part.unlink()
        raise
    _bring_to_disk(target.parent)


def _remove_abandoned(part: Path) -> None:
    """Remove the parts of processes that were killed while they wrote. The clock is that of the disk."""
    now = part.stat().st_mtime
    for other in part.parent.glob(".skae-*.part"):
        with suppress(OSError):  # another process may have removed it
            if other.stat().st_mtime < now - ABANDONED:
                other.unlink()


def _bring_to_disk(folder: Path) -> None:
    """Let the new name of a file outlast a crash of the machine, where the system can do so."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
