"""Few labels and many rows: the limits of the loss, what y may hold, and what a classifier and a regressor promise."""

import copy
import io
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
import torch
from scipy import sparse
from sklearn import datasets
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder, SemiSupervisedAutoencoder, SemiSupervisedAutoencoderRegressor
from skae.metrics import reconstruction_r2

QUICK = {"n_components": 2, "hidden_layer_sizes": (6,), "max_iter": 4, "random_state": 0}
CLASSIFIER = SemiSupervisedAutoencoder(**QUICK)
REGRESSOR = SemiSupervisedAutoencoderRegressor(**QUICK)
WORDS = np.array(["setosa", "versicolor", "virginica"])
SPECIES = datasets.load_iris().target


def partly(y, unknown, every=3):
    """Y of which every third is known."""
    y = np.array(y)
    y[np.arange(len(y)) % every != 0] = unknown
    return y


@pytest.fixture
def few():
    """Labels of a third of the irises."""
    return partly(SPECIES, -1)


@pytest.fixture
def widths(iris):
    """The last column of the irises, of a third of them."""
    return partly(iris[:, 3], np.nan)


# ------------------------------------------------------------------ the loss


@pytest.mark.parametrize("batch_size", [20, 64])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_alpha_1_is_the_autoencoder_to_the_last_bit(iris, few, widths, batch_size, solver):
    options = {**QUICK, "batch_size": batch_size, "solver": solver, "learning_rate_init": 1e-3}
    plain = Autoencoder(**options).fit(iris)
    for kind, y in ((SemiSupervisedAutoencoder, few), (SemiSupervisedAutoencoderRegressor, widths)):
        limit = kind(alpha=1.0, **options).fit(iris, y)
        np.testing.assert_array_equal(limit.transform(iris), plain.transform(iris))
        np.testing.assert_array_equal(
            limit.inverse_transform(limit.transform(iris)), plain.inverse_transform(plain.transform(iris))
        )
        assert limit.history_ == plain.history_


def test_alpha_0_never_moves_the_decoder(iris, few):
    options = {**QUICK, "batch_size": 20, "init": "random"}
    model = SemiSupervisedAutoencoder(alpha=0.0, **options)
    short, long = clone(model).set_params(max_iter=1).fit(iris, few), model.set_params(max_iter=40).fit(iris, few)
    assert set(long.history_["reconstruction"]) == {0.0}
    for one, two in zip(short.module_.decoder.parameters(), long.module_.decoder.parameters(), strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(short.module_.encoder.weights[0], long.module_.encoder.weights[0])


def test_the_terms_of_the_classifier_are_its_formula(iris, few):
    model = clone(CLASSIFIER).set_params(dtype="float64", alpha=0.3, max_iter=30).fit(iris, few)
    data = model._table(iris, model._targets(few, len(few)), None, torch.device("cpu"))
    with torch.no_grad():
        terms = model._loss(model.module_, data[slice(None)], None)
    known = few != -1
    p = model.predict_proba(iris)[known, few[known]]
    errors = -model.score_samples(iris) / model.scale_**2
    np.testing.assert_allclose(terms["prediction"], -0.7 * np.log(p).mean(), rtol=1e-12)
    np.testing.assert_allclose(terms["reconstruction"], 0.3 * errors.mean(), rtol=1e-12)


def test_the_terms_of_the_regressor_are_its_formula(iris, widths, rng):
    weight = rng.random(150)
    model = clone(REGRESSOR).set_params(dtype="float64", alpha=0.3).fit(iris, widths, sample_weight=weight)
    weight *= 150 / weight.sum()
    data = model._table(iris, model._targets(widths, 150), weight, torch.device("cpu"))
    with torch.no_grad():
        terms = model._loss(model.module_, data[slice(None)], None)
    known = ~np.isnan(widths)
    errors = ((widths - model.predict(iris))[known] / model.y_scale_) ** 2
    np.testing.assert_allclose(terms["prediction"], 0.7 * np.average(errors, weights=weight[known]), rtol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.4])
