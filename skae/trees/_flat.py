"""The nodes of a tree in post-order, their checks, and the names of places in a tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np

LONGEST_PATH = 6


class Flat:
    """Nodes in post-order, which a tree and all its subtrees share."""

    def __init__(self, arity: np.ndarray, leaves: Sequence[Any], labels: Sequence[Any] | None) -> None:
        self.arity = read_only(arity)
        self.leaves = checked_leaves(leaves, arity)
        labels = () if labels is None else labels
        found = tuple(None if isinstance(label, str) and label == "" else label for label in labels)
        self.labels = found if any(label is not None for label in found) else None
        try:
            hash(self.labels)
        except TypeError as error:
            raise ValueError(f"A label must be hashable, such as a string or a number: {error}.") from None

    @cached_property
    def leaves_before(self) -> np.ndarray:
        """Number of leaves before each node in post-order, and of all leaves."""
        return np.concatenate([[0], np.cumsum(self.arity == 0)])

    @cached_property
    def spans(self) -> tuple[np.ndarray, np.ndarray]:
        """For each node, the first node of its subtree, and its height."""
        first: list[int] = []
        height: list[int] = []
        waiting: list[int] = []
        for node, count in enumerate(self.arity.tolist()):
            if count:
                below = waiting[-count:]
                del waiting[-count:]
                first.append(first[below[0]])
                height.append(1 + max(height[child] for child in below))
            else:
                first.append(node)
                height.append(0)
            waiting.append(node)
        return np.array(first), np.array(height)


@dataclass
class Lists:
    """Nodes in post-order, while a tree is read."""

    arity: list[int]
    leaves: list[Any]
    labels: list[Any]

    def leaf(self, value: Any) -> None:
        self.arity.append(0)
        self.leaves.append(value)
        self.labels.append(None)

    def close(self, n_children: int, label: Any) -> None:
        self.arity.append(n_children)
        self.labels.append(label)

    def extend(self, tree: Any) -> None:
        self.arity.extend(tree.arity.tolist())
        self.leaves.extend(tree.leaves)
        self.labels.extend(tree.labels or [None] * tree.n_nodes)

    def flat(self) -> Flat:
        return Flat(np.array(self.arity, dtype=np.int32), self.leaves, self.labels)


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def checked_leaves(leaves: Any, arity: np.ndarray) -> tuple[str, ...] | np.ndarray:
    """Words as a tuple, vectors as rows of a matrix; a leaf that does not fit is named by its place."""
    if getattr(leaves, "ndim", 0) == 2 and leaves.dtype == np.float64 and leaves.size and np.isfinite(leaves).all():
        return _rows(leaves)
    if set(map(type, leaves)) == {str}:
        return tuple(leaves)
    values: list[Any] = []
    for i, leaf in enumerate(leaves):
        values.append(_leaf(leaf, i, arity))
        if np.shape(values[i]) != np.shape(values[0]):
            raise ValueError(
                f"{_place_of_leaf(i, arity)} is {_kind(values[i])}, but the first leaf is {_kind(values[0])}. "
                "All leaves of a tree are words, or vectors of one width."
            )
    return tuple(values) if isinstance(values[0], str) else _rows(np.stack(values))


def _rows(matrix: np.ndarray) -> np.ndarray:
    """A copy that cannot be changed. It has no -0.0, so that equal trees have equal bytes and one hash."""
    return read_only(matrix + 0.0)


def _leaf(thing: Any, i: int, arity: np.ndarray) -> str | np.ndarray:
    """Value of the i-th leaf."""
    if isinstance(thing, str):
        return str(thing)
    if not isinstance(thing, (list, np.ndarray, Real, np.bool_)):
        fault = f"a {type(thing).__name__}, and no leaf. A leaf is a word, a number or a list of numbers"
    else:
        try:
            vector = np.atleast_1d(np.asarray(thing))
        except ValueError:  # lists of unequal lengths
            vector = np.array([None])
        if vector.ndim != 1 or vector.dtype.kind not in "biuf":
            fault = f"a {type(thing).__name__} that is no vector of numbers. Write a tuple for a node"
        elif vector.size == 0:
            fault = "a vector without numbers"
        elif not np.isfinite(vector).all():
            fault = "a vector with NaN or infinity"
        else:
            return vector.astype(np.float64)
    raise ValueError(f"{_place_of_leaf(i, arity)} is {fault}.")


def _kind(value: str | np.ndarray) -> str:
    return "a word" if isinstance(value, str) else f"a vector of width {len(value)}"


def _place_of_leaf(i: int, arity: np.ndarray) -> str:
    """Place of the i-th leaf."""
    waiting: list[int] = []  # of each node on the way: its children further to the left
    for count in arity[np.flatnonzero(arity == 0)[i] :][::-1].tolist():
        while waiting and waiting[-1] == 0:
            waiting.pop()
        if waiting:
            waiting[-1] -= 1
        waiting.append(count)
    return place(waiting[:-1])


def place(path: list[int]) -> str:
    """A place in a tree in words, from the node to the root."""
    steps = [f"child {number} of" for number in reversed(path)]
    if len(steps) > LONGEST_PATH:
        return " ".join([*steps[:LONGEST_PATH], f"... of the root, at depth {len(path)},"])
    return " ".join([*steps, "the root"])
