"""Parameters: the numbers they start with, and where their gradients are written."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["gradient_of", "normal_weights", "uniform_weights"]


def gradient_of(parameter: Tensor) -> Tensor:
    """The tensor that holds a parameter's gradient; gradients by hand are added to it in place."""
    gradient = parameter.grad
    assert gradient is not None
    return gradient


def normal_weights(like: Tensor, sigma: float, rng: torch.Generator) -> Tensor:
    """Weights from N(0, sigma^2), in the shape and precision of a tensor.

    Parameters
    ----------
    like : Tensor
    sigma : float
    rng : torch.Generator
        A generator on the CPU, where the weights are drawn.
    """
    return torch.empty(like.shape, dtype=like.dtype).normal_(0, sigma, generator=rng)


def uniform_weights(like: Tensor, fan_in: float, rng: torch.Generator) -> Tensor:
    """Weights from U(-c, c) with c^2 = 1.5 / fan_in, in the shape and precision of a tensor.

    Their variance, 1 / (2 fan_in), lets a layer halve the mean square of what it is shown.

    Parameters
    ----------
    like : Tensor
    fan_in : float
        Inputs of a unit.
    rng : torch.Generator
        A generator on the CPU, where the weights are drawn.
    """
    c = math.sqrt(1.5 / fan_in)
    return torch.rand(like.shape, generator=rng, dtype=like.dtype).mul_(2 * c).sub_(c)
