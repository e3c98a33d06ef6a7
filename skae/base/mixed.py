"""Columns of different kinds: what a user passes, and the frame in which a module sees them."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from ..engine.frame import Frame
from ..engine.moments import column_moments
from ..engine.suggestions import suggest

__all__ = ["KINDS", "columns_of", "frame_of_columns", "groups_of_columns", "require_width", "units_of_columns"]

LEAST_SHARE = 1e-3
"""Least share of a category in what its column is divided by."""
KINDS = ("gaussian", "bernoulli", "poisson", "categorical")
"""Kinds of columns."""


def columns_of(columns: Any) -> tuple[tuple[str, int], ...]:
    """Read the description of the columns of X.

    Parameters
    ----------
    columns : sequence of (str, int)
        Kind and number of adjacent columns, in the order of X.

    Returns
    -------
    columns : tuple of (str, int)

    Raises
    ------
    ValueError
        If it is no such sequence.
    """
    found = []
    for entry in () if columns is None or isinstance(columns, str) else columns:
        if isinstance(entry, str) or not isinstance(entry, Sequence) or len(entry) != 2:
            raise ValueError(f"columns has {entry!r} in it: pass pairs of a kind and a number, as ('gaussian', 3).")
        kind, size = entry
        if kind not in KINDS:
            meant = suggest(kind, KINDS)
            use = " or ".join(map(repr, KINDS)) if meant is None else repr(meant)
            raise ValueError(f"columns has the kind {kind!r}: use {use}.")
        if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
            raise ValueError(f"columns has {size!r} columns of the kind {kind!r}: pass a whole number of at least 1.")
        found.append((str(kind), int(size)))
    if not found:
        raise ValueError(
            "likelihood='mixed' needs the kinds of the columns of X: pass them as columns, such as (('gaussian', 3), "
            "('categorical', 4))."
        )
    return tuple(found)


def require_width(columns: Sequence[tuple[str, int]], n_features: int) -> None:
    """Raise an error if X has another number of columns than those that are described."""
    total = sum(size for _, size in columns)
    if total != n_features:
        raise ValueError(f"columns={tuple(columns)} has {total} columns, but X has {n_features}.")


def frame_of_columns(X: Any, weight: np.ndarray | None, columns: Sequence[tuple[str, int]]) -> Frame:
    """Measure a table whose columns are of different kinds.

    Gaussian columns are centred, and divided by their standard deviation. The others stay as they are. One unit of
    distance is, along each column or group of one-hot columns, the root of its variance: that of a group is the sum of
    the variances of its columns.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
    weight : ndarray of shape (n_samples,) or None
        Sample weights.
    columns : sequence of (str, int)
        What ``columns_of`` returned.

    Raises
    ------
    ValueError
        If a variance is beyond the range of float64.
    """
    mean, variance = column_moments(X, weight)
    if not (np.isfinite(mean).all() and np.isfinite(variance).all()):
        raise ValueError("X has values so large that their variance is infinite: rescale X.")
    kinds = np.repeat([kind for kind, _ in columns], [size for _, size in columns])
    group = groups_of_columns(columns)
    sums = np.bincount(group, variance)[group]
    unit = np.sqrt(np.where(kinds == "categorical", sums, variance))
    unit[unit == 0.0] = 1.0
    shifted = kinds == "gaussian"
    return Frame(mean, np.where(shifted, unit, 1.0), False, shifted, unit)


def groups_of_columns(columns: Sequence[tuple[str, int]]) -> np.ndarray:
    """The variable that each column belongs to: those of one categorical group have the same number."""
    own = [1 if kind == "categorical" else size for kind, size in columns]
    each = [size if kind == "categorical" else 1 for kind, size in columns]
    return np.repeat(np.arange(sum(own)), np.repeat(each, own))


def units_of_columns(frame: Frame, columns: Sequence[tuple[str, int]]) -> np.ndarray:
    """By what each column is divided, on the scale of the module, so that all variables vary as much.

    It is 1 for a number, the standard deviation of a count or a bit, and the root of the share of a category, as in
    multiple correspondence analysis.
    """
    kinds = np.repeat([kind for kind, _ in columns], [size for _, size in columns])
    shares = np.sqrt(np.clip(frame.mean, LEAST_SHARE, None))
    unit = frame.column_unit / np.asarray(frame.scale)
    return np.where(kinds == "categorical", shares, unit)
