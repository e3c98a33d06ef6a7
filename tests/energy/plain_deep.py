"""Deep Boltzmann machines written plainly, layer by layer and state by state: the oracle of ``test_deep``.

    E = -sum_l a_l'h_l - sum over neighbours (l, u) h_u'W h_l - sum_l log_base(h_l)

(Salakhutdinov and Hinton, 2009). One row is worked on at a time. What is known of it is a list with a vector a
layer, NaN where the state is unknown. Sums go over all states of the unknown units; gaussian units are integrated
out in closed form. Parameters are tensors so that autograd can differentiate the sums.
"""

import math
from itertools import pairwise, product
from typing import NamedTuple

import torch

from skae.energy.layers import Part

TOTAL = 3
"""Draws of a row of counts."""
LOG_TWO_PI = math.log(2 * math.pi)


class Plan(NamedTuple):
    """Layers of a machine by number, the rows' parts first and a label last; pairs of neighbours, lower and upper."""

    parts: list[Part]
    edges: list[tuple[int, int]]
    n_seen: int
    is_labelled: bool


def plan_of(rows, depths, label=0, width=2):
    """A plan for modalities with so many layers between each and the joint top, which they all share.

    With one modality and one number, this is a chain of that many layers and the top.
    """
    parts, edges, ends = list(rows), [], []
    for modality, depth in enumerate(depths):
        below = modality
        for _ in range(depth):
            edges.append((below, len(parts)))
            below = len(parts)
            parts.append(Part("bernoulli", width))
        ends.append(below)
    top = len(parts)
    parts.append(Part("bernoulli", width))
    edges += [(below, top) for below in ends]
    if label:
        edges.append((top, len(parts)))
        parts.append(Part("softmax", label, (label,)))
    return Plan(parts, edges, len(rows), bool(label))


def is_visible(plan):
    """Of each layer, whether it is at an even distance from the rows."""
    distance = dict.fromkeys(range(plan.n_seen), 0)
    while len(distance) < len(plan.parts):
        for lower, upper in plan.edges:
            for here, there in ((lower, upper), (upper, lower)):
                if here in distance and there not in distance:
                    distance[there] = distance[here] + 1
    return [distance[k] % 2 == 0 for k in range(len(plan.parts))]


def columns(plan):
    """Columns of each layer on its side, in the order of the layers' numbers."""
    ends, found = {True: 0, False: 0}, []
    for side, part in zip(is_visible(plan), plan.parts, strict=True):
        found.append(slice(ends[side], ends[side] + part.width))
        ends[side] += part.width
    return found


def block_of(plan, pair):
    """Rows and columns of the weights of a harmonium between two neighbours."""
    place, visible = columns(plan), is_visible(plan)
    even, odd = pair if visible[pair[0]] else reversed(pair)
    return place[odd], place[even]


def cut(machine, weight):
    """Set the entries between layers that are no neighbours to zero, in place."""
    for rows, columns in machine.absent:
        weight[rows, columns] = 0.0
    return weight


def packed(plan, layers):
    """States of the two sides, from those of the layers."""
    sides = is_visible(plan)
    return tuple(
        torch.cat([x for x, side in zip(layers, sides, strict=True) if side == wanted], -1) for wanted in (True, False)
    )


def unpacked(plan, s, h):
    """States of the layers, from those of the two sides."""
    return [(s if side else h)[..., place] for side, place in zip(is_visible(plan), columns(plan), strict=True)]


