"""Quantisers: cutting and joining, codebooks that follow the data, levels, gradients and frequencies."""

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from skae.nn.bottleneck import Bottleneck
from skae.nn.quantizers import (
    FiniteScalarQuantizer,
    Learning,
    QuantizedImages,
    QuantizedRows,
    VectorQuantizer,
    balancing_rotation,
    normal_gains,
)

LLOYD = Learning(commitment=0.25, decay=0.0, dead_below=0.0)
SLOW = LLOYD._replace(decay=0.9)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def vector_quantizer(size=5, n_groups=1, width=2, n_positions=1, start=None, seed=1):
    quantizer = VectorQuantizer(size, n_groups, width, n_positions).double()
    quantizer.start(normal(size, width, seed=seed) if start is None else start, torch.ones(size))
    return quantizer


def quantizers():
    return [vector_quantizer(5, 3, 2, 4), FiniteScalarQuantizer((3, 4), 3, 4).double()]


def distances(z, codebook):
    return (z[:, None] - codebook).square().sum(2)


# ------------------------------------------------------------------ vectors of a code


def test_a_vector_of_a_map_is_made_of_the_channels_of_a_position():
    quantizer = vector_quantizer(5, 3, 2, 4)
    h = torch.arange(2 * 6 * 4.0, dtype=torch.float64).view(2, 6, 4)  # rows, channels, positions
    z = quantizer.cut(h.flatten(1)).view(2, 3, 4, 2)
    for row, group, position in itertools.product(range(2), range(3), range(4)):
        assert torch.equal(z[row, group, position], h[row, 2 * group : 2 * group + 2, position])
    assert torch.equal(quantizer.join(z.reshape(-1, 2)), h.flatten(1))


def test_an_adjacent_pair_of_a_vector_is_a_group():
    h = normal(3, 6)
    assert torch.equal(vector_quantizer(5, 3, 2).cut(h), h.view(9, 2))


@pytest.mark.parametrize("quantizer", quantizers(), ids=["vector", "scalar"])
def test_codes_of_indices_are_the_nearest_of_all(quantizer):
    h = normal(7, 24)
    q = quantizer.codes(quantizer.indices(h))
    seen = quantizer.cut(h) if isinstance(quantizer, VectorQuantizer) else quantizer.cut(h.tanh())
    least = distances(seen, quantizer.codebook).min(1).values
    torch.testing.assert_close((quantizer.cut(q) - seen).square().sum(1), least)
    assert torch.equal(quantizer.bottleneck(Bottleneck(h), None, LLOYD, None).h, q)


# ------------------------------------------------------------------ the codebook follows the data


def test_decay_zero_is_a_step_of_lloyd():
    """Every entry becomes the mean of its vectors, bit for bit, and one without vectors stays."""
    z = torch.cat([normal(30, 2), normal(30, 2, seed=3) + 4])
    quantizer = vector_quantizer(start=torch.cat([z[:4], torch.full((1, 2), 99.0)]))
    index, before = quantizer.nearest(z), quantizer.codebook.clone()
    quantizer.bottleneck(Bottleneck(z), None, LLOYD, seeded())
    for k in range(4):
        torch.testing.assert_close(quantizer.codebook[k], z[index == k].mean(0), rtol=1e-14, atol=1e-14)
    assert torch.equal(quantizer.codebook[4], before[4])
    assert quantizer.counts.tolist() == torch.bincount(index, minlength=5).tolist()


def test_steps_with_decay_zero_end_at_k_means():
    z = torch.cat([normal(40, 3, seed=k) + 2 * k for k in range(4)])
    quantizer = vector_quantizer(4, 1, 3, start=z[::40].clone())
    for _ in range(100):
        quantizer.bottleneck(Bottleneck(z), None, LLOYD, seeded())
    found = KMeans(4, init=z[::40].numpy(), n_init=1, tol=0.0, max_iter=100).fit(z.numpy())
    np.testing.assert_allclose(quantizer.codebook, found.cluster_centers_, rtol=1e-12)
    np.testing.assert_array_equal(quantizer.nearest(z), found.labels_)


