"""scikit-learn's callbacks, such as ``ProgressBar`` and ``ScoringMonitor``: how they attend a fit.

A fit is a task. Each of its trainings is a subtask with the name of the stage, and each epoch is a subtask of that.
scikit-learn has callbacks from version 1.9 on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..engine.listeners import Listener, attending
from .midway import CALLBACKS, CONTEXT, TRANSIENT, best_so_far, copy_of, lasting
from .streams import is_stream

__all__ = ["monitored", "without_callbacks"]

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
        fitted = (lambda: lasting(best_so_far(training, self.told["X"]))) if is_whole else None
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
    fitted = lambda: lasting(copy_of(estimator) if has_module else estimator)  # noqa: E731
    task.call_on_fit_task_end(estimator=estimator, **rows, reconstruction_attributes=fitted)


def without_callbacks(estimator: Any, state: dict[str, Any]) -> dict[str, Any]:
    """The attributes of an estimator for a pickle.

    A fitted estimator goes without its callbacks. One that is not fitted keeps them, because searches send such ones
    to other processes. In the middle of a fit nothing is complete but the parameters.
    """
    if CONTEXT in state:
        kept = {*estimator._parameter_constraints, CALLBACKS, "_sklearn_output_config", "_metadata_request"}
        return {name: value for name, value in state.items() if name in kept}
    is_fitted = any(name.endswith("_") and not name.startswith("_") for name in state)
    dropped = TRANSIENT if is_fitted else TRANSIENT[1:]
    return {name: value for name, value in state.items() if name not in dropped}
