"""Distances between two sets of rows by a kernel, and how many distinct rows a set has."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["KERNELS", "SCALES", "effective_number", "median_squared_distance", "squared_mmd"]

KERNELS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "imq": lambda squares, scale: scale / (scale + squares),
    "rbf": lambda squares, scale: torch.exp(squares / (-2 * scale)),
}
"""Kernels as functions of squared distances and of a squared length: inverse multiquadratic and Gaussian."""
SCALES = 1 / 64, 1 / 16, 1 / 4, 1.0
"""Squared lengths at which rows are compared, in multiples of their median squared distance."""


def squared_mmd(
    x: Tensor, y: Tensor, scales: Sequence[float], kernel: str = "imq", weight: Tensor | None = None
) -> Tensor:
    """Squared maximum mean discrepancy of two samples, an estimate without bias (Gretton et al., 2012).

    It is E k(x, x') - 2 E k(x, y) + E k(y, y') over pairs of different rows. It is 0 in expectation if both samples
    have the same distribution, so that estimates may be below 0.

    Parameters
    ----------
    x : Tensor of shape (n, width)
    y : Tensor of shape (m, width)
    scales : sequence of float
        Squared lengths. The kernel is the mean of those of the scales, and k(x, x) = 1.
    kernel : {"imq", "rbf"}, default="imq"
        "imq" is s / (s + ||x - y||^2), "rbf" is exp(-||x - y||^2 / 2 s), for a squared length s.
    weight : Tensor of shape (n,) or None, default=None
        Weights of the rows x.

    Returns
    -------
    Tensor of shape ()

    References
    ----------
    Gretton, Borgwardt, Rasch, Schoelkopf and Smola (2012), "A Kernel Two-Sample Test",
    https://jmlr.org/papers/v13/gretton12a.html
    """
    of_x = x.new_ones(len(x)) if weight is None else weight
    of_y = y.new_ones(len(y))
    within = _mean_of_pairs(_kernel(x, x, scales, kernel), of_x) + _mean_of_pairs(_kernel(y, y, scales, kernel), of_y)
    between = of_x @ _kernel(x, y, scales, kernel) @ of_y / (of_x.sum() * of_y.sum())
    return within - 2 * between


def _kernel(x: Tensor, y: Tensor, scales: Sequence[float], kernel: str) -> Tensor:
    squares = _squared_distances(x, y)
    values = [KERNELS[kernel](squares, float(scale)) for scale in scales]
    return torch.stack(values).mean(0) if len(values) > 1 else values[0]


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """||x_i - y_j||^2, of shape (n, m). Its gradient is finite where rows are equal, unlike that of ``torch.cdist``."""
    squares = x.square().sum(1)[:, None] + y.square().sum(1)
    return torch.addmm(squares, x, y.t(), alpha=-2).clamp_min(0)


def _mean_of_pairs(k: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of k(x_i, x_j) over pairs of different rows, where k(x_i, x_i) = 1."""
    own = weight.square().sum()
    return (weight @ k @ weight - own) / (weight.sum().square() - own).clamp_min(1e-30)


def median_squared_distance(x: Tensor) -> float:
    """Median of ||x_i - x_j||^2 over pairs of different rows, and 1 if most rows are equal.

    Parameters
    ----------
    x : Tensor of shape (n, width)
        At least two rows.
    """
    i, j = torch.triu_indices(len(x), len(x), 1, device=x.device)
    found = float(_squared_distances(x, x)[i, j].median())
    return found if found > 0.0 else 1.0


def effective_number(x: Tensor, scales: Sequence[float], kernel: str = "rbf") -> float:
    """How many distinct rows there are: between 1, if all are equal, and n, if all are far from one another.

    It is exp(-sum_i p_i log p_i) for the eigenvalues p of the matrix k(x_i, x_j) / n (Friedman and Dieng, 2023).

    Parameters
    ----------
    x : Tensor of shape (n, width)
    scales, kernel
        As in ``squared_mmd``.

    References
    ----------
    Friedman and Dieng (2023), "The Vendi Score: A Diversity Evaluation Metric for Machine Learning",
    https://arxiv.org/abs/2210.02410
    """
    shares = torch.linalg.eigvalsh(_kernel(x, x, scales, kernel).double() / len(x)).clamp_min(0)
    return float(torch.special.entr(shares).sum().exp())
