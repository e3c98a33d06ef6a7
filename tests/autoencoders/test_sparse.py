"""Penalties against closed forms, and codes against what the penalties ask of them."""

import warnings

import numpy as np
import pytest
import torch
from nn.test_dense import N, fitted, real, require_same_gradient, seeded
from scipy.special import expit, rel_entr
from sklearn.base import clone

from skae import Autoencoder, DenoisingAutoencoder, SparseAutoencoder
from skae.engine.data import Batch
from skae.metrics import code_statistics

PENALTIES = {
    "l1": (np.abs, np.sign),
    "l2": (np.square, lambda h: 2 * h),
    "student_t": (lambda h: np.log(1 + h**2), lambda h: 2 * h / (1 + h**2)),
    "log": (lambda h: np.log(1 + np.abs(h)), lambda h: np.sign(h) / (1 + np.abs(h))),
}
"""What a unit's activation costs, and its derivative."""
RHO = 0.1
QUICK = {"max_iter": 3, "random_state": 0}

every_penalty = pytest.mark.parametrize("penalty", [*PENALTIES, "kl"])


def divergence(h, weight=None):
    """KL(rho || mean activation), summed over the units."""
    r = np.average(h, axis=0, weights=weight)
    return (rel_entr(RHO, r) + rel_entr(1 - RHO, 1 - r)).sum()


def term(penalty, h, weight=None, sparsity=0.7):
    """What the estimator adds for codes h."""
    model = SparseAutoencoder(h.shape[1], penalty=penalty, sparsity=sparsity, sparsity_target=RHO)
    neck = model._bottleneck(None, Batch(h, weight), h, None)
    ((name, cost),) = neck.terms.items()
    gradient = neck.backward(torch.zeros_like(h))
    assert name == "sparsity"
    (expected,) = torch.autograd.grad(cost, h, retain_graph=True) if h.requires_grad else (gradient,)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-15)
    return cost


def codes(penalty):
    return torch.sigmoid(real((N, 5))) if penalty == "kl" else real((N, 5))


WEIGHT = torch.tensor([2.0, 0.0, 1.0, 0.5, 3.0, 1.0, 0.0, 0.5, 1.0], dtype=torch.float64)  # its mean is 1


# ------------------------------------------------------------------ closed forms


@pytest.mark.parametrize("penalty", PENALTIES)
def test_penalties_of_units_are_their_closed_forms(penalty):
    value, derivative = PENALTIES[penalty]
    h = codes(penalty)
    for weight in (None, WEIGHT):
        w = 1.0 if weight is None else weight.numpy()[:, None]
        cost = term(penalty, h.requires_grad_(), weight)
        np.testing.assert_allclose(cost.item(), 0.7 * (w * value(h.detach().numpy())).sum() / N, rtol=1e-12)
        (gradient,) = torch.autograd.grad(cost, h)
        np.testing.assert_allclose(gradient, 0.7 * w * derivative(h.detach().numpy()) / N, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["not", "weighted"])
def test_kl_is_that_of_scipy_and_its_gradient_the_closed_form(weight):
    h = codes("kl").requires_grad_()
    cost = term("kl", h, weight)
    w = np.ones(N) if weight is None else weight.numpy()
    np.testing.assert_allclose(cost.item(), 0.7 * divergence(h.detach().numpy(), w), rtol=1e-12)
    (gradient,) = torch.autograd.grad(cost, h)
    r = np.average(h.detach().numpy(), axis=0, weights=w)
    expected = 0.7 * np.outer(w / w.sum(), -RHO / r + (1 - RHO) / (1 - r))
    np.testing.assert_allclose(gradient, expected, rtol=1e-10)


def test_kl_is_nothing_at_its_target_and_grows_on_both_sides():
    at = [term("kl", torch.full((4, 1), value, dtype=torch.float64)).item() for value in (0.05, RHO, 0.2)]
    assert at[1] == pytest.approx(0.0, abs=1e-14)
    assert min(at[0], at[2]) > 1e-3


def test_kl_of_units_that_are_silent_or_saturated_is_finite():
    for value in (0.0, 1.0):
        h = torch.full((4, 2), value)
        model = SparseAutoencoder(2, penalty="kl", sparsity_target=RHO)
        neck = model._bottleneck(None, Batch(h), h, None)
        cost, gradient = neck.terms["sparsity"], neck.backward(torch.zeros_like(h))
        assert torch.isfinite(cost)
        assert torch.isfinite(gradient).all()
        assert (gradient < 0).all() if value == 0.0 else (gradient > 0).all()  # back to the target


