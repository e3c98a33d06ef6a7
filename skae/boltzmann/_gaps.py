"""Tables with gaps: what modalities with unknown entries, which are NaN, are measured by and are told to be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..base import damage
from ..engine.data import Array, chunks, to_tensor
from ..engine.frame import Frame, in_double
from ..engine.moments import moments
from ..functional import Supports, support_of
from ._modalities import Modality

__all__ = [
    "WITH_GAPS",
    "Arranged",
    "SupportOfEach",
    "arranged_fault",
    "by_gaps",
    "frame_of_modalities",
    "require_known_groups",
]

GAPPY = """X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
    Numbers, and NaN where an entry is unknown. At least one entry of each row must be known. A group of one-hot
    columns is unknown if one of them is. Counts must all be known."""
LARGE = " A memory map of dtype float32 or float64 may be\n    larger than memory."
WITH_GAPS = {
    "fit": GAPPY + LARGE,
    **dict.fromkeys(("partial_fit", "transform", "score_samples", "score", "free_energy", "gibbs"), GAPPY),
}
"""Entry of "X" in the docstring of a method, by the name of the method."""


class Arranged(Frame):
    """A frame in which the columns of each modality are adjacent.

    Parameters
    ----------
    mean : ndarray of shape (n_features,)
        Mean of the known entries of each column of X.
    scale : ndarray of shape (n_features,)
        One number for each modality that is standardised, and 1 for the other columns.
    shifted : ndarray of bool of shape (n_features,)
        The columns that are standardised.
    order : ndarray of int of shape (n_features,)
        The column of X that the module sees at each place.
    """

    def __init__(self, mean: np.ndarray, scale: np.ndarray, shifted: np.ndarray, order: np.ndarray) -> None:
        super().__init__(mean, scale, True, shifted)
        self.order = order
        self._there = None if (order == np.arange(len(order))).all() else torch.from_numpy(order)
        self._back = None if self._there is None else torch.from_numpy(np.argsort(order))

    def apply(self, x: Tensor) -> Tensor:
        """See ``Frame``."""
        return _arranged(super().apply(x), self._there)

    def undo(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """See ``Frame``."""
        return super().undo(_arranged(x, self._back), out)

    def pull_back(self, g: Tensor) -> Tensor:
        """See ``Frame``."""
        return super().pull_back(_arranged(g, self._back))

    @property
    def center(self) -> np.ndarray:
        """The mean on the scale of the module."""
        center: np.ndarray = super().center[self.order]
        return center

    def squared_distance(self, x: Tensor, other: Tensor) -> Tensor:
        """See ``Frame``."""
        return super().squared_distance(_arranged(x, self._back), _arranged(other, self._back))

    def log_volumes(self, known: Tensor | None) -> Tensor | float:
        """``log_volume`` of the columns that are known in each row, for a mask in the order of the module."""
        if known is None:
            return self.log_volume
        scale = torch.from_numpy(np.log(self.scale)[self.order])
        return in_double(known) @ scale

    def __getstate__(self) -> Any:
        return self.mean, self.scale, self.shifted, self.order


def _arranged(x: Tensor, order: Tensor | None) -> Tensor:
    return x if order is None else x[..., order.to(x.device)]


def arranged_fault(estimator: Any, value: Arranged) -> str | None:
    """Say what is wrong with a frame that was read from a file, or return None."""
    n = len(value)
    found = damage.frame(estimator, value) or damage.fault_of_array(value.shifted, (n,), np.bool_)
    found = found or damage.fault_of_array(value.order, (n,), np.int64)
    return found or (None if (np.sort(value.order) == np.arange(n)).all() else "has columns in no order")


# ------------------------------------------------------------------ measuring


def frame_of_modalities(X: Array, weight: np.ndarray | None, modalities: Sequence[Modality]) -> Arranged:
    """Measure a table.

    Columns of gaussian modalities are centred at the mean of their known entries, and divided by one scale for the
    modality, the root of the mean variance of its columns. The other columns stay as they are.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
    weight : ndarray of shape (n_samples,) or None
        Sample weights.
    modalities : sequence of Modality

    Returns
    -------
    frame : Arranged

    Raises
    ------
    ValueError
        If no entry of a column is known, or a variance is no number.
    """
    n_features = X.shape[1]
    mean, scale, shifted = np.zeros(n_features), np.ones(n_features), np.zeros(n_features, dtype=bool)
    for modality in modalities:
        mean[list(modality.columns)], spread = _moments_of(X[:, modality.place], weight, modality)
        if modality.kind == "gaussian":
            scale[list(modality.columns)], shifted[list(modality.columns)] = spread, True
    order = np.array([column for modality in modalities for column in modality.columns], dtype=np.int64)
    return Arranged(mean, scale, shifted, order)


def _moments_of(X: Array, weight: np.ndarray | None, modality: Modality) -> tuple[np.ndarray, float]:
    """Means of the known entries of the columns of a modality, and their scale."""
    if modality.groups and _has_gaps(X):
        x = to_tensor(X)
        X = x.masked_fill(_whole(x.isnan(), modality), torch.nan)
    mean, scale = moments(X, weight)
    if np.isnan(mean).any():
        column = modality.columns[int(np.isnan(mean).argmax())]
        raise ValueError(f"Column {column} of X has no known entry to learn from: leave it out of X.")
    if not (np.isfinite(mean).all() and math.isfinite(scale)):
        raise ValueError("X has values so large that their variance is infinite: rescale X.")
    if not scale:
        raise ValueError("X has values so close together that their variance is rounded to 0: rescale X.")
    return mean, scale


def _has_gaps(X: Array) -> bool:
    with np.errstate(all="ignore"):
        return any(math.isnan(float(to_tensor(X[rows]).sum())) for rows in chunks(*X.shape))


def require_known_groups(X: Array, modalities: Sequence[Modality]) -> None:
    """Raise an error for a row of which nothing is known because units are unknown that are only known together.

    A group of softmax units, or all counts of a modality, are unknown if one of them is.
    """
    if not any(modality.groups for modality in modalities):
        return
    for rows in chunks(*X.shape):
        gaps = to_tensor(X[rows]).isnan()
        if not bool(gaps.any()):
            continue
        parts = [_whole(gaps[:, modality.place], modality) for modality in modalities]
        if bool((empty := torch.cat(parts, 1).all(1)).any()):
            row = rows.start + int(empty.nonzero()[0])
            raise ValueError(
                f"Row {row} of X has no known entry, as groups of one-hot columns and counts are unknown if one of "
                "them is NaN: drop the row."
            )


def _whole(gaps: Tensor, modality: Modality) -> Tensor:
    """The gaps of a modality, where columns that are only known together are gaps together."""
    gaps = gaps.clone()
    for columns in modality.groups:
        gaps[:, columns] = gaps[:, columns].any(1, keepdim=True)
    return gaps


def by_gaps(x: Tensor, complete: Callable[[Tensor], Tensor], in_part: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply one function to the rows without gaps, and another one to those with gaps.

    So what is computed for a row does not depend on the gaps of others.
    """
    gaps = x.isnan().any(1)
    if not bool(gaps.any()):
        return complete(x)
    found = in_part(x[gaps])
    if bool(gaps.all()):
        return found
    result = found.new_empty((len(x), *found.shape[1:]))
    result[gaps], result[~gaps] = found, complete(x[~gaps])
    return result


# ------------------------------------------------------------------ rows that a machine can describe


class SupportOfEach(Supports):
    """The rows whose known entries are in the support of their modality."""

    @classmethod
    def of(cls, modalities: Sequence[Modality], arranged: bool) -> Any:
        """The support of modalities, for rows in the order of X, or in that of the module if ``arranged``."""
        parts, start = [], 0
        for modality in modalities:
            columns = list(range(start, start + len(modality.columns))) if arranged else list(modality.columns)
            start += len(columns)
            if (support := support_of("visible", modality.kind, modality.sizes)) is not None:
                parts.append((columns, support))
        return cls(tuple(parts))

    def told(self, density: Tensor, x: Tensor) -> Tensor:
        """The log-densities of rows x, or -inf where they are not in the support."""
        wrong = self.outside(x)
        return density if wrong is None else density.masked_fill(wrong.any(1), -torch.inf)