@pytest.mark.parametrize("kind", [SemiSupervisedAutoencoder, SemiSupervisedAutoencoderRegressor])
def test_a_step_is_the_gradient_of_the_loss(iris, few, widths, kind, alpha, rng):
    """The gradient by hand, with the classifier's from autograd, against autograd of the whole loss."""
    y = few if kind is SemiSupervisedAutoencoder else widths
    model = kind(dtype="float64", alpha=alpha, **QUICK).fit(iris, y)
    data = model._table(iris, model._targets(y, 150), rng.random(150), torch.device("cpu"))
    batch = data[torch.arange(0, 150, 2)]
    model._flat.grad.zero_()
    model._step(model.module_, batch, torch.Generator().manual_seed(0))
    by_step = model._flat.grad.clone()
    parameters = list(model.module_.parameters())
    terms = model._loss(model.module_, batch, torch.Generator().manual_seed(0))
    assert set(terms) == {"reconstruction", "prediction", "consistency"}
    gradients = torch.autograd.grad(sum(terms.values()), parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        gradient = torch.zeros_like(parameter) if gradient is None else gradient
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-9, atol=1e-12)
    assert by_step.any()


def test_consistency_is_of_unlabelled_rows_only(iris, few):
    model = clone(CLASSIFIER).set_params(dtype="float64", alpha=0.25, consistency=2.0, batch_size=20).fit(iris, few)
    module = model.module_
    data = model._table(iris, model._targets(few, 150), None, torch.device("cpu"))
    batch = data[slice(None)]
    terms = model._loss(module, batch, torch.Generator().manual_seed(3))
    noise = torch.empty_like(batch.x).normal_(generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        x = batch.x + model.noise_level * noise
        near, here = (module.predict(z, module.encode(z)).softmax(1) for z in (x, batch.x))
    moved = (near - here).square().sum(1)[torch.from_numpy(few == -1)].sum() / 150
    np.testing.assert_allclose(terms["consistency"].detach(), 0.75 * 2.0 * moved, rtol=1e-12)
    assert model.noise_scale_ == model.noise_level * model.scale_
    everything = model._table(iris, model._targets(SPECIES, 150), None, torch.device("cpu"))
    assert model._loss(module, everything[slice(None)], torch.Generator())["consistency"] == 0.0


@pytest.mark.parametrize("off", [{"consistency": 0.0}, {"noise_level": 0.0}])
def test_without_noise_there_is_no_consistency(iris, few, off):
    model = clone(CLASSIFIER).set_params(**off).fit(iris, few)
    assert set(model.history_) == {"loss", "reconstruction", "prediction"}


def test_the_noise_is_in_units_of_the_columns_whatever_the_likelihood(rng):
    X, y = rng.random((40, 5)), np.arange(40) % 2
    model = clone(CLASSIFIER).set_params(likelihood="bernoulli", noise_level=0.5).fit(X, y)
    np.testing.assert_allclose(model.noise_scale_, 0.5 * np.sqrt(X.var(axis=0).mean()))


# ------------------------------------------------------------------ the start


def still(kind, **options):
    """A model that hardly moves from its start."""
    return kind(2, hidden_layer_sizes=(4,), max_iter=1, learning_rate_init=1e-12, dtype="float64", **options)


def test_the_classifier_starts_at_logistic_regression(iris, few):
    Z = (iris - iris.mean(0)) / np.sqrt(iris.var(0).mean())
    known = few != -1
    expected = LogisticRegression(tol=1e-10, max_iter=1000).fit(Z[known], few[known]).predict_proba(Z)
    found = still(SemiSupervisedAutoencoder, random_state=0).fit(iris, few).predict_proba(iris)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_the_regressor_starts_at_ridge_regression(iris, widths):
    X = iris[:, :3]
    Z = (X - X.mean(0)) / np.sqrt(X.var(0).mean())
    known = ~np.isnan(widths)
    expected = Ridge(alpha=0.5).fit(Z[known], widths[known]).predict(Z)  # 1/2 ||w||^2 beside the squared error
    found = still(SemiSupervisedAutoencoderRegressor, random_state=0).fit(X, widths).predict(X)
    np.testing.assert_allclose(found, expected, atol=2e-3)


# ------------------------------------------------------------------ batches


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_labels_are_in_every_batch_and_no_mean_changes(digits, weighted, early_stopping, rng):
    y = np.full(400, -1)
    y[::40] = np.arange(10)
    weight = rng.integers(0, 3, 400).astype(float) if weighted else None
    if weighted:
        weight[::40] = 1.0
    model = SemiSupervisedAutoencoder(batch_size=50, **QUICK).fit(digits, y)
    model.set_params(early_stopping=early_stopping, validation_fraction=0.3)
    if weighted:
        weight *= 400 / weight.sum()
    data = model._table(digits, model._targets(y, 400), weight, torch.device("cpu"))
    state = model._rng.get_state()
    train, _ = model._split(data)
    model._rng.set_state(state)
    plain, _ = Autoencoder._split(model, data)
    before, after = plain[torch.arange(len(plain))], train[torch.arange(len(train))]
    assert len(train) > len(plain)
    assert (after.y[:, 0] > 0).double().mean() > 0.2
    for start in range(0, len(train) - 50, 50):  # also without shuffling
        assert (after.y[start : start + 50, 0] > 0).any()
    module, w = model.module_, (lambda b: torch.ones(len(b.x)) if b.weight is None else b.weight)
    with torch.no_grad():
        for term in ("reconstruction", "prediction"):
            one, two = (model._loss(module, b, None)[term] for b in (before, after))
            torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close((w(before)).mean(), w(after).mean(), rtol=1e-5, atol=0)


def test_weights_repeat_rows(iris, few, rng):
    X, y, weight = iris[::2], few[::2], rng.integers(0, 4, 75)
    one = clone(CLASSIFIER).fit(X, y, sample_weight=weight)
    two = clone(CLASSIFIER).fit(X.repeat(weight, axis=0), y.repeat(weight))
    three = clone(CLASSIFIER).fit(X, y, sample_weight=5 * weight)
    np.testing.assert_allclose(one.predict_proba(X), two.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(one.predict_proba(X), three.predict_proba(X), atol=1e-5)


def test_the_order_of_rows_plays_no_part_in_one_batch(iris, few):
    one, two = clone(CLASSIFIER).fit(iris, few), clone(CLASSIFIER).fit(iris[::-1], few[::-1])
    np.testing.assert_allclose(one.predict_proba(iris), two.predict_proba(iris), atol=1e-5)


# ------------------------------------------------------------------ kinds of labels


def with_none(y):
    return np.where(y == -1, None, WORDS[y])


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
    ],
)
def test_unlabelled_rows_are_told_in_many_ways(iris, few, convert, classes):
    expected = clone(CLASSIFIER).fit(iris, few)
    model = clone(CLASSIFIER).fit(iris, convert(few))
    np.testing.assert_array_equal(model.classes_, classes)
    np.testing.assert_array_equal(model.predict_proba(iris), expected.predict_proba(iris))
    np.testing.assert_array_equal(model.predict(iris), np.asarray(classes)[expected.predict(iris)])
    assert model.score(iris, convert(few)) == expected.score(iris, few)


