"""Warnings that point at the user's line, however deep in the package they are issued."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

__all__ = ["reworded", "warn"]

BETWEEN = {
    __name__.partition(".")[0],
    "contextlib",
    "copy",
    "joblib",
    "pickle",
    "sklearn",
    "skops",
    "threadpoolctl",
    "torch",
}
"""Packages whose code may be between a user's line and ours, such as pipelines, searches and loaders of pickles."""

_reword: ContextVar[Callable[[str], str]] = ContextVar("_reword", default=str)
"""What is made of a message before it is issued. Threads do not see one another's."""


@contextmanager
def reworded(reword: Callable[[str], str]) -> Iterator[None]:
    """Change the messages of all warnings of this package that are issued in the context.

    Contexts may be nested. The innermost is the first to change a message.

    Parameters
    ----------
    reword : callable
        Maps a message to the message that the user reads.
    """
    outer = _reword.get()
    token = _reword.set(lambda message: outer(reword(message)))
    try:
        yield
    finally:
        _reword.reset(token)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning at the line of the user's code that led to it.

    This is the innermost caller outside the packages in ``BETWEEN``, or the outermost caller if there is none. Python's
    filters, such as "once per place", use that line.

    Parameters
    ----------
    message : str
    category : type of Warning, default=UserWarning
    """
    frame = _users_frame()
    place = frame.f_globals
    warnings.warn_explicit(
        _reword.get()(message),
        category,
        filename=frame.f_code.co_filename,
        lineno=frame.f_lineno,
        module=place.get("__name__", "<unknown>"),
        registry=place.setdefault("__warningregistry__", {}),
    )


def _users_frame() -> FrameType:
    frame = sys._getframe()
    while _is_between(frame) and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _is_between(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__", "").partition(".")[0] in BETWEEN
