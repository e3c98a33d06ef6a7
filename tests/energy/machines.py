"""Tiny harmoniums of every kind, and oracles that go through all of their states."""

from itertools import product

import numpy as np
import torch
from scipy import stats

from skae.energy.harmonium import Harmonium
from skae.energy.layers import Part

TOTAL = 3
"""Draws of a row of counts."""

VISIBLE = {
    "bernoulli": [Part("bernoulli", 3)],
    "softmax": [Part("softmax", 5, (2, 3))],
    "labelled": [Part("bernoulli", 2), Part("softmax", 3, (3,))],
    "counts": [Part("counts", 3)],
    "modalities": [Part("bernoulli", 2), Part("counts", 2)],
}
"""Visible layers whose states can be enumerated."""
GAUSSIAN = {
    "gaussian": [Part("gaussian", 2, scaled=True)],
    "gaussian labelled": [Part("gaussian", 2, scaled=True), Part("softmax", 2, (2,))],
}
HIDDEN = ("bernoulli", "gaussian", "relu")
FAITHFUL = [*((visible, "bernoulli") for visible in VISIBLE), ("bernoulli", "gaussian"), ("modalities", "gaussian")]
"""Pairs of layers whose samples have the law of the energy to the last digit: all visible ones, and all hidden ones."""
LEVEL = 1e-6
"""A sample is rejected at this level; seeds are fixed, so that what passes once passes always."""


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def machine_of(visible="bernoulli", hidden="bernoulli", n_components=2, seed=0, scale=0.7, **options):
    """A harmonium in float64 with all of its parameters at work.

    Layers are given by their names, or by their parts.
    """
    visible = {**VISIBLE, **GAUSSIAN}[visible] if isinstance(visible, str) else visible
    hidden = [Part(hidden, n_components)] if isinstance(hidden, str) else hidden
    machine = Harmonium(visible=visible, hidden=hidden, **options).double()
    rng = seeded(seed)
    with torch.no_grad():
        for tensor in (machine.weight, machine.visible_bias, machine.hidden_bias, machine.base):
            tensor.copy_(torch.randn(tensor.shape, generator=rng, dtype=torch.float64) * scale)
        field = torch.randn(machine.hidden_bias.shape, generator=rng, dtype=torch.float64) * scale
        machine.hidden_offset.copy_(machine.hidden.mean(field[None])[0])
        if machine.scaled and machine.hidden.n_states == np.inf:
            machine.weight.mul_(0.6 / torch.linalg.norm(machine.weight, 2))
    return machine.requires_grad_(False)


def total_of(machine):
    return float(TOTAL) if machine.visible.has_draws else None


def totals_of(machine, n):
    """The total of each of n rows."""
    return torch.full((n,), float(TOTAL), dtype=torch.float64) if machine.visible.has_draws else None


def states_of(units):
    """All states of a layer, one a row, found without ``Units.states``."""
    kind = type(units).__name__
    if kind == "Joint":
        rows = [np.concatenate(parts) for parts in product(*(states_of(part).numpy() for part in units.parts))]
    elif kind == "Softmax":
        rows = [np.concatenate(parts) for parts in product(*(np.eye(size) for size in units.sizes))]
    elif kind == "Counts":
        rows = [row for row in product(range(TOTAL + 1), repeat=units.width) if sum(row) == TOTAL]
    else:
        rows = list(product((0.0, 1.0), repeat=units.width))
    return torch.tensor(np.array(rows), dtype=torch.float64)


def energies_of(machine):
    """E of every pair of states, of shape (visible states, hidden states)."""
    s, h = states_of(machine.visible), states_of(machine.hidden)
    return machine.energy(s.repeat_interleave(len(h), 0), h.repeat(len(s), 1)).view(len(s), len(h))


def law_of(machine):
    """P(s) of every visible state, from the energies of all pairs."""
    return torch.softmax(-energies_of(machine).flatten(), 0).view(len(states_of(machine.visible)), -1).sum(1)


def softmax_law(machine):
    """P(s) of every visible state by its free energy, for hidden units of any kind."""
    return torch.softmax(-machine.free_energy(states_of(machine.visible)), 0)


def drawn(law, n, seed=0):
    """Numbers of n independent states."""
    return torch.multinomial(law, n, replacement=True, generator=seeded(seed))


def require_law(sample, states, law, level=LEVEL):
    """Chi-square test of a sample of states against their probabilities; rare states are taken together."""
    place = torch.rand(states.shape[1], generator=seeded(), dtype=torch.float64)  # states told apart by one number
    names, order = (states.double() @ place).sort()
    found = torch.searchsorted(names, sample.double() @ place - 1e-9)
    assert torch.equal(states[order][found].to(sample), sample), "something is no state"
    seen, expected = torch.bincount(found, minlength=len(states)), law[order] * len(sample)
    rare = expected < 5
    counted = [torch.cat([x[~rare], x[rare].sum()[None]]).numpy() for x in (seen.double(), expected)]
    keep = counted[1] > 0
    p = stats.chisquare(counted[0][keep], counted[1][keep]).pvalue
    assert p > level, f"p = {p:.2g}"


def grid_of(width, reach=10.0, n=81):
    """Points of a grid over so many dimensions, and the logarithm of the volume of each."""
    line = torch.linspace(-reach, reach, n, dtype=torch.float64)
    return torch.cartesian_prod(*[line] * width).view(-1, width), width * float((line[1] - line[0]).log())
