"""What a machine reads off a table: which rows count, how much, and how long and wide they are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..energy.harmonium import Harmonium
from ..engine.data import Source, Table, chunks

__all__ = ["counting", "range_of_lengths", "root_mean_squares", "shares"]


def counting(data: Any) -> Tensor:
    """Rows of positive weight."""
    weight = getattr(data, "weight", None)
    return torch.arange(len(data), device=data.device) if weight is None else torch.nonzero(weight).squeeze(1)


def shares(n: int, n_chains: int, weight: Tensor | None, from_data: bool, like: Tensor) -> Tensor:
    """Shares of the data, which are negative, and of the chains, which start at the data or count alike."""
    if weight is None:
        share = like.new_full((n + n_chains,), 1 / n_chains)
        share[:n] = -1 / n
        return share
    return torch.cat([-weight, weight if from_data else (weight.sum() / n_chains).expand(n_chains)]) / n


def range_of_lengths(machine: Harmonium, data: Table) -> tuple[float, float]:
    """Draws of the shortest and of the longest row."""
    parts = (machine.embed(data[rows].x).sum(1) for rows in chunks(len(data), machine.weight.shape[1]))
    low, high = zip(*((float(x.min()), float(x.max())) for x in parts), strict=True)
    return min(low), max(high)


def root_mean_squares(data: Source, n_features: int) -> Tensor:
    """Of each column, weighted."""
    total = torch.zeros(n_features, dtype=torch.float64)
    for rows in chunks(len(data), n_features):
        batch = data[rows]
        squares = batch.x.square()
        total += (squares.sum(0) if batch.weight is None else batch.weight @ squares).cpu().double()
    return (total / len(data)).sqrt()
