"""Markov chains that stand for the model in the gradient of a harmonium's log-likelihood.

Each function takes the machine, visible states of the data and the weights of these rows, a number of Gibbs
steps and a generator. It returns the visible states of the data, followed by those of the model, and the
expectations of the hidden units for both. Persistent chains are kept in the machine's ``chain``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .annealing import Anneal
from .harmonium import Harmonium

__all__ = ["CHAINS", "shares"]


def contrastive(
    machine: Harmonium, data: Tensor, weight: Tensor | None, n_gibbs: int, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Start a chain at each row of the data, and forget it afterwards: contrastive divergence (Hinton, 2002)."""
    total = machine.total(data)
    s, h = data, machine.hidden_mean(data)
    start = h
    for _ in range(n_gibbs):
        s = machine.sample_visible(machine.hidden.draw(h, rng), rng, total)
        h = machine.hidden_mean(s)
    return torch.cat([data, s]), torch.cat([start, h])


def persistent(
    machine: Harmonium, data: Tensor, weight: Tensor | None, n_gibbs: int, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Go on with the chains of the last step, since the weights have hardly moved meanwhile (Tieleman, 2008).

    The chains keep hidden states. Rows of counts are drawn at the lengths of the rows of the batch.
    """
    state, total = machine.chain, machine.total(data)
    total = None if total is None else _spread(total, weight, len(state))
    s = machine.sample_visible(state, rng, total)
    for _ in range(n_gibbs - 1):
        s = machine.sample_visible(machine.hidden.draw(machine.hidden_mean(s), rng), rng, total)
    s, h = _with_hidden_means(machine, data, s)
    machine.chain.copy_(machine.hidden.draw(h[len(data) :], rng))
    return s, h


def tempered(
    machine: Harmonium, data: Tensor, weight: Tensor | None, n_gibbs: int, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Chains at several temperatures swap states: parallel tempering (Desjardins et al., 2010; Cho et al., 2010).

    The chains keep visible states, of shape (n_temperatures, n_chains, n_features), the hottest first. The
    model at each temperature is one of ``Anneal``. Rows of counts must have one length, since they are swapped.
    """
    path, (n_temperatures, n_chains, _) = Anneal(machine), machine.chain.shape
    betas = torch.linspace(1.0, 0.0, n_temperatures, dtype=data.dtype, device=data.device).flip(0)
    beta = betas.repeat_interleave(n_chains)
    state = machine.chain.flatten(0, 1)
    for _ in range(n_gibbs):
        state = path.step(state, machine.hidden_field(state), beta, rng)
        for first in (0, 1):
            state = _swap(path, state, betas, first, rng)
    machine.chain.copy_(state.view_as(machine.chain))
    return _with_hidden_means(machine, data, machine.chain[-1])


def _spread(total: Tensor, weight: Tensor | None, n: int) -> Tensor:
    """Lengths of n rows: each length of the data comes as often as the weights of its rows say."""
    edge = torch.ones_like(total).cumsum(0) if weight is None else weight.cumsum(0)
    place = (torch.arange(n, dtype=total.dtype, device=total.device) + 0.5) / n * edge[-1]
    return total[torch.searchsorted(edge, place).clamp_max(len(total) - 1)]


def _with_hidden_means(machine: Harmonium, data: Tensor, model: Tensor) -> tuple[Tensor, Tensor]:
    """States of data and model in one tensor, and the expectations of the hidden units for both."""
    s = torch.cat([data, model])
    return s, machine.hidden_mean(s)


def _swap(path: Anneal, state: Tensor, betas: Tensor, first: int, rng: torch.Generator) -> Tensor:
    """Exchange states of neighbouring temperatures with Metropolis' probability; the first pair starts at ``first``."""
    n = len(betas)
    rung = torch.arange(n, device=state.device)
    partner = torch.where((rung + first) % 2 == 0, rung + 1, rung - 1)
    partner = torch.where((partner < 0) | (partner >= n), rung, partner)
    field = path.machine.hidden_field(state)
    here, there = (beta.repeat_interleave(len(state) // n) for beta in (betas, betas[partner]))
    gain = (path.log_weight(state, field, there) - path.log_weight(state, field, here)).view(n, -1)
    u = torch.empty_like(gain).uniform_(generator=rng)
    accepted = torch.where(rung < partner, rung, partner)  # both of a pair look at the same number
    swapped = u[accepted].log() < gain + gain[partner]
    states = state.view(n, -1, state.shape[1])
    return torch.where(swapped[..., None], states[partner], states).flatten(0, 1)


def shares(n: int, n_chains: int, weight: Tensor | None, from_data: bool, like: Tensor) -> Tensor:
    """Shares in the gradient of n rows of data, which are negative, and of the rows of the chains below them.

    A chain has the weight of the row that it started from if ``from_data``; else all chains count alike.
    """
    if weight is None:
        share = like.new_full((n + n_chains,), 1 / n_chains)
        share[:n] = -1 / n
        return share
    return torch.cat([-weight, weight if from_data else (weight.sum() / n_chains).expand(n_chains)]) / n


CHAINS: dict[str, Callable[[Harmonium, Tensor, Tensor | None, int, torch.Generator], tuple[Tensor, Tensor]]] = {
    "cd": contrastive,
    "pcd": persistent,
    "pt": tempered,
}
