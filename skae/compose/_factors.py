"""A Gaussian with few factors, for tables of many columns, learnt by EM from rows with missing entries."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from ..engine.factors import factors_given, parts_of, summed_moments

__all__ = ["Factors", "em_of_factors"]

LEAST = 1e-4
"""Smallest variance of a column given the factors. Columns have variances near 1."""


class Factors:
    """N(mu, W W' + Psi) with a diagonal Psi: x = mu + W h + noise, and h ~ N(0, I).

    It answers like ``Gaussian``. Given the observed entries o of a row,

        h | x_o ~ N(P W_o' Psi_o^-1 (x_o - mu_o), P), P = (I + W_o' Psi_o^-1 W_o)^-1,

    and the missing entries are mu_m + W_m h, plus noise. A row costs d k^2 operations for d columns and k factors.

    Parameters
    ----------
    mean : ndarray of shape (d,)
    loadings : ndarray of shape (d, k)
        W.
    variance : ndarray of shape (d,)
        The diagonal of Psi.
    """

    def __init__(self, mean: np.ndarray, loadings: np.ndarray, variance: np.ndarray) -> None:
        self.mean, self.loadings, self.variance = mean, loadings, variance

    @property
    def covariance(self) -> np.ndarray:
        """W W' + Psi."""
        whole: np.ndarray = self.loadings @ self.loadings.T + np.diag(self.variance)
        return whole

    def posterior(self, x: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean of h given x_o, of shape (n, k), and the Cholesky factors of P^-1, of shape (n, k, k)."""
        parts = (x - self.mean, known, self.loadings, self.variance)
        h, root = factors_given(*(torch.from_numpy(part) for part in parts))
        return h.numpy(), root.numpy()

    def parts(self, n: int) -> list[slice]:
        """Slices of n rows that are treated at a time."""
        return parts_of(n, self.loadings.shape[1])

    def complete(self, x: np.ndarray, known: np.ndarray) -> np.ndarray:
        """The rows with E[x_m | x_o] at their missing entries."""
        whole = np.array(x, dtype=float)
        for rows in self.parts(len(x)):
            h, _ = self.posterior(x[rows], known[rows])
            whole[rows] = np.where(known[rows], x[rows], self.mean + h @ self.loadings.T)
        return whole

    def noise(self, known: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Draws from N(0, Cov[x | x_o]) for each row, of shape (n, d). They are zero at observed entries.

        The numbers of a row depend on its place among the rows, and not on the other rows.
        """
        d, k = self.loadings.shape
        draws = np.empty(known.shape)
        for rows in self.parts(len(known)):
            _, root = self.posterior(np.zeros((rows.stop - rows.start, d)), known[rows])
            e = rng.standard_normal((len(root), k + d))
            h = torch.linalg.solve_triangular(torch.from_numpy(root).mT, torch.from_numpy(e)[:, :k, None], upper=True)
            drawn = h[:, :, 0].numpy() @ self.loadings.T + e[:, k:] * np.sqrt(self.variance)
            draws[rows] = np.where(known[rows], 0.0, drawn)
        return draws

    def log_likelihood(self, x: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Log p(x_o) of each row, in nats."""
        found = []
        for rows in self.parts(len(x)):
            h, root = self.posterior(x[rows], known[rows])
            z = np.where(known[rows], x[rows] - self.mean, 0.0)
            logs = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(1) * 2 + known[rows] @ np.log(self.variance)
            square = ((z / self.variance) * (z - np.where(known[rows], h @ self.loadings.T, 0.0))).sum(1)
            found.append(-0.5 * (known[rows].sum(1) * math.log(2 * math.pi) + logs + square))
        return np.concatenate(found)

    def shrunk(self, factor: float) -> Factors:
        """The same with the covariance (1 - factor) Sigma + factor diag(Sigma)."""
        whole = self.variance + np.square(self.loadings).sum(1)
        variance = (1 - factor) * self.variance + factor * whole
        return Factors(self.mean, math.sqrt(1 - factor) * self.loadings, variance)


def em_of_factors(
    x: np.ndarray,
    known: np.ndarray,
    start: Factors | None = None,
    *,
    n_factors: int,
    prior: float = 1.0,
    tol: float = 1e-3,
    max_iter: int = 50,
) -> Iterator[Factors]:
    """Fit a Gaussian with factors to rows with missing entries by EM (Rubin and Thayer, 1982).

    In the M step each column is regressed on the factors in the rows that observe it. ``prior`` is the weight of a
    ridge penalty on the loadings, and of rows of variance 1 in the variance of a column.

    Parameters
    ----------
    x, known, start, prior, tol, max_iter
        As in ``em``. EM ends when no entry of the mean, the loadings and the variance has changed by more than ``tol``.
    n_factors : int
        Number of factors k.

    Yields
    ------
    factors : Factors
        After each iteration.
    """
    model = _at_principal_axes(x, known, n_factors) if start is None else start
    for _ in range(max_iter):
        updated = _updated(model, x, known, prior)
        pairs = zip(vars(updated).values(), vars(model).values(), strict=True)
        change = max(np.abs(new - old).max() for new, old in pairs)
        model = updated
        yield model
        if change < tol:
            break


def _at_principal_axes(x: np.ndarray, known: np.ndarray, n_factors: int) -> Factors:
    """Probabilistic PCA of the rows with zeros at their missing entries."""
    filled = np.where(known, x, 0.0)
    values, axes = np.linalg.eigh(filled.T @ filled / len(x))
    others = max(LEAST, float(values[:-n_factors].mean()))
    W = axes[:, -n_factors:] * np.sqrt(np.maximum(values[-n_factors:] - others, LEAST))
    return Factors(np.zeros(x.shape[1]), W, np.full(x.shape[1], others))


def _updated(model: Factors, x: np.ndarray, known: np.ndarray, prior: float) -> Factors:
    """One iteration of EM. The mean is the loading of a factor that is always 1."""
    k = model.loadings.shape[1]
    filled = np.where(known, x, 0.0)
    parts = (filled, known, np.ones(len(x)), model.loadings, model.mean, model.variance)
    moments, products, squares = (sums.numpy() for sums in summed_moments(*(torch.from_numpy(part) for part in parts)))
    penalty = prior * np.diag([*[1.0] * k, 0.0])
    whole = np.linalg.solve(moments + penalty, products[:, :, None])[:, :, 0]
    variance = (squares - (whole * products).sum(1) + prior) / (known.sum(0) + prior)
    return Factors(whole[:, k], whole[:, :k], np.maximum(variance, LEAST))
