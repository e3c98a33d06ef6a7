"""Deep Boltzmann machines as harmoniums of two sides, against plain sums over the states of all layers."""

import math

import pytest
import torch
from energy.machines import drawn, machine_of, require_law, seeded
from energy.plain_deep import (
    TOTAL,
    PlainDeep,
    all_states,
    block_of,
    columns,
    cut,
    is_visible,
    packed,
    plan_of,
    unpacked,
)

from skae.energy.annealing import Anneal, annealed_importance, reverse_annealed_importance
from skae.energy.deep import Deep
from skae.energy.harmonium import Statistics
from skae.energy.layers import Part, layer_of
from skae.energy.partition import exact_log_partition

BITS, WORDS = Part("bernoulli", 3), Part("counts", 3)
GROUPS, REALS = Part("softmax", 5, (2, 3)), Part("gaussian", 2, scaled=True)
ROWS = {"bits": [BITS], "groups": [GROUPS], "words": [WORDS], "reals": [REALS]}
PAIRS = {"bits words": [Part("bernoulli", 2), Part("counts", 2)], "reals groups": [REALS, Part("softmax", 2, (2,))]}
PLANS = {
    f"{rows} {depth}{' labelled' * bool(label)}": plan_of(parts, (depth,), label)
    for rows, parts in ROWS.items()
    for depth in (0, 1, 2)
    for label in (0, 3)
} | {
    f"{rows} {depths}{' labelled' * bool(label)}": plan_of(parts, depths, label, width=1 if max(depths) > 1 else 2)
    for rows, parts in PAIRS.items()
    for depths in ((0, 0), (1, 1), (2, 0), (1, 3))
    for label in (0, 2)
}
"""By the kinds of the rows and the number of layers between them and the top."""
SHALLOW = [name for name in PLANS if " 0" in name.replace("(0, 0)", "0").replace(", ", "")]
"""Those with one hidden layer."""
every_plan = pytest.mark.parametrize("name", PLANS)
some_plans = pytest.mark.parametrize(
    "name",
    [
        "bits 0 labelled",
        "groups 1",
        "bits 2",
        "words 1 labelled",
        "words 2 labelled",
        "reals 1 labelled",
        "bits words (2, 0) labelled",
        "reals groups (1, 1)",
        "reals groups (1, 3) labelled",
    ],
)


def deep(name, seed=0, scale=0.7, **options):
    """A machine in float64 with all of its parameters at work, and the same written plainly."""
    plan = PLANS[name]
    options |= {"n_labels": plan.parts[-1].width if plan.is_labelled else 0}
    machine = Deep(layers=plan.parts, edges=plan.edges, n_seen=plan.n_seen, **options).double()
    rng = seeded(seed)
    with torch.no_grad():
        for tensor in (machine.weight, machine.visible_bias, machine.hidden_bias, machine.base):
            tensor.copy_(torch.randn(tensor.shape, generator=rng, dtype=torch.float64) * scale)
        for tensor in (machine.visible_offset, machine.hidden_offset):
            tensor.copy_(torch.rand(tensor.shape, generator=rng, dtype=torch.float64))
        cut(machine, machine.weight)
        for k in range(plan.n_seen):
            if plan.parts[k].kind == "counts":  # their offset is a mean row, or a mean draw if there is nothing else
                offset = machine.visible_offset[columns(plan)[k]]
                offset *= (1 if machine.is_replicated else TOTAL) / offset.sum()
    machine.requires_grad_(False)
    return machine, PlainDeep.of(plan, machine)


def some_states(plan, n, seed=3):
    """States of all layers, drawn at random."""
    rng, total = seeded(seed), torch.full((n,), float(TOTAL), dtype=torch.float64)
    fields = [torch.randn((n, part.width), generator=rng, dtype=torch.float64) for part in plan.parts]
    return [layer_of([part]).sample(field, rng, total) for part, field in zip(plan.parts, fields, strict=True)]


def some_rows(plan, n, seed=3):
    """Rows, and their labels or None."""
    states = some_states(plan, n, seed)
    return torch.cat(states[: plan.n_seen], 1), states[-1] if plan.is_labelled else None


def some_unknown(plan, seed=3):
    """Six rows: two known, two with single unknown entries, one that lacks a modality, one of which nothing is known.

    The labels of the rows at odd places are unknown.
    """
    x, y = some_rows(plan, 6, seed)
    x[2, 0] = x[3, -1] = x[3, 1] = x[5] = math.nan
    x[4, : plan.parts[0].width] = math.nan
    if y is not None:
        y[1::2] = 0.0
    return x, y


