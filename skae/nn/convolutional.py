"""Convolutional encoder and decoder of images: the modules inside ``ConvolutionalAutoencoder``.

Maps have the shape (n, channels, height, width). In memory the channels come last, which is several times
faster on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import functional
from .coder import Coder
from .dense import BatchNorm, Dense, TransposedDense

__all__ = [
    "Convolution",
    "Decoder",
    "Encoder",
    "HiddenMap",
    "ImageAutoencoder",
    "Level",
    "TransposedConvolution",
    "code_shape_of",
]

Shape: TypeAlias = tuple[int, int, int]
"""Channels, height and width."""


class Level(NamedTuple):
    """The shapes that a convolution with its pooling leads from and to, the kernel's, and the kind of pooling."""

    fine: Shape
    coarse: Shape
    kernel: tuple[int, int]
    pooling: str | None

    @property
    def stride(self) -> int:
        """Factor by which height and width are reduced."""
        return 1 if self.pooling is None else 2

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros around a map: as many as let the middle of the kernel reach every pixel."""
        return self.kernel[0] // 2, self.kernel[1] // 2

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """Shape of the kernels."""
        return self.coarse[0], self.fine[0], *self.kernel

    @property
    def width(self) -> int:
        """Numbers in the map of one row between the convolution and the pooling."""
        _, height, width = self.fine if self.pooling in ("max", "average") else self.coarse
        return self.coarse[0] * height * width


def levels_of(image_shape: Shape, channels: Sequence[int], kernel_size: int, pooling: str | None) -> list[Level]:
    """Levels from the image on.

    Heights and widths are halved and rounded up, so that no pixel is lost: 7 becomes 4, and 1 stays 1. The
    kernel is smaller on small maps, where its border would only see zeros: on a line of pixels its height is 1.
    """
    found = []
    for n_channels in channels:
        _, h, w = image_shape
        kernel = min(kernel_size, 2 * h - 1), min(kernel_size, 2 * w - 1)
        coarse = (n_channels, h, w) if pooling is None else (n_channels, (h + 1) // 2, (w + 1) // 2)
        found.append(Level(image_shape, coarse, kernel, pooling))
        image_shape = coarse
    return found


def code_shape_of(spec: Mapping[str, Any]) -> tuple[int, ...]:
    """Shape of the code of one image, given the arguments of an ``ImageAutoencoder``."""
    if spec["code"] == "vector":
        return (int(spec["n_components"]),)
    channels = [*spec["channels"], spec["n_components"]]
    return levels_of(spec["image_shape"], channels, spec["kernel_size"], spec["pooling"])[-1].coarse


def as_map(rows: Tensor, shape: Shape, channels_last: bool = False) -> Tensor:
    """Maps of this shape from rows, in which one channel follows the other, or one pixel if channels are last."""
    c, h, w = shape
    pixels = rows if channels_last else rows.reshape(-1, c, h * w).transpose(1, 2)
    # Flat in between, as a side of length 1 would hide from torch that channels come last.
    return pixels.flatten().view(-1, h, w, c).permute(0, 3, 1, 2)


class Convolution(nn.Module):
    """Convolution and pooling, from fine to coarse."""

    def __init__(self, level: Level) -> None:
        super().__init__()
        self.level = level
        self.weight = nn.Parameter(torch.empty(level.weight_shape))
        self.bias = nn.Parameter(torch.zeros(level.coarse[0]))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve a batch of maps."""
        level = self.level
        if level.pooling not in ("max", "average"):
            return F.conv2d(x, self.weight, self.bias, level.stride, level.padding)
        z = F.conv2d(x, self.weight, self.bias, padding=level.padding)
        pool = F.max_pool2d if level.pooling == "max" else F.avg_pool2d
        return pool(z, 2, ceil_mode=True)

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Draw the kernels as ``Dense`` draws its weights, and set the biases to zero."""
        self.weight.copy_(functional.uniform_weights(self.weight, self.weight[0].numel(), rng))
        self.bias.zero_()


class TransposedConvolution(nn.Module):
    """The adjoint of a convolution with a stride: from coarse maps to fine ones, of exactly their size.

    Parameters
    ----------
    level : Level
    tied : Convolution or None
        The convolution whose kernels are used. None stands for kernels of its own.
    biased : bool
        Whether each channel has a bias.
    """

    def __init__(self, level: Level, tied: Convolution | None = None, biased: bool = True) -> None:
        super().__init__()
        self.level = level
        self._tied = (tied,)  # in a tuple, so that its parameters are not ours as well
        self.own = nn.Parameter(torch.empty(level.weight_shape)) if tied is None else None
        self.bias = nn.Parameter(torch.zeros(level.fine[0])) if biased else None

    @property
    def weight(self) -> Tensor:
        """Kernels, in the shape that those of ``Convolution`` have."""
        (tied,) = self._tied
        if tied is not None:
            return tied.weight[: self.level.coarse[0]]
        assert self.own is not None
        return self.own

    def forward(self, x: Tensor) -> Tensor:
        """Expand a batch of maps."""
        level = self.level
        surplus = [f - 1 - level.stride * (c - 1) for f, c in zip(level.fine[1:], level.coarse[1:], strict=True)]
        return F.conv_transpose2d(x, self.weight, self.bias, level.stride, level.padding, surplus)

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Draw the kernels as ``Dense`` does, if it has its own. A fine pixel has so many inputs on average."""
        if self.own is not None:
            (_, *fine), (_, *coarse) = self.level.fine, self.level.coarse
            fan_in = self.own[:, 0].numel() * math.prod(coarse) / math.prod(fine)
            self.own.copy_(functional.uniform_weights(self.own, fan_in, rng))
        if self.bias is not None:
            self.bias.zero_()


