"""Warnings that point at the user's line, however deep in the package they are issued."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

__all__ = ["warn"]

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
        message,
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
