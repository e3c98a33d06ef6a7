"""The code of a transformer: its columns, their names, and rows decoded from it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from numbers import Integral
from typing import Any

import numpy as np

from ._rows import as_array

__all__ = ["columns_of_code", "decode", "names_of_components", "quantiles_of", "require_decoder"]


def require_decoder(estimator: Any) -> None:
    """Raise a TypeError if an estimator cannot encode rows and decode codes."""
    for method in ("transform", "inverse_transform"):
        if not hasattr(estimator, method):
            name = type(estimator).__name__
            raise TypeError(f"{name} has no {method}: pass a transformer that can reconstruct, as PCA can.")


def decode(estimator: Any, codes: np.ndarray, condition: Any = None) -> np.ndarray:
    """Rows of codes of shape (..., n_components), all with one condition, as an array of shape (..., n_features)."""
    flat = codes.reshape(-1, codes.shape[-1])
    told = {} if condition is None else {"y": np.array([condition] * len(flat))}
    rows = as_array(estimator.inverse_transform(flat, **told))
    return rows.reshape(*codes.shape[:-1], rows.shape[1])


def quantiles_of(codes: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Quantiles of each column of the code, of shape (n_components, n_shares)."""
    values: np.ndarray = np.quantile(codes, shares, axis=0).T
    return values


def columns_of_code(components: Any, width: int, how_many: str, counts: Sequence[int]) -> list[int]:
    """Columns of the code to draw, if the code has them and their number is one of ``counts``."""
    chosen = np.atleast_1d(np.asarray(components, dtype=object)).tolist()
    exist = all(isinstance(k, Integral) and k in range(width) for k in chosen)
    if not exist or len(chosen) not in counts or len(set(chosen)) < len(chosen):
        raise ValueError(
            f"components={components!r} cannot be drawn from a code with {width} columns: "
            f"pass {how_many} from 0 to {width - 1}."
        )
    return [int(k) for k in chosen]


def names_of_components(estimator: Any, codes: Any) -> list[str]:
    """Names of the columns of the code."""
    if hasattr(codes, "columns"):
        return [str(name) for name in codes.columns]
    # A pipeline has the method even if one of its steps lacks it.
    with suppress(AttributeError, ValueError):
        return [str(name) for name in estimator.get_feature_names_out()]
    return [f"Component {k}" for k in range(codes.shape[1])]