def test_entries_are_ratios_of_moving_averages():
    """Of the sums and of the numbers of their vectors, with weights and over unequal batches."""
    quantizer = vector_quantizer(3, n_groups=2)
    numbers, sums = torch.ones(3, dtype=torch.float64), quantizer.codebook.clone()
    for step, n in enumerate((20, 7, 33)):
        h, weight = normal(n, 4, seed=step), torch.arange(float(n), dtype=torch.float64) % 3
        z = h.view(2 * n, 2)
        member = torch.nn.functional.one_hot(quantizer.nearest(z), 3).double() * torch.stack([weight] * 2, 1).view(
            -1, 1
        )
        quantizer.bottleneck(Bottleneck(h), weight, SLOW, seeded())
        numbers, sums = 0.9 * numbers + 0.1 * member.sum(0), 0.9 * sums + 0.1 * member.t() @ z
        torch.testing.assert_close(quantizer.counts, numbers)
        torch.testing.assert_close(quantizer.codebook, sums / numbers[:, None])


def test_without_a_generator_nothing_moves():
    quantizer = vector_quantizer()
    before = [tensor.clone() for tensor in quantizer.state_dict().values()]
    quantizer.bottleneck(Bottleneck(normal(9, 2)), None, LLOYD, None)
    assert all(map(torch.equal, before, quantizer.state_dict().values()))


def test_only_dead_entries_restart_and_at_vectors_that_count():
    start = torch.cat([normal(2, 2), torch.full((3, 2), 1e3)])
    quantizer = vector_quantizer(start=start)
    quantizer.counts[2:] = 1e-4
    z, weight = normal(50, 2, seed=2), (torch.arange(50) % 2).double()
    followed = vector_quantizer(start=start)
    followed.counts[2:] = 1e-4
    followed.bottleneck(Bottleneck(z), weight, SLOW, seeded())
    quantizer.bottleneck(Bottleneck(z), weight, SLOW._replace(dead_below=0.01), seeded())
    assert torch.equal(quantizer.codebook[:2], followed.codebook[:2])
    for entry in quantizer.codebook[2:]:
        assert (z[1::2] == entry).all(1).sum() == 1
    assert quantizer.counts[2:].tolist() == [followed.counts.mean().item()] * 3


def test_a_batch_of_no_weight_changes_no_entry():
    quantizer = vector_quantizer()
    before = quantizer.codebook.clone()
    quantizer.bottleneck(Bottleneck(normal(9, 2)), torch.zeros(9).double(), SLOW._replace(dead_below=0.5), seeded())
    assert torch.equal(quantizer.codebook, before)


# ------------------------------------------------------------------ gradients


def decoded(h):
    return (h * torch.linspace(0.5, 2.0, h.shape[1], dtype=h.dtype)).sin().sum()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["vector", "scalar"])
def test_the_gradient_by_hand_is_that_of_autograd(kind, weighted):
    quantizer = dict(zip(("vector", "scalar"), quantizers(), strict=True))[kind]
    e, weight = normal(7, 24).requires_grad_(), torch.rand(7, generator=seeded()).double() if weighted else None
    neck = quantizer.bottleneck(Bottleneck(e), weight, LLOYD, None)
    (decoded(neck.h) + sum(neck.terms.values())).backward()
    with torch.no_grad():
        by_hand = quantizer.bottleneck(Bottleneck(e.detach()), weight, LLOYD, None)
    h = by_hand.h.clone().requires_grad_()
    decoded(h).backward()
    torch.testing.assert_close(by_hand.backward(h.grad), e.grad)
    assert torch.equal(neck.h, by_hand.h)
    assert {k: v.item() for k, v in neck.terms.items()} == {k: v.item() for k, v in by_hand.terms.items()}


