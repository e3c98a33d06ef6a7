"""Tables from files or from scikit-learn, as numbers and a target, for ``python -m skae``."""

from __future__ import annotations

import csv
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["BUNDLED", "Dataset", "load"]

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")
READERS = {".csv": "read_csv", ".tsv": "read_csv", ".txt": "read_csv", ".data": "read_csv", ".parquet": "read_parquet"}
SEPARATORS = ("\t", ";", ",")
"""The first of these that occurs in the first line separates the columns. If none occurs, blanks do."""
MANY_TEXTS = 50
"""A column with more distinct texts than this, in more than half of its rows, is free text and not a category."""


@dataclass
class Dataset:
    """A table of numbers, and the target to predict from it.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,) or (n_samples, n_targets), or None
    name : str
    feature_names : list of str
    image_shape : (int, int) or None
        Height and width, if rows are images.
    """

    X: np.ndarray
    y: np.ndarray | None
    name: str
    feature_names: list[str]
    image_shape: tuple[int, int] | None = None


def load(source: str, target: str | None = None) -> Dataset:
    """Read a bundled data set, or a .csv, .tsv, .txt, .data, .npy, .npz or .parquet file.

    Parameters
    ----------
    source : str
        A name in ``BUNDLED``, or a path.
    target : str or None, default=None
        Name or number of the column to predict. In an .npz file it may be the name of an array. None looks for an array
        "y", "target" or "labels" in an .npz file. Bundled sets have their own targets.

    Returns
    -------
    data : Dataset
        Columns of texts, categories and truth values are one-hot encoded. An array with three dimensions holds images,
        one per row.

    Raises
    ------
    ValueError, OSError, ImportError
        If the file or the target does not exist, if a column has missing values or cannot be read as numbers or
        categories, or if a required package is not installed. The message is one sentence.
    """
    if source in BUNDLED:
        return _bundled(source, target)
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {source!r}, and no bundled data set of that name: {', '.join(BUNDLED)}."
        )
    if path.suffix.lower() in (".npy", ".npz"):
        return _numpy(path, target)
    if path.suffix.lower() not in READERS:
        known = ", ".join([*READERS, ".npy", ".npz"])
        raise ValueError(f"Cannot read {source!r}: its ending is none of {known}.")
    return _from_frame(_frame(path), target, path.stem)


def _bundled(name: str, target: str | None) -> Dataset:
    from sklearn import datasets

    if target is not None:
        raise ValueError(f"The bundled set {name!r} has its own target: leave --target out.")
    bunch = getattr(datasets, f"load_{name}")()
    shape = bunch.images.shape[1:] if name == "digits" else None
    return Dataset(np.asarray(bunch.data, float), np.asarray(bunch.target), name, list(bunch.feature_names), shape)


def _numpy(path: Path, target: str | None) -> Dataset:
    arrays = _arrays(path)
    stored = [target] if target is not None else ["y", "target", "labels"]
    y = next((arrays.pop(name) for name in stored if name in arrays), None)
    tables = [name for name, array in arrays.items() if array.ndim >= 2 and array.size]
    chosen = next((name for name in ("X", "data", "images", *tables) if name in tables), None)
    if chosen is None:
        raise ValueError(f"{str(path)!r} holds no table: none of its arrays has rows and columns of numbers.")
    X = arrays[chosen]
    shape = X.shape[1:] if X.ndim == 3 else None
    X = X.reshape(len(X), -1)
    names = [str(i) for i in range(X.shape[1])]
    if target is not None and y is None:
        column = _find(target, names, str(path))
        y, X, shape = X[:, column], np.delete(X, column, axis=1), None
        del names[column]
    if X.dtype.kind not in "fiub":
        raise ValueError(f"Array {chosen!r} of {str(path)!r} holds {X.dtype}, not numbers.")
    X = X.astype(float)
    for column, name in enumerate(names):
        _check_numbers(X[:, column], name)
    return Dataset(X, _flat(y), path.stem, names, shape)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file by name. The name of the array in an .npy file is empty."""
    try:
        with path.open("rb") as file:
            stored = np.load(file, allow_pickle=False)
            return {"": stored} if isinstance(stored, np.ndarray) else dict(stored)
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"Cannot read {str(path)!r} as arrays of numbers: {_first_line(error)}") from None


def _flat(y: np.ndarray | None) -> np.ndarray | None:
    return y.ravel() if y is not None and y.shape[1:] == (1,) else y


def _frame(path: Path) -> Any:
    try:
        import pandas as pd
    except ImportError:
        raise ImportError(f'Reading {path.suffix} files needs pandas: pip install "skae[plot]".') from None
    reader = READERS[path.suffix.lower()]
    try:
        frame = getattr(pd, reader)(path, **(_dialect(path) if reader == "read_csv" else {}))
    except (ValueError, ImportError, OSError) as error:
        raise ValueError(f"Cannot read {str(path)!r} as a table: {_first_line(error)}") from None
    if frame.empty:
        raise ValueError(f"{str(path)!r} holds no rows.")
    frame.columns = [str(c) for c in frame.columns]
    return frame


def _dialect(path: Path) -> dict[str, Any]:
    """Options with which pandas reads a text file. The first line shows the separator, and whether it is a header."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = next((line.strip() for line in file if line.strip()), "")
    unquoted = re.sub(r'"[^"]*"', "", first)
    mark = next((mark for mark in SEPARATORS if mark in unquoted), None)
    words = next(csv.reader([first], delimiter=mark, skipinitialspace=True), []) if mark else first.split()
    return {
        "sep": mark or r"\s+",
        "header": 0 if _is_header(words) else None,
        "skipinitialspace": True,
        "na_values": "?",
        "low_memory": False,
    }


