"""Errors and warnings of this package.

Warnings are for filters such as ``warnings.simplefilter("error", ModeCollapseWarning)``.
"""

from __future__ import annotations

from sklearn.exceptions import ConvergenceWarning

__all__ = ["CriticWinsWarning", "DisconnectedGraphWarning", "FileError", "ModeCollapseWarning", "NothingLearntWarning"]


class FileError(ValueError):
    """A file cannot be written or read as what it should be. The message says why, and what to do."""


class NothingLearntWarning(ConvergenceWarning):
    """A fit has ended with a result that says nothing about the rows."""


class CriticWinsWarning(NothingLearntWarning):
    """The critic of an adversarial model always tells what is made from what is real, so that it teaches nothing."""


class ModeCollapseWarning(NothingLearntWarning):
    """The samples of a model are alike, although the rows that it was fitted to are not."""


class DisconnectedGraphWarning(UserWarning):
    """The neighbour graph of a map has several pieces, whose places in the map are not related by any neighbours."""
