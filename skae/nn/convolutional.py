"""Convolutional encoder and decoder of images: the modules inside ``ConvolutionalAutoencoder``.

Maps have the shape (n, channels, height, width), and lie in memory with the channels last: several
times faster on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import functional
from .dense import BatchNorm, Coder, Dense, TransposedDense

__all__ = ["Convolution", "Decoder", "Encoder", "HiddenMap", "ImageAutoencoder", "Level", "TransposedConvolution"]

Shape: TypeAlias = tuple[int, int, int]
"""Channels, height and width."""


class Level(NamedTuple):
    """Shapes before and behind a convolution and its pooling, its kernel, and the kind of pooling."""

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
        """Zeros around a map that let the kernel's middle reach every pixel."""
        return self.kernel[0] // 2, self.kernel[1] // 2

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """Shape of the kernels."""
        return self.coarse[0], self.fine[0], *self.kernel

    @property
    def width(self) -> int:
        """Numbers that the convolution makes of a row before they are pooled."""
        _, height, width = self.fine if self.pooling in ("max", "average") else self.coarse
        return self.coarse[0] * height * width


def levels_of(image_shape: Shape, channels: Sequence[int], kernel_size: int, pooling: str | None) -> list[Level]:
    """Levels from the image on.

    Sizes are halved upwards, so that no pixel is lost: 7 to 4, and 1 to 1. A kernel is not wider
    than what it can see of a map: of height 1 on a line of pixels.
    """
    found = []
    for n_channels in channels:
        _, h, w = image_shape
        kernel = min(kernel_size, 2 * h - 1), min(kernel_size, 2 * w - 1)
        coarse = (n_channels, h, w) if pooling is None else (n_channels, (h + 1) // 2, (w + 1) // 2)
        found.append(Level(image_shape, coarse, kernel, pooling))
        image_shape = coarse
    return found


def as_map(rows: Tensor, shape: Shape) -> Tensor:
    """Images from rows, in which one channel follows the other."""
    c, h, w = shape
    pixels = rows.reshape(-1, c, h * w).transpose(1, 2)
    return pixels.flatten().view(-1, h, w, c).permute(0, 3, 1, 2)  # flat, lest strides of size 1 hide the layout


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

    def initialise(self, rng: torch.Generator) -> None:
        """Draw the kernels as ``Dense`` draws its weights, and set the biases to zero."""
        _fill(self.weight, self.weight[0].numel(), rng)
        nn.init.zeros_(self.bias)


class TransposedConvolution(nn.Module):
    """The adjoint of a convolution with stride, from coarse to the exact size of fine.

    Parameters
    ----------
    level : Level
    tied : Convolution or None
        Whose kernels are used, if it has none of its own.
    biased : bool
        Whether a number is added to each channel.
    """

    def __init__(self, level: Level, tied: Convolution | None = None, biased: bool = True) -> None:
        super().__init__()
        self.level = level
        self._tied = (tied,)  # in a tuple, so that its parameters are not ours as well
        self.own = nn.Parameter(torch.empty(level.weight_shape)) if tied is None else None
        self.bias = nn.Parameter(torch.zeros(level.fine[0])) if biased else None

    @property
    def weight(self) -> Tensor:
        """Kernels, shaped as those of ``Convolution``."""
        (tied,) = self._tied
        weight = self.own if tied is None else tied.weight
        assert weight is not None
        return weight

    def forward(self, x: Tensor) -> Tensor:
        """Expand a batch of maps."""
        level = self.level
        surplus = [f - 1 - level.stride * (c - 1) for f, c in zip(level.fine[1:], level.coarse[1:], strict=True)]
        return F.conv_transpose2d(x, self.weight, self.bias, level.stride, level.padding, surplus)

    def initialise(self, rng: torch.Generator) -> None:
        """Draw kernels of its own, for as many inputs as a fine pixel has on average."""
        if self.own is not None:
            (_, *fine), (_, *coarse) = self.level.fine, self.level.coarse
            _fill(self.own, self.own[:, 0].numel() * math.prod(coarse) / math.prod(fine), rng)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


@torch.no_grad()
def _fill(weight: Tensor, fan_in: float, rng: torch.Generator) -> None:
    """U(-c, c), c^2 = 1.5 / fan_in."""
    c = math.sqrt(1.5 / fan_in)
    weight.copy_(torch.rand(weight.shape, generator=rng, dtype=weight.dtype).mul_(2 * c).sub_(c))


class HiddenMap(nn.Module):
    """Batch normalisation, activation and dropout of a map.

    Each channel is normalised over rows and positions, and is silenced as a whole (Tompson et al.,
    2015): its neighbours would give a single pixel away.
    """

    def __init__(self, n_channels: int, activation: str, dropout: float = 0.0, batch_norm: bool = False) -> None:
        super().__init__()
        self.activation, self.dropout = activation, dropout
        self.norm = BatchNorm(n_channels) if batch_norm else None

    def forward(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Propagate a batch of maps; with a generator, as in training."""
        if self.norm is not None:
            pixels = z.permute(0, 2, 3, 1)
            z = self.norm(pixels.flatten(0, 2), rng).view(pixels.shape).permute(0, 3, 1, 2)
        a = functional.ACTIVATIONS[self.activation](z)
        if self.dropout and rng is not None:
            a = a * functional.dropout_mask(a[:, :, :1, :1], self.dropout, rng)
        return a


class Encoder(nn.Module):
    """Levels of convolution, then dense layers to a vector; without them the last map is the code."""

    def __init__(self, levels: Sequence[Level], maps: Sequence[HiddenMap], dense: Dense | None) -> None:
        super().__init__()
        self.levels = list(levels)
        self.convolutions = nn.ModuleList(Convolution(level) for level in levels)
        self.maps = nn.ModuleList(maps)
        self.dense = dense

    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Code of each row, flat."""
        x = as_map(x, self.levels[0].fine)
        for convolve, through in zip(self.convolutions, self.maps, strict=True):
            x = through(convolve(x), rng)
        return x.flatten(1) if self.dense is None else self.dense(x.permute(0, 2, 3, 1).flatten(1), rng)

    @property
    def biases(self) -> list[Tensor]:
        """Bias of each layer, that of the code last."""
        return [parameter for name, parameter in self.named_parameters() if "bias" in name]

    def initialise(self, rng: torch.Generator) -> None:
        """Draw all weights."""
        for part in (*self.convolutions, self.dense):
            if part is not None:
                part.initialise(rng)


class Decoder(nn.Module):
    """The mirror of an encoder, and a bias for each number that comes out.

    Parameters
    ----------
    levels : sequence of Level
        From the image on, as in the encoder.
    maps : sequence of HiddenMap
        What the map behind each level goes through, in the same order.
    dense : Dense or None
        Layers from a vector to the last map.
    tied : Encoder or None
        Whose kernels are used, if there are none of its own.
    """

    def __init__(
        self, levels: Sequence[Level], maps: Sequence[HiddenMap], dense: Dense | None, tied: Encoder | None
    ) -> None:
        super().__init__()
        self.levels = list(levels)
        self.is_tied = tied is not None
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
        """The output's bias, in a list as ``Dense`` has it."""
        return [self.bias]

    def forward(self, h: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Output for each code, flat."""
        x = self._last_map(h, rng)
        for expand, through in zip(reversed(self.convolutions), reversed(self.maps), strict=True):
            x = expand(through(x, rng))
        return x.flatten(1) + self.bias

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


class ImageAutoencoder(Coder):
    """Convolutional encoder, decoder and likelihood, optionally as a residual around a linear projection.

    h = f(x) + P x and eta = g(h) + P' h, where f and g are convolutional. The projection P is there
    only if ``projected``, and is not trained.

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
    n_features, n_outputs : int
        Widths of x and of what is reconstructed, which is x unless another target is given.
    n_components : int
        Width of a vector, or channels of a map.
    hidden_layer_sizes : sequence of int
        Widths of the dense layers between the last hidden map and a vector.
    activation, code_activation : str
        Keys of ``functional.ACTIVATIONS``.
    likelihood : {"gaussian", "bernoulli", "categorical", "poisson"}
    categories : sequence of int
        Group sizes of the categorical likelihood.
    tied_weights, projected, batch_norm : bool
    dropout : float
    """

    def __init__(
        self,
        *,
        image_shape: Shape,
        channels: Sequence[int],
        kernel_size: int,
        pooling: str | None,
        code: str,
        n_features: int,
        n_components: int,
        n_outputs: int,
        hidden_layer_sizes: Sequence[int],
        activation: str,
        code_activation: str,
        likelihood: str,
        categories: Sequence[int],
        tied_weights: bool,
        projected: bool,
        dropout: float,
        batch_norm: bool,
    ) -> None:
        super().__init__(n_features, n_components, likelihood, categories, projected)
        options: dict[str, Any] = {"activation": activation, "dropout": dropout, "batch_norm": batch_norm}
        is_map = code == "map"
        widths = [*channels, n_components] if is_map else channels
        levels = levels_of(image_shape, widths, kernel_size, pooling)
        _, height, width = image_shape
        mirrored = levels_of((n_outputs // (height * width), height, width), widths, kernel_size, pooling)
        self.code_shape = levels[-1].coarse if is_map else (n_components,)

        def maps(of_code: str) -> list[HiddenMap]:
            hidden = [HiddenMap(n, **options) for n in channels]
            return [*hidden, HiddenMap(n_components, of_code)] if is_map else hidden

        inward = outward = None
        if not is_map:
            sizes = [math.prod(levels[-1].coarse), *hidden_layer_sizes, n_components]
            inward = Dense(sizes, output_activation=code_activation, **options)
            shared = TransposedDense(inward, sizes[::-1], **options) if tied_weights else None
            outward = shared or Dense(sizes[::-1], **options)
        self.encoder = Encoder(levels, maps(code_activation), inward)
        self.decoder = Decoder(mirrored, maps("identity"), outward, self.encoder if tied_weights else None)

    def encode(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Code of each row."""
        return self._project(self.encoder(self.head.embed(x), rng), x)

    def decode(self, h: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Parameter eta of p(x | h)."""
        return self._expand(self.decoder(h, rng), h)

    @property
    def widest(self) -> int:
        """Numbers that a row takes at its widest."""
        return max(level.width for level in self.encoder.levels)

    @property
    def multiplications(self) -> int:
        """Of the convolutions, for a row."""
        return sum(level.width * math.prod(level.weight_shape[1:]) for level in self.encoder.levels)

    def pull_back(self, x: Tensor, v: Tensor) -> Tensor:
        """See ``Coder``; m passes back through the encoder, which can be differentiated again."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            h = self.encode(x)
            rows = [torch.autograd.grad(h, x, u.expand_as(h), create_graph=True)[0] for u in v.unbind(1)]
        return torch.stack(rows, 1)

    @torch.no_grad()
    def initialise(self, mean: Tensor, rng: torch.Generator) -> None:
        """Start as the textbook network whose output, at the code zero, is about the mean of x."""
        self.encoder.initialise(rng)
        self.decoder.initialise(rng)
        self.decoder.bias.copy_(self.head.link(mean))

    @torch.no_grad()
    def start_at_projection(self, axes: Tensor, variances: Tensor) -> None:
        """Silence f and g, which then only learn what the projection on the axes leaves over.

        The decoder's first layer is scaled to codes of these variances. Tied weights keep their
        random start: silenced, they would stay at PCA, a saddle point.
        """
        assert self.projection is not None
        assert self.encoder.dense is not None
        assert self.decoder.dense is not None
        self.projection.copy_(axes)
        if not self.decoder.is_tied:
            self.encoder.dense.weights[-1].zero_()
            self.decoder.dense.weights[0].div_(variances.sqrt().clamp_min(1e-3))
            to_output: Any = self.decoder.convolutions[0]
            to_output.weight.zero_()
        self.decoder.bias.sub_(self.decoder(torch.zeros_like(axes[:, 0])[None])[0])
