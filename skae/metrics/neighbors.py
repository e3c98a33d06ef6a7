"""Which neighbours a map keeps.

A row is never its own neighbour. Distances are computed for some rows at a time, from them to all rows, so that the
memory grows with n_samples and not with its square.

Distances can be equal, for example those of equal rows. Then the rows share the places for which they come into
question: each is a neighbour with a share, its probability if ties are broken at random. So the scores do not depend on
the order of the rows, and a map that has collapsed to a point is as good as chance. Only what is not a tie on both
sides counts against a map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.metrics import pairwise_distances_chunked
from sklearn.metrics.pairwise import PAIRWISE_BOOLEAN_FUNCTIONS
from sklearn.neighbors import VALID_METRICS
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from ._tables import checked, dense, filled

__all__ = ["continuity", "knn_accuracy", "neighborhood_preservation", "neighbors_kept", "trustworthiness"]

Metric = str | Callable[..., Any]

BLOCK_MIB = 16
"""Size of a block of distances, in MiB. Some blocks exist at a time."""
FEW_COLUMNS = 15
"""Up to so many columns, differences are squared and summed. That is exact, and with more columns it would be slow."""
NEED_ARRAYS = set(VALID_METRICS["brute"]) - {"euclidean", "l2", "manhattan", "l1", "cityblock", "cosine"}
"""Metrics that scikit-learn does not compute from sparse tables."""
METRICS = set(VALID_METRICS["brute"]) - {"precomputed", "nan_euclidean"}


def trustworthiness(
    estimator: Any, X: Any, y: Any = None, *, n_neighbors: int = 5, metric: str | Callable[..., Any] = "euclidean"
) -> float:
    """Trustworthiness of a map: whether rows that are near on the map are near in X.

    T = 1 - 2 / (n k (2n - 3k - 1)) sum_i sum_{j in U_k(i)} max(0, r(i, j) - k), where U_k(i) are the k nearest other
    rows of row i on the map, and row j is the r(i, j)-th nearest other row of row i in X.

    It is low where the map shows rows as neighbours that are none. ``continuity`` is low where the map tears
    neighbours apart. This is ``sklearn.manifold.trustworthiness`` as a scorer of fitted estimators. The memory grows
    with n_samples and not with its square; the time grows with its square.

    Parameters
    ----------
    estimator : object
        A fitted transformer, or a pipeline of transformers. Distances on the map are Euclidean.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
    y : Ignored
        Present because scorers are called with it.
    n_neighbors : int, default=5
        k, at least 1 and below n_samples / 2.
    metric : str or callable, default="euclidean"
        Distance of rows of X, a metric of scikit-learn's ``pairwise_distances``. Use the metric that the map was
        fitted with.

    Returns
    -------
    score : float
        From 0 to 1. 1 is perfect. A random map has about 0.5.

    Raises
    ------
    TypeError
        If the estimator has no ``transform``.
    ValueError
        If ``n_neighbors`` is not below n_samples / 2, if there is no such metric, or if a distance is not finite.

    See Also
    --------
    continuity : The same with X and the map exchanged.
    neighborhood_preservation : Share of the neighbours that are neighbours on the map.

    Notes
    -----
    Rows at the same distance, of which not all can be among the k nearest, share the last places: each is a neighbour
    with a share w below 1. The term of a pair is max(0, w_H(i, j) - w_X(i, j)) times the mean of r - k over the places
    r beyond k that row j can have. So the score does not depend on the order of the rows, a map of a single point is as
    good as a random one, and equal rows cost nothing if they are equal on the map. Where no distances are equal, the
    score is scikit-learn's to rounding.

    References
    ----------
    Venna and Kaski (2001), "Neighborhood Preservation in Nonlinear Projection Methods: An Experimental Study",
    https://doi.org/10.1007/3-540-44668-0_68

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV, KFold
    >>> from skae.metrics import trustworthiness
    >>> X = load_iris().data
    >>> folds = KFold(3, shuffle=True, random_state=0)
    >>> search = GridSearchCV(PCA(), {"n_components": [1, 2]}, scoring=trustworthiness, cv=folds).fit(X)
    >>> print(search.best_params_, search.best_score_.round(2))
    {'n_components': 2} 0.98

    Other numbers of neighbours:

    >>> from functools import partial
    >>> from sklearn.model_selection import cross_val_score
    >>> cross_val_score(PCA(2), X, scoring=partial(trustworthiness, n_neighbors=10), cv=folds).round(2)
    array([0.99, 0.99, 0.99])
    """
    X, H = _rows_and_map(estimator, X, metric)
    return _trust(X, metric, H, "euclidean", n_neighbors, "trustworthiness")


def continuity(
    estimator: Any, X: Any, y: Any = None, *, n_neighbors: int = 5, metric: str | Callable[..., Any] = "euclidean"
) -> float:
    """Continuity of a map: whether rows that are near in X are near on the map.

    C = 1 - 2 / (n k (2n - 3k - 1)) sum_i sum_{j in V_k(i)} max(0, s(i, j) - k), where V_k(i) are the k nearest other
    rows of row i in X, and row j is the s(i, j)-th nearest other row of row i on the map.

    It is low where the map tears neighbours apart. It is ``trustworthiness`` with X and the map exchanged.

    Parameters
    ----------
    estimator : object
        A fitted transformer, or a pipeline of transformers. Distances on the map are Euclidean.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
    y : Ignored
        Present because scorers are called with it.
    n_neighbors : int, default=5
        k, at least 1 and below n_samples / 2.
    metric : str or callable, default="euclidean"
        Distance of rows of X, a metric of scikit-learn's ``pairwise_distances``. Use the metric that the map was
        fitted with.

    Returns
    -------
    score : float
        From 0 to 1. 1 is perfect. A random map has about 0.5.

    Raises
    ------
    TypeError
        If the estimator has no ``transform``.
    ValueError
        If ``n_neighbors`` is not below n_samples / 2, if there is no such metric, or if a distance is not finite.

    See Also
    --------
    trustworthiness : The same with X and the map exchanged. Its notes tell about equal distances.

    References
    ----------
    Venna and Kaski (2001), "Neighborhood Preservation in Nonlinear Projection Methods: An Experimental Study",
    https://doi.org/10.1007/3-540-44668-0_68

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.metrics import continuity
    >>> X = load_iris().data
    >>> round(continuity(PCA(2).fit(X), X), 2), round(continuity(PCA(1).fit(X), X), 2)
    (0.99, 0.96)
    """
    X, H = _rows_and_map(estimator, X, metric)
    return _trust(H, "euclidean", X, metric, n_neighbors, "continuity")


def neighborhood_preservation(
    estimator: Any, X: Any, y: Any = None, *, n_neighbors: int = 15, metric: str | Callable[..., Any] = "euclidean"
) -> float:
    """Share of the neighbours of rows that are their neighbours on the map.

    1 / n sum_i |V_k(i) and U_k(i)| / k, where V_k(i) are the k nearest other rows of row i in X, and U_k(i) those on
    the map. It counts neighbours alone. ``trustworthiness`` and ``continuity`` also ask how far off the others are.

    Parameters
    ----------
    estimator : object
        A fitted transformer, or a pipeline of transformers. Distances on the map are Euclidean.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
    y : Ignored
        Present because scorers are called with it.
    n_neighbors : int, default=15
        k, from 1 to n_samples - 1.
    metric : str or callable, default="euclidean"
        Distance of rows of X, a metric of scikit-learn's ``pairwise_distances``. Use the metric that the map was
        fitted with.

    Returns
    -------
    score : float
        From 0 to 1. 1 is perfect. A random map has k / (n_samples - 1), so compare scores of as many rows.

    Raises
    ------
    TypeError
        If the estimator has no ``transform``.
    ValueError
        If ``n_neighbors`` is not below n_samples, if there is no such metric, or if a distance is not finite.

    See Also
    --------
    neighbors_kept : The share of each row, for arrays.

    References
    ----------
    Lee and Verleysen (2009), "Quality assessment of dimensionality reduction: Rank-based criteria",
    https://doi.org/10.1016/j.neucom.2008.12.017

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import cross_val_score
    >>> from skae.metrics import neighborhood_preservation
    >>> X = load_digits().data
    >>> for n_components in (2, 10):
    ...     scores = cross_val_score(PCA(n_components), X, scoring=neighborhood_preservation, cv=3)
    ...     print(n_components, scores.mean().round(2))
    2 0.28
    10 0.78
    """
    X, H = _rows_and_map(estimator, X, metric)
    return float(_kept(X, H, n_neighbors, metric, "neighborhood_preservation").mean())


def neighbors_kept(
    X: Any, H: Any, *, n_neighbors: int = 15, metric: str | Callable[..., Any] = "euclidean"
) -> np.ndarray:
    """Share of the neighbours of each row that are its neighbours on a map.

    The share of row i is |V_k(i) and U_k(i)| / k, where V_k(i) are its k nearest other rows in X, and U_k(i) those on
    the map. The mean is ``neighborhood_preservation``. It takes any map, such as that of t-SNE, which has no
    ``transform``. As a colour of the points it shows where the map can be trusted.

    Parameters
    ----------
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
    H : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_components)
        The map of these rows. Distances on it are Euclidean.
    n_neighbors : int, default=15
        k, from 1 to n_samples - 1.
    metric : str or callable, default="euclidean"
        Distance of rows of X, a metric of scikit-learn's ``pairwise_distances``.

    Returns
    -------
    shares : ndarray of shape (n_samples,), float64
        From 0 to 1.

    Raises
    ------
    ValueError
        If H has another number of rows than X, if ``n_neighbors`` is not below it, if there is no such metric, or if a
        distance is not finite.

    Notes
    -----
    Where rows are at the same distance, and not all of them can be among the k nearest, they share the last places:
    each is a neighbour with a share w below 1. The formula becomes sum_j min(w_X(i, j), w_H(i, j)) / k. So equal rows
    cost nothing if they are equal on the map, and the order of the rows does not matter.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.metrics import neighbors_kept
    >>> X = load_iris().data
    >>> shares = neighbors_kept(X, PCA(2).fit_transform(X))
    >>> print(shares.shape, shares.mean().round(2), shares.min().round(2))
    (150,) 0.8 0.4
    """
    X, H = _rows(X, metric), checked(H, "H")
    check_consistent_length(X, H)
    return _kept(X, H, n_neighbors, metric, "neighbors_kept")


def knn_accuracy(estimator: Any, X: Any, y: Any = None, *, n_neighbors: int = 5) -> float:
    """Accuracy of the nearest neighbours on a map: each row is classified by its nearest other rows.

    The k nearest other rows on the map vote, each with the same weight, and the most frequent class wins, of several
    the first in sorted order. No model is fitted, and no training row is needed: it is the accuracy of
    leave-one-out with ``KNeighborsClassifier(k)``.

    Parameters
    ----------
    estimator : object
        A fitted transformer, or a pipeline of transformers. Distances on the map are Euclidean.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        Best held out, above all where the estimator has seen y.
    y : array-like of shape (n_samples,)
        Classes. Rows without a label are left out: None, NaN, or -1 unless -1 and 1 are the only labels.
    n_neighbors : int, default=5
        k, from 1 to n_samples - 1, counting rows with a label.

    Returns
    -------
    accuracy : float
        From 0 to 1.

    Raises
    ------
    TypeError
        If the estimator has no ``transform``.
    ValueError
        If y is missing, has one class only or is no column of classes, or if ``n_neighbors`` is not below the number of
        rows with a label.

    Notes
    -----
    Rows at the same distance, for which there are not enough places among the k nearest, share them, and their votes
    have that share as a weight. So the accuracy does not depend on the order of the rows.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skae.metrics import knn_accuracy
    >>> X, y = load_digits(return_X_y=True)
    >>> search = GridSearchCV(PCA(), {"n_components": [1, 2]}, scoring=knn_accuracy, cv=3).fit(X, y)
    >>> search.cv_results_["mean_test_score"].round(2)
    array([0.33, 0.64])
    """
    (known, labels), H = _labels(y), _map(estimator, X)
    check_consistent_length(H, known)
    H, (classes, numbers) = H[known], np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"knn_accuracy needs rows of at least 2 classes, but y has {len(classes)} here: shuffle the rows before "
            "they are split, or pass y of more rows."
        )
    k = _checked_k(n_neighbors, len(H), len(H) - 1, "knn_accuracy", "fewer than the rows with a label")
    one_hot = sparse.csr_matrix((np.ones(len(H)), (np.arange(len(H)), numbers)))
    votes = [(_shares(D, k) @ one_hot).toarray() for D in _distances(H, "euclidean")]
    winners = [v.round(9).argmax(axis=1) for v in votes]  # votes that differ by rounding alone, as 1 from 3 / 3, tie
    return float(np.mean(np.concatenate(winners) == numbers))


# ---------------------------------------------------------------- input


def _rows_and_map(estimator: Any, X: Any, metric: Metric) -> tuple[Any, np.ndarray]:
    rows, H = _rows(X, metric), _map(estimator, X)
    if len(H) != rows.shape[0]:
        raise ValueError(f"{type(estimator).__name__} maps {rows.shape[0]} rows to {len(H)}: their neighbours differ.")
    return rows, H


def _map(estimator: Any, X: Any) -> np.ndarray:
    if hasattr(estimator, "__array__"):
        raise TypeError(
            f"The first argument is of type {type(estimator).__name__}: pass a fitted transformer, and then X. For X "
            "and its codes, there are skae.metrics.neighbors_kept and sklearn.manifold.trustworthiness."
        )
    if not hasattr(estimator, "transform"):
        raise TypeError(f"{type(estimator).__name__} has no transform, so it maps no rows: pass a fitted transformer.")
    return checked(estimator.transform(X), "the map")


def _rows(X: Any, metric: Metric) -> Any:
    """X as an array, or as a sparse matrix where the metric allows it."""
    if not callable(metric) and not (isinstance(metric, str) and metric in METRICS):
        names = ", ".join(map(repr, sorted(METRICS)))
        raise ValueError(f"metric={metric!r} is no metric of rows: use a callable or one of {names}.")
    if not sparse.issparse(X) or callable(metric) or metric in NEED_ARRAYS:
        return checked(X)
    return check_array(X, accept_sparse="csr", dtype=np.float64, input_name="X")


def _labels(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mask of the rows that have a label, and their labels."""
    if y is None:
        raise ValueError("knn_accuracy needs the class of each row: pass y, for example to fit of GridSearchCV.")
    labels = column_or_1d(np.asarray(filled(dense(y)), dtype=object)).tolist()
    known = [not _is_missing(label) for label in labels]
    if {label for label, is_known in zip(labels, known, strict=True) if is_known} != {-1, 1}:
        known = [is_known and label != -1 for label, is_known in zip(labels, known, strict=True)]
    values = np.array([label for label, is_known in zip(labels, known, strict=True) if is_known])
    check_classification_targets(values)
    return np.array(known), values


