"""What fine-tuning makes of a deep Boltzmann machine: a deep network that starts at the machine's mean field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..energy.deep import Deep
from ..energy.units import Units
from ..engine.data import RESIDENT_BYTES, Batch, Held, Index, Source, Table, chunks

__all__ = ["MeanFieldNetwork", "MeanFieldTuning"]


class Inputs(NamedTuple):
    """A layer of the network, and the layers that it takes its inputs from, by their numbers in the machine."""

    layer: int
    below: list[int]
    """Parts of the rows, or layers of the network."""
    above: list[int]
    """Layers of the machine. Their mean field is an input that is not trained."""


class MeanFieldNetwork(nn.Module):
    """A deep network whose layers also see the mean field of the machine that it starts from.

    Layer l takes the layer below, and as a fixed input the mean-field expectations q of the layer above it,

        h_l = sigmoid(W_l h_(l-1) + V_l q_(l+1) + b_l),    h_0 = x

    (Salakhutdinov and Hinton, 2009, section 3.3, for two layers).

    It starts at the weights of the machine, V_l = W_(l+1)'. The mean field is a fixed point of these equations, so that
    all layers start there. In training, W_l and V_l are parameters of their own.

    Parameters
    ----------
    machine : Deep
        A new machine. It gives the mean field and is not trained.
    code : sequence of int
        Numbers of the layers that are the code, side by side.
    """

    machine: Any

    def __init__(self, machine: Deep, code: Sequence[int]) -> None:
        super().__init__()
        self.code = tuple(code)
        self.inputs = [
            Inputs(k, [low for low, up in machine.edges if up == k], [up for low, up in machine.edges if low == k])
            for k in machine.hidden_layers
        ]
        self.fixed = sorted({k for layer in self.inputs for k in layer.above})
        for k, below, above in self.inputs:
            weight = torch.empty(_width(machine, k), sum(_width(machine, j) for j in (*below, *above)))
            self.register_parameter(f"weight_{k}", nn.Parameter(weight))
            self.register_parameter(f"bias_{k}", nn.Parameter(torch.empty(len(weight))))
        self.machine = _without_parameters(machine)
        self.n_fixed = sum(_width(machine, k) for k in self.fixed)

    @torch.no_grad()
    def start(self) -> None:
        """Take over the weights and biases of the machine."""
        for k, below, above in self.inputs:
            weights = [*(self.machine.weights(j, k) for j in below), *(self.machine.weights(k, j).t() for j in above)]
            self.get_parameter(f"weight_{k}").copy_(torch.cat(weights, 1))
            self.get_parameter(f"bias_{k}").copy_(self.machine.bias(k))

    def fixed_inputs(self, x: Tensor) -> Tensor:
        """The mean field of the layers that stand above others, side by side, of shape (n, n_fixed)."""
        known = self.machine.known(x)
        s = self.machine.settled(known)
        h = self.machine.hidden_given(s, known)
        return torch.cat([self.machine.layer(k, s, h) for k in self.fixed], 1)

    def encode(self, x: Tensor, fixed: Tensor | None = None) -> Tensor:
        """Code of each row. Its fixed inputs are computed if they are not given."""
        fixed = self.fixed_inputs(x) if fixed is None else fixed
        q = dict(zip(self.fixed, fixed.split([_width(self.machine, k) for k in self.fixed], 1), strict=True))
        s = self.machine.embed(x)
        h = {k: s[:, self.machine.place(k)[1]] for k in range(self.machine.n_seen)}
        for k, below, above in self.inputs:
            inputs = torch.cat([*(h[j] for j in below), *(q[j] for j in above)], 1)
            field = F.linear(inputs, self.get_parameter(f"weight_{k}"), self.get_parameter(f"bias_{k}"))
            h[k] = _units(self.machine, k).mean(field)
        return torch.cat([h[k] for k in self.code], 1)


def _width(machine: Deep, k: int) -> int:
    """Number of units of a layer."""
    columns = machine.place(k)[1]
    return int(columns.stop - columns.start)


def _units(machine: Deep, k: int) -> Units:
    """The units of a layer."""
    on_visible_side, columns = machine.place(k)
    side = machine.visible if on_visible_side else machine.hidden
    return next(units for units, place in side.kinds() if place == columns)


def _without_parameters(module: nn.Module) -> nn.Module:
    """The same module with buffers in place of its parameters, so that nothing trains it."""
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, parameter.detach())
    return module


# ------------------------------------------------------------------ rows with what is computed once


class Prepared(NamedTuple):
    """Some rows of a table, with the fixed inputs of a ``MeanFieldNetwork``."""

    x: Tensor
    weight: Tensor | None
    y: Tensor | None
    fixed: Tensor


class PreparedRows(Source):
    """Rows and their fixed inputs.

    Parameters
    ----------
    data : Table
    fixed : Tensor of shape (len(data), n_fixed)
    """

    def __init__(self, data: Table, fixed: Tensor) -> None:
        self.data, self.fixed = data, fixed
        self.width = data.width + fixed.shape[1]
        self.weight, self.y, self.device = data.weight, data.y, data.device

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: Index) -> Prepared:
        if isinstance(index, Tensor) and index.device != self.device:
            index = index.to(self.device)
        batch = self.data[index]
        return Prepared(batch.x, batch.weight, batch.y, self.fixed[index])

    def held(self) -> Held | None:
        """See ``Source``."""
        held = self.data.held()
        if held is None:
            return None
        rows: Any = held.data
        return Held(PreparedRows(rows, self.fixed[held.places.to(self.fixed.device)]), held.places)


class MeanFieldTuning:
    """How fine-tuning makes, starts and uses the network of a fitted deep Boltzmann machine.

    Parameters
    ----------
    estimator : fitted DeepBoltzmannMachine
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def _new_module(self) -> MeanFieldNetwork:
        machine = self.estimator._new_module()
        layers = machine.hidden_layers
        return MeanFieldNetwork(machine, layers if self.estimator.code == "all" else layers[-1:])

    def _ready_module(self) -> MeanFieldNetwork:
        """A network at the weights of the machine."""
        machine = self.estimator._ready_module()
        network = self._new_module().to(machine.weight)
        network.machine.load_state_dict(machine.state_dict())
        network.start()
        return network

    def _encode(self, module: MeanFieldNetwork, batch: Batch | Prepared) -> Tensor:
        return module.encode(batch.x, getattr(batch, "fixed", None))

    def _decode(self, module: MeanFieldNetwork, h: Tensor, batch: Batch) -> Tensor:
        x: Tensor = self.estimator._decode(module.machine, h, batch)
        return x

    @torch.no_grad()
    def _prepared(self, data: Table) -> Source:
        """The rows with their fixed inputs, which no epoch changes, unless these take too much memory."""
        like = data[slice(0, 1)].x
        network = self._ready_module().to(like)
        if len(data) * network.n_fixed * like.element_size() > RESIDENT_BYTES:
            return data
        parts = chunks(len(data), max(data.width, network.n_fixed))
        return PreparedRows(data, torch.cat([network.fixed_inputs(data[rows].x) for rows in parts]))
