"""Mutations of files, drawn from a generator: of their bytes, and of what they tell and hold under a right checksum."""

import copy
import json
from typing import Any, NamedTuple

import numpy as np

from skae.engine import container

NUMBERS = (0, -1, 1, 2**31, 2**63 - 1, -(2**63), 10**37, 1e308, -1e308, 1e-320, 0.5, -0.0, 1e38)
OTHERS = (None, True, False, "", "text", "cuda:99", [], {}, {"float": "nan"}, {"float": "-inf"}, {"tuple": []}, "\x00")
DTYPES = (*container.CODES, np.dtype("<U3"))


class File(NamedTuple):
    """A file of a model in parts, to be mutated and written again."""

    raw: bytes
    content: Any
    arrays: dict[str, np.ndarray]

    @classmethod
    def of(cls, path):
        held = container.read(path, "model")
        return cls(path.read_bytes(), held.content, held.arrays)


def mutated(file, rng):
    """What the mutated file holds, as bytes or as a pair of what it tells and its arrays, and how it was mutated."""
    ways = (_bytes, _header, _told, _told, _arrays, _arrays, _both)
    way = ways[rng.integers(len(ways))]
    return way(file, rng), way.__name__.strip("_")


def write(path, made):
    """Write what ``mutated`` returns."""
    if isinstance(made, bytes):
        path.write_bytes(made)
    else:
        container.write(path, "model", *made)


# ------------------------------------------------------------------ bytes


def _bytes(file, rng):
    """Some bytes flipped, or a part cut off, left out, doubled or zeroed."""
    raw = bytearray(file.raw)
    way, start = rng.integers(6), int(rng.integers(len(raw)))
    stop = min(len(raw), start + int(rng.integers(1, 64)))
    if way == 0:
        del raw[start:]
    elif way == 1:
        del raw[start:stop]
    elif way == 2:
        raw[start:start] = raw[start:stop]
    elif way == 3:
        raw[start:stop] = bytes(stop - start)
    elif way == 4:
        raw[int(rng.integers(8))] = int(rng.integers(256))
    else:
        for place in rng.integers(len(raw), size=rng.integers(1, 4)):
            raw[place] ^= 1 << int(rng.integers(8))
    return bytes(raw)


def _header(file, rng):
    """What the header says of an array is another thing."""
    length = int.from_bytes(file.raw[:8], "little")
    header, numbers = json.loads(file.raw[8 : 8 + length]), file.raw[8 + length :]
    names = [name for name in header if name != "__metadata__"]
    if not names or rng.random() < 0.1:
        header["__metadata__"] = _other(header["__metadata__"], rng)
    else:
        name = names[rng.integers(len(names))]
        entry = header[name]
        if rng.random() < 0.2:
            header[name] = header[names[rng.integers(len(names))]]
        else:
            key = [*entry][rng.integers(len(entry))]
            entry[key] = _other(entry[key], rng)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + numbers


# ------------------------------------------------------------------ what is told, and held


def _told(file, rng):
    """Some values in the text of the header are others, are missing or change places."""
    content = copy.deepcopy(file.content)
    for _ in range(rng.integers(1, 3)):
        places = list(_places(content))
        parent, key = places[rng.integers(len(places))]
        way = rng.random()
        if way < 0.15:
            del parent[key]
        elif way < 0.3:
            other, there = places[rng.integers(len(places))]
            parent[key] = copy.deepcopy(other[there]) if there in _keys(other) else None
        else:
            parent[key] = _other(parent[key], rng)
    return content, file.arrays


def _arrays(file, rng):
    """Some arrays are others: of other numbers, dtypes or shapes, or of each other."""
    arrays = dict(file.arrays)
    names = [*arrays]
    for _ in range(rng.integers(1, 3)) if names else ():
        name, other = names[rng.integers(len(names))], names[rng.integers(len(names))]
        way = rng.random()
        if way < 0.15:
            arrays[name], arrays[other] = arrays.get(other, np.zeros(1)), arrays.get(name, np.zeros(1))
        elif way < 0.25:
            arrays.pop(name, None)
        else:
            arrays[name] = _other_array(arrays.get(name, np.zeros(3)), rng)
    return file.content, arrays


def _both(file, rng):
    content, arrays = _told(file, rng)
    return content, _arrays(file._replace(arrays=arrays), rng)[1]


def _keys(parent):
    return parent if isinstance(parent, dict) else range(len(parent))


def _places(value):
    """Every place in nested lists and dicts, as the list or dict and the key in it."""
    if isinstance(value, (dict, list)):
        for key in [*_keys(value)]:
            yield value, key
            yield from _places(value[key])


def _other(value, rng):
    """Another value of JSON."""
    way = rng.random()
    if isinstance(value, str) and way < 0.3 and value:
        place = int(rng.integers(len(value)))
        return value[:place] + chr(int(rng.integers(32, 300))) + value[place + 1 :]
    if isinstance(value, list) and way < 0.4:
        return [*value, *value[:1]] if rng.random() < 0.5 else value[:-1]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and way < 0.4:
        return value + type(value)(rng.integers(-2, 3)) if abs(value) < 2**60 else -value
    if way < 0.7:
        return NUMBERS[rng.integers(len(NUMBERS))]
    return copy.deepcopy(OTHERS[rng.integers(len(OTHERS))])


def _other_array(array, rng):
    array = array.copy()
    way = rng.integers(7)
    if way < 3 and array.size:
        place = int(rng.integers(array.size))
        wrong = (np.nan, np.inf, -np.inf, 1e300, -1e300, 0.0, -1.0, 2.0**31, 1e-300)[rng.integers(9)]
        with np.errstate(all="ignore"):
            value = np.array(wrong).astype(array.dtype)
        if rng.random() < 0.7:
            array.flat[place] = value
        else:
            array[...] = value
        return array
    if way == 3:
        with np.errstate(all="ignore"):
            return array.astype(DTYPES[rng.integers(len(container.CODES))])
    if way == 4:
        return array.reshape(-1)[: max(0, array.size - int(rng.integers(1, 4)))]
    if way == 5:
        return np.concatenate([array.reshape(-1)] * int(rng.integers(2, 4)))
    return array.T[None] if rng.random() < 0.5 else array.reshape(array.shape[::-1])
