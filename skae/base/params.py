"""Typed fields of an estimator, which define its constructor, its validation and its documentation.

The annotation of a field says which values the parameter may have: ``bool``, ``Literal[...]``, ``X | None``, or one of
the types below. ``Annotated`` holds constraints of scikit-learn, so both kinds can be combined.

- ``Positive`` and ``NonNegative``: a number above 0, or of at least 0.
- ``Fraction`` and ``Probability``: a number in (0, 1), or in [0, 1).
- ``PositiveInt`` and ``NonNegativeInt``: a whole number of at least 1, or of at least 0.
- ``Sizes``: one whole number of at least 1, or several. ``sizes_of`` reads them.
- ``Pair``: two numbers.
- ``RandomState`` and ``Verbosity``: as in scikit-learn.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, field, fields, is_dataclass
from inspect import get_annotations
from numbers import Integral, Real
from types import FunctionType, NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

import numpy as np

from .compat import Interval, Options, StrOptions
from .mixins import available_if

__all__ = [
    "Fraction",
    "NonNegative",
    "NonNegativeInt",
    "Pair",
    "Positive",
    "PositiveInt",
    "Probability",
    "RandomState",
    "Sizes",
    "Verbosity",
    "constraints",
    "inherit_fields",
    "inherit_methods",
    "joined_doc",
    "sign_plainly",
    "sizes_of",
]

Positive: TypeAlias = Annotated[float, Interval(Real, 0, None, closed="neither")]
NonNegative: TypeAlias = Annotated[float, Interval(Real, 0, None, closed="left")]
NonNegativeInt: TypeAlias = Annotated[int, Interval(Integral, 0, None, closed="left")]
Fraction: TypeAlias = Annotated[float, Interval(Real, 0, 1, closed="neither")]
Probability: TypeAlias = Annotated[float, Interval(Real, 0, 1, closed="left")]
PositiveInt: TypeAlias = Annotated[int, Interval(Integral, 1, None, closed="left")]
Sizes: TypeAlias = Annotated[int | Sequence[int], "array-like", Interval(Integral, 1, None, closed="left")]
Pair: TypeAlias = Annotated[Sequence[float], "array-like"]
RandomState: TypeAlias = Annotated[int | np.random.RandomState | None, "random_state"]
Verbosity: TypeAlias = Annotated[int, "verbose"]


def constraints(cls: type) -> dict[str, list[Any]]:
    """Read scikit-learn's parameter constraints from the annotations of a class and its bases."""
    hints = get_type_hints(cls, include_extras=True)
    return {name: _constraints_of(hints[name]) for name in parameter_names(cls)}


def parameter_names(cls: type) -> list[str]:
    """The parameters of the constructor, in order."""
    return list(inspect.signature(cls).parameters)


def _constraints_of(hint: Any) -> list[Any]:
    origin = get_origin(hint)
    if origin is Annotated:
        return list(get_args(hint)[1:])
    if origin in (Union, UnionType):
        return [c for part in get_args(hint) for c in _constraints_of(part)]
    if origin is Literal:
        options = set(get_args(hint))
        return [StrOptions(options) if all(isinstance(o, str) for o in options) else Options(Integral, options)]
    if hint is NoneType:
        return [None]
    if hint is bool:
        return ["boolean"]
    if origin is not None and issubclass(origin, Callable):  # type: ignore[arg-type]
        return [callable]
    if origin is not None or hint is Any or not isinstance(hint, type):
        raise TypeError(f"{hint} is not a type of parameter: use a type from skae.base, Literal, bool, str or None.")
    return [hint]


def inherit_fields(cls: type) -> None:
    """Declare the fields that a class overrides or combines, before it becomes a dataclass.

    A dataclass takes an inherited default from its last base, but a class takes it from the first one in its method
    resolution order. And a plain ``dropout = 0.2`` would not be a default at all. Whether a field is positional is
    inherited too.
    """
    inherited: dict[str, tuple[type, Field[Any]]] = {}
    for base in reversed(cls.__mro__[1:]):
        known = {f.name: f for f in fields(base)} if is_dataclass(base) else {}
        inherited.update((name, (base, known[name])) for name in get_annotations(base) if name in known)
    own = get_annotations(cls)
    for name, (base, known_field) in inherited.items():
        if name in own or name in vars(cls) or len(cls.__bases__) > 1:
            if name not in own:
                cls.__annotations__[name] = get_type_hints(base, include_extras=True)[name]
            default = vars(cls).get(name, known_field.default)
            if not isinstance(default, Field):
                setattr(cls, name, field(default=default, kw_only=bool(known_field.kw_only)))


