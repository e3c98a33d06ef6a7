"""Units of Boltzmann machines: what a layer's states are, and how they follow from its field.

Each kind is an exponential family, p(x | f) = exp(x'f + log_base(x) - log_normaliser(f)), of which
the field f is the natural parameter: a bias plus what comes in from the neighbouring layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from ..functional import group_log_softmax, group_max, group_sum

__all__ = ["Bernoulli", "Counts", "Gaussian", "Joint", "Rectified", "Softmax", "Units", "gauss_hermite", "units_of"]

BLOCK = 2**20
"""Binary units of which rectified ones are made, that are drawn at a time."""


class Units(nn.Module):
    """A layer of units of one kind.

    Functions take fields or states of shape (n, width). ``total``, of shape (n,), is the number of
    draws that a row is made of; only ``Counts`` have one.

    Parameters
    ----------
    width : int
        Columns of the layer.
    """

    n_states: float = math.inf
    """How many states the layer has, or 2^100 if there are more."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def admit(self, x: Tensor) -> Tensor:
        """States as near as may be to x, for kinds that others would break."""
        return x

    def total(self, x: Tensor) -> Tensor | None:
        """Number of draws of each row."""
        return None

    def mean(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        """E[x | f], the derivative of ``log_normaliser``."""
        raise NotImplementedError

    def steady_mean(self, field: Tensor) -> Tensor:
        """``mean``, but to the last bit the same whatever rows are beside it."""
        return self.mean(field)

    def draw(self, mean: Tensor, rng: torch.Generator, total: Tensor | None = None) -> Tensor:
        """A state, given its expectation; quick, if it is not from p(x | f) to the last digit."""
        raise NotImplementedError

    def sample(self, field: Tensor, rng: torch.Generator, total: Tensor | None = None) -> Tensor:
        """A state from p(x | f)."""
        return self.draw(self.mean(field, total), rng, total)

    def log_normaliser(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        """Log sum_x exp(x'f + log_base(x)) of each row: of shape (n,)."""
        raise NotImplementedError

    def log_base(self, x: Tensor) -> Tensor | float:
        """The part of log p(x | f) that is neither linear in x nor a constant: of shape (n,)."""
        return 0.0

    def link(self, mean: Tensor) -> Tensor:
        """The field at which units have about this mean."""
        return mean

    def states(self, number: Tensor) -> Tensor:
        """States by their numbers from 0 to ``n_states`` - 1: of shape (len(number), width)."""
        raise NotImplementedError


class Bernoulli(Units):
    """Units that are 0 or 1."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.n_states = 2 ** min(width, 100)

    def mean(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return torch.sigmoid(field)

    def steady_mean(self, field: Tensor) -> Tensor:
        return 1 / (1 + torch.exp(-field))  # torch.sigmoid rounds the end of a tensor in another way

    def draw(self, mean: Tensor, rng: torch.Generator, total: Tensor | None = None) -> Tensor:
        u = torch.empty_like(mean).uniform_(generator=rng)
        return torch.lt(u, mean, out=u)  # a quarter of the time of torch.bernoulli

    def log_normaliser(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return softplus(field).sum(-1)

    def link(self, mean: Tensor) -> Tensor:
        return torch.logit(mean, eps=1e-3)

    def states(self, number: Tensor) -> Tensor:
        return (number[:, None] >> torch.arange(self.width, device=number.device)) & 1


class Gaussian(Units):
    """Real numbers with a normal distribution of variance 1 around their field."""

    def mean(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return field

    def draw(self, mean: Tensor, rng: torch.Generator, total: Tensor | None = None) -> Tensor:
        return torch.empty_like(mean).normal_(generator=rng).add_(mean)

    def log_normaliser(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return field.square().sum(-1).mul(0.5).add(0.5 * math.log(2 * math.pi) * field.shape[-1])

    def log_base(self, x: Tensor) -> Tensor:
        return x.square().sum(-1).mul(-0.5)


class Rectified(Units):
    """Noisy rectified linear units: each the sum of infinitely many binary ones with biases -1/2, -3/2, ...

    A state is their sum, a whole number whose mean is about softplus(f) and whose variance is about
    sigmoid(f). Nair and Hinton (2010) draw max(0, N(f, sigmoid(f))) instead, which is quick and close.
    """

    def mean(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return _stepped_mean(field, torch.sigmoid(field))

    def steady_mean(self, field: Tensor) -> Tensor:
        return _stepped_mean(field, 1 / (1 + torch.exp(-field)))

    def draw(self, mean: Tensor, rng: torch.Generator, total: Tensor | None = None) -> Tensor:
        field = mean + torch.expm1(-mean).neg_().log_()
        noise = torch.empty_like(mean).normal_(generator=rng)
        return torch.relu(field + noise * torch.sigmoid(field).sqrt())

    def sample(self, field: Tensor, rng: torch.Generator, total: Tensor | None = None) -> Tensor:
        n_units = max(0, math.ceil(float(field.max()))) + 20  # those after it are on once in e^20 times
        shift = torch.arange(n_units, device=field.device) + 0.5
        state = torch.zeros_like(field)
        for some in shift.split(max(1, BLOCK // field.numel())):
            p = torch.sigmoid(field - some.view(-1, *[1] * field.ndim))
            state += (torch.empty_like(p).uniform_(generator=rng) < p).sum(0)
        return state

    def log_normaliser(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return stepped_softplus(field).sum(-1)


class Softmax(Units):
    """Groups of columns of which one is 1 and the others are 0, as one-hot encoding makes them.

    Parameters
    ----------
    sizes : sequence of int
        Columns of each group.
    """

    member: Tensor

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__(sum(sizes))
        self.sizes = tuple(sizes)
        self.n_states = min(math.prod(sizes), 2**100)
        self.register_buffer("member", torch.arange(len(sizes)).repeat_interleave(torch.as_tensor(sizes)))

    def mean(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return group_log_softmax(field, self.member, len(self.sizes)).exp()

    def draw(self, mean: Tensor, rng: torch.Generator, total: Tensor | None = None) -> Tensor:
        race = torch.empty_like(mean).exponential_(generator=rng).div_(mean)  # the first arrival wins
        first = -group_max(-race, self.member, len(self.sizes))
        return (race == first[:, self.member]).to(mean.dtype)

    def log_normaliser(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        with torch.no_grad():
            largest = group_max(field, self.member, len(self.sizes))
        sums = group_sum((field - largest[:, self.member]).exp(), self.member, len(self.sizes))
        return (sums.log() + largest).sum(-1)

    def link(self, mean: Tensor) -> Tensor:
        return mean.clamp_min(1e-3).log()

    def states(self, number: Tensor) -> Tensor:
        columns, first = [], 0
        for size in self.sizes:
            columns.append(number % size + first)
            number, first = number // size, first + size
        return torch.zeros((len(number), self.width), dtype=number.dtype).scatter_(1, torch.stack(columns, 1), 1)


class Counts(Units):
    """How often each of the columns was drawn in ``total`` draws: a softmax unit, replicated.

    The states are those of one row with so many draws, all orders of which are one state.
    """

    def admit(self, x: Tensor) -> Tensor:
        return x.clamp_min(0)

    def total(self, x: Tensor) -> Tensor:
        return x.sum(-1)

    def mean(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        probability = torch.softmax(field, -1)
        return probability if total is None else probability * total[..., None]

    def draw(self, mean: Tensor, rng: torch.Generator, total: Tensor | None = None) -> Tensor:
        assert total is not None
        most = int(total.max().round())
        if most < 1:
            return torch.zeros_like(mean)
        drawn = torch.multinomial(mean.nan_to_num(0.0, 0.0).clamp_min(1e-30), most, replacement=True, generator=rng)
        counted = torch.arange(most, device=mean.device) < total.round()[:, None]
        return torch.zeros_like(mean).scatter_add_(1, drawn, counted.to(mean.dtype))

    def log_normaliser(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        one = torch.logsumexp(field, -1)
        return one if total is None else one * total

    def log_base(self, x: Tensor) -> Tensor:
        return torch.lgamma(x.sum(-1) + 1) - torch.lgamma(x.clamp_min(0) + 1).sum(-1)

    def link(self, mean: Tensor) -> Tensor:
        share = mean / mean.sum().clamp_min(1e-30)
        return share.clamp_min(0.1 / self.width).log()


class Joint(Units):
    """Layers side by side: pixels and a label, or two modalities.

    Parameters
    ----------
    parts : sequence of Units
        From the first column to the last; none of them are counts.
    """

    def __init__(self, parts: Sequence[Units]) -> None:
        super().__init__(sum(part.width for part in parts))
        self.parts = nn.ModuleList(parts)
        self.widths = [part.width for part in parts]
        self.n_states = math.prod(part.n_states for part in parts)

    def _each(self, function: str, x: Tensor, *arguments: object) -> list[Tensor]:
        pieces = zip(self.parts, x.split(self.widths, -1), strict=True)
        return [getattr(part, function)(piece, *arguments) for part, piece in pieces]

    def mean(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return torch.cat(self._each("mean", field), -1)

    def draw(self, mean: Tensor, rng: torch.Generator, total: Tensor | None = None) -> Tensor:
        return torch.cat(self._each("draw", mean, rng), -1)

    def log_normaliser(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return torch.stack(self._each("log_normaliser", field)).sum(0)

    def log_base(self, x: Tensor) -> Tensor | float:
        return sum(self._each("log_base", x))

    def link(self, mean: Tensor) -> Tensor:
        return torch.cat(self._each("link", mean), -1)

    def states(self, number: Tensor) -> Tensor:
        columns, parts = [], list[Any](self.parts)
        for part in parts:
            columns.append(part.states(number % int(part.n_states)))
            number = number // int(part.n_states)
        return torch.cat(columns, 1)


def units_of(kind: str, width: int, sizes: Sequence[int] = ()) -> Units:
    """Units by their name; a softmax without sizes of groups is one of counts."""
    if kind == "softmax":
        return Softmax(sizes) if sizes else Counts(width)
    return {"bernoulli": Bernoulli, "gaussian": Gaussian, "relu": Rectified}[kind](width)


def softplus(f: Tensor) -> Tensor:
    """Return log(1 + e^f), faster than torch's and to the last bit the same wherever a number stands in a tensor."""
    size = f.abs()
    return torch.log1p(torch.exp(-size)) + (f + size) / 2


C1, C2, C3, C4 = -1 / 24, 7 / 5760, -31 / 967680, 127 / 154828800
"""Coefficients of the midpoint rule's error, in odd derivatives where the sum begins."""


def stepped_softplus(f: Tensor) -> Tensor:
    """Sum of softplus(f - 1/2), softplus(f - 3/2), ... to seven digits: its integral, and what the steps make of it."""
    y = 1 / (1 + torch.exp(-f))
    p = y * (1 - y)
    steps = p * (1 - 2 * y) * (C2 + C3 + C4 + p * (-12 * C3 - 60 * C4 + p * 360 * C4))
    return softplus_integral(f) + C1 * y + steps


def _stepped_mean(f: Tensor, y: Tensor) -> Tensor:
    """Derivative of ``stepped_softplus``, given y = sigmoid(f)."""
    p = y * (1 - y)
    high = 120 * C3 + 1680 * C4 - p * 5040 * C4
    return softplus(f) + p * (C1 + C2 + C3 + C4 + p * (-6 * C2 - 30 * C3 - 126 * C4 + p * high))


def softplus_integral(f: Tensor) -> Tensor:
    """Integral of softplus from minus infinity to f, which is the dilogarithm -Li_2(-e^f).

    For f <= 0 it is the integral of log(1 + t e^f) / t over t in [0, 1], found by Gauss's quadrature to
    the last digit; for f > 0 it follows from the value at -f.
    """
    t, weight = (q.to(f) for q in gauss_legendre(12))
    below = torch.where(f > 0, -f, f)
    area = sum(w / at * torch.log1p(at * below.exp()) for at, w in zip(t.unbind(), weight.unbind(), strict=True))
    return torch.where(f > 0, f.square() / 2 + math.pi**2 / 6 - area, area)


@lru_cache
def gauss_legendre(n: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of Gauss's quadrature on [0, 1] (Golub and Welsch, 1969)."""
    k = torch.arange(1, n, dtype=torch.float64)
    nodes, vectors = torch.linalg.eigh(torch.diag(k / (4 * k.square() - 1).sqrt(), 1), UPLO="U")
    return (nodes + 1) / 2, vectors[0].square()


@lru_cache
def gauss_hermite(n: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of Gauss's quadrature for expectations under N(0, 1)."""
    k = torch.arange(1, n, dtype=torch.float64)
    nodes, vectors = torch.linalg.eigh(torch.diag(k.sqrt(), 1), UPLO="U")
    return nodes, vectors[0].square()
