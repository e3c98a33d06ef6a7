"""The probability of the known visible units of a harmonium, where the others are summed out by importance sampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..functional import latin_hypercube
from .harmonium import Harmonium, Known
from .units import Bernoulli, Gaussian, Softmax

__all__ = ["can_sum_out", "log_marginal"]

N_DRAWS = 32
"""Draws of the unknown units of each row."""


def can_sum_out(machine: Harmonium) -> bool:
    """Whether ``log_marginal`` draws all kinds of visible units. It does not draw counts."""
    return all(type(units) in AT_QUANTILE for units, _ in machine.visible.kinds())


def log_marginal(machine: Harmonium, known: Known, n_draws: int = N_DRAWS) -> Tensor:
    """Estimate log p + log Z of what is known of each row: of shape (n,), in nats.

    The hidden units are summed out. The unknown visible units are drawn from q, which has independent units with the
    means of mean field,

        log of the mean over draws s of exp(-F(s)) / q(s).

    On average over q it is a lower bound. More draws bring it closer to the truth (Burda, Grosse and Salakhutdinov,
    2016). The draws of all rows are made of the same numbers. So the result of a row depends on that row alone.

    Parameters
    ----------
    machine : Harmonium
        See ``can_sum_out``.
    known : Known
    n_draws : int

    References
    ----------
    Burda, Grosse and Salakhutdinov (2016), "Importance Weighted Autoencoders", https://arxiv.org/abs/1509.00519
    """
    mean, found = machine.settled(known), []
    for u in latin_hypercube(n_draws, mean.shape[1], torch.Generator().manual_seed(0)).to(mean):
        parts = [AT_QUANTILE[type(units)](mean[:, c], u[c], units) for units, c in machine.visible.kinds()]
        s, log_q = (torch.cat(pieces, 1) for pieces in zip(*parts, strict=True))
        unknown = torch.where(known.mask, 0.0, log_q).sum(1)
        found.append(-machine.free_energy(known.visible(s)) - unknown)
    scale = (known.mask * machine.log_scale).sum(1) if machine.scaled else 0.0
    return torch.stack(found).logsumexp(0) - math.log(n_draws) - scale


def _of_bernoulli(mean: Tensor, u: Tensor, units: Bernoulli) -> tuple[Tensor, Tensor]:
    s = (u < mean).to(mean)
    return s, torch.where(s > 0, mean, 1 - mean).log()


def _of_gaussian(mean: Tensor, u: Tensor, units: Gaussian) -> tuple[Tensor, Tensor]:
    z = torch.special.ndtri(u)
    return mean + z, (-0.5 * (z.square() + math.log(2 * math.pi))).expand_as(mean)


def _of_softmax(mean: Tensor, u: Tensor, units: Softmax) -> tuple[Tensor, Tensor]:
    pieces = []
    for group, first in zip(mean.split(units.sizes, 1), u.split(units.sizes), strict=True):
        column = (group.cumsum(1)[:, :-1] <= first[0]).sum(1)  # one number draws a group
        pieces.append(F.one_hot(column, group.shape[1]))
    s = torch.cat(pieces, 1).to(mean)
    return s, s * mean.clamp_min(torch.finfo(mean.dtype).tiny).log()


AT_QUANTILE: dict[type, Callable[[Tensor, Tensor, Any], tuple[Tensor, Tensor]]] = {
    Bernoulli: _of_bernoulli,
    Gaussian: _of_gaussian,
    Softmax: _of_softmax,
}
"""States of units with these means at quantiles u in (0, 1), and log q of each column."""
