"""What a map hides: which neighbours it tears apart, and how much of each row is lost."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from sklearn.utils import check_array, gen_batches

from ..base.graphs import nearest_rows
from ..metrics import neighbors_kept, training_mean
from ._rows import as_array, take_rows, without_torch

__all__ = ["row_errors", "scores_of_map", "spread_of_neighbors"]

N_NEIGHBORS = 15
"""Largest number of neighbours that are compared."""
N_SCORED = 2000
"""Largest number of rows that are scored, so that many rows are drawn within seconds."""
CHUNK_ROWS = 2048
"""Number of rows that are decoded at a time, since decoded rows of a sparse table are dense."""
NO_NUMBERS = (
    'color_by="{}" needs rows of numbers without missing values: pass rows that are prepared, and the part of a '
    "pipeline that takes them."
)
UNDEFINED = (AttributeError, NotImplementedError, TypeError, ValueError)
"""What estimators raise where a score is not defined, for example for rows that are no numbers."""


def scores_of_map(
    estimator: Any, X: Any, codes: Any, columns: list[int], errors: np.ndarray | None = None
) -> dict[str, float]:
    """Share of the neighbours that the drawn columns of the code keep, and R2 of the rows decoded from the whole code.

    A score that is not defined is left out. Many rows are represented by some of them, and the name of a score tells
    how many. If the ``row_errors`` of all rows are known, nothing is decoded.
    """
    n, width = codes.shape
    rows = _some_rows(n)
    among = f" among {len(rows)} rows" if len(rows) < n else ""
    x, h = take_rows(X, rows), take_rows(codes, rows)
    scores = {}
    k = _most_neighbors(len(rows))
    with suppress(*UNDEFINED):
        kept = neighbors_kept(x, as_array(h)[:, columns], n_neighbors=k)
        scores[f"{k} neighbours kept{among}"] = float(kept.mean())
    whole = "" if len(columns) == width else f" of all {width} components"
    with suppress(*UNDEFINED):
        of_rows = row_errors(estimator, x, h) if errors is None else errors[rows]
        scores[f"reconstruction R2{whole}"] = 1.0 - float(of_rows.mean())
    return scores


def _some_rows(n: int) -> np.ndarray:
    """Numbers of the rows that are scored: all, or if there are many, some that are drawn with a fixed seed."""
    if n <= N_SCORED:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, N_SCORED, replace=False))


def spread_of_neighbors(X: Any, codes: np.ndarray) -> tuple[np.ndarray, int]:
    """How far the neighbours of each row in X are scattered on the map, and how many neighbours that are.

    It is the root mean square distance on the map from a row to its nearest rows in X, divided by its median over the
    rows, so that 1 is usual.
    """
    if len(codes) < 2:
        raise ValueError('color_by="spread" needs at least 2 rows, the neighbours of each other; got 1 row.')
    k = max(1, _most_neighbors(len(codes)))
    try:
        x = check_array(without_torch(X), accept_sparse="csr", dtype=np.float64)
    except (TypeError, ValueError) as complaint:
        raise ValueError(NO_NUMBERS.format("spread")) from complaint
    graph = nearest_rows(x, k, "euclidean")
    h = codes.astype(float)
    squares = np.square(h[graph.indices] - h[graph.sources]).sum(axis=1)
    spread = np.sqrt(np.bincount(graph.sources, squares, minlength=len(codes)))  # a factor of 1 / k would cancel
    usual = float(np.median(spread)) or float(spread.mean()) or 1.0
    return spread / usual, k


def row_errors(estimator: Any, X: Any, codes: Any) -> np.ndarray:
    """Squared error of each decoded row, divided by the mean squared distance of rows from the training mean.

    The mean of the errors is 1 - R2. Among many rows, that distance is measured of some. Missing entries do not count.
    """
    try:
        x = as_array(take_rows(X, _some_rows(codes.shape[0])))
        mean = training_mean(estimator, x)
    except (TypeError, ValueError) as complaint:
        raise ValueError(NO_NUMBERS.format("error")) from complaint
    total = np.where(np.isnan(x), 0.0, np.square(x - mean)).sum(axis=1).mean()
    parts = gen_batches(codes.shape[0], CHUNK_ROWS)
    errors = np.concatenate([_squared_errors(estimator, X, codes, part) for part in parts])
    relative: np.ndarray = errors / total if total > 0.0 else (errors > 0.0).astype(float)
    return relative


def _squared_errors(estimator: Any, X: Any, codes: Any, part: slice) -> np.ndarray:
    rows = np.arange(codes.shape[0])[part]
    x, x_hat = as_array(take_rows(X, rows)), as_array(estimator.inverse_transform(take_rows(codes, rows)))
    if x.shape != x_hat.shape:
        raise ValueError(
            f"{type(estimator).__name__} reconstructs {x_hat.shape[1]} columns, but X has {x.shape[1]}: "
            "the rows have no reconstruction error."
        )
    errors: np.ndarray = np.where(np.isnan(x), 0.0, np.square(x - x_hat)).sum(axis=1)
    return errors


def _most_neighbors(n: int) -> int:
    """Number of neighbours among so many rows. Of few rows, half are neighbours at most."""
    return min(N_NEIGHBORS, (n - 1) // 2)
