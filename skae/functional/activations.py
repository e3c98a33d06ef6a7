"""Activations of units, their derivatives, and batch normalisation."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["ACTIVATIONS", "EPS", "SLOPES", "SLOPE_FROM_OUTPUT", "batch_norm", "curvature", "slope"]

EPS = 1e-5
"""What keeps a variance away from 0, and a probability away from 0 and 1."""


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
"""By the name of an activation a: g a'(z), the gradient in z, given the gradient g in a and the value a(z)."""


SLOPE_FROM_OUTPUT = {"identity", "relu", "tanh", "logistic", "leaky_relu"}
"""Activations whose derivative a'(z) is a function of a(z) alone."""


def slope(activation: str, z: Tensor, a: Tensor) -> Tensor:
    """Derivative a'(z) of an activation, given z and a(z). Autograd can differentiate it again."""
    if activation == "logistic":
        return a - a.square()
    if activation == "silu":  # torch's own gradient of it cannot be differentiated again
        s = torch.sigmoid(z)
        return s + a * (1 - s)
    return SLOPES[activation](torch.ones_like(z), z, a)


def curvature(activation: str, z: Tensor, a: Tensor) -> Tensor | None:
    """Second derivative a''(z) of an activation, given z and a(z). None if it is zero, or zero but for corners."""
    if activation in ("identity", "relu", "leaky_relu"):
        return None
    if activation == "tanh":
        return 2 * a * (a.square() - 1)
    if activation == "elu":
        return torch.where(z < 0, a + 1, 0.0)
    if activation == "gelu":
        return (2 - z.square()) * torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
    s = torch.sigmoid(z)
    of_sigmoid = s - s.square()
    if activation == "softplus":
        return of_sigmoid
    twist = 1 - 2 * s
    return of_sigmoid * (twist if activation == "logistic" else torch.addcmul(torch.full_like(z, 2.0), z, twist))


def batch_norm(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """(x - mean) / sqrt(variance + EPS) of each column."""
    return (x - mean) * torch.rsqrt(variance + EPS)
