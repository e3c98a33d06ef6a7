"""Annealing against sums over all states: the models on its path, and what it promises of its estimates."""

import math

import numpy as np
import pytest
import torch
from energy.machines import (
    FAITHFUL,
    HIDDEN,
    VISIBLE,
    drawn,
    machine_of,
    require_law,
    seeded,
    softmax_law,
    states_of,
    total_of,
)

from skae.energy import annealing
from skae.energy.annealing import Anneal, Estimate, annealed_importance, reverse_annealed_importance
from skae.energy.layers import Part
from skae.energy.partition import exact_log_partition

PAIRS = [(visible, hidden) for visible in VISIBLE for hidden in HIDDEN]
SHORT, LONG = (torch.linspace(0, 1, n, dtype=torch.float64) for n in (12, 120))

every_visible = pytest.mark.parametrize("visible", VISIBLE)
every_pair = pytest.mark.parametrize(("visible", "hidden"), PAIRS)
every_faithful_pair = pytest.mark.parametrize(("visible", "hidden"), FAITHFUL)


def log_z_of(machine):
    """By a sum over the visible states."""
    return float(torch.logsumexp(-machine.free_energy(states_of(machine.visible)), 0))


# ------------------------------------------------------------------ the path


@every_visible
@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_models_on_the_path_are_sums_over_hidden_states(visible, beta):
    machine = machine_of(visible)
    s, h = states_of(machine.visible), states_of(machine.hidden)
    path, field = Anneal(machine, total_of(machine)), machine.hidden_field(s)
    linear = s @ ((1 - beta) * machine.base + beta * machine.visible_bias) + machine.visible.log_base(s)
    fields = (1 - beta) * machine.hidden.link(machine.hidden_offset) + beta * field
    expected = linear + torch.logsumexp(fields @ h.T, 1)
    torch.testing.assert_close(path.log_weight(s, field, beta), expected)
    betas = torch.full((len(s),), beta, dtype=s.dtype)
    torch.testing.assert_close(path.log_weight(s, field, betas), expected)


@every_pair
def test_the_path_ends_at_the_machine_and_starts_at_independent_units(visible, hidden):
    machine = machine_of(visible, hidden)
    s, path = states_of(machine.visible), Anneal(machine, total_of(machine))
    field = machine.hidden_field(s)
    torch.testing.assert_close(path.log_weight(s, field, 1.0), -machine.free_energy(s))
    at_start = path.log_weight(s, field, 0.0)
    assert math.isclose(path.log_partition(), float(torch.logsumexp(at_start, 0)), rel_tol=1e-12)


@every_visible
def test_starts_follow_the_base_model(visible):
    machine = machine_of(visible)
    s, path = states_of(machine.visible), Anneal(machine, total_of(machine))
    law = torch.softmax(path.log_weight(s, machine.hidden_field(s), 0.0), 0)
    require_law(path.start(20_000, seeded()), s, law)


@every_faithful_pair
@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0])
def test_steps_keep_the_law_of_their_temperature(visible, hidden, beta):
    machine = machine_of(visible, hidden)
    states, path = states_of(machine.visible), Anneal(machine, total_of(machine))
    law = torch.softmax(path.log_weight(states, machine.hidden_field(states), beta), 0)
    s, rng = states[drawn(law, 10_000)], seeded(1)
    for _ in range(4):
        s = path.step(s, machine.hidden_field(s), beta, rng)
    require_law(s, states, law)


@every_visible
def test_each_row_is_stepped_at_its_own_temperature(visible):
    machine = machine_of(visible)
    states, path = states_of(machine.visible), Anneal(machine, total_of(machine))
    field, betas = machine.hidden_field(states), torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    laws = [torch.softmax(path.log_weight(states, field, float(beta)), 0) for beta in betas]
    s, rng = torch.cat([states[drawn(law, 8000)] for law in laws]), seeded(2)
    for _ in range(3):
        s = path.step(s, machine.hidden_field(s), betas.repeat_interleave(8000), rng)
    for sample, law in zip(s.split(8000), laws, strict=True):
        require_law(sample, states, law)


# ------------------------------------------------------------------ estimates


@every_faithful_pair
def test_annealing_finds_the_partition_function(visible, hidden):
    machine = machine_of(visible, hidden)
    found = annealed_importance(Anneal(machine, total_of(machine)), LONG, 1000, seeded())
    assert abs(found.value - log_z_of(machine)) < 3 * found.error < 0.1


@every_faithful_pair
def test_annealing_back_from_exact_samples_finds_it_too(visible, hidden):
    machine = machine_of(visible, hidden)
    s = states_of(machine.visible)[drawn(softmax_law(machine), 1000)]
    found = reverse_annealed_importance(Anneal(machine, total_of(machine)), LONG, s, seeded())
    assert abs(found.value - log_z_of(machine)) < 3 * found.error < 0.1


@pytest.mark.parametrize("visible", ["bernoulli", "modalities"])
def test_annealing_with_rectified_units_finds_log_z_too(visible):
    machine = machine_of(visible, "relu")
    path, log_z = Anneal(machine, total_of(machine)), log_z_of(machine)
    found = annealed_importance(path, LONG, 1000, seeded())
    assert abs(found.value - log_z) < 3 * found.error


def test_annealing_finds_the_integral_over_gaussian_units():
    for hidden in ("bernoulli", "gaussian"):
        machine = machine_of("gaussian", hidden)
        found = annealed_importance(Anneal(machine), LONG, 1000, seeded())
        assert abs(found.value - exact_log_partition(machine)) < 3 * found.error < 0.1


def hard():
    """A machine that few steps cannot anneal to."""
    return machine_of([Part("bernoulli", 8)], n_components=6, scale=2.0)


