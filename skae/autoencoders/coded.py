"""Coded: the base of models that sample, with dense networks for tables and convolutional ones for images."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from ..base.checks import require_positive
from ..base.params import Sizes, sizes_of
from ..engine.data import Batch, Rows, Table
from ..engine.frame import in_double
from ..engine.modes import plain_torch
from ..nn.coder import Coder
from ..nn.convolutional import ImageAutoencoder
from ..nn.dense import DenseAutoencoder
from .convolutional import ConvolutionalAutoencoder

__all__ = ["Coded"]


class Coded(ConvolutionalAutoencoder):
    """An autoencoder of rows, or of images if it has ``channels``, whose module has a ``prior`` of codes.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, or int, default=(256, 128)
        Widths of the encoder's dense hidden layers. They follow the convolutional layers if there are ``channels``. The
        decoder has the same widths in reverse order.
    channels : tuple of int, or int, default=()
        Number of channels of each hidden map, for images. () means that rows are no images: all layers are dense, and
        ``image_shape``, ``channel_axis``, ``kernel_size``, ``pooling`` and ``code`` are not used.
    """

    hidden_layer_sizes: Sizes = (256, 128)
    channels: Sizes = ()

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.code == "map" and not sizes_of("channels", self.channels):
            raise ValueError("code='map' needs convolutional layers: pass channels, such as (32,), or code='vector'.")

    def _architecture(self, n_features: int) -> dict[str, Any]:
        of_images = bool(sizes_of("channels", self.channels))
        base: Any = super() if of_images else super(ConvolutionalAutoencoder, self)
        spec: dict[str, Any] = base._architecture(n_features)
        return spec

    def _new_module(self) -> nn.Module:
        return self._new_coder(self._spec)

    def _new_coder(self, spec: dict[str, Any]) -> Coder:
        """An encoder and a decoder with those of these arguments that they have."""
        cls: Any = ImageAutoencoder if "image_shape" in spec else DenseAutoencoder
        return cls(**{f.name: spec[f.name] for f in fields(cls) if f.init and f.name in spec})

    def _decode_draws(self, module: Any, h: Tensor, batch: Batch, rng: torch.Generator | None = None) -> Tensor:
        """The decoder's output for codes of shape (draws, n, n_components)."""
        eta: Tensor = module.decode(h.flatten(0, 1), rng)
        return eta.unflatten(0, h.shape[:2])

    def _row_given(self, module: Any, eta: Tensor, rng: torch.Generator) -> Tensor:
        """Rows drawn from p(x | h), given the decoder's output for the codes h."""
        row: Tensor = module.likelihood.sample(eta, rng)
        return row

    def _rows_of(self, codes: Tensor, rng: torch.Generator, y: Tensor | None = None) -> np.ndarray:
        """Rows drawn from p(x | h), or p(x | h, y), on the scale of X."""

        def drawn(module: Any, batch: Batch) -> Tensor:
            return self._row_given(module, self._decode_draws(module, batch.x[None], batch)[0], rng)

        data = Table(Rows(codes, dtype=codes.dtype, device=codes.device), None, y)
        rows: np.ndarray = self._collect(drawn, data, undo=self._output_frame).numpy()
        return rows

    # ---------------------------------------------------------------- for users

    @property
    def noise_variance_(self) -> float | np.ndarray:
        """Variance of X given the code: one number, or one for each column."""
        check_is_fitted(self)
        if "variance" not in self._spec:
            raise AttributeError(f"{type(self).__name__} does not learn the variance of X given the code.")
        if self._spec["likelihood"] != "gaussian":
            raise AttributeError(
                f"noise_variance_ belongs to the gaussian likelihood, not to {self._spec['likelihood']!r}."
            )
        variance = in_double(torch.as_tensor(self.module_.likelihood.variance).detach()).cpu().numpy()
        scaled = variance * np.square(self._output_frame.scale)
        return scaled if np.ndim(scaled) else float(scaled)

    @property
    def image_shape_(self) -> tuple[int, int, int]:
        """Shape of the training images. The channels are where ``channel_axis`` says."""
        if "image_shape" not in self._spec:
            raise AttributeError("image_shape_ belongs to images: pass channels, such as (32, 64), to have one.")
        return super().image_shape_

    @property
    def code_shape_(self) -> tuple[int, ...]:
        """Shape of the code of one row."""
        return super().code_shape_ if "image_shape" in self._spec else (int(self._spec["n_components"]),)

    @property
    def _n_features_out(self) -> int:
        return math.prod(self.code_shape_)

    def reconstruct(self, X: Any) -> np.ndarray:
        """Encode rows and decode their codes.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_features), float64
            The mean of a row given the code of each row, in units of X.
        """
        found: np.ndarray = self.inverse_transform(self.transform(X))
        return found

    def interpolate(self, a: Any, b: Any, n: int = 10) -> np.ndarray:
        """Decode codes on the straight line from the code of one row to that of another.

        Parameters
        ----------
        a, b : array-like of shape (n_features,) or (1, n_features)
            The two rows.
        n : int, default=10
            Number of rows to return, the two ends included.

        Returns
        -------
        X : ndarray of shape (n, n_features), float64
            In units of the training data. The first row is the reconstruction of a, the last that of b.

        Raises
        ------
        ValueError
            If ``n`` is below 1, or if a or b is not a single row of the right width.
        """
        require_positive(n=n)
        start, end = (self._of_row(self._encode, name, row) for name, row in (("a", a), ("b", b)))
        share = np.linspace(0.0, 1.0, n, dtype=start.dtype)[:, None]
        found: np.ndarray = self.inverse_transform((1 - share) * start + share * end)
        return found

    def _of_row(self, function: Callable[[Any, Any], Tensor], name: str, row: Any, y: Any = None) -> np.ndarray:
        """``function(module, batch)`` for a single row, such as its code, of shape (1, n_components)."""
        rows = np.reshape(row, (1, -1)) if np.ndim(row) == 1 else row
        shape = getattr(rows, "shape", None) or np.shape(rows)  # numpy sees no shape in a sparse row
        if not shape or shape[0] != 1:
            raise ValueError(f"{name} must be a single row, but has the shape {tuple(shape)}: pass one row of X.")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "X does not have valid feature names")  # a row of a frame has none
            found: np.ndarray = self._map(function, rows, y)
        return found

    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Draw rows from the model: codes from p(h), and rows from p(x | h).

        ``inverse_transform(sample_codes(n_samples))`` are rows without the noise of p(x | h). A model that does not
        learn the variance of the gaussian likelihood draws no noise there, and a generative adversarial network none at
        all.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. None uses the estimator's ``random_state``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            In float64, or in int64 where rows are token ids.

        Raises
        ------
        ValueError
            If ``n_samples`` is below 1.
        """
        rng, codes = self._drawn_codes(n_samples, random_state)
        return self._rows_of(codes, rng)

    def sample_codes(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Draw codes from the prior p(h).

        Parameters
        ----------
        n_samples : int, default=1
            Number of codes.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. None uses the estimator's ``random_state``.

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)
        """
        codes: np.ndarray = self._drawn_codes(n_samples, random_state)[1].cpu().numpy()
        return codes

    def _drawn_codes(self, n_samples: int, random_state: Any) -> tuple[torch.Generator, Tensor]:
        """Codes from the prior, and the generator that drew them."""
        check_is_fitted(self)
        require_positive(n_samples=n_samples)
        self._ready_module()
        rng = self._noise(random_state)
        with plain_torch(grad=False):
            return rng, self.module_.prior.sample(int(n_samples), rng)
