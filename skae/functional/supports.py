"""Supports: the rows to which a distribution gives a positive probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .groups import group_sum

__all__ = ["Support", "Supports", "support_of", "support_of_columns"]

ROUNDING = 1e-6
"""How far an entry may be outside the support, because it was rounded."""
ROUNDING_OF_SUM = 1e-3
"""How far the sum of a group may be from 1, because its entries were rounded."""


class Support(NamedTuple):
    """The rows that a distribution describes. All others have the probability zero.

    Where a model takes probabilities or means in place of states, the support contains these too.
    """

    choice: str
    """The parameter that chose the distribution, such as "likelihood='bernoulli'"."""
    range: str
    """The entries that are possible, for messages."""
    cure: str
    """What to do about a row outside, for messages."""
    most: float = torch.inf
    """Largest entry. The smallest is 0."""
    whole: bool = False
    """Whether the entries are whole numbers."""
    sizes: tuple[int, ...] = ()
    """Columns of each group whose entries sum to 1."""

    def outside(self, x: Tensor) -> Tensor | None:
        """Mask of the entries that no row of the support has, or None if there are none.

        If the sum of a group is wrong, its entries are all in the mask.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)

        Returns
        -------
        wrong : Tensor of bool of shape (n, n_features), or None
        """
        if x.numel() == 0:
            return None
        low, high = torch.aminmax(x)
        is_inside = bool(low >= -ROUNDING) and bool(high <= self.most + ROUNDING)
        if is_inside and not self.whole and not self.sizes:
            return None
        wrong = self.misfits(x)
        return wrong if bool(wrong.any()) else None

    def misfits(self, x: Tensor) -> Tensor:
        """The mask of ``outside``, also if no entry is in it."""
        wrong = (x < -ROUNDING) | (x > self.most + ROUNDING)
        if self.whole:
            wrong |= (x - x.round()).abs() > ROUNDING
        if self.sizes:
            member = self._member(x)
            is_off = (group_sum(x, member, len(self.sizes)) - 1).abs() > ROUNDING_OF_SUM
            wrong |= is_off[:, member]
        return wrong

    def group(self, column: int) -> slice:
        """The columns of the group of a column. Without groups, it is the column alone."""
        if not self.sizes:
            return slice(column, column + 1)
        member = self._member(torch.empty(0))
        columns = torch.nonzero(member == member[column])
        return slice(int(columns[0]), int(columns[-1]) + 1)

    def at(self, column: int) -> tuple[Support, slice]:
        """The support of a column, for messages, and the columns of its group."""
        return self, self.group(column)

    def _member(self, like: Tensor) -> Tensor:
        """The group of each column."""
        sizes = torch.tensor(self.sizes, device=like.device)
        return torch.arange(len(self.sizes), device=like.device).repeat_interleave(sizes)


class Supports(NamedTuple):
    """The rows whose known entries are in the support of their part of the columns."""

    parts: tuple[tuple[list[int], Support], ...]
    """Columns and support of each part that does not describe all rows."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes that must sum to the number of columns, if there are any: none."""
        return ()

    def outside(self, x: Tensor) -> Tensor | None:
        """Mask of the entries that no row of the support has, or None if there are none."""
        wrong = torch.zeros(x.shape, dtype=torch.bool, device=x.device)
        for columns, support in self.parts:
            found = support.outside(x[:, columns])
            if found is not None:
                wrong[:, columns] = found
        return wrong if bool(wrong.any()) else None

    def misfits(self, x: Tensor) -> Tensor:
        """The mask of ``outside``, also if no entry is in it."""
        return torch.cat([support.misfits(x[:, columns]) for columns, support in self.parts], 1)

    def at(self, column: int) -> tuple[Support, slice]:
        """The support of a column, and the columns of its group, or the column alone if these are not adjacent."""
        columns, support = next(part for part in self.parts if column in part[0])
        group = support.group(columns.index(column))
        first = columns[group.start]
        adjacent = columns[group] == list(range(first, first + group.stop - group.start))
        return support, slice(first, first + group.stop - group.start) if adjacent else slice(column, column + 1)


def support_of_columns(columns: Sequence[tuple[str, int]]) -> Supports | None:
    """The support of columns of different kinds.

    Parameters
    ----------
    columns : sequence of (str, int)
        Kind and number of adjacent columns, see ``support_of``. Those of "categorical" are one group.
    """
    kinds = [kind for kind, size in columns for _ in range(size)]
    groups = tuple(size for kind, size in columns if kind == "categorical")
    parts = []
    for kind in dict.fromkeys(kinds):
        support = support_of("columns", kind, groups if kind == "categorical" else ())
        if support is not None:
            told = support._replace(
                choice=f"the kind {kind!r}", cure=support.cure.replace("columns='gaussian'", "the kind 'gaussian'")
            )
            parts.append(([i for i, other in enumerate(kinds) if other == kind], told))
    return Supports(tuple(parts)) if parts else None


def support_of(parameter: str, kind: str, sizes: Sequence[int] = ()) -> Support | None:
    """The support of a likelihood, or of the visible units of a machine. None if it is all rows of numbers.

    Parameters
    ----------
    parameter : {"likelihood", "visible", "columns"}
        The name of the parameter, for messages.
    kind : {"gaussian", "bernoulli", "categorical", "poisson", "softmax"}
        Its value. "softmax" without sizes stands for counts.
    sizes : sequence of int
        Columns of each group, for "categorical" and "softmax".
    """
    choice, instead = f"{parameter}={kind!r}", f"or use {parameter}='gaussian'"
    if kind == "gaussian":
        return None
    if sizes:
        cure = f"encode X with OneHotEncoder and leave out rows of unknown categories, {instead}"
        return Support(choice, "[0, 1] with the sum 1", cure, most=1.0, sizes=tuple(sizes))
    if kind == "bernoulli":
        return Support(choice, "[0, 1]", f"scale X with MinMaxScaler(clip=True), {instead}", most=1.0)
    possible, whole = ("0, 1, 2, ...", True) if kind == "softmax" else ("[0, inf]", False)
    return Support(choice, possible, f"pass counts, {instead}", whole=whole)
