"""Likelihoods, activations and noise: pure functions from tensors to tensors.

Losses come back one number an entry, so that the caller can weight entries or rows; sums over
features are in the units of the papers (squared units, or nats), never averaged over columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "ACTIVATIONS",
    "EPS",
    "PENALTIES",
    "SLOPES",
    "SLOPE_FROM_OUTPUT",
    "average",
    "batch_norm",
    "bernoulli_divergence",
    "bernoulli_nll",
    "categorical_nll",
    "dropout_mask",
    "group_log_softmax",
    "group_max",
    "group_sum",
    "mean_squared_error",
    "poisson_nll",
    "slope",
    "squared_error",
    "weighted_average",
]


EPS = 1e-5
"""What keeps a variance, or a probability, away from zero."""


def _identity(x: Tensor) -> Tensor:
    return x


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": _identity,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "gelu": F.gelu,
    "silu": F.silu,
    "elu": F.elu,
    "leaky_relu": F.leaky_relu,
    "softplus": F.softplus,
}


_aten = torch.ops.aten
SLOPES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "identity": lambda g, z, a: g,
    "relu": lambda g, z, a: _aten.threshold_backward.default(g, a, 0),
    "tanh": lambda g, z, a: _aten.tanh_backward.default(g, a),
    "logistic": lambda g, z, a: _aten.sigmoid_backward.default(g, a),
    "gelu": lambda g, z, a: _aten.gelu_backward.default(g, z),
    "silu": lambda g, z, a: _aten.silu_backward.default(g, z),
    "elu": lambda g, z, a: _aten.elu_backward.default(g, 1.0, 1.0, 1.0, False, z),
    "leaky_relu": lambda g, z, a: _aten.leaky_relu_backward.default(g, z, 0.01, False),
    "softplus": lambda g, z, a: _aten.softplus_backward.default(g, z, 1.0, 20.0),
}
"""The gradient before each activation a(z), given the gradient g behind it."""


SLOPE_FROM_OUTPUT = {"identity", "relu", "tanh", "logistic", "leaky_relu"}
"""Activations whose derivative is known from what comes out of them."""


def slope(activation: str, z: Tensor, a: Tensor) -> Tensor:
    """a'(z) of an activation, which can be differentiated once more."""
    if activation == "logistic":
        return a - a.square()
    if activation == "silu":  # torch's fused gradient of it cannot
        s = torch.sigmoid(z)
        return s + a * (1 - s)
    return SLOPES[activation](torch.ones_like(z), z, a)


def average(rows: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean over a batch of a loss a row, sum_i w_i l_i / n.

    Weights are normalised over the whole data, not over the batch, whose own sum can be zero.
    """
    return rows.mean() if weight is None else (rows * weight).mean()


def weighted_average(entries: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean over a batch of a loss an entry, summed over each row, with weights of rows or of entries."""
    if weight is None or weight.ndim == 1:
        return average(entries.sum(1), weight)
    return (entries * weight).sum().div(len(entries))


def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """(x - x_hat)^2: a Gaussian's negative log-likelihood, up to its constants."""
    return (x_hat - x).square()


def mean_squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """``weighted_average(squared_error(x_hat, x))`` in one inner product, twice as fast on small batches."""
    residual = (x_hat - x).reshape(-1)
    return torch.dot(residual, residual).div(len(x))


def bernoulli_nll(logits: Tensor, x: Tensor) -> Tensor:
    """Cross-entropy of x in [0, 1] under independent Bernoulli variables, nats."""
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none")


def poisson_nll(log_rate: Tensor, x: Tensor) -> Tensor:
    """-log p(x) of counts under independent Poisson variables, nats: e^eta - x eta + log x!."""
    return log_rate.exp() - x * log_rate + torch.lgamma(x.clamp_min(0) + 1)


def categorical_nll(logits: Tensor, x: Tensor, member: Tensor, n_groups: int) -> Tensor:
    """Cross-entropy of one-hot groups of columns under a softmax a group, nats."""
    return -(group_log_softmax(logits, member, n_groups) * x)


PENALTIES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "l1": (torch.abs, torch.sign),
    "l2": (torch.square, lambda h: 2 * h),
    "student_t": (lambda h: torch.log1p(h.square()), lambda h: 2 * h / (1 + h.square())),
    "log": (lambda h: torch.log1p(h.abs()), lambda h: h.sign() / (1 + h.abs())),
}
"""What the activation of a unit costs, S(h), and its derivative S'(h)."""


def bernoulli_divergence(rho: float, r: Tensor) -> tuple[Tensor, Tensor]:
    """KL(rho || r) = rho log(rho / r) + (1 - rho) log((1 - rho) / (1 - r)) in nats, and its derivative in r."""
    r = r.clamp(EPS, 1 - EPS)
    value = rho * (math.log(rho) - r.log()) + (1 - rho) * (math.log1p(-rho) - torch.log1p(-r))
    return value, (1 - rho) / (1 - r) - rho / r


def group_log_softmax(logits: Tensor, member: Tensor, n_groups: int) -> Tensor:
    """Log-softmax within groups of columns of any sizes, all groups at once.

    Parameters
    ----------
    logits : Tensor of shape (n, n_columns)
    member : LongTensor of shape (n_columns,)
        The group of each column.
    n_groups : int
    """
    with torch.no_grad():  # the shift cancels, and so does its gradient
        largest = group_max(logits, member, n_groups)
    z = logits - largest[:, member]
    return z - group_sum(z.exp(), member, n_groups).log()[:, member]


def group_max(x: Tensor, member: Tensor, n_groups: int) -> Tensor:
    """Greatest of the columns of each group, of shape (n, n_groups)."""
    lowest = x.new_full((len(x), n_groups), -torch.inf)
    return lowest.scatter_reduce(1, member.expand_as(x), x, "amax")


def group_sum(x: Tensor, member: Tensor, n_groups: int) -> Tensor:
    """Sum of the columns of each group, of shape (n, n_groups)."""
    return x.new_zeros((len(x), n_groups)).index_add(1, member, x)


def dropout_mask(x: Tensor, p: float, rng: torch.Generator) -> Tensor:
    """Zero with probability p and 1 / (1 - p) otherwise, in the shape of x."""
    return torch.empty_like(x).bernoulli_(1 - p, generator=rng).div_(1 - p)


def batch_norm(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """(x - mean) / sqrt(variance + EPS) of each column."""
    return (x - mean) * torch.rsqrt(variance + EPS)
