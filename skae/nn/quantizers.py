"""Quantisers: what replaces the code of a row by one of finitely many, and the autoencoders that hold them.

The code of a row is cut into vectors, each of which is replaced by an entry of one codebook. A code that is a map has a
vector at every position. The number of an entry is called an index.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..functional import average
from .bottleneck import Bottleneck
from .coder import Coder
from .convolutional import ImageAutoencoder
from .dense import DenseAutoencoder

__all__ = [
    "FiniteScalarQuantizer",
    "Learning",
    "QuantizedImages",
    "QuantizedRows",
    "Quantizer",
    "VectorQuantizer",
    "balancing_rotation",
    "normal_gains",
]

N_QUANTILES = 2**12
"""Quantiles that stand for a normal distribution."""


class Learning(NamedTuple):
    """How a codebook is learnt, see ``VectorQuantizer``."""

    commitment: float
    decay: float
    dead_below: float


class Quantizer(nn.Module):
    """Cuts codes into vectors, and replaces each by an entry of a codebook that they share.

    Parameters
    ----------
    size : int
        Entries of the codebook.
    n_groups : int
        Vectors at each position of the code.
    width : int
        Numbers of a vector.
    n_positions : int
        Positions of a code that is a map, and 1 for a vector.

    Attributes
    ----------
    n_codes : int
        Vectors of a row, ``n_groups * n_positions``. Those of the first group come first.
    frequency : Tensor of shape (n_codes, size)
        How often each vector of a row was replaced by each entry; they sum to one over the entries.
    n_counted : Tensor of shape ()
        How many rows the frequencies were counted on.
    """

    codebook: Tensor
    frequency: Tensor
    n_counted: Tensor

    def __init__(self, size: int, n_groups: int, width: int, n_positions: int) -> None:
        super().__init__()
        self.size, self.n_groups, self.width, self.n_positions = size, n_groups, width, n_positions
        self.n_codes = n_groups * n_positions
        self.register_buffer("frequency", torch.full((self.n_codes, size), 1.0 / size))
        self.register_buffer("n_counted", torch.zeros(()))

    # ---------------------------------------------------------------- hooks of a subclass

    def nearest(self, z: Tensor) -> Tensor:
        """Index of the entry that replaces each vector: (m, width) -> (m,)."""
        raise NotImplementedError

    def entries(self, index: Tensor) -> Tensor:
        """Entries of the codebook by their indices: (m,) -> (m, width)."""
        raise NotImplementedError

    def bottleneck(
        self, neck: Bottleneck, weight: Tensor | None, learning: Learning, rng: torch.Generator | None
    ) -> Bottleneck:
        """Quantise the code of a bottleneck; with a generator, as in training.

        Parameters
        ----------
        neck : Bottleneck
            Its h are codes of n rows.
        weight : Tensor of shape (n,) or None
        learning : Learning
        rng : torch.Generator or None
        """
        raise NotImplementedError

    # ---------------------------------------------------------------- codes and indices

    def cut(self, h: Tensor) -> Tensor:
        """The vectors of codes of n rows, of shape (n * n_codes, width)."""
        shape = len(h), self.n_groups, self.width, self.n_positions
        return h.reshape(shape).transpose(2, 3).reshape(-1, self.width)

    def join(self, z: Tensor) -> Tensor:
        """The codes of n rows, from their vectors."""
        shape = -1, self.n_groups, self.n_positions, self.width
        return z.view(shape).transpose(2, 3).flatten(1)

    def indices(self, h: Tensor) -> Tensor:
        """Indices of codes of n rows, of shape (n, n_codes)."""
        return self.nearest(self.cut(h)).view(-1, self.n_codes)

    def codes(self, indices: Tensor) -> Tensor:
        """Quantised codes of n rows, from their indices."""
        return self.join(self.entries(indices.reshape(-1)))

    # ---------------------------------------------------------------- frequencies

    @torch.no_grad()
    def count(self, counts: Tensor, n_rows: float, share: float) -> None:
        """Move the frequencies by a share of the way to those of some rows.

        Parameters
        ----------
        counts : Tensor of shape (n_codes, size)
            Sums of the weights of the rows with each index.
        n_rows : float
            Sum of the weights of all rows.
        share : float
        """
        self.frequency.lerp_((counts / n_rows).to(self.frequency.dtype).to(self.frequency.device), share)
        self.n_counted.add_(n_rows)

    @property
    def prior(self) -> Tensor:
        """Probability of each index of a row, of shape (n_codes, size).

        One row more is spread evenly over all indices, so that none is impossible.
        """
        return (self.frequency * self.n_counted + 1.0 / self.size) / (self.n_counted + 1.0)

    def log_prior(self, indices: Tensor) -> Tensor:
        """Log-probability of the indices of each row, which are independent: (n, n_codes) -> (n,)."""
        return self.prior.log().gather(1, indices.t()).sum(0)

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw the indices of n rows, of shape (n, n_codes)."""
        return torch.multinomial(self.prior, n, replacement=True, generator=rng).t()


