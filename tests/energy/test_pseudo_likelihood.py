"""Pseudo-likelihoods against the definition: one column, or group of columns, replaced at a time."""

import math

import pytest
import torch
from energy.machines import GAUSSIAN, HIDDEN, machine_of, seeded, states_of

from skae.energy import pseudo_likelihood
from skae.energy.layers import Part
from skae.energy.pseudo_likelihood import cost_of_row, has_pseudo_likelihood, pseudo_log_likelihood

NAMED = ["bernoulli", "softmax", "labelled"]

every_hidden = pytest.mark.parametrize("hidden", HIDDEN)


def groups_of(machine):
    """Columns that are one variable each."""
    groups, first = [], 0
    for part in getattr(machine.visible, "parts", [machine.visible]):
        for size in getattr(part, "sizes", [1] * part.width):
            groups.append(range(first, first + size))
            first += size
    return groups


def log_conditional(machine, row, columns):
    """Log p(these columns | the others), by replacing them by all that they could be."""
    if len(columns) > 1:
        values, log_volume = torch.eye(len(columns), dtype=row.dtype), 0.0
    elif machine.scaled:
        values = torch.linspace(-14, 14, 3001, dtype=row.dtype)[:, None]
        log_volume = math.log(28 / 3000)
    else:
        values, log_volume = torch.tensor([[0.0], [1.0]], dtype=row.dtype), 0.0
    rows = row.repeat(len(values), 1)
    rows[:, list(columns)] = values
    return -machine.free_energy(row[None])[0] - torch.logsumexp(-machine.free_energy(rows), 0) - log_volume


def by_definition(machine, s):
    groups = groups_of(machine)
    return torch.stack([sum(log_conditional(machine, row, columns) for columns in groups) for row in s])


@every_hidden
@pytest.mark.parametrize("visible", NAMED)
def test_the_pseudo_likelihood_is_its_definition(visible, hidden):
    machine = machine_of(visible, hidden)
    s = states_of(machine.visible)
    torch.testing.assert_close(pseudo_log_likelihood(machine, s), by_definition(machine, s))


@every_hidden
@pytest.mark.parametrize("visible", GAUSSIAN)
def test_the_pseudo_likelihood_of_gaussian_units_is_an_integral(visible, hidden):
    machine = machine_of(visible, hidden)
    s = machine.visible.sample(torch.zeros((4, machine.visible.width), dtype=torch.float64), seeded())
    expected = by_definition(machine, s)
    torch.testing.assert_close(pseudo_log_likelihood(machine, s), expected, rtol=1e-4, atol=1e-4)


def test_rows_between_the_states_are_weighed():
    """Numbers in [0, 1] are probabilities of a 1: the expected score, column by column."""
    machine, s = machine_of(), torch.tensor([[0.25, 1.0, 0.0]], dtype=torch.float64)
    on, off = (
        machine.free_energy(s.clone().index_fill_(1, torch.tensor([0]), 1.0)),
        machine.free_energy(s.clone().index_fill_(1, torch.tensor([0]), 0.0)),
    )
    rest = sum(log_conditional(machine, s[0], (i,)) for i in (1, 2))
    first = 0.25 * -on + 0.75 * -off - torch.logaddexp(-on, -off)
    torch.testing.assert_close(pseudo_log_likelihood(machine, s), first + rest)


@pytest.mark.parametrize("visible", [*NAMED, *GAUSSIAN])
def test_independent_columns_have_their_likelihood(visible):
    machine = machine_of(visible)
    machine.weight.zero_()
    s = machine.visible.sample(torch.zeros((5, machine.visible.width), dtype=torch.float64), seeded())
    field = machine.visible_bias.expand_as(s)
    expected = (s * field).sum(1) + machine.visible.log_base(s) - machine.visible.log_normaliser(field)
    torch.testing.assert_close(pseudo_log_likelihood(machine, s), expected)


@pytest.mark.parametrize("visible", [*NAMED, *GAUSSIAN])
def test_blocks_of_columns_change_nothing(visible, monkeypatch):
    machine = machine_of(visible)
    s = machine.visible.sample(torch.zeros((5, machine.visible.width), dtype=torch.float64), seeded())
    expected = pseudo_log_likelihood(machine, s)
    monkeypatch.setattr(pseudo_likelihood, "BLOCK", 20)
    torch.testing.assert_close(pseudo_log_likelihood(machine, s), expected)


def test_counts_have_none():
    assert all(has_pseudo_likelihood(machine_of(visible)) for visible in (*NAMED, *GAUSSIAN))
    assert not any(has_pseudo_likelihood(machine_of(visible)) for visible in ("counts", "modalities"))


def test_a_row_costs_as_many_normalisers_as_values_are_tried():
    assert cost_of_row(machine_of("bernoulli", n_components=5)) == 2 * 15
    assert cost_of_row(machine_of("gaussian", n_components=3)) == 16 * 6
    assert cost_of_row(machine_of("gaussian labelled", n_components=3)) == 16 * 12
    assert cost_of_row(machine_of("bernoulli", [Part("relu", 2), Part("bernoulli", 3)])) == 12 * 2 * 15
