"""Digests: short texts that are equal where the contents of tables are equal."""

from __future__ import annotations

import hashlib
import mmap
from typing import Any

import numpy as np

from .data import Array, chunks, memory_map

__all__ = ["digest_of_bytes", "digest_of_rows"]


def digest_of_bytes(content: bytes) -> str:
    """Digest of some bytes."""
    return hashlib.sha256(content).hexdigest()


def digest_of_rows(X: Array, names: Any = ()) -> str:
    """Digest of an array of numbers or texts, or of a table outside memory, which is read a chunk at a time.

    Parameters
    ----------
    X : ndarray, memory map, or Outside
        Its first axis counts rows. How it lies in memory makes no difference.
    names : sequence of str, default=()
        Names of its columns.
    """
    shared = memory_map(X)
    found = hashlib.sha256(f"{X.dtype.str} {tuple(X.shape)} {list(names)!r}".encode())
    if X.ndim == 0:
        found.update(X.tobytes())
        return found.hexdigest()
    for rows in chunks(X.shape[0], int(np.prod(X.shape[1:]))):
        part = np.ascontiguousarray(X[rows])
        found.update(part.reshape(-1).view(np.uint8).data)
        if shared is not None:
            del part
            shared.madvise(mmap.MADV_DONTNEED)  # give the pages back: the file system caches them
    return found.hexdigest()
