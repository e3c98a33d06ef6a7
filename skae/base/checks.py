"""Checks of X, codes and sample weights for every kind of array, with their error messages."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.utils import check_array, get_tags
from sklearn.utils.validation import validate_data
from torch import Tensor, float32, float64, isfinite, strided

from ..engine.data import Array, Source, chunks, name_of, to_tensor
from ..engine.finite import find_nonfinite
from ..engine.frame import Frame
from ..engine.group import current
from .arrow import outside
from .compat import check_sample_weight
from .complaints import as_numbers
from .streams import is_stream, needs_all_rows

__all__ = [
    "check_codes",
    "check_columns",
    "check_weight",
    "check_x",
    "frame_of",
    "look_for_gaps",
    "require_positive",
    "unmasked",
    "watcher",
]


def check_x(estimator: Any, X: Any, *, reset: bool, look_through: bool) -> Array:
    """Return X as a two-dimensional array of the right width. With ``look_through``, refuse infinity, and NaN.

    NaN is admitted by an estimator whose tag ``allow_nan`` says so.
    """
    check = partial(
        validate_data,
        estimator,
        reset=reset,
        accept_sparse="csr",
        dtype=[np.float64, np.float32],
        ensure_all_finite=False,
    )
    if is_stream(X):
        if not hasattr(estimator, "partial_fit"):
            raise ValueError(needs_all_rows(type(estimator).__name__))
        raise ValueError(
            f"X is of type {type(X).__name__} and gives chunks, which only fit takes: pass each by itself."
        )
    if (table := outside(X)) is not None:
        check_columns(estimator, table, reset=reset)
        X = table.in_memory()
    elif isinstance(X, Tensor):
        X = _real(X)
        as_numbers(_stand_in(X), check)
    else:
        takes_gaps = get_tags(estimator).input_tags.allow_nan
        X = as_numbers(_with_nan(unmasked(X)) if takes_gaps else unmasked(X), check)
    if look_through and not get_config()["assume_finite"]:
        _require_finite(estimator, X)
    return X


def _with_nan(X: Any) -> Any:
    """Return X with NaN in place of pandas.NA among objects, where numpy cannot read it. Other X is returned as is."""
    if isinstance(X, np.ndarray) and X.dtype == object:
        return np.array([_nan_for_na(value) for value in X.flat], dtype=object).reshape(X.shape)
    kinds = list(getattr(X, "dtypes", ())) if hasattr(X, "isetitem") else []
    objects = [place for place, kind in enumerate(kinds) if str(kind) == "object"]
    if objects:
        X = X.copy()
    for place in objects:
        X.isetitem(place, [_nan_for_na(value) for value in X.iloc[:, place]])
    return X


def _nan_for_na(value: Any) -> Any:
    return np.nan if type(value).__name__ == "NAType" else value


def check_columns(estimator: Any, X: Any, *, reset: bool) -> None:
    """Check the number and the names of the columns of X, and nothing else."""
    table = outside(X)
    validate_data(estimator, X if table is None else table.header, reset=reset, skip_check_array=True)


def watcher(estimator: Any, X: Array) -> Callable[[Any, Tensor], None] | None:
    """A function ``look(index, x)`` that refuses NaN in a batch of X while the batch is in the processor's cache.

    It admits NaN where ``check_x`` does. None if scikit-learn is set to assume that all numbers are finite.
    """
    if get_config()["assume_finite"]:
        return None

    def look(index: Any, x: Tensor) -> None:
        if not math.isfinite(x.sum()):
            _require_finite(estimator, X[index], index.start)
            known = ~x.isnan()
            _require_in_range(x[known])
            _require_observed(known, index.start)

    return look


def look_for_gaps(estimator: Any, X: Array, weight: np.ndarray | None = None, *, columns: bool) -> bool:
    """Whether an entry of X is missing (NaN). Refuse a row without any observed entry, and with ``columns`` a column.

    Entries in rows of weight 0 do not count for a column. If an estimator admits no NaN, or if scikit-learn is set to
    assume that all numbers are finite, X has no gaps.
    """
    if get_config()["assume_finite"] or not get_tags(estimator).input_tags.allow_nan:
        return False
    has_gaps, observed = False, np.zeros(X.shape[1], dtype=bool)
    for rows in chunks(*X.shape):
        part = to_tensor(X[rows])
        counts = None if weight is None else np.flatnonzero(weight[rows])
        if not math.isnan(float(part.sum())):
            observed |= counts is None or len(counts) > 0
            continue
        known = ~part.isnan()
        has_gaps = has_gaps or not bool(known.all())
        _require_observed(known, rows.start)
        observed |= (known if counts is None else known[counts]).any(0).cpu().numpy()
    parts = current().gather(observed)  # whose lengths may differ: it is told later
    observed = np.any([part for part in parts if len(part) == len(observed)], axis=0)
    if columns and not observed.all():
        column = _column(estimator, int(np.argmin(observed)))
        raise ValueError(f"Column {column} of X has no known entry to learn from: leave it out of X.")
    return bool(current().any(has_gaps))


def _require_observed(known: Tensor, first_row: int) -> None:
    """Raise an error for a row without any observed entry, given a mask of the observed ones."""
    empty = ~known.any(1)
    if bool(empty.any()):
        row = first_row + int(empty.byte().argmax())
        raise ValueError(f"Row {row} of X has no known entry, only NaN: drop the row.")


def unmasked(array: Any) -> Any:
    """Return an array with NaN, NaT or None where a masked array hides an entry. Other objects are returned as is."""
    if not (isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array)):
        return array
    kind = array.dtype.kind
    values = array.data.astype(array.dtype if kind in "fcmM" else object)
    values[array.mask] = "NaT" if kind in "mM" else np.nan if kind in "fc" else None
    return values


def check_codes(X: Any, n_columns: int, name: str) -> Array:
    """Check codes for ``inverse_transform``: finite numbers in ``n_columns`` columns. ``name`` is the estimator's."""
    check = partial(check_array, dtype=[np.float64, np.float32], ensure_all_finite=False)
    codes = _real(X) if isinstance(X, Tensor) else as_numbers(unmasked(X), check)
    if isinstance(X, Tensor):
        as_numbers(_stand_in(codes), check)
    if (found := find_nonfinite(codes)) is not None:
        kind = "NaN" if np.isnan(found[2]) else "infinity"
        raise ValueError(f"Input X contains {kind} in row {found[0]}, column {found[1]}: drop the row.")
    if codes.shape[1] != n_columns:
        raise ValueError(
            f"X has {codes.shape[1]} columns, but {name} has codes of {n_columns} columns: "
            "pass what transform returned."
        )
    return codes