def known_of(machine, x, y=None):
    """What is known of rows, those of counts with three draws."""
    total = torch.full((len(x),), float(TOTAL), dtype=x.dtype) if machine.visible.has_draws else None
    return machine.known_in_part(x, total, y)


def each_known(plain, x, y):
    return [plain.known(x[i], None if y is None else y[i]) for i in range(len(x))]


# ------------------------------------------------------------------ layers and energies


@every_plan
def test_layers_have_their_places_on_the_two_sides(name):
    (machine, _), plan = deep(name), PLANS[name]
    places = list(zip(is_visible(plan), columns(plan), strict=True))
    assert [machine.place(k) for k in range(len(plan.parts))] == places
    assert machine.width == sum(part.width for part in plan.parts[: plan.n_seen])
    joined = torch.zeros_like(machine.weight, dtype=torch.bool)
    for pair in plan.edges:
        joined[block_of(plan, pair)] = True
    assert torch.equal(machine.weight != 0, joined)


@every_plan
def test_the_energy_is_the_sum_over_layers(name):
    machine, plain = deep(name)
    states = some_states(PLANS[name], 50)
    torch.testing.assert_close(machine.energy(*packed(PLANS[name], states)), -plain.minus_energy(states))


@every_plan
def test_log_z_is_the_sum_over_all_states(name):
    machine, plain = deep(name)
    assert math.isclose(exact_log_partition(machine, TOTAL), float(plain.log_partition()), rel_tol=1e-11)


@some_plans
def test_annealing_finds_log_z_both_ways(name):
    machine, plain = deep(name, scale=0.5)
    states, scores = plain.table(plain.nothing())
    number = drawn(torch.softmax(scores, 0), 1000)
    s, h = packed(PLANS[name], [x[number] for x in states])
    s = machine.sample_visible(h, seeded(1), torch.full((1000,), float(TOTAL), dtype=torch.float64))
    path, betas, truth = Anneal(machine, float(TOTAL)), torch.linspace(0, 1, 50).double(), float(plain.log_partition())
    if not machine.visible.has_draws:
        path = Anneal(machine)
    lower = annealed_importance(path, betas, 1000, seeded(2))
    upper = reverse_annealed_importance(path, betas, s, seeded(3))
    for found in (lower, upper):
        assert abs(found.value - truth) < 4 * found.error < 0.3


@some_plans
def test_layers_above_the_rows_start_at_field_zero(name):
    (machine, _), plan = deep(name), PLANS[name]
    mean = some_rows(plan, 50)[0].mean(0)
    machine.initialise(mean, torch.ones_like(mean), 0.3, seeded())
    offsets = unpacked(plan, machine.visible_offset, machine.hidden_offset)
    biases = unpacked(plan, machine.visible_bias, machine.hidden_bias)
    torch.testing.assert_close(torch.cat(offsets[: plan.n_seen]), mean)
    for k in range(plan.n_seen, len(plan.parts)):
        part = plan.parts[k]
        torch.testing.assert_close(offsets[k], torch.full((part.width,), 1 / (part.sizes or (2,))[0]).double())
        torch.testing.assert_close(torch.softmax(biases[k], 0), torch.full((part.width,), 1 / part.width).double())


# ------------------------------------------------------------------ what is known


@every_plan
def test_what_is_known_stands_on_both_sides(name):
    (machine, plain), plan = deep(name), PLANS[name]
    x, y = some_unknown(plan)
    known = known_of(machine, x, y)
    expected = [packed(plan, row) for row in each_known(plain, x, y)]
    s, h = (torch.stack(side) for side in zip(*expected, strict=True))
    mask = known.mask.expand_as(known.s)
    assert torch.equal(mask, ~s.isnan())
    assert torch.equal(known.s[mask], s[mask])
    assert known.s.isfinite().all()
    if known.h is None:
        assert h.isnan().all()
    else:
        mask = known.h_mask.expand_as(known.h)
        assert torch.equal(mask, ~h.isnan())
        assert torch.equal(known.h[mask], h[mask])
    if machine.visible.has_draws:
        assert torch.equal(known.total, torch.full((6,), float(TOTAL), dtype=torch.float64))


