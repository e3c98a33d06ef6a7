"""Cells of a table: columns of pandas and polars frames and of arrays as numpy arrays, and back.

Neither library is imported. A frame brings the classes that are needed.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_array

__all__ = ["Cells", "Sheet", "read"]

EPOCH = datetime.datetime(1970, 1, 1)


class Cells(NamedTuple):
    """One column.

    ``values`` are float64 with NaN where an entry is missing, for the sorts "bool", "int", "float" and "date". Dates,
    times and durations are in microseconds, those of dates since 1970. For the sort "word" they are objects, and None
    is missing.
    """

    sort: str
    values: np.ndarray

    @property
    def missing(self) -> np.ndarray:
        """Mask of the missing entries."""
        if self.sort == "word":
            return np.array([value is None for value in self.values.tolist()], dtype=bool)
        return np.isnan(self.values)


class Sheet(NamedTuple):
    """What a table without its rows says: the library, the dtypes, and the sorts of objects."""

    library: str
    """"pandas", "polars" or "numpy"."""
    template: Any
    """A frame of the library without rows, or whether an array holds objects."""
    objects: tuple[str, ...]
    """The type of the entries of each column of objects, which its dtype does not tell, or empty."""

    def written(self, columns: Sequence[np.ndarray], index: Any = None) -> Any:
        """A table of the same library and dtypes.

        Parameters
        ----------
        columns : sequence of ndarray
            Values as those of ``Cells``, without missing entries. bool and int are float64 too.
        index : object or None
            Index of a pandas frame.
        """
        made = [_objects_of(values, told) for values, told in zip(columns, self.objects, strict=True)]
        if self.library == "numpy":
            return np.column_stack([column.astype(object if self.template else float) for column in made])
        if self.library == "polars":
            own = self.template.get_columns()
            return type(self.template)([_as_polars(column, like) for column, like in zip(made, own, strict=True)])
        names = list(self.template.columns)
        found = {name: _as_pandas(made[i], self.template[name]) for i, name in enumerate(names)}
        frame = type(self.template)(found, columns=self.template.columns)
        return frame if index is None else frame.set_axis(index, axis=0)


def read(X: Any) -> tuple[Sheet, list[Cells]]:
    """Read the columns of a frame or an array.

    Parameters
    ----------
    X : pandas.DataFrame, polars.DataFrame or array-like of shape (n_samples, n_features)

    Returns
    -------
    sheet : Sheet
    columns : list of Cells
    """
    if hasattr(X, "get_columns") and hasattr(X, "schema"):
        pairs = [_of_polars(series) for series in X.get_columns()]
        sheet = Sheet("polars", X.clear(), tuple(told for _, told in pairs))
    elif hasattr(X, "iloc") and hasattr(X, "dtypes") and hasattr(X, "columns"):
        pairs = [_of_pandas(X.iloc[:, i]) for i in range(X.shape[1])]
        sheet = Sheet("pandas", X.iloc[:0].reset_index(drop=True), tuple(told for _, told in pairs))
    else:
        _require_array(X)
        X = X.detach().cpu().numpy() if hasattr(X, "detach") else X
        dense = X if hasattr(X, "dtype") else np.asarray(X)
        if getattr(dense.dtype, "kind", "f") in "OUS":
            whole = np.array(X, dtype=object)  # an array of strings would make strings of the numbers in a list
            X = check_array(whole, dtype=object, ensure_all_finite=False)
            pairs = [_of_objects(column) for column in X.T]
            return Sheet("numpy", True, tuple(told for _, told in pairs)), [cells for cells, _ in pairs]
        X = check_array(X, dtype=np.float64, ensure_all_finite="allow-nan", input_name="X")
        pairs = [(Cells("float", np.array(column)), "") for column in X.T]
        sheet = Sheet("numpy", False, tuple(told for _, told in pairs))
    return sheet, [cells for cells, _ in pairs]


def _require_array(X: Any) -> None:
    """Raise an error for a table of another sort, and say how to make one of these of it."""
    sorts = (
        (hasattr(X, "to_pandas"), "X.to_pandas()"),
        (hasattr(X, "collect"), "X.collect()"),
        (isinstance(X, Mapping) and not hasattr(X, "toarray"), "pandas.DataFrame(X)"),
        (isinstance(X, (str, PathLike)), "what it holds, such as pandas.read_parquet(X)"),
    )
    for is_one, use in sorts:
        if is_one:
            raise TypeError(f"X is a {type(X).__name__}, and no frame of pandas or polars and no array: pass {use}.")


# ------------------------------------------------------------------ pandas


def _of_pandas(series: Any) -> tuple[Cells, str]:
    kind = "O" if hasattr(series.dtype, "categories") else getattr(series.dtype, "kind", "O")
    if kind in "biuf":
        sort = {"b": "bool", "f": "float"}.get(kind, "int")
        return Cells(sort, series.to_numpy(dtype=np.float64, na_value=np.nan)), ""
    if kind in "mM":
        if getattr(series.dtype, "tz", None) is not None:
            series = series.dt.tz_convert("UTC").dt.tz_localize(None)
        moments = series.to_numpy(dtype=f"{'datetime64' if kind == 'M' else 'timedelta64'}[us]")
        return Cells("date", np.where(np.isnat(moments), np.nan, moments.astype(np.int64))), ""
    values = series.astype(object).to_numpy(copy=True)
    values[series.isna().to_numpy(dtype=bool)] = None
    if series.dtype == object:
        return _of_objects(values)
    return Cells("word", values), ""


def _as_pandas(values: np.ndarray, like: Any) -> Any:
    dtype, Series = like.dtype, type(like)
    if hasattr(dtype, "categories") or values.dtype == object:
        return Series(values.astype(object), dtype=dtype)
    kind = getattr(dtype, "kind", "O")
    if kind in "mM":
        moments = Series(
            np.rint(values).astype(np.int64).astype("datetime64[us]" if kind == "M" else "timedelta64[us]")
        )
        if getattr(dtype, "tz", None) is not None:
            moments = moments.dt.tz_localize("UTC").dt.tz_convert(dtype.tz)
        return moments.astype(dtype)
    if kind in "biu":
        values = np.rint(values).astype(np.uint64 if kind == "u" else np.int64)
        return Series(values.astype(bool) if kind == "b" else values).astype(dtype)
    return Series(values).astype(dtype)


# ------------------------------------------------------------------ polars


def _of_polars(series: Any) -> tuple[Cells, str]:
    dtype = series.dtype
    if str(dtype) == "Object":
        return _of_objects(np.array([*series.to_list(), None], dtype=object)[:-1])
    if dtype.is_temporal():
        return Cells("date", np.rint(_numbers(series.to_physical().to_list()) * _microseconds(dtype))), ""
    if dtype.is_numeric() or str(dtype) == "Boolean":
        sort = "bool" if str(dtype) == "Boolean" else "int" if dtype.is_integer() else "float"
        return Cells(sort, _numbers(series.to_list())), ""
    words = np.empty(len(series), dtype=object)
    words[:] = series.to_list()
    return Cells("word", words), ""


def _as_polars(values: np.ndarray, like: Any) -> Any:
    dtype, Series = like.dtype, type(like)
    if str(dtype) == "Object":
        return Series(like.name, values.tolist(), dtype=dtype)
    if values.dtype == object:
        return Series(like.name, values.tolist()).cast(dtype)
    if str(dtype) == "Boolean":
        return Series(like.name, np.rint(values).astype(bool))
    if dtype.is_temporal():
        values = values / _microseconds(dtype)
    whole = dtype.is_temporal() or dtype.is_integer()
    return Series(like.name, np.rint(values).astype(np.int64) if whole else values).cast(dtype)


def _microseconds(dtype: Any) -> float:
    """The unit of dates and times of a polars dtype."""
    if str(dtype) in ("Date", "Time"):
        return 86_400e6 if str(dtype) == "Date" else 1e-3
    return {"ms": 1e3, "us": 1.0, "ns": 1e-3}[dtype.time_unit]


def _numbers(entries: list[Any]) -> np.ndarray:
    return np.array([np.nan if entry is None else float(entry) for entry in entries], dtype=np.float64)


# ------------------------------------------------------------------ objects


def _of_objects(values: np.ndarray) -> tuple[Cells, str]:
    """A column of objects, and the type of its entries. None, NaN and NaT are missing."""
    missing = np.array([value is None or bool(value != value) for value in values], dtype=bool)
    known = values[~missing]
    if len(known) and all(isinstance(value, (bool, np.bool_)) for value in known):
        sort, told = "bool", "bool"
    elif len(known) and all(isinstance(value, Integral) for value in known):
        sort, told = "int", "int"
    elif len(known) and all(isinstance(value, (Real, decimal.Decimal)) for value in known):
        sort, told = "float", "float"
    elif len(known) and all(type(value) is datetime.date for value in known):
        sort, told = "date", "day"
    elif len(known) and all(isinstance(value, datetime.datetime) and value.tzinfo is None for value in known):
        sort, told = "date", "moment"
    elif len(known) and all(isinstance(value, datetime.timedelta) for value in known):
        sort, told = "date", "duration"
    elif len(known) and all(isinstance(value, datetime.time) and value.tzinfo is None for value in known):
        sort, told = "date", "time"
    else:
        words = values.copy()
        words[missing] = None
        return Cells("word", words), ""
    found = np.full(len(values), np.nan)
    found[~missing] = [_as_number(value, told) for value in known]
    return Cells(sort, found), told


def _as_number(value: Any, told: str) -> float:
    since: dict[str, Callable[[], datetime.timedelta]] = {
        "day": lambda: value - EPOCH.date(),
        "moment": lambda: value - EPOCH,
        "duration": lambda: value,
        "time": lambda: datetime.datetime.combine(EPOCH, value) - EPOCH,
    }
    return since[told]() / datetime.timedelta(microseconds=1) if told in since else float(value)


def _objects_of(values: np.ndarray, told: str) -> np.ndarray:
    """The objects of a column whose dtype does not tell what they are. Other columns stay as they are."""
    if not told:
        return values
    made: dict[str, Callable[[float], Any]] = {
        "bool": lambda value: bool(round(value)),
        "int": round,
        "float": float,
        "day": lambda value: EPOCH.date() + datetime.timedelta(days=round(value / 86_400e6)),
        "moment": lambda value: EPOCH + datetime.timedelta(microseconds=round(value)),
        "duration": lambda value: datetime.timedelta(microseconds=round(value)),
        "time": lambda value: (EPOCH + datetime.timedelta(microseconds=round(value))).time(),
    }
    found = np.empty(len(values), dtype=object)
    found[:] = [made[told](value) for value in values.tolist()]
    return found
