"""Operations of torch as nodes of ONNX: matrix products, sums, maxima and their like, also in groups of columns."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .graph import Graph
from .operators import OPERATORS, Emit, operator
from .recorder import Ref, Spread, Times, UnrecordableError

__all__: list[str] = []

# ------------------------------------------------------------------ products


@operator("mm", "bmm", "mv", "dot", "matmul")
def _matmul(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    other = next(a[key] for key in ("mat2", "vec", "tensor", "other") if key in a)
    return graph.add("MatMul", graph.name(a["self"], out.dtype), graph.name(other, out.dtype))


@operator("addmm")
def _addmm(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    inputs = [graph.name(a[key], out.dtype) for key in ("mat1", "mat2", "self")]
    return graph.add("Gemm", *inputs, alpha=float(a["alpha"]), beta=float(a["beta"]))


@operator("baddbmm", "addmv")
def _baddbmm(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    if (a["alpha"], a["beta"]) != (1, 1):
        raise UnrecordableError("has a scaled product")
    left, right = ("batch1", "batch2") if "batch1" in a else ("mat", "vec")
    product = graph.add("MatMul", graph.name(a[left], out.dtype), graph.name(a[right], out.dtype))
    return graph.add("Add", product, graph.name(a["self"], out.dtype))


# ------------------------------------------------------------------ reductions


def _axes(graph: Graph, a: dict[str, Any]) -> list[int]:
    """Axes that are reduced, counted from the first. No axis, or an empty list, stands for all."""
    n = len(graph.meta(a["self"]).shape)
    dim = a.get("dim")
    listed = [dim] if isinstance(dim, int) else dim
    return sorted(axis % n for axis in listed) if listed else list(range(n))


def _reduced(graph: Graph, kind: str, x: str, axes: list[int], keepdims: bool) -> str:
    """A node that reduces. Before version 18, the axes of all but sums were attributes."""
    if kind == "ReduceSum" or graph.opset >= 18:
        return str(graph.add(kind, x, graph.constant(axes), keepdims=int(keepdims)))
    return str(graph.add(kind, x, axes=axes, keepdims=int(keepdims)))


@operator("sum")
def _sum(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    return _reduced(graph, "ReduceSum", graph.name(a["self"], out.dtype), _axes(graph, a), a.get("keepdim", False))


@operator("mean")
def _mean(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    axes = _axes(graph, a)
    n = 1
    for axis in axes:
        size = graph.meta(a["self"]).shape[axis]
        if isinstance(size, Times):
            raise UnrecordableError("takes a mean over the rows")
        n *= size
    return graph.add("Div", _sum(graph, a, out), graph.constant(n, out.dtype))


def _extreme(kind: str) -> Emit:
    """The largest or smallest entry along an axis, and its place if one axis is named."""

    def emitted(graph: Graph, a: dict[str, Any], out: Any) -> Any:
        x, axes, keepdim = graph.name(a["self"], out.dtype), _axes(graph, a), a.get("keepdim", False)
        found = _reduced(graph, f"Reduce{kind}", x, axes, keepdim)
        if not isinstance(a.get("dim"), int):
            return found
        return [found, graph.add(f"Arg{kind}", x, axis=axes[0], keepdims=int(keepdim))]

    return emitted


def _place(kind: str) -> Emit:
    def emitted(graph: Graph, a: dict[str, Any], out: Any) -> Any:
        (axis,) = _axes(graph, a)
        return graph.add(f"Arg{kind}", graph.name(a["self"]), axis=axis, keepdims=int(a["keepdim"]))

    return emitted


for _name, _kind in (("max", "Max"), ("min", "Min")):
    OPERATORS[_name] = OPERATORS[f"a{_name}"] = _extreme(_kind)
    OPERATORS[f"arg{_name}"] = _place(_kind)


@operator("any")
def _any(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    counted = graph.cast(graph.name(a["self"]), torch.float32)
    n = _reduced(graph, "ReduceSum", counted, _axes(graph, a), a.get("keepdim", False))
    return graph.add("Greater", n, graph.constant(0.0, torch.float32))


@operator("logsumexp")
def _logsumexp(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    x, axes = graph.name(a["self"], out.dtype), _axes(graph, a)
    least = graph.constant(torch.finfo(out.dtype).min, out.dtype)
    most = _reduced(graph, "ReduceMax", x, axes, True)
    shift = graph.add("Max", most, least)
    total = _reduced(graph, "ReduceSum", graph.add("Exp", graph.add("Sub", x, shift)), axes, True)
    found = graph.add("Add", graph.add("Log", total), shift)
    # All may be -inf, of which the exponential is not exactly 0 in float64 in onnxruntime 1.19.
    found = graph.add("Where", graph.add("Less", most, least), most, found)
    return found if a["keepdim"] else graph.add("Squeeze", found, graph.constant(axes))


@operator("linalg_vector_norm")
def _norm(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    if a["ord"] != 2:
        raise UnrecordableError("has another norm than the euclidean one")
    x = graph.name(a["self"], out.dtype)
    return graph.add("Sqrt", _reduced(graph, "ReduceSum", graph.add("Mul", x, x), _axes(graph, a), a["keepdim"]))


def _normalised(kind: str) -> Emit:
    def emitted(graph: Graph, a: dict[str, Any], out: Any) -> Any:
        return graph.add(kind, graph.name(a["self"], out.dtype), axis=a["dim"])

    return emitted


OPERATORS["_softmax"], OPERATORS["_log_softmax"] = _normalised("Softmax"), _normalised("LogSoftmax")


@operator("cumsum")
def _cumsum(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    return graph.add("CumSum", graph.name(a["self"], out.dtype), graph.constant(a["dim"]))


# ------------------------------------------------------------------ groups of columns


def _in_groups(graph: Graph, x: str, axis: int, members: list[list[int]], kind: str, filler: str) -> str:
    """Sums or maxima of groups of entries along an axis, given the places of each group's members.

    ``filler`` is the name of an entry that changes no result. It is added behind the last place, -1.
    """
    most = max(1, *(len(group) for group in members))
    table = [group + [-1] * (most - len(group)) for group in members]
    gathered = graph.add("Gather", graph.add("Concat", x, filler, axis=axis), graph.constant(table), axis=axis)
    return _reduced(graph, kind, gathered, [axis + 1], False)


def _filler(graph: Graph, value: Any, axis: int, dtype: torch.dtype, number: float) -> str:
    shape = list(graph.meta(value).shape)
    shape[axis] = 1
    return str(graph.add("Expand", graph.constant(number, dtype), graph.shape(shape)))


def _groups(index: Any, axis: int, n_groups: int) -> list[list[int]]:
    """The members of each group, given the group of each entry."""
    index = index.tensor if isinstance(index, Spread) else index
    if isinstance(index, Ref):
        raise UnrecordableError("has groups that differ between rows")
    each = index[None] if index.ndim == 1 else index.movedim(axis, -1).flatten(0, -2)
    if not bool((each == each[0]).all()):
        raise UnrecordableError("has groups that differ between rows")
    groups = each[0].tolist()
    return [[i for i, group in enumerate(groups) if group == k] for k in range(n_groups)]


def _starts_at(value: Any, number: float) -> None:
    tensor = value.tensor if isinstance(value, Spread) else value
    if isinstance(tensor, Ref) or not bool((tensor == number).all()):
        raise UnrecordableError("adds groups to something")


@operator("index_add")
def _index_add(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    axis = graph.axis(a)
    _starts_at(a["self"], 0.0)
    members = _groups(a["index"], axis, out.shape[axis])
    filler = _filler(graph, a["source"], axis, out.dtype, 0.0)
    return _in_groups(graph, graph.name(a["source"], out.dtype, True), axis, members, "ReduceSum", filler)


@operator("scatter_reduce")
def _scatter_reduce(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    axis = graph.axis(a)
    if a["reduce"] != "amax":
        raise UnrecordableError(f"reduces groups by {a['reduce']!r}")
    _starts_at(a["self"], -torch.inf)
    members = _groups(a["index"], axis, out.shape[axis])
    filler = _filler(graph, a["src"], axis, out.dtype, -torch.inf)
    return _in_groups(graph, graph.name(a["src"], out.dtype, True), axis, members, "ReduceMax", filler)


@operator("embedding")
def _embedding(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    return graph.add("Gather", graph.name(a["weight"]), graph.name(a["indices"], torch.int64, True), axis=0)


@operator("_embedding_bag", "_embedding_bag_forward_only")
def _embedding_bag(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    order, start = a["indices"], a["offsets"]
    if (
        not (isinstance(order, Tensor) and isinstance(start, Tensor))
        or a["mode"]
        or a["per_sample_weights"] is not None
    ):
        raise UnrecordableError("has bags that differ between rows")
    ends = [*start.tolist()[1:], len(order)]
    members = [order[first:end].tolist() for first, end in zip(start.tolist(), ends, strict=True)]
    filler = _filler(graph, a["weight"], 0, out.dtype, 0.0)
    return [_in_groups(graph, graph.name(a["weight"], out.dtype, True), 0, members, "ReduceSum", filler)]
