"""Reading trees and sequences of a user, and their shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import lru_cache
from typing import Any

import numpy as np

from ..engine.forest import Binary, binary
from ..trees import Tree

__all__ = ["shape_of", "trees_of", "with_leaves"]


def trees_of(X: Any, structure: str) -> list[Tree]:
    """Read X as a list of trees. With another structure than "given", only their leaves count.

    Parameters
    ----------
    X : sequence of trees or of sequences
    structure : {"given", "greedy", "balanced", "left"}

    Raises
    ------
    TypeError
        If X is no sequence of such things.
    ValueError
        If X is empty, or if one of them is malformed. The message has its number.
    """
    of_trees = structure == "given"
    kinds = "trees" if of_trees else "sequences"
    if isinstance(X, Tree | str | bytes | Mapping | Set) or not (hasattr(X, "__len__") and hasattr(X, "__iter__")):
        raise TypeError(f"X is a {type(X).__name__}: pass a list of {kinds}, even for a single one.")
    if getattr(X, "ndim", 1) == 2 and not (isinstance(X, np.ndarray) and X.dtype == object):
        raise TypeError(f"X is a table of shape {X.shape}: pass a list of {kinds}.")
    if len(X) == 0:
        raise ValueError(f"X has 0 {kinds} (shape=(0,)) while a minimum of 1 is required.")
    read = _tree if of_trees else _sequence
    return [read(thing, number) for number, thing in enumerate(X)]


def _tree(thing: Any, number: int) -> Tree:
    """One tree."""
    if isinstance(thing, Tree):
        return thing
    if isinstance(thing, str):
        cure = "Tree.from_brackets(text)" if thing.lstrip().startswith("(") else "Tree(word) for a tree of one leaf"
        raise ValueError(f"tree {number} is a text, {thing[:40]!r}: use {cure}.")
    try:
        return Tree.of(thing)
    except (ValueError, TypeError) as error:
        raise ValueError(f"tree {number}: {error}") from None


def _sequence(thing: Any, number: int) -> Tree:
    """One sequence, as a tree from left to right. Of a tree, the leaves are taken."""
    if isinstance(thing, str):
        raise ValueError(f"sequence {number} is a text, {thing[:40]!r}: split it into tokens, as in text.split().")
    if isinstance(thing, Tree):
        return thing
    is_list = isinstance(thing, list | np.ndarray)
    if is_list and len(thing) == 0:
        raise ValueError(f"sequence {number} is empty: drop it.")
    if is_list and any(isinstance(entry, tuple) for entry in thing):
        raise ValueError(f"sequence {number} is a list with a tuple in it: a token is a str, and a vector a list.")
    try:
        return Tree.of(tuple(thing) if is_list else thing)
    except (ValueError, TypeError) as error:
        raise ValueError(f"sequence {number}: {error}") from None


def shape_of(trees: Sequence[Tree], structure: str) -> Binary:
    """The binary trees of some trees, or of the sequences of their leaves."""
    if structure == "given":
        return binary(np.concatenate([tree.arity for tree in trees]), np.array([tree.n_nodes for tree in trees]))
    lengths = [tree.n_leaves for tree in trees]
    made = [_halves(n) if structure == "balanced" else _from_left(n) for n in lengths]
    return binary(np.concatenate(made), 2 * np.array(lengths) - 1)


@lru_cache(1000)
def _halves(n: int) -> np.ndarray:
    """Arity of each node of a balanced tree of n leaves, in post-order. The left half has the extra leaf."""
    if n == 1:
        return np.zeros(1, np.int32)
    return np.concatenate([_halves(n - n // 2), _halves(n // 2), np.full(1, 2, np.int32)])


def _from_left(n: int) -> np.ndarray:
    """Arity of each node of the tree ((w1 w2) w3) ..., in post-order."""
    arity = np.zeros(2 * n - 1, np.int32)
    arity[2::2] = 2
    return arity


def with_leaves(trees: Sequence[Tree], leaves: Sequence[Any]) -> list[Tree]:
    """Trees of the same shape and labels with other leaves, which are in one list."""
    made, start = [], 0
    for tree in trees:
        stop = start + tree.n_leaves
        made.append(Tree.from_arity(tree.arity, tuple(leaves[start:stop]), tree.labels))
        start = stop
    return made
