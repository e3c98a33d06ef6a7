"""Labels of the nodes of trees, as numbers of classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from ..base.labels import is_missing, labelled, read_labels
from ..engine.forest import Binary
from ..trees import Tree

__all__ = ["NodeLabels", "read_node_labels"]


class NodeLabels(NamedTuple):
    """The labels of all nodes of some trees, in post-order."""

    trees: Sequence[Tree]
    flat: list[Any]
    meaning: dict[Any, Any]
    """For each distinct label, the one among the labels of y: a number if y holds numbers."""

    def of_roots(self) -> np.ndarray:
        """Label of each root, and None where it has none."""
        roots = np.empty(len(self.trees), dtype=object)
        roots[:] = [self.meaning.get(tree.label) for tree in self.trees]
        return roots

    def classes(self, y: Any, weight: np.ndarray | None, name: str) -> np.ndarray:
        """All labels of nodes and of y, sorted. Trees of weight zero have none."""
        told = read_labels(y, name)
        values = told.values if weight is None else told.values[weight[told.present] > 0]
        distinct = [*self.meaning.values(), *values.tolist()]
        column = np.empty(len(distinct), dtype=object)
        column[:] = distinct
        return labelled(np.unique(read_labels(column, name).values))

    def require_among(self, classes: np.ndarray) -> None:
        """Raise an error if a label is not among the classes."""
        known = classes.tolist()
        strange = [label for label, own in self.meaning.items() if own not in known]
        if strange:
            raise ValueError(
                f"the trees have the label {strange[0]!r}, which is not among the classes {known!r} of the first fit: "
                "fit again with warm_start=False."
            )

    def numbers(self, classes: np.ndarray, shape: Binary) -> np.ndarray:
        """Number of the class of each binary node, and -1 where it is unknown.

        Of nodes with a single child, the outermost label counts. Nodes that stand for a part of a node with more than
        two children have none.
        """
        self.require_among(classes)
        place = {label: number for number, label in enumerate(classes.tolist())}
        number_of = {label: place[own] for label, own in self.meaning.items()}
        given = np.array([number_of.get(label, -1) for label in self.flat])
        numbers = np.full(len(shape.back), -1)
        numbers[shape.place[given >= 0]] = given[given >= 0]  # of several, the last one stays: the outermost
        return numbers


def read_node_labels(trees: Sequence[Tree], weight: np.ndarray | None, *like: Any) -> NodeLabels:
    """Read the labels of all nodes.

    Parameters
    ----------
    trees : sequence of Tree
    weight : ndarray of shape (n_trees,) or None
        Weights of the trees. Labels in trees of weight zero are unknown.
    *like : array-like or None
        Labels of the trees, or classes. The first of them that holds a label decides whether labels are numbers.
    """
    counts = repeat(True) if weight is None else (weight > 0).tolist()
    pairs = zip(trees, counts, strict=False)
    flat = list(chain.from_iterable((counted and tree.labels) or repeat(None, tree.n_nodes) for tree, counted in pairs))
    distinct = [label for label in dict.fromkeys(flat) if _is_known(label)]
    if not _are_numbers(like):
        return NodeLabels(trees, flat, {label: label for label in distinct})
    return NodeLabels(trees, flat, {label: _number(label) for label in distinct if _number(label) != -1})


def _is_known(label: Any) -> bool:
    return not is_missing(label) and label != -1


def _are_numbers(like: Iterable[Any]) -> bool:
    for labels in like:
        known = [] if labels is None else list(filter(_is_known, np.asarray(labels).ravel().tolist()))
        if known:
            return all(isinstance(label, Real) for label in known)
    return False


def _number(label: Any) -> Any:
    """The number that a label is, or that it is in text."""
    try:
        value = float(label)
    except (TypeError, ValueError):
        raise ValueError(
            f"the trees have the label {label!r}, but y holds numbers: pass y as text, or numbers as labels."
        ) from None
    return int(value) if value.is_integer() else value
