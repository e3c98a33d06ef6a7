"""Nested tuples, and the trees of other libraries, as nodes in post-order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ._flat import Lists, place


@dataclass
class _Open:
    """A node whose children are being read."""

    thing: Any
    children: Iterator[Any]
    label: Any = None
    has_label: bool = False
    n_children: int = 0


def _opened(thing: Any) -> _Open | None:
    """The node that an object stands for. None if the object is a leaf."""
    if isinstance(thing, tuple):
        return _Open(thing, iter(thing))
    label = getattr(thing, "label", None)
    if callable(label) and isinstance(thing, Iterable) and not isinstance(thing, type):
        return _Open(thing, iter(thing), label(), True)
    return None


def flattened(thing: Any, tree_type: type) -> Lists:
    """Nodes of nested objects, trees among them, in post-order."""
    lists = Lists([], [], [])
    way = [_Open(None, iter((thing,)))]
    seen: set[int] = set()
    end = object()
    bare = False  # whether what was read last is the value of a leaf
    while True:
        item = next(way[-1].children, end)
        if item is end:
            node = way.pop()
            if not way:
                return lists
            seen.discard(id(node.thing))
            if node.n_children == 0:
                raise ValueError(f"{_place_of(way)} is empty. A tree has at least one leaf.")
            if node.has_label and node.n_children == 1 and bare:
                lists.labels[-1] = node.label
            else:
                lists.close(node.n_children, node.label)
            bare = False
            continue
        way[-1].n_children += 1
        if isinstance(item, tree_type):
            lists.extend(item)
            bare = False
        elif opened := _opened(item):
            if id(item) in seen:
                raise ValueError(f"{_place_of(way)} is a node that contains itself.")
            seen.add(id(item))
            way.append(opened)
        else:
            lists.leaf(item)
            bare = True


def _place_of(way: list[_Open]) -> str:
    """Place of what was read last."""
    return place([node.n_children - 1 for node in way[1:]])
