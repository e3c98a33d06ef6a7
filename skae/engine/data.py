"""Arrays, frames, sparse matrices, memory maps and tensors as a source with ``len`` and ``[index]``.

A source hands out batches as tensors of one dtype on one device, already centred and scaled.
Centring happens before the cast to float32, so that small variation around a large mean survives.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

__all__ = [
    "Batch",
    "Rows",
    "Source",
    "Subset",
    "Table",
    "chunks",
    "column_range",
    "find_nonfinite",
    "is_on",
    "merge_duplicates",
    "name_of",
    "resolve_device",
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


class Source(Protocol):
    """All that training asks of data: its length, and a batch for the rows of an index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> Any: ...


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
    """The rows of a table as tensors: (x - offset) / scale.

    Parameters
    ----------
    X : array, memory map, CSR matrix or tensor of shape (n_samples, n_features)
    offset : ndarray of shape (n_features,) or None
        Taken from each row, in double precision where X has it; None leaves X as it is.
    scale : float
        Every entry is divided by it, after the offset.
    dtype, device
        Of the tensors that come out.
    resident : bool
        Convert everything now, if it is at most ``RESIDENT_BYTES``, instead of batch by batch.
    """

    def __init__(
        self,
        X: Array,
        offset: np.ndarray | None = None,
        scale: float = 1.0,
        *,
        dtype: torch.dtype,
        device: torch.device,
        resident: bool = False,
    ) -> None:
        self.X, self.dtype, self.out = X, dtype, device
        self.offset = None if offset is None else to_tensor(offset)
        self.scale = scale
        self._offsets: dict[tuple[torch.device, torch.dtype], Tensor] = {}
        self._map = _memory_map(X)
        most = RESIDENT_BYTES if self._map is None else RESIDENT_BYTES // 16
        if resident and X.shape[0] * X.shape[1] * dtype.itemsize <= most:
            whole = torch.empty(X.shape, dtype=dtype, device=device)
            for rows in chunks(len(self), X.shape[1]):
                whole[rows] = self[rows]
            self.X, self.offset = whole, None

    @property
    def device(self) -> torch.device:
        """Where an index into the rows should be."""
        return self.X.device if isinstance(self.X, Tensor) else torch.device("cpu")

    def __len__(self) -> int:
        return int(self.X.shape[0])

    def __getitem__(self, index: Index) -> Tensor:
        x = self._gather(index)
        if self.offset is not None:
            x = x.sub(self._offset_like(x)).mul_(1.0 / self.scale)
        return x.to(self.dtype).to(self.out)

    def _gather(self, index: Index) -> Tensor:
        if isinstance(self.X, Tensor):
            return self.X[index] if isinstance(index, slice) else self.X.index_select(0, index)
        x = to_tensor(self.X[index if isinstance(index, slice) else index.numpy()])
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)  # give the pages back: the file system caches them
        return x

    def _offset_like(self, x: Tensor) -> Tensor:
        """The offset in the precision and on the device of x."""
        key = (x.device, x.dtype)
        if key not in self._offsets:
            assert self.offset is not None
            self._offsets[key] = self.offset.to(*key)
        return self._offsets[key]


def _memory_map(X: Array) -> mmap.mmap | None:
    """The map behind a memory-mapped array whose pages can be dropped without losing a change."""
    shared = False
    while X is not None and not isinstance(X, mmap.mmap):
        shared = shared or (isinstance(X, np.memmap) and X.mode != "c")
        X = getattr(X, "base", None)
    return X if shared and hasattr(mmap, "MADV_DONTNEED") else None


class Table:
    """Rows with, if there are any, their weights and targets."""

    def __init__(self, x: Rows, weight: Tensor | None = None, y: Tensor | Rows | None = None) -> None:
        self.x, self.weight, self.y = x, weight, y
        self.device = x.device

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Index) -> Batch:
        index = _moved(index, self.device)

        def pick(column: Tensor | Rows | None) -> Tensor | None:
            return None if column is None else column[index].to(self.x.out)

        return Batch(self.x[index], pick(self.weight), pick(self.y))


class Subset:
    """Some rows of a source, in a given order."""

    def __init__(self, data: Source, rows: Tensor) -> None:
        self.data = data
        self.device = getattr(data, "device", rows.device)
        self.rows = rows.to(self.device)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Index) -> Any:
        return self.data[self.rows[_moved(index, self.device)]]


def _moved(index: Index, device: torch.device) -> Index:
    return index.to(device) if isinstance(index, Tensor) and index.device != device else index


def chunks(n_rows: int, n_columns: int, elements: int = 2**19) -> Iterator[slice]:
    """Consecutive slices of about so many elements: few enough for the processor's cache."""
    size = max(1, elements // max(1, n_columns))
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def column_range(X: Array) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest value of each column."""
    if isinstance(X, Tensor):
        return X.amin(0).cpu().numpy(), X.amax(0).cpu().numpy()
    low, high = X.min(axis=0), X.max(axis=0)
    return (low.toarray()[0], high.toarray()[0]) if sparse.issparse(low) else (low, high)


def merge_duplicates(X: Array, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Distinct rows of positive weight in lexical order, with the sum of their weights.

    Where all rows are one batch their order and multiplicity carry no information. Taking it away
    makes a fit independent of them to the last bit: a weight of two is two copies of a row.
    """
    x = X.toarray() if sparse.issparse(X) else X.cpu().numpy() if isinstance(X, Tensor) else np.asarray(X)
    w = np.ones(len(x)) if weight is None else weight
    distinct, inverse = np.unique(x[w > 0], axis=0, return_inverse=True)
    sums = np.bincount(inverse.ravel(), w[w > 0])
    return distinct, None if (sums == sums[0]).all() else sums


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
