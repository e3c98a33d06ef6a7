"""Distances between two sets of rows by a kernel, and how many distinct rows a set has."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["KERNELS", "SCALES", "effective_number", "median_squared_distance", "squared_distances", "squared_mmd"]

KERNELS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "imq": lambda squares, scale: (squares / scale).add_(1).reciprocal_(),
    "rbf": lambda squares, scale: (squares / (-2 * scale)).exp_(),
}
"""Kernels as functions of squared distances and of a squared length: inverse multiquadratic and Gaussian."""
SCALES = 1 / 64, 1 / 16, 1 / 4, 1.0
"""Squared lengths at which rows are compared, in multiples of their median squared distance."""
N_MEASURED = 128
"""Rows among which the median distance is measured."""
LEAST_REST = 1e-5
"""Share of the pairs of different rows, by their weights, below which a single row has all the weight."""


def squared_mmd(
    x: Tensor, y: Tensor, scales: Sequence[float], kernel: str = "imq", weight: Tensor | None = None
) -> Tensor:
    """Squared maximum mean discrepancy of two samples, an estimate without bias (Gretton et al., 2012).

    It is E k(x, x') - 2 E k(x, y) + E k(y, y') over pairs of different rows. It is 0 in expectation if both samples
    have the same distribution, so that estimates may be below 0. It needs two rows of positive weight in each sample,
    and is 0 where there are fewer.

    A row of weight 2 counts as two rows between x and y. Within x it does not, because two equal rows would be a pair.

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
    of_x, of_y = shares(x, weight), shares(y)
    within = _mean_of_pairs(_kernel(x, x, scales, kernel), of_x) + _mean_of_pairs(_kernel(y, y, scales, kernel), of_y)
    between = of_x @ _kernel(x, y, scales, kernel) @ of_y
    is_known = (rest_of(of_x) > LEAST_REST) & (rest_of(of_y) > LEAST_REST)
    return (within - 2 * between) * is_known


def shares(x: Tensor, weight: Tensor | None = None) -> Tensor:
    """Weights of the rows x, divided by their sum. Without weights all are equal."""
    if weight is None:
        return x.new_full((len(x),), 1 / max(1, len(x)))
    return weight / weight.sum().clamp_min(torch.finfo(weight.dtype).tiny)


def rest_of(share: Tensor) -> Tensor:
    """Share of the pairs of different rows among all pairs, of shape (). It is 0 if a single row has all the weight."""
    total = share.sum()
    return total.square() - share.square().sum()


def _kernel(x: Tensor, y: Tensor, scales: Sequence[float], kernel: str) -> Tensor:
    squares = squared_distances(x, y)
    share = 1 / len(scales)
    first, *others = (KERNELS[kernel](squares, float(scale)) for scale in scales)
    total = first * share
    for values in others:
        total.add_(values, alpha=share)  # in place, because new memory takes longer than the sum
    return total


def squared_distances(x: Tensor, y: Tensor | None = None) -> Tensor:
    """||x_i - y_j||^2, of shape (n, m), at least 0. Without y, the rows are those of x.

    Its gradient is finite where rows are equal, unlike that of ``torch.cdist``.
    """
    y = x if y is None else y
    squares = x.square().sum(1)[:, None] + y.square().sum(1)
    return torch.addmm(squares, x, y.t(), alpha=-2).clamp_min_(0)


def _mean_of_pairs(k: Tensor, share: Tensor) -> Tensor:
    """Weighted mean of k(x_i, x_j) over pairs of different rows."""
    different = k.masked_fill(torch.eye(len(k), dtype=torch.bool, device=k.device), 0.0)
    return share @ different @ share / rest_of(share).clamp_min(LEAST_REST)


def median_squared_distance(x: Tensor) -> float:
    """Median of ||x_i - x_j||^2 over pairs of different rows, and 1 if most rows are equal.

    Of many rows it is that of 128 evenly spaced ones.

    Parameters
    ----------
    x : Tensor of shape (n, width)
    """
    some = x[:: max(1, -(-len(x) // N_MEASURED))]
    n = len(some)
    if n < 2:
        return 1.0
    found = squared_distances(some)
    # The n distances of rows to themselves are the smallest, and each pair is there twice.
    median = float(found.fill_diagonal_(-1.0).flatten().kthvalue(n + (n * (n - 1) + 1) // 2).values)
    return median if median > 0.0 else 1.0


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
