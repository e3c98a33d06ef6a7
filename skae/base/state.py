"""State of a fitted estimator: numpy arrays in a pickle, and no change when a fit fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import Tensor

from .._version import __version__
from ..engine.data import is_on, to_tensor
from ..engine.frame import Frame
from ..engine.modes import one_thread, uninterrupted
from ..engine.notices import warn
from ..engine.optim import Flat, Optimizer
from ..engine.train import Interrupted

__all__ = ["new_generator", "portable", "restore", "restore_module", "unchanged_on_error"]

FORMAT = 2
"""Number of the format of pickles. Pickles of another format cannot be loaded."""


def portable(estimator: Any, state: dict[str, Any]) -> dict[str, Any]:
    """The attributes of an estimator for a pickle, with numpy arrays instead of tensors and objects of this package."""
    if "module_" not in state:
        return state
    tensors = [*estimator.module_.named_parameters(), *estimator.module_.named_buffers()]
    optimizer = estimator._optimizer
    frames = {name: value.__getstate__() for name, value in state.items() if isinstance(value, Frame)}
    return {
        **state,
        "_skae_version": __version__,
        "_format": FORMAT,
        "_frames": frames,
        **dict.fromkeys(frames),
        "module_": {name: _to_numpy(tensor) for name, tensor in tensors},
        "_optimizer": (optimizer.rule, {name: _to_numpy(moment) for name, moment in optimizer.moments.items()}),
        "_rng": estimator._rng.get_state().numpy(),
        "_flat": estimator._flat.theta.numel(),
    }


def restore(estimator: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Undo ``portable``, except for the module, see ``restore_module``."""
    state = dict(state)
    version, layout = state.pop("_skae_version", __version__), state.pop("_format", None)
    if "module_" in state and layout != FORMAT:
        raise ValueError(
            f"This {type(estimator).__name__} was saved by skae {version}, whose files skae {__version__} cannot read: "
            "fit it again, or load it with that version."
        )
    if version != __version__:
        warn(
            f"This {type(estimator).__name__} was saved by skae {version} and is loaded by {__version__}: "
            "results may differ; fit again if they do."
        )
    frames = state.pop("_frames", {})
    return {**state, **{name: Frame(*parts) for name, parts in frames.items()}}


def restore_module(estimator: Any) -> None:
    """Build the module, the optimizer and the random generator of an unpickled estimator from their arrays."""
    arrays: dict[str, np.ndarray] = estimator.module_
    module = estimator._new_module()
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        tensor.data = to_tensor(arrays[name].copy())
    rule, saved = estimator._optimizer
    order = torch.from_numpy(estimator._rng.copy())
    estimator.module_, estimator._flat = module, Flat(module)
    estimator._optimizer = Optimizer(rule, moments={name: to_tensor(moment.copy()) for name, moment in saved.items()})
    estimator._rng = torch.Generator()
    estimator._rng.set_state(order)


def _to_numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().copy()


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Restore an estimator, to the bit, if the code in the context raises an error.

    It stays as it is if the error is an interrupt that left it fitted.
    """
    before = _Snapshot(estimator)
    try:
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
                self.weights, self.optimizer = estimator._flat.save(), estimator._optimizer.save()
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
        estimator._optimizer.load(self.optimizer)


def new_generator(random_state: Any) -> torch.Generator:
    """A new random generator. Without a seed it is seeded by the operating system. No global state is used."""
    rng = torch.Generator()
    if random_state is None:
        rng.seed()
    else:
        rng.manual_seed(int(check_random_state(random_state).randint(2**31 - 1)))
    return rng
