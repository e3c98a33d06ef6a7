"""Harmoniums: two layers of units without connections inside a layer, and what follows from their energy.

    E(v, h) = -v'a - h'b - h'W v - log_base(v) - log_base(h),    p(v, h) = exp(-E(v, h)) / Z

is the restricted Boltzmann machine for units of any kind (Smolensky, 1986; Welling, Rosen-Zvi and
Hinton, 2005). A layer given the other is a set of independent units, whose fields are a + W'h and
b + W v. Deep machines are made of the same pieces.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .units import Joint, Softmax, Units, units_of

__all__ = ["Harmonium", "Statistics"]

MOST_NORM = 0.98
"""Largest singular value of weights to hidden units without an upper end, see ``Harmonium.restrain``."""


class Statistics(NamedTuple):
    """Rows of which a gradient is a sum: data with negative shares, then states of the model with positive ones."""

    s: Tensor
    """States of the visible units, of shape (n, n_features)."""
    h: Tensor
    """Share of the row times the expectation of the hidden units, of shape (n, n_components)."""
    share: Tensor
    """Of shape (n,); the shares sum to zero."""


class Harmonium(nn.Module):
    """Weights, biases, units and offsets of a restricted Boltzmann machine.

    Gaussian visible units have a standard deviation sigma each: the machine is one of s = x / sigma,
    whose units have variance 1. For the other kinds s is x.

    Parameters
    ----------
    n_features, n_components : int
        Widths of the visible and of the hidden layer.
    visible, hidden : {"bernoulli", "gaussian", "relu", "softmax"}
    categories : sequence of int
        Group sizes of softmax visible units; () means counts.
    n_labels : int
        Columns at the end of the visible layer that are one softmax unit beside the others.
    learnt_scale : bool
        Whether sigma is a parameter.
    chain_shape : sequence of int
        Shape of the Markov chains that are kept.
    """

    chain: Tensor
    base: Tensor
    direction: Tensor
    spread: Tensor
    visible_offset: Tensor
    hidden_offset: Tensor
    log_scale: Tensor

    def __init__(
        self,
        *,
        n_features: int,
        n_components: int,
        visible: str = "bernoulli",
        hidden: str = "bernoulli",
        categories: Sequence[int] = (),
        n_labels: int = 0,
        learnt_scale: bool = False,
        chain_shape: Sequence[int] = (1, 1),
    ) -> None:
        super().__init__()
        seen = units_of(visible, n_features - n_labels, categories)
        self.visible: Units = Joint([seen, Softmax((n_labels,))]) if n_labels else seen
        self.hidden: Units = units_of(hidden, n_components)
        self.weight = nn.Parameter(torch.zeros(n_components, n_features))
        self.visible_bias = nn.Parameter(torch.zeros(n_features))
        self.hidden_bias = nn.Parameter(torch.zeros(n_components))
        self.is_scaled = visible == "gaussian"
        if learnt_scale:
            self.log_scale = nn.Parameter(torch.zeros(n_features))
        else:
            self.register_buffer("log_scale", torch.zeros(n_features if self.is_scaled else 0))
        self.register_buffer("base", torch.zeros(n_features))
        self.register_buffer("visible_offset", torch.zeros(n_features))
        self.register_buffer("hidden_offset", torch.zeros(n_components))
        self.can_run_away = hidden != "bernoulli" and self.visible.n_states == math.inf
        self.register_buffer("direction", torch.ones(n_features))
        self.register_buffer("spread", torch.ones(n_features))
        self.register_buffer("chain", torch.zeros(tuple(chain_shape)))

    # ---------------------------------------------------------------- layers given each other

    def embed(self, x: Tensor) -> Tensor:
        """States s of the visible units."""
        return x * torch.exp(-self.log_scale) if self.is_scaled else self.visible.admit(x)

    def unembed(self, s: Tensor) -> Tensor:
        """Rows x of the states s."""
        return s * torch.exp(self.log_scale) if self.is_scaled else s

    def hidden_field(self, s: Tensor) -> Tensor:
        """Fields b + W s; for counts the bias is there once a draw (Salakhutdinov and Hinton, 2009)."""
        total = self.visible.total(s)
        if total is None:
            return F.linear(s, self.weight, self.hidden_bias)
        return torch.addcmul(F.linear(s, self.weight), total[..., None], self.hidden_bias)

    def visible_field(self, h: Tensor) -> Tensor:
        """Fields a + W'h."""
        return torch.addmm(self.visible_bias, h, self.weight)

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

    def gibbs(self, s: Tensor, n_steps: int, rng: torch.Generator) -> Tensor:
        """States after so many steps of the chain that draws the two layers in turn."""
        total = self.visible.total(s)
        for _ in range(n_steps):
            s = self.sample_visible(self.sample_hidden(s, rng), rng, total)
        return s

    # ---------------------------------------------------------------- energies

    def energy(self, s: Tensor, h: Tensor) -> Tensor:
        """E(s, h) of each pair of rows, of shape (n,)."""
        return -((h * self.hidden_field(s)).sum(-1) + self._visible_part(s) + self.hidden.log_base(h))

    def free_energy(self, s: Tensor) -> Tensor:
        """F(s) = -log sum_h exp(-E(s, h)) of each row, of shape (n,): log p(s) = -F(s) - log Z."""
        return -(self._visible_part(s) + self.hidden.log_normaliser(self.hidden_field(s)))

    def hidden_free_energy(self, h: Tensor, total: Tensor | None = None) -> Tensor:
        """-log sum_s exp(-E(s, h)) of each row, of shape (n,), for rows of so many draws."""
        bias = self.hidden_bias if total is None else self.hidden_bias * total[..., None]
        inside = (h * bias).sum(-1) + self.hidden.log_base(h)
        return -(inside + self.visible.log_normaliser(self.visible_field(h), total))

    def log_density(self, x: Tensor) -> Tensor:
        """Log p(x) + log Z of each row, of shape (n,)."""
        return -self.free_energy(self.embed(x)) - self.log_scale.sum()

    def _visible_part(self, s: Tensor) -> Tensor:
        return s @ self.visible_bias + self.visible.log_base(s)

    # ---------------------------------------------------------------- learning

    def accumulate(self, statistics: Statistics, centred: bool = True) -> None:
        """Write the gradient of mean F(s) over the data minus its mean over the model: a sum over all rows of h s'.

        With ``centred`` it is the gradient of the centred machine, in the parameters of this one: a sum of
        products (h - lambda)(s - mu)', of which the biases bear what the offsets move (Melchior, Fischer
        and Wiskott, 2016).
        """
        s, h, share = statistics
        total = self.visible.total(s)
        d_visible, d_hidden = share @ s, h.sum(0) if total is None else total @ h
        if centred:  # d_W = h's - d_hidden mu' - lambda d_visible' + (draws) lambda mu', as one product
            mu, lam = self.visible_offset, self.hidden_offset
            along_mu = -d_hidden if total is None else (share @ total) * lam - d_hidden
            s = torch.cat([s, mu[None], d_visible[None]])
            h = torch.cat([h, along_mu[None], -lam[None]])
            d_visible = torch.addmv(d_visible, s.t(), h @ lam, alpha=-1)
            d_hidden = torch.addmv(d_hidden, h.t(), s @ mu, alpha=-1)
        torch.mm(h.t(), s, out=_grad(self.weight))
        _grad(self.visible_bias).copy_(d_visible)
        _grad(self.hidden_bias).copy_(d_hidden)

    def accumulate_scale(self, s: Tensor, h: Tensor, share: Tensor) -> None:
        """Write the gradient of -log p(x) in log sigma: 1 - E[s (s - a - W'h)], which needs no sample of the model."""
        _grad(self.log_scale).copy_(share.sum() - share @ (s * (s - self.visible_field(h))))

    def follow(self, s: Tensor, h: Tensor, share: Tensor, rate: float) -> None:
        """Let the offsets mu and lambda follow the means of data and hidden units, at this rate."""
        total = self.visible.total(s)
        draws = share.sum() if total is None else share @ total
        self.visible_offset.lerp_(torch.mv(s.t(), share / draws.clamp_min(1e-30)), rate)
        self.hidden_offset.lerp_(torch.mv(h.t(), share / share.sum().clamp_min(1e-30)), rate)

    def restrain(self, least_deviation: float) -> None:
        """Keep sigma above this, and weights to hidden units without an upper end from running away.

        Above gaussian visible units the density is integrable if the largest singular value of W is below
        1. Counts, which vary by ``spread``, have a second mode far from the data if that of W diag(spread) is
        not. It is followed by a step of the power method.
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
        """Draw weights from N(0, scale^2), let the visible biases account for the means, and centre there.

        Parameters
        ----------
        mean, deviation : Tensor of shape (n_features,)
            Of the columns of x; the deviations become sigma.
        scale : float
        rng : torch.Generator
        """
        if self.is_scaled:
            self.log_scale.copy_(deviation.log())
        s = self.embed(mean)
        total = self.visible.total(s)
        weight = torch.empty(self.weight.shape, dtype=self.weight.dtype)
        self.weight.copy_(weight.normal_(0.0, scale, generator=rng))
        self.visible_bias.copy_(self.visible.link(s))
        self.base.copy_(self.visible_bias)
        self.hidden_bias.zero_()
        if total is not None:
            self.spread.copy_(self.visible.mean(self.base, total).sqrt())
        self.visible_offset.copy_(s if total is None else s / total.clamp_min(1e-30))
        self.hidden_offset.copy_(self.hidden.mean(self.hidden_bias))


def _grad(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