def check_weight(sample_weight: Any, n_samples: int) -> np.ndarray | None:
    """Return a copy of the sample weights: non-negative numbers, not all of them zero."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Tensor):
        sample_weight = sample_weight.detach().cpu().double().numpy()
    known = isinstance(sample_weight, np.ndarray)
    shape = sample_weight.shape if known else np.asarray(sample_weight, dtype=object).shape
    if len(shape) == 1 and shape[0] != n_samples:
        raise ValueError(f"sample_weight has {shape[0]} weights, but X has {n_samples} rows: pass one for each row.")
    if current().size > 1 and shape == (n_samples,) and not np.any(sample_weight):
        return np.zeros(n_samples)  # rows of other processes may count
    rows = np.broadcast_to(np.float32(0), (n_samples, 1))
    check = partial(check_sample_weight, X=rows, dtype=np.float64, ensure_non_negative=True)
    weight: np.ndarray = as_numbers(unmasked(sample_weight), check, "sample_weight", n_dims=1)
    if not weight.any():
        raise ValueError("All sample weights are zero: at least one row must count.")
    return weight.copy()


def frame_of(data: Source, name: str, standardize: bool) -> Frame:
    """The frame of data of that name: with their mean and scale, or one that leaves rows as they are."""
    mean, scale = data.moments()
    if not (np.isfinite(mean).all() and np.isfinite(scale).all()):
        raise ValueError(f"{name} has values so large that their variance is infinite: rescale {name}.")
    if not np.all(scale):
        raise ValueError(f"{name} has values so close together that their variance is rounded to 0: rescale {name}.")
    return Frame(mean, scale) if standardize else Frame(mean, 1.0, centred=False)


def require_positive(**numbers: int) -> None:
    """Raise an error for numbers that are not whole numbers of at least 1.

    Parameters
    ----------
    **numbers : int
        Numbers by their names, such as ``n_samples=5``.

    Raises
    ------
    ValueError
        If one of them is not a whole number of at least 1.
    """
    wrong = [f"{name}={number!r}" for name, number in numbers.items() if not isinstance(number, Integral) or number < 1]
    if wrong:
        raise ValueError(f"{' and '.join(wrong)} must be a whole number of at least 1.")


def _require_in_range(x: Tensor) -> None:
    """Raise an error for numbers that are finite in X but not in the precision of the module."""
    if not bool(isfinite(x).all()):
        raise ValueError(
            f"X has values too large for dtype={name_of(x.dtype)!r}: rescale X, or fit with dtype='float64'."
        )


def _require_finite(estimator: Any, X: Array, first_row: int = 0) -> None:
    found = find_nonfinite(X, allow_nan=get_tags(estimator).input_tags.allow_nan)
    if found is not None:
        row, column, value = found
        kind = "NaN" if np.isnan(value) else "infinity"
        cure = "impute it (sklearn.impute) or drop the row" if kind == "NaN" else "replace it or drop the row"
        where = f"row {first_row + row}, column {_column(estimator, column)}"
        raise ValueError(f"Input X contains {kind} in {where}: {cure}.")


def _column(estimator: Any, index: int) -> str:
    """The name of a column, or its number if there are no names."""
    names = getattr(estimator, "feature_names_in_", None)
    return str(index) if names is None else repr(str(names[index]))


def _stand_in(X: Array) -> np.ndarray:
    """An array of the shape of X that takes no memory, for checks that look only at the shape."""
    return np.broadcast_to(np.float32(0), tuple(X.shape))


def _real(X: Tensor) -> Tensor:
    """A real tensor as a dense tensor of dtype float32 or float64."""
    if X.is_complex():
        raise ValueError("Complex data not supported: pass the real part, or real and imaginary parts side by side.")
    X = X.detach().to_dense() if X.layout != strided else X.detach()
    if X.dtype in (float32, float64):
        return X
    exact = not X.is_floating_point() and X.device.type != "mps"  # large whole numbers are centred before they are cast
    return X.to(float64 if exact else float32)