@every_penalty
def test_a_weight_of_two_is_the_row_twice(penalty):
    h = codes(penalty)
    copies = torch.tensor([2, 0, 1, 3, 1, 1, 0, 0, 1])
    twice = h.repeat_interleave(copies, 0)
    weight = copies.double()
    np.testing.assert_allclose(term(penalty, h, weight).item(), term(penalty, twice).item(), rtol=1e-12)


@every_penalty
def test_a_batch_counts_by_its_weights(penalty):
    """As its reconstruction does: twice the weights are twice the term, no weight is none."""
    h = codes(penalty).requires_grad_()
    once, double, none = (term(penalty, h, factor * WEIGHT) for factor in (1.0, 2.0, 0.0))
    np.testing.assert_allclose(double.item(), 2 * once.item(), rtol=1e-12)
    assert none.item() == 0.0
    assert not torch.autograd.grad(none, h)[0].any()


# ------------------------------------------------------------------ in training


def of_both_signs(penalty):
    return {"penalty": penalty, "code_activation": "auto" if penalty == "kl" else "tanh"}


def require_same_sparse_gradient(cls, likelihood="gaussian", **options):
    model, batch = fitted(cls, likelihood, sparsity=0.4, **options)
    for weight in (None, WEIGHT):
        weighted = batch._replace(weight=weight)
        require_same_gradient(model, weighted)
        assert model._loss(model.module_, weighted, seeded())["sparsity"] > 1e-3  # units are at work


@every_penalty
@pytest.mark.parametrize(
    "options",
    [{}, {"tied_weights": False, "dropout": 0.3}, {"hidden_layer_sizes": ()}, {"input_dropout": 0.3}],
    ids=str,
)
def test_the_gradient_of_a_step_is_that_of_autograd(penalty, options):
    require_same_sparse_gradient(SparseAutoencoder, **of_both_signs(penalty), **options)


@pytest.mark.parametrize("penalty", ["l1", "kl"])
@pytest.mark.parametrize("likelihood", ["poisson", "categorical"])
def test_the_gradient_of_other_likelihoods_is_that_of_autograd(penalty, likelihood):
    require_same_sparse_gradient(SparseAutoencoder, likelihood, **of_both_signs(penalty))


@pytest.mark.parametrize("options", [{"code_activation": "identity", "init": "pca"}, {"hidden_layer_sizes": ()}])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_gradient_of_other_codes_is_that_of_autograd(penalty, options):
    require_same_sparse_gradient(SparseAutoencoder, penalty=penalty, **options)


class SparseDenoising(DenoisingAutoencoder, SparseAutoencoder):
    """A recipe."""


@every_penalty
@pytest.mark.parametrize("corruption", ["masking", "gaussian", "bert"])
def test_the_gradient_of_a_recipe_is_that_of_autograd(penalty, corruption):
    options = {"corruption": corruption, "corruption_level": 0.4, "walkback": 2}
    require_same_sparse_gradient(SparseDenoising, **of_both_signs(penalty), **options)


def test_a_recipe_has_both_terms_both_parameters_and_the_defaults_of_both(digits):
    model = SparseDenoising(12, corruption="masking", corruption_level=0.3, batch_size=100, **QUICK).fit(digits)
    assert set(model.history_) == {"loss", "reconstruction", "sparsity"}
    defaults = {**SparseAutoencoder().get_params(), "corruption": DenoisingAutoencoder().corruption}
    defaults |= {"target": "X", "corruption_level": "auto", "emphasis": "auto", "walkback": 1}
    defaults |= {"early_stopping": "auto"}
    assert SparseDenoising().get_params() == defaults
    for entry in ("sparsity : float", "corruption_level : float", "learning_rate_init : float"):
        assert entry in SparseDenoising.__doc__
    np.testing.assert_array_equal(model.transform(digits), clone(model).fit(digits).transform(digits))


