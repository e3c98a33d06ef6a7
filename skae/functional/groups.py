"""Groups of adjacent columns that share a distribution, as one-hot encoding makes them."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["group_log_softmax", "group_max", "group_sum"]


def group_log_softmax(logits: Tensor, member: Tensor, n_groups: int) -> Tensor:
    """Log-softmax within each group of columns. Groups may be of any sizes.

    Parameters
    ----------
    logits : Tensor of shape (..., n_columns)
    member : LongTensor of shape (n_columns,)
        The group of each column.
    n_groups : int

    Returns
    -------
    Tensor of shape (..., n_columns)
    """
    with torch.no_grad():  # the shift cancels, and so does its gradient
        largest = group_max(logits, member, n_groups)
    z = logits - largest[..., member]
    return z - group_sum(z.exp(), member, n_groups).log()[..., member]


def group_max(x: Tensor, member: Tensor, n_groups: int) -> Tensor:
    """Largest of the columns of each group, of shape (..., n_groups)."""
    lowest = x.new_full((*x.shape[:-1], n_groups), -torch.inf)
    return lowest.scatter_reduce(-1, member.expand_as(x), x, "amax")


def group_sum(x: Tensor, member: Tensor, n_groups: int) -> Tensor:
    """Sum of the columns of each group, of shape (..., n_groups)."""
    return x.new_zeros((*x.shape[:-1], n_groups)).index_add(-1, member, x)
