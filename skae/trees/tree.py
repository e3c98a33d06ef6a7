"""The tree that users see: a view of nodes in post-order.

Nothing in this folder recurses, so a tree may be as deep as memory allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ._brackets import parsed, written
from ._flat import Flat, Lists
from ._objects import flattened

LONGEST_REPR = 80


class Tree:
    """A tree whose leaves are words or vectors, and whose nodes may have labels. It cannot be changed.

    A node has any number of children. All leaves of a tree are of one kind: words, or vectors of the same width. The
    nodes are kept in post-order, a node after its children and children from left to right. A subtree shares the
    arrays of the tree that it belongs to. A tree that is made of other trees copies them, so a deep tree is best made
    at once, by :meth:`of`, :meth:`from_brackets` or :meth:`from_arity`.

    Parameters
    ----------
    value : str, float or array-like of shape (width,), default=None
        The word or the vector of a leaf. A number is a vector of one entry.
    children : sequence, default=()
        Children of an inner node: trees, or what :meth:`of` makes trees of.
    label : hashable, default=None
        Label of the node. An empty string is no label.

    Raises
    ------
    ValueError
        If there is neither a value nor a child, or both, or if leaves differ in kind or width.

    See Also
    --------
    skae.inspection.TreeDisplay : Draws a tree.

    Notes
    -----
    Trees are equal if their nodes, leaves and labels are. They can be keys of a dict. They have no length and cannot
    be indexed, so that numpy takes a tree as one object.

    Examples
    --------
    >>> from skae.trees import Tree
    >>> tree = Tree(children=["the", "cat"], label="NP")
    >>> tree.leaves
    ('the', 'cat')
    >>> print(tree)
    (NP the cat)
    >>> print(Tree(children=[tree, Tree("sat", label="VBD")], label="S"))
    (S (NP the cat) (VBD sat))
    >>> print(Tree.of((("the", "cat"), "sat")))
    ( ( the cat) sat)
    """

    __slots__ = ("_flat", "_start", "_stop")

    _flat: Flat
    _start: int
    _stop: int

    def __init__(self, value: Any = None, *, children: Sequence[Any] = (), label: Any = None) -> None:
        if isinstance(children, str) or not isinstance(children, Iterable):
            raise ValueError(f"children must be a tuple of trees, not a {type(children).__name__}.")
        below = tuple(children)
        if (value is None) == (not below):
            raise ValueError("A tree has either a value, if it is a leaf, or children.")
        lists = flattened(below, Tree) if below else Lists([0], [value], [None])
        lists.labels[-1] = label
        _set(self, lists.flat())

    @classmethod
    def of(cls, thing: Any) -> Tree:
        """Make a tree of nested tuples, or of another library's tree.

        Parameters
        ----------
        thing : object
            A tuple is a node, and its entries are the children. A string is a leaf that holds a word. A list or an
            array of numbers is a leaf that holds a vector, and a number is a vector of one entry. A tree stays as it
            is. Any other object that has a method ``label()`` and can be iterated is a node, as a tree of nltk. If
            its only child is a leaf that is no such object, both are one leaf with that label.

        Returns
        -------
        tree : Tree

        Raises
        ------
        ValueError
            If a node is empty or contains itself, if a leaf is anything else, or if leaves differ in kind or width.
            The message names the place by the numbers of the children, from 0 on.

        Examples
        --------
        >>> from skae.trees import Tree
        >>> tree = Tree.of((("the", "cat"), "sat"))
        >>> tree.n_nodes, tree.height, tree.arity
        (5, 2, array([0, 0, 2, 0, 2], dtype=int32))
        >>> Tree.of(([0.5, 1.0], ([2.0, 3.0], [4.0, 5.0]))).vectors
        array([[0.5, 1. ], [2. , 3. ], [4. , 5. ]])
        >>> Tree.of(("the", ("cat", None)))
        Traceback (most recent call last):
        ...
        ValueError: child 1 of child 1 of the root is a NoneType, and no leaf. A leaf is a word, a number or a ...
        """
        return thing if isinstance(thing, Tree) else _view(flattened(thing, Tree).flat())

    @classmethod
    def from_brackets(cls, text: str) -> Tree:
        r"""Read a tree in the format of the Penn Treebank.

        What stands directly behind a bracket is the label: ``(NP (DT the) (NN cat))``, or ``(NP the cat)``. White space
        or a bracket behind it means that the node has no label: ``( ( the cat) sat)``. A bracket of one word, with a
        label or without, is a leaf: ``(NN cat)``, ``(cat)``. Escapes of the treebank, as ``-LRB-`` and ``\/``, stay as
        they are.

        Parameters
        ----------
        text : str
            One tree. Line breaks are white space like any other.

        Returns
        -------
        tree : Tree
            Its labels are strings.

        Raises
        ------
        TypeError
            If the text is no string.
        ValueError
            If brackets do not match or are empty, or if there is text outside the tree. The message names the
            position: ``text[position]`` is where the fault is.

        References
        ----------
        Marcus, Santorini and Marcinkiewicz (1993), "Building a Large Annotated Corpus of English: The Penn Treebank",
        https://aclanthology.org/J93-2004/

        Examples
        --------
        >>> from skae.trees import Tree
        >>> tree = Tree.from_brackets("(3 (2 It) (4 (2 's) (4 good)))")
        >>> tree.leaves, tree.labels
        (('It', "'s", 'good'), ('2', '2', '4', '4', '3'))
        >>> Tree.from_brackets("(3 (2 It) (4 good)")
        Traceback (most recent call last):
        ...
        ValueError: position 0: the bracket that opens here is never closed.
        """
        if not isinstance(text, str):
            raise TypeError(f"The text of a tree is a str, not a {type(text).__name__}.")
        return _view(parsed(text).flat())

    @classmethod
    def from_arity(cls, arity: Any, leaves: Sequence[Any], labels: Sequence[Any] | None = None) -> Tree:
        """Make a tree of its nodes in post-order: a node after its children, children from left to right.

        Parameters
        ----------
        arity : array-like of shape (n_nodes,)
            Number of children of each node.
        leaves : sequence of length n_leaves, or array of shape (n_leaves, width)
            Values of the leaves, from left to right.
        labels : sequence of length n_nodes, default=None
            Labels of the nodes, None where there is none.

        Returns
        -------
        tree : Tree

        Raises
        ------
        ValueError
            If the numbers of children are not those of one tree, if the numbers of leaves or labels do not fit, or if
            leaves differ in kind or width.

        Examples
        --------
        >>> from skae.trees import Tree
        >>> print(Tree.from_arity([0, 0, 2, 0, 2], ["the", "cat", "sat"], ["DT", "NN", "NP", "VBD", "S"]))
        (S (NP (DT the) (NN cat)) (VBD sat))
        """
        counts = np.array(arity)
        if counts.ndim != 1 or len(counts) == 0 or counts.dtype.kind not in "iu":
            raise ValueError("arity must be a list of integers, the number of children of each node.")
        waiting = np.cumsum(1 - counts.astype(np.int64))
        wrong = np.flatnonzero((counts < 0) | (waiting < 1))
        if len(wrong):
            raise ValueError(
                f"node {wrong[0]}: arity is {counts[wrong[0]]}, but there are not as many trees before it."
            )
        if waiting[-1] != 1:
            raise ValueError(f"arity describes {waiting[-1]} trees, not one.")
        if len(leaves) != (n_leaves := np.count_nonzero(counts == 0)):
            raise ValueError(f"arity has {n_leaves} leaves, but {len(leaves)} are given.")
        if labels is not None and len(labels) != len(counts):
            raise ValueError(f"arity has {len(counts)} nodes, but {len(labels)} labels are given.")
        return _view(Flat(counts.astype(np.int32), leaves, labels))

    def nodes(self) -> list[Tree]:
        """All subtrees in post-order. The last one is the tree itself.

        Returns
        -------
        nodes : list of Tree, of length n_nodes
        """
        first = self._flat.spans[0][self._start : self._stop].tolist()
        return [_view(self._flat, start, stop) for stop, start in enumerate(first, self._start + 1)]

    @property
    def arity(self) -> np.ndarray:
        """Number of children of each node in post-order: array of shape (n_nodes,), int32, read-only."""
        return self._flat.arity[self._start : self._stop]

    @property
    def labels(self) -> tuple[Any, ...] | None:
        """Labels of all nodes in post-order, None where there is none. None if no node has a label."""
        labels = (self._flat.labels or ())[self._start : self._stop]
        return labels if any(label is not None for label in labels) else None

    @property
    def label(self) -> Any:
        """Label of the root, or None."""
        return self._flat.labels[self._stop - 1] if self._flat.labels else None

    @property
    def leaves(self) -> tuple[Any, ...]:
        """Values of all leaves, from left to right: strings, or read-only arrays of shape (width,)."""
        return tuple(self._flat.leaves[self._leaf_span()])

    @property
    def vectors(self) -> np.ndarray | None:
        """Leaves as rows of a read-only array of shape (n_leaves, width), float64. None if they are words."""
        leaves = self._flat.leaves
        return leaves[self._leaf_span()] if isinstance(leaves, np.ndarray) else None

    @property
    def value(self) -> Any:
        """What a leaf holds: a string, or a read-only array of shape (width,), float64. None at an inner node."""
        return self._flat.leaves[self._leaf_span().start] if self.is_leaf else None

    @property
    def children(self) -> tuple[Tree, ...]:
        """Children of the root, from left to right."""
        first = self._flat.spans[0]
        found: list[Tree] = []
        stop = self._stop - 1
        for _ in range(int(self._flat.arity[stop])):
            found.append(_view(self._flat, int(first[stop - 1]), stop))
            stop = found[-1]._start
        return tuple(reversed(found))

    @property
    def is_leaf(self) -> bool:
        """Whether the tree is a single leaf."""
        return self.n_nodes == 1

    @property
    def n_nodes(self) -> int:
        """Number of nodes, leaves included."""
        return self._stop - self._start

    @property
    def n_leaves(self) -> int:
        """Number of leaves."""
        span = self._leaf_span()
        return span.stop - span.start

    @property
    def height(self) -> int:
        """Number of edges on the longest way from the root to a leaf. 0 for a leaf."""
        return int(self._flat.spans[1][self._stop - 1])

    def _leaf_span(self) -> slice:
        """Which leaves of the shared ones are below this node."""
        before = self._flat.leaves_before
        return slice(int(before[self._start]), int(before[self._stop]))

    def __str__(self) -> str:
        """The tree in brackets.

        :meth:`from_brackets` reads it again, if the leaves are words. Brackets in a word are written as -LRB- and
        -RRB-, and white space as an underscore.
        """
        return written(self)

    def __repr__(self) -> str:
        text = str(self)
        short = text if len(text) <= LONGEST_REPR else text[: LONGEST_REPR - 3] + "..."
        return f"<Tree of {self.n_nodes} node{'s' * (self.n_nodes > 1)}: {short}>"

    def _parts(self) -> tuple[Any, ...]:
        return self.arity, self.leaves if self.vectors is None else self.vectors, self.labels

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tree):
            return NotImplemented
        (a, x, s), (b, y, t) = self._parts(), other._parts()
        if type(x) is not type(y) or s != t or not np.array_equal(a, b):
            return False
        return bool(x == y if isinstance(x, tuple) else np.array_equal(x, y))

    def __hash__(self) -> int:
        arity, leaves, labels = self._parts()
        return hash((arity.tobytes(), leaves if isinstance(leaves, tuple) else leaves.tobytes(), labels))

    def __reduce__(self) -> tuple[Callable[..., Tree], tuple[Any, ...]]:
        return Tree.from_arity, self._parts()

    def __copy__(self) -> Tree:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Tree:
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("A tree cannot be changed.")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("A tree cannot be changed.")


def _set(tree: Tree, flat: Flat, start: int = 0, stop: int | None = None) -> None:
    object.__setattr__(tree, "_flat", flat)
    object.__setattr__(tree, "_start", start)
    object.__setattr__(tree, "_stop", len(flat.arity) if stop is None else stop)


def _view(flat: Flat, start: int = 0, stop: int | None = None) -> Tree:
    tree = Tree.__new__(Tree)
    _set(tree, flat, start, stop)
    return tree
