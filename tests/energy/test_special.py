"""Special functions against those of scipy and numpy."""

import math

import numpy as np
import torch
from scipy.special import spence

from skae.energy.special import gauss_hermite, gauss_legendre, softplus_integral


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
