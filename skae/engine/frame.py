"""Frame: offset and scale with which a module sees the columns of a table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Frame"]


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
    """

    def __init__(self, mean: np.ndarray, scale: float | np.ndarray = 1.0, centred: bool = True) -> None:
        self.mean, self.scale, self.centred = mean, scale, centred
        self._tensors: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Any]] = {}

    def __len__(self) -> int:
        return len(self.mean)

    def apply(self, x: Tensor) -> Tensor:
        """Convert rows from the scale of the data to the scale of the module, in their precision.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)
            Rows on the scale of the data.

        Returns
        -------
        x : Tensor of shape (n, n_features)
            Rows on the scale of the module. They are x itself if not ``centred``.
        """
        if not self.centred:
            return x
        mean, scale = self._like(x)
        return x.sub(mean).mul_(1.0 / scale)

    def undo(self, x: Tensor) -> Tensor:
        """Convert rows from the scale of the module to the scale of the data.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)
            Rows on the scale of the module.

        Returns
        -------
        x : Tensor of shape (n, n_features)
            Rows on the scale of the data: a new tensor if ``centred``, and otherwise x itself.
        """
        if not self.centred:
            return x
        mean, scale = self._like(x)
        return x * scale + mean

    def pull_back(self, g: Tensor) -> Tensor:
        """Convert gradients from the scale of the module to the scale of the data, in place.

        Parameters
        ----------
        g : Tensor of shape (..., n_features)
            Derivatives with respect to rows on the scale of the module.

        Returns
        -------
        g : Tensor of shape (..., n_features)
            Derivatives with respect to rows on the scale of the data. It is the tensor that was given.
        """
        return g.div_(self._like(g)[1]) if self.centred else g

    @property
    def center(self) -> np.ndarray:
        """The mean on the scale of the module."""
        return np.zeros_like(self.mean) if self.centred else self.mean

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
        distance : Tensor of shape (n,)
            In units of ``unit`` squared.
        """
        difference = x - other
        if isinstance(self.scale, np.ndarray):
            difference = difference * self._like(x)[1]
        return difference.square_().sum(-1)  # difference is a new tensor

    @property
    def log_volume(self) -> float:
        """Log-density on the scale of the module minus log-density on the scale of the data."""
        if not self.centred:
            return 0.0
        if isinstance(self.scale, np.ndarray):
            return float(np.log(self.scale).sum())
        return len(self) * math.log(self.scale)

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
