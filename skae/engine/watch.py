"""Watch: the history of a training, its best weights, and when it has converged."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

from .optim import Flat, Terms, total
from .plan import Outcome, Plan

__all__ = ["NonFiniteLossError", "Watch"]


class NonFiniteLossError(ValueError):
    """A loss became NaN or infinite."""


STATE = ("n_stale", "lowest", "best_value", "best", "pending", "at_least")
"""What changes while a training is watched."""


class Watch:
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

    def state(self) -> dict[str, Any]:
        """All that a later ``load`` needs to go on from here."""
        return {"epochs": len(self.rows), "curves": self.curves(), **{name: getattr(self, name) for name in STATE}}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        for name in STATE:
            setattr(self, name, state[name])
        self.rows = [{} for _ in range(state["epochs"])]
        for name, values in state["curves"].items():
            for row, value in zip(self.rows, values, strict=True):
                if not math.isnan(value):  # a row lacks it, for every value was finite
                    row[name] = value

    def curves(self) -> dict[str, list[float]]:
        """The rows as columns, with NaN where a row lacks a value."""
        return {name: [row.get(name, math.nan) for row in self.rows] for row in self.rows for name in row}

    def so_far(self) -> Outcome:
        """What the weights of the last epoch come to, which need not be the best."""
        return Outcome(self.curves(), self.rows[-1].get(self.plan.monitor or "loss", math.nan), False)

    @property
    def converged(self) -> bool:
        """Whether the watched value has stopped falling."""
        return self.n_stale >= self.plan.n_iter_no_change

    def conclude(self, stopped: bool = False) -> Outcome:
        """Load the weights of the best epoch. If nothing is watched, keep those of the last epoch.

        ``stopped`` says whether a listener has ended the training.
        """
        history = self.curves()
        if self.plan.monitor is None:
            return Outcome(history, history.get("loss", [math.nan])[-1], False)
        if self.pending is not None and not self.one_batch and self.rows:
            self._keep_pending(self.at_least)
        self.flat.load(self.best)
        known = self.best_value if math.isfinite(self.best_value) else math.nan
        still_falling = self.plan.schedule == "constant" and self.n_stale == 0 and not stopped
        return Outcome(history, known, still_falling, self.converged and len(self.rows) < self.plan.max_iter)

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
