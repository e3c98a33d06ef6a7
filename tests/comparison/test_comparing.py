"""compare(): every figure of the table, against loops written out by hand."""

import logging
import time
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from scipy.sparse import csc_array, csr_matrix, issparse
from scipy.sparse import random as random_table
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_diabetes, load_iris, load_linnerud
from sklearn.decomposition import NMF, PCA, FastICA, KernelPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectFpr, SelectKBest, VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.manifold import TSNE
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeavePGroupsOut,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_validate,
)
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler
from sklearn.random_projection import GaussianRandomProjection
from sklearn.utils.validation import check_is_fitted

from skae import Autoencoder
from skae.comparison import compare
from skae.comparison.evaluation import n_neighbors
from skae.comparison.folds import is_classes
from skae.comparison.peers import is_map
from skae.comparison.result import form_of, with_spread
from skae.inspection import ComparisonDisplay
from skae.maps import NeighborAutoencoder

IRIS = load_iris(as_frame=True)
X, Y = IRIS.data.to_numpy(), IRIS.target.to_numpy()
SPECIES = IRIS.target_names[Y]
TINY = Autoencoder(hidden_layer_sizes=(4,), max_iter=1)


class FirstColumns(TransformerMixin, BaseEstimator):
    """Keeps columns, as a reducer without inverse_transform does, and records the rows it saw."""

    seen: list = []  # noqa: RUF012 -- clones share it

    def __init__(self, n_components=2):
        self.n_components = n_components

    def fit(self, X, y=None):
        self.seen.append(("fit", X.copy()))
        self.is_fitted_ = True
        return self

    def transform(self, X):
        self.seen.append(("transform", X.copy()))
        return X[:, : self.n_components]


class Recorder(FirstColumns):
    seen: list = []  # noqa: RUF012


class Fixed(TransformerMixin, BaseEstimator):
    """A reducer without n_components: keeps three columns."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X[:, :3]


class SlowStart(FirstColumns):
    started: list = []  # noqa: RUF012

    def fit(self, X, y=None):
        if not self.started:
            time.sleep(0.2)
        self.started.append(True)
        return super().fit(X)


class Drawn(BaseEstimator):
    """A map of the rows that it is fitted to, as t-SNE makes it."""

    def __init__(self, n_components=2):
        self.n_components = n_components

    def fit(self, X, y=None):
        self.embedding_ = X[:, : self.n_components]
        return self

    def fit_transform(self, X, y=None):
        return self.fit(X).embedding_


class PaCMAP(FirstColumns):
    """Says what the original says of seeds, and what UMAP says."""

    def __init__(self, n_components=2, save_tree=False):
        super().__init__(n_components)
        self.save_tree = save_tree
        logging.getLogger("pacmap.pacmap").warning("Warning: random state is set to 0.")

    def fit(self, X, y=None):
        warnings.warn("n_jobs value 1 overridden to 1 by setting random_state. Use no seed.", stacklevel=1)
        return super().fit(X)

    def transform(self, X):
        assert self.save_tree
        return super().transform(X)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Time one call, not many, and forget what was recorded."""
    monkeypatch.setattr("skae.comparison.evaluation.TIMED", 0.0)
    FirstColumns.seen.clear()
    SlowStart.started.clear()
    Recorder.seen.clear()


@pytest.fixture
def comparison():
    return compare(X, Y, [TINY, FirstColumns()], [1, 3], cv=2)


def find(comparison, reducer, n_components):
    (row,) = (r for r in comparison.rows if (r["reducer"], r["n_components"]) == (reducer, n_components))
    return row


def means(row):
    return {column: value for column, value in row.items() if not column.endswith("_std")}


def names(comparison):
    return [row["reducer"] for row in comparison.rows]


def scores(comparison):
    return [(r["reducer"], r["n_components"], r["r2"], r["linear"], r["knn"]) for r in comparison.rows]


# -------------------------------------------------------------------- figures


@pytest.mark.parametrize("seed", [0, 3])
def test_r2_of_pca_is_that_of_a_loop_over_the_folds(seed):
    expected = []
    for train, test in StratifiedKFold(3, shuffle=True, random_state=seed).split(X, Y):
        center = X[train].mean(axis=0)
        axes = np.linalg.svd(X[train] - center, full_matrices=False)[2][:2]
        residual = X[test] - center - (X[test] - center) @ axes.T @ axes
        expected.append(1 - (residual**2).sum() / ((X[test] - center) ** 2).sum())
    comparison = compare(X, Y, [], [2], cv=3, random_state=seed)
    assert [fold["r2"] for fold in comparison.folds] == pytest.approx(expected, abs=1e-12)
    assert comparison.rows[0]["r2"] == pytest.approx(np.mean(expected), abs=1e-12)


def test_r2_of_an_autoencoder_is_its_score_on_the_held_out_rows():
    comparison = compare(X, Y, [TINY], [2], cv=2)
    folds = StratifiedKFold(2, shuffle=True, random_state=0).split(X, Y)
    expected = [clone(TINY).set_params(random_state=0).fit(X[a]).score(X[b]) for a, b in folds]
    assert find(comparison, "Autoencoder", 2)["r2"] == pytest.approx(np.mean(expected), abs=1e-5)


def test_accuracy_is_that_of_models_on_the_codes():
    linear, knn = [], []
    for train, test in StratifiedKFold(2, shuffle=True, random_state=0).split(X, Y):
        pca = PCA(2).fit(X[train])
        H, H_test = pca.transform(X[train]), pca.transform(X[test])
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(H, Y[train])
        linear.append((model.predict(H_test) == Y[test]).mean())
        knn.append((KNeighborsClassifier(5).fit(H, Y[train]).predict(H_test) == Y[test]).mean())
    (row,) = compare(X, Y, [], [2], cv=2).rows
    assert (row["linear"], row["knn"]) == pytest.approx((np.mean(linear), np.mean(knn)), abs=1e-12)


@pytest.mark.parametrize("load", [load_diabetes, load_linnerud])
def test_targets_of_real_numbers_are_scored_by_r2(load):
    X, y = load(return_X_y=True)
    linear, knn = [], []
    for train, test in KFold(2, shuffle=True, random_state=0).split(X):
        pca = PCA(2).fit(X[train])
        H, H_test = pca.transform(X[train]), pca.transform(X[test])
        linear.append(make_pipeline(StandardScaler(), Ridge()).fit(H, y[train]).score(H_test, y[test]))
        knn.append(KNeighborsRegressor(5).fit(H, y[train]).score(H_test, y[test]))
    (row,) = compare(X, y, [], [2], cv=2).rows
    assert (row["linear"], row["knn"]) == pytest.approx((np.mean(linear), np.mean(knn)), abs=1e-12)


def test_rows_are_the_means_of_the_folds(comparison):
    for row in comparison.rows:
        folds = [f for f in comparison.folds if all(f[k] == row[k] for k in ("reducer", "n_components"))]
        assert [f["fold"] for f in folds] == [0, 1]
        for column in ("linear", "knn", "neighbors"):
            assert row[column] == pytest.approx(np.mean([f[column] for f in folds]))


