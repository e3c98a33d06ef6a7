"""Units of Boltzmann machines: the states of a layer, and their distribution given the layer's field.

Every kind of units is an exponential family with the natural parameter f,

    p(x | f) = exp(x'f + log_base(x) - log_normaliser(f)).

In a machine f is the field of the layer: its biases, plus what its neighbours send through the weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..functional import group_log_softmax, group_max, group_sum
from .special import coins, logistic, softplus, stepped_mean, stepped_softplus

__all__ = ["MOST_STATES", "Bernoulli", "Counts", "Gaussian", "Rectified", "Softmax", "Units"]

BLOCK = 2**20
"""Rectified units are sums of binary ones; at most this many of those are drawn at a time."""
MOST_STATES = 2**100
"""Larger numbers of states are not told apart."""
MANY = 2**14
"""So many binary units or more are drawn with fewer random numbers, see ``coins``."""
N_FACTORS = 40
"""Factors of the infinite product in the base measure of rectified units; those after it are 1 in double precision."""


class Units(nn.Module):
    """A layer of units of one kind.

    The functions take fields or states of shape (n, width). Counts also need ``total``, of shape (n,),
    the number of draws in each row; other units ignore it.

    Parameters
    ----------
    width : int
        Columns of the layer.
    """

    n_states: float = math.inf
    """Number of states of the layer, at most 2^100 if it is finite."""
    has_draws: bool = False
    """Whether there are counts in the layer, so that ``total`` is needed."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def kinds(self) -> list[tuple[Any, slice]]:
        """Units of each kind, with their columns."""
        return [(self, slice(0, self.width))]

    def admit(self, x: Tensor) -> Tensor:
        """X itself, or the nearest states where formulas would fail at x."""
        return x

    def total(self, x: Tensor) -> Tensor | None:
        """Number of draws in each row; None where there are no counts."""
        return None

    def whole(self, known: Tensor) -> Tensor:
        """Which units are known, if units that belong together are known together. ``known`` is a mask (n, width)."""
        return known

    def draws_known(self, known: Tensor) -> Tensor:
        """Whether the counts are known, of shape (n,)."""
        raise NotImplementedError

    def mean(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        """E[x | f], the derivative of ``log_normaliser``."""
        raise NotImplementedError

    def steady_mean(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        """``mean``, but a row's result does not depend on the other rows, to the last bit."""
        return self.mean(field, total)

    def draw(self, mean: Tensor, rng: torch.Generator, total: Tensor | None = None) -> Tensor:
        """A state with this expectation; of rectified units a quick approximation, else from p(x | f)."""
        raise NotImplementedError

    def sample(self, field: Tensor, rng: torch.Generator, total: Tensor | None = None) -> Tensor:
        """A state from p(x | f)."""
        return self.draw(self.mean(field, total), rng, total)

    def log_normaliser(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        """Log sum_x exp(x'f + log_base(x)) of each row, of shape (n,)."""
        raise NotImplementedError

    def log_ratio(self, below: Tensor, above: Tensor) -> Tensor:
        """``log_normaliser`` of the fields ``above`` minus that of the fields ``below``, of shape (n,)."""
        return self.log_normaliser(above) - self.log_normaliser(below)

    def log_base(self, x: Tensor) -> Tensor | float:
        """The term of log p(x | f) that depends on x alone and is not linear, of shape (n,)."""
        return 0.0

    def entropy(self, mean: Tensor, total: Tensor | None = None) -> Tensor:
        """Entropy of each unit with this mean, plus its mean of ``log_base``: of shape (n, width), in nats."""
        raise NotImplementedError

    def link(self, mean: Tensor) -> Tensor:
        """Fields, of shape (width,), at which the units have about this mean."""
        return mean

    def states(self, number: Tensor) -> Tensor:
        """States by their numbers, which are 0 to ``n_states`` - 1: of shape (len(number), width)."""
        raise NotImplementedError


class Bernoulli(Units):
    """Units that are 0 or 1."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.n_states = 2 ** min(width, MOST_STATES.bit_length() - 1)

    def mean(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return torch.sigmoid(field)

    def steady_mean(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return logistic(field)

    def draw(self, mean: Tensor, rng: torch.Generator, total: Tensor | None = None) -> Tensor:
        if mean.numel() >= MANY and mean.device.type == "cpu":
            return coins(mean, rng)
        u = torch.empty_like(mean).uniform_(generator=rng)
        return torch.lt(u, mean, out=u)  # a quarter of the time of torch.bernoulli

    def log_normaliser(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return softplus(field).sum(-1)

    def log_ratio(self, below: Tensor, above: Tensor) -> Tensor:
        size_below, size_above = below.abs(), above.abs()
        linear = torch.sub(above, below).add_(size_above).sub_(size_below).sum(-1) / 2
        ratio = torch.sigmoid(size_below).div_(torch.sigmoid(size_above))
        return linear + ratio.log_().sum(-1)  # softplus(f) is (f + |f|) / 2 - log sigmoid(|f|)

    def entropy(self, mean: Tensor, total: Tensor | None = None) -> Tensor:
        return torch.special.entr(mean) + torch.special.entr(1 - mean)

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

    def entropy(self, mean: Tensor, total: Tensor | None = None) -> Tensor:
        return mean.square().mul(-0.5).add(0.5 * math.log(2 * math.pi))


class Rectified(Units):
    """Noisy rectified linear units.

    Each unit is the sum of infinitely many binary units with the fields f - 1/2, f - 3/2, ... So its state is
    a whole number, with a mean of about softplus(f) and a variance of about sigmoid(f). ``sample`` draws
    that sum. ``draw`` draws max(0, N(f, sigmoid(f))), which is quick and close (Nair and Hinton, 2010).
    """

    def mean(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return stepped_mean(field, torch.sigmoid(field))

    def steady_mean(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return stepped_mean(field, logistic(field))

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

    def log_base(self, x: Tensor) -> Tensor:
        """Log of the sum over all binary states that add up to x, by an identity of Euler's.

        The product of (1 + z q^(i - 1/2)) over i = 1, 2, ... is the sum of z^x q^(x^2 / 2) / ((1 - q) ... (1 - q^x))
        over x = 0, 1, ..., here at q = 1/e. Between whole numbers it is continued smoothly.
        """
        log_product = sum(math.log1p(-math.exp(-k)) - torch.log1p(-torch.exp(-x - k)) for k in range(1, N_FACTORS))
        return (x.square().mul(-0.5) - log_product).sum(-1)

    def link(self, mean: Tensor) -> Tensor:
        mean = mean.clamp_min(1e-3)
        return mean + torch.log(-torch.expm1(-mean))


class Softmax(Units):
    """Groups of columns, one of which is 1 and the others 0, as one-hot encoding makes them.

    Parameters
    ----------
    sizes : sequence of int
        Columns of each group.
    """

    member: Tensor

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__(sum(sizes))
        self.sizes = tuple(sizes)
        self.n_states = min(math.prod(sizes), MOST_STATES)
        member = torch.arange(len(sizes)).repeat_interleave(torch.as_tensor(sizes), output_size=self.width)
        self.register_buffer("member", member, persistent=False)

    def mean(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        return group_log_softmax(field, self.member, len(self.sizes)).exp()

    def draw(self, mean: Tensor, rng: torch.Generator, total: Tensor | None = None) -> Tensor:
        race = torch.empty_like(mean).exponential_(generator=rng).div_(mean)  # the first arrival wins
        first = -group_max(-race, self.member, len(self.sizes))
        return (race == first[:, self.member]).to(mean.dtype)

    def whole(self, known: Tensor) -> Tensor:
        return group_sum((~known).float(), self.member, len(self.sizes))[:, self.member] == 0

    def log_normaliser(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        with torch.no_grad():
            largest = group_max(field, self.member, len(self.sizes))
        sums = group_sum((field - largest[:, self.member]).exp(), self.member, len(self.sizes))
        return (sums.log() + largest).sum(-1)

    def entropy(self, mean: Tensor, total: Tensor | None = None) -> Tensor:
        return torch.special.entr(mean)

    def link(self, mean: Tensor) -> Tensor:
        return mean.clamp_min(1e-3).log()

    def states(self, number: Tensor) -> Tensor:
        columns, first = [], 0
        for size in self.sizes:
            columns.append(number % size + first)
            number, first = number // size, first + size
        return torch.zeros((len(number), self.width), dtype=number.dtype).scatter_(1, torch.stack(columns, 1), 1)


class Counts(Units):
    """How often each column was drawn in ``total`` draws: the sum of as many equal softmax units.

    Rows that differ only in the order of their draws are one state.
    """

    has_draws = True

    def admit(self, x: Tensor) -> Tensor:
        return x.clamp_min(0)

    def total(self, x: Tensor) -> Tensor:
        return x.sum(-1)

    def mean(self, field: Tensor, total: Tensor | None = None) -> Tensor:
        probability = torch.softmax(field, -1)
        return probability if total is None else probability * total[..., None]

    def whole(self, known: Tensor) -> Tensor:
        return known.all(-1, keepdim=True).expand_as(known)

    def draws_known(self, known: Tensor) -> Tensor:
        return known[:, 0]

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

    def entropy(self, mean: Tensor, total: Tensor | None = None) -> Tensor:
        """Entropy of so many single draws: the logarithm of the number of their orders is in ``log_base``."""
        assert total is not None
        draws = total[..., None].clamp_min(1e-30)
        return draws * torch.special.entr(mean / draws)

    def link(self, mean: Tensor) -> Tensor:
        share = mean / mean.sum().clamp_min(1e-30)
        return share.clamp_min(0.1 / self.width).log()
