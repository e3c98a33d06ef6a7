"""Models of ONNX: a function of rows as a graph with one input, whose number of rows is free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .graph import Graph, type_of
from .operators import emit
from .recorder import Ref, UnrecordableError, record

__all__ = ["OPSET", "Nodes", "UnrecordableError", "import_onnx", "model_of", "nodes_of"]

OPSET = 17
"""Version of the operators in a model: that of onnxruntime 1.12, of July 2022, and later."""
FIRST_OPSET = 13
"""The oldest version that nodes can be made for."""
FORMAT = 8
"""Version of the file format, of the same age."""


MOST_BYTES = 2**31 - 2**20
"""Bytes of the weights that a model holds."""


class Nodes(NamedTuple):
    """Nodes and constants of a function, the name of its result, and the result's dtype and sizes but for the rows."""

    nodes: list[Any]
    constants: list[Any]
    output: str
    dtype: torch.dtype
    shape: tuple[Any, ...]


def import_onnx() -> Any:
    """The package onnx, or one sentence that says how to install it."""
    try:
        import onnx
    except ImportError:
        raise ImportError("to_onnx needs the package onnx: pip install 'skae[onnx]'.") from None
    return onnx


def nodes_of(
    function: Callable[[Tensor], Tensor],
    rows: Callable[[int], Tensor],
    source: str,
    opset: int = OPSET,
    prefix: str = "",
) -> Nodes:
    """Nodes that compute a function.

    Parameters
    ----------
    function : callable
        Takes rows and returns a tensor, without gradients and without noise.
    rows : callable
        Makes so many rows of the right width and dtype.
    source : str
        Name of the rows.
    opset : int, default=17
        Version of the operators, at least 13.
    prefix : str, default=""
        What the names of all values begin with.

    Raises
    ------
    UnrecordableError
        If the function has no graph.
    """
    if opset < FIRST_OPSET:
        raise UnrecordableError(f"needs operators of version {FIRST_OPSET} or later, not {opset}")
    program = record(function, rows)
    if not isinstance(program.result, Ref):
        raise UnrecordableError("does not depend on the rows")
    graph = Graph(program, source, opset, prefix)
    for step in program.steps:
        emit(graph, step)
    meta = graph.meta(program.result)
    nodes, used = _reached(graph.nodes, graph.name(program.result))
    return Nodes(nodes, [c for c in graph.constants if c.name in used], graph.name(program.result), *meta)


def _reached(nodes: list[Any], output: str) -> tuple[list[Any], set[str]]:
    """The nodes that an output is made of, and the names that these use."""
    used = {output}
    kept = []
    for node in reversed(nodes):
        if used.intersection(node.output):
            used.update(node.input)
            kept.append(node)
    return kept[::-1], used


def model_of(
    found: Nodes,
    source: str,
    width: int,
    dtype: torch.dtype,
    output: str,
    notes: Mapping[str, str],
    opset: int = OPSET,
) -> Any:
    """A checked model with these nodes.

    Parameters
    ----------
    found : Nodes
    source, output : str
        Names of the input and of the output.
    width : int
        Number of columns of the input.
    dtype : torch.dtype
        That of the input.
    notes : dict of str to str
        Metadata, among them "class" and "version".
    opset : int, default=17
        Version of the operators in ``found``.

    Returns
    -------
    model : onnx.ModelProto
    """
    onnx = import_onnx()
    helper = onnx.helper
    size = sum(len(constant.raw_data) for constant in found.constants)
    if size > MOST_BYTES:
        raise ValueError(f"A file of ONNX holds at most 2 GB, but the weights of this model take {size / 1e9:.1f} GB.")
    last = helper.make_node("Identity", [found.output], [output], name=output)
    inputs = [helper.make_tensor_value_info(source, type_of(dtype), ["n_rows", width])]
    shape = ["n_rows", *found.shape[1:]]
    outputs = [helper.make_tensor_value_info(output, type_of(found.dtype), shape)]
    graph = helper.make_graph([*found.nodes, last], notes["class"], inputs, outputs, found.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="skae")
    model.ir_version, model.producer_version = FORMAT, notes["version"]
    helper.set_model_props(model, dict(notes))
    onnx.checker.check_model(model, full_check=True)
    return model