def test_a_slow_first_fit_does_not_count():
    """The times are medians: the first fit of a reducer may compile it."""
    comparison = compare(X, Y, {"slow": SlowStart()}, [2], cv=3)
    times = [fold["fit_seconds"] for fold in comparison.folds if fold["reducer"] == "slow"]
    assert times[0] > 0.2
    assert find(comparison, "slow", 2)["fit_seconds"] == np.median(times) < 0.2


def test_neighbours_kept_are_those_of_the_held_out_rows():
    rows = np.random.default_rng(0).normal(size=(60, 4))
    train, test = np.arange(25), np.arange(25, 60)
    H = PCA(2).fit(rows[train]).transform(rows[test])
    nearest = [
        [set(np.argsort(((A - a) ** 2).sum(axis=1))[1:4]) for a in A]  # a tenth of 35 rows, without the row itself
        for A in (rows[test], H)
    ]
    expected = np.mean([len(a & b) / 3 for a, b in zip(*nearest, strict=True)])
    (row,) = compare(rows, None, [], [2], cv=[(train, test)]).rows
    assert row["neighbors"] == pytest.approx(expected)
    assert row["neighbors"] < 1


@pytest.mark.parametrize(("n_test", "k"), [(2, 0), (3, 1), (19, 1), (20, 2), (149, 14), (150, 15), (9999, 15)])
def test_neighbours_are_at_most_a_tenth_of_the_held_out_rows(n_test, k):
    assert n_neighbors(n_test) == k


def test_of_two_held_out_rows_no_neighbours_are_told():
    assert compare(X[::38], None, [], [1], cv=2).rows[0]["neighbors"] is None


def test_speed_is_a_positive_number(comparison):
    assert all(row["fit_seconds"] > 0 and 0 < row["rows_per_second"] < np.inf for row in comparison.rows)


def test_estimators_are_those_of_the_first_fold(comparison):
    train, test = next(StratifiedKFold(2, shuffle=True, random_state=0).split(X, Y))
    np.testing.assert_array_equal(comparison.X_test, X[test])
    np.testing.assert_array_equal(comparison.y_test, Y[test])
    assert set(comparison.estimators) == {(row["reducer"], row["n_components"]) for row in comparison.rows}
    pca = comparison.estimators["PCA", 3]
    np.testing.assert_allclose(pca.mean_, X[train].mean(axis=0))
    np.testing.assert_allclose(pca.components_, PCA(3).fit(X[train]).components_)


def test_a_comparison_is_repeatable():
    first, again = (compare(X, Y, [TINY], [2], cv=2) for _ in range(2))
    assert scores(first) == scores(again)


def test_standardize_is_scaling_by_the_training_rows():
    wide = X * [1, 10, 100, 1000]
    expected = []
    for train, test in StratifiedKFold(2, shuffle=True, random_state=0).split(X, Y):
        center, deviation = wide[train].mean(axis=0), wide[train].std(axis=0)
        z, z_test = (wide[train] - center) / deviation, (wide[test] - center) / deviation
        axes = np.linalg.svd(z, full_matrices=False)[2][:1]
        expected.append(1 - ((z_test - z_test @ axes.T @ axes) ** 2).sum() / (z_test**2).sum())
    comparison = compare(wide, Y, [], [1], cv=2, standardize=True)
    assert comparison.rows[0]["r2"] == pytest.approx(np.mean(expected), abs=1e-12)
    train, test = next(StratifiedKFold(2, shuffle=True, random_state=0).split(X, Y))
    np.testing.assert_allclose(comparison.X_test, (wide[test] - wide[train].mean(0)) / wide[train].std(0))
    assert compare(wide, Y, [], [1], cv=2).rows[0]["r2"] != pytest.approx(np.mean(expected), abs=1e-2)


def test_standardize_leaves_a_constant_column_at_zero():
    comparison = compare(np.c_[X, np.ones(150)], None, [], [2], cv=2, standardize=True)
    assert (comparison.X_test[:, 4] == 0).all()


# -------------------------------------------------------------------- baselines


def test_all_columns_are_scored_by_the_same_models_on_the_rows_themselves():
    wide = X * [1, 10, 100, 1000]
    for standardize in (False, True):
        linear, knn = [], []
        for train, test in StratifiedKFold(2, shuffle=True, random_state=0).split(X, Y):
            center, deviation = (wide[train].mean(0), wide[train].std(0)) if standardize else (0, 1)
            rows, held_out = (wide[train] - center) / deviation, (wide[test] - center) / deviation
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(rows, Y[train])
            linear.append(model.score(held_out, Y[test]))
            knn.append(KNeighborsClassifier(5).fit(rows, Y[train]).score(held_out, Y[test]))
        everything, _ = compare(wide, Y, [], [1], cv=2, standardize=standardize).baselines
        assert means(everything) == {
            "reducer": "all columns", "n_components": 4, "r2": None, "neighbors": None, "fit_seconds": None,
            "rows_per_second": None,
            "linear": pytest.approx(np.mean(linear), abs=1e-12), "knn": pytest.approx(np.mean(knn), abs=1e-12),
        }  # fmt: skip


def test_a_guess_is_the_majority_class_of_the_training_rows():
    y = np.repeat(["often", "rare"], [100, 50])
    train, test = np.r_[:40, 100:110], np.r_[40:100, 110:150]  # 60 of the 100 held-out rows are "often"
    _, guess = compare(X, y, [], [1], cv=[(train, test)]).baselines
    assert means(guess) == {
        "reducer": "majority class", "n_components": 0, "r2": None, "neighbors": None, "fit_seconds": None,
        "rows_per_second": None, "linear": 0.6, "knn": 0.6,
    }  # fmt: skip


def test_a_guess_of_numbers_is_the_mean_of_the_training_rows():
    y = np.r_[np.zeros(10), np.ones(10)] + 0.5
    train, test = np.r_[:5, 10:20], np.r_[5:10, 10:12]
    _, guess = compare(X[:20], y, [], [1], cv=[(train, test)]).baselines
    mean = y[train].mean()
    expected = 1 - ((y[test] - mean) ** 2).sum() / ((y[test] - y[test].mean()) ** 2).sum()
    assert guess["reducer"] == "mean of the target"
    assert guess["linear"] == guess["knn"] == pytest.approx(expected)


def test_without_a_target_there_is_nothing_to_compare_with():
    assert compare(X, None, [], [2], cv=2).baselines == []


# -------------------------------------------------------------------- reducers that fail


class Failing(FirstColumns):
    """Does what it is told to, in the fold whose training rows do not have the first row of X."""

    def __init__(self, n_components=2, error=None, value=0.0, method="transform"):
        super().__init__(n_components)
        self.error, self.value, self.method = error, value, method

    def fit(self, X_fold, y=None):
        self.fails_ = not (X_fold == X[0]).all(axis=1).any()
        self._fail("fit")
        return self

    def transform(self, X):
        return X[:, : self.n_components] + self._fail("transform")

    def inverse_transform(self, H):
        return np.zeros((len(H), 4)) + self._fail("inverse_transform")

    def _fail(self, method):
        if not (self.fails_ and method == self.method):
            return 0.0
        if self.error is not None:
            raise self.error
        return self.value