def _is_header(words: list[str]) -> bool:
    """Whether a first line is a header. A line of numbers is data, unless it counts the columns: 0, 1, 2."""
    counts = len(words) > 2 and words == [str(i) for i in range(len(words))]
    return counts or not all(_is_number(word) for word in words if word not in ("", "?"))


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _from_frame(frame: Any, target: str | None, name: str) -> Dataset:
    import pandas as pd

    y = None
    if target is not None:
        names = list(frame.columns)
        column = names[_find(target, names, name)]
        y = _target(frame.pop(column), column)
    if frame.shape[1] == 0:
        raise ValueError(f"{name!r} has no column beside the target.")
    for column in frame.columns:
        _check_column(frame[column], column)
    texts = [c for c in frame.columns if not _is_numeric(frame[c])]
    encoded = pd.get_dummies(frame, columns=texts, dtype=float)
    return Dataset(encoded.to_numpy(dtype=float), y, name, list(encoded.columns))


def _target(column: Any, name: str) -> np.ndarray:
    """The target as whole numbers, real numbers or texts."""
    if column.isna().any():
        raise ValueError(_missing(name, int(column.isna().sum())))
    if not _is_numeric(column):
        return np.asarray(column.to_numpy().astype(str))
    return np.asarray(column.to_numpy(dtype=float if column.dtype.kind == "f" else int))


def _is_numeric(column: Any) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))


def _check_column(column: Any, name: str) -> None:
    if column.isna().any():
        raise ValueError(_missing(name, int(column.isna().sum())))
    if _is_numeric(column):
        _check_numbers(column.to_numpy(dtype=float), name)
        return
    texts = column.astype(str)
    n_distinct = texts.nunique()
    if n_distinct > MANY_TEXTS and n_distinct > len(column) / 2:
        example = next((text for text in texts if not _is_number(text)), texts.iloc[0])
        raise ValueError(
            f"Column {name!r} can be read neither as numbers nor as categories ({n_distinct} different "
            f"texts in {len(column)} rows, such as {example!r}): clean it, drop it or encode it."
        )


def _check_numbers(column: np.ndarray, name: str) -> None:
    if np.isnan(column).any():
        raise ValueError(_missing(name, int(np.isnan(column).sum())))
    if not np.isfinite(column).all():
        raise ValueError(f"Column {name!r} has infinite values: replace them.")


def _missing(column: str, count: int) -> str:
    return f"Column {column!r} has {count} missing value{'s' if count > 1 else ''}: impute or drop them."


def _find(target: str, names: list[str], where: str) -> int:
    """Index of a column, given by its name or by its number."""
    if target in names:
        return names.index(target)
    if re.fullmatch("-?[0-9]+", target) and -len(names) <= int(target) < len(names):
        return int(target) % len(names)
    shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    raise ValueError(f"There is no column {target!r} in {where!r}, which has {shown}.")
