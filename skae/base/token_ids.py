"""Rows of token ids: they are checked, and become groups of columns of which one is 1."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from torch import Tensor

from .checks import check_x

__all__ = ["MOST_TOKENS", "ids_of", "one_hot", "token_ids"]

MOST_TOKENS = 10**6
"""Largest number of tokens. Each has a column for each place, and weights of its own in the first and last layer."""


def token_ids(estimator: Any, X: Any, reset: bool) -> np.ndarray:
    """Check rows of token ids, and return them as whole numbers.

    Parameters
    ----------
    estimator : object
        It learns the number of columns if ``reset``, and has it otherwise.
    X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, length)
    reset : bool

    Returns
    -------
    ids : ndarray of int64 of shape (n_samples, length)

    Raises
    ------
    ValueError
        If an entry is negative, no whole number or too large, or if X is text.
    """
    _require_no_text(X)
    X = check_x(estimator, X, reset=reset, look_through=True)
    X = X.cpu().numpy() if isinstance(X, Tensor) else X.toarray() if sparse.issparse(X) else np.asarray(X)
    if (found := _first((X < 0) | (np.floor(X) != X))) is not None:
        raise ValueError(
            f"X has {X[found]:g} in row {found[0]}, column {found[1]}, which is no token id: pass whole numbers from 0 "
            "on, such as those that skae.tokens.TokenEncoder makes."
        )
    if (found := _first(X >= MOST_TOKENS)) is not None:
        raise ValueError(
            f"X has {X[found]:g} in row {found[0]}, column {found[1]}, but token ids are below {MOST_TOKENS}: number "
            "the tokens 0, 1, 2 and so on, as skae.tokens.TokenEncoder does."
        )
    return X.astype(np.int64)


def one_hot(ids: np.ndarray, n_tokens: int) -> sparse.csr_array:
    """A column for each token at each place, in the order of the places.

    Parameters
    ----------
    ids : ndarray of int of shape (n_samples, length)
    n_tokens : int

    Returns
    -------
    rows : sparse array of shape (n_samples, length * n_tokens)

    Raises
    ------
    ValueError
        If an id is not below ``n_tokens``.
    """
    if (found := _first(ids >= n_tokens)) is not None:
        raise ValueError(
            f"X has the token id {ids[found]} in row {found[0]}, column {found[1]}, but the ids of the vocabulary are "
            f"0 to {n_tokens - 1}: drop the row, or fit with n_tokens={ids[found] + 1} or more."
        )
    n_samples, length = ids.shape
    columns = (ids + n_tokens * np.arange(length)).ravel()
    starts = np.arange(0, n_samples * length + 1, length)
    return sparse.csr_array((np.ones(n_samples * length), columns, starts), (n_samples, length * n_tokens))


def ids_of(rows: Any, length: int) -> Any:
    """The most probable token at each place, of shape (n_samples, length): the first one if there are several.

    Parameters
    ----------
    rows : array or Tensor of shape (n_samples, length * n_tokens)
        Probabilities, scores or ones.
    length : int
    """
    return rows.reshape(len(rows), length, -1).argmax(2)


def _first(wrong: np.ndarray) -> tuple[int, int] | None:
    """Row and column of the first entry of a mask that is true."""
    places = np.argwhere(wrong)
    return (int(places[0, 0]), int(places[0, 1])) if len(places) else None


def _require_no_text(X: Any) -> None:
    """Point to ``TokenEncoder`` if the first cell of X is text."""
    cell = X
    while isinstance(cell, list | tuple) and cell:
        cell = cell[0]
    if isinstance(cell, np.ndarray) and cell.size:
        cell = cell.flat[0]
    if isinstance(cell, str):
        raise ValueError(
            f"X contains text, {cell[:30]!r}, where likelihood='tokens' needs token ids: put skae.tokens.TokenEncoder "
            "in front of it."
        )
