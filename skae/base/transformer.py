"""TorchTransformer: an estimator that encodes rows, and decodes their codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn import get_config
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from typing_extensions import Self

from ..engine.arrays import Arrays
from ..engine.data import Batch, Table
from ..engine.forest import Forest
from ..engine.frame import Frame, in_double
from ..engine.modes import plain_torch
from ..functional import Support
from .callbacks import monitored
from .checkpoint import refuse_checkpoint
from .checks import check_codes, check_weight
from .encoding import judged
from .estimator import TorchEstimator
from .exporting import Exported
from .mixins import available_if, fit_context
from .params import PositiveInt
from .state import unchanged_on_error
from .support import inside, log_density_inside, scored_inside, warn_of_rows
from .verdict import poor_reconstruction

__all__ = ["Generative", "TorchTransformer", "is_stochastic", "mean_score", "row_by_row"]

BLOCK = 32
"""Rows that a matrix product takes at a time, or a multiple of them."""


def is_stochastic(estimator: Any) -> bool:
    """Whether the estimator has partial_fit. scikit-learn calls this when it looks for the method."""
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit sees one chunk at a time, but solver='lbfgs' needs all rows: use fit.")
    return True


class TorchTransformer(TorchEstimator):
    """A transformer whose code is learnt by a PyTorch module, from all rows or chunk by chunk.

    Parameters
    ----------
    n_components : int, default=2
        Width of the code, which is the number of its components.
    """

    n_components: PositiveInt = field(default=2, kw_only=False)

    _without_weight: ClassVar[frozenset[str]] = frozenset({"loss", "reconstruction", "validation_loss"})
    """Curves of the history that are no terms with a weight that a user could lower."""

    # ---------------------------------------------------------------- hooks of a variant

    def _decode(self, module: Any, h: Tensor, batch: Any) -> Tensor:
        """Mean of x given the code h, on the scale of the module. The batch may hold more, such as a condition."""
        raise NotImplementedError

    def _support(self) -> Support | None:
        """The rows that a fitted model can describe. None if it describes all. Other rows have the score -inf."""
        return None

    def _exported(self) -> dict[str, Exported]:
        return {
            **super()._exported(),
            "inverse_transform": Exported(self._decoded_batch, self._output_frame, of_codes=True),
            "score_samples": Exported(self._minus_errors),
        }

    # ---------------------------------------------------------------- what is reconstructed

    def _restored(self, module: Any, batch: Any) -> Tensor:
        """The reconstruction of each row, on the scale of the module."""
        return self._decode(module, self._encode(module, batch), batch)

    def _target(self, batch: Batch) -> Tensor:
        """What the decoder reconstructs: x, or a second array that y is."""
        return batch.x if self._target_frame is None or batch.y is None else batch.y

    def _observed(self, batch: Any) -> Tensor | None:
        """Mask of the entries of ``_target`` that were observed. None if all were."""
        return batch.known if isinstance(batch, Batch) and self._target(batch) is batch.x else None

    @property
    def _output_frame(self) -> Frame:
        """The frame of what the decoder reconstructs."""
        return self._frame if self._target_frame is None else self._target_frame

    def _failure(self, data: Any) -> str | None:
        return super()._failure(data) or (self._failure_to_reconstruct(data) if self._monitor is not None else None)

    def _failure_to_reconstruct(self, data: Any) -> str | None:
        """Compare the reconstruction with the mean, if the objective has a reconstruction error."""
        asked = any(self.history_.get("reconstruction", ()))
        batch = judged(self, data) if asked and isinstance(data, Table | Forest) else None
        if batch is None:
            return None
        error, total = self._error_and_variation(self.module_, batch).cpu().double().T
        weight = torch.ones_like(error) if batch.weight is None else batch.weight.cpu().double()
        return poor_reconstruction(float(weight @ error), float(weight @ total), self._cure_of_reconstruction())

    def _cure_of_reconstruction(self) -> str:
        """What to do about a reconstruction that is no better than the mean, for the message."""
        stopped = "training stopped early, so lower batch_size, or set max_grad_norm=1.0"
        cure = stopped if self._stopped_early else self._cure()
        penalties = sorted(set(self.history_) - self._without_weight)
        if penalties:
            cure = f"lower the weight of the term {' or '.join(map(repr, penalties))}, or {cure}"
        return cure

    # ---------------------------------------------------------------- for users

    @available_if(is_stochastic)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Update the model with one pass over a chunk of rows, and continue from the last call.

        The first chunk fixes the scale and the initial weights, so it should be a typical one.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Finite numbers.
        y : Ignored, or as in ``fit``
            It is used only by estimators whose ``fit`` uses it.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. They are not normalised, so chunks can be weighted against each other.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            As for ``fit``, and if ``early_stopping=True``, which needs all rows.
        AttributeError
            If ``solver="lbfgs"``, which needs all rows.
        """
        if self.early_stopping not in (False, "auto"):
            raise ValueError("partial_fit sees one chunk at a time and does not support early_stopping: use fit.")
        refuse_checkpoint(self, "partial_fit takes one pass over a chunk", "use checkpoint=None, or fit")
        with monitored(self, X, y, sample_weight), plain_torch(), unchanged_on_error(self):
            self._fit(X, y, sample_weight, partial=True)
        return self

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Decode codes into rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            The mean of a row given its code, in units of the training data. It is a tensor if the codes are a tensor
            and scikit-learn's ``array_api_dispatch`` is on.
        """
        return self._decoded(X)

    def _decoded(self, X: Any, y: Any = None) -> Any:
        """Decode codes. ``y`` belongs to them, if the model describes x given y."""
        check_is_fitted(self)
        codes = check_codes(X, self._n_features_out, type(self).__name__)
        targets = None if y is None else self._targets(y, codes.shape[0], None, None)
        self._ready_module()
        theta, frame = self._flat.theta, self._output_frame
        data = Arrays(codes, y=targets).seen(None, None, theta.dtype, theta.device)

        if isinstance(X, Tensor) and get_config()["array_api_dispatch"]:
            return self._collect(self._decoded_batch, data, X.device, frame)
        return self._collect(self._decoded_batch, data, undo=frame).numpy()

    def _decoded_batch(self, module: Any, batch: Batch) -> Tensor:
        """Rows from a batch of codes, on the scale of the module."""
        return self._decode(module, batch.x, batch)

    def score_samples(self, X: Any) -> np.ndarray:
        """Minus the squared reconstruction error of each row, in squared units of X.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Zero is perfect. Rows with the lowest scores are the most unusual. Rows that the likelihood cannot describe
            have -inf, and a warning names the first of them.
        """
        error, _, is_inside = self._squared_errors(X, None)
        warn_of_rows(self, self._support(), lambda: self._ready_source(X), np.flatnonzero(is_inside == 0.0))
        return np.where(is_inside, -error * self._output_frame.unit**2, -np.inf)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Reconstruction R2: 1 - sum ||x - x_hat||^2 / sum ||x - mean_||^2.

        For a PCA and its training data this is the explained variance ratio. For other rows it is measured on the same
        scale. All columns share one denominator, so columns that vary more count more, as in PCA. It is a ratio of
        distances, and so defined for all rows, even for those that the likelihood cannot describe.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : Ignored
            Present for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows.

        Returns
        -------
        r2 : float
            1 is perfect. 0 is no better than the mean of the training data.
        """
        error, total, _ = self._squared_errors(X, y)
        weight = check_weight(sample_weight, len(error))
        if weight is not None:
            error, total = error * weight, total * weight
        if total.sum() == 0.0:
            return float(error.sum() == 0.0)
        return float(1.0 - error.sum() / total.sum())

    def _squared_errors(self, X: Any, y: Any) -> np.ndarray:
        """Squared distances of each row to its reconstruction and to the training mean, and 1 for rows in the support.

        They are three arrays. The distances are in squares of ``unit`` of the output frame.
        """
        check_is_fitted(self)
        support = self._support()

        def errors(module: Any, batch: Any) -> Tensor:
            distances = self._error_and_variation(module, batch)
            target, known = self._target(batch), self._observed(batch)
            is_inside = inside(support, target if known is None else batch.observed)
            return torch.cat([distances, is_inside.to(distances)[:, None]], 1)

        found: np.ndarray = self._map(lambda module, batch: row_by_row(partial(errors, module), batch), X, y)
        return found.T

    def _minus_errors(self, module: Any, batch: Any) -> Tensor:
        """``score_samples`` of a batch of complete rows."""
        frame, target = self._output_frame, self._target(batch)
        error = frame.norm(target - self._restored(module, batch)).square()
        return scored_inside(self._support(), target, -error * frame.unit**2)

    def _error_and_variation(self, module: Any, batch: Any) -> Tensor:
        """Squared distances of each row to its reconstruction and to the training mean, as columns."""
        target, frame, known = self._target(batch), self._output_frame, self._observed(batch)
        others = [self._restored(module, batch), torch.tensor(frame.center).to(target)]
        if known is not None:
            others = [torch.where(known, x, target) for x in others]
        return torch.stack([frame.squared_distance(target, x) for x in others], 1)


