"""Scorers as further columns of compare(), against cross_validate."""

from functools import partial

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA, KernelPCA
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.manifold import TSNE
from sklearn.metrics import fbeta_score, make_scorer
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import compare, metrics
from skae.comparison.page import page
from skae.inspection import ComparisonDisplay

X, Y = load_iris(return_X_y=True)
FOLDS = list(StratifiedKFold(3, shuffle=True, random_state=0).split(X, Y))
F2 = make_scorer(fbeta_score, beta=2, average="macro")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("skae.comparison.evaluation.TIMED", 0.0)


def column(result, name):
    return [fold[name] for fold in result.folds]


def spread_of_code(estimator, X, y):
    return estimator.transform(X).std()


def two_scores(estimator, X, y):
    return {"rows": len(X), "classes": np.float64(len(set(y)))}


# ------------------------------------------------------------------ values


def test_scorers_of_predictions_judge_the_linear_model_as_in_cross_validate():
    scoring = {"f1": "f1_macro", "auc": "roc_auc_ovr", "loss": "neg_log_loss", "f2": F2}
    result = compare(X, Y, [], [2], cv=FOLDS, scoring=scoring)
    linear = LogisticRegression(max_iter=1000)
    expected = cross_validate(make_pipeline(PCA(2), StandardScaler(), linear), X, Y, cv=FOLDS, scoring=scoring)
    columns = cross_validate(make_pipeline(StandardScaler(), linear), X, Y, cv=FOLDS, scoring=scoring)
    guess = cross_validate(DummyClassifier(strategy="most_frequent"), X, Y, cv=FOLDS, scoring=scoring)
    for name in scoring:
        assert column(result, name) == pytest.approx(expected[f"test_{name}"], abs=1e-12)
        assert result.rows[0][name] == pytest.approx(expected[f"test_{name}"].mean())
        assert result.rows[0][f"{name}_std"] == pytest.approx(expected[f"test_{name}"].std(ddof=1))
        assert result.baselines[0][name] == pytest.approx(columns[f"test_{name}"].mean())
        assert result.baselines[1][name] == pytest.approx(guess[f"test_{name}"].mean())
    assert list(result.rows[0])[:12] == [
        "reducer", "n_components", "r2", "linear", "knn", "neighbors", "fit_seconds", "rows_per_second", *scoring,
    ]  # fmt: skip


def test_predictions_of_numbers_are_judged_too():
    X, y = load_diabetes(return_X_y=True)
    folds = [(np.arange(300), np.arange(300, 442))]
    pipeline = make_pipeline(PCA(2), StandardScaler(), Ridge())
    expected = cross_validate(pipeline, X, y, cv=folds, scoring="neg_mean_absolute_error")["test_score"]
    result = compare(X, y, [], [2], cv=folds, scoring="neg_mean_absolute_error")
    assert column(result, "neg_mean_absolute_error") == pytest.approx(expected)


def test_other_callables_are_given_the_reducer_as_in_cross_validate():
    scoring = [
        spread_of_code,
        metrics.trustworthiness,
        "reconstruction_r2",
        partial(metrics.knn_accuracy, n_neighbors=3),
    ]
    names = ["spread_of_code", "trustworthiness", "reconstruction_r2", "knn_accuracy"]
    result = compare(X, Y, [], [2], cv=FOLDS, scoring=scoring)
    peer = dict(zip(names, [*scoring[:2], metrics.reconstruction_r2, scoring[3]], strict=True))
    expected = cross_validate(PCA(2), X, Y, cv=FOLDS, scoring=peer)
    for name in names:
        assert column(result, name) == pytest.approx(expected[f"test_{name}"], abs=1e-12)
        assert [row[name] for row in result.baselines] == [None, None]
    assert result.columns[-4:] == names
    assert result.to_frame()["trustworthiness"].iloc[0] == result.rows[0]["trustworthiness"]
    assert "trustworthiness" in result.table()


def test_a_callable_may_return_several_columns():
    result = compare(X, Y, [], [2], cv=FOLDS, scoring=two_scores)
    assert column(result, "rows") == [50.0] * 3
    assert column(result, "classes") == [3.0] * 3
    with pytest.raises(ValueError, match="a scorer returned a value for 'knn', which is the name of another column"):
        compare(X, Y, [], [2], cv=FOLDS, scoring=lambda *_: {"knn": 1.0})


