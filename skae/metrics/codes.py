"""Statistics of codes: which units are active, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches

from ._tables import checked, observed
from .reconstruction import training_mean

__all__ = ["CodeStatistics", "code_statistics"]

CHUNK_ROWS = 2048
"""Number of rows that are encoded at a time, so that a wide code of many rows need not fit into memory."""


@dataclass(frozen=True)
class CodeStatistics:
    """Statistics of a code: how many units are active, and how large the reconstruction error is.

    A unit is active in a row if the absolute value of its activation exceeds the tolerance.

    Attributes
    ----------
    l0 : float
        Mean number of active units per row.
    density : float
        ``l0`` divided by the number of units.
    dead_fraction : float
        Fraction of the units that are active in no row.
    nmse : float or None
        sum_i ||x_i - x_hat_i||^2 / sum_i ||x_i - mean||^2, which is 1 - ``reconstruction_r2``. None if the estimator
        does not reconstruct X.
    nmse_by_row : float or None
        Mean over the rows of ||x_i - x_hat_i||^2 / ||x_i||^2, without centring. Rows of zeros are left out. None if the
        estimator does not reconstruct X.
    frequency : ndarray of shape (n_components,)
        Fraction of the rows in which each unit is active.
    mean_activation : ndarray of shape (n_components,)
        Mean activation of each unit over all rows.
    dead : ndarray of int
        Indices of the units that are active in no row.
    """

    l0: float
    density: float
    dead_fraction: float
    nmse: float | None
    nmse_by_row: float | None
    frequency: np.ndarray = field(repr=False)
    mean_activation: np.ndarray = field(repr=False)
    dead: np.ndarray = field(repr=False)

    def __repr__(self) -> str:
        names = ("l0", "density", "dead_fraction", "nmse", "nmse_by_row")
        told = ((name, getattr(self, name)) for name in names)
        return f"CodeStatistics({', '.join(f'{n}={v:.4g}' for n, v in told if v is not None)})"


def code_statistics(estimator: Any, X: Any, *, tol: float = 0.0) -> CodeStatistics:
    """Count the active units of a code, and measure the reconstruction error.

    Parameters
    ----------
    estimator : object
        A fitted transformer. Its code may be sparse, dense or a data frame.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        The rows are encoded in chunks. NaN is missing, for an estimator that takes it. Errors are those of the observed
        entries.
    tol : float, default=0.0
        A unit is active where abs(h) > ``tol``.

    Returns
    -------
    statistics : CodeStatistics
        Its attributes are ``l0``, ``density``, ``dead_fraction``, ``nmse`` and ``nmse_by_row``. ``frequency`` and
        ``mean_activation`` have one value per unit. ``dead`` lists the units that are never active.

    Raises
    ------
    TypeError
        If the estimator has no ``transform``.
    ValueError
        If ``tol`` is negative.

    References
    ----------
    Gao et al. (2024), "Scaling and evaluating sparse autoencoders", https://arxiv.org/abs/2406.04093

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import NMF
    >>> from skae.metrics import code_statistics
    >>> X = load_digits().data
    >>> statistics = code_statistics(NMF(16, max_iter=500, random_state=0).fit(X), X)
    >>> statistics
    CodeStatistics(l0=..., density=..., dead_fraction=0, nmse=..., nmse_by_row=...)
    >>> statistics.frequency.shape
    (16,)
    """
    if not hasattr(estimator, "transform"):
        raise TypeError(f"{type(estimator).__name__} has no transform, so it gives no code.")
    if not tol >= 0.0:
        raise ValueError(f"tol={tol} must be at least 0: a unit is active where abs(h) > tol.")
    mean = training_mean(estimator, X) if hasattr(estimator, "inverse_transform") else None
    parts = [_sums(estimator, x, tol, mean) for x in _row_chunks(X)]
    sums = {name: sum(part[name] for part in parts) for name in parts[0]}
    frequency = sums["active"] / sums["rows"]
    dead = np.flatnonzero(frequency == 0.0)
    return CodeStatistics(
        l0=float(sums["active"].sum() / sums["rows"]),
        density=float(frequency.mean()),
        dead_fraction=len(dead) / len(frequency),
        nmse=_ratio(sums["error"], sums["variation"]) if "error" in sums else None,
        nmse_by_row=_ratio(sums["relative_error"], sums["rows_with_length"]) if "error" in sums else None,
        frequency=frequency,
        mean_activation=sums["activation"] / sums["rows"],
        dead=dead,
    )


def _row_chunks(X: Any) -> Iterator[Any]:
    """Chunks of the rows of X, each of the same type as X."""
    X = X.tocsr() if sparse.issparse(X) else X
    rows = X.iloc if hasattr(X, "iloc") else X
    n_samples = X.shape[0] if hasattr(X, "shape") else len(X)
    for part in gen_batches(
        max(1, n_samples), CHUNK_ROWS
    ):  # X without rows is left to the estimator, which raises an error
        yield rows[part]


def _sums(estimator: Any, x: Any, tol: float, mean: np.ndarray | None) -> dict[str, Any]:
    """Sums over the rows of a chunk."""
    code = estimator.transform(x)
    h = checked(code)
    sums = {"rows": len(h), "active": np.sum(np.abs(h) > tol, axis=0), "activation": h.sum(axis=0)}
    if mean is None:
        return sums
    x_hat, x = checked(estimator.inverse_transform(code)), checked(x, gaps=True)
    if x_hat.shape != x.shape:
        return sums
    error, length = (np.square(observed(x, v)).sum(axis=1) for v in (x - x_hat, x))
    return {
        **sums,
        "error": error.sum(),
        "variation": np.square(observed(x, x - mean)).sum(),
        "relative_error": (error[length > 0.0] / length[length > 0.0]).sum(),
        "rows_with_length": np.sum(length > 0.0),
    }


def _ratio(error: float, total: float) -> float:
    """Error divided by total. If the total is zero, 0 for a perfect reconstruction and otherwise 1."""
    return float(error / total) if total > 0.0 else float(error > 0.0)
