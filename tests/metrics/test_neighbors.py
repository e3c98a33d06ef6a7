"""Neighbours on maps, against scikit-learn, and against all orders of rows at equal distances."""

from functools import partial
from itertools import permutations
from math import factorial

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn import config_context, manifold
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skae import Autoencoder
from skae.metrics import (
    continuity,
    knn_accuracy,
    neighborhood_preservation,
    neighbors,
    neighbors_kept,
    reconstruction_r2,
    trustworthiness,
)

OF_X = [trustworthiness, continuity, neighborhood_preservation]


class Columns(TransformerMixin, BaseEstimator):
    """A map that is the last two columns of X."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X[:, -2:]


class Given(Columns):
    """A map that is given, whatever X is."""

    def __init__(self, H):
        self.H = H

    def transform(self, X):
        return self.H


@pytest.fixture(scope="module")
def rows():
    """Rows of 20 columns, more than are summed one by one, the last of which hold most of the variance."""
    return np.random.default_rng(0).normal(size=(81, 20)) * np.linspace(0.5, 2.0, 20)


# ---------------------------------------------------------------- oracles


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "seuclidean"])
@pytest.mark.parametrize("k", [1, 5, 40])
def test_trustworthiness_is_that_of_scikit_learn(k, metric, rows, monkeypatch):
    monkeypatch.setattr(neighbors, "BLOCK_MIB", 0.005)  # eight rows at a time
    expected = manifold.trustworthiness(rows, rows[:, -2:], n_neighbors=k, metric=metric)
    assert trustworthiness(Columns(), rows, n_neighbors=k, metric=metric) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [1, 5, 40])
def test_continuity_is_the_trustworthiness_of_x_as_a_map_of_the_map(k, rows):
    expected = manifold.trustworthiness(rows[:, -2:], rows, n_neighbors=k)
    assert continuity(Columns(), rows, n_neighbors=k) == pytest.approx(expected, abs=1e-12)


def test_continuity_takes_the_neighbours_by_the_metric_of_x(rows):
    unit = rows / np.linalg.norm(rows, axis=1)[:, None]
    expected = manifold.trustworthiness(rows[:, -2:], unit)
    assert continuity(Columns(), rows, metric="cosine") == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "cityblock"])
def test_kept_neighbours_are_counted_row_by_row(metric, rows):
    in_x, on_map = cdist(rows, rows, metric).argsort(), cdist(rows[:, -2:], rows[:, -2:]).argsort()
    for k in (1, 7, 79, 80):
        shares = [len(set(a[1 : k + 1]) & set(b[1 : k + 1])) / k for a, b in zip(in_x, on_map, strict=True)]
        np.testing.assert_allclose(neighbors_kept(rows, rows[:, -2:], n_neighbors=k, metric=metric), shares)
        found = neighborhood_preservation(Columns(), rows, n_neighbors=k, metric=metric)
        assert found == pytest.approx(np.mean(shares))


@pytest.mark.parametrize("k", [1, 4, 39])
def test_accuracy_is_that_of_leaving_out_a_row_at_a_time(k, rows):
    X, y = rows[:40], np.repeat([2, 0, 7, 1], 10)
    H = X[:, -2:]
    others = [np.delete(np.arange(40), i) for i in range(40)]
    hits = [KNeighborsClassifier(k).fit(H[j], y[j]).predict(H[[i]])[0] == y[i] for i, j in enumerate(others)]
    assert knn_accuracy(Columns(), X, y, n_neighbors=k) == np.mean(hits)


# ---------------------------------------------------------------- limits


@pytest.mark.parametrize("score", OF_X)
def test_a_map_that_is_x_is_perfect_and_one_of_random_numbers_is_not(score, rows):
    assert score(Given(3.0 - 2.0 * rows), rows) == 1.0
    far = score(Given(np.random.default_rng(1).normal(size=(81, 2))), rows)
    assert far == pytest.approx(15 / 80 if score is neighborhood_preservation else 0.5, abs=0.05)


def test_a_torn_map_is_trusted_and_not_continuous_and_a_folded_one_the_other_way_round():
    line = np.sort(np.random.default_rng(0).random(100))[:, None]
    torn = np.where(line < 0.5, line, line + 0.013) % 0.1 + 10 * (line // 0.1)  # in ten pieces
    order = np.random.default_rng(1).permutation(10)
    torn = torn % 1 + 10 * order[(line // 0.1).astype(int)]
    folded = np.abs(line - 0.5)
    assert trustworthiness(Given(torn), line) > continuity(Given(torn), line)
    assert trustworthiness(Given(folded), line) < continuity(Given(folded), line)


# ---------------------------------------------------------------- equal distances


@pytest.fixture(scope="module")
def ties():
    """Whole numbers, so that many distances are equal. Some rows are equal, and some of those on the map too."""
    rng = np.random.default_rng(1)
    X = rng.integers(0, 2, size=(7, 3)).astype(float)
    X[4] = X[1]
    return X, rng.integers(0, 2, size=(7, 2)).astype(float)


def places_by_hand(D):
    """The places of each row j among the neighbours of row i, in all orders in which equal distances can be sorted."""
    places = np.full((len(D), len(D), factorial(len(D) - 1)), np.inf)
    for i, d in enumerate(D):
        for m, order in enumerate(permutations(np.delete(np.arange(len(D)), i))):
            places[i, sorted(order, key=lambda j, d=d: d[j]), m] = 1 + np.arange(len(order))
    return places


@pytest.mark.parametrize("k", [1, 2, 3])
def test_rows_at_equal_distance_share_places(k, ties):
    X, H = ties
    in_x, on_map = (places_by_hand(cdist(A, A, "sqeuclidean")) for A in (X, H))
    w_x, w_h = (in_x <= k).mean(axis=2), (on_map <= k).mean(axis=2)
    assert all(((w > 0) & (w < 1)).any() for w in (w_x, w_h))
    np.testing.assert_allclose(neighbors_kept(X, H, n_neighbors=k), np.minimum(w_x, w_h).sum(axis=1) / k)
    for score, places, share, other in ((trustworthiness, in_x, w_x, w_h), (continuity, on_map, w_h, w_x)):
        beyond = np.where((places > k) & np.isfinite(places), places - k, 0.0)
        mean = beyond.sum(axis=2) / np.maximum((beyond > 0).sum(axis=2), 1)
        lost = (np.maximum(other - share, 0) * mean).sum()
        assert score(Given(H), X, n_neighbors=k) == pytest.approx(1 - 2 / (7 * k * (14 - 3 * k - 1)) * lost)
    y = np.array([0, 1, 1, 0, 2, 2, 1])
    assert knn_accuracy(Given(H), X, y, n_neighbors=k) == np.mean((w_h @ np.eye(3)[y]).round(9).argmax(axis=1) == y)


def test_ties_on_one_side_alone_count_as_they_do_on_average_over_all_orders(ties):
    X, H, k = ties[0], np.random.default_rng(0).normal(size=(7, 2)), 2
    in_x, (rank,) = places_by_hand(cdist(X, X, "sqeuclidean")), places_by_hand(cdist(H, H))[None, :, :, 0]
    for score, near, places in ((trustworthiness, rank[..., None], in_x), (continuity, in_x, rank[..., None])):
        lost = np.where((near <= k) & (places > k), places - k, 0.0).mean(axis=2)
        lost = lost[np.isfinite(lost)].sum()
        assert score(Given(H), X, n_neighbors=k) == pytest.approx(1 - 2 / (7 * k * (14 - 3 * k - 1)) * lost)


def test_the_order_of_rows_does_not_matter(ties):
    X, H = np.tile(ties[0], (9, 8)), np.tile(ties[1], (9, 1))  # 24 columns, and each row nine times
    y, order = np.arange(63) % 4, np.random.default_rng(0).permutation(63)
    np.testing.assert_allclose(neighbors_kept(X[order], H[order]), neighbors_kept(X, H)[order])
    for score in (*OF_X, knn_accuracy):
        assert score(Given(H[order]), X[order], y[order]) == pytest.approx(score(Given(H), X, y), abs=1e-12)


def test_equal_rows_cost_nothing_if_they_are_equal_on_the_map(rows):
    X = np.repeat(rows[:20], 20, axis=0)
    H = X[:, ::-1].copy()
    kept = neighbors_kept(X, H, n_neighbors=5)
    assert kept.max() == 1.0, "not more, by rounding"
    np.testing.assert_allclose(kept, 1.0)
    assert trustworthiness(Given(H), X) == pytest.approx(1.0)


def test_votes_of_shares_that_differ_by_rounding_alone_are_equal():
    H = np.array([[0.0], [0.5], *[[-1.0], [1.0]] * 5])
    y = np.array([0, 1, *[0] * 10])
    assert knn_accuracy(Given(H), H, y, n_neighbors=2) == 11 / 12, "the first row sees 1 vote and 10 tenths"


def test_a_map_of_one_point_is_as_good_as_chance(rows):
    n, k, y = 81, 5, np.repeat([1, 0, 1], 27)
    point = Given(np.full((n, 2), 7.0))
    assert neighborhood_preservation(point, rows, n_neighbors=k) == pytest.approx(k / (n - 1))
    lost = n * k / (n - 1) * (n - 1 - k) * (n - k) / 2
    for score in (trustworthiness, continuity):
        assert score(point, rows) == pytest.approx(1 - 2 / (n * k * (2 * n - 3 * k - 1)) * lost)
        assert score(point, np.ones((n, 3))) == 1.0
    assert knn_accuracy(point, rows, y) == 54 / 81, "the most frequent class among the others"


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize("n_columns", [3, 20])
@pytest.mark.parametrize("change", [lambda X: X + 2.0**40, lambda X: X * 2.0**600, lambda X: X * 2.0**-600])
def test_neither_the_unit_nor_the_origin_of_x_matters(change, n_columns):
    X = np.random.default_rng(0).integers(0, 9, size=(60, n_columns)).astype(float)
    kept = neighbors_kept(X, X[:, :2])
    np.testing.assert_array_equal(neighbors_kept(change(X), X[:, :2]), kept)
    np.testing.assert_array_equal(neighbors_kept(X[:, :2], change(X)), neighbors_kept(X[:, :2], X))


def test_small_distances_in_clumps_far_apart_count():
    clump, fine = np.repeat(np.eye(3), 20, axis=0), np.random.default_rng(0).normal(size=(60, 2))
    X, H = np.hstack([9 * clump, fine]), fine + 2.0**30 * clump[:, :2]
    np.testing.assert_array_equal(neighbors_kept(X, H, n_neighbors=5), 1.0)


@pytest.mark.parametrize("kind", ["array", "sparse"])
def test_distances_are_computed_for_some_rows_at_a_time(kind, rows, monkeypatch):
    monkeypatch.setattr(neighbors, "BLOCK_MIB", 20 * 81 * 8 / 2**20)
    blocks = list(neighbors._distances(rows if kind == "array" else sparse.csr_matrix(rows), "euclidean"))
    assert [len(D) for D in blocks] == [20, 20, 20, 20, 1]
    D = np.concatenate(blocks)
    assert (np.diag(D) == np.inf).all()
    order = cdist(rows, rows).argsort(axis=1)[:, 1:]
    np.testing.assert_array_equal(D.argsort(axis=1)[:, :-1], order)


# ---------------------------------------------------------------- as scorers


def test_a_search_is_scored(iris):
    y, rng = np.repeat(["a", "b", "c"], 50), np.random.default_rng(0)
    folds = np.array_split(rng.permutation(150), 2)
    pipeline, scoring = (
        make_pipeline(StandardScaler(), PCA()),
        {score.__name__: score for score in (*OF_X, knn_accuracy)},
    )
    scoring["broad"] = partial(trustworthiness, n_neighbors=20, metric="manhattan")
    grid, cv = {"pca__n_components": [1, 2]}, [(folds[0], folds[1]), (folds[1], folds[0])]
    search = GridSearchCV(pipeline, grid, scoring=scoring, cv=cv, refit="knn_accuracy", error_score="raise").fit(
        iris, y
    )
    for name, score in scoring.items():
        for i, n_components in enumerate((1, 2)):
            pipeline.set_params(pca__n_components=n_components)
            found = [score(pipeline.fit(iris[train]), iris[test], y[test]) for train, test in cv]
            assert search.cv_results_[f"mean_test_{name}"][i] == pytest.approx(np.mean(found), abs=1e-12)
    assert isinstance(search.score(iris, y), float)


@pytest.mark.parametrize("container", [sparse.csc_array, sparse.coo_matrix, pd.DataFrame, np.ndarray.tolist])
def test_all_containers_score_alike(container, digits):
    X, y = digits[:60], np.arange(60) % 3
    model = Autoencoder(2, hidden_layer_sizes=(), max_iter=1, random_state=0).fit(X)

    def wrapped():
        return pd.DataFrame(X, columns=[f"x{i}" for i in range(64)]) if container is pd.DataFrame else container(X)

    other = Autoencoder(2, hidden_layer_sizes=(), max_iter=1, random_state=0).fit(wrapped())
    for score in (*OF_X, knn_accuracy):
        assert score(other, wrapped(), y) == pytest.approx(score(model, X, y), abs=1e-3)


@pytest.mark.parametrize("dispatch", [False, True])
def test_tensors_score_like_arrays(dispatch, digits):
    X, y = digits[:60], np.arange(60) % 3
    model = Autoencoder(2, hidden_layer_sizes=(), max_iter=1, random_state=0).fit(X)
    expected = [score(model, X, y) for score in (*OF_X, knn_accuracy, reconstruction_r2)]
    given = torch.tensor(X, requires_grad=True), torch.tensor(y)
    with config_context(array_api_dispatch=dispatch):
        found = [score(model, *given) for score in (*OF_X, knn_accuracy, reconstruction_r2)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    "metric", ["euclidean", "cosine", "l1", "chebyshev", "jaccard", lambda a, b: np.linalg.norm(a - b, 1)]
)
def test_sparse_tables_with_any_metric(metric, digits):
    X = (digits[:40] > 8).astype(bool if metric == "jaccard" else float)
    model = TruncatedSVD(2, random_state=0).fit(X)
    for score in OF_X:
        found = score(model, sparse.csr_matrix(X), metric=metric)
        assert found == pytest.approx(score(model, X, metric=metric), abs=1e-12)
    if metric != "jaccard":
        expected = manifold.trustworthiness(X, model.transform(X), metric=metric)
        assert trustworthiness(model, X, metric=metric) == pytest.approx(expected, abs=0.05)  # which ties as it likes


def test_labels_need_a_map_and_no_distances_of_rows():
    words = np.array(["red", "green", "blue"] * 5)[:, None]
    model = make_pipeline(OneHotEncoder(sparse_output=False), PCA(2)).fit(words)
    assert knn_accuracy(model, words, words.ravel(), n_neighbors=4) == 1.0


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize(
    "mark",
    [
        lambda y, away: np.where(away, -1, y),
        lambda y, away: np.where(away, np.nan, y),
        lambda y, away: np.where(away, None, y.astype(str).astype(object)),
        lambda y, away: np.where(away, -1, y.astype(str).astype(object)).tolist(),
        lambda y, away: np.ma.masked_array(y, away),
        lambda y, away: pd.Series(y, dtype="Int64").mask(away),
        lambda y, away: pd.Series(y).astype("category").mask(away),
        lambda y, away: np.where(away, -1, y)[:, None],
    ],
)
def test_rows_without_a_label_do_not_count(mark, rows):
    y, away = np.arange(81) % 3, np.random.default_rng(0).random(81) < 0.3
    assert knn_accuracy(Columns(), rows, mark(y, away)) == knn_accuracy(Columns(), rows[~away], y[~away])


def test_minus_one_and_one_are_two_classes(rows):
    y = np.where(rows[:, -1] > 0, 1, -1)
    assert knn_accuracy(Columns(), rows, y) == knn_accuracy(Columns(), rows, y + 1) < 1.0


# ---------------------------------------------------------------- complaints


@pytest.mark.parametrize(
    ("score", "change", "told"),
    [
        (
            trustworthiness,
            {"n_neighbors": 41},
            "from 1 to 40 in trustworthiness, below n_samples / 2; got n_samples = 81",
        ),
        (continuity, {"n_neighbors": 0}, "n_neighbors=0 must be an integer from 1 to 40 in continuity"),
        (trustworthiness, {"n_neighbors": 2.0}, "n_neighbors=2.0 must be an integer"),
        (trustworthiness, {"n_neighbors": True}, "n_neighbors=True must be an integer"),
        (neighborhood_preservation, {"n_neighbors": 81}, "from 1 to 80 in neighborhood_preservation"),
        (trustworthiness, {"few": 2}, "trustworthiness needs more rows; got n_samples = 2"),
        (neighborhood_preservation, {"few": 1}, "needs more rows; got n_samples = 1"),
        (knn_accuracy, {"n_neighbors": 81}, "from 1 to 80 in knn_accuracy"),
        (knn_accuracy, {"y": None}, "^knn_accuracy needs the class of each row: pass y"),
        (knn_accuracy, {"y": np.zeros(81)}, "2 classes, but y has 1 here"),
        (knn_accuracy, {"y": [None] * 81}, "2 classes, but y has 0 here"),
        (knn_accuracy, {"y": np.arange(80) % 2}, "inconsistent numbers of samples"),
        (knn_accuracy, {"y": np.linspace(0, 1, 81)}, "Unknown label type: continuous"),
        (knn_accuracy, {"y": np.ones((81, 2))}, "1d array"),
        (trustworthiness, {"metric": "precomputed"}, "metric='precomputed' is no metric of rows: use .* 'cosine'"),
        (continuity, {"metric": ["cosine"]}, "is no metric of rows"),
        (neighborhood_preservation, {"metric": lambda a, b: np.nan}, "gives distances that are NaN or infinite"),
        (trustworthiness, {"estimator": Given(np.zeros((5, 2)))}, "^Given maps 81 rows to 5"),
        (trustworthiness, {"estimator": Given(np.full((81, 2), np.nan))}, "the map contains NaN"),
        (trustworthiness, {"estimator": Given(np.zeros(81))}, "Expected 2D array, got 1D array"),
    ],
)
def test_complaints(score, change, told, rows):
    options = {"estimator": Columns(), "y": np.arange(81) % 3, **change}
    X = rows[: options.pop("few", 81)]
    estimator, y = options.pop("estimator"), options.pop("y")
    with pytest.raises(ValueError, match=told):
        score(estimator, X, y, **options)


@pytest.mark.parametrize("score", [*OF_X, knn_accuracy])
def test_what_makes_no_map_is_told_so(score, rows):
    with pytest.raises(TypeError, match=r"^TSNE has no transform, so it maps no rows: pass a fitted transformer\.$"):
        score(manifold.TSNE(), rows, np.arange(81) % 3)
    with pytest.raises(AttributeError):  # NotFittedError is one, and PCA of scikit-learn 1.6 has no other
        score(PCA(2), rows, np.arange(81) % 3)
    for table in (rows, pytest.importorskip("pandas").DataFrame(rows)):  # a frame has a transform, too
        with pytest.raises(TypeError, match=r"pass a fitted transformer, and then X\. For X and its codes, there are "):
            score(table, rows[:, :2], np.arange(81) % 3)


def test_arrays_have_as_many_rows_and_no_nan(rows):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        neighbors_kept(rows, rows[:5])
    with pytest.raises(ValueError, match="Input H contains NaN"):
        neighbors_kept(rows, np.full((81, 2), np.nan))
    with pytest.raises(ValueError, match="Input X contains NaN"):
        neighbors_kept(np.full((81, 2), np.nan), rows)


def test_a_fold_without_labels_is_told_so(iris):
    with pytest.raises(ValueError, match="pass y"):
        cross_val_score(PCA(2), iris, scoring=knn_accuracy, error_score="raise")
