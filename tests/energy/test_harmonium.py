"""Harmoniums against sums over all of their states, and their gradients against autograd."""

from itertools import product

import numpy as np
import pytest
import torch
from energy.machines import (
    FAITHFUL,
    GAUSSIAN,
    HIDDEN,
    LEVEL,
    VISIBLE,
    drawn,
    energies_of,
    grid_of,
    law_of,
    machine_of,
    require_law,
    seeded,
    softmax_law,
    states_of,
    totals_of,
)
from scipy import stats

from skae.energy.harmonium import MOST_NORM, Harmonium, Statistics
from skae.energy.layers import Part
from skae.functional import bernoulli_divergence

every_visible = pytest.mark.parametrize("visible", VISIBLE)
every_hidden = pytest.mark.parametrize("hidden", HIDDEN)
every_gaussian = pytest.mark.parametrize("visible", GAUSSIAN)


def rows_of(machine, n=7, seed=5):
    """States of the visible units, not all equal; counts have several totals."""
    rng, width = seeded(seed), machine.visible.width
    field = torch.randn((n, width), generator=rng, dtype=torch.float64)
    total = machine.visible.total(torch.arange(n * width, dtype=torch.float64).view(n, width) % 5)
    return machine.visible.sample(field, rng, total)


def shares(n, seed=1):
    return torch.rand(n, generator=seeded(seed), dtype=torch.float64) / n


# ------------------------------------------------------------------ energies


@every_visible
def test_the_energy_is_the_formula(visible):
    machine = machine_of(visible)
    s, h = states_of(machine.visible), states_of(machine.hidden)
    W, a, b = machine.weight, machine.visible_bias, machine.hidden_bias
    energies, draws = energies_of(machine), 3.0 if visible == "counts" else 1.0
    for (i, v), (j, g) in product(enumerate(s), enumerate(h)):
        base = machine.visible.log_base(v[None])
        torch.testing.assert_close(energies[i, j], -(v @ a + draws * g @ b + g @ W @ v + base).reshape(()))


@every_visible
def test_free_energies_of_both_sides_are_sums_of_joint_energies(visible):
    machine = machine_of(visible)
    energies, h = energies_of(machine), states_of(machine.hidden)
    torch.testing.assert_close(machine.free_energy(states_of(machine.visible)), -torch.logsumexp(-energies, 1))
    found = machine.hidden_free_energy(h, totals_of(machine, len(h)))
    torch.testing.assert_close(found, -torch.logsumexp(-energies, 0))


@every_visible
def test_the_free_energy_over_gaussian_hidden_units_is_an_integral(visible):
    machine = machine_of(visible, "gaussian")
    h, log_volume = grid_of(2, reach=14.0, n=91)
    for s in states_of(machine.visible):
        joint = machine.energy(s.expand(len(h), -1), h)
        torch.testing.assert_close(machine.free_energy(s[None])[0], -torch.logsumexp(-joint, 0) - log_volume)


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
def test_the_free_energy_of_hidden_states_is_an_integral_over_gaussian_units(hidden):
    machine = machine_of("gaussian", hidden)
    s, log_volume = grid_of(2, reach=14.0, n=91)
    for h in states_of(machine.hidden) if hidden == "bernoulli" else torch.randn(4, 2, generator=seeded()).double():
        joint = machine.energy(s, h.expand(len(s), -1))
        torch.testing.assert_close(machine.hidden_free_energy(h[None])[0], -torch.logsumexp(-joint, 0) - log_volume)


def test_the_free_energy_of_counts_sums_over_hidden_states_at_any_length():
    machine = machine_of("counts")
    s, h = rows_of(machine), states_of(machine.hidden)
    joint = torch.stack([machine.energy(s, g.expand(len(s), -1)) for g in h])
    assert len(s.sum(1).unique()) > 2
    torch.testing.assert_close(machine.free_energy(s), -torch.logsumexp(-joint, 0))


# ------------------------------------------------------------------ layers given each other


@every_visible
def test_conditionals_are_those_of_the_joint_law(visible):
    machine = machine_of(visible)
    s, h, joint = states_of(machine.visible), states_of(machine.hidden), -energies_of(machine)
    torch.testing.assert_close(machine.hidden_mean(s), torch.softmax(joint, 1) @ h)
    found = machine.visible_mean(h, totals_of(machine, len(h)))
    torch.testing.assert_close(found, torch.softmax(joint, 0).T @ s)


