"""Deep Boltzmann machines as harmoniums of their even and their odd layers, against plain sums over layers."""

from itertools import product

import pytest
import torch
from energy.machines import TOTAL, drawn, machine_of, require_law, seeded, softmax_law, states_of, totals_of

from skae.energy.annealing import Anneal, annealed_importance
from skae.energy.chains import CHAINS, shares
from skae.energy.harmonium import Known, Statistics
from skae.energy.layers import Part, layer_of
from skae.energy.partition import exact_log_partition
from skae.engine.optim import Flat, Optimizer

MACHINES = {
    "x - h1 - h2": [Part("bernoulli", 3), Part("bernoulli", 2), Part("softmax", 3, (3,))],
    "x - h1 - h2 - h3": [Part("bernoulli", 2), Part("bernoulli", 2), Part("bernoulli", 2), Part("bernoulli", 2)],
    "counts - h1 - h2": [Part("counts", 3), Part("bernoulli", 2), Part("bernoulli", 2)],
    "classes - h1 - h2 - h3": [Part("softmax", 4, (2, 2)), Part("softmax", 2, (2,)), *[Part("bernoulli", 2)] * 2],
}
every_machine = pytest.mark.parametrize("name", MACHINES)


def deep(name, scale=0.7):
    """A harmonium whose visible side are the even layers, and whose hidden side the odd ones, next to each other."""
    layers = MACHINES[name]
    absent = [(1, 0)] if len(layers) == 4 else []  # h3 does not see x
    machine = machine_of(layers[::2], layers[1::2], absent=absent, scale=scale)
    for rows, columns in machine.absent:
        machine.weight[rows, columns] = 0.0
    return machine


def joint_states(machine):
    """All pairs of states of the two sides, one below the other."""
    s, h = states_of(machine.visible), states_of(machine.hidden)
    return s.repeat_interleave(len(h), 0), h.repeat(len(s), 1)


def energy_of_layers(name, machine, layers):
    """-sum_l b_l'x_l - sum_l x_(l+1)'W_l x_l - sum_l log_base(x_l), a plain loop over units of one state."""
    parts = MACHINES[name]
    places = {}  # of each layer its first column on its side
    for side in (0, 1):
        first = 0
        for k in range(side, len(parts), 2):
            places[k], first = first, first + parts[k].width
    total = 0.0
    for k, x in enumerate(layers):
        bias = machine.hidden_bias if k % 2 else machine.visible_bias
        for i, value in enumerate(x):
            total -= value * bias[places[k] + i]
        total -= layer_of([parts[k]]).log_base(x[None]).sum() if parts[k].kind == "counts" else 0.0
    for below in range(len(layers) - 1):
        even, odd = (below, below + 1) if below % 2 == 0 else (below + 1, below)
        for i, j in product(range(parts[even].width), range(parts[odd].width)):
            total -= layers[odd][j] * machine.weight[places[odd] + j, places[even] + i] * layers[even][i]
    return total