class VectorQuantizer(Quantizer):
    """A codebook of vectors, of which the nearest is taken (van den Oord et al., 2017).

    An entry follows the mean of the vectors that it replaces. With the vectors z_i of a batch that are nearest to entry
    e_k, of which there are n_k,

        N_k <- decay N_k + (1 - decay) n_k  and  e_k <- e_k + (1 - decay) n_k / N_k (mean_i z_i - e_k),

    which is a ratio of moving averages. With decay 0 an entry is the mean of the batch, as in a step of k-means.
    An entry whose N_k is below ``dead_below`` times the mean of all N is dead: it restarts at a vector of the batch.

    The gradient passes the quantisation as if it were not there. The term "commitment" pulls a code e towards its
    entries q: ``commitment`` times the mean over the rows of ||e - q||^2.

    Attributes
    ----------
    codebook : Tensor of shape (size, width)
    counts : Tensor of shape (size,)
        The moving averages N.
    """

    counts: Tensor

    def __init__(self, size: int, n_groups: int, width: int, n_positions: int) -> None:
        super().__init__(size, n_groups, width, n_positions)
        self.register_buffer("codebook", torch.zeros(size, width))
        self.register_buffer("counts", torch.zeros(size))

    @torch.no_grad()
    def start(self, codebook: Tensor, counts: Tensor) -> None:
        """Set the entries, and the vectors of a batch that each is expected to replace."""
        self.codebook.copy_(codebook)
        self.counts.copy_(counts)

    def nearest(self, z: Tensor) -> Tensor:
        half = self.codebook.square().sum(1) / 2
        return torch.addmm(half, z.detach(), self.codebook.t(), alpha=-1).min(1).indices  # twice as fast as argmin

    def entries(self, index: Tensor) -> Tensor:
        return self.codebook.index_select(0, index)

    def bottleneck(
        self, neck: Bottleneck, weight: Tensor | None, learning: Learning, rng: torch.Generator | None
    ) -> Bottleneck:
        e, z = neck.h, self.cut(neck.h.detach())
        index = self.nearest(z)
        q = self.join(self.entries(index))
        if rng is not None:
            self._follow(z, index, weight, learning, rng)
        difference = e - q
        lost = learning.commitment * average(difference.square().sum(1), weight)
        slope = difference.detach() * (2 * learning.commitment / len(e))
        h = q + (e - e.detach()) if e.requires_grad else q
        return neck._replace(h=h).plus("commitment", lost, slope if weight is None else slope * weight[:, None])

    @torch.no_grad()
    def _follow(
        self, z: Tensor, index: Tensor, weight: Tensor | None, learning: Learning, rng: torch.Generator
    ) -> None:
        w = torch.ones_like(z[:, 0]) if weight is None else weight.repeat_interleave(self.n_codes)
        member = z.new_zeros(len(z), self.size).scatter_(1, index[:, None], w[:, None])
        n, least = member.sum(0), torch.finfo(z.dtype).tiny
        new = n * (1 - learning.decay)
        self.counts.mul_(learning.decay).add_(new)
        share, mean = new / self.counts.clamp_min(least), member.t() @ z / n.clamp_min(least)[:, None]
        self.codebook.lerp_(mean, share[:, None])
        if learning.dead_below:
            self._restart(z, w, learning.dead_below, rng)

    def _restart(self, z: Tensor, w: Tensor, dead_below: float, rng: torch.Generator) -> None:
        """Restart dead entries at vectors of the batch, which are drawn by their weights.

        All entries are computed and dead ones are chosen, since a look at which are dead would make a device wait.
        """
        usual = self.counts.mean()
        dead = self.counts < dead_below * usual
        drawn = torch.multinomial(w + torch.finfo(w.dtype).tiny, self.size, replacement=True, generator=rng)
        self.codebook.copy_(torch.where(dead[:, None], z[drawn], self.codebook))
        self.counts.copy_(torch.where(dead, usual, self.counts))