@every_hidden
@every_gaussian
def test_the_slope_of_the_free_energy_is_the_field_less_the_state(visible, hidden):
    """The derivative of log p(x) in s that learning the scale takes: a + W'E[h | s] - s."""
    machine = machine_of(visible, hidden)
    s = rows_of(machine).requires_grad_()
    (slope,) = torch.autograd.grad(-machine.free_energy(s).sum(), s)
    n = 2  # gaussian columns
    expected = machine.visible_field(machine.hidden_mean(s)) - s
    torch.testing.assert_close(slope[:, :n], expected[:, :n])


def test_a_row_of_counts_has_the_hidden_bias_once_a_draw():
    machine = machine_of("counts")
    s = torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    expected = s @ machine.weight.T + torch.tensor([[3.0], [0.0]]) * machine.hidden_bias
    torch.testing.assert_close(machine.hidden_field(s), expected)


@every_hidden
def test_counts_of_one_draw_are_one_softmax_unit(hidden):
    counts, softmax = machine_of("counts", hidden), machine_of([Part("softmax", 3, (3,))], hidden)
    s = torch.eye(3, dtype=torch.float64)
    h = torch.randn((4, 2), generator=seeded()).double().abs()
    one = torch.ones(4, dtype=torch.float64)
    torch.testing.assert_close(counts.hidden_mean(s), softmax.hidden_mean(s))
    torch.testing.assert_close(counts.visible_mean(h, one), softmax.visible_mean(h))
    torch.testing.assert_close(counts.free_energy(s), softmax.free_energy(s))
    torch.testing.assert_close(counts.hidden_free_energy(h, one), softmax.hidden_free_energy(h))


def test_only_gaussian_units_are_scaled():
    x = torch.tensor([[2.0, 3.0]], dtype=torch.float64)
    machine = machine_of("gaussian")
    machine.log_scale.copy_(torch.tensor([2.0, 0.5]).log())
    torch.testing.assert_close(machine.embed(x), torch.tensor([[1.0, 6.0]], dtype=torch.float64))
    torch.testing.assert_close(machine.unembed(machine.embed(x)), x)
    torch.testing.assert_close(machine.log_density(x), -machine.free_energy(machine.embed(x)))  # log 2 + log 0.5 = 0
    x = states_of(machine_of().visible)
    assert torch.equal(machine_of().unembed(machine_of().embed(x)), x)


# ------------------------------------------------------------------ the Gibbs chain


def transitions_of(machine):
    """P(s' | s) of a Gibbs step, from the laws of the layers given each other."""
    s, h = states_of(machine.visible), states_of(machine.hidden)
    hidden = torch.softmax(machine.hidden_field(s) @ h.T + machine.hidden.log_base(h), 1)
    visible = torch.softmax(machine.visible_field(h) @ s.T + machine.visible.log_base(s), 1)
    return hidden @ visible


@every_visible
def test_a_gibbs_step_leaves_the_boltzmann_law_invariant(visible):
    machine = machine_of(visible)
    law, step = law_of(machine), transitions_of(machine)
    torch.testing.assert_close(law @ step, law)
    flow = law[:, None] * step
    torch.testing.assert_close(flow, flow.T)  # detailed balance
    torch.testing.assert_close(law, softmax_law(machine))


@every_visible
def test_sampled_steps_follow_the_transition_matrix(visible):
    machine = machine_of(visible)
    states, step = states_of(machine.visible), transitions_of(machine)
    after = machine.gibbs(states[1].expand(20_000, -1), 1, seeded())
    require_law(after, states, step[1])
    after = machine.gibbs(states[1].expand(20_000, -1), 3, seeded(1))
    require_law(after, states, torch.linalg.matrix_power(step, 3)[1])


@pytest.mark.parametrize(("visible", "hidden"), FAITHFUL)
def test_sampled_chains_keep_the_boltzmann_law(visible, hidden):
    machine = machine_of(visible, hidden)
    states, law = states_of(machine.visible), softmax_law(machine)
    start = states[drawn(law, 20_000)]
    require_law(machine.gibbs(start, 5, seeded()), states, law)
    require_law(machine.gibbs(states[:1].expand(10_000, -1), 60, seeded()), states, law)


def test_sampled_chains_of_rectified_units_keep_the_law():
    machine = machine_of("bernoulli", "relu")
    states, law = states_of(machine.visible), softmax_law(machine)
    start = states[drawn(law, 20_000)]
    require_law(machine.gibbs(start, 20, seeded()), states, law)


