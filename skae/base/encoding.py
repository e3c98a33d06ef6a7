"""Coding: what a fitted estimator does with rows, a chunk at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn import get_config
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..engine.data import Array, Rows, chunks, name_of, to_tensor
from .checks import CheckedInput
from .derivatives import jacobian_singular_values
from .state import PortableState

__all__ = ["Coding", "Encoding", "Generative"]

CHUNK_BYTES = 2**22
"""Rows are encoded in chunks of this size: measured, on both sides the processor waits for memory."""


class Encoding(ClassNamePrefixFeaturesOutMixin, TransformerMixin, CheckedInput, PortableState):
    """``transform``, and what an estimator needs to go through rows.

    An estimator that inherits it sets ``mean_``, ``scale_`` and ``_centred`` when it is fitted.
    """

    mean_: np.ndarray
    scale_: float
    _centred: bool

    def _encode(self, module: Any, x: Tensor) -> Tensor:
        """The code of a batch, free of noise."""
        raise NotImplementedError

    def transform(self, X: Any) -> Any:
        """Encode.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)
            The code of each row, in the estimator's ``dtype``. A tensor where X is one and
            scikit-learn's ``array_api_dispatch`` is on.
        """
        check_is_fitted(self)
        X = self._check_x(X, reset=False, look_through=False)
        module = self._ready_module()
        encoded = ((part, self._encode(module, x)) for part, x in self._finite_chunks(X))
        return self._collect(encoded, X.shape[0], X)

    def jacobian_singular_values(self, X: Any) -> np.ndarray:
        """Singular values of the code's derivative J = dh/dx at each row.

        Directions of large ones are those that the code follows; it is blind to the others. Their
        squares sum to ||J||_F^2, which a contractive autoencoder penalises.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        values : ndarray of shape (n_samples, min(n_components, n_features))
            In descending order, in units of the code over units of X.
        """
        return jacobian_singular_values(self, X)

    def _finite_chunks(self, X: Array) -> Iterator[tuple[slice, Tensor]]:
        """Rows as the module sees them, looked through for NaN while they are in the cache."""
        rows = self._rows(X, self._flat.theta.dtype, self._flat.theta.device)
        trusted = get_config()["assume_finite"]
        for part in chunks(X.shape[0], self._widest, CHUNK_BYTES // self._flat.theta.dtype.itemsize):
            x = rows[part]
            if not (trusted or math.isfinite(x.sum())):
                self._require_finite(X[part], part.start)
                self._require_in_range(x)
            yield part, x

    def _collect(self, parts: Iterator[tuple[slice, Tensor]], n_rows: int, like: Any) -> Any:
        """One array of all parts: a tensor beside X if array-API dispatch asks for it."""
        out: Tensor | None = None
        keep = isinstance(like, Tensor) and get_config()["array_api_dispatch"]
        with torch.no_grad():
            for rows, values in parts:
                if out is None:
                    place = like.device if keep else torch.device("cpu")
                    out = torch.empty((n_rows, values.shape[1]), dtype=values.dtype, device=place)
                out[rows] = values
        assert out is not None
        return out if keep else out.numpy()

    def _rows(self, X: Array, dtype: torch.dtype, device: torch.device, resident: bool = False) -> Rows:
        offset = self.mean_ if self._centred else None
        return Rows(X, offset, self.scale_, dtype=dtype, device=device, resident=resident)


class Coding(Encoding):
    """``inverse_transform`` and the scores of a deterministic model."""

    def _decode(self, module: Any, h: Tensor) -> Tensor:
        """The mean of x given the code, on the scale that the module sees."""
        raise NotImplementedError

    def inverse_transform(self, X: Any) -> Any:
        """Decode.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The mean of a row given its code, on the scale of the data that was fitted.
        """
        check_is_fitted(self)
        codes = self._check_codes(X)
        module = self._ready_module()
        theta = self._flat.theta
        rows = Rows(codes, dtype=theta.dtype, device=theta.device)
        parts = chunks(len(rows), self._widest)
        decoded = ((part, self._to_x(self._decode(module, rows[part]))) for part in parts)
        return self._collect(decoded, len(rows), X)

    def score_samples(self, X: Any) -> np.ndarray:
        """Minus the squared reconstruction error of each row, in squared units of X.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Zero at best; the most negative rows are the strangest.
        """
        check_is_fitted(self)
        X = self._check_x(X, reset=False, look_through=False)
        error, _ = self._squared_errors(X, self._truth(None, X))
        return (-error * self._output_scale()[1] ** 2).astype(name_of(self._flat.theta.dtype))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Reconstruction R2: 1 minus the squared error over that of the training mean.

        It is the explained variance when X is the training data of a PCA, and the same scale for
        held-out rows. Columns are not weighted: those that vary more count more, as in PCA.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : Ignored
            Present for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        r2 : float
            1 is perfect, 0 is no better than the mean of the training data.
        """
        check_is_fitted(self)
        X = self._check_x(X, reset=False, look_through=False)
        weight = self._check_weight(sample_weight, X)
        error, total = self._squared_errors(X, self._truth(y, X))
        if weight is not None:
            error, total = error * weight, total * weight
        if total.sum() == 0.0:
            return float(error.sum() == 0.0)
        return float(1.0 - error.sum() / total.sum())

    def _truth(self, y: Any, X: Array) -> Rows | None:
        """What the reconstruction is compared with, as the module sees it; None is X itself."""
        return None

    def _output_scale(self) -> tuple[np.ndarray, float]:
        """Mean and scale of what is reconstructed."""
        return self.mean_, self.scale_

    def _squared_errors(self, X: Array, truth: Rows | None) -> tuple[np.ndarray, np.ndarray]:
        """Squared distances of the truth to the reconstruction and to the mean, both over scale_^2."""
        module = self._ready_module()
        center = torch.zeros(1) if self._centred else to_tensor(self._output_scale()[0])
        center = center.to(self._flat.theta)
        result = np.empty((2, X.shape[0]))
        with torch.inference_mode():
            for part, x in self._finite_chunks(X):
                x_hat = self._decode(module, self._encode(module, x))
                t = x if truth is None else truth[part]
                pair = torch.stack([(t - x_hat).square().sum(1), (t - center).square().sum(1)])
                result[:, part] = pair.cpu().double().numpy()
        return result[0], result[1]

    def _to_x(self, x: Tensor) -> Tensor:
        if not self._centred:
            return x
        mean, scale = self._output_scale()
        return x * scale + to_tensor(mean).to(x)


class Generative(Coding):
    """The score of a model of the density: the mean log-likelihood of a row."""

    def score_samples(self, X: Any) -> np.ndarray:
        """Log-likelihood of each row, or a bound of it, in nats.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            The lowest rows are the strangest.
        """
        check_is_fitted(self)
        X = self._check_x(X, reset=False, look_through=False)
        parts = ((part, self._log_likelihood(x)[:, None]) for part, x in self._finite_chunks(X))
        scores: np.ndarray = self._collect(parts, X.shape[0], None)[:, 0]
        return scores

    def _log_likelihood(self, x: Tensor) -> Tensor:
        """Log-density of each row of X, or a bound of it, given the rows as the module sees them."""
        raise NotImplementedError

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Mean of ``score_samples``, nats a row.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : Ignored
            Present for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
            Higher is better.
        """
        scores = self.score_samples(X)
        weight = None if sample_weight is None else self._check_weight(sample_weight, scores[:, None])
        return float(np.average(scores.astype(np.float64), weights=weight))