def test_known_reals_are_divided_by_their_deviation():
    machine, _ = deep("reals groups (1, 1)", learnt_scale=True)
    machine.log_scale[:2] = torch.tensor([2.0, 0.5]).log()
    x = torch.tensor([[4.0, 3.0, 0, 1], [math.nan, 3.0, 0, 1]], dtype=torch.float64)
    known = machine.known_in_part(x)
    torch.testing.assert_close(known.s[0, :4], torch.tensor([2.0, 6, 0, 1], dtype=torch.float64))
    torch.testing.assert_close(known.s[1, 1:4], torch.tensor([6.0, 0, 1], dtype=torch.float64))


# ------------------------------------------------------------------ chains


def law_of_visible(plan, plain, known):
    """States of the discrete layers of the visible side that agree with what is known, and their probabilities."""
    states, scores = plain.table(known)
    sides = is_visible(plan)
    discrete = [k for k, part in enumerate(plan.parts) if sides[k] and part.kind != "gaussian"]
    if not discrete:
        return None
    s, place = torch.unique(torch.cat([states[k] for k in discrete], 1), dim=0, return_inverse=True)
    law = torch.zeros(len(s), dtype=torch.float64).index_add_(0, place, torch.softmax(scores, 0))
    return s, law


def require_conditional_law(plan, plain, sample, known):
    """Test chains of visible states against the law that enumeration gives to the unknown units."""
    layers = {k: sample[:, columns(plan)[k]] for k, visible in enumerate(is_visible(plan)) if visible}
    for k, x in layers.items():
        part, clamped = plan.parts[k], ~known[k].isnan()
        assert torch.equal(x[:, clamped], known[k][clamped].expand(len(sample), -1))
        if part.kind == "gaussian" and not clamped.all():
            found, mean = x[:, ~clamped], plain.expectations(known)[k][~clamped]
            assert ((found.mean(0) - mean).abs() < 5 * found.std(0) / len(found) ** 0.5).all()
    expected = law_of_visible(plan, plain, known)
    if expected is not None and len(expected[0]) > 1:
        discrete = [x for k, x in layers.items() if plan.parts[k].kind != "gaussian"]
        require_law(torch.cat(discrete, 1), *expected)


@some_plans
def test_chains_reach_the_posterior_of_what_is_unknown(name):
    """Rows that differ in what is known of them run side by side."""
    (machine, plain), plan, n = deep(name, scale=0.5), PLANS[name], 2000
    x, y = some_unknown(plan)
    known = known_of(machine, x.repeat_interleave(n, 0), None if y is None else y.repeat_interleave(n, 0))
    after = machine.gibbs(known.s, 30, seeded(1), known).split(n)
    for sample, row in zip(after, each_known(plain, x, y), strict=True):
        require_conditional_law(plan, plain, sample, row)


@some_plans
def test_one_step_keeps_the_posterior(name):
    (machine, plain), plan, n = deep(name, seed=1, scale=1.0), PLANS[name], 4000
    x, y = some_unknown(plan)
    rows = each_known(plain, x, y)
    starts = []
    for i, row in enumerate(rows):
        states, scores = plain.table(row)
        number = drawn(torch.softmax(scores, 0), n, seed=i)
        layers = [states[k][number] for k in range(len(plan.parts))]
        noise = torch.randn((n, plan.parts[0].width), generator=seeded(9 + i), dtype=torch.float64)
        if plan.parts[0].kind == "gaussian":
            layers[0] = torch.where(row[0].isnan(), layers[0] + noise, layers[0])
        starts.append(packed(plan, layers)[0])
    known = known_of(machine, x.repeat_interleave(n, 0), None if y is None else y.repeat_interleave(n, 0))
    after = machine.gibbs(torch.cat(starts), 1, seeded(2), known).split(n)
    for sample, row in zip(after, rows, strict=True):
        require_conditional_law(plan, plain, sample, row)


