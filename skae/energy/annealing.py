"""Annealing: estimates of log Z by chains that pass from independent units to a harmonium, or back."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from .harmonium import Harmonium

__all__ = ["Anneal", "Estimate", "annealed_importance", "reverse_annealed_importance"]


class Estimate(NamedTuple):
    """An estimate of log Z and its standard error, in nats."""

    value: float
    error: float


class Anneal:
    """A path of models from independent units, at beta = 0, to a harmonium, at beta = 1.

    p_beta(s) is proportional to exp(s'a_beta + log_base(s)) sum_h exp(beta (h'b + h'W s) + log_base(h)),
    with a_beta = (1 - beta) a_0 + beta a. The model at beta = 0 is called the base.

    Parameters
    ----------
    machine : Harmonium
        Its ``base`` is a_0; good values are the log-odds of the data's means (Salakhutdinov and Murray, 2008).
    total : float or None
        Draws of a row, if there are counts among the visible units.
    """

    def __init__(self, machine: Harmonium, total: float | None = None) -> None:
        self.machine, self.draws = machine, total

    def start(self, n_chains: int, rng: torch.Generator) -> Tensor:
        """Independent states of the base."""
        base = self.machine.base.expand(n_chains, -1)
        return self.machine.visible.sample(base, rng, self._total(n_chains, base))

    def log_partition(self) -> float:
        """Log Z of the base."""
        base = self.machine.base[None]
        hidden = torch.zeros_like(self.machine.hidden_bias)[None]
        log_z = self.machine.visible.log_normaliser(base, self._total(1, base))
        return float(log_z + self.machine.hidden.log_normaliser(hidden))

    def log_weight(self, s: Tensor, field: Tensor, beta: Tensor | float) -> Tensor:
        """Log p_beta(s) + log Z_beta, given the fields of the hidden units at beta = 1.

        ``beta`` is one number, or a number for each row.
        """
        machine = self.machine
        linear = (1 - beta) * (s @ machine.base) + beta * (s @ machine.visible_bias)
        scaled = field * (beta[:, None] if isinstance(beta, Tensor) else beta)
        return linear + machine.visible.log_base(s) + machine.hidden.log_normaliser(scaled)

    def log_ratio(self, s: Tensor, field: Tensor, low: float, high: float) -> Tensor:
        """``log_weight`` at one temperature minus that at another, more exactly and faster than by the difference."""
        machine = self.machine
        linear = s @ ((high - low) * (machine.visible_bias - machine.base))
        return linear + machine.hidden.log_ratio(field, low, high)

    def step(self, s: Tensor, field: Tensor, beta: Tensor | float, rng: torch.Generator) -> Tensor:
        """States after a step of the Gibbs chain of p_beta, given the hidden fields at beta = 1."""
        machine, total = self.machine, self.machine.total(s)
        if isinstance(beta, Tensor):
            h = machine.hidden.sample(field * beta[:, None], rng)
            return machine.visible.sample(torch.lerp(machine.base, machine.visible_field(h), beta[:, None]), rng, total)
        h = machine.hidden.sample(field * beta, rng)
        bias = torch.lerp(machine.base, machine.visible_bias, beta)
        return machine.visible.sample(torch.addmm(bias, h, machine.weight, alpha=beta), rng, total)

    def _total(self, n: int, like: Tensor) -> Tensor | None:
        return None if self.draws is None else like.new_full((n,), self.draws)


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
    s = path.start(n_chains, rng)
    field, log_w = path.machine.hidden_field(s), _zeros(s)
    for low, high in pairwise(betas.tolist()):
        if low > 0:
            s = path.step(s, field, low, rng)
            field = path.machine.hidden_field(s)
        log_w += path.log_ratio(s, field, low, high)
    return _log_mean(log_w, path.log_partition())


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
    field, log_w = path.machine.hidden_field(s), _zeros(s)
    for high, low in pairwise(betas.flip(0).tolist()):
        s = path.step(s, field, high, rng)
        field = path.machine.hidden_field(s)
        log_w -= path.log_ratio(s, field, low, high)
    value, error = _log_mean(log_w, -path.log_partition())
    return Estimate(-value, error)


def _zeros(s: Tensor) -> Tensor:
    """A zero for each row, in double precision where the device has it."""
    return torch.zeros(len(s), dtype=torch.float32 if s.device.type == "mps" else torch.float64, device=s.device)


def _log_mean(log_w: Tensor, offset: float) -> Estimate:
    """Logarithm of the mean weight, plus an offset, and its standard error by the delta method."""
    n = len(log_w)
    value = torch.logsumexp(log_w, 0) - math.log(n)
    relative = (log_w - value).exp()
    error = relative.std(correction=1) / math.sqrt(n) if n > 1 else torch.tensor(math.nan)
    return Estimate(float(value) + offset, float(error))
