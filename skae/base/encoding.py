"""Encoding: what a fitted estimator does with rows, one chunk at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn import get_config
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from .._version import REFERENCE
from ..engine.arrays import Arrays
from ..engine.completion import Completion, filled
from ..engine.container import FilePath
from ..engine.data import Batch, Source, Table, chunks, is_on, name_of, resolve_device
from ..engine.frame import Frame
from ..engine.modes import plain_torch
from ..engine.notices import warn
from ..engine.optim import Flat, Optimizer
from ..functional import spawn
from . import damage, files
from .advice import validate
from .callbacks import without_callbacks
from .checks import check_weight, check_x, look_for_gaps, watcher
from .damage import Saved
from .derivatives import jacobian_singular_values
from .exporting import Exported, export
from .mixins import BaseEstimator, CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from .saving import intact, is_fitted, learnt, portable, readable, restore, restore_learnt
from .state import new_generator
from .verdict import constant_code, some_rows

__all__ = ["Encoding", "judged", "widest"]

CPU = torch.device("cpu")
CHUNK_BYTES = 2**22
"""Size of the chunks in which rows are encoded. Measurements show that smaller and larger chunks are slower."""


def widest(module: Any) -> int:
    """Largest number of values that any layer of a module has per row.

    A module may give it as ``widest``. If it makes copies of each row, it says how many as ``n_copies``.
    """
    outputs = (p.shape[0] for p in module.parameters() if p.ndim > 1)
    of_copy = int(module.widest) if hasattr(module, "widest") else max(outputs, default=1)
    return of_copy * int(getattr(module, "n_copies", 1))


def judged(estimator: Any, data: Source, among: Tensor | None = None) -> Any:
    """The rows that a verdict looks at, as a batch, or None if they are too few. See ``some_rows``."""
    return some_rows(data, widest(estimator.module_), among)


class Encoding(ClassNamePrefixFeaturesOutMixin, TransformerMixin, CallbackSupportMixin, BaseEstimator):
    """``transform``, and how a fitted estimator reads rows, is pickled and moves between devices."""

    _doc_link_module = "skae"
    _doc_link_template = REFERENCE
    device: str
    dtype: str
    random_state: Any
    module_: Any
    _Module: ClassVar[type[nn.Module]] = nn.Module
    _spec: dict[str, Any]
    _flat: Flat
    _optimizer: Optimizer
    _rng: torch.Generator
    _frame: Frame
    """Offset and scale with which the module sees X."""
    _target_frame: Frame | None = None
    """Offset and scale with which the module sees y, if y is scaled too."""
    _takes_gaps: ClassVar[bool] = False
    """Whether entries of X may be missing, which are NaN."""
    _completion: Completion | None = None
    """What missing entries are guessed by."""
    _stopped_early: bool = False
    """Whether the last training ended because the watched value stopped falling."""
    _saved: ClassVar[dict[str, Saved]] = {
        "_spec": Saved(damage.spec),
        "n_features_in_": Saved(damage.whole(1), required=False),
        "feature_names_in_": Saved(damage.names, required=False),
        "_frame": Saved(damage.frame, cls=Frame),
        "_target_frame": Saved(damage.frame, required=False, cls=Frame),
        "history_": Saved(damage.history),
        "n_iter_": Saved(damage.whole()),
        "loss_": Saved(damage.number(finite=False)),
        "_stopped_early": Saved(damage.truth, required=False),
        "_completion": Saved(damage.completion, required=False, cls=Completion),
    }
    """What the attributes of a fit are like in a file. A class adds its own ones."""

    # ---------------------------------------------------------------- hooks of a variant

    def _source(self, X: Any, y: Any = None, weight: Any = None, reset: bool | None = None) -> Source:
        """Check X, y and the sample weights, and return them as a source of batches.

        ``reset`` is True when a fit starts, False when it continues, and None when a fitted model is used.
        """
        X = check_x(self, X, reset=bool(reset), look_through=reset is not None)
        n_samples = X.shape[0]
        weight = check_weight(weight, n_samples)
        has_gaps = reset is not None and look_for_gaps(self, X, weight, columns=reset)
        asked = y is not None or reset is not None
        return Arrays(X, weight, self._targets(y, n_samples, weight, reset) if asked else None, has_gaps)

    def _targets(self, y: Any, n_samples: int, weight: np.ndarray | None, reset: bool | None) -> Any:
        """Check y and return it as a table of numbers with one row per row of X, or None if batches need no y."""
        return None

    def _encode(self, module: Any, batch: Any) -> Tensor:
        """The code of a batch, computed without noise."""
        raise NotImplementedError

    def _exported(self) -> dict[str, Exported]:
        """The methods that ``to_onnx`` can export, by their names, as functions of tensors."""
        return {"transform": Exported(self._encode)}

    def _seen_batch(self, x: Tensor) -> Any:
        """A batch of complete rows without y, as the module sees them, given rows of X."""
        return Batch(self._frame.apply(x).to(self._flat.theta.dtype))

    def _new_module(self) -> nn.Module:
        """A new module with the arguments in ``_spec``, not yet initialised."""
        return type(self)._Module(**self._spec)

    def _tunable(self) -> Any:
        """What fine-tuning trains: an object with the hooks that make a module, and that encode and decode with it.

        A new module starts at the weights of ``_ready_module()``.
        """
        return self

    def _prepared(self, data: Source) -> Source:
        """The rows of a fit, with what fine-tuning would otherwise compute of them in every epoch."""
        return data

    def _failure(self, data: Source) -> str | None:
        """What a finished fit has not learnt from these rows and what to do about it, as a sentence, or None."""
        batch = judged(self, data)
        if batch is None:
            return None
        h = self._encode(self.module_, batch)
        return constant_code(h, getattr(batch, "x", None), getattr(batch, "weight", None), self._cure())

    def _cure(self) -> str:
        """What to do about a fit that has learnt nothing, for the message."""
        return "raise max_iter or learning_rate_init, or lower batch_size"

    # ---------------------------------------------------------------- for users

    @property
    def mean_(self) -> np.ndarray:
        """Mean of the training data."""
        return self._frame.mean

    @property
    def scale_(self) -> float | np.ndarray:
        """Scale by which centred X is divided."""
        return self._frame.scale

    @property
    def components_(self) -> np.ndarray:
        """Only where rows are a linear function of the code, or the code of the rows. Then the class says which."""
        check_is_fitted(self)
        raise AttributeError(
            f"components_ belong to a linear map, but this {type(self).__name__} has none between code and rows: draw "
            "what its units look for with skae.inspection.FilterDisplay, or read the weights in module_."
        )

    def transform(self, X: Any) -> np.ndarray:
        """Encode rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)
            The code of each row, in the estimator's ``dtype``. It is a tensor if X is a tensor and scikit-learn's
            ``array_api_dispatch`` is on.
        """
        return self._map(self._encode, X, like=X)

    def to_onnx(self, path: FilePath | None = None, method: str = "transform") -> Any:
        """Write a method of the fitted estimator as a graph of ONNX, which runs without Python or torch.

        The graph takes rows as ``method`` does, any number of them, and does all that it does: centring and scaling
        too. Rows must be complete. It needs the package onnx, and onnxruntime 1.12 or later runs it.

        Parameters
        ----------
        path : str or path-like or None, default=None
            The file to write. It is written beside its place and then renamed, so there is never half of it. None
            writes none.
        method : {"transform", "inverse_transform", "score_samples", "predict_proba", "predict"}, default="transform"
            The method, if this estimator has it. "predict" is for regressors.

        Returns
        -------
        model : onnx.ModelProto
            Its input is "X", or "H" for ``inverse_transform``, in the estimator's ``dtype``; in float64 if the means of
            X are so far from zero that float32 would not hold the rows. Its output is "H", "X_hat", "scores",
            "probabilities" or "y", in the dtype in which ``method`` returns it. Its metadata are the class, the version
            of skae, the method, and the names of features and classes.

        Raises
        ------
        ImportError
            If onnx is not installed.
        ValueError
            If the method has no graph, because it takes a y, noise, or steps that depend on the values of the rows.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skae import Autoencoder
        >>> X = load_iris().data
        >>> model = Autoencoder(2, hidden_layer_sizes=(), max_iter=5, random_state=0).fit(X)
        >>> [node.op_type for node in model.to_onnx().graph.node]
        ['Sub', 'Mul', 'Gemm', 'Gemm', 'Identity']
        """
        return export(self, path, method)

    def jacobian_singular_values(self, X: Any) -> np.ndarray:
        """Singular values of the derivative J = dh/dx of the code at each row.

        The code follows directions with large singular values and ignores the others. The squares of the singular
        values sum to ||J||_F^2, which a contractive autoencoder penalises. Of a row with missing entries J is the
        derivative in its observed entries and in the guesses of the others.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        values : ndarray of shape (n_samples, min(n_components, n_features)), float64
            Singular values in descending order, in units of the code per unit of X.
        """
        return jacobian_singular_values(self, X)

    # ---------------------------------------------------------------- rows through the module

    def _map(
        self,
        function: Callable[[Any, Any], Tensor],
        X: Any,
        y: Any = None,
        like: Any = None,
        undo: Frame | None = None,
    ) -> Any:
        """Apply ``function(module, batch)`` to all rows and return the results as one array.

        The result is a tensor on the device of ``like``, if ``like`` is a tensor and scikit-learn's array API dispatch
        is on. With ``undo``, the results are rows in this frame, and are returned on the scale of the data, in float64.
        """
        data = self._ready_source(X, y)
        if isinstance(like, Tensor) and get_config()["array_api_dispatch"]:
            return self._collect(function, data, like.device, undo)
        return self._collect(function, data, undo=undo).numpy()

    def _ready_source(self, X: Any, y: Any = None) -> Source:
        """Check X and y, and return them as the module sees them, after moving the module to its device."""
        check_is_fitted(self)
        data = self._source(X, y)
        self._ready_module()
        return self._seen(data, self._flat.theta.dtype, self._flat.theta.device)

    def _collect(
        self, function: Callable[[Any, Any], Tensor], data: Source, place: torch.device = CPU, undo: Frame | None = None
    ) -> Tensor:
        """Apply ``function(module, batch)`` to all rows of a source, chunk by chunk, and return one tensor.

        With ``undo``, the results are rows in this frame, and are returned on the scale of the data, in float64.
        """
        out: Tensor | None = None
        with plain_torch(grad=False):
            for rows in self._chunks(data):
                values = function(self.module_, data[rows])
                if out is None:
                    dtype = values.dtype if undo is None else torch.float64
                    place = CPU if dtype == torch.float64 and place.type == "mps" else place
                    out = torch.empty((len(data), *values.shape[1:]), dtype=dtype, device=place)
                if undo is None:
                    out[rows] = values
                else:
                    undo.undo(values, out[rows])
        assert out is not None
        return out

    def _chunks(self, data: Source) -> Iterator[slice]:
        """Consecutive rows of a source that are encoded at a time."""
        width = max(data.width, widest(self.module_))
        return chunks(len(data), width, CHUNK_BYTES // self._flat.theta.dtype.itemsize)

    def _seen(self, data: Source, dtype: torch.dtype, device: torch.device, resident: bool = False) -> Source:
        """A source as the module sees it: with guesses in its gaps. Its batches are checked, unless ``resident``.

        A resident source is converted as a whole, for a fit, and has been checked before.
        """
        look = watcher(self, data.X) if isinstance(data, Arrays) and not resident else None
        seen = data.seen(self._frame, self._target_frame, dtype, device, resident, look)
        if self._completion is None or not isinstance(seen, Table) or (resident and not data.has_gaps):
            return seen
        return filled(seen, self._completion.complete, self._member(None if resident else self._spec))

    def _member(self, spec: Mapping[str, Any] | None = None) -> Tensor | None:
        """Group of each column of X, if columns are one-hot. A group is missing as a whole.

        It follows from the arguments of the module, or from the parameters before there is one.
        """
        return None

    # ---------------------------------------------------------------- module, devices and randomness

    @property
    def _n_features_out(self) -> int:
        return int(self._spec["n_components"])

    def _validate_params(self) -> None:
        validate(self)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "module_")

    def _ready_module(self) -> nn.Module:
        """The module on the requested device, or on the CPU if that device is not available."""
        try:
            device = resolve_device(self.device, name_of(self._flat.theta.dtype))
        except ValueError as error:
            warn(f"{error} Using the CPU.")
            device = CPU
        if not is_on(self._flat.theta, device):
            self._move(device)
        return self.module_

    def _move(self, device: torch.device) -> None:
        with plain_torch():
            self.module_.to(device)
            self._flat = Flat(self.module_)
            self._optimizer.moments = {k: v.to(device) for k, v in self._optimizer.moments.items()}

    def _noise(self, random_state: Any = None) -> torch.Generator:
        """A generator of random numbers on the module's device. None uses the estimator's own seed."""
        seeds = new_generator(self.random_state if random_state is None else random_state)
        return spawn(seeds, self._flat.theta.device)

    save = files.save

    def __getstate__(self) -> dict[str, Any]:
        state = without_callbacks(self, dict(super().__getstate__()))
        if "module_" in state:
            state.pop("_flat")
            state |= learnt(self)
        return portable(self, state)

    def __setstate__(self, state: dict[str, Any]) -> None:
        with intact(self):
            super().__setstate__(readable(self, state))
            if is_fitted(type(self), vars(self)):
                with plain_torch():
                    restore(self)
                    restore_learnt(self)
