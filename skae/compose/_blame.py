"""What each entry of a row contributes to its score: Shapley values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["contributions"]

SCORED = 1024
"""Rows that are scored for an order of the columns and its reverse, in all pairs together, for rows that are narrow."""
FEWEST, MOST = 2, 16
"""Limits of the number of pairs of orders."""
ELEMENTS = 2**22
"""Entries of the rows that are scored at a time."""


def contributions(
    score: Callable[[np.ndarray], np.ndarray],
    rows: np.ndarray,
    reference: np.ndarray,
    rng: np.random.RandomState,
    owner: np.ndarray | None = None,
) -> np.ndarray:
    """How much each entry of a row lowers its score.

    The entries of the reference are replaced by those of the row, one after another. The change of the score at an
    entry is its contribution, in mean over random orders. Each order is used forwards and backwards. Then the
    contributions to a score that is a sum of functions of pairs of columns are exact.

    Parameters
    ----------
    score : callable
        Maps rows of shape (m, n_features) to their scores. NaN is an entry that is missing.
    rows : ndarray of shape (n, n_features)
    reference : ndarray of shape (n_features,)
    rng : RandomState
    owner : ndarray of int of shape (n_features,) or None, default=None
        Number of the variable that each column belongs to, such as that of a category with several columns. The
        columns of a variable are replaced together. None makes each column a variable.

    Returns
    -------
    values : ndarray of shape (n, n_variables)
        Their sums are score(reference) - score(rows). An entry that is missing is missing in the reference too, and
        contributes nothing.
    """
    owner = np.arange(rows.shape[1]) if owner is None else owner
    d = int(owner.max()) + 1
    n_pairs = min(MOST, max(FEWEST, SCORED // d))
    orders = [rng.permutation(d) for _ in range(n_pairs)]
    place = np.array([np.argsort(order) for one in orders for order in (one, one[::-1])])
    values = np.zeros((len(rows), d))
    size = max(1, ELEMENTS // (rows.shape[1] * (d + 1)))
    steps = np.arange(d + 1)[:, None]
    for start in range(0, len(rows), size):
        x = rows[start : start + size]
        base = np.where(np.isnan(x), np.nan, reference)
        for rank in place:
            paths = np.where(rank[owner] < steps, x[:, None], base[:, None])  # step t has the first t variables of x
            scores = score(paths.reshape(-1, rows.shape[1])).reshape(len(x), d + 1)
            values[start : start + size] -= np.diff(scores, axis=1)[:, rank]
    return values / len(place)
