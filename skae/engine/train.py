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
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from .course import course_of
from .data import Source, Subset, Table
from .group import current
from .listeners import announced, current_stage, listeners
from .modes import uninterrupted
from .optim import Flat, Move, Optimizer, Terms, total
from .outside import Outside
from .plan import SCHEDULES, Outcome, Plan
from .watch import NonFiniteLossError, Watch

__all__ = [
    "Flat",
    "Interrupted",
    "Move",
    "NonFiniteLossError",
    "Optimizer",
    "Outcome",
    "Plan",
    "Terms",
    "Training",
    "backward",
    "held_rows",
    "hold_out",
    "joined",
    "minimise",
]


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


def minimise(
    step: Callable[[Any], Terms | Move],
    data: Source,
    flat: Flat,
    optimizer: Optimizer,
    plan: Plan,
    rng: torch.Generator,
    examine: Callable[[], dict[str, float]] = dict,
    prepare: Callable[[int], None] = lambda epoch: None,
    noise: torch.Generator | None = None,
    owner: Any = None,
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
    noise : torch.Generator or None, default=None
        The generator with which the step draws noise, so that a state of the training holds its state too.
    owner : object, default=None
        The estimator that is trained, for listeners.

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
    training = Training(step, data, flat, optimizer, plan, rng, examine, prepare, noise, owner)
    has_weights = False
    try:
        outcome = training.run()
        has_weights = True
    except KeyboardInterrupt as stop:
        if not training.epoch:
            raise
        with uninterrupted():
            kept = training.watch.conclude()
        has_weights = True
        if flat.is_finite():
            raise Interrupted(kept) from stop
        raise
    finally:
        training.course.close(has_weights)
    if not flat.is_finite():
        raise NonFiniteLossError(
            f"The weights became NaN or infinite in epoch {training.epoch}: {training.watch.cure}."
        )
    announced("ends", training, training.listeners)
    return outcome


class Training:
    """One call of ``minimise``, as its listeners see it.

    Attributes
    ----------
    stage : str
        Name of what is trained, see ``in_stage``.
    owner : object
        The estimator that is trained, if there is one.
    epoch : int
        Number of finished epochs.
    row : dict of str to float
        Values of the last epoch.
    is_stopped : bool
        Whether a listener has stopped it.
    outcome : Outcome or None
        None until training has ended.
    """

    def __init__(
        self,
        step: Callable[[Any], Terms | Move],
        data: Source,
        flat: Flat,
        optimizer: Optimizer,
        plan: Plan,
        rng: torch.Generator,
        examine: Callable[[], dict[str, float]],
        prepare: Callable[[int], None],
        noise: torch.Generator | None,
        owner: Any,
    ) -> None:
        self.data, self.flat, self.optimizer, self.plan = data, flat, optimizer, plan
        self.rng, self.prepare, self.owner = rng, prepare, owner
        drawn_from = (rng, *([] if noise is None else [noise]), *getattr(data, "generators", ()))
        self.generators = tuple({id(generator): generator for generator in drawn_from}.values())
        self.course = course_of(step, data, flat)
        self.watch = Watch(
            flat, plan, examine, one_batch=len(data) <= plan.batch_size, has_rate=optimizer.rule != "lbfgs"
        )
        self.stage, self.listeners = current_stage(), listeners()
        self.is_stopped = False
        self.outcome: Outcome | None = None

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return len(self.watch.rows)

    @property
    def row(self) -> dict[str, float]:
        """Values of the last epoch."""
        return self.watch.rows[-1]

    def run(self) -> Outcome:
        """Take all epochs, and load the best weights."""
        announced("begins", self, self.listeners)
        while self.outcome is None and not self._is_over():
            announced("begins_epoch", self, self.listeners)
            self.prepare(self.epoch)
            self.watch.record(self.epoch, _epoch(self))
            self.is_stopped = current().any(announced("ends_epoch", self, self.listeners))
            announced("keeps_epoch", self, self.listeners)
        if self.outcome is None:
            self.outcome = self._conclude()
        return self.outcome

    def _is_over(self) -> bool:
        return self.is_stopped or self.watch.converged or self.epoch >= self.plan.max_iter

    def _conclude(self) -> Outcome:
        watch = self.watch
        if watch.one_batch and watch.pending is not None:
            watch.settle(self.optimizer.gradient(self.flat, self.course.whole()))
        return watch.conclude(self.is_stopped)

    def state(self) -> dict[str, Any]:
        """All that a new training of the same needs to go on from here, to the bit.

        Returns
        -------
        state : dict
            Numbers, tensors, and lists and dictionaries of such. Tensors are not written to afterwards.
        """
        return {
            "weights": self.flat.save(),
            "optimizer": self.optimizer.save(self.flat),
            "generators": [generator.get_state() for generator in self.generators],
            "watch": self.watch.state() if self.outcome is None else None,
            "is_stopped": self.is_stopped,
            "outcome": None if self.outcome is None else asdict(self.outcome),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state. If it is that of a training that has ended, there is no epoch more."""
        self.flat.load(state["weights"])
        self.optimizer.load(state["optimizer"], self.flat)
        for generator, order in zip(self.generators, state["generators"], strict=True):
            generator.set_state(order)
        if state["watch"] is not None:
            self.watch.load(state["watch"])
        self.is_stopped = state["is_stopped"]
        self.outcome = None if state["outcome"] is None else Outcome(**state["outcome"])

    @contextmanager
    def stopped(self) -> Iterator[Outcome]:
        """The outcome and the weights that training would end with, if it stopped here. It can go on afterwards.

        Yields
        ------
        outcome : Outcome
        """
        if self.outcome is not None:
            yield self.outcome
            return
        state = self.state()
        try:
            yield self._conclude()
        finally:
            self.load(state)


def _epoch(training: Training) -> dict[str, float]:
    """One pass over the data. Returns the mean of each term over the rows of the steps that returned it."""
    plan, n = training.plan, len(training.data)
    order = torch.randperm(n, generator=training.rng) if plan.shuffle else torch.arange(n)
    factor = SCHEDULES[plan.schedule]
    sums: Terms = {}
    seen: dict[str, int] = {}
    for rows, evaluate in training.course.steps(order, plan.batch_size):
        size = rows.stop - rows.start
        rate = plan.rate * factor((training.epoch + rows.start / n) / plan.max_iter)
        for name, value in training.optimizer.step(training.flat, evaluate, rate).items():
            if name not in sums:
                sums[name], seen[name] = torch.zeros_like(value), 0
            sums[name].add_(value.detach(), alpha=size / n)
            seen[name] += size
    means = torch.stack(list(sums.values())).tolist() if sums else []
    return {name: mean * (n / seen[name]) for name, mean in zip(sums, means, strict=True)}


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


def held_rows(data: Any, rows: Tensor) -> Tensor:
    """Rows to evaluate again and again, in an order in which they are read fast."""
    whole = data.data if isinstance(data, Subset) else data
    is_outside = isinstance(whole, Table) and isinstance(whole.x.X, Outside)
    return rows.sort().values if is_outside else rows
