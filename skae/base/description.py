"""Estimators and parameters as text, which shows in any process whether they have changed since a fit."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from functools import partial
from numbers import Number
from types import FunctionType, MethodType
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

__all__ = ["NO_EFFECT", "described", "is_ours"]

NO_EFFECT = frozenset({"verbose", "callback", "checkpoint"})
"""Parameters of estimators that do not change what is learnt."""
LONG = 100
"""An array with more entries is told by a checksum."""
PLAIN = (str, bytes, Number, type(None), np.ndarray, FunctionType)


def described(value: Any, ignore: Collection[str] = ()) -> str:
    """A parameter as text that is equal for equal parameters, in other processes too.

    ``repr`` would give the address of a function or an object, which differs from process to process.

    Parameters
    ----------
    value : object
        A number, a string, a sequence, a callable, an estimator, or an object with attributes.
    ignore : collection of str
        Parameters of estimators that make no difference.

    Returns
    -------
    text : str
    """
    if isinstance(value, BaseEstimator):
        return _with_arguments(type(value).__name__, value.get_params(deep=False), ignore)
    if isinstance(value, Mapping):
        return _with_arguments("", value, ignore)
    if isinstance(value, np.ndarray) and value.size > LONG and not value.dtype.hasobject:
        return f"{value.dtype}{value.shape}:{zlib.crc32(value.tobytes())}"
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, np.random.RandomState):
        return f"RandomState:{zlib.crc32(repr(value.get_state()).encode())}"
    if isinstance(value, (list, tuple)):
        return f"({', '.join(described(item, ignore) for item in value)})"
    if value is None or isinstance(value, (str, bytes, Number)):
        return repr(value.item() if isinstance(value, np.generic) else value)
    return _object(value)


def is_ours(thing: Any) -> bool:
    """Whether a class or a function is of this package, and not a user's own."""
    return bool(thing.__module__.partition(".")[0] == __name__.partition(".")[0])


def _with_arguments(name: str, arguments: Mapping[str, Any], ignore: Collection[str] = ()) -> str:
    left_out = {*ignore, *NO_EFFECT}
    told = sorted(f"{key}={described(item, ignore)}" for key, item in arguments.items() if key not in left_out)
    return f"{name}({', '.join(told)})"


def _object(value: Any) -> str:
    """A callable or another object: its name, and what it holds."""
    if isinstance(value, MethodType):
        return f"{described(value.__self__)}.{value.__name__}"
    if isinstance(value, partial):
        return _with_arguments("partial", {"": (value.func, *value.args), **value.keywords})
    if isinstance(value, FunctionType):
        return _function(value)
    if hasattr(value, "__name__") or not hasattr(value, "__dict__"):
        return _name(value if hasattr(value, "__name__") else type(value))
    held = {name: item if _is_plain(item) else type(item) for name, item in vars(value).items()}
    return _with_arguments(_name(type(value)), held)


def _is_plain(value: Any) -> bool:
    """Whether a value refers to no other objects, which might refer back to the first one."""
    return all(map(_is_plain, value)) if isinstance(value, (list, tuple)) else isinstance(value, PLAIN)


def _function(function: FunctionType) -> str:
    """The name of a function. One that cannot be found by its name has its code, its closure and its defaults too."""
    if "<" not in function.__qualname__:
        return _name(function)
    code, cells = function.__code__, [cell.cell_contents for cell in function.__closure__ or ()]
    defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    held = [part for part in (*code.co_consts, *cells, *defaults) if _is_plain(part)]
    named = [part.__qualname__ if isinstance(part, FunctionType) else part for part in held]
    return f"{_name(function)}:{zlib.crc32(code.co_code)}:{code.co_names}:{described(named)}"


def _name(value: Any) -> str:
    return f"{getattr(value, '__module__', None)}.{getattr(value, '__qualname__', value.__name__)}"
