"""Belief: directed layers of units with a harmonium on top, as one module."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..functional import gradient_of, latin_hypercube
from .harmonium import Harmonium
from .label import draw_missing, hidden_fields, label_scores
from .layers import Part
from .units import Bernoulli, Gaussian, Rectified, Units

__all__ = ["Belief", "Stage"]

AT_QUANTILE: dict[type[Units], Callable[[Tensor, Tensor], Tensor]] = {
    Bernoulli: lambda f, u: (u < torch.sigmoid(f)).to(f.dtype),
    Gaussian: lambda f, u: f + torch.special.ndtri(u),
    Rectified: lambda f, u: F.softplus(f) + torch.sigmoid(f).sqrt() * torch.special.ndtri(u),
}
"""States of q(h | v) at quantiles u in (0, 1), given the fields.

Rectified units have a normal q with their mean and variance, because the layer above sees real numbers.
"""
OF_NORMAL = 0.5 * math.log(2 * math.pi * math.e)
"""Entropy of N(0, 1), in nats."""
ENTROPY: dict[type[Units], Callable[[Tensor], Tensor]] = {
    Bernoulli: lambda f: (F.softplus(f) - f * torch.sigmoid(f)).sum(-1),
    Gaussian: lambda f: f.new_full(f.shape[:-1], OF_NORMAL * f.shape[-1]),
    Rectified: lambda f: (OF_NORMAL + F.logsigmoid(f) / 2).sum(-1),
}
"""Entropy of q(h | v) of each row, in nats, given the fields."""


class Stage(nn.Module):
    """A directed layer: p(v | h) downwards, and an approximate posterior q(h | v) upwards with its own weights.

    The layer above sees (h - shift) / spread in place of h, and so do callers: all methods take and return that.

    Parameters
    ----------
    visible, hidden : Part
        Units of v and of h.
    """

    shift: Tensor
    spread: Tensor

    def __init__(self, visible: Part, hidden: Part) -> None:
        super().__init__()
        self.up = Harmonium(visible=[visible], hidden=[hidden])
        self.down = Harmonium(visible=[visible], hidden=[hidden])
        self.register_buffer("shift", torch.zeros(hidden.width))
        self.register_buffer("spread", torch.ones(()))

    def take(self, machine: Harmonium) -> None:
        """Set the weights of both directions to those of a harmonium."""
        for direction in (self.up, self.down):
            direction.load_state_dict({**machine.state_dict(), "chain": direction.chain})

    def adopt(self, frame: Any) -> None:
        """Let the layer above see h in its frame, of which the first columns are those of h."""
        if frame.centred:
            self.shift.copy_(torch.as_tensor(frame.mean[: len(self.shift)]))
            self.spread.fill_(frame.scale)

    # ---------------------------------------------------------------- upwards

    def field(self, v: Tensor) -> Tensor:
        """Fields of q(h | v)."""
        return self.up.hidden_field(self.up.embed(v))

    def mean_above(self, v: Tensor) -> Tensor:
        """Expectation of h under q(h | v)."""
        return self._normed(self.up.hidden.steady_mean(self.field(v)))

    def state_above(self, field: Tensor, u: Tensor) -> Tensor:
        """States of h at the quantiles u of q(h | v), given its fields."""
        return self._normed(AT_QUANTILE[type(self.up.hidden)](field, u))

    def entropy(self, field: Tensor) -> Tensor:
        """Entropy of q(h | v) of each row, given its fields."""
        return ENTROPY[type(self.up.hidden)](field) - field.shape[-1] * self.spread.log()

    def _normed(self, h: Tensor) -> Tensor:
        return (h - self.shift) / self.spread

    # ---------------------------------------------------------------- downwards

    def _field_below(self, h: Tensor) -> Tensor:
        return self.down.visible_field(h * self.spread + self.shift)

    def mean_below(self, h: Tensor, total: Tensor | None) -> Tensor:
        """Expectation of v under p(v | h)."""
        return self.down.unembed(self.down.visible.mean(self._field_below(h), total))

    def state_below(self, h: Tensor, rng: torch.Generator, total: Tensor | None) -> Tensor:
        """States of v drawn from p(v | h)."""
        return self.down.unembed(self.down.visible.sample(self._field_below(h), rng, total))

    def log_likelihood(self, v: Tensor, h: Tensor) -> Tensor:
        """Log p(v | h) of each row."""
        s, field, units = self.down.embed(v), self._field_below(h), self.down.visible
        linear = (s * field).sum(-1) + units.log_base(s)
        return linear - units.log_normaliser(field, self.down.total(s)) - self.down.log_scale.sum()

    # ---------------------------------------------------------------- learning

    def learn_down(self, v: Tensor, h: Tensor, share: Tensor) -> None:
        """Add the gradient of the mean of -log p(v | h) over states of the wake phase."""
        s, total = self.down.embed(v), self.down.total(self.down.embed(v))
        error = (self.down.visible.mean(self._field_below(h), total) - s) * share[:, None]
        gradient_of(self.down.weight).addmm_((h * self.spread + self.shift).t(), error)
        gradient_of(self.down.visible_bias).add_(error.sum(0))

    def learn_up(self, v: Tensor, h: Tensor, share: Tensor) -> None:
        """Add the gradient of the mean of -log q(h | v) over states of the sleep phase."""
        s, total = self.up.embed(v), self.up.total(self.up.embed(v))
        error = (self.up.hidden_mean(s) - (h * self.spread + self.shift)) * share[:, None]
        gradient_of(self.up.weight).addmm_(error.t(), s)
        gradient_of(self.up.hidden_bias).add_(error.sum(0) if total is None else total @ error)


class Belief(nn.Module):
    """Directed layers with a harmonium on top.

    The visible units of the top are the states z of the layer below it, and beside them a label may be joined.

    Parameters
    ----------
    layers : sequence of (visible, hidden)
        Parts of the two sides of each layer, from the rows up. The last layer is the top; its visible part after
        the first is the label, a group of softmax units.
    learnt_scale : bool
        Whether the standard deviations of scaled units of the top are parameters.
    chain_shape : sequence of int
        Shape of the Markov chains of the top.
    """

    stages: Any  # a ModuleList of Stage, whose type torch does not know

    def __init__(
        self,
        *,
        layers: Sequence[tuple[Sequence[Part], Sequence[Part]]],
        learnt_scale: bool,
        chain_shape: Sequence[int],
    ) -> None:
        super().__init__()
        *directed, (visible, hidden) = layers
        self.stages = nn.ModuleList(Stage(*below, *above) for below, above in directed)
        self.top = Harmonium(visible=visible, hidden=hidden, learnt_scale=learnt_scale, chain_shape=chain_shape)
        self.width = visible[0].width
        self.n_labels = self.top.visible.width - self.width

    # ---------------------------------------------------------------- upwards

    def mean_up(self, x: Tensor) -> Tensor:
        """The states z that the top sees for rows x, with expectations in place of states on the way up."""
        for stage in self.stages:
            x = stage.mean_above(x)
        return x

    def states_up(self, x: Tensor, rng: torch.Generator, n_layers: int | None = None) -> list[Tensor]:
        """The rows x, and above them states of each layer drawn from q, of all layers or so many."""
        states = [x]
        for stage in list(self.stages)[:n_layers]:
            field: Tensor = stage.field(states[-1])
            u = torch.empty_like(field).uniform_(1e-6, 1 - 1e-6, generator=rng)
            states.append(stage.state_above(field, u))
        return states

    def code(self, x: Tensor) -> Tensor:
        """Expectation of the uppermost units, given expectations of those below; a label is summed out."""
        z, hidden = self.mean_up(x), self.top.hidden
        if not self.n_labels:
            return hidden.steady_mean(self.top.hidden_field(self.top.embed(z)))
        probability = label_scores(self.top, z).softmax(1)
        means = [hidden.steady_mean(field) for field in hidden_fields(self.top, z)]
        return torch.stack([p[:, None] * h for p, h in zip(probability.unbind(1), means, strict=True)]).sum(0)

    # ---------------------------------------------------------------- downwards

    def total(self, x: Tensor) -> Tensor | None:
        """Number of draws in each row x; None where these are no counts."""
        lowest: Harmonium = self.stages[0].down if len(self.stages) else self.top
        return lowest.total(x)

    def mean_down(self, h: Tensor, total: Tensor | None) -> Tensor:
        """Expectation of x, given the uppermost units and expectations of those between."""
        z = self.top.unembed(self.top.visible_mean(h, total))[:, : self.width]
        for stage in reversed(self.stages):
            z = stage.mean_below(z, total)
        return z

    def states_down(self, s: Tensor, rng: torch.Generator, total: Tensor | None) -> list[Tensor]:
        """States of all layers, from rows x up to z, drawn downwards from visible states s of the top."""
        states = [self.top.unembed(s)[:, : self.width]]
        for stage in reversed(self.stages):
            states.insert(0, stage.state_below(states[0], rng, total))
        return states

    # ---------------------------------------------------------------- the label

    def beside_guess(self, z: Tensor, rng: torch.Generator) -> Tensor:
        """Visible states of the top for z, with a label drawn from p(y | z) if there are labels."""
        if not self.n_labels:
            return self.top.embed(z)
        guess = draw_missing(self.top, z, z.new_zeros((len(z), self.n_labels)), rng)
        return self.top.embed(torch.cat([z, guess], 1))

    def label_scores(self, x: Tensor) -> Tensor:
        """Log p(z, y) + log Z for each label y, given the expectations z that the top sees of rows x."""
        return label_scores(self.top, self.mean_up(x))

    # ---------------------------------------------------------------- density

    def quantiles(self, n_draws: int, rng: torch.Generator) -> list[Tensor]:
        """Numbers in (0, 1) for draws from q, evenly spread (McKay, Beckman and Conover, 1979).

        One tensor of shape (n_draws, width) for each layer between the rows and the code.
        """
        widths = [stage.up.hidden.width for stage in self.stages]
        return [latin_hypercube(n_draws, width, rng).to(self.top.weight) for width in widths]

    def bound(self, x: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Variational lower bound of log p(x) + log Z, averaged over draws from q.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)
        noise : sequence of Tensor of shape (n_draws, width)
            Quantiles of each layer between, the same for all rows.
        """
        draws = list(zip(*noise, strict=True)) or [()]
        return torch.stack([self._bound_of_draw(x, draw) for draw in draws]).mean(0)

    def _bound_of_draw(self, z: Tensor, quantiles: Sequence[Tensor]) -> Tensor:
        value: Tensor | float = 0.0
        for stage, u in zip(self.stages, quantiles, strict=True):
            field: Tensor = stage.field(z)
            above: Tensor = stage.state_above(field, u)
            value = value + stage.log_likelihood(z, above) + stage.entropy(field)
            z = above
        return value + (label_scores(self.top, z).logsumexp(1) if self.n_labels else self.top.log_density(z))
