"""What a fit takes: rows a step, steps, epochs, its plan, the optimizer and threads."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import torch

from ..engine.modes import one_thread
from ..engine.optim import Optimizer
from ..engine.plan import Plan
from .run import Run

__all__ = ["SMALL_TABLE", "epochs_of", "optimizer_of", "plan_of", "rows_a_step", "steps_worthwhile", "threads_of"]

SMALL_STEP = 2**25
"""Multiplications per step below which a second thread does not help, and costs time if it is busy."""
SMALL_TABLE = 2**20
"""Largest number of entries for which rows are sorted to find equal ones. This takes less than a second."""


def rows_a_step(n_samples: int) -> int:
    """Batch size with batch_size="auto": a fifteenth of the rows, but at least 32 and at most 100."""
    return min(n_samples, max(32, min(n_samples // 15, 100)))


def steps_worthwhile(n_samples: int, a_step: int = 2, least: int = 300) -> int:
    """Number of steps with max_iter="auto": one for so many rows, but at least ``least`` and at most 4000."""
    return max(least, min(n_samples // a_step, 4000))


def epochs_of(n_steps: int, n_samples: int, batch_size: int, most: int | None = 100) -> int:
    """Number of epochs that have at least so many steps, but at most ``most`` if that is a number."""
    n_epochs = math.ceil(n_steps / math.ceil(n_samples / batch_size))
    return n_epochs if most is None else min(most, n_epochs)


def plan_of(estimator: Any, n_samples: int, run: Run) -> Plan:
    """The plan of a training on so many rows, by the parameters of an estimator."""
    watched = "validation_loss" if run.held_out else None if estimator._is_noisy() else estimator._monitor
    schedule = "constant" if run.partial or estimator.solver == "lbfgs" else estimator.learning_rate
    return Plan(
        batch_size=estimator._batch_size(n_samples),
        max_iter=0 if not run.train else 1 if run.partial else estimator._n_epochs(n_samples),
        rate=estimator._rate(schedule),
        schedule=schedule,
        tol=float(estimator.tol),
        n_iter_no_change=int(estimator.n_iter_no_change),
        shuffle=estimator.shuffle and estimator.solver != "lbfgs",
        monitor=None if run.partial else watched,
        objective=estimator._monitor is not None,
    )


def optimizer_of(estimator: Any) -> Optimizer:
    """The optimizer of an estimator with its parameters as they are now. Another solver has no moments yet."""
    if estimator._optimizer.rule != estimator.solver:
        estimator._optimizer = Optimizer(estimator.solver)
    optimizer: Optimizer = estimator._optimizer
    automatic = estimator._decay if optimizer.rule == "adamw" else 0.0
    optimizer.weight_decay = automatic if estimator.weight_decay == "auto" else float(estimator.weight_decay)
    optimizer.momentum = float(estimator.momentum)
    optimizer.max_grad_norm = estimator._norm if estimator.max_grad_norm == "auto" else estimator.max_grad_norm
    optimizer.beta1, optimizer.beta2 = estimator._betas
    return optimizer


def threads_of(estimator: Any, device: torch.device, n_samples: int) -> Any:
    """A limit of one thread where the steps are small."""
    of_row = getattr(estimator.module_, "multiplications", estimator._flat.theta.numel())
    work = of_row * getattr(estimator.module_, "n_copies", 1) * estimator._batch_size(n_samples)
    return one_thread() if device.type == "cpu" and work < SMALL_STEP else nullcontext()