@pytest.mark.parametrize("name", [name for name in PLANS if "reals" not in name and "3" not in name])
def test_a_gibbs_step_leaves_the_boltzmann_law_invariant(name):
    """The matrix P(s' | s), from the fields of the machine, with and without a known first modality."""
    (machine, plain), plan = deep(name), PLANS[name]
    forgotten = plain.nothing()
    given = [some_states(plan, 1)[0][0], *forgotten[1:]]
    for known in (forgotten, given):
        layers, scores = plain.table(known)
        pairs = packed(plan, layers)
        (s, place), (h, _) = (torch.unique(side, dim=0, return_inverse=True) for side in pairs)
        law = torch.zeros(len(s), dtype=torch.float64).index_add_(0, place, torch.softmax(scores, 0))
        up = torch.softmax(machine.hidden_field(s) @ h.T + machine.hidden.log_base(h), 1)
        down = torch.softmax(machine.visible_field(h) @ s.T + machine.visible.log_base(s), 1)
        torch.testing.assert_close(law @ (up @ down), law)


# ------------------------------------------------------------------ mean field


def start_of(plan, machine, plain, known):
    """Means at which mean field starts: known states, and offsets of unknown units of the visible side."""
    offsets = unpacked(plan, machine.visible_offset, machine.hidden_offset)
    if plain.is_replicated:  # there the offset is that of one draw
        offsets[0] = offsets[0] * TOTAL
    return [torch.where(x.isnan(), offset, x) for x, offset in zip(known, offsets, strict=True)]


@every_plan
def test_sweeps_are_those_of_the_layerwise_equations(name):
    (machine, plain), plan = deep(name), PLANS[name]
    x, y = some_unknown(plan)
    known = known_of(machine, x, y)
    found = {n: machine.mean_field(known, n) for n in (1, 2, 4)}
    for i, row in enumerate(each_known(plain, x, y)):
        means = start_of(plan, machine, plain, row)
        for n in range(1, 5):
            means = plain.sweep(means, row)
            if n in found:
                torch.testing.assert_close(found[n][i], packed(plan, means)[0])


@every_plan
def test_rows_that_are_known_as_a_whole_may_be_given_so(name):
    """By ``known``, which leaves the known columns out of the sums, and by ``known_in_part``."""
    machine, _ = deep(name)
    x, y = some_rows(PLANS[name], 6)
    if y is not None:
        y[1::2] = 0.0
    whole, part = machine.known(x, y), known_of(machine, x, y)
    for use in (
        lambda known: machine.mean_field(known, 3),
        machine.settled,
        lambda known: machine.hidden_given(machine.mean_field(known, 1), known),
        lambda known: machine.bound(known, machine.mean_field(known, 1)),
    ):
        torch.testing.assert_close(use(whole), use(part))
    torch.testing.assert_close(machine.filled(whole, 3).s, machine.mean_field(part, 3))
    assert torch.equal(machine.filled(whole, 3).s[:, : machine.width], machine.embed(x))


@every_plan
def test_the_hidden_side_has_its_expectations_and_what_is_known(name):
    (machine, plain), plan = deep(name), PLANS[name]
    x, y = some_unknown(plan)
    known = known_of(machine, x, y)
    s = machine.mean_field(known, 1)
    h = machine.hidden_given(s, known)
    for i, row in enumerate(each_known(plain, x, y)):
        layers = unpacked(plan, s[i], torch.zeros_like(h[i]))
        torch.testing.assert_close(h[i], packed(plan, plain.sweep(layers, row))[1])


@every_plan
def test_settled_states_are_a_fixed_point(name):
    (machine, plain), plan = deep(name, scale=0.5), PLANS[name]
    x, y = some_unknown(plan)
    known = known_of(machine, x, y)
    s = machine.settled(known)
    h = machine.hidden_given(s, known)
    for i, row in enumerate(each_known(plain, x, y)):
        again = plain.sweep(unpacked(plan, s[i], h[i]), row)
        torch.testing.assert_close(packed(plan, again)[0], s[i], rtol=0, atol=1e-5)


@some_plans
def test_settled_states_of_a_row_do_not_depend_on_other_rows(name):
    (machine, _), plan = deep(name, scale=1.0), PLANS[name]
    x, y = some_unknown(plan)
    together = machine.settled(known_of(machine, x, y))
    for i in range(len(x)):
        alone = machine.settled(known_of(machine, x[i : i + 1], None if y is None else y[i : i + 1]))
        torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-12)


@some_plans
def test_states_above_the_rows_are_drawn_with_the_means_of_mean_field(name):
    (machine, _), plan, n = deep(name), PLANS[name], 2000
    s = machine.settled(known_of(machine, some_rows(plan, 1)[0]))
    drawn = machine.sample_above(s.expand(n, -1), seeded())
    above = drawn[:, machine.width :]
    assert torch.equal(drawn[:, : machine.width], s[:, : machine.width].expand(n, -1))
    assert ((above == 0) | (above == 1)).all()
    torch.testing.assert_close(above.mean(0), s[0, machine.width :], rtol=0, atol=5 * 0.5 / n**0.5)