def sign_plainly(cls: type) -> None:
    """Give the constructor of a dataclass the signature of scikit-learn's constructors: names and defaults alone.

    ``help`` shows it, and the documentation of the parameters below it says what their types are. Type checkers read
    the annotations of the class.
    """
    signature = inspect.signature(cls.__init__)  # type: ignore[misc]
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    cls.__init__.__signature__ = inspect.Signature(plain)  # type: ignore[misc]


def inherit_methods(cls: type, argument: str, entries: Mapping[str, str]) -> None:
    """Copy inherited methods into a class, and replace the entry of an argument in their docstrings.

    Parameters
    ----------
    cls : type
    argument : str
        Name of the argument.
    entries : dict of str to str
        For each method, the entry of the argument in numpydoc form.
    """
    old = re.compile(rf"^{argument} : .*\n(?:    .*\n)*", re.MULTILINE)
    for name, entry in entries.items():
        inherited = getattr(cls, name)
        method = FunctionType(
            inherited.__code__, inherited.__globals__, name, inherited.__defaults__, inherited.__closure__
        )
        method.__dict__.update(inherited.__dict__)
        method.__kwdefaults__, method.__annotations__ = inherited.__kwdefaults__, inherited.__annotations__
        method.__module__, method.__qualname__ = cls.__module__, f"{cls.__qualname__}.{name}"
        before, after = old.split(inspect.cleandoc(inherited.__doc__) + "\n", maxsplit=1)
        method.__doc__ = before + entry + "\n" + after
        check = getattr(inspect.getattr_static(cls, name), "check", None)  # when the method is there
        setattr(cls, name, method if check is None else available_if(check)(method))


_SECTION = re.compile(r"\nParameters\n-+\n(.*?)(?=\n\n[A-Z][A-Za-z ]+\n-+\n|\Z)", re.DOTALL)
_ENTRY = re.compile(r"^(?=\w[\w, ]* : )", re.MULTILINE)


def _without(entry: str, words: list[str]) -> str:
    """An entry without its sentences about what a class does not have."""
    first, *others = re.split(r"(?<=\.)(?=\s)", entry)
    return "".join([first, *(each for each in others if not any(word in each for word in words))])


def joined_doc(cls: type) -> str | None:
    """The docstring of a class, with the "Parameters" of all its bases, in the order of the constructor."""
    if cls.__doc__ is None:
        return None
    own = inspect.cleandoc(cls.__doc__)
    entries: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        entries.update(_entries(vars(base).get("_own_doc") or ""))
    entries.update(_entries(own))
    absent = [] if '"lbfgs"' in entries.get("solver", '"lbfgs"') else ['"lbfgs"']
    absent += [] if hasattr(cls, "partial_fit") else ["``partial_fit``"]
    ordered = dict.fromkeys(_without(entries[name], absent) for name in parameter_names(cls) if name in entries)
    section = "\nParameters\n----------\n" + "\n".join(ordered)
    if _SECTION.search(own):
        return _SECTION.sub(lambda _: section, own, count=1)
    head, *rest = re.split(r"(?=\n\n[A-Z][A-Za-z ]+\n-+\n)", own, maxsplit=1)
    return "".join([head, "\n" + section, *rest])


def _entries(doc: str) -> Iterable[tuple[str, str]]:
    section = _SECTION.search(inspect.cleandoc(doc))
    for text in _ENTRY.split(section[1]) if section else []:
        if text.strip():
            for name in text.split(" :", 1)[0].split(","):
                yield name.strip(), text.strip("\n")


def sizes_of(name: str, sizes: Sequence[int] | int) -> tuple[int, ...]:
    """Positive whole numbers as a tuple.

    Parameters
    ----------
    name : str
        Name of the parameter, for the message.
    sizes : sequence of int, or int

    Returns
    -------
    sizes : tuple of int

    Raises
    ------
    ValueError
        If one of them is not a whole number of at least 1.
    """
    listed = np.atleast_1d(np.asarray(sizes)).tolist()
    wrong = [size for size in listed if isinstance(size, bool) or not isinstance(size, int) or size < 1]
    if wrong:
        raise ValueError(f"{name}={sizes!r} has {wrong[0]!r} in it: every size must be a whole number of at least 1.")
    return tuple(listed)
