"""What the attributes of a fitted estimator are like, to tell a whole file from a damaged or a forged one.

The numbers in a file decide how much memory is allocated and where torch reads and writes. So nothing of a file is
used before it is checked. ``Saved`` describes an attribute. A class lists its own ones in ``_saved``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from operator import methodcaller
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from sklearn.frozen import FrozenEstimator

from ..engine.completion import Completion
from ..engine.frame import Frame

__all__ = [
    "DamageError",
    "Fault",
    "Saved",
    "classes",
    "completion",
    "fault_of_array",
    "fault_of_factors",
    "fault_of_numbers",
    "frame",
    "history",
    "largest",
    "names",
    "nested",
    "nothing",
    "number",
    "saved_by",
    "scales",
    "spec",
    "spec_with_layers",
    "targets",
    "truth",
    "whole",
]

Fault: TypeAlias = Callable[[Any, Any], str | None]
"""A function of an estimator and a value: what is wrong with the value, such as "is missing", or None."""
FLOATS = {np.dtype(np.float32), np.dtype(np.float64)}


class DamageError(Exception):
    """What is wrong with a file."""


class Saved(NamedTuple):
    """What an attribute of a fitted estimator is like in a file."""

    fault: Fault
    required: bool = True
    """If False, the attribute may also be absent or None."""
    cls: type | tuple[type, ...] | None = None
    """The class of an object that is no estimator of this package. A file holds its parts, and not the object."""
    parts: Callable[[Any], tuple[Any, ...]] = methodcaller("__getstate__")
    """A function of the object: plain values that make it again."""
    whole: Callable[[tuple[Any, ...]], Any] | None = None
    """A function of the parts: the object. None passes them to ``__setstate__`` of a new one."""

    def rebuilt(self, name: str, parts: Any) -> Any:
        """The object that a file holds the parts of."""
        if not isinstance(parts, tuple):
            raise DamageError(f"{name} is a {type(parts).__name__} instead of a tuple")
        if self.whole is not None:
            return self.whole(parts)
        assert isinstance(self.cls, type)
        made: Any = object.__new__(self.cls)
        made.__setstate__(parts)
        return made

    def wrong(self, estimator: Any, name: str) -> str | None:
        """Say what is wrong with an attribute, or return None."""
        value = vars(estimator).get(name)
        if value is None:
            return "is missing" if self.required else None
        if self.cls is not None and not isinstance(value, self.cls):
            return f"is a {type(value).__name__}"
        return self.fault(estimator, value)


def saved_by(cls: type) -> dict[str, Saved]:
    """The attributes that a class and its bases describe, those of the bases first."""
    found: dict[str, Saved] = {}
    for base in reversed(cls.__mro__):
        found.update(vars(base).get("_saved", {}))
    return found


# ------------------------------------------------------------------ arrays


def fault_of_array(value: Any, shape: tuple[int | None, ...], *dtypes: Any) -> str | None:
    """What is wrong with an array that must have a shape, in which None is any length, and one of these dtypes."""
    if not isinstance(value, np.ndarray):
        return f"is a {type(value).__name__} instead of an array"
    fits = len(value.shape) == len(shape) and all(m in (None, n) for n, m in zip(value.shape, shape, strict=True))
    if not fits:
        asked = str(shape).replace("None", "any")
        return f"has shape {value.shape} instead of {asked}"
    if value.dtype.newbyteorder("=") not in dtypes:
        return f"has dtype {value.dtype} instead of {' or '.join(sorted(str(np.dtype(dtype)) for dtype in dtypes))}"
    return None


def fault_of_numbers(value: Any, shape: tuple[int | None, ...], *dtypes: Any) -> str | None:
    """As ``fault_of_array``, and the numbers must be finite. Without dtypes, float32 and float64 are right."""
    found = fault_of_array(value, shape, *(dtypes or FLOATS))
    return found or (None if np.isfinite(value).all() else "has NaN or infinity in it")


def targets(estimator: Any, value: Any) -> str | None:
    """Check a number for each column of y. There is one for each output of the module, if it predicts at all."""
    return fault_of_numbers(value, (estimator._spec["n_predictions"] or len(estimator.y_mean_) or 1,))


def scales(estimator: Any, value: Any) -> str | None:
    """Check a positive number for each column of y."""
    return targets(estimator, value) or (None if (value > 0).all() else "has numbers in it that are not positive")


def frame(estimator: Any, value: Frame) -> str | None:
    """Check an offset and a scale. They must be finite, and the scale positive."""
    n_features = vars(estimator).get("n_features_in_") if value is vars(estimator).get("_frame") else None
    found = fault_of_numbers(value.mean, (n_features,))
    if found or len(value) == 0:
        return found or "is empty"
    each = isinstance(value.scale, np.ndarray)
    found = fault_of_numbers(value.scale, value.mean.shape) if each else number(0.0)(estimator, value.scale)
    if found or not np.all(value.scale > 0):
        return f"has a scale that {found or 'is not positive'}"
    found = truth(estimator, value.centred)
    if value.shifted is not None:
        found = found or fault_of_array(value.shifted, value.mean.shape, np.bool_)
    if value.column_unit is not None:
        found = found or fault_of_numbers(value.column_unit, value.mean.shape)
    has_half = type(value) is Frame and (value.shifted is None) != (value.column_unit is None)
    return found or ("has columns of different kinds and does not say which" if has_half else None)


def completion(estimator: Any, value: Completion) -> str | None:
    """Check what missing entries are guessed by."""
    n = len(estimator._frame)
    found = fault_of_numbers(value.mean, (n,), np.float64) or fault_of_numbers(value.loadings, (n, None), np.float64)
    found = found or number(0.0)(estimator, value.variance)
    if estimator._frame.column_unit is not None or value.scale is not None:
        found = found or fault_of_numbers(value.scale, (n,))
    found = found or fault_of_array(value.has_gaps, (n,), np.bool_)
    return found or fault_of_factors(value.loadings, np.array([value.variance]))


def fault_of_factors(loadings: np.ndarray, variance: np.ndarray) -> str | None:
    """Check that factors with these loadings have a distribution given all columns, up to rounding."""
    try:
        with np.errstate(all="ignore"):
            precision = np.eye(loadings.shape[1]) + (loadings / variance[:, None]).T @ loadings
        np.linalg.cholesky(precision)
    except np.linalg.LinAlgError:
        return "has loadings that are none"
    return None if np.isfinite(precision).all() else "has loadings that are none"


# ------------------------------------------------------------------ numbers and text


def number(least: float = -math.inf, finite: bool = True) -> Fault:
    """Check a real number of at least ``least``. If not ``finite``, it may be NaN or infinite."""

    def fault(estimator: Any, value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            return f"is a {type(value).__name__} instead of a number"
        right = not finite or (math.isfinite(value) and value >= least)
        return None if right else f"is {float(value)}"

    return fault


def whole(least: int = 0, most: int = 2**63 - 1) -> Fault:
    """Check a whole number in a range."""

    def fault(estimator: Any, value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            return f"is a {type(value).__name__} instead of a whole number"
        return None if least <= value <= most else f"is outside {least} to {most}"

    return fault


def truth(estimator: Any, value: Any) -> str | None:
    """Check a bool."""
    return None if isinstance(value, (bool, np.bool_)) else f"is a {type(value).__name__} instead of a bool"


def names(estimator: Any, value: Any) -> str | None:
    """Check the names of the columns."""
    n_features = vars(estimator).get("n_features_in_")
    found = fault_of_array(value, (n_features,), object)
    return found or (None if all(isinstance(name, str) for name in value) else "holds something else than names")


def classes(estimator: Any, value: Any) -> str | None:
    """Check the labels of a classifier. There are as many as the module has outputs, if it predicts at all."""
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind not in "biufOUS":
        return "is no array of labels"
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        return "has NaN or infinity in it"
    spec = estimator._spec
    expected = spec.get("n_predictions", spec.get("labels", 0)) or len(value)
    return None if len(value) == expected else f"has {len(value)} labels instead of {expected}"


def history(estimator: Any, value: Any) -> str | None:
    """Check the curves of training."""
    curves = isinstance(value, dict) and all(isinstance(k, str) and isinstance(v, list) for k, v in value.items())
    if not curves:
        return "is no dictionary of lists"
    wrong = [k for k, v in value.items() if any(number(finite=False)(estimator, x) for x in v)]
    return f"holds something else than numbers in {wrong[0]!r}" if wrong else None


def spec(estimator: Any, value: Any) -> str | None:
    """Check the arguments of a module. They are numbers, strings, tuples or None."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        return "is no dictionary of arguments"
    wrong = [key for key, argument in value.items() if not _is_plain(argument)]
    if wrong:
        return f"has something else than numbers and text in {wrong[0]!r}"
    is_undescribed = value.get("columns") is not None and value.get("likelihood") != "mixed"
    return "has columns, which only the mixed likelihood has" if is_undescribed else None


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (str, Real, np.bool_))


