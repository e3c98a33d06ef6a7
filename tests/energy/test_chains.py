"""Chains that stand for the model: what they keep invariant, and the gradients that come of them."""

from typing import NamedTuple

import pytest
import torch
from energy.machines import (
    FAITHFUL,
    drawn,
    machine_of,
    require_law,
    seeded,
    softmax_law,
    states_of,
)
from scipy import stats

from skae.energy.annealing import Anneal
from skae.energy.chains import CHAINS, _swap, shares
from skae.energy.harmonium import Statistics
from skae.energy.layers import Part

N = 10_000
SAMPLED = [("softmax", "bernoulli"), ("counts", "gaussian"), ("modalities", "bernoulli")]
every_faithful_pair = pytest.mark.parametrize(("visible", "hidden"), FAITHFUL)


class States(NamedTuple):
    """Of the model."""

    s: torch.Tensor
    h: torch.Tensor


def run(algorithm, machine, s, n_gibbs=1, seed=0, weight=None):
    """States of the model, for which those of the data are checked and taken off."""
    with torch.no_grad():
        both, means = CHAINS[algorithm](machine, s, weight, n_gibbs, seeded(seed))
        torch.testing.assert_close(means, machine.hidden_mean(both))
    assert torch.equal(both[: len(s)], s)
    return States(both[len(s) :], means[len(s) :])


def model_rows(machine, n=N, seed=0):
    """Independent states of the model."""
    return states_of(machine.visible)[drawn(softmax_law(machine), n, seed)]


def with_chain(machine, n=N, seed=0):
    """The machine with hidden states of the model as chains."""
    s = model_rows(machine, n, seed)
    machine.chain = machine.hidden.sample(machine.hidden_field(s), seeded(seed + 100))
    return machine


def rungs_of(machine, betas):
    """The law at each temperature."""
    s, path = states_of(machine.visible), Anneal(machine)
    return [torch.softmax(path.log_weight(s, machine.hidden_field(s), float(beta)), 0) for beta in betas]


def with_rungs(machine, n_temperatures, n):
    """The machine with independent states of each temperature as chains."""
    laws = rungs_of(machine, torch.linspace(0, 1, n_temperatures).tolist() if n_temperatures > 1 else [1.0])
    states = states_of(machine.visible)
    machine.chain = torch.stack([states[drawn(law, n, i)] for i, law in enumerate(laws)])
    return machine, laws


# ------------------------------------------------------------------ the law of the model


@pytest.mark.parametrize("algorithm", ["cd", "pcd"])
@every_faithful_pair
def test_chains_that_start_at_the_model_s_law_stay_there(visible, hidden, algorithm):
    machine = with_chain(machine_of(visible, hidden))
    found = run(algorithm, machine, model_rows(machine), 2)
    require_law(found.s, states_of(machine.visible), softmax_law(machine))


@pytest.mark.parametrize("n_temperatures", [1, 4])
@every_faithful_pair
def test_tempered_chains_stay_at_the_laws_of_their_temperatures(visible, hidden, n_temperatures):
    machine, laws = with_rungs(machine_of(visible, hidden, scale=1.2), n_temperatures, 4000)
    found = run("pt", machine, model_rows(machine, 10), 3)
    assert torch.equal(found.s, machine.chain[-1])
    for rung, law in zip(machine.chain, laws, strict=True):
        require_law(rung, states_of(machine.visible), law)


@pytest.mark.parametrize(("algorithm", "n_gibbs"), [("pcd", 1), ("pcd", 3), ("pt", 1), ("pt", 3)])
def test_chains_reach_the_law_from_anywhere(algorithm, n_gibbs):
    machine = machine_of("bernoulli")
    machine.chain = torch.zeros((4, 4000, 3) if algorithm == "pt" else (4000, 2), dtype=torch.float64)
    for i in range(40):
        found = run(algorithm, machine, model_rows(machine, 10), n_gibbs, seed=i)
    require_law(found.s, states_of(machine.visible), softmax_law(machine))


@pytest.mark.parametrize("n_gibbs", [1, 2, 3])
@pytest.mark.parametrize("algorithm", ["cd", "pcd", "pt"])
def test_a_call_takes_as_many_steps_as_it_is_asked_to(algorithm, n_gibbs):
    """From one state, the law is a row of a power of the transition matrix."""
    machine = machine_of("bernoulli", scale=3.0)
    s, h = states_of(machine.visible), states_of(machine.hidden)
    down = torch.softmax(machine.visible_field(h) @ s.T, 1)
    step = torch.softmax(machine.hidden_field(s) @ h.T, 1) @ down
    start = s[1].expand(N, -1)
    machine.chain = h[1].expand(N, -1).clone() if algorithm == "pcd" else start[None].clone()
    laws = [torch.linalg.matrix_power(step, n_gibbs - 1 + i) for i in range(2)]
    expected = (down @ laws[0])[1] if algorithm == "pcd" else laws[1][1]
    require_law(run(algorithm, machine, start, n_gibbs).s, s, expected)


