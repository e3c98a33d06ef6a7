"""Partition functions: exact ones against sums over all states, and those that are kept for rows of counts."""

import math

import numpy as np
import pytest
import torch
from energy.machines import (
    HIDDEN,
    VISIBLE,
    energies_of,
    grid_of,
    law_of,
    machine_of,
    seeded,
    states_of,
    total_of,
)

from skae.energy import partition
from skae.energy.annealing import Estimate
from skae.energy.harmonium import Harmonium
from skae.energy.layers import Part
from skae.energy.partition import Partition, exact_log_partition, has_exact_log_partition

every_visible = pytest.mark.parametrize("visible", VISIBLE)
FINITE = ("bernoulli", "softmax", "labelled")


def bare(visible, n_features, hidden, n_components):
    """A machine of one part on each side, without weights."""
    seen = Part(visible, n_features, (n_features,) if visible == "softmax" else ())
    return Harmonium(visible=[seen], hidden=[Part(hidden, n_components)]).requires_grad_(False)


def log_z_of(machine):
    """By a sum over the visible states."""
    return float(torch.logsumexp(-machine.free_energy(states_of(machine.visible)), 0))


@every_visible
@pytest.mark.parametrize("n_components", [1, 6])
def test_the_sum_over_the_smaller_layer_is_that_over_all_pairs(visible, n_components):
    machine = machine_of(visible, n_components=n_components)
    expected = float(torch.logsumexp(-energies_of(machine).flatten(), 0))
    assert math.isclose(exact_log_partition(machine, total_of(machine)), expected, rel_tol=1e-12)


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("visible", FINITE)
def test_a_visible_layer_is_enumerated_beside_hidden_units_of_any_kind(visible, hidden):
    machine = machine_of(visible, hidden)
    assert has_exact_log_partition(machine)
    assert math.isclose(exact_log_partition(machine), log_z_of(machine), rel_tol=1e-12)


def test_a_sum_in_blocks_is_the_sum(monkeypatch):
    machine = machine_of("bernoulli", n_components=6)
    expected = exact_log_partition(machine)
    monkeypatch.setattr(partition, "BLOCK", 30)
    assert math.isclose(exact_log_partition(machine), expected, rel_tol=1e-14)


def test_a_hidden_layer_is_enumerated_beside_gaussian_units():
    machine = machine_of("gaussian", n_components=3)
    s, log_volume = grid_of(2, reach=16.0, n=161)
    area = float(torch.logsumexp(-machine.free_energy(s), 0)) + log_volume
    assert math.isclose(exact_log_partition(machine), area, rel_tol=1e-9)


def test_gaussian_units_on_both_sides_have_a_closed_form():
    """The marginal of s is exp(b'b / 2 + (a + W'b)'s - s'(1 - W'W)s / 2), a gaussian's."""
    machine = machine_of("gaussian", "gaussian", n_components=3)
    W, a, b = (tensor.numpy() for tensor in (machine.weight, machine.visible_bias, machine.hidden_bias))
    precision, linear = np.eye(2) - W.T @ W, a + W.T @ b
    expected = 0.5 * (5 * math.log(2 * math.pi) + b @ b + linear @ np.linalg.solve(precision, linear))
    expected -= 0.5 * np.linalg.slogdet(precision)[1]
    assert math.isclose(exact_log_partition(machine), expected, rel_tol=1e-12)
    s, log_volume = grid_of(2, reach=20.0, n=161)
    assert math.isclose(float(torch.logsumexp(-machine.free_energy(s), 0)) + log_volume, expected, rel_tol=1e-9)


@pytest.mark.parametrize("norm", [1.0, 1.7, 1e6])
def test_what_is_not_integrable_is_refused(norm):
    machine = machine_of("gaussian", "gaussian")
    machine.weight.mul_(norm / torch.linalg.norm(machine.weight, 2) * (1 + 1e-9))
    with pytest.raises(ValueError, match=r"cannot be normalised.*singular value.*lower learning_rate_init") as caught:
        exact_log_partition(machine)
    assert str(caught.value).count(".") <= 3  # one sentence, and the numbers in it
    assert f"{norm:.3g}" in str(caught.value)


def test_layers_of_up_to_twenty_binary_units_are_enumerated():
    assert has_exact_log_partition(bare("bernoulli", 500, "bernoulli", 20))
    assert has_exact_log_partition(bare("bernoulli", 20, "bernoulli", 500))
    assert has_exact_log_partition(bare("bernoulli", 20, "relu", 500))
    assert has_exact_log_partition(bare("gaussian", 99, "gaussian", 99))
    assert not has_exact_log_partition(bare("bernoulli", 21, "bernoulli", 21))
    assert not has_exact_log_partition(bare("gaussian", 2, "relu", 2))
    assert not has_exact_log_partition(bare("counts", 2, "relu", 2))


def test_twenty_units_without_weights_are_summed_to_their_closed_form():
    machine = bare("bernoulli", 21, "bernoulli", 20)
    machine.hidden_bias.fill_(0.5)
    assert math.isclose(exact_log_partition(machine), 20 * math.log1p(math.exp(0.5)) + 21 * math.log(2), rel_tol=1e-5)


def test_the_law_of_states_is_the_one_that_the_partition_function_normalises():
    machine = machine_of()
    log_p = -machine.free_energy(states_of(machine.visible)) - exact_log_partition(machine)
    torch.testing.assert_close(log_p.exp(), law_of(machine))


# ------------------------------------------------------------------ what is kept


def refuses_noise():
    """For machines that need no annealing."""
    raise AssertionError("a generator was asked for")


@pytest.mark.parametrize("visible", ["counts", "modalities"])
def test_rows_have_the_log_z_of_their_lengths(visible):
    machine, total = machine_of(visible), torch.tensor([4.0, 0.0, 7.0, 4.0], dtype=torch.float64)
    found = Partition((0.0, 7.0)).of_rows(machine, total, refuses_noise)
    expected = [exact_log_partition(machine, length) for length in total.tolist()]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("visible", ["counts", "modalities"])
def test_many_lengths_are_interpolated_and_those_outside_are_not(visible, monkeypatch):
    machine, asked = machine_of(visible), []
    exactly = partition.exact_log_partition
    monkeypatch.setattr(partition, "exact_log_partition", lambda m, length: asked.append(length) or exactly(m, length))
    lengths = torch.arange(2.0, 60.0, dtype=torch.float64)
    found = Partition((5.0, 50.0)).of_rows(machine, lengths, refuses_noise)
    expected = torch.tensor([exactly(machine, length) for length in lengths.tolist()], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert len(asked) == partition.N_LENGTHS + 3 + 9  # nodes, lengths 2 to 4, and 51 to 59
    torch.testing.assert_close(found[lengths > 50], expected[lengths > 50], rtol=1e-14, atol=1e-14)


def test_log_z_is_annealed_where_it_must_be_and_once(monkeypatch):
    monkeypatch.setattr(partition, "N_BETAS", 50)
    machine, made = machine_of("gaussian", "relu"), []
    kept = Partition()
    first = kept.of_length(machine, 0.0, lambda: made.append(1) or seeded())
    assert isinstance(first, Estimate)
    assert first.error > 0
    assert kept.of_length(machine, 9.0, refuses_noise) == first  # units that are no counts have no length
    assert kept.of_rows(machine, None, refuses_noise) == first.value
    assert len(made) == 1
