"""Corruptions: what a denoising autoencoder is shown instead of its data.

Those in ``SELECTIVE`` are functions of

- ``x``, the rows,
- ``selected``, of the same shape: which entries are replaced,
- ``uniform``, a function that draws numbers in [0, 1) in the shape of x, equal for columns of one variable,
- ``limits``, of shape (2, n_columns): the least and the greatest value of each column, or None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

__all__ = ["SELECTIVE", "any_of_variable", "gaussian", "select", "uniform_numbers"]

Uniform: TypeAlias = Callable[[], Tensor]


def gaussian(x: Tensor, sigma: float, rng: torch.Generator) -> Tensor:
    """Add noise from N(0, sigma^2) to every entry."""
    return torch.empty_like(x).normal_(0.0, sigma, generator=rng).add_(x)


def masking(x: Tensor, selected: Tensor, uniform: Uniform, limits: Tensor | None) -> Tensor:
    """Replace by zero (Vincent et al., 2008)."""
    return x * ~selected


def salt_and_pepper(x: Tensor, selected: Tensor, uniform: Uniform, limits: Tensor | None) -> Tensor:
    """Replace by the column's least or greatest value, each half of the time (Vincent et al., 2010)."""
    assert limits is not None
    return torch.where(selected, torch.where(uniform() < 0.5, limits[0], limits[1]), x)


def swap(x: Tensor, selected: Tensor, uniform: Uniform, limits: Tensor | None) -> Tensor:
    """Replace by the value that the variable has in another row of the batch, chosen at random."""
    return torch.where(selected, _elsewhere(x, uniform()), x)


def bert(x: Tensor, selected: Tensor, uniform: Uniform, limits: Tensor | None) -> Tensor:
    """Replace 80 % by zero and 10 % by the value of another row, and leave 10 % as they are (Devlin et al., 2019)."""
    u = uniform()
    replaced = torch.where(u < 0.8, 0.0, torch.where(u < 0.9, _elsewhere(x, uniform()), x))
    return torch.where(selected, replaced, x)


SELECTIVE: dict[str, Callable[[Tensor, Tensor, Uniform, Tensor | None], Tensor]] = {
    "masking": masking,
    "salt_and_pepper": salt_and_pepper,
    "swap": swap,
    "bert": bert,
}
"""The corruptions that replace some entries and leave the others as they are."""


def select(x: Tensor, level: float, rng: torch.Generator, member: Tensor | None = None) -> Tensor:
    """Select each entry of x with probability ``level``, which is rounded to a multiple of 1 / 65536.

    Columns of one variable are selected together. The other parameters are those of ``uniform_numbers``.
    """
    if level >= 1.0:
        return torch.ones_like(x, dtype=torch.bool)
    if x.device.type != "cpu":
        return uniform_numbers(x, rng, member) < level
    # Four numbers of 16 bits from one draw of 64: half the time of drawing floats.
    width = x.shape[1] if member is None else int(member[-1]) + 1
    n = len(x) * width
    bits = torch.empty(-(-n // 4), dtype=torch.int64).random_(-(2**63), 2**63 - 1, generator=rng)
    chosen = bits.view(torch.int16)[:n].view(len(x), width) < round(level * 65536) - 32768
    return chosen if member is None else chosen[:, member]


def uniform_numbers(x: Tensor, rng: torch.Generator, member: Tensor | None = None) -> Tensor:
    """Draw numbers in [0, 1) in the shape of x: one for each row and variable.

    Parameters
    ----------
    x : Tensor of shape (n, n_columns)
    rng : torch.Generator
    member : LongTensor of shape (n_columns,) or None
        The variable to which each column belongs. None if each column is a variable of its own.
    """
    width = x.shape[1] if member is None else int(member[-1]) + 1
    u = torch.rand((len(x), width), generator=rng, dtype=x.dtype, device=x.device)
    return u if member is None else u[:, member]


def any_of_variable(selected: Tensor, member: Tensor | None) -> Tensor:
    """Select all columns of a variable of which one is selected, with ``member`` as in ``uniform_numbers``."""
    if member is None:
        return selected
    counts = selected.new_zeros((len(selected), int(member[-1]) + 1), dtype=torch.long)
    return counts.index_add_(1, member, selected.long())[:, member] > 0


def _elsewhere(x: Tensor, u: Tensor) -> Tensor:
    """The value of the same column in another row, of which the numbers u in [0, 1) choose one."""
    n = len(x)
    steps = (u * (n - 1)).long().clamp_(max=max(0, n - 2)) + 1
    rows = (torch.arange(n, device=x.device)[:, None] + steps) % n
    return x.gather(0, rows)
