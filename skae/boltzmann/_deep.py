"""Layers of a deep Boltzmann machine: their units and neighbours, by the numbers and strings of the spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..energy.deep import Deep
from ..energy.layers import Part
from .machine import visible_parts

__all__ = ["deep_layers", "path_layers", "receptive_fields"]

Layers = tuple[list[Part], list[tuple[int, int]]]


def path_layers(spec: Mapping[str, Any]) -> Layers:
    """Units of all layers from the rows up, and the pairs of neighbours, where each layer stands on the one below."""
    seen = visible_parts(spec["visible"], spec["n_features"], spec["categories"], 0)
    return deep_layers(seen, [spec["hidden_layer_sizes"]], spec["hidden"], spec["n_components"], spec["labels"])


def deep_layers(
    seen: Sequence[Part], pathways: Sequence[Sequence[int]], hidden: str, n_components: int, n_labels: int
) -> Layers:
    """Units of all layers, and the pairs of neighbours, where pathways of hidden layers meet in the code.

    Parameters
    ----------
    seen : sequence of Part
        Units of the rows of each pathway.
    pathways : sequence of (sequence of int)
        Numbers of units of the hidden layers of each pathway, from the rows up.
    hidden : str
        Kind of the units of the code.
    n_components : int
        Units of the code.
    n_labels : int
        Classes of a label above the code. 0 is no label.

    Returns
    -------
    parts : list of Part
        The rows, then the hidden layers in the order of their distance from the rows, then the code and the label.
    edges : list of (int, int)
        Pairs of layers by their numbers, the lower layer first.
    """
    parts, edges = list(seen), []
    tops = list(range(len(seen)))
    for depth in range(max(map(len, pathways), default=0)):
        for k, widths in enumerate(pathways):
            if depth < len(widths):
                edges.append((tops[k], len(parts)))
                tops[k] = len(parts)
                parts.append(Part("bernoulli", widths[depth]))
    edges += [(top, len(parts)) for top in tops]
    parts.append(Part(hidden, n_components))
    if n_labels:
        edges.append((len(parts) - 1, len(parts)))
        parts.append(Part("softmax", n_labels, (n_labels,)))
    return parts, edges


def receptive_fields(deep: Deep, rows: np.ndarray) -> list[np.ndarray]:
    """What each hidden layer looks for in the rows: products of weights, summed over the pathways.

    Parameters
    ----------
    deep : Deep
    rows : ndarray of shape (n_features, n_columns)
        What the units of the rows look for.

    Returns
    -------
    fields : list of ndarray of shape (n_units, n_columns)
    """
    ends = np.cumsum([len(deep.bias(k)) for k in range(deep.n_seen)])
    fields: dict[int, Any] = dict(enumerate(np.split(rows, ends[:-1])))
    for lower, upper in deep.edges:
        fields[upper] = fields.get(upper, 0.0) + deep.weights(lower, upper).detach().cpu().numpy() @ fields[lower]
    return [fields[k] for k in deep.hidden_layers]
