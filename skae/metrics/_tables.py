"""Tables as users pass them, as arrays of float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array

__all__ = ["checked", "dense", "filled", "observed"]


def checked(X: Any, name: str = "X", gaps: bool = False) -> np.ndarray:
    """A table without infinite values, as an array of float64. With ``gaps``, NaN is an entry that is missing."""
    finite = "allow-nan" if gaps else True
    array: np.ndarray = check_array(filled(dense(X)), dtype=np.float64, ensure_all_finite=finite, input_name=name)
    return array


def observed(X: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values where X is known, and zeros where it is NaN."""
    return np.where(np.isnan(X), 0.0, values)


def dense(X: Any) -> Any:
    """A sparse table or a tensor as an array, and any other table as it is."""
    if hasattr(X, "detach"):
        return X.detach().cpu().numpy()
    return X.toarray() if sparse.issparse(X) else X


def filled(X: Any) -> Any:
    """A masked array with NaN where it is masked, and any other table as it is."""
    return np.where(np.ma.getmaskarray(X), np.nan, X.data) if isinstance(X, np.ma.MaskedArray) else X