PLACE = StratifiedKFold(3, shuffle=True, random_state=0)
FOLD = 1 + next(i for i, (train, _) in enumerate(PLACE.split(X, Y)) if 0 not in train)


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize(
    ("failing", "sentence"),
    [
        (Failing(error=RuntimeError("no luck"), method="fit"), "no luck"),
        (Failing(error=OverflowError("too large"), method="transform"), "too large"),
        (Failing(error=MemoryError(), method="inverse_transform"), "MemoryError"),
        (Failing(value=np.nan), "its code has NaN or infinite values."),
        (Failing(value=np.inf), "its code has NaN or infinite values."),
        (Failing(value=np.nan, method="inverse_transform"), "its reconstruction: Input X contains NaN."),
        (Failing(value=1e200, method="inverse_transform"), "its squared error is too large to be computed: rescale X."),
    ],
)
def test_a_reducer_that_fails_in_a_fold_is_named_with_the_fold(failing, sentence):
    with pytest.raises(ValueError, match=f"^mine with n_components=2 failed in fold {FOLD} of 3: {sentence}$"):
        compare(X, Y, {"mine": failing}, [2], cv=3)


def test_a_code_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"its code has shape \(1, 4\), but X has 75 rows.$"):
        compare(X, Y, [FunctionTransformer(lambda X: X[:1], check_inverse=False)], [2], cv=2)


@pytest.mark.parametrize("method", ["fit", "transform", "inverse_transform"])
def test_an_interrupt_ends_the_comparison(method, capfd):
    with pytest.raises(KeyboardInterrupt):
        compare(X, Y, [Failing(error=KeyboardInterrupt(), method=method)], [2], cv=3, verbose=1)
    assert "100%" not in capfd.readouterr().err


# -------------------------------------------------------------------- folds


def test_all_reducers_get_the_same_folds():
    compare(X, Y, [FirstColumns(), Recorder()], [1, 2], cv=3)
    assert len(FirstColumns.seen) >= 3 * 3 * 2
    fits, others = ([seen for method, seen in kind.seen if method == "fit"] for kind in (FirstColumns, Recorder))
    splits = [train for train, _ in StratifiedKFold(3, shuffle=True, random_state=0).split(X, Y)] * 2
    for one, other, train in zip(fits, others, splits, strict=True):
        np.testing.assert_array_equal(one, X[train])
        np.testing.assert_array_equal(one, other)


def test_a_warning_names_the_reducer_whatever_its_name_is(monkeypatch):
    monkeypatch.setattr(Autoencoder, "_failure", lambda self, data: "It has learnt nothing.")
    with pytest.warns(UserWarning, match=r"^\{a\} %s \{\} with n_components=1: It has learnt nothing\.$"):
        compare(X, None, {"{a} %s {}": Autoencoder(hidden_layer_sizes=(4,), max_iter=60)}, [1], cv=2)


def test_a_reducer_sees_nothing_of_the_held_out_rows_before_it_is_fitted():
    rows = np.arange(30.0)[:, None] * np.ones(3)
    compare(rows, None, [FirstColumns()], [1], cv=5)
    fits = [set(seen[:, 0]) for method, seen in FirstColumns.seen if method == "fit"]
    assert [len(fit) for fit in fits] == [24] * 5
    assert sorted(row for fit in fits for row in set(range(30)) - fit) == list(range(30))


@pytest.mark.parametrize("cv", [ShuffleSplit(3, test_size=0.4, random_state=1), "iterable"])
def test_folds_may_be_given(cv):
    splitter = ShuffleSplit(3, test_size=0.4, random_state=1)
    comparison = compare(X, Y, [], [2], cv=iter(list(splitter.split(X))) if cv == "iterable" else cv)
    assert [fold["fold"] for fold in comparison.folds] == [0, 1, 2]
    np.testing.assert_array_equal(comparison.X_test, X[next(splitter.split(X))[1]])


def test_classes_with_fewer_rows_than_folds_are_compared():
    y = np.array(["rare"] * 2 + ["common"] * 148)
    assert [0.9 < row["knn"] <= 1 for row in compare(X, y, [], [2], cv=3).rows] == [True]


def test_a_fold_whose_training_rows_are_of_one_class_predicts_it():
    y = np.array(["once"] + ["often"] * 149)
    (row,) = compare(X, y, [], [2], cv=2).rows
    assert (row["linear"], row["knn"]) == pytest.approx((1 - 1 / 150, 1 - 1 / 150))


def test_r2_of_a_single_held_out_row_is_left_out():
    y = np.linspace(0, 1, 10)
    comparison = compare(X[:10], y, [], [1], cv=9)
    known = [fold["linear"] for fold in comparison.folds if fold["linear"] is not None]
    assert len(known) == 1  # one fold of two rows, eight of one
    assert comparison.rows[0]["linear"] == known[0]
    assert compare(X[:10], y, [], [1], cv=10).rows[0]["linear"] is None


# -------------------------------------------------------------------- targets


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (SPECIES, True),
        (Y, True),
        (Y == 1, True),
        (Y.astype(float), True),
        (Y + 0.5, False),
        (np.arange(150), False),
        (np.repeat(np.arange(30), 5), True),
        (load_diabetes().target, False),
        (load_linnerud().target, False),
        (None, False),
    ],
)
def test_classes_are_texts_and_few_whole_numbers(y, expected):
    assert is_classes(y) is expected


@pytest.fixture(scope="module")
def of_numbers():
    return scores(compare(X, Y, [], [2], cv=2))


@pytest.mark.parametrize(
    "y",
    [
        SPECIES,
        SPECIES.astype(object),
        SPECIES.tolist(),
        pd.Series(SPECIES),
        pd.Series(pd.Categorical(SPECIES)),
        Y.astype(float),
        Y[:, None],
        pd.Series(Y, dtype=object),
        pd.Series(Y, dtype="Int64"),
    ],
)
def test_classes_of_any_kind_score_alike(y, of_numbers):
    assert scores(compare(X, y, [], [2], cv=2)) == of_numbers


def test_truth_values_are_classes():
    expected = scores(compare(X, (Y == 1).astype(int), [], [2], cv=2))
    assert scores(compare(X, Y == 1, [], [2], cv=2)) == expected


def test_without_a_target_there_are_no_scores_of_the_code():
    comparison = compare(X, None, [TINY], [2], cv=2)
    assert comparison.y_test is None
    assert {(row["linear"], row["knn"]) for row in comparison.rows} == {(None, None)}
    assert all(row["r2"] > 0.9 for row in comparison.rows)
    heading = comparison.table().splitlines()[0]
    assert heading.split() == ["n_components", "reducer", "R2", "kept", "fit", "s", "rows/s"]


def test_a_data_frame_is_compared_as_its_numbers():
    expected = scores(compare(X, Y, [TINY], [2], cv=2))
    assert scores(compare(IRIS.data, IRIS.target, [TINY], [2], cv=2)) == expected


# -------------------------------------------------------------------- reducers


