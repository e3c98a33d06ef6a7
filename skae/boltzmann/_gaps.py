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
    "Arranged",
    "SupportOfEach",
    "arranged_fault",
    "by_gaps",
    "frame_of_modalities",
    "look_for_gaps",
]


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
        part = X[:, modality.place]
        found = _known_moments(part, weight, modality) if _has_gaps(part) else moments(part, weight)
        mean[list(modality.columns)], spread = found
        if not (np.isfinite(found[0]).all() and math.isfinite(spread)):
            raise ValueError("X has values so large that their variance is infinite: rescale X.")
        if not spread:
            raise ValueError("X has values so close together that their variance is rounded to 0: rescale X.")
        if modality.kind == "gaussian":
            scale[list(modality.columns)], shifted[list(modality.columns)] = spread, True
    order = np.array([column for modality in modalities for column in modality.columns], dtype=np.int64)
    return Arranged(mean, scale, shifted, order)


def _has_gaps(X: Array) -> bool:
    with np.errstate(all="ignore"):
        return any(math.isnan(float(to_tensor(X[rows]).sum())) for rows in chunks(*X.shape))


def _known_moments(X: Array, weight: np.ndarray | None, modality: Modality) -> tuple[np.ndarray, float]:
    """Mean of the known entries of each column, and the root of the mean of the variances of the columns."""
    if modality.groups:
        x = to_tensor(X)
        X = x.masked_fill(_whole(x.isnan(), modality), torch.nan)
    first, count = _first_and_count(X, weight)
    if not bool(count.all()):
        column = modality.columns[int((count == 0).nonzero()[0])]
        raise ValueError(f"Column {column} of X has no known entry to learn from: leave it out of X.")
    shift = first + _sums(X, weight, first, torch.zeros_like(first), 1) / count
    variance = _sums(X, weight, first, shift - first, 2) / count
    if not bool(variance.any()) and not _is_constant(X, weight, first):
        return shift.numpy(), 0.0
    variance[variance.sqrt() <= 1e-15 * shift.abs()] = 0.0  # rounding noise of a constant column
    scale = math.sqrt(float(variance.mean()))
    return shift.numpy(), 1.0 if scale == 0.0 else scale


def _first_and_count(X: Array, weight: np.ndarray | None) -> tuple[Tensor, Tensor]:
    """The first known entry of each column that counts, and the weight of all."""
    first, count = torch.full((2, X.shape[1]), torch.nan, dtype=torch.float64)
    count.zero_()
    for rows in chunks(*X.shape):
        x, w = _double(X, weight, rows)
        known = ~x.isnan() & (w > 0)[:, None]
        top = x.gather(0, known.byte().argmax(0)[None])[0]
        first = torch.where(first.isnan() & known.any(0), top, first)
        count += w @ known.double()
    return first, count


def _is_constant(X: Array, weight: np.ndarray | None, first: Tensor) -> bool:
    """Whether the known entries of each column that count are all equal to the first."""
    parts = (_double(X, weight, rows) for rows in chunks(*X.shape))
    return all(bool(((x == first) | x.isnan())[w > 0].all()) for x, w in parts)


def _sums(X: Array, weight: np.ndarray | None, first: Tensor, shift: Tensor, power: int) -> Tensor:
    """Sums of powers of the known entries of each column, after what comes first and a shift are subtracted."""
    sums = torch.zeros_like(first)
    for rows in chunks(*X.shape):
        x, w = _double(X, weight, rows)
        sums += w @ x.sub_(first).sub_(shift).pow_(power).nan_to_num_(0.0, torch.inf, -torch.inf)
    return sums


def _double(X: Array, weight: np.ndarray | None, rows: slice) -> tuple[Tensor, Tensor]:
    """A copy of some rows, and their weights, in float64 on the CPU."""
    x = to_tensor(X[rows]).cpu().to(torch.float64, copy=True)
    return x, torch.ones(len(x), dtype=torch.float64) if weight is None else torch.from_numpy(weight[rows]).double()


def look_for_gaps(X: Array, modalities: Sequence[Modality]) -> bool:
    """Whether an entry is NaN. Raise an error if a row has no known entry.

    A group of softmax units, or all counts of a modality, are unknown if one of them is.
    """
    has_gaps = False
    for rows in chunks(*X.shape):
        gaps = to_tensor(X[rows]).isnan()
        if not bool(gaps.any()):
            continue
        has_gaps = True
        parts = [_whole(gaps[:, modality.place], modality) for modality in modalities]
        if bool((empty := torch.cat(parts, 1).all(1)).any()):
            row = rows.start + int(empty.nonzero()[0])
            raise ValueError(f"Every modality is missing (NaN) in row {row} of X: give it an entry, or drop the row.")
    return has_gaps


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
