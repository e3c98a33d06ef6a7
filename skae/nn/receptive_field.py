"""Locally connected filters, pooling and contrast normalisation: the module of ``ReceptiveFieldAutoencoder``.

Here a column is an image: pixels have shape (n_features, n), and maps (height, width, channels, n). The
pixels that a filter sees in all images are then one contiguous matrix, and all positions of filters
are one batched product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "LocallyConnected",
    "ReceptiveFields",
    "contrast_normalise",
    "grid_of",
    "l2_pool",
]

LEAST_CONTRAST = 0.01
"""Least number that pixels are divided by where the contrast is low: c of Le et al. (2012)."""
LEAST_VARIATION = 1e-6
"""A regression leaves out directions of the code whose second moment is below this fraction of the largest."""


def grid_of(sides: Sequence[int], size: Sequence[int], stride: Sequence[int]) -> tuple[int, ...]:
    """How many windows of this size fit into an image below each other, and how many side by side."""
    return tuple((n - k) // step + 1 for n, k, step in zip(sides, size, stride, strict=True))


def l2_pool(h: Tensor, size: Sequence[int], stride: Sequence[int], eps: float) -> Tensor:
    """sqrt(eps + sum h^2) over windows of neighbouring positions of a channel."""
    height, width = (_windows(n, k, h)[::step] for n, k, step in zip(h.shape, size, stride, strict=False))
    return (_on_grid(height, width, h.square()) + eps).sqrt()


def contrast_normalise(p: Tensor, size: Sequence[int]) -> Tensor:
    """Subtractive, then divisive normalisation by the neighbourhood (Jarrett et al., 2009).

    g = p - G p and y = g / max(c, sqrt(G g^2)), where G is the Gaussian average over a window of
    positions and all channels. At the border only positions inside the map are averaged, so that a
    constant map becomes zero.
    """
    height, width = (_gaussian(n, k, p) for n, k in zip(p.shape, size, strict=False))
    g = p - _on_grid(height, width, p.mean(2, keepdim=True))
    contrast = _on_grid(height, width, g.square().mean(2, keepdim=True))
    return g / contrast.clamp_min(LEAST_CONTRAST**2).sqrt()


def unpool(p: Tensor, size: Sequence[int], stride: Sequence[int]) -> Tensor:
    """Maps over the positions that were pooled: each has the value of the window whose middle is nearest."""
    for axis, (k, step) in enumerate(zip(size, stride, strict=True)):
        last = p.shape[axis] - 1
        position = torch.arange(last * step + k, device=p.device)
        nearest = (2 * position + 1 - k + step).div(2 * step, rounding_mode="floor")
        p = p.index_select(axis, nearest.clamp(0, last))
    return p


def _on_grid(height: Tensor, width: Tensor, maps: Tensor) -> Tensor:
    """Apply one matrix along the height of maps, and another along their width."""
    return torch.einsum("vx,uxkn->uvkn", width, torch.tensordot(height, maps, 1))


def _windows(n: int, size: int, like: Tensor) -> Tensor:
    """A matrix that sums over each window of this size on a line of n positions, one row a window."""
    ones = torch.ones(n, n, dtype=like.dtype, device=like.device)
    return ones.triu().tril(size - 1)[: n - size + 1]


def _gaussian(n: int, size: int, like: Tensor) -> Tensor:
    """A matrix of Gaussian averages around each of n positions; the window ends at two standard deviations."""
    t = torch.arange(n, dtype=like.dtype, device=like.device)
    distance = (t[:, None] - t).abs()
    weight = torch.exp(-0.5 * (4 * distance / size).square()) * (distance <= size // 2)
    return weight / weight.sum(1, keepdim=True)


class LocallyConnected(nn.Module):
    """Linear filters h_pk = w_pk' x_p, whose weights differ at every position p of a grid.

    Parameters
    ----------
    image_shape : (int, int, int)
        Channels, height and width of x, in this order in a row.
    n_filters : int
        Filters at each position.
    field_size, stride : (int, int)
        Height and width of the fields x_p, and the steps between them.
    """

    pixels: Tensor
    order: Tensor
    start: Tensor

    def __init__(
        self, image_shape: Sequence[int], n_filters: int, field_size: Sequence[int], stride: Sequence[int]
    ) -> None:
        super().__init__()
        self.grid = grid_of(image_shape[1:], field_size, stride)
        pixels = _pixels_of_fields(image_shape, field_size, stride)
        self.weight = nn.Parameter(torch.empty(len(pixels), n_filters, pixels.shape[1]))
        members = torch.zeros(math.prod(image_shape), dtype=torch.long)
        members.index_add_(0, pixels.flatten(), torch.ones_like(pixels.flatten()))
        # order lists where each pixel lies in the fields, pixel after pixel: that of pixel i begins at start[i].
        tables = {
            "pixels": pixels.flatten(),
            "order": pixels.flatten().argsort(stable=True),
            "start": members.cumsum(0) - members,
        }
        for name, table in tables.items():
            self.register_buffer(name, table.int(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the filters' responses to pixels."""
        return (self.weight @ self.fields(x)).unflatten(0, self.grid)

    def transpose(self, h: Tensor) -> Tensor:
        """Pixels from maps by the same weights, sum_pk h_pk w_pk; where fields overlap, they add up."""
        return self.overlap(self.weight.mT @ h.flatten(0, 1))

    def fields(self, x: Tensor) -> Tensor:
        """The pixels in each field, of shape (positions, pixels of a field, n)."""
        n_positions, _, n_inputs = self.weight.shape
        return x.index_select(0, self.pixels).view(n_positions, n_inputs, -1)

    def overlap(self, fields: Tensor) -> Tensor:
        """The transpose of ``fields``: the sum at each pixel. Its order is fixed, so that a GPU repeats it exactly."""
        return F.embedding_bag(self.order, fields.flatten(0, 1), self.start, mode="sum")

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Draw normal weights for which W' W x is about as long as x."""
        n_positions, n_filters, n_inputs = self.weight.shape
        crowding = n_positions * n_filters / len(self.start)
        draw = torch.randn(self.weight.shape, generator=rng, dtype=self.weight.dtype)
        self.weight.copy_(draw / math.sqrt(n_inputs * max(1.0, crowding)))