@pytest.mark.parametrize(
    ("reducers", "expected"),
    [
        (None, ["PCA", "Autoencoder", "NeighborAutoencoder"]),
        ([], ["PCA"]),
        ([TINY, FirstColumns()], ["PCA", "Autoencoder", "FirstColumns"]),
        ({"mine": TINY}, ["PCA", "mine"]),
    ],
)
@pytest.mark.filterwarnings("ignore::skae.exceptions.DisconnectedGraphWarning")
def test_pca_comes_first_where_it_is_not_given(reducers, expected, monkeypatch):
    for cls in (Autoencoder, NeighborAutoencoder):
        monkeypatch.setattr(
            f"skae.comparison.reducers.{cls.__name__}", partial(cls, hidden_layer_sizes=(4,), max_iter=1)
        )
    assert names(compare(X, Y, reducers, [2], cv=2)) == expected


def test_pca_is_not_added_where_it_is_given():
    comparison = compare(X, Y, {"first": TINY, "white": PCA(whiten=True)}, [2], cv=2)
    assert names(comparison) == ["first", "white"]


def test_reducers_may_be_a_dict_with_names():
    comparison = compare(X, Y, {"a": TINY, "b": TruncatedSVD()}, [2], cv=2)
    assert names(comparison) == ["PCA", "a", "b"]


def test_reducers_of_one_class_get_names_of_their_own():
    reducers = [TINY, PCA(), Autoencoder(max_iter=2), PCA(whiten=True), TINY]
    comparison = compare(X, Y, reducers, [2], cv=2)
    assert names(comparison) == ["Autoencoder", "PCA", "Autoencoder 2", "PCA 2", "Autoencoder 3"]
    assert comparison.estimators["Autoencoder 2", 2].max_iter == 2
    assert comparison.estimators["PCA 2", 2].whiten is True


@pytest.mark.parametrize(
    "reducer",
    [
        FastICA(whiten="unit-variance"),
        TruncatedSVD(),
        KernelPCA(fit_inverse_transform=True),
        NMF(max_iter=2000),
        GaussianRandomProjection(),
    ],
)
def test_what_can_reconstruct_has_an_r2(reducer):
    train, test = next(StratifiedKFold(2, shuffle=True, random_state=0).split(X, Y))
    row = compare(X, Y, [reducer], [2], cv=[(train, test)]).rows[1]
    seed = {"random_state": 0} if "random_state" in reducer.get_params() else {}
    model = clone(reducer).set_params(n_components=2, **seed).fit(X[train])
    X_hat = model.inverse_transform(model.transform(X[test]))
    expected = 1 - ((X[test] - X_hat) ** 2).sum() / ((X[test] - X[train].mean(axis=0)) ** 2).sum()
    assert row["r2"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "reducer",
    [
        FirstColumns(),
        KernelPCA(),  # has the method, and raises NotFittedError
        LinearDiscriminantAnalysis(),
        make_pipeline(StandardScaler(), KernelPCA()),
    ],
)
def test_what_cannot_reconstruct_has_no_r2_and_scores_of_its_code(reducer):
    comparison = compare(X, Y, [reducer], [2], cv=2)
    row = comparison.rows[1]
    assert row["r2"] is None
    assert 0.5 < row["linear"] <= 1
    assert " - " in comparison.table().splitlines()[2]


@pytest.mark.parametrize("reducer", [Drawn(), make_pipeline(StandardScaler(), Drawn())])
def test_what_cannot_encode_held_out_rows_has_the_time_of_its_fit_alone(reducer):
    comparison = compare(X, Y, {"drawn": reducer}, [2], cv=2)
    known = {column: value for column, value in means(find(comparison, "drawn", 2)).items() if value is not None}
    assert known == {"reducer": "drawn", "n_components": 2, "fit_seconds": pytest.approx(0.5, abs=0.5)}
    assert comparison.table().splitlines()[2].split()[:5] == ["drawn", "-", "-", "-", "-"]
    assert len(comparison.estimators["drawn", 2].fit_transform(X[:5])) == 5


def test_a_map_of_another_package_is_quiet_and_keeps_what_it_needs_to_place_new_rows(caplog, recwarn):
    reducer = PaCMAP()
    caplog.clear()
    compare(X, Y, [reducer, make_pipeline(PaCMAP())], [2], cv=2)
    assert len(caplog.records) == 1  # of the pipeline of this test
    assert not recwarn.list
    assert reducer.save_tree is False


@pytest.mark.parametrize(
    ("pipeline", "parameter"),
    [
        (make_pipeline(StandardScaler(), TruncatedSVD()), "truncatedsvd__n_components"),
        (make_pipeline(PCA(4), FirstColumns(4)), "firstcolumns__n_components"),
        (
            make_pipeline(PCA(4), make_pipeline(StandardScaler(), FirstColumns(4))),
            "pipeline__firstcolumns__n_components",
        ),
        (make_pipeline(TruncatedSVD(4), Normalizer()), "truncatedsvd__n_components"),
    ],
)
def test_the_last_step_with_n_components_gets_it(pipeline, parameter):
    comparison = compare(X, Y, {"pipeline": pipeline}, [1, 3], cv=2)
    for k in (1, 3):
        model = comparison.estimators["pipeline", k]
        assert model.transform(X).shape == (150, k)
        expected = {**pipeline.get_params(), parameter: k}
        kept = {p: v for p, v in expected.items() if p.endswith("n_components")}
        assert {p: model.get_params()[p] for p in kept} == kept


def test_maps_have_two_components_unless_numbers_are_given():
    rows = np.random.default_rng(0).normal(size=(40, 9))
    tiny = NeighborAutoencoder(hidden_layer_sizes=(4,), max_iter=1)
    reducers = {"map": tiny, "piped": make_pipeline(StandardScaler(), tiny), "first": FirstColumns()}
    assert [(row["n_components"], row["reducer"]) for row in compare(rows, None, reducers, cv=2).rows] == [
        (2, "PCA"), (2, "map"), (2, "piped"), (2, "first"), (8, "PCA"), (8, "first"),
    ]  # fmt: skip
    assert names(compare(rows, None, [tiny], [3], cv=2)) == ["PCA", "NeighborAutoencoder"]
    assert [is_map(reducer) for reducer in (TSNE(), PaCMAP(), PCA(), TINY)] == [True, True, False, False]


def test_the_pieces_of_a_map_are_told_of_the_fold_that_is_drawn(recwarn):
    warnings.simplefilter("always")
    rows = np.repeat([0.0, 100.0], 30)[:, None] + np.random.default_rng(0).normal(size=(60, 3))
    compare(rows, None, [NeighborAutoencoder(n_neighbors=3, hidden_layer_sizes=(4,), max_iter=1)], [2], cv=3)
    (warning,) = recwarn.list
    assert str(warning.message).startswith("NeighborAutoencoder with n_components=2: The neighbour graph has 2 pieces")


def test_a_pipeline_with_a_step_that_needs_y_is_fitted_with_it():
    """SelectKBest does not say that it needs y."""
    result = compare(X, Y, [make_pipeline(SelectFpr(), PCA()), make_pipeline(SelectKBest(k=2), PCA())], [2], cv=2)
    assert result.estimators["Pipeline 2", 2][0].get_support().tolist() == [False, False, True, True]
    compare(X, None, [make_pipeline(VarianceThreshold(), PCA())], [2], cv=2)
    with pytest.raises(ValueError, match="it learns from a target, and there is none"):
        compare(X, None, [make_pipeline(SelectFpr(), PCA())], [2], cv=2)


