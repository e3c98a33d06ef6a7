"""Where the nodes and the words of a drawn tree are. Lengths are in points, and heights in nodes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..trees import Tree

__all__ = ["Layout", "Words", "laid_out", "leaf_text", "set_words", "text_of"]

FONT = 9.0
SMALLEST_FONT = 7.0
"""Words from left to right are not smaller than that. Those from below to above are as small as they must be."""
GAP = 8.0
"""Room between two words."""
NARROWEST = 20.0
"""Smallest room of a leaf, so that circles do not touch."""
LINE = 1.3
"""Room of a line of text, in font sizes."""


MOST_NUMBERS = 3
"""Numbers of a leaf's vector that are written."""


def leaf_text(leaf: str | np.ndarray) -> str:
    """A word, or the first numbers of a vector."""
    if isinstance(leaf, str):
        return leaf
    numbers = [f"{number:.3g}" for number in leaf[:MOST_NUMBERS]]
    if len(leaf) > MOST_NUMBERS:
        numbers.append("\N{HORIZONTAL ELLIPSIS}")
    return numbers[0] if len(leaf) == 1 else f"({', '.join(numbers)})"


def text_of(tree: Tree) -> str:
    """What the leaves of a tree hold, from left to right."""
    return " ".join(map(leaf_text, tree.leaves))


class Words(NamedTuple):
    """How the words below the leaves are set."""

    size: float
    """Font size."""
    rotation: int
    """Angle in degrees."""
    room: np.ndarray
    """Width of each leaf with its word."""


def set_words(widths: np.ndarray, available: float) -> Words:
    """Set words from left to right if they are legible in the available width, and else from below to above.

    Parameters
    ----------
    widths : ndarray of shape (n_leaves,)
        Widths of the words with a font of size 1.
    available : float
        Width of all leaves at most.
    """
    room = np.maximum(FONT * widths + GAP, NARROWEST)
    shrunk = min(1.0, available / room.sum())
    if shrunk * FONT >= SMALLEST_FONT or len(widths) == 1:
        return Words(shrunk * FONT, 0, shrunk * room)
    size = min(FONT, available / (LINE * len(widths)))
    return Words(size, 90, np.full(len(widths), max(LINE * size, min(NARROWEST, available / len(widths)))))


class Layout(NamedTuple):
    """Places of the nodes of a tree in post-order, and the lines between them."""

    x: np.ndarray
    y: np.ndarray
    edges: list[np.ndarray]
    """For each child, the corners of the line to its parent, of shape (3, 2)."""


def laid_out(tree: Tree, room: np.ndarray) -> Layout:
    """Place leaves one after the other, and each node above the middle of its children, at its height.

    The line to a child goes sideways and then down. Such lines never cross, because the leaves below a node are a span
    and only its ancestors are above it.
    """
    leaf_x = iter((np.cumsum(room) - room / 2).tolist())
    x: list[float] = []
    y: list[int] = []
    edges: list[np.ndarray] = []
    waiting: list[int] = []
    for node, count in enumerate(tree.arity.tolist()):
        children = waiting[len(waiting) - count :]
        del waiting[len(waiting) - count :]
        x.append((x[children[0]] + x[children[-1]]) / 2 if children else next(leaf_x))
        y.append(1 + max(y[child] for child in children) if children else 0)
        edges.extend(np.array([(x[node], y[node]), (x[k], y[node]), (x[k], y[k])]) for k in children)
        waiting.append(node)
    return Layout(np.array(x), np.array(y, dtype=float), edges)
