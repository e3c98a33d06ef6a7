"""The columns that the table of every comparison has, and which names are left for others."""

from __future__ import annotations

__all__ = ["COLUMNS", "NAMES", "SPREAD", "is_taken"]

NAMES = ("reducer", "n_components", "fold")
"""Keys of a row that are no figures."""
COLUMNS = ("r2", "linear", "knn", "neighbors", "fit_seconds", "rows_per_second")
"""Figures that every row of the table has."""
SPREAD = "_std"
"""End of the names of standard deviations."""


def is_taken(name: str) -> bool:
    """Whether a scorer's column cannot have this name."""
    return name in (*NAMES, *COLUMNS) or name.endswith(SPREAD)
