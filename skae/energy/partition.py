"""Partition functions of harmoniums: the sum Z of exp(-E) over all states, exactly or by annealing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .annealing import Anneal, Estimate, annealed_importance
from .harmonium import Harmonium
from .units import Gaussian

__all__ = ["Partition", "exact_log_partition", "has_exact_log_partition"]

MOST_STATES = 2**20
"""Layers of up to so many states, such as 20 binary units, are enumerated."""
BLOCK = 2**22
"""Numbers that an enumeration holds at a time."""
N_CHAINS, N_BETAS = 100, 1000
"""Chains and temperatures of an estimate by annealing."""
N_LENGTHS = 9
"""Lengths of rows of counts at which log Z is found; between them it is interpolated."""


class Partition:
    """Log Z of a machine whose weights do not change: found when it is first asked for, and then kept.

    Where there are counts, log Z depends on the length of a row, its number of draws. It is a smooth and convex
    function of the length, and is interpolated between a few lengths if rows have many.

    The methods take the machine, and a function that makes a new generator for an estimate by annealing.

    Parameters
    ----------
    lengths : (float, float)
        Lengths of the shortest and of the longest row of the data.
    """

    def __init__(self, lengths: tuple[float, float] = (0.0, 0.0)) -> None:
        self.lengths = lengths
        self._found: dict[float | None, Estimate] = {}

    def __getstate__(self) -> tuple[Any, ...]:
        return self.lengths, tuple((key, *estimate) for key, estimate in self._found.items())

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        (low, high), found = state
        self.lengths = float(low), float(high)
        self._found = {None if key is None else float(key): Estimate(float(z), float(e)) for key, z, e in found}

    def of_length(self, machine: Harmonium, length: float, noise: Callable[[], torch.Generator]) -> Estimate:
        """Log Z and its standard error for rows of a length, which only counts depend on."""
        key = length if machine.visible.has_draws else None
        if key not in self._found:
            self._found[key] = _log_partition(machine, key, noise)
        return self._found[key]

    def of_rows(self, machine: Harmonium, total: Tensor | None, noise: Callable[[], torch.Generator]) -> Tensor | float:
        """Log Z for each of the rows, of which ``total`` are the lengths if there are counts."""
        if total is None:
            return self.of_length(machine, 0.0, noise).value
        lengths, row = torch.unique(total, return_inverse=True)
        values = [self._between_lengths(machine, length, noise) for length in lengths.tolist()]
        return torch.tensor(values, dtype=total.dtype, device=total.device)[row]

    def _between_lengths(self, machine: Harmonium, length: float, noise: Callable[[], torch.Generator]) -> float:
        """Log Z at a length, interpolated over the lengths of the data where these are many."""
        low, high = self.lengths
        are_few = high - low < N_LENGTHS and length == round(length)
        if are_few or low == high or not low <= length <= high:
            return self.of_length(machine, length, noise).value
        nodes = np.unique(np.polynomial.chebyshev.chebpts2(N_LENGTHS) * (high - low) / 2 + (high + low) / 2)
        values = [self.of_length(machine, float(node), noise).value for node in nodes]
        fitted = np.polynomial.Chebyshev.fit(nodes, values, len(nodes) - 1, domain=[low, high])
        return float(fitted(length))


def _log_partition(machine: Harmonium, length: float | None, noise: Callable[[], torch.Generator]) -> Estimate:
    if has_exact_log_partition(machine):
        return Estimate(exact_log_partition(machine, length), 0.0)
    betas = torch.linspace(0.0, 1.0, N_BETAS + 1, dtype=torch.float64)
    return annealed_importance(Anneal(machine, length), betas, N_CHAINS, noise())


def has_exact_log_partition(machine: Harmonium) -> bool:
    """Whether all states of a layer can be enumerated, or all units are gaussian."""
    return _are_gaussian(machine) or min(machine.visible.n_states, machine.hidden.n_states) <= MOST_STATES


@torch.no_grad()
def exact_log_partition(machine: Harmonium, total: float | None = None) -> float:
    """Log Z: the states of the smaller layer are enumerated, and those of the other are summed in closed form.

    Parameters
    ----------
    machine : Harmonium
    total : float or None
        Draws of a row, if there are counts among the visible units.

    Raises
    ------
    ValueError
        If all units are gaussian and their joint density is not integrable.
    """
    if _are_gaussian(machine):
        return _gaussian_log_partition(machine)
    log_z = torch.full((), -math.inf, dtype=torch.float64)
    for free_energy in _free_energies(machine, total):
        log_z = torch.logaddexp(log_z, torch.logsumexp(-free_energy.cpu().double(), 0))
    return float(log_z)


def _free_energies(machine: Harmonium, total: float | None) -> Iterator[Tensor]:
    """Free energies of all states of the smaller layer, a block of states at a time."""
    by_hidden = machine.hidden.n_states <= machine.visible.n_states
    layer = machine.hidden if by_hidden else machine.visible
    n, size = int(layer.n_states), max(1, BLOCK // sum(machine.weight.shape))
    like = machine.weight
    for start in range(0, n, size):
        x = layer.states(torch.arange(start, min(start + size, n))).to(like)
        draws = None if total is None else like.new_full((len(x),), total)
        yield machine.hidden_free_energy(x, draws) if by_hidden else machine.free_energy(x)


def _are_gaussian(machine: Harmonium) -> bool:
    kinds = [*machine.visible.kinds(), *machine.hidden.kinds()]
    return all(isinstance(units, Gaussian) for units, _ in kinds)


def _gaussian_log_partition(machine: Harmonium) -> float:
    """Log of the integral of exp(-x' P x / 2 + m'x), where x = (v, h), and P has -W off its diagonal blocks."""
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