@pytest.mark.parametrize("y", [SPECIES == 0, WORDS[SPECIES], SPECIES + 0.0])
def test_all_rows_may_be_labelled(iris, y):
    model = clone(CLASSIFIER).fit(iris, y)
    np.testing.assert_array_equal(model.classes_, np.unique(y))
    assert model.predict(iris).dtype == y.dtype
    assert model.score(iris, y) == accuracy_score(y, model.predict(iris))


def test_minus_one_and_one_alone_are_two_classes(iris):
    y = np.where(SPECIES == 0, -1, 1)
    with pytest.warns(UserWarning, match="nothing but -1 and 1, which are taken for two classes"):
        model = clone(CLASSIFIER).fit(iris, y)
    np.testing.assert_array_equal(model.classes_, [-1, 1])
    assert model.score(iris, y) > 0.9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.partial_fit(iris, y)
        fresh = clone(CLASSIFIER).partial_fit(iris, y, classes=[-1, 1])
    np.testing.assert_array_equal(fresh.classes_, [-1, 1])


def test_names_of_classes_play_no_part(iris, few):
    """Other names for the classes, in the same order, give the same probabilities."""
    one = clone(CLASSIFIER).fit(iris, few).predict_proba(iris)
    two = clone(CLASSIFIER).fit(iris, np.where(few == -1, -1, 10 * few + 7)).predict_proba(iris)
    np.testing.assert_array_equal(one, two)


