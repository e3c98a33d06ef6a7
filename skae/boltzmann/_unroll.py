"""unroll(): turn the layers of a Boltzmann machine into a fitted autoencoder.

In a deep Boltzmann machine a layer takes from below and from above. ``one_way`` makes the layers of one pass of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from ..autoencoders import Autoencoder
from ..base.state import new_generator
from ..energy.deep import Deep
from ..energy.harmonium import Harmonium
from ..energy.layers import Joint, Part
from ..energy.units import Bernoulli, Counts, Gaussian, Rectified, Softmax, Units
from ..engine.optim import Flat, Optimizer

__all__ = ["Level", "one_way", "unroll"]

ACTIVATION: dict[type[Units], Any] = {Bernoulli: "logistic", Gaussian: "identity", Rectified: "softplus"}
"""The activation that maps the field of units to their mean."""
LIKELIHOOD: dict[type[Units], Any] = {Bernoulli: "bernoulli", Gaussian: "gaussian", Softmax: "categorical"}

LABELLED = "labels=True has a code that sums over labels, which no autoencoder does: use False."

Affine: TypeAlias = tuple[Tensor, Tensor]
"""Weight and bias of a dense layer."""


class Level(NamedTuple):
    """A layer of hidden units: the weights that lead up to it, and those that lead down from it.

    The machines see the states v below as (v - shift) / spread.
    """

    up: Harmonium
    down: Harmonium
    shift: Tensor | float = 0.0
    spread: Tensor | float = 1.0

    @property
    def sigma(self) -> Tensor:
        """What the states below, after the shift, are divided by to have the variance 1 of gaussian units."""
        one = torch.ones_like(self.down.visible_bias)
        return self.spread * (self.down.log_scale.exp() if self.down.scaled else one)

    def encoding(self) -> Affine:
        """The map from the states below to the fields of the hidden units."""
        weight = self.up.weight / self.sigma
        return weight, self.up.hidden_bias - weight @ (self.shift + torch.zeros_like(self.sigma))

    def decoding(self) -> Affine:
        """The map from the hidden units to the fields of the states below, which of gaussian ones are the means."""
        return self.down.weight.t() * self.sigma[:, None], self.down.visible_bias * self.sigma + self.shift


def unroll(machine: Any, levels: Sequence[Level]) -> Autoencoder:
    """Make an autoencoder whose activations are the means of the units, upwards and downwards.

    Parameters
    ----------
    machine : fitted estimator
        The autoencoder takes its ``mean_``, ``scale_``, ``device``, ``dtype`` and ``random_state``.
    levels : sequence of Level
        All layers of hidden units, from the rows up.

    Raises
    ------
    ValueError
        If no ``Autoencoder`` has such layers.
    """
    down = [level.down for level in levels]
    _require_expressible(down)
    autoencoder = Autoencoder(
        down[-1].hidden.width,
        hidden_layer_sizes=tuple(m.hidden.width for m in down[:-1]),
        activation=ACTIVATION[type(down[0].hidden)],
        code_activation=ACTIVATION[type(down[-1].hidden)],
        likelihood=LIKELIHOOD[type(down[0].visible)],
        categories=getattr(down[0].visible, "sizes", None),
        init="random",
        random_state=machine.random_state,
        device=machine.device,
        dtype=machine.dtype,
    )
    _make_fitted(autoencoder, machine)
    _copy(autoencoder.module_.encoder, [level.encoding() for level in levels])
    _copy(autoencoder.module_.decoder, [level.decoding() for level in reversed(levels)])
    autoencoder._flat = Flat(autoencoder.module_)
    return autoencoder


@torch.no_grad()
def one_way(machine: Deep, parts: Sequence[Part]) -> list[Level]:
    """The layers of a deep Boltzmann machine as one pass upwards, and one downwards.

    A layer between two others takes from both, but in a pass it sees only one. It takes twice the weights from that one
    in place of the other, as in the pretraining of these machines (Salakhutdinov and Hinton, 2009).

    Parameters
    ----------
    machine : Deep
        Its layers are a path.
    parts : sequence of Part
        The layers, by their numbers.

    Raises
    ------
    ValueError
        If there is a label.
    """
    if machine.n_labels:
        raise ValueError(LABELLED)
    levels, top = [], machine.hidden_layers[-1]
    for low, high in pairwise([0, *machine.hidden_layers]):
        weight = machine.weights(low, high)
        up, down = (Harmonium(visible=[parts[low]], hidden=[parts[high]]).to(weight) for _ in range(2))
        up.weight.copy_(weight if high == top else 2 * weight)
        up.hidden_bias.copy_(machine.bias(high))
        down.weight.copy_(2 * weight if low else weight)
        down.visible_bias.copy_(machine.bias(low))
        down.log_scale.copy_(machine.log_scale[: len(down.log_scale)])
        levels.append(Level(up, down))
    return levels


def _require_expressible(machines: Sequence[Harmonium]) -> None:
    if isinstance(machines[-1].visible, Joint):
        raise ValueError(LABELLED)
    if isinstance(machines[0].visible, Counts):
        raise ValueError("Counts (visible='softmax' without categories) have no likelihood in Autoencoder.")
    if any(isinstance(m.hidden, Rectified) for m in machines[:-1]):
        raise ValueError(
            "hidden='relu' below the code has a mean that differs upwards (softplus) and downwards (identity), and "
            "Autoencoder has one activation: use 'bernoulli' or 'gaussian' in all layers but the code's."
        )
    if len({type(m.hidden) for m in machines[:-1]}) > 1:
        raise ValueError(
            "Layers below the code have hidden units of several kinds, but Autoencoder has one activation for its "
            "hidden layers: use one kind in all layers but the code's."
        )


def _make_fitted(autoencoder: Autoencoder, machine: Any) -> None:
    """Give the autoencoder all that a fit leaves, except the weights."""
    for name in ("_frame", "n_features_in_", "feature_names_in_"):
        if hasattr(machine, name):
            setattr(autoencoder, name, getattr(machine, name))
    theta = machine._flat.theta
    autoencoder._spec = autoencoder._architecture(len(machine.mean_))
    autoencoder.module_ = autoencoder._new_module().to(theta)
    autoencoder._optimizer, autoencoder._rng = Optimizer(), new_generator(machine.random_state)
    autoencoder.history_, autoencoder.n_iter_, autoencoder.loss_ = {}, 0, math.nan


@torch.no_grad()
def _copy(dense: Any, layers: Sequence[Affine]) -> None:
    for (weight, bias), (new_weight, new_bias) in zip(dense.layers(), layers, strict=True):
        weight.copy_(new_weight)
        bias.copy_(new_bias)