class HiddenMap(nn.Module):
    """Batch normalisation, activation and dropout of a map.

    Each channel is normalised over rows and positions. Dropout silences whole channels (Tompson et al.,
    2015), as a single pixel could be told from its neighbours.
    """

    def __init__(self, n_channels: int, activation: str, dropout: float = 0.0, batch_norm: bool = False) -> None:
        super().__init__()
        self.activation, self.dropout = activation, dropout
        self.norm = BatchNorm(n_channels) if batch_norm else None

    def forward(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Output for a batch of maps; with a generator, as in training."""
        if self.norm is not None:
            pixels = z.permute(0, 2, 3, 1)
            z = self.norm(pixels.flatten(0, 2), rng).view(pixels.shape).permute(0, 3, 1, 2)
        a = functional.ACTIVATIONS[self.activation](z)
        if self.dropout and rng is not None:
            a = a * functional.dropout_mask(a[:, :, :1, :1], self.dropout, rng)
        return a


class Encoder(nn.Module):
    """Levels of convolution, then dense layers to a vector. Without dense layers the last map is the code.

    What follows the pixels in a row, its conditions, joins the last map before the dense layers.
    """

    def __init__(
        self, levels: Sequence[Level], maps: Sequence[HiddenMap], dense: Dense | None, channels_last: bool
    ) -> None:
        super().__init__()
        self.levels = list(levels)
        self.channels_last = channels_last
        self.convolutions = nn.ModuleList(Convolution(level) for level in levels)
        self.maps = nn.ModuleList(maps)
        self.dense = dense

    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Code of each row, as a row; with a generator, as in training."""
        n_pixels = math.prod(self.levels[0].fine)
        x, conditions = x[:, :n_pixels], x[:, n_pixels:]
        x = as_map(x, self.levels[0].fine, self.channels_last)
        for convolve, through in zip(self.convolutions, self.maps, strict=True):
            x = through(convolve(x), rng)
        if self.dense is None:
            return x.flatten(1)
        x = x.permute(0, 2, 3, 1).flatten(1)
        return self.dense(torch.cat([x, conditions], 1) if conditions.shape[1] else x, rng)

    @property
    def biases(self) -> list[Tensor]:
        """Bias of each layer, the one of the code last."""
        return [parameter for name, parameter in self.named_parameters() if "bias" in name]

    def initialise(self, rng: torch.Generator) -> None:
        """Draw all weights."""
        for part in (*self.convolutions, self.dense):
            if part is not None:
                part.initialise(rng)


class Decoder(nn.Module):
    """The mirror of an encoder: dense layers, then transposed convolutions. Each pixel has a bias of its own.

    Parameters
    ----------
    levels : sequence of Level
        From the image on, as in the encoder.
    maps : sequence of HiddenMap
        Activation, normalisation and dropout of the coarse map of each level, in the same order.
    dense : Dense or None
        Layers from a vector to the last map.
    channels_last : bool
        Whether the channels of a pixel follow each other in the output, and not the pixels of a channel.
    tied : Encoder or None
        The encoder whose kernels are used. None stands for kernels of its own.
    """

    def __init__(
        self,
        levels: Sequence[Level],
        maps: Sequence[HiddenMap],
        dense: Dense | None,
        channels_last: bool,
        tied: Encoder | None,
    ) -> None:
        super().__init__()
        self.levels = list(levels)
        self.channels_last = channels_last
        shared: Any = [None] * len(levels) if tied is None else tied.convolutions
        self.convolutions = nn.ModuleList(
            TransposedConvolution(level, kernels, biased=level is not levels[0])
            for level, kernels in zip(levels, shared, strict=True)
        )
        self.maps = nn.ModuleList(maps)
        self.dense = dense
        self.bias = nn.Parameter(torch.zeros(math.prod(levels[0].fine)))

    @property
    def biases(self) -> list[Tensor]:
        """The bias of the output alone, in a list, as those of ``Dense`` are."""
        return [self.bias]

    def forward(self, h: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Output for each code, as a row; with a generator, as in training."""
        x = self._last_map(h, rng)
        for expand, through in zip(reversed(self.convolutions), reversed(self.maps), strict=True):
            x = expand(through(x, rng))
        return (x.permute(0, 2, 3, 1) if self.channels_last else x).flatten(1) + self.bias

    def _last_map(self, h: Tensor, rng: torch.Generator | None) -> Tensor:
        c, height, width = shape = self.levels[-1].coarse
        if self.dense is None:
            return as_map(h, shape)
        return self.dense(h, rng).view(-1, height, width, c).permute(0, 3, 1, 2)

    def initialise(self, rng: torch.Generator) -> None:
        """Draw the weights that are not shared."""
        for part in (self.dense, *self.convolutions):
            if part is not None:
                part.initialise(rng)


@dataclass(kw_only=True, eq=False, repr=False)
class ImageAutoencoder(Coder):
    """Convolutional encoder and decoder of images.

    The parameters beside these are those of ``Coder``. Conditions join the dense layers between the last hidden map
    and the code; a code that is a map has none.

    Parameters
    ----------
    image_shape : tuple of int
        Channels, height and width of x.
    channels : sequence of int
        Of the hidden maps.
    kernel_size : int
        Odd.
    pooling : {"max", "average", "stride"} or None
    code : {"vector", "map"}
        With a map, ``n_components`` counts its channels, and ``hidden_layer_sizes`` are not used. With a
        vector, these are the widths of the dense layers between the last hidden map and the code.
    channels_last : bool, default=False
        Whether rows hold height, width and channels, in this order, and not channels, height and width. In a code that
        is a map, channels are always first.

    Attributes
    ----------
    code_shape : tuple of int
        Channels, height and width of a map, or the width of a vector.
    """

    image_shape: Shape
    channels: Sequence[int]
    kernel_size: int
    pooling: str | None
    code: str
    channels_last: bool = False
    encoder: Encoder = field(init=False)
    decoder: Decoder = field(init=False)

    @property
    def code_width(self) -> int:
        return math.prod(self.code_shape)

    def _make_layers(self) -> None:
        _, height, width = self.image_shape
        n_code, n_colours = self.n_moments * self.n_components, self.n_outputs // (height * width)
        levels = self._levels(self.image_shape, n_code)
        mirrored = self._levels((n_colours, height, width), self.n_components)
        self.code_shape = mirrored[-1].coarse if self.code == "map" else (self.n_components,)
        inward = outward = None
        if self.code == "vector":
            inward, outward = self._dense_layers([math.prod(levels[-1].coarse), *self.hidden_layer_sizes])
        self.encoder = Encoder(levels, self._maps(n_code, self.code_activation), inward, self.channels_last)
        maps = self._maps(self.n_components, "identity")
        tied = self.encoder if self.tied_weights else None
        self.decoder = Decoder(mirrored, maps, outward, self.channels_last, tied)

    def _levels(self, image_shape: Shape, n_code: int) -> list[Level]:
        channels = [*self.channels, n_code] if self.code == "map" else self.channels
        return levels_of(image_shape, channels, self.kernel_size, self.pooling)

    def _options(self) -> dict[str, Any]:
        return {"activation": self.activation, "dropout": self.dropout, "batch_norm": self.batch_norm}

    def _maps(self, n_code: int, of_code: str) -> list[HiddenMap]:
        hidden = [HiddenMap(n, **self._options()) for n in self.channels]
        return [*hidden, HiddenMap(n_code, of_code)] if self.code == "map" else hidden

    def _dense_layers(self, sizes: Sequence[int]) -> tuple[Dense, Dense]:
        """Layers from the last map to a vector, through these sizes, and back."""
        n_map, *hidden = sizes
        into = [n_map + self.n_conditions, *hidden, self.n_moments * self.n_components]
        back = [self.n_components + self.n_conditions, *reversed(sizes)]
        inward = Dense(into, output_activation=self.code_activation, **self._options())
        if self.tied_weights:
            return inward, TransposedDense(inward, back, **self._options())
        return inward, Dense(back, **self._options())

    def _require_possible(self) -> None:
        super()._require_possible()
        if self.n_conditions and self.code == "map":
            raise ValueError("A code that is a map has no dense layers, which conditions could join.")

    @property
    def widest(self) -> int:
        """Numbers that a row takes at its widest."""
        return max(level.width for level in self.encoder.levels)

    @property
    def multiplications(self) -> int:
        """Of the convolutions or of the dense layers, for a row."""
        of_levels = sum(level.width * math.prod(level.weight_shape[1:]) for level in self.encoder.levels)
        return max(of_levels, sum(p.numel() for p in self.parameters()))

    def pull_back(self, x: Tensor, v: Tensor, known: Tensor | None = None) -> Tensor:
        """See ``Coder``. It takes a backward pass for each of the m vectors."""
        with torch.enable_grad():
            x, conditions = x.detach().tensor_split([self.n_features], 1)
            x.requires_grad_()
            mean = self.encode(torch.cat([x, conditions], 1), known=known).chunk(self.n_moments, 1)[0]
            rows = [torch.autograd.grad(mean, x, u.expand_as(mean), create_graph=True)[0] for u in v.unbind(1)]
        return torch.stack(rows, 1)

    def _silence(self, deviations: Tensor) -> None:
        """See ``Coder``. Tied weights stay random: from zero, training could not leave PCA, a saddle point."""
        assert self.encoder.dense is not None
        assert self.decoder.dense is not None
        code = self.encoder.dense.weights[-1]
        if self.tied_weights:
            code[self.n_components :].zero_()
            return
        code.zero_()
        self.decoder.dense.weights[0][:, : self.n_components].div_(deviations)
        to_output: Any = self.decoder.convolutions[0]
        to_output.weight.zero_()
