"""Residuals: second moments of what a denoising autoencoder leaves over, from which ``sample`` draws its noise."""

from __future__ import annotations

import zlib
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from typing_extensions import Self

from ..base import damage
from ..engine.data import Batch

__all__ = ["Residuals", "residuals_fault", "residuals_of", "root_of"]

MOST_COLUMNS = 1024
"""Up to so many columns, the covariance itself is kept. Of wider rows, a root of it is kept."""
N_MIXED = 500
"""Largest number of rows of that root. Each of them is a mixture of all residuals."""


@dataclass(frozen=True)
class Residuals:
    """The covariance S of residuals x - r(x~) that were measured chunk by chunk.

    Only sums over rows are kept, and no row. If X has few rows, such sums still say much about each of them.

    Parameters
    ----------
    moments : ndarray of shape (n_features, n_features), or (n_mixed, n_features) if rows are wide
        S, or a root R with R'R = S. The rows of R are random mixtures of all residuals. If there are more residuals
        than mixtures, or several chunks, R'R is S in mean over the mixtures.
    weight : float
        Sum of the weights of the rows that S is the mean of.
    noise : tuple of (str, float, int)
        The corruption, its level, and the number of steps of ``walkback``.
    """

    moments: np.ndarray
    weight: float
    noise: tuple[str, float, int]

    @classmethod
    def of(cls, residuals: Tensor, weight: Tensor | None, total: float, noise: tuple[str, float, int]) -> Self:
        """Measure residuals.

        Parameters
        ----------
        residuals : Tensor of shape (n, n_features)
        weight : Tensor of shape (n,) or None
        total : float
            Sum of the weights of all rows, of which these are some.
        noise : tuple
            As the attribute.
        """
        root = residuals.cpu().double()
        share = torch.ones(len(root), dtype=root.dtype) if weight is None else weight.cpu().double()
        root = root * (share / share.sum().clamp_min(1e-290)).sqrt()[:, None]
        if root.shape[1] <= MOST_COLUMNS:
            return cls((root.T @ root).numpy(), total, noise)
        # The triangular root follows from S alone. So whoever knows how it is mixed does not know the rows.
        triangular = torch.linalg.qr(root, mode="r").R.to(residuals.dtype)
        return cls(_mixed(triangular, min(len(triangular), N_MIXED)).numpy(), total, noise)

    def after(self, before: Residuals | None) -> Residuals:
        """The mean of these residuals and of those of the chunks before, if these had the same noise."""
        if before is None or before.noise != self.noise:
            return self
        total = before.weight + self.weight
        old, new = before.weight / total, self.weight / total
        if self.moments.shape[1] <= MOST_COLUMNS:
            return Residuals(old * before.moments + new * self.moments, total, self.noise)
        # The product of two independent mixtures is zero in mean.
        sums = before.moments
        if len(sums) < N_MIXED:
            sums = _mixed(torch.from_numpy(sums), N_MIXED).numpy()
        more = _mixed(torch.from_numpy(self.moments), N_MIXED).numpy()
        return Residuals(old**0.5 * sums + new**0.5 * more, total, self.noise)

    def root(self) -> np.ndarray:
        """A matrix R such that R'R is the covariance."""
        if self.moments.shape[1] > MOST_COLUMNS:
            return self.moments
        variances, axes = np.linalg.eigh(self.moments)
        scaled: np.ndarray = (axes * np.sqrt(variances.clip(0))).T
        return scaled

    def __getstate__(self) -> tuple[Any, ...]:
        return astuple(self)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        for name, value in zip(("moments", "weight", "noise"), state, strict=True):
            object.__setattr__(self, name, value)


def root_of(residuals: Tensor, weight: Tensor | None) -> Tensor:
    """A matrix R such that R'R is the weighted mean of the outer products of the residuals. It is not to be kept."""
    if weight is not None:
        residuals = residuals * (weight / weight.mean().clamp_min(1e-12)).sqrt()[:, None]
    root = residuals * len(residuals) ** -0.5
    thin = len(root) <= root.shape[1] or root.device.type == "mps"  # MPS has no QR decomposition
    return root if thin else torch.linalg.qr(root, mode="r").R


def residuals_fault(model: Any, value: Residuals) -> str | None:
    """Say what is wrong with residuals that were read from a file, or return None."""
    n_features = len(model._frame)
    found = damage.fault_of_numbers(value.moments, (n_features if n_features <= MOST_COLUMNS else None, n_features))
    found = found or damage.number(0.0)(model, value.weight)
    plain = isinstance(value.noise, tuple) and all(isinstance(part, (str, float, int)) for part in value.noise)
    return found or (None if plain else "does not say for which noise it is")


def _mixed(root: Tensor, n_mixed: int) -> Tensor:
    """So many random mixtures of the rows of a root: a root of the same S, in mean if there are more rows."""
    n = len(root)
    rng = torch.Generator().manual_seed(zlib.crc32(root.numpy().tobytes()))  # others for another chunk
    q = torch.linalg.qr(torch.randn((max(n, n_mixed), min(n, n_mixed)), generator=rng, dtype=root.dtype)).Q
    return q @ root if n <= n_mixed else (n / n_mixed) ** 0.5 * q.T @ root


def residuals_of(batch: Batch, eta: Tensor) -> Tensor:
    """Residuals x - eta, which are 0 where x is a guess. The others of such a column are longer, to make up for it."""
    if batch.known is None:
        return batch.x - eta
    share = batch.known.to(eta).mean(0).clamp_min(1 / len(eta))
    return (batch.x - eta) * batch.known / share.sqrt()
