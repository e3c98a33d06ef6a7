"""Digests: short texts that are equal where the contents of tables are equal."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from .data import Array
from .parts import parts_of

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
    found = hashlib.sha256(f"{X.dtype.str} {tuple(X.shape)} {list(names)!r}".encode())
    if X.ndim == 0:
        found.update(X.tobytes())
        return found.hexdigest()
    for _, part in parts_of(X):
        found.update(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
    return found.hexdigest()
