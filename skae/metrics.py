"""Scores of reconstructions and of samples, and statistics of codes, for PCA, pipelines and our estimators.

They are computed in float64, whatever the dtype of X. The scores have the signature of a scorer, so
``GridSearchCV(..., scoring=reconstruction_r2)`` works.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, Literal

import numpy as np
from scipy import sparse
from scipy.spatial.distance import cdist, pdist
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array, gen_batches

__all__ = [
    "CodeStatistics",
    "code_statistics",
    "neg_reconstruction_mse",
    "neg_sample_mmd",
    "reconstruct",
    "reconstruction_r2",
    "squared_mmd",
]

CHUNK_ROWS = 2048
"""Number of rows that are encoded at a time, so that a wide code of many rows need not fit into memory."""
N_MEASURED = 500
"""Rows among which the median distance is measured."""
N_PAIRS = 2**20
"""Number of pairs of rows that are compared at a time."""


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
    X, Y = _checked(X), _checked(Y)
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
    rows = _checked(X)
    return -squared_mmd(rows, _sampled(estimator, len(rows)))


def _sampled(estimator: Any, n: int) -> np.ndarray:
    """Rows drawn from an estimator, on the scale of what it, or the first step of its pipeline, was fitted to."""
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if not hasattr(last, "sample"):
        raise TypeError(f"{type(last).__name__} has no sample, so that there are no rows to compare X with.")
    options = {"random_state": 0} if "random_state" in signature(last.sample).parameters else {}
    found = last.sample(n, **options)
    rows = found[0] if isinstance(found, tuple) else found  # GaussianMixture tells the cluster of each row too
    return _checked(estimator[:-1].inverse_transform(rows) if last is not estimator and len(estimator) > 1 else rows)


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