# ------------------------------------------------------------------ the bound


@every_plan
def test_the_bound_is_that_of_the_factorial_law(name):
    """E_q[-E] + H(q), summed over all states of the unknown units; q of the hidden side is the best given s."""
    (machine, plain), plan = deep(name), PLANS[name]
    x, y = some_unknown(plan)
    known = known_of(machine, x, y)
    s = machine.mean_field(known, 2)
    h, found = machine.hidden_given(s, known), machine.bound(known, s)
    for i, row in enumerate(each_known(plain, x, y)):
        torch.testing.assert_close(found[i], plain.elbo(unpacked(plan, s[i], h[i]), row))


@every_plan
def test_the_bound_is_below_the_sum_and_rises_with_each_sweep(name):
    (machine, plain), plan = deep(name, scale=1.0), PLANS[name]
    x, y = some_unknown(plan)
    known = known_of(machine, x, y)
    bounds = torch.stack([machine.bound(known, machine.mean_field(known, n)) for n in (1, 2, 3, 5, 20)])
    assert (bounds.diff(dim=0) > -1e-12).all()
    exact = torch.stack([plain.log_sum(row) for row in each_known(plain, x, y)])
    assert (bounds[-1] <= exact + 1e-12).all()
    if any(len(plain.table(row)[1]) > 8 for row in each_known(plain, x, y)):
        assert (bounds[-1] < exact - 1e-4).any()


@pytest.mark.parametrize("name", ["reals 1 labelled", "reals groups (1, 1)", "bits 1"])
def test_densities_of_what_is_known_are_on_the_scale_of_x(name):
    (machine, plain), plan = deep(name, scale=0.5, learnt_scale="reals" in name), PLANS[name]
    if "reals" in name:
        machine.log_scale[:2] = torch.tensor([0.7, -0.4])
    x, y = some_unknown(plan)
    known = known_of(machine, x, y)
    bounds = machine.bound(known, machine.settled(known))
    volumes = (~x[:, :2].isnan()).double() @ machine.log_scale[:2] if "reals" in name else 0.0
    torch.testing.assert_close(machine.log_density_in_part(known), bounds - volumes)
    whole = some_rows(plan, 6)[0]
    total = machine.log_density(whole) if not plan.is_labelled else machine.label_scores(whole).logsumexp(1)
    s = machine.embed(whole)
    exact = torch.stack([plain.log_sum(plain.known(row)) for row in s]) - machine.log_scale.sum()
    assert (total <= exact + 1e-12).all()
    torch.testing.assert_close(total, exact, rtol=0, atol=0.2)


@pytest.mark.parametrize("name", SHALLOW)
def test_the_bound_of_known_rows_is_exact_with_one_hidden_layer(name):
    (machine, plain), plan = deep(name), PLANS[name]
    x, y = some_rows(plan, 4)
    known = known_of(machine, x, y)
    exact = torch.stack([plain.log_sum(row) for row in each_known(plain, x, y)])
    torch.testing.assert_close(machine.bound(known, machine.settled(known)), exact)


@pytest.mark.parametrize("name", sorted(set(PLANS) - set(SHALLOW)))
def test_the_bound_is_exact_if_layers_above_the_first_are_not_joined(name):
    (machine, _), plan = deep(name), PLANS[name]
    for pair in plan.edges:
        if min(pair) >= plan.n_seen:
            (even,), (odd,) = (
                [columns(plan)[k] for k in pair if is_visible(plan)[k] == side] for side in (True, False)
            )
            machine.weight[odd, even] = 0.0
    plain = PlainDeep.of(plan, machine)
    x, y = some_rows(plan, 4)
    known = known_of(machine, x, y)
    exact = torch.stack([plain.log_sum(row) for row in each_known(plain, x, y)])
    torch.testing.assert_close(machine.bound(known, machine.settled(known)), exact)


# ------------------------------------------------------------------ learning