def test_the_order_of_classes_permutes_the_columns(iris, few):
    """At the start, which does not depend on the order in which noise is drawn."""
    other = np.array([2, 0, 1])
    one = still(SemiSupervisedAutoencoder, random_state=0).fit(iris, few).predict_proba(iris)
    two = still(SemiSupervisedAutoencoder, random_state=0).fit(iris, np.where(few == -1, -1, other[few]))
    np.testing.assert_allclose(two.predict_proba(iris)[:, other], one, atol=1e-6)


def test_rows_of_weight_zero_bring_no_class(iris, few):
    model = clone(CLASSIFIER).fit(iris, few, sample_weight=(few != 2).astype(float))
    np.testing.assert_array_equal(model.classes_, [0, 1])


# ------------------------------------------------------------------ what is predicted


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_sum_to_one(digits, dtype):
    y = datasets.load_digits().target[:400]
    p = SemiSupervisedAutoencoder(dtype=dtype, **QUICK).fit(digits, partly(y, -1)).predict_proba(digits)
    assert p.shape == (400, 10)
    assert p.dtype == dtype
    assert p.min() >= 0
    np.testing.assert_allclose(p.sum(1), 1.0, rtol=0, atol=1e-6)


def test_prediction_is_the_most_probable_class_in_chunks(iris, few, monkeypatch):
    model = clone(CLASSIFIER).fit(iris, WORDS[SPECIES])
    expected = model.predict_proba(iris)
    np.testing.assert_array_equal(model.predict(iris), WORDS[expected.argmax(1)])
    monkeypatch.setattr("skae.base.encoding.CHUNK_BYTES", 200)
    np.testing.assert_allclose(model.predict_proba(iris), expected, atol=1e-6)


@pytest.mark.parametrize("convert", [sparse.csr_array, torch.from_numpy, np.asfortranarray, np.ndarray.tolist])
def test_every_kind_of_x_predicts_the_same(iris, few, widths, convert):
    X = convert(iris.copy())
    for model, y in ((clone(CLASSIFIER), few), (clone(REGRESSOR), widths)):
        expected = clone(model).fit(iris, y).predict(iris)
        np.testing.assert_allclose(model.fit(X, y).predict(X), expected, rtol=1e-5)


def test_data_frames_of_both(iris):
    X = pd.DataFrame(iris[:, :3], columns=list("abc"))
    y = pd.DataFrame({"width": iris[:, 3], "length": iris[:, 2]})
    y.iloc[::2, 0] = np.nan
    model = clone(REGRESSOR).set_output(transform="pandas").fit(X, y)
    assert model.predict(X).shape == (150, 2)
    assert list(model.transform(X).columns) == [f"semisupervisedautoencoderregressor{i}" for i in range(2)]


def test_targets_may_have_several_columns_each_with_gaps(iris, rng):
    Y = iris[:, 2:].copy()
    Y[rng.random(Y.shape) < 0.5] = np.nan
    model = clone(REGRESSOR).fit(iris[:, :2], Y)
    np.testing.assert_allclose(model.y_mean_, np.nanmean(Y, axis=0))
    np.testing.assert_allclose(model.y_scale_, np.nanstd(Y, axis=0))
    expected = np.mean(
        [r2_score(t[~np.isnan(t)], p[~np.isnan(t)]) for t, p in zip(Y.T, model.predict(iris[:, :2]).T, strict=True)]
    )
    np.testing.assert_allclose(model.score(iris[:, :2], Y), expected)


