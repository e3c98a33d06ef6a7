"""Flat buffers of parameters and gradients, and the rules that move them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

__all__ = ["Flat", "Optimizer", "Terms", "total"]

Terms: TypeAlias = dict[str, Tensor]
"""Named scalars whose sum is the objective."""


class Flat:
    """A module's parameters in one buffer and their gradients in another; the module holds views.

    One fused call updates them all, one copy keeps them. Matrices come first, so that weight decay
    is an operation on a slice; a parameter with an attribute ``decay = False`` goes behind them.
    """

    def __init__(self, module: nn.Module) -> None:
        parameters = sorted(module.parameters(), key=lambda p: not _decays(p))
        self.theta = torch.cat([p.detach().reshape(-1) for p in parameters])
        self.grad = torch.zeros_like(self.theta)
        self.n_decayed = sum(p.numel() for p in parameters if _decays(p))
        self.count = torch.zeros((), device=self.theta.device)
        self.buffers = list(module.buffers())
        start = 0
        for p in parameters:
            stop = start + p.numel()
            p.data = self.theta[start:stop].view_as(p)
            p.grad = self.grad[start:stop].view_as(p)
            start = stop

    def save(self) -> list[Tensor]:
        """A copy of all that training changes."""
        return [t.clone() for t in (self.theta, *self.buffers)]

    def load(self, saved: list[Tensor]) -> None:
        """Put a copy back in place."""
        for target, value in zip((self.theta, *self.buffers), saved, strict=True):
            target.copy_(value)


def _decays(parameter: Tensor) -> bool:
    return parameter.ndim > 1 and getattr(parameter, "decay", True)


@dataclass
class Optimizer:
    """First-order rules on the flat buffers; their moments are tensors that can be saved.

    Adam (Kingma and Ba, 2015), AdamW (Loshchilov and Hutter, 2019) and stochastic gradient descent
    with momentum; L-BFGS (Liu and Nocedal, 1989) for all rows at once. Weight decay is an L2 penalty
    and a term of its own, except in AdamW.
    """

    rule: Literal["adam", "adamw", "sgd", "lbfgs"] = "adam"
    weight_decay: float = 0.0
    momentum: float = 0.9
    max_grad_norm: float | None = None
    moments: dict[str, Tensor] = field(default_factory=dict)
    _bound_to: Flat | None = field(default=None, repr=False)

    def step(self, flat: Flat, evaluate: Callable[[], Terms], rate: float) -> Terms:
        """Evaluate the terms and their gradient, and move the parameters."""
        if self.rule == "lbfgs":
            return self._lbfgs(flat, evaluate)
        terms = self.gradient(flat, evaluate)
        with torch.no_grad():
            (self._sgd if self.rule == "sgd" else self._adam)(flat, rate)
        return terms

    def gradient(self, flat: Flat, evaluate: Callable[[], Terms]) -> Terms:
        """Terms and gradient of the objective, of which an L2 penalty is a term too."""
        flat.grad.zero_()
        terms = evaluate()
        if self.max_grad_norm is not None and self.rule != "lbfgs":
            norm = flat.grad.norm()
            flat.grad.mul_((self.max_grad_norm / (norm + 1e-12)).clamp_max(1.0))
        if self.weight_decay and self.rule != "adamw":
            weights = flat.theta[: flat.n_decayed]
            flat.grad[: flat.n_decayed].add_(weights, alpha=self.weight_decay)
            terms = terms and {**terms, "weight_decay": weights.square().sum() * (self.weight_decay / 2)}
        return terms

    def _moment(self, name: str, like: Tensor) -> Tensor:
        if name not in self.moments:
            self.moments[name] = torch.zeros_like(like)
        return self.moments[name]

    def _adam(self, flat: Flat, rate: float) -> None:
        if self.weight_decay and self.rule == "adamw":
            flat.theta[: flat.n_decayed].mul_(1 - rate * self.weight_decay)
        adam(
            [flat.theta],
            [flat.grad],
            [self._moment("mean", flat.theta)],
            [self._moment("square", flat.theta)],
            [],
            [self._moment("step", flat.count)],
            fused=flat.theta.device.type in {"cpu", "cuda"},
            foreach=False,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )

    def _sgd(self, flat: Flat, rate: float) -> None:
        velocity = self._moment("velocity", flat.theta)
        torch.add(flat.grad, velocity, alpha=self.momentum, out=velocity)
        flat.theta.add_(velocity, alpha=-rate)

    def _lbfgs(self, flat: Flat, evaluate: Callable[[], Terms]) -> Terms:
        if self._bound_to is not flat:
            theta = nn.Parameter(flat.theta)
            theta.grad = flat.grad
            self._solver = torch.optim.LBFGS(
                [theta],
                max_iter=1,
                max_eval=20,
                tolerance_grad=0.0,
                tolerance_change=0.0,
                line_search_fn="strong_wolfe",
            )
            self._bound_to = flat
        evaluated: list[Terms] = []

        def closure() -> Tensor:
            evaluated.append(self.gradient(flat, evaluate))
            return total(evaluated[-1]).detach()

        self._solver.step(closure)
        return evaluated[0]


def total(terms: Terms) -> Tensor:
    """Sum of the terms."""
    first, *others = terms.values()
    return sum(others, start=first)
