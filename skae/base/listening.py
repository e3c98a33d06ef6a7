"""Who attends a fit: what ``verbose`` shows, and the callback of the user."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from ..engine.group import current
from ..engine.listeners import Listener, attending, listeners
from ..engine.progress import Bars, Lines

__all__ = ["Epoch", "attended"]


class Epoch(NamedTuple):
    """What a callback is told at the end of an epoch."""

    stage: str
    """Name of what is trained, such as "layer1". It is empty if the fit trains one thing alone."""
    number: int
    """Number of finished epochs of this stage."""
    max_iter: int
    """Largest number of epochs of this stage."""
    terms: dict[str, float]
    """The values of this epoch, by their names in ``history_``."""
    estimator: Any
    """The estimator that is trained, with the weights of this epoch: it can ``transform`` rows.

    It is a layer, if layers are trained one by one. It is None for a part of a model that is no estimator.
    """


class Callback(Listener):
    """The function that a user passed as ``callback``."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def ends_epoch(self, training: Any) -> bool:
        """See ``Listener``."""
        terms = dict(training.row)
        epoch = Epoch(training.stage, training.epoch, training.plan.max_iter, terms, training.owner)
        return bool(self.function(epoch))


def attended(estimator: Any) -> AbstractContextManager[None]:
    """Let what an estimator asks for attend the trainings in the context.

    Its ``verbose`` shows nothing if the fit around it shows all stages already. Of several processes that share a fit,
    the first one shows it.

    Parameters
    ----------
    estimator : TorchEstimator
    """
    new: list[Listener] = []
    is_told = current().rank == 0
    if is_told and estimator.verbose and not any(isinstance(listener, Bars | Lines) for listener in listeners()):
        new.append(Bars() if estimator.verbose == 1 else Lines())
    if estimator.callback is not None:
        new.append(Callback(estimator.callback))
    return attending(*new)
