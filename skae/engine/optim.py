"""Flat buffers of parameters and gradients, and the rules that move them, all at once or part by part."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

__all__ = ["Flat", "Group", "Move", "Optimizer", "Terms", "total"]

Terms: TypeAlias = dict[str, Tensor]
"""Named scalars whose sum is the objective."""


class Move(NamedTuple):
    """What a step returns if only some parts of the parameters are to move."""

    terms: Terms
    parts: Collection[str] | None = None
    """Name or names of the parts that move; None moves all."""


class Group:
    """The parameters of one part that have one rate: neighbours in the flat buffers.

    Parameters
    ----------
    part : str
        Name of the part.
    rate : float
        Multiple of the learning rate.
    span : slice
        Place in the buffers.
    n_decayed : int
        Numbers at the start of the group that weight decay pulls to zero.
    theta, grad : Tensor of shape (n_parameters,)
        The buffers, of which views are kept.
    """

    def __init__(self, part: str, rate: float, span: slice, n_decayed: int, theta: Tensor, grad: Tensor) -> None:
        self.part, self.rate, self.span, self.n_decayed = part, rate, span, n_decayed
        self.theta, self.grad = theta[span], grad[span]
        self.decayed, self.decayed_grad = self.theta[:n_decayed], self.grad[:n_decayed]


class Flat:
    """A module's parameters in one buffer and their gradients in another; the module holds views.

    A parameter may have three attributes, set where the module is built: ``part``, the name of the
    part that it belongs to ("main" without it); ``rate``, a multiple of the learning rate (1.0); and
    ``decay = False``, which spares a matrix from weight decay. Parameters of one part and one rate
    lie side by side and are a group, which one fused call updates. Matrices come first in their
    group, so that weight decay is an operation on a slice.
    """

    def __init__(self, module: nn.Module) -> None:
        parameters = list(module.parameters())
        keys = list(dict.fromkeys(map(_part_and_rate, parameters)))
        parameters.sort(key=lambda p: (keys.index(_part_and_rate(p)), not _decays(p)))
        self.theta = torch.cat([p.detach().reshape(-1) for p in parameters])
        self.grad = torch.zeros_like(self.theta)
        self.buffers = list(module.buffers())
        self.groups: list[Group] = []
        start = 0
        for key, members in groupby(parameters, _part_and_rate):
            first, n_decayed = start, 0
            for p in members:
                stop = start + p.numel()
                p.data = self.theta[start:stop].view_as(p)
                p.grad = self.grad[start:stop].view_as(p)
                n_decayed += p.numel() if _decays(p) else 0
                start = stop
            self.groups.append(Group(*key, slice(first, start), n_decayed, self.theta, self.grad))
        self.parts = {group.part for group in self.groups}
        self.has_fused_adam = self.theta.device.type in {"cpu", "cuda"}

    def save(self) -> list[Tensor]:
        """A copy of all that training changes."""
        return [t.clone() for t in (self.theta, *self.buffers)]

    def load(self, saved: list[Tensor]) -> None:
        """Put a copy back in place."""
        for target, value in zip((self.theta, *self.buffers), saved, strict=True):
            target.copy_(value)

    def groups_of(self, parts: Collection[str]) -> list[Group]:
        """The groups of some parts."""
        names = {parts} if isinstance(parts, str) else set(parts)
        if not names <= self.parts:
            raise ValueError(
                f"A step moves the part {min(names - self.parts)!r}, which no parameter belongs to: "
                f"the parts are {sorted(self.parts)}."
            )
        return [group for group in self.groups if group.part in names]


def _part_and_rate(parameter: Tensor) -> tuple[str, float]:
    return getattr(parameter, "part", "main"), float(getattr(parameter, "rate", 1.0))


def _decays(parameter: Tensor) -> bool:
    return parameter.ndim > 1 and getattr(parameter, "decay", True)


@dataclass
class Optimizer:
    """First-order rules on the flat buffers; their moments are tensors that can be saved.

    Adam (Kingma and Ba, 2015), AdamW (Loshchilov and Hutter, 2019) and stochastic gradient descent
    with momentum; L-BFGS (Liu and Nocedal, 1989) for all rows at once. Weight decay is an L2 penalty
    and a term of its own, except in AdamW.

    A step may move some parts of the parameters only. The weights and the moments of the others then
    stay as they are, and weight decay and the norm of the gradient leave them out. L-BFGS moves all
    parameters together and finds its own step length, so the rates of the groups are not used.
    """

    rule: Literal["adam", "adamw", "sgd", "lbfgs"] = "adam"
    weight_decay: float = 0.0
    momentum: float = 0.9
    max_grad_norm: float | None = None
    beta1: float = 0.9
    """Decay of the running mean of the gradient in "adam" and "adamw"."""
    beta2: float = 0.999
    """Decay of the running mean of its square."""
    moments: dict[str, Tensor] = field(default_factory=dict)
    """Running means in the order of the parameters, and "step", the number of steps of each group."""
    _bound_to: Flat | None = field(default=None, repr=False)
    _viewed: dict[str, Tensor] | None = field(default=None, repr=False)
    _views: dict[Group, list[Tensor]] = field(default_factory=dict, repr=False)
    """Views of ``_viewed``, the moments of each group: to cut them in every step would take time."""

    def step(self, flat: Flat, evaluate: Callable[[], Terms | Move], rate: float) -> Terms:
        """Evaluate the terms and their gradient, and move the parameters.

        Parameters
        ----------
        flat : Flat
        evaluate : callable
            Adds the gradient to ``flat.grad`` and returns the terms, or a ``Move`` with the terms
            and the parts that move.
        rate : float
            Learning rate; that of a group is a multiple of it.

        Returns
        -------
        terms : dict of str to Tensor
            With "weight_decay", if there is such a penalty.

        Raises
        ------
        ValueError
            If a part is named that no parameter belongs to, or any part under "lbfgs".
        """
        if self.rule == "lbfgs":
            return self._lbfgs(flat, evaluate)
        terms, moved = self._evaluate(flat, evaluate)
        move = self._sgd if self.rule == "sgd" else self._adam
        with torch.no_grad():
            for group in moved:
                move(flat, group, rate * group.rate)
        return terms

    def gradient(self, flat: Flat, evaluate: Callable[[], Terms | Move]) -> Terms:
        """Terms and gradient of the objective, of which an L2 penalty is a term too."""
        return self._evaluate(flat, evaluate)[0]

    def _evaluate(self, flat: Flat, evaluate: Callable[[], Terms | Move]) -> tuple[Terms, list[Group]]:
        """Terms, and the groups that move; their gradient is clipped and has the weight decay added."""
        flat.grad.zero_()
        found = evaluate()
        terms, parts = found if isinstance(found, Move) else (found, None)
        if parts is not None and self.rule == "lbfgs":
            raise ValueError("'lbfgs' moves all parameters at once, but a step names the parts that it moves.")
        moved = flat.groups if parts is None else flat.groups_of(parts)
        if self.max_grad_norm is not None and self.rule != "lbfgs" and moved:
            _clip([flat.grad] if parts is None else [group.grad for group in moved], self.max_grad_norm)
        if self.weight_decay and self.rule != "adamw" and moved:
            for group in moved:
                group.decayed_grad.add_(group.decayed, alpha=self.weight_decay)
            squares = _sum([group.decayed.square().sum() for group in moved])
            terms = terms and {**terms, "weight_decay": squares * (self.weight_decay / 2)}
        return terms, moved

    def _own_moments(self, flat: Flat, group: Group) -> list[Tensor]:
        """Views of the moments of a group; all moments start at zero."""
        if self._viewed is not self.moments:  # they have been loaded, or moved to another device
            self._viewed, self._views = self.moments, {}
        views = self._views.get(group)
        if views is None:
            views = self._views[group] = self._cut(flat, group)
        return views

    def _cut(self, flat: Flat, group: Group) -> list[Tensor]:
        names = ("velocity",) if self.rule == "sgd" else ("mean", "square")
        views = [self.moments.setdefault(name, torch.zeros_like(flat.theta))[group.span] for name in names]
        if self.rule == "sgd":
            return views
        counts = self.moments.setdefault("step", torch.zeros(len(flat.groups), device=flat.theta.device))
        return [*views, counts.view(-1)[flat.groups.index(group)]]  # older pickles hold a single number

    def _adam(self, flat: Flat, group: Group, rate: float) -> None:
        if self.weight_decay and self.rule == "adamw":
            group.decayed.mul_(1 - rate * self.weight_decay)
        mean, square, step = self._own_moments(flat, group)
        adam(
            [group.theta],
            [group.grad],
            [mean],
            [square],
            [],
            [step],
            fused=flat.has_fused_adam,
            foreach=False,
            amsgrad=False,
            beta1=self.beta1,
            beta2=self.beta2,
            lr=rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )

    def _sgd(self, flat: Flat, group: Group, rate: float) -> None:
        (velocity,) = self._own_moments(flat, group)
        torch.add(group.grad, velocity, alpha=self.momentum, out=velocity)
        group.theta.add_(velocity, alpha=-rate)

    def _lbfgs(self, flat: Flat, evaluate: Callable[[], Terms | Move]) -> Terms:
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


def _clip(gradients: list[Tensor], most: float) -> None:
    """Scale gradients down to a norm, which is that of all of them together."""
    norm = (gradients[0] if len(gradients) == 1 else torch.cat(gradients)).norm()
    factor = (most / (norm + 1e-12)).clamp_max(1.0)
    for gradient in gradients:
        gradient.mul_(factor)


def total(terms: Terms) -> Tensor:
    """Sum of the terms."""
    return _sum(list(terms.values()))


def _sum(tensors: list[Tensor]) -> Tensor:
    first, *others = tensors
    return sum(others, start=first)
