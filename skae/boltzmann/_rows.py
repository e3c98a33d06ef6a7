"""What a machine reads off its training data: which rows count, and what the numbers in them are."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..energy.harmonium import Harmonium
from ..engine.data import Source, Table, chunks
from ..engine.group import part_of

__all__ = ["are_probabilities", "counting", "range_of_lengths", "root_mean_squares"]


def are_probabilities(data: Source, machine: Harmonium) -> bool:
    """Whether the visible units have finitely many states, and some rows are no states but means of states."""
    if machine.visible.n_states == math.inf:
        return False
    part, group = part_of(data)
    blocks = (part[rows].x for rows in chunks(len(part), machine.visible.width))
    return bool(group.any(any(bool(((x != 0) & (x != 1) & ~x.isnan()).any()) for x in blocks)))


def counting(data: Any) -> Tensor:
    """Numbers of the rows that have a positive weight."""
    weight = getattr(data, "weight", None)
    return torch.arange(len(data), device=data.device) if weight is None else torch.nonzero(weight).squeeze(1)


def range_of_lengths(machine: Harmonium, data: Table) -> tuple[float, float]:
    """Draws of the shortest and of the longest row; zeros where there are no counts."""
    if not machine.visible.has_draws:
        return 0.0, 0.0
    parts = (machine.total(machine.embed(data[rows].x)) for rows in chunks(len(data), machine.visible.width))
    known = [x[~x.isnan()] for x in parts if x is not None]
    low, high = zip(*((float(x.min()), float(x.max())) for x in known if len(x)), strict=True)
    return min(low), max(high)


def root_mean_squares(data: Source, n_features: int) -> Tensor:
    """Root of the weighted mean square of the entries of each column that are not NaN."""
    part, group = part_of(data)
    total, unknown = torch.zeros((2, n_features), dtype=torch.float64)
    for rows in chunks(len(part), n_features):
        batch = part[rows]
        squares = batch.x.square()
        weight = torch.ones_like(squares[:, 0]) if batch.weight is None else batch.weight
        if (gaps := squares.isnan()).any():
            unknown += (weight @ gaps.to(weight)).cpu().double()
            squares = squares.masked_fill(gaps, 0.0)
        total += (squares.sum(0) if batch.weight is None else weight @ squares).cpu().double()
    total, unknown = group.sum(torch.stack([total, unknown]))
    return (total / (len(data) - unknown)).sqrt()
