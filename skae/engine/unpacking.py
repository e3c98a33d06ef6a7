"""What ``packing`` has packed, unpacked again. Files are not to be trusted: a wrong one is told in one sentence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor

from .container import FilePath, damaged, read
from .packing import DEEPEST

__all__ = ["DamagedError", "Makers", "load", "unpack"]

Makers: TypeAlias = "Mapping[str, Callable[[Any], Any]]"
"""For each kind that a ``Teller`` names, a function that makes a value of what it holds."""
NONE: Makers = {}


class DamagedError(Exception):
    """What is wrong with packed values."""


def load(path: FilePath, kind: str, makers: Makers = NONE) -> tuple[str, Any]:
    """The version of skae that wrote a file, and the value in it. See ``unpack`` and ``container.read``."""
    held = read(path, kind)
    try:
        return held.version, unpack(held.content, held.arrays, makers)
    except DamagedError as error:
        raise damaged(path, error) from None


def unpack(told: Any, arrays: Mapping[str, np.ndarray], makers: Makers = NONE) -> Any:
    """Make the value again that ``pack`` described. Tensors are on the CPU.

    Parameters
    ----------
    told : object
        Values of JSON.
    arrays : mapping of str to ndarray
        Each must be used once. Values share memory with them.
    makers : mapping of str to callable, default={}
        For each kind that ``tell`` named, a function that makes a value of what it holds.

    Returns
    -------
    value : object

    Raises
    ------
    DamagedError
        If it is no such description.
    """
    unpacker = _Unpacker(arrays, makers)
    value = unpacker.made(told, 0)
    if unpacker.left:
        raise DamagedError(f"nothing tells what the array {min(unpacker.left)!a} is")
    return value


class _Unpacker:
    """Unpacks values, and knows which arrays are left."""

    def __init__(self, arrays: Mapping[str, np.ndarray], makers: Makers) -> None:
        self.left, self.makers = dict(arrays), makers

    def made(self, told: Any, depth: int) -> Any:
        """The value that JSON describes."""
        if depth > 2 * DEEPEST:
            raise DamagedError("values are in too many others")
        if isinstance(told, list):
            return [self.made(item, depth + 1) for item in told]
        if not isinstance(told, dict):
            return told
        if len(told) != 1:
            raise DamagedError("an object of JSON does not say what it is")
        ((kind, inner),) = told.items()
        if kind in self.makers:
            return self.makers[kind](self.made(inner, depth + 1))
        make = self._KINDS.get(kind)
        if make is None:
            raise DamagedError(f"there are no values of the kind {kind[:40]!a}")
        return make(self, inner, depth + 1)

    def _array(self, name: Any, dtype: Any = None, ndim: int | None = None) -> np.ndarray:
        """An array that was not asked for before, of a dtype and a number of dimensions."""
        array = self.left.pop(name, None) if isinstance(name, str) else None
        if array is None:
            raise DamagedError("an array is missing, or used twice")
        if (dtype is not None and array.dtype != dtype) or (ndim is not None and array.ndim != ndim):
            raise DamagedError(f"the array {name!a} has another dtype or shape than it should")
        return array

    def _list(self, told: Any, depth: int) -> list[Any]:
        """A list, in whatever form it was packed."""
        value = self.made(told, depth)
        if not isinstance(value, list):
            raise DamagedError("there is a value in the place of a list")
        return value

    def _float(self, told: Any, depth: int) -> float:
        if told not in ("nan", "inf", "-inf"):
            raise DamagedError("a number is neither NaN nor infinite")
        return float(told)

    def _texts(self, told: Any, depth: int) -> list[str]:
        if not (isinstance(told, list) and len(told) == 2):
            raise DamagedError("texts have no lengths")
        letters, lengths = self._array(told[0], np.uint8, 1).tobytes(), self._array(told[1], np.int64, 1)
        stops = np.cumsum(lengths, dtype=np.float64)  # which cannot overflow
        if (lengths < 0).any() or (stops[-1] if len(stops) else 0.0) != len(letters):
            raise DamagedError("the lengths of texts are not theirs")
        starts = np.cumsum(lengths) - lengths
        spans = zip(starts.tolist(), lengths.tolist(), strict=True)
        try:
            return [letters[start : start + n].decode("utf-8", "surrogatepass") for start, n in spans]
        except UnicodeDecodeError:
            raise DamagedError("texts are not in UTF-8") from None

    def _dict(self, told: Any, depth: int) -> dict[str, Any]:
        if not isinstance(told, dict):
            raise DamagedError("there is a value in the place of a dict")
        return {key: self.made(item, depth) for key, item in told.items()}

    def _pairs(self, told: Any, depth: int) -> dict[Any, Any]:
        pairs = self._list(told, depth)
        try:
            found = {key: item for key, item in pairs}  # noqa: C416 - a pair may be a list of any length
        except (TypeError, ValueError):
            raise DamagedError("a dict has no pairs of keys and values") from None
        if len(found) < len(pairs):
            raise DamagedError("a dict has a key twice")
        return found

    def _letters(self, told: Any, depth: int) -> np.ndarray:
        if not (isinstance(told, list) and len(told) == 2 and told[0] in ("U", "S")):
            raise DamagedError("an array of text does not say of which")
        array = self._array(told[1], np.uint32 if told[0] == "U" else np.uint8)
        if array.ndim < 1 or array.shape[-1] < 1 or (array > 0x10FFFF).any():
            raise DamagedError("an array of text has something else than letters in it")
        width = array.shape[-1]
        return np.ascontiguousarray(array).reshape(-1).view(f"{told[0]}{width}").reshape(array.shape[:-1])

    def _objects(self, told: Any, depth: int) -> np.ndarray:
        if not (isinstance(told, list) and len(told) == 2):
            raise DamagedError("an array of objects has no shape")
        shape, items = told[0], self._list(told[1], depth)
        sizes = isinstance(shape, list) and len(shape) <= 32 and all(type(n) is int and 0 <= n < 2**40 for n in shape)
        if not sizes or math.prod(shape) != len(items) or math.prod(max(n, 1) for n in shape) > 2**40:
            raise DamagedError("an array of objects has another shape")
        flat = np.empty(len(items), dtype=object)
        flat[:] = [*items, None][:-1]
        return flat.reshape(shape)

    def _scalar(self, told: Any, depth: int) -> Any:
        value = self.made(told, depth)
        if not isinstance(value, np.ndarray) or value.ndim or value.dtype.kind == "O":
            raise DamagedError("there is a value in the place of a scalar")
        return value[()]

    def _tensor(self, told: Any, depth: int) -> Tensor:
        array = self._array(told)
        try:
            return torch.from_numpy(array)
        except TypeError:
            raise DamagedError(f"there are no tensors of dtype {array.dtype}") from None

    def _slice(self, told: Any, depth: int) -> slice:
        parts = self._list(told, depth)
        if len(parts) != 3 or not all(part is None or type(part) is int for part in parts):
            raise DamagedError("a slice has no start, stop and step")
        return slice(*parts)

    def _random_state(self, told: Any, depth: int) -> np.random.RandomState:
        parts = self._list(told, depth)
        made = np.random.RandomState(0)
        try:
            words, place, has_gauss, gauss = parts
            right = words.shape == (624,) and words.dtype == np.uint32 and words.any() and 0 <= place <= 624
            if not right or has_gauss not in (0, 1) or not math.isfinite(gauss):
                raise ValueError
            made.set_state(("MT19937", words, place, has_gauss, gauss))
        except (AttributeError, TypeError, ValueError):
            raise DamagedError("a RandomState has no order of numbers") from None
        return made

    _KINDS: ClassVar[dict[str, Callable[[_Unpacker, Any, int], Any]]] = {
        "float": _float,
        "floats": lambda self, told, depth: self._array(told, np.float64, 1).tolist(),
        "ints": lambda self, told, depth: self._array(told, np.int64, 1).tolist(),
        "texts": _texts,
        "tuple": lambda self, told, depth: tuple(self._list(told, depth)),
        "dict": _dict,
        "pairs": _pairs,
        "array": lambda self, told, depth: self._array(told),
        "letters": _letters,
        "objects": _objects,
        "scalar": _scalar,
        "tensor": _tensor,
        "bytes": lambda self, told, depth: self._array(told, np.uint8, 1).tobytes(),
        "slice": _slice,
        "RandomState": _random_state,
    }
