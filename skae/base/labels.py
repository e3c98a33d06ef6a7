"""Reading y, some of which may be unknown: labels of any kind, or numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor

from ..engine import notices
from ..engine.group import current
from .checks import unmasked

__all__ = [
    "UNLABELLED",
    "Labels",
    "Told",
    "is_missing",
    "labelled",
    "moments_of_known",
    "numbers",
    "read_classes",
    "read_labels",
]

UNLABELLED = "-1, None or NaN"
"""The marks of a row without a label, for messages."""


class Told(NamedTuple):
    """Labels, together with all classes that can occur."""

    y: Any
    classes: Any


class Labels(NamedTuple):
    """The labels of some rows."""

    present: np.ndarray
    """Mask of the rows that have a label. The label may still be -1."""
    values: np.ndarray
    """The labels of these rows, in order."""
    classes: np.ndarray | None = None
    """All classes, if they were given."""

    def distinct(self, weight: np.ndarray | None) -> np.ndarray:
        """The classes: all labels of rows with positive weight but -1. If only -1 and 1 occur, both are classes."""
        counted = self.values if weight is None else self.values[weight[self.present] > 0]
        found = _of_all_processes(np.unique(counted))
        if found.tolist() == [-1, 1]:
            notices.warn(
                "y holds only -1 and 1, which are taken as two classes. If -1 was meant as 'no label', mark those "
                "rows with NaN instead; then y has only one class, and at least two are needed."
            )
            return found
        return _at_least_two(labelled(found))


def labelled(found: np.ndarray) -> np.ndarray:
    """Labels without -1, which marks no label among numbers. Texts and times cannot be compared with it."""
    return found[found != -1] if found.dtype.kind in "biuf" else found


def read_labels(y: Any, name: str) -> Labels:
    """Check the labels of a classifier and find the rows that have one."""
    _require_y(y, name)
    column = column_or_1d(_array(y), warn=True)
    present = ~_missing(column)
    if column.dtype.kind == "O" and any(isinstance(label, str) for label in set(column[present].tolist())):
        present[present] = column[present] != -1  # among numbers it is not known yet whether -1 is a class
    values = column[present]
    if values.dtype.kind == "O":
        values = _of_one_kind(values)
    if values.dtype.kind == "O":
        raise ValueError(
            f"y has the label {values[0]!r}, a {type(values[0]).__name__}: pass numbers, text or datetime64, for "
            "example y.astype(str)."
        )
    if values.dtype.kind == "U" and (values == "-1").any():
        raise ValueError(
            "y holds the text '-1', which numpy makes of the number -1 among strings: use an array of dtype=object to "
            "mark rows as unlabelled, or another name for that class."
        )
    if values.dtype.kind == "f" and np.isinf(values).any():
        raise ValueError(f"y has an infinite label: pass classes, or {UNLABELLED} where there is none.")
    check_classification_targets(values)
    return Labels(present, values)


def read_classes(classes: Any) -> np.ndarray:
    """Check the classes that are passed to ``partial_fit``."""
    return _at_least_two(np.unique(read_labels(classes, "partial_fit").values))


def numbers(y: Any, name: str) -> np.ndarray:
    """Check the targets of a regression, which are NaN where unknown."""
    _require_y(y, name)
    try:
        array = _floats(np.asarray(_array(y)))
    except (TypeError, ValueError):
        raise ValueError(
            "y must hold numbers, with NaN where they are unknown, but it holds something else: "
            "turn text, dates and durations into numbers first."
        ) from None
    if array.ndim not in (1, 2):
        raise ValueError(f"y must have one or two dimensions, but its shape is {array.shape}.")
    values: np.ndarray = check_array(array, ensure_2d=False, ensure_all_finite="allow-nan", input_name="y")
    return values


def moments_of_known(y: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the known values of each column. The deviation of a constant column is 1."""
    w = ~np.isnan(y) * (1.0 if weight is None else weight[:, None])
    total = _summed(w)
    if (total == 0).any():
        column = int(np.argmax(total == 0))
        raise ValueError(f"y has no number in column {column}: at least one row must have a known y.")
    filled = np.where(np.isnan(y), 0.0, y)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = _summed(w * filled) / total
        scale = np.sqrt(_summed(w * (filled - mean) ** 2) / total)
    if not (np.isfinite(mean).all() and np.isfinite(scale).all()):
        raise ValueError("y has values so large that their variance is infinite: rescale y.")
    return mean, np.where(scale <= 1e-14 * np.abs(mean), 1.0, scale)


