"""Missing entries from a model of this package that takes rows with gaps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import get_tags
from torch import Tensor

from ..engine.data import Batch
from ..functional import common_normal
from ..nn.latent import Posterior
from .table import TableAutoencoder

__all__ = ["Restored", "refuse_unsuitable", "weighs"]

N_DECODED = 2**13
"""Codes that are decoded at a time."""


def weighs(estimator: Any) -> bool:
    """Whether a model has codes with importance weights."""
    return hasattr(estimator, "_log_weights_at")


def refuse_unsuitable(estimator: Any) -> None:
    """Raise an error for a model that cannot fill in missing entries."""
    if isinstance(estimator, type):
        raise ValueError(f"estimator is the class {estimator.__name__}: pass an instance, {estimator.__name__}().")
    name, tags = type(estimator).__name__, get_tags(estimator)
    if not tags.input_tags.allow_nan:
        raise ValueError(f"estimator={name}() takes no missing entries: use one that does, such as Autoencoder.")
    if tags.target_tags.required:
        raise ValueError(f"estimator={name}() needs y, which an imputer has not: use one that learns from X alone.")


class Restored:
    """Missing entries from reconstructions, or by importance weights if the model is a variational one.

    A variational model draws codes h_1, ..., h_K from q(h | x_o), with the weights

        w_k = p(x_o | h_k) p(h_k) / q(h_k | x_o).

    Missing entries are sum_k w_k E[x_m | h_k] / sum_k w_k. A draw is one of x_m | h_k, with k drawn by the weights.

    Parameters
    ----------
    estimator : object
        The model. A clone of it is fitted.
    n_draws : int
        K.
    """

    def __init__(self, estimator: Any, n_draws: int) -> None:
        self.estimator, self.n_draws = clone(estimator), n_draws

    @property
    def standardizes(self) -> bool:
        """Whether each column is to have the variance 1. A model of bits or counts, or of a table, takes X as it is."""
        kinds = (getattr(self.estimator, name, "gaussian") for name in ("likelihood", "visible"))
        return not isinstance(self.estimator, TableAutoencoder) and all(kind == "gaussian" for kind in kinds)

    def fit(self, x: np.ndarray, known: np.ndarray, rng: np.random.RandomState) -> Restored:
        """Fit to the rows in which something is observed. See ``Recipe``."""
        if self.estimator.get_params().get("random_state", 0) is None:
            self.estimator.set_params(random_state=int(rng.randint(2**31 - 1)))
        self.estimator.fit(_with_gaps(x, known)[known.any(1)])
        return self

    def complete(self, x: np.ndarray, known: np.ndarray) -> np.ndarray:
        """The rows with their missing entries filled. A row with nothing observed stays as it is."""
        return self._filled(x, known, None)

    def draw(self, x: np.ndarray, known: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """The rows with draws of their missing entries."""
        return self._filled(x, known, rng)

    def _filled(self, x: np.ndarray, known: np.ndarray, rng: np.random.RandomState | None) -> np.ndarray:
        some = known.any(1)
        whole = np.array(x)
        if some.any():
            rows = _with_gaps(x, known)[some]
            restored = self._weighed(rows, rng) if weighs(self.estimator) else self._reconstructed(rows)
            whole[some] = np.where(known[some], x[some], restored)
        return whole

    def _reconstructed(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.estimator.inverse_transform(np.asarray(self.estimator.transform(rows))))

    def _weighed(self, rows: np.ndarray, rng: np.random.RandomState | None) -> np.ndarray:
        """Rows of the model: means by weights, or draws if there is a generator."""
        model = self.estimator
        noise = None if rng is None else model._noise(int(rng.randint(2**31 - 1)))

        def filled(module: Any, batch: Batch) -> Tensor:
            size = max(1, N_DECODED // self.n_draws)
            parts = range(0, len(batch.x), size)
            return torch.cat([self._of_part(module, batch.take(slice(at, at + size)), noise) for at in parts])

        found: np.ndarray = model._map(filled, rows, undo=model._output_frame)
        return found

    def _of_part(self, module: Any, batch: Batch, noise: torch.Generator | None) -> Tensor:
        """The same of rows that are decoded at a time, on the scale of the module."""
        model = self.estimator
        q = Posterior(*model._moments_of(module, batch).chunk(2, 1))
        h = q.drawn(common_normal(self.n_draws, q.mu.shape[1]).to(q.mu)[:, None])
        log_w = model._log_weights_at(module, batch, q, h)
        if noise is None:
            means = module.likelihood.mean(model._decode_draws(module, h, batch))
            return torch.einsum("kn,knd->nd", log_w.softmax(0), means)
        uniform = torch.rand(log_w.shape, generator=noise, device=log_w.device, dtype=log_w.dtype)
        one = (log_w - (-uniform.clamp_min(1e-30).log()).log()).argmax(0)  # Gumbel: drawn by the weights
        chosen = h[one, torch.arange(len(one), device=one.device)]
        drawn: Tensor = model._row_given(module, model._decode_draws(module, chosen[None], batch)[0], noise)
        return drawn


def _with_gaps(x: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.where(known, x, np.nan)
