"""Random numbers from a generator that is handed over."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["dropout_mask"]


def dropout_mask(x: Tensor, p: float, rng: torch.Generator) -> Tensor:
    """Zero with probability p and 1 / (1 - p) otherwise, in the shape of x."""
    return torch.empty_like(x).bernoulli_(1 - p, generator=rng).div_(1 - p)
