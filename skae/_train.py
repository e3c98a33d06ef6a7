"""minimise(): the only training loop.

It asks two things. Data has a length and hands out a batch for an index. A step leaves gradients in
the module's buffers and returns named terms, whose sum is the objective. What is in a batch, how the
gradients come about (back-propagation, Gibbs sampling, several losses in turn) and what the terms
mean is not known here.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from ._data import Source, Subset

__all__ = [
    "Flat",
    "NonFiniteLossError",
    "Optimizer",
    "Outcome",
    "Plan",
    "Terms",
    "backward",
    "hold_out",
    "joined",
    "minimise",
]

Terms = dict[str, Tensor]


class NonFiniteLossError(ValueError):
    """A loss became NaN or infinite."""


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
    with momentum. Weight decay is added to the gradient, except in AdamW.
    """

    rule: Literal["adam", "adamw", "sgd", "lbfgs"] = "adam"
    weight_decay: float = 0.0
    momentum: float = 0.9
    max_grad_norm: float | None = None
    moments: dict[str, Tensor] = field(default_factory=dict)

    def step(self, flat: Flat, evaluate: Callable[[], Terms], rate: float) -> Terms:
        """Evaluate the terms and their gradient, and move the parameters."""
        if self.rule == "lbfgs":
            return self._lbfgs(flat, evaluate)
        flat.grad.zero_()
        terms = evaluate()
        with torch.no_grad():
            self._decay(flat, rate)
            if self.max_grad_norm is not None:
                norm = flat.grad.norm()
                flat.grad.mul_((self.max_grad_norm / (norm + 1e-12)).clamp_max(1.0))
            (self._sgd if self.rule == "sgd" else self._adam)(flat, rate)
        return terms

    def _decay(self, flat: Flat, rate: float) -> None:
        if self.weight_decay:
            weights = flat.theta[: flat.n_decayed]
            if self.rule == "adamw":
                weights.mul_(1 - rate * self.weight_decay)
            else:
                flat.grad[: flat.n_decayed].add_(weights, alpha=self.weight_decay)

    def _moment(self, name: str, like: Tensor) -> Tensor:
        if name not in self.moments:
            self.moments[name] = torch.zeros_like(like)
        return self.moments[name]

    def _adam(self, flat: Flat, rate: float) -> None:
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
        velocity.mul_(self.momentum).add_(flat.grad)
        flat.theta.add_(velocity, alpha=-rate)

    def _lbfgs(self, flat: Flat, evaluate: Callable[[], Terms]) -> Terms:
        if not hasattr(self, "_solver"):
            theta = nn.Parameter(flat.theta)
            theta.grad = flat.grad
            self._solver = torch.optim.LBFGS([theta], max_iter=1, max_eval=20, line_search_fn="strong_wolfe")
        before: list[Terms] = []

        def closure() -> Tensor:
            flat.grad.zero_()
            terms = evaluate()
            before.append(terms)
            weights = flat.theta[: flat.n_decayed]
            with torch.no_grad():
                self._decay(flat, 0.0)
                return _total(terms).detach() + 0.5 * self.weight_decay * weights.square().sum()

        self._solver.step(closure)
        return before[0]


def _total(terms: Terms) -> Tensor:
    first, *others = terms.values()
    return sum(others, start=first)


def backward(terms: Terms) -> Terms:
    """Back-propagate the sum of the terms."""
    total = _total(terms)
    torch.autograd.backward(total, torch.ones_like(total))
    return terms


SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda t: 1.0,
    "cosine": lambda t: 0.5 * (1 + math.cos(math.pi * t)),
    "one_cycle": lambda t: (
        0.04 + 0.48 * (1 - math.cos(math.pi * t / 0.3)) if t < 0.3 else 0.5 * (1 + math.cos(math.pi * (t - 0.3) / 0.7))
    ),
}
"""Learning rate over learning_rate_init, as a function of the fraction of steps done."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train."""

    batch_size: int
    max_iter: int
    rate: float = 1e-3
    schedule: str = "constant"
    tol: float = 1e-4
    n_iter_no_change: int = 10
    shuffle: bool = True
    verbose: int = 0
    monitor: str | None = "loss"
    """The term that must fall, "loss" for the sum of all, None for a training without an objective."""


@dataclass(frozen=True)
class Outcome:
    """What training leaves beside the weights."""

    history: dict[str, list[float]]
    """Mean of each term, of their sum "loss" and, if there is one, "validation_loss", an epoch."""
    loss: float
    """The monitored value of the weights that were kept."""
    still_falling: bool
    """Whether training at a constant rate ended while the monitored term was still falling."""