def test_a_reducer_without_n_components_is_used_as_it_is():
    comparison = compare(X, Y, [Fixed()], [1, 2], cv=2)
    first, second = find(comparison, "Fixed", 1), find(comparison, "Fixed", 2)
    assert (first["linear"], first["knn"]) == (second["linear"], second["knn"])
    assert comparison.estimators["Fixed", 1].transform(X).shape == (150, 3)


def test_the_seed_is_set_only_where_there_is_none():
    reducers = {
        "none": clone(TINY),
        "own": clone(TINY).set_params(random_state=7),
        "piped": make_pipeline(StandardScaler(), clone(TINY)),
        "piped own": make_pipeline(StandardScaler(), TruncatedSVD(random_state=8)),
    }
    models = compare(X, Y, reducers, [2], cv=2, random_state=5).estimators
    assert models["PCA", 2].random_state == 5
    assert models["none", 2].random_state == 5
    assert models["own", 2].random_state == 7
    assert models["piped", 2][-1].random_state == 5
    assert models["piped own", 2][-1].random_state == 8


def test_given_reducers_are_neither_changed_nor_fitted():
    reducers = [clone(TINY), make_pipeline(StandardScaler(), PCA()), PCA(), KernelPCA()]
    before = [repr(reducer.get_params()) for reducer in reducers]
    compare(X, Y, reducers, [3], cv=2, random_state=1)
    assert [repr(reducer.get_params()) for reducer in reducers] == before
    for reducer in reducers:
        with pytest.raises(NotFittedError):
            check_is_fitted(reducer)


def test_given_arrays_are_not_changed():
    rows, target = X.copy(), SPECIES.copy()
    rows.flags.writeable = target.flags.writeable = False
    compare(rows, target, [TINY], [2], cv=2, standardize=True)
    np.testing.assert_array_equal(rows, X)


# -------------------------------------------------------------------- n_components


@pytest.mark.parametrize(("width", "expected"), [(1, [1]), (2, [2]), (4, [2]), (8, [2, 8]), (17, [2, 8, 16])])
def test_the_widths_adapt_to_the_columns(width, expected):
    rows = np.random.default_rng(0).normal(size=(40, width))
    assert [row["n_components"] for row in compare(rows, None, [], cv=2).rows] == expected


def test_the_widths_adapt_to_the_training_rows():
    rows = np.random.default_rng(0).normal(size=(20, 17))
    assert [row["n_components"] for row in compare(rows, None, [], cv=2).rows] == [2, 8]


@pytest.mark.parametrize("k", [5, 0, -1, 2.5])
def test_a_width_that_cannot_be_is_refused_with_its_limit(k):
    with pytest.raises(ValueError, match=rf"^n_components={k} is not a whole number from 1 to 4, the smaller of"):
        compare(X, Y, [TINY], [2, k], cv=2)


def test_a_width_above_the_training_rows_of_a_fold_is_refused():
    rows = np.random.default_rng(0).normal(size=(9, 20))
    with pytest.raises(
        ValueError, match=r"^n_components=7 is not a whole number from 1 to 6, .* training rows of a fold"
    ):
        compare(rows, None, [], [7], cv=3)
    assert compare(rows, None, [], [6], cv=3).rows[0]["n_components"] == 6


def test_widths_may_be_one_number_or_an_array_and_are_taken_once():
    for n_components in (2, np.array([2]), [2, 2], (np.int64(2),), range(2, 3)):
        assert [(r["reducer"], r["n_components"]) for r in compare(X, Y, [], n_components, cv=2).folds] == [
            ("PCA", 2)
        ] * 2


def test_rows_are_sorted_as_the_widths_and_reducers_are_given():
    rows = compare(X, Y, [FirstColumns()], [3, 1], cv=2).rows
    assert [(row["n_components"], row["reducer"]) for row in rows] == [
        (3, "PCA"), (3, "FirstColumns"), (1, "PCA"), (1, "FirstColumns"),
    ]  # fmt: skip


