"""Belief: directed layers of units under a harmonium, as one module."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .harmonium import Harmonium
from .units import Bernoulli, Gaussian, Rectified, Units

__all__ = ["Belief", "Stage"]

AT_QUANTILE: dict[type[Units], Callable[[Tensor, Tensor], Tensor]] = {
    Bernoulli: lambda f, u: (u < torch.sigmoid(f)).to(f.dtype),
    Gaussian: lambda f, u: f + torch.special.ndtri(u),
    Rectified: lambda f, u: F.softplus(f) + torch.sigmoid(f).sqrt() * torch.special.ndtri(u),
}
"""States of q(h | v) at quantiles u in (0, 1), given the fields.

Of rectified units q is normal, with their mean and variance: the layer above sees real numbers.
"""
OF_NORMAL = 0.5 * math.log(2 * math.pi * math.e)
ENTROPY: dict[type[Units], Callable[[Tensor], Tensor]] = {
    Bernoulli: lambda f: (F.softplus(f) - f * torch.sigmoid(f)).sum(-1),
    Gaussian: lambda f: f.new_full(f.shape[:-1], OF_NORMAL * f.shape[-1]),
    Rectified: lambda f: (OF_NORMAL + F.logsigmoid(f) / 2).sum(-1),
}
"""Entropy of q(h | v) of each row, in nats, given the fields."""


class Stage(nn.Module):
    """A directed layer: p(v | h) downwards, and q(h | v) upwards with weights of its own.

    The layer above sees the states h as (h - shift) / spread, which is what all methods take and return.

    Parameters
    ----------
    n_features, n_components : int
        Widths of v and of h.
    visible, hidden : str
        Kinds of units.
    categories : sequence of int
        Group sizes of softmax visible units.
    """

    shift: Tensor
    spread: Tensor

    def __init__(
        self, n_features: int, n_components: int, visible: str, hidden: str, categories: Sequence[int]
    ) -> None:
        super().__init__()
        widths: dict[str, Any] = {"n_features": n_features, "n_components": n_components}
        self.up = Harmonium(**widths, visible=visible, hidden=hidden, categories=categories)
        self.down = Harmonium(**widths, visible=visible, hidden=hidden, categories=categories)
        self.register_buffer("shift", torch.zeros(n_components))
        self.register_buffer("spread", torch.ones(()))

    def take(self, machine: Harmonium) -> None:
        """Start upwards and downwards at the weights of a harmonium."""
        for direction in (self.up, self.down):
            direction.load_state_dict({**machine.state_dict(), "chain": direction.chain})

    # ---------------------------------------------------------------- upwards

    def field(self, v: Tensor) -> Tensor:
        """Fields of q(h | v)."""
        return self.up.hidden_field(self.up.embed(v))

    def mean_above(self, v: Tensor) -> Tensor:
        """Expectation of h under q(h | v)."""
        return self._normed(self.up.hidden.steady_mean(self.field(v)))

    def state_above(self, field: Tensor, u: Tensor) -> Tensor:
        """The state of h at quantiles u."""
        return self._normed(AT_QUANTILE[type(self.up.hidden)](field, u))

    def entropy(self, field: Tensor) -> Tensor:
        """Entropy of q(h | v) of each row."""
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
        """A state of v from p(v | h)."""
        return self.down.unembed(self.down.visible.sample(self._field_below(h), rng, total))

    def log_likelihood(self, v: Tensor, h: Tensor) -> Tensor:
        """Log p(v | h) of each row."""
        s, field, units = self.down.embed(v), self._field_below(h), self.down.visible
        linear = (s * field).sum(-1) + units.log_base(s)
        return linear - units.log_normaliser(field, units.total(s)) - self.down.log_scale.sum()

    # ---------------------------------------------------------------- learning

    def learn_down(self, v: Tensor, h: Tensor, share: Tensor) -> None:
        """Write the gradient of the mean of -log p(v | h) over states of the wake phase."""
        s, total = self.down.embed(v), self.down.visible.total(self.down.embed(v))
        error = (self.down.visible.mean(self._field_below(h), total) - s) * share[:, None]
        _write(self.down.weight, (h * self.spread + self.shift).t() @ error)
        _write(self.down.visible_bias, error.sum(0))

    def learn_up(self, v: Tensor, h: Tensor, share: Tensor) -> None:
        """Write the gradient of the mean of -log q(h | v) over states of the sleep phase: the delta rule."""
        s, total = self.up.embed(v), self.up.visible.total(self.up.embed(v))
        error = (self.up.hidden_mean(s) - (h * self.spread + self.shift)) * share[:, None]
        _write(self.up.weight, error.t() @ s)
        _write(self.up.hidden_bias, error.sum(0) if total is None else total @ error)


def _write(parameter: Tensor, gradient: Tensor) -> None:
    assert parameter.grad is not None
    parameter.grad.copy_(gradient)


class Belief(nn.Module):
    """Directed layers and the harmonium at their top, beside whose visible units a label may be.

    Parameters
    ----------
    n_features, n_components : int
    hidden_layer_sizes : sequence of int
        Widths of the layers between.
    layers : sequence of (visible, hidden, learnt_scale, chain_shape)
        Of each layer, from the rows up.
    categories : sequence of int
        Group sizes of softmax visible units at the bottom.
    n_labels : int
    """

    def __init__(
        self,
        *,
        n_features: int,
        n_components: int,
        hidden_layer_sizes: Sequence[int],
        layers: Sequence[tuple[str, str, bool, Sequence[int]]],
        categories: Sequence[int],
        n_labels: int,
    ) -> None:
        super().__init__()
        widths = [n_features, *hidden_layer_sizes, n_components]
        groups = [categories] + [()] * len(hidden_layer_sizes)
        self.stages = nn.ModuleList(
            Stage(widths[k], widths[k + 1], layers[k][0], layers[k][1], groups[k]) for k in range(len(widths) - 2)
        )
        visible, hidden, learnt_scale, chain_shape = layers[-1]
        self.n_labels, self.width = n_labels, widths[-2]
        self.top = Harmonium(
            n_features=self.width + n_labels,
            n_components=n_components,
            visible=visible,
            hidden=hidden,
            categories=groups[-1],
            n_labels=n_labels,
            learnt_scale=learnt_scale,
            chain_shape=chain_shape,
        )

    # ---------------------------------------------------------------- upwards

    def mean_up(self, x: Tensor) -> Tensor:
        """What the top sees of x, in expectations."""
        for stage in self.stages:
            x = stage.mean_above(x)  # type: ignore[operator]
        return x

    def states_up(self, x: Tensor, rng: torch.Generator, n_layers: int | None = None) -> list[Tensor]:
        """States drawn from q, from x to what the top sees, or through so many layers."""
        states = [x]
        for stage in list(self.stages)[:n_layers]:
            field: Tensor = stage.field(states[-1])  # type: ignore[operator]
            u = torch.empty_like(field).uniform_(1e-6, 1 - 1e-6, generator=rng)
            states.append(stage.state_above(field, u))  # type: ignore[operator]
        return states

    def code(self, x: Tensor) -> Tensor:
        """Expectation of the uppermost units, given the expectations below; a label is summed out."""
        z, hidden = self.mean_up(x), self.top.hidden
        if not self.n_labels:
            return hidden.steady_mean(self.top.hidden_field(self.top.embed(z)))
        probability, field = self.label_scores(z).softmax(1), self._field_without_label(z)
        means = [hidden.steady_mean(field + w) for w in self._label_weights()]
        return torch.stack([p[:, None] * h for p, h in zip(probability.unbind(1), means, strict=True)]).sum(0)

    # ---------------------------------------------------------------- downwards

    def mean_down(self, h: Tensor, total: Tensor | None) -> Tensor:
        """Expectation of x, given the uppermost units and the expectations between."""
        z = self.top.unembed(self.top.visible_mean(h, total))[:, : self.width]
        for stage in reversed(self.stages):
            z = stage.mean_below(z, total)  # type: ignore[operator]
        return z

    def states_down(self, s: Tensor, rng: torch.Generator, total: Tensor | None) -> list[Tensor]:
        """States of all layers, from x to what the top sees, given visible states of the top."""
        states = [self.top.unembed(s)[:, : self.width]]
        for stage in reversed(self.stages):
            states.insert(0, stage.state_below(states[0], rng, total))  # type: ignore[operator]
        return states

    # ---------------------------------------------------------------- the label

    def beside_guess(self, z: Tensor, rng: torch.Generator) -> Tensor:
        """Visible states of the top, with a label drawn from p(y | z) if it has one."""
        if not self.n_labels:
            return self.top.embed(z)
        guess = torch.multinomial(self.label_scores(z).softmax(1), 1, generator=rng)[:, 0]
        return self.top.embed(torch.cat([z, F.one_hot(guess, self.n_labels).to(z)], 1))

    def label_scores(self, z: Tensor) -> Tensor:
        """Log p(z, y) + log Z for each label y, of shape (n, n_labels)."""
        s = self._without_label(z)
        below = s @ self.top.visible_bias + self.top.visible.log_base(s) - self.top.log_scale.sum()
        bias = self.top.visible_bias[self.width :]
        field = self._field_without_label(z)
        above = [self.top.hidden.log_normaliser(field + w) for w in self._label_weights()]
        return below[:, None] + bias + torch.stack(above, 1)

    def _without_label(self, z: Tensor) -> Tensor:
        return self.top.embed(F.pad(z, (0, self.n_labels)))

    def _field_without_label(self, z: Tensor) -> Tensor:
        return self.top.hidden_field(self._without_label(z))

    def _label_weights(self) -> Sequence[Tensor]:
        return self.top.weight[:, self.width :].unbind(1)

    # ---------------------------------------------------------------- density

    def bound(self, x: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Variational lower bound of log p(x) + log Z, in mean over draws from q.

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
            field: Tensor = stage.field(z)  # type: ignore[operator]
            above: Tensor = stage.state_above(field, u)  # type: ignore[operator]
            value = value + stage.log_likelihood(z, above) + stage.entropy(field)  # type: ignore[operator]
            z = above
        return value + (self.label_scores(z).logsumexp(1) if self.n_labels else self.top.log_density(z))
