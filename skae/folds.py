"""X and y of a comparison: checked, and cut into folds."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_array

from .base.checks import check_x, look_for_gaps, unmasked
from .base.labels import is_missing
from .base.streams import is_stream, needs_all_rows
from .engine.data import to_tensor
from .evaluation import Fold

__all__ = ["check_table", "fold_of", "is_classes", "splits_of"]

MIN_ROWS = 4
"""Two for training and two held out."""
FEW = 20
"""Up to this many distinct whole numbers are classes. More are classes only with at least 5 rows per value."""


def is_classes(y: np.ndarray | None) -> bool:
    """Whether y consists of classes: texts, truth values, or few distinct whole numbers."""
    if y is None or y.ndim > 1:
        return False
    if y.dtype.kind not in "fiu":
        return True
    return bool((y % 1 == 0).all()) and len(np.unique(y)) <= max(FEW, len(y) / 5)


class _TakesGaps(BaseEstimator):
    """An estimator as which X is checked."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.allow_nan = True
        return tags


def _check_rows(X: Any) -> np.ndarray:
    """X as an array with NaN where an entry is missing."""
    if is_stream(X):
        raise ValueError(needs_all_rows("compare"))
    reader = _TakesGaps()
    X = check_x(reader, X, reset=True, look_through=True)
    if sparse.issparse(X):
        raise TypeError("X is sparse, but PCA and the models on all columns need an array: pass X.toarray().")
    if X.shape[0] < MIN_ROWS:
        raise ValueError(
            f"Found array with {X.shape[0]} sample(s) (shape={tuple(X.shape)}) while a minimum of {MIN_ROWS} is "
            "required."
        )
    look_for_gaps(reader, X, columns=True)
    rows: np.ndarray = to_tensor(X).cpu().numpy()
    return rows


def check_table(X: Any, y: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """X and y as arrays of as many rows. NaN is an entry of X that is missing, and y has none."""
    X = _check_rows(X)
    if y is None:
        return X, None
    if isinstance(y, str):
        raise TypeError(f"y is the text {y!r}: pass the values of the target, and leave its column out of X.")
    y = check_array(unmasked(y), ensure_2d=False, dtype=None, input_name="y", ensure_all_finite=False)
    gaps = [i for i, row in enumerate(y.reshape(len(y), -1)) if any(is_missing(value) for value in row)]
    if gaps:
        raise ValueError(f"y contains NaN or None, first in row {gaps[0]} (rows: {len(gaps)}): drop those rows.")
    if y.dtype == object:
        y = np.array(y.tolist())
    if y.dtype == object:
        raise ValueError("y has values that are neither text nor numbers: drop those rows.")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError("y contains infinity: drop those rows.")
    if len(y) != len(X):
        raise ValueError(f"y has {len(y)} rows, but X has {len(X)}.")
    for column in y.reshape(len(y), -1).T:
        if (column == column[0]).all():
            raise ValueError(f"y is {column.tolist()[0]!r} in every row, so there is nothing to predict from X.")
    return X, y.ravel() if y.shape[1:] == (1,) else y


def splits_of(X: np.ndarray, y: np.ndarray | None, cv: Any, random_state: int | None) -> list[tuple[Any, Any]]:
    """Training rows and held-out rows of each fold. They are stratified if y consists of classes."""
    from sklearn.model_selection import KFold, StratifiedKFold, check_cv

    if isinstance(cv, (int, np.integer)):
        if not 2 <= cv <= len(X):
            raise ValueError(f"cv={cv} is not a number of folds from 2 to {len(X)}, the number of rows.")
        # Folds are not stratified if a class has too few rows to be in every fold.
        classes = y is not None and is_classes(y) and np.unique(y, return_counts=True)[1].min() >= cv
        cv = (StratifiedKFold if classes else KFold)(int(cv), shuffle=True, random_state=random_state)
    splits = list(check_cv(cv, y).split(X, y))
    if not splits:
        raise ValueError("cv has no folds: pass at least one pair of training and held-out rows.")
    return splits


def fold_of(X: np.ndarray, y: np.ndarray | None, train: Any, test: Any, standardize: Any) -> Fold:
    """A fold with its rows, of which the columns that are asked for are standardised, and with its gaps filled."""
    X_train, X_test = X[train], X[test]
    if np.any(standardize):
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(X_train)
        scaled = scaler.transform(X_train), scaler.transform(X_test)
        X_train, X_test = (np.where(standardize, s, x) for s, x in zip(scaled, (X_train, X_test), strict=True))
    gaps: tuple[Any, Any] = (None, None)
    if np.isnan(X).any():
        unknown = np.isnan(X_train).all(axis=0)
        X_train, X_test = (np.where(unknown, 0.0, part) for part in (X_train, X_test))
        gaps = np.isnan(X_train), np.isnan(X_test)
        mean = np.nanmean(X_train, axis=0)
        X_train, X_test = (np.where(gap, mean, part) for gap, part in zip(gaps, (X_train, X_test), strict=True))
    if y is None:
        return Fold(X_train, None, X_test, None, False, *gaps)
    return Fold(X_train, y[train], X_test, y[test], is_classes(y), *gaps)
