"""Some rows of X as an array, whatever container X is."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.arrow import named_rows, outside

__all__ = ["as_array", "first_rows", "take_rows", "without_torch"]


def first_rows(X: Any, n: int) -> Any:
    """The first rows of X, in the container that X is. Of a file an Arrow table is made."""
    if (table := outside(X)) is not None:
        return named_rows(table, np.arange(min(n, len(table))))
    if hasattr(X, "head"):
        return X.head(n)
    return X.tocsr()[:n] if hasattr(X, "tocsr") else X[:n]


def take_rows(X: Any, rows: np.ndarray) -> Any:
    """Rows of X by their numbers, in the container that X is. Lists and tuples give a list, files a table."""
    if (table := outside(X)) is not None:
        return named_rows(table, rows)
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if hasattr(X, "tocsr"):
        return X.tocsr()[rows]
    return X[rows] if hasattr(X, "shape") else [X[row] for row in rows]


def as_array(X: Any) -> np.ndarray:
    """X as a dense array of float64."""
    try:
        return np.asarray(X.toarray() if hasattr(X, "toarray") else without_torch(X), dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Only columns of numbers can be drawn as rows, but {error}: draw some columns, such as those of "
            "select_dtypes('number')."
        ) from None


def without_torch(X: Any) -> Any:
    """A tensor as an array, and anything else as it is."""
    return X.detach().cpu().numpy() if hasattr(X, "detach") else X
