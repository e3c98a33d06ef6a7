"""Texts of many different values as a few numbers, and back to the most similar text that is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

__all__ = ["Texts"]

N_NUMBERS = 5
"""Numbers that a text becomes, at most."""
MOST_TEXTS = 2000
"""Texts that are kept to be given back, at most."""


class Texts(NamedTuple):
    """A latent semantic analysis of the groups of two to four letters within words (Deerwester et al., 1990).

    References
    ----------
    Deerwester, Dumais, Furnas, Landauer and Harshman (1990), "Indexing by Latent Semantic Analysis",
    https://doi.org/10.1002/(SICI)1097-4571(199009)41:6<391::AID-ASI1>3.0.CO;2-9
    """

    count: Any
    """Counts the groups of letters, rare ones with more weight."""
    axes: Any
    """Projects the counts."""
    known: tuple[str, ...]
    """Texts of the training rows, the most frequent first."""
    codes: np.ndarray
    """Their numbers."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> Texts | None:
        """Learn from the texts of the training rows, or return None if they have no letters to tell them apart by."""
        distinct, counts = np.unique(np.array(texts, dtype=object), return_counts=True)
        count = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
        try:
            rows = count.fit_transform(texts)
        except ValueError:  # no groups of letters
            return None
        n = min(N_NUMBERS, len(distinct) - 1, rows.shape[1] - 1)
        if n < 1:
            return None
        axes = TruncatedSVD(n, random_state=0).fit(rows)
        known = distinct[np.argsort(-counts, kind="stable")][:MOST_TEXTS].tolist()
        return cls(count, axes, tuple(known), axes.transform(count.transform(known)))

    @property
    def size(self) -> int:
        """Numbers that a text becomes."""
        return int(self.codes.shape[1])

    def numbers(self, texts: Sequence[str]) -> np.ndarray:
        """The numbers of some texts, of shape (n, size)."""
        found: np.ndarray = self.axes.transform(self.count.transform(texts))
        return found

    def nearest(self, numbers: np.ndarray) -> list[str]:
        """The known texts whose numbers are nearest to these."""
        half_squares = np.square(self.codes).sum(1) / 2
        return [self.known[i] for i in (numbers @ self.codes.T - half_squares).argmax(1).tolist()]