def _pixels_of_fields(image_shape: Sequence[int], field_size: Sequence[int], stride: Sequence[int]) -> Tensor:
    """Index of each pixel of each field, of shape (positions, pixels of a field)."""
    image = torch.arange(math.prod(image_shape)).view(*image_shape)
    fields = image.unfold(1, field_size[0], stride[0]).unfold(2, field_size[1], stride[1])
    return fields.permute(1, 2, 0, 3, 4).flatten(2).flatten(0, 1)


def _as_rows(maps: Tensor) -> Tensor:
    """Flatten maps to rows, one channel after the other."""
    return maps.permute(3, 2, 0, 1).flatten(1)


class ReceptiveFields(nn.Module):
    """An encoder of images, and its approximate inverse.

    The encoder is whitening, locally connected filters, L2 pooling and contrast normalisation. The
    decoder estimates the filters' responses from the code by linear regression.

    Parameters
    ----------
    image_shape : (int, int, int)
        Channels, height and width.
    n_components : int
        Filters at each position.
    field_size, stride, pool_size, pool_stride : (int, int)
    contrast_size : (int, int) or None
    eps : float
        What is added under the root of the pooling.
    whitened : bool
        Whether there is a whitening. It is the identity until ``set_whitening``.
    """

    whitening: Tensor | None
    colouring: Tensor | None
    estimate: Tensor | None

    def __init__(
        self,
        *,
        image_shape: Sequence[int],
        n_components: int,
        field_size: Sequence[int],
        stride: Sequence[int],
        pool_size: Sequence[int],
        pool_stride: Sequence[int],
        contrast_size: Sequence[int] | None,
        eps: float,
        whitened: bool,
    ) -> None:
        super().__init__()
        self.filters = LocallyConnected(image_shape, n_components, field_size, stride)
        self.pool_size, self.pool_stride, self.eps = pool_size, pool_stride, eps
        self.contrast_size = contrast_size
        self.code_shape = (n_components, *grid_of(self.filters.grid, pool_size, pool_stride))
        if min(*pool_size, *pool_stride, *self.code_shape) < 1:
            raise ValueError(f"Windows of {pool_size} positions do not fit into {self.filters.grid}.")
        identity = torch.eye(math.prod(image_shape)) if whitened else None
        self.register_buffer("whitening", identity)
        self.register_buffer("colouring", identity if identity is None else identity.clone())
        shape = (len(self.filters.weight), n_components, n_components + 1)
        self.register_buffer("estimate", None if self.is_linear else torch.zeros(shape))

    @property
    def is_linear(self) -> bool:
        """Whether the code is the filters' responses, without pooling and normalisation."""
        return self.contrast_size is None and math.prod(self.pool_size) == 1

    @property
    def widest(self) -> int:
        """Numbers that a row takes at its widest."""
        n_positions, n_filters, n_inputs = self.filters.weight.shape
        return n_positions * max(n_filters, n_inputs)

    def whiten(self, x: Tensor) -> Tensor:
        """Pixels of rows, one column a row, with about unit variance and no correlation."""
        return x.T if self.whitening is None else self.whitening @ x.T

    def pool(self, h: Tensor) -> Tensor:
        """L2 norms of neighbouring responses."""
        return l2_pool(h, self.pool_size, self.pool_stride, self.eps)

    def respond(self, x: Tensor) -> Tensor:
        """Maps of the filters' responses to rows."""
        return self.filters(self.whiten(x))

    def encode(self, x: Tensor) -> Tensor:
        """Code of each row, as a row."""
        return _as_rows(self._code(self.respond(x)))

    def responses(self, x: Tensor) -> Tensor:
        """The filters' responses to each row, as a row."""
        return _as_rows(self.respond(x))

    def _code(self, h: Tensor) -> Tensor:
        p = h if math.prod(self.pool_size) == 1 else self.pool(h)
        return p if self.contrast_size is None else contrast_normalise(p, self.contrast_size)

    def decode(self, code: Tensor) -> Tensor:
        """Rows from codes, by the responses that the regression estimates from these."""
        c = code.unflatten(1, self.code_shape).permute(2, 3, 1, 0)
        h = c if self.estimate is None else (self.estimate @ self._regressors(c)).unflatten(0, self.filters.grid)
        z = self.filters.transpose(h)
        return z.T if self.colouring is None else z.T @ self.colouring

    def _regressors(self, c: Tensor) -> Tensor:
        """What predicts the responses at each position: the code there, and a constant.

        The shape is (positions, n_components + 1, n).
        """
        return F.pad(unpool(c, self.pool_size, self.pool_stride).flatten(0, 1), (0, 0, 0, 1), value=1.0)

    def moments(self, x: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
        """Sums over rows of response times regressor and of regressor times regressor, at each position."""
        h = self.respond(x)
        c = self._regressors(self._code(h))
        weighted = (c if weight is None else c * weight).mT
        return h.flatten(0, 1) @ weighted, c @ weighted

    @torch.no_grad()
    def set_estimate(self, cross: Tensor, second: Tensor) -> None:
        """Regress the responses at each position on the code there by least squares, given ``moments``."""
        assert self.estimate is not None
        self.estimate.copy_(cross @ torch.linalg.pinv(second, rtol=LEAST_VARIATION, hermitian=True))

    @torch.no_grad()
    def set_whitening(self, axes: Tensor, variances: Tensor, eps: float) -> None:
        """Whiten by ZCA, the matrix (C + eps)^(-1/2).

        The covariance C has these axes as eigenvectors, one a row, with the variances as eigenvalues. Its
        other eigenvalues are taken as 0.
        """
        for power, matrix in ((-0.5, self.whitening), (0.5, self.colouring)):
            assert matrix is not None
            elsewhere = eps**power
            matrix.copy_(axes.T * ((variances + eps) ** power - elsewhere) @ axes)
            matrix.diagonal().add_(elsewhere)