class PlainDeep:
    """Biases a layer, and weights of shape (upper, lower) a pair of neighbours."""

    def __init__(self, plan, biases, weights):
        self.plan, self.biases, self.weights = plan, list(biases), dict(weights)
        even = [k for k, visible in enumerate(is_visible(plan)) if visible]
        self.is_replicated = [plan.parts[k].kind for k in even] == ["counts"]
        """Whether this is the replicated softmax, where hidden biases count once a draw."""

    @classmethod
    def of(cls, plan, machine):
        """With copies of the parameters of a harmonium whose columns are those of ``columns``."""
        place, visible = columns(plan), is_visible(plan)
        both = {True: machine.visible_bias, False: machine.hidden_bias}
        biases = [both[visible[k]][place[k]].detach().clone() for k in range(len(plan.parts))]
        weights = {}
        for lower, upper in plan.edges:
            block = machine.weight[block_of(plan, (lower, upper))].detach().clone()
            weights[lower, upper] = block if visible[lower] else block.T
        return cls(plan, biases, weights)

    # ---------------------------------------------------------------- sums over states

    def field(self, k, states):
        """a_k + sum over neighbours of the weights times their states, of shape (N, width)."""
        total = self.biases[k].expand(len(states[0]), -1)
        if self.is_replicated and k > 0:
            total = total * states[0].sum(1, keepdim=True)
        for (lower, upper), weight in self.weights.items():
            if upper == k:
                total = total + states[lower] @ weight.T
            elif lower == k:
                total = total + states[upper] @ weight
        return total

    def minus_energy(self, states):
        """-E of each row of states, a tensor (N, width) a layer."""
        value = 0.0
        for k, (part, x) in enumerate(zip(self.plan.parts, states, strict=True)):
            times = states[0].sum(1) if self.is_replicated and k > 0 else 1.0
            value = value + times * (x @ self.biases[k]) + log_base(part, x)
        for (lower, upper), weight in self.weights.items():
            value = value + ((states[lower] @ weight.T) * states[upper]).sum(1)
        return value

    def table(self, known):
        """States of all discrete layers that agree with what is known, and log sum of exp(-E) over gaussian units.

        Unknown gaussian units have their mean given the rest in the states.
        """
        choices = [
            x[None] if part.kind == "gaussian" else agreeing(part, x)
            for part, x in zip(self.plan.parts, known, strict=True)
        ]
        numbers = torch.cartesian_prod(*[torch.arange(len(choice)) for choice in choices]).view(-1, len(choices))
        states = [choice[number] for choice, number in zip(choices, numbers.T, strict=True)]
        n_integrated = 0
        for k, part in enumerate(self.plan.parts):
            if part.kind == "gaussian":  # the integral of exp(f s - s^2 / 2) is sqrt(2 pi) times its largest value
                unknown = states[k].isnan()
                n_integrated += int(unknown[0].sum())
                filled = [torch.zeros_like(x) if other == k else x for other, x in enumerate(states)]
                states[k] = torch.where(unknown, self.field(k, filled), states[k].nan_to_num(0.0))
        return states, self.minus_energy(states) + n_integrated * LOG_TWO_PI / 2

    def log_sum(self, known):
        """Log of the sum of exp(-E) over all that is unknown."""
        return torch.logsumexp(self.table(known)[1], 0)

    def log_partition(self):
        return self.log_sum(self.nothing())

    def nothing(self):
        """What is known of a row of which nothing is known."""
        return [torch.full((part.width,), math.nan, dtype=torch.float64) for part in self.plan.parts]

    def known(self, x, y=None):
        """What is known of rows x side by side, with NaN where unknown, and of a one-hot label."""
        known, first = self.nothing(), 0
        for k in range(self.plan.n_seen):
            known[k] = x[first : first + self.plan.parts[k].width].clone()
            first += self.plan.parts[k].width
            forget_whole_groups(self.plan.parts[k], known[k])
        if y is not None and y.any():
            known[-1] = y.clone()
        return known

    def expectations(self, known):
        """E[h_l | known] of each layer."""
        states, scores = self.table(known)
        return [torch.softmax(scores, 0) @ x for x in states]

    # ---------------------------------------------------------------- mean field

    def sweep(self, means, known):
        """A sweep over the unknown units: first the layers at an odd distance from the rows, then the others."""
        means = list(means)
        for wanted in (False, True):
            for k, visible in enumerate(is_visible(self.plan)):
                if visible == wanted:
                    new = mean_of(self.plan.parts[k], self.field(k, [m[None] for m in means])[0])
                    means[k] = torch.where(known[k].isnan(), new, known[k])
        return means

    def elbo(self, means, known):
        """E_q[-E] + H(q) of the factorial q with these means, summed over states."""
        states, _ = self.table(known)
        log_q, n_integrated = 0.0, 0
        for k, part in enumerate(self.plan.parts):
            unknown = known[k].isnan()
            if part.kind == "gaussian":  # E_q[s f - s^2 / 2] + H = m f - m^2 / 2 + log(2 pi) / 2
                states[k] = torch.where(unknown, means[k], states[k])
                n_integrated += int(unknown.sum())
            else:
                log_q = log_q + log_probability(part, means[k], states[k], unknown)
        q = log_q.exp() if isinstance(log_q, torch.Tensor) else torch.ones(1, dtype=torch.float64)
        assert abs(float(q.detach().sum()) - 1) < 1e-12, "q is no distribution"
        return (q * (self.minus_energy(states) - log_q)).sum() + n_integrated * LOG_TWO_PI / 2