@every_machine
def test_the_energy_is_the_sum_over_layers(name):
    machine, layers = deep(name), MACHINES[name]
    s, h = joint_states(machine)
    found = machine.energy(s, h)
    for i in range(0, len(s), max(1, len(s) // 40)):
        even = s[i].split([part.width for part in layers[::2]])
        odd = h[i].split([part.width for part in layers[1::2]])
        state = [(even if k % 2 == 0 else odd)[k // 2] for k in range(len(layers))]
        torch.testing.assert_close(found[i], torch.as_tensor(energy_of_layers(name, machine, state)))


@every_machine
def test_free_energies_and_log_z_are_those_of_the_joint_law(name):
    machine = deep(name)
    s, h = states_of(machine.visible), states_of(machine.hidden)
    joint = -machine.energy(*joint_states(machine)).view(len(s), len(h))
    log_z = torch.logsumexp(joint.flatten(), 0)
    torch.testing.assert_close(torch.tensor(exact_log_partition(machine, TOTAL), dtype=s.dtype), log_z)
    torch.testing.assert_close(-machine.free_energy(s) - log_z, torch.logsumexp(joint - log_z, 1))
    of_hidden = machine.hidden_free_energy(h, totals_of(machine, len(h)))
    torch.testing.assert_close(-of_hidden - log_z, torch.logsumexp(joint - log_z, 0))


@every_machine
def test_gibbs_chains_keep_the_joint_law(name):
    machine = deep(name)
    states, rng = torch.cat(joint_states(machine), 1), seeded(2)
    law = torch.softmax(-machine.energy(*joint_states(machine)), 0)
    s = machine.gibbs(states_of(machine.visible)[drawn(softmax_law(machine), 15_000)], 3, rng)
    require_law(torch.cat([s, machine.sample_hidden(s, rng)], 1), states, law)


@every_machine
def test_gibbs_chains_reach_the_law_from_anywhere(name):
    machine = deep(name, scale=0.5)
    s = states_of(machine.visible)[:1].expand(10_000, -1)
    require_law(machine.gibbs(s, 40, seeded()), states_of(machine.visible), softmax_law(machine))


def with_gradients(machine):
    machine.requires_grad_(True)
    machine.visible_offset.copy_(torch.rand(machine.visible.width, generator=seeded(3)))
    machine.hidden_offset.copy_(torch.rand(machine.hidden.width, generator=seeded(4)))
    for parameter in machine.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return machine


def statistics(machine, data, share):
    """Of some states of the data, and of all states of the model by its law."""
    everything, law = states_of(machine.visible), softmax_law(machine).detach()
    s, share = torch.cat([data, everything]), torch.cat([-share, law])
    with torch.no_grad():
        return Statistics(s, machine.hidden_mean(s) * share[:, None], share)


@pytest.mark.parametrize("centred", [False, True])
@every_machine
def test_the_gradient_is_that_of_the_enumerated_likelihood(name, centred):
    """Centred, it is brought to the parameters of the machine: absent weights are none of them."""
    machine = with_gradients(deep(name))
    everything = states_of(machine.visible)
    data, share = everything[[1, 4]], torch.tensor([0.3, 0.7], dtype=torch.float64)
    log_z = torch.logsumexp(-machine.free_energy(everything), 0)
    loss = share @ machine.free_energy(data) + log_z
    d_weight, d_visible, d_hidden = torch.autograd.grad(
        loss, (machine.weight, machine.visible_bias, machine.hidden_bias)
    )
    with torch.no_grad():
        machine.accumulate(statistics(machine, data, share), centred)
        if centred:
            mu, lam = machine.visible_offset, machine.hidden_offset
            d_weight = d_weight - torch.outer(d_hidden, mu) - torch.outer(lam, d_visible)
    for rows, columns in machine.absent:
        d_weight[rows, columns] = 0.0
    if centred:
        d_visible, d_hidden = d_visible - lam @ d_weight, d_hidden - d_weight @ mu
    torch.testing.assert_close(machine.weight.grad, d_weight, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(machine.visible_bias.grad, d_visible, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(machine.hidden_bias.grad, d_hidden, rtol=1e-11, atol=1e-12)


def test_the_gradient_is_that_of_finite_differences():
    machine = with_gradients(deep("x - h1 - h2 - h3"))
    everything = states_of(machine.visible)
    data, share = everything[[1, 4]], torch.tensor([0.3, 0.7], dtype=torch.float64)

    def loss():
        return float(share @ machine.free_energy(data)) + exact_log_partition(machine)

    with torch.no_grad():
        machine.accumulate(statistics(machine, data, share), centred=False)
        for parameter, place in ((machine.weight, (1, 0)), (machine.weight, (3, 2)), (machine.hidden_bias, (2,))):
            start, sides = parameter[place].clone(), []
            for step in (1e-5, -1e-5):
                parameter[place] = start + step
                sides.append(loss())
            parameter[place] = start
            assert abs((sides[0] - sides[1]) / 2e-5 - float(parameter.grad[place])) < 1e-8


# ------------------------------------------------------------------ absent weights


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("rule", ["sgd", "adam", "adamw"])
def test_absent_weights_stay_zero_under_every_rule(rule, centred):
    layers = MACHINES["x - h1 - h2 - h3"]
    machine = machine_of(layers[::2], layers[1::2], absent=[(1, 0)])
    mean = torch.full((4,), 0.4, dtype=torch.float64)
    machine.initialise(mean, torch.ones_like(mean), 0.5, seeded())
    assert not machine.weight[2:, :2].any()
    assert machine.weight.count_nonzero() == 12
    flat, optimizer = Flat(machine), Optimizer(rule, weight_decay=0.01, momentum=0.9)
    machine.chain = torch.zeros((20, 4), dtype=torch.float64)
    data, rng = states_of(machine.visible)[[1, 4, 9]], seeded(5)

    def step():
        s, h = CHAINS["pcd"](machine, data, None, 1, rng)
        share = shares(3, 20, None, False, like=s)
        machine.accumulate(Statistics(s, h * share[:, None], share), centred)
        machine.follow(s[:3], h[:3], -share[:3], 0.1)
        return {}

    before = machine.weight.clone()
    with torch.no_grad():
        for _ in range(10):
            optimizer.step(flat, step, 0.1)
            machine.restrain(0.1)
    assert not machine.weight[2:, :2].any()
    assert (machine.weight != before).sum() == 12


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
def test_parts_without_weights_between_them_are_two_machines(hidden):
    left, right = (machine_of([Part("bernoulli", 3)], [Part(hidden, 2)], seed=seed) for seed in (1, 2))
    both = machine_of([Part("bernoulli", 3)] * 2, [Part(hidden, 2)] * 2, absent=[(0, 1), (1, 0)])
    for name in ("visible_bias", "hidden_bias", "base"):
        getattr(both, name).copy_(torch.cat([getattr(left, name), getattr(right, name)]))
    both.weight.copy_(torch.block_diag(left.weight, right.weight))
    s = states_of(left.visible)
    rows = torch.cat([s.repeat_interleave(8, 0), s.repeat(8, 1)], 1)
    expected = left.free_energy(s)[:, None] + right.free_energy(s)
    torch.testing.assert_close(both.free_energy(rows), expected.flatten())
    assert abs(exact_log_partition(both) - exact_log_partition(left) - exact_log_partition(right)) < 1e-12


# ------------------------------------------------------------------ several kinds, and counts among them

KINDS = [Part("bernoulli", 1), Part("softmax", 2, (2,)), Part("gaussian", 1)]


def test_hidden_units_of_several_kinds_have_the_energy_of_their_integral():
    machine = machine_of([Part("bernoulli", 2), Part("counts", 2)], KINDS)
    s, t = states_of(machine.visible), torch.linspace(-12, 12, 4001, dtype=torch.float64)
    log_volume = (t[1] - t[0]).log()
    for row in s[::3]:
        scores = []
        for binary, place in product((0.0, 1.0), (0, 1)):
            h = torch.zeros((len(t), 4), dtype=torch.float64)
            h[:, 0], h[:, 1 + place], h[:, 3] = binary, 1.0, t
            scores.append(-machine.energy(row.expand(len(t), -1), h))
        found = -torch.logsumexp(torch.cat(scores), 0) - log_volume
        torch.testing.assert_close(machine.free_energy(row[None])[0], found)


def test_hidden_units_of_several_kinds_keep_the_law():
    machine = machine_of([Part("bernoulli", 2), Part("counts", 2)], [*KINDS, Part("relu", 1)], scale=0.4)
    states, law = states_of(machine.visible), softmax_law(machine)
    require_law(machine.gibbs(states[drawn(law, 15_000)], 4, seeded()), states, law)
    found = annealed_importance(Anneal(machine, TOTAL), torch.linspace(0, 1, 60).double(), 2000, seeded())
    log_z = torch.logsumexp(-machine.free_energy(states), 0)
    assert abs(found.value - float(log_z)) < 3 * found.error < 0.1


def test_rectified_units_on_both_sides_keep_the_law():
    """Their states end nowhere; those above 11 have no probability to speak of."""
    machine = machine_of([Part("relu", 2)], [Part("bernoulli", 2)], scale=0.5)
    states = torch.cartesian_prod(*[torch.arange(12.0, dtype=torch.float64)] * 2)
    law = torch.softmax(-machine.free_energy(states), 0)
    assert law[states.amax(1) > 8].sum() < 1e-6
    log_z = torch.logsumexp(-machine.free_energy(states), 0)
    assert abs(exact_log_partition(machine) - float(log_z)) < 1e-6
    require_law(machine.gibbs(states[drawn(law, 10_000)], 4, seeded()), states, law)


def test_a_bias_once_a_draw_is_a_shift_of_the_weights_to_counts():
    """The multimodal machine of Srivastava and Salakhutdinov (2014), with the term -D h'c."""
    machine = machine_of([Part("bernoulli", 2), Part("counts", 3)])
    s, h = (torch.cat([rows, 2 * rows]) for rows in joint_states(machine))  # rows of 3 and, for counts, 6 draws
    c = torch.tensor([0.7, -0.4], dtype=torch.float64)
    expected = machine.energy(s, h) - (h @ c) * s[:, 2:].sum(1)
    machine.weight[:, 2:] += c[:, None]
    torch.testing.assert_close(machine.energy(s, h), expected)


def test_hidden_counts_are_refused():
    with pytest.raises(ValueError, match="Hidden units cannot be counts"):
        machine_of(hidden=[Part("counts", 3)])


# ------------------------------------------------------------------ scaled parts, and units that are held fast


@pytest.mark.parametrize("learnt", [False, True])
def test_only_scaled_parts_are_scaled(learnt):
    visible = [Part("gaussian", 2, scaled=True), Part("counts", 2), Part("gaussian", 1)]
    machine = machine_of(visible, learnt_scale=learnt)
    mean, deviation = torch.tensor([2.0, -1, 3, 1, 5]).double(), torch.tensor([4.0, 0.5, 9, 9, 9]).double()
    machine.initialise(mean, deviation, 0.1, seeded())
    sigma = torch.tensor([4.0, 0.5, 1, 1, 1], dtype=torch.float64)
    torch.testing.assert_close(machine.log_scale.exp(), sigma)
    x = torch.tensor([[8.0, 1, -2, 3, 7]], dtype=torch.float64)
    torch.testing.assert_close(machine.embed(x), torch.tensor([[2.0, 2, 0, 3, 7]], dtype=torch.float64))
    torch.testing.assert_close(machine.unembed(machine.embed(x.abs())), x.abs())
    torch.testing.assert_close(machine.visible_offset, mean / sigma)
    torch.testing.assert_close(machine.log_density(x), -machine.free_energy(machine.embed(x)) - sigma.log().sum())
    assert (machine.spread[:2] == 1).all()
    torch.testing.assert_close(machine.spread[2:4].square(), mean[2:4])  # the variance of counts at their mean


def test_the_gradient_of_the_scale_is_that_of_the_scaled_columns():
    visible = [Part("softmax", 2, (2,)), Part("gaussian", 2, scaled=True), Part("gaussian", 1)]
    machine = machine_of(visible, learnt_scale=True).requires_grad_(True)
    with torch.no_grad():
        machine.log_scale[2:4] = torch.tensor([-0.4, 0.7])
    x = torch.randn((6, 5), generator=seeded()).double()
    x[:, :2] = torch.eye(2).double()[torch.arange(6) % 2]
    share = torch.rand(6, generator=seeded(1)).double()
    (expected,) = torch.autograd.grad(-(share @ machine.log_density(x)), machine.log_scale)
    machine.log_scale.grad = torch.zeros_like(machine.log_scale)
    with torch.no_grad():
        s = machine.embed(x)
        machine.accumulate_scale(s, machine.hidden_mean(s), share)
    torch.testing.assert_close(machine.log_scale.grad[2:4], expected[2:4])
    assert not machine.log_scale.grad[[0, 1, 4]].any()


@pytest.mark.parametrize("columns", [slice(0, 2), slice(2, 4)])
def test_units_that_are_held_fast_leave_the_others_their_conditional_law(columns):
    """Either modality given the other; counts that are held decide how many draws there are."""
    machine = machine_of([Part("bernoulli", 2), Part("counts", 2)])
    states = states_of(machine.visible)
    value = states[5, columns]
    kept = (states[:, columns] == value).all(1)
    law = torch.softmax(torch.where(kept, -machine.free_energy(states), -torch.inf), 0)
    start = states[:1].expand(10_000, -1)
    before = start.clone()
    mask = torch.zeros(states.shape[1], dtype=torch.bool)
    mask[columns] = True
    after = machine.gibbs(start, 30, seeded(), Known(states[5].expand(10_000, -1), mask))
    require_law(after, states, law)
    assert torch.equal(start, before)
