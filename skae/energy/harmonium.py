"""Harmonium: two layers of units, with connections between the layers but none inside them.

    E(v, h) = -v'a - h'b - h'W v - log_base(v) - log_base(h),    p(v, h) = exp(-E(v, h)) / Z

This is the restricted Boltzmann machine for units of any kind (Smolensky, 1986; Welling, Rosen-Zvi and
Hinton, 2005). Given one layer, the units of the other are independent, with the fields a + W'h and b + W v.

Each layer may have parts of several kinds, and weights between two parts may be absent. So a deep
Boltzmann machine is a harmonium too: its even layers x, h_2, ... are the parts of v, and its odd layers
h_1, h_3, ... those of h, with weights only between neighbours (Salakhutdinov and Hinton, 2009).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..functional import gradient_of
from .layers import Part, columns_of, layer_of
from .units import Counts, Units

__all__ = ["Harmonium", "Known", "Statistics"]

MOST_NORM = 0.98
"""Largest singular value of weights to hidden units without an upper end, see ``Harmonium.restrain``."""
MOST_SWEEPS = 500
"""Sweeps after which mean field ends, even if some rows have not settled."""


class Statistics(NamedTuple):
    """Rows whose sum is a gradient: data with negative shares, then states of the model with positive ones."""

    s: Tensor
    """States of the visible units, of shape (n, n_features)."""
    h: Tensor
    """Expectations of the hidden units times the share of their row, of shape (n, n_components)."""
    share: Tensor
    """Weights of the rows, of shape (n,); they sum to zero."""


class Known(NamedTuple):
    """Units whose states are known. They do not change while a chain runs."""

    s: Tensor
    """States of the visible units, of shape (n, n_features). They are finite where unknown, and do not matter there."""
    s_mask: Tensor | None = None
    """Whether they are known, of the same shape, or of shape (n_features,) if it is so in all rows. None: all are."""
    h: Tensor | None = None
    """States of the hidden units, of shape (n, n_components). None if none is known."""
    h_mask: Tensor | None = None
    """Whether they are known."""
    total: Tensor | None = None
    """Number of draws in each row. None is that of s, or that there are no counts."""
    n_leading: int = 0
    """Number of visible units, from the first column on, that are known in all rows and so can be left out of sums."""

    @property
    def mask(self) -> Tensor:
        """Whether the visible units are known, as ``s_mask``."""
        return torch.ones_like(self.s[0], dtype=torch.bool) if self.s_mask is None else self.s_mask

    def visible(self, s: Tensor) -> Tensor:
        """States of the visible units, with the known ones in their place."""
        return self.s if self.s_mask is None else torch.where(self.s_mask, self.s, s)

    def hidden(self, h: Tensor) -> Tensor:
        """States of the hidden units, with the known ones in their place."""
        return h if self.h is None or self.h_mask is None else torch.where(self.h_mask, self.h, h)


class Harmonium(nn.Module):
    """Weights, biases, units and offsets of a restricted Boltzmann machine.

    A scaled gaussian unit has a standard deviation sigma, and its state is s = x / sigma, which has variance 1.
    For all other units s is x.

    **Counts.** If all visible units are counts, this is the replicated softmax (Salakhutdinov and Hinton, 2009):
    for a row of D draws, the energy has the term -D h'b in place of -h'b. If counts are one part among others, the
    term stays -h'b, and b serves the other parts, however long the row is. Nothing is lost by that. D is the sum
    of the counts, so a bias that is added once for each draw is the same as a constant added to all weights
    between the hidden unit and the counts. Multimodal machines with such biases (Srivastava and Salakhutdinov,
    2014) are contained in this way. Z depends on D.

    Parameters
    ----------
    visible, hidden : sequence of Part
        Units of the two layers, from the first column to the last. Only visible ones may be counts.
    absent : sequence of (int, int)
        Pairs of a hidden and a visible part, by their numbers from 0, between which there are no weights:
        these entries of W are zero, and so are their gradients.
    learnt_scale : bool
        Whether sigma is a parameter.
    chain_shape : sequence of int
        Shape of the Markov chains that are kept.

    Raises
    ------
    ValueError
        If a part describes no units, hidden units are counts, or several parts are.
    """

    chain: Tensor
    apart: dict[str, int]
    """Buffers that several processes may divide among themselves in training, and along which axis."""
    base: Tensor
    direction: Tensor
    spread: Tensor
    visible_offset: Tensor
    hidden_offset: Tensor
    log_scale: Tensor

    def __init__(
        self,
        *,
        visible: Sequence[Part],
        hidden: Sequence[Part],
        absent: Sequence[tuple[int, int]] = (),
        learnt_scale: bool = False,
        chain_shape: Sequence[int] = (1, 1),
    ) -> None:
        super().__init__()
        self.visible: Units = layer_of(visible)
        self.hidden: Units = layer_of(hidden)
        if self.hidden.has_draws:
            raise ValueError("Hidden units cannot be counts, whose number of draws would not be known: use 'softmax'.")
        n_features, n_components = self.visible.width, self.hidden.width
        columns, rows = (columns_of([part.width for part in parts]) for parts in (visible, hidden))
        self.absent = [(rows[j], columns[i]) for j, i in absent]
        pairs = [(j, i) for j in range(len(hidden)) for i in range(len(visible)) if (j, i) not in set(absent)]
        self._present = [(rows[j], columns[i]) for j, i in pairs] if absent else [(slice(None), slice(None))]
        self.scaled = [c for c, part in zip(columns, visible, strict=True) if part.scaled]
        self.is_replicated = isinstance(self.visible, Counts)
        self.can_run_away = self.hidden.n_states == math.inf and self.visible.n_states == math.inf
        self.weight = nn.Parameter(torch.zeros(n_components, n_features))
        self.visible_bias = nn.Parameter(torch.zeros(n_features))
        self.hidden_bias = nn.Parameter(torch.zeros(n_components))
        if learnt_scale:
            self.log_scale = nn.Parameter(torch.zeros(n_features))
        else:
            self.register_buffer("log_scale", torch.zeros(n_features if self.scaled else 0))
        self.register_buffer("base", torch.zeros(n_features))
        self.register_buffer("visible_offset", torch.zeros(n_features))
        self.register_buffer("hidden_offset", torch.zeros(n_components))
        self.register_buffer("direction", torch.ones(n_features))
        self.register_buffer("spread", torch.ones(n_features))
        self.register_buffer("chain", torch.zeros(tuple(chain_shape)))
        self.apart = {} if tuple(chain_shape) == (1, 1) else {"chain": -2}

    # ---------------------------------------------------------------- layers given each other

    def embed(self, x: Tensor) -> Tensor:
        """States s of the visible units for rows x."""
        x = self.visible.admit(x)
        return x * torch.exp(-self.log_scale) if self.scaled else x

    def unembed(self, s: Tensor) -> Tensor:
        """Rows x for states s of the visible units."""
        return s * torch.exp(self.log_scale) if self.scaled else s

    def total(self, s: Tensor) -> Tensor | None:
        """Number of draws in each row; None where there are no counts."""
        return self.visible.total(s)

    def hidden_field(self, s: Tensor) -> Tensor:
        """Fields b + W s, or D b + W s if all visible units are counts."""
        times = self._times(self.total(s))
        if times is None:
            return F.linear(s, self.weight, self.hidden_bias)
        return torch.addcmul(F.linear(s, self.weight), times[..., None], self.hidden_bias)

    def visible_field(self, h: Tensor) -> Tensor:
        """Fields a + W'h."""
        return torch.addmm(self.visible_bias, h, self.weight)

    def _times(self, total: Tensor | None) -> Tensor | None:
        """How often the hidden biases count in rows of so many draws; None is once."""
        return total if self.is_replicated else None

    def hidden_mean(self, s: Tensor) -> Tensor:
        """E[h | s]."""
        return self.hidden.mean(self.hidden_field(s))

    def visible_mean(self, h: Tensor, total: Tensor | None = None) -> Tensor:
        """E[s | h]."""
        return self.visible.mean(self.visible_field(h), total)

    def sample_hidden(self, s: Tensor, rng: torch.Generator) -> Tensor:
        """A state of the hidden layer from p(h | s)."""
        return self.hidden.sample(self.hidden_field(s), rng)

    def sample_visible(self, h: Tensor, rng: torch.Generator, total: Tensor | None = None) -> Tensor:
        """A state of the visible layer from p(s | h)."""
        return self.visible.sample(self.visible_field(h), rng, total)

    def gibbs(self, s: Tensor, n_steps: int, rng: torch.Generator, known: Known | None = None) -> Tensor:
        """States s after so many steps of the chain that draws the unknown units of the two layers in turn."""
        if known is None:
            total = self.total(s)
            for _ in range(n_steps):
                s = self.sample_visible(self.sample_hidden(s, rng), rng, total)
            return s
        s = known.visible(s)
        total = self.total(s) if known.total is None else known.total
        for _ in range(n_steps):
            h = known.hidden(self.sample_hidden(s, rng))
            s = known.visible(self.sample_visible(h, rng, total))
        return s

    def are_known(self, x: Tensor) -> Tensor:
        """Which entries of rows x are known: those that are not NaN, but softmax groups and all counts as a whole."""
        return self.visible.whole(~x.isnan())

    def known_in_part(self, x: Tensor, total: Tensor | None = None) -> Known:
        """What is known of rows x that are NaN where an entry is unknown.

        A group of softmax units, or all counts, are unknown if one of them is.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)
        total : Tensor of shape (n,) or None
            Number of draws of rows whose counts are unknown.
        """
        seen = self.visible.whole(~x.isnan())
        times = self._times(total)
        start = self.visible_offset if times is None else times[:, None] * self.visible_offset
        s = torch.where(seen, self.embed(x.nan_to_num()), start)
        draws = self.total(s)
        if draws is not None and total is not None:
            draws = torch.where(self.visible.draws_known(seen), draws, total)
        return Known(s, seen, total=draws)

    # ---------------------------------------------------------------- mean field

    def mean_field(self, known: Known, n_sweeps: int) -> Tensor:
        """Expectations of the visible side after so many sweeps.

        A sweep updates the unknown units of the hidden side, given the visible side, and then those of the visible
        side. Each of the two steps raises the bound.
        """
        s, sweep = known.s[:, known.n_leading :], self._sweep(known, "mean")
        for _ in range(n_sweeps if s.shape[1] else 0):
            s = sweep(s)
        return torch.cat([known.s[:, : known.n_leading], s], 1)

    def settled(self, known: Known) -> Tensor:
        """Expectations of the visible side where mean field has settled.

        A row that has settled stays as it is. So its result does not depend on the other rows.
        """
        s, sweep = known.s[:, known.n_leading :], self._sweep(known, "steady_mean")
        least = torch.finfo(s.dtype).eps ** 0.7
        moving = torch.ones_like(known.s[:, :1], dtype=torch.bool)
        for _ in range(MOST_SWEEPS if s.shape[1] else 0):
            new = sweep(s)
            s, change = torch.where(moving, new, s), (new - s).abs().amax(1, keepdim=True)
            moving = moving & (change > least)
            if not moving.any():
                break
        return torch.cat([known.s[:, : known.n_leading], s], 1)

    def _sweep(self, known: Known, mean: str) -> Callable[[Tensor], Tensor]:
        """A sweep over the visible units that do not lead. What the leading ones send is computed once."""
        n = known.n_leading
        weight, bias, units = self.weight[:, n:], self.visible_bias[n:], self._units_behind(n)
        times = self._times(known.total)
        biases = self.hidden_bias if times is None else times[:, None] * self.hidden_bias
        fixed = F.linear(known.s[:, :n], self.weight[:, :n], biases) if n else biases
        values, mask = known.s[:, n:], known.mask[:, n:] if known.mask.ndim == 2 else None

        def sweep(s: Tensor) -> Tensor:
            h = known.hidden(getattr(self.hidden, mean)(torch.addmm(fixed, s, weight.t())))
            s = getattr(units, mean)(torch.addmm(bias, h, weight), known.total)
            return s if mask is None else torch.where(mask, values, s)

        return sweep

    def hidden_given(self, s: Tensor, known: Known) -> Tensor:
        """Expectations of the hidden side given those of the visible side, with the known ones in their place."""
        return known.hidden(self.hidden.steady_mean(self.hidden_field(s)))

    def filled(self, known: Known, n_sweeps: int) -> Known:
        """What is known, with expectations after so many sweeps in place of the unknown visible units."""
        return known._replace(s=self.mean_field(known, n_sweeps))

    def _units_behind(self, n: int) -> Units:
        """The visible units behind so many leading ones, which are all or none of the rows of a deep machine."""
        return self.visible

    # ---------------------------------------------------------------- energies

    def energy(self, s: Tensor, h: Tensor) -> Tensor:
        """E(s, h) of each pair of rows, of shape (n,)."""
        return -((h * self.hidden_field(s)).sum(-1) + self._visible_part(s) + self.hidden.log_base(h))

    def free_energy(self, s: Tensor) -> Tensor:
        """F(s) = -log sum_h exp(-E(s, h)) of each row, of shape (n,): log p(s) = -F(s) - log Z."""
        return -(self._visible_part(s) + self.hidden.log_normaliser(self.hidden_field(s)))

    def hidden_free_energy(self, h: Tensor, total: Tensor | None = None) -> Tensor:
        """-log sum_s exp(-E(s, h)) of each row, of shape (n,), over rows of so many draws."""
        times = self._times(total)
        bias = self.hidden_bias if times is None else self.hidden_bias * times[..., None]
        inside = (h * bias).sum(-1) + self.hidden.log_base(h)
        return -(inside + self.visible.log_normaliser(self.visible_field(h), total))

    def log_density(self, x: Tensor) -> Tensor:
        """Log p(x) + log Z of each row x, of shape (n,)."""
        return -self.free_energy(self.embed(x)) - self.log_scale.sum()

    def bound(self, known: Known, s: Tensor) -> Tensor:
        """Lower bound of the logarithm of the sum of exp(-E) over all states of the unknown units: of shape (n,).

        It is E_q[-E] plus the entropy of q, which has independent units with the means s, and on the hidden side the
        best ones given s. It is exact if all visible units are known, and no hidden ones.
        """
        known_s = torch.where(known.mask, s, 0)
        spread = torch.where(known.mask, 0, self.visible.entropy(s, known.total)).sum(-1)
        below = s @ self.visible_bias + self.visible.log_base(known_s) + spread
        field = self.hidden_field(s)
        if known.h_mask is None:
            return below + self.hidden.log_normaliser(field)
        h = self.hidden_given(s, known)
        return below + (h * field).sum(-1) + torch.where(known.h_mask, 0, self.hidden.entropy(h)).sum(-1)

    def log_density_in_part(self, known: Known) -> Tensor:
        """Lower bound of log p + log Z of what is known of each row, of shape (n,)."""
        bound = self.bound(known, self.settled(known))
        return bound - (known.mask * self.log_scale).sum(-1) if self.scaled else bound

    def _visible_part(self, s: Tensor) -> Tensor:
        return s @ self.visible_bias + self.visible.log_base(s)

    # ---------------------------------------------------------------- learning

    def accumulate(self, statistics: Statistics, centred: bool = True) -> None:
        """Add the gradient of the mean of F(s) over the data minus its mean over the model.

        It is a sum of products h s' over all rows. With ``centred`` it is the gradient of the centred machine,
        a sum of (h - lambda)(s - mu)', for the parameters of this one: the biases take up what the offsets
        mu and lambda move (Melchior, Fischer and Wiskott, 2016).
        """
        s, h, share = statistics
        times = self._times(self.total(s))
        d_visible, d_hidden = share @ s, h.sum(0) if times is None else times @ h
        mu, lam = self.visible_offset, self.hidden_offset
        if centred:
            s = s - mu if times is None else torch.addr(s, times, mu, alpha=-1)
            h = torch.addr(h, share, lam, alpha=-1)
        d_weight = gradient_of(self.weight)
        for rows, columns in self._present:
            seen, hidden = s[:, columns], h[:, rows]
            d_weight[rows, columns].addmm_(hidden.t(), seen)
            if centred:
                d_visible[columns].addmv_(seen.t(), hidden @ lam[rows], alpha=-1)
                d_hidden[rows].addmv_(hidden.t(), seen @ mu[columns], alpha=-1)
        gradient_of(self.visible_bias).add_(d_visible)
        gradient_of(self.hidden_bias).add_(d_hidden)

    def accumulate_scale(self, s: Tensor, h: Tensor, share: Tensor) -> None:
        """Add the gradient of -log p(x) in log sigma: 1 - E[s (s - a - W'h)], which needs no sample of the model."""
        gradient = share.sum() - share @ (s * (s - self.visible_field(h)))
        for columns in self.scaled:
            gradient_of(self.log_scale)[columns] += gradient[columns]

    def follow(self, s: Tensor, h: Tensor, share: Tensor, rate: float) -> None:
        """Move the offsets mu and lambda towards the means of data and hidden units, at this rate.

        If all visible units are counts, mu is their mean in one draw.
        """
        times = self._times(self.total(s))
        share = share / share.sum().clamp_min(1e-30)
        per_draw = share if times is None else share / (share @ times).clamp_min(1e-30)
        self.visible_offset.addmv_(s.t(), per_draw, beta=1 - rate, alpha=rate)
        self.hidden_offset.addmv_(h.t(), share, beta=1 - rate, alpha=rate)

    def restrain(self, least_deviation: float) -> None:
        """Keep sigma above a least value, and keep weights to hidden units without an upper end from running away.

        Above gaussian visible units the density is integrable if the largest singular value of W is below 1.
        Above counts, with standard deviations ``spread``, there is a second mode far from the data unless that
        of W diag(spread) is below 1. Each call takes one step of the power method, which follows that value.
        """
        if isinstance(self.log_scale, nn.Parameter):
            self.log_scale.clamp_(min=math.log(least_deviation))
        if self.can_run_away:
            ahead = self.weight @ (self.direction * self.spread)
            back = F.normalize(ahead, dim=0, eps=1e-30) @ self.weight * self.spread
            norm = back.norm()
            self.direction.copy_(back / norm.clamp_min(1e-30))
            self.weight.mul_(MOST_NORM / norm.clamp_min(MOST_NORM))

    @torch.no_grad()
    def initialise(self, mean: Tensor, deviation: Tensor, scale: float, rng: torch.Generator) -> None:
        """Draw the weights from N(0, scale^2), fit the visible biases to the means, and centre at the means.

        Parameters
        ----------
        mean, deviation : Tensor of shape (n_features,)
            Of the columns of x. The deviations of scaled units become their sigma.
        scale : float
        rng : torch.Generator
        """
        for columns in self.scaled:
            self.log_scale[columns] = deviation[columns].log()
        s = self.embed(mean)
        total = self.total(s)
        weight = torch.empty(self.weight.shape, dtype=self.weight.dtype)
        self.weight.copy_(weight.normal_(0.0, scale, generator=rng))
        for rows, columns in self.absent:
            self.weight[rows, columns] = 0.0
        self.visible_bias.copy_(self.visible.link(s))
        self.base.copy_(self.visible_bias)
        self.hidden_bias.zero_()
        for units, columns in self.visible.kinds():
            if isinstance(units, Counts):
                self.spread[columns] = units.mean(self.base[columns], total).sqrt()
        times = self._times(total)
        self.visible_offset.copy_(s if times is None else s / times.clamp_min(1e-30))
        self.hidden_offset.copy_(self.hidden.mean(self.hidden_bias[None])[0])