def two_modes():
    """All units on or all off, equally likely, and nothing between: Gibbs steps never cross."""
    machine = machine_of([Part("bernoulli", 4)], n_components=4)
    machine.weight.fill_(6.0)
    machine.visible_bias.fill_(-12.0)
    machine.hidden_bias.fill_(-12.0)
    machine.base.zero_()
    return machine


@pytest.mark.parametrize("n_gibbs", [1, 2])
def test_tempered_chains_cross_between_modes_where_others_stay(n_gibbs):
    """However few steps a call takes, states travel from the hottest chain to the coldest."""
    machine = two_modes()
    machine.chain = torch.zeros((10, 500, 4), dtype=torch.float64)
    plain = two_modes()
    plain.chain = torch.zeros((500, 4), dtype=torch.float64)
    for i in range(200 // n_gibbs):
        tempered = run("pt", machine, machine.chain[-1], n_gibbs, seed=i)
        persistent = run("pcd", plain, torch.zeros((5, 4), dtype=torch.float64), n_gibbs, seed=i)
    assert 0.4 < float((tempered.s.sum(1) > 2).double().mean()) < 0.6
    assert float((persistent.s.sum(1) > 2).double().mean()) < 0.02


def test_swaps_at_equal_temperatures_exchange_all_and_lose_none():
    machine = machine_of("bernoulli")
    state = torch.arange(4, dtype=torch.float64).repeat_interleave(3)[:, None].expand(-1, 3)
    betas = torch.full((4,), 0.5, dtype=torch.float64)
    swapped = _swap(Anneal(machine), state, betas, 0, seeded())[:, 0].view(4, 3)[:, 0].tolist()
    assert swapped == [1.0, 0.0, 3.0, 2.0]
    swapped = _swap(Anneal(machine), state, betas, 1, seeded())[:, 0].view(4, 3)[:, 0].tolist()
    assert swapped == [0.0, 2.0, 1.0, 3.0]


def test_swaps_alone_keep_the_law_of_every_temperature():
    machine, laws = with_rungs(machine_of("bernoulli", scale=2.0), 4, 8000)
    state, betas = machine.chain.flatten(0, 1), torch.linspace(0, 1, 4, dtype=torch.float64)
    for i in range(6):
        state = _swap(Anneal(machine), state, betas, i % 2, seeded(i))
    assert not torch.equal(state, machine.chain.flatten(0, 1))
    for rung, law in zip(state.view(4, 8000, 3), laws, strict=True):
        require_law(rung, states_of(machine.visible), law)


# ------------------------------------------------------------------ what is returned and kept


@pytest.mark.parametrize("weight", [None, torch.tensor([0.3, 0.0, 1.2], dtype=torch.float64)])
@pytest.mark.parametrize(("algorithm", "n_chains"), [("cd", 3), ("pcd", 6), ("pt", 6)])
def test_shares_of_data_and_model_sum_to_nothing(algorithm, n_chains, weight):
    machine = machine_of("bernoulli")
    machine.chain = torch.zeros((3, 6, 3) if algorithm == "pt" else (6, 2), dtype=torch.float64)
    assert len(run(algorithm, machine, model_rows(machine, 3)).s) == n_chains
    share = shares(3, n_chains, weight, algorithm == "cd", like=machine.weight)
    of_data = torch.full((3,), 1 / 3, dtype=torch.float64) if weight is None else weight / 3
    torch.testing.assert_close(-share[:3], of_data)
    torch.testing.assert_close(share.sum(), torch.zeros((), dtype=torch.float64), atol=1e-15, rtol=0)
    if algorithm == "cd":
        torch.testing.assert_close(share[3:], of_data)
    else:
        assert (share[3:] == share[3]).all()


def test_only_contrastive_divergence_forgets_its_chain():
    for algorithm, shape in (("cd", (6, 2)), ("pcd", (6, 2)), ("pt", (3, 6, 3))):
        machine = machine_of("bernoulli")
        machine.chain = torch.full(shape, 0.5, dtype=torch.float64)
        run(algorithm, machine, model_rows(machine, 4))
        assert (machine.chain == 0.5).all() == (algorithm == "cd")


def test_contrastive_divergence_starts_at_the_data():
    """Where weights leave no doubt a chain from a row comes back to it."""
    machine = two_modes()
    s = torch.tensor([[0.0] * 4, [1.0] * 4] * 50, dtype=torch.float64)
    found = run("cd", machine, s, 3)
    assert float((found.s - s).abs().mean()) < 0.02


def test_persistent_chains_go_on_from_hidden_states():
    machine = two_modes()
    machine.chain = torch.tensor([[0.0] * 4, [1.0] * 4] * 50, dtype=torch.float64)
    found = run("pcd", machine, torch.zeros((7, 4), dtype=torch.float64), 2)
    assert float((found.s - machine.chain).abs().mean()) < 0.02


def test_one_temperature_is_persistent_divergence_in_law():
    """The same transition matrix: visible states after two sweeps from the same start."""
    machine = machine_of("bernoulli")
    start = states_of(machine.visible)[1].expand(N, -1)
    machine.chain = start[None].clone()
    tempered = run("pt", machine, start[:5], 2).s
    machine.chain = machine.sample_hidden(start, seeded(9))
    persistent = run("pcd", machine, start[:5], 2).s
    place = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    table = torch.stack([torch.bincount((s @ place).long(), minlength=8) for s in (tempered, persistent)])
    assert stats.chi2_contingency(table.numpy()).pvalue > 1e-6


def test_chains_of_counts_have_the_lengths_of_the_rows():
    machine = machine_of("counts")
    machine.chain = torch.zeros((4, 2), dtype=torch.float64)
    s = torch.tensor([[2.0, 0.0, 0.0], [3.0, 4.0, 0.0]], dtype=torch.float64)
    assert sorted(run("pcd", machine, s).s.sum(1).tolist()) == [2.0, 2.0, 7.0, 7.0]
    assert run("cd", machine, s, 2).s.sum(1).tolist() == [2.0, 7.0]


def test_chains_of_counts_are_as_long_as_the_rows_that_weigh():
    """The bias of a hidden unit enters once a draw, so lengths must be those of the weighted rows."""
    machine = machine_of("counts")
    machine.chain = torch.zeros((100, 2), dtype=torch.float64)
    s = torch.tensor([[2.0, 0.0, 0.0], [3.0, 4.0, 0.0]], dtype=torch.float64)
    weight = torch.tensor([1.8, 0.2], dtype=torch.float64)
    both = torch.cat([s, run("pcd", machine, s, weight=weight).s])
    share = shares(2, 100, weight, False, like=machine.weight)
    assert abs(float(share @ both.sum(1))) < 0.02 * float(weight @ s.sum(1)) / 2


@pytest.mark.parametrize("algorithm", ["cd", "pcd", "pt"])
def test_chains_repeat_and_leave_the_global_generator_alone(algorithm):
    before, found = torch.get_rng_state(), []
    for _ in range(2):
        machine = machine_of("bernoulli")
        machine.chain = torch.zeros((3, 6, 3) if algorithm == "pt" else (6, 2), dtype=torch.float64)
        found.append(run(algorithm, machine, model_rows(machine, 6), 2, seed=4))
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))
    assert torch.equal(torch.get_rng_state(), before)


