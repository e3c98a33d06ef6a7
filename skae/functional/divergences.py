"""Divergences between distributions, in nats."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .activations import EPS

__all__ = ["bernoulli_divergence"]


def bernoulli_divergence(rho: float, r: Tensor) -> tuple[Tensor, Tensor]:
    """KL(rho || r) between two Bernoulli variables with these means in nats, and its derivative in r.

    It is rho log(rho / r) + (1 - rho) log((1 - rho) / (1 - r)).
    """
    r = r.clamp(EPS, 1 - EPS)
    value = rho * (math.log(rho) - r.log()) + (1 - rho) * (math.log1p(-rho) - torch.log1p(-r))
    return value, (1 - rho) / (1 - r) - rho / r
