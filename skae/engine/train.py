"""minimise(): the training loop of all estimators.

The loop needs data and a step. Data have a ``len``, and ``data[index]`` is a batch for a tensor of row numbers. A step
writes gradients into the module's buffers and returns named terms, whose sum is the objective. Or it returns a
``Move``, which also names the parts of the parameters that move. If there is no objective, the terms only report
progress, and there may be none.

The loop does not know what a batch holds, what the terms mean, or how the gradients are computed, for example by
back-propagation or by Gibbs sampling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from .data import Source, Subset, held_rows, shuffled
from .modes import uninterrupted
from .optim import Flat, Move, Optimizer, Terms, total

__all__ = [
    "Flat",
    "Interrupted",
    "Move",
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


class NonFiniteLossError(ValueError):
    """A loss became NaN or infinite."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during training, after at least one epoch.

    Parameters
    ----------
    outcome : Outcome
        What was learnt until then. The best weights so far are loaded.
    """

    kept: Any = None
    """The estimator that is left fitted with the best weights so far."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome

    def __str__(self) -> str:
        if self.kept is None:
            return "Training was interrupted: the estimator is as it was before."
        return f"Training was interrupted: this {type(self.kept).__name__} keeps the best weights so far."


def backward(terms: Terms, parameters: Iterable[Tensor] | None = None) -> Terms:
    """Back-propagate the sum of the terms, and return the terms.

    Parameters
    ----------
    terms : dict of str to Tensor
        Named scalars.
    parameters : iterable of Tensor, default=None
        Parameters whose gradients are computed. None computes the gradients of all parameters.

    Returns
    -------
    terms : dict of str to Tensor
        The same terms.
    """
    objective = total(terms)
    if objective.requires_grad:
        inputs = None if parameters is None else list(parameters)
        torch.autograd.backward(objective, torch.ones_like(objective), inputs=inputs)
    return terms


SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda t: 1.0,
    "cosine": lambda t: 0.5 * (1 + math.cos(math.pi * t)),
    "one_cycle": lambda t: (
        0.04 + 0.48 * (1 - math.cos(math.pi * t / 0.3)) if t < 0.3 else 0.5 * (1 + math.cos(math.pi * (t - 0.3) / 0.7))
    ),
}
"""Factor of learning_rate_init, as a function of the fraction of the steps that are done."""
HALF_WAY_DOWN = 0.65
"""Fraction of the steps after which the rate of "one_cycle" is below half its peak for good."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train, and what to watch."""

    batch_size: int
    max_iter: int
    rate: float = 1e-3
    schedule: str = "constant"
    tol: float = 1e-4
    n_iter_no_change: int = 10
    shuffle: bool = True
    verbose: int = 0
    monitor: str | None = "loss"
    """What training watches: a term, "loss" for the sum of all terms, "validation_loss", or None for nothing."""
    objective: bool = True
    """Whether training minimises the sum of the terms. If not, the history has no "loss"."""

    def __post_init__(self) -> None:
        if self.monitor == "loss" and not self.objective:
            raise ValueError("monitor='loss' needs terms whose sum is the objective: monitor a term, or None.")

    def is_settling(self, epoch: int) -> bool:
        """Whether the rate is low enough at the end of an epoch for a plateau to be a minimum."""
        return self.schedule != "one_cycle" or (epoch + 1) / self.max_iter > HALF_WAY_DOWN


@dataclass(frozen=True)
class Outcome:
    """The result of training, besides the weights."""

    history: dict[str, list[float]]
    """One value per epoch and curve.

    "loss" is the sum of the terms, if that is the objective. A term is averaged over the rows of the steps that
    returned it, and NaN if no step did. The values of ``examine`` follow, such as "validation_loss".
    """
    loss: float
    """The watched value of the weights that were kept. If nothing is watched, the last "loss", or NaN without one."""
    still_falling: bool
    """Whether training with a constant learning rate ended while the watched value was still falling."""
    stopped_early: bool = False
    """Whether the watched value stopped falling before the end of the plan."""


def batches(n: int, size: int) -> Iterator[slice]:
    """Split rows into batches. If the last batch would have a single row, it joins the one before."""
    starts = [*range(0, n, size)]
    if len(starts) > 1 and n % size == 1 and size > 1:
        del starts[-1]
    for start, stop in pairwise([*starts, n]):
        yield slice(start, stop)