def batches(n: int, size: int, order: Tensor) -> Iterator[Tensor]:
    """Split an order of rows into batches; a tail of one row joins the batch before it."""
    sizes = [size] * (n // size) + [n % size] * (n % size > 0)
    if len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [sizes[-2] + 1]
    yield from order.split(sizes)


def minimise(
    step: Callable[[Any], Terms],
    data: Source,
    flat: Flat,
    optimizer: Optimizer,
    plan: Plan,
    rng: torch.Generator,
    validate: Callable[[], float] | None = None,
) -> Outcome:
    """Take steps over shuffled batches until the plan ends or the monitored term stops falling.

    The parameters end at the best epoch, for whatever reason training ends: convergence, the plan's
    end, or Ctrl-C, which warns. After an error they are what they were.

    Parameters
    ----------
    step : callable
        ``step(batch)`` adds the gradient to ``flat.grad`` and returns named scalar terms.
    data : Source
    flat : Flat
    optimizer : Optimizer
    plan : Plan
    rng : torch.Generator
        A generator on the CPU; it decides the order of rows.
    validate : callable or None
        The loss on held-out rows, to be monitored instead of the loss in training.

    Returns
    -------
    outcome : Outcome

    Raises
    ------
    NonFiniteLossError
        If a term is NaN or infinite; its epoch, name and likely cure are told.
    """
    watch = _Watch(flat, plan, validate)
    try:
        with _Progress(plan) as progress:
            for epoch in range(plan.max_iter):
                terms = _epoch(step, data, flat, optimizer, plan, rng, epoch)
                progress.show(epoch, watch.record(epoch, terms))
                if watch.finished:
                    break
    except KeyboardInterrupt:
        warnings.warn(
            f"Training was interrupted in epoch {watch.n_epochs + 1}; the best weights so far are kept.", stacklevel=2
        )
    except BaseException:
        flat.load(watch.start)
        raise
    return watch.conclude()


def _epoch(
    step: Callable[[Any], Terms],
    data: Source,
    flat: Flat,
    optimizer: Optimizer,
    plan: Plan,
    rng: torch.Generator,
    epoch: int,
) -> dict[str, float]:
    """One pass over the data: the mean of each term over the rows."""
    n = len(data)
    order = torch.randperm(n, generator=rng) if plan.shuffle else torch.arange(n)
    order = order.to(getattr(data, "device", order.device))
    factor = SCHEDULES[plan.schedule]
    sums: Terms = {}
    done = 0
    for index in batches(n, plan.batch_size, order):
        batch = data[index]
        rate = plan.rate * factor((epoch + done / n) / plan.max_iter)
        for name, value in optimizer.step(flat, lambda: step(batch), rate).items():  # noqa: B023
            if name not in sums:
                sums[name] = torch.zeros_like(value)
            sums[name].add_(value.detach(), alpha=len(index) / n)
        done += len(index)
    return dict(zip(sums, torch.stack(list(sums.values())).tolist(), strict=True))


class _Watch:
    """Keeps the history and the best weights, and knows when to stop."""

    def __init__(self, flat: Flat, plan: Plan, validate: Callable[[], float] | None) -> None:
        self.flat, self.plan, self.validate = flat, plan, validate
        self.start = self.best = flat.save()
        self.best_value = math.inf if validate is None else validate()
        self.history: dict[str, list[float]] = {}
        self.n_epochs = 0
        self.n_stale = 0

    def record(self, epoch: int, terms: dict[str, float]) -> dict[str, float]:
        """Add an epoch; raise if a term is not finite; keep the weights if they are the best."""
        for name, value in terms.items():
            self._require_finite(name, value, epoch)
        row = {"loss": sum(terms.values()), **terms}
        if self.validate is not None:
            row["validation_loss"] = self.validate()
            self._require_finite("validation_loss", row["validation_loss"], epoch)
        for name, value in row.items():
            self.history.setdefault(name, []).append(value)
        self.n_epochs = epoch + 1
        if self.plan.monitor is not None:
            self._compare(row["validation_loss" if self.validate is not None else self.plan.monitor])
        return row

    def _compare(self, value: float) -> None:
        enough = self.plan.tol * abs(self.best_value) if math.isfinite(self.best_value) else 0.0
        self.n_stale = self.n_stale + 1 if value > self.best_value - enough else 0
        if value < self.best_value:
            self.best_value, self.best = value, self.flat.save()

    @property
    def finished(self) -> bool:
        """Whether the monitored term has stopped falling."""
        return self.n_stale >= self.plan.n_iter_no_change

    def conclude(self) -> Outcome:
        """End at the best epoch, or at the last where nothing is monitored."""
        last = self.history.get("loss", [math.nan])[-1]
        if self.plan.monitor is None:
            return Outcome(self.history, last, False)
        self.flat.load(self.best)
        return Outcome(self.history, self.best_value, self.plan.schedule == "constant" and self.n_stale == 0)

    def _require_finite(self, name: str, value: float, epoch: int) -> None:
        if not math.isfinite(value):
            raise NonFiniteLossError(
                f"The loss term {name!r} became {value} in epoch {epoch + 1}: lower learning_rate_init "
                f"(now {self.plan.rate:g}), set max_grad_norm=1.0, or look for extreme values in X."
            )


class _Progress:
    """A bar (verbose=1), a line an epoch (verbose=2), or nothing."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.bar: Any = None

    def __enter__(self) -> _Progress:
        if self.plan.verbose == 1:
            from tqdm.auto import tqdm

            self.bar = tqdm(total=self.plan.max_iter, unit="epoch")
        return self

    def show(self, epoch: int, row: dict[str, float]) -> None:
        """Tell the terms of an epoch."""
        if self.bar is not None:
            self.bar.set_postfix({name: f"{value:.4g}" for name, value in row.items()}, refresh=False)
            self.bar.update()
        elif self.plan.verbose > 1:
            terms = "  ".join(f"{name} {value:.6g}" for name, value in row.items())
            print(f"epoch {epoch + 1}/{self.plan.max_iter}  {terms}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.close()


def hold_out(data: Source, fraction: float, rng: torch.Generator) -> tuple[Subset, Subset]:
    """Split a source at random into rows to train on and rows to validate on, at least one each."""
    n = len(data)
    n_held = min(max(1, round(fraction * n)), n - 1)
    order = torch.randperm(n, generator=rng)
    return Subset(data, order[n_held:]), Subset(data, order[:n_held])


def joined(before: dict[str, list[float]], after: dict[str, list[float]]) -> dict[str, list[float]]:
    """One history after the other; a term that only one of them has is NaN in the other's epochs."""
    epochs = [max(map(len, history.values()), default=0) for history in (before, after)]
    missing = [[math.nan] * n for n in epochs]
    return {n: before.get(n, missing[0]) + after.get(n, missing[1]) for n in {**before, **after}}
