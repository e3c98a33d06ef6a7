"""Leaves of trees: tokens of a vocabulary, or vectors of numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from ..base import damage
from ..trees import Tree

__all__ = ["Given", "Leaves", "damaged", "read_given"]


class Given(NamedTuple):
    """Known tokens, and their vectors if these are given too."""

    tokens: list[str]
    vectors: np.ndarray | None
    """One row for each token."""

    @property
    def size(self) -> float:
        """Root mean square length of the vectors. 1 if there are none, or if all are zero."""
        return 1.0 if self.vectors is None else float(np.sqrt(np.square(self.vectors).sum(1).mean())) or 1.0

    @property
    def table(self) -> np.ndarray | None:
        """The vectors, and their mean, which is that of unknown tokens."""
        return None if self.vectors is None else np.vstack([self.vectors, self.vectors.mean(0)])


class Leaves:
    """What the leaves of the fitted trees are.

    Parameters
    ----------
    vocabulary : ndarray of shape (n_tokens,) or None
        The tokens that have a vector. None if leaves are vectors.
    width : int
        Width of the leaves' vectors.
    """

    def __init__(self, vocabulary: np.ndarray | None, width: int) -> None:
        self.vocabulary, self.width = vocabulary, width

    @classmethod
    def of(
        cls, trees: Sequence[Tree], weight: np.ndarray | None, given: Given | None, min_frequency: int, width: int
    ) -> Leaves:
        """Learn the vocabulary of trees of positive weight. Vectors of tokens have this width if none are given."""
        if are_vectors(trees):
            if given is not None:
                raise ValueError("embeddings and vocabulary are for tokens, but the leaves of X are vectors.")
            return cls(None, vectors_of(trees, None).shape[1])
        counting = trees if weight is None else [tree for tree, w in zip(trees, weight, strict=True) if w > 0]
        tokens = vocabulary_of(counting, min_frequency) if given is None else known_of(counting, given.tokens)
        known = given is not None and given.vectors is not None
        return cls(np.array(tokens, dtype=object), given.vectors.shape[1] if known else width)  # type: ignore[union-attr]

    @property
    def n_tokens(self) -> int:
        """Number of tokens that have a vector. 0 if leaves are vectors."""
        return 0 if self.vocabulary is None else len(self.vocabulary)

    def read(self, trees: Sequence[Tree]) -> np.ndarray:
        """Numbers of the tokens of all leaves, or their vectors. Unknown tokens have the number after the last one."""
        if are_vectors(trees) != (self.vocabulary is None):
            kinds = ("vectors", "tokens") if self.vocabulary is None else ("tokens", "vectors")
            raise ValueError(f"the fitted trees had {kinds[0]} as leaves, but those of X are {kinds[1]}.")
        if self.vocabulary is None:
            return vectors_of(trees, self.width)
        place = {token: number for number, token in enumerate(self.vocabulary.tolist())}
        leaves = chain.from_iterable(tree.leaves for tree in trees)
        return np.array([place.get(token, len(place)) for token in leaves], dtype=np.int64)

    def __getstate__(self) -> tuple[np.ndarray | None, int]:
        return self.vocabulary, self.width

    def __setstate__(self, state: tuple[np.ndarray | None, int]) -> None:
        self.__init__(*state)  # type: ignore[misc]


def damaged(estimator: Any, leaves: Leaves) -> str | None:
    """What is wrong with the leaves in a file: they must be those that the module has vectors of."""
    wrong = damage.whole(1)(estimator, leaves.width)
    if wrong or leaves.vocabulary is None:
        return wrong or (None if estimator._spec["n_tokens"] == 0 else "has no vocabulary")
    wrong = damage.fault_of_array(leaves.vocabulary, (estimator._spec["n_tokens"],), object)
    is_text = wrong or all(isinstance(token, str) for token in leaves.vocabulary)
    return wrong or (None if is_text else "holds something else than tokens")


def read_given(embeddings: Any, vocabulary: Any) -> Given | None:
    """Check ``embeddings`` and ``vocabulary``. None if neither is given."""
    if embeddings is None and vocabulary is None:
        return None
    if isinstance(embeddings, Mapping):
        if vocabulary is not None:
            raise ValueError("embeddings is a dictionary, which has its own tokens: leave out vocabulary.")
        vocabulary, embeddings = list(embeddings), list(embeddings.values())
    if hasattr(embeddings, "__array__"):
        embeddings = np.asarray(embeddings)
    if vocabulary is None:
        raise ValueError("embeddings is an array: pass the token of each row as vocabulary, or a dictionary.")
    if isinstance(vocabulary, Set):
        raise ValueError("vocabulary is a set, which has no order: pass a list of tokens.")
    strange = [token for token in vocabulary if not isinstance(token, str)]
    tokens = [str(token) for token in vocabulary]
    if strange or not tokens:
        raise ValueError(f"vocabulary has {strange[0]!r} in it: tokens are str." if strange else "vocabulary is empty.")
    if len(set(tokens)) < len(tokens):
        raise ValueError(f"vocabulary has {Counter(tokens).most_common(1)[0][0]!r} twice: pass each token once.")
    return Given(tokens, None if embeddings is None else _table(embeddings, tokens))


def _table(embeddings: Any, tokens: list[str]) -> np.ndarray:
    """The given vectors as a matrix."""
    widths = {np.asarray(vector, dtype=object).shape for vector in embeddings}
    if len(widths) > 1 or len(next(iter(widths), ())) != 1:
        raise ValueError(f"embeddings must be vectors of one width, but there are the shapes {sorted(widths)[:3]}.")
    try:
        table = np.array([np.asarray(vector, dtype=np.float64) for vector in embeddings])
    except (TypeError, ValueError):
        raise ValueError("embeddings must be vectors of numbers, but one of them holds something else.") from None
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


def known_of(trees: Iterable[Tree], tokens: list[str]) -> list[str]:
    """The given tokens, of which one occurs at least."""
    known = set(tokens)
    leaves = list(chain.from_iterable(tree.leaves for tree in trees))
    if known.isdisjoint(leaves):
        raise ValueError(
            f"X has no token of the vocabulary, as {tokens[0]!r}, but others, as {leaves[0]!r}: write both alike."
        )
    return tokens


def vectors_of(trees: Sequence[Tree], width: int | None) -> np.ndarray:
    """Vectors of all leaves, one a row. They must be of one width."""
    first = len(trees[0].leaves[0]) if width is None else width
    for number, tree in enumerate(trees):
        if len(tree.leaves[0]) != first:
            before = "those of tree 0" if width is None else "those of the fit"
            raise ValueError(f"tree {number} has leaves of {len(tree.leaves[0])} numbers, but {before} have {first}.")
    return np.concatenate([tree.vectors for tree in trees])
