"""Frame: how a module sees the columns of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Frame"]


class Frame:
    """(x - mean) / scale of each row, or the row as it is.

    Parameters
    ----------
    mean : ndarray of shape (n_features,)
        Of the training data.
    scale : float or ndarray of shape (n_features,), default=1.0
        One for all columns keeps the geometry of PCA; one a column is for columns of several kinds.
    centred : bool, default=True
        False leaves rows as they are; the mean is then known, and not taken away.
    """

    def __init__(self, mean: np.ndarray, scale: float | np.ndarray = 1.0, centred: bool = True) -> None:
        self.mean, self.scale, self.centred = mean, scale, centred
        self._tensors: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Any]] = {}

    def __len__(self) -> int:
        return len(self.mean)

    def apply(self, x: Tensor) -> Tensor:
        """Rows as the module sees them, in the precision of x."""
        if not self.centred:
            return x
        mean, scale = self._like(x)
        return x.sub(mean).mul_(1.0 / scale)

    def undo(self, x: Tensor) -> Tensor:
        """Rows on the scale of the data, given those that the module sees; a new tensor if it is centred."""
        if not self.centred:
            return x
        mean, scale = self._like(x)
        return x * scale + mean

    def pull_back(self, g: Tensor) -> Tensor:
        """Gradients in rows of the data, given those in the rows that the module sees; in place."""
        return g.div_(self._like(g)[1]) if self.centred else g

    @property
    def center(self) -> np.ndarray:
        """The mean as the module sees it."""
        return np.zeros_like(self.mean) if self.centred else self.mean

    @property
    def unit(self) -> float:
        """Length, on the scale of the data, of the unit of ``squared_distance``."""
        return 1.0 if isinstance(self.scale, np.ndarray) else float(self.scale)

    def squared_distance(self, x: Tensor, other: Tensor) -> Tensor:
        """Of rows that the module sees, with columns as long as they are in the data: in units of ``unit`` squared."""
        difference = x - other
        if isinstance(self.scale, np.ndarray):
            difference = difference * self._like(x)[1]
        return difference.square().sum(-1)

    @property
    def log_volume(self) -> float:
        """Log-density on the scale of the data is that on the scale of the module minus this."""
        return float(np.log(np.broadcast_to(self.scale, self.mean.shape)).sum()) if self.centred else 0.0

    def _like(self, x: Tensor) -> tuple[Tensor, Any]:
        """Mean and scale in the precision and on the device of x."""
        key = x.device, x.dtype
        if key not in self._tensors:
            mean = torch.tensor(self.mean).to(*key)
            scale = torch.tensor(self.scale).to(*key) if isinstance(self.scale, np.ndarray) else self.scale
            self._tensors[key] = mean, scale
        return self._tensors[key]

    def __getstate__(self) -> tuple[np.ndarray, float | np.ndarray, bool]:
        return self.mean, self.scale, self.centred

    def __setstate__(self, state: tuple[np.ndarray, float | np.ndarray, bool]) -> None:
        self.__init__(*state)  # type: ignore[misc]
