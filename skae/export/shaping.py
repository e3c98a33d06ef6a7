"""Operations of torch as nodes of ONNX: views, columns that are taken or set, and convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .graph import Graph
from .operators import operator, single
from .recorder import Times, UnrecordableError

__all__: list[str] = []

LAST = 2**62
"""An end behind the last entry."""


# ------------------------------------------------------------------ the same entries


@operator("alias", "detach", "lift_fresh", "clone", "contiguous", "constant")
def _same(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    return graph.name(a["self"], whole=True)


@operator("_to_copy")
def _to(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    return graph.name(a["self"], out.dtype)


@operator("copy_")
def _copy(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    name = graph.name(a["src"], out.dtype, whole=True)
    return name if graph.meta(a["src"]).shape == out.shape else graph.add("Expand", name, graph.shape(out.shape))


@operator("fill_")
def _fill(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    return graph.add("Expand", graph.name(a["value"], out.dtype), graph.shape(out.shape))


@operator("zero_")
def _zero(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    return graph.add("Expand", graph.constant(0, out.dtype), graph.shape(out.shape))


@operator("view", "_unsafe_view", "reshape", "_reshape_alias", "unsqueeze", "squeeze")
def _view(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    name = graph.name(a["self"], whole=True)
    if graph.meta(a["self"]).shape == out.shape:
        return name
    free = [size for size in out.shape if isinstance(size, Times)]
    sizes = [-1 if isinstance(size, Times) else size for size in out.shape] if len(free) == 1 else out.shape
    return graph.add("Reshape", name, graph.shape(sizes))


@operator("permute")
def _permute(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    return graph.add("Transpose", graph.name(a["self"]), perm=[axis % len(out.shape) for axis in a["dims"]])


@operator("t", "transpose")
def _transpose(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    order = [*range(len(out.shape))]
    if len(order) > 1:
        one, other = (a[key] % len(order) for key in ("dim0", "dim1")) if "dim0" in a else (0, 1)
        order[one], order[other] = order[other], order[one]
    return graph.add("Transpose", graph.name(a["self"]), perm=order)


@operator("expand")
def _expand(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    return graph.add("Expand", graph.name(a["self"]), graph.shape(out.shape))


@operator("repeat")
def _repeat(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    lengths = graph.meta(a["self"]).shape
    name = graph.name(a["self"], whole=True)
    if len(lengths) < len(out.shape):
        name = graph.add("Unsqueeze", name, graph.constant([*range(len(out.shape) - len(lengths))]))
    return graph.add("Tile", name, graph.shape(a["repeats"]))


@operator("cat")
def _cat(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    parts = [graph.name(part, out.dtype, whole=True) for part in a["tensors"]]
    return graph.add("Concat", *parts, axis=a["dim"] % len(out.shape))


@operator("stack")
def _stack(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    axis = graph.constant([a["dim"] % len(out.shape)])
    parts = [graph.add("Unsqueeze", graph.name(part, out.dtype, whole=True), axis) for part in a["tensors"]]
    return graph.add("Concat", *parts, axis=a["dim"] % len(out.shape))


@operator("constant_pad_nd")
def _pad(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    before, after = [0] * len(out.shape), [0] * len(out.shape)
    for k in range(len(a["pad"]) // 2):  # the last axis comes first
        before[-1 - k], after[-1 - k] = a["pad"][2 * k : 2 * k + 2]
    name = graph.name(a["self"], whole=True)
    return graph.add("Pad", name, graph.constant(before + after), graph.constant(a["value"], out.dtype))


# ------------------------------------------------------------------ some of the entries


def _sliced(graph: Graph, name: str, axis: int, start: int, end: int, step: int = 1) -> str:
    limits = (graph.constant([value]) for value in (start, end, axis, step))
    return str(graph.add("Slice", name, *limits))


@operator("slice")
def _slice(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    name = graph.name(a["self"], whole=True)
    if graph.meta(a["self"]).shape == out.shape:
        return name
    start, end, step = a["start"] or 0, a["end"], a["step"]
    if isinstance(start, Times) or isinstance(end, Times):
        raise UnrecordableError("takes some of the rows")
    return _sliced(graph, name, graph.axis(a), start, LAST if end is None else end, step)


@operator("select")
def _select(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    return graph.add("Gather", graph.name(a["self"], whole=True), graph.constant(a["index"]), axis=graph.axis(a))


@operator("split", "split_with_sizes", "unbind")
def _split(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    name, axis = graph.name(a["self"], whole=True), graph.axis(a)
    length = graph.meta(a["self"]).shape[axis]
    if graph.meta(a["self"]).shape == out.shape:
        return [name]
    if isinstance(length, Times):
        raise UnrecordableError("cuts the rows into pieces")
    if "split_sizes" in a:
        ends = np.cumsum(a["split_sizes"]).tolist()
        return [_sliced(graph, name, axis, end - size, end) for end, size in zip(ends, a["split_sizes"], strict=True)]
    if "split_size" in a:
        return [_sliced(graph, name, axis, k, k + a["split_size"]) for k in range(0, length, a["split_size"])]
    return [graph.add("Gather", name, graph.constant(k), axis=axis) for k in range(length)]


def _replaced(graph: Graph, name: str, src: str, axis: int, length: int, places: list[int]) -> str:
    """A value with other entries in some places along an axis."""
    joined = graph.add("Concat", name, src, axis=axis)
    order = [length + places.index(k) if k in places else k for k in range(length)]
    return str(graph.add("Gather", joined, graph.constant(order), axis=axis))


@operator("slice_scatter", "select_scatter")
def _scatter_slice(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    axis = graph.axis(a)
    length = out.shape[axis]
    if graph.meta(a["src"]).shape == out.shape:
        return graph.name(a["src"], out.dtype, whole=True)
    if isinstance(length, Times):
        raise UnrecordableError("sets some of the rows")
    picked = a["index"] if "index" in a else slice(a["start"], a["end"], a["step"])
    places = np.atleast_1d(np.arange(length)[picked]).tolist()
    name, src = graph.name(a["self"], whole=True), graph.name(a["src"], out.dtype, whole=True)
    if "index" in a:
        src = graph.add("Unsqueeze", src, graph.constant([axis]))
    return _replaced(graph, name, src, axis, length, places)


@operator("index_select")
def _index_select(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    index = graph.name(a["index"], torch.int64)
    return graph.add("Gather", graph.name(a["self"], whole=True), index, axis=graph.axis(a))


@operator("index")
def _index(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    ((axis, index),) = ((k, index) for k, index in enumerate(a["indices"]) if index is not None)
    if graph.meta(index).dtype == torch.bool:
        raise UnrecordableError("picks entries by their values")
    return graph.add("Gather", graph.name(a["self"], whole=True), graph.name(index, torch.int64, True), axis=axis)


@operator("index_put")
def _index_put(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    """Columns that are set to others."""
    *before, index = a["indices"]
    axis = len(before)
    if any(i is not None for i in before) or not isinstance(index, Tensor) or a["accumulate"] or index.ndim != 1:
        raise UnrecordableError("sets entries by their values")
    places = index.tolist()
    src = graph.name(a["values"], out.dtype)
    src = graph.add("Expand", src, graph.shape([*out.shape[:axis], len(places), *out.shape[axis + 1 :]]))
    return _replaced(graph, graph.name(a["self"], whole=True), src, axis, out.shape[axis], places)


@operator("gather")
def _gather(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    inputs = graph.name(a["self"], whole=True), graph.name(a["index"], torch.int64, True)
    return graph.add("GatherElements", *inputs, axis=graph.axis(a))


@operator("scatter")
def _scatter(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    index = graph.name(a["index"], torch.int64, True)
    if "src" in a:
        updates = graph.name(a["src"], out.dtype, True)
    else:
        updates = graph.add("Expand", graph.name(a["value"], out.dtype), graph.shape(graph.meta(a["index"]).shape))
    return graph.add("ScatterElements", graph.name(a["self"], whole=True), index, updates, axis=graph.axis(a))


@operator("topk")
def _topk(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    inputs = graph.name(a["self"]), graph.constant([a["k"]])
    return graph.add("TopK", *inputs, outputs=2, axis=a["dim"], largest=int(a["largest"]), sorted=int(a["sorted"]))


@operator("flip")
def _flip(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    name = graph.name(a["self"])
    for axis in a["dims"]:
        name = graph.add("Gather", name, graph.constant([*reversed(range(out.shape[axis]))]), axis=axis)
    return name


# ------------------------------------------------------------------ images


@operator("convolution")
def _convolution(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    inputs = [graph.name(a[key], out.dtype, True) for key in ("input", "weight", "bias") if a[key] is not None]
    options = {
        "strides": [*a["stride"]],
        "pads": [*a["padding"], *a["padding"]],
        "dilations": [*a["dilation"]],
        "group": a["groups"],
    }
    if a["transposed"]:
        options["output_padding"] = [*a["output_padding"]]
    return single(graph, "ConvTranspose" if a["transposed"] else "Conv", *inputs, dtype=out.dtype, **options)


def _pooled(graph: Graph, kind: str, a: dict[str, Any], out: Any, **options: Any) -> str:
    kernel = [*a["kernel_size"]] * (1 if len(a["kernel_size"]) > 1 else 2)
    stride = [*(a["stride"] or kernel)]
    padding = [*a["padding"]] * (1 if len(a["padding"]) > 1 else 2)
    # Windows that reach over the border are cut off there. The padding says so without the rounding of sizes.
    more = [
        (size - 1) * s + k - length - 2 * p
        for size, s, k, length, p in zip(
            out.shape[2:], stride, kernel, graph.meta(a["self"]).shape[2:], padding, strict=True
        )
    ]
    pads = [*padding, *(p + max(0, m) for p, m in zip(padding, more, strict=True))]
    x = graph.name(a["self"], out.dtype)
    return single(graph, kind, x, dtype=out.dtype, kernel_shape=kernel, strides=stride, pads=pads, **options)


@operator("max_pool2d_with_indices")
def _max_pool(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    return [_pooled(graph, "MaxPool", a, out)]


@operator("avg_pool2d")
def _average_pool(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    if any(a["padding"]) or a["divisor_override"] is not None:
        raise UnrecordableError("has a padded average")
    return _pooled(graph, "AveragePool", a, out, count_include_pad=0)
