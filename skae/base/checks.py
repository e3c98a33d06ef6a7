"""CheckedInput: X, weights and their complaints, whatever kind of array they come in."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data
from torch import Tensor, float32, float64, isfinite, strided

from ..engine import notices
from ..engine.data import Array, column_range, find_nonfinite, name_of
from .compat import check_sample_weight

__all__ = ["CheckedInput"]


class CheckedInput:
    """What an estimator inherits to look through its input."""

    _n_features_out: Any

    def _check_x(self, X: Any, *, reset: bool, look_through: bool = True) -> Array:
        """X as an array of two dimensions and the right width, looked through for NaN if asked to."""
        if isinstance(X, Tensor):
            X = _real(X)
            validate_data(self, _stand_in(X), reset=reset, ensure_all_finite=False)
        else:
            X = validate_data(
                self,
                X,
                reset=reset,
                accept_sparse="csr",
                dtype=[np.float64, np.float32],
                ensure_all_finite=False,
            )
        if look_through and not get_config()["assume_finite"]:
            self._require_finite(X)
        return X

    def _check_codes(self, X: Any) -> Array:
        """Codes as an array of as many columns as there are components, with finite numbers."""
        codes = _real(X) if isinstance(X, Tensor) else X
        if isinstance(X, Tensor):
            check_array(_stand_in(codes), input_name="X")
            if (found := find_nonfinite(codes)) is not None:
                raise ValueError(
                    f"Input X contains NaN or infinity in row {found[0]}, column {found[1]}: drop the row."
                )
        else:
            codes = check_array(X, dtype=[np.float64, np.float32], input_name="X")
        if codes.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {codes.shape[1]} columns, but {type(self).__name__} has codes of "
                f"{self._n_features_out} columns: pass what transform returned."
            )
        return codes

    def _require_in_range(self, x: Tensor) -> None:
        """Complain of numbers that are finite in X but not in the precision of the module."""
        if not bool(isfinite(x).all()):
            raise ValueError(
                f"X has values too large for dtype={name_of(x.dtype)!r}: rescale X, or fit with dtype='float64'."
            )

    def _require_finite(self, X: Array, first_row: int = 0) -> None:
        found = find_nonfinite(X)
        if found is not None:
            row, column, value = found
            row += first_row
            kind = "NaN" if np.isnan(value) else "infinity"
            cure = "impute it (sklearn.impute) or drop the row" if kind == "NaN" else "replace it or drop the row"
            raise ValueError(f"Input X contains {kind} in row {row}, column {self._column(column)}: {cure}.")

    def _warn_outside(self, X: Array, most: float, what: str, cure: str) -> None:
        """Warn of the first column with numbers outside [0, most], which something cannot describe."""
        low, high = column_range(X)
        outside = np.flatnonzero((low < 0.0) | (high > most))
        if len(outside):
            column = int(outside[0])
            notices.warn(
                f"X has values outside [0, {most:g}] in column {self._column(column)} ({low[column]:g} to "
                f"{high[column]:g}), which {what} cannot describe: {cure}."
            )

    def _column(self, index: int) -> str:
        """A column's name, or its number where there are no names."""
        names = getattr(self, "feature_names_in_", None)
        return str(index) if names is None else repr(str(names[index]))

    def _check_weight(self, sample_weight: Any, X: Array) -> np.ndarray | None:
        """Weights as a new array of non-negative numbers, not all of them zero."""
        if sample_weight is None:
            return None
        if isinstance(sample_weight, Tensor):
            sample_weight = sample_weight.detach().cpu().double().numpy()
        weight: np.ndarray = check_sample_weight(
            sample_weight, _stand_in(X), dtype=np.float64, ensure_non_negative=True
        )
        if not weight.any():
            raise ValueError("All sample weights are zero: at least one row must count.")
        return weight.copy()


def _stand_in(X: Array) -> np.ndarray:
    """An array of the shape of X that takes no memory, for checks that only look at the shape."""
    return np.broadcast_to(np.float32(0), tuple(X.shape))


def _real(X: Tensor) -> Tensor:
    """A tensor as a dense float32 or float64 one."""
    if X.is_complex():
        raise ValueError("Complex data not supported: pass the real part, or real and imaginary parts side by side.")
    X = X.detach().to_dense() if X.layout != strided else X.detach()
    if X.dtype in (float32, float64):
        return X
    exact = not X.is_floating_point() and X.device.type != "mps"  # large whole numbers are centred before they are cast
    return X.to(float64 if exact else float32)
