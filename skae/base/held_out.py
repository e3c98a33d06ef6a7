"""Held-out rows: which they are, and the loss of all rows of a source."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..engine.data import Source, Subset, chunks
from ..engine.group import ALONE, part_of
from ..engine.train import hold_out
from .encoding import widest
from .run import Run

__all__ = ["mean_loss", "split"]


def split(estimator: Any, data: Source, run: Run) -> tuple[Source, Subset | None]:
    """Rows to train on, and held-out rows if the estimator holds out some. No row of a chunk is held out."""
    counting = data if data.weight is None else Subset(data, torch.nonzero(data.weight).squeeze(1))
    if run.partial or not estimator._holds_out(len(counting)):
        return data, None
    if len(counting) < 2:
        raise ValueError("early_stopping=True holds out rows and needs at least 2; got n_samples = 1.")
    return hold_out(counting, estimator.validation_fraction, estimator._rng)


@torch.no_grad()
def mean_loss(estimator: Any, data: Source, at_a_time: int | None) -> float:
    """Sum of the terms over all rows, without a generator. ``at_a_time`` rows are a batch, None for any number.

    If several processes have divided the rows, each goes through its own, except where a batch has a size.
    """
    part, group = part_of(data) if at_a_time is None else (data, ALONE)
    n, width = len(data), max(data.width, widest(estimator.module_))
    total: Tensor | float = 0.0
    for rows in chunks(len(part), width) if at_a_time is None else chunks(n, 1, at_a_time):
        terms = estimator._loss(estimator.module_, part[rows], None)
        total = total + sum(terms.values()) * ((rows.stop - rows.start) / n)
    return float(group.sum(torch.tensor(float(total), dtype=torch.float64)))
