"""Recorder: the operations on tensors that a function of rows takes.

The function is called on real rows, and what it does to them is noted. So every estimator can be exported, a user's own
class too, and what is exported is what is computed. Operations on weights alone leave their results as constants.

A function is recorded on two numbers of rows. Sizes that differ are multiples of the number of rows, see ``Times``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["Program", "Ref", "Spread", "Step", "Times", "UnrecordableError", "record"]

SIZES = (4, 6), (32, 64)
"""Pairs of numbers of rows that a function is recorded on. The second pair is for functions of whole blocks of rows."""
OUTSIDE = "draws noise, or computes with something else than torch"
"""Why constants differ from one recording to the other."""
SAME = {"alias", "detach", "lift_fresh", "view", "_unsafe_view", "unsqueeze", "squeeze", "t"}
"""Views with all the entries of their base, in the same sequence, or with its axes swapped."""
WITHOUT_VALUES = {
    "empty_like",
    "zeros_like",
    "ones_like",
    "full_like",
    "new_empty",
    "new_zeros",
    "new_ones",
    "new_full",
}
"""What takes only the shape of a tensor."""


class UnrecordableError(Exception):
    """Why a function has no graph, as the end of a sentence."""


class Ref(NamedTuple):
    """A tensor that depends on the rows, by its number among the values of a program. The rows are number 0."""

    number: int


class Times(NamedTuple):
    """A size that is so many times the number of rows."""

    factor: int


class Spread(NamedTuple):
    """A constant that is the same for all rows, and its shape. Along the rows its own size is 1."""

    tensor: Tensor
    shape: tuple[int | Times, ...]


class Meta(NamedTuple):
    """Dtype and shape of a value."""

    dtype: torch.dtype
    shape: tuple[int | Times, ...]


class Step(NamedTuple):
    """One operation. Arguments are ``Ref``, constants, numbers, or lists of these, by their names."""

    name: str
    arguments: dict[str, Any]
    outputs: tuple[int, ...]


class Program(NamedTuple):
    """The operations of a function, what is known of its values, and the number of its result."""

    steps: list[Step]
    metas: dict[int, Meta]
    result: Any


def record(function: Callable[[Tensor], Tensor], rows: Callable[[int], Tensor]) -> Program:
    """The operations that a function takes, on any number of rows.

    Parameters
    ----------
    function : callable
        Takes rows and returns a tensor, without gradients and without noise.
    rows : callable
        Makes so many rows, with other values for other numbers of rows. They have no NaN.

    Raises
    ------
    UnrecordableError
        If the operations depend on the values of the rows, or on their number.
    """
    first, second = SIZES
    try:
        return _recorded_twice(function, rows, first)
    except UnrecordableError:
        return _recorded_twice(function, rows, second)


def _recorded_twice(
    function: Callable[[Tensor], Tensor], rows: Callable[[int], Tensor], sizes: tuple[int, int]
) -> Program:
    one, other = (_recorded(function, rows(n)) for n in sizes)
    merged: Program = _Merger(sizes).merged(one, other)
    return merged


def _recorded(function: Callable[[Tensor], Tensor], x: Tensor) -> Program:
    recorder = Recorder(x)
    with recorder:
        result = function(x)
    return _needed(recorder.program(result))


def _needed(program: Program) -> Program:
    """The steps that the result is made of, and what is known of their values."""
    wanted = {0, *_refs(program.result)}
    kept = []
    for step in reversed(program.steps):
        if wanted.intersection(step.outputs):
            wanted.update(step.outputs, _refs([*step.arguments.values()]))
            kept.append(step)
    return Program(kept[::-1], {number: program.metas[number] for number in sorted(wanted)}, program.result)


def _refs(value: Any) -> list[int]:
    if isinstance(value, Ref):
        return [value.number]
    return [number for part in value for number in _refs(part)] if isinstance(value, list) else []


# ------------------------------------------------------------------ one recording


@dataclass
class _State:
    """What is known of a tensor: the number of its value, or what it is a view of. It keeps the tensor alive."""

    tensor: Tensor
    number: int | None = None
    version: int = 0
    base: Tensor | None = None
    of_base: int = -1
    view: tuple[str, dict[str, Any], int] = field(default=("", {}, 0))


class Recorder(TorchDispatchMode):
    """Notes the operations on a tensor and on all that is computed from it.

    A tensor that is changed in place gets a new value. Its views are taken again from the new value when they are used,
    and a change of a view changes its base.
    """

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self._steps: list[Step] = []
        self._metas = {0: Meta(x.dtype, tuple(x.shape))}
        self._states = {id(x): _State(x, 0)}
        self._constants: list[tuple[Tensor, int]] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False, because torch would import its compiler to skip it, which takes seconds."""
        return False

    def program(self, result: Tensor) -> Program:
        """What was noted, given the result of the function."""
        if any(tensor._version != version for tensor, version in self._constants):
            raise UnrecordableError("changes a constant after it was used")
        return Program(self._steps, self._metas, self._noted(result))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        arguments = _named(func, args, kwargs or {})
        name = func._schema.name.removeprefix("aten::")
        written = [arguments[a.name] for a in func._schema.arguments if a.alias_info and a.alias_info.is_write]
        is_recorded = any(map(self._depends, _tensors([*arguments.values()])))
        if is_recorded and name == "_local_scalar_dense":
            raise UnrecordableError("takes steps that depend on the values in the rows")
        if not is_recorded or name in WITHOUT_VALUES or name == "isnan":  # no entry of complete rows is NaN
            found = func(*args, **(kwargs or {}))
            if "empty" in name:
                found.zero_()  # what is there by chance is no constant
            self._note_views(func, name, arguments, found)
            return found
        if written:
            return self._write(func, name, arguments, written, args, kwargs or {})
        noted = self._note_all(arguments)
        found = func(*args, **(kwargs or {}))
        outputs = list(found) if isinstance(found, (tuple, list)) else [found]
        numbers = self._step(name, noted, outputs)
        for tensor, number in zip(outputs, numbers, strict=True):
            self._states[id(tensor)] = _State(tensor, number)
        self._note_views(func, name, arguments, found)
        return found

    def _write(self, func: Any, name: str, arguments: Any, written: list[Tensor], args: Any, kwargs: Any) -> Any:
        """Note an operation in place, or one with ``out``, as one that makes a new value."""
        (target,) = written
        root = self._root(target)
        if self._state(root).number is None:
            before = root.clone()  # a constant until now
            self._state(root).number = self._step("constant", {"self": before}, [before])[0]
            self._state(root).version += 1
        noted = self._note_all({key: value for key, value in arguments.items() if key != "out"})
        found = func(*args, **kwargs)
        if name not in ("copy_", "fill_", "zero_"):
            name = name.removesuffix("_")
        self._change(target, self._step(name, noted, [target])[0])
        return found

    def _change(self, tensor: Tensor, number: int) -> None:
        state = self._state(tensor)
        if state.base is not None:
            name, arguments, _ = state.view
            if name in ("slice", "select"):
                noted = self._note_all({**arguments, "self": state.base}) | {"src": Ref(number)}
                above = self._step(f"{name}_scatter", noted, [state.base])[0]
            elif name in SAME - {"t"}:
                above = self._step("view", {"self": Ref(number)}, [state.base])[0]
            else:
                raise UnrecordableError(f"changes a tensor through the view {name!r}")
            self._change(state.base, above)
            state.of_base = self._state(state.base).version
        state.number, state.version = number, state.version + 1

    def _state(self, tensor: Tensor) -> _State:
        return self._states.setdefault(id(tensor), _State(tensor))

    def _root(self, tensor: Tensor) -> Tensor:
        base = self._state(tensor).base
        return tensor if base is None else self._root(base)

    def _depends(self, tensor: Tensor) -> bool:
        """Whether a tensor depends on the rows."""
        state = self._states.get(id(tensor))
        if state is None:
            return False
        return state.number is not None or (state.base is not None and self._depends(state.base))

    def _noted(self, value: Any) -> Any:
        """A value as an argument of a step."""
        if isinstance(value, (list, tuple)):
            return [self._noted(part) for part in value]
        if not isinstance(value, Tensor):
            return value
        if not self._depends(value):
            self._constants.append((value, value._version))
            return value
        state = self._state(value)
        if state.base is not None and self._depends(state.base):
            of_base = self._noted(state.base)
            if state.of_base != self._state(state.base).version:  # the base has changed since
                name, arguments, k = state.view
                outputs = self._states_of_views(name, arguments, of_base, value, k)
                state.number, state.version = outputs, state.version + 1
                state.of_base = self._state(state.base).version
        assert state.number is not None
        return Ref(state.number)

    def _states_of_views(self, name: str, arguments: dict[str, Any], base: Ref, value: Tensor, k: int) -> int:
        if k:
            raise UnrecordableError(f"changes a tensor that {name!r} has cut")
        return self._step(name, self._note_all(arguments) | {"self": base}, [value])[0]

    def _note_all(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return {key: self._noted(value) for key, value in arguments.items()}

    def _note_views(self, func: Any, name: str, arguments: dict[str, Any], found: Any) -> None:
        """Note which results are views of the first argument."""
        is_view = any(r.alias_info and not r.alias_info.is_write for r in func._schema.returns)
        base = arguments.get("self")
        if is_view and isinstance(base, Tensor):
            others = {key: value for key, value in arguments.items() if key != "self"}
            for k, tensor in enumerate(found if isinstance(found, (tuple, list)) else [found]):
                if tensor is not base:
                    state = self._state(tensor)
                    state.base, state.of_base, state.view = base, self._state(base).version, (name, others, k)

    def _step(self, name: str, arguments: dict[str, Any], outputs: Sequence[Tensor]) -> tuple[int, ...]:
        numbers = tuple(range(len(self._metas), len(self._metas) + len(outputs)))
        self._metas.update((k, Meta(t.dtype, tuple(t.shape))) for k, t in zip(numbers, outputs, strict=True))
        self._steps.append(Step(name, arguments, numbers))
        return numbers


def _named(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """All arguments of an operation by their names, with defaults."""
    found = {}
    for place, argument in enumerate(func._schema.arguments):
        given = args[place] if place < len(args) else kwargs.get(argument.name, argument.default_value)
        found[argument.name] = given
    return found


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [tensor for part in value for tensor in _tensors(part)] if isinstance(value, (list, tuple)) else []


# ------------------------------------------------------------------ two recordings


class _Merger:
    """What two recordings have in common. Sizes that differ become multiples of the number of rows.

    Parameters
    ----------
    sizes : (int, int)
        The numbers of rows.
    """

    def __init__(self, sizes: tuple[int, int]) -> None:
        self._sizes = sizes

    def merged(self, one: Any, other: Any) -> Any:
        """What two values have in common."""
        if isinstance(one, Tensor) and isinstance(other, Tensor):
            return self._constant(one, other)
        if type(one) is not type(other) or (isinstance(one, (list, tuple, dict)) and len(one) != len(other)):
            raise UnrecordableError("takes other steps for other numbers of rows")
        if isinstance(one, dict):
            return {key: self.merged(part, other.get(key)) for key, part in one.items()}
        if isinstance(one, (list, tuple)):
            parts = [self.merged(a, b) for a, b in zip(one, other, strict=True)]
            return type(one)(*parts) if hasattr(one, "_fields") else type(one)(parts)
        return one if one == other or one != one else self._size(one, other)

    def _size(self, one: Any, other: Any) -> Times:
        n, m = self._sizes
        if isinstance(one, int) and one * m == other * n and one % n == 0:
            return Times(one // n)
        raise UnrecordableError("computes with the number of rows" if isinstance(one, int) else OUTSIDE)

    def _constant(self, one: Tensor, other: Tensor) -> Any:
        if one is other:
            return one
        if one.dtype != other.dtype or one.ndim != other.ndim:
            raise UnrecordableError("takes other steps for other numbers of rows")
        shape = self.merged(tuple(one.shape), tuple(other.shape))
        for axis, size in enumerate(shape):
            if isinstance(size, Times):
                first, second = one.narrow(axis, 0, 1), other.narrow(axis, 0, 1)
                if not (_equal(one, first.expand_as(one)) and _equal(other, second.expand_as(other))):
                    raise UnrecordableError("has a constant for each row")
                one, other = first, second
        if not _equal(one, other):
            raise UnrecordableError(OUTSIDE)
        return Spread(one, shape) if any(isinstance(size, Times) for size in shape) else one


def _equal(one: Tensor, other: Tensor) -> bool:
    same = one == other
    return bool((same | (one.isnan() & other.isnan())).all()) if one.is_floating_point() else bool(same.all())
