"""Reading y where it is the array that a denoising autoencoder reconstructs."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array
from torch import Tensor

from ..base.checks import unmasked

__all__ = ["read_target"]


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
