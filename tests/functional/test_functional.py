"""Likelihoods, activations and noise against scipy, numpy and autograd."""

import numpy as np
import pytest
import torch
from scipy import special, stats

from skae import functional
from skae.functional import ACTIVATIONS, SLOPES
from skae.nn.likelihoods import Categorical

SIZES = (2, 3, 1, 4)  # unequal groups of a categorical likelihood, ten columns together
N, D = 7, sum(SIZES)


def real(seed, shape=(N, D), scale=1.5):
    return torch.from_numpy(scale * np.random.default_rng(seed).standard_normal(shape))


def bits(seed):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 2, (N, D)).astype(float))


def soft(seed):
    return torch.from_numpy(np.random.default_rng(seed).random((N, D)))


def counts(seed):
    return torch.from_numpy(np.random.default_rng(seed).poisson(3.0, (N, D)).astype(float))


def one_hot(seed):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(np.hstack([np.eye(k)[rng.integers(k, size=N)] for k in SIZES]))


def groups():
    likelihood = Categorical(SIZES)
    return likelihood.member, likelihood.n_groups


def categorical_nll(logits, x):
    return functional.categorical_nll(logits, x, *groups())


def squared_error_oracle(eta, x):
    return np.linalg.norm(eta - x, axis=1) ** 2


def bernoulli_oracle(eta, x):
    return -stats.bernoulli.logpmf(x.astype(int), special.expit(eta)).sum(1)


def soft_bernoulli_oracle(eta, x):
    p = special.expit(eta)
    return -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(1)


def poisson_oracle(eta, x):
    return -stats.poisson.logpmf(x.astype(int), np.exp(eta)).sum(1)


def categorical_oracle(eta, x):
    total, start = np.zeros(len(x)), 0
    for size in SIZES:
        columns = slice(start, start + size)
        total -= (x[:, columns] * special.log_softmax(eta[:, columns], axis=1)).sum(1)
        start += size
    return total


LOSSES = {
    "squared_error": (functional.squared_error, real, squared_error_oracle),
    "bernoulli": (functional.bernoulli_nll, bits, bernoulli_oracle),
    "soft bernoulli": (functional.bernoulli_nll, soft, soft_bernoulli_oracle),
    "poisson": (functional.poisson_nll, counts, poisson_oracle),
    "categorical": (categorical_nll, one_hot, categorical_oracle),
    "soft categorical": (categorical_nll, soft, categorical_oracle),
}
every_loss = pytest.mark.parametrize(("loss", "targets", "oracle"), LOSSES.values(), ids=LOSSES)


@every_loss
def test_a_loss_of_each_row_is_that_of_its_oracle(loss, targets, oracle):
    eta, x = real(0), targets(1)
    entries = loss(eta, x)
    assert entries.shape == (N, D)
    np.testing.assert_allclose(entries.sum(1), oracle(eta.numpy(), x.numpy()), rtol=1e-12)


@every_loss
def test_a_loss_is_the_same_in_float32_and_for_columns_first(loss, targets, oracle):
    eta, x = (t.float() for t in (real(0), targets(1)))
    rows = loss(eta, x).sum(1)
    assert rows.dtype == torch.float32
    np.testing.assert_allclose(rows, oracle(eta.double().numpy(), x.double().numpy()), rtol=1e-4)
    transposed = (t.t().contiguous().t() for t in (eta, x))
    torch.testing.assert_close(loss(*transposed).sum(1), rows)


@every_loss
def test_autograd_differentiates_a_loss(loss, targets, oracle):
    eta, x = real(0).requires_grad_(), targets(1)
    assert torch.autograd.gradcheck(lambda eta: loss(eta, x), eta)
    assert torch.autograd.gradgradcheck(lambda eta: loss(eta, x), eta)


@pytest.mark.parametrize("columns_first", [False, True])
def test_mean_squared_error_is_the_mean_of_the_rows(columns_first):
    eta, x = real(0), real(1)
    if columns_first:
        eta, x = (t.t().contiguous().t() for t in (eta, x))
    expected = squared_error_oracle(eta.numpy(), x.numpy()).mean()
    np.testing.assert_allclose(functional.mean_squared_error(eta, x), expected, rtol=1e-12)
    assert torch.autograd.gradcheck(lambda eta: functional.mean_squared_error(eta, x), eta.requires_grad_())


def test_average_is_the_sum_of_weighted_rows_over_their_number():
    rows, weight = real(0, (N,)), soft(1)[:, 0]
    np.testing.assert_allclose(functional.average(rows), rows.numpy().mean(), rtol=1e-12)
    expected = (rows.numpy() * weight.numpy()).sum() / N
    np.testing.assert_allclose(functional.average(rows, weight), expected, rtol=1e-12)
    assert functional.average(rows, torch.zeros(N)) == 0


def test_weighted_average_takes_weights_of_rows_or_of_entries():
    entries, weight = real(0), soft(1)
    for w in (None, weight[:, 0], weight):
        each = np.ones((N, D)) if w is None else np.broadcast_to(w[:, None] if w.ndim == 1 else w, (N, D))
        expected = (entries.numpy() * each).sum() / N
        np.testing.assert_allclose(functional.weighted_average(entries, w), expected, rtol=1e-12)


