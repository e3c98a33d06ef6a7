"""Penalties that make the code sparse: what each activation of a unit costs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["PENALTIES"]

PENALTIES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "l1": (torch.abs, torch.sign),
    "l2": (torch.square, lambda h: 2 * h),
    "student_t": (lambda h: torch.log1p(h.square()), lambda h: 2 * h / (1 + h.square())),
    "log": (lambda h: torch.log1p(h.abs()), lambda h: h.sign() / (1 + h.abs())),
}
"""By name: the cost S(h) of an activation h, and its derivative S'(h)."""
