"""Plan and Outcome: what a training has to do, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["SCHEDULES", "Outcome", "Plan"]

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
