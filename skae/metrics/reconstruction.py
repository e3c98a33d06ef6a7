"""Scores of reconstructions."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from ._tables import checked, observed

__all__ = ["neg_reconstruction_mse", "r2_against", "reconstruct", "reconstruction_r2", "training_mean"]


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
    X_hat = checked(estimator.inverse_transform(estimator.transform(X)))
    if X_hat.shape[1] != np.shape(X)[1]:
        raise ValueError(
            f"{type(estimator).__name__} reconstructs {X_hat.shape[1]} columns, but X has {np.shape(X)[1]}: "
            "use its score(X, Y)."
        )
    return X_hat


def reconstruction_r2(estimator: Any, X: Any, y: Any = None) -> float:
    """Explained variance of the reconstruction: 1 - sum ||x - x_hat||^2 / sum ||x - mean||^2.

    The mean is the ``mean_`` of the estimator, or of the last step of a pipeline. That is the mean of the training
    data. If there is no ``mean_``, it is the mean of X. All columns share one denominator, as in PCA. The sums are over
    the observed entries: NaN is missing, for an estimator that takes it.

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
    return r2_against(checked(X, gaps=True), reconstruct(estimator, X), training_mean(estimator, X))


def neg_reconstruction_mse(estimator: Any, X: Any, y: Any = None) -> float:
    """Minus the mean squared error of the reconstruction, over all observed entries, in squared units of X.

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
    return -float(np.nanmean((checked(X, gaps=True) - reconstruct(estimator, X)) ** 2))


def r2_against(X: np.ndarray, X_hat: np.ndarray, mean: np.ndarray) -> float:
    """1 - sum ||x - x_hat||^2 / sum ||x - mean||^2. If the denominator is zero, 1 for X_hat = X and otherwise 0.

    The sums are over the entries of X that are not NaN.
    """
    around, apart = observed(X, X - mean), observed(X, X - X_hat)
    _, exponent = np.frexp(np.abs(around).max(initial=0.0))  # a power of two, so that nothing is rounded
    error, total = (float(np.square(np.ldexp(v, -exponent)).sum()) for v in (apart, around))
    return 1.0 - error / total if total > 0.0 else float(error == 0.0)


def training_mean(estimator: Any, X: Any) -> np.ndarray:
    """The mean of the data that an estimator was fitted to, on the scale of X. If it is unknown, the mean of X."""
    if isinstance(estimator, Pipeline):
        inner = getattr(estimator[-1], "mean_", None)
        if inner is not None and len(estimator) > 1:
            inner = estimator[:-1].inverse_transform(np.asarray(inner)[None])[0]
    else:
        inner = getattr(estimator, "mean_", None)
    dense = checked(X, gaps=True)
    known = inner is not None and np.shape(inner) == (dense.shape[1],)
    return np.asarray(inner) if known else np.nanmean(dense, axis=0)
