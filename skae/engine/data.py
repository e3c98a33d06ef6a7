"""Sources of batches. They turn rows of arrays, sparse matrices, memory maps and tensors into tensors.

The batches of a source have one dtype, are on one device, and are on the scale of the module. Rows are centred and
scaled before they are cast to float32, so that small variation around a large mean is not lost.
"""

from __future__ import annotations

import copy
import mmap
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from .devices import is_on, name_of, resolve_device
from .frame import Frame
from .group import Group
from .outside import InOrder, Outside
from .parts import chunks, memory_map

__all__ = [
    "Batch",
    "Embedded",
    "Held",
    "Rows",
    "Source",
    "Subset",
    "Table",
    "chunks",
    "in_order",
    "is_on",
    "name_of",
    "resolve_device",
    "rows_of",
    "shuffled",
    "to_tensor",
]

Array: TypeAlias = Any  # an ndarray, a memory map, a CSR matrix or array, or a tensor of two dimensions
Index: TypeAlias = Tensor | slice

RESIDENT_BYTES = 2**30
"""A table up to this size is converted once and kept. A larger one is converted batch by batch."""

SMALL_BYTES = 2**24
"""A table up to this size is copied in the order of each epoch."""


class Batch(NamedTuple):
    """Some rows of a table, as a loss sees them.

    ``x`` has shape (n, n_features), ``weight`` has shape (n,), and ``y`` has shape (n, n_targets).
    """

    x: Tensor
    weight: Tensor | None = None
    y: Tensor | None = None
    corrupted: Tensor | None = None
    """The rows that the encoder sees during training. None if they are x."""
    emphasis: Tensor | None = None
    """Weight of each entry in the reconstruction error, of the shape of x or (n, 1). None if all are equal."""
    known: Tensor | None = None
    """Mask of the entries of x that were observed. The others are guesses. None if all were observed."""
    told: Tensor | None = None
    """Mask of the entries that the encoder is told to be observed. None if it is ``known``."""

    @property
    def shown(self) -> Tensor:
        """The rows that the encoder sees."""
        return self.x if self.corrupted is None else self.corrupted

    @property
    def entry_weight(self) -> Tensor | None:
        """Weights in the reconstruction error: one number per row, or one per entry. Guesses have the weight 0."""
        weight = self.emphasis
        if self.known is not None:
            weight = self.known.to(self.x.dtype) if weight is None else self.known * weight
        if weight is None or self.weight is None:
            return self.weight if weight is None else weight
        return weight * self.weight[:, None]

    @property
    def observed(self) -> Tensor:
        """The rows x, with NaN in place of guesses."""
        return self.x if self.known is None else self.x.masked_fill(~self.known, torch.nan)

    def take(self, index: Any) -> Batch:
        """Some of the rows."""
        return Batch(*(None if part is None else part[index] for part in self))  # type: ignore[arg-type]

    @property
    def told_known(self) -> Tensor | None:
        """Mask of the entries that the encoder is told to be observed, or None if that is all of them."""
        return self.known if self.told is None else self.told


class Source:
    """Rows that a model learns from or is applied to. ``len`` counts them, and ``source[index]`` is a batch of them.

    A subclass defines ``__len__``, ``__getitem__`` and ``width``. The other methods suit data without columns, and
    tables override them.

    Attributes
    ----------
    width : int
        Number of values that a row takes in memory. It decides how many rows are processed at a time.
    has_gaps : bool
        Whether entries are missing, which are NaN.
    weight : Tensor of shape (len(self),) or None
        Sample weights of the rows.
    device : torch.device
        Device of the rows.
    generators : tuple of torch.Generator
        Those from which batches draw, if they do. Their states are a part of the state of a training.
    """

    width: int
    has_gaps: bool = False
    weight: Any = None
    device: torch.device = torch.device("cpu")
    generators: tuple[torch.Generator, ...] = ()

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: Index) -> Any:
        raise NotImplementedError

    def moments(self) -> tuple[np.ndarray, float | np.ndarray]:
        """Return the mean of each column and one scale for all columns: 0 and 1 if there is nothing to measure."""
        return np.zeros(self.width), 1.0

    def in_order(self, order: Tensor) -> Source:
        """Return the rows in another order, of which slices are taken.

        Parameters
        ----------
        order : LongTensor of shape (n_rows,)
            Row numbers.
        """
        return Subset(self, order)

    def held(self) -> Held | None:
        """Return the rows that this process holds. None if each process has all rows, as if it were alone."""
        return None

    def shared(self, group: Group) -> Source:
        """Return the rows of all processes, of which each has only its own."""
        raise ValueError(f"Only tables can be divided among processes: this X is a {type(self).__name__}.")

    def sequence(self, rows: Tensor) -> Tensor | None:
        """In which sequence to take shuffled rows, as an index of them. None takes them as they are.

        Parameters
        ----------
        rows : LongTensor of shape (n_rows,)
            Row numbers.
        """
        return None

    def learnt(self, merge: bool) -> Source:
        """Return the rows to learn from.

        Parameters
        ----------
        merge : bool
            Whether a table merges equal rows.

        Returns
        -------
        data : Source
            Its mean weight is 1, if it is a table with weights.
        """
        return self

    def seen(
        self,
        frame: Frame | None,
        target_frame: Frame | None,
        dtype: torch.dtype,
        device: torch.device,
        resident: bool = False,
        look: Callable[[Index, Tensor], None] | None = None,
    ) -> Source:
        """Return the rows on the scale of the module.

        Parameters
        ----------
        frame : Frame or None
            Offset and scale of X.
        target_frame : Frame or None
            Offset and scale of y. None leaves y as it is.
        dtype : torch.dtype
        device : torch.device
        resident : bool, default=False
            Whether to convert all rows now, see ``Rows``.
        look : callable or None, default=None
            ``look(index, x)`` checks every batch.

        Returns
        -------
        data : Source
        """
        return self


