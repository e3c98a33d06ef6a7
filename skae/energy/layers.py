"""Layers of units of several kinds, or of several copies, and how they are described."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .units import MOST_STATES, Bernoulli, Counts, Gaussian, Rectified, Softmax, Units

__all__ = ["Copies", "Joint", "Part", "columns_of", "layer_of"]


class Part(NamedTuple):
    """Description of adjacent units of one kind, in numbers and strings."""

    kind: str
    """One of "bernoulli", "gaussian", "softmax", "counts" and "relu"."""
    width: int
    """Columns."""
    sizes: tuple[int, ...] = ()
    """Columns of each group of softmax units."""
    scaled: bool = False
    """Whether rows x of these gaussian units are states s times a standard deviation sigma of each column."""
    copies: int = 1
    """Layers of units with the same field, of which the states are summed, see ``Copies``."""


class Joint(Units):
    """Units of several kinds side by side: pixels and a label, two modalities, or two layers of a deep machine.

    Parameters
    ----------
    parts : sequence of Units
        From the first column to the last.

    Raises
    ------
    ValueError
        If there are several parts of counts.
    """

    parts: Any  # a ModuleList of Units, whose type torch does not know

    def __init__(self, parts: Sequence[Units]) -> None:
        super().__init__(sum(part.width for part in parts))
        n_counts = sum(part.has_draws for part in parts)
        if n_counts > 1:
            raise ValueError(f"There are {n_counts} parts of counts, but a row has one number of draws: use one part.")
        self.parts = nn.ModuleList(parts)
        self.widths = [part.width for part in parts]
        self.has_draws = n_counts == 1
        n_states = [part.n_states for part in parts]
        self.n_states = math.inf if math.inf in n_states else min(math.prod(n_states), MOST_STATES)

    def _each(self, function: str, x: Tensor, *arguments: object) -> list[Any]:
        pieces = zip(self.parts, x.split(self.widths, -1), strict=True)
        return [getattr(part, function)(piece, *arguments) for part, piece in pieces]

    def whole(self, known: Tensor) -> Tensor:
        return torch.cat(self._each("whole", known), -1)

    def draws_known(self, known: Tensor) -> Tensor:
        (found,) = (u.draws_known(known[:, columns]) for u, columns in self.kinds() if u.has_draws)
        return found

    def kinds(self) -> list[tuple[Any, slice]]:
        return list(zip(self.parts, columns_of(self.widths), strict=True))

    def admit(self, x: Tensor) -> Tensor:
        return torch.cat(self._each("admit", x), -1) if self.has_draws else x

    def total(self, x: Tensor) -> Tensor | None:
        if not self.has_draws:
            return None
        (total,) = (total for total in self._each("total", x) if total is not None)
        return total

    def mean(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return torch.cat(self._each("mean", field, total), -1)

    def steady_mean(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return torch.cat(self._each("steady_mean", field, total), -1)

    def entropy(self, mean: Tensor, total: Tensor | None = None) -> Tensor:
        return torch.cat(self._each("entropy", mean, total), -1)

    def draw(self, mean: Tensor, rng: torch.Generator, total: Tensor | None = None) -> Tensor:
        return torch.cat(self._each("draw", mean, rng, total), -1)

    def sample(self, field: Tensor, rng: torch.Generator, total: Tensor | None = None) -> Tensor:
        return torch.cat(self._each("sample", field, rng, total), -1)

    def log_normaliser(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return torch.stack(self._each("log_normaliser", field, total)).sum(0)

    def log_ratio(self, below: Tensor, above: Tensor) -> Tensor:
        pieces = zip(self.parts, below.split(self.widths, -1), above.split(self.widths, -1), strict=True)
        return torch.stack([part.log_ratio(*fields) for part, *fields in pieces]).sum(0)

    def log_base(self, x: Tensor) -> Tensor | float:
        return sum(self._each("log_base", x))

    def link(self, mean: Tensor) -> Tensor:
        return torch.cat(self._each("link", mean), -1)

    def states(self, number: Tensor) -> Tensor:
        columns = []
        for part, _ in self.kinds():
            columns.append(part.states(number % int(part.n_states)))
            number = number // int(part.n_states)
        return torch.cat(columns, 1)


class Copies(Units):
    """The sum of several layers of units that all have the same field.

    A deep Boltzmann machine learns its layers one by one with it: the input of a unit that lacks one of its two
    neighbours is doubled (Salakhutdinov and Hinton, 2009). So there are no formulas for its energies.

    Parameters
    ----------
    units : Units
        One of the layers.
    n_copies : int
    """

    def __init__(self, units: Units, n_copies: int) -> None:
        super().__init__(units.width)
        self.units, self.n_copies = units, n_copies
        self.n_states, self.has_draws = units.n_states, units.has_draws

    def admit(self, x: Tensor) -> Tensor:
        return self.units.admit(x)

    def total(self, x: Tensor) -> Tensor | None:
        total = self.units.total(x)
        return None if total is None else total / self.n_copies

    def mean(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return self.units.mean(field, total) * self.n_copies

    def draw(self, mean: Tensor, rng: torch.Generator, total: Tensor | None = None) -> Tensor:
        return sum(
            (self.units.draw(mean / self.n_copies, rng, total) for _ in range(self.n_copies)), mean.new_zeros(())
        )

    def log_normaliser(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return self.units.log_normaliser(field, total) * self.n_copies

    def link(self, mean: Tensor) -> Tensor:
        return self.units.link(mean / self.n_copies)


KINDS = {"bernoulli": Bernoulli, "gaussian": Gaussian, "relu": Rectified, "counts": Counts}
"""Units that are described by their width alone."""


def layer_of(parts: Sequence[Part]) -> Units:
    """A layer as its parts describe it, from the first column to the last.

    Raises
    ------
    ValueError
        If a part describes no units, or there are several parts of counts.
    """
    made = [_units_of(part) for part in parts]
    return made[0] if len(made) == 1 else Joint(made)


def _units_of(part: Part) -> Units:
    if part.scaled and part.kind != "gaussian":
        raise ValueError(f"{part} is scaled, but only gaussian units have a standard deviation: use scaled=False.")
    if sum(part.sizes) != (part.width if part.kind == "softmax" else 0):
        raise ValueError(f"{part}: groups are of softmax units, and the sizes of these must sum to their width.")
    units = Softmax(part.sizes) if part.kind == "softmax" else KINDS[part.kind](part.width)
    return units if part.copies == 1 else Copies(units, part.copies)


def columns_of(widths: Sequence[int]) -> list[slice]:
    """Columns of parts of these widths side by side."""
    ends = list(accumulate(widths, initial=0))
    return [slice(*pair) for pair in pairwise(ends)]
