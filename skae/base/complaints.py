"""Why something is no table of numbers: one sentence that names the first such cell and what to do about it.

numpy and scikit-learn refuse text and most dates, but they do not say where these are. Other dates they read as
numbers of days or nanoseconds, without a word.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from numbers import Number
from typing import Any

import numpy as np
from scipy import sparse

__all__ = ["NO_DATES", "as_numbers"]

BLOCK = 4096
"""Number of rows that are looked through at a time."""
LONGEST = 40
"""Number of characters of a cell that a message shows."""
DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
DATED = re.compile("date|time|duration|period", re.IGNORECASE)
"""What the names of types have in common that hold dates, times of day or durations."""
MISSING = ("NAType", "NaTType")
"""Names of the types of pandas.NA and pandas.NaT."""
COMPLEX = "Complex data not supported: pass the real part, or real and imaginary parts side by side."
NO_DATES = (
    "turn dates into numbers, such as days since the first one, take TableAutoencoder, which reads them, or drop them"
)


def as_numbers(X: Any, check: Callable[[Any], Any], name: str = "X", n_dims: int = 2) -> Any:
    """Return what a check of scikit-learn makes of X, or raise an error that says why X does not hold numbers.

    Parameters
    ----------
    X : object
        What a user passed.
    check : callable
        Takes X and returns it as an array of numbers, or raises an error.
    name : str, default="X"
        Name of the argument, for the message.
    n_dims : int, default=2
        Number of dimensions that X should have: 2 for a table, 1 for a series.

    Returns
    -------
    X : array
        The result of ``check``.

    Raises
    ------
    ValueError
        If X has text, dates or complex numbers in it, or another number of dimensions.
    TypeError
        If a cell is an object of any other kind.
    """
    complaint = _about_dates(X, name)
    if complaint is None:
        try:
            return check(X)
        except (TypeError, ValueError):
            complaint = _about_kind(X, name) or _about_shape(X, name, n_dims) or _about_cells(X, name)
            if complaint is None:
                raise
    raise complaint


# ---------------------------------------------------------------- complaints


def _about_dates(X: Any, name: str) -> Exception | None:
    """The complaint about dates that numpy may read as numbers: columns of that type, or a date on top of a column."""
    if _is_numeric(X) or not _is_table(X):
        return None
    types = _types_of_columns(X)
    names_of_types = {of_column: str(of_column) for of_column in set(types)}  # few, where columns are many
    dated = next((column for column, of_column in enumerate(types) if DATED.search(names_of_types[of_column])), None)
    if dated is not None:
        where = f" in column {_name_of_column(X, dated)}" if _names_of_columns(X) else ""
        return ValueError(f"Input {name} contains dates or times{where}, of type {types[dated]}: {NO_DATES}.")
    if len(X) and {"object", "category"}.intersection(names_of_types.values() if types else ["object"]):
        top = np.asarray(X[:1], dtype=object)
        found = next((place for place, value in np.ndenumerate(top) if isinstance(value, DATES)), None)
        return None if found is None else _about_cell(X, name, 0, top, found)
    return None


def _about_kind(X: Any, name: str) -> Exception | None:
    if not _is_table(X) and (np.ndim(X) or not isinstance(np.asarray(X).item(), Number)):
        what = "None" if X is None else f"of type {type(X).__name__}"
        return ValueError(f"{name} is {what}: pass an array or a DataFrame of numbers.")
    if _kind_of(X) == "c":
        return ValueError(COMPLEX)
    names = [str(column) for column in _names_of_columns(X)]
    twice = next((column for column in names if names.count(column) > 1), None)
    return None if twice is None else ValueError(f"{name} has several columns named {twice!r}: rename or drop them.")


def _about_shape(X: Any, name: str, n_dims: int) -> Exception | None:
    if n_dims != 2:
        return None
    lengths = [_length(row) for row in X] if isinstance(X, list | tuple) else []
    if len(set(lengths)) > 1:
        other = next(row for row, length in enumerate(lengths) if length != lengths[0])
        return ValueError(
            f"The rows of {name} differ in length: row 0 has {lengths[0]} cells and row {other} has {lengths[other]}."
        )
    shape = X.shape if hasattr(X, "shape") else () if np.isscalar(X) else np.asarray(X[:BLOCK], dtype=object).shape
    if len(shape) < 2:
        got = "1D array" if shape else "a single number"
        if hasattr(X, "iloc"):
            return ValueError(
                f"Expected 2D array, got a {type(X).__name__} instead: pass a frame of one row, such as "
                "frame.iloc[[0]], or of one column, such as frame[['a']]."
            )
        return ValueError(
            f"Expected 2D array, got {got} instead. Reshape your data: X.reshape(1, -1) if it is one row, or "
            "X.reshape(-1, 1) if it is one column."
        )
    if len(shape) > 2:
        return ValueError(
            f"Found array with dim {len(shape)}, while dim <= 2 is required: {name} has shape {tuple(shape)}. Flatten "
            "what belongs to a row: X.reshape(len(X), -1)."
        )
    least = f"0 feature(s) (shape={tuple(shape)}) while a minimum of 1 is required"
    return None if shape[1] else ValueError(f"{name} has no columns: {least}.")


def _about_cells(X: Any, name: str) -> Exception | None:
    """The complaint about the first cell that is no number, or None if all are."""
    for start in range(0, 0 if _is_numeric(X) else len(X), BLOCK):
        rows = np.asarray(X[start : start + BLOCK], dtype=object)
        if not _are_numbers(rows):
            place = next((place for place, value in np.ndenumerate(rows) if not _is_number(value)), None)
            return None if place is None else _about_cell(X, name, start, rows, place)
    return None


def _about_cell(X: Any, name: str, start: int, rows: np.ndarray, place: tuple[int, ...]) -> Exception:
    """The complaint about a cell. Its place is counted from the row ``start`` of X, where ``rows`` begin."""
    value = rows[place]
    where = f"row {start + place[0]}" + (f", column {_name_of_column(X, place[1])}" if len(place) > 1 else "")
    kind, shown = type(value).__name__, repr(str(value))
    shown = shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 4]}...{shown[0]}"
    if kind in MISSING:
        return ValueError(f"Input {name} contains NaN in {where}: impute it (sklearn.impute) or drop the row.")
    if isinstance(value, str | bytes):
        column = rows if len(place) == 1 else rows[:, place[1]]
        mostly_numbers = 2 * sum(map(_is_number, column)) > len(rows)
        cure = (
            "correct or impute the cell"
            if mostly_numbers
            else "encode the column (sklearn's OneHotEncoder), take TableAutoencoder, which does it"
        )
        return ValueError(f"Input {name} contains text, {shown}, in {where}: {cure}, or drop it.")
    if isinstance(value, DATES) or DATED.search(kind):
        return ValueError(f"Input {name} contains a date or time, {shown}, in {where}: {NO_DATES}.")
    if isinstance(value, complex | np.complexfloating):
        return ValueError(COMPLEX)
    return TypeError(
        f"Input {name} contains {shown}, of type {kind}, in {where}: the argument must be an array of numbers, or of "
        "strings that spell a number."
    )


# ---------------------------------------------------------------- looking at tables of every kind


def _kind_of(X: Any) -> str | None:
    """Numpy's letter for the type of an array. A frame and a list have none."""
    kind: str | None = getattr(getattr(X, "dtype", None), "kind", None)
    return kind


