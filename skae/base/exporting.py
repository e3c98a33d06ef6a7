"""Graphs of ONNX: which methods of a fitted estimator are functions of rows, and how one becomes a model in a file."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._version import __version__
from ..engine.container import FilePath, write_whole
from ..engine.data import Batch
from ..engine.frame import Frame
from ..engine.modes import plain_torch
from ..export.model import OPSET, Nodes, UnrecordableError, import_onnx, model_of, nodes_of
from .description import is_ours

__all__ = ["Exported", "export", "nodes_of_method", "precision_of"]

OUTPUTS = {
    "transform": "H",
    "inverse_transform": "X_hat",
    "predict_proba": "probabilities",
    "predict": "y",
    "score_samples": "scores",
}
"""Names of the outputs, by the method."""
FAR = 100.0
"""Means that are more scales from zero than this are subtracted from float64: as float32, rows would be rounded too
coarsely."""


class Exported(NamedTuple):
    """A method of a fitted estimator as a function of tensors, for complete rows without y."""

    of_batch: Callable[[Any, Any], Tensor]
    """Takes the module and a batch."""
    undo: Frame | None = None
    """The frame of the result, which is returned on the scale of the data in float64. None leaves it as it is."""
    of_codes: bool = False
    """Whether the rows are codes, and not rows of X."""


def export(estimator: Any, path: FilePath | None, method: str) -> Any:
    """See ``Encoding.to_onnx``."""
    import_onnx()
    check_is_fitted(estimator)
    function = _function(estimator, method)
    source = "H" if function.of_codes else "X"
    dtype = precision_of(estimator, function)
    found = nodes_of_method(estimator, method, source, dtype)
    model = model_of(found, source, _width(estimator, function), dtype, OUTPUTS[method], _notes(estimator, method))
    if path is not None:
        write_whole(path, [model.SerializeToString()])
    return model


def nodes_of_method(
    estimator: Any, method: str, source: str, dtype: torch.dtype, opset: int = OPSET, prefix: str = ""
) -> Nodes:
    """Nodes that compute a method of a fitted estimator. The other arguments are those of ``nodes_of``."""
    function = _function(estimator, method)
    name = type(estimator).__name__
    module = estimator._ready_module()

    def rows(n: int) -> Tensor:
        return _rows(estimator, function, n).to(dtype).to(estimator._flat.theta.device)

    def of_rows(x: Tensor) -> Tensor:
        return _applied(estimator, function, module, x)

    few = rows(4)
    with warnings.catch_warnings():  # of rows that are only there to be tried
        warnings.simplefilter("ignore")
        wanted = np.asarray(getattr(estimator, method)(few.cpu().numpy()))  # it may be a data frame
    with plain_torch(grad=False):
        try:
            found = nodes_of(of_rows, rows, source, opset, prefix)
        except UnrecordableError as error:
            raise ValueError(f"{method} of this {name} has no graph of ONNX: it {error}.") from error
        is_replaced = not is_ours(getattr(estimator, method))  # which a few rows need not show
        if is_replaced or not _agree(of_rows(few).cpu().numpy(), wanted):
            raise ValueError(f"{method} of {name} does more than the hooks of its class, and cannot be exported.")
    return found


def precision_of(estimator: Any, function: Exported | str) -> torch.dtype:
    """Dtype of the rows that a graph takes: the estimator's, or float64 where float32 would round too coarsely."""
    function = _function(estimator, function) if isinstance(function, str) else function
    frame, own = estimator._frame, estimator._flat.theta.dtype
    is_near = frame.fits_float32 and bool((np.abs(frame.offset) <= FAR * frame.scale).all())
    return own if is_near or function.of_codes else torch.float64


def _function(estimator: Any, method: str) -> Exported:
    functions: dict[str, Exported] = estimator._exported()
    own = [name for name in functions if hasattr(estimator, name)]
    if method not in own:
        cure = f"it must be one of {own}"
        if method == "predict" and "predict_proba" in own:
            cure = "export 'predict_proba', whose columns are those of classes_"
        raise ValueError(f"method={method!r} of {type(estimator).__name__} cannot be exported: {cure}.")
    return functions[method]


def _width(estimator: Any, function: Exported) -> int:
    return int(estimator._n_features_out if function.of_codes else len(estimator._frame))


def _rows(estimator: Any, function: Exported, n: int) -> Tensor:
    """Rows that are possible for most models: a part of the mean that depends on n, and zeros in every other row."""
    typical = np.ones(_width(estimator, function)) if function.of_codes else estimator._frame.mean
    return torch.tensor(np.where(np.arange(n)[:, None] % 2, 0.0, typical * (1 - 1 / n)))


def _applied(estimator: Any, function: Exported, module: Any, x: Tensor) -> Tensor:
    """What a function makes of rows of X, or of codes."""
    seen = Batch(x.to(estimator._flat.theta.dtype)) if function.of_codes else estimator._seen_batch(x)
    found = function.of_batch(module, seen)
    return found if function.undo is None else function.undo.undo(found)


def _agree(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether a method gives what the hooks of its class do."""
    if found.shape != wanted.shape:
        return False
    size = np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0)
    return bool(np.allclose(found, wanted, rtol=1e-4, atol=1e-4 * size, equal_nan=True))


def _notes(estimator: Any, method: str) -> dict[str, str]:
    """Metadata of a model. Names and labels are lists in JSON."""
    notes = {"class": type(estimator).__name__, "version": __version__, "method": method}
    if hasattr(estimator, "feature_names_in_"):
        notes["feature_names"] = json.dumps(estimator.feature_names_in_.tolist())
    if method == "predict_proba" and hasattr(estimator, "classes_"):
        notes["classes"] = json.dumps(estimator.classes_.tolist(), default=str)
    return notes
