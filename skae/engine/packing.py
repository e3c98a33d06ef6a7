"""Nested values as JSON and named arrays: what files of models and of checkpoints hold. ``unpacking`` reads them.

None, bools, text, whole numbers, finite numbers and lists are themselves in JSON. Every other value is an object with
one entry, whose key says what it is: ``{"tuple": [1, 2]}``. What is long and simple, such as a list of a thousand
numbers, is an array.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..exceptions import FileError
from .container import FilePath, write

__all__ = ["DEEPEST", "Teller", "pack", "save"]

Teller: TypeAlias = "Callable[[Any], tuple[str, Any] | None]"
"""A function that tells a value of a kind of its own: the name of the kind, and what it holds, or None."""
LONG = 8
"""Length from which on a list of numbers or of texts becomes an array."""
DEEPEST = 60
"""Levels of values in one another."""
LARGEST = 10**38
"""Whole numbers that are as large cannot be read again."""
KINDS = "biuf"
"""Kinds of arrays that files hold as they are."""


def save(path: FilePath, kind: str, value: Any, tell: Teller = lambda value: None) -> None:
    """Write a value to a file, whole or not at all. See ``pack`` and ``container.write``."""
    write(path, kind, *pack(value, tell))


def pack(value: Any, tell: Teller = lambda value: None) -> tuple[Any, dict[str, np.ndarray]]:
    """Describe a value by JSON and by arrays.

    Values may be None, bools, numbers, text, bytes, lists, tuples, dicts, slices, numpy's scalars and arrays of bools,
    numbers, text or such values, ``RandomState``, and tensors, in one another.

    Parameters
    ----------
    value : object
    tell : callable, default=nothing
        Is asked first about each value that is no number or text. It returns a pair of a name that begins with a
        capital letter and of what ``unpack`` needs to make the value again, or None.

    Returns
    -------
    told : object
        Values of JSON.
    arrays : dict of str to ndarray
        Arrays, by the way to them.

    Raises
    ------
    FileError
        If a value cannot be described. The message says where it is.
    """
    packer = _Packer(tell)
    return packer.told(value, ()), packer.arrays


class _Packer:
    """Packs values, and collects the arrays in them."""

    def __init__(self, tell: Teller) -> None:
        self.tell = tell
        self.arrays: dict[str, np.ndarray] = {}

    def told(self, value: Any, way: tuple[str, ...]) -> Any:
        """JSON of a value. ``way`` leads to it."""
        if value is None or type(value) in (bool, str):
            return value
        if type(value) is int and abs(value) < LARGEST:
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if len(way) > DEEPEST:
            _refuse(value, way, "is in too many others")
        own = self.tell(value)
        if own is not None:
            return {own[0]: self.told(own[1], way)}
        pack_one = next((pack for sort, pack in self._SORTS.items() if isinstance(value, sort)), None)
        return pack_one(self, value, way) if pack_one else _refuse(value, way)

    def _array(self, array: np.ndarray, way: tuple[str, ...]) -> str:
        """Keep an array, and return its name."""
        name = "/".join(way) or "value"
        while name in self.arrays or name == "__metadata__":
            name += "'"
        self.arrays[name] = array
        return name

    def _list(self, value: Any, way: tuple[str, ...]) -> Any:
        if type(value) is not list:
            _refuse(value, way)
        if len(value) >= LONG:
            sorts = {type(item) for item in value}
            if sorts == {float}:
                return {"floats": self._array(np.array(value), way)}
            if sorts == {int} and all(-(2**63) <= item < 2**63 for item in value):
                return {"ints": self._array(np.array(value, dtype=np.int64), way)}
            if sorts == {str}:
                return {"texts": self._texts(value, way)}
        return [self.told(item, (*way, str(i))) for i, item in enumerate(value)]

    def _texts(self, texts: list[str], way: tuple[str, ...]) -> list[str]:
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        lengths = np.array([len(text) for text in encoded], dtype=np.int64)
        return [self._array(np.frombuffer(b"".join(encoded), np.uint8), way), self._array(lengths, (*way, "lengths"))]

    def _tuple(self, value: Any, way: tuple[str, ...]) -> Any:
        return {"tuple": self._list(list(value), way)} if type(value) is tuple else _refuse(value, way)

    def _dict(self, value: Any, way: tuple[str, ...]) -> Any:
        if type(value) is not dict:
            _refuse(value, way)
        if all(type(key) is str for key in value):
            return {"dict": {key: self.told(item, (*way, key)) for key, item in value.items()}}
        pairs = enumerate(value.items())
        return {"pairs": [[self.told(key, (*way, "key")), self.told(item, (*way, str(i)))] for i, (key, item) in pairs]}

    def _ndarray(self, value: Any, way: tuple[str, ...]) -> Any:
        if value.dtype.kind in "US" and value.dtype.itemsize:
            unit = np.dtype(np.uint32 if value.dtype.kind == "U" else np.uint8)
            flat = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("=")).reshape(-1)
            letters = flat.view(unit).reshape(*value.shape, value.dtype.itemsize // unit.itemsize)
            return {"letters": [value.dtype.kind, self._array(letters, way)]}
        if value.dtype.kind == "O":
            return {"objects": [list(value.shape), self.told(value.ravel().tolist(), way)]}
        if value.dtype.kind not in KINDS or value.dtype.itemsize > 8 or type(value) not in (np.ndarray, np.memmap):
            _refuse(value, way, f"is a {type(value).__name__} of dtype {value.dtype}")
        return {"array": self._array(value, way)}

    def _scalar(self, value: Any, way: tuple[str, ...]) -> Any:
        if isinstance(value, (np.str_, np.bytes_)):
            return {"scalar": self.told(np.array(value), way)}
        if value.dtype.kind not in KINDS or value.dtype.itemsize > 8:
            _refuse(value, way)
        return {"scalar": {"array": self._array(np.asarray(value), way)}}

    def _tensor(self, value: Any, way: tuple[str, ...]) -> Any:
        if type(value) not in (Tensor, torch.nn.Parameter) or value.layout != torch.strided:
            _refuse(value, way)
        try:
            array = value.detach().cpu().numpy()
        except TypeError:
            _refuse(value, way, f"is a tensor of dtype {value.dtype}")
        return {"tensor": self._array(array, way)}

    def _bytes(self, value: Any, way: tuple[str, ...]) -> Any:
        return {"bytes": self._array(np.frombuffer(value, np.uint8), way)}

    def _slice(self, value: Any, way: tuple[str, ...]) -> Any:
        return {"slice": self._list([value.start, value.stop, value.step], way)}

    def _random_state(self, value: Any, way: tuple[str, ...]) -> Any:
        name, words, place, has_gauss, gauss = value.get_state(legacy=True)
        if name != "MT19937":
            _refuse(value, way, f"is a RandomState of {name}")
        return {"RandomState": self.told([words, int(place), int(has_gauss), float(gauss)], way)}

    _SORTS: ClassVar[dict[type, Callable[[_Packer, Any, tuple[str, ...]], Any]]] = {
        np.generic: _scalar,
        np.ndarray: _ndarray,
        Tensor: _tensor,
        list: _list,
        tuple: _tuple,
        dict: _dict,
        bytes: _bytes,
        slice: _slice,
        np.random.RandomState: _random_state,
    }
    """How the values of each sort are packed. numpy's float64 is a float too, and so comes first."""


def _refuse(value: Any, way: tuple[str, ...], what: str | None = None) -> NoReturn:
    where = ".".join(way) or "The value"
    raise FileError(f"{where} {what or f'is a {type(value).__name__}'}, which a file of skae cannot hold.")
