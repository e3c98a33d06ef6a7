"""Losses of maps: each against its formula in a loop over rows, whose gradient is that of autograd."""

import math

import pytest
import torch

from skae.functional import (
    density_correlation,
    info_nce,
    pacmap,
    pull_back_distances,
    squared_distances,
    umap_cross_entropy,
)

M = 5
N = 2 * M
MID = torch.tensor([3, 4, 0, 9, 1, 0, 8, 2, 6, 7])


def codes(seed=0):
    return torch.randn(N, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def mate(i):
    return (i + M) % N


def others(i):
    return [v for v in range(N) if v != i]


def square(h, i, v):
    return (h[i] - h[v]).square().sum()


def plain_info_nce(h, i):
    q = {v: 1 / (1 + square(h, i, v)) for v in others(i)}
    return -torch.log(q[mate(i)] / sum(q.values()))


def plain_umap(h, i):
    """With UMAP's curve for min_dist=0.1, and 5 rows pushed for one that is pulled."""
    q = {v: 1 / (1 + 1.577 * (square(h, i, v) + 1e-3) ** 0.895) for v in others(i)}
    pushed = [-torch.log(1 - q[v]) for v in others(i) if v != mate(i)]
    return -torch.log(q[mate(i)]) + 5 * sum(pushed) / len(pushed)


def plain_pacmap(h, i, of_near, of_mid):
    e = {v: square(h, i, v) + 1 for v in range(N)}
    pull = of_near * e[mate(i)] / (10 + e[mate(i)])
    middle = of_mid * e[int(MID[i])] / (10_000 + e[int(MID[i])])
    push = sum(1 / (1 + e[v]) for v in others(i)) / (N - 1)
    return pull + 0.5 * middle + 2 * push


LOSSES = {
    "infonce": (info_nce, plain_info_nce),
    "umap": (umap_cross_entropy, plain_umap),
    "pacmap at the start": (lambda s: pacmap(s, MID, 0.0), lambda h, i: plain_pacmap(h, i, 2, 1000)),
    "pacmap, first stage": (lambda s: pacmap(s, MID, 50 / 450), lambda h, i: plain_pacmap(h, i, 2, 501.5)),
    "pacmap, second stage": (lambda s: pacmap(s, MID, 100 / 450), lambda h, i: plain_pacmap(h, i, 3, 3)),
    "pacmap, third stage": (lambda s: pacmap(s, MID, 200 / 450), lambda h, i: plain_pacmap(h, i, 1, 0)),
    "pacmap at the end": (lambda s: pacmap(s, MID, 1.0), lambda h, i: plain_pacmap(h, i, 1, 0)),
    "pacmap without mid-near rows": (lambda s: pacmap(s, None, 0.3), lambda h, i: plain_pacmap(h, i, 3, 0)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_gradient_are_those_of_a_loop_over_rows(name):
    loss, plain = LOSSES[name]
    h = codes()
    expected = torch.stack([plain(h, i) for i in range(N)])
    squares = squared_distances(h.detach())
    before = squares.clone()
    found, slopes = loss(squares)
    assert torch.equal(squares, before)
    torch.testing.assert_close(found, expected.detach())
    weight = torch.arange(1.0, N + 1, dtype=torch.float64)  # so that a mistake in one row is not made up by another
    (weight @ expected).backward()
    torch.testing.assert_close(pull_back_distances(h.detach(), weight[:, None] * slopes), h.grad)


def test_distances_and_their_way_back_are_those_of_a_loop():
    h = codes()
    slopes = torch.randn(N, N, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = torch.stack([torch.stack([square(h, i, v) for v in range(N)]) for i in range(N)])
    torch.testing.assert_close(squared_distances(h.detach()), expected.detach())
    (slopes * expected).sum().backward()
    torch.testing.assert_close(pull_back_distances(h.detach(), slopes), h.grad)


def test_the_correlation_of_densities_is_that_of_numpy_s_formula():
    h, radius = codes(), torch.tensor([0.3, -2.0, 1.0, 0.5, 4.0], dtype=torch.float64)
    near = torch.stack([torch.log(square(h, i, i + M) + 1e-3) for i in range(M)])
    expected = torch.corrcoef(torch.stack([radius, near]))[0, 1]
    found, slopes = density_correlation(squared_distances(h.detach()), radius)
    torch.testing.assert_close(found, expected.detach())
    expected.backward()
    torch.testing.assert_close(pull_back_distances(h.detach(), slopes), h.grad)
    perfect, slopes = density_correlation(squared_distances(h.detach()), 3 * near.detach() - 7)
    assert float(perfect) == pytest.approx(1)
    assert slopes.abs().max() < 1e-9


@pytest.mark.parametrize("loss", [info_nce, umap_cross_entropy, lambda s: pacmap(s, None, 0.5)])
@pytest.mark.parametrize("h", [torch.zeros(N, 2), torch.zeros(2, 2), 1e4 * torch.randn(N, 2)])
def test_equal_and_far_codes_have_finite_losses_and_gradients(loss, h):
    found, slopes = loss(squared_distances(h))
    assert torch.isfinite(found).all()
    assert torch.isfinite(pull_back_distances(h, slopes)).all()


def test_limits():
    """Of one row and its neighbour nothing is to be told apart, of equal codes nothing can."""
    assert info_nce(squared_distances(torch.tensor([[0.0], [3.0]])))[0].tolist() == [0.0, 0.0]
    assert info_nce(squared_distances(torch.zeros(N, 2)))[0].tolist() == pytest.approx([math.log(N - 1)] * N)
    same = density_correlation(squared_distances(torch.zeros(N, 2)), torch.arange(5.0))
    assert float(same[0]) == pytest.approx(0, abs=1e-3)
    assert torch.isfinite(same[1]).all()
    constant = density_correlation(squared_distances(codes().detach()), torch.full((M,), 2.0, dtype=torch.float64))
    assert float(constant[0]) == 0.0
    assert not constant[1].any()
