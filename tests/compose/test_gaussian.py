"""Gaussians by EM: a plain recursion, closed forms, and the likelihood of the observed entries."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from skae.compose._factors import Factors, em_of_factors
from skae.compose._gaussian import Gaussian, em


def last(path):
    *_, found = path
    return found


@pytest.fixture
def gappy(rng):
    """60 rows of 4 columns that depend on each other, and which entries are observed: of two rows none and all."""
    x = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4)) + [0.5, -0.5, 0.0, 1.0]
    known = rng.random(x.shape) < 0.6
    known[0], known[1] = False, True
    return x, known


def conditioned(mean, covariance, row, known):
    """Mean and covariance of the missing entries given the others, by the textbook."""
    o, m = np.flatnonzero(known), np.flatnonzero(~known)
    if len(o) == 0:
        return mean, covariance
    B = covariance[np.ix_(m, o)] @ np.linalg.inv(covariance[np.ix_(o, o)])
    return mean[m] + B @ (row[o] - mean[o]), covariance[np.ix_(m, m)] - B @ covariance[np.ix_(o, m)]


def plain_em(x, known, n_iter, prior):
    """EM, one row at a time."""
    n, d = x.shape
    mean, covariance = np.zeros(d), np.eye(d)
    for _ in range(n_iter):
        filled, total = np.array(x), np.zeros((d, d))
        for i in range(n):
            m = np.flatnonzero(~known[i])
            filled[i, m], C = conditioned(mean, covariance, x[i], known[i])
            total[np.ix_(m, m)] += C
        mean = filled.mean(0)
        centred = filled - mean
        covariance = (centred.T @ centred + total + prior * np.eye(d)) / (n + prior)
    return mean, covariance


@pytest.mark.parametrize("prior", [0.0, 2.0])
def test_em_is_the_plain_recursion(gappy, prior):
    mean, covariance = plain_em(*gappy, 7, prior)
    found = last(em(*gappy, prior=prior, tol=0.0, max_iter=7))
    np.testing.assert_allclose(found.mean, mean)
    np.testing.assert_allclose(found.covariance, covariance)


def test_without_gaps_em_is_the_sample(gappy):
    x, known = gappy
    found = last(em(x, np.ones_like(known), prior=0.0))
    np.testing.assert_allclose(found.mean, x.mean(0))
    np.testing.assert_allclose(found.covariance, np.cov(x.T, bias=True))


def test_the_likelihood_of_the_observed_entries_never_falls(gappy):
    before = -np.inf
    for found in em(*gappy, prior=0.0, tol=0.0, max_iter=30):
        now = found.log_likelihood(*gappy).sum()
        assert now >= before - 1e-9
        before = now


def test_the_likelihood_of_factors_never_falls(gappy):
    before = -np.inf
    for found in em_of_factors(*gappy, n_factors=2, prior=0.0, tol=0.0, max_iter=30):
        now = found.log_likelihood(*gappy).sum()
        assert now >= before - 1e-9
        before = now


def gaussians(rng):
    """A Gaussian, and one with factors that has the same covariance."""
    factors = Factors(rng.normal(size=4), rng.normal(size=(4, 2)), rng.random(4) + 0.2)
    return Gaussian(factors.mean, factors.covariance), factors


def test_missing_entries_are_conditional_means_and_likelihoods_are_marginal(gappy, rng):
    x, known = gappy
    for gaussian in gaussians(rng):
        filled, log_p = gaussian.complete(x, known), gaussian.log_likelihood(x, known)
        np.testing.assert_array_equal(filled[known], x[known])
        np.testing.assert_allclose(filled[0], gaussian.mean)
        for i in range(2, 12):
            o = np.flatnonzero(known[i])
            expected = conditioned(gaussian.mean, gaussian.covariance, x[i], known[i])[0]
            np.testing.assert_allclose(filled[i, ~known[i]], expected)
            if len(o):
                marginal = multivariate_normal(gaussian.mean[o], gaussian.covariance[np.ix_(o, o)])
                np.testing.assert_allclose(log_p[i], marginal.logpdf(x[i, o]))


def test_what_rows_hold_where_they_are_missing_does_not_matter(gappy, rng):
    x, known = gappy
    for gaussian in gaussians(rng):
        other = np.where(known, x, 1e3)
        np.testing.assert_array_equal(gaussian.complete(other, known), gaussian.complete(x, known))


def test_draws_have_the_conditional_covariance(rng):
    known = np.tile([True, False, True, False], (20_000, 1))
    for gaussian in gaussians(rng):
        draws = gaussian.noise(known, np.random.RandomState(0))
        C = conditioned(gaussian.mean, gaussian.covariance, np.zeros(4), known[0])[1]
        assert not draws[:, [0, 2]].any()
        np.testing.assert_allclose(draws[:, [1, 3]].mean(0), 0.0, atol=0.05)
        np.testing.assert_allclose(np.cov(draws[:, [1, 3]].T), C, atol=0.05 * C.max())


def test_the_draws_of_a_row_depend_on_its_place_alone(gappy, rng):
    _, known = gappy
    for gaussian in gaussians(rng):
        all_rows = gaussian.noise(known, np.random.RandomState(0))
        first = gaussian.noise(known[:7], np.random.RandomState(0))
        np.testing.assert_allclose(all_rows[:7], first)


def test_shrinkage_keeps_variances_and_scales_covariances(rng):
    for gaussian in gaussians(rng):
        whole, shrunk = gaussian.covariance, gaussian.shrunk(0.3).covariance
        np.testing.assert_allclose(np.diag(shrunk), np.diag(whole))
        np.testing.assert_allclose(shrunk - np.diag(np.diag(shrunk)), 0.7 * (whole - np.diag(np.diag(whole))))


def test_factors_find_the_covariance_of_a_factor_model(rng):
    W, psi = rng.normal(size=(6, 2)), np.full(6, 0.3)
    x = rng.normal(size=(4000, 2)) @ W.T + np.sqrt(psi) * rng.normal(size=(4000, 6)) + 1.0
    known = rng.random(x.shape) < 0.8
    found = last(em_of_factors(x, known, n_factors=2, tol=1e-5, max_iter=300))
    np.testing.assert_allclose(found.mean, 1.0, atol=0.1)
    np.testing.assert_allclose(found.covariance, W @ W.T + np.diag(psi), atol=0.25)
