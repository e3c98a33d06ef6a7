"""How far rows are from the nearest row of small random samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..engine.data import Array, chunks, to_tensor
from ..engine.frame import Frame
from ..engine.moments import column_moments

__all__ = ["Near", "standard_frame", "weight_of"]

N_SAMPLES = 20
"""Number of samples. The scatter of the mean over them is small beside the differences of rows."""
N_ROWS = 16
"""Rows in a sample. So few that outliers are rarely among them, also if a tenth of the rows are outliers."""
POWER = 4.0
"""How fast the weight of a row falls with its distance. In many columns all distances are alike."""
SAME = 1e-9
"""Mean squared difference, in variances of the columns, below which two rows are equal but for rounding."""
ELEMENTS = 2**20
"""Distances that are computed at a time."""


def standard_frame(X: Array) -> Frame:
    """The mean and the standard deviation of the observed entries of each column. That of a constant column is 1.

    Parameters
    ----------
    X : array, memory map, CSR matrix or tensor of shape (n_samples, n_features)
        NaN where an entry is missing.

    Raises
    ------
    ValueError
        If a variance is infinite.
    """
    mean, variance = column_moments(X)
    if not np.isfinite(variance).all():
        raise ValueError("X has values so large that their variance is infinite: rescale X.")
    scale = np.sqrt(variance)
    return Frame(mean, np.where(scale <= 1e-12 * np.abs(mean), 1.0, scale))


class Near:
    """The distance of a row from the nearest row that differs from it, in many small samples of the training rows.

    The distance is the root mean square difference over the entries that both rows have, in standard deviations of the
    columns. Its logarithm is averaged over the samples. A row of a cluster has a near row in most samples, a row that
    is alone has none, and outliers among the training rows are rarely drawn, so that they do not vouch for each other.

    Parameters
    ----------
    X : array, memory map, CSR matrix or tensor of shape (n_samples, n_features)
        The training rows, with NaN where an entry is missing.
    frame : Frame
        Mean and scale of the columns.
    rng : RandomState

    References
    ----------
    Pang, Ting and Albrecht (2015), "LeSiNN: Detecting Anomalies by Identifying Least Similar Nearest Neighbours",
    https://doi.org/10.1109/ICDMW.2015.62
    """

    def __init__(self, X: Array, frame: Frame, rng: np.random.RandomState) -> None:
        n = X.shape[0]
        self.frame, self.size = frame, min(N_ROWS, max(1, n // 2))
        drawn = [np.sort(rng.choice(n, self.size, replace=False)) for _ in range(N_SAMPLES)]
        self.rows = torch.cat([self._seen(X, rows) for rows in drawn]).numpy()

    def _seen(self, X: Array, rows: slice | np.ndarray) -> Tensor:
        index = torch.from_numpy(rows) if isinstance(X, Tensor) and isinstance(rows, np.ndarray) else rows
        return self.frame.apply(to_tensor(X[index]).cpu().double())

    def log_distance(self, X: Array) -> np.ndarray:
        """The mean over the samples of the logarithm of the distance from the nearest row, for each row of X."""
        rows = torch.from_numpy(self.rows)
        known = ~rows.isnan()
        s, mask = rows.nan_to_num(0.0), known.double()
        out = np.empty(X.shape[0])
        for part in chunks(X.shape[0], max(len(rows), X.shape[1]), ELEMENTS):
            out[part] = self._log_distance(self._seen(X, part), s, mask, bool(known.all())).numpy()
        return out

    def _log_distance(self, x: Tensor, s: Tensor, mask: Tensor, is_whole: bool) -> Tensor:
        known = ~x.isnan()
        x, own = x.nan_to_num(0.0), known.double()
        if is_whole and bool(known.all()):
            square, count = x.square().sum(1)[:, None] + s.square().sum(1), torch.tensor(float(x.shape[1])).double()
        else:
            square, count = x.square() @ mask.T + own @ s.square().T, own @ mask.T
        difference = (square - 2 * x @ s.T) / count  # NaN for rows that have no entry in common
        rounding = SAME + 1e-13 * square / count
        other = torch.where(difference > rounding, difference, torch.inf)
        nearest = other.view(len(x), -1, self.size).min(2).values
        found = nearest.isfinite()
        logs = 0.5 * torch.where(found, nearest, 1.0).log() * found
        return torch.where(found.any(1), logs.sum(1) / found.sum(1).clamp_min(1), 0.5 * math.log(SAME))

    def __getstate__(self) -> tuple[Any, ...]:
        return self.frame.__getstate__(), self.size, self.rows

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        frame, self.size, self.rows = state
        self.frame = Frame(*frame)


def weight_of(log_distance: np.ndarray) -> np.ndarray:
    """Weights with which rows are learnt from: 1 up to the median distance, and (median / distance)^POWER beyond."""
    beyond = np.maximum(log_distance - np.median(log_distance), 0.0)
    weight: np.ndarray = np.exp(-POWER * beyond)
    return weight
