"""How near the samples of a model are to rows."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any, Literal

import numpy as np
from scipy.spatial.distance import cdist, pdist
from sklearn.pipeline import Pipeline
from sklearn.utils import gen_batches

from ._tables import checked

__all__ = ["neg_sample_mmd", "squared_mmd"]

N_MEASURED = 500
"""Rows among which the median distance is measured."""
N_PAIRS = 2**20
"""Number of pairs of rows that are compared at a time."""


def squared_mmd(
    X: Any,
    Y: Any,
    *,
    kernel: Literal["imq", "rbf"] = "imq",
    scales: Sequence[float] = (1 / 64, 1 / 16, 1 / 4, 1.0),
    unit: float | None = None,
) -> float:
    """Squared maximum mean discrepancy of the distributions of two tables, an estimate without bias.

    It is the mean of k(x, x') over pairs of different rows of X, plus that of k(y, y') over those of Y, minus twice the
    mean of k(x, y). It is near zero, and may be below zero, if both tables have the same distribution. It is at most 2.

    The time grows with n_samples * m_samples, the memory does not.

    It compares samples of a model with held-out rows. Or it compares codes with draws from the prior that they should
    have: ``squared_mmd(model.transform(X), model.sample_codes(len(X)))``.

    Parameters
    ----------
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        At least two rows.
    Y : {array-like, sparse matrix, DataFrame} of shape (m_samples, n_features)
        At least two rows.
    kernel : {"imq", "rbf"}, default="imq"
        "imq" is the inverse multiquadratic kernel C / (C + ||x - y||^2), "rbf" the Gaussian kernel
        exp(-||x - y||^2 / 2 C), for a squared length C.
    scales : sequence of float, default=(1/64, 1/16, 1/4, 1)
        Squared lengths C, in multiples of ``unit``. The kernel is the mean of those of the scales. Small ones see
        details such as narrow modes, large ones see the means.
    unit : float or None, default=None
        Squared length, in squared units of X. None is the median squared distance between rows of X: distances to the
        same X can be compared.

    Returns
    -------
    distance : float

    Raises
    ------
    ValueError
        If a table has fewer than two rows, if X and Y have different columns, or if a scale or the unit is not above 0.

    References
    ----------
    Gretton, Borgwardt, Rasch, Schoelkopf and Smola (2012), "A Kernel Two-Sample Test",
    https://jmlr.org/papers/v13/gretton12a.html

    Examples
    --------
    >>> import numpy as np
    >>> from skae.metrics import squared_mmd
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 500, 3))
    >>> abs(round(squared_mmd(X, Y), 3)), round(squared_mmd(X, Y + 1.0), 3)
    (0.0, 0.091)
    """
    X, Y = checked(X), checked(Y)
    if X.shape[1] != Y.shape[1]:
        raise ValueError(f"X has {X.shape[1]} columns, but Y has {Y.shape[1]}: pass tables with the same columns.")
    if min(len(X), len(Y)) < 2:
        raise ValueError(f"squared_mmd needs at least 2 rows in each table; got {len(X)} in X and {len(Y)} in Y.")
    unit = _median_squared_distance(X) if unit is None else unit
    lengths = unit * np.atleast_1d(np.asarray(scales, dtype=float))
    if not len(lengths) or not (np.isfinite(lengths) & (lengths > 0.0)).all():
        raise ValueError(f"scales={scales!r} and unit={unit!r} must be numbers above 0.")
    if kernel not in ("imq", "rbf"):
        raise ValueError(f"kernel={kernel!r} must be 'imq' or 'rbf'.")
    n, m = len(X), len(Y)
    within_x = (_kernel_sum(X, X, lengths, kernel) - n) / (n * (n - 1))  # without the pairs (x, x), where k is 1
    within_y = (_kernel_sum(Y, Y, lengths, kernel) - m) / (m * (m - 1))
    return within_x + within_y - 2 * _kernel_sum(X, Y, lengths, kernel) / (n * m)


def neg_sample_mmd(estimator: Any, X: Any, y: Any = None) -> float:
    """Minus the squared maximum mean discrepancy of rows and as many samples of a model, see ``squared_mmd``.

    It judges samples of models that have no likelihood, and of all others. 0 is as good as other rows of the data. The
    estimate has noise of the order of 1 / n_samples, so that it may be above 0. It does not see that a model has
    learnt its training rows by heart.

    Parameters
    ----------
    estimator : object
        A fitted estimator with ``sample``, such as ``AdversarialAutoencoder``, ``VariationalAutoencoder``, ``RBM``,
        ``GaussianMixture`` or ``KernelDensity``, or a pipeline that ends with one. Where ``sample`` takes a
        ``random_state``, the draws are the same in every call.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        At least two rows, best held out.
    y : Ignored
        Present because scorers are called with it.

    Returns
    -------
    score : float

    Raises
    ------
    TypeError
        If the estimator has no ``sample``.
    ValueError
        If X has fewer than two rows, or if the samples have other columns than X.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.mixture import GaussianMixture
    >>> from sklearn.model_selection import GridSearchCV, KFold
    >>> from skae.metrics import neg_sample_mmd
    >>> X = load_iris().data
    >>> mixture, folds = GaussianMixture(random_state=0), KFold(3, shuffle=True, random_state=0)
    >>> search = GridSearchCV(mixture, {"n_components": [1, 3]}, scoring=neg_sample_mmd, cv=folds).fit(X)
    >>> search.best_params_
    {'n_components': 3}
    """
    rows = checked(X)
    return -squared_mmd(rows, _sampled(estimator, len(rows)))


def _sampled(estimator: Any, n: int) -> np.ndarray:
    """Rows drawn from an estimator, on the scale of what it, or the first step of its pipeline, was fitted to."""
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if not hasattr(last, "sample"):
        raise TypeError(f"{type(last).__name__} has no sample, so that there are no rows to compare X with.")
    options = {"random_state": 0} if "random_state" in signature(last.sample).parameters else {}
    found = last.sample(n, **options)
    rows = found[0] if isinstance(found, tuple) else found  # GaussianMixture tells the cluster of each row too
    return checked(estimator[:-1].inverse_transform(rows) if last is not estimator and len(estimator) > 1 else rows)


def _median_squared_distance(X: np.ndarray) -> float:
    """Median of ||x_i - x_j||^2 over pairs of different rows, their mean if it is 0, and 1 if that is 0 too."""
    squares = pdist(X[:: -(-len(X) // N_MEASURED)], "sqeuclidean")
    return float(np.median(squares)) or float(squares.mean()) or 1.0


def _kernel_sum(X: np.ndarray, Y: np.ndarray, lengths: np.ndarray, kernel: str) -> float:
    """Sum of the kernel over all pairs of a row of X and a row of Y."""
    total = 0.0
    for rows in gen_batches(len(X), max(1, N_PAIRS // len(Y))):
        squares = cdist(X[rows], Y, "sqeuclidean")
        for C in lengths:
            values = np.exp(squares / (-2 * C)) if kernel == "rbf" else C / (C + squares)
            total += float(values.sum())
    return total / len(lengths)
