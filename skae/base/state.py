"""PortableState: a fitted estimator on any device, and as numpy arrays in a pickle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from torch import Tensor, nn

from .._version import __version__
from ..engine import notices
from ..engine.data import is_on, name_of, resolve_device, to_tensor
from ..engine.optim import Flat, Optimizer

__all__ = ["PortableState", "new_generator", "unchanged_on_error"]


class PortableState(BaseEstimator):
    """What an estimator inherits to be saved, copied and moved between devices."""

    device: str
    random_state: Any
    module_: Any
    mean_: np.ndarray
    _Module: ClassVar[type[nn.Module]]
    _spec: dict[str, Any]
    _flat: Flat
    _optimizer: Optimizer
    _rng: torch.Generator

    @property
    def _n_features_out(self) -> int:
        return int(self._spec["n_components"])

    @property
    def _widest(self) -> int:
        """Numbers a row takes at its widest on the way through the module."""
        widths = (p.shape[0] for p in self.module_.parameters() if p.ndim > 1)
        return max(len(self.mean_), *widths)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "module_")

    def _new_module(self) -> nn.Module:
        """A module as ``_spec`` describes it, not yet initialised."""
        return self._Module(**self._spec)

    def _ready_module(self) -> nn.Module:
        """The module on the device asked for, or on the CPU where that is not there."""
        try:
            device = resolve_device(self.device, name_of(self._flat.theta.dtype))
        except ValueError as error:
            notices.warn(f"{error} Using the CPU.")
            device = torch.device("cpu")
        if not is_on(self._flat.theta, device):
            self._move(device)
        return self.module_

    def _noise(self, random_state: Any = None) -> torch.Generator:
        """A generator for samples on the module's device; None is the estimator's own seed."""
        seeds = new_generator(self.random_state if random_state is None else random_state)
        return torch.Generator(self._flat.theta.device).manual_seed(int(torch.randint(2**62, (), generator=seeds)))

    def _move(self, device: torch.device) -> None:
        self.module_.to(device)
        self._flat = Flat(self.module_)
        self._optimizer.moments = {k: v.to(device) for k, v in self._optimizer.moments.items()}

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "module_" in state:
            tensors = [*self.module_.named_parameters(), *self.module_.named_buffers()]
            state["_skae_version"] = __version__
            state["module_"] = {name: _to_numpy(t) for name, t in tensors}
            state["_optimizer"] = (self._optimizer.rule, {k: _to_numpy(t) for k, t in self._optimizer.moments.items()})
            state["_rng"] = self._rng.get_state().numpy()
            state["_flat"] = self._flat.theta.numel()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        version = state.pop("_skae_version", __version__)
        if version != __version__:
            notices.warn(
                f"This {type(self).__name__} was saved by skae {version} and is loaded by {__version__}: "
                "results may differ; fit again if they do."
            )
        super().__setstate__(state)
        if "module_" in state:
            self._restore(state)

    def _restore(self, state: dict[str, Any]) -> None:
        arrays: dict[str, np.ndarray] = state["module_"]
        module = self._new_module()
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            tensor.data = to_tensor(arrays[name].copy())
        rule, saved = state["_optimizer"]
        self.module_, self._flat = module, Flat(module)
        self._optimizer = Optimizer(rule, moments={k: to_tensor(v.copy()) for k, v in saved.items()})
        self._rng = torch.Generator()
        self._rng.set_state(torch.from_numpy(state["_rng"].copy()))


def _to_numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().copy()


@contextmanager
def unchanged_on_error(estimator: BaseEstimator) -> Iterator[None]:
    """Give an estimator its attributes back if what follows raises."""
    before = vars(estimator).copy()
    rng = before.get("_rng")
    order = None if rng is None else rng.get_state()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        if "_flat" in before and not is_on(before["_flat"].theta, next(before["module_"].parameters()).device):
            estimator._flat = Flat(before["module_"])
        if rng is not None:
            rng.set_state(order)
        raise


def new_generator(random_state: Any) -> torch.Generator:
    """A generator of our own; without a seed from the system's entropy, no global state is drawn from."""
    rng = torch.Generator()
    if random_state is None:
        rng.seed()
    else:
        rng.manual_seed(int(check_random_state(random_state).randint(2**31 - 1)))
    return rng