def minimise(
    step: Callable[[Any], Terms | Move],
    data: Source,
    flat: Flat,
    optimizer: Optimizer,
    plan: Plan,
    rng: torch.Generator,
    examine: Callable[[], dict[str, float]] = dict,
    prepare: Callable[[int], None] = lambda epoch: None,
) -> Outcome:
    """Take steps over shuffled batches, until the plan ends or the watched value stops falling.

    The parameters end at the best epoch, whether training converges, reaches the end of the plan, or is interrupted by
    Ctrl-C. After another error they are anything: the caller has to restore them.

    Parameters
    ----------
    step : callable
        ``step(batch)`` adds the gradient to ``flat.grad`` and returns named scalar terms, or a ``Move``.
    data : Source
        Its index is a tensor of row numbers on the device of the parameters. With ``batch_size=1``, a list of batches
        works too.
    flat : Flat
    optimizer : Optimizer
    plan : Plan
    rng : torch.Generator
        A generator on the CPU, which draws the order of the rows.
    examine : callable, default=dict
        Returns values of the current weights for the history, after each epoch. If its "validation_loss" is watched, it
        is also called at the start.
    prepare : callable, default=nothing
        Called before each epoch with its number, which counts from 0.

    Returns
    -------
    outcome : Outcome

    Raises
    ------
    NonFiniteLossError
        If a term or a final weight is NaN or infinite. The message has the epoch, the name of the term and a likely
        cure.
    Interrupted
        At Ctrl-C, if an epoch was finished. In the first epoch it is a plain KeyboardInterrupt.
    """
    optimizer.prepare()
    watch = _Watch(flat, plan, examine, one_batch=len(data) <= plan.batch_size, has_rate=optimizer.rule != "lbfgs")
    try:
        with _Progress(plan) as progress:
            for epoch in range(plan.max_iter):
                prepare(epoch)
                terms = _epoch(step, data, flat, optimizer, plan, rng, epoch)
                progress.show(epoch, watch.record(epoch, terms))
                if watch.finished:
                    break
        if watch.one_batch and watch.pending is not None:
            everything = data[torch.arange(len(data), device=flat.theta.device)]
            watch.settle(optimizer.gradient(flat, lambda: step(everything)))
        outcome = watch.conclude()
    except KeyboardInterrupt as stop:
        if not watch.rows:
            raise
        with uninterrupted():
            outcome = watch.conclude()
        if flat.is_finite():
            raise Interrupted(outcome) from stop
        raise
    if not flat.is_finite():
        raise NonFiniteLossError(f"The weights became NaN or infinite in epoch {len(watch.rows)}: {watch.cure}.")
    return outcome


def _epoch(
    step: Callable[[Any], Terms | Move],
    data: Source,
    flat: Flat,
    optimizer: Optimizer,
    plan: Plan,
    rng: torch.Generator,
    epoch: int,
) -> dict[str, float]:
    """One pass over the data. Returns the mean of each term over the rows of the steps that returned it."""
    n = len(data)
    order = torch.randperm(n, generator=rng) if plan.shuffle else torch.arange(n)
    ordered = shuffled(data, order.to(flat.theta.device))
    factor = SCHEDULES[plan.schedule]
    sums: Terms = {}
    seen: dict[str, int] = {}
    for rows in batches(n, plan.batch_size):
        batch, size = ordered[rows], rows.stop - rows.start
        rate = plan.rate * factor((epoch + rows.start / n) / plan.max_iter)
        for name, value in optimizer.step(flat, lambda: step(batch), rate).items():  # noqa: B023
            if name not in sums:
                sums[name], seen[name] = torch.zeros_like(value), 0
            sums[name].add_(value.detach(), alpha=size / n)
            seen[name] += size
    means = torch.stack(list(sums.values())).tolist() if sums else []
    return {name: mean * (n / seen[name]) for name, mean in zip(sums, means, strict=True)}