def _is_missing(label: Any) -> bool:
    """Whether a label is None, NaN, NaT, or pandas' NA, which cannot be compared, not even with itself."""
    return label is None or type(label).__name__ == "NAType" or bool(label != label)


def _checked_k(k: Any, n: int, most: int, name: str, bound: str) -> int:
    if most < 1:
        raise ValueError(f"{name} needs more rows; got n_samples = {n}: score more rows at a time, in fewer folds.")
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= most:
        raise ValueError(
            f"n_neighbors={k!r} must be an integer from 1 to {most} in {name}, {bound}; got n_samples = {n}: lower it, "
            "or score more rows at a time."
        )
    return int(k)


# ---------------------------------------------------------------- distances and neighbours


def _distances(A: Any, metric: Metric) -> Iterator[np.ndarray]:
    """Distances of some rows to all rows, at a time, or their squares. That of a row to itself is infinite."""
    told, options = metric, {}
    if metric in ("euclidean", "l2"):
        metric, options = "euclidean", {"squared": True}
        A = A if sparse.issparse(A) else _in_range(A)
        if not sparse.issparse(A) and A.shape[1] <= FEW_COLUMNS:
            metric, options = "sqeuclidean", {}
    elif metric in PAIRWISE_BOOLEAN_FUNCTIONS and np.isin(A, (0.0, 1.0)).all():
        A = A.astype(bool)  # else scikit-learn warns that it does this
    start = 0
    for D in pairwise_distances_chunked(A, metric=metric, working_memory=BLOCK_MIB, **options):
        if not np.isfinite(D).all():
            raise ValueError(f"metric={told!r} gives distances that are NaN or infinite: rescale X, or use another.")
        rows = np.arange(len(D))
        D[rows, start + rows] = np.inf
        start += len(D)
        yield D