class Held(NamedTuple):
    """The rows of a source that a process holds, if several processes have divided them among themselves."""

    data: Source
    """These rows alone."""
    places: Tensor
    """Their numbers in the source, in ascending order."""


def to_tensor(array: Array) -> Tensor:
    """A dense tensor of an array.

    It shares memory with the array if the array is writable, has native byte order, and has strides that torch
    supports.
    """
    if isinstance(array, Tensor):
        return array.detach()
    if sparse.issparse(array):
        array = array.toarray()
    array = np.asarray(array)
    odd = any(s < 0 or s % array.itemsize for s in array.strides)
    if odd or not array.flags.writeable or not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="), copy=True)
    return torch.from_numpy(array)


class Rows:
    """Rows of an array as tensors, on the scale of the module.

    Parameters
    ----------
    X : array, memory map, CSR matrix or tensor of shape (n_samples, n_features)
    frame : Frame or None, default=None
        Offset and scale to apply, in double precision if X has it. None leaves X as it is.
    dtype, device
        Those of the resulting tensors.
    resident : bool, default=False
        Whether to convert all rows now instead of batch by batch, if they take at most ``RESIDENT_BYTES``.
    look : callable or None, default=None
        ``look(index, x)`` checks every batch.
    """

    def __init__(
        self,
        X: Array,
        frame: Frame | None = None,
        *,
        dtype: torch.dtype,
        device: torch.device,
        resident: bool = False,
        look: Callable[[Index, Tensor], None] | None = None,
    ) -> None:
        self.X, self.frame, self.dtype, self.out, self.look = X, frame, dtype, device, look
        self.width = int(X.shape[1])
        self._map = memory_map(X)
        is_outside = self._map is not None or isinstance(X, Outside)
        most = RESIDENT_BYTES // 16 if is_outside else RESIDENT_BYTES
        self.resident = resident and X.shape[0] * X.shape[1] * dtype.itemsize <= most
        if self.resident:
            whole = torch.empty(X.shape, dtype=dtype, device=device)
            for rows in chunks(len(self), X.shape[1]):
                whole[rows] = self[rows]
            self.X, self.frame = whole, None

    @property
    def device(self) -> torch.device:
        """Device of the rows."""
        return self.X.device if isinstance(self.X, Tensor) else torch.device("cpu")

    def __len__(self) -> int:
        return int(self.X.shape[0])

    def __getitem__(self, index: Index) -> Tensor:
        x = self._gather(index)
        if self.frame is not None:
            x = self.frame.apply(x)
        x = x.to(self.dtype).to(self.out)
        if self.look is not None:
            self.look(index, x)
        return x

    held: slice | None = None
    """Which rows this process holds. None if it has all of them."""

    @property
    def own(self) -> Rows:
        """The rows that this process holds."""
        return self

    def embedded(self, embed: Callable[[Tensor], Tensor]) -> Rows:
        """The rows as an encoder sees them, which ``embed`` computes of some of them."""
        return Embedded(self, embed)

    def with_mask(self, index: Index) -> tuple[Tensor, Tensor | None]:
        """Rows, and a mask of the entries that were observed if others are guesses."""
        return self[index], None

    def holding(self, x: Tensor, known: Tensor | None) -> Rows:
        """The same kind of rows with these tensors, which are what ``with_mask`` returns."""
        return Rows(x, dtype=self.dtype, device=self.out)

    def _gather(self, index: Index) -> Tensor:
        if isinstance(self.X, Tensor):
            return self.X[index] if isinstance(index, slice) else self.X.index_select(0, index)
        x = to_tensor(self.X[index if isinstance(index, slice) else index.numpy()])
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)  # give the pages back: the file system caches them
        return x


