"""Greedy pretraining of a deep Boltzmann machine: each layer learns alone, with its input doubled where one is missing.

In the whole machine a unit between two layers takes from below and from above. When the lowest layer is learnt, there
is nothing above yet, so the rows count twice. When the top is learnt, it counts twice for the layer below. Machines
between are learnt as they are, and their weights are halved (Salakhutdinov and Hinton, 2009). A layer between has the
biases of two machines, of which the mean is taken.

A doubled layer is 2 x, and its weights see the gradient twice. So a step moves the fields four times as far as in a
machine without doubled units, and such a machine learns at a quarter of the rate.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..energy.chains import contrastive, shares
from ..energy.deep import Deep
from ..energy.harmonium import Harmonium, Statistics
from ..energy.layers import Part
from ..engine.data import Batch, Table
from ..engine.group import current
from ..engine.listeners import in_stage
from ..engine.optim import Flat, Optimizer, Terms
from ..engine.train import Plan, minimise
from ..functional import spawn
from ._greedy import Codes
from ._learning import follow
from .rbm import OFFSET_RATE

__all__ = ["pretrain"]


class _Layer:
    """The machine of one layer and the layers below it.

    Parameters
    ----------
    deep : Deep
    parts : sequence of Part
        Units of all layers.
    upper : int
        Number of the layer.
    """

    def __init__(self, deep: Deep, parts: list[Part], upper: int) -> None:
        self.deep, self.upper = deep, upper
        self.lower = [below for below, above in deep.edges if above == upper]
        self.is_lowest = all(k < deep.n_seen for k in self.lower)
        self.is_top = upper == deep.hidden_layers[-1]
        self.copies = 2 if self.is_lowest else 1
        visible = [parts[k]._replace(copies=self.copies) for k in self.lower]
        hidden = [parts[upper]._replace(copies=2 if self.is_top else 1)]
        self.machine = Harmonium(visible=visible, hidden=hidden).to(deep.weight)

    @torch.no_grad()
    def start(self) -> None:
        """Take weights, biases and offsets from the whole."""
        deep, machine = self.deep, self.machine
        machine.weight.copy_(torch.cat([deep.weights(k, self.upper) for k in self.lower], 1))
        machine.visible_bias.copy_(self._joined(deep.bias))
        machine.hidden_bias.copy_(deep.bias(self.upper))
        offsets = deep.visible_offset, deep.hidden_offset
        machine.visible_offset.copy_(self.copies * self._joined(lambda k: deep.layer(k, *offsets)))
        machine.hidden_offset.copy_(deep.layer(self.upper, *offsets) * (2 if self.is_top else 1))

    @torch.no_grad()
    def finish(self) -> None:
        """Give the weights and biases to the whole."""
        deep, machine = self.deep, self.machine
        alone = self.is_lowest or self.is_top
        columns = machine.weight.split(
            [deep.layer(k, deep.visible_bias, deep.hidden_bias).numel() for k in self.lower], 1
        )
        biases = machine.visible_bias.split([piece.shape[1] for piece in columns])
        for k, piece, bias in zip(self.lower, columns, biases, strict=True):
            deep.weights(k, self.upper).copy_(piece if alone else piece / 2)
            own = deep.bias(k)
            own.copy_(bias if k < deep.n_seen else (own + bias) / 2)
        deep.bias(self.upper).copy_(machine.hidden_bias)

    def _joined(self, of_layer: Any) -> Tensor:
        return torch.cat([of_layer(k) for k in self.lower])

    def seen(self, x: Tensor, layers: dict[int, _Layer], noise: torch.Generator) -> Tensor:
        """What the machine sees of rows x: states drawn upwards, each layer given the one below."""
        rows = self.deep.embed(x) * self.copies
        pieces = [
            rows[:, self.deep.place(k)[1]] if k < self.deep.n_seen else layers[k].drawn(x, layers, noise)
            for k in self.lower
        ]
        return torch.cat(pieces, 1)

    def drawn(self, x: Tensor, layers: dict[int, _Layer], noise: torch.Generator) -> Tensor:
        """States of the layer, drawn given rows x."""
        return self.machine.sample_hidden(self.seen(x, layers, noise), noise)


@torch.no_grad()
def pretrain(
    deep: Deep,
    parts: list[Part],
    data: Table,
    plan: Plan,
    optimizer: Optimizer,
    centred: bool,
    rng: torch.Generator,
) -> None:
    """Learn the layers of a deep machine one by one, by contrastive divergence.

    Parameters
    ----------
    deep : Deep
        Its weights, biases and offsets are where learning starts.
    parts : list of Part
        Units of all layers.
    data : Table
        Rows as the machine sees them. Entries that are NaN are at their mean.
    plan : Plan
        Of each layer.
    optimizer : Optimizer
        One that has not begun. Each layer learns with a copy of it.
    centred : bool
        Whether the gradient is that of centred units.
    rng : torch.Generator
    """
    noise = spawn(rng, deep.weight.device)
    layers: dict[int, _Layer] = {}
    for upper in deep.hidden_layers:
        layer = layers[upper] = _Layer(deep, parts, upper)
        layer.start()
        _learn(layer, layers, data, plan, deepcopy(optimizer), centred, noise, rng)
        layer.finish()


def _learn(
    layer: _Layer,
    layers: dict[int, _Layer],
    data: Table,
    plan: Plan,
    optimizer: Optimizer,
    centred: bool,
    noise: torch.Generator,
    rng: torch.Generator,
) -> None:
    machine, mean = layer.machine, layer.deep.unembed(layer.deep.visible_offset)

    def lift(x: Tensor, y: Tensor | None, noise: torch.Generator) -> Tensor:
        return layer.seen(torch.where(x.isnan(), mean, x), layers, noise)

    codes = Codes(data, machine.visible.width, lift, noise)
    if codes.held() is not None:
        noise = current().own(noise)

    def step(batch: Batch) -> Terms:
        n, weight = len(batch.x), batch.weight
        s, h = contrastive(machine, batch.x, weight, 1, noise)
        share = shares(n, n, weight, True, like=s)
        machine.accumulate(Statistics(s, h * share[:, None], share), centred)
        if centred:
            follow(machine, s[:n], h[:n], -share[:n], OFFSET_RATE)
        return {}

    quarters = 4 ** (layer.is_lowest + layer.is_top)
    slower = replace(plan, rate=plan.rate / quarters)
    with in_stage(f"pretraining of layer {layer.deep.hidden_layers.index(layer.upper) + 1}"):
        minimise(step, codes, Flat(machine), optimizer, slower, rng, noise=noise)
