"""Operations of torch as nodes of ONNX: arithmetic, entry by entry.

Each function of a table adds the nodes of one operation, and returns the name of its result. onnxruntime has not all
operators in float64, so some are made of simpler ones, and a few are computed in float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from .graph import Graph
from .recorder import Ref, Spread, Step, UnrecordableError

__all__ = ["OPERATORS", "Emit", "emit", "operator", "single"]

Emit: TypeAlias = Callable[[Graph, dict[str, Any], Any], Any]
"""Takes the graph, the arguments, and dtype and shape of the first result. Returns its name, or a list of names."""
OPERATORS: dict[str, Emit] = {}
"""By the name of the operation."""
LANCZOS = [676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905]
LANCZOS += [-0.13857109526572012, 9.984369578019572e-6, 1.5056327351493116e-7]
"""Coefficients of the logarithm of the gamma function (Lanczos, 1964), for g = 7."""


def operator(*names: str) -> Callable[[Emit], Emit]:
    """Enter a function into the table, as that of the operations with these names."""

    def entered(function: Emit) -> Emit:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return entered


def emit(graph: Graph, step: Step) -> None:
    """Add the nodes of a step."""
    if step.name not in OPERATORS:
        raise UnrecordableError(f"needs {step.name!r} of torch, which has no counterpart here")
    found = OPERATORS[step.name](graph, step.arguments, graph.metas[step.outputs[0]])
    graph.set(step, found if isinstance(found, list) else [found])


def single(graph: Graph, kind: str, *inputs: str, dtype: torch.dtype, **attributes: Any) -> str:
    """Add a node that onnxruntime has in float32 only."""
    if dtype == torch.float32:
        return str(graph.add(kind, *inputs, **attributes))
    found = graph.add(kind, *(graph.cast(name, torch.float32) for name in inputs), **attributes)
    return graph.cast(found, dtype)


# ------------------------------------------------------------------ entry by entry

UNARY = {
    "relu": ("Relu",),
    "tanh": ("Tanh",),
    "sigmoid": ("Sigmoid",),
    "exp": ("Exp",),
    "log": ("Log",),
    "sqrt": ("Sqrt",),
    "rsqrt": ("Sqrt", "Reciprocal"),
    "reciprocal": ("Reciprocal",),
    "neg": ("Neg",),
    "abs": ("Abs",),
    "sign": ("Sign",),
    "sgn": ("Sign",),
    "round": ("Round",),
    "floor": ("Floor",),
    "ceil": ("Ceil",),
    "logical_not": ("Not",),
    "bitwise_not": ("Not",),
}
BINARY = {
    "mul": "Mul",
    "maximum": "Max",
    "minimum": "Min",
    "logical_and": "And",
    "bitwise_and": "And",
    "logical_or": "Or",
    "bitwise_or": "Or",
    "gt": "Greater",
    "lt": "Less",
    "ge": "GreaterOrEqual",
    "le": "LessOrEqual",
    "eq": "Equal",
}


def _unary(kinds: tuple[str, ...]) -> Emit:
    def emitted(graph: Graph, a: dict[str, Any], out: Any) -> str:
        name = graph.name(a["self"], out.dtype)
        for kind in kinds:
            name = graph.add(kind, name)
        return name

    return emitted


def _binary(kind: str) -> Emit:
    def emitted(graph: Graph, a: dict[str, Any], out: Any) -> str:
        dtype = out.dtype if out.dtype != torch.bool or kind in ("And", "Or") else _common(graph, a["self"], a["other"])
        return str(graph.add(kind, graph.name(a["self"], dtype), graph.name(a["other"], dtype)))

    return emitted


OPERATORS.update({name: _unary(kinds) for name, kinds in UNARY.items()})
OPERATORS.update({name: _binary(kind) for name, kind in BINARY.items()})


def _common(graph: Graph, one: Any, other: Any) -> torch.dtype:
    """The dtype in which two arguments are compared."""
    like = [torch.empty((1,) * bool(m.shape), dtype=m.dtype) for m in map(graph.meta, (one, other))]
    pair = (t if isinstance(v, (Ref, Spread, Tensor)) else v for t, v in zip(like, (one, other), strict=True))
    dtype = torch.result_type(*pair)
    return torch.float32 if dtype == torch.bool else dtype


@operator("ne")
def _ne(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    return graph.add("Not", OPERATORS["eq"](graph, a, out))


def _with_factor(kind: str, one: str, other: str, factor: str) -> Emit:
    """``one`` plus or minus ``other``, which is multiplied by a factor."""

    def emitted(graph: Graph, a: dict[str, Any], out: Any) -> Any:
        scaled = graph.name(a[other], out.dtype)
        if a.get(factor, 1) != 1:
            scaled = graph.add("Mul", scaled, graph.constant(a[factor], out.dtype))
        return graph.add(kind, graph.name(a[one], out.dtype), scaled)

    return emitted


OPERATORS["add"] = _with_factor("Add", "self", "other", "alpha")
OPERATORS["sub"] = _with_factor("Sub", "self", "other", "alpha")
OPERATORS["rsub"] = _with_factor("Sub", "other", "self", "alpha")


@operator("div")
def _div(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    dtype = out.dtype if out.dtype.is_floating_point else torch.float64
    quotient = graph.add("Div", graph.name(a["self"], dtype), graph.name(a["other"], dtype))
    if a.get("rounding_mode") == "floor":
        quotient = graph.add("Floor", quotient)
    elif a.get("rounding_mode") == "trunc":
        quotient = graph.add("Mul", graph.add("Sign", quotient), graph.add("Floor", graph.add("Abs", quotient)))
    return quotient if dtype == out.dtype else graph.cast(quotient, out.dtype)


@operator("remainder")
def _remainder(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    if not out.dtype.is_floating_point:
        return graph.add("Mod", graph.name(a["self"], out.dtype), graph.name(a["other"], out.dtype))
    x, y = graph.name(a["self"], out.dtype), graph.name(a["other"], out.dtype)
    return graph.add("Sub", x, graph.add("Mul", graph.add("Floor", graph.add("Div", x, y)), y))


@operator("pow")
def _pow(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    x, exponent = graph.name(a["self"], out.dtype), a["exponent"]
    if exponent == 2:
        return graph.add("Mul", x, x)
    return graph.add("Sqrt", x) if exponent == 0.5 else graph.add("Pow", x, graph.name(exponent, out.dtype))


def _with_product(kind: str) -> Emit:
    def emitted(graph: Graph, a: dict[str, Any], out: Any) -> Any:
        product = graph.add(kind, graph.name(a["tensor1"], out.dtype), graph.name(a["tensor2"], out.dtype))
        if a.get("value", 1) != 1:
            product = graph.add("Mul", product, graph.constant(a["value"], out.dtype))
        return graph.add("Add", graph.name(a["self"], out.dtype), product)

    return emitted


OPERATORS["addcmul"], OPERATORS["addcdiv"] = _with_product("Mul"), _with_product("Div")


@operator("clamp", "clamp_min", "clamp_max")
def _clamp(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    name = graph.name(a["self"], out.dtype)
    for kind, bound in (("Max", a.get("min")), ("Min", a.get("max"))):
        name = name if bound is None else graph.add(kind, name, graph.name(bound, out.dtype))
    return name


@operator("where")
def _where(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    return graph.add(
        "Where", graph.name(a["condition"]), graph.name(a["self"], out.dtype), graph.name(a["other"], out.dtype)
    )


@operator("masked_fill")
def _masked_fill(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    return graph.add(
        "Where", graph.name(a["mask"]), graph.name(a["value"], out.dtype), graph.name(a["self"], out.dtype)
    )


@operator("silu")
def _silu(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    x = graph.name(a["self"], out.dtype)
    if out.dtype == torch.float32:
        return graph.add("Mul", x, graph.add("Sigmoid", x))
    # As a product, onnxruntime 1.19 would replace it by an operator that it has in float32 only.
    return graph.add("Div", x, graph.add("Add", graph.add("Exp", graph.add("Neg", x)), graph.constant(1.0, out.dtype)))


@operator("gelu")
def _gelu(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    if a["approximate"] != "none":
        raise UnrecordableError("has an approximate 'gelu'")
    x = graph.name(a["self"], out.dtype)
    z = graph.add("Mul", x, graph.constant(math.sqrt(0.5), out.dtype))
    twice = graph.add("Add", single(graph, "Erf", z, dtype=out.dtype), graph.constant(1.0, out.dtype))
    return graph.add("Mul", graph.add("Mul", x, graph.constant(0.5, out.dtype)), twice)


@operator("elu")
def _elu(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    if (a["alpha"], a["scale"], a["input_scale"]) != (1, 1, 1):
        raise UnrecordableError("has a scaled 'elu'")
    x, zero = graph.name(a["self"], out.dtype), graph.constant(0.0, out.dtype)
    below = graph.add("Sub", graph.add("Exp", graph.add("Min", x, zero)), graph.constant(1.0, out.dtype))
    return graph.add("Add", graph.add("Relu", x), below)


@operator("leaky_relu")
def _leaky_relu(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    x = graph.name(a["self"], out.dtype)
    below = graph.add("Mul", x, graph.constant(a["negative_slope"], out.dtype))
    return graph.add("Where", graph.add("Greater", x, graph.constant(0.0, out.dtype)), x, below)


def _softplus_of(graph: Graph, x: str, dtype: torch.dtype) -> str:
    """Log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))."""
    small = graph.add("Exp", graph.add("Neg", graph.add("Abs", x)))
    logarithm = graph.add("Log", graph.add("Add", small, graph.constant(1.0, dtype)))
    return str(graph.add("Add", graph.add("Relu", x), logarithm))


@operator("softplus")
def _softplus(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    if a["beta"] != 1:
        raise UnrecordableError("has a scaled 'softplus'")
    return _softplus_of(graph, graph.name(a["self"], out.dtype), out.dtype)


@operator("log_sigmoid_forward")
def _log_sigmoid(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    x = graph.add("Neg", graph.name(a["self"], out.dtype))
    return [graph.add("Neg", _softplus_of(graph, x, out.dtype))]


@operator("logaddexp")
def _logaddexp(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    x, y = graph.name(a["self"], out.dtype), graph.name(a["other"], out.dtype)
    return graph.add("Add", y, _softplus_of(graph, graph.add("Sub", x, y), out.dtype))


@operator("log1p")
def _log1p(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    return graph.add("Log", graph.add("Add", graph.name(a["self"], out.dtype), graph.constant(1.0, out.dtype)))


@operator("expm1")
def _expm1(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    return graph.add("Sub", graph.add("Exp", graph.name(a["self"], out.dtype)), graph.constant(1.0, out.dtype))


@operator("binary_cross_entropy_with_logits")
def _cross_entropy(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    if a["weight"] is not None or a["pos_weight"] is not None or a["reduction"] != 0:
        raise UnrecordableError("has a weighted cross-entropy")
    eta, x = graph.name(a["self"], out.dtype), graph.name(a["target"], out.dtype)
    return graph.add("Sub", _softplus_of(graph, eta, out.dtype), graph.add("Mul", eta, x))


@operator("lgamma")
def _lgamma(graph: Graph, a: dict[str, Any], out: Any) -> Any:
    """Log of the gamma function of numbers of at least 1/2."""

    def number(value: float) -> str:
        return graph.constant(value, torch.float64)

    z = graph.add("Sub", graph.name(a["self"], torch.float64), number(1.0))
    total = number(0.9999999999998099)
    for k, factor in enumerate(LANCZOS, 1):
        total = graph.add("Add", total, graph.add("Div", number(factor), graph.add("Add", z, number(float(k)))))
    t = graph.add("Add", z, number(7.5))
    power = graph.add("Mul", graph.add("Add", z, number(0.5)), graph.add("Log", t))
    rest = graph.add("Sub", graph.add("Log", total), t)
    found = graph.add("Add", graph.add("Add", power, rest), number(0.5 * math.log(2 * math.pi)))
    return found if out.dtype == torch.float64 else graph.cast(found, out.dtype)
