"""Frame: offset and scale with which a module sees the columns of a table.

A module computes in float32 or float64. What goes back to the units of the data is in float64, because float32 holds
neither small variation around a large mean nor squares of numbers beyond 1e-19 or 1e19.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Frame", "in_double"]

EXACT = 1e-30, 1e30
"""Scales between which float32 holds deviations from the mean and their ratios to the scale."""
BLOCK = 2**16
"""Differences of rows that are squared at a time. They fit into the processor's cache, in float64 too."""
FAR = 1e3
"""A mean that is so many scales from zero must be subtracted in float64, or rounding it would shift the rows."""


class Frame:
    """The map from a row x to (x - mean) / scale, and back. Without centring, x stays as it is.

    Parameters
    ----------
    mean : ndarray of shape (n_features,)
        Mean of the training data.
    scale : float or ndarray of shape (n_features,), default=1.0
        One scale for all columns keeps the geometry of PCA. One scale per column suits columns of different kinds.
    centred : bool, default=True
        If False, rows stay as they are, and the mean is only stored.
    shifted : ndarray of bool of shape (n_features,) or None, default=None
        The columns from which the mean is subtracted, whatever ``centred`` is. None is all if ``centred``, else none.
    unit : ndarray of shape (n_features,) or None, default=None
        Length, on the scale of the data, of one unit of distance along each column. None is the scale if it is one
        number, and 1 otherwise.
    """

    def __init__(
        self,
        mean: np.ndarray,
        scale: float | np.ndarray = 1.0,
        centred: bool = True,
        shifted: np.ndarray | None = None,
        unit: np.ndarray | None = None,
    ) -> None:
        self.mean, self.scale, self.centred, self.shifted, self.column_unit = mean, scale, centred, shifted, unit
        self.offset = mean if shifted is None else np.where(shifted, mean, 0.0)
        self._is_identity = not centred and shifted is None
        least, most = np.min(scale), np.max(scale)
        self.fits_float32 = bool(EXACT[0] < least and most < EXACT[1] and (np.abs(self.offset) <= FAR * scale).all())
        self._tensors: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Any]] = {}

    def __len__(self) -> int:
        return len(self.mean)

    def apply(self, x: Tensor) -> Tensor:
        """Convert rows from the scale of the data to the scale of the module.

        This is done in the precision of the rows, and in float64 where float32 would lose more than its rounding error.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)
            Rows on the scale of the data.

        Returns
        -------
        x : Tensor of shape (n, n_features)
            Rows on the scale of the module. They are x itself if no column is centred.
        """
        if self._is_identity:
            return x
        x = x if self.fits_float32 else in_double(x)
        mean, scale = self._like(x)
        return x.sub(mean).mul_(1.0 / scale)

    def undo(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Convert rows from the scale of the module to the scale of the data.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)
            Rows on the scale of the module.
        out : Tensor of shape (n, n_features), float64, or None, default=None
            Where to write the result, on any device. None makes a new tensor on the device of x, or on the CPU if that
            device has no float64.

        Returns
        -------
        out : Tensor of shape (n, n_features), float64
            Rows on the scale of the data.
        """
        if out is None:
            out = torch.empty_like(_where_double_is(x), dtype=torch.float64)
        if self._is_identity:
            return out.copy_(x)
        mean, scale = self._like(out)
        x = x.to(out.device)
        if isinstance(scale, Tensor):
            return torch.addcmul(mean, x, scale, out=out)
        return torch.add(mean, x, alpha=scale, out=out)

    def pull_back(self, g: Tensor) -> Tensor:
        """Convert gradients from the scale of the module to the scale of the data.

        Parameters
        ----------
        g : Tensor of shape (..., n_features)
            Derivatives with respect to rows on the scale of the module.

        Returns
        -------
        g : Tensor of shape (..., n_features), float64
            Derivatives with respect to rows on the scale of the data.
        """
        g = in_double(g)
        return g if self._is_identity else g / self._like(g)[1]

    @property
    def center(self) -> np.ndarray:
        """The mean on the scale of the module."""
        return self.mean if self._is_identity else (self.mean - self.offset) / self.scale

    @property
    def unit(self) -> float:
        """Length, on the scale of the data, of one unit of distance in ``squared_distance``."""
        return 1.0 if isinstance(self.scale, np.ndarray) else float(self.scale)

    def squared_distance(self, x: Tensor, other: Tensor) -> Tensor:
        """Squared distance of each row to another one, for rows on the scale of the module.

        Columns count as on the scale of the data.

        Parameters
        ----------
        x, other : Tensor of shape (n, n_features)
            Rows on the scale of the module. ``other`` may be a single row, of shape (n_features,).

        Returns
        -------
        distance : Tensor of shape (n,), float64
            In units of ``unit`` squared.
        """
        x, other = _where_double_is(x), _where_double_is(other).expand_as(x)
        size = max(1, BLOCK // x.shape[1])
        pairs = zip(x.split(size), other.split(size), strict=True)
        return torch.cat([self.norm(one - two) for one, two in pairs]).square_()

    def norm(self, difference: Tensor) -> Tensor:
        """Length of each difference of two rows, in units of ``unit``."""
        if isinstance(self.scale, np.ndarray):
            difference = in_double(difference)
            difference *= self._like(difference)[1]
        if self.column_unit is not None:
            difference = in_double(difference) / torch.from_numpy(self.column_unit)
        return torch.linalg.vector_norm(difference, dim=-1, dtype=torch.float64)

    @property
    def log_volume(self) -> float:
        """Log-density on the scale of the module minus log-density on the scale of the data."""
        if self._is_identity:
            return 0.0
        if isinstance(self.scale, np.ndarray):
            return float(np.log(self.scale).sum())
        return len(self) * math.log(self.scale)

    def log_volumes(self, known: Tensor | None) -> Tensor | float:
        """``log_volume`` of the columns that are observed in each row, for a mask, or None if all are."""
        if known is None:
            return self.log_volume
        if self._is_identity:
            return 0.0
        return self.log_volume - in_double(~known) @ torch.from_numpy(np.log(np.broadcast_to(self.scale, len(self))))

    def _like(self, x: Tensor) -> tuple[Tensor, Any]:
        """Mean and scale in the precision and on the device of x."""
        key = x.device, x.dtype
        if key not in self._tensors:
            mean = torch.tensor(self.offset).to(*key)
            scale = torch.tensor(self.scale).to(*key) if isinstance(self.scale, np.ndarray) else self.scale
            self._tensors[key] = mean, scale
        return self._tensors[key]

    def __getstate__(self) -> tuple[Any, ...]:
        plain = self.mean, self.scale, self.centred
        return plain if self.shifted is None else (*plain, self.shifted, self.column_unit)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.__init__(*state)  # type: ignore[misc]


def in_double(x: Tensor) -> Tensor:
    """A tensor in float64, on the CPU if its device has no float64."""
    return _where_double_is(x).double()


def _where_double_is(x: Tensor) -> Tensor:
    """A tensor on its own device, or on the CPU if that device has no float64."""
    return x.cpu() if x.device.type == "mps" else x