def test_the_gradient_passes_straight_through_and_the_commitment_pulls():
    """Against the formulas: dL/de = dL/dq + 2 beta w (e - q) / n, and dL/dq (1 - tanh(e)^2) for levels."""
    e, g, weight = normal(6, 4), normal(6, 4, seed=5), torch.arange(6.0).double()
    quantizer = vector_quantizer(5, 2, 2)
    neck = quantizer.bottleneck(Bottleneck(e), weight, LLOYD, None)
    pull = 2 * 0.25 * weight[:, None] * (e - neck.h) / 6
    torch.testing.assert_close(neck.backward(g), g + pull)
    expected = 0.25 * (weight * (e - neck.h).square().sum(1)).sum() / 6
    torch.testing.assert_close(neck.terms["commitment"], expected)
    rounded = FiniteScalarQuantizer((5, 5), 2, 1).double().bottleneck(Bottleneck(e), weight, LLOYD, None)
    torch.testing.assert_close(rounded.backward(g), g * (1 - e.tanh().square()))
    assert rounded.terms == {}


def test_terms_and_gradients_of_what_came_before_are_kept():
    e = normal(6, 4)
    before = Bottleneck(e).plus("before", e.sum(), torch.ones_like(e))
    for quantizer in (vector_quantizer(5, 2, 2), FiniteScalarQuantizer((5, 5), 2, 1).double()):
        alone = quantizer.bottleneck(Bottleneck(e), None, LLOYD, None)
        neck = quantizer.bottleneck(before, None, LLOYD, None)
        assert neck.terms == {"before": e.sum(), **alone.terms}
        torch.testing.assert_close(neck.backward(e), alone.backward(e) + 1)


# ------------------------------------------------------------------ levels


@pytest.mark.parametrize("levels", [(2,), (3,), (8, 5), (4, 3, 2)])
def test_indices_and_levels_are_a_bijection_and_all_are_reached(levels):
    quantizer = FiniteScalarQuantizer(levels, 1, 1).double()
    every = torch.arange(math.prod(levels))
    codes = quantizer.codes(every[:, None])
    expected = set(itertools.product(*(np.linspace(-1, 1, n).round(12).tolist() for n in levels)))
    assert {tuple(row) for row in codes.numpy().round(12).tolist()} == expected
    inside = codes.clamp(-0.999, 0.999).atanh()
    assert torch.equal(quantizer.indices(inside)[:, 0], every)
    everywhere = quantizer.indices(2 * normal(4000, len(levels)))
    assert set(everywhere[:, 0].tolist()) == set(every.tolist())


def test_odd_levels_are_those_of_the_paper():
    """Mentzer et al. round tanh(e) (L - 1) / 2, and divide by L // 2."""
    e = normal(100, 2)
    quantizer = FiniteScalarQuantizer((5, 7), 1, 1).double()
    half = torch.tensor([2.0, 3.0])
    torch.testing.assert_close(quantizer.codes(quantizer.indices(e)), (e.tanh() * half).round() / half)


def test_many_levels_in_the_linear_range_of_tanh_are_no_quantisation():
    """tanh bends by a third of the cube, and a step is 2 / (L - 1)."""
    e = torch.tensor([[1e-2, -2e-2]], dtype=torch.float64)
    quantizer = FiniteScalarQuantizer((20_001,), 2, 1).double()
    torch.testing.assert_close(quantizer.codes(quantizer.indices(e)), e, atol=6e-5, rtol=0)


@pytest.mark.parametrize("n_levels", [2, 3, 5, 8, 32])
def test_gains_suit_normal_numbers(n_levels):
    """By Monte Carlo: the gain outwards is the least-squares one, and no other one inwards is much better."""
    z, quantizer = normal(20_000, 1), FiniteScalarQuantizer((n_levels,), 1, 1).double()

    def lost(gain):
        q = quantizer.codes(quantizer.indices(gain * z))
        best = (z * q).mean() / q.square().mean()
        return float((z - best * q).square().mean()), float(best), float(q.square().mean())

    gain_in, gain_out, variance = (float(t) for t in normal_gains((n_levels,)))
    error, best, spread = lost(gain_in)
    assert gain_out == pytest.approx(best, rel=0.02)
    assert variance == pytest.approx(spread, rel=0.03)
    assert error <= 1.1 * min(lost(gain)[0] for gain in np.arange(0.2, 2.0, 0.1))


# ------------------------------------------------------------------ frequencies


