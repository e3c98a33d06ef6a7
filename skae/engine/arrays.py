"""Arrays: X with its weights and y, checked, but not yet on the scale of the module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .data import Array, Batch, Held, Index, Rows, Source, Table, to_tensor
from .frame import Frame
from .group import Group
from .moments import moments
from .shared import MOST_COLUMNS, Shared, SharedRows, divided, gathered

__all__ = ["Arrays"]


class Arrays(Source):
    """A checked table, with optional y and sample weights.

    Parameters
    ----------
    X : array, memory map, CSR matrix or tensor of shape (n_samples, n_features)
    weight : ndarray of shape (n_samples,) or None, default=None
        Sample weights.
    y : ndarray or CSR matrix of shape (n_samples, n_targets), or None, default=None
        The part of y that a batch holds, as numbers.
    has_gaps : bool, default=False
        Whether entries of X are missing, which are NaN.
    """

    def __init__(self, X: Array, weight: np.ndarray | None = None, y: Any = None, has_gaps: bool = False) -> None:
        self.X, self.weight, self.y, self.has_gaps = X, weight, y, has_gaps
        self.width = int(X.shape[1])

    def __len__(self) -> int:
        return int(self.X.shape[0])

    def __getitem__(self, index: Index) -> Batch:
        X = to_tensor(self.X[:0])
        return self.seen(None, None, X.dtype, X.device)[index]

    def moments(self) -> tuple[np.ndarray, float]:
        """Return the mean of each column, and the square root of the mean variance of the columns."""
        return moments(self.X, self.weight)

    def with_y(self, y: Any) -> Arrays:
        """The same rows with another y."""
        return Arrays(self.X, self.weight, y, self.has_gaps)

    def held(self) -> Held | None:
        """See ``Source``."""
        if not isinstance(self.X, Shared):
            return None
        rows = self.X.held
        weight = None if self.weight is None else self.weight[rows]
        y = self.y.own if isinstance(self.y, Shared) else None if self.y is None else self.y[rows]
        return Held(Arrays(self.X.own, weight, y, self.has_gaps), torch.arange(rows.start, rows.stop))

    def shared(self, group: Group) -> Arrays:
        """See ``Source``. Each process has the weights and narrow y of all rows."""
        if type(self) is not Arrays:
            return super().shared(group)  # type: ignore[return-value]
        weight = None if self.weight is None else gathered(self.weight, group)
        is_wide = self.y is not None and self.y.shape[1] > MOST_COLUMNS
        y = None if self.y is None else Shared(self.y, group) if is_wide else gathered(self.y, group)
        return Arrays(Shared(self.X, group), weight, y, self.has_gaps)

    def own(self) -> Arrays:
        """Return the rows that this process holds, which are all if it does not share them."""
        held = self.held()
        return self if held is None else held.data  # type: ignore[return-value]

    def take(self, rows: np.ndarray) -> Arrays:
        """Return some of the rows, by their numbers in ascending order."""
        weight = None if self.weight is None else self.weight[rows]
        return Arrays(_taken(self.X, rows), weight, None if self.y is None else _taken(self.y, rows), self.has_gaps)

    def learnt(self, merge: bool) -> Arrays:
        """Return the rows to learn from. Equal rows are merged if ``merge``, and the mean weight is 1."""
        data = self._merged() if merge else self
        if data.weight is None:
            return data
        return Arrays(data.X, data.weight * (len(data.weight) / data.weight.sum()), data.y, data.has_gaps)

    def _merged(self) -> Arrays:
        """Distinct rows of X and y with positive weight, in lexical order, with the sums of their weights.

        If all rows are one batch, their order and their repetitions carry no information. Without them a fit does not
        depend on them, to the last bit. A weight of two then equals two copies of a row.
        """
        whole = _as_numpy(self.X)
        if self.y is not None:
            whole = np.hstack([whole, _as_numpy(self.y)])
        weight = np.ones(len(whole)) if self.weight is None else self.weight
        whole = whole[weight > 0]
        # NaN equals nothing, so gaps are compared as zeros with a mark.
        marked = np.hstack([np.nan_to_num(whole), np.isnan(whole)]) if self.has_gaps else whole
        _, first, place = np.unique(marked, axis=0, return_index=True, return_inverse=True)
        rows = whole[first]
        sums = np.bincount(place.ravel(), weight[weight > 0])
        y = None if self.y is None else rows[:, self.width :]
        X: Array = rows[:, : self.width]
        if isinstance(self.X, Shared):
            X = divided(X, self.X.group)
        return Arrays(X, None if (sums == sums[0]).all() else sums, y, self.has_gaps)

    def seen(
        self,
        frame: Frame | None,
        target_frame: Frame | None,
        dtype: torch.dtype,
        device: torch.device,
        resident: bool = False,
        look: Callable[[Index, Tensor], None] | None = None,
    ) -> Table:
        """Return the rows on the scale of the module. The arguments are those of ``Rows``.

        ``target_frame`` is the frame of y. If it is None, y stays as it is.
        """
        x = _rows(self.X, frame, dtype, device, resident, look, self.has_gaps)
        weight = None if self.weight is None else to_tensor(self.weight).to(x.device, dtype)
        if self.y is None:
            return Table(x, weight)
        if target_frame is None:
            return Table(x, weight, to_tensor(self.y).to(x.device, dtype))
        return Table(x, weight, _rows(self.y, target_frame, dtype, device, resident))


def _taken(array: Any, rows: np.ndarray) -> Any:
    return array.take(rows) if isinstance(array, Shared) else array[rows]


def _rows(
    X: Any,
    frame: Frame | None,
    dtype: torch.dtype,
    device: torch.device,
    resident: bool,
    look: Callable[[Index, Tensor], None] | None = None,
    has_gaps: bool = False,
) -> Rows:
    """Rows of an array, whether one process has all of them or each holds some."""
    if not isinstance(X, Shared):
        return Rows(X, frame, dtype=dtype, device=device, resident=resident, look=look)
    own = Rows(X.own, frame, dtype=dtype, device=device, resident=resident, look=look)
    return SharedRows(own, X.held, X.group, len(X), has_gaps)


def _as_numpy(array: Array) -> np.ndarray:
    dense: np.ndarray = to_tensor(array[:] if isinstance(array, Shared) else array).cpu().numpy()
    return dense
