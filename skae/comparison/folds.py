"""X and y of a comparison: checked, and cut into folds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_array

from ..base.checks import check_x, look_for_gaps, unmasked
from ..base.labels import is_missing
from ..base.streams import is_stream, needs_all_rows
from ..engine.data import to_tensor
from .evaluation import Fold, mean_of
from .metadata import WEIGHT, of_rows

__all__ = ["Table", "check_groups", "check_standardize", "check_table", "fold_of", "is_classes", "splits_of"]

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


def _check_rows(X: Any) -> Any:
    """X as an array with NaN where an entry is missing, or as a sparse matrix."""
    if is_stream(X):
        raise ValueError(needs_all_rows("compare"))
    reader = _TakesGaps()
    X = check_x(reader, X, reset=True, look_through=True)
    if X.shape[0] < MIN_ROWS:
        raise ValueError(
            f"Found array with {X.shape[0]} sample(s) (shape={tuple(X.shape)}) while a minimum of {MIN_ROWS} is "
            "required."
        )
    if sparse.issparse(X):
        return _canonical(X)
    look_for_gaps(reader, X, columns=True)
    rows: np.ndarray = to_tensor(X).cpu().numpy()
    return rows


def _canonical(X: Any) -> Any:
    """A sparse matrix whose entries are sorted, and which has none twice. NaN has no place in it."""
    if np.isnan(X.data).any():
        raise ValueError("X is sparse and has NaN: missing entries need an array, pass X.toarray().")
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def check_table(X: Any, y: Any) -> tuple[Any, np.ndarray | None]:
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
    if len(y) != X.shape[0]:
        raise ValueError(f"y has {len(y)} rows, but X has {X.shape[0]}.")
    if y.ndim > 1 and y.shape[1] > 1 and y.dtype.kind not in "fiub":
        raise ValueError(f"y has {y.shape[1]} columns, which are not all numbers: pass one of them.")
    for column in y.reshape(len(y), -1).T:
        if (column == column[0]).all():
            raise ValueError(f"y is {column.tolist()[0]!r} in every row, so there is nothing to predict from X.")
    return X, y.ravel() if y.shape[1:] == (1,) else y


def check_groups(groups: Any, n_rows: int) -> np.ndarray | None:
    """Groups as an array with an entry for each row, none of them missing."""
    if groups is None:
        return None
    groups = check_array(unmasked(groups), ensure_2d=False, dtype=None, input_name="groups", ensure_all_finite=False)
    if groups.shape != (n_rows,):
        raise ValueError(f"groups has the shape {groups.shape}, but X has {n_rows} rows: pass a group for each row.")
    gaps = [i for i, group in enumerate(groups) if is_missing(group)]
    if gaps:
        raise ValueError(f"groups contains NaN or None, first in row {gaps[0]} (rows: {len(gaps)}): drop those rows.")
    return groups.astype(str) if groups.dtype == object else groups


def check_standardize(standardize: Any, n_columns: int) -> bool | np.ndarray:
    """Whether all columns are standardised, or an array that says so of each."""
    chosen = np.asarray(standardize)
    if chosen.dtype != bool or chosen.shape not in ((), (n_columns,)):
        raise ValueError(
            f"standardize={standardize!r} must be True, False, or an array of {n_columns} truth values, one for each "
            "column."
        )
    return chosen if chosen.ndim else bool(chosen)


def splits_of(
    X: Any, y: np.ndarray | None, cv: Any, random_state: int | None, groups: Any = None, n_repeats: Any = 1
) -> list[tuple[Any, Any]]:
    """Training rows and held-out rows of each fold. They are stratified if y consists of classes.

    Parameters
    ----------
    X : {ndarray, sparse matrix} of shape (n_samples, n_features)
    y : ndarray or None
    cv : int, splitter or iterable
    random_state : int or None
        Seed of the folds of a number. Those of the first repetition do not depend on the number of repetitions.
    groups : ndarray of shape (n_samples,), default=None
        With them, rows of a group are all in the training rows of a fold, or all held out, if cv is a number.
    n_repeats : int, default=1
        How often a number of folds is drawn.
    """
    from sklearn.model_selection import check_cv

    if isinstance(n_repeats, bool) or not isinstance(n_repeats, int | np.integer) or n_repeats < 1:
        raise ValueError(f"n_repeats={n_repeats!r} must be a whole number from 1 on.")
    if isinstance(cv, int | np.integer):
        seeds = [None if random_state is None else (random_state + i) % 2**32 for i in range(n_repeats)]
        splitters = [_splitter(X.shape[0], y, int(cv), seed, groups) for seed in seeds]
    elif n_repeats > 1:
        raise ValueError("n_repeats repeats the folds of a number: pass an int as cv, or a splitter that repeats.")
    else:
        if groups is not None and not hasattr(cv, "split"):
            raise ValueError("groups make the folds, but cv has them already: pass a splitter as cv, or no groups.")
        splitters = [check_cv(cv, y)]
    splits = [pair for splitter in splitters for pair in splitter.split(X, y, groups)]
    if not splits:
        raise ValueError("cv has no folds: pass at least one pair of training and held-out rows.")
    for i, (train, test) in enumerate(splits):
        if groups is not None and not (len(train) and len(test)):
            raise ValueError(f"Fold {i + 1} of {len(splits)} is empty with these groups: pass a smaller cv.")
    return splits


def _splitter(n_rows: int, y: np.ndarray | None, cv: int, seed: int | None, groups: np.ndarray | None) -> Any:
    """Shuffled folds, of groups if there are any."""
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    most, what = (n_rows, "rows") if groups is None else (len(np.unique(groups)), "groups")
    if not 2 <= cv <= most:
        raise ValueError(f"cv={cv} is not a number of folds from 2 to {most}, the number of {what}.")
    # Folds are not stratified if a class has too few rows to be in every fold.
    classes = y is not None and is_classes(y) and np.unique(y, return_counts=True)[1].min() >= cv
    plain, stratified = (KFold, StratifiedKFold) if groups is None else (GroupKFold, StratifiedGroupKFold)
    return (stratified if classes else plain)(cv, shuffle=True, random_state=seed)


@dataclass
class Table:
    """What a comparison is of.

    Parameters
    ----------
    X : {ndarray, sparse matrix} of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,) or (n_samples, n_targets), or None
    standardize : bool, or ndarray of bool of shape (n_features,), default=False
    params : dict, default={}
        Metadata, see ``metadata.check_params``.
    """

    X: Any
    y: np.ndarray | None
    standardize: Any = False
    params: Mapping[str, Any] = field(default_factory=dict)


def fold_of(table: Table, train: Any, test: Any) -> Fold:
    """A fold with its rows, of which the columns that are asked for are standardised, and with its gaps filled."""
    X, y = table.X, table.y
    params = [of_rows(table.params, rows, X.shape[0]) for rows in (train, test)]
    weight = params[0].get(WEIGHT)
    X_train, X_test = X[train], X[test]
    if np.any(table.standardize):
        X_train, X_test = _standardized(X_train, X_test, table.standardize, weight)
    gaps: tuple[Any, Any] = (None, None)
    if not sparse.issparse(X) and np.isnan(X).any():
        unknown = np.isnan(X_train).all(axis=0)
        X_train, X_test = (np.where(unknown, 0.0, part) for part in (X_train, X_test))
        gaps = np.isnan(X_train), np.isnan(X_test)
        mean = np.nanmean(X_train, axis=0) if weight is None else np.nan_to_num(mean_of(X_train, weight))
        X_train, X_test = (np.where(gap, mean, part) for gap, part in zip(gaps, (X_train, X_test), strict=True))
    if y is None:
        return Fold(X_train, None, X_test, None, False, *gaps, *params)
    return Fold(X_train, y[train], X_test, y[test], is_classes(y), *gaps, *params)


def _standardized(X_train: Any, X_test: Any, columns: Any, weight: np.ndarray | None) -> tuple[Any, Any]:
    """Both with some columns standardised by the training rows. Those of a sparse X are divided and not shifted."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler(with_mean=not sparse.issparse(X_train)).fit(X_train, sample_weight=weight)
    if sparse.issparse(X_train):
        factor = sparse.diags(np.where(columns, 1.0 / scaler.scale_, 1.0))
        return (X_train @ factor).tocsr(), (X_test @ factor).tocsr()
    scaled = scaler.transform(X_train), scaler.transform(X_test)
    first, second = (np.where(columns, s, x) for s, x in zip(scaled, (X_train, X_test), strict=True))
    return first, second
