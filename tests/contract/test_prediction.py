"""What the estimators that predict y promise, where y is known for some of the rows."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from contract.requirements import refuses, require_same
from contract.tables import CLASSES, entering, predicts
from sklearn import datasets
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

SPECIES = datasets.load_iris().target
WORDS = np.array(["setosa", "versicolor", "virginica"])
DAYS = np.array(["2020-01-01", "2020-06-01", "2021-01-01"], "M8[D]")
CLASSIFIER = CLASSES["SemiSupervisedAutoencoder"]
REGRESSOR = CLASSES["SemiSupervisedAutoencoderRegressor"]

every_classifier = entering("prediction", is_classifier)
every_regressor = entering("prediction", is_regressor)
every_predictor = entering("prediction", predicts)


@pytest.fixture
def y(estimator, few, widths):
    return few if is_classifier(estimator) else widths


def is_of_style(estimator):
    """Whether the code holds what y does not say about a row, as in a generative model of rows given y."""
    return hasattr(estimator, "posterior")


def with_none(y):
    return np.where(y == -1, None, WORDS[y])


@every_predictor
def test_they_are_a_classifier_or_a_regressor_and_a_transformer(estimator):
    assert is_classifier(estimator) != is_regressor(estimator)
    tags = estimator.__sklearn_tags__()
    assert tags.target_tags.required
    assert tags.target_tags.multi_output == is_regressor(estimator)
    assert tags.transformer_tags is not None


@every_predictor
def test_a_step_in_the_middle_of_a_pipeline(estimator, iris):
    last = LogisticRegression() if is_classifier(estimator) else Ridge()
    y = SPECIES if is_classifier(estimator) else iris[:, 3]
    pipe = make_pipeline(StandardScaler(), estimator.set_params(max_iter=20), last).fit(iris[:, :3], y)
    least = -1.0 if is_of_style(estimator) else 0.7
    assert least < pipe.score(iris[:, :3], y) <= 1.0


@every_predictor
def test_weights_repeat_rows(estimator, iris, y, rng):
    """And only count by their ratio."""
    X, y, weight = iris[::2], y[::2], rng.integers(0, 4, 75)
    one = clone(estimator).fit(X, y, sample_weight=weight)
    require_same(one, clone(estimator).fit(X.repeat(weight, axis=0), y.repeat(weight)), X, atol=1e-5)
    require_same(one, clone(estimator).fit(X, y, sample_weight=5 * weight), X, atol=1e-5)


@pytest.mark.parametrize("X", [np.ones((20, 4)), np.arange(20.0)[:, None]], ids=["constant", "one column"])
@every_predictor
def test_rows_that_tell_nothing_or_little(estimator, X):
    assert np.isfinite(estimator.fit(X, np.arange(20) % 2).predict(X)).all()


@every_predictor
def test_early_stopping_holds_out_rows_of_both_kinds(estimator, iris, y):
    history = estimator.set_params(early_stopping=True).fit(iris, y).history_
    assert len(history["validation_loss"]) == 3


@every_predictor
def test_data_frames_of_both(estimator, iris, y):
    frame = pd.DataFrame(iris, columns=list("abcd"))
    expected = clone(estimator).fit(iris, y).predict(iris)
    estimator.set_output(transform="pandas").fit(frame, pd.Series(y, name="y"))
    np.testing.assert_allclose(estimator.predict(frame), expected, rtol=1e-5)
    assert list(estimator.transform(frame).columns) == [f"{type(estimator).__name__.lower()}{i}" for i in range(2)]


# ------------------------------------------------------------------ labels


@pytest.mark.parametrize(
    ("convert", "classes"),
    [
        (list, [0, 1, 2]),
        (lambda y: np.where(y == -1, np.nan, y), [0.0, 1.0, 2.0]),
        (lambda y: np.where(y == -1, -1, y + 5).astype(np.int8), [5, 6, 7]),
        (lambda y: torch.from_numpy(y), [0, 1, 2]),
        (lambda y: np.where(y == -1, -1, WORDS[y].astype(object)), WORDS),
        (with_none, WORDS),
        (lambda y: np.where(y == -1, np.nan, WORDS[y].astype(object)), WORDS),
        (lambda y: pd.Series(np.where(y == -1, None, WORDS[y])), WORDS),
        (lambda y: pd.Series(with_none(y), dtype="string"), WORDS),
        (lambda y: pd.Series(with_none(y), dtype="category"), WORDS),
        (lambda y: pd.Series(np.where(y == -1, None, y), dtype="Int64"), [0, 1, 2]),
        (lambda y: pd.Series(np.where(y == -1, None, y), dtype="Int64").to_numpy(dtype=object), [0, 1, 2]),
        (lambda y: pl.Series(with_none(y).tolist()), WORDS),
        pytest.param(
            lambda y: with_none(y).astype(np.dtypes.StringDType(na_object=None)),
            WORDS,
            marks=pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.0.0", reason="numpy 2 has this dtype"),
        ),
        (lambda y: np.ma.array(np.where(y == -1, 7, y), mask=y == -1), [0, 1, 2]),
        (lambda y: np.ma.array(np.where(y == -1, np.inf, y), mask=y == -1), [0.0, 1.0, 2.0]),
        (lambda y: np.ma.array(np.where(y == -1, "hidden", WORDS[y]), mask=y == -1), WORDS),
        (lambda y: np.ma.array(DAYS[y], mask=y == -1), DAYS),
        (lambda y: np.array([np.ma.masked if label == -1 else label for label in y], dtype=object), [0, 1, 2]),
        (lambda y: np.where(y == -1, np.datetime64("NaT", "D"), DAYS[y]), DAYS),
        (lambda y: np.where(y == -1, np.timedelta64("NaT", "D"), DAYS[y] - DAYS[0]), DAYS - DAYS[0]),
        (lambda y: pd.Series(np.where(y == -1, np.datetime64("NaT", "D"), DAYS[y])), DAYS),
    ],
)
def test_unlabelled_rows_are_told_in_many_ways(iris, few, convert, classes):
    expected = clone(CLASSIFIER).fit(iris, few)
    model = clone(CLASSIFIER).fit(iris, convert(few))
    np.testing.assert_array_equal(model.classes_, classes)
    np.testing.assert_array_equal(model.predict_proba(iris), expected.predict_proba(iris))
    np.testing.assert_array_equal(model.predict(iris), np.asarray(classes)[expected.predict(iris)])
    assert model.score(iris, convert(few)) == expected.score(iris, few)


@every_classifier
def test_dates_are_the_same_labels_in_another_unit(estimator, iris):
    estimator.fit(iris, DAYS[SPECIES])
    expected = accuracy_score(DAYS[SPECIES], estimator.predict(iris))
    assert expected > 0.0
    assert estimator.score(iris, DAYS[SPECIES].astype("M8[ns]")) == expected
    with pytest.warns(UserWarning, match="100% of the labels are of classes that the fit did not see"):
        assert estimator.score(iris, DAYS[SPECIES].astype("M8[ns]") + np.timedelta64(1, "ns")) == 0.0


@every_classifier
def test_names_of_classes_come_back(estimator, iris, few):
    expected = clone(estimator).fit(iris, few)
    named = clone(estimator).fit(iris, with_none(few))
    np.testing.assert_array_equal(named.classes_, WORDS)
    np.testing.assert_array_equal(named.predict_proba(iris), expected.predict_proba(iris))
    np.testing.assert_array_equal(named.predict(iris), WORDS[expected.predict(iris)])
    assert named.score(iris, with_none(few)) == expected.score(iris, few)


@pytest.mark.parametrize("y", [SPECIES == 0, WORDS[SPECIES], SPECIES + 0.0], ids=["bool", "text", "float"])
@every_classifier
def test_all_rows_may_be_labelled(estimator, iris, y):
    estimator.fit(iris, y)
    np.testing.assert_array_equal(estimator.classes_, np.unique(y))
    assert estimator.predict(iris).dtype == y.dtype
    assert estimator.score(iris, y) == accuracy_score(y, estimator.predict(iris))


@every_classifier
def test_minus_one_and_one_alone_are_two_classes(estimator, iris):
    y = np.where(SPECIES == 0, -1, 1)
    with pytest.warns(UserWarning, match="y holds only -1 and 1, which are taken as two classes"):
        estimator.fit(iris, y)
    np.testing.assert_array_equal(estimator.classes_, [-1, 1])
    assert estimator.score(iris, y) == accuracy_score(y, estimator.predict(iris))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.set_params(warm_start=True).fit(iris, y)


@pytest.mark.filterwarnings("ignore:All rows are predicted to be of class")  # by a network of three epochs
@every_classifier
def test_rows_of_weight_zero_bring_no_class(estimator, iris, few):
    """Neither in one batch, of which they are taken, nor in several."""
    for batch_size in (200, 20):
        estimator.set_params(batch_size=batch_size).fit(iris, few, sample_weight=(few != 2).astype(float))
        np.testing.assert_array_equal(estimator.classes_, [0, 1])


@every_classifier
def test_probabilities(estimator, iris, monkeypatch):
    """Rows sum to one, the most probable class is predicted, and chunks make no difference."""
    estimator.set_params(dtype="float64").fit(iris, WORDS[SPECIES])
    p = estimator.predict_proba(iris)
    assert p.min() >= 0
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(estimator.predict(iris), WORDS[p.argmax(axis=1)])
    if hasattr(estimator, "predict_log_proba"):
        np.testing.assert_allclose(estimator.predict_log_proba(iris), np.log(p), rtol=1e-9)
    monkeypatch.setattr("skae.base.encoding.CHUNK_BYTES", 200)
    np.testing.assert_allclose(estimator.predict_proba(iris), p, rtol=1e-12)


@every_classifier
def test_accuracy_leaves_out_what_is_unknown(estimator, iris, few, rng):
    weight, known = rng.random(150), few != -1
    predicted = estimator.fit(iris, few).predict(iris)[known]
    assert estimator.score(iris, few) == accuracy_score(few[known], predicted)
    np.testing.assert_allclose(
        estimator.score(iris, few, sample_weight=weight),
        accuracy_score(few[known], predicted, sample_weight=weight[known]),
    )


# ------------------------------------------------------------------ numbers


@every_regressor
def test_targets_may_have_several_columns_each_with_gaps(estimator, iris, rng):
    Y = iris[:, 2:].copy()
    Y[rng.random(Y.shape) < 0.5] = np.nan
    estimator.set_params(max_iter=100).fit(iris[:, :2], Y)
    np.testing.assert_allclose(estimator.y_mean_, np.nanmean(Y, axis=0))
    np.testing.assert_allclose(estimator.y_scale_, np.nanstd(Y, axis=0))
    columns = zip(Y.T, estimator.predict(iris[:, :2]).T, strict=True)
    expected = np.mean([r2_score(t[~np.isnan(t)], p[~np.isnan(t)]) for t, p in columns])
    np.testing.assert_allclose(estimator.score(iris[:, :2], Y), expected)
    assert expected > 0.7


@pytest.mark.parametrize(
    "convert",
    [
        lambda y: np.ma.array(np.where(np.isnan(y), 1e6, y), mask=np.isnan(y)),
        lambda y: np.ma.array(np.where(np.isnan(y), 1e6, y).astype(int), mask=np.isnan(y)),
        lambda y: np.where(np.isnan(y), None, y),
        lambda y: np.where(np.isnan(y), pd.NA, y.astype(object)),
        lambda y: np.where(np.isnan(y), pd.NaT, y.astype(object)),
        lambda y: pd.DataFrame({"y": pd.Series(y).convert_dtypes()}),
    ],
)
def test_unknown_numbers_are_told_in_many_ways(iris, widths, convert):
    y = np.round(10 * widths)
    expected, model = clone(REGRESSOR).fit(iris, y), clone(REGRESSOR).fit(iris, convert(y))
    np.testing.assert_array_equal(model.predict(iris).ravel(), expected.predict(iris))
    assert model.score(iris, convert(y)) == expected.score(iris, y)


@every_regressor
def test_r2_leaves_out_what_is_unknown(estimator, iris, widths, rng):
    weight, known = rng.random(150), ~np.isnan(widths)
    predicted = estimator.fit(iris, widths).predict(iris)
    assert predicted.shape == (150,)
    np.testing.assert_allclose(
        estimator.score(iris, widths, sample_weight=weight),
        r2_score(widths[known], predicted[known], sample_weight=weight[known]),
    )


@every_regressor
def test_the_scale_of_y_plays_no_part(estimator, iris, widths):
    estimator.set_params(dtype="float64")
    if "n_frozen" in estimator.get_params():
        estimator.set_params(n_frozen=0)  # whose number of iterations hangs on the last bit
    one, two = clone(estimator).fit(iris, widths), clone(estimator).fit(iris, 1e6 + 1000 * widths)
    np.testing.assert_allclose(two.predict(iris), 1e6 + 1000 * one.predict(iris), rtol=1e-9)
    np.testing.assert_allclose(two.transform(iris), one.transform(iris), atol=1e-6)


@every_regressor
def test_a_constant_y_is_predicted(estimator, iris):
    y = np.where(np.arange(150) % 2, 3.0, np.nan)
    np.testing.assert_allclose(estimator.fit(iris, y).predict(iris), 3.0, atol=1e-3)


@every_regressor
def test_one_row_is_predicted(estimator, rng):
    X = rng.random((1, 3))
    np.testing.assert_allclose(estimator.fit(X, [5.0]).predict(X), 5.0, atol=1e-3)


# ------------------------------------------------------------------ bad input

BAD_LABELS = [
    (None, "requires y to be passed, but the target y is None"),
    (np.full(150, -1), "labels of 0 classes, but at least 2 classes are needed"),
    (np.full(150, np.nan), "labels of 0 classes"),
    (np.full(150, None), "labels of 0 classes"),
    (np.where(np.arange(150) < 5, 3, -1), "labels of 1 class (3)"),
    (np.full(150, "a"), "labels of 1 class ('a')"),
    (np.linspace(0, 1, 150), "Unknown label type: continuous"),
    (pd.Series(pd.to_datetime(DAYS).tz_localize("UTC")[SPECIES]), "a Timestamp: pass numbers, text or datetime64"),
    (np.where(SPECIES == 0, np.datetime64("NaT", "D"), DAYS[0]), "labels of 1 class"),
    (np.ma.array(SPECIES, mask=SPECIES > 0), "labels of 1 class (0)"),
    (np.where(np.arange(150) < 5, np.inf, SPECIES), "y has an infinite label"),
    (SPECIES[:149], "y has 149 labels, but X has 150 rows"),
    (np.stack([SPECIES, SPECIES], 1), "y should be a 1d array, got an array of shape (150, 2) instead"),
    (
        np.array([*["a", "b"] * 70, *[-1] * 10]),
        "y holds the text '-1', which numpy makes of the number -1 among strings",
    ),
    (np.array([*["a", "b"] * 70, *[3] * 10], dtype=object), "y mixes strings and other labels"),
    ("labels", "y should be a 1d array"),
    ({"a": 1}, "y should be a 1d array"),
]
BAD_NUMBERS = [
    (None, "requires y to be passed, but the target y is None"),
    (np.full(150, np.nan), "y has no number in column 0"),
    (np.stack([SPECIES, np.full(150, np.nan)], 1), "y has no number in column 1"),
    (WORDS[SPECIES], "y must hold numbers, with NaN where they are unknown"),
    (DAYS[SPECIES], "turn text, dates and durations into numbers first"),
    (DAYS[SPECIES] - DAYS[0], "y must hold numbers"),
    (np.array([*DAYS] * 50, dtype=object), "y must hold numbers"),
    (SPECIES + 0j, "y must hold numbers"),
    (np.ma.array(SPECIES, mask=True), "y has no number in column 0"),
    (np.where(np.arange(150) < 5, np.inf, 0.0), "Input y contains infinity"),
    (np.where(np.arange(150) < 5, 1e300, 0.0), "y has values so large that their variance is infinite"),
    (SPECIES[:149], "y has 149 numbers, but X has 150 rows"),
    (np.zeros((150, 2, 2)), "y must have one or two dimensions"),
    (3.0, "y must have one or two dimensions"),
]


@pytest.mark.parametrize(("y", "sentence"), BAD_LABELS)
@every_classifier
def test_bad_labels_are_refused(estimator, iris, y, sentence):
    assert sentence in refuses(estimator, "fit", iris, y)


@pytest.mark.parametrize(("y", "sentence"), BAD_NUMBERS)
@every_regressor
def test_bad_numbers_are_refused(estimator, iris, y, sentence):
    assert sentence in refuses(estimator, "fit", iris, y)


@every_predictor
def test_a_fitted_estimator_refuses_and_stays_usable(estimator, iris, y):
    expected = estimator.fit(iris, y).predict(iris)
    for bad in (None, y[:149], np.stack([y, y], 1) if is_classifier(estimator) else np.full(150, "a")):
        assert refuses(estimator, "fit", iris, bad) == refuses(estimator, "score", iris, bad)
    np.testing.assert_array_equal(estimator.predict(iris), expected)


@pytest.mark.parametrize("method", ["partial_fit", "fit_transform"])
@pytest.mark.parametrize(("model", "y"), [(CLASSIFIER, SPECIES * np.nan), (REGRESSOR, SPECIES * np.nan)])
def test_other_ways_to_fit_refuse_too(iris, method, model, y):
    assert "class" in (sentence := refuses(clone(model), method, iris, y)) or "no number" in sentence


@every_regressor
def test_another_number_of_targets_is_refused(estimator, iris, widths):
    estimator.set_params(warm_start=True).fit(iris, widths)
    for method in ("fit", "score"):
        assert "y has 2 columns, but the fitted y had 1" in refuses(estimator, method, iris, iris[:, :2])


@every_classifier
def test_other_classes_are_refused_where_training_goes_on(estimator, iris, few):
    estimator.set_params(warm_start=True).fit(iris, few)
    sentence = refuses(estimator, "fit", iris, SPECIES + 1)
    assert "which is not among the classes [0, 1, 2] of the first fit: fit again" in sentence
    assert "in row 100," in sentence
    assert "not among the classes" in refuses(estimator, "fit", iris, WORDS[SPECIES])
    estimator.fit(iris, SPECIES)  # other labels of the same classes go on
    assert estimator.n_iter_ == 6


@every_classifier
def test_only_one_class_that_counts_is_refused(estimator, iris):
    assert "1 class (1)" in refuses(estimator, "fit", iris, SPECIES, sample_weight=(SPECIES == 1) * 1.0)


@every_classifier
def test_a_score_needs_a_label(estimator, iris, few):
    estimator.fit(iris, few)
    assert "y has no label to compare with" in refuses(estimator, "score", iris, np.full(150, -1))


BAD_WEIGHTS = [
    (np.r_[-1.0, np.ones(149)], "Negative values"),
    (np.r_[np.nan, np.ones(149)], "contains NaN"),
    (np.ma.array(np.ones(150), mask=np.arange(150) == 3), "contains NaN"),
    (np.r_[np.inf, np.ones(149)], "contains infinity"),
    (np.ones(149), "sample_weight has 149 weights, but X has 150 rows: pass one for each row"),
    (np.ones((150, 2)), "must be 1D"),
    (np.zeros(150), "at least one"),
    ((np.arange(150) % 3 != 0) * 1.0, "The sample weights of all rows with known y are zero"),
]


@pytest.mark.parametrize(("weight", "sentence"), BAD_WEIGHTS)
@every_predictor
def test_weights_of_a_score_are_those_of_a_fit(estimator, iris, y, weight, sentence):
    estimator.fit(iris, y)
    assert sentence in refuses(estimator, "score", iris, y, sample_weight=weight)
    assert estimator.score(iris, y, sample_weight=2.0) == pytest.approx(estimator.score(iris, y))


@every_regressor
def test_a_score_needs_a_number_in_each_column(estimator, iris):
    Y = iris[:, 2:].copy()
    estimator.fit(iris, Y)
    Y[:, 1] = np.nan
    assert "y has a column without a number to compare with" in refuses(estimator, "score", iris, Y)


@every_predictor
def test_bad_rows_are_refused(estimator, iris, y):
    estimator.fit(iris, y)
    spoilt = iris.copy()
    spoilt[3, 2], kind = (np.inf, "infinity") if get_tags(estimator).input_tags.allow_nan else (np.nan, "NaN")
    for method in ("transform", "predict", "predict_proba", "predict_log_proba"):
        if hasattr(estimator, method):
            assert f"{kind} in row 3, column 2" in refuses(estimator, method, spoilt)
            assert "3 features" in refuses(estimator, method, iris[:, :3])
    assert f"{kind} in row 3, column 2" in refuses(estimator, "fit", spoilt, y)


@every_classifier
def test_labels_that_the_fit_did_not_see_are_told(estimator, iris):
    y = np.repeat([0, 1, 2], 50)
    estimator.fit(iris[:100], y[:100])
    with pytest.warns(UserWarning, match="33% of the labels are of classes that the fit did not see"):
        assert estimator.score(iris, y) == (estimator.predict(iris) == y).mean()


def describes_rows(estimator):
    """Not codes of another model."""
    return type(estimator).__name__.startswith("SemiSupervised") and getattr(estimator, "encoder", None) is None


@entering("prediction", describes_rows)
def test_rows_that_the_likelihood_cannot_describe_have_no_score_whatever_y_is(estimator, y, iris):
    X = (iris > iris.mean(axis=0)).astype(float)
    estimator.set_params(likelihood="bernoulli").fit(X, y)
    with pytest.warns(UserWarning, match="in row 2, column 0"):
        scores = estimator.score_samples(np.r_[X[:2], [[2.0] * 4]])
    np.testing.assert_array_equal(np.isneginf(scores), [False, False, True])
