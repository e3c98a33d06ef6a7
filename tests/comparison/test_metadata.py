"""Sample weights and other metadata of compare(): who is given them, and what they do, against cross_validate."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, make_scorer, r2_score
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skae import Autoencoder, compare

X, Y = load_iris(return_X_y=True)
WEIGHT = np.random.RandomState(0).randint(1, 4, len(X)).astype(float)
FOLDS = list(StratifiedKFold(3, shuffle=True, random_state=0).split(X, Y))


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("skae.comparison.evaluation.TIMED", 0.0)
    Columns.seen.clear()


class Columns(TransformerMixin, BaseEstimator):
    """Keeps columns, and records what its fit is given."""

    seen: list = []  # noqa: RUF012 -- clones share it

    def __init__(self, n_components=2):
        self.n_components = n_components

    def fit(self, X, y=None, sample_weight=None, color=None):
        self.seen.append((sample_weight, color))
        self.is_fitted_ = True
        return self

    def transform(self, X):
        return X[:, : self.n_components]


def passed(comparison, reducer):
    return [fold for fold in comparison.folds if fold["reducer"] == reducer]


# ------------------------------------------------------------------ who is given them


def test_reducers_are_given_the_metadata_of_their_training_rows():
    color = pd.Series(np.arange(150) * 2, index=np.arange(150)[::-1])
    compare(X, Y, [Columns()], [2], cv=3, params={"sample_weight": list(WEIGHT), "color": color})
    for (weight, colors), (train, _) in zip(Columns.seen, FOLDS, strict=True):
        np.testing.assert_array_equal(weight, WEIGHT[train])
        np.testing.assert_array_equal(colors, 2 * train)


def test_what_has_no_entry_for_each_row_is_given_whole():
    compare(X, Y, [Columns()], [2], cv=3, params={"color": "red", "sample_weight": None})
    assert Columns.seen == [(None, "red")] * 3


def test_steps_of_a_pipeline_are_given_what_they_take():
    identity = FunctionTransformer()
    nested = make_pipeline(identity, make_pipeline(StandardScaler(), Columns()))
    compare(X, Y, {"a": nested}, [2], cv=3, params={"sample_weight": WEIGHT})
    weights = [weight for weight, _ in Columns.seen]
    for weight, (train, _) in zip(weights, FOLDS, strict=True):
        np.testing.assert_array_equal(weight, WEIGHT[train])
    Columns.seen.clear()
    compare(X, Y, {"a": make_pipeline(identity, Columns())}, [2], cv=3, params={"columns__color": WEIGHT})
    assert [weight for weight, _ in Columns.seen] == [None] * 3
    np.testing.assert_array_equal(Columns.seen[0][1], WEIGHT[FOLDS[0][0]])


def test_requests_decide_with_metadata_routing():
    with config_context(enable_metadata_routing=True):
        given = {"sample_weight": WEIGHT}
        run = partial(compare, X, Y, n_components=[2], cv=3)
        run([Columns().set_fit_request(sample_weight=False)], params=given)
        assert Columns.seen == [(None, None)] * 3
        Columns.seen.clear()
        run([Columns().set_fit_request(sample_weight="mine", color=True)], params={"mine": WEIGHT, "color": 3})
        np.testing.assert_array_equal(Columns.seen[0][0], WEIGHT[FOLDS[0][0]])
        assert Columns.seen[0][1] == 3
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            run([Columns()], params=given)
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        result = run([], params=given, scoring={"asked": scorer})
        assert [f["asked"] for f in result.folds] == pytest.approx([f["linear"] for f in result.folds])


def test_the_settings_tell_who_was_given_weights():
    settings = compare(X, Y, [Columns()], [2], cv=3, params={"sample_weight": WEIGHT}).settings
    assert settings["sample_weight"] == "given to Columns, not to PCA"


@pytest.mark.parametrize(
    ("params", "error", "sentence"),
    [
        ({"shade": WEIGHT}, ValueError, "^params has 'shade', which no reducer and no scorer takes.$"),
        ({"groups": Y}, ValueError, r"^params has 'groups', which no reducer and no scorer takes: pass it a"),
        ([WEIGHT], TypeError, "^params is of type list: pass a dict, such as"),
        ({"sample_weight": WEIGHT[:9]}, ValueError, "^sample_weight has 9 weights, but X has 150 rows"),
        ({"sample_weight": -WEIGHT}, ValueError, "Negative values in data passed to `sample_weight`|negative"),
        (
            {"sample_weight": np.zeros(150)},
            ValueError,
            "must contain at least one non-zero|^All sample weights are zero",
        ),
        (
            {"sample_weight": np.isin(np.arange(150), FOLDS[1][0])},
            ValueError,
            "^All sample weights of held-out rows of fold 2 of 3 are zero: leave out rows that do not count, or pass",
        ),
    ],
)
def test_metadata_that_cannot_be_used_are_refused(params, error, sentence):
    with pytest.raises(error, match=sentence):
        compare(X, Y, [], [2], cv=3, params=params)


# ------------------------------------------------------------------ what weights do


def test_weighted_scores_are_those_of_cross_validate():
    """A pipeline hands weights on to the linear model by routing, as the scorer is given them."""
    with config_context(enable_metadata_routing=True):
        scale = StandardScaler().set_fit_request(sample_weight=True)
        linear = LogisticRegression(max_iter=1000).set_fit_request(sample_weight=True)
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        pipeline = make_pipeline(PCA(2), scale, linear)
        given = {"cv": FOLDS, "params": {"sample_weight": WEIGHT}}
        expected = cross_validate(pipeline, X, Y, scoring=scorer, **given)["test_score"]
    result = compare(X, Y, [], [2], scoring=["accuracy"], **given)
    for column in ("linear", "accuracy"):
        assert [fold[column] for fold in result.folds] == pytest.approx(expected, abs=1e-12)
    unweighted = [fold["linear"] for fold in compare(X, Y, [], [2], cv=FOLDS).folds]
    assert unweighted != pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("y", [Y, X[:, 3]], ids=["classes", "numbers"])
def test_a_weight_of_2_is_a_row_that_is_there_twice(y):
    """For everything but nearest neighbours. The reducer is fitted to the same rows."""
    table = X[:, :3] * [1, 10, 100]
    train, test = FOLDS[0]
    often = [np.repeat(rows, WEIGHT[rows].astype(int)) for rows in (train, test)]
    run = partial(compare, reducers=[Columns()], n_components=[2], standardize=True)
    weighted = run(table, y, cv=[(train, test)], params={"sample_weight": WEIGHT})
    repeated = run(table, y, cv=[tuple(often)])
    plain = run(table, y, cv=[(train, test)])
    (one, *_), (other, *_), (without, *_) = (passed(result, "Columns") for result in (weighted, repeated, plain))
    assert one["linear"] == pytest.approx(other["linear"], abs=1e-6)
    assert one["linear"] != pytest.approx(without["linear"], abs=1e-6)
    columns = [[row["linear"] for row in result.baselines] for result in (weighted, repeated)]
    assert columns[0] == pytest.approx(columns[1], abs=1e-6)


def test_r2_with_weights_is_that_of_weighted_sums():
    result = compare(X, Y, [], [2], cv=FOLDS, params={"sample_weight": WEIGHT})
    for fold, (train, test) in zip(result.folds, FOLDS, strict=True):
        pca = PCA(2).fit(X[train])
        mean = np.average(X[train], axis=0, weights=WEIGHT[train])
        restored = pca.inverse_transform(pca.transform(X[test]))
        error, total = (WEIGHT[test] @ ((X[test] - other) ** 2).sum(axis=1) for other in (restored, mean))
        assert fold["r2"] == pytest.approx(1 - error / total, abs=1e-12)


def test_neighbours_vote_without_weights_and_are_scored_with_them():
    result = compare(X, Y, [], [2], cv=FOLDS, params={"sample_weight": WEIGHT})
    for fold, (train, test) in zip(result.folds, FOLDS, strict=True):
        pca = PCA(2).fit(X[train])
        knn = KNeighborsClassifier(5).fit(pca.transform(X[train]), Y[train])
        assert fold["knn"] == pytest.approx(knn.score(pca.transform(X[test]), Y[test], WEIGHT[test]), abs=1e-12)


def test_gaps_are_filled_with_weighted_means():
    holey = X.copy()
    holey[::7, 1] = np.nan
    train, test = FOLDS[0]
    result = compare(holey, None, [], [2], cv=[(train, test)], params={"sample_weight": WEIGHT})
    known = train[~np.isnan(holey[train, 1])]
    mean = np.average(holey[known, 1], weights=WEIGHT[known])
    assert result.X_test[np.isnan(holey[test, 1]), 1] == pytest.approx(mean)
    filled = np.where(np.isnan(holey), [[0, mean, 0, 0]], holey)
    pca = PCA(2).fit(filled[train])
    center = np.average(filled[train], axis=0, weights=WEIGHT[train])
    restored = pca.inverse_transform(pca.transform(filled[test]))
    error, total = (WEIGHT[test] @ np.nansum((holey[test] - other) ** 2, axis=1) for other in (restored, center))
    assert result.rows[0]["r2"] == pytest.approx(1 - error / total, abs=1e-9)


def test_rows_of_weight_zero_do_not_count():
    weight = np.where(np.arange(150) % 3, 1.0, 0.0)
    train, test = np.arange(0, 150, 2), np.arange(1, 150, 2)
    model = Autoencoder(hidden_layer_sizes=(4,), max_iter=2, batch_size=200, random_state=0)
    run = partial(compare, X, Y, [model], [2])
    weighted = run(cv=[(train, test)], params={"sample_weight": weight})
    fewer = run(cv=[(train[weight[train] > 0], test[weight[test] > 0])])
    (one,), (other,) = (passed(result, "Autoencoder") for result in (weighted, fewer))
    assert one["r2"] == pytest.approx(other["r2"], abs=1e-4)
    assert one["linear"] == pytest.approx(other["linear"], abs=1e-6)


def test_a_regression_is_scored_with_weights():
    y, (train, test) = X[:, 3], FOLDS[0]
    result = compare(X[:, :3], y, [], [2], cv=[(train, test)], params={"sample_weight": WEIGHT})
    pca = PCA(2).fit(X[train, :3])
    H, H_test = pca.transform(X[train, :3]), pca.transform(X[test, :3])
    scale = StandardScaler().fit(H, sample_weight=WEIGHT[train])
    ridge = Ridge().fit(scale.transform(H), y[train], sample_weight=WEIGHT[train])
    predicted = ridge.predict(scale.transform(H_test))
    assert result.rows[0]["linear"] == pytest.approx(r2_score(y[test], predicted, sample_weight=WEIGHT[test]))
