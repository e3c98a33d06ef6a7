"""Conditions: y as the numbers that a network is told.

A column of y holds classes or numbers. Classes become a column of zeros and ones each, less their frequency, and
numbers are standardised. So conditions have the mean zero, and a linear regression on them needs no constant.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from types import NoneType
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_array
from torch import Tensor

from ..base.checks import unmasked
from ..base.complaints import as_numbers
from ..base.damage import fault_of_numbers
from ..base.labels import read_labels
from ..engine.notices import warn

__all__ = ["Conditions", "Told", "fault_of_conditions"]

FARTHEST = 5.0
"""Largest standardised number of a training row."""
MANY, FEW = 20, 5
"""Whole numbers look like numbers where there are more than so many, with fewer than so many rows each."""
SHOWN = 10
"""Most classes that a message lists."""


class Told(NamedTuple):
    """Conditions as the network is told them, in place of a y to be read."""

    table: np.ndarray
    """Of shape (n_samples, n_conditions)."""


class Conditions:
    """What is known of the columns of y after a fit, and how y becomes numbers.

    Parameters
    ----------
    names : tuple of str, or None
        Names of the columns, if y had names.
    classes : tuple of (ndarray or None)
        The sorted classes of each column. None stands for a column of numbers.
    mean, scale : ndarray of shape (n_entries,)
        Of all entries of a row: those of a column of classes are as many as classes. A scale of zero marks an entry
        that is constant. The network is not told of it.
    rows : ndarray of shape (n_distinct, n_conditions)
        All conditions of the training rows, if the network is told of classes alone. Otherwise it is empty.
    share : ndarray of shape (n_distinct,)
        Their frequencies.
    """

    def __init__(
        self,
        names: tuple[str, ...] | None,
        classes: tuple[np.ndarray | None, ...],
        mean: np.ndarray,
        scale: np.ndarray,
        rows: np.ndarray,
        share: np.ndarray,
    ) -> None:
        self.names, self.classes = names, classes
        self.mean, self.scale = mean, scale
        self.rows, self.share = rows, share

    @classmethod
    def of(cls, y: Any, n_samples: int, kind: str, weight: np.ndarray | None) -> tuple[Conditions, np.ndarray]:
        """Read the y of a fit.

        Parameters
        ----------
        y : object
            What a user passed.
        n_samples : int
            Number of rows of X.
        kind : {"auto", "classes", "numbers"}
        weight : ndarray of shape (n_samples,) or None
            Sample weights. A row of weight zero brings no class.

        Returns
        -------
        conditions : Conditions
        table : ndarray of shape (n_samples, n_conditions)
            What the network is told of each row.
        """
        columns, names, categorical = _columns_of(y, n_samples)
        w = np.ones(n_samples) if weight is None else weight
        of_classes = [
            _holds_classes(*column, len(columns)) if kind == "auto" else kind == "classes"
            for column in zip(columns, categorical, strict=True)
        ]
        found = [
            np.unique(_labels(column, i, names)[w > 0]) if of_classes[i] else None for i, column in enumerate(columns)
        ]
        if kind == "auto" and len(columns) == 1 and columns[0].dtype.kind in "iu":
            _warn_of_numbers(found[0], n_samples)
        made = cls(names, tuple(found), *np.zeros((4, 0)))
        entries = made._entries(columns, w > 0)
        with np.errstate(over="ignore", invalid="ignore"):
            made.mean = np.average(entries, axis=0, weights=w)
            made.scale = made._scales(entries - made.mean, w)
        table = made._standardised(entries)
        made.rows = table[:0]
        if not made.scale[~made._of_classes].any():
            made.rows, place = np.unique(table[w > 0], axis=0, return_inverse=True)
            made.share = np.bincount(place.ravel(), w[w > 0]) / w.sum()
        return made, table

    def _scales(self, deviations: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """What deviations are divided by: 1 for classes, and 0 for what is constant.

        It is the standard deviation for numbers, or more if a training row would be further than ``FARTHEST`` from
        zero. Columns that are nearly constant, such as pixels at the border of an image, would stand out without this.
        """
        spread = np.sqrt(np.average(deviations**2, axis=0, weights=weight))
        if not np.isfinite(spread).all():
            raise ValueError("y has values so large that their variance is infinite: rescale y.")
        most = np.abs(deviations[weight > 0]).max(axis=0)
        scale = np.where(self._of_classes, 1.0, np.maximum(spread, most / FARTHEST))
        return np.where(most > 1e-14 * np.abs(self.mean), scale, 0.0)

    @property
    def _of_classes(self) -> np.ndarray:
        """Mask of the entries of a row that stand for classes."""
        return np.concatenate([np.full(1 if c is None else len(c), c is not None) for c in self.classes])

    @property
    def log_share(self) -> np.ndarray:
        """Logarithms of the frequencies."""
        return np.log(self.share)

    @property
    def only_classes(self) -> np.ndarray:
        """The classes of the only column."""
        if len(self.classes) > 1 or self.classes[0] is None:
            raise AttributeError("classes_ belong to a y that is one column of classes.")
        return self.classes[0]

    @property
    def n_conditions(self) -> int:
        """How many numbers the network is told of a row."""
        return int(np.count_nonzero(self.scale))

    def table(self, y: Any, n_samples: int | None = None, weight: np.ndarray | None = None) -> np.ndarray:
        """Check y, and return what the network is told of each row.

        Parameters
        ----------
        y : object
            What a user passed: one condition for each row.
        n_samples : int or None, default=None
            Number of rows. None is as many as there are.
        weight : ndarray of shape (n_samples,) or None, default=None
            Sample weights. A row of weight zero may have a class that is unknown.

        Returns
        -------
        table : ndarray of shape (n_samples, n_conditions)
        """
        columns, names, _ = _columns_of(y, n_samples)
        if len(columns) != len(self.classes):
            held = "1 column" if len(columns) == 1 else f"{len(columns)} columns"
            raise ValueError(
                f"y has {held}, but the fitted y had {len(self.classes)}: pass the same columns, and a single row as "
                "[row]."
            )
        if names is not None and self.names is not None and names != self.names:
            raise ValueError(
                f"y has the columns {_listed(names)}, but the fitted y had {_listed(self.names)}: pass the same ones."
            )
        return self._standardised(self._entries(columns, None if weight is None else weight > 0))

    def _standardised(self, entries: np.ndarray) -> np.ndarray:
        kept = self.scale > 0
        table: np.ndarray = (entries - self.mean)[:, kept] / self.scale[kept]
        return table

    def _entries(self, columns: list[np.ndarray], counts: np.ndarray | None = None) -> np.ndarray:
        """All entries of the rows. A row that does not count may have a class that is unknown, and then none."""
        parts = []
        for i, (column, classes) in enumerate(zip(columns, self.classes, strict=True)):
            if classes is None:
                parts.append(_numbers(column, i, self.names)[:, None])
                continue
            labels = _labels(column, i, self.names)
            index = _index_of(labels, classes)
            strange = np.flatnonzero(index < 0 if counts is None else (index < 0) & counts)
            if len(strange):
                raise ValueError(_unseen(labels[strange[0]], int(strange[0]), i, self.names, classes))
            parts.append((index[:, None] == np.arange(len(classes))).astype(float))
        return np.hstack(parts)

    def __getstate__(self) -> tuple[Any, ...]:
        return self.names, self.classes, self.mean, self.scale, self.rows, self.share

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.__init__(*state)  # type: ignore[misc]


class _Columns(NamedTuple):
    """The columns of a table, their names if it has names, and which of them are categories of pandas or polars."""

    columns: list[np.ndarray]
    names: tuple[str, ...] | None
    categorical: list[bool]


def _columns_of(y: Any, n_samples: int | None) -> _Columns:
    """The columns of an array of one or two dimensions, a list or a frame. A single value is one row."""
    if y is None:
        raise ValueError(
            "A conditional model requires y to be passed, but the target y is None: pass the condition of each row."
        )
    if hasattr(y, "columns"):
        names: tuple[str, ...] | None = tuple(str(name) for name in y.columns)
        parts = [y.iloc[:, i] if hasattr(y, "iloc") else y[name] for i, name in enumerate(y.columns)]
        columns = [_array(part) for part in parts]
    else:
        parts = [y]
        array, names = _array(y.toarray() if hasattr(y, "toarray") else y), None
        if array.ndim > 2:
            raise ValueError(f"y must have one or two dimensions, but its shape is {array.shape}.")
        columns = list(array.T) if array.ndim == 2 else [np.atleast_1d(array)]
    if not columns or not len(columns[0]):
        raise ValueError("y has no conditions: pass at least one row and one column.")
    if n_samples is not None and len(columns[0]) != n_samples:
        held = "the condition of 1 row" if len(columns[0]) == 1 else f"conditions of {len(columns[0])} rows"
        raise ValueError(f"y holds {held}, but X has {n_samples} rows: pass one condition for each row.")
    categorical = ["categor" in str(getattr(part, "dtype", "")).lower() for part in parts]
    return _Columns(columns, names, categorical if len(parts) == len(columns) else [False] * len(columns))


def _array(y: Any) -> np.ndarray:
    """An array. Values of a list keep their types, which numpy would turn into text if one of them is a text."""
    if isinstance(y, Tensor):
        return y.detach().cpu().numpy()
    y = unmasked(y)
    kind = str(getattr(y, "dtype", "object"))
    if kind in ("object", "category") or not hasattr(y, "dtype"):
        return np.asarray(y, dtype=object)
    return np.asarray(y)


def _holds_classes(column: np.ndarray, categorical: bool, n_columns: int) -> bool:
    """Whether a column holds classes, by its type."""
    if categorical:
        return True
    if column.dtype.kind == "O":
        column = np.array([value for value in column.tolist() if value is not None])
    if column.dtype.kind in "iu":
        return n_columns == 1
    return column.dtype.kind not in "fc"


def _warn_of_numbers(classes: np.ndarray | None, n_samples: int) -> None:
    """Warn of whole numbers that are taken as classes although there are few rows of each."""
    if classes is not None and len(classes) > MANY and n_samples < FEW * len(classes):
        warn(
            f"y holds {len(classes)} different whole numbers in {n_samples} rows, which are taken as classes: set "
            "conditions='numbers' if they are numbers."
        )


def _labels(column: np.ndarray, i: int, names: tuple[str, ...] | None) -> np.ndarray:
    """The labels of a column of classes, all of which must be known."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes")  # which is for those who predict them
        labels = read_labels(column, "A conditional model")
    if not labels.present.all():
        row = int(np.argmin(labels.present))
        raise ValueError(f"y has no class in row {row}{_place(i, names)}: impute it, or drop the row.")
    return labels.values