def test_the_scale_of_y_plays_no_part(iris, widths):
    one = clone(REGRESSOR).set_params(dtype="float64").fit(iris, widths)
    two = clone(REGRESSOR).set_params(dtype="float64").fit(iris, 1e6 + 1000 * widths)
    np.testing.assert_allclose(two.predict(iris), 1e6 + 1000 * one.predict(iris), rtol=1e-9)
    np.testing.assert_allclose(two.transform(iris), one.transform(iris), atol=1e-6)


def test_a_constant_y_is_predicted(iris):
    y = np.where(np.arange(150) % 2, 3.0, np.nan)
    np.testing.assert_allclose(clone(REGRESSOR).fit(iris, y).predict(iris), 3.0, atol=1e-3)


def test_scores_leave_out_what_is_unknown(iris, few, widths, rng):
    weight = rng.random(150)
    known = few != -1
    model = clone(CLASSIFIER).fit(iris, few)
    assert model.score(iris, few) == accuracy_score(few[known], model.predict(iris)[known])
    np.testing.assert_allclose(
        model.score(iris, few, sample_weight=weight),
        accuracy_score(few[known], model.predict(iris)[known], sample_weight=weight[known]),
    )
    assert clone(CLASSIFIER).fit(iris[:100], SPECIES[:100]).score(iris[100:], SPECIES[100:]) == 0.0  # an unseen class
    regressor = clone(REGRESSOR).fit(iris, widths)
    known = ~np.isnan(widths)
    np.testing.assert_allclose(
        regressor.score(iris, widths, sample_weight=weight),
        r2_score(widths[known], regressor.predict(iris)[known], sample_weight=weight[known]),
    )


def test_reconstruction_has_a_score_of_its_own(iris, few):
    assert reconstruction_r2(clone(CLASSIFIER).set_params(max_iter=20).fit(iris, few), iris) > 0.9


# ------------------------------------------------------------------ scikit-learn


def test_they_are_a_classifier_and_a_regressor():
    assert is_classifier(CLASSIFIER)
    assert is_regressor(REGRESSOR)
    for model in (CLASSIFIER, REGRESSOR):
        assert model.__sklearn_tags__().target_tags.required
        assert model.__sklearn_tags__().transformer_tags is not None


def test_search_in_a_pipeline_with_two_jobs(iris, few):
    pipe = make_pipeline(StandardScaler(), clone(CLASSIFIER))
    grid = {"semisupervisedautoencoder__alpha": [0.1, 0.5]}
    one, two = (GridSearchCV(pipe, grid, cv=3, n_jobs=n).fit(iris, few) for n in (1, 2))
    np.testing.assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])
    assert one.best_score_ > 0.8


def test_a_step_in_the_middle_of_a_pipeline(iris, widths):
    for model, last, y in (
        (clone(CLASSIFIER), LogisticRegression(), SPECIES),
        (clone(REGRESSOR), Ridge(), iris[:, 3]),
    ):
        assert cross_val_score(make_pipeline(StandardScaler(), model, last), iris, y, cv=3).shape == (3,)


