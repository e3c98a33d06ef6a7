"""Parts of arrays: consecutive rows at a time, and memory maps whose pages are given back."""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["chunks", "memory_map", "parts_of"]


def chunks(n_rows: int, n_columns: int, elements: int = 2**19) -> Iterator[slice]:
    """Consecutive slices of rows with about ``elements`` values each. The default fits into the processor's cache."""
    size = max(1, elements // max(1, n_columns))
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def memory_map(X: Any) -> mmap.mmap | None:
    """The memory map behind an array, if its pages can be dropped without losing changes."""
    shared = False
    while X is not None and not isinstance(X, mmap.mmap):
        shared = shared or (isinstance(X, np.memmap) and X.mode != "c")
        X = getattr(X, "base", None)
    return X if shared and hasattr(mmap, "MADV_DONTNEED") else None


def parts_of(X: Any) -> Iterator[tuple[slice, Any]]:
    """Consecutive rows of an array, and which they are. The pages of a memory map are given back in between."""
    shared = memory_map(X)
    for rows in chunks(X.shape[0], math.prod(X.shape[1:])):
        try:
            yield rows, X[rows]
        finally:
            if shared is not None:
                shared.madvise(mmap.MADV_DONTNEED)  # the file system caches them
