"""Scores of reconstructions and statistics of codes, for PCA, pipelines and the estimators of this package.

They are computed in float64, whatever the dtype of X. The scores have the signature of a scorer, so
``GridSearchCV(..., scoring=reconstruction_r2)`` works.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array, gen_batches

__all__ = ["CodeStatistics", "code_statistics", "neg_reconstruction_mse", "reconstruct", "reconstruction_r2"]

CHUNK_ROWS = 2048
"""Number of rows that are encoded at a time, so that a wide code of many rows need not fit into memory."""


def reconstruct(estimator: Any, X: Any) -> np.ndarray:
    """Encode and decode rows.

    Parameters
    ----------
    estimator : object
        A fitted transformer with ``inverse_transform``.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)

    Returns
    -------
    X_hat : ndarray of shape (n_samples, n_features), float64
        Reconstructions of the rows.

    Raises
    ------
    TypeError
        If the estimator has no ``inverse_transform``.
    ValueError
        If the reconstruction has other columns than X, as those of ``DenoisingAutoencoder(target="y")``.
    """
    if not hasattr(estimator, "inverse_transform"):
        raise TypeError(f"{type(estimator).__name__} has no inverse_transform, so nothing can be reconstructed.")
    X_hat = _checked(estimator.inverse_transform(estimator.transform(X)))
    if X_hat.shape[1] != np.shape(X)[1]:
        raise ValueError(
            f"{type(estimator).__name__} reconstructs {X_hat.shape[1]} columns, but X has {np.shape(X)[1]}: "
            "use its score(X, Y)."
        )
    return X_hat


def reconstruction_r2(estimator: Any, X: Any, y: Any = None) -> float:
    """Explained variance of the reconstruction: 1 - sum ||x - x_hat||^2 / sum ||x - mean||^2.

    The mean is the ``mean_`` of the estimator, or of the last step of a pipeline. That is the mean of the training
    data. If there is no ``mean_``, it is the mean of X. All columns share one denominator, as in PCA.

    Parameters
    ----------
    estimator : object
        A fitted transformer with ``inverse_transform``.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
    y : Ignored
        Present because scorers are called with it.

    Returns
    -------
    r2 : float
        1 is perfect. 0 is no better than the mean.

    Raises
    ------
    TypeError
        If the estimator has no ``inverse_transform``.
    ValueError
        If the reconstruction has other columns than X.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skae.metrics import reconstruction_r2
    >>> X = load_iris().data
    >>> search = GridSearchCV(PCA(), {"n_components": [1, 2, 3]}, scoring=reconstruction_r2).fit(X)
    >>> search.best_params_
    {'n_components': 3}
    """
    return r2_against(_checked(X), reconstruct(estimator, X), training_mean(estimator, X))


def neg_reconstruction_mse(estimator: Any, X: Any, y: Any = None) -> float:
    """Minus the mean squared error of the reconstruction, over all entries, in squared units of X.

    Parameters
    ----------
    estimator : object
        A fitted transformer with ``inverse_transform``.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
    y : Ignored
        Present because scorers are called with it.

    Returns
    -------
    score : float
        0 is perfect.

    Raises
    ------
    TypeError
        If the estimator has no ``inverse_transform``.
    ValueError
        If the reconstruction has other columns than X.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.metrics import neg_reconstruction_mse
    >>> X = load_iris().data
    >>> round(neg_reconstruction_mse(PCA(n_components=2).fit(X), X), 4)
    -0.0253
    """
    return -float(np.mean((_checked(X) - reconstruct(estimator, X)) ** 2))


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
        The rows are encoded in chunks.
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
    h = _checked(code)
    sums = {"rows": len(h), "active": np.sum(np.abs(h) > tol, axis=0), "activation": h.sum(axis=0)}
    if mean is None:
        return sums
    x_hat, x = _checked(estimator.inverse_transform(code)), _checked(x)
    if x_hat.shape != x.shape:
        return sums
    error, length = (np.square(v).sum(axis=1) for v in (x - x_hat, x))
    return {
        **sums,
        "error": error.sum(),
        "variation": np.square(x - mean).sum(),
        "relative_error": (error[length > 0.0] / length[length > 0.0]).sum(),
        "rows_with_length": np.sum(length > 0.0),
    }


def _ratio(error: float, total: float) -> float:
    """Error divided by total. If the total is zero, 0 for a perfect reconstruction and otherwise 1."""
    return float(error / total) if total > 0.0 else float(error > 0.0)


def r2_against(X: np.ndarray, X_hat: np.ndarray, mean: np.ndarray) -> float:
    """1 - sum ||x - x_hat||^2 / sum ||x - mean||^2. If the denominator is zero, 1 for X_hat = X and otherwise 0."""
    around = X - mean
    _, exponent = np.frexp(np.abs(around).max(initial=0.0))  # a power of two, so that nothing is rounded
    error, total = (float(np.square(np.ldexp(v, -exponent)).sum()) for v in (X - X_hat, around))
    return 1.0 - error / total if total > 0.0 else float(error == 0.0)


def training_mean(estimator: Any, X: Any) -> np.ndarray:
    """The mean of the data that an estimator was fitted to, on the scale of X. If it is unknown, the mean of X."""
    if isinstance(estimator, Pipeline):
        inner = getattr(estimator[-1], "mean_", None)
        if inner is not None and len(estimator) > 1:
            inner = estimator[:-1].inverse_transform(np.asarray(inner)[None])[0]
    else:
        inner = getattr(estimator, "mean_", None)
    dense = _checked(X)
    known = inner is not None and np.shape(inner) == (dense.shape[1],)
    return np.asarray(inner) if known else dense.mean(axis=0)


def _checked(X: Any) -> np.ndarray:
    if sparse.issparse(X):
        X = X.toarray()
    if isinstance(X, np.ma.MaskedArray):
        X = np.where(np.ma.getmaskarray(X), np.nan, X.data)
    return check_array(X, dtype=np.float64, input_name="X")
