"""What the attributes of fitted deep machines are like in a file."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ..base import damage
from ..base.damage import Saved
from .rbm import RBM

__all__ = ["SAVED", "spec_and_classes"]


def _fit_together(network: Any, layers: Any) -> bool:
    """Whether the layers are as wide as the units of the network, and there is a class for each label."""
    spec = network._spec
    widths = [spec["n_features"], *spec["hidden_layer_sizes"], spec["n_components"]]
    own = [(len(layer._frame) - layer._n_labels, layer._n_features_out) for layer in layers]
    n_labels = layers[-1]._n_labels
    return own == list(pairwise(widths)) and n_labels == spec["labels"] == len(getattr(network, "classes_", ()))


def spec_and_classes(machine: Any, spec: Any) -> str | None:
    """Check the spec of a deep Boltzmann machine. It has as many labels as there are classes."""
    found = damage.spec(machine, spec)
    if found or spec.get("labels") == len(getattr(machine, "classes_", ())):
        return found
    return "has another number of labels than classes_"


SAVED = {
    "classes_": Saved(damage.classes, required=False),
    "layers_": Saved(damage.nested(_fit_together, RBM)),
    "_is_tuned": Saved(damage.truth),
    "_seed": Saved(damage.whole()),
}
