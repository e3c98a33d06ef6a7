"""Partition functions of harmoniums: by enumeration, in closed form, and by annealing from a base model."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from .harmonium import Harmonium
from .units import Gaussian

__all__ = [
    "Anneal",
    "Estimate",
    "annealed_importance",
    "exact_log_partition",
    "has_exact_log_partition",
    "reverse_annealed_importance",
]

MOST_STATES = 2**20
"""A layer of up to so many states, 20 binary units, is enumerated."""
BLOCK = 2**22


class Estimate(NamedTuple):
    """An estimate of log Z and its standard error, in nats."""

    value: float
    error: float


# -------------------------------------------------------------------- exactly


def has_exact_log_partition(machine: Harmonium) -> bool:
    """Whether a layer can be enumerated, or both are gaussian."""
    return _are_gaussian(machine) or min(machine.visible.n_states, machine.hidden.n_states) <= MOST_STATES


@torch.no_grad()
def exact_log_partition(machine: Harmonium, total: float | None = None) -> float:
    """Sum of exp(-E) over all states, as a logarithm: the smaller layer is enumerated, the other summed.

    Parameters
    ----------
    machine : Harmonium
    total : float or None
        Draws of a row, where the visible units are counts.

    Raises
    ------
    ValueError
        If all units are gaussian and their joint density is not integrable.
    """
    if _are_gaussian(machine):
        return _gaussian_log_partition(machine)
    by_hidden = machine.hidden.n_states <= machine.visible.n_states
    layer, other = (machine.hidden, machine.visible) if by_hidden else (machine.visible, machine.hidden)
    n, size = int(layer.n_states), max(1, BLOCK // (layer.width + other.width))
    like, log_z = machine.weight, torch.full((), -math.inf, dtype=torch.float64)
    for start in range(0, n, size):
        x = layer.states(torch.arange(start, min(start + size, n))).to(like)
        draws = None if total is None else like.new_full((len(x),), total)
        free = machine.hidden_free_energy(x, draws) if by_hidden else machine.free_energy(x)
        log_z = torch.logaddexp(log_z, torch.logsumexp(-free.cpu().double(), 0))
    return float(log_z)


def _are_gaussian(machine: Harmonium) -> bool:
    return isinstance(machine.visible, Gaussian) and isinstance(machine.hidden, Gaussian)


def _gaussian_log_partition(machine: Harmonium) -> float:
    """Log of the integral of exp(-x' P x / 2 + m'x), x = (v, h), with off-diagonal blocks -W of P."""
    W = machine.weight.cpu().double()
    n_hidden, n_visible = W.shape
    precision = torch.eye(n_visible + n_hidden, dtype=W.dtype, device=W.device)
    precision[:n_visible, n_visible:], precision[n_visible:, :n_visible] = -W.t(), -W
    root, failed = torch.linalg.cholesky_ex(precision)
    if failed:
        raise ValueError(
            f"The density cannot be normalised, for the weights have a singular value of {torch.linalg.norm(W, 2):.3g} "
            "and gaussian units need less than 1: lower learning_rate_init, or raise weight_decay."
        )
    m = torch.cat([machine.visible_bias, machine.hidden_bias]).cpu().double()[:, None]
    quadratic = torch.linalg.solve_triangular(root, m, upper=False).square().sum() / 2
    half = 0.5 * math.log(2 * math.pi) * len(precision)
    return float(half + quadratic - root.diagonal().log().sum())


# -------------------------------------------------------------------- by annealing


class Anneal:
    """Models between a base of independent visible units and a harmonium.

    p_beta(s) is proportional to exp(s'a_beta + log_base(s)) sum_h exp(beta (h'b + h'W s) + log_base(h)),
    with a_beta = (1 - beta) a_0 + beta a. At 0 the units are independent, at 1 it is the harmonium.

    Parameters
    ----------
    machine : Harmonium
        Its ``base`` is a_0, at best the log-odds of the data's means (Salakhutdinov and Murray, 2008).
    total : float or None
        Draws of a row, where the visible units are counts.
    """

    def __init__(self, machine: Harmonium, total: float | None = None) -> None:
        self.machine, self.draws = machine, total

    def start(self, n_chains: int, rng: torch.Generator) -> Tensor:
        """Independent states of the base model."""
        base = self.machine.base.expand(n_chains, -1)
        return self.machine.visible.sample(base, rng, self._total(n_chains, base))

    def log_partition(self) -> float:
        """Log Z of the base model."""
        base = self.machine.base[None]
        hidden = torch.zeros_like(self.machine.hidden_bias)[None]
        log_z = self.machine.visible.log_normaliser(base, self._total(1, base))
        return float(log_z + self.machine.hidden.log_normaliser(hidden))

    def log_weight(self, s: Tensor, field: Tensor, beta: Tensor | float) -> Tensor:
        """Log p_beta(s) + log Z_beta, given the fields of the hidden units at beta = 1."""
        machine = self.machine
        linear = (1 - beta) * (s @ machine.base) + beta * (s @ machine.visible_bias)
        scaled = field * (beta[:, None] if isinstance(beta, Tensor) else beta)
        return linear + machine.visible.log_base(s) + machine.hidden.log_normaliser(scaled)

    def step(self, s: Tensor, field: Tensor, beta: Tensor | float, rng: torch.Generator) -> Tensor:
        """A step of the Gibbs chain of p_beta."""
        machine, column = self.machine, beta[:, None] if isinstance(beta, Tensor) else beta
        h = machine.hidden.sample(field * column, rng)
        visible_field = torch.lerp(machine.base, machine.visible_field(h), column)
        return machine.visible.sample(visible_field, rng, machine.visible.total(s))

    def _total(self, n: int, like: Tensor) -> Tensor | None:
        return None if self.draws is None else like.new_full((n,), self.draws)


@torch.no_grad()
def annealed_importance(path: Anneal, betas: Tensor, n_chains: int, rng: torch.Generator) -> Estimate:
    """Annealed importance sampling of log Z (Neal, 2001): on average not above it.

    Parameters
    ----------
    path : Anneal
    betas : Tensor of shape (n_betas,)
        From 0 to 1.
    n_chains : int
    rng : torch.Generator
    """
    s = path.start(n_chains, rng)
    log_w = _zeros(s)
    for before, beta in pairwise(betas.tolist()):
        field = path.machine.hidden_field(s)
        log_w += path.log_weight(s, field, beta) - path.log_weight(s, field, before)
        s = path.step(s, field, beta, rng)
    return _log_mean(log_w, path.log_partition())


@torch.no_grad()
def reverse_annealed_importance(path: Anneal, betas: Tensor, s: Tensor, rng: torch.Generator) -> Estimate:
    """Annealing from states of the model to the base (Burda, Grosse and Salakhutdinov, 2015).

    On average it is not below log Z if the states are independent ones of the model.

    Parameters
    ----------
    path : Anneal
    betas : Tensor of shape (n_betas,)
        From 0 to 1.
    s : Tensor of shape (n_chains, n_features)
        States of the model.
    rng : torch.Generator
    """
    log_w = _zeros(s)
    for beta, before in pairwise(betas.flip(0).tolist()):
        s = path.step(s, path.machine.hidden_field(s), beta, rng)
        field = path.machine.hidden_field(s)
        log_w += path.log_weight(s, field, before) - path.log_weight(s, field, beta)
    value, error = _log_mean(log_w, -path.log_partition())
    return Estimate(-value, error)


def _zeros(s: Tensor) -> Tensor:
    """A number a row, in double precision where the device has it."""
    return torch.zeros(len(s), dtype=torch.float32 if s.device.type == "mps" else torch.float64, device=s.device)


def _log_mean(log_w: Tensor, offset: float) -> Estimate:
    """Logarithm of the mean weight, plus an offset, and its standard error by the delta method."""
    n = len(log_w)
    value = torch.logsumexp(log_w, 0) - math.log(n)
    relative = (log_w - value).exp()
    error = relative.std(correction=1) / math.sqrt(n) if n > 1 else torch.tensor(math.nan)
    return Estimate(float(value) + offset, float(error))