@pytest.mark.parametrize("copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy])
def test_a_copy_predicts_and_goes_on_the_same(iris, few, widths, copied):
    for model, y in ((clone(CLASSIFIER), with_none(few)), (clone(REGRESSOR), widths)):
        model.fit(iris, y)
        other = copied(model)
        np.testing.assert_array_equal(other.predict(iris), model.predict(iris))
        np.testing.assert_array_equal(
            other.partial_fit(iris, y).predict(iris), model.partial_fit(iris, y).predict(iris)
        )


# ------------------------------------------------------------------ what every estimator promises, with labels


@pytest.fixture(params=["classifier", "classifier float64", "regressor", "classifier dropout"], name="labelled")
def _labelled(request, iris, few, widths):
    """An estimator, rows in [0, 1] and what is known of y."""
    kind, *how = request.param.split()
    model, y = (clone(REGRESSOR), widths) if kind == "regressor" else (clone(CLASSIFIER), few)
    options = {"float64": {"dtype": "float64"}, "dropout": {"dropout": 0.3, "batch_norm": True}}
    return model.set_params(**(options[how[0]] if how else {})), iris[::2] / 8, y[::2]


def test_codes_have_the_dtype_and_shape_asked_for(labelled):
    model, X, y = labelled
    H = model.fit(X, y).transform(X)
    assert H.shape == (75, 2)
    assert model.inverse_transform(H).shape == X.shape
    assert H.dtype == model.score_samples(X).dtype == model.dtype
    assert isinstance(model.score(X, y), float)


@pytest.mark.parametrize("n", [16, 17, 24, 25])
def test_any_tail_of_a_batch(labelled, n):
    model, X, y = labelled
    model.set_params(batch_size=8).fit(X[::3][:n], y[::3][:n])
    assert np.isfinite(model.transform(X)).all()


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson"])
def test_other_likelihoods(labelled, likelihood):
    model, X, y = labelled
    assert np.isfinite(model.set_params(likelihood=likelihood, batch_size=20).fit(X, y).score(X, y))


@pytest.mark.parametrize("X", [np.ones((20, 4)), np.arange(20.0)[:, None]])
def test_constant_columns_and_one_column(X):
    y = np.arange(20) % 2
    for model in (clone(CLASSIFIER), clone(REGRESSOR)):
        assert np.isfinite(model.fit(X, y).predict(X)).all()


def test_an_int_seed_repeats_and_no_global_generator_is_drawn_from(labelled):
    model, X, y = labelled
    model.set_params(batch_size=20)
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()
    one, two = clone(model).fit(X, y), clone(model).fit(X, y)
    np.testing.assert_array_equal(one.predict(X), two.predict(X))
    assert one.history_ == two.history_
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)
    assert torch.equal(torch.get_rng_state(), torch_before)
    other = clone(model).set_params(random_state=1).fit(X, y)
    assert not np.array_equal(one.transform(X), other.transform(X))


def through_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    return joblib.load(file)


def through_skops(estimator):
    dumped = skops.io.dumps(estimator)
    unknown = skops.io.get_untrusted_types(data=dumped)
    assert set(unknown) <= {f"{type(estimator).__module__}.{type(estimator).__name__}"}
    return skops.io.loads(dumped, trusted=unknown)


@pytest.mark.parametrize("copied", [through_joblib, through_skops])
def test_saving_keeps_everything(labelled, copied):
    model, X, y = labelled
    other = copied(model.fit(X, y))
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    assert other.history_ == model.history_
    np.testing.assert_array_equal(other.partial_fit(X, y).transform(X), model.partial_fit(X, y).transform(X))


def test_warm_start_and_other_parameters_after_a_fit(labelled):
    model, X, y = labelled
    fresh, warm = clone(model).fit(X, y), model.set_params(warm_start=True).fit(X, y)
    np.testing.assert_array_equal(warm.predict(X), fresh.predict(X))
    assert warm.fit(X, y).n_iter_ == 8
    before = warm.predict(X)
    warm.set_params(alpha=1.0, n_components=3)
    np.testing.assert_array_equal(warm.predict(X), before)
    with pytest.raises(ValueError, match="n_components, n_predictions changed since the last fit"):
        warm.fit(X, y)


def test_using_changes_no_attribute(labelled):
    model, X, y = labelled
    before = {name: id(value) for name, value in vars(model.fit(X, y)).items()}
    model.predict(X)
    model.score(X, y)
    model.inverse_transform(model.transform(X))
    assert {name: id(value) for name, value in vars(model).items()} == before