def test_sampled_chains_of_gaussian_units_follow_the_mixture():
    machine = machine_of("gaussian", scale=1.2)
    h = states_of(machine.hidden)
    weight = torch.softmax(-machine.hidden_free_energy(h), 0).numpy()
    center = machine.visible_field(h).numpy()
    after = machine.gibbs(torch.zeros((5000, 2), dtype=torch.float64), 150, seeded()).numpy()
    for column in range(2):

        def cdf(x, at=center[:, column]):
            return stats.norm.cdf(x[..., None] - at) @ weight

        assert stats.kstest(after[:, column], cdf).pvalue > LEVEL


def test_chains_of_counts_keep_the_totals():
    machine = machine_of("counts")
    s = rows_of(machine)
    assert torch.equal(machine.gibbs(s, 3, seeded()).sum(1), s.sum(1))


def test_no_step_is_no_step():
    machine = machine_of()
    s = states_of(machine.visible)
    assert machine.gibbs(s, 0, seeded()) is s


# ------------------------------------------------------------------ gradients


def learnable(visible, hidden):
    machine = machine_of(visible, hidden).requires_grad_(True)
    machine.visible_offset.copy_(torch.rand(machine.visible.width, generator=seeded(3)))
    machine.hidden_offset.copy_(torch.rand(2, generator=seeded(4)))
    for parameter in machine.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return machine


def accumulate(machine, data, model, centred):
    """The gradient, from rows and shares of the data and rows and shares of the model."""
    for parameter in machine.parameters():
        parameter.grad.zero_()
    s, share = torch.cat([data[0], model[0]]), torch.cat([-data[1], model[1]])
    with torch.no_grad():
        machine.accumulate(Statistics(s, machine.hidden_mean(s) * share[:, None], share), centred)


def require_gradient(machine, expected, tolerance=1e-12):
    names = ("weight", "visible_bias", "hidden_bias")
    for name, gradient in zip(names, expected, strict=True):
        torch.testing.assert_close(getattr(machine, name).grad, gradient, rtol=tolerance, atol=tolerance)


@every_hidden
@pytest.mark.parametrize("visible", [*VISIBLE, *GAUSSIAN])
def test_statistics_give_the_gradient_of_the_difference_of_free_energies(visible, hidden):
    machine = learnable(visible, hidden)
    s, s_model = rows_of(machine), rows_of(machine, 4, seed=6)
    share, share_model = shares(7), shares(4, 2)
    difference = share @ machine.free_energy(s) - share_model @ machine.free_energy(s_model)
    weights = machine.weight, machine.visible_bias, machine.hidden_bias
    expected = torch.autograd.grad(difference, weights)
    accumulate(machine, (s, share), (s_model, share_model), False)
    require_gradient(machine, expected)


