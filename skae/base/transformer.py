"""TorchTransformer: an estimator that encodes rows as so many numbers, and decodes them."""

from __future__ import annotations

from dataclasses import field
from typing import Any

import numpy as np
import torch
from sklearn import get_config
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from typing_extensions import Self

from ..engine.arrays import Arrays
from ..engine.data import Batch, name_of
from ..engine.frame import Frame
from .checks import check_codes, check_weight
from .compat import fit_context
from .estimator import TorchEstimator
from .params import PositiveInt
from .state import unchanged_on_error

__all__ = ["Generative", "GenerativeTransformer", "TorchTransformer", "is_stochastic"]


def is_stochastic(estimator: Any) -> bool:
    """Whether there is a partial_fit; scikit-learn asks by looking for the method."""
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit sees one chunk at a time, but solver='lbfgs' needs all rows: use fit.")
    return True


class TorchTransformer(TorchEstimator):
    """A transformer whose code is learnt by a PyTorch module, in one go or chunk by chunk.

    Parameters
    ----------
    n_components : int, default=2
        Width of the code.
    """

    n_components: PositiveInt = field(default=2, kw_only=False)

    # ---------------------------------------------------------------- hooks of a variant

    def _decode(self, module: Any, h: Tensor, batch: Any) -> Tensor:
        """The mean of x given the code, on the scale that the module sees, and what else the batch holds."""
        raise NotImplementedError

    def _target(self, batch: Batch) -> Tensor:
        """What the decoder is to give back."""
        return batch.x

    @property
    def _output_frame(self) -> Frame:
        """The frame of what is given back."""
        return self._frame

    # ---------------------------------------------------------------- for users

    @available_if(is_stochastic)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Take one pass over a chunk of rows, going on from where the last call ended.

        The first chunk fixes the scale and the initial weights, so let it be a typical one.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Finite numbers.
        y : Ignored
            Present for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, taken as they are so that chunks can be weighted too.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            As ``fit``; and with ``early_stopping=True``, which needs all rows.
        AttributeError
            With ``solver="lbfgs"``, for the same reason.
        """
        if self.early_stopping:
            raise ValueError("partial_fit sees one chunk at a time and does not support early_stopping: use fit.")
        with unchanged_on_error(self):
            self._fit(X, y, sample_weight, partial=True)
        return self

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
        return self._decoded(X)

    def _decoded(self, X: Any, y: Any = None) -> Any:
        """Rows of codes, and of the y that belongs to them where there is a model of x given y."""
        check_is_fitted(self)
        codes = check_codes(X, self._n_features_out, type(self).__name__)
        targets = None if y is None else self._targets(y, codes.shape[0], None, None)
        self._ready_module()
        theta, undo = self._flat.theta, self._output_frame.undo
        data = Arrays(codes, y=targets).seen(None, None, theta.dtype, theta.device)

        def decode(module: Any, batch: Batch) -> Tensor:
            return undo(self._decode(module, batch.x, batch))

        if isinstance(X, Tensor) and get_config()["array_api_dispatch"]:
            return self._collect(decode, data, X.device)
        return self._collect(decode, data).numpy()

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
        error, _ = self._squared_errors(X, None)
        return (-error * self._output_frame.unit**2).astype(name_of(self._flat.theta.dtype))

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
        error, total = self._squared_errors(X, y)
        weight = check_weight(sample_weight, len(error))
        if weight is not None:
            error, total = error * weight, total * weight
        if total.sum() == 0.0:
            return float(error.sum() == 0.0)
        return float(1.0 - error.sum() / total.sum())

    def _squared_errors(self, X: Any, y: Any) -> np.ndarray:
        """Squared distances of each row to its reconstruction and to the training mean, two arrays.

        They are in units of the output frame's ``unit`` squared.
        """
        check_is_fitted(self)
        frame = self._output_frame
        center = torch.tensor(frame.center)

        def pair(module: Any, batch: Any) -> Tensor:
            target = self._target(batch)
            x_hat = self._decode(module, self._encode(module, batch), batch)
            return torch.stack([frame.squared_distance(target, x) for x in (x_hat, center.to(target))], 1)

        errors: np.ndarray = self._map(pair, X, y)
        return errors.astype(np.float64).T


class Generative:
    """The scores of a model of the density: log-likelihoods, or bounds of them."""

    def _log_likelihood(self, module: Any, batch: Any) -> Tensor:
        """Log-density of each row of X, or a bound of it, in nats."""
        raise NotImplementedError

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
        scores: np.ndarray = self._map(self._log_likelihood, X)  # type: ignore[attr-defined]
        return scores

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
        return float(np.average(scores.astype(np.float64), weights=check_weight(sample_weight, len(scores))))


class GenerativeTransformer(Generative, TorchTransformer):
    """A transformer that is a model of the density, and scores rows by their log-likelihood."""