def _in_range(A: np.ndarray) -> np.ndarray:
    """A shifted and scaled, so that the squares of distances neither lose digits nor overflow. Integers stay exact."""
    A = A - np.partition(A, len(A) // 2, axis=0)[len(A) // 2]
    shifted: np.ndarray = np.ldexp(A, -np.frexp(np.abs(A).max())[1])
    return shifted


def _shares(D: np.ndarray, k: int) -> sparse.csr_matrix:
    """Share of each row among the k nearest of some rows, given distances. Almost always it is 0 or 1."""
    kth = np.partition(D, k - 1, axis=1)[:, k - 1]
    near = kth[:, None] >= D
    rows, columns = np.nonzero(near)
    is_last = D[rows, columns] == kth[rows]
    n_near, n_last = near.sum(axis=1), np.bincount(rows, is_last, minlength=len(D))
    places = k - (n_near - n_last)  # those that nearer rows have left to the last ones
    shares = np.where(is_last, (places / n_last)[rows], 1.0)
    return sparse.csr_matrix((shares, columns, np.append(0, n_near.cumsum())), shape=D.shape)


def _number_below(ordered: np.ndarray, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How many entries of one of the rows are below each value, where rows are sorted and end with infinity.

    It is a binary search for all values at once: the number is from ``low`` to ``high``.
    """
    most = ordered.shape[1] - 1
    low, high = np.zeros(len(rows), dtype=np.int64), np.full(len(rows), most)
    for _ in range(most.bit_length()):
        middle = (low + high) // 2
        below = ordered[rows, middle] < values
        low, high = np.where(below, middle + 1, low), np.where(below, high, middle)
    return low


def _kept(X: Any, H: np.ndarray, n_neighbors: Any, metric: Metric, name: str) -> np.ndarray:
    n = len(H)
    k = _checked_k(n_neighbors, n, n - 1, name, "fewer than there are rows")
    pairs = zip(_distances(X, metric), _distances(H, "euclidean"), strict=True)
    kept = [_shares(D_x, k).minimum(_shares(D_h, k)).sum(axis=1) for D_x, D_h in pairs]
    return np.minimum(np.asarray(np.concatenate(kept)).ravel() / k, 1.0)  # shares such as thirds are rounded


def _trust(A: Any, metric_a: Metric, B: Any, metric_b: Metric, n_neighbors: Any, name: str) -> float:
    """Trustworthiness of B as a map of A."""
    n = A.shape[0]
    k = _checked_k(n_neighbors, n, (n - 1) // 2, name, "below n_samples / 2")
    total = 0.0
    for D_a, D_b in zip(_distances(A, metric_a), _distances(B, metric_b), strict=True):
        near = _shares(D_b, k).tocoo()
        values = D_a[near.row, near.col]
        D_a.sort(axis=1)
        first = _number_below(D_a, near.row, values)  # places before those that the row can have, from 0 on
        last = _number_below(D_a, near.row, np.nextafter(values, np.inf))
        share = np.maximum((k - first) / (last - first), 0.0)  # above 1 where all places are among the k
        excess = (np.maximum(first, k) + 1 + last) / 2 - k
        total += float(np.maximum(near.data - share, 0.0) @ excess)
    return 1.0 - total * 2.0 / (n * k * (2.0 * n - 3.0 * k - 1.0))