@every_hidden
@pytest.mark.parametrize("visible", [*VISIBLE, *GAUSSIAN])
def test_the_centred_gradient_is_that_of_the_centred_machine(visible, hidden):
    """E = -(s - T mu)'a - T (h - lambda)'b - (h - lambda)'W (s - T mu), T draws, brought back to a, b, W."""
    machine = learnable(visible, hidden)
    mu, offset = machine.visible_offset, machine.hidden_offset
    W = machine.weight.detach().clone().requires_grad_()
    a = (machine.visible_bias + offset @ W).detach().requires_grad_()
    b = (machine.hidden_bias + W @ mu).detach().requires_grad_()

    def free_energy(s):
        total = machine.visible.total(s)
        draws = total if visible == "counts" else torch.ones(len(s), dtype=s.dtype)
        centred = s - draws[:, None] * mu
        field = draws[:, None] * b + centred @ W.T
        constant = centred @ a - field @ offset + machine.visible.log_base(s)
        return -(constant + machine.hidden.log_normaliser(field))

    s, s_model = rows_of(machine), rows_of(machine, 7, seed=6)
    share = shares(7)
    difference = share @ (free_energy(s) - free_energy(s_model))
    d_weight, d_visible, d_hidden = torch.autograd.grad(difference, (W, a, b))
    accumulate(machine, (s, share), (s_model, share), True)
    # A step by these in (W, a, b) of the centred machine moves the biases of the other by W's step too.
    require_gradient(machine, (d_weight, d_visible - offset @ d_weight, d_hidden - d_weight @ mu))


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
@every_visible
def test_centred_and_not_are_zero_at_the_same_place(visible, hidden):
    """Where data and model have the same law, whatever the offsets are."""
    machine = learnable(visible, hidden)
    s, law = states_of(machine.visible), softmax_law(machine).detach()
    for centred in (False, True):
        accumulate(machine, (s, law), (s, law), centred)
        assert all(parameter.grad.abs().max() < 1e-13 for parameter in machine.parameters())


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
@every_visible
def test_the_gradient_of_the_likelihood_is_that_of_all_states(visible, hidden, centred):
    """Statistics over the law of the model are autograd's through an enumerated log Z."""
    machine = learnable(visible, hidden)
    machine.visible_offset.mul_(float(centred))
    machine.hidden_offset.mul_(float(centred))
    s, everything = states_of(machine.visible)[:3], states_of(machine.visible)
    share = torch.full((3,), 1 / 3, dtype=torch.float64)
    weights = machine.weight, machine.visible_bias, machine.hidden_bias
    log_z = torch.logsumexp(-machine.free_energy(everything), 0)
    dW, da, db = torch.autograd.grad(share @ machine.free_energy(s) + log_z, weights)
    accumulate(machine, (s, share), (everything, softmax_law(machine).detach()), centred)
    if not centred:
        require_gradient(machine, (dW, da, db))
        return
    mu, offset = machine.visible_offset, machine.hidden_offset
    d_weight = dW - torch.outer(db, mu) - torch.outer(offset, da)
    torch.testing.assert_close(machine.weight.grad, d_weight, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(machine.visible_bias.grad, da - offset @ d_weight, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(machine.hidden_bias.grad, db - d_weight @ mu, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("centred", [False, True])
def test_gradients_are_added_to_what_is_there(centred):
    machine = learnable("gaussian", "bernoulli")
    s = rows_of(machine)
    share = torch.cat([-shares(3), shares(4, 2)])
    statistics = Statistics(s, machine.hidden_mean(s).detach() * share[:, None], share)
    with torch.no_grad():
        machine.accumulate(statistics, centred)
        once = [parameter.grad.clone() for parameter in machine.parameters()]
        machine.accumulate(statistics, centred)
    for parameter, first in zip(machine.parameters(), once, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * first)


@every_hidden
def test_the_gradient_of_the_scale_is_that_of_the_density(hidden):
    """1 - E[s (s - a - W'h)], for log Z does not depend on sigma."""
    machine = machine_of("gaussian", hidden, learnt_scale=True).requires_grad_(True)
    with torch.no_grad():
        machine.log_scale.copy_(torch.tensor([-0.4, 0.7]))
    x, share = torch.randn((7, 2), generator=seeded()).double(), shares(7)
    (expected,) = torch.autograd.grad(-(share @ machine.log_density(x)), machine.log_scale)
    machine.log_scale.grad = torch.zeros_like(machine.log_scale)
    with torch.no_grad():
        s = machine.embed(x)
        machine.accumulate_scale(s, machine.hidden_mean(s), share)
    torch.testing.assert_close(machine.log_scale.grad, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
def test_the_partition_function_does_not_depend_on_the_scale(hidden):
    """The integral of exp(log_density) over x is Z at any sigma."""
    machine = machine_of("gaussian", hidden, learnt_scale=True)
    found = []
    for scale in (torch.tensor([1.0, 1.0]), torch.tensor([0.5, 2.0])):
        machine.log_scale.copy_(scale.log())
        x, log_volume = grid_of(2, reach=24.0, n=321)
        found.append(torch.logsumexp(machine.log_density(x), 0) + log_volume)
    torch.testing.assert_close(*found)


# ------------------------------------------------------------------ offsets, limits, the start


def test_offsets_follow_the_weighted_means():
    machine = machine_of()
    s, share = rows_of(machine), shares(7)
    h = machine.hidden_mean(s)
    mu, offset = machine.visible_offset.clone(), machine.hidden_offset.clone()
    machine.follow(s, h, share, 0.25)
    weight = share / share.sum()
    torch.testing.assert_close(machine.visible_offset, 0.75 * mu + 0.25 * weight @ s)
    torch.testing.assert_close(machine.hidden_offset, 0.75 * offset + 0.25 * weight @ h)
    machine.follow(s, h, torch.full((len(s),), 0.5, dtype=s.dtype), 1.0)
    torch.testing.assert_close(machine.visible_offset, s.mean(0))
    torch.testing.assert_close(machine.hidden_offset, h.mean(0))


def test_the_offset_of_counts_is_a_law_over_the_columns():
    machine = machine_of("counts")
    s = rows_of(machine)
    machine.follow(s, machine.hidden_mean(s), shares(7), 1.0)
    torch.testing.assert_close(machine.visible_offset, shares(7) @ s / (shares(7) @ s).sum())


def test_offsets_of_no_weight_stay_finite():
    machine = machine_of()
    s = rows_of(machine)
    machine.follow(s, machine.hidden_mean(s), torch.zeros(7, dtype=torch.float64), 0.5)
    assert machine.visible_offset.isfinite().all()
    assert machine.hidden_offset.isfinite().all()


@pytest.mark.parametrize("hidden", ["gaussian", "relu"])
def test_restraint_brings_the_norm_below_its_limit(hidden):
    machine = machine_of("gaussian", hidden, n_components=3)
    machine.weight.mul_(20.0)
    for _ in range(60):
        machine.restrain(0.1)
    assert float(torch.linalg.norm(machine.weight, 2)) <= MOST_NORM + 1e-9
    assert float(torch.linalg.norm(machine.weight, 2)) > MOST_NORM - 1e-6


@pytest.mark.parametrize("hidden", ["gaussian", "relu"])
def test_restraint_counts_each_column_by_its_spread(hidden):
    """The limit is that of the singular values of W diag(spread)."""
    machine = machine_of("counts", hidden, scale=3.0)
    machine.spread.copy_(torch.tensor([0.2, 1.5, 0.7]))
    before = machine.weight.clone()
    for _ in range(300):
        machine.restrain(0.1)
    assert float(torch.linalg.norm(machine.weight * machine.spread, 2)) == pytest.approx(MOST_NORM, abs=1e-6)
    torch.testing.assert_close(machine.weight / machine.weight.norm(), before / before.norm())


@pytest.mark.parametrize(("visible", "hidden"), [("gaussian", "gaussian"), ("gaussian", "bernoulli")])
def test_restraint_leaves_what_is_integrable_alone(visible, hidden):
    machine = machine_of(visible, hidden)
    if hidden == "bernoulli":
        machine.weight.mul_(20.0)
    before = machine.weight.clone()
    machine.restrain(0.1)
    assert torch.equal(machine.weight, before)


def test_no_weights_can_be_restrained():
    machine = machine_of("gaussian", "relu")
    machine.weight.zero_()
    machine.restrain(0.1)
    assert not machine.weight.any()
    machine.weight.fill_(0.3)
    machine.restrain(0.1)
    assert machine.direction.isfinite().all()


def test_a_learnt_scale_has_a_least_value():
    machine = machine_of("gaussian", learnt_scale=True)
    machine.log_scale.copy_(torch.tensor([-9.0, 2.0]))
    machine.restrain(0.05)
    torch.testing.assert_close(machine.log_scale.exp(), torch.tensor([0.05, np.exp(2.0)], dtype=torch.float64))


@pytest.mark.parametrize("visible", ["bernoulli", "softmax", "counts", "gaussian"])
def test_a_new_machine_has_the_means_of_the_data(visible):
    machine = machine_of(visible)
    mean = {"softmax": [0.3, 0.7, 0.2, 0.3, 0.5], "gaussian": [0.6, -1.2]}.get(visible, [0.2, 0.3, 0.5])
    mean = torch.tensor(mean, dtype=torch.float64)
    mean = mean * 4 if visible == "counts" else mean
    machine.initialise(mean, torch.full_like(mean, 2.0), 1e-6, seeded())
    total = None if visible != "counts" else torch.full((1,), 4.0, dtype=torch.float64)
    found = machine.unembed(machine.visible_mean(torch.zeros((1, 2), dtype=torch.float64), total))[0]
    torch.testing.assert_close(found, mean)
    assert torch.equal(machine.base, machine.visible_bias)
    torch.testing.assert_close(machine.visible_offset, machine.embed(mean) / (4.0 if visible == "counts" else 1.0))
    assert torch.equal(machine.hidden_offset, torch.full((2,), 0.5, dtype=torch.float64))
    assert not machine.hidden_bias.any()
    assert torch.allclose(machine.log_scale, torch.full_like(machine.log_scale, 2.0).log())


def test_initial_weights_have_the_scale_asked_for():
    machine = Harmonium(visible=[Part("bernoulli", 40)], hidden=[Part("bernoulli", 50)])
    machine.initialise(torch.full((40,), 0.5), torch.ones(40), 0.03, seeded())
    assert abs(float(machine.weight.detach().std()) - 0.03) < 0.002


def test_the_divergence_that_keeps_codes_sparse_is_autograd_s():
    r = torch.tensor([0.02, 0.1, 0.7], dtype=torch.float64, requires_grad=True)
    value, slope = bernoulli_divergence(0.1, r)
    (expected,) = torch.autograd.grad(value.sum(), r)
    torch.testing.assert_close(slope.detach(), expected)
