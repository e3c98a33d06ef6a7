"""Greedy learning: each layer of a deep machine is an RBM that learns from the states of the layer below."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..energy.belief import Belief
from ..energy.label import draw_missing
from ..energy.layers import Part
from ..engine.data import Batch, Held, Source, Table, chunks
from ..engine.frame import Frame
from ..engine.group import current, part_of
from ..functional import spawn
from ._rows import are_probabilities
from .machine import visible_parts
from .rbm import RBM

__all__ = [
    "Codes",
    "beside_labels",
    "codes_for",
    "frame_of",
    "make_layers",
    "require_room_for_labels",
    "settings_of",
    "sides_of",
]

Lift: TypeAlias = Callable[[Tensor, Tensor | None, torch.Generator], Tensor]

VISIBLE_ABOVE = {"bernoulli": "bernoulli", "gaussian": "gaussian", "relu": "gaussian"}
"""Kind of the visible units of a layer, by the kind of the hidden units below it."""
OF_THE_WHOLE = {
    "n_components",
    "visible",
    "categories",
    "warm_start",
    "random_state",
    "device",
    "dtype",
    "callback",
    "checkpoint",
}
"""Parameters of RBM that a layer cannot have for itself."""


class Codes(Source):
    """What a layer learns from: states of the layer below, drawn anew each time, and beside them the labels.

    They are states and not expectations, because it is the probability of states that the bound of the whole
    network asks for. For the same reason rows that are probabilities, such as greys, are drawn: binary units vary
    as p (1 - p), and greys that vary less than that would pull the weights of the first layer to zero.

    Parameters
    ----------
    data : Source
    width : int
        Units of the layer below, and labels.
    lift : callable
        Draws the states for rows x with a generator, and joins the labels y.
    noise : torch.Generator
        The generator of its draws.
    """

    def __init__(self, data: Source, width: int, lift: Lift, noise: torch.Generator) -> None:
        self.data, self.width, self.lift, self.noise = data, width, lift, noise
        self.generators = (noise,)
        self.device, self.weight = data.device, data.weight
        held = data.held()
        self._held = None if held is None else held._replace(data=Codes(held.data, width, lift, current().own(noise)))

    def __len__(self) -> int:
        return len(self.data)

    @torch.no_grad()
    def __getitem__(self, index: Any) -> Batch:
        batch = self.data[index]
        return Batch(self.lift(batch.x, batch.y, self.noise), batch.weight)

    def held(self) -> Held | None:
        """See ``Source``. Each process draws by itself."""
        return self._held

    def sequence(self, rows: Tensor) -> Tensor | None:
        """See ``Source``."""
        return self.data.sequence(rows)

    def in_order(self, order: Tensor) -> Source:
        """See ``Source``."""
        return Codes(self.data.in_order(order), self.width, self.lift, self.noise)


def codes_for(learner: Any, k: int, belief: Belief, data: Table, rng: torch.Generator) -> Any:
    """What layer k learns from.

    Parameters
    ----------
    learner : estimator
        Missing labels are drawn from its p(y | z), once it has a module.
    k : int
        Number of layers below.
    belief : Belief
    data : Table
        The rows.
    rng : torch.Generator
    """
    stages, labelled = belief.stages, k == len(belief.stages) and belief.n_labels > 0
    drawn = k == 0 and len(stages) > 0 and are_probabilities(data, stages[0].up)
    if k == 0 and not (labelled or drawn):
        return data
    noise = spawn(rng, belief.top.weight.device)

    def lift(x: Tensor, y: Tensor | None, noise: torch.Generator) -> Tensor:
        z: Tensor = stages[0].up.visible.draw(x, noise) if drawn else belief.states_up(x, noise, k)[-1]
        if y is None or not labelled:
            return z
        if hasattr(learner, "module_"):
            y = draw_missing(learner._machine(learner.module_), z, y, noise)
        return torch.cat([z, y], 1)

    width = stages[k - 1].up.hidden.width if k else data.width
    return Codes(data, width + (belief.n_labels if labelled else 0), lift, noise)


def make_layers(settings: Any, parameters: Mapping[str, Any], widths: Sequence[int]) -> list[RBM]:
    """Make an unfitted RBM for each layer, from the rows up.

    Parameters
    ----------
    settings : list of dict, or None
        For each layer the parameters in which it differs from the others.
    parameters : dict
        Parameters that all layers have in common.
    widths : sequence of int
        Hidden units of each layer.

    Raises
    ------
    ValueError
        If the settings are not one dictionary for each layer, or RBM refuses a name or a value in them.
    """
    given = settings is not None
    settings = list(settings) if given else [{}] * len(widths)
    if len(settings) != len(widths):
        raise ValueError(
            f"layers has {len(settings)} dictionaries, but there are {len(widths)} layers, those of hidden_layer_sizes "
            "and the code: pass one for each, {} for one that has no settings of its own."
        )
    made: list[RBM] = []
    for k, (own, width) in enumerate(zip(settings, widths, strict=True)):
        _require_settings(k, own, set(parameters) - OF_THE_WHOLE)
        below = {} if k == 0 else {"visible": VISIBLE_ABOVE[made[-1].hidden], "categories": None}
        values = {**parameters, **below, **own, "n_components": int(width)}
        made.append(RBM(**values))
        _validate(f"layers[{k}]: " if given else "", made[-1])
    return made


def sides_of(spec: Mapping[str, Any]) -> list[tuple[list[Part], list[Part]]]:
    """Parts of the visible and of the hidden units of each layer, from the rows up, by the spec of the network."""
    widths = [spec["n_features"], *spec["hidden_layer_sizes"], spec["n_components"]]
    sides = []
    for k, (visible, hidden, _, _) in enumerate(spec["layers"]):
        n_labels = spec["labels"] if k == len(widths) - 2 else 0
        seen = visible_parts(visible, widths[k] + n_labels, () if k else spec["categories"], n_labels)
        sides.append((seen, [Part(hidden, widths[k + 1])]))
    return sides


def settings_of(layer: RBM) -> dict[str, Any]:
    """Parameters that may change between one call of fit and the next."""
    return {name: value for name, value in layer.get_params().items() if name != "random_state"}


def _require_settings(k: int, own: Any, allowed: set[str]) -> None:
    if not isinstance(own, dict):
        raise ValueError(f"layers[{k}] is {own!r}: every layer has a dictionary of parameters of RBM.")
    for name in own:
        if name in OF_THE_WHOLE:
            raise ValueError(
                f"layers[{k}] has {name!r}, which is a parameter of the whole network or follows from the layers: "
                "leave it out."
            )
        if name not in allowed:
            raise ValueError(
                f"layers[{k}] has {name!r}, which is no parameter of RBM: use {', '.join(sorted(allowed))}."
            )


def _validate(place: str, layer: RBM) -> None:
    try:
        layer._validate_params()
        layer._check_parameters()
    except ValueError as error:
        raise type(error)(f"{place}{error}") from error


def require_room_for_labels(top: RBM, labels: bool) -> None:
    """Raise an error if a label is asked for that cannot be joined to the visible units of the last layer."""
    if labels and top.visible == "softmax" and top.categories is None:
        raise ValueError("labels=True cannot join a label to counts: have at least one layer in hidden_layer_sizes.")
    if labels and top.visible == "gaussian" and top.learn_variances:
        raise ValueError(
            "labels=True joins a label whose variance cannot be learnt: use learn_variances=False in the last layer."
        )


def frame_of(layer: RBM, codes: Source) -> Frame:
    """The frame in which a layer will see codes, measured in one pass over them.

    The mean of a label is that of the labelled rows. If the codes are standardised, the label is left as it is.
    """
    total: Any = 0.0
    squares: Any = 0.0
    count, labelled = 0.0, 0.0
    part, group = part_of(codes)
    for rows in chunks(len(part), int(layer.n_components)):
        batch = part[rows]
        x = batch.x.double()
        w = torch.ones_like(x[:, 0]) if batch.weight is None else batch.weight.double()
        total, squares, count = total + (w @ x).cpu(), squares + (w @ x.square()).cpu(), count + float(w.sum())
        labelled += float((w * x[:, x.shape[1] - layer._n_labels :].sum(1)).sum())
    if group.size > 1:
        total, squares = group.sum(total), group.sum(squares)
        count, labelled = group.sum(torch.tensor([count, labelled], dtype=torch.float64)).tolist()
    mean: Any = total / count
    n_units = len(mean) - layer._n_labels
    if not layer._standardizes():
        mean[n_units:] = total[n_units:] / max(labelled, 1e-290)
        return Frame(mean.numpy(), 1.0, centred=False)
    variance: Any = (squares / count - mean.square()).clamp_min(0)
    mean[n_units:] = 0.0
    return Frame(mean.numpy(), float(variance[:n_units].mean().sqrt()) or 1.0)


def beside_labels(frame: Frame, layer: RBM, codes: Source) -> Frame:
    """The frame of rows, and beside them that of the labels, if there are any."""
    of_labels = frame_of(layer, codes).mean[len(frame) :] if layer._n_labels else np.empty(0)
    return Frame(np.append(frame.mean, of_labels), frame.scale, frame.centred)
