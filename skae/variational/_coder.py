"""Coded: the encoder and decoder of this family, dense for tables and convolutional for images."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from ..autoencoders import ConvolutionalAutoencoder
from ..base import Sizes, sizes_of
from ..nn.convolutional import ImageAutoencoder
from ..nn.dense import DenseAutoencoder

__all__ = ["Coded"]


class Coded(ConvolutionalAutoencoder):
    """An autoencoder of rows, or of images if it has ``channels``.

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

    def _architecture(self, n_features: int) -> dict[str, Any]:
        of_images = bool(sizes_of("channels", self.channels))
        base: Any = super() if of_images else super(ConvolutionalAutoencoder, self)
        spec: dict[str, Any] = base._architecture(n_features)
        return spec

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.code == "map" and not sizes_of("channels", self.channels):
            raise ValueError("code='map' needs convolutional layers: pass channels, such as (32,), or code='vector'.")

    def _new_module(self) -> nn.Module:
        coder = ImageAutoencoder if "image_shape" in self._spec else DenseAutoencoder
        return coder(**self._spec)

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
