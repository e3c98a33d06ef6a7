"""The first entry of an array that is no finite number."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from .data import Array, to_tensor
from .parts import parts_of

__all__ = ["find_nonfinite"]


def find_nonfinite(X: Array, allow_nan: bool = False) -> tuple[int, int, float] | None:
    """Row, column and value of the first entry that is infinite, or NaN unless ``allow_nan``."""
    for rows, part in parts_of(X):
        values = part.data if sparse.issparse(part) else part
        with np.errstate(all="ignore"):
            finite = np.isfinite(float(values.sum()))
        found = None if finite else _first_nonfinite(to_tensor(part), rows.start, allow_nan)
        if found is not None:
            return found
    return None


def _first_nonfinite(x: Tensor, first_row: int, allow_nan: bool) -> tuple[int, int, float] | None:
    where = torch.nonzero(x.isinf() if allow_nan else ~torch.isfinite(x))
    if len(where) == 0:  # the sum overflowed, or is NaN as it may be, but no entry is wrong
        return None
    row, column = (int(i) for i in where[0])
    return first_row + row, column, float(x[row, column])
