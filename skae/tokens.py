"""Sentences as rows of token ids, and back, for models of tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ._version import SITE

__all__ = ["TokenEncoder"]

PADDING, UNKNOWN = "<padding>", "<unknown>"
"""Names of the tokens that stand for no token and for any unknown one."""


class TokenEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Encode sentences as rows of token ids of equal length, and decode such rows.

    Ids count from 0. Token 0 is padding: it fills the places after the end of a shorter sentence. The other tokens
    are those of the training sentences, in alphabetical order.

    Parameters
    ----------
    length : int or "auto", default="auto"
        Number of places of a row. "auto" is the length of the longest training sentence.
    unknown : {"error", "mark"}, default="error"
        What is done about tokens that ``fit`` has not learnt. "error" refuses them. "mark" gives all of them the id 1,
        which is decoded as ``"<unknown>"``.
    min_frequency : int, default=1
        How often a token must occur in the training sentences to be learnt. Above 1 it needs ``unknown="mark"``. A
        model then sees marks when it is fitted, and learns where they are.

    Attributes
    ----------
    vocabulary_ : ndarray of shape (n_tokens,), object
        The tokens by their ids.
    length_ : int
        Number of places of a row.
    n_features_out_ : int
        The same.

    See Also
    --------
    skae.AdversariallyRegularizedAutoencoder : With ``likelihood="tokens"`` it learns from such rows.
    sklearn.feature_extraction.text.CountVectorizer : Counts tokens and forgets their order.

    Examples
    --------
    >>> from skae.tokens import TokenEncoder
    >>> encoder = TokenEncoder().fit(["the cat sleeps", "a big dog runs"])
    >>> encoder.vocabulary_.tolist()
    ['<padding>', 'a', 'big', 'cat', 'dog', 'runs', 'sleeps', 'the']
    >>> encoder.transform(["the dog sleeps"])
    array([[7, 4, 6, 0]])
    >>> encoder.inverse_transform([[1, 3, 5, 0]])
    ['a cat runs']
    """

    _doc_link_module = "skae"
    _doc_link_template = f"{SITE}/api/skae.tokens.{{estimator_name}}.html"

    def __init__(self, length: Any = "auto", unknown: str = "error", min_frequency: int = 1) -> None:
        self.length = length
        self.unknown = unknown
        self.min_frequency = min_frequency

    def fit(self, X: Iterable[Any], y: Any = None) -> TokenEncoder:
        """Learn the vocabulary and the length of sentences.

        Parameters
        ----------
        X : sequence of str, or of sequences of str
            Sentences. A text is split at white space.
        y : Ignored
            Present for scikit-learn's pipelines.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a sentence is empty or longer than ``length``, or if a parameter is not as described.
        TypeError
            If X holds anything else.
        """
        self._check_parameters()
        sentences, are_text = _split(X)
        counts = Counter(token for sentence in sentences for token in sentence)
        own = [PADDING, *([UNKNOWN] if self.unknown == "mark" else [])]
        if taken := next((token for token in own if token in counts), None):
            raise ValueError(f"The sentences have the token {taken!r}, which is a name of this encoder: rename it.")
        learnt = sorted(token for token, count in counts.items() if count >= self.min_frequency)
        length = max(map(len, sentences)) if self.length == "auto" else int(self.length)
        _require_short(sentences, length)
        self.vocabulary_ = np.array([*own, *learnt], dtype=object)
        self.length_ = self.n_features_out_ = length
        self._are_text = are_text
        return self

    def transform(self, X: Iterable[Any]) -> np.ndarray:
        """Encode sentences.

        Parameters
        ----------
        X : sequence of str, or of sequences of str

        Returns
        -------
        ids : ndarray of int64 of shape (n_sentences, length_)

        Raises
        ------
        ValueError
            If a sentence is empty, longer than ``length_``, or has an unknown token with ``unknown="error"``.
        TypeError
            If X holds anything else.
        """
        check_is_fitted(self)
        sentences, _ = _split(X)
        _require_short(sentences, self.length_)
        place = {token: i for i, token in enumerate(self.vocabulary_.tolist())}
        ids = np.zeros((len(sentences), self.length_), dtype=np.int64)
        for row, sentence in enumerate(sentences):
            for column, token in enumerate(sentence):
                found = place.get(token, 1 if UNKNOWN in place else None)
                if found is None or token == PADDING:
                    raise ValueError(
                        f"The token {token!r} in sentence {row}, place {column}, is not in the vocabulary: fit with "
                        "unknown='mark', or leave out the sentence."
                    )
                ids[row, column] = found
        return ids

    def inverse_transform(self, X: Any) -> list[Any]:
        """Decode rows of token ids.

        Parameters
        ----------
        X : array-like of int of shape (n_sentences, length_)

        Returns
        -------
        sentences : list of str, or of lists of str
            Texts with spaces between the tokens, or lists if ``fit`` has seen lists. Padding is left out wherever it
            is.

        Raises
        ------
        ValueError
            If X has another shape, or an entry that is the id of no token.
        """
        check_is_fitted(self)
        ids = np.asarray(X)
        if ids.ndim != 2 or ids.shape[1] != self.length_:
            raise ValueError(f"X has the shape {ids.shape}, but rows have {self.length_} token ids: pass such rows.")
        wrong = np.argwhere(~np.isin(ids, np.arange(len(self.vocabulary_))))
        if len(wrong):
            row, column = wrong[0].tolist()
            raise ValueError(
                f"X has {ids[row, column]} in row {row}, column {column}, but token ids are whole numbers from 0 to "
                f"{len(self.vocabulary_) - 1}: pass rows as transform returns them."
            )
        rows = [[self.vocabulary_[int(i)] for i in row if i] for row in ids]
        return [" ".join(row) for row in rows] if self._are_text else rows

    @property
    def _n_features_out(self) -> int:
        return self.length_

    def _check_parameters(self) -> None:
        for name, least in (("length", 1), ("min_frequency", 1)):
            number = getattr(self, name)
            if (name, number) != ("length", "auto") and not _is_whole(number, least):
                raise ValueError(f"{name}={number!r} must be a whole number of at least {least}.")
        if self.unknown not in ("error", "mark"):
            raise ValueError(f"unknown={self.unknown!r} must be 'error' or 'mark'.")
        if self.min_frequency > 1 and self.unknown == "error":
            raise ValueError(f"min_frequency={self.min_frequency} leaves unknown tokens: set unknown='mark'.")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags


def _is_whole(number: Any, least: int) -> bool:
    return isinstance(number, int | np.integer) and not isinstance(number, bool) and bool(number >= least)


def _split(X: Any) -> tuple[list[list[str]], bool]:
    """Sentences as lists of tokens, and whether they were texts."""
    if isinstance(X, str | Mapping) or not isinstance(X, Iterable):
        raise TypeError(f"X is of type {type(X).__name__}: pass a list of sentences.")
    if hasattr(X, "columns"):  # a list of it would hold the names of its columns
        kind = type(X).__name__
        raise TypeError(f"X is a {kind}: pass the column of it that holds the sentences, such as X['text'].")
    given = list(X)
    if not given:
        raise ValueError("X has no sentences: pass at least one.")
    are_text = isinstance(given[0], str)
    sentences = [_tokens(sentence, row, are_text) for row, sentence in enumerate(given)]
    return sentences, are_text


def _tokens(sentence: Any, row: int, is_text: bool) -> list[str]:
    if isinstance(sentence, str) != is_text or not isinstance(sentence, str | Sequence | np.ndarray):
        kind = "a text, as the first is" if is_text else "a list of tokens"
        raise TypeError(f"Sentence {row} is of type {type(sentence).__name__}: it must be {kind}.")
    tokens = sentence.split() if isinstance(sentence, str) else list(sentence)
    wrong = next((token for token in tokens if not isinstance(token, str)), None)
    if wrong is not None:
        raise TypeError(f"Sentence {row} has {wrong!r}, of type {type(wrong).__name__}, in it: tokens are texts.")
    if not tokens:
        raise ValueError(f"Sentence {row} is empty: leave it out.")
    return [str(token) for token in tokens]


def _require_short(sentences: list[list[str]], length: int) -> None:
    long = next((row for row, sentence in enumerate(sentences) if len(sentence) > length), None)
    if long is not None:
        raise ValueError(
            f"Sentence {long} has {len(sentences[long])} tokens, but rows have {length} places: shorten it, or fit "
            "with a larger length."
        )