def row_by_row(function: Callable[[Any], Tensor], batch: Any) -> Tensor:
    """Apply a function of rows to a batch, so that a row's result depends on that row alone, to the last bit.

    Matrix products round the rows that are left over from whole blocks in another way. So some rows are there twice if
    their number is not a multiple of ``BLOCK``.
    """
    n = len(batch.x) if isinstance(batch, Batch) else 0
    if n % BLOCK == 0:
        return function(batch)
    again = torch.arange(-n % BLOCK, device=batch.x.device) % n
    parts = (None if part is None else torch.cat([part, part[again]]) for part in batch)
    return function(Batch(*parts))[:n]  # type: ignore[arg-type]


class Generative:
    """Scores of a density model: log-likelihoods, or bounds of them."""

    _support: Callable[[], Support | None]
    _ready_source: Callable[..., Any]
    _map: Callable[..., Any]

    def _log_likelihood(self, module: Any, batch: Any) -> Tensor:
        """Log-density of each row of X in nats, or a bound of it."""
        raise NotImplementedError

    def score_samples(self, X: Any) -> np.ndarray:
        """Log-likelihood of each row in nats, or a bound of it.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Rows with the lowest scores are the most unusual. Rows that the model cannot describe have -inf, and a
            warning names the first of them.
        """
        return self._log_densities(self._log_likelihood, X)

    def _exported(self) -> dict[str, Exported]:
        return {**super()._exported(), "score_samples": Exported(self._log_density_of)}  # type: ignore[misc]

    def _log_density_of(self, module: Any, batch: Any) -> Tensor:
        """``score_samples`` of a batch of complete rows."""
        return scored_inside(self._support(), batch.x, in_double(self._log_likelihood(module, batch)))

    def _log_densities(self, function: Callable[[Any, Any], Tensor], X: Any, y: Any = None) -> np.ndarray:
        """Apply a log-density to all rows. Those outside the support get -inf, and a warning names the first."""
        check_is_fitted(self)
        support = self._support()

        def log_density(module: Any, batch: Any) -> Tensor:
            of_rows = partial(row_by_row, partial(function, module))
            return in_double(log_density_inside(support, of_rows, batch))

        densities: np.ndarray = self._map(log_density, X, y)
        if support is not None:
            warn_of_rows(self, support, lambda: self._ready_source(X), np.flatnonzero(densities == -np.inf))
        return densities

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Mean of ``score_samples`` over the rows, in nats per row.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : Ignored
            Present for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows.

        Returns
        -------
        score : float
            Higher is better. It is -inf if the model cannot describe a row that counts.
        """
        return mean_score(self.score_samples(X), sample_weight)


def mean_score(scores: np.ndarray, sample_weight: Any) -> float:
    """Mean of the scores of rows with these weights. Rows of weight zero do not count, even if their score is -inf."""
    weight = check_weight(sample_weight, len(scores))
    if weight is None:
        return float(scores.mean())
    return float(np.average(scores[weight > 0], weights=weight[weight > 0]))
