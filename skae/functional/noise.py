"""Random numbers: from a generator that is handed over, or common to all rows and calls."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["aside", "common_normal", "dropout_mask", "latin_hypercube", "spawn", "standard_normal"]

COMMON_SEED = 0
"""Seed of the common noise."""
WHITENED = 4
"""Number of draws per column from which on common draws have the identity as their second moment."""
LEAST_QUANTILE = 1e-6
"""What keeps a quantile away from 0 and 1, where that of a normal variable is infinite."""


def spawn(rng: torch.Generator, device: torch.device) -> torch.Generator:
    """A new generator on a device. Another generator draws its seed.

    Parameters
    ----------
    rng : torch.Generator
        The generator that draws the seed.
    device : torch.device

    Returns
    -------
    rng : torch.Generator
    """
    return torch.Generator(device).manual_seed(int(torch.randint(2**62, (), generator=rng, device=rng.device)))


def aside(rng: torch.Generator) -> torch.Generator:
    """A new generator on the same device, whose seed follows from the state of another one, which stays as it is."""
    copy = torch.Generator(rng.device)
    copy.set_state(rng.get_state())
    return spawn(copy, rng.device)


def dropout_mask(x: Tensor, p: float, rng: torch.Generator) -> Tensor:
    """Zero with probability p and 1 / (1 - p) otherwise, in the shape of x."""
    return torch.empty_like(x).bernoulli_(1 - p, generator=rng).div_(1 - p)


def standard_normal(like: Tensor, rng: torch.Generator | None) -> Tensor:
    """Numbers from N(0, 1); without a generator common noise, the same for all rows and in every call.

    A loss that is estimated with common noise is a function of the weights alone, and a row's share of
    it depends on that row alone. But noise that all rows share does not average out over them. So the draws
    have the moments of N(0, 1) as far as their number allows, see ``common_normal``.

    Parameters
    ----------
    like : Tensor of shape (n, width) or (..., n, width)
        Its shape, precision and device are those of the result. Leading axes count draws.
    rng : torch.Generator or None
        A generator on the same device. None asks for common noise.

    Returns
    -------
    Tensor
        A new tensor. Two calls without a generator return equal numbers where draws and width are equal.
    """
    if rng is not None:
        return torch.empty_like(like).normal_(generator=rng)
    *draws, _, width = like.shape
    common = common_normal(math.prod(draws), width).to(like).view(*draws, 1, width)
    return common.expand_as(like).contiguous()


@lru_cache(maxsize=16)
def common_normal(n_draws: int, width: int) -> Tensor:
    """Draws from N(0, I) that stand for all others: their mean is 0 and their variances are 1.

    Half of them are quantiles of a scrambled Sobol sequence (Owen, 1998), and the others are their negatives. If there
    are many more draws than columns, a linear map then makes their second moment the identity. A single draw, or one
    that is too wide for the sequence, comes from a Latin hypercube.

    Parameters
    ----------
    n_draws, width : int

    Returns
    -------
    Tensor of shape (n_draws, width), float64
        On the CPU. Every call returns the same tensor, which must not be changed.
    """
    if n_draws == 1 or width > torch.quasirandom.SobolEngine.MAXDIM:
        quantiles = latin_hypercube(n_draws, width, torch.Generator().manual_seed(COMMON_SEED))
        return torch.special.ndtri(quantiles.double())
    sequence = torch.quasirandom.SobolEngine(width, scramble=True, seed=COMMON_SEED)
    quantiles = sequence.draw(n_draws // 2, dtype=torch.float64).clamp(LEAST_QUANTILE, 1 - LEAST_QUANTILE)
    half = torch.special.ndtri(quantiles)
    z = torch.cat([half, half.new_zeros(n_draws % 2, width), -half])
    if n_draws < WHITENED * width:
        return z / z.square().mean(0).sqrt()
    values, axes = torch.linalg.eigh(z.T @ z / n_draws)
    return z @ (axes / values.sqrt()) @ axes.T


def latin_hypercube(n_draws: int, width: int, rng: torch.Generator) -> Tensor:
    """Numbers in (0, 1) that are spread evenly over each column (McKay, Beckman and Conover, 1979).

    Each of the intervals (0, 1/n), (1/n, 2/n), ... of a column holds one of its n numbers. As quantiles
    they are draws from any distribution, whose means have less variance than those of independent draws.

    Parameters
    ----------
    n_draws, width : int
    rng : torch.Generator
        A generator on the CPU.

    Returns
    -------
    Tensor of shape (n_draws, width), float32
    """
    interval = torch.rand((n_draws, width), generator=rng).argsort(0)
    u = (interval + torch.rand((n_draws, width), generator=rng)) / n_draws
    return u.clamp(LEAST_QUANTILE, 1 - LEAST_QUANTILE)
