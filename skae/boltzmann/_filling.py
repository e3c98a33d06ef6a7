"""Filling in: what a deep machine makes of the unknown entries of rows, on the scale of the machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from numbers import Integral, Number
from typing import Any

import torch
from torch import Tensor

from ..energy.deep import Deep
from ..energy.harmonium import Harmonium, Known

__all__ = ["ascending", "course_of_chains", "mean_of_chains", "mean_of_field", "rows_and_no_number"]

BURN_IN = 0.2
"""Fraction of a chain that does not count in a mean over its states."""


def mean_of_field(module: Harmonium, known: Known) -> Tensor:
    """Rows by mean field."""
    return module.unembed(module.settled(known))


def mean_of_chains(module: Deep, known: Known, n_steps: int, rng: torch.Generator) -> Tensor:
    """Rows as the mean of E[x | h] over the steps of chains, which start where mean field has settled."""
    s = module.settled(known)
    total, first = torch.zeros_like(s), int(BURN_IN * n_steps)
    for step in range(n_steps):
        mean = module.visible_mean(known.hidden(module.sample_hidden(s, rng)), known.total)
        s = known.visible(module.visible.draw(mean, rng, known.total))
        if step >= first:
            total += mean
    return module.unembed(total / (n_steps - first))


def course_of_chains(
    module: Deep, s: Tensor, looks: Sequence[int], rng: torch.Generator, known: Known | None
) -> Tensor:
    """Rows after so many steps of chains that start at s: of shape (n, number of looks, n_features)."""
    rows, done = [], 0
    for look in looks:
        s, done = module.gibbs(s, look - done, rng, known), look
        rows.append(module.unembed(s))
    return torch.stack(rows, 1)


def ascending(steps: Sequence[int]) -> list[int]:
    """Numbers of steps. Raise an error if there are none, or they are not whole, or do not ascend."""
    if not isinstance(steps, Iterable):
        raise ValueError(f"steps={steps!r} must be a sequence of whole numbers: for one number of steps, use n_steps.")
    looks = list(steps)
    whole = all(isinstance(look, Integral) and not isinstance(look, bool) for look in looks)
    if not (looks and whole and looks[0] >= 1 and all(one < two for one, two in pairwise(looks))):
        raise ValueError(f"steps={looks} must be whole numbers of at least 1 in ascending order.")
    return [int(look) for look in looks]


def rows_and_no_number(X: Any) -> Any:
    """Return X. Raise an error if it is a number of rows."""
    if isinstance(X, Number):
        raise ValueError(f"X={X!r} is a number, but sample_given draws what is unknown of rows: use sample.")
    return X