EXTREME = torch.tensor([-1e4, 1e4, -1e4, 1e4, 0.0, 1e4, 1e4, 1e4, -1e4, 0.0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("loss", "sign", "targets", "oracle"),
    [
        # relu(eta) - eta x, as log(1 + e^-|eta|) vanishes but for eta = 0
        (
            functional.bernoulli_nll,
            1,
            bits,
            lambda eta, x: (np.maximum(eta, 0) - eta * x + (eta == 0) * np.log(2)).sum(1),
        ),
        (categorical_nll, 1, one_hot, categorical_oracle),
        (functional.poisson_nll, -1, counts, lambda eta, x: (np.exp(eta) - x * eta + special.gammaln(x + 1)).sum(1)),
        (functional.squared_error, 1, real, squared_error_oracle),
    ],
    ids=["bernoulli", "categorical", "poisson", "squared_error"],
)
def test_extreme_logits_give_exact_losses_and_finite_gradients(loss, sign, targets, oracle, dtype):
    eta = EXTREME if sign > 0 else -EXTREME.abs()  # e^10000 is no number
    eta = eta.repeat(N, 1).to(dtype).requires_grad_()
    x = targets(1).to(dtype)
    rows = loss(eta, x).sum(1)
    (gradient,) = torch.autograd.grad(rows.sum(), eta)
    assert torch.isfinite(gradient).all()
    expected = oracle(eta.detach().double().numpy(), x.double().numpy())
    np.testing.assert_allclose(rows.detach(), expected, rtol=1e-6 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("variance", [0.3, torch.linspace(0.1, 2.0, D).double()], ids=["number", "columns"])
def test_the_nll_of_a_gaussian_has_its_constants(variance):
    mean, x = real(0), real(1)
    expected = -stats.norm.logpdf(x.numpy(), mean.numpy(), np.sqrt(np.asarray(variance)))
    np.testing.assert_allclose(functional.gaussian_nll(mean, x, variance), expected, rtol=1e-12)


@pytest.mark.parametrize("lead", [(), (2,), (3, 2)], ids=str)
def test_groups_are_the_last_axis_whatever_comes_before(lead):
    x, (member, n_groups) = real(0, (*lead, N, D)), groups()
    for function, reduce in [
        (functional.group_sum, lambda part: part.sum(-1)),
        (functional.group_max, lambda part: part.amax(-1)),
    ]:
        expected = torch.stack([reduce(part) for part in x.split(SIZES, -1)], -1)
        torch.testing.assert_close(function(x, member, n_groups), expected, rtol=1e-12, atol=1e-14)
    expected = torch.cat([part.log_softmax(-1) for part in x.split(SIZES, -1)], -1)
    torch.testing.assert_close(functional.group_log_softmax(x, member, n_groups), expected, rtol=1e-12, atol=1e-14)


def test_each_group_is_a_distribution_of_its_own():
    log_p = functional.group_log_softmax(real(0, scale=5.0), *groups())
    for part in log_p.exp().split(SIZES, dim=1):
        np.testing.assert_allclose(part.sum(1), 1.0, rtol=1e-12)


# ---------------------------------------------------------------- activations

TORCH_ACTIVATIONS = {
    "identity": torch.nn.Identity(),
    "relu": torch.nn.ReLU(),
    "tanh": torch.nn.Tanh(),
    "logistic": torch.nn.Sigmoid(),
    "gelu": torch.nn.GELU(),
    "silu": torch.nn.SiLU(),
    "elu": torch.nn.ELU(),
    "leaky_relu": torch.nn.LeakyReLU(),
    "softplus": torch.nn.Softplus(),
}


def test_activations_and_slopes_have_the_same_names():
    assert list(ACTIVATIONS) == list(SLOPES) == list(TORCH_ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_slope_is_the_derivative_that_autograd_finds(name):
    z = torch.cat([torch.linspace(-30, 30, 241, dtype=torch.float64), torch.tensor([-1e4, 1e4])]).requires_grad_()
    a = ACTIVATIONS[name](z)
    g = real(0, z.shape)
    (expected,) = torch.autograd.grad(a, z, g)
    with torch.no_grad():
        torch.testing.assert_close(SLOPES[name](g, z, a), expected, rtol=1e-14, atol=0.0)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_the_one_that_torch_has_under_this_name(name):
    z = real(0, scale=10.0)
    torch.testing.assert_close(ACTIVATIONS[name](z), TORCH_ACTIVATIONS[name](z), rtol=0.0, atol=0.0)


# ---------------------------------------------------------------- noise and normalisation


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
def test_dropout_silences_a_binomial_number_of_units_and_keeps_the_mean(p, dtype):
    x = torch.ones(100, 200, dtype=dtype)
    mask = functional.dropout_mask(x, p, torch.Generator().manual_seed(0))
    assert mask.shape == x.shape
    assert mask.dtype == dtype
    kept = mask != 0
    torch.testing.assert_close(mask[kept], torch.full_like(mask[kept], 1 / (1 - p)))
    deviation = np.sqrt(x.numel() * p * (1 - p))
    assert abs(int((~kept).sum()) - x.numel() * p) <= 5 * deviation
    assert abs(float(mask.mean()) - 1) <= 5 * deviation / (x.numel() * (1 - p)) + 1e-6


def test_dropout_depends_on_its_generator_alone():
    x = torch.ones(20, 30)
    before = torch.get_rng_state()
    first, again, other = (functional.dropout_mask(x, 0.5, torch.Generator().manual_seed(s)) for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(x, torch.ones(20, 30))


def test_batch_norm_is_that_of_torch():
    x, mean, variance = real(0), real(1, (D,)), soft(2)[0]
    expected = torch.nn.functional.batch_norm(x, mean, variance, eps=functional.EPS)
    torch.testing.assert_close(functional.batch_norm(x, mean, variance), expected, rtol=1e-12, atol=1e-14)


def test_batch_norm_of_a_constant_column_is_zero():
    x = torch.full((N, D), 3.0)
    assert torch.equal(functional.batch_norm(x, x.mean(0), x.var(0)), torch.zeros(N, D))