@pytest.mark.parametrize("centred", [False, True])
@every_plan
def test_the_gradient_is_that_of_the_enumerated_likelihood(name, centred):
    """Posterior and model are enumerated; then the gradient is exact, of each layer's weights and biases."""
    (machine, plain), plan = deep(name), PLANS[name]
    for parameter in machine.requires_grad_(True).parameters():
        parameter.grad = torch.zeros_like(parameter)
    x, y = some_unknown(plan)
    rows, share = each_known(plain, x, y), torch.rand(len(x), generator=seeded(5), dtype=torch.float64) / len(x)
    pieces = [(-share[i], *plain.table(row)) for i, row in enumerate(rows)]
    pieces.append((share.sum(), *plain.table(plain.nothing())))
    sides = [torch.cat(side) for side in zip(*(packed(plan, states) for _, states, _ in pieces), strict=True)]
    weight = torch.cat([factor * torch.softmax(scores, 0) for factor, _, scores in pieces])
    with torch.no_grad():
        machine.accumulate(Statistics(sides[0], sides[1] * weight[:, None], weight), centred)

    offsets = unpacked(plan, machine.visible_offset, machine.hidden_offset)
    d_biases, d_weights = _gradients(plain, rows, share, offsets if centred else [0.0 * o for o in offsets])
    found = unpacked(plan, machine.visible_bias.grad, machine.hidden_bias.grad)
    for k, expected in enumerate(d_biases):
        torch.testing.assert_close(found[k], expected, rtol=1e-9, atol=1e-11)
    rest = machine.weight.grad.clone()
    for (lower, upper), expected in d_weights.items():
        block = block_of(plan, (lower, upper))
        expected = expected if is_visible(plan)[lower] else expected.T
        torch.testing.assert_close(rest[block], expected, rtol=1e-9, atol=1e-11)
        rest[block] = 0.0
    assert not rest.any()


def _gradients(plain, rows, share, offsets):
    """Of minus the log-likelihood in the parameters of the centred machine, brought to those of the plain one.

    The centred machine has the weights W and, for each layer, the bias b + sum over neighbours of W times the offset.
    """
    weights = {pair: weight.clone().requires_grad_() for pair, weight in plain.weights.items()}

    def pull(k, weights):
        return sum(
            weight @ offsets[lower] if upper == k else offsets[upper] @ weight
            for (lower, upper), weight in weights.items()
            if k in (lower, upper)
        )

    centred = [(bias + pull(k, plain.weights)).requires_grad_() for k, bias in enumerate(plain.biases)]
    moved = PlainDeep(plain.plan, [b - pull(k, weights) for k, b in enumerate(centred)], weights)
    loss = share.sum() * moved.log_partition() - sum(c * moved.log_sum(row) for c, row in zip(share, rows, strict=True))
    found = torch.autograd.grad(loss, [*centred, *weights.values()])
    d_weights = dict(zip(weights, found[len(centred) :], strict=True))
    return [d - pull(k, d_weights) for k, d in enumerate(found[: len(centred)])], d_weights


# ------------------------------------------------------------------ doubled layers

DOUBLED = {
    "bits": Part("bernoulli", 2),
    "groups": Part("softmax", 4, (2, 2)),
    "words": Part("counts", 3),
    "reals": Part("gaussian", 2),
}


def doubled_and_tied(kind, side):
    """A harmonium with a doubled layer on a side, and one in which that layer stands twice, with the same weights."""
    part, other = DOUBLED[kind], Part("bernoulli", 2)
    single = machine_of([part], [other], seed=2) if side == "visible" else machine_of([other], [part], seed=2)
    layers = {"visible": [other], "hidden": [other]}
    doubled = machine_of(**(layers | {side: [part._replace(copies=2)]}))
    tied = machine_of(**(layers | {side: [part, part]}))
    for machine, times in ((doubled, 1), (tied, 2)):
        for name in ("visible_bias", "hidden_bias"):
            value = getattr(single, name)
            getattr(machine, name).copy_(value.repeat(times) if name.startswith(side) else value)
        machine.weight.copy_(single.weight.repeat((1, times) if side == "visible" else (times, 1)))
    return doubled, tied


@pytest.mark.parametrize("copies", [2, 3])
@pytest.mark.parametrize("kind", DOUBLED)
def test_copies_are_so_many_layers_with_the_same_field(kind, copies):
    part = DOUBLED[kind]
    one, many = layer_of([part]), layer_of([part._replace(copies=copies)])
    field = torch.randn((5, part.width), generator=seeded(), dtype=torch.float64)
    total = torch.full((5,), float(TOTAL), dtype=torch.float64)
    assert many.width == part.width
    torch.testing.assert_close(many.mean(field, total), copies * one.mean(field, total))
    torch.testing.assert_close(many.log_normaliser(field, total), copies * one.log_normaliser(field, total))
    steady = copies * one.steady_mean(field)
    torch.testing.assert_close(many.steady_mean(field), steady)