def test_the_prior_is_how_often_indices_occur_with_one_row_more():
    quantizer = vector_quantizer(2, 3, 2)
    counts = torch.tensor([[3.0, 1.0], [4.0, 0.0], [2.0, 2.0]])
    quantizer.count(counts, 4.0, 1.0)
    torch.testing.assert_close(quantizer.prior, (counts.double() + 0.5) / 5)
    indices = torch.tensor([[0, 0, 0], [1, 1, 0]])
    expected = [[3.5 / 5, 4.5 / 5, 2.5 / 5], [1.5 / 5, 0.5 / 5, 2.5 / 5]]
    torch.testing.assert_close(quantizer.log_prior(indices), torch.tensor(expected).double().log().sum(1))
    quantizer.count(torch.tensor([[0.0, 2.0]] * 3), 2.0, 0.5)
    torch.testing.assert_close(quantizer.frequency[0], torch.tensor([0.375, 0.625]).double())
    assert float(quantizer.n_counted) == 6


def test_draws_have_the_frequencies_of_the_prior():
    quantizer = vector_quantizer(3, 2, 2)
    quantizer.count(torch.tensor([[90.0, 9.0, 1.0], [20.0, 30.0, 50.0]]), 100.0, 1.0)
    drawn = quantizer.draw(20_000, seeded())
    assert drawn.shape == (20_000, 2)
    for place in range(2):
        share = torch.bincount(drawn[:, place], minlength=3) / 20_000
        torch.testing.assert_close(share.double(), quantizer.prior[place], atol=0.012, rtol=0)


# ------------------------------------------------------------------ modules and rotations

OPTIONS = {
    "n_features": 16,
    "n_components": 4,
    "n_outputs": 16,
    "hidden_layer_sizes": (),
    "activation": "tanh",
    "code_activation": "identity",
    "likelihood": "gaussian",
    "categories": (),
    "tied_weights": False,
    "projected": False,
    "dropout": 0.0,
    "batch_norm": False,
    "n_groups": 2,
    "codebook_size": 6,
}
IMAGE = {"image_shape": (1, 4, 4), "channels": (3,), "kernel_size": 3, "pooling": "stride", "code": "map"}


def test_a_map_has_vectors_at_every_position():
    module = QuantizedImages(**OPTIONS, levels=(), **IMAGE)
    assert module.code_shape == (4, 1, 1)
    module = QuantizedImages(**OPTIONS, levels=(), **{**IMAGE, "channels": ()})
    assert module.code_shape == (4, 2, 2)
    assert (module.quantizer.n_codes, module.quantizer.width) == (8, 2)
    assert module.widest >= 8 * 6
    assert QuantizedRows(**OPTIONS, levels=()).widest == 16
    assert QuantizedRows(**{**OPTIONS, "codebook_size": 60}, levels=()).widest == 120


@pytest.mark.parametrize("wrong", [{"n_groups": 3}, {"levels": (2, 3, 2)}, {"levels": (2, 4)}])
def test_a_file_with_numbers_that_do_not_fit_is_refused(wrong):
    assert QuantizedRows(**{**OPTIONS, "levels": (2, 3)}).quantizer.size == 6
    with pytest.raises(ValueError, match="are not"):
        QuantizedRows(**{**OPTIONS, "levels": (2, 3), **wrong})


@pytest.mark.parametrize("n_groups", [1, 2, 3, 6])
def test_groups_have_equal_variances_after_the_rotation(n_groups):
    variances = torch.tensor([9.0, 7.0, 4.0, 2.0, 1.0, 0.0])
    R = balancing_rotation(variances, n_groups)
    torch.testing.assert_close(R @ R.t(), torch.eye(6, dtype=torch.float64))
    of_groups = (R @ torch.diag(variances.double()) @ R.t()).diagonal().view(n_groups, -1)
    expected = variances.double().view(-1, n_groups).mean(1)  # the i-th ones, over the groups
    torch.testing.assert_close(of_groups, expected.expand_as(of_groups))


def test_equal_variances_are_left_alone():
    assert torch.equal(balancing_rotation(torch.ones(4), 2), balancing_rotation(torch.zeros(4), 2))
