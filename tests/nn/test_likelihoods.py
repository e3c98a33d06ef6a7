"""Likelihoods against scipy, torch.distributions and autograd."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions

from skae.engine.optim import Flat
from skae.nn.likelihoods import (
    LEAST_VARIANCE,
    Bernoulli,
    Categorical,
    Gaussian,
    Poisson,
    likelihood_of,
)

GROUPS = (2, 1, 3)
LEAST = float(torch.tensor(LEAST_VARIANCE))  # as it is in a module that was made in float32
N, D, N_DRAWS = 9, sum(GROUPS), 4
MEMBER = np.repeat(np.arange(len(GROUPS)), GROUPS)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def real(shape=(N, D), seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def soft(seed=1):
    return torch.rand(N, D, generator=seeded(seed), dtype=torch.float64)


def counts(seed=1):
    return torch.poisson(real(seed=seed).abs() * 3, generator=seeded(seed))


def learnt(variance, log_variance):
    """A Gaussian with this parameter, and somewhere for its gradient to go."""
    likelihood = Gaussian(D, variance).double()
    Flat(likelihood)
    with torch.no_grad():
        likelihood.log_variance.copy_(log_variance)
    return likelihood


def of_column():
    return learnt("column", real((D,), seed=7))


def plain_poisson():
    return Poisson(D, D).double()


def started_poisson():
    likelihood = Poisson(D, D).double()
    likelihood.start(counts().mean(0), [(counts(), counts(), None)])
    return likelihood


LIKELIHOODS = {
    "gaussian": (lambda: Gaussian(D), lambda: real(seed=1)),
    "gaussian, fixed": (lambda: Gaussian(D, 0.3), lambda: real(seed=1)),
    "gaussian, global": (lambda: learnt("global", torch.tensor(-0.7)), lambda: real(seed=1)),
    "gaussian, column": (of_column, lambda: real(seed=1)),
    "bernoulli": (Bernoulli, soft),
    "poisson": (plain_poisson, counts),
    "poisson, started": (started_poisson, counts),
    # groups that sum to anything
    "categorical": (lambda: Categorical(GROUPS), soft),
}
every_likelihood = pytest.mark.parametrize(("make", "targets"), LIKELIHOODS.values(), ids=LIKELIHOODS)
WEIGHTS = {
    "none": lambda: None,
    "rows": lambda: real((N,), seed=3).abs(),
    "entries": lambda: real((N, len(GROUPS)), seed=3).abs()[:, MEMBER],  # a group is one variable, and has one weight
}
every_weight = pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS)


def each_entry(weight):
    return np.ones((N, D)) if weight is None else np.broadcast_to(weight.numpy().reshape(N, -1), (N, D))


# ---------------------------------------------------------------- the loss of an autoencoder


@every_likelihood
@every_weight
def test_the_loss_is_the_mean_of_its_rows_and_the_gradient_that_of_autograd(make, targets, weight):
    likelihood, eta, x, weight = make(), real(seed=2).requires_grad_(), targets(), weight()
    loss = likelihood.loss(eta, x, weight)
    entries = likelihood.entries(eta, x).detach().numpy()
    np.testing.assert_allclose(loss.item(), (entries * each_entry(weight)).sum() / N, rtol=1e-12)
    (expected,) = torch.autograd.grad(loss, eta)
    untouched = eta.detach().clone(), x.clone()
    torch.testing.assert_close(likelihood.gradient(eta.detach(), x, weight), expected, rtol=1e-12, atol=1e-15)
    both = likelihood.loss_and_gradient(eta.detach(), x, weight)
    assert torch.equal(both[0], loss)
    assert torch.equal(both[1], likelihood.gradient(eta.detach(), x, weight))
    assert torch.equal(eta, untouched[0])
    assert torch.equal(x, untouched[1])


@pytest.mark.parametrize("variance", [1.0, 0.3, "global", "column"])
def test_the_loss_of_a_gaussian_is_the_squared_error_whatever_its_variance(variance):
    likelihood, eta, x = Gaussian(D, variance).double(), real(seed=2), real(seed=1)
    np.testing.assert_allclose(likelihood.loss(eta, x), ((eta - x) ** 2).sum(1).mean(), rtol=1e-12)
    np.testing.assert_allclose(likelihood.gradient(eta, x), 2 * (eta - x) / N, rtol=1e-12)


@every_likelihood
def test_mean_undoes_link(make, targets):
    likelihood = make()
    mean = likelihood.mean(real(seed=2))
    torch.testing.assert_close(likelihood.mean(likelihood.link(mean)), mean, rtol=1e-10, atol=1e-12)


@every_likelihood
def test_the_link_of_a_mean_on_the_border_is_finite(make, targets):
    for border in (0.0, 1.0):
        assert torch.isfinite(make().link(torch.full((D,), border))).all()


# ---------------------------------------------------------------- nats


def gaussian_oracle(variance):
    return lambda eta, x: stats.norm.logpdf(x, eta, np.sqrt(variance)).sum(-1)


def bernoulli_oracle(eta, x):
    return distributions.Independent(distributions.Bernoulli(logits=torch.as_tensor(eta)), 1).log_prob(x).numpy()


def poisson_oracle(eta, x):
    return stats.poisson.logpmf(x.numpy(), eta.exp().numpy()).sum(-1)


def categorical_oracle(eta, x):
    parts = zip(eta.split(GROUPS, -1), x.split(GROUPS, -1), strict=True)
    return sum(distributions.OneHotCategorical(logits=e).log_prob(one) for e, one in parts).numpy()


def bits():
    return (soft() < 0.4).double()


def one_hot(seed=1):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(np.hstack([np.eye(k)[rng.integers(k, size=N)] for k in GROUPS]))


DENSITIES = {
    "gaussian": (lambda: Gaussian(D), lambda: real(seed=1), gaussian_oracle(1.0)),
    "gaussian, fixed": (lambda: Gaussian(D, 0.3), lambda: real(seed=1), gaussian_oracle(0.3)),
    "gaussian, global": (
        lambda: learnt("global", torch.tensor(-0.7, dtype=torch.float64)),
        lambda: real(seed=1),
        gaussian_oracle(LEAST + math.exp(-0.7)),
    ),
    "gaussian, column": (
        of_column,
        lambda: real(seed=1),
        gaussian_oracle(LEAST + np.exp(real((D,), seed=7).numpy())),
    ),
    "bernoulli": (Bernoulli, bits, bernoulli_oracle),
    "poisson": (plain_poisson, counts, poisson_oracle),
    "poisson, started": (
        started_poisson,
        counts,
        lambda eta, x: poisson_oracle(started_poisson().log_mean + started_poisson().spread * eta, x),
    ),
    "categorical": (lambda: Categorical(GROUPS), one_hot, categorical_oracle),
}


@pytest.mark.parametrize(("make", "targets", "oracle"), DENSITIES.values(), ids=DENSITIES)
@pytest.mark.parametrize("draws", [(), (N_DRAWS,), (2, 3)], ids=str)
def test_the_log_likelihood_of_a_row_is_that_of_scipy_or_torch_with_all_constants(make, targets, oracle, draws):
    eta, x = real((*draws, N, D), seed=2), targets()
    rows = make().log_likelihood(eta, x)
    assert rows.shape == (*draws, N)
    np.testing.assert_allclose(rows.detach(), oracle(eta, x), rtol=1e-12)


@every_likelihood
def test_draws_may_be_on_either_side(make, targets):
    likelihood, eta, x = make(), real(seed=2), targets()
    several = torch.stack([x, x.flip(0)])
    each = torch.stack([likelihood.log_likelihood(eta, one) for one in several])
    torch.testing.assert_close(likelihood.log_likelihood(eta, several), each, rtol=1e-12, atol=1e-14)


def test_the_log_likelihood_of_a_probability_is_the_mean_over_its_zeros_and_ones():
    eta, x = real((1, 1), seed=2), torch.tensor([[0.3]], dtype=torch.float64)
    zero, one = (Bernoulli().log_likelihood(eta, torch.full_like(x, bit)) for bit in (0.0, 1.0))
    torch.testing.assert_close(Bernoulli().log_likelihood(eta, x), 0.7 * zero + 0.3 * one)


@every_likelihood
@every_weight
def test_nll_is_the_mean_of_the_rows_in_nats_and_its_gradients_those_of_autograd(make, targets, weight):
    likelihood, eta, x, weight = make(), real(seed=2).requires_grad_(), targets(), weight()
    nll = likelihood.nll(eta, x, weight)
    nats = likelihood.nats(eta, x)
    torch.testing.assert_close(nats.sum(1), -likelihood.log_likelihood(eta, x))
    np.testing.assert_allclose(nll.item(), (nats.detach().numpy() * each_entry(weight)).sum() / N, rtol=1e-12)
    parameters = list(likelihood.parameters())
    for parameter in parameters:
        parameter.grad.fill_(5.0)  # what is there already stays
    in_eta, *in_parameters = torch.autograd.grad(nll, [eta, *parameters])
    torch.testing.assert_close(likelihood.nll_backward(eta.detach(), x, weight), in_eta, rtol=1e-12, atol=1e-15)
    by_hand = [parameter.grad - 5.0 for parameter in parameters]
    torch.testing.assert_close(by_hand, in_parameters, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("variance", "shape"), [("global", ()), ("column", (D,))])
def test_the_variance_that_is_learnt_is_that_of_the_residuals(variance, shape):
    """Where nll is least in log_variance, sigma^2 is the mean square of what it explains."""
    likelihood, x = Gaussian(D, variance).double(), real((400, D), seed=1) * torch.linspace(0.1, 2, D)
    assert likelihood.log_variance.shape == shape
    assert not likelihood.log_variance.decay
    squares = x.square().mean(0)
    likelihood.start_at_variance(squares if shape else squares.mean())
    torch.testing.assert_close(likelihood.variance, squares if shape else squares.mean())
    Flat(likelihood)
    likelihood.nll_backward(torch.zeros_like(x), x)
    assert likelihood.log_variance.grad.abs().max() < 1e-12


@pytest.mark.parametrize(("start", "floor"), [(1.0, LEAST_VARIANCE), (1e-3, 1e-5), (0.0, 1e-10)])
def test_a_variance_stays_above_its_floor(start, floor):
    likelihood = Gaussian(D, "column")
    likelihood.start_at_variance(torch.full((D,), start))
    torch.testing.assert_close(likelihood.variance, torch.full((D,), max(start, 1e-8)))
    with torch.no_grad():
        likelihood.log_variance.fill_(-1e4)
    torch.testing.assert_close(likelihood.variance, torch.full((D,), floor), rtol=1e-5, atol=0.0)
    x = real().float()
    assert torch.isfinite(likelihood.log_likelihood(x, x)).all()


# ---------------------------------------------------------------- samples

N_SAMPLES = 20_000
SAMPLED = {
    "gaussian": (lambda: Gaussian(D), lambda mean: np.ones(D)),
    "gaussian, fixed": (lambda: Gaussian(D, 0.3), lambda mean: np.full(D, 0.3)),
    "gaussian, column": (of_column, lambda mean: LEAST + np.exp(real((D,), seed=7).numpy())),
    "bernoulli": (Bernoulli, lambda mean: mean * (1 - mean)),
    "poisson": (plain_poisson, lambda mean: mean),
    "poisson, started": (started_poisson, lambda mean: mean),
    "categorical": (lambda: Categorical(GROUPS), lambda mean: mean * (1 - mean)),
}


@pytest.mark.parametrize(("make", "variance"), SAMPLED.values(), ids=SAMPLED)
def test_samples_have_the_mean_and_variance_of_the_likelihood(make, variance):
    likelihood, eta = make(), real((D,), seed=2) * 0.7
    with torch.no_grad():
        x = likelihood.sample(eta.expand(2, N_SAMPLES // 2, D), seeded(1))
        mean = likelihood.mean(eta).numpy()
    assert x.shape == (2, N_SAMPLES // 2, D)
    assert x.dtype == torch.float64
    rows = x.flatten(0, 1).numpy()
    spread = variance(mean)
    np.testing.assert_allclose(rows.mean(0), mean, atol=5 * np.sqrt(spread.max() / N_SAMPLES))
    np.testing.assert_allclose(rows.var(0), spread, rtol=0.1, atol=1e-12)
    independent = np.corrcoef(rows[1:, 0], rows[:-1, 0])[0, 1]
    assert abs(independent) < 5 / np.sqrt(N_SAMPLES)


def test_samples_of_a_gaussian_are_normal_and_those_of_a_category_are_one_hot():
    draw = Gaussian(1, 0.3).sample(torch.full((5000, 1), 2.0), seeded(1)).squeeze(1)
    assert stats.kstest(draw.numpy(), stats.norm(2.0, math.sqrt(0.3)).cdf).pvalue > 1e-3
    one = Categorical(GROUPS).sample(real((3, 50, D)), seeded(1))
    assert set(one.unique().tolist()) == {0.0, 1.0}
    for part in one.split(GROUPS, -1):
        assert torch.equal(part.sum(-1), torch.ones(3, 50, dtype=torch.float64))


# ---------------------------------------------------------------- the frame of counts


@pytest.mark.parametrize("weighted", [False, True])
def test_counts_are_seen_and_described_on_a_scale_of_their_own(weighted):
    rows = np.random.default_rng(0)
    inputs, x = rows.poisson(1e5, (50, 3)), rows.poisson([1.0, 30.0, 1e4, 2.0], (50, 4))
    weight = rows.integers(0, 3, 50) if weighted else np.ones(50, dtype=int)
    tensors = [torch.from_numpy(array.astype(float)) for array in (inputs, x, weight)]
    likelihood, mean = Poisson(4, 3).double(), np.average(x, axis=0, weights=weight)
    likelihood.start(torch.from_numpy(mean), zip(*(t.split(20) for t in tensors), strict=True))
    inputs, x = (np.log1p(np.repeat(array, weight, axis=0)) for array in (inputs, x))
    np.testing.assert_allclose(likelihood.mean(torch.zeros(4)), mean, rtol=1e-12)
    np.testing.assert_allclose(likelihood.spread, np.sqrt(x.var(0).mean()), rtol=1e-6)
    seen = likelihood.embed(torch.from_numpy(np.expm1(inputs))).numpy()
    np.testing.assert_allclose(seen.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(seen.var(0).mean(), 1, rtol=1e-6)


def test_the_slope_of_what_the_encoder_sees_of_counts_is_that_of_autograd():
    likelihood, x = started_poisson(), counts().requires_grad_()
    slope = likelihood.embed_slope(x.detach(), torch.ones((N, 1, D), dtype=torch.float64))[:, 0]
    torch.testing.assert_close(slope, torch.autograd.grad(likelihood.embed(x).sum(), x)[0])


def test_constant_counts_are_left_in_their_units():
    likelihood, x = Poisson(2, 2).double(), torch.full((5, 2), 7.0, dtype=torch.float64)
    likelihood.start(x[0], [(x, x, None)])
    assert likelihood.spread == likelihood.input_spread == 1.0
    assert torch.equal(likelihood.embed(x), torch.zeros_like(x))


# ---------------------------------------------------------------- by name


def test_likelihoods_have_the_names_of_their_distributions():
    for name, cls in [("gaussian", Gaussian), ("bernoulli", Bernoulli), ("poisson", Poisson)]:
        assert type(likelihood_of(name, D)) is cls
    assert len(likelihood_of("poisson", D, n_inputs=2).center) == 2
    assert likelihood_of("categorical", D, GROUPS).member.bincount().tolist() == list(GROUPS)
    assert likelihood_of("gaussian", D, variance="column").log_variance.shape == (D,)
    assert likelihood_of("gaussian", D, variance=0.5).variance == 0.5
