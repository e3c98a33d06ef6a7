"""Graph: nodes of ONNX, which are added one by one, and the constants that they use."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .recorder import Meta, Program, Ref, Spread, Step, Times, UnrecordableError

__all__ = ["Graph", "type_of"]


class Graph:
    """The nodes of a program, whose rows are an input of the graph.

    Parameters
    ----------
    program : Program
    source : str
        Name of the input.
    opset : int
        Version of the operators.
    prefix : str, default=""
        What the names of all values and constants begin with.
    """

    def __init__(self, program: Program, source: str, opset: int, prefix: str = "") -> None:
        self.metas, self.opset = program.metas, opset
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._source, self._prefix = source, prefix
        self._names = {0: source}
        self._known: dict[Any, str] = {}

    # ---------------------------------------------------------------- nodes and constants

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node, and return the name of its output, or a list of names if there are several."""
        from onnx import helper

        names = [f"{self._prefix}{kind.lower()}_{len(self.nodes)}" + (f"_{k}" if k else "") for k in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=names[0], **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value: Any, dtype: torch.dtype | None = None) -> str:
        """Name of a constant: a tensor, or a number or whole numbers of this dtype."""
        if isinstance(value, Times) or (isinstance(value, list) and any(isinstance(v, Times) for v in value)):
            raise UnrecordableError("computes with the number of rows")
        if not isinstance(value, Tensor):
            value = torch.tensor(value, dtype=torch.int64 if dtype is None else dtype)
        elif dtype is not None:
            value = value.to(dtype)
        from onnx import numpy_helper

        array = np.ascontiguousarray(value.detach().cpu().numpy()).reshape(tuple(value.shape))
        key = array.dtype, array.shape, hashlib.sha256(array.data).digest()
        if key not in self._known:
            name = f"{self._prefix}constant_{len(self.constants)}"
            self._known[key] = name
            self.constants.append(numpy_helper.from_array(array, name))
        return self._known[key]

    def cast(self, name: str, dtype: torch.dtype) -> str:
        """Another dtype of a value."""
        return self.add("Cast", name, to=type_of(dtype))

    def shape(self, sizes: Sequence[int | Times]) -> str:
        """A shape as a value. Sizes may be multiples of the number of rows."""
        if not any(isinstance(size, Times) for size in sizes):
            return self.constant([*sizes])
        n_rows = self.add("Gather", self.add("Shape", self._source), self.constant([0]), axis=0)
        parts = [
            self.add("Mul", n_rows, self.constant([size.factor])) if isinstance(size, Times) else self.constant([size])
            for size in sizes
        ]
        return self.add("Concat", *parts, axis=0)

    # ---------------------------------------------------------------- values of a program

    def meta(self, value: Any) -> Meta:
        """Dtype and shape of an argument."""
        if isinstance(value, Ref):
            return self.metas[value.number]
        if isinstance(value, Spread):
            return Meta(value.tensor.dtype, value.shape)
        if isinstance(value, Tensor):
            return Meta(value.dtype, tuple(value.shape))
        return Meta(torch.tensor(value).dtype, ())

    def axis(self, arguments: dict[str, Any]) -> int:
        """The axis "dim" of "self", counted from the first."""
        return int(arguments["dim"] % max(1, len(self.meta(arguments["self"]).shape)))

    def name(self, value: Any, dtype: torch.dtype | None = None, whole: bool = False) -> str:
        """Name of an argument, in a dtype.

        A constant that is the same for all rows has the size 1 along the rows, unless it is asked for as a ``whole``.
        """
        if isinstance(value, Ref):
            name, own = self._names[value.number], self.metas[value.number].dtype
            return name if dtype in (None, own) else self.cast(name, dtype)
        if isinstance(value, Spread):
            name = self.constant(value.tensor, dtype)
            return self.add("Expand", name, self.shape(value.shape)) if whole else name
        return self.constant(value, dtype)

    def set(self, step: Step, names: Sequence[str]) -> None:
        """Say what the outputs of a step are called."""
        self._names.update(zip(step.outputs, names, strict=False))


def type_of(dtype: torch.dtype) -> int:
    """Number of a dtype in ONNX."""
    from onnx import TensorProto

    types = {
        torch.float32: TensorProto.FLOAT,
        torch.float64: TensorProto.DOUBLE,
        torch.int64: TensorProto.INT64,
        torch.int32: TensorProto.INT32,
        torch.bool: TensorProto.BOOL,
    }
    return int(types[dtype])
