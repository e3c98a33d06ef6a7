"""Reading y where it is the array that a denoising autoencoder reconstructs."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array
from torch import Tensor

from ..base.checks import unmasked
from ..engine.notices import warn

__all__ = ["read_target", "tell_of_ignored"]

MOST_ROWS = 1000
"""Rows that are compared with y."""


def read_target(y: Any, n_samples: int) -> Any:
    """Check y and return it as an array or CSR matrix of shape (n_samples, n_targets)."""
    if y is None:
        raise ValueError("target='y' reconstructs y, but y is None: pass the array to reconstruct as y.")
    y = y.detach().cpu().numpy() if isinstance(y, Tensor) else y
    if (y.ndim if hasattr(y, "ndim") else np.asarray(y).ndim) == 1:
        raise ValueError(
            "target='y' reconstructs y, but y has one dimension: pass an array of shape (n_samples, n_targets), or use "
            "target='X', which ignores y."
        )
    target = check_array(unmasked(y), accept_sparse="csr", dtype=[np.float64, np.float32], input_name="Y")
    if target.shape[0] != n_samples:
        raise ValueError(f"Y has {target.shape[0]} rows, but X has {n_samples}: pass a target for each row of X.")
    return target


def tell_of_ignored(X: Any, y: Any) -> None:
    """Warn if y is ignored, and is so near X that it may be the clean version of it.

    Of X = y + noise, the distance to y is shorter than that to the mean of X. The y of a step that follows in a
    pipeline, or of a scorer, is hardly ever so.
    """
    if not isinstance(X, np.ndarray) or getattr(y, "shape", None) != X.shape:
        return
    rows, others = X[:MOST_ROWS].astype(np.float64), np.asarray(y[:MOST_ROWS])
    known = np.isfinite(rows).all(axis=0)
    if others.dtype.kind not in "fiub" or not known.any():
        return
    rows, others = rows[:, known], others[:, known]
    off = float(np.square(rows - others).sum())
    if 0.0 < off < float(np.square(rows - rows.mean(axis=0)).sum()):
        warn("y is near X, but is ignored: if X is to be restored to y, pass target='y'.")
