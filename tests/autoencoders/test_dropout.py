"""Dropout of hidden units and of input entries: its law, its expectation, its gradient, and where it is not."""

import numpy as np
import pytest
import torch
from nn.test_dense import N, fitted, real, require_same_gradient, seeded
from scipy import stats
from seen import seen
from sklearn.base import clone

from skae import Autoencoder, ContractiveAutoencoder, SparseAutoencoder
from skae.engine.data import Batch
from skae.functional import dropout_mask
from skae.nn.dense import Dense

WEIGHT = torch.tensor([2.0, 0.0, 1.0, 0.5, 3.0, 1.0, 0.0, 0.5, 1.0], dtype=torch.float64)  # its mean is 1
QUICK = {"hidden_layer_sizes": (6,), "batch_size": 50, "max_iter": 3, "random_state": 0}


class Settled(Autoencoder):
    """Keeps its last weights, and not those of the epoch whose noise was kindest."""

    _monitor = None


def require_mean(draws, expected):
    """Draws along the first axis whose mean is what is expected, within its standard error."""
    error = draws.std(0) / len(draws) ** 0.5
    assert error.min() > 0
    assert ((draws.mean(0) - expected).abs() / error).max() < 4.5


# ------------------------------------------------------------------ the mask


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_a_mask_is_zero_or_scaled_up_with_its_probability(p):
    mask = dropout_mask(torch.empty(200, 300, dtype=torch.float64), p, seeded())
    silenced = mask == 0
    torch.testing.assert_close(mask[~silenced], torch.full_like(mask[~silenced], 1 / (1 - p)))
    assert stats.binomtest(int(silenced.sum()), mask.numel(), p).pvalue > 1e-6
    for one, other in ((silenced[:, :-1], silenced[:, 1:]), (silenced[:-1], silenced[1:])):
        assert stats.binomtest(int((one & other)[::2, ::2].sum()), (one[::2, ::2]).numel(), p**2).pvalue > 1e-6


@pytest.mark.parametrize("p", [0.2, 0.6])
def test_masked_entries_have_the_mean_x_and_the_variance_x2_p_over_1_minus_p(p):
    x = real((3, 4))
    draws = torch.stack([x * dropout_mask(x, p, rng) for rng in [seeded(1)] for _ in range(20_000)])
    require_mean(draws, x)
    torch.testing.assert_close(draws.var(0), x.square() * p / (1 - p), rtol=0.05, atol=0.0)


# ------------------------------------------------------------------ of the input


@pytest.mark.parametrize("p", [0.2, 0.6])
def test_input_dropout_shows_masked_entries_whose_mean_is_x(p):
    model, batch = fitted(input_dropout=p)
    n = 5000
    many = Batch(batch.x.repeat(n, 1))
    shown = model._corrupt(model.module_, many, seeded(1))
    assert torch.equal(shown.x, many.x)  # x itself is what is to come back
    draws = shown.shown.reshape(n, N, -1)
    require_mean(draws, batch.x)
    torch.testing.assert_close(draws.var(0), batch.x.square() * p / (1 - p), rtol=0.15, atol=0.0)
    assert torch.equal(model._corrupt(model.module_, many, seeded(1)).shown, shown.shown)
    assert not torch.equal(model._corrupt(model.module_, many, seeded(2)).shown, shown.shown)


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_a_linear_model_under_input_dropout_is_a_ridge_regression(p):
    """S (S + p / (1 - p) diag(S))^-1: the noise is a penalty of each column's weights by its variance."""
    mixing = np.array([[1.2, 0.0, 0.3], [0.5, 0.8, 0.0], [-0.4, 0.5, 0.9]])
    X = np.random.default_rng(0).standard_normal((3000, 3)) @ mixing.T + [1.0, 20.0, -3.0]
    model = Settled(3, hidden_layer_sizes=(), input_dropout=p, dtype="float64", random_state=0)
    model.set_params(batch_size=200, max_iter=40, learning_rate_init=0.02).fit(X)
    S, mean = np.cov(X.T, bias=True), X.mean(0)
    expected = S @ np.linalg.inv(S + p / (1 - p) * np.diag(np.diag(S)))
    ends = model.inverse_transform(model.transform(np.vstack([mean, mean + np.eye(3)])))
    found = (ends[1:] - ends[0]).T
    assert np.linalg.norm(found - expected) < 0.04 * np.linalg.norm(expected)
    assert np.linalg.norm(np.eye(3) - expected) > 0.3 * np.linalg.norm(expected)