# -------------------------------------------------------------------- complaints


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"y": Y[:5]}, ValueError, "^y has 5 rows, but X has 150.$"),
        (
            {"y": np.where(Y == 1, None, "a")},
            ValueError,
            r"^y contains NaN or None, first in row 50 \(rows: 50\): drop",
        ),
        (
            {"y": np.where(Y == 1, np.nan, 1.0)},
            ValueError,
            r"^y contains NaN or None, first in row 50 \(rows: 50\): drop",
        ),
        ({"y": [{}] * 150}, ValueError, "^y has values that are neither text nor numbers: drop those rows.$"),
        ({"y": "species"}, TypeError, "^y is the text 'species': pass the values of the target, and leave its column"),
        ({"X": np.where(X[0, 0] == X, np.inf, X)}, ValueError, "^Input X contains infinity in row 0, column 0: "),
        ({"X": np.where(np.arange(150)[:, None] == 77, np.nan, X)}, ValueError, "^Row 77 of X has no known entry"),
        (
            {"X": np.where(np.arange(4) == 2, np.nan, X)},
            ValueError,
            "^Column 2 of X has no known entry to learn from: ",
        ),
        (
            {"X": csr_matrix(np.where(X > 5, np.nan, X))},
            ValueError,
            "^X is sparse and has NaN: missing",
        ),
        (
            {"groups": Y[:5]},
            ValueError,
            r"^groups has the shape \(5,\), but X has 150 rows: pass a gr",
        ),
        (
            {"groups": [None, *Y[1:]]},
            ValueError,
            r"^groups contains NaN or None, first in row 0 \(rows: 1\): drop",
        ),
        ({"groups": Y, "cv": 4}, ValueError, "^cv=4 is not a number of folds from 2 to 3, the number of groups.$"),
        (
            {"groups": Y, "cv": [(Y > 0, Y < 1)]},
            ValueError,
            "^groups make the folds, but cv has them already: ",
        ),
        ({"standardize": ["a"]}, ValueError, r"^standardize=\['a'\] must be True, False, or an array of 4 truth valu"),
        ({"standardize": [True, False]}, ValueError, "must be True, False, or an array of 4 truth values"),
        ({"random_state": -1}, ValueError, "^random_state=-1 must be a whole number from 0 to 4294967295, or None.$"),
        ({"random_state": np.random.RandomState(0)}, ValueError, "must be a whole number from 0 to 4294967295"),
        ({"y": np.c_[SPECIES, SPECIES]}, ValueError, "^y has 2 columns, which are not all numbers: pass one of them.$"),
        ({"reducers": {1: TINY}}, TypeError, "^reducers has the name 1, which is no text: pass '1'.$"),
        ({"n_repeats": 0}, ValueError, "^n_repeats=0 must be a whole number from 1 on.$"),
        (
            {"n_repeats": 2, "cv": KFold(2)},
            ValueError,
            "^n_repeats repeats the folds of a number: pass an",
        ),
        ({"X": iter([X, X])}, ValueError, "^X gives one chunk at a time, but compare needs all rows at once: pass a"),
        ({"X": "no.csv"}, ValueError, "^X is of type str: pass an array or a DataFrame of numbers.$"),
        ({"X": "no.parquet"}, FileNotFoundError, "^X is the path 'no.parquet', but there is no such file"),
        ({"X": X[:3], "y": None}, ValueError, r"^Found array with 3 sample\(s\)"),
        ({"n_components": []}, ValueError, "^n_components is empty: pass at least one number.$"),
        ({"cv": 1}, ValueError, "^cv=1 is not a number of folds from 2 to 150, the number of rows.$"),
        ({"cv": 151}, ValueError, "^cv=151 is not a number of folds from 2 to 150, the number of rows.$"),
        ({"cv": []}, ValueError, "^cv has no folds: pass at least one pair of training and held-out rows.$"),
        ({"reducers": TINY}, TypeError, r"^reducers must be a dict or a list .*: pass \[Autoencoder\(...\)\]\.$"),
        ({"reducers": make_pipeline(PCA())}, TypeError, r"^reducers must be .*: pass \[Pipeline\(...\)\]\.$"),
        ({"reducers": ["autoencoder"]}, TypeError, "^reducers has the text 'autoencoder': pass an estimator"),
        ({"reducers": "pca"}, TypeError, "^reducers must be a dict or a list of reducers: pass "),
        ({"reducers": [PCA]}, TypeError, r"^reducers has the class PCA: pass an instance, PCA\(\).$"),
        ({"reducers": {"mine": Ridge()}}, TypeError, "^mine is not a reducer: it has no transform.$"),
        ({"y": np.full(150, 0.5)}, ValueError, "^y is 0.5 in every row, so there is nothing to predict from X.$"),
        ({"y": ["yes"] * 150}, ValueError, "^y is 'yes' in every row, so there is nothing to predict from X.$"),
        ({"y": np.c_[X[:, 0], np.zeros(150)]}, ValueError, "^y is 0.0 in every row, so there is nothing to predict"),
        ({"reducers": {"PCA": TINY}}, ValueError, "^The name 'PCA' stands for PCA itself, which is always included"),
    ],
)
def test_bad_input_is_told_in_a_sentence(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        compare(**{"X": X, "y": Y, "reducers": [TINY], "n_components": [2], "cv": 2, **arguments})


# -------------------------------------------------------------------- table


def test_the_table_marks_the_best_of_each_block(comparison):
    for row in comparison.rows + comparison.baselines:
        row.update({column: None for column in row if column.endswith("_std")})
    for row in comparison.rows:
        row.update(r2=0.5, linear=0.25, knn=0.75, neighbors=0.125, fit_seconds=1.0, rows_per_second=1000.0)
    comparison.baselines[0].update(linear=0.875, knn=0.25)
    comparison.baselines[1].update(linear=0.125, knn=0.125)
    find(comparison, "FirstColumns", 1).update(r2=None, linear=0.2504, fit_seconds=0.5)
    find(comparison, "FirstColumns", 3).update(r2=None, linear=0.5, knn=0.5, neighbors=0.25, rows_per_second=2000.0)
    table = comparison.table().splitlines()
    assert [line.split() for line in table[1:]] == [
        ["1", "PCA", "0.500*", "0.250*", "0.750*", "0.125*", "1.00", "1,000*"],
        ["Autoencoder", "0.500*", "0.250*", "0.750*", "0.125*", "1.00", "1,000*"],
        ["FirstColumns", "-", "0.250*", "0.750*", "0.125*", "0.50*", "1,000*"],
        ["3", "PCA", "0.500*", "0.250", "0.750*", "0.125", "1.00*", "1,000"],
        ["Autoencoder", "0.500*", "0.250", "0.750*", "0.125", "1.00*", "1,000"],
        ["FirstColumns", "-", "0.500*", "0.500", "0.250*", "1.00*", "2,000*"],
        ["4", "all", "columns", "-", "0.875", "0.250", "-", "-", "-"],
        ["0", "majority", "class", "-", "0.125", "0.125", "-", "-", "-"],
    ]
    assert len({len(line) for line in table}) == 1
    assert str(comparison) == comparison.table()


def test_another_mark_takes_the_place_of_the_star(comparison):
    stars, brackets = comparison.table(), comparison.table("<{}>")
    assert "*" not in brackets
    assert brackets.count("<") == stars.count("*") > 0
    plain = brackets.replace("<", "").replace(">", "")
    assert plain.split() == stars.replace("*", "").split()


def test_the_best_is_the_greatest_score_and_the_shortest_time():
    comparison = compare(X, Y, [Fixed()], [2], cv=2)
    comparison.rows[0].update(r2=0.1, fit_seconds=2.0, rows_per_second=5.0)
    comparison.rows[1].update(r2=None, fit_seconds=3.0, rows_per_second=6.0)
    assert [comparison.best(c, 2) for c in ("r2", "fit_seconds", "rows_per_second")] == [0.1, 2.0, 6.0]
    assert comparison.best("r2", 99) is None


def test_the_frame_holds_the_rows_by_width_and_reducer(comparison):
    frame = comparison.to_frame()
    assert frame.index.names == ["n_components", "reducer"]
    columns = ["r2", "linear", "knn", "neighbors", "fit_seconds", "rows_per_second"]
    assert list(frame.columns) == [*columns, *(f"{column}_std" for column in columns)]
    for row in comparison.rows:
        assert frame.loc[(row["n_components"], row["reducer"]), "knn"] == row["knn"]


@pytest.mark.parametrize("verbose", [0, 1])
def test_verbose_shows_a_bar_on_stderr(verbose, capfd):
    compare(X, Y, [FirstColumns()], [1, 2], cv=3, verbose=verbose)
    out, err = capfd.readouterr()
    assert out == ""
    assert ("compare: 100%" in err and "15/15" in err) if verbose else err == ""
    assert err.endswith("\n") or not verbose


def test_the_bar_is_closed_where_a_reducer_fails(capfd):
    with pytest.raises(ValueError, match="gpu"):
        compare(X, Y, [Autoencoder(device="gpu")], [2], cv=2, verbose=1)
    assert capfd.readouterr().err.endswith("\n")


def test_gaps_are_given_to_those_that_take_them_and_filled_with_means_for_the_others():
    rng = np.random.RandomState(0)
    holey = np.where(rng.rand(*X.shape) < 0.2, np.nan, X)
    holey[np.isnan(holey).all(1)] = X[np.isnan(holey).all(1)]
    given = {"Autoencoder": Autoencoder(max_iter=3, random_state=0)}
    result = compare(holey, Y, given, n_components=[2], cv=[(np.arange(0, 150, 2), np.arange(1, 150, 2))])
    train, test = holey[::2], holey[1::2]
    mean = np.nanmean(train, axis=0)
    filled = [np.where(np.isnan(part), mean, part) for part in (train, test)]
    rows = {"PCA": (PCA(2, random_state=0), *filled), "Autoencoder": (clone(given["Autoencoder"]), train, test)}
    for row in result.rows:
        model, fitted, used = rows[row["reducer"]]
        model.set_params(n_components=2).fit(fitted)
        restored = model.inverse_transform(model.transform(used))
        error, total = np.nansum((test - restored) ** 2), np.nansum((test - mean) ** 2)
        assert row["r2"] == pytest.approx(1 - error / total, rel=1e-5)
    np.testing.assert_array_equal(result.X_test, filled[1])


@pytest.mark.parametrize("constant", [3.0, 30.0])
def test_a_pipeline_with_an_imputer_fills_gaps_itself(constant):
    """Its step that would undo the imputer does not work, so it has no R2."""
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
    train, test = next(iter(KFold(2).split(X)))
    pipeline = make_pipeline(SimpleImputer(strategy="constant", fill_value=constant), PCA(random_state=0))
    result = compare(gaps, Y > 0, [pipeline], [2], cv=[(train, test)])
    expected = PCA(2).fit(np.where(np.isnan(gaps[train]), constant, gaps[train]))
    np.testing.assert_allclose(result.estimators["Pipeline", 2][-1].mean_, expected.mean_)
    assert [row["r2"] is None for row in result.rows] == [False, True]


def test_a_column_without_entries_in_the_training_rows_tells_nothing_in_that_fold():
    rare = np.full((150, 1), np.nan)
    rare[7] = 1e6
    given = {"reducers": [Autoencoder(max_iter=2)], "n_components": [2], "cv": [(np.arange(20, 150), np.arange(20))]}
    result, plain = compare(np.c_[X, rare], Y, **given), compare(X, Y, **given)
    assert result.rows[0]["r2"] == pytest.approx(plain.rows[0]["r2"], abs=1e-9)
    assert result.rows[1]["r2"] > 0.8
    assert not result.X_test[:, 4].any()


def test_a_table_of_arrow_a_file_and_a_tensor_are_compared_as_their_numbers(tmp_path):
    frame = IRIS.data.set_index(np.arange(150, 300))
    frame.to_parquet(tmp_path / "a.parquet")
    given = {"y": Y, "reducers": [TINY], "n_components": [2], "cv": 2}
    rows = [[r["r2"] for r in compare(X, **given).rows]]
    for table in (pa.Table.from_pandas(frame), tmp_path / "a.parquet", str(tmp_path / "a.parquet"), torch.tensor(X)):
        rows.append([r["r2"] for r in compare(table, **given).rows])
    assert rows[1:] == rows[:1] * 4


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        (pd.Categorical(["a", "b"] * 75), "^Input X contains text, 'a', in row 0, column 'k': encode the column"),
        (pd.date_range("2020", periods=150), "^Input X contains dates or times in column 'k', of type datetime64"),
        (np.full(150, np.nan), "^Column 'k' of X has no known entry to learn from: leave it out of X.$"),
    ],
)
def test_a_frame_that_does_not_hold_numbers_is_told_by_the_name_of_the_column(column, sentence):
    with pytest.raises(ValueError, match=sentence):
        compare(IRIS.data.assign(k=column), Y, [TINY], n_components=[2], cv=2)