def _numbers(column: np.ndarray, i: int, names: tuple[str, ...] | None) -> np.ndarray:
    """The numbers of a column, all of which must be finite."""
    check = partial(check_array, ensure_2d=False, dtype=np.float64, ensure_all_finite=False)
    values: np.ndarray = as_numbers(column, check, "y", n_dims=1)
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        kind = "NaN" if np.isnan(values[row]) else "infinity"
        raise ValueError(f"Input y contains {kind} in row {row}{_place(i, names)}: impute it, or drop the row.")
    return values


def _index_of(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Index of each label among the classes, and -1 for a label that is none."""
    if classes.dtype.kind in "mM" and labels.dtype.kind == classes.dtype.kind:
        labels = labels.astype(classes.dtype)
    place = {label: index for index, label in enumerate(classes.tolist())}
    distinct, inverse = np.unique(labels, return_inverse=True)
    return np.array([place.get(label, -1) for label in distinct.tolist()])[inverse]


def _unseen(label: Any, row: int, i: int, names: tuple[str, ...] | None, known: np.ndarray) -> str:
    return (
        f"y has the class {label.item()!r} in row {row}{_place(i, names)}, which the fit did not see: pass one of "
        f"{_listed(known.tolist())}, or fit again."
    )


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(repr, values[:SHOWN])) + (", ..." if len(values) > SHOWN else "")


def _place(i: int, names: tuple[str, ...] | None) -> str:
    """Where a value is, after its row: the name of its column, if it has one."""
    return "" if names is None else f", column {names[i]!r}"


def fault_of_conditions(estimator: Any, value: Conditions) -> str | None:
    """What is wrong with conditions that are read from a file, or None."""
    columns, n_conditions = value.classes, estimator._spec.get("n_conditions")
    if not (isinstance(columns, tuple) and columns and all(c is None or _are_labels(c) for c in columns)):
        return "holds something else than labels"
    names = (None,) * len(columns) if value.names is None else value.names
    if not (isinstance(names, tuple) and len(names) == len(columns)) or not {type(n) for n in names} <= {str, NoneType}:
        return "has names that are not those of its columns"
    n_entries = sum(1 if c is None else len(c) for c in columns)
    shapes = {"mean": (n_entries,), "scale": (n_entries,), "rows": (None, n_conditions)}
    found = (fault_of_numbers(getattr(value, name), shape, np.float64) for name, shape in shapes.items())
    fault = next(filter(None, found), None) or fault_of_numbers(value.share, (len(value.rows),), np.float64)
    if fault:
        return fault
    positive = (value.scale >= 0).all() and (value.share > 0).all()
    return None if positive and value.n_conditions == n_conditions else "does not fit to the rest"


def _are_labels(value: Any) -> bool:
    is_series = isinstance(value, np.ndarray) and value.ndim == 1 and len(value) > 0
    return is_series and value.dtype.kind in "biufUSMm" and value.dtype != np.float16 and not (value != value).any()