def test_the_standard_error_is_that_of_repetitions_and_the_mean_does_not_overshoot():
    machine, truth = hard(), log_z_of(hard())
    runs = [annealed_importance(Anneal(machine), SHORT, 400, seeded(seed)) for seed in range(20)]
    values = np.array([run.value for run in runs])
    spread, told = values.std(ddof=1), np.median([run.error for run in runs])
    assert told / 2 < spread < 2 * told
    assert abs(np.exp(values - truth).mean() - 1) < 4 * np.exp(values - truth).std() / math.sqrt(20)  # unbiased in Z
    assert values.mean() < truth + 2 * spread / math.sqrt(20)


def shuffled(least, n_steps, monkeypatch):
    """Estimates of 30 runs each way, in which chains are drawn anew below this share of effective ones."""
    machine = hard()
    path, states, law = Anneal(machine), states_of(machine.visible), softmax_law(machine)
    monkeypatch.setattr(annealing, "LEAST_EFFECTIVE", least)
    betas = torch.linspace(0, 1, n_steps + 1, dtype=torch.float64)
    forward = [annealed_importance(path, betas, 200, seeded(i)) for i in range(30)]
    backward = [
        reverse_annealed_importance(path, betas, states[drawn(law, 200, i)], seeded(i + 100)) for i in range(30)
    ]
    return forward, backward


@pytest.mark.parametrize("least", [0.5, 1.0])
def test_drawing_chains_anew_leaves_the_mean_weight_unbiased(least, monkeypatch):
    truth = log_z_of(hard())
    for runs, sign in zip(shuffled(least, 6, monkeypatch), (1, -1), strict=True):
        ratio = np.exp(sign * (np.array([run.value for run in runs]) - truth))
        assert abs(ratio.mean() - 1) < 4 * ratio.std(ddof=1) / math.sqrt(30)


def test_the_standard_error_knows_that_chains_were_drawn_anew(monkeypatch):
    for runs in shuffled(0.5, 6, monkeypatch):
        spread = np.std([run.value for run in runs], ddof=1)
        assert spread / 2 < np.median([run.error for run in runs]) < 2 * spread


def test_drawing_chains_anew_narrows_the_bracket_of_few_temperatures(monkeypatch):
    def gap(least):
        forward, backward = shuffled(least, 6, monkeypatch)
        return np.mean([run.value for run in backward]) - np.mean([run.value for run in forward])

    assert abs(gap(0.5)) < 0.6 * gap(0.0)


def test_chains_are_drawn_anew_as_often_as_they_weigh():
    weights = annealing._Weights(8, torch.device("cpu"))
    assert weights.survivors(seeded()) is None
    weights.log_w += torch.tensor([4.0, 2.0, 1.0, 1.0, 0, 0, 0, 0], dtype=torch.float64).log()
    chosen = weights.survivors(seeded())
    assert torch.bincount(chosen, minlength=8).tolist() == [4, 2, 1, 1, 0, 0, 0, 0]
    assert torch.equal(weights.log_w, torch.zeros(8, dtype=torch.float64))
    assert math.isclose(weights.estimate().value, 0.0, abs_tol=1e-12)
    weights = annealing._Weights(8, torch.device("cpu"))
    weights.log_w += torch.linspace(0, 0.1, 8, dtype=torch.float64)
    assert weights.survivors(seeded()) is None


def test_few_chains_bracket_the_truth_from_both_sides():
    """On average over seeds, forward below and backward above (Jensen's inequality)."""
    machine, truth = hard(), log_z_of(hard())
    path, states, law = Anneal(machine), states_of(machine.visible), softmax_law(machine)
    few = torch.linspace(0, 1, 4, dtype=torch.float64)
    forward = np.array([annealed_importance(path, few, 3, seeded(i)).value for i in range(60)])
    backward = np.array(
        [reverse_annealed_importance(path, few, states[drawn(law, 3, i)], seeded(i)).value for i in range(60)]
    )
    assert forward.mean() < truth - 3 * forward.std() / math.sqrt(60)
    assert backward.mean() > truth + 3 * backward.std() / math.sqrt(60)


def test_a_machine_that_is_its_base_is_known_without_error():
    machine = machine_of()
    machine.weight.zero_()
    machine.hidden_offset.copy_(machine.hidden.mean(machine.hidden_bias[None])[0])
    machine.base.copy_(machine.visible_bias)
    for found in (
        annealed_importance(Anneal(machine), SHORT, 10, seeded()),
        reverse_annealed_importance(Anneal(machine), SHORT, states_of(machine.visible), seeded()),
    ):
        assert math.isclose(found.value, log_z_of(machine), rel_tol=1e-12)
        assert found.error < 1e-12


def test_the_base_need_not_be_good():
    machine = machine_of()
    machine.base.copy_(torch.tensor([3.0, -3.0, 2.0]))
    found = annealed_importance(Anneal(machine), LONG, 1000, seeded())
    assert abs(found.value - log_z_of(machine)) < 3 * found.error


def test_one_chain_has_no_standard_error():
    found = annealed_importance(Anneal(machine_of()), SHORT, 1, seeded())
    assert math.isfinite(found.value)
    assert math.isnan(found.error)


def test_estimates_repeat_and_leave_the_global_generator_alone():
    before = torch.get_rng_state()
    first, again = (annealed_importance(Anneal(machine_of()), SHORT, 5, seeded(3)) for _ in range(2))
    assert isinstance(first, Estimate)
    assert first == again
    assert first != annealed_importance(Anneal(machine_of()), SHORT, 5, seeded(4))
    assert torch.equal(torch.get_rng_state(), before)
