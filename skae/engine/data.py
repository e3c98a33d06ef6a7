"""Sources of batches: rows of arrays, sparse matrices, memory maps and tensors as tensors.

A source hands out batches as tensors of one dtype on one device, already in the frame of the module.
The frame is applied before the cast to float32, so that small variation around a large mean survives.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from .frame import Frame

__all__ = [
    "Batch",
    "Rows",
    "Source",
    "Subset",
    "Table",
    "chunks",
    "find_nonfinite",
    "is_on",
    "name_of",
    "resolve_device",
    "rows_of",
    "to_tensor",
]

Array: TypeAlias = Any  # an ndarray, a memory map, a CSR matrix or array, or a tensor of two dimensions
Index: TypeAlias = Tensor | slice

RESIDENT_BYTES = 2**30
"""A table up to this size is converted once and kept; a larger one is converted a batch at a time."""


class Batch(NamedTuple):
    """What a loss sees of a table."""

    x: Tensor
    weight: Tensor | None = None
    y: Tensor | None = None
    corrupted: Tensor | None = None
    """x as the encoder is shown it in training, if that is not x itself."""
    emphasis: Tensor | None = None
    """Weight of each entry in the reconstruction, if they differ."""

    @property
    def shown(self) -> Tensor:
        """What the encoder is shown."""
        return self.x if self.corrupted is None else self.corrupted

    @property
    def entry_weight(self) -> Tensor | None:
        """Weights of the reconstruction, a number a row or a number an entry."""
        if self.emphasis is None or self.weight is None:
            return self.weight if self.emphasis is None else self.emphasis
        return self.emphasis * self.weight[:, None]


class Source:
    """What a model learns from, or is applied to: a length, and a batch for the rows of an index.

    A subclass has ``__len__``, ``__getitem__`` and a ``width``; the rest is there for tables.

    Attributes
    ----------
    width : int
        Numbers that a row of it takes in memory, by which chunks are cut.
    weight : Tensor of shape (len(self),) or None
        Weights of the rows.
    device : torch.device
        Where the rows lie.
    """

    width: int
    weight: Any = None
    device: torch.device = torch.device("cpu")

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: Index) -> Any:
        raise NotImplementedError

    def moments(self) -> tuple[np.ndarray, float | np.ndarray]:
        """Mean of each column and one scale for all: 0 and 1 where there are no columns to measure."""
        return np.zeros(self.width), 1.0

    def learnt(self, merge: bool) -> Source:
        """The rows to learn from: equal ones merged if asked to, and weights whose mean is 1."""
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
        """The rows as a module sees them; the arguments are those of ``Rows``."""
        return self


def resolve_device(name: str, dtype: str) -> torch.device:
    """Find the device that a name stands for; "auto" is an accelerator where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cpu" and torch.backends.mps.is_available() and dtype != "float64":
            name = "mps"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device={name!r} is no device: use 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'.") from None
    available: dict[str, Callable[[], bool]] = {
        "cpu": lambda: True,
        "cuda": lambda: 0 <= (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available,
    }
    if device.type not in available:
        raise ValueError(f"device={name!r} is not supported: use 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'.")
    if not available[device.type]():
        raise ValueError(f"device={name!r} was asked for, but this machine has none: use device='auto' or 'cpu'.")
    if device.type == "mps" and dtype == "float64":
        raise ValueError("device='mps' has no float64: use dtype='float32' or device='cpu'.")
    return torch.device("cpu") if device.type == "cpu" else device


def is_on(tensor: Tensor, device: torch.device) -> bool:
    """Whether a tensor lies on a device; "cuda" is any of its numbers."""
    return tensor.device.type == device.type and device.index in (None, tensor.device.index)


def name_of(dtype: torch.dtype) -> str:
    """float32 of torch.float32, as numpy and the parameters call it."""
    return str(dtype).removeprefix("torch.")


def to_tensor(array: Array) -> Tensor:
    """A dense tensor that shares memory where that is safe: writable, native, forward whole strides."""
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
    """The rows of an array as tensors, in a frame.

    Parameters
    ----------
    X : array, memory map, CSR matrix or tensor of shape (n_samples, n_features)
    frame : Frame or None
        Applied in double precision where X has it; None leaves X as it is.
    look : callable or None
        ``look(index, x)`` examines every batch that comes out.
    dtype, device
        Of the tensors that come out.
    resident : bool
        Convert everything now, if it is at most ``RESIDENT_BYTES``, instead of batch by batch.
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
        self._map = _memory_map(X)
        most = RESIDENT_BYTES if self._map is None else RESIDENT_BYTES // 16
        if resident and X.shape[0] * X.shape[1] * dtype.itemsize <= most:
            whole = torch.empty(X.shape, dtype=dtype, device=device)
            for rows in chunks(len(self), X.shape[1]):
                whole[rows] = self[rows]
            self.X, self.frame = whole, None

    @property
    def device(self) -> torch.device:
        """Where the rows lie."""
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

    def _gather(self, index: Index) -> Tensor:
        if isinstance(self.X, Tensor):
            return self.X[index] if isinstance(index, slice) else self.X.index_select(0, index)
        x = to_tensor(self.X[index if isinstance(index, slice) else index.numpy()])
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)  # give the pages back: the file system caches them
        return x


def _memory_map(X: Array) -> mmap.mmap | None:
    """The map behind a memory-mapped array whose pages can be dropped without losing a change."""
    shared = False
    while X is not None and not isinstance(X, mmap.mmap):
        shared = shared or (isinstance(X, np.memmap) and X.mode != "c")
        X = getattr(X, "base", None)
    return X if shared and hasattr(mmap, "MADV_DONTNEED") else None


class Table(Source):
    """Rows as a module sees them with, if there are any, their weights and targets."""

    def __init__(self, x: Rows, weight: Tensor | None = None, y: Tensor | Rows | None = None) -> None:
        self.x, self.weight, self.y = x, weight, y
        self.width = x.width
        self.device = x.device

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Index) -> Batch:
        if isinstance(index, Tensor) and index.device != self.device:
            index = index.to(self.device)

        def pick(column: Tensor | Rows | None) -> Tensor | None:
            return None if column is None else column[index].to(self.x.out)

        return Batch(self.x[index], pick(self.weight), pick(self.y))


class Subset(Source):
    """Some rows of a source, in a given order."""

    def __init__(self, data: Any, rows: Tensor) -> None:
        self.data = data
        self.device = getattr(data, "device", rows.device)
        self.width = getattr(data, "width", 1)
        self.rows = rows.to(self.device)

    @property
    def weight(self) -> Tensor | None:
        """Of these rows."""
        weight: Tensor | None = getattr(self.data, "weight", None)
        return None if weight is None else weight[self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Index) -> Any:
        if isinstance(index, Tensor) and index.device != self.device:
            index = index.to(self.device)
        return self.data[self.rows[index]]


def rows_of(part: Any) -> Tensor:
    """Which rows of a source a subset, or a subset of a subset, is made of."""
    rows = torch.arange(len(part), device=part.device)
    while isinstance(part, Subset):
        rows, part = part.rows[rows], part.data
    return rows


def chunks(n_rows: int, n_columns: int, elements: int = 2**19) -> Iterator[slice]:
    """Consecutive slices of about so many elements: few enough for the processor's cache."""
    size = max(1, elements // max(1, n_columns))
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def find_nonfinite(X: Array) -> tuple[int, int, float] | None:
    """Row, column and value of the first entry that is NaN or infinite."""
    shared = _memory_map(X)
    for rows in chunks(*X.shape):
        part = X[rows]
        values = part.data if sparse.issparse(part) else part
        with np.errstate(all="ignore"):
            finite = np.isfinite(float(values.sum()))
        found = None if finite else _first_nonfinite(to_tensor(part), rows.start)
        if shared is not None:
            del part, values
            shared.madvise(mmap.MADV_DONTNEED)
        if found is not None:
            return found
    return None


def _first_nonfinite(x: Tensor, first_row: int) -> tuple[int, int, float] | None:
    where = torch.nonzero(~torch.isfinite(x))
    if len(where) == 0:  # the sum overflowed, the entries are fine
        return None
    row, column = (int(i) for i in where[0])
    return first_row + row, column, float(x[row, column])