class ByHand(Autoencoder):
    """Masking and an L1 penalty, with their loss written out."""

    def _loss(self, module, batch, rng):
        if rng is None:
            raise AssertionError("there is no validation here")
        scaled, selected = self._mask(batch.x, rng)
        h = module.encode(scaled, rng)
        error = (module.decode(h, rng) - batch.x).square() * (0.2 + 0.8 * selected)
        return {"reconstruction": error.sum() / len(h), "sparsity": 0.3 * h.abs().sum() / len(h)}

    def _mask(self, x, rng):
        from skae.functional.corruptions import select

        selected = select(x, 0.25, rng)
        return torch.where(selected, 0.0, x), selected.to(x.dtype)


def test_a_recipe_is_the_loss_that_one_would_write_by_hand(digits):
    shared = {"batch_size": 100, "dtype": "float64", **QUICK}
    written = {"hidden_layer_sizes": (), "code_activation": "relu", "tied_weights": True}
    written |= {"learning_rate_init": 0.15 / 64**0.5, "weight_decay": 0.0}
    options = {"corruption": "masking", "corruption_level": 0.25, "emphasis": (1.0, 0.2)}
    recipe = SparseDenoising(12, sparsity=0.3, **options, **shared).fit(digits)
    by_hand = ByHand(12, **written, **shared).fit(digits)
    for name, values in by_hand.history_.items():
        np.testing.assert_allclose(recipe.history_[name], values, rtol=1e-8)
    np.testing.assert_allclose(recipe.transform(digits), by_hand.transform(digits), rtol=1e-6, atol=1e-8)


@every_penalty
def test_the_history_tells_the_penalty_of_the_codes(penalty, iris):
    """At a learning rate that moves nothing: of all rows in one batch, with weights or without."""
    weight = np.arange(150) % 4
    for given in (None, weight):
        model = SparseAutoencoder(
            3, penalty=penalty, sparsity=0.7, sparsity_target=RHO, batch_size=150, dtype="float64", random_state=0
        )
        model.set_params(learning_rate_init=1e-300, max_iter=1).fit(iris, sample_weight=given)
        h, w = model.transform(iris), np.ones(150) if given is None else given
        expected = divergence(h, w) if penalty == "kl" else np.average(PENALTIES[penalty][0](h).sum(1), weights=w)
        np.testing.assert_allclose(model.history_["sparsity"], [0.7 * expected], rtol=1e-10)


@every_penalty
def test_fits_with_a_weight_of_two_are_fits_with_the_row_twice(penalty, iris):
    weight = np.arange(150) % 3
    model = SparseAutoencoder(3, penalty=penalty, batch_size=300, **QUICK)
    one = clone(model).fit(iris, sample_weight=weight)
    two = clone(model).fit(iris.repeat(weight, axis=0))
    np.testing.assert_array_equal(one.transform(iris), two.transform(iris))