def test_some_columns_alone_can_be_standardized():
    scaled = np.r_[False, True, True, False]
    one = compare(X, Y, [PCA()], n_components=[2], cv=2, standardize=scaled)
    assert not np.allclose(one.X_test.std(0)[scaled], X.std(0)[scaled], rtol=0.1)
    splits = compare(X, Y, [PCA()], n_components=[2], cv=2)
    np.testing.assert_array_equal(one.X_test[:, ~scaled], splits.X_test[:, ~scaled])


# -------------------------------------------------------------------- groups, repeated folds and their spread


def codes_and_model(train, test, X=X, y=Y, k=2):
    """Codes of PCA, and the linear model of the table on them."""
    pca = PCA(k).fit(X[train])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return model.fit(pca.transform(X[train]), y[train]), pca.transform(X[test])


PATIENTS = np.random.RandomState(0).permutation(np.repeat(np.arange(15), 10))


@pytest.mark.parametrize("y", [Y, X[:, 0]], ids=["classes", "numbers"])
def test_folds_of_a_number_keep_groups_together_and_are_stratified_for_classes(y):
    splitter = (StratifiedGroupKFold if y is Y else GroupKFold)(3, shuffle=True, random_state=0)
    expected = [test for _, test in splitter.split(X, y, PATIENTS)]
    comparison = compare(X, y, [FirstColumns()], [2], cv=3, groups=PATIENTS)
    np.testing.assert_array_equal(comparison.X_test, X[expected[0]])
    fits = [seen for method, seen in FirstColumns.seen if method == "fit"]
    for fit, test in zip(fits, expected, strict=True):
        np.testing.assert_array_equal(fit, np.delete(X, test, axis=0))
        assert not set(PATIENTS[test]) & set(np.delete(PATIENTS, test))


@pytest.mark.parametrize(
    ("splitter", "groups"),
    [(GroupKFold(3), PATIENTS), (LeavePGroupsOut(1), PATIENTS % 4), (RepeatedKFold(n_splits=2, n_repeats=2), None)],
)
def test_scores_of_a_splitter_are_those_of_cross_validate(splitter, groups):
    if groups is None:
        splitter.random_state = 3
    pipeline = make_pipeline(PCA(2), StandardScaler(), LogisticRegression(max_iter=1000))
    expected = cross_validate(pipeline, X, Y, cv=splitter, groups=groups)["test_score"]
    comparison = compare(X, Y, [], [2], cv=splitter, groups=groups)
    assert [fold["linear"] for fold in comparison.folds] == pytest.approx(expected, abs=1e-12)
    assert len(expected) == len(comparison.folds)


def test_settings_tell_folds_and_groups_in_words():
    """Groups that cannot be sorted are told too."""
    groups = pd.Series([1, "a", "b"] * 50)
    assert compare(X, Y, [], [2], cv=2, groups=groups).settings["groups"] == "3"
    for cv in (zip(*[iter(np.arange(150).reshape(2, 75))] * 2, strict=True), (np.arange(150).reshape(2, 75),)):
        assert compare(X, None, [], [2], cv=cv).settings["cv"] == "given folds"
    assert compare(X, None, [], [2], cv=KFold(2)).settings["cv"] == str(KFold(2))


def test_repeated_folds_are_others_each_time_and_begin_with_those_of_one_time():
    once, twice = (compare(X, Y, [], [2], cv=2, n_repeats=n, random_state=5) for n in (1, 2))
    assert [fold["fold"] for fold in twice.folds] == [0, 1, 2, 3]
    seeds = [StratifiedKFold(2, shuffle=True, random_state=seed) for seed in (5, 6)]
    expected = [codes_and_model(*split) for splitter in seeds for split in splitter.split(X, Y)]
    tests = [Y[test] for splitter in seeds for _, test in splitter.split(X, Y)]
    accuracy = [model.score(H, y) for (model, H), y in zip(expected, tests, strict=True)]
    assert [fold["linear"] for fold in twice.folds] == pytest.approx(accuracy, abs=1e-12)
    assert [f["linear"] for f in once.folds] == [f["linear"] for f in twice.folds[:2]]


