"""State of a fitted estimator: no change when a fit fails, and its random generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from sklearn.utils import check_random_state

from ..engine.data import is_on
from ..engine.group import current
from ..engine.journal import seeded
from ..engine.modes import one_thread, uninterrupted
from ..engine.optim import Flat
from ..engine.train import Interrupted
from .sharing import fitting_together

__all__ = ["new_generator", "unchanged_on_error"]


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Restore an estimator, to the bit, if the code in the context raises an error.

    If several processes share the fits, the code is a fit of all of them, and an error in one is an error in all.

    It stays as it is if the error is an interrupt that left it fitted.
    """
    before = _Snapshot(estimator)
    try:
        with fitting_together(estimator):
            yield
    except BaseException as error:
        if isinstance(error, Interrupted) and error.kept is estimator:
            raise
        with uninterrupted():
            before.restore()
        if isinstance(error, Interrupted):
            error.kept = None
        raise


class _Snapshot:
    """The attributes of an estimator, and copies of all that training changes in them."""

    def __init__(self, estimator: Any) -> None:
        self.estimator, self.attributes = estimator, vars(estimator).copy()
        self.is_fitted = "module_" in self.attributes
        if self.is_fitted:
            with one_thread():  # a second one makes no copy faster
                self.weights, self.optimizer = estimator._flat.save(), estimator._optimizer.save(estimator._flat)
        if "_rng" in self.attributes:
            self.order = estimator._rng.get_state()

    def restore(self) -> None:
        """Undo every change since the snapshot."""
        estimator = self.estimator
        vars(estimator).clear()
        vars(estimator).update(self.attributes)
        if self.is_fitted:
            self._restore_weights()
        if "_rng" in self.attributes:
            estimator._rng.set_state(self.order)

    def _restore_weights(self) -> None:
        estimator = self.estimator
        module, device = estimator.module_, self.weights[0].device
        if not is_on(next(module.parameters()), device):
            module.to(device)
            estimator._flat = Flat(module)
        estimator._flat.load(self.weights)
        estimator._optimizer.load(self.optimizer, estimator._flat)


def new_generator(random_state: Any) -> torch.Generator:
    """A new random generator. No global state is used.

    Without a seed it is seeded by the operating system, or as before if the fit goes on from a checkpoint. All
    processes that share a fit have the generator of the first one.
    """
    rng = torch.Generator()
    if random_state is None:
        rng.manual_seed(seeded(rng.seed))
    else:
        rng.manual_seed(int(check_random_state(random_state).randint(2**31 - 1)))
    if (group := current()).size > 1:
        rng.manual_seed(group.gather(rng.initial_seed())[0])
    return rng