class FiniteScalarQuantizer(Quantizer):
    """Rounds each number of a code to one of a few levels (Mentzer et al., 2023). There is nothing to learn.

    A number e becomes 2 r / (L - 1) - 1 with r = round((L - 1) (tanh(e) + 1) / 2), which is one of L levels from
    -1 to 1. The gradient passes the rounding as if it were not there, and so is that of tanh. The entries are all
    combinations of levels. Mentzer et al. divide by L // 2 and shift even levels by a half; that is this, but for the
    scale and the offset of a number.

    Parameters
    ----------
    levels : sequence of int
        L of each number of a vector.
    n_groups, n_positions : int
        See ``Quantizer``.
    """

    levels: Tensor
    basis: Tensor

    def __init__(self, levels: Sequence[int], n_groups: int, n_positions: int) -> None:
        super().__init__(math.prod(levels), n_groups, len(levels), n_positions)
        basis = [math.prod(levels[:i]) for i in range(len(levels))]
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        self.register_buffer("basis", torch.tensor(basis), persistent=False)

    @property
    def codebook(self) -> Tensor:  # type: ignore[override]
        """All combinations of levels, of shape (size, width), by their indices."""
        return self.entries(torch.arange(self.size, device=self.basis.device))

    def _round(self, bounded: Tensor) -> Tensor:
        """Number of the level of each number between -1 and 1."""
        return ((bounded + 1) * ((self.levels - 1) / 2)).round()

    def _level(self, number: Tensor) -> Tensor:
        return number.to(self.frequency.dtype) * 2 / (self.levels - 1) - 1

    def nearest(self, z: Tensor) -> Tensor:
        return (self._round(z.detach().tanh()).long() * self.basis).sum(1)

    def entries(self, index: Tensor) -> Tensor:
        return self._level(index[:, None].div(self.basis, rounding_mode="floor") % self.levels)

    def bottleneck(
        self, neck: Bottleneck, weight: Tensor | None, learning: Learning, rng: torch.Generator | None
    ) -> Bottleneck:
        bounded = neck.h.tanh()
        h = self.join(self._level(self._round(self.cut(bounded.detach()))))
        if bounded.requires_grad:
            h = h + (bounded - bounded.detach())
        slope = 1 - bounded.detach().square()
        return Bottleneck(h, neck.terms, lambda g: neck.backward(g * slope))


@dataclass(kw_only=True, eq=False, repr=False)
class Quantized(Coder):
    """An autoencoder with a quantiser behind its encoder.

    The parameters beside these are those of ``Coder``.

    Parameters
    ----------
    n_groups : int
        Vectors that the ``n_components`` numbers of a code, or of a position of a map, are cut into.
    codebook_size : int
    levels : sequence of int
        Of the numbers of a vector, for a ``FiniteScalarQuantizer``. () asks for a ``VectorQuantizer``.
    """

    n_groups: int
    codebook_size: int
    levels: Sequence[int]
    quantizer: Any = field(init=False)

    def _make_layers(self) -> None:
        super()._make_layers()
        n_positions = math.prod(getattr(self, "code_shape", (1,))[1:])
        width = self.n_components // self.n_groups
        if self.levels:
            self.quantizer = FiniteScalarQuantizer(self.levels, self.n_groups, n_positions)
        else:
            self.quantizer = VectorQuantizer(self.codebook_size, self.n_groups, width, n_positions)

    def _require_possible(self) -> None:
        super()._require_possible()
        width, left = divmod(self.n_components, self.n_groups)
        if left or (self.levels and (len(self.levels) != width or math.prod(self.levels) != self.codebook_size)):
            raise ValueError(f"{self.n_components} numbers are not {self.n_groups} vectors of {self.levels} levels.")

    @property
    def widest(self) -> int:
        """Numbers that a row takes at its widest, distances to all entries included."""
        inherited = getattr(super(), "widest", 1)
        matrices = (p.shape[0] for p in self.parameters() if p.ndim > 1)
        return max(inherited, *matrices, self.quantizer.n_codes * self.quantizer.size)