# ------------------------------------------------------------------ layers of each kind


def groups(part):
    """Columns of each group of softmax units."""
    ends = [sum(part.sizes[:i]) for i in range(len(part.sizes) + 1)]
    return [slice(*pair) for pair in pairwise(ends)]


def forget_whole_groups(part, x):
    """Make all columns unknown that depend on an unknown one, in place."""
    if part.kind == "counts" and x.isnan().any():
        x.fill_(math.nan)
    for group in groups(part):
        if x[group].isnan().any():
            x[group] = math.nan


def all_states(part):
    if part.kind == "softmax":
        rows = [sum(row, ()) for row in product(*(one_hot_rows(size) for size in part.sizes))]
    elif part.kind == "counts":
        rows = [row for row in product(range(TOTAL + 1), repeat=part.width) if sum(row) == TOTAL]
    else:
        rows = list(product((0, 1), repeat=part.width))
    return torch.tensor(rows, dtype=torch.float64)


def one_hot_rows(size):
    return [tuple(int(i == j) for j in range(size)) for i in range(size)]


def agreeing(part, x):
    """States that agree with the known entries; if all entries are known, x itself, whatever it is."""
    if not x.isnan().any():
        return x[None]
    if part.kind != "bernoulli":
        states = all_states(part)
        return states[((states == x) | x.isnan()).all(1)]
    unknown = x.isnan()
    states = x.nan_to_num(0.0).repeat(2 ** int(unknown.sum()), 1)
    states[:, unknown] = all_states(Part("bernoulli", int(unknown.sum())))
    return states


def log_base(part, x):
    if part.kind == "gaussian":
        return -x.square().sum(1) / 2
    if part.kind == "counts":
        return torch.lgamma(x.sum(1) + 1) - torch.lgamma(x + 1).sum(1)
    return 0.0


def mean_of(part, field):
    """E[x | field], of one row."""
    if part.kind == "bernoulli":
        return 1 / (1 + torch.exp(-field))
    if part.kind == "counts":
        return TOTAL * torch.softmax(field, 0)
    if part.kind == "softmax":
        return torch.cat([torch.softmax(field[group], 0) for group in groups(part)])
    return field


def log_probability(part, mean, states, unknown):
    """Log probability of states of the unknown units, which are independent and have this mean."""
    if not unknown.any():
        return 0.0
    if part.kind == "counts":
        return log_base(part, states) + (states * (mean / TOTAL).log()).sum(1)
    if part.kind == "softmax":
        return (states * mean.log())[:, unknown].sum(1)
    return torch.where(states == 1, mean.log(), (1 - mean).log())[:, unknown].sum(1)
