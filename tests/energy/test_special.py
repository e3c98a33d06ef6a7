"""Special functions against those of scipy and numpy."""

import math

import numpy as np
import pytest
import torch
from energy.machines import seeded
from scipy import stats
from scipy.special import spence

from skae.energy.special import coins, gauss_hermite, gauss_legendre, logistic, softplus_integral


def test_the_integral_of_softplus_is_the_dilogarithm():
    f = np.linspace(-40, 30, 999)
    expected = -spence(1 + np.exp(f))
    np.testing.assert_allclose(softplus_integral(torch.from_numpy(f)), expected, rtol=1e-13, atol=1e-15)


def test_quadratures_are_those_of_numpy():
    node, weight = np.polynomial.legendre.leggauss(12)
    found = gauss_legendre(12)
    np.testing.assert_allclose(found[0], (node + 1) / 2, atol=1e-14)
    np.testing.assert_allclose(found[1], weight / 2, atol=1e-14)
    node, weight = np.polynomial.hermite_e.hermegauss(16)
    found = gauss_hermite(16)
    np.testing.assert_allclose(found[0], node, atol=1e-13)
    np.testing.assert_allclose(found[1], weight / math.sqrt(2 * math.pi), atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_coins_fall_by_their_probabilities(dtype):
    p = torch.tensor([0.0, 1e-5, 0.001, 0.3, 0.5, 0.75, 1 - 2**-20, 1.0], dtype=dtype)
    n, rng = 4000, seeded()
    seen = sum(coins(p.repeat(n, 5), rng).view(n, 5, -1).sum((0, 1)) for _ in range(20)).double()
    assert seen[0] == 0
    assert seen[-1] == 20 * 5 * n
    for count, probability in zip(seen[1:-1].tolist(), p[1:-1].tolist(), strict=True):
        assert stats.binomtest(int(count), 20 * 5 * n, probability).pvalue > 1e-4


def test_the_last_bit_that_a_float_tells_of_a_probability_counts():
    """Bits of the coin and of its column are one number: all 2^24 of them are equally likely."""
    p = torch.full((2**12, 2**12), 2.0**-24)
    assert 0 < float(coins(p, seeded()).sum() + coins(p, seeded(1)).sum() + coins(p, seeded(2)).sum()) < 15
    assert float(coins(1 - p, seeded()).sum()) > p.numel() - 12


def test_coins_of_a_row_and_of_a_column_are_independent():
    p = torch.tensor([0.2, 0.6]).repeat(20_000, 1)
    fallen = coins(p, seeded(3))
    for pair in (fallen, fallen[:, 0].view(-1, 2), fallen[:, 1].view(-1, 2)):
        table = np.histogram2d(*pair.T.numpy(), bins=2)[0]
        assert stats.chi2_contingency(table).pvalue > 1e-4


def test_coins_repeat_by_their_generator_and_keep_the_shape():
    p = torch.rand((3, 7, 5), generator=seeded())
    assert torch.equal(coins(p, seeded(1)), coins(p, seeded(1)))
    assert not torch.equal(coins(p, seeded(1)), coins(p, seeded(2)))
    assert coins(p, seeded(1)).shape == p.shape


def test_the_logistic_function_has_a_gradient_everywhere():
    f = torch.tensor([-1e30, -200.0, -88.5, -80.0, -3.0, 0.0, 3.0, 200.0, 1e30], requires_grad=True)
    y = logistic(f)
    y.sum().backward()
    torch.testing.assert_close(y.detach(), torch.sigmoid(f.detach()), rtol=1e-6, atol=2e-35)
    torch.testing.assert_close(f.grad, (y * (1 - y)).detach(), rtol=1e-6, atol=2e-35)