@dataclass(kw_only=True, eq=False, repr=False)
class QuantizedRows(Quantized, DenseAutoencoder):
    """A dense autoencoder with a quantiser, see ``Quantized``."""


@dataclass(kw_only=True, eq=False, repr=False)
class QuantizedImages(Quantized, ImageAutoencoder):
    """A convolutional autoencoder with a quantiser, see ``Quantized``."""


def balancing_rotation(variances: Tensor, n_groups: int) -> Tensor:
    """A rotation that spreads uncorrelated numbers over groups, so that all groups have the same variances.

    Number i of each group is a mixture of the ``n_groups`` numbers whose variances come i-th, and has their mean
    variance. So one codebook suits all groups. Groups of adjacent principal components would differ in scale.

    Parameters
    ----------
    variances : Tensor of shape (n,)
        In descending order.
    n_groups : int

    Returns
    -------
    Tensor of shape (n, n), float64
        An orthogonal matrix. Its row g n / n_groups + i makes number i of group g.
    """
    n, width = len(variances), len(variances) // n_groups
    rotation = torch.zeros(n, n, dtype=torch.float64)
    for i in range(width):
        block = slice(i * n_groups, (i + 1) * n_groups)
        rotation[i::width, block] = _levelling_rotation(variances[block].double())
    return rotation


def normal_gains(levels: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """How a ``FiniteScalarQuantizer`` is told numbers z from N(0, 1), and how they are read off its levels q.

    Returns
    -------
    gain_in, gain_out, variance : Tensor of shape (len(levels),), float64
        What is quantised is ``gain_in`` z. The best linear guess of z is ``gain_out`` q. The last is the variance of q.
        Between 3 and 32 levels L, a ``gain_in`` of 1.55 / sqrt(L) loses at most 3 percent more than the best one.
    """
    z = torch.special.ndtri((torch.arange(N_QUANTILES, dtype=torch.float64) + 0.5) / N_QUANTILES)[:, None]
    gain = 1.55 / torch.tensor(levels, dtype=torch.float64).sqrt()
    quantizer = FiniteScalarQuantizer(levels, 1, 1).double()
    q = quantizer.entries(quantizer.nearest(gain * z))
    variance = q.square().mean(0)
    return gain, (z * q).mean(0) / variance, variance


def _levelling_rotation(variances: Tensor) -> Tensor:
    """A rotation after which all variances are equal, by a plane rotation for each (Schur and Horn's theorem)."""
    covariance, rotation = torch.diag(variances.cpu()), torch.eye(len(variances), dtype=torch.float64)
    mean = float(variances.mean())
    for _ in range(len(variances) - 1):
        diagonal = covariance.diagonal()
        high, low = int(diagonal.argmax()), int(diagonal.argmin())
        a, b, c = (float(covariance[pair]) for pair in ((high, high), (low, low), (high, low)))
        if a - b <= 1e-9 * abs(mean):
            break
        # The tangent t of the angle solves (b - mean) t^2 + 2 c t + (a - mean) = 0: the new variance is the mean.
        t = (c + math.sqrt(max(c * c + (mean - b) * (a - mean), 0.0))) / (mean - b)
        cosine = 1 / math.hypot(1.0, t)
        plane = torch.tensor([[cosine, t * cosine], [-t * cosine, cosine]], dtype=torch.float64)
        pair = [high, low]
        covariance[pair] = plane @ covariance[pair]
        covariance[:, pair] = covariance[:, pair] @ plane.t()
        rotation[pair] = plane @ rotation[pair]
    return rotation