def test_x_and_y_are_left_as_they_were(labelled):
    model, X, y = labelled
    before = X.copy(), y.copy()
    model.fit(X, y).score(X, y)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])


def test_memory_maps(labelled, tmp_path):
    model, X, y = labelled
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    model.set_params(batch_size=20)
    expected = clone(model).fit(X, y).transform(X)
    np.testing.assert_array_equal(model.fit(mapped, y).transform(mapped), expected)


# ------------------------------------------------------------------ going on


def test_partial_fit_takes_chunks_with_few_labels_or_none(iris, few):
    model = clone(CLASSIFIER).partial_fit(iris, few, classes=[0, 1, 2, 7])
    np.testing.assert_array_equal(model.classes_, [0, 1, 2, 7])
    before = model.predict_proba(iris)
    model.partial_fit(iris[:50], np.full(50, -1)).partial_fit(iris[:50], SPECIES[:50] + 7)
    assert model.n_iter_ == 3
    assert not np.array_equal(model.predict_proba(iris), before)
    first = clone(CLASSIFIER).partial_fit(iris, few)  # classes of the first chunk
    np.testing.assert_array_equal(first.classes_, [0, 1, 2])


def test_partial_fit_before_any_label(iris):
    model = clone(CLASSIFIER).partial_fit(iris, np.full(150, -1), classes=WORDS)
    np.testing.assert_allclose(model.predict_proba(iris), 1 / 3, atol=1e-6)
    model.partial_fit(iris, WORDS[SPECIES])


def test_warm_start_goes_on_with_other_labels(iris, few):
    model = clone(CLASSIFIER).set_params(warm_start=True).fit(iris, few)
    model.fit(iris, SPECIES)
    assert model.n_iter_ == 8
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])


def test_early_stopping_and_lbfgs(iris, few, widths):
    for model, y in ((clone(CLASSIFIER), few), (clone(REGRESSOR), widths)):
        assert "validation_loss" in clone(model).set_params(early_stopping=True).fit(iris, y).history_
        quick = clone(model).set_params(solver="lbfgs", noise_level=0.0, tol=1.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quick.fit(iris, y)
        assert not hasattr(quick, "partial_fit")


# ------------------------------------------------------------------ bad input


def refuses(estimator, method, *args, **kwargs):
    """The sentence with which a method refuses, having changed nothing."""
    before = dict(vars(estimator))
    with pytest.raises((ValueError, TypeError)) as caught:
        getattr(estimator, method)(*args, **kwargs)
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[name] is before[name] for name in before)
    assert len(str(caught.value).split()) >= 4, f"no sentence: {caught.value}"
    return str(caught.value)


BAD_LABELS = [
    (None, "requires y to be passed, but the target y is None"),
    (np.full(150, -1), "labels of 0 classes, but at least 2 classes are needed"),
    (np.full(150, np.nan), "labels of 0 classes"),
    (np.full(150, None), "labels of 0 classes"),
    (np.where(np.arange(150) < 5, 3, -1), "labels of 1 class (3)"),
    (np.full(150, "a"), "labels of 1 class ('a')"),
    (np.linspace(0, 1, 150), "Unknown label type: continuous"),
    (np.where(np.arange(150) < 5, np.inf, SPECIES), "y has an infinite label"),
    (SPECIES[:149], "y has 149 labels, but X has 150 rows"),
    (np.stack([SPECIES, SPECIES], 1), "y should be a 1d array, got an array of shape (150, 2) instead"),
    (np.array([*["a", "b"] * 70, *[-1] * 10]), "y holds the text '-1', which is what numpy makes of -1 among strings"),
    (np.array([*["a", "b"] * 70, *[3] * 10], dtype=object), "y mixes strings and other labels"),
    ("labels", "y should be a 1d array"),
    ({"a": 1}, "y should be a 1d array"),
]


@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_transform"])
@pytest.mark.parametrize(("y", "sentence"), BAD_LABELS)
def test_bad_labels_are_refused(iris, method, y, sentence):
    assert sentence in refuses(clone(CLASSIFIER), method, iris, y)


