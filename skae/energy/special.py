"""Special functions of units: softplus, its integral, its sums over steps, Gauss's quadratures, and tossed coins."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

__all__ = [
    "coins",
    "gauss_hermite",
    "gauss_legendre",
    "logistic",
    "softplus",
    "softplus_integral",
    "stepped_mean",
    "stepped_softplus",
]

C1, C2, C3, C4 = -1 / 24, 7 / 5760, -31 / 967680, 127 / 154828800
"""Coefficients of the error of the midpoint rule (Euler and Maclaurin), before derivatives where the sum begins."""


def softplus(f: Tensor) -> Tensor:
    """Return log(1 + e^f): faster than torch's, and to the last bit the same wherever f stands in its tensor."""
    size = f.abs()
    return torch.log1p(torch.exp(-size)) + (f + size) / 2


def logistic(f: Tensor) -> Tensor:
    """Return 1 / (1 + e^-f): to the last bit the same wherever f stands in its tensor, unlike ``torch.sigmoid``.

    Below -80, where e^-f comes near the end of float32, f counts as -80. Otherwise the gradient would be NaN.
    """
    return 1 / (1 + torch.exp(-f.clamp_min(-80)))


def stepped_softplus(f: Tensor) -> Tensor:
    """Sum of softplus(f - 1/2), softplus(f - 3/2), ... to seven digits, by the midpoint rule and its error."""
    y = logistic(f)
    p = y * (1 - y)
    steps = p * (1 - 2 * y) * (C2 + C3 + C4 + p * (-12 * C3 - 60 * C4 + p * 360 * C4))
    return softplus_integral(f) + C1 * y + steps


def stepped_mean(f: Tensor, y: Tensor) -> Tensor:
    """Derivative of ``stepped_softplus``, given y = sigmoid(f)."""
    p = y * (1 - y)
    high = 120 * C3 + 1680 * C4 - p * 5040 * C4
    return softplus(f) + p * (C1 + C2 + C3 + C4 + p * (-6 * C2 - 30 * C3 - 126 * C4 + p * high))


def softplus_integral(f: Tensor) -> Tensor:
    """Integral of softplus from minus infinity to f, which is the dilogarithm -Li_2(-e^f).

    For f <= 0 it is the integral of log(1 + t e^f) / t over t in [0, 1], which Gauss's quadrature gives to
    the last digit. For f > 0 it follows from the value at -f.
    """
    t, weight = (q.to(f) for q in gauss_legendre(12))
    below = torch.where(f > 0, -f, f)
    area = sum(w / at * torch.log1p(at * below.exp()) for at, w in zip(t.unbind(), weight.unbind(), strict=True))
    return torch.where(f > 0, f.square() / 2 + math.pi**2 / 6 - area, area)


@lru_cache
def gauss_legendre(n: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of Gauss's quadrature on [0, 1] (Golub and Welsch, 1969)."""
    k = torch.arange(1, n, dtype=torch.float64)
    nodes, vectors = torch.linalg.eigh(torch.diag(k / (4 * k.square() - 1).sqrt(), 1), UPLO="U")
    return (nodes + 1) / 2, vectors[0].square()


@lru_cache
def gauss_hermite(n: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of Gauss's quadrature for expectations under N(0, 1)."""
    k = torch.arange(1, n, dtype=torch.float64)
    nodes, vectors = torch.linalg.eigh(torch.diag(k.sqrt(), 1), UPLO="U")
    return nodes, vectors[0].square()


def coins(p: Tensor, rng: torch.Generator) -> Tensor:
    """Return 1 with probability p and else 0, in half of the time that a random number for each entry takes.

    A coin falls by 16 bits of its own and 8 bits of its column, which together are a number in [0, 1) with 24 bits.
    So each row has the law of independent coins, as 24 bits tell it. Coins of a column depend on each other through
    their last 8 bits: the probability of a pair differs from the product by 2^-34 at most.

    Parameters
    ----------
    p : Tensor of shape (n, width) on the CPU
    rng : torch.Generator
    """
    bits = torch.empty(-(-p.numel() // 4), dtype=torch.int64).random_(-(2**63), None, generator=rng)
    own = bits.view(torch.int16)[: p.numel()].view(p.shape)
    shared = torch.empty(p.shape[-1], dtype=p.dtype).random_(0, 256, generator=rng)
    reach = torch.add(shared.mul_(-1 / 256).sub_(2**15), p, alpha=2**16)
    return torch.gt(reach, own, out=reach)
