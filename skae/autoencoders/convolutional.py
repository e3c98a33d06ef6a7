"""ConvolutionalAutoencoder: an autoencoder of images with convolutional layers."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from torch import nn

from ..base.params import PositiveInt, Sizes, sizes_of
from ..nn.convolutional import ImageAutoencoder, code_shape_of
from .dense import Autoencoder

__all__ = ["ConvolutionalAutoencoder"]

COLOURS = 1, 3, 4
"""Numbers of channels of images in files."""

ImageShape: TypeAlias = Annotated[tuple[int, ...], "array-like"]


class ConvolutionalAutoencoder(Autoencoder):
    """Autoencoder of images, whose features are local and the same at every position.

    Each row is a flattened image. Each convolutional layer of the encoder convolves the maps x_k of the layer
    before with kernels and reduces their size. The decoder mirrors the encoder with transposed convolutions::

        h_l = a(pool(sum_k x_k * W_kl + b_l)), and back x_k = a(sum_l h_l *' W'_kl + c_k).

    A kernel has few weights, however large the image is. What it learns in one corner holds everywhere. So the
    model has fewer weights than one with dense layers, and overfits less on few images.

    Dense layers between the last map and the code give a code of ``n_components`` numbers. With ``code="map"`` the code
    is itself a map. Another ConvolutionalAutoencoder can take this map as its image (Masci et al., 2011).

    Borders are padded with zeros, which are the mean where X is centred. Images of any height and width are
    returned at their exact size. Sizes are halved and rounded up, for example from 7 to 4, and the decoder restores
    the original size.

    Parameters
    ----------
    n_components : int, default=2
        Width of the code. With ``code="map"``, the number of its channels.
    image_shape : tuple of two or three int, "auto" or "row", default="auto"
        Shape of the image in a row of X, in C order: (height, width), (channels, height, width), or (height, width,
        channels) with ``channel_axis="last"``. "auto" is a square image with one channel. "row" is a line of
        ``n_features`` pixels, for a signal or a spectrum.
    channel_axis : {"auto", "first", "last"}, default="auto"
        Where the channels are in an ``image_shape`` of three numbers. Images in numpy arrays often have them last, so
        that X = images.reshape(len(images), -1) needs "last". "auto" is "first", but it refuses shapes that look like
        an image with channels last, such as (16, 16, 3).
    channels : tuple of int, or int, default=(32, 64)
        Number of channels of each hidden map. Each of these convolutional layers halves height and width.
    kernel_size : int, default=3
        Height and width of the kernels, an odd number. Kernels are smaller on maps that are too small for them.
        On a line of pixels, for example, their height is 1.
    pooling : {"stride", "max", "average"} or None, default="stride"
        How a convolutional layer reduces its map. "stride" computes only every other pixel, which is the fastest.
        "max" and "average" take the maximum or the average of 2 by 2 pixels. None keeps the size.
    code : {"vector", "map"}, default="vector"
        "vector" computes the code with dense layers. "map" adds one more convolutional layer with ``n_components``
        channels, and its map is the code. ``code_shape_`` is the shape of that map, and the width of the code is
        the product of these three numbers.
    hidden_layer_sizes : tuple of int, or int, default=()
        Widths of the dense layers between the last map and a code that is a vector. With ``code="map"`` there are
        none.
    tied_weights : bool, default=False
        Whether the decoder uses the encoder's kernels and weights, transposed. Training with ``init="pca"`` then
        starts near PCA, not exactly at it, because PCA would be a saddle point.
    dropout : float, default=0.0
        Probability that a whole channel of a hidden map, or a hidden unit of a dense layer, is set to zero during
        training.
    batch_norm : bool, default=False
        Whether to apply batch normalisation before the activation: to each channel of a hidden map, over all rows
        and positions, and to each hidden unit.
    init : {"auto", "pca", "random"}, default="auto"
        "pca" starts the code at that of PCA, h = P x + f(x), and the decoder at its inverse. It needs
        ``code="vector"``, a gaussian likelihood, an identity ``code_activation`` and at most as many components as
        features. "random" starts from random weights, without the PCA term. "auto" is "pca" where it is defined,
        and "random" otherwise.

    Attributes
    ----------
    image_shape_ : tuple of int
        Shape of the training images: channels, height and width, or height, width and channels with
        ``channel_axis="last"``.
    code_shape_ : tuple of int
        ``(n_components,)``, or channels, height and width of a code that is a map.
    module_, history_, loss_, n_iter_, mean_, scale_, n_features_in_, feature_names_in_
        As in ``Autoencoder``.

    See Also
    --------
    skae.ReceptiveFieldAutoencoder : Local filters that differ from place to place.

    References
    ----------
    Masci, Meier, Ciresan and Schmidhuber (2011), "Stacked Convolutional Auto-Encoders for
    Hierarchical Feature Extraction", https://doi.org/10.1007/978-3-642-21735-7_7

    LeCun, Bottou, Bengio and Haffner (1998), "Gradient-Based Learning Applied to Document
    Recognition", https://doi.org/10.1109/5.726791

    Tompson, Goroshin, Jain, LeCun and Bregler (2015), "Efficient Object Localization Using
    Convolutional Networks" (dropout of channels), https://arxiv.org/abs/1411.4280

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import ConvolutionalAutoencoder
    >>> X = load_digits().data[:500]
    >>> model = ConvolutionalAutoencoder(8, channels=(16,), max_iter=10, random_state=0).fit(X)
    >>> model.image_shape_, model.transform(X).shape
    ((1, 8, 8), (500, 8))

    A code that is a map, and a second autoencoder that encodes it:

    >>> first = ConvolutionalAutoencoder(4, code="map", channels=(), max_iter=2, random_state=0).fit(X)
    >>> first.code_shape_
    (4, 4, 4)
    >>> second = ConvolutionalAutoencoder(8, image_shape=first.code_shape_, channels=(8,), max_iter=2, random_state=0)
    >>> second.fit_transform(first.transform(X)).shape
    (500, 8)

    Photographs in colour, as they are in a numpy array:

    >>> import numpy as np
    >>> photographs = np.random.default_rng(0).random((20, 6, 8, 3))
    >>> X = photographs.reshape(20, -1)
    >>> colour = ConvolutionalAutoencoder(2, image_shape=(6, 8, 3), channel_axis="last", max_iter=2, random_state=0)
    >>> colour.fit(X).inverse_transform(colour.transform(X)).reshape(photographs.shape).shape
    (20, 6, 8, 3)
    """

    image_shape: ImageShape | Literal["auto", "row"] = "auto"
    channel_axis: Literal["auto", "first", "last"] = "auto"
    channels: Sizes = (32, 64)
    kernel_size: PositiveInt = 3
    pooling: Literal["stride", "max", "average"] | None = "stride"
    code: Literal["vector", "map"] = "vector"
    hidden_layer_sizes: Sizes = ()

    _Module: ClassVar[type[nn.Module]] = ImageAutoencoder

    @property
    def image_shape_(self) -> tuple[int, int, int]:
        """Shape of the training images. The channels are where ``channel_axis`` says."""
        channels, height, width = self._spec["image_shape"]
        return (height, width, channels) if self._spec.get("channels_last") else (channels, height, width)

    @property
    def code_shape_(self) -> tuple[int, ...]:
        """Shape of the code of one image."""
        return code_shape_of(self._spec)

    @property
    def _n_features_out(self) -> int:
        return math.prod(self.code_shape_)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        hidden = sizes_of("hidden_layer_sizes", self.hidden_layer_sizes)
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={self.kernel_size} is even and has no middle pixel: use an odd number.")
        if self.code == "map" and hidden:
            raise ValueError(
                f"hidden_layer_sizes={hidden} are dense layers, but code='map' has none: set "
                "hidden_layer_sizes=(), and use channels instead."
            )

    def _architecture(self, n_features: int) -> dict[str, Any]:
        if self.code == "vector" and not sizes_of("channels", self.channels):
            raise ValueError(
                "channels=() leaves no convolutional layer: pass at least one number of channels, or use Autoencoder."
            )
        spec = {
            **super()._architecture(n_features),
            "marked": (),
            "image_shape": self._shape_of_image(n_features),
            "channels": sizes_of("channels", self.channels),
            "kernel_size": int(self.kernel_size),
            "pooling": self.pooling,
            "code": self.code,
            "channels_last": self.channel_axis == "last",
        }
        _, height, width = spec["image_shape"]
        if spec["n_outputs"] % (height * width):
            raise ValueError(
                f"The target has {spec['n_outputs']} columns, which cannot be split into channels of "
                f"{height} by {width} pixels: pass a multiple of {height * width}."
            )
        return spec

    def _shape_of_image(self, n_features: int) -> tuple[int, int, int]:
        if isinstance(self.image_shape, str):
            return (1, 1, n_features) if self.image_shape == "row" else _square(n_features)
        sizes = sizes_of("image_shape", self.image_shape)
        if len(sizes) not in (2, 3):
            raise ValueError(f"image_shape={sizes} is neither (height, width) nor (channels, height, width).")
        if math.prod(sizes) != n_features:
            raise ValueError(f"image_shape={sizes} has {math.prod(sizes)} pixels, but X has {n_features} columns.")
        if self.channel_axis == "auto":
            _require_channels_first(sizes)
        if self.channel_axis == "last" and len(sizes) == 3:
            sizes = sizes[2], *sizes[:2]
        channels, height, width = (1, *sizes)[-3:]
        return channels, height, width

    def _obstacles_to_pca(self) -> list[str]:
        return [*super()._obstacles_to_pca(), *(["code='map'"] if self.code == "map" else [])]


def _require_channels_first(sizes: tuple[int, ...]) -> None:
    """Refuse a shape that looks like that of an image with its channels last: they are fewer than its sides."""
    if len(sizes) == 3 and sizes[2] in COLOURS and sizes[2] < min(sizes[:2]) and sizes[0] not in COLOURS:
        height, width, channels = sizes
        raise ValueError(
            f"image_shape={sizes} looks like {height} by {width} pixels with channels last, but would be read as "
            f"{height} channels of {width} by {channels} pixels: set channel_axis to 'last' or to 'first'."
        )


def _square(n_features: int) -> tuple[int, int, int]:
    side = math.isqrt(n_features)
    if side**2 != n_features:
        raise ValueError(
            f"image_shape='auto' reads rows as squares, but X has {n_features} columns: set image_shape to "
            "(height, width) or (channels, height, width), or to 'row' for signals."
        )
    return 1, side, side
