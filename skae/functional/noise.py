"""Random numbers from a generator that is handed over."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["dropout_mask", "spawn"]


def spawn(rng: torch.Generator, device: torch.device) -> torch.Generator:
    """A generator of its own on a device, whose seed another one draws."""
    return torch.Generator(device).manual_seed(int(torch.randint(2**62, (), generator=rng, device=rng.device)))


def dropout_mask(x: Tensor, p: float, rng: torch.Generator) -> Tensor:
    """Zero with probability p and 1 / (1 - p) otherwise, in the shape of x."""
    return torch.empty_like(x).bernoulli_(1 - p, generator=rng).div_(1 - p)
