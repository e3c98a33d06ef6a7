"""Rows that are divided among processes. Each process holds some, and all of them together answer what is asked.

What is shared has the length of the whole. An index of it is answered by all processes at once, and each gets the same
rows. That is meant for some rows, such as those of which a verdict is formed. What goes through all rows asks for
those that a process holds (``held``), and sums over the processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from .data import Array, Index, Rows, to_tensor
from .group import ALONE, Group

__all__ = ["MOST_COLUMNS", "Shared", "SharedRows", "divided", "held_of"]

MOST_COLUMNS = 64
"""Up to so many columns of y are known to each process for all rows, as the weights are."""


class Shared:
    """An array whose rows are held by several processes, those of the first one first.

    Parameters
    ----------
    own : array, memory map, CSR matrix or tensor of shape (n_own, n_features)
        The rows that this process holds.
    group : Group
    """

    ndim = 2

    def __init__(self, own: Array, group: Group) -> None:
        ends = np.cumsum([0, *group.gather(int(own.shape[0]))])
        self.own, self.group = own, group
        self.held = slice(int(ends[group.rank]), int(ends[group.rank + 1]))
        self.shape = (int(ends[-1]), int(own.shape[1]))
        self.dtype = own.dtype
        self.nbytes = self.shape[0] * self.shape[1] * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        rows = np.arange(len(self))[index] if isinstance(index, slice) else np.asarray(index)

        def read(mine: Tensor) -> Tensor:
            return to_tensor(self.own[mine.numpy()])

        like = to_tensor(self.own[:0])
        found = _together(self.group, self.held, torch.from_numpy(rows), read, self.shape[1], like)
        return found if isinstance(self.own, Tensor) else found.numpy()

    def take(self, rows: np.ndarray) -> Shared:
        """Some of the rows, by their numbers in ascending order. Each process keeps those that it holds."""
        mine = rows[(rows >= self.held.start) & (rows < self.held.stop)]
        return Shared(self.own[mine - self.held.start], self.group)


class SharedRows(Rows):
    """Rows as a module sees them, which are held by several processes.

    Parameters
    ----------
    own : Rows
        Those that this process holds.
    held : slice
        Which rows these are.
    group : Group
    n_rows : int
        Number of all rows.
    has_gaps : bool
        Whether entries of any row are guesses.
    """

    held: slice

    def __init__(self, own: Rows, held: slice, group: Group, n_rows: int, has_gaps: bool) -> None:
        self._own, self.held, self.group, self._n_rows, self._has_gaps = own, held, group, n_rows, has_gaps
        self.width = own.width
        super().__init__(_Lookup(self), dtype=own.dtype, device=own.out)

    @property
    def own(self) -> Rows:
        """See ``Rows``."""
        return self._own

    def with_own(self, own: Rows, has_gaps: bool | None = None) -> SharedRows:
        """The same rows in another form."""
        return SharedRows(own, self.held, self.group, self._n_rows, self._has_gaps if has_gaps is None else has_gaps)

    def embedded(self, embed: Callable[[Tensor], Tensor]) -> Rows:
        """See ``Rows``."""
        return self.with_own(self.own.embedded(embed))

    @property
    def device(self) -> torch.device:
        """See ``Rows``."""
        return self.own.device

    def __len__(self) -> int:
        return self._n_rows

    def __getitem__(self, index: Index) -> Tensor:
        return self._read(index, lambda mine: self.own[mine], self.own[:0])

    def with_mask(self, index: Index) -> tuple[Tensor, Tensor | None]:
        """See ``Rows``."""
        x = self[index]
        if not self._has_gaps:
            return x, None

        def known(mine: Tensor) -> Tensor:
            part, mask = self.own.with_mask(mine)
            return (torch.ones_like(part) if mask is None else mask).to(torch.uint8)

        return x, self._read(index, known, x.to(torch.uint8)).bool()

    def _read(self, index: Index, read: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
        rows = torch.arange(len(self))[index] if isinstance(index, slice) else index.cpu()
        return _together(self.group, self.held, rows, lambda mine: read(mine.to(self.device)), like.shape[1], like)


class _Lookup:
    """What rows look like to code that asks for their array."""

    def __init__(self, rows: SharedRows) -> None:
        self._rows = rows

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and of columns."""
        return len(self._rows), self._rows.width

    def __getitem__(self, index: Any) -> np.ndarray:
        found: np.ndarray = self._rows[index if isinstance(index, slice) else torch.from_numpy(index)].cpu().numpy()
        return found


def _together(
    group: Group, held: slice, rows: Tensor, read: Callable[[Tensor], Tensor], width: int, like: Tensor
) -> Tensor:
    """Rows that each process reads as far as it holds them."""
    found = torch.zeros(len(rows), width, dtype=like.dtype, device=like.device)
    mine = (rows >= held.start) & (rows < held.stop)
    if bool(mine.any()):
        found[mine.to(like.device)] = read(rows[mine] - held.start)
    return group.sum(found)


def held_of(X: Any, weight: Any = None) -> tuple[Any, Any, Group]:
    """The rows of an array that this process holds and their weights, and the group that holds the whole."""
    if not isinstance(X, Shared | SharedRows):
        return X, weight, ALONE
    return X.own, None if weight is None else weight[X.held], X.group


def divided(whole: Array, group: Group) -> Shared:
    """Divide an array that each process holds as a whole."""
    n = whole.shape[0]
    return Shared(whole[group.rank * n // group.size : (group.rank + 1) * n // group.size], group)


def gathered(own: Any, group: Group) -> Any:
    """The rows of all processes, as one array that each of them holds."""
    parts: Iterator[Any] = iter(group.gather(own))
    return np.concatenate([part.toarray() if sparse.issparse(part) else part for part in parts])
