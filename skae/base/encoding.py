"""Encoding: what a fitted module does with rows, a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from ..engine.arrays import Arrays
from ..engine.data import Source, chunks, is_on, name_of, resolve_device
from ..engine.frame import Frame
from ..engine.notices import warn
from ..engine.optim import Flat, Optimizer
from ..functional import spawn
from .checks import check_weight, check_x, watcher
from .derivatives import jacobian_singular_values
from .state import new_generator, portable, restore, restore_module

__all__ = ["Encoding", "widest"]

CPU = torch.device("cpu")
CHUNK_BYTES = 2**22
"""Rows are encoded in chunks of this size: measured, on both sides the processor waits for memory."""


def widest(module: Any) -> int:
    """Numbers that a row takes at its widest on the way through a module, which may say so itself."""
    outputs = (p.shape[0] for p in module.parameters() if p.ndim > 1)
    return int(module.widest) if hasattr(module, "widest") else max(outputs, default=1)


class Encoding(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """``transform``, and all that a fitted estimator needs to go through rows, to be saved and to be moved."""

    device: str
    dtype: str
    random_state: Any
    module_: Any
    _Module: ClassVar[type[nn.Module]]
    _spec: dict[str, Any]
    _flat: Flat
    _optimizer: Optimizer
    _rng: torch.Generator
    _frame: Frame
    """How the module sees X."""
    _target_frame: Frame | None = None
    """How it sees y, where y is framed too."""

    # ---------------------------------------------------------------- hooks of a variant

    def _source(self, X: Any, y: Any = None, weight: Any = None, reset: bool | None = None) -> Source:
        """X, y and weights, checked, as a source of batches.

        ``reset`` is True where a fit starts, False where it goes on, and None where a fitted model is used.
        """
        X = check_x(self, X, reset=bool(reset), look_through=reset is not None)
        n_samples = X.shape[0]
        weight = check_weight(weight, n_samples)
        asked = y is not None or reset is not None
        return Arrays(X, weight, self._targets(y, n_samples, weight, reset) if asked else None)

    def _targets(self, y: Any, n_samples: int, weight: np.ndarray | None, reset: bool | None) -> Any:
        """What a batch holds of y, checked, as a table of numbers with a row for each row of X; or None."""
        return None

    def _encode(self, module: Any, batch: Any) -> Tensor:
        """The code of a batch, free of noise."""
        raise NotImplementedError

    def _new_module(self) -> nn.Module:
        """A module as ``_spec`` describes it, not yet initialised."""
        return self._Module(**self._spec)

    # ---------------------------------------------------------------- for users

    @property
    def mean_(self) -> np.ndarray:
        """Mean of the training data."""
        return self._frame.mean

    @property
    def scale_(self) -> float | np.ndarray:
        """What centred X is divided by."""
        return self._frame.scale

    def transform(self, X: Any) -> Any:
        """Encode.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)
            The code of each row, in the estimator's ``dtype``. A tensor where X is one and
            scikit-learn's ``array_api_dispatch`` is on.
        """
        return self._map(self._encode, X, like=X)

    def jacobian_singular_values(self, X: Any) -> np.ndarray:
        """Singular values of the code's derivative J = dh/dx at each row.

        The code follows directions of large singular values; it is blind to the others. Their
        squares sum to ||J||_F^2, which a contractive autoencoder penalises.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        values : ndarray of shape (n_samples, min(n_components, n_features))
            In descending order, in units of the code over units of X.
        """
        return jacobian_singular_values(self, X)

    # ---------------------------------------------------------------- rows through the module

    def _map(self, function: Callable[[Any, Any], Tensor], X: Any, y: Any = None, like: Any = None) -> Any:
        """One array of ``function(module, batch)`` for all rows.

        It is a tensor beside ``like`` if that is one and scikit-learn's array-API dispatch is on.
        """
        data = self._ready_source(X, y)
        if isinstance(like, Tensor) and get_config()["array_api_dispatch"]:
            return self._collect(function, data, like.device)
        return self._collect(function, data).numpy()

    def _ready_source(self, X: Any, y: Any = None) -> Source:
        """X and y, checked and as the module sees them, which is then on its device."""
        check_is_fitted(self)
        data = self._source(X, y)
        self._ready_module()
        return self._seen(data, self._flat.theta.dtype, self._flat.theta.device)

    def _collect(self, function: Callable[[Any, Any], Tensor], data: Source, place: torch.device = CPU) -> Tensor:
        """One tensor of ``function(module, batch)`` for all rows of a source, a chunk of rows at a time."""
        out: Tensor | None = None
        with torch.no_grad():
            for rows in self._chunks(data):
                values = function(self.module_, data[rows])
                if out is None:
                    out = torch.empty((len(data), *values.shape[1:]), dtype=values.dtype, device=place)
                out[rows] = values
        assert out is not None
        return out

    def _chunks(self, data: Source) -> Iterator[slice]:
        """Slices of rows that fit into the processor's cache on their way through the module."""
        return chunks(len(data), max(data.width, widest(self.module_)), CHUNK_BYTES // self._flat.theta.dtype.itemsize)

    def _seen(self, data: Source, dtype: torch.dtype, device: torch.device, resident: bool = False) -> Source:
        """A source as the module sees it; looked through for NaN unless it is kept, and was looked through before."""
        look = watcher(self, data.X) if isinstance(data, Arrays) and not resident else None
        return data.seen(self._frame, self._target_frame, dtype, device, resident, look)

    # ---------------------------------------------------------------- module, devices and randomness

    @property
    def _n_features_out(self) -> int:
        return int(self._spec["n_components"])

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "module_")

    def _ready_module(self) -> nn.Module:
        """The module on the device asked for, or on the CPU where that is not there."""
        try:
            device = resolve_device(self.device, name_of(self._flat.theta.dtype))
        except ValueError as error:
            warn(f"{error} Using the CPU.")
            device = CPU
        if not is_on(self._flat.theta, device):
            self._move(device)
        return self.module_

    def _move(self, device: torch.device) -> None:
        self.module_.to(device)
        self._flat = Flat(self.module_)
        self._optimizer.moments = {k: v.to(device) for k, v in self._optimizer.moments.items()}

    def _noise(self, random_state: Any = None) -> torch.Generator:
        """A generator for samples on the module's device; None is the estimator's own seed."""
        seeds = new_generator(self.random_state if random_state is None else random_state)
        return spawn(seeds, self._flat.theta.device)

    def __getstate__(self) -> dict[str, Any]:
        return portable(self, dict(super().__getstate__()))

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(restore(self, state))
        if "module_" in state:
            restore_module(self)