class _Watch:
    """Keeps the history and the best weights, and decides when to stop.

    A validation loss belongs to the weights at the end of its epoch. A training loss does not, because it is measured
    while the weights change. So the weights between two epochs are judged by the worse of the two losses. If an epoch
    is a single batch, they are judged by the loss at the start of the next epoch.
    """

    def __init__(
        self, flat: Flat, plan: Plan, examine: Callable[[], dict[str, float]], one_batch: bool, has_rate: bool
    ) -> None:
        self.flat, self.plan, self.examine, self.one_batch, self.has_rate = flat, plan, examine, one_batch, has_rate
        self.rows: list[dict[str, float]] = []
        self.n_stale = 0
        held_out = plan.monitor == "validation_loss"
        self.lowest = examine()["validation_loss"] if held_out else math.inf
        self.best_value, self.best = self.lowest, flat.save()
        watched_in_training = plan.monitor is not None and not held_out
        self.pending = self.best if watched_in_training else None
        self.at_least = -math.inf

    def record(self, epoch: int, terms: dict[str, float]) -> dict[str, float]:
        """Add an epoch to the history, and keep the best weights. A term that is not finite raises an error."""
        row = {"loss": sum(terms.values()), **terms} if terms and self.plan.objective else dict(terms)
        row |= self.examine()
        for name in (*terms, *row):  # terms first, because the sum does not show which term failed
            self._require_finite(name, row[name], epoch)
        self.rows.append(row)
        if self.plan.monitor is not None:
            self._compare(row[self.plan.monitor], self.plan.is_settling(epoch))
        return row

    def _compare(self, value: float, settling: bool) -> None:
        enough = self.plan.tol * abs(self.lowest) if math.isfinite(self.lowest) else 0.0
        self.n_stale = self.n_stale + 1 if settling and value > self.lowest - enough else 0
        self.lowest = min(self.lowest, value)
        if self.pending is None:
            self._keep(value, self.flat.save)
            return
        self._keep_pending(value)
        self.pending, self.at_least = self.flat.save(), -math.inf if self.one_batch else value

    def _keep_pending(self, value: float) -> None:
        pending = self.pending
        assert pending is not None
        self._keep(max(value, self.at_least), lambda: pending)

    def _keep(self, value: float, weights: Callable[[], list[Tensor]]) -> None:
        if value <= self.best_value:  # of equally good weights, keep those that were trained longer
            self.best_value, self.best = value, weights()

    def settle(self, terms: Terms) -> None:
        """Compare the final weights with the best, given their terms."""
        monitor = self.plan.monitor
        value = total(terms) if monitor in (None, "loss") else terms[monitor]
        self._keep_pending(float(value.detach()))

    @property
    def finished(self) -> bool:
        """Whether the watched value has stopped falling."""
        return self.n_stale >= self.plan.n_iter_no_change

    def conclude(self) -> Outcome:
        """Load the weights of the best epoch. If nothing is watched, keep those of the last epoch."""
        history = {name: [row.get(name, math.nan) for row in self.rows] for row in self.rows for name in row}
        if self.plan.monitor is None:
            return Outcome(history, history.get("loss", [math.nan])[-1], False)
        if self.pending is not None and not self.one_batch and self.rows:
            self._keep_pending(self.at_least)
        self.flat.load(self.best)
        known = self.best_value if math.isfinite(self.best_value) else math.nan
        still_falling = self.plan.schedule == "constant" and self.n_stale == 0
        return Outcome(history, known, still_falling, self.finished and len(self.rows) < self.plan.max_iter)

    @property
    def cure(self) -> str:
        """What to do about values that are not finite, for messages."""
        if not self.has_rate:
            return "use dtype='float64' or another solver than 'lbfgs', or look for extreme or equal rows in X"
        return (
            f"lower learning_rate_init (now {self.plan.rate:g}), set max_grad_norm=1.0, or look for extreme values in X"
        )

    def _require_finite(self, name: str, value: float, epoch: int) -> None:
        if not math.isfinite(value):
            raise NonFiniteLossError(f"The loss term {name!r} became {value} in epoch {epoch + 1}: {self.cure}.")


class _Progress:
    """A progress bar (verbose=1), one line per epoch (verbose=2), or nothing."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.bar: Any = None

    def __enter__(self) -> _Progress:
        if self.plan.verbose == 1:
            from tqdm.auto import tqdm

            self.bar = tqdm(total=self.plan.max_iter, unit="epoch")
        return self

    def show(self, epoch: int, row: dict[str, float]) -> None:
        """Show the terms of an epoch."""
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
    """Split a source at random into rows to train on and rows to validate on, with at least one row each."""
    n = len(data)
    n_held = min(max(1, round(fraction * n)), n - 1)
    order = torch.randperm(n, generator=rng)
    return Subset(data, order[n_held:]), Subset(data, held_rows(data, order[:n_held]))


def joined(before: dict[str, list[float]], after: dict[str, list[float]]) -> dict[str, list[float]]:
    """Concatenate two histories. If a curve is in one of them only, it is NaN in the epochs of the other."""
    epochs = [max(map(len, history.values()), default=0) for history in (before, after)]
    missing = [[math.nan] * n for n in epochs]
    return {n: before.get(n, missing[0]) + after.get(n, missing[1]) for n in {**before, **after}}
