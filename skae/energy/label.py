"""A label beside the states of a harmonium: its last visible units are one group of softmax units.

In these functions z are the states of the other visible units, as rows of the harmonium. The number of labels is
what z lacks of the width of the visible layer.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .harmonium import Harmonium

__all__ = ["draw_missing", "hidden_fields", "label_scores"]


def label_scores(machine: Harmonium, z: Tensor) -> Tensor:
    """Log p(z, y) + log Z for each label y, of shape (n, n_labels)."""
    s = _without_label(machine, z)
    below = s @ machine.visible_bias + machine.visible.log_base(s) - machine.log_scale.sum()
    above = [machine.hidden.log_normaliser(field) for field in hidden_fields(machine, z)]
    return below[:, None] + machine.visible_bias[z.shape[1] :] + torch.stack(above, 1)


def hidden_fields(machine: Harmonium, z: Tensor) -> list[Tensor]:
    """Fields of the hidden units given z and each label, of shape (n, n_components)."""
    field = machine.hidden_field(_without_label(machine, z))
    return [field + w for w in machine.weight[:, z.shape[1] :].unbind(1)]


def draw_missing(machine: Harmonium, z: Tensor, y: Tensor, rng: torch.Generator) -> Tensor:
    """One-hot labels y, with a label drawn from p(y | z) in each row that is zero."""
    missing = ~y.any(1)
    if not missing.any():
        return y
    drawn = torch.multinomial(label_scores(machine, z[missing]).softmax(1), 1, generator=rng)[:, 0]
    return y.masked_scatter(missing[:, None], F.one_hot(drawn, y.shape[1]).to(y))


def _without_label(machine: Harmonium, z: Tensor) -> Tensor:
    return machine.embed(F.pad(z, (0, machine.visible.width - z.shape[1])))
