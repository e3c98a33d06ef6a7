"""One pass over chunks: fit to an iterator is a loop of partial_fit."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Any

from ..engine.group import current

__all__ = ["fit_stream", "is_stream", "needs_all_rows"]

ARRAY_LIKE = ("__getitem__", "__array__", "shape")
"""What an iterable of chunks does not have, and every kind of table has one of."""


def is_stream(X: Any) -> bool:
    """Whether X is an iterable of chunks, such as a generator, and not a table.

    Parameters
    ----------
    X : object
        What a user passed.
    """
    is_table = any(hasattr(X, name) for name in ARRAY_LIKE)
    return isinstance(X, Iterable) and not is_table and not isinstance(X, str | bytes | Set)


def needs_all_rows(name: str) -> str:
    """What to say of chunks that are given to something of this name which cannot learn from one after another."""
    return f"X gives one chunk at a time, but {name} needs all rows at once: pass a table."


def fit_stream(estimator: Any, X: Iterable[Any], y: Any, sample_weight: Any) -> None:
    """Fit an estimator to chunks, each with one call of ``partial_fit``.

    Parameters
    ----------
    estimator : TorchEstimator
    X : iterable
        Its items are tables, or pairs (tuples or lists) of a table and its y. A pair may lack y.
    y, sample_weight : None
        They would have to come with the chunks.

    Raises
    ------
    ValueError
        If there is no chunk, if a chunk is not as described, or if the estimator needs all rows at once.
    """
    name = type(estimator).__name__
    if not hasattr(estimator, "partial_fit"):
        raise ValueError(needs_all_rows(f"this {name}"))
    if current().size > 1:
        raise ValueError(
            f"X, of type {type(X).__name__}, gives chunks, of which each process may have another number: call "
            "partial_fit chunk by chunk, as many times in each process."
        )
    if y is not None or sample_weight is not None:
        got = "sample_weight" if y is None else "y"
        cure = "call partial_fit chunk by chunk" if y is None else "let each chunk be a pair (X, y)"
        raise ValueError(f"X gives one chunk at a time, and {got} cannot be cut into such chunks: {cure}.")
    if not estimator.warm_start:
        vars(estimator).pop("module_", None)  # the first chunk starts anew
    number = -1
    for number, chunk in enumerate(X):
        rows, target = _read(chunk, number)
        try:
            estimator.partial_fit(rows, target)
        except ValueError as error:
            if type(error) is not ValueError:
                raise
            raise ValueError(f"In chunk {number} of X: {error}") from error
    if number < 0:
        raise ValueError(f"X, of type {type(X).__name__}, gives no chunk: an iterator can be gone through only once.")


def _read(chunk: Any, number: int) -> tuple[Any, Any]:
    """A chunk as rows and y."""
    if not (isinstance(chunk, list | tuple) and chunk and len(getattr(chunk[0], "shape", ())) > 1):
        return chunk, None
    if len(chunk) > 2:
        raise ValueError(f"Chunk {number} of X has {len(chunk)} parts: a chunk is a table, or a pair (X, y).")
    return chunk[0], chunk[1] if len(chunk) == 2 else None