def test_silenced_entries_are_the_mean_of_their_column(iris):
    model = Autoencoder(2, input_dropout=0.4, dtype="float64", **QUICK).fit(iris + 100)
    x = seen(model, iris + 100)[:].x
    shown = model._corrupt(model.module_, Batch(x), seeded()).shown
    silenced = (shown == 0).numpy()
    X_shown = shown.numpy() * model.scale_ + model.mean_
    np.testing.assert_allclose(X_shown[silenced], np.broadcast_to(model.mean_, iris.shape)[silenced], rtol=1e-12)
    torch.testing.assert_close(shown[~silenced], x[~silenced] / 0.6)


# ------------------------------------------------------------------ of hidden units


def test_hidden_dropout_of_a_linear_network_has_the_mean_and_the_variance_of_its_units():
    """E h = W_2 a, and Var h_i = p / (1 - p) sum_j W_2ij^2 a_j^2 with a = W_1 x + b_1."""
    p, n = 0.3, 20_000
    coder = Dense([4, 6, 2], "identity", dropout=p).double()
    with torch.no_grad():
        for i, parameter in enumerate(coder.parameters()):
            parameter.copy_(real(parameter.shape, seed=i))
        x = real((1, 4), seed=9)
        draws = coder(x.repeat(n, 1), seeded(1))
        (first, bias), (second, _) = coder.layers()
        a = x @ first.T + bias
        require_mean(draws, coder(x)[0])
        expected = p / (1 - p) * a.square() @ second.square().T
        torch.testing.assert_close(draws.var(0), expected[0], rtol=0.05, atol=0.0)


@pytest.mark.parametrize("activation", ["relu", "silu", "tanh"])
def test_only_hidden_units_are_silenced(activation):
    """Neither the code nor the output: without a hidden layer there is no dropout."""
    coder = Dense([4, 3], "identity", activation, dropout=0.5).double()
    with torch.no_grad():
        coder.weight_0.copy_(real((3, 4)))
    x = real((5, 4), seed=1)
    assert torch.equal(coder(x, seeded()), coder(x))
    assert torch.equal(coder.propagate(x, seeded())[0], coder(x))


def test_without_a_hidden_layer_dropout_is_nothing(iris):
    options = {**QUICK, "hidden_layer_sizes": ()}
    one, two = Autoencoder(2, dropout=0.5, **options).fit(iris), Autoencoder(2, **options).fit(iris)
    np.testing.assert_array_equal(one.transform(iris), two.transform(iris))
    assert one.history_ == two.history_


def test_the_tape_of_a_step_is_what_forward_computes():
    coder = Dense([4, 6, 5, 2], "silu", dropout=0.4).double()
    coder.initialise(seeded())
    x = real((7, 4))
    out, tape = coder.propagate(x, seeded(3))
    torch.testing.assert_close(out, coder(x, seeded(3)), rtol=0.0, atol=0.0)
    masks = [mask for *_, mask in tape]
    assert masks[-1] is None
    assert all((mask == 0).any() for mask in masks[:-1])


# ------------------------------------------------------------------ in training


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli", "poisson", "categorical"])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("noise", [{"input_dropout": 0.4}, {"dropout": 0.3, "input_dropout": 0.4}], ids=str)
def test_the_gradient_of_a_step_is_that_of_autograd(noise, tied, likelihood):
    for init in ("random", "pca") if likelihood == "gaussian" else ("random",):
        model, batch = fitted(likelihood=likelihood, tied_weights=tied, init=init, **noise)
        for weight in (None, WEIGHT):
            require_same_gradient(model, batch._replace(weight=weight))


@pytest.mark.parametrize("noise", ["dropout", "input_dropout"])
def test_a_step_moves_with_its_generator(noise):
    """The gradient is that of one draw of the noise: another seed gives another one."""
    model, batch = fitted(**{noise: 0.4})
    gradients = []
    for seed in (1, 1, 2):
        model._flat.grad.zero_()
        model._step(model.module_, batch, seeded(seed))
        gradients.append(model._flat.grad.clone())
    assert torch.equal(gradients[0], gradients[1])
    assert not torch.equal(gradients[0], gradients[2])