@pytest.mark.parametrize("kind", DOUBLED)
def test_samples_of_copies_are_sums_of_samples(kind):
    part, n = DOUBLED[kind], 20_000
    one, many = layer_of([part]), layer_of([part._replace(copies=2)])
    field = torch.randn(part.width, generator=seeded(), dtype=torch.float64)
    total = torch.full((n,), float(TOTAL), dtype=torch.float64)
    found = many.sample(field.expand(n, -1), seeded(1), total)
    if kind == "reals":
        assert ((found.mean(0) - 2 * field).abs() < 5 * (2 / n) ** 0.5).all()
        torch.testing.assert_close(found.T.cov(), 2 * torch.eye(2, dtype=torch.float64), atol=0.1, rtol=0)
        return
    states = all_states(part)
    law = torch.softmax(states @ field + one.log_base(states), 0)
    sums = (states[:, None] + states).flatten(0, 1)
    s, place = torch.unique(sums, dim=0, return_inverse=True)
    expected = torch.zeros(len(s), dtype=torch.float64).index_add_(0, place, torch.outer(law, law).flatten())
    require_law(found, s, expected)


@pytest.mark.parametrize("kind", ["bits", "groups", "reals"])
def test_a_harmonium_with_a_doubled_visible_layer_is_one_with_tied_copies(kind):
    doubled, tied = doubled_and_tied(kind, "visible")
    h = all_states(Part("bernoulli", 2))
    torch.testing.assert_close(doubled.visible_mean(h), _added(tied.visible_mean(h)))
    torch.testing.assert_close(doubled.hidden_free_energy(h), tied.hidden_free_energy(h))


def test_doubled_counts_are_counts_of_twice_as_many_draws():
    (part, other), h = (DOUBLED["words"], Part("bernoulli", 2)), all_states(Part("bernoulli", 2))
    doubled, longer = machine_of([part._replace(copies=2)], [other]), machine_of([part], [other])
    longer.hidden_bias.copy_(doubled.hidden_bias / (2 * TOTAL))  # these count once a draw, and those of layers do not
    total = torch.full((4,), float(TOTAL), dtype=torch.float64)
    torch.testing.assert_close(doubled.visible_mean(h, total), longer.visible_mean(h, 2 * total))
    torch.testing.assert_close(doubled.hidden_free_energy(h, total), longer.hidden_free_energy(h, 2 * total))
    s = 2 * all_states(part)
    torch.testing.assert_close(doubled.total(s), torch.full((len(s),), float(TOTAL), dtype=torch.float64))
    torch.testing.assert_close(doubled.hidden_mean(s), longer.hidden_mean(s))


def _added(pairs):
    return sum(pairs.chunk(2, 1))


@pytest.mark.parametrize("kind", ["bits", "groups", "reals"])
def test_a_harmonium_with_a_doubled_hidden_layer_is_one_with_tied_copies(kind):
    doubled, tied = doubled_and_tied(kind, "hidden")
    s = all_states(Part("bernoulli", 2))
    torch.testing.assert_close(doubled.free_energy(s), tied.free_energy(s))
    torch.testing.assert_close(doubled.hidden_mean(s), _added(tied.hidden_mean(s)))
    law = torch.softmax(-tied.free_energy(s), 0)
    require_law(doubled.gibbs(s[drawn(law, 10_000)], 5, seeded()), s, law)


@pytest.mark.parametrize("kind", ["bits", "groups"])
def test_chains_of_a_doubled_visible_layer_have_the_law_of_the_sums(kind):
    doubled, tied = doubled_and_tied(kind, "visible")
    pairs = all_states(DOUBLED[kind])
    pairs = torch.cat([pairs.repeat_interleave(len(pairs), 0), pairs.repeat(len(pairs), 1)], 1)
    s, place = torch.unique(_added(pairs), dim=0, return_inverse=True)
    law = torch.zeros(len(s), dtype=torch.float64)
    law.index_add_(0, place, torch.softmax(-tied.free_energy(pairs), 0))
    require_law(doubled.gibbs(s[drawn(law, 10_000)], 5, seeded()), s, law)
