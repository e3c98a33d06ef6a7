"""Tables outside memory: rows that are gathered from the parts of a file, such as the row groups of a Parquet file.

A part can only be read from its first row on. So a single row costs as much as the rows before it, and rows that are
read together should be read in the order of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["HELD_BYTES", "InOrder", "Outside", "Part", "block_rows"]

HELD_BYTES = 2**28
"""Size of the rows that may be asked for at once. A table that is not larger is read as a whole."""
WINDOW_BYTES = 2**28
"""Size of the rows that are shuffled together."""
PASSES = 8
"""How often the parts of a table are read in an epoch of shuffled rows, if the table is large."""
BLOCK = 2**20
"""Numbers that are decoded at a time."""

Columns = Sequence[np.ndarray]


class Part(NamedTuple):
    """Consecutive rows of a table that are read from the first one on."""

    n_rows: int
    blocks: Callable[[], Iterator[tuple[int, Callable[[], Columns]]]]
    """Starts to read. It yields the number of rows of each block, and a function that returns their columns."""


def block_rows(n_columns: int) -> int:
    """Number of rows that are decoded at a time."""
    return max(64, BLOCK // max(1, n_columns))


class Outside:
    """A table outside memory. It is indexed like an array of two dimensions, by slices and by arrays of row numbers.

    Reading goes on where it stopped, as long as the rows are asked for in the order of the file.

    Parameters
    ----------
    parts : sequence of Part
        The rows, in order.
    n_columns : int
    dtype : dtype
        Type of the rows that are returned.
    header : object, default=None
        An empty table with the same columns, from which scikit-learn reads their names.
    """

    ndim = 2

    def __init__(self, parts: Sequence[Part], n_columns: int, dtype: Any, header: Any = None) -> None:
        self._parts = [part for part in parts if part.n_rows]
        self._starts = np.cumsum([0, *(part.n_rows for part in self._parts)])
        self.shape = (int(self._starts[-1]), n_columns)
        self.dtype = np.dtype(dtype)
        self.header = header
        self._place = _Place(-1, 0, iter(()))

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Size of all rows as an array."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, tuple):
            some: np.ndarray = self[:][index]
            return some
        if isinstance(index, slice):
            rows = np.arange(*index.indices(len(self)))
        else:
            rows = np.arange(len(self))[index] if np.asarray(index).dtype == bool else np.asarray(index)
        if len(rows) < 2 or bool((rows[1:] >= rows[:-1]).all()):
            return self.read(rows)
        by_place = np.argsort(rows, kind="stable")
        out = self.new_rows(len(rows))
        out[by_place] = self.read(rows[by_place])
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)

    def in_memory(self) -> Any:
        """The rows as an array if they take at most ``HELD_BYTES``, and otherwise this table."""
        return self if self.nbytes > HELD_BYTES else self[:]

    def new_rows(self, n_rows: int) -> np.ndarray:
        """Room for rows, if they may be in memory together."""
        if n_rows * self.shape[1] * self.dtype.itemsize > HELD_BYTES:
            n, d = self.shape
            raise ValueError(
                f"X is outside memory, with {n} rows of {d} columns, but {n_rows} of them are needed at once: pass an "
                "array if they fit into memory, or use a model that takes them in batches."
            )
        return np.empty((n_rows, self.shape[1]), self.dtype)

    def read(self, rows: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Read rows in the order of the file.

        Parameters
        ----------
        rows : ndarray of int
            Row numbers in ascending order. A row may occur several times.
        out : ndarray or None, default=None
            Where to write them. None makes a new array.

        Returns
        -------
        out : ndarray of shape (len(rows), n_columns)
        """
        if len(rows) and not 0 <= rows[0] <= rows[-1] < len(self):
            raise IndexError(f"Rows {rows[0]} to {rows[-1]} are not among the rows 0 to {len(self) - 1} of X.")
        out = self.new_rows(len(rows)) if out is None else out
        done = 0
        while done < len(rows):
            start, stop, columns = self._block_of(int(rows[done]))
            end = done + int(np.searchsorted(rows[done:], stop))
            inside = rows[done:end] - start
            is_run = bool((np.diff(inside) == 1).all())
            picked = slice(int(inside[0]), int(inside[-1]) + 1) if is_run else inside
            out[done:end] = np.array([column[picked] for column in columns]).T  # faster than column by column
            done = end
        return out

    def _block_of(self, row: int) -> tuple[int, int, Columns]:
        """First and last row of the block that a row is in, and its columns."""
        place = self._place
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        if part != place.part or row < place.start:
            place = self._place = _Place(part, int(self._starts[part]), self._parts[part].blocks())
        while row >= place.stop:
            n_rows, columns = next(place.blocks)
            place.start, place.stop = place.stop, place.stop + n_rows
            place.columns = columns() if row < place.stop else ()
        return place.start, place.stop, place.columns

    def sequence(self, rows: np.ndarray) -> np.ndarray | None:
        """In which sequence to take shuffled rows, so that rows far from each other in the file are not read together.

        Rows are read in windows of ``WINDOW_BYTES``, see ``InOrder``, and each window is one pass over the parts that
        its rows are in. If at most ``PASSES`` windows hold all rows, they are taken as they are. Otherwise the rows of
        each part are dealt into ``PASSES`` hands. The first hands of all parts are played in a random sequence, then
        the second ones, and so on. So each of ``PASSES`` stretches of an epoch comes to all parts of the file, and each
        window to few of them. In a window rows are shuffled.

        Parameters
        ----------
        rows : ndarray of int
            Row numbers, from whose order the random sequences are made.

        Returns
        -------
        sequence : ndarray of int or None
            An index of ``rows``. None takes them as they are.
        """
        if len(rows) <= PASSES * self.window:
            return None
        part = (np.searchsorted(self._starts, rows, side="right") - 1).astype(np.int32)
        if bool((part[1:] >= part[:-1]).all()):
            return None  # they are in the order of the file
        by_part, count = np.argsort(part, kind="stable"), np.bincount(part, minlength=len(self._parts))
        first = np.cumsum(count) - count
        cuts = first + count * np.arange(PASSES + 1)[:, None] // PASSES
        start, stop = cuts[:-1].ravel(), cuts[1:].ravel()
        hands = np.flatnonzero(start < stop)
        played = hands[np.lexsort((by_part[start[hands]], hands // len(count)))]
        sequence = np.concatenate([by_part[start[hand] : stop[hand]] for hand in played])
        for begin in range(0, len(rows), self.window):
            sequence[begin : begin + self.window].sort()
        return sequence

    @property
    def window(self) -> int:
        """Number of rows that are shuffled together."""
        return int(max(1, WINDOW_BYTES // (self.shape[1] * self.dtype.itemsize)))


class _Place:
    """Where reading has come to: a block of rows from ``start`` to ``stop``, and the blocks that follow in its part."""

    def __init__(self, part: int, start: int, blocks: Iterator[tuple[int, Callable[[], Columns]]]) -> None:
        self.part, self.start, self.stop, self.blocks = part, start, start, blocks
        self.columns: Columns = ()


class InOrder:
    """Rows of a table outside memory in any order, of which consecutive slices are taken.

    A window of them is read in the order of the file, and held.

    Parameters
    ----------
    X : Outside
    order : ndarray of int
        Row numbers.
    """

    ndim = 2

    def __init__(self, X: Outside, order: np.ndarray) -> None:
        self.X, self.order, self.dtype = X, order, X.dtype
        self.shape = (len(order), X.shape[1])
        self._size = min(X.window, len(order))
        self._held = -1

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        if not isinstance(index, slice):
            return self.X[self.order[index]]
        start, stop, step = index.indices(len(self))
        if step != 1:
            return self.X[self.order[index]]
        out = self.X.new_rows(max(0, stop - start))
        done = start
        while done < stop:
            window = done // self._size
            if window != self._held:
                self._hold(window)
            first = window * self._size
            end = min(stop, first + self._size)
            out[done - start : end - start] = self._rows[self._where[done - first : end - first]]
            done = end
        return out

    def _hold(self, window: int) -> None:
        if self._held < 0:
            self._rows = np.empty((self._size, self.shape[1]), self.dtype)
        rows = self.order[window * self._size : (window + 1) * self._size]
        by_place = np.argsort(rows, kind="stable")
        self._held = -1
        self.X.read(rows[by_place], self._rows[: len(rows)])
        self._where = np.empty(len(rows), dtype=np.int64)
        self._where[by_place] = np.arange(len(rows))
        self._held = window
