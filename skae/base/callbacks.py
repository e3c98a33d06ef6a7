"""scikit-learn's callbacks, such as ``ProgressBar`` and ``ScoringMonitor``: how they attend a fit.

A fit is a task. Each of its trainings is a subtask with the name of the stage, and each epoch is a subtask of that.
scikit-learn has callbacks from version 1.9 on.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ..engine.data import Subset
from ..engine.listeners import Listener, attending
from ..engine.optim import Flat, Optimizer
from .streams import is_stream

__all__ = ["monitored", "without_callbacks"]

CALLBACKS, CONTEXT = "_skl_callbacks", "_callback_fit_ctx"
TRANSIENT = (CALLBACKS, CONTEXT, "_skl_callbacks_to_teardown", "_parent_callback_ctx")
"""Attributes in which scikit-learn keeps callbacks, and the task of a fit that is under way."""
SINGLE = "training"
"""Name of the task if a fit trains one thing alone."""


class Tasks(Listener):
    """Tells scikit-learn's callbacks of the stages and epochs of a fit.

    Parameters
    ----------
    estimator : TorchEstimator
        The estimator whose ``fit`` was called.
    task : CallbackContext
        The task of that fit.
    rows : dict
        X, y and metadata for the callbacks.
    """

    def __init__(self, estimator: Any, task: Any, rows: dict[str, Any]) -> None:
        self.task, self.told = task, {"estimator": estimator, **rows}
        self.stage: Any = None
        self.epoch: Any = None

    def begins(self, training: Any) -> None:
        """See ``Listener``."""
        if training.plan.max_iter:
            self.stage = self.task.subcontext(training.stage or SINGLE, max_subtasks=training.plan.max_iter)
            self.stage.call_on_fit_task_begin(**self.told)

    def begins_epoch(self, training: Any) -> None:
        """See ``Listener``."""
        self.epoch = self.stage.subcontext("epoch").call_on_fit_task_begin(**self.told)

    def ends_epoch(self, training: Any) -> bool:
        """See ``Listener``. A callback that returns True stops the training."""
        return bool(self._end(self.epoch, training))

    def ends(self, training: Any) -> None:
        """See ``Listener``."""
        if training.plan.max_iter:
            self._end(self.stage, training)

    def _end(self, task: Any, training: Any) -> Any:
        """End the task of an epoch or of a training. What it would leave fitted is made only if a callback asks."""
        is_whole = training.owner is self.told["estimator"]
        fitted = (lambda: _fitted_by(training, self.told["X"])) if is_whole else None
        return task.call_on_fit_task_end(**self.told, reconstruction_attributes=fitted)


@contextmanager
def monitored(estimator: Any, X: Any, y: Any, sample_weight: Any) -> Iterator[None]:
    """Let scikit-learn's callbacks attend the fit in the context, if the estimator has any.

    Parameters
    ----------
    estimator : TorchEstimator or Typed
        If it has no module of its own, the trainings of the estimator inside are its stages.
    X, y, sample_weight : object
        As they were passed to ``fit``. For callbacks that score, the target of a model without y is X. A stream is not
        shown to them, because it can be gone through only once.
    """
    if is_stream(X) or not vars(estimator).get(CALLBACKS):
        yield
        return
    weight = {} if sample_weight is None else {"sample_weight": sample_weight}
    rows = {"X": X, "y": X if y is None else y, "metadata": weight}
    task = estimator._init_callback_context(max_subtasks=None)
    task.call_on_fit_task_begin(estimator=estimator, **rows)
    with attending(Tasks(estimator, task, rows)):
        yield
    has_module = hasattr(estimator, "_flat")
    fitted = lambda: _own(_twin(estimator) if has_module else estimator)  # noqa: E731
    task.call_on_fit_task_end(estimator=estimator, **rows, reconstruction_attributes=fitted)


def without_callbacks(estimator: Any, state: dict[str, Any]) -> dict[str, Any]:
    """The attributes of an estimator for a pickle.

    A fitted estimator goes without its callbacks. One that is not fitted keeps them, because searches send such ones
    to other processes. In the middle of a fit nothing is complete but the parameters.
    """
    if CONTEXT in state:
        lasting = {*estimator._parameter_constraints, CALLBACKS, "_sklearn_output_config", "_metadata_request"}
        return {name: value for name, value in state.items() if name in lasting}
    is_fitted = any(name.endswith("_") and not name.startswith("_") for name in state)
    dropped = TRANSIENT if is_fitted else TRANSIENT[1:]
    return {name: value for name, value in state.items() if name not in dropped}


# ------------------------------------------------------------------ what a fit would leave if it stopped now


def _fitted_by(training: Any, X: Any) -> dict[str, Any]:
    """Attributes that the fit to X would leave if training stopped here, with the best weights so far."""
    with training.stopped() as outcome:
        twin = _twin(training.owner)
    twin._record(outcome)
    twin._conclude(_all_rows(training.data))
    twin._label(twin._source(X))
    return _own(twin)


def _twin(estimator: Any) -> Any:
    """A copy that shares no weights and no generator with an estimator, also in the middle of a fit.

    The module may be one for coordinates of rows. It then has a method ``widened`` that returns a copy for rows.
    """
    twin = object.__new__(type(estimator))
    own = vars(twin)
    own.update(_own(estimator))
    for name, value in own.items():
        if isinstance(value, torch.Generator):
            own[name] = value.clone_state()
        elif isinstance(value, list) and any(hasattr(item, "_flat") for item in value):
            own[name] = [_twin(layer) for layer in value]
        elif hasattr(value, "_flat"):
            own[name] = _twin(value)
    module = estimator.module_
    twin.module_ = module.widened() if hasattr(module, "widened") else copy.deepcopy(module)
    twin._flat, twin._optimizer = Flat(twin.module_), Optimizer(estimator._optimizer.rule)
    return twin


def _own(estimator: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(estimator).items() if name not in TRANSIENT}


def _all_rows(data: Any) -> Any:
    """The rows of a fit, of which some may be held out from training."""
    while isinstance(data, Subset):
        data = data.data
    return data
