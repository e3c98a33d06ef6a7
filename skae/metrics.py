"""Scores of a reconstruction that take PCA, pipelines and the estimators of this package alike.

Each has the signature of a scorer, so that ``GridSearchCV(..., scoring=reconstruction_r2)`` works.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array

__all__ = ["neg_reconstruction_mse", "reconstruct", "reconstruction_r2"]


def reconstruct(estimator: Any, X: Any) -> np.ndarray:
    """Encode and decode rows.

    Parameters
    ----------
    estimator : object
        A fitted transformer with ``inverse_transform``.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)

    Returns
    -------
    X_hat : ndarray of shape (n_samples, n_features)

    Raises
    ------
    TypeError
        If the estimator has no ``inverse_transform``.
    """
    if not hasattr(estimator, "inverse_transform"):
        raise TypeError(f"{type(estimator).__name__} has no inverse_transform, so nothing can be reconstructed.")
    return _dense(estimator.inverse_transform(estimator.transform(X)))


def reconstruction_r2(estimator: Any, X: Any, y: Any = None) -> float:
    """Explained variance of the reconstruction: 1 - sum ||x - x_hat||^2 / sum ||x - mean||^2.

    The mean is that of the training data where the estimator, or the last step of a pipeline, has
    it as ``mean_``; else it is that of X. All columns share one denominator, as in PCA.

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
        1 is perfect; 0 is no better than the mean.

    Raises
    ------
    TypeError
        If the estimator has no ``inverse_transform``.

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
    return r2_against(_dense(X), reconstruct(estimator, X), training_mean(estimator, X))


def neg_reconstruction_mse(estimator: Any, X: Any, y: Any = None) -> float:
    """Minus the mean squared error of an entry of the reconstruction, in squared units of X.

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

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.metrics import neg_reconstruction_mse
    >>> X = load_iris().data
    >>> round(neg_reconstruction_mse(PCA(n_components=2).fit(X), X), 4)
    -0.0253
    """
    return -float(np.mean((_dense(X) - reconstruct(estimator, X)) ** 2))


def r2_against(X: np.ndarray, X_hat: np.ndarray, mean: np.ndarray) -> float:
    """1 - sum ||x - x_hat||^2 / sum ||x - mean||^2; without variation 1 if perfect, else 0."""
    error = float(np.sum((X - X_hat) ** 2))
    total = float(np.sum((X - mean) ** 2))
    return 1.0 - error / total if total > 0.0 else float(error == 0.0)


def training_mean(estimator: Any, X: Any) -> np.ndarray:
    """The mean that an estimator was fitted to, on the scale of X, or else the mean of X."""
    if isinstance(estimator, Pipeline):
        inner = getattr(estimator[-1], "mean_", None)
        if inner is not None and len(estimator) > 1:
            inner = estimator[:-1].inverse_transform(np.asarray(inner)[None])[0]
    else:
        inner = getattr(estimator, "mean_", None)
    dense = _dense(X)
    known = inner is not None and np.shape(inner) == (dense.shape[1],)
    return np.asarray(inner) if known else dense.mean(axis=0)


def _dense(X: Any) -> np.ndarray:
    if sparse.issparse(X):
        X = X.toarray()
    return check_array(X, dtype=[np.float64, np.float32], input_name="X")
