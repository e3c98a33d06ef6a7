"""Texts of many different values as a few numbers, and back to the most similar text that is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from ..base.damage import DamageError, fault_of_numbers

__all__ = ["Texts"]

N_NUMBERS = 5
"""Numbers that a text becomes, at most."""
MOST_TEXTS = 2000
"""Texts that are kept to be given back, at most."""
GROUPS: dict[str, Any] = {"analyzer": "char_wb", "ngram_range": (2, 4), "sublinear_tf": True}
"""What is counted: groups of letters within words, each the less often it is in other texts too."""


class Texts(NamedTuple):
    """A latent semantic analysis of the groups of two to four letters within words (Deerwester et al., 1990).

    References
    ----------
    Deerwester, Dumais, Furnas, Landauer and Harshman (1990), "Indexing by Latent Semantic Analysis",
    https://doi.org/10.1002/(SICI)1097-4571(199009)41:6<391::AID-ASI1>3.0.CO;2-9
    """

    count: Any
    """Counts the groups of letters, rare ones with more weight."""
    axes: np.ndarray
    """Projects the counts, of shape (size, n_groups)."""
    known: tuple[str, ...]
    """Texts of the training rows, the most frequent first."""
    codes: np.ndarray
    """Their numbers."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> Texts | None:
        """Learn from the texts of the training rows, or return None if they have no letters to tell them apart by."""
        distinct, counts = np.unique(np.array(texts, dtype=object), return_counts=True)
        count = TfidfVectorizer(**GROUPS)
        try:
            rows = count.fit_transform(texts)
        except ValueError:  # no groups of letters
            return None
        n = min(N_NUMBERS, len(distinct) - 1, rows.shape[1] - 1)
        if n < 1:
            return None
        axes: np.ndarray = TruncatedSVD(n, random_state=0).fit(rows).components_
        known = distinct[np.argsort(-counts, kind="stable")][:MOST_TEXTS].tolist()
        return cls(count, axes, tuple(known), count.transform(known) @ axes.T)

    @classmethod
    def of_parts(cls, groups: Any, weights: Any, axes: Any, known: Any, codes: Any) -> Texts:
        """Make it again of what ``parts`` returns, after a check."""
        if not _are_texts(groups) or not _are_texts(known) or len({*groups}) < len(groups):
            raise DamageError("_schema has texts that are none")
        found = fault_of_numbers(axes, (None, len(groups)), np.float64)
        found = found or fault_of_numbers(weights, (len(groups),), np.float64)
        found = found or fault_of_numbers(codes, (len(known), len(axes)), np.float64)
        if found:
            raise DamageError(f"_schema has an analysis of texts that {found}")
        count = TfidfVectorizer(**GROUPS, vocabulary=groups)
        count.idf_ = weights
        return cls(count, axes, tuple(known), codes)

    def parts(self) -> tuple[Any, ...]:
        """Plain values that make it again."""
        groups = sorted(self.count.vocabulary_, key=self.count.vocabulary_.__getitem__)
        return groups, self.count.idf_, self.axes, list(self.known), self.codes

    @property
    def size(self) -> int:
        """Numbers that a text becomes."""
        return int(self.codes.shape[1])

    def numbers(self, texts: Sequence[str]) -> np.ndarray:
        """The numbers of some texts, of shape (n, size)."""
        found: np.ndarray = self.count.transform(texts) @ self.axes.T
        return found

    def nearest(self, numbers: np.ndarray) -> list[str]:
        """The known texts whose numbers are nearest to these."""
        half_squares = np.square(self.codes).sum(1) / 2
        return [self.known[i] for i in (numbers @ self.codes.T - half_squares).argmax(1).tolist()]


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(text, str) for text in value)
