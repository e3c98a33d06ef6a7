"""Noise from a generator, common noise without one, and masks of dropout."""

import numpy as np
import pytest
import torch
from scipy import stats

from skae.functional import common_normal, dropout_mask, latin_hypercube, standard_normal


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_with_a_generator_numbers_are_independent_and_normal():
    like = torch.empty(3, 50, 40, dtype=torch.float64)
    z = standard_normal(like, seeded(1))
    assert z.shape == like.shape
    assert stats.kstest(z.numpy().ravel(), stats.norm.cdf).pvalue > 1e-3
    assert len(z.unique()) == z.numel()
    assert torch.equal(z, standard_normal(like, seeded(1)))
    assert not torch.equal(z, standard_normal(like, seeded(2)))


@pytest.mark.parametrize("shape", [(7, 4), (5, 7, 4), (2, 3, 7, 4)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_common_noise_is_the_same_for_all_rows_and_calls(shape, dtype):
    before = torch.get_rng_state()
    z = standard_normal(torch.zeros(shape, dtype=dtype), None)
    assert z.shape == shape
    assert z.dtype == dtype
    assert torch.equal(z, z[..., :1, :].expand_as(z))
    fewer_rows = standard_normal(torch.zeros((*shape[:-2], 2, 4), dtype=dtype), None)
    assert torch.equal(z[..., :2, :], fewer_rows)
    z.mul_(2)  # a tensor of its own, which nobody else reads
    assert torch.equal(standard_normal(torch.zeros(shape, dtype=dtype), None) * 2, z)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("n_draws", "width"), [(64, 16), (64, 3), (400, 100), (9, 2)])
def test_many_common_draws_have_the_mean_and_the_second_moment_of_a_normal_distribution(n_draws, width):
    z = common_normal(n_draws, width).numpy()
    np.testing.assert_allclose(z.mean(0), 0.0, atol=1e-12)
    np.testing.assert_allclose(z.T @ z / n_draws, np.eye(width), atol=1e-12)


@pytest.mark.parametrize(("n_draws", "width"), [(16, 16), (2, 5), (3, 40)])
def test_few_common_draws_have_its_variances(n_draws, width):
    z = common_normal(n_draws, width).numpy()
    np.testing.assert_allclose(z.mean(0), 0.0, atol=1e-12)
    np.testing.assert_allclose((z**2).mean(0), 1.0)


def test_common_draws_are_normal_in_each_column_and_estimate_means_well():
    z = common_normal(256, 4).numpy()
    for column in z.T:
        assert stats.kstest(column, stats.norm.cdf).statistic < 0.02  # independent draws have 0.05
    assert np.exp(0.5 * z.sum(1)).mean() == pytest.approx(np.exp(0.5), rel=0.03)  # independent draws err by 0.08


@pytest.mark.parametrize(("width", "scale"), [(3, 0.7), (8, 0.7), (8, 1.5)])
def test_noise_that_rows_share_gives_no_bound_above_the_likelihood(width, scale):
    """The importance-weighted bound of a linear model under a posterior that is too narrow or too wide."""
    rng = np.random.default_rng(0)
    E = rng.normal(size=(width, 12))
    X = rng.normal(size=(300, width)) @ E + rng.normal(size=(300, 12))
    S = np.linalg.inv(E @ E.T + np.eye(width))  # covariance of p(h | x)
    exact = stats.multivariate_normal(np.zeros(12), E.T @ E + np.eye(12)).logpdf(X).mean()
    error = common_normal(64, width).numpy() @ np.linalg.cholesky(scale * S).T
    h = X @ E.T @ S + error[:, None]
    log_q = stats.multivariate_normal(np.zeros(width), scale * S).logpdf(error)[:, None]
    log_p = stats.norm.logpdf(X, h @ E).sum(-1) + stats.norm.logpdf(h).sum(-1)
    bound = np.logaddexp.reduce(log_p - log_q, 0).mean() - np.log(64)
    assert exact - 0.2 < bound < exact


@pytest.mark.parametrize("extreme", [0.0, 1.0])
def test_quantiles_of_common_draws_are_never_those_of_infinity(extreme, monkeypatch):
    common_normal.cache_clear()
    sequence = torch.quasirandom.SobolEngine
    monkeypatch.setattr(sequence, "draw", lambda self, n, dtype: torch.full((n, self.dimension), extreme, dtype=dtype))
    assert torch.isfinite(common_normal(6, 3)).all()
    common_normal.cache_clear()


def test_a_single_common_draw_varies_over_the_columns():
    z = standard_normal(torch.zeros(5, 200), None)
    assert stats.kstest(z[0].numpy(), stats.norm.cdf).pvalue > 1e-3


def test_a_hypercube_has_one_number_in_each_interval_and_is_uniform_within():
    u = latin_hypercube(50, 80, seeded(1))
    intervals = (u * 50).long()
    assert torch.equal(intervals.sort(0).values, torch.arange(50)[:, None].expand(50, 80))
    assert stats.kstest((u * 50 - intervals).numpy().ravel(), stats.uniform.cdf).pvalue > 1e-3
    assert not torch.equal(intervals[:, 0], intervals[:, 1])
    assert not torch.equal(u, latin_hypercube(50, 80, seeded(2)))


@pytest.mark.parametrize("extreme", [0.0, 1 - 2**-24])
def test_quantiles_of_a_hypercube_are_never_those_of_infinity(extreme, monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(shape, extreme))
    assert torch.isfinite(torch.special.ndtri(latin_hypercube(4, 1, seeded()))).all()


# ------------------------------------------------------------------ masks of dropout


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
    x = torch.randn((3, 4), generator=seeded(), dtype=torch.float64)
    draws = x * dropout_mask(x.expand(20_000, 3, 4), p, seeded(1))
    error = draws.std(0) / 20_000**0.5
    assert ((draws.mean(0) - x).abs() / error).max() < 4.5
    torch.testing.assert_close(draws.var(0), x.square() * p / (1 - p), rtol=0.05, atol=0.0)