@pytest.mark.parametrize("sparsity", [0.2, 1.0])
def test_a_squared_penalty_shrinks_pca_by_its_half(sparsity, iris):
    """min (1 - a)^2 s + lambda a s over a = w^2, along each axis of variance s, is a = 1 - lambda / 2."""
    model = SparseAutoencoder(2, penalty="l2", sparsity=sparsity, code_activation="identity", solver="lbfgs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.set_params(dtype="float64", tol=0, max_iter=40, random_state=0).fit(iris)
    x = iris - iris.mean(0)
    axes = np.linalg.svd(x)[2][:2]
    expected = (1 - sparsity / 2) * x @ axes.T @ axes
    restored = model.inverse_transform(model.transform(iris)) - iris.mean(0)
    np.testing.assert_allclose(restored, expected, atol=1e-4)


# ------------------------------------------------------------------ codes


@pytest.mark.parametrize(("penalty", "activation"), [("l1", "relu"), ("log", "relu"), ("kl", "logistic")])
def test_auto_is_a_code_that_suits_the_penalty(penalty, activation, iris):
    model = SparseAutoencoder(3, penalty=penalty, **QUICK).fit(iris)
    assert model.module_.encoder.activations[-1] == activation
    named = SparseAutoencoder(3, penalty=penalty, code_activation=activation, **QUICK).fit(iris)
    np.testing.assert_array_equal(named.transform(iris), model.transform(iris))


@pytest.mark.parametrize("target", [0.01, 0.3])
def test_units_start_at_their_target(target, iris):
    model = SparseAutoencoder(3, penalty="kl", sparsity_target=target, dtype="float64", random_state=0)
    model.set_params(learning_rate_init=1e-300, max_iter=1).fit(iris)
    np.testing.assert_allclose(model.transform(iris.mean(0, keepdims=True)), target, rtol=1e-10)


def test_units_reach_their_target(digits):
    model = SparseAutoencoder(16, penalty="kl", tied_weights=False, hidden_layer_sizes=(32,), random_state=0)
    model.set_params(batch_size=50, max_iter=30, learning_rate_init=0.01)
    distance = []
    for sparsity in (0.3, 3.0, 60.0):
        rho = clone(model).set_params(sparsity=sparsity).fit(digits).transform(digits).mean(0)
        distance.append(np.abs(rho / 0.05 - 1).max())
    assert distance[0] > distance[1] > distance[2]
    assert distance[2] < 0.2
    assert distance[0] > 1  # and without the penalty they are elsewhere


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_stronger_penalty_leaves_less_and_silences_more(penalty, digits):
    model = SparseAutoencoder(30, penalty=penalty, batch_size=50, max_iter=20, random_state=0)
    costs, silent = [], []
    for sparsity in (0.01, 0.3, 3.0):
        h = clone(model).set_params(sparsity=sparsity).fit(digits).transform(digits)
        costs.append(PENALTIES[penalty][0](h).sum(1).mean())
        silent.append((h == 0).mean())
    assert costs[0] > costs[1] > costs[2]
    if penalty in ("l1", "log"):  # the others have no slope at zero
        assert silent[0] < silent[1] < silent[2]


def test_codes_may_be_wider_than_the_data(digits):
    model = SparseAutoencoder(150, sparsity=0.1, batch_size=50, max_iter=20, random_state=0).fit(digits)
    statistics = code_statistics(model, digits)
    assert model.transform(digits).shape == (400, 150)
    assert 0 < statistics.density < 0.5
    assert model.score(digits) > 0.8


# ------------------------------------------------------------------ bad parameters


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"penalty": "kl", "code_activation": "relu"},
            "needs a code in .0, 1., but code_activation='relu' can leave it: use code_activation='logistic'",
        ),
        ({"penalty": "kl", "code_activation": "identity"}, "'identity' can leave it"),
        ({"penalty": "kl", "sparsity": 0.0, "code_activation": "tanh"}, "'tanh' can leave it"),
        ({"penalty": "l0"}, "'penalty' parameter"),
        ({"sparsity": -0.1}, "'sparsity' parameter"),
        ({"sparsity": np.nan}, "sparsity"),
        ({"sparsity_target": 0.0}, "'sparsity_target' parameter"),
        ({"sparsity_target": 1.0}, "'sparsity_target' parameter"),
        ({"code_activation": "sine"}, "'code_activation' parameter"),
        ({"init": "pca"}, "init='pca' is not defined with code_activation='auto'"),
    ],
    ids=str,
)
def test_bad_parameters_are_named_and_leave_nothing_behind(options, sentence, iris):
    unfitted, refitted = SparseAutoencoder(**QUICK), SparseAutoencoder(**QUICK).fit(iris)
    expected = refitted.transform(iris)
    for model in (unfitted, refitted):
        before = dict(vars(model.set_params(**options)))
        with pytest.raises(ValueError, match=sentence):
            model.fit(iris)
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[name] is before[name] for name in before)
    np.testing.assert_array_equal(refitted.transform(iris), expected)


def test_logistic_codes_are_probabilities_of_their_pre_activation(iris):
    model = SparseAutoencoder(3, penalty="kl", dtype="float64", **QUICK).fit(iris)
    (weight, bias), *_ = model.module_.encoder.layers()
    z = (iris - model.mean_) / model.scale_ @ weight.detach().numpy().T + bias.detach().numpy()
    np.testing.assert_allclose(model.transform(iris), expit(z), rtol=1e-10)


@pytest.mark.parametrize(
    ("options", "rate"),
    [
        ({}, 0.03),
        ({"penalty": "kl"}, 0.06),
        ({"learning_rate": "cosine"}, 0.01),
        ({"hidden_layer_sizes": (8,)}, 0.003),
    ],
)
def test_the_rate_fits_the_entries_of_atoms(options, rate):
    """0.15 / sqrt(n_features) is 0.05 for 9 columns, and 0.03 is the most."""
    X = np.random.default_rng(0).standard_normal((40, 9))
    model = SparseAutoencoder(12, **QUICK, **options)
    auto, written = clone(model).fit(X), clone(model).set_params(learning_rate_init=rate).fit(X)
    np.testing.assert_array_equal(auto.transform(X), written.transform(X))
