"""A Gaussian whose mean and covariance are learnt by EM from rows with missing entries."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

__all__ = ["Gaussian", "em"]

ELEMENTS = 2**20
"""Entries of covariances that are inverted at a time."""


class _Group(NamedTuple):
    """Rows that miss equally many entries."""

    rows: np.ndarray
    """Row numbers, of shape (r,)."""
    missing: np.ndarray
    """Columns that each pattern misses, of shape (p, m)."""
    pattern: np.ndarray
    """Number of the pattern of each row, of shape (r,)."""


def _groups(known: np.ndarray) -> Iterator[_Group]:
    """Rows with missing entries, by how many they miss. Rows with one pattern share one inverse."""
    n_missing = (~known).sum(1)
    for m in np.unique(n_missing[n_missing > 0]):
        rows = np.flatnonzero(n_missing == m)
        patterns, place = np.unique(np.packbits(known[rows], axis=1), axis=0, return_inverse=True)
        missing = np.nonzero(~np.unpackbits(patterns, axis=1, count=known.shape[1]).astype(bool))[1].reshape(-1, m)
        order = np.argsort(place.ravel(), kind="stable")
        rows, place = rows[order], place.ravel()[order]
        size = max(1, ELEMENTS // int(m * m))
        for start in range(0, len(rows), size):
            part = place[start : start + size]
            first, last = part[0], part[-1] + 1
            yield _Group(rows[start : start + size], missing[first:last], part - first)


class Gaussian:
    """N(mu, Sigma), and what it says about the missing entries of a row.

    With the precision K = Sigma^-1, the missing entries m of a row given the observed entries o are distributed as

        x_m | x_o ~ N(mu_m - K_mm^-1 K_mo (x_o - mu_o), K_mm^-1).

    Parameters
    ----------
    mean : ndarray of shape (d,)
    covariance : ndarray of shape (d, d)
        Positive definite.
    """

    def __init__(self, mean: np.ndarray, covariance: np.ndarray) -> None:
        self.mean, self.covariance = mean, covariance

    def _precision(self) -> np.ndarray:
        inverse = np.linalg.inv(self.covariance)
        return (inverse + inverse.T) / 2

    def expectation(self, x: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The E step.

        Parameters
        ----------
        x : ndarray of shape (n, d)
            Rows. What they hold at missing entries does not matter.
        known : ndarray of shape (n, d), bool
            Whether an entry is observed.

        Returns
        -------
        z : ndarray of shape (n, d)
            E[x | x_o] - mean.
        total : ndarray of shape (d, d)
            Sum over the rows of their conditional covariance Cov[x | x_o].
        """
        K, d = self._precision(), len(self.mean)
        z = np.where(known, x - self.mean, 0.0)
        total = np.zeros(d * d)
        pull = z @ K
        for rows, missing, pattern in _groups(known):
            C = _inverse(K[missing[:, :, None], missing[:, None, :]])
            columns = missing[pattern]
            z[rows[:, None], columns] = -(C[pattern] @ pull[rows[:, None], columns][:, :, None])[:, :, 0]
            place = missing[:, :, None] * d + missing[:, None, :]
            count = np.bincount(pattern, minlength=len(missing))
            total += np.bincount(place.ravel(), (C * count[:, None, None]).ravel(), minlength=d * d)
        return z, total.reshape(d, d)

    def complete(self, x: np.ndarray, known: np.ndarray) -> np.ndarray:
        """The rows with E[x_m | x_o] at their missing entries."""
        z, _ = self.expectation(x, known)
        return np.where(known, x, self.mean + z)

    def noise(self, known: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Draws from N(0, Cov[x | x_o]) for each row, of shape (n, d). They are zero at observed entries.

        The numbers of a row depend on its place among the rows, and not on the other rows.
        """
        K = self._precision()
        draws = np.where(known, 0.0, rng.standard_normal(known.shape))
        for rows, missing, pattern in _groups(known):
            root = torch.linalg.cholesky(torch.from_numpy(K[missing[:, :, None], missing[:, None, :]]))
            at = rows[:, None], missing[pattern]
            e = torch.from_numpy(draws[at])[:, :, None]
            draws[at] = torch.linalg.solve_triangular(root.mT[pattern], e, upper=True)[:, :, 0].numpy()
        return draws

    def log_likelihood(self, x: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Log p(x_o) of each row, in nats. It is log p(x_o, x_m) - log p(x_m | x_o) at the mean of x_m."""
        K = self._precision()
        z, _ = self.expectation(x, known)
        entropy = known.sum(1) * math.log(2 * math.pi) + np.linalg.slogdet(self.covariance)[1]
        for rows, missing, pattern in _groups(known):
            entropy[rows] += np.linalg.slogdet(K[missing[:, :, None], missing[:, None, :]])[1][pattern]
        inside: np.ndarray = -0.5 * (entropy + ((z @ K) * z).sum(1))
        return inside

    def shrunk(self, factor: float) -> Gaussian:
        """The same with the covariance (1 - factor) Sigma + factor diag(Sigma)."""
        return Gaussian(self.mean, (1 - factor) * self.covariance + factor * np.diag(np.diag(self.covariance)))


def _inverse(matrices: np.ndarray) -> np.ndarray:
    """Inverses of positive definite matrices, of shape (p, m, m)."""
    inverse: np.ndarray = torch.cholesky_inverse(torch.linalg.cholesky(torch.from_numpy(matrices))).numpy()
    return inverse


def em(
    x: np.ndarray,
    known: np.ndarray,
    start: Gaussian | None = None,
    *,
    prior: float = 1.0,
    tol: float = 1e-3,
    max_iter: int = 100,
) -> Iterator[Gaussian]:
    """Fit a Gaussian to rows with missing entries by EM (Dempster, Laird and Rubin, 1977).

    The mean and the covariance come to those at which the log-likelihood of the observed entries, minus
    ``prior`` / 2 (log det Sigma + tr Sigma^-1), is at a maximum. This is an inverse Wishart prior: ``prior`` rows with
    the covariance I are added to the data, so columns should have variances near 1.

    Parameters
    ----------
    x : ndarray of shape (n, d)
        Rows. What they hold at missing entries does not matter.
    known : ndarray of shape (n, d), bool
        Whether an entry is observed.
    start : Gaussian or None, default=None
        Where EM starts. None starts at N(0, I).
    prior : float, default=1.0
        Number of rows that the prior is worth.
    tol : float, default=1e-3
        EM ends when no entry of the mean and of the covariance has changed by more.
    max_iter : int, default=100
        Largest number of iterations.

    Yields
    ------
    gaussian : Gaussian
        After each iteration.
    """
    n, d = x.shape
    gaussian = Gaussian(np.zeros(d), np.eye(d)) if start is None else start
    for _ in range(max_iter):
        z, total = gaussian.expectation(x, known)
        shift = z.mean(0)
        scatter = z.T @ z + total - n * np.outer(shift, shift) + prior * np.eye(d)
        updated = Gaussian(gaussian.mean + shift, scatter / (n + prior))
        change = max(np.abs(shift).max(), np.abs(updated.covariance - gaussian.covariance).max())
        gaussian = updated
        yield gaussian
        if change < tol:
            break
