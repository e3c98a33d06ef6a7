"""Restoring: an autoencoder that can be fitted to give back another array than X."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils import check_array
from typing_extensions import Self

from ..engine.data import Array, Batch, Rows, Table
from ..engine.moments import moments
from .dense import Autoencoder

__all__ = ["Restoring"]


class Restoring(Autoencoder):
    """``fit(X, Y)`` learns Y from X through the code; ``fit(X)`` learns X.

    Attributes
    ----------
    target_mean_ : ndarray of shape (n_targets,)
        Mean of what is reconstructed: of X, or of the second array.
    target_scale_ : float
        Its scale.
    """

    _has_target = False

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn to restore X, or y from X.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Finite numbers.
        y : {array-like, sparse matrix} of shape (n_samples, n_targets), default=None
            What is to be reconstructed instead of X: a clean version, another noisy one, or other
            columns of the same rows. Labels, of shape (n_samples,), are ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows; only their ratios matter.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, y or a parameter is not as described, or if the loss becomes NaN or infinite. The
            estimator is then as it was before.
        """
        return super().fit(X, y, sample_weight)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Reconstruction R2: 1 minus the squared error over that of the training mean.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : {array-like, sparse matrix} of shape (n_samples, n_targets), default=None
            What the reconstruction of X is compared with, if not with X itself. Labels, of shape
            (n_samples,), are ignored.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        r2 : float
            1 is perfect, 0 is no better than the mean of the training data.

        Raises
        ------
        ValueError
            If the model was fitted to a second array of another width, and y is not given.
        """
        return super().score(X, y, sample_weight)

    def _targets(self, y: Any, n_samples: int) -> Array | None:
        if y is None or (y.ndim if hasattr(y, "ndim") else np.asarray(y).ndim) < 2:
            return None
        y = y.detach().cpu().numpy() if isinstance(y, torch.Tensor) else y
        target = check_array(y, accept_sparse="csr", dtype=[np.float64, np.float32], input_name="Y")
        n_targets = target.shape[0]
        if n_targets != n_samples:
            raise ValueError(f"Y has {n_targets} rows, but X has {n_samples}: pass a target for each row of X.")
        return target

    def _measure(self, X: Array, y: Any, weight: np.ndarray | None) -> None:
        super()._measure(X, y, weight)
        self._has_target = y is not None
        self.target_mean_, self.target_scale_ = self.mean_, self.scale_
        if y is not None:
            self.target_mean_, scale = moments(y, weight)
            if not (np.isfinite(self.target_mean_).all() and np.isfinite(scale)):
                raise ValueError("Y has values so large that their variance is infinite: rescale Y.")
            self.target_scale_ = scale if self._centred else 1.0

    def _output_scale(self) -> tuple[np.ndarray, float]:
        return self.target_mean_, self.target_scale_

    def _architecture(self, n_features: int) -> dict[str, Any]:
        n_targets = len(self.target_mean_)
        if self.tied_weights and n_targets != n_features:
            raise ValueError(
                f"tied_weights=True gives the decoder the encoder's weights, but Y has {n_targets} columns and X "
                f"{n_features}: use tied_weights=False."
            )
        return super()._architecture(n_features)

    def _groups(self, n_features: int) -> tuple[int, ...]:
        return super()._groups(len(self.target_mean_))

    def _starts_at_pca(self, n_features: int) -> bool:
        n_targets = len(self.target_mean_)
        if self.init == "pca" and n_targets != n_features:
            raise ValueError(
                f"init='pca' is not defined with {n_targets} targets of {n_features} features: use 'auto'."
            )
        return super()._starts_at_pca(n_features) and n_targets == n_features

    def _table(self, X: Array, y: Any, weight: np.ndarray | None, device: torch.device) -> Table:
        if self._has_target != (y is not None):
            was, now = ("a second array", "X alone") if self._has_target else ("X alone", "a second array")
            raise ValueError(f"The last fit was to {was}, and cannot go on with {now}: fit with warm_start=False.")
        table = super()._table(X, None, weight, device)
        table.y = None if y is None else self._target_rows(y, getattr(torch, self.dtype), device, resident=True)
        return table

    def _target_rows(self, y: Array, dtype: torch.dtype, device: torch.device, resident: bool = False) -> Rows:
        if y.shape[1] != len(self.target_mean_):
            raise ValueError(f"Y has {y.shape[1]} columns, but the model restores {len(self.target_mean_)}.")
        offset = self.target_mean_ if self._centred else None
        return Rows(y, offset, self.target_scale_, dtype=dtype, device=device, resident=resident)

    def _target(self, batch: Batch) -> torch.Tensor:
        return batch.x if batch.y is None else batch.y

    def _truth(self, y: Any, X: Array) -> Rows | None:
        target = self._targets(y, X.shape[0])
        if target is None and not self._has_target:
            return None
        if target is None and X.shape[1] != len(self.target_mean_):
            raise ValueError("The model restores another array than X: pass it as y to compare with.")
        theta = self._flat.theta
        return self._target_rows(X if target is None else target, theta.dtype, theta.device)
