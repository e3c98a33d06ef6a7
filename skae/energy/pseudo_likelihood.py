"""Pseudo-likelihood of a harmonium: how well each column is predicted from all the others (Besag, 1975)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ..functional import group_log_softmax
from .harmonium import Harmonium
from .special import gauss_hermite
from .units import Bernoulli, Gaussian, Rectified, Softmax

__all__ = ["cost_of_row", "has_pseudo_likelihood", "pseudo_log_likelihood"]

BLOCK = 2**21
"""Numbers of hidden fields that are held at a time."""
N_NODES = 16
"""Nodes of the quadrature over a gaussian unit."""


def has_pseudo_likelihood(machine: Harmonium) -> bool:
    """Whether the visible units have one; counts have none, since their single draws are not columns."""
    return all(type(units) in CONDITIONALS for units, _ in machine.visible.kinds())


def cost_of_row(machine: Harmonium) -> int:
    """Cost of the pseudo-likelihood of a row; the unit is the normaliser of one binary hidden unit."""
    states = max(N_NODES if isinstance(units, Gaussian) else 2 for units, _ in machine.visible.kinds())
    cost = max(12 if isinstance(units, Rectified) else 1 for units, _ in machine.hidden.kinds())
    return states * machine.weight.numel() * cost


def pseudo_log_likelihood(machine: Harmonium, s: Tensor, known: Tensor | None = None) -> Tensor:
    """Sum of log p(s_i | all others) over all known columns i, or groups of columns: of shape (n,), in nats.

    Binary and softmax units are summed over their states, and gaussian ones are integrated by quadrature.

    Parameters
    ----------
    machine : Harmonium
    s : Tensor of shape (n, n_features)
        States of the visible units. Those that are not known take part as they are in what the others are given.
    known : Tensor of bool of shape (n, n_features) or None
        Which of them are known, where groups are known as a whole. None: all are.
    """
    field = machine.hidden_field(s)
    found = torch.zeros_like(s[:, 0])
    for units, columns in machine.visible.kinds():
        terms = CONDITIONALS[type(units)](_Scores(machine, s, field, columns), units)
        found = found + (terms if known is None else terms * known[:, columns]).sum(1)
    return found


class _Scores:
    """Log p(s) + log Z, but for terms that do not change, with one of some columns replaced at a time."""

    def __init__(self, machine: Harmonium, s: Tensor, field: Tensor, columns: slice) -> None:
        self.weight = machine.weight[:, columns].t()
        self.bias = machine.visible_bias[columns]
        self.s, self.field, self.hidden = s[:, columns], field, machine.hidden

    def replaced(self, value: Tensor | float) -> Tensor:
        """Scores with this value in each column, of shape (n, width)."""
        change = value - self.s
        return self._scores(lambda c: self.field[:, None] + change[:, c, None] * self.weight[c]) + value * self.bias

    def chosen(self, member: Tensor, n_groups: int) -> Tensor:
        """Scores with each column as the one that is 1 in its group, of shape (n, width)."""
        of_group = self.s[:, None] * (member == torch.arange(n_groups, device=member.device)[:, None])
        rest = self.field[:, None] - of_group @ self.weight
        return self._scores(lambda c: rest[:, member[c]] + self.weight[c]) + self.bias

    def _scores(self, field_of: Callable[[slice], Tensor]) -> Tensor:
        return torch.cat([self.hidden.log_normaliser(field_of(columns)) for columns in self._blocks()], 1)

    def _blocks(self) -> Iterator[slice]:
        size = max(1, BLOCK // self.field.numel())
        return (slice(i, i + size) for i in range(0, len(self.weight), size))


def _of_bernoulli(score: _Scores, units: Bernoulli) -> Tensor:
    on, off = score.replaced(1.0), score.replaced(0.0)
    return score.s * on + (1 - score.s) * off - torch.logaddexp(on, off)


def _of_gaussian(score: _Scores, units: Gaussian) -> Tensor:
    node, weight = (q.to(score.s) for q in gauss_hermite(N_NODES))
    center = score.bias + score.hidden.mean(score.field) @ score.weight.t()
    # The integral of exp(score(t) - t^2 / 2), with t = center + z, is an expectation over z from N(0, 1).
    terms = [
        score.replaced(center + z) - center.square() / 2 - center * z + w.log()
        for z, w in zip(node, weight, strict=True)
    ]
    log_integral = torch.logsumexp(torch.stack(terms), 0) + 0.5 * math.log(2 * math.pi)
    return score.replaced(score.s) - score.s.square() / 2 - log_integral


def _of_softmax(score: _Scores, units: Softmax) -> Tensor:
    n_groups = len(units.sizes)
    return score.s * group_log_softmax(score.chosen(units.member, n_groups), units.member, n_groups)


CONDITIONALS: dict[type, Callable[[_Scores, Any], Tensor]] = {
    Bernoulli: _of_bernoulli,
    Gaussian: _of_gaussian,
    Softmax: _of_softmax,
}
"""Terms of the columns of each kind, of shape (n, width)."""
