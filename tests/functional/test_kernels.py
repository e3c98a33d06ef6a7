"""Distances between samples, against loops, enumeration and closed forms; and how many distinct rows there are."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch
from scipy import integrate

from skae.functional import (
    effective_number,
    embeddings,
    median_squared_distance,
    normal_embedding,
    squared_mmd,
    squared_mmd_to_normal,
)

KINDS = pytest.mark.parametrize("kernel", ["imq", "rbf"])
SCALES = 0.3, 2.0, 9.0


def k(x, y, kernel, scales=SCALES):
    """The kernel of two rows."""
    square = np.square(np.asarray(x) - np.asarray(y)).sum()
    return np.mean([np.exp(-square / (2 * s)) if kernel == "rbf" else s / (s + square) for s in scales])


def by_loops(x, y, kernel, w):
    """The estimate as a sum over pairs."""
    n, m = len(x), len(y)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    of_x = sum(w[i] * w[j] * k(x[i], x[j], kernel) for i, j in pairs) / sum(w[i] * w[j] for i, j in pairs)
    of_y = sum(k(y[i], y[j], kernel) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    between = sum(w[i] * k(x[i], y[j], kernel) for i in range(n) for j in range(m)) / (w.sum() * m)
    return of_x + of_y - 2 * between


def draws(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- two samples


@KINDS
@pytest.mark.parametrize("weighted", [False, True])
def test_the_distance_of_two_samples_is_that_of_plain_loops(kernel, weighted):
    x, y = draws(6, 3), 1 + draws(5, 3, seed=1)
    w = torch.tensor([0.5, 2.0, 0.0, 1.0, 3.0, 1e-3]).double()
    expected = by_loops(x.numpy(), y.numpy(), kernel, w.numpy() if weighted else np.ones(6))
    found = squared_mmd(x, y, SCALES, kernel, w if weighted else None)
    assert float(found) == pytest.approx(expected, rel=1e-9)


@KINDS
def test_the_estimate_has_no_bias(kernel):
    """All samples of 3 rows from one distribution on three points, and of 2 rows from another one."""
    points = torch.tensor([[0.0, 0.0], [1.0, 0.5], [-2.0, 1.0]]).double()
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.6, 0.3])
    K = np.array([[k(a, b, kernel) for b in points.numpy()] for a in points.numpy()])
    expected = 0.0
    for i in product(range(3), repeat=3):
        for j in product(range(3), repeat=2):
            found = squared_mmd(points[list(i)], points[list(j)], SCALES, kernel)
            expected += p[list(i)].prod() * q[list(j)].prod() * float(found)
    assert expected == pytest.approx((p - q) @ K @ (p - q), rel=1e-10)


def test_the_distance_of_two_normal_distributions_is_known():
    shift, a, b, d, s = 0.7, 1.0, 2.25, 3, 1.5  # N(0, a I) and N(shift, b I)

    def mean(variance, square):
        return (s / (s + variance)) ** (d / 2) * np.exp(-square / (2 * (s + variance)))

    expected = mean(2 * a, 0) + mean(2 * b, 0) - 2 * mean(a + b, d * shift**2)
    pairs = [(draws(100, d, seed=i), shift + b**0.5 * draws(150, d, seed=-i)) for i in range(1, 101)]
    found = [float(squared_mmd(x, y, [s], "rbf")) for x, y in pairs]
    error = np.std(found) / 10
    assert error < 0.04 * expected
    assert np.mean(found) == pytest.approx(expected, abs=3 * error)


def test_a_weight_of_two_counts_as_two_rows_but_not_as_a_pair_of_equal_rows():
    x, w = draws(5, 2), torch.tensor([1.0, 3.0, 2.0, 1.0, 1.0]).double()
    again, far = x.repeat_interleave(w.long(), 0), 1e7 * torch.tensor([[1.0, 1.0], [2.0, 2.0]]).double()
    n = len(again)  # the rows far from all others leave only what there is within x
    within, within_again = float(squared_mmd(x, far, SCALES, weight=w)), float(squared_mmd(again, far, SCALES))
    pairs, equal = float(w.sum() ** 2 - w.square().sum()), float((w * (w - 1)).sum())
    assert within_again * n * (n - 1) == pytest.approx(within * pairs + equal, rel=1e-6)
    y = draws(4, 2, seed=1)
    between, between_again = (
        float(squared_mmd(rows, y, SCALES, weight=v) - squared_mmd(rows, far, SCALES, weight=v))
        for rows, v in ((x, w), (again, None))
    )
    assert between == pytest.approx(between_again, rel=1e-6)


@KINDS
def test_its_gradient_is_finite_and_right_where_rows_are_equal(kernel):
    x = draws(4, 2)
    x[1] = x[0]
    y = x.clone()
    assert torch.autograd.gradcheck(lambda rows: squared_mmd(rows, y, SCALES, kernel), x.requires_grad_(), atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@KINDS
@pytest.mark.parametrize(
    ("x", "weight"),
    [
        (torch.randn(1, 3), None),
        (torch.randn(4, 3), [0.0, 0.0, 2.0, 0.0]),
        (torch.randn(4, 3), [0.0, 0.0, 0.0, 0.0]),
        (torch.randn(4, 3), [1.0, 1e-20, 0.0, 1e-30]),
    ],
)
def test_a_single_row_has_no_distance(kernel, x, weight, dtype):
    x, weight = x.to(dtype), None if weight is None else torch.tensor(weight, dtype=dtype)
    assert float(squared_mmd(x, x.repeat(2, 1) + 1, SCALES, kernel, weight)) == 0.0
    distance, gradient = squared_mmd_to_normal(x, SCALES, kernel, weight)
    assert float(distance) == 0.0
    assert not gradient.any()
    assert float(squared_mmd(x.repeat(3, 1), x[:1], SCALES, kernel)) == 0.0


@KINDS
@pytest.mark.parametrize("x", [torch.ones(5, 2), torch.zeros(2, 1), torch.randn(7, 784), 1e8 * torch.randn(5, 2)])
def test_extreme_rows_have_finite_distances(kernel, x):
    y = x + torch.randn(x.shape)
    unit = median_squared_distance(x)
    numbers = [squared_mmd(x, y, [unit], kernel), *squared_mmd_to_normal(x, (2.0 * x.shape[1],), kernel)]
    assert all(bool(number.isfinite().all()) for number in numbers)
    assert 1 <= effective_number(x, [unit], kernel) <= len(x) + 1e-6


# ---------------------------------------------------------------- a sample and N(0, I)


@pytest.mark.parametrize("d", [1, 2, 7, 60])
def test_the_mean_of_a_kernel_over_the_normal_distribution_is_that_of_an_integral(d):
    """Along the noncentral chi-squared distribution of the squared distance, by its Laplace transform."""
    scales = tuple(2 * d * scale for scale in (0.05, 0.1, 1.0, 10.0))
    w, v = normal_embedding(d, scales, "imq")

    def mean(square, s):
        def f(t):
            return s * np.exp(-s * t - t * square / (1 + 2 * t)) * (1 + 2 * t) ** (-d / 2)

        edges = [0, 0.1 / s, 1 / s, 5 / s, 60 / s]
        return sum(integrate.quad(f, a, b, epsabs=1e-12)[0] for a, b in pairwise(edges))

    for square in (0.0, 0.5 * d, d, 9.0 * d):
        expected = np.mean([mean(square, s) for s in scales])
        assert float(w @ torch.exp(-v * square / 2)) == pytest.approx(expected, abs=1e-6)


@KINDS
@pytest.mark.parametrize("weighted", [False, True])
def test_the_distance_to_a_normal_distribution_is_that_to_many_draws(kernel, weighted):
    h = 0.5 + draws(8, 2)
    weight = torch.arange(8.0).double() if weighted else None
    found, _ = squared_mmd_to_normal(h, SCALES, kernel, weight)
    to_draws = [float(squared_mmd(h, draws(800, 2, seed=i), SCALES, kernel, weight)) for i in range(1, 9)]
    error = np.std(to_draws) / np.sqrt(len(to_draws))
    assert error < 4e-3
    assert float(found) == pytest.approx(np.mean(to_draws), abs=4 * error)


@KINDS
def test_the_gradient_of_the_distance_is_that_of_differences(kernel):
    h, weight = 1.3 * draws(5, 3), torch.tensor([0.0, 1.0, 2.0, 0.5, 1.0]).double()
    _, gradient = squared_mmd_to_normal(h, SCALES, kernel, weight)
    step = 1e-5
    for i, j in product(range(5), range(3)):
        e = torch.zeros_like(h)
        e[i, j] = step
        ends = [squared_mmd_to_normal(h + sign * e, SCALES, kernel, weight)[0] for sign in (1, -1)]
        assert float(gradient[i, j]) == pytest.approx(float(ends[0] - ends[1]) / (2 * step), abs=1e-8)
    assert not gradient[0].any()


def test_draws_from_the_normal_distribution_have_no_distance_to_it_in_mean():
    found = np.array([float(squared_mmd_to_normal(draws(10, 3, seed=i), SCALES)[0]) for i in range(400)])
    assert abs(found.mean()) < 4 * found.std() / 20
    assert (found < 0).any()


@KINDS
def test_many_rows_are_compared_block_by_block(kernel, monkeypatch):
    h, weight = draws(50, 2), torch.rand(50, dtype=torch.float64)
    at_once = squared_mmd_to_normal(h, SCALES, kernel, weight)
    monkeypatch.setattr(embeddings, "N_VALUES", 7 * 50 * 3)
    in_blocks = squared_mmd_to_normal(h, SCALES, kernel, weight)
    for one, other in zip(at_once, in_blocks, strict=True):
        torch.testing.assert_close(one, other)


# ---------------------------------------------------------------- lengths and diversity


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_the_median_distance_is_that_of_the_pairs_of_different_rows(n):
    x = draws(n, 3)
    squares = torch.cdist(x, x).square()[tuple(torch.triu_indices(n, n, 1))]
    assert median_squared_distance(x) == pytest.approx(float(squares.median()))


def test_the_median_distance_of_many_rows_is_about_that_of_some():
    x = draws(3001, 3)
    assert median_squared_distance(x) == pytest.approx(2 * 2.366, rel=0.05)  # twice the median of chi-squared with 3


@pytest.mark.parametrize("x", [torch.zeros(5, 2), torch.ones(1, 2), torch.empty(0, 2)])
def test_rows_without_a_distance_have_the_length_one(x):
    assert median_squared_distance(x) == 1.0


@KINDS
@pytest.mark.parametrize("n_groups", [1, 3, 6])
def test_the_effective_number_counts_groups_of_equal_size(kernel, n_groups):
    x = 1e6 * torch.arange(n_groups).repeat(6 // n_groups)[:, None].expand(-1, 2).double()
    assert effective_number(x, [0.5, 1.0], kernel) == pytest.approx(n_groups, rel=1e-6)


def test_the_effective_number_falls_with_the_length():
    x = draws(20, 2)
    near, far = effective_number(x, [0.01]), effective_number(x, [100.0])
    assert 1 < far < 1.5 < 15 < near < 20