def test_spreads_are_those_of_pandas(comparison):
    frame = pd.DataFrame(comparison.folds).drop(columns="fold")
    expected = frame.groupby(["n_components", "reducer"]).std()
    for row in comparison.rows:
        for column in comparison.columns:
            spread = expected.loc[(row["n_components"], row["reducer"]), column]
            assert row[f"{column}_std"] == (None if np.isnan(spread) else pytest.approx(spread))
    (row,) = compare(X, Y, [], [2], cv=[(np.arange(100), np.arange(100, 150))]).rows
    assert {row[column] for column in row if column.endswith("_std")} == {None}


def test_the_table_has_means_and_spreads_of_several_folds_and_fits_a_terminal():
    comparison = compare(X, Y, {"x" * 19: FirstColumns()}, [2], cv=2)
    lines = comparison.table().splitlines()
    row = comparison.rows[0]
    shown = [f"{row[c]:.3f}±{row[c + '_std']:.3f}".replace("±0.", "±.") for c in ("r2", "linear", "knn", "neighbors")]
    assert [cell.rstrip("*") for cell in lines[1].split()[2:6]] == shown
    assert "±" not in "".join(lines[1].split()[6:])
    assert len({len(line) for line in lines}) == 1
    assert len(lines[0]) <= 100
    one = compare(X, Y, [], [2], cv=[(np.arange(100), np.arange(100, 150))])
    assert "±" not in one.table()


def test_a_spread_of_nothing_beside_a_large_number_is_a_zero():
    assert with_spread({"rows": 1234.0, "rows_std": 0.0}, "rows", form_of([1234.0])) == "1,234±0"


def test_columns_that_do_not_fit_a_terminal_are_below_the_others():
    named = dict.fromkeys(["a_scorer_with_a_long_name", "another_scorer_with_a_long_name", "b"], "accuracy")
    comparison = compare(X, Y, {"x" * 40: FirstColumns()}, [2], cv=2, scoring=named)
    blocks = [block.splitlines() for block in comparison.table().split("\n\n")]
    assert [len(block) for block in blocks] == [5] * len(blocks)
    assert all(len(line) <= 100 for block in blocks for line in block)
    headings = " ".join(block[0].replace("n_components", "").replace("reducer", "") for block in blocks).split()
    assert headings == ["R2", "linear", "kNN", "kept", "fit", "s", "rows/s", *named]
    assert [block[2].split()[0] for block in blocks] == ["x" * 40] * len(blocks)


# -------------------------------------------------------------------- sparse X


@pytest.mark.parametrize("kind", [csr_matrix, csc_array])
def test_a_sparse_x_is_compared_as_its_array(kind):
    """TruncatedSVD, PCA and ours are given it as it is, FastICA as an array."""
    rows = np.where(X > 2, X + np.random.RandomState(0).normal(0, 0.1, X.shape), 0.0)  # no two distances are equal
    reducers = [PCA(svd_solver="covariance_eigh"), TruncatedSVD(algorithm="arpack"), FastICA(max_iter=2000), TINY]
    expected, found = (compare(table, Y, reducers, [2], cv=2) for table in (rows, kind(rows)))
    assert issparse(found.X_test)
    np.testing.assert_array_equal(found.X_test.toarray(), expected.X_test)
    for one, other in zip(found.rows + found.baselines, expected.rows + expected.baselines, strict=True):
        for column in ("r2", "linear", "knn", "neighbors"):
            assert one[column] == (None if other[column] is None else pytest.approx(other[column], abs=1e-3)), column


def test_reducers_are_given_a_sparse_x_as_they_take_it():
    class Sparse(FirstColumns):
        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.input_tags.sparse = True
            return tags

    seen = {}
    for reducer in (Sparse(), FirstColumns()):
        FirstColumns.seen.clear()
        compare(csr_matrix(X), Y, {"mine": reducer}, [2], cv=2)
        seen[type(reducer).__name__] = {issparse(rows) for _, rows in FirstColumns.seen}
    assert seen == {"Sparse": {True}, "FirstColumns": {False}}


def test_a_sparse_x_that_is_too_large_as_an_array_is_told():
    wide = random_table(300, 5000, density=0.001, format="csr", random_state=0)
    with config_context(working_memory=8):
        with pytest.raises(ValueError, match=r"^FastICA with .* fold 1 of 2: it takes no sparse X, .* needs 11 MiB, a"):
            compare(wide, None, [FastICA()], [2], cv=2)
        assert names(compare(wide, None, [TruncatedSVD()], [2], cv=2)) == ["PCA", "TruncatedSVD"]


def test_a_pipeline_whose_first_reducer_takes_sparse_x_is_given_it():
    """The steps behind it are given its codes. A step before it that needs arrays needs all as an array."""
    wide = random_table(300, 5000, density=0.001, format="csr", random_state=0)
    with config_context(working_memory=8):
        reducers = [make_pipeline(TruncatedSVD(3), FastICA(max_iter=1, tol=9.0))]
        result = compare(wide, None, reducers, [2], cv=2)
        assert names(result) == ["PCA", "Pipeline"]
        assert "codes Pipeline" in ComparisonDisplay.from_comparison(result).axes_
        with pytest.raises(ValueError, match="it takes no sparse X"):
            compare(wide, None, [make_pipeline(StandardScaler(), TruncatedSVD())], [2], cv=2)


def test_r2_of_many_sparse_columns_is_that_of_one_array(monkeypatch):
    whole = compare(csr_matrix(X), None, [], [2], cv=2).rows[0]["r2"]
    monkeypatch.setattr("skae.comparison.evaluation.BLOCK", 10)
    assert compare(csr_matrix(X), None, [], [2], cv=2).rows[0]["r2"] == pytest.approx(whole, rel=1e-12)


def test_columns_of_a_sparse_x_are_divided_by_their_deviation():
    chosen = np.r_[True, False, True, True]
    found = compare(csr_matrix(X), Y, [], [1], cv=2, standardize=chosen)
    train, test = next(StratifiedKFold(2, shuffle=True, random_state=0).split(X, Y))
    np.testing.assert_allclose(found.X_test.toarray(), X[test] / np.where(chosen, X[train].std(axis=0), 1.0))
    expected = compare(X, Y, [], [1], cv=2, standardize=chosen).rows[0]["r2"]
    assert found.rows[0]["r2"] == pytest.approx(expected, abs=1e-9)
    assert found.rows[0]["r2"] != pytest.approx(compare(X, Y, [], [1], cv=2).rows[0]["r2"], abs=1e-3)


def test_all_components_of_a_sparse_x_are_kept_by_pca():
    assert compare(csr_matrix(X), Y, [], [4], cv=2).rows[0]["r2"] == pytest.approx(1.0)


def test_a_sparse_x_of_the_user_is_not_changed():
    """Nor is one with entries that are there twice, which count as their sum."""
    twice = csr_matrix((np.repeat(X.ravel(), 2), np.repeat(np.tile(np.arange(4), 150), 2), np.arange(0, 1201, 8)))
    before = twice.data.copy()
    found = compare(twice, Y, [], [2], cv=2)
    np.testing.assert_array_equal(twice.data, before)
    np.testing.assert_allclose(found.X_test.toarray(), 2 * compare(X, Y, [], [2], cv=2).X_test)
