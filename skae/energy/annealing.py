"""Annealing: estimates of log Z by chains that pass from independent units to a harmonium, or back."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from .harmonium import Harmonium

__all__ = ["Anneal", "Estimate", "annealed_importance", "reverse_annealed_importance"]


LEAST_EFFECTIVE = 0.5
"""Chains are drawn anew by their weights when the effective number of them falls below this share."""


class Estimate(NamedTuple):
    """An estimate of log Z and its standard error, in nats."""

    value: float
    error: float


class Anneal:
    """A path of models from independent units, at beta = 0, to a harmonium, at beta = 1.

    p_beta(s) is proportional to exp(s'a_beta + log_base(s)) sum_h exp(h'b_beta(s) + log_base(h)), with

        a_beta = (1 - beta) a_0 + beta a,    b_beta(s) = (1 - beta) b_0 + beta (b + W s).

    The model at beta = 0 is called the base. Its units of both layers have about the means of the data, so that
    the path is short.

    Parameters
    ----------
    machine : Harmonium
        Its ``base`` is a_0; good values are the log-odds of the data's means (Salakhutdinov and Murray, 2008). The
        fields at which hidden units have the means ``hidden_offset`` are b_0; they are zero if these are not learnt.
    total : float or None
        Draws of a row, if there are counts among the visible units.
    """

    def __init__(self, machine: Harmonium, total: float | None = None) -> None:
        self.machine, self.draws = machine, total
        self.hidden_base = machine.hidden.link(machine.hidden_offset)

    def start(self, n_chains: int, rng: torch.Generator) -> Tensor:
        """Independent states of the base."""
        base = self.machine.base.expand(n_chains, -1)
        return self.machine.visible.sample(base, rng, self._total(n_chains, base))

    def log_partition(self) -> float:
        """Log Z of the base."""
        base = self.machine.base[None]
        log_z = self.machine.visible.log_normaliser(base, self._total(1, base))
        return float(log_z + self.machine.hidden.log_normaliser(self.hidden_base[None]))

    def log_weight(self, s: Tensor, field: Tensor, beta: Tensor | float) -> Tensor:
        """Log p_beta(s) + log Z_beta, given the fields of the hidden units at beta = 1.

        ``beta`` is one number, or a number for each row.
        """
        machine = self.machine
        linear = (1 - beta) * (s @ machine.base) + beta * (s @ machine.visible_bias)
        return linear + machine.visible.log_base(s) + machine.hidden.log_normaliser(self._hidden_field(field, beta))

    def log_ratio(self, s: Tensor, field: Tensor, low: float, high: float) -> Tensor:
        """``log_weight`` at one temperature minus that at another, more exactly and faster than by the difference."""
        machine = self.machine
        linear = s @ ((high - low) * (machine.visible_bias - machine.base))
        return linear + machine.hidden.log_ratio(*(self._hidden_field(field, beta) for beta in (low, high)))

    def step(self, s: Tensor, field: Tensor, beta: Tensor | float, rng: torch.Generator) -> Tensor:
        """States after a step of the Gibbs chain of p_beta, given the hidden fields at beta = 1."""
        machine, total = self.machine, self.machine.total(s)
        h = machine.hidden.sample(self._hidden_field(field, beta), rng)
        if isinstance(beta, Tensor):
            return machine.visible.sample(torch.lerp(machine.base, machine.visible_field(h), beta[:, None]), rng, total)
        bias = torch.lerp(machine.base, machine.visible_bias, beta)
        return machine.visible.sample(torch.addmm(bias, h, machine.weight, alpha=beta), rng, total)

    def _hidden_field(self, field: Tensor, beta: Tensor | float) -> Tensor:
        return torch.lerp(self.hidden_base, field, beta[:, None] if isinstance(beta, Tensor) else beta)

    def _total(self, n: int, like: Tensor) -> Tensor | None:
        return None if self.draws is None else like.new_full((n,), self.draws)


class _Weights:
    """Log-weights of chains. When few of the weights count, chains are drawn anew by their weights.

    The mean weight stays an unbiased estimate of the ratio of two partition functions (Del Moral, Doucet and Jasra,
    2006, "Sequential Monte Carlo samplers", https://doi.org/10.1111/j.1467-9868.2006.00553.x).
    """

    def __init__(self, n_chains: int, device: torch.device) -> None:
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self.log_w = torch.zeros(n_chains, dtype=dtype, device=device)
        self.log_mean, self.n_rounds = 0.0, 0
        self.family = torch.arange(n_chains, device=device)

    def survivors(self, rng: torch.Generator) -> Tensor | None:
        """Numbers of the chains that go on, which then weigh alike. None if they do already well enough."""
        n, w = len(self.log_w), torch.softmax(self.log_w, 0)
        if LEAST_EFFECTIVE * n * float(w.square().sum()) < 1:
            return None
        u = torch.rand(1, generator=rng, dtype=w.dtype, device=w.device)
        place = (torch.arange(n, dtype=w.dtype, device=w.device) + u) / n
        chosen = torch.searchsorted(w.cumsum(0), place).clamp_max(n - 1)
        self.log_mean += self._log_mean()
        self.n_rounds += 1
        self.log_w.zero_()
        self.family = self.family[chosen]
        return chosen

    def _log_mean(self) -> float:
        return float(torch.logsumexp(self.log_w, 0)) - math.log(len(self.log_w))

    def estimate(self) -> Estimate:
        """Logarithm of the mean weight, and its standard error by the weights of families (Lee and Whiteley, 2018)."""
        n, w = len(self.log_w), torch.softmax(self.log_w, 0)
        value = self.log_mean + self._log_mean()
        if n == 1:
            return Estimate(value, math.nan)
        of_family = torch.zeros_like(w).index_add_(0, self.family, w)
        once = float((of_family - 1 / n).square().sum()) * n / (n - 1)
        variance = 1 - (n / (n - 1)) ** self.n_rounds * (1 - once) if self.n_rounds else once
        return Estimate(value, math.sqrt(max(variance, 0.0)))


@torch.no_grad()
def annealed_importance(path: Anneal, betas: Tensor, n_chains: int, rng: torch.Generator) -> Estimate:
    """Estimate log Z by annealed importance sampling (Neal, 2001); the estimate is on average not above it.

    Parameters
    ----------
    path : Anneal
    betas : Tensor of shape (n_betas,)
        From 0 to 1.
    n_chains : int
    rng : torch.Generator
    """
    value, error = _annealed(path, list(pairwise(betas.tolist())), path.start(n_chains, rng), rng)
    return Estimate(path.log_partition() + value, error)


@torch.no_grad()
def reverse_annealed_importance(path: Anneal, betas: Tensor, s: Tensor, rng: torch.Generator) -> Estimate:
    """Estimate log Z by annealing from states of the model to the base (Burda, Grosse and Salakhutdinov, 2015).

    The estimate is on average not below log Z if the states are independent draws from the model.

    Parameters
    ----------
    path : Anneal
    betas : Tensor of shape (n_betas,)
        From 0 to 1.
    s : Tensor of shape (n_chains, n_features)
        States of the model.
    rng : torch.Generator
    """
    value, error = _annealed(path, list(pairwise(betas.flip(0).tolist())), s, rng)
    return Estimate(path.log_partition() - value, error)


def _annealed(path: Anneal, steps: list[tuple[float, float]], s: Tensor, rng: torch.Generator) -> Estimate:
    """Log Z at the end of the steps minus that at their beginning, by chains that start with the law of the latter."""
    field, weights = path.machine.hidden_field(s), _Weights(len(s), s.device)
    for before, beta in steps:
        if before != steps[0][0]:
            s = path.step(s, field, before, rng)
            field = path.machine.hidden_field(s)
        weights.log_w += path.log_ratio(s, field, before, beta)
        if (chosen := weights.survivors(rng)) is not None:
            s, field = s[chosen], field[chosen]
    return weights.estimate()
