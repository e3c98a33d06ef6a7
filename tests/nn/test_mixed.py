"""The mixed likelihood against its parts, autograd and closed forms."""

import numpy as np
import pytest
import torch

from skae.engine.optim import Flat
from skae.nn.likelihoods import Bernoulli, Categorical, Gaussian, Poisson
from skae.nn.mixed import LEAST_ENTROPY, Mixed

COLUMNS = (("categorical", 3), ("gaussian", 2), ("bernoulli", 1), ("poisson", 2), ("gaussian", 1), ("categorical", 2))
N, D = 40, sum(size for _, size in COLUMNS)
GROUPS = [slice(0, 3), slice(3, 4), slice(4, 5), slice(5, 6), slice(6, 7), slice(7, 8), slice(8, 9), slice(9, 11)]
NUMBERS, COUNTS, BITS = [3, 4, 8], [6, 7], [5]


def real(shape=(N, D), seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rows(seed=1):
    rng = np.random.RandomState(seed)
    x = rng.normal(size=(N, D))
    x[:, 0:3], x[:, 9:11] = np.eye(3)[rng.randint(3, size=N)], np.eye(2)[rng.randint(2, size=N)]
    x[:, 5], x[:, 6:8] = rng.rand(N) < 0.3, rng.poisson([2.0, 30.0], size=(N, 2))
    x[:, NUMBERS] = (x[:, NUMBERS] - x[:, NUMBERS].mean(0)) / x[:, NUMBERS].std(0)
    return torch.from_numpy(x)


def started(variance=1.0):
    likelihood = Mixed(COLUMNS, variance).double()
    Flat(likelihood) if isinstance(variance, str) else None
    x = rows()
    likelihood.start(x.mean(0), [(part, part, None) for part in (x[:10], x[10:])])
    return likelihood


WEIGHTS = {
    "none": None,
    "rows": real((N,), seed=3).abs(),
    "entries": real((N, len(GROUPS)), seed=3).abs()[:, np.repeat(range(8), [g.stop - g.start for g in GROUPS])],
}


@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS)
def test_gradients_are_those_of_autograd(weight):
    likelihood, x, eta = started("column"), rows(), real(seed=2).requires_grad_()
    (expected,) = torch.autograd.grad(likelihood.loss(eta, x, weight), eta)
    loss, slope = likelihood.loss_and_gradient(eta.detach(), x, weight)
    torch.testing.assert_close(slope, expected, rtol=1e-10, atol=1e-14)
    assert torch.equal(loss, likelihood.loss(eta.detach(), x, weight))
    parameter = likelihood.log_variance
    expected = torch.autograd.grad(likelihood.nll(eta, x, weight), [eta, parameter])
    parameter.grad.zero_()
    nll, slope = likelihood.nll_and_backward(eta.detach(), x, weight)
    torch.testing.assert_close((slope, parameter.grad), expected, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(nll, likelihood.nll(eta.detach(), x, weight))


def test_nats_are_those_of_the_kinds():
    likelihood, x, eta = started(0.5), rows(), real((3, N, D), seed=2)
    nats = likelihood.nats(eta, x)
    counts = Poisson(2, 2).double()
    counts.log_mean.copy_(x[:, COUNTS].mean(0).log())
    counts.spread = torch.log1p(x[:, COUNTS]).std(0, correction=0)
    expected = {
        (0, 1, 2): Categorical([3]),
        (9, 10): Categorical([2]),
        tuple(NUMBERS): Gaussian(3, 0.5),
        tuple(BITS): Bernoulli(),
        tuple(COUNTS): counts,
    }
    for columns, plain in expected.items():
        part = list(columns)
        torch.testing.assert_close(nats[..., part], plain.nats(eta[..., part], x[:, part]))
        torch.testing.assert_close(likelihood.mean(eta)[..., part], plain.mean(eta[..., part]))
    torch.testing.assert_close(likelihood.log_likelihood(eta, x), -nats.sum(-1))


def test_of_numbers_alone_it_is_the_gaussian_likelihood():
    likelihood, plain = Mixed((("gaussian", D),)).double(), Gaussian(D)
    x, eta = real(seed=1), real(seed=2)
    likelihood.start(x.mean(0), [(x, x, None)])
    for one, other in zip(likelihood.loss_and_gradient(eta, x), plain.loss_and_gradient(eta, x), strict=True):
        torch.testing.assert_close(one, other)
    assert torch.equal(likelihood.embed(x), x)


def test_a_variable_costs_one_where_its_mean_is_all_that_is_known():
    likelihood, x = started(), rows()
    entries = likelihood.entries(likelihood.link(x.mean(0)).expand_as(x), x).mean(0)
    for group in GROUPS:
        assert float(entries[group].sum()) == pytest.approx(1.0, rel=1e-4)


def test_a_column_that_is_nearly_constant_does_not_shout():
    likelihood = Mixed((("bernoulli", 1), ("categorical", 2))).double()
    x = torch.zeros(1000, 3, dtype=torch.float64)
    x[:, 1] = 1.0
    x[0] = torch.tensor([1.0, 0.0, 1.0])
    likelihood.start(x.mean(0), [(x, x, None)])
    torch.testing.assert_close(likelihood.worth, torch.full((3,), 1 / LEAST_ENTROPY, dtype=torch.float64))


def test_what_the_encoder_sees_is_centred_and_has_the_scale_of_correspondence_analysis():
    likelihood, x = started(), rows()
    seen = likelihood.embed(x)
    np.testing.assert_allclose(seen.mean(0), 0.0, atol=1e-12)
    variance = seen.var(0, correction=0)
    np.testing.assert_allclose(variance[NUMBERS + BITS + COUNTS], 1.0)
    np.testing.assert_allclose([variance[0:3].sum(), variance[9:11].sum()], [2.0, 1.0])  # categories less 1
    assert likelihood.rank(D) == D - 2


def test_the_slope_of_what_the_encoder_sees_is_that_of_autograd():
    likelihood, x = started(), rows().requires_grad_()
    g = real((N, 1, D), seed=4)
    (expected,) = torch.autograd.grad((likelihood.embed(x) * g[:, 0]).sum(), x)
    torch.testing.assert_close(likelihood.embed_slope(x.detach(), g)[:, 0], expected)


def test_samples_have_the_probabilities_and_means_of_their_kinds():
    likelihood = started(0.25)
    eta = real((D,), seed=5).expand(20_000, D)
    x = likelihood.sample(eta, torch.Generator().manual_seed(0))
    mean = likelihood.mean(eta)[0]
    np.testing.assert_allclose(x.mean(0), mean, atol=0.02, rtol=0.02)
    np.testing.assert_allclose(x[:, NUMBERS].std(0), 0.5, rtol=0.03)
    assert set(x[:, :3].sum(1).tolist()) == set(x[:, 9:].sum(1).tolist()) == {1.0}


def test_natural_parameters_of_a_linear_code_are_a_discriminant_analysis():
    """Bayes' rule for normal codes with means m_k, by its densities, with the covariance that the docstring names."""
    likelihood = started()
    slopes, variances = 0.3 * real((2, D), seed=6), torch.tensor([1.5, 0.7], dtype=torch.float64)
    slopes[:, :3] -= (slopes[:, :3] * likelihood.unit[:3]).sum(1, keepdim=True) / likelihood.unit[:3].sum()
    B, b = likelihood.natural(slopes, variances)
    p, V = likelihood.center[:3], variances.diag()
    means = V @ slopes[:, :3] * likelihood.unit[:3] / p
    within = 1.1 * V - (means * p) @ means.t()
    h = real((5, 2), seed=7)
    normal = [torch.distributions.MultivariateNormal(m, within).log_prob(h) for m in means.t()]
    expected = torch.stack(normal, 1) + p.log()
    found = h @ B[:, :3] + b[:3]
    torch.testing.assert_close(found - found[:, :1], expected - expected[:, :1])
    torch.testing.assert_close(B[:, NUMBERS], slopes[:, NUMBERS])
    assert not b[NUMBERS].any()


def test_a_count_keeps_its_mean_under_normal_codes():
    likelihood = started()
    slopes, variances = 0.5 * real((2, D), seed=6), torch.tensor([1.5, 0.7], dtype=torch.float64)
    B, b = likelihood.natural(slopes, variances)
    h = real((200_000, 2), seed=8) * variances.sqrt()
    np.testing.assert_allclose(likelihood.mean(h @ B + b)[:, COUNTS].mean(0), rows()[:, COUNTS].mean(0), rtol=0.02)


def test_rows_with_a_weight_are_rows_that_occur_so_often():
    x, weight = rows(), torch.arange(1.0, N + 1).double()
    often = x.repeat_interleave(torch.arange(1, N + 1), 0)
    made = []
    for data, w in ((x, weight), (often, None)):
        likelihood = Mixed(COLUMNS).double()
        likelihood.start(often.mean(0), [(data, data, w)])
        made.append(likelihood.state_dict())
    torch.testing.assert_close(*made)
