"""Priors without parameters: densities against scipy, samples against moments, and where modes are placed."""

import math

import numpy as np
import pytest
import torch
from scipy import special, stats

from skae.nn.fixed_priors import SEPARATION, Modes, Uniform, spread_on_sphere


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def modes(n_components, n_modes):
    prior = Modes(n_components, n_modes).double()
    prior.initialise(seeded())
    return prior


def distances(points):
    """Distances of all pairs of different points."""
    return np.linalg.norm(points[:, None] - points, axis=2)[np.triu_indices(len(points), 1)]


# ------------------------------------------------------------------ uniform


def test_the_density_of_a_uniform_prior_is_that_of_scipy():
    h = 2.5 * torch.rand((200, 3), generator=seeded(), dtype=torch.float64) - 1.25
    h[0], h[1] = math.sqrt(3) - 1e-9, math.sqrt(3) + 1e-9
    h = h * torch.tensor([1.0, 1.5, 1.0])
    of_column = stats.uniform(-math.sqrt(3), 2 * math.sqrt(3))
    np.testing.assert_allclose(Uniform(3).double().log_prob(h), of_column.logpdf(h).sum(1))


def test_draws_of_a_uniform_prior_are_uniform():
    h = Uniform(2).double().sample(4000, seeded()).numpy()
    of_column = stats.uniform(-math.sqrt(3), 2 * math.sqrt(3))
    assert all(stats.kstest(column, of_column.cdf).pvalue > 0.01 for column in h.T)
    np.testing.assert_allclose(np.cov(h.T), np.eye(2), atol=0.06)


# ------------------------------------------------------------------ modes


@pytest.mark.parametrize(("n_components", "n_modes"), [(1, 5), (2, 10), (3, 7), (8, 16)])
def test_the_density_of_modes_is_that_of_scipy(n_components, n_modes):
    prior = modes(n_components, n_modes)
    h = prior.sample(50, seeded(1))
    parts = [stats.multivariate_normal(m, float(prior.deviation) ** 2 * np.eye(n_components)) for m in prior.means]
    joint = np.stack([part.logpdf(h.numpy()) - math.log(n_modes) for part in parts], 1)
    np.testing.assert_allclose(prior.log_joint(h), joint)
    np.testing.assert_allclose(prior.log_prob(h), special.logsumexp(joint, axis=1))


@pytest.mark.parametrize(("n_components", "n_modes"), [(1, 2), (1, 5), (2, 2), (2, 10), (3, 7), (8, 16), (2, 60)])
def test_the_nearest_modes_are_six_deviations_apart_and_the_variance_is_one(n_components, n_modes):
    prior = modes(n_components, n_modes)
    means, deviation = prior.means.numpy(), float(prior.deviation)
    assert distances(means).min() / deviation == pytest.approx(SEPARATION)
    assert np.square(means).sum(1).mean() / n_components + deviation**2 == pytest.approx(1.0)
    np.testing.assert_allclose(means.mean(0), 0, atol=0.05 * np.abs(means).max())


def test_draws_of_modes_have_the_moments_of_the_mixture():
    prior = modes(2, 5)
    h = prior.sample(20_000, seeded()).numpy()
    np.testing.assert_allclose(h.mean(0), 0, atol=0.03)
    np.testing.assert_allclose(np.cov(h.T), np.eye(2), atol=0.03)
    nearest = prior.log_joint(torch.from_numpy(h)).argmax(1).numpy()
    np.testing.assert_allclose(np.bincount(nearest) / len(h), 0.2, atol=0.01)


def test_a_draw_of_a_mode_is_around_its_mean():
    prior = modes(3, 7)
    asked = torch.arange(7).repeat(1000)
    z = (prior.sample_of(asked, seeded()) - prior.means[asked]) / prior.deviation
    np.testing.assert_allclose(z.mean(0), 0, atol=0.05)
    np.testing.assert_allclose(np.cov(z.T), np.eye(3), atol=0.06)


def test_the_places_of_the_modes_do_not_depend_on_the_generator():
    one, other = Modes(4, 6), Modes(4, 6)
    one.initialise(seeded(1))
    other.initialise(seeded(2))
    assert one.means.equal(other.means)


@pytest.mark.parametrize(("n_components", "n_modes"), [(1, 5), (2, 3), (2, 10), (8, 16)])
def test_modes_are_turned_to_where_they_should_be(n_components, n_modes):
    """Places that are the modes, turned and in another order, are found."""
    prior, rng = modes(n_components, n_modes), np.random.default_rng(1)
    apart = np.sort(distances(prior.means.numpy()))
    turn = np.linalg.qr(rng.normal(size=(n_components, n_components)))[0]
    places = 3 * (prior.means.numpy() @ turn)[rng.permutation(n_modes)]
    prior.turn_towards(places)
    np.testing.assert_allclose(prior.means, places / 3, atol=1e-2)
    np.testing.assert_allclose(np.sort(distances(prior.means.numpy())), apart)


def test_modes_are_turned_as_far_as_they_can_be():
    """Towards places that no turn reaches, at least no other order or small turn brings them nearer."""
    prior, rng = modes(2, 6), np.random.default_rng(0)
    places = rng.normal(size=(6, 2))
    prior.turn_towards(places)
    best = (prior.means.numpy() * places).sum()
    for angle in np.linspace(-0.5, 0.5, 11):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        means = prior.means.numpy() @ turn
        assert all((means[rng.permutation(6)] * places).sum() <= best + 1e-12 for _ in range(50))


def test_a_single_mode_is_the_standard_normal_distribution():
    h = torch.randn((5, 2), generator=seeded(), dtype=torch.float64)
    np.testing.assert_allclose(modes(2, 1).log_prob(h), stats.multivariate_normal(np.zeros(2)).logpdf(h))


@pytest.mark.parametrize(
    ("n", "width", "least"),
    [
        (2, 3, 2.0),  # opposite each other
        (3, 3, math.sqrt(3)),  # a triangle on a great circle
        (4, 3, math.sqrt(8 / 3)),  # a tetrahedron
        (6, 3, math.sqrt(2)),  # an octahedron
        (12, 3, 1.0514622),  # an icosahedron
        (5, 4, math.sqrt(5 / 2)),  # a simplex
        (16, 8, math.sqrt(2)),  # the axes and their negatives
    ],
)
def test_points_on_a_sphere_are_as_far_from_one_another_as_is_known_to_be_possible(n, width, least):
    points = spread_on_sphere(n, width)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1)
    assert 0.97 * least < distances(points).min() < least + 1e-6


def test_in_two_dimensions_points_are_the_corners_of_a_polygon():
    np.testing.assert_allclose(np.sort(distances(spread_on_sphere(6, 2)))[:6], 1)
    np.testing.assert_allclose(spread_on_sphere(3, 1)[:, 0], [-1, 0, 1])