def test_several_columns_of_a_callable_are_shown_and_drawn():
    """All columns and a guess have no values there, because the callable judges reducers."""
    result = compare(X, Y, [], [2], cv=FOLDS, scoring=two_scores)
    assert [row["classes"] for row in result.baselines] == [None, None]
    assert "3.000±.000*" in result.table()
    assert "<th>classes</th>" in page(result, None, None)
    assert {"rows", "classes"} < ComparisonDisplay.from_comparison(result).axes_.keys()


@pytest.mark.parametrize("name", ["reducer", "fold", "f1_std"])
def test_columns_of_a_callable_have_names_of_their_own(name):
    with pytest.raises(ValueError, match=f"a scorer returned a value for {name!r}, which is the name of another"):
        compare(X, Y, [], [2], cv=FOLDS, scoring=lambda *_: {name: 1.0})


def test_without_a_target_reducers_are_scored_without_one():
    result = compare(X, None, [], [2], cv=FOLDS, scoring={"mine": lambda estimator, X: float(len(X))})
    assert column(result, "mine") == [50.0] * 3
    with pytest.raises(ValueError, match=r"^The scorer 'f1_macro' judges predictions of a target, and there is n"):
        compare(X, None, [], [2], cv=FOLDS, scoring="f1_macro")


def test_the_best_of_a_scorer_is_the_greatest():
    scoring = {"mine": lambda model, *_: hasattr(model, "mean_")}
    result = compare(X, Y, [KernelPCA()], [2], cv=FOLDS, scoring=scoring)
    assert [result.is_best(row, "mine") for row in result.rows] == [True, False]


def test_scorers_are_given_the_metadata_that_they_have_arguments_for():
    weight = np.arange(1.0, 151.0)
    seen = []

    def recorded(estimator, X, y, sample_weight=None, shade=None):
        seen.append((sample_weight, shade))
        return 0.0

    params = {"sample_weight": weight, "shade": 3}
    compare(X, Y, [], [2], cv=FOLDS, scoring=[recorded, "trustworthiness"], params=params)
    for (given, shade), (_, test) in zip(seen, FOLDS, strict=True):
        np.testing.assert_array_equal(given, weight[test])
        assert shade == 3


# ------------------------------------------------------------------ scorers that fail


def test_a_scorer_that_fails_has_no_value_and_tells_why():
    with pytest.warns(UndefinedMetricWarning) as told:
        result = compare(X, Y, [KernelPCA()], [2], cv=FOLDS, scoring="neg_reconstruction_mse")
    said = {str(one.message) for one in told}
    assert len(said) == 1
    assert said.pop().startswith(
        "KernelPCA with n_components=2: The scorer 'neg_reconstruction_mse' failed (The fit_inverse_transform parameter"
    )
    assert [row["neg_reconstruction_mse"] is None for row in result.rows] == [False, True]


def test_a_score_that_is_not_finite_has_no_value():
    with pytest.warns(UndefinedMetricWarning, match="The scorer 'mine' returned nan: there is no value in its column."):
        result = compare(X, Y, [], [2], cv=FOLDS, scoring={"mine": lambda *_: np.nan})
    assert (result.rows[0]["mine"], result.rows[0]["mine_std"]) == (None, None)
    assert "mine" not in result.table()


def test_a_reducer_that_cannot_encode_held_out_rows_has_no_score():
    result = compare(X, Y, [TSNE()], [2], cv=[(np.arange(0, 150, 2), np.arange(1, 150, 2))], scoring=spread_of_code)
    assert result.rows[1]["spread_of_code"] is None


class Odd(BaseEstimator):
    def __call__(self, estimator, X, y):
        return "good"


@pytest.mark.parametrize(
    ("scoring", "error", "sentence"),
    [
        ("f1_macroo", ValueError, "^There is no scorer 'f1_macroo': pass one of .* or of skae.metrics: continuity, "),
        (3, TypeError, r"^scoring has 3: pass the name of a scorer, or a callable\(estimator, X, y\).$"),
        ("r2", ValueError, r"^scoring has the name 'r2', which another column has: .* as in \{'my_r2': \.\.\.\}\.$"),
        ({"fold": F2}, ValueError, "^scoring has the name 'fold', which another column has"),
        ({"knn_std": F2}, ValueError, r"which another column has: .* as in \{'my_knn': \.\.\.\}\.$"),
        ([F2, F2], ValueError, "^scoring has two scorers 'score': pass a dict with a name for each.$"),
        (
            Odd(),
            ValueError,
            "^PCA with n_components=2 failed in fold 1 of 3: the scorer 'score' returned 'good'",
        ),
    ],
)
def test_scorers_that_are_none_are_refused(scoring, error, sentence):
    with pytest.raises(error, match=sentence):
        compare(X, Y, [], [2], cv=FOLDS, scoring=scoring)
