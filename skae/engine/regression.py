"""Linear regression of the rows of a table on other columns of them, and what it leaves over."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .data import Index, Rows, chunks

__all__ = ["Residuals", "regress"]

PENALTIES = torch.logspace(-6, 2, 17, dtype=torch.float64)
"""Ridge penalties that are tried, in units of the mean eigenvalue of C'C."""
MOST_LEVERAGE = 0.99
"""Leverage above which a residual is not enlarged further."""


class Residuals(Rows):
    """Rows x - B' c, each divided by 1 - l, where l is its leverage: the residual of a fit without that row.

    Parameters
    ----------
    x : Rows
    c : Tensor of shape (n_samples, n_conditions)
    slopes : Tensor of shape (n_conditions, n_features), float64
    leverage : Tensor of shape (n_samples,), float64
    """

    def __init__(self, x: Rows, c: Tensor, slopes: Tensor, leverage: Tensor) -> None:
        super().__init__(x.X, x.frame, dtype=x.dtype, device=x.out)
        self._c, self._slopes = c, slopes.to(x.out, x.dtype)
        self._factor = (1 / (1 - leverage.clamp_max(MOST_LEVERAGE))).to(c)[:, None]

    def __getitem__(self, index: Index) -> Tensor:
        c, factor = (part[index].to(self.out, self.dtype) for part in (self._c, self._factor))
        return (super().__getitem__(index) - c @ self._slopes) * factor

    def total(self, weight: Tensor | None) -> float:
        """Mean of the squared lengths of the rows."""
        squares = torch.cat([self[rows].square().sum(1).cpu().double() for rows in chunks(len(self), self.width)])
        return float(squares.mean() if weight is None else squares @ weight.cpu().double() / weight.sum())


def regress(x: Rows, c: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Residuals]:
    """Regress centred rows x on centred conditions c by least squares, x = B' c + residual.

    A ridge penalty keeps B small where there are many conditions and few rows. It is the one of the smallest
    generalised cross-validation error (Golub, Heath and Wahba, 1979).

    Parameters
    ----------
    x : Rows
    c : Tensor of shape (n_samples, n_conditions)
    weight : Tensor of shape (n_samples,) or None, default=None
        Sample weights.

    Returns
    -------
    slopes : Tensor of shape (n_conditions, n_features), float64
        B.
    residuals : Residuals

    References
    ----------
    Golub, Heath and Wahba (1979), "Generalized Cross-Validation as a Method for Choosing a Good Ridge Parameter",
    https://doi.org/10.1080/00401706.1979.10489751
    """
    c64 = c.cpu().double()
    w = torch.ones_like(c64[:, 0]) if weight is None else weight.cpu().double()
    eigenvalues, V = _axes_of(c64 * w.sqrt()[:, None])
    cross, total = _products(x, w[:, None] * (c64 @ V), w)
    penalty = _best_penalty(eigenvalues, cross.square().sum(1), total, float(w.sum()))
    inverse = 1 / (eigenvalues + penalty)
    leverage = w * ((c64 @ V).square() @ inverse)
    slopes = V @ (inverse[:, None] * cross)
    return slopes, Residuals(x, c, slopes, leverage)


def _axes_of(c: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors, as columns, of c'c. If there are fewer rows than columns, the others are zero."""
    if len(c) < c.shape[1]:
        _, singular, V = torch.linalg.svd(c, full_matrices=False)
        return singular.square(), V.T
    eigenvalues, V = torch.linalg.eigh(c.T @ c)
    return eigenvalues.clamp_min(0), V


def _products(x: Rows, u: Tensor, w: Tensor) -> tuple[Tensor, float]:
    """The matrix u' x, and the weighted sum of the squares of x."""
    cross: Any = 0.0
    total = 0.0
    for rows in chunks(len(x), x.width):
        part = x[rows].cpu().double()
        cross = cross + u[rows].T @ part
        total += float(w[rows] @ part.square().sum(1))
    return cross, total


def _best_penalty(eigenvalues: Tensor, cross: Tensor, total: float, n: float) -> Tensor:
    """The penalty of the smallest generalised cross-validation error, given squared norms of the rows of u' x."""
    penalties = PENALTIES * eigenvalues.mean()
    left = penalties[:, None] / (eigenvalues + penalties[:, None])  # share of each direction that is not fitted
    explained = torch.where(eigenvalues > 1e-12 * eigenvalues.max(), cross / eigenvalues, 0.0)
    error = max(0.0, total - float(explained.sum())) + left.square() @ explained
    freedom = n - 1 - len(eigenvalues) + left.sum(1)  # the mean is fitted too
    return penalties[torch.argmin(error / freedom.clamp_min(1e-9 * n).square())]
