"""Reading trees and sequences of a user: their shapes, their tokens or vectors, and the labels of their nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from ..engine.forest import Binary, binary
from ..trees import Tree

__all__ = [
    "Given",
    "are_vectors",
    "read_given",
    "shape_of",
    "token_numbers",
    "trees_of",
    "vectors_of",
    "vocabulary_of",
]


class Given(NamedTuple):
    """Known tokens, and their vectors if these are given too."""

    tokens: list[str]
    vectors: np.ndarray | None
    """One row for each token."""


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
    if isinstance(X, Tree | str | bytes | Mapping) or not (hasattr(X, "__len__") and hasattr(X, "__iter__")):
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


@cache
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


# ------------------------------------------------------------------ tokens


def read_given(embeddings: Any, vocabulary: Any) -> Given | None:
    """Check ``embeddings`` and ``vocabulary``. None if neither is given."""
    if embeddings is None and vocabulary is None:
        return None
    if isinstance(embeddings, Mapping):
        if vocabulary is not None:
            raise ValueError("embeddings is a dictionary, which has its own tokens: leave out vocabulary.")
        vocabulary, embeddings = list(embeddings), list(embeddings.values())
    if vocabulary is None:
        raise ValueError("embeddings is an array: pass the token of each row as vocabulary, or a dictionary.")
    tokens = list(vocabulary)
    strange = [token for token in tokens if not isinstance(token, str)]
    if strange or not tokens:
        raise ValueError(f"vocabulary has {strange[0]!r} in it: tokens are str." if strange else "vocabulary is empty.")
    if len(set(tokens)) < len(tokens):
        raise ValueError(f"vocabulary has {Counter(tokens).most_common(1)[0][0]!r} twice: pass each token once.")
    return Given(tokens, None if embeddings is None else _table(embeddings, tokens))


def _table(embeddings: Any, tokens: list[str]) -> np.ndarray:
    """The given vectors as a matrix."""
    widths = {np.shape(vector) for vector in embeddings}
    if len(widths) > 1 or len(next(iter(widths), ())) != 1:
        raise ValueError(f"embeddings must be vectors of one width, but there are the shapes {sorted(widths)[:3]}.")
    table = np.array([np.asarray(vector, dtype=np.float64) for vector in embeddings])
    if len(table) != len(tokens):
        raise ValueError(f"embeddings has {len(table)} vectors, but vocabulary has {len(tokens)} tokens.")
    wrong = np.flatnonzero(~np.isfinite(table).all(1))
    if len(wrong):
        raise ValueError(f"embeddings has NaN or infinity in the vector of {tokens[wrong[0]]!r}: drop that token.")
    return table


def are_vectors(trees: Sequence[Tree]) -> bool:
    """Whether leaves are vectors. All trees must be of one kind."""
    kinds = [not isinstance(tree.leaves[0], str) for tree in trees]
    if any(kinds) and not all(kinds):
        other = kinds.index(not kinds[0])
        names = ("vectors", "tokens") if kinds[0] else ("tokens", "vectors")
        raise ValueError(f"the leaves of tree 0 are {names[0]}, but those of tree {other} are {names[1]}.")
    return kinds[0]


def vocabulary_of(trees: Iterable[Tree], min_frequency: int) -> list[str]:
    """Tokens that occur at least so often, sorted."""
    counts = Counter(chain.from_iterable(tree.leaves for tree in trees))
    found = sorted(token for token, count in counts.items() if count >= min_frequency)
    if not found:
        raise ValueError(f"No token occurs min_frequency={min_frequency} times: lower min_frequency.")
    return found


def token_numbers(trees: Iterable[Tree], vocabulary: Sequence[str]) -> np.ndarray:
    """Number of the token of each leaf. Unknown tokens have the number after the last one."""
    place = {token: number for number, token in enumerate(vocabulary)}
    unknown = len(place)
    return np.array([place.get(token, unknown) for tree in trees for token in tree.leaves], dtype=np.int64)


def vectors_of(trees: Sequence[Tree], width: int | None) -> np.ndarray:
    """Vectors of all leaves, one a row. They must be of one width."""
    first = len(trees[0].leaves[0]) if width is None else width
    for number, tree in enumerate(trees):
        if len(tree.leaves[0]) != first:
            before = "those of tree 0" if width is None else "those of the fit"
            raise ValueError(f"tree {number} has leaves of {len(tree.leaves[0])} numbers, but {before} have {first}.")
    return np.concatenate([tree.vectors for tree in trees])