class Embedded(Rows):
    """Rows as an encoder sees them.

    Parameters
    ----------
    rows : Rows
    embed : callable
        What the encoder sees of some of them.
    """

    def __init__(self, rows: Rows, embed: Callable[[Tensor], Tensor]) -> None:
        super().__init__(rows.X, rows.frame, dtype=rows.dtype, device=rows.out)
        self._embed = embed

    def __getitem__(self, index: Index) -> Tensor:
        return self._embed(super().__getitem__(index))


class Table(Source):
    """Rows on the scale of the module, with optional sample weights and y.

    Parameters
    ----------
    x : Rows
    weight : Tensor of shape (n_samples,) or None, default=None
        Sample weights.
    y : Tensor or Rows with n_samples rows, or None, default=None
    """

    def __init__(self, x: Rows, weight: Tensor | None = None, y: Tensor | Rows | None = None) -> None:
        self.x, self.weight, self.y = x, weight, y
        self.width = x.width
        self.device = x.device

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Index) -> Batch:
        if isinstance(index, Tensor) and index.device != self.device:
            index = index.to(self.device)

        weight = None if self.weight is None else self.weight[index].to(self.x.out)
        y = None if self.y is None else self.y[index].to(self.x.out)
        x, known = self.x.with_mask(index)
        return Batch(x, weight, y, known=known)

    def held(self) -> Held | None:
        """See ``Source``."""
        rows = self.x.held
        if rows is None:
            return None
        weight = None if self.weight is None else self.weight[rows]
        y = self.y.own if isinstance(self.y, Rows) else None if self.y is None else self.y[rows]
        return Held(Table(self.x.own, weight, y), torch.arange(rows.start, rows.stop))

    def sequence(self, rows: Tensor) -> Tensor | None:
        """See ``Source``. Rows of a table outside memory are taken in windows of a file."""
        found = self.x.X.sequence(rows.numpy(force=True)) if isinstance(self.x.X, Outside) else None
        return None if found is None else torch.from_numpy(found).to(rows.device)

    def in_order(self, order: Tensor) -> Source:
        """See ``Source``. A small table is copied, because slices of a copy are found faster than rows."""
        x = self.x
        if isinstance(x.X, Outside):
            weight, y = (None if column is None else column[order.cpu()] for column in (self.weight, self.y))
            ordered = copy.copy(x)
            ordered.X = InOrder(x.X, order.numpy(force=True))
            return Table(ordered, weight, y)
        if not isinstance(x.X, Tensor) or x.X.nbytes > SMALL_BYTES:
            return super().in_order(order)
        batch = self[order]
        return Table(x.holding(batch.x, batch.known), batch.weight, batch.y)


class Subset(Source):
    """Some rows of a source, in a given order.

    Parameters
    ----------
    data : Source
    rows : LongTensor of shape (n_rows,)
        Row numbers in the source. A row may occur several times.
    """

    def __init__(self, data: Any, rows: Tensor) -> None:
        self.data = data
        self.device = getattr(data, "device", rows.device)
        self.width = getattr(data, "width", 1)
        self.generators = getattr(data, "generators", ())
        self.rows = rows.to(self.device)

    @property
    def weight(self) -> Tensor | None:
        """Sample weights of these rows."""
        weight: Tensor | None = getattr(self.data, "weight", None)
        return None if weight is None else weight[self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Index) -> Any:
        if isinstance(index, Tensor) and index.device != self.device:
            index = index.to(self.device)
        return self.data[self.rows[index]]

    def held(self) -> Held | None:
        """See ``Source``."""
        whole = self.data.held() if isinstance(self.data, Source) else None
        if whole is None:
            return None
        index = torch.full((len(self.data),), -1)
        index = index.index_copy_(0, whole.places, torch.arange(len(whole.places)))[self.rows.cpu()]
        places = torch.nonzero(index >= 0).squeeze(1)
        return Held(Subset(whole.data, index[places]), places)

    def sequence(self, rows: Tensor) -> Tensor | None:
        """See ``Source``."""
        return self.data.sequence(self.rows[rows.to(self.device)]) if isinstance(self.data, Source) else None

    def in_order(self, order: Tensor) -> Source:
        """See ``Source``."""
        rows = self.rows[order.to(self.device)]
        return in_order(self.data, rows)


def in_order(data: Any, order: Tensor) -> Source:
    """The rows of a source, or the items of a list, in another order."""
    return data.in_order(order) if isinstance(data, Source) else Subset(data, order)


def shuffled(data: Any, order: Tensor) -> Source:
    """The rows of a source, or the items of a list, in a random order, or in one like it that is read faster."""
    sequence = data.sequence(order) if isinstance(data, Source) else None
    return in_order(data, order if sequence is None else order[sequence])


def rows_of(part: Any) -> Tensor:
    """Row numbers of a source in the source that it is a subset of, however many subsets are nested."""
    rows = torch.arange(len(part), device=part.device)
    while isinstance(part, Subset):
        rows, part = part.rows[rows], part.data
    return rows
