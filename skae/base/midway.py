"""Midway: the estimator that a fit would leave if it stopped now. It is a copy, and the fit goes on."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ..engine.data import Source, Subset
from ..engine.group import alone, current
from ..engine.optim import Flat, Optimizer
from ..engine.plan import Outcome

__all__ = ["CALLBACKS", "CONTEXT", "TRANSIENT", "best_so_far", "copy_of", "lasting", "of_this_epoch"]

CALLBACKS, CONTEXT = "_skl_callbacks", "_callback_fit_ctx"
TRANSIENT = (CALLBACKS, CONTEXT, "_skl_callbacks_to_teardown", "_parent_callback_ctx")
"""Attributes in which scikit-learn keeps callbacks, and the task of a fit that is under way."""


def best_so_far(training: Any, X: Any) -> Any:
    """The estimator that the fit to X would leave if its training stopped here, with the best weights so far.

    Parameters
    ----------
    training : Training
    X : object
        As it was passed to ``fit``, for what is told of each row.
    """
    with training.stopped() as outcome:
        twin = copy_of(training.owner)
    return _finished(twin, training, outcome, X)


def of_this_epoch(training: Any, X: Any = None) -> Any:
    """The estimator that is trained as it is after an epoch, with the weights of this epoch.

    It has no callback and no checkpoint, which are those of the fit that goes on.

    If several processes share the fit, it is measured on the rows of this one, which waits for no other.

    Parameters
    ----------
    training : Training
    X : object, default=None
        As it was passed to the ``fit`` of this estimator. None if it is a part of another one, which tells nothing of
        each row.
    """
    with alone(), _undrawn(training):
        twin = _finished(copy_of(training.owner), training, training.watch.so_far(), X)
    twin.callback = twin.checkpoint = None
    return twin


def copy_of(estimator: Any) -> Any:
    """A copy that shares no weights and no generator with an estimator, also in the middle of a fit.

    The module may be one for coordinates of rows. It then has a method ``widened`` that returns a copy for rows.
    """
    twin = object.__new__(type(estimator))
    own = vars(twin)
    own.update(lasting(estimator))
    for name, value in own.items():
        if isinstance(value, torch.Generator):
            own[name] = value.clone_state()
        elif isinstance(value, list) and any(hasattr(item, "_flat") for item in value):
            own[name] = [copy_of(layer) for layer in value]
        elif hasattr(value, "_flat"):
            own[name] = copy_of(value)
    module, optimizer = estimator.module_, estimator._optimizer
    is_narrow = hasattr(module, "widened")
    twin.module_ = module.widened() if is_narrow else copy.deepcopy(module)
    twin._flat, twin._optimizer = Flat(twin.module_), Optimizer(optimizer.rule)
    if not is_narrow:  # after the fit too, a network for rows has no moments
        twin._optimizer.load(optimizer.save(estimator._flat), twin._flat)
    return twin


def lasting(estimator: Any) -> dict[str, Any]:
    """The attributes of an estimator, without those of scikit-learn's callbacks."""
    return {name: value for name, value in vars(estimator).items() if name not in TRANSIENT}


def _finished(twin: Any, training: Any, outcome: Outcome, X: Any) -> Any:
    """A copy of what is trained, with all that a fit sets at its end."""
    twin._record(outcome)
    twin._conclude(_all_rows(training.data))
    if X is not None:
        twin._label(twin._source(X))
    return twin


@contextmanager
def _undrawn(training: Any) -> Iterator[None]:
    """Leave the generators of a training as they are, from which its rows may draw."""
    before = [generator.get_state() for generator in training.generators]
    try:
        yield
    finally:
        for generator, state in zip(training.generators, before, strict=True):
            generator.set_state(state)


def _all_rows(data: Any) -> Any:
    """The rows of a fit that this process holds, of which some may be held out from training."""
    while isinstance(data, Subset):
        data = data.data
    held = data.held() if isinstance(data, Source) and current().size == 1 else None
    return data if held is None else held.data