def _is_numeric(X: Any) -> bool:
    """Whether X is an array of floating-point or whole numbers or truth values, or sparse."""
    return sparse.issparse(X) or _kind_of(X) in ("f", "i", "u", "b")


def _is_table(X: Any) -> bool:
    """Whether X has rows that can be counted and cut."""
    is_sequence = hasattr(X, "__len__") and hasattr(X, "__getitem__") and not isinstance(X, str | bytes | dict)
    return is_sequence and getattr(X, "shape", None) != ()


def _types_of_columns(X: Any) -> list[Any]:
    """Types of the columns of a frame, or the one type of an array. A list has none."""
    if hasattr(X, "schema") and hasattr(X.schema, "types"):
        return list(X.schema.types)
    if hasattr(X, "dtypes") and not hasattr(X.dtypes, "kind"):
        return list(X.dtypes)
    return [X.dtype] if hasattr(X, "dtype") else []


def _names_of_columns(X: Any) -> list[Any]:
    return list(X.column_names if hasattr(X, "column_names") else getattr(X, "columns", ()))


def _name_of_column(X: Any, index: int) -> str:
    """The name of a column in quotes, or its number if it has no name of its own."""
    names = _names_of_columns(X)
    return repr(names[index]) if names and isinstance(names[index], str) else str(index)


def _length(row: Any) -> int:
    """Number of cells of a row. A number or a text is one cell."""
    return len(row) if hasattr(row, "__len__") and not isinstance(row, str | bytes) else 1


def _is_number(value: Any) -> bool:
    is_array = hasattr(value, "__len__") and not isinstance(value, str | bytes)
    return not isinstance(value, DATES) and not is_array and _are_numbers(value)


def _are_numbers(values: Any) -> bool:
    """Whether numpy reads values as real numbers."""
    try:
        np.asarray(values, dtype=object).astype(float)
    except (TypeError, ValueError):
        return False
    return True
