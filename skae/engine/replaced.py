"""replaced(): a file that is written beside the old one, and takes its place when it is complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["replaced"]


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A path to write to. What was written takes the place of the old file when it is complete, and not before.

    Parameters
    ----------
    path : Path
        The file to replace. It need not be there.

    Yields
    ------
    part : Path
        A path in the same folder. Its file is removed if the context ends by an error.

    Raises
    ------
    OSError
        If the file cannot take the place of the old one.

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
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield part
        part.replace(path)
    finally:
        with suppress(OSError):  # the error of the context is the one to tell
            part.unlink(missing_ok=True)
