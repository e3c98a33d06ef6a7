"""The mean of a kernel over N(0, I), without draws, and the distance of rows to N(0, I) by it.

For both kernels the mean is sum_q w_q exp(-v_q ||h||^2 / 2), with few numbers w and v that depend on the width of h
and on the scales. For "rbf" that is the convolution of two normal densities. The kernel "imq" is a mixture of those
of "rbf", s / (s + D) = int_0^inf s exp(-t s) exp(-t D) dt, over whose widths a quadrature goes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from .kernels import LEAST_REST, rest_of, shares, squared_distances

__all__ = ["normal_embedding", "squared_mmd_to_normal"]

STEP = 0.5
"""Of the quadrature, in log(v / (1 - v)). Its error is below 1e-6."""
LEAST_MASS, MOST_EXPONENT = 1e-7, 50.0
"""Where the quadrature begins and ends."""
N_VALUES = 2**20
"""Numbers in a block of kernel values."""


def normal_embedding(
    width: int,
    scales: tuple[float, ...],
    kernel: str = "imq",
) -> tuple[Tensor, Tensor]:
    """Numbers w and v with E k(h, z) = sum_q w_q exp(-v_q ||h||^2 / 2) over z from N(0, I).

    Parameters
    ----------
    width : int
        Number d of components of h.
    scales : tuple of float
        As in ``squared_mmd``.
    kernel : {"imq", "rbf"}, default="imq"
        For "rbf", v = 1 / (1 + s) and w = (s / (1 + s))^(d / 2). For "imq" the integral over t is taken in
        v = 2 t / (1 + 2 t), which lies between 0 and 1.

    Returns
    -------
    w, v : Tensor of shape (n_terms,), float64

    Examples
    --------
    >>> w, v = normal_embedding(3, (1.0,), "rbf")
    >>> w, v  # (1/2)^(3/2) exp(-||h||^2 / 4)
    (tensor([0.3536], dtype=torch.float64), tensor([0.5000], dtype=torch.float64))
    """
    s = torch.tensor(scales, dtype=torch.float64)
    if kernel == "rbf":
        v = 1 / (1 + s)
        w = (s * v) ** (width / 2)
    else:
        first = torch.log(LEAST_MASS / s.max().clamp_min(1.0))
        last = torch.log(2 * MOST_EXPONENT / s.min().clamp_max(1.0))
        odds = torch.arange(float(first), float(last), STEP, dtype=torch.float64).exp()  # v / (1 - v) = 2 t
        v = odds / (1 + odds)
        of_scales = s[:, None] / 2 * torch.exp(-s[:, None] * odds / 2)
        w = of_scales.sum(0) * STEP * odds * (1 + odds) ** (-width / 2)
    return w / len(s), v


class _Constants(NamedTuple):
    """What depends on the width and on the kernel alone."""

    s: Tensor
    """The scales, of shape (n_scales, 1, 1)."""
    of_value: Tensor
    """The kernel is the sum of the numbers k that ``_blocks`` computes of the scales, times these."""
    of_slope: Tensor
    """The same of its slope in the squared distance, and of k for "rbf" or k^2 for "imq"."""
    w: Tensor
    v: Tensor
    rate: Tensor
    """-v / 2."""
    of_prior: Tensor
    """E k(z, z') over two draws from N(0, I)."""


@lru_cache(maxsize=64)
def _constants(
    width: int, scales: tuple[float, ...], kernel: str, dtype: torch.dtype, device: torch.device
) -> _Constants:
    w, v = normal_embedding(width, scales, kernel)
    s = torch.tensor(scales, dtype=torch.float64)
    of_value = torch.full_like(s, 1 / len(s)) if kernel == "rbf" else s / len(s)
    of_slope = -of_value / (2 * s) if kernel == "rbf" else -of_value
    of_prior = w @ (1 + v) ** (-width / 2)
    found = s[:, None, None], of_value, of_slope, w, v, v / -2, of_prior
    return _Constants(*(t.to(device, dtype) for t in found))


@torch.no_grad()
def squared_mmd_to_normal(
    h: Tensor, scales: tuple[float, ...], kernel: str = "imq", weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Squared maximum mean discrepancy of rows to N(0, I), an estimate without bias, and its gradient.

    It is what ``squared_mmd`` to more and more draws from N(0, I) tends to. It needs two rows of positive weight. The
    distance and the gradient are 0 where there are fewer.

    Parameters
    ----------
    h : Tensor of shape (n, width)
    scales : tuple of float
        As in ``squared_mmd``.
    kernel : {"imq", "rbf"}, default="imq"
    weight : Tensor of shape (n,) or None, default=None
        Weights of the rows.

    Returns
    -------
    distance : Tensor of shape ()
    gradient : Tensor of shape (n, width)
        Of the distance in h.
    """
    share = shares(h, weight)
    rest = rest_of(share)
    known = rest > LEAST_REST
    per_rest = known / rest.clamp_min(LEAST_REST)
    c = _constants(h.shape[1], scales, kernel, h.dtype, h.device)

    within, slope = _sums_over_others(h, c, kernel, torch.cat([share[:, None], share[:, None] * h], 1))
    bells = torch.exp(h.square().sum(1, keepdim=True) * c.rate)
    outward = (bells @ (c.w * c.v))[:, None] * known
    distance = torch.dot(share, within * per_rest - (bells @ c.w) * (2 * known)) + c.of_prior * known
    toward = slope * (2 * per_rest)
    return distance, (outward.add_(toward[:, :1]) * h - toward[:, 1:]) * (2 * share[:, None])


def _sums_over_others(h: Tensor, c: _Constants, kernel: str, weighted: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over all rows j but i: of share_j k(h_i, h_j), and of share_j [1 | h_j] k', the slope in ||h_i - h_j||^2.

    ``weighted`` are the numbers share_j [1 | h_j].
    """
    size = max(1, N_VALUES // max(1, len(c.s) * len(h)))
    blocks = [_block(h, i, min(i + size, len(h)), c, kernel, weighted) for i in range(0, len(h), size)]
    if len(blocks) == 1:
        return blocks[0]
    of_value, of_slope = zip(*blocks, strict=True)
    return torch.cat(of_value), torch.cat(of_slope)


def _block(h: Tensor, start: int, stop: int, c: _Constants, kernel: str, weighted: Tensor) -> tuple[Tensor, Tensor]:
    """The sums of the rows i from ``start`` to ``stop``."""
    squares = squared_distances(h[start:stop], h)
    k = (squares / (-2 * c.s)).exp_() if kernel == "rbf" else (squares + c.s).reciprocal_()
    k[:, :, start:stop].diagonal(dim1=1, dim2=2).zero_()
    flat = k.flatten(1)
    value = (c.of_value @ flat).view_as(squares) @ weighted[:, 0]
    slope = (c.of_slope @ (flat if kernel == "rbf" else flat.square_())).view_as(squares) @ weighted
    return value, slope