@pytest.mark.parametrize("noise", [{"dropout": 0.4}, {"input_dropout": 0.4}], ids=str)
def test_fits_repeat_by_their_seed_and_draw_from_no_global_generator(noise, iris):
    states = np.random.get_state()[1].copy(), torch.get_rng_state()
    model = Autoencoder(2, **noise, **QUICK)
    one, two = clone(model).fit(iris), clone(model).fit(iris)
    np.testing.assert_array_equal(one.transform(iris), two.transform(iris))
    assert one.history_ == two.history_
    other = clone(model).set_params(random_state=1).fit(iris)
    assert other.history_ != one.history_
    np.testing.assert_array_equal(np.random.get_state()[1], states[0])
    assert torch.equal(torch.get_rng_state(), states[1])


@pytest.mark.parametrize("noise", [{"dropout": 0.4}, {"input_dropout": 0.4}], ids=str)
def test_a_fitted_model_is_free_of_noise(noise, iris):
    model = Autoencoder(2, **noise, **QUICK).fit(iris)
    H = model.transform(iris)
    np.testing.assert_array_equal(model.transform(iris), H)
    np.testing.assert_array_equal(model.inverse_transform(H), model.inverse_transform(H))
    assert model.score(iris) == model.score(iris)
    silent = Autoencoder(2, **QUICK).fit(iris)  # the same architecture, and then the same weights
    silent.module_.load_state_dict(model.module_.state_dict())
    np.testing.assert_array_equal(silent.transform(iris), H)


@pytest.mark.parametrize("noise", [{"dropout": 0.4}, {"input_dropout": 0.4}], ids=str)
def test_held_out_rows_are_free_of_noise(noise, iris):
    """At a learning rate that moves nothing their loss stays, while that in training does not."""
    still = {**QUICK, "init": "random", "learning_rate_init": 1e-300, "early_stopping": True, "n_iter_no_change": 9}
    model, plain = Autoencoder(2, **noise, **still).fit(iris), Autoencoder(2, **still).fit(iris)
    assert model.history_["validation_loss"] == plain.history_["validation_loss"]
    assert len(set(model.history_["validation_loss"])) == 1
    assert len(set(model.history_["reconstruction"])) == 3


def test_a_code_that_was_trained_under_noise_bears_it_better(digits):
    options = {**QUICK, "hidden_layer_sizes": (64,), "learning_rate_init": 3e-3, "max_iter": 25}
    rng = np.random.default_rng(1)
    mean = digits.mean(0)
    gone = np.where(rng.random(digits.shape) < 0.3, mean, mean + (digits - mean) / 0.7)
    errors = []
    for p in (0.0, 0.3):
        model = Autoencoder(24, input_dropout=p, **options).fit(digits)
        errors.append(((model.inverse_transform(model.transform(gone)) - digits) ** 2).mean())
    assert errors[1] < 0.95 * errors[0]


@pytest.mark.parametrize("cls", [SparseAutoencoder, ContractiveAutoencoder])
def test_penalties_are_those_of_what_the_encoder_is_shown(cls):
    model, batch = fitted(cls, input_dropout=0.4, hidden_layer_sizes=(), code_activation="tanh")
    rng = seeded(1)
    shown = model._corrupt(model.module_, batch, rng)
    found = model._loss(model.module_, batch, seeded(1))
    expected = model._bottleneck(model.module_, shown, model.module_.encode(shown.shown), rng).terms
    assert expected
    for name, term in expected.items():
        torch.testing.assert_close(found[name], term, rtol=1e-12, atol=0.0)


# ------------------------------------------------------------------ bad parameters


@pytest.mark.parametrize("name", ["dropout", "input_dropout"])
@pytest.mark.parametrize("value", [1.0, -0.1, 2, "some", None, np.nan])
def test_bad_probabilities_are_named_and_leave_nothing_behind(name, value, iris):
    model = Autoencoder(2, **QUICK).fit(iris)
    expected = model.transform(iris)
    before = dict(vars(model.set_params(**{name: value})))
    with pytest.raises(ValueError, match=f"'{name}' parameter of Autoencoder"):
        model.fit(iris)
    assert all(vars(model)[key] is before[key] for key in before)
    np.testing.assert_array_equal(model.transform(iris), expected)
