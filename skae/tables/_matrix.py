"""A table from arrays of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ._arrays import table_of
from ._column import Column
from ._dataset import Dataset, told_gaps, without_empty_rows
from ._faults import Faults
from ._options import Options
from ._words import plural, printable, quoted

__all__ = ["from_matrix", "read_arrays"]


def read_arrays(path: Path, options: Options) -> Dataset:
    """Read an .npy or .npz file.

    Parameters
    ----------
    path : Path
    options : Options
    """
    table = table_of(path, options.target)
    shape = table.X.shape[1:] if table.X.ndim == 3 else None
    X = table.X.reshape(len(table.X), -1).astype(float)
    names = [str(i) for i in range(X.shape[1])]
    options = options if table.target_is_column else options.without_target()
    return from_matrix(X, table.y, printable(path.stem), names, shape, options)


def from_matrix(
    X: np.ndarray,
    y: np.ndarray | None,
    name: str,
    names: Sequence[str],
    image_shape: tuple[int, int] | None,
    options: Options,
) -> Dataset:
    """Make a table of a matrix: columns are dropped, and missing values counted or filled.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Of float64.
    y : ndarray or None
        Used unless the options name a column as the target.
    name : str
    names : sequence of str
        Names of the columns.
    image_shape : (int, int) or None
        Kept if all columns are.
    options : Options
    """
    target, kept = options.choose(names, name)
    faults = Faults(name, lambda row: f"row {row + 1}")
    y = y if target is None else X[:, target]
    if y is not None:
        y = _checked(y, len(X), "y" if target is None else names[target], faults)
    if len(kept) < X.shape[1]:
        X, names, image_shape = X[:, kept], [names[i] for i in kept], None
    X, notes = _checked_X(X, names, faults, options)
    faults.raise_if_any()
    if X.shape[1] == 0:
        raise ValueError(f"{quoted(name)} has no column{' beside the target' if target is not None else ''}.")
    X, y, told = without_empty_rows(X, y, faults)
    return Dataset(X, y, name, list(names), image_shape, [*notes, *told], (("gaussian", X.shape[1]),))


def _checked_X(X: np.ndarray, names: Sequence[str], faults: Faults, options: Options) -> tuple[np.ndarray, list[str]]:  # noqa: N802
    missing = np.isnan(X)
    lacking = np.flatnonzero(missing.any(axis=0)).tolist()
    for j in map(int, np.flatnonzero(np.isinf(X).any(axis=0))):
        faults.add_infinite(Column(names[j], X[:, j]))
    for j in lacking:
        if missing[:, j].all():
            faults.add("empty", names[j], "in any row")
    faults.raise_if_any()
    if not lacking:
        return X, []
    note = told_gaps(int(missing.sum()), [names[j] for j in lacking], options)
    return (np.where(missing, np.nanmedian(X, axis=0), X) if options.impute else X), [note]


def _checked(y: np.ndarray, n_rows: int, name: str, faults: Faults) -> np.ndarray:
    """The target of one number, word or list of numbers a row."""
    if len(y) != n_rows:
        raise ValueError(f"The target {quoted(name)} has {plural(len(y), 'row')}, and the table has {n_rows}.")
    if y.ndim > 2:
        raise ValueError(f"The target {quoted(name)} has shape {y.shape}, and not one or more numbers a row.")
    y = y.ravel() if y.shape[1:] == (1,) else y
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        column = Column(name, y if y.ndim == 1 else np.where(np.isfinite(y).all(axis=1), 0.0, np.nan))
        if column.missing.any():
            faults.add_missing(column)
        else:
            faults.add_infinite(column)
    return y.astype(str) if y.dtype.kind == "S" else y