# ------------------------------------------------------------------ gradients


@pytest.mark.parametrize("algorithm", ["pcd", "pt"])
@pytest.mark.parametrize(("visible", "hidden"), SAMPLED)
def test_the_sampled_gradient_is_the_exact_one(visible, hidden, algorithm):
    """Within five standard errors an entry, after chains from a far start have run."""
    machine = machine_of(visible, hidden, scale=0.4).requires_grad_(True)
    machine.visible_offset.fill_(0.4)
    machine.hidden_offset.fill_(0.3)
    n, n_visible = 4000, machine.visible.width
    machine.chain = torch.zeros((3, n, n_visible) if algorithm == "pt" else (n, 2), dtype=torch.float64)
    if algorithm == "pt":
        machine.chain += states_of(machine.visible)[0]
    everything, law = states_of(machine.visible), softmax_law(machine).detach()
    s = everything[:2]
    share = torch.full((2,), 0.5, dtype=torch.float64)
    for i in range(4):
        model = run(algorithm, machine, s, 10, seed=i).s

    def gradient(rows, weight):
        both, shares = torch.cat([s, rows]), torch.cat([-share, weight])
        for parameter in machine.parameters():
            parameter.grad = torch.zeros_like(parameter)
        with torch.no_grad():
            machine.accumulate(Statistics(both, machine.hidden_mean(both) * shares[:, None], shares))
        return torch.cat([parameter.grad.flatten().clone() for parameter in machine.parameters()])

    exact = gradient(everything, law)
    each = torch.stack([gradient(everything, row) for row in torch.eye(len(law), dtype=torch.float64)])
    deviation = (law @ (each - exact).square()).sqrt()
    z = (gradient(model, torch.full((n,), 1 / n, dtype=torch.float64)) - exact) / (deviation / n**0.5).clamp_min(1e-9)
    assert float(z.abs().max()) < 5