def largest(value: Any) -> int:
    """The largest whole number in arguments of a module."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return max(map(largest, value), default=0)
    return abs(int(value)) if isinstance(value, (int, np.integer)) else 0


def spec_with_layers(name: str) -> Fault:
    """Check the arguments of a module, of which one is a number of layers that have arrays each."""

    def fault(estimator: Any, value: Any) -> str | None:
        found = spec(estimator, value) or whole(1)(estimator, value.get(name))
        arrays = vars(estimator).get("module_")
        return found or (None if isinstance(arrays, dict) and value[name] <= len(arrays) else f"has a wrong {name}")

    return fault


# ------------------------------------------------------------------ estimators inside


def nested(fit: Callable[[Any, Any], bool], kind: type) -> Fault:
    """Check a fitted estimator of a kind, or a list of such. ``fit`` says whether their widths are the right ones."""

    def fault(estimator: Any, value: Any) -> str | None:
        members = value if isinstance(value, list) else [value]
        for member in members:
            inner = member.estimator if isinstance(member, FrozenEstimator) else member
            if not isinstance(inner, kind):
                return f"holds a {type(inner).__name__}"
            if "_flat" not in vars(inner):
                return f"holds a {type(inner).__name__} that is not fitted"
        return None if members and fit(estimator, value) else "does not fit to the rest"

    return fault


def nothing(estimator: Any, value: Any) -> None:
    """Check nothing, because the class of the value does."""
