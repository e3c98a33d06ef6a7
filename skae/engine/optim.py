"""Parameters and gradients in flat buffers, and optimizers that move all of them or only some parts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from .modes import uninterrupted

__all__ = ["Flat", "Group", "Move", "Optimizer", "Terms", "total"]

EPS = 1e-8
"""What keeps the steps of Adam finite where the gradient is zero."""

Terms: TypeAlias = dict[str, Tensor]
"""Named scalars whose sum is the objective."""


class Move(NamedTuple):
    """The result of a step that moves only some parts of the parameters, or of one of several moves of a step."""

    terms: Terms
    parts: Collection[str] | None = None
    """Name or names of the parts that move. None moves all parts."""
    then: Callable[[], Move] | None = None
    """What follows on the same batch, after these parts have moved, with a gradient that is zero again."""


class Group:
    """The parameters that belong to one part and have the same rate. They are adjacent in the flat buffers.

    Parameters
    ----------
    part : str
        Name of the part.
    rate : float
        Factor of the learning rate.
    span : slice
        Position in the buffers.
    n_decayed : int
        Number of values at the start of the group to which weight decay applies.
    theta, grad : Tensor of shape (n_parameters,)
        The buffers of all parameters and gradients. The group keeps views of them.
    """

    def __init__(self, part: str, rate: float, span: slice, n_decayed: int, theta: Tensor, grad: Tensor) -> None:
        self.part, self.rate, self.span, self.n_decayed = part, rate, span, n_decayed
        self.theta, self.grad = theta[span], grad[span]
        self.decayed, self.decayed_grad = self.theta[:n_decayed], self.grad[:n_decayed]


class Flat:
    """All parameters of a module in one buffer, and their gradients in another. The module holds views of them.

    A parameter may have three attributes, which are set where the module is built. ``part`` names the part that it
    belongs to, "main" by default. ``rate`` is a factor of the learning rate, 1.0 by default. ``decay = False`` exempts
    a matrix from weight decay.

    Parameters with the same part and rate are adjacent and form a group, which one fused call updates. The matrices of
    a group come first, so that weight decay operates on a slice.

    Parameters
    ----------
    module : torch.nn.Module
    """

    def __init__(self, module: nn.Module) -> None:
        parameters = list(module.parameters())
        keys = list(dict.fromkeys(map(_part_and_rate, parameters)))
        parameters.sort(key=lambda p: (keys.index(_part_and_rate(p)), not _decays(p)))
        self.theta = torch.cat([p.detach().reshape(-1) for p in parameters])
        self.grad = torch.zeros_like(self.theta)
        self.module = module
        self.find_buffers()
        self.apart = [
            (owner, name, axis) for owner in module.modules() for name, axis in getattr(owner, "apart", {}).items()
        ]
        """Buffers of which each of several processes has a share: the module, the name and the axis."""
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

    def find_buffers(self) -> None:
        """Look up the buffers of the module, some of which may be other tensors than before."""
        self.buffers = list(self.module.buffers())

    def save(self) -> list[Tensor]:
        """Copy everything that training changes."""
        return [t.clone() for t in (self.theta, *self.buffers)]

    def load(self, saved: list[Tensor]) -> None:
        """Restore a copy that ``save`` made."""
        for target, value in zip((self.theta, *self.buffers), saved, strict=True):
            target.copy_(value)

    def is_finite(self) -> bool:
        """Whether all parameters are finite numbers."""
        return bool(self.theta.isfinite().all())

    def groups_of(self, parts: Collection[str]) -> list[Group]:
        """The groups of the given parts."""
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
    """First-order optimizers on the flat buffers. Their moments are tensors that can be saved.

    The rules are Adam (Kingma and Ba, 2015), AdamW (Loshchilov and Hutter, 2019) and stochastic gradient descent with
    momentum, and L-BFGS (Liu and Nocedal, 1989), which needs all rows at once. Weight decay is an L2 penalty with a
    term of its own, except in AdamW.

    A step may move only some parts of the parameters. The weights and moments of the other parts then do not change.
    Weight decay and the norm of the gradient leave these parts out. L-BFGS moves all parameters together and finds its
    own step length, so it does not use the rates of the groups.
    """

    rule: Literal["adam", "adamw", "sgd", "lbfgs"] = "adam"
    weight_decay: float = 0.0
    momentum: float = 0.9
    max_grad_norm: float | None = None
    beta1: float = 0.9
    """Decay rate of the running mean of the gradient, in "adam" and "adamw"."""
    beta2: float = 0.999
    """Decay rate of the running mean of the squared gradient, in "adam" and "adamw"."""
    moments: dict[str, Tensor] = field(default_factory=dict)
    """Running means in the order of the parameters, and "step", the number of steps of each group."""
    _bound_to: Flat | None = field(default=None, repr=False)
    """The buffers that the solver of "lbfgs" moves."""
    _solver: torch.optim.LBFGS | None = field(default=None, repr=False)
    _viewed: dict[str, Tensor] | None = field(default=None, repr=False)
    _views: dict[Group, list[Tensor]] = field(default_factory=dict, repr=False)
    """The moments of each group, as views of ``_viewed``. They are kept because slicing takes time in every step."""

    def save(self, flat: Flat) -> dict[str, Any]:
        """Copy everything that training changes, as numbers and tensors."""
        moments = {name: moment.clone() for name, moment in self.moments.items()}
        solver = self._solver if self._bound_to is flat else None
        return {"moments": moments, "curvature": None if solver is None else deepcopy(solver.state_dict()["state"])}

    def load(self, saved: dict[str, Any], flat: Flat) -> None:
        """Restore a copy that ``save`` made, perhaps of another optimizer with the same rule, on these buffers."""
        device = flat.theta.device
        self.moments = {name: moment.to(device, copy=True) for name, moment in saved["moments"].items()}
        self._solver = self._bound_to = None
        if saved["curvature"] is not None:
            self._solver, self._bound_to = _solver_of(flat.theta, flat.grad), flat
            self._solver.load_state_dict({**self._solver.state_dict(), "state": deepcopy(saved["curvature"])})

    def prepare(self) -> None:
        """Load what the rule needs, so that training need not."""
        if self.rule == "lbfgs":
            _load_lbfgs()

    def step(self, flat: Flat, evaluate: Callable[[], Terms | Move], rate: float) -> Terms:
        """Evaluate the terms and their gradient, and move the parameters.

        Parameters
        ----------
        flat : Flat
        evaluate : callable
            Adds the gradient to ``flat.grad``. It returns the terms, or a ``Move`` with the terms, the parts that
            move, and what follows.
        rate : float
            Learning rate. Each group multiplies it by its own rate.

        Returns
        -------
        terms : dict of str to Tensor
            The terms, and "weight_decay" if there is an L2 penalty. Of a term of several moves, the last value.

        Raises
        ------
        ValueError
            If a step names a part that has no parameters, or if it names any part or has several moves under "lbfgs".
        """
        if self.rule == "lbfgs":
            return self._lbfgs(flat, evaluate)
        move = self._sgd if self.rule == "sgd" else self._adam
        found: Terms = {}
        for terms, moved in self._moves(flat, evaluate, self._begin):
            for group in moved:
                move(flat, group, rate * group.rate)
            found.update(terms)
        return found

    def gradient(self, flat: Flat, evaluate: Callable[[], Terms | Move]) -> Terms:
        """Compute the terms and the gradient of the objective, including the L2 penalty. Nothing moves.

        If there are several moves, the terms are those of all, and the gradient that of the last.
        """
        moves = self._moves(flat, evaluate, self._clear)
        return {name: term for terms, _ in moves for name, term in terms.items()}

    def _moves(
        self, flat: Flat, evaluate: Callable[[], Terms | Move], begin: Callable[[Flat], None]
    ) -> Iterator[tuple[Terms, list[Group]]]:
        """The terms of each move of a step, and the groups that move, before what follows is evaluated."""
        following: Callable[[], Terms | Move] | None = evaluate
        while following is not None:
            begin(flat)
            terms, moved, following = self._evaluate(flat, following)
            yield terms, moved

    def _clear(self, flat: Flat) -> None:
        """Let the gradient start at zero, and keep the velocity that its buffer may hold."""
        if self._is_velocity(flat.grad):
            self.moments["velocity"] = flat.grad.clone()
        flat.grad.zero_()

    def _begin(self, flat: Flat) -> None:
        """Let the gradient of a step start at zero, or at the velocity times the momentum, to which it is added.

        So the buffer of the gradient is that of the velocity too, which saves two passes over memory in every step.
        It cannot be if only some parts move, or if the gradient is scaled before it is added.
        """
        if self.rule != "sgd" or len(flat.groups) > 1 or self.max_grad_norm is not None:
            flat.grad.zero_()
            return
        if not self._is_velocity(flat.grad):
            velocity = self.moments.get("velocity")
            self.moments["velocity"] = flat.grad.zero_() if velocity is None else flat.grad.copy_(velocity)
        flat.grad.mul_(self.momentum)

    def _is_velocity(self, gradient: Tensor) -> bool:
        """Whether a buffer of the gradient holds the velocity between the steps."""
        return self.moments.get("velocity") is gradient

    def _evaluate(
        self, flat: Flat, evaluate: Callable[[], Terms | Move]
    ) -> tuple[Terms, list[Group], Callable[[], Move] | None]:
        """The terms, the groups that move, and what follows. Gradients are clipped, and weight decay is added."""
        found = evaluate()
        terms, parts, then = found if isinstance(found, Move) else Move(found)
        if self.rule == "lbfgs" and (parts is not None or then is not None):
            raise ValueError(
                "'lbfgs' moves all parameters at once, but a step names the parts that it moves, or has several moves."
            )
        moved = flat.groups if parts is None else flat.groups_of(parts)
        if self.max_grad_norm is not None and self.rule != "lbfgs" and moved:
            _clip([flat.grad] if parts is None else [group.grad for group in moved], self.max_grad_norm)
        if self.weight_decay and self.rule != "adamw" and moved:
            for group in moved:
                group.decayed_grad.add_(group.decayed, alpha=self.weight_decay)
            squares = _sum([group.decayed.square().sum() for group in moved])
            terms = terms and {**terms, "weight_decay": squares * (self.weight_decay / 2)}
        return terms, moved, then

    def _own_moments(self, flat: Flat, group: Group) -> list[Tensor]:
        """Views of the moments of a group. All moments start at zero."""
        if self._viewed is not self.moments:  # the moments have been loaded, or moved to another device
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
        step.add_(1)
        if not flat.has_fused_adam:
            self._plain_adam(group, mean, square, float(step), rate)
            return
        torch._fused_adam_(
            [group.theta],
            [group.grad],
            [mean],
            [square],
            [],
            [step],
            lr=rate,
            beta1=self.beta1,
            beta2=self.beta2,
            weight_decay=0.0,
            eps=EPS,
            amsgrad=False,
            maximize=False,
        )

    def _plain_adam(self, group: Group, mean: Tensor, square: Tensor, step: float, rate: float) -> None:
        """The same on devices for which torch has no kernel."""
        mean.lerp_(group.grad, 1 - self.beta1)
        square.mul_(self.beta2).addcmul_(group.grad, group.grad, value=1 - self.beta2)
        root = (square / (1 - self.beta2**step)).sqrt_().add_(EPS)
        group.theta.addcdiv_(mean, root, value=-rate / (1 - self.beta1**step))

    def _sgd(self, flat: Flat, group: Group, rate: float) -> None:
        velocity = group.grad
        if not self._is_velocity(flat.grad):
            (velocity,) = self._own_moments(flat, group)
            torch.add(group.grad, velocity, alpha=self.momentum, out=velocity)
        group.theta.add_(velocity, alpha=-rate)

    def _lbfgs(self, flat: Flat, evaluate: Callable[[], Terms | Move]) -> Terms:
        if self._solver is None or self._bound_to is not flat:
            self._solver, self._bound_to = _solver_of(flat.theta, flat.grad), flat
        evaluated: list[Terms] = []

        def closure() -> Tensor:
            evaluated.append(self.gradient(flat, evaluate))
            return total(evaluated[-1]).detach()

        self._solver.step(closure)
        return evaluated[0]


def _solver_of(theta: Tensor, grad: Tensor) -> torch.optim.LBFGS:
    parameter = nn.Parameter(theta)
    parameter.grad = grad
    return torch.optim.LBFGS(
        [parameter],
        max_iter=1,
        max_eval=20,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )


@cache
def _load_lbfgs() -> None:
    """Take a step, because torch imports much at the first one. Ctrl-C would leave it half imported for good."""
    with uninterrupted():
        one = torch.ones(1)
        _solver_of(one, one.clone()).step(lambda: one.new_zeros(()))


def _clip(gradients: list[Tensor], most: float) -> None:
    """Scale gradients down, so that the norm of all of them together is at most ``most``."""
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
