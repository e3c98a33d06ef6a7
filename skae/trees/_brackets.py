"""Trees as text, in the brackets of the Penn Treebank."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

import numpy as np

from ._flat import Lists

# White space of ASCII only: a no-break space is part of a word, as in the treebank's "8 1/2".
TOKEN = re.compile(r"\([^\s()]*|\)|[^\s()]+", re.ASCII)
UNWRITABLE = re.compile(r"[\s()]", re.ASCII)
WRITTEN = {"(": "-LRB-", ")": "-RRB-"}


def parsed(text: str) -> Lists:
    """Nodes of bracketed text in post-order."""
    lists = Lists([], [], [])
    tokens = TOKEN.findall(text)
    heads: list[str] = []  # what stands directly behind each open bracket
    counts: list[int] = []  # number of its children until now
    opened: list[int] = []  # number of the token that opened it
    before = "("
    for i, token in enumerate(tokens):
        if token[0] == "(":
            if counts:
                counts[-1] += 1
            heads.append(token[1:])
            counts.append(0)
            opened.append(i)
        elif not heads:
            raise _fault(text, i, f"there is no bracket open before {token[:20]!r}")
        elif token == ")":
            head, count, start = heads.pop(), counts.pop(), opened.pop()
            if count == 0:
                if not head:
                    raise _fault(text, start, "the brackets that start here are empty")
                lists.leaf(head)
            elif count == 1 and before[0] not in "()":
                lists.labels[-1] = head
            else:
                lists.close(count, head)
            if not heads and i + 1 < len(tokens):
                raise _fault(text, i + 1, "there is text after the end of the tree")
        else:
            counts[-1] += 1
            lists.leaf(token)
        before = token
    if heads:
        raise _fault(text, opened[-1], "the bracket that opens here is never closed")
    if not tokens:
        raise ValueError("position 0: the text of a tree is empty.")
    return lists


def _fault(text: str, i: int, reason: str) -> ValueError:
    """Error at the i-th token."""
    position = next(islice(TOKEN.finditer(text), i, None)).start()
    return ValueError(f"position {position}: {reason}.")


def _word(thing: Any) -> str:
    """A label, a word or a vector as one word of bracketed text."""
    text = "[" + ",".join(f"{x:g}" for x in thing) + "]" if isinstance(thing, np.ndarray) else str(thing)
    return UNWRITABLE.sub(lambda found: WRITTEN.get(found[0], "_"), text) or "_"


def written(tree: Any) -> str:
    """The tree in brackets, written from the right to the left."""
    labels = tree.labels or (None,) * tree.n_nodes
    leaves = iter(tree.leaves[::-1])
    words: list[str] = []
    way: list[list[Any]] = []  # of each open node: its label, its children, and those further to the left
    for count, label in zip(tree.arity[::-1].tolist(), reversed(labels), strict=True):
        if count:
            words.append(")")
            way.append([label, count, count])
            continue
        word = _word(next(leaves))
        if label is not None:
            word = f"({_word(label)} {word})"
        elif not way or way[-1][1] == 1:
            word = f"({word})"
        words.append(f" {word}")
        while way:
            way[-1][2] -= 1
            if way[-1][2]:
                break
            above = way.pop()[0]
            words.append(" (" if above is None else f" ({_word(above)}")
    return "".join(reversed(words)).lstrip()
