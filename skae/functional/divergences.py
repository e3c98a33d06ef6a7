"""Divergences between distributions, in nats."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .activations import EPS

__all__ = ["bernoulli_divergence", "gaussian_divergence"]


def bernoulli_divergence(rho: float, r: Tensor) -> tuple[Tensor, Tensor]:
    """KL(rho || r) between two Bernoulli variables with these means in nats, and its derivative in r.

    It is rho log(rho / r) + (1 - rho) log((1 - rho) / (1 - r)).
    """
    r = r.clamp(EPS, 1 - EPS)
    value = rho * (math.log(rho) - r.log()) + (1 - rho) * (math.log1p(-rho) - torch.log1p(-r))
    return value, (1 - rho) / (1 - r) - rho / r


def gaussian_divergence(mu: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(0, 1)) of each entry in nats: (mu^2 + sigma^2 - 1 - log sigma^2) / 2."""
    return (mu.square() + log_variance.exp() - 1 - log_variance) * 0.5