def _of_all_processes(classes: np.ndarray) -> np.ndarray:
    """The classes of which any of the processes that share a fit has a row."""
    parts = [part for part in current().gather(classes) if len(part)]
    if len({part.dtype.kind for part in parts} - set("biuf")) > 1 or (parts and not _are_alike(parts)):
        raise ValueError("y has labels of another kind in one process than in another: use numbers or text in all.")
    return np.unique(np.concatenate(parts)) if len(parts) > 1 else classes if not parts else parts[0]


def _are_alike(parts: list[np.ndarray]) -> bool:
    return len({part.dtype.kind in "biuf" for part in parts}) == 1


def _summed(rows: np.ndarray) -> np.ndarray:
    """Sum over the rows, of all processes that share a fit."""
    sums: np.ndarray = rows.sum(axis=0)
    parts = current().gather(sums)
    if any(part.shape != sums.shape for part in parts):
        raise ValueError("y has more columns in one process than in another: pass shards of one data set.")
    return np.sum(parts, axis=0) if len(parts) > 1 else sums


def _require_y(y: Any, name: str) -> None:
    if y is None:
        raise ValueError(
            f"{name} requires y to be passed, but the target y is None: pass y, or use an estimator without."
        )


def _array(y: Any) -> Any:
    """What can be read as an array: without a device, a mask, or numpy's own strings, which scikit-learn refuses."""
    if isinstance(y, Tensor):
        return y.detach().cpu().numpy()
    if isinstance(y, np.ndarray) and y.dtype.kind == "T":
        return y.astype(object)
    return unmasked(y)


def _floats(array: np.ndarray) -> np.ndarray:
    """Numbers as floats. Dates, durations and complex numbers are refused, although numpy would convert them."""
    kinds = {array.dtype.kind}
    if array.dtype.kind == "O":
        array = np.where(_missing(array), np.nan, array)
        kinds = {value.dtype.kind for value in array.flat if isinstance(value, np.generic)}
    if kinds & set("cmM"):
        raise TypeError
    return array.astype(np.float64)


def _missing(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "f":
        return np.isnan(array)
    if array.dtype.kind in "mM":
        return np.isnat(array)
    if array.dtype.kind == "O":
        with np.errstate(invalid="ignore"):  # comparing NaN with itself may set the flag
            return np.asarray(np.frompyfunc(is_missing, 1, 1)(array), dtype=bool)
    return np.zeros(array.shape, dtype=bool)


def is_missing(label: Any) -> bool:
    """Whether a label is None, NaN, NaT, masked, or pandas' NA, which cannot be compared, not even with itself."""
    unequal = label is None or label is np.ma.masked or type(label).__name__ == "NAType"
    return unequal or bool(label != label)


def _of_one_kind(values: np.ndarray) -> np.ndarray:
    """Labels of an object array as an array of strings or of numbers. Among strings, -1 was dropped before."""
    texts = {isinstance(label, str) for label in set(values.tolist())}
    if texts == {True, False}:
        raise ValueError(f"y mixes strings and other labels: use one kind, and {UNLABELLED} where there is none.")
    has_tuples = any(isinstance(label, tuple) for label in values)  # of which numpy makes columns
    return values if has_tuples else np.array(values.tolist())


def _at_least_two(classes: np.ndarray) -> np.ndarray:
    if len(classes) < 2:
        which = f"1 class ({classes.tolist()[0]!r})" if len(classes) else "0 classes"
        raise ValueError(
            f"y has labels of {which}, but at least 2 classes are needed; rows with {UNLABELLED} are unlabelled."
        )
    return classes
