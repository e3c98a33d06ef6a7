"""Who attends a fit: what ``verbose`` shows, and the callback of the user."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import numpy as np

from ..engine.group import alone, current
from ..engine.listeners import Listener, attending, listeners
from ..engine.progress import Bars, Lines
from .midway import of_this_epoch

__all__ = ["Epoch", "attended"]


class Epoch:
    """What a callback is told at the end of an epoch.

    Attributes
    ----------
    stage : str
        Name of what is trained, such as "layer1". It is empty if the fit trains one thing alone.
    number : int
        Number of finished epochs of this stage.
    max_iter : int
        Largest number of epochs of this stage.
    terms : dict of str to float
        The values of this epoch, by their names in ``history_``.
    """

    def __init__(self, training: Any, make: Callable[[], Any]) -> None:
        self.stage: str = training.stage
        self.number: int = training.epoch
        self.max_iter: int = training.plan.max_iter
        self.terms: dict[str, float] = dict(training.row)
        self._make: Callable[[], Any] | None = make

    @cached_property
    def estimator(self) -> Any:
        """A copy of what is trained, fitted, with the weights of this epoch. It is made when it is asked for.

        It has no callback and no checkpoint. If layers are trained one by one, it is a layer. It is None for a part of
        a model that is no estimator.
        """
        if self._make is None:
            raise RuntimeError(
                "An epoch has its estimator only while the callback runs: ask for it there, and keep it."
            )
        return self._make()

    def __repr__(self) -> str:
        told = ("stage", "number", "max_iter", "terms")
        return f"Epoch({', '.join(f'{name}={getattr(self, name)!r}' for name in told)})"


class Callback(Listener):
    """The function that a user passed as ``callback``.

    Parameters
    ----------
    estimator : TorchEstimator
        The estimator whose callback it is.
    X : object
        As it was passed to ``fit``, or None in a part of another estimator.
    """

    def __init__(self, estimator: Any, X: Any) -> None:
        self.estimator, self.X = estimator, X

    def ends_epoch(self, training: Any) -> bool:
        """See ``Listener``. What the function does, this process does without others that share the fit."""
        owner = training.owner
        X = self.X if owner is self.estimator else None
        epoch = Epoch(training, lambda: None if owner is None else of_this_epoch(training, X))
        try:
            with alone():
                answer = self.estimator.callback(epoch)
        finally:
            epoch._make = None
        if not isinstance(answer, bool | np.bool_ | None):  # such as the number of characters that were written
            raise TypeError(
                f"callback returned {type(answer).__name__} {answer!r:.60}: let it return True to end the stage, and "
                "False or nothing to go on."
            )
        return bool(answer)


def attended(estimator: Any, X: Any = None) -> AbstractContextManager[None]:
    """Let what an estimator asks for attend the trainings in the context.

    Its ``verbose`` shows nothing if the fit around it shows all stages already. Of several processes that share a fit,
    the first one shows it.

    Parameters
    ----------
    estimator : TorchEstimator
    X : object, default=None
        As it was passed to ``fit``.
    """
    new: list[Listener] = []
    is_told = current().rank == 0
    if is_told and estimator.verbose and not any(isinstance(listener, Bars | Lines) for listener in listeners()):
        new.append(Bars() if estimator.verbose == 1 else Lines())
    if estimator.callback is not None:
        new.append(Callback(estimator, X))
    return attending(*new)
