"""Estimators of this package inside pipelines that skl2onnx writes as one graph of ONNX.

A single estimator needs none of this: it has ``to_onnx``. See the page "ONNX" of the documentation.
"""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import Any

import numpy as np
import torch
from sklearn.base import is_regressor
from sklearn.utils.validation import check_is_fitted

from .base import ClassPrediction, TorchEstimator
from .base.exporting import nodes_of_method, precision_of
from .export.graph import type_of

__all__ = ["register"]


def register() -> None:
    """Teach skl2onnx how estimators of this package are written as parts of a graph.

    Then ``skl2onnx.to_onnx(pipeline, X[:1])`` writes a whole Pipeline or ColumnTransformer with them. Classifiers give
    labels and probabilities, with the options "zipmap" and "output_class_labels" of skl2onnx. Regressors give
    predictions, and all others the code. Classes of your own that are derived from our estimators are registered too,
    if they exist when this is called.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Examples
    --------
    >>> import skl2onnx
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> import skae.onnx
    >>> from skae import Autoencoder
    >>> X, y = load_iris(return_X_y=True)
    >>> code = Autoencoder(2, max_iter=5, random_state=0)
    >>> pipeline = make_pipeline(StandardScaler(), code, LogisticRegression()).fit(X, y)
    >>> skae.onnx.register()
    >>> graph = skl2onnx.to_onnx(pipeline, X[:1].astype("float32"), options={"zipmap": False}).graph
    >>> [output.name for output in graph.output]
    ['label', 'probabilities']
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError:
        raise ImportError("register needs the package skl2onnx: pip install 'skae[onnx]'.") from None
    options = {"zipmap": [True, False, "columns"], "output_class_labels": [False, True], "nocl": [True, False]}
    for cls in _descendants(TorchEstimator):
        how: dict[str, Any] = {"options": options} if _classifies(cls) else {"parser": _parsed}
        update_registered_converter(cls, _alias(cls), _measure, _convert, **how)


def _descendants(cls: type) -> list[type]:
    own: list[type] = cls.__subclasses__()
    return own + [found for child in own for found in _descendants(child)]


def _alias(cls: type) -> str:
    """Name of a class in skl2onnx."""
    return f"Skae {cls.__module__}.{cls.__qualname__}"


def _classifies(cls: type) -> bool:
    """Whether all estimators of a class predict labels, whatever their parameters are."""
    predicts = inspect.getattr_static(cls, "predict_proba", None)
    return issubclass(cls, ClassPrediction) and isinstance(predicts, FunctionType)


def _method(estimator: Any) -> str:
    if _classifies(type(estimator)):
        return "predict_proba"
    return "predict" if is_regressor(estimator) else "transform"


def _type_of(estimator: Any) -> Any:
    """Type of predictions or codes in skl2onnx."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    check_is_fitted(estimator)
    is_double = is_regressor(estimator) or estimator._flat.theta.dtype == torch.float64
    return DoubleTensorType if is_double else FloatTensorType


def _parsed(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    """One output, whose type the steps behind it are told."""
    operator = scope.declare_local_operator(_alias(type(model)), model)
    operator.inputs = inputs
    operator.outputs.append(scope.declare_local_variable("variable", _type_of(model)()))
    return operator.outputs


def _measure(operator: Any) -> None:
    """Set types and shapes of the outputs."""
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    estimator, n_rows = operator.raw_operator, operator.inputs[0].get_first_dimension()
    if _classifies(type(estimator)):
        is_text = _labels(estimator).dtype == object
        operator.outputs[0].type = (StringTensorType if is_text else Int64TensorType)([n_rows])
        operator.outputs[1].type.shape = [n_rows, len(estimator.classes_)]  # its dtype is what ZipMap was told
    else:
        width = len(estimator.y_mean_) if is_regressor(estimator) else estimator._n_features_out
        operator.outputs[0].type = _type_of(estimator)([n_rows, width])


def _labels(estimator: Any) -> np.ndarray:
    """The classes as whole numbers or as text."""
    classes: np.ndarray = estimator.classes_
    if classes.dtype.kind in "biu":
        return classes.astype(np.int64)
    if all(isinstance(label, str) for label in classes):
        return classes.astype(object)
    raise ValueError(f"Labels in a graph are whole numbers or text, and not {classes.dtype}: convert y before the fit.")


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of an estimator."""
    from onnx import helper, numpy_helper
    from skl2onnx.common.data_types import DoubleTensorType

    estimator, opset = operator.raw_operator, container.target_opset_onnx
    method, prefix = _method(estimator), f"{scope.get_unique_variable_name('skae')}_"

    def add(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        container.nodes.append(helper.make_node(kind, inputs, [output], name=f"{prefix}{output}", **attributes))
        return output

    def constant(array: np.ndarray, name: str) -> str:
        container.initializers.append(numpy_helper.from_array(array, f"{prefix}{name}"))
        return f"{prefix}{name}"

    dtype = precision_of(estimator, method)
    pieces = [  # a table may come as several columns
        add("Cast", [variable.full_name], f"{prefix}in_{k}", to=type_of(dtype))
        for k, variable in enumerate(operator.inputs)
    ]
    rows = add("Concat", pieces, f"{prefix}rows", axis=1)
    found = nodes_of_method(estimator, method, rows, dtype, opset, prefix)
    container.nodes.extend(found.nodes)
    container.initializers.extend(found.constants)
    container.node_domain_version_pair_sets.add(("", opset))
    *labels, result = (variable.full_name for variable in operator.outputs)
    if labels:
        index = add("ArgMax", [found.output], f"{prefix}index", axis=1, keepdims=0)
        add("Gather", [constant(_labels(estimator), "labels"), index], labels[0])
        is_double = isinstance(operator.outputs[1].type, DoubleTensorType)
        add("Cast", [found.output], result, to=type_of(torch.float64 if is_double else torch.float32))
    else:
        add("Reshape", [found.output, constant(np.array([-1, _width(found)]), "shape")], result)


def _width(found: Any) -> int:
    """Columns of a result. One number a row is one column."""
    return int(found.shape[1]) if len(found.shape) > 1 else 1
