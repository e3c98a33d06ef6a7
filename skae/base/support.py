"""Rows outside the support of a model: a warning names the first one, and their log-probability is -inf.

The rule is the same for every likelihood and every kind of visible units. ``fit`` learns from such rows, and
``transform`` encodes them, because both are defined everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..engine.data import Batch, Source, chunks
from ..engine.notices import warn
from ..functional import Support

__all__ = ["inside", "log_density_inside", "scored_inside", "warn_of_rows", "warn_outside"]


def warn_outside(estimator: Any, data: Source, support: Support | None) -> None:
    """Warn of the first row that a model cannot describe, when it is fitted.

    Parameters
    ----------
    estimator : object
        The estimator that is fitted. It may know the names of the columns.
    data : Source
        The rows of X, on their own scale.
    support : Support or None
        The rows that the model describes, see ``support_of``. None if it describes all.
    """
    if support is None or sum(support.sizes) not in (0, data.width):
        return
    for rows in chunks(len(data), data.width):
        x = data[rows].x
        if (wrong := support.outside(x)) is not None:
            first = int(wrong.any(1).nonzero()[0])
            warn(_complaint(estimator, support, x[first], rows.start + first))
            return


def warn_of_rows(estimator: Any, support: Support | None, data: Callable[[], Any], rows: np.ndarray) -> None:
    """Warn of rows outside the support when they are scored.

    Parameters
    ----------
    estimator : object
    support : Support or None
    data : callable
        Returns the source of all rows.
    rows : ndarray of int
        Numbers of the rows that have the probability 0.
    """
    if support is None or len(rows) == 0:
        return
    source = data()
    for row in rows.tolist():  # the density of a row inside may be rounded to 0 too
        x = source[slice(row, row + 1)].observed
        if support.outside(x) is not None:
            complaint = _complaint(estimator, support, x[0], row)
            warn(f"{complaint} The probability of {len(rows)} of {len(source)} rows is 0.")
            return


def inside(support: Support | None, x: Tensor) -> Tensor:
    """Mask of the rows that are in the support, of shape (n,). An entry that is NaN may be anything."""
    wrong = None if support is None else support.outside(x)
    return torch.ones(len(x), dtype=torch.bool, device=x.device) if wrong is None else ~wrong.any(1)


def log_density_inside(support: Support | None, function: Callable[[Batch], Tensor], batch: Batch) -> Tensor:
    """Apply a log-density to the rows of a batch that are in the support. The others get -inf."""
    if support is None:
        return function(batch)
    is_inside = inside(support, batch.observed)
    if bool(is_inside.all()):
        return function(batch)
    if not bool(is_inside.any()):
        return torch.full((len(batch.x),), -torch.inf, dtype=batch.x.dtype, device=batch.x.device)
    found = function(batch.take(is_inside))
    return found.new_full((len(batch.x),), -torch.inf).masked_scatter_(is_inside, found)


def scored_inside(support: Support | None, x: Tensor, scores: Tensor) -> Tensor:
    """Scores of complete rows x, with -inf for rows outside the support. No step depends on the values of the rows."""
    return scores if support is None else torch.where(support.misfits(x).any(1), -torch.inf, scores)


def _complaint(estimator: Any, support: Support, x: Tensor, row: int) -> str:
    """The sentence about a row x that is outside."""
    wrong = support.outside(x[None])
    assert wrong is not None
    column = int(wrong[0].nonzero()[0])
    names = getattr(estimator, "feature_names_in_", None)
    support, group = support.at(column)
    is_entry = len(x[group]) == 1 or not bool(wrong[0, group].all())
    if is_entry:
        where, value = f"column {_name(names, column)}", f"{float(x[column]):g}"
    else:
        first, last = (_name(names, k) for k in (group.start, group.stop - 1))
        where, value = f"columns {first} to {last}", f"the sum is {float(x[group].sum()):g}"
    found = f"X has values outside {support.range} in row {row}, {where} ({value})"
    return f"{found}, which {support.choice} cannot describe: {support.cure}."


def _name(names: np.ndarray | None, column: int) -> str:
    """The name of a column, or its number if there are no names."""
    return str(column) if names is None else repr(str(names[column]))
