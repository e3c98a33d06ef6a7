"""Few labels and many rows: the loss and its limits, the start, and batches with labels in each of them."""

import numpy as np
import pytest
import torch
from contract.requirements import refuses
from seen import seen
from sklearn import datasets
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge

from skae import Autoencoder, SemiSupervisedAutoencoder, SemiSupervisedAutoencoderRegressor
from skae.base import Run
from skae.metrics import reconstruction_r2

QUICK = {"n_components": 2, "hidden_layer_sizes": (6,), "max_iter": 4, "random_state": 0}
CLASSIFIER = SemiSupervisedAutoencoder(**QUICK)
REGRESSOR = SemiSupervisedAutoencoderRegressor(**QUICK)
WORDS = np.array(["setosa", "versicolor", "virginica"])
SPECIES = datasets.load_iris().target


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
    options = {**QUICK, "batch_size": 20, "init": "random", "weight_decay": 0.0}
    model = SemiSupervisedAutoencoder(alpha=0.0, **options)
    short, long = clone(model).set_params(max_iter=1).fit(iris, few), model.set_params(max_iter=40).fit(iris, few)
    assert set(long.history_["reconstruction"]) == {0.0}
    for one, two in zip(short.module_.decoder.parameters(), long.module_.decoder.parameters(), strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(short.module_.encoder.weights[0], long.module_.encoder.weights[0])


def test_the_terms_of_the_classifier_are_its_formula(iris, few):
    model = clone(CLASSIFIER).set_params(dtype="float64", alpha=0.3, max_iter=30).fit(iris, few)
    data = seen(model, iris, few)
    with torch.no_grad():
        terms = model._loss(model.module_, data[slice(None)], None)
    known = few != -1
    p = model.predict_proba(iris)[known, few[known]]
    errors = -model.score_samples(iris) / model.scale_**2
    np.testing.assert_allclose(terms["prediction"], -0.7 * np.log(p).mean(), rtol=1e-12)
    np.testing.assert_allclose(terms["reconstruction"], 0.3 * errors.mean(), rtol=1e-12)


def test_the_terms_of_the_regressor_are_its_formula(iris, widths, rng):
    """Each column counts as much, however few of its values are known."""
    weight, Y = rng.random(150), np.column_stack([widths, iris[:, 2]])
    Y[::2, 1] = np.nan
    model = clone(REGRESSOR).set_params(dtype="float64", alpha=0.3).fit(iris, Y, sample_weight=weight)
    weight *= 150 / weight.sum()
    data = seen(model, iris, Y, weight)
    with torch.no_grad():
        terms = model._loss(model.module_, data[slice(None)], None)
    errors = np.ma.masked_invalid(((Y - model.predict(iris)) / model.y_scale_) ** 2)
    expected = np.ma.average(errors, axis=0, weights=np.tile(weight[:, None], 2)).sum()
    np.testing.assert_allclose(terms["prediction"], 0.7 * expected, rtol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.4])
@pytest.mark.parametrize("kind", [SemiSupervisedAutoencoder, SemiSupervisedAutoencoderRegressor])
def test_a_step_is_the_gradient_of_the_loss(iris, few, widths, kind, alpha, rng):
    """The gradient by hand, with the classifier's from autograd, against autograd of the whole loss."""
    y = few if kind is SemiSupervisedAutoencoder else widths
    model = kind(dtype="float64", alpha=alpha, **QUICK).fit(iris, y)
    data = seen(model, iris, y, rng.random(150))
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
    data = seen(model, iris, few)
    batch = data[slice(None)]
    terms = model._loss(module, batch, torch.Generator().manual_seed(3))
    noise = torch.empty_like(batch.x).normal_(generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        x = batch.x + model.noise_level * noise
        near, here = (module.predict(z, module.encode(z)).softmax(1) for z in (x, batch.x))
    moved = (near - here).square().sum(1)[torch.from_numpy(few == -1)].sum() / 150
    np.testing.assert_allclose(terms["consistency"].detach(), 0.75 * 2.0 * moved, rtol=1e-12)
    assert model.noise_scale_ == model.noise_level * model.scale_
    everything = seen(model, iris, SPECIES)
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
    data = seen(model, digits, y, weight)
    state = model._rng.get_state()
    train, _ = model._split(data, Run())
    model._rng.set_state(state)
    plain, _ = Autoencoder._split(model, data, Run())
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


def test_the_order_of_rows_plays_no_part_in_one_batch(iris, few):
    model = clone(CLASSIFIER).set_params(batch_size=len(iris))
    one, two = clone(model).fit(iris, few), clone(model).fit(iris[::-1], few[::-1])
    np.testing.assert_allclose(one.predict_proba(iris), two.predict_proba(iris), atol=1e-5)


def test_the_order_of_classes_permutes_the_columns(iris, few):
    """At the start, which does not depend on the order in which noise is drawn."""
    other = np.array([2, 0, 1])
    one = still(SemiSupervisedAutoencoder, random_state=0).fit(iris, few).predict_proba(iris)
    two = still(SemiSupervisedAutoencoder, random_state=0).fit(iris, np.where(few == -1, -1, other[few]))
    np.testing.assert_allclose(two.predict_proba(iris)[:, other], one, atol=1e-6)


def test_reconstruction_has_a_score_of_its_own(iris, few):
    assert reconstruction_r2(clone(CLASSIFIER).set_params(max_iter=20).fit(iris, few), iris) > 0.9


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson"])
def test_other_likelihoods(iris, few, likelihood):
    X = iris / 8
    model = clone(CLASSIFIER).set_params(likelihood=likelihood, batch_size=20).fit(X, few)
    assert model.score(X, few) > 0.5
    assert np.isfinite(model.score_samples(X)).all()


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


def test_another_alpha_may_go_on_unless_nothing_is_predicted(iris, few):
    model = clone(CLASSIFIER).set_params(warm_start=True).fit(iris, few)
    before = model.predict(iris)
    np.testing.assert_array_equal(model.set_params(alpha=0.5).predict(iris), before)
    assert model.fit(iris, few).n_iter_ == 8
    assert "n_predictions changed since the last fit" in refuses(model.set_params(alpha=1.0), "fit", iris, few)


# ------------------------------------------------------------------ bad input


def test_a_label_that_was_not_told_is_refused(iris):
    model = clone(CLASSIFIER).partial_fit(iris, SPECIES, classes=[0, 1, 2])
    y = SPECIES.copy()
    y[7] = 9
    sentence = refuses(model, "partial_fit", iris, y)
    assert "y has the label 9 in row 7, which is not among the classes [0, 1, 2]" in sentence.replace(
        "np.int64(9)", "9"
    )
    assert "1 class" in refuses(clone(CLASSIFIER), "partial_fit", iris, SPECIES, classes=[0])


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