@pytest.mark.parametrize(("y", "sentence"), [BAD_LABELS[i] for i in (0, 6, 8, 9, 11)])
def test_a_fitted_classifier_refuses_and_stays_usable(iris, few, y, sentence):
    model = clone(CLASSIFIER).fit(iris, few)
    expected = model.predict_proba(iris)
    assert sentence in refuses(model, "fit", iris, y)
    assert sentence in refuses(model, "score", iris, y)
    np.testing.assert_array_equal(model.predict_proba(iris), expected)


BAD_NUMBERS = [
    (None, "requires y to be passed, but the target y is None"),
    (np.full(150, np.nan), "y has no number in column 0"),
    (np.stack([SPECIES, np.full(150, np.nan)], 1), "y has no number in column 1"),
    (WORDS[SPECIES], "y must hold numbers, with NaN where they are unknown"),
    (np.where(np.arange(150) < 5, np.inf, 0.0), "Input y contains infinity"),
    (np.where(np.arange(150) < 5, 1e300, 0.0), "y has values so large that their variance is infinite"),
    (SPECIES[:149], "y has 149 numbers, but X has 150 rows"),
    (np.zeros((150, 2, 2)), "y must have one or two dimensions"),
    (3.0, "y must have one or two dimensions"),
]


@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_transform"])
@pytest.mark.parametrize(("y", "sentence"), BAD_NUMBERS)
def test_bad_numbers_are_refused(iris, method, y, sentence):
    assert sentence in refuses(clone(REGRESSOR), method, iris, y)


def test_another_number_of_targets_is_refused(iris, widths):
    model = clone(REGRESSOR).fit(iris, widths)
    assert "y has 2 columns, but 1 were fitted" in refuses(model, "partial_fit", iris, iris[:, :2])
    assert "y has 2 columns, but 1 were fitted" in refuses(model, "score", iris, iris[:, :2])


def test_a_label_that_was_not_told_is_refused(iris):
    model = clone(CLASSIFIER).partial_fit(iris, SPECIES, classes=[0, 1, 2])
    y = SPECIES.copy()
    y[7] = 9
    sentence = refuses(model, "partial_fit", iris, y)
    assert "y has the label 9 in row 7, which is not among the classes [0, 1, 2]" in sentence.replace(
        "np.int64(9)", "9"
    )
    assert "not among the classes" in refuses(model.set_params(warm_start=True), "fit", iris, WORDS[SPECIES])
    assert "1 class" in refuses(clone(CLASSIFIER), "partial_fit", iris, SPECIES, classes=[0])


def test_only_one_class_that_counts_is_refused(iris):
    assert "1 class (1)" in refuses(clone(CLASSIFIER), "fit", iris, SPECIES, sample_weight=(SPECIES == 1) * 1.0)


def test_a_score_needs_a_label(iris, few):
    model = clone(CLASSIFIER).fit(iris, few)
    assert "y has no label to compare with" in refuses(model, "score", iris, np.full(150, -1))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"alpha": -0.1}, "'alpha' parameter of SemiSupervisedAutoencoder must be a float in the range [0.0, 1.0]"),
        ({"alpha": 1.1}, "'alpha' parameter"),
        ({"consistency": -1.0}, "'consistency' parameter"),
        ({"noise_level": -1.0}, "'noise_level' parameter"),
    ],
)
def test_bad_parameters_are_named(iris, few, options, sentence):
    assert sentence in refuses(clone(CLASSIFIER).set_params(**options), "fit", iris, few)


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_bad_rows_are_refused(iris, few, method):
    with pytest.raises(NotFittedError):
        getattr(CLASSIFIER, method)(iris)
    model = clone(CLASSIFIER).fit(iris, few)
    spoilt = iris.copy()
    spoilt[3, 2] = np.nan
    assert "NaN in row 3, column 2" in refuses(model, method, spoilt)
    assert "3 features" in refuses(model, method, iris[:, :3])
