"""Stacked: a variational autoencoder of the codes of another one, which sees the rows."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..base import Arrays, Batch, Exported, Frame, Run, Saved, Source, damage, sizes_of, spawn
from ..base.checks import check_columns, check_x, watcher
from ..engine.data import Rows
from ..engine.listeners import in_stage
from ..functional import common_normal
from ..nn.latent import Posterior
from ._variational import N_DECODED, Variational
from .vae import VariationalAutoencoder

__all__ = ["Stacked"]


def _fits(model: Any, encoder: Any) -> bool:
    """Whether a loaded encoder takes the rows, and gives the codes, that the model was made for."""
    return len(encoder._frame) == len(model._frame) and encoder._n_features_out == len(model._output_frame)


def _fault_of_noise(model: Any, value: Any) -> str | None:
    """What is wrong with the standard deviations of the codes of a row."""
    return damage.fault_of_numbers(value, (len(model._output_frame),))


class Stacked(Variational):
    """A variational autoencoder of rows, or of the codes of rows if it has an ``encoder``.

    The rows of the batches are then codes. ``_output_frame`` is that of the codes, and ``_frame`` that of X.

    Parameters
    ----------
    encoder : VariationalAutoencoder, FrozenEstimator or None, default=None
        A model of X, on whose codes this model is trained. A clone of it is fitted to all rows first, and then stays as
        it is. To use one that is fitted already, pass ``sklearn.frozen.FrozenEstimator(encoder)``. If it has no
        ``random_state``, its seed is drawn from this one. None trains on X itself.
    """

    encoder: VariationalAutoencoder | FrozenEstimator | None = None

    _saved: ClassVar[dict[str, Saved]] = {
        "encoder_": Saved(damage.nested(_fits, VariationalAutoencoder), required=False),
        "_code_noise": Saved(_fault_of_noise),
    }

    @property
    def _below(self) -> Any:
        """The fitted model whose codes are seen, or None."""
        return vars(self).get("encoder_")

    # ---------------------------------------------------------------- fitting

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.encoder is None:
            return
        if self.likelihood != "gaussian" or sizes_of("channels", self.channels):
            raise ValueError(
                "With an encoder the rows of this model are codes, which are real numbers and no images: set "
                "likelihood and channels of the encoder, and leave those of this model at their defaults."
            )
        model = self.encoder
        if isinstance(model, FrozenEstimator):
            check_is_fitted(model)
            model = model.estimator
        if not isinstance(model, VariationalAutoencoder) or get_tags(model).target_tags.required:
            raise ValueError(f"encoder={self.encoder!r} must be a VariationalAutoencoder, which needs no y.")

    def _source(self, X: Any, y: Any = None, weight: Any = None, reset: bool | None = None) -> Source:
        data = super()._source(X, y, weight, reset)
        if reset and isinstance(self.encoder, FrozenEstimator):
            check_columns(self.encoder.estimator, X, reset=False)
        return data

    def _pretrain(self, data: Any, run: Run) -> None:
        super()._pretrain(data, run)
        if run.resume:
            return
        vars(self).pop("encoder_", None)
        if isinstance(self.encoder, FrozenEstimator):
            self.encoder_ = copy.deepcopy(self.encoder.estimator)  # the user's may be fitted again
        elif self.encoder is not None:
            self.encoder_ = self._fitted_encoder(data)

    def _fitted_encoder(self, data: Any) -> VariationalAutoencoder:
        encoder: VariationalAutoencoder = clone(self.encoder)
        encoder._validate_params()
        if encoder.random_state is None and self.random_state is not None:
            encoder.set_params(random_state=int(check_random_state(self.random_state).randint(2**31 - 1)))
        own = data.own()
        with in_stage("encoder"):
            encoder._fit(own.X, None, own.weight)
        if hasattr(self, "feature_names_in_"):
            encoder.feature_names_in_ = self.feature_names_in_
        return encoder

    def _measure(self, data: Any) -> None:
        super()._measure(data)
        self._target_frame = None
        self._code_noise = np.zeros(len(self._frame))
        if self._below is not None:
            self._frame = self._below._frame
            mean, log_variance = self._moments_below(data)
            variances = np.exp(log_variance.astype(np.float64)).mean(0)
            self._code_noise = np.sqrt(variances)
            center, scale = Arrays(mean, data.weight).moments()
            self._target_frame = Frame(center, float(np.sqrt(scale**2 + variances.mean())))

    def _architecture(self, n_features: int) -> dict[str, Any]:
        width = n_features if self._below is None else len(self._output_frame)
        return {**super()._architecture(width), "encoder": self.encoder is not None}

    def _seen(self, data: Source, dtype: torch.dtype, device: torch.device, resident: bool = False) -> Source:
        if self._below is None:
            return super()._seen(data, dtype, device, resident)
        return self._coded(data).seen(self._output_frame, None, dtype, device, resident)

    def _exported(self) -> dict[str, Exported]:
        """Without the methods that go through the encoder's rows as well."""
        found: dict[str, Exported] = super()._exported()
        return found if self._below is None else {k: found[k] for k in ("transform", "predict_proba") if k in found}

    def _seen_batch(self, x: Tensor) -> Batch:
        if self._below is None:
            seen: Batch = super()._seen_batch(x)
            return seen
        below = self._below
        moments = below._moments_of(below._ready_module(), below._seen_batch(x))
        return Batch(self._output_frame.apply(moments.chunk(2, 1)[0]).to(self._flat.theta.dtype))

    def _coded(self, data: Any) -> Arrays:
        """The mean codes of rows, in their place."""
        return Arrays(self._moments_below(data)[0], data.weight, data.y)

    def _moments_below(self, data: Any) -> tuple[np.ndarray, np.ndarray]:
        """Means and log variances of the codes of rows."""
        below = self._below
        below._ready_module()
        theta = below._flat.theta
        rows = Arrays(data.X).seen(below._frame, None, theta.dtype, theta.device, look=watcher(self, data.X))
        mean, log_variance = below._collect(below._moments_of, rows).chunk(2, 1)
        return mean.contiguous().numpy(), log_variance.numpy()

    def _noise_of(self, x: Tensor, rng: torch.Generator | None) -> Tensor:
        """Noise with the mean variance of the codes of a row: the density is that of codes, not of their means."""
        if self._below is None or rng is None:
            return torch.zeros_like(x)
        noise = torch.empty(x.shape, dtype=x.dtype, device=rng.device).normal_(generator=rng).to(x.device)
        return noise * torch.from_numpy(self._code_noise / self._output_frame.scale).to(x)

    def _drawn(self, x: Rows, rng: torch.Generator) -> Rows:
        """Codes that are drawn. Without an encoder, the rows themselves."""
        if self._below is None:
            return x
        mean = x[:]
        return Rows(mean + self._noise_of(mean, rng), dtype=x.dtype, device=x.out)

    def _target(self, batch: Batch) -> Tensor:
        return batch.x

    # ---------------------------------------------------------------- using

    def _encode(self, module: Any, batch: Batch) -> Tensor:
        if self._below is not None and batch.x.requires_grad:
            raise TypeError("The code of a model with an encoder has no Jacobian, which only encoder=None gives it.")
        return super()._encode(module, batch)

    def _rows_below(self, codes: np.ndarray) -> np.ndarray:
        """Means of X, given what this model decodes."""
        rows: np.ndarray = codes if self._below is None else self._below.inverse_transform(codes)
        return rows

    def _rows_of(self, codes: Tensor, rng: torch.Generator, y: Tensor | None = None) -> np.ndarray:
        rows = super()._rows_of(codes, rng, y)
        if self._below is None:
            return rows
        self._below._ready_module()
        theta = self._below._flat.theta
        drawn: np.ndarray = self._below._rows_of(torch.from_numpy(rows).to(theta), spawn(rng, theta.device))
        return drawn

    # ---------------------------------------------------------------- scores

    def _log_weights_given(self, module: Any, batch: Batch, eps: Tensor) -> Tensor:
        """Log p(x, h) - log q(h | x) at codes h = mu + sigma eps of each row, of shape (n_draws, n).

        Parameters
        ----------
        module : torch.nn.Module
        batch : Batch
        eps : Tensor of shape (n_draws, n or 1, n_components)
        """
        raise NotImplementedError

    def _log_densities(self, function: Callable[[Any, Any], Tensor], X: Any, y: Any = None) -> np.ndarray:
        if self._below is None:
            return super()._log_densities(function, X, y)
        check_is_fitted(self)
        check_x(self, X, reset=False, look_through=True)  # the model below may take what this one does not
        module = self._ready_module()
        densities: np.ndarray = self._below._log_densities(lambda below, batch: function(module, batch), X)
        return densities

    def _log_weights(self, module: Any, batch: Batch) -> Tensor:
        size = max(1, N_DECODED // (len(batch.x) * getattr(module, "n_copies", 1)))
        if self._below is None:
            z = common_normal(int(self.n_draws), self._n_features_out).to(batch.x)[:, None]
            return torch.cat([self._log_weights_given(module, batch, eps) for eps in z.split(size)])
        q = Posterior(*self._below._moments_of(self._below.module_, batch).chunk(2, 1))
        z = common_normal(int(self.n_draws), q.mu.shape[1] + self._n_features_out).to(batch.x)
        return torch.cat([self._log_weights_of_both(module, batch, q, eps) for eps in z.split(size)])

    def _log_weights_of_both(self, module: Any, batch: Batch, q: Posterior, eps: Tensor) -> Tensor:
        """Log p(x, h_1, h_2) - log q(h_1, h_2 | x) for rows of X, h_1 being the code of the encoder."""
        below, shape = self._below, (len(eps), len(batch.x))
        own, upper = eps.tensor_split([q.mu.shape[1]], 1)
        h = q.drawn(own[:, None])
        fit = below.module_.likelihood.log_likelihood(below._decode_draws(below.module_, h, batch), batch.x)
        codes = Batch(self._output_frame.apply(h.flatten(0, 1)).to(self._flat.theta))
        above = self._log_weights_given(module, codes, upper.repeat_interleave(shape[1], 0).to(codes.x)[None])
        return fit - q.log_prob(h) + above.unflatten(1, shape)[0] - self._output_frame.log_volume
