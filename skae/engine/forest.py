"""Trees as arrays, and batches of them level by level.

Nodes lie in post-order: a node after its children, and children from left to right. So a subtree is a range of nodes,
and two children of a node are enough to know it all. A batch holds its nodes in the order of their levels, leaves
first. Then all nodes of a level are composed by one matrix product, whichever trees they belong to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .data import Index, Source, to_tensor
from .frame import Frame
from .moments import moments

__all__ = ["Binary", "Forest", "Packed", "binary"]


class Packed(NamedTuple):
    """Binary trees of a batch, with their nodes in the order of their levels."""

    leaf: Tensor
    """Tokens of shape (n_leaves,), or vectors of shape (n_leaves, width). Leaves are in reading order."""
    children: Tensor
    """Numbers of the left and the right child of each inner node, of shape (n_nodes - n_leaves, 2)."""
    levels: tuple[int, ...]
    """First node of each level, and the number of nodes. Level 0 are the leaves."""
    root: Tensor
    """Number of the root of each tree, of shape (n_trees,)."""
    tree: Tensor
    """Number of the tree that each node belongs to, of shape (n_nodes,)."""
    n_leaves: Tensor
    """Number of leaves below each node, of shape (n_nodes,). It is 1 for a leaf."""
    place: Tensor
    """Number in this batch of each node of the trees in post-order, tree after tree."""
    weight: Tensor | None = None
    """Weight of each tree."""
    y: Tensor | None = None
    """What y says about each tree, of shape (n_trees, n_targets)."""
    label: Tensor | None = None
    """Class of each node, of shape (n_nodes,), and -1 where it is unknown."""

    def mean_over_trees(self, values: Tensor, nodes: slice) -> Tensor:
        """Mean over the trees of the sum over some of their nodes, which have these values."""
        if self.weight is not None:
            values = values * self.weight[self.tree[nodes]]
        return values.sum() / len(self.root)


class Binary(NamedTuple):
    """Binary trees one after the other, with their nodes in post-order."""

    first: np.ndarray
    """First node of each tree, and the number of nodes."""
    back: np.ndarray
    """How many nodes the left child lies before each inner node, and 0 for a leaf. The right child lies just before."""
    height: np.ndarray
    """Level of each node: 0 for a leaf, and for others one more than the higher child's."""
    n_leaves: np.ndarray
    """Number of leaves below each node."""
    place: np.ndarray
    """Binary node of each node of the given trees."""
    given: np.ndarray
    """First node of each given tree, and their number."""

    def places(self, rows: slice) -> Iterator[np.ndarray]:
        """For each of some consecutive trees, the places of the given nodes among the binary nodes of these trees."""
        start = self.first[rows.start]
        for number in range(rows.start, rows.stop):
            yield self.place[self.given[number] : self.given[number + 1]] - start

    def take(self, rows: np.ndarray) -> Binary:
        """Some of the trees, by their numbers."""
        nodes, tree = ranges(self.first[rows], self.first[rows + 1])
        places, owner = ranges(self.given[rows], self.given[rows + 1])
        first, given = (np.concatenate([[0], np.cumsum(np.bincount(of, minlength=len(rows)))]) for of in (tree, owner))
        place = self.place[places] + (first[:-1] - self.first[rows])[owner]
        return Binary(first, self.back[nodes], self.height[nodes], self.n_leaves[nodes], place, given)


def binary(arity: np.ndarray, sizes: np.ndarray) -> Binary:
    """Make binary trees of trees of any arity.

    A node with children c1, c2, c3 becomes ((c1 c2) c3). A node with one child becomes that child.

    Parameters
    ----------
    arity : ndarray of shape (n_nodes,)
        Number of children of each node, in post-order, tree after tree.
    sizes : ndarray of shape (n_trees,)
        Number of nodes of each tree.

    Returns
    -------
    trees : Binary
    """
    given = np.concatenate([[0], np.cumsum(sizes)])
    is_leaf = arity == 0
    merges = ~is_first_child(arity)  # such a node is followed by a binary node that takes it as its right child
    merges[given[1:] - 1] = False
    made = np.cumsum(is_leaf + merges.astype(np.int64))
    place = made - merges - 1  # an inner node is the last one made of its children
    first = np.concatenate([[0], made[given[1:] - 1]])
    inner = np.ones(int(first[-1]), bool)
    inner[place[is_leaf]] = False
    size = subtree_sizes(np.where(inner, 2, 0))
    back = np.zeros(len(inner), np.int64)
    nodes = np.flatnonzero(inner)
    back[nodes] = 1 + size[nodes - 1]
    small = np.int32 if len(inner) < 2**31 else np.int64
    n_leaves = (size + 1) // 2
    return Binary(first, back.astype(small), heights(back), n_leaves.astype(small), place.astype(small), given)


def subtree_sizes(arity: np.ndarray) -> np.ndarray:
    """Number of nodes below each node, itself included, given the arities in post-order.

    Reading in post-order with a stack, a node takes its children off and puts itself on. Its subtree begins after the
    last node before it at which the stack was lower.
    """
    n = len(arity)
    stack = np.cumsum(1 - arity.astype(np.int64))
    order = np.argsort(stack, kind="stable")
    key = stack[order] * (n + 1) + order
    asked = key - (n + 1)
    before = np.searchsorted(key, asked) - 1
    found = np.where((before >= 0) & (stack[order[before]] == stack[order] - 1), order[before], -1)
    size = np.empty(n, np.int64)
    size[order] = order - found
    return size


def is_first_child(arity: np.ndarray) -> np.ndarray:
    """Whether each node is the first child of its parent. Then it begins where a later node begins."""
    start = np.arange(len(arity)) - subtree_sizes(arity)
    order = np.argsort(start, kind="stable")
    first = np.zeros(len(arity), bool)
    first[order[:-1]] = start[order[1:]] == start[order[:-1]]
    return first


def heights(back: np.ndarray) -> np.ndarray:
    """Level of each node of binary trees in post-order, see ``Binary``. Each round finds the nodes of one level."""
    inner = np.flatnonzero(back)
    parent, sibling = np.full(len(back), -1), np.full(len(back), -1)
    left, right = inner - back[inner], inner - 1
    parent[left] = parent[right] = inner
    sibling[left], sibling[right] = right, left
    height = np.full(len(back), -1, np.int32)
    now, level = np.flatnonzero(back == 0), 0
    while len(now):
        height[now] = level
        now = now[parent[now] >= 0]
        other = height[sibling[now]]
        is_last = (other >= 0) & ((other < level) | (sibling[now] > now))
        now, level = parent[now[is_last]], level + 1
    return height


class Forest(Source):
    """Trees that a model learns from or is applied to.

    Parameters
    ----------
    trees : Binary
    leaf : ndarray or Tensor of shape (n_leaves,) or (n_leaves, width)
        Tokens as whole numbers, or vectors, of all leaves in reading order.
    weight : ndarray of shape (n_trees,) or None, default=None
        Sample weights.
    y : ndarray of shape (n_trees, n_targets) or None, default=None
        The part of y that a batch holds, as numbers.
    label : ndarray of shape (n_nodes,) or None, default=None
        Class of each binary node, and -1 where it is unknown.
    node_width : int, default=1
        Numbers that a node takes in memory while it is composed.
    dtype, device
        Those of the tensors of a batch.
    """

    def __init__(
        self,
        trees: Binary,
        leaf: Any,
        weight: Any = None,
        y: Any = None,
        label: np.ndarray | None = None,
        *,
        node_width: int = 1,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        self.trees, self.leaf, self.weight, self.y, self.label = trees, leaf, weight, y, label
        self.dtype, self.out = dtype, torch.device(device)
        self.node_width = node_width
        self.width = -(-int(trees.first[-1]) // len(self)) * node_width
        self._level = trees.height.astype(np.min_scalar_type(int(trees.height.max())))  # small numbers sort faster
        self._first_leaf = (trees.first + np.arange(len(self) + 1)) // 2  # a tree of n leaves has 2 n - 1 nodes

    def __len__(self) -> int:
        return len(self.trees.first) - 1

    def __getitem__(self, index: Index) -> Packed:
        trees = self.trees
        rows = np.arange(*index.indices(len(self))) if isinstance(index, slice) else index.cpu().numpy()
        nodes, tree, leaves = self._spans(rows)
        order = np.argsort(self._level[nodes], kind="stable")
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        levels = np.concatenate([[0], np.cumsum(np.bincount(self._level[nodes]))])
        inner = order[levels[1] :]
        left = inner - trees.back[nodes[inner]]
        return Packed(
            leaf=self._take(self.leaf, leaves),
            children=self._tensor(np.stack([rank[left], rank[inner - 1]], 1)),
            levels=tuple(levels.tolist()),
            root=self._tensor(rank[np.cumsum(np.bincount(tree, minlength=len(rows))) - 1]),
            tree=self._tensor(tree[order]),
            n_leaves=self._tensor(trees.n_leaves[nodes[order]]),
            place=self._tensor(rank),
            weight=None if self.weight is None else self._take(self.weight, rows),
            y=None if self.y is None else self._take(self.y, rows),
            label=None if self.label is None else self._tensor(self.label[nodes[order]]),
        )

    def _take(self, values: Any, rows: np.ndarray) -> Tensor:
        """Some rows of an array or a tensor, as a tensor of the batch."""
        taken = values[torch.from_numpy(rows)] if isinstance(values, Tensor) else to_tensor(values[rows])
        return taken.to(self.out, self.dtype if taken.is_floating_point() else torch.int64)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(values, np.int64)).to(self.out)

    def moments(self) -> tuple[np.ndarray, float]:
        """Return the mean of the leaves' vectors, and their root mean square distance from it."""
        mean, scale = moments(self.leaf, self.leaf_weight)
        return mean, scale * len(mean) ** 0.5

    @property
    def leaf_weight(self) -> np.ndarray | None:
        """Weight of the tree that each leaf belongs to."""
        if self.weight is None:
            return None
        return np.repeat(np.asarray(self.weight), self.trees.n_leaves[self.trees.first[1:] - 1])

    def with_y(self, y: Any) -> Forest:
        """The same trees with another y."""
        return self._with(y=y)

    def with_labels(self, label: np.ndarray) -> Forest:
        """The same trees with these classes of nodes."""
        return self._with(label=label)

    def _with(self, **parts: Any) -> Forest:
        """The same trees, but for some parts."""
        own = {"leaf": self.leaf, "weight": self.weight, "y": self.y, "label": self.label, "dtype": self.dtype}
        return Forest(self.trees, **{**own, "node_width": self.node_width, "device": self.out, **parts})

    def learnt(self, merge: bool) -> Forest:
        """Return the trees to learn from. Equal trees are merged if ``merge``, and the mean weight is 1."""
        data = self._merged() if merge else self
        if data.weight is None:
            return data
        return data._with(weight=data.weight * (len(data) / data.weight.sum()))

    def _merged(self) -> Forest:
        """Distinct trees of positive weight, in an order of their own, with the sums of their weights.

        As for the rows of ``Arrays``, a fit does then not depend on the order of the trees, to the last bit.
        """
        weight = np.ones(len(self)) if self.weight is None else self.weight
        sums: dict[tuple[bytes, ...], tuple[int, float]] = {}
        for row in np.flatnonzero(weight > 0).tolist():
            key = self._key(row)
            first, total = sums.get(key, (row, 0.0))
            sums[key] = first, total + weight[row]
        rows, totals = (np.array(column) for column in zip(*(sums[key] for key in sorted(sums)), strict=True))
        return self._take_trees(rows, None if (totals == totals[0]).all() else totals)

    def _key(self, row: int) -> tuple[bytes, ...]:
        """All that a model sees of a tree, but for its weight."""
        nodes, _, leaves = self._spans(np.array([row]))
        label, y = self.label, self.y
        parts = (
            self.trees.back[nodes],
            self.leaf[leaves],
            label if label is None else label[nodes],
            y if y is None else y[row],
        )
        return tuple(b"" if part is None else np.ascontiguousarray(part).tobytes() for part in parts)

    def _take_trees(self, rows: np.ndarray, weight: np.ndarray | None) -> Forest:
        """Some of the trees, with other weights."""
        nodes, _, leaves = self._spans(rows)
        y = None if self.y is None else self.y[rows]
        label = None if self.label is None else self.label[nodes]
        made = Forest(self.trees.take(rows), self.leaf[leaves], weight, y, label, node_width=self.node_width)
        return made._with(dtype=self.dtype, device=self.out)

    def _spans(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Numbers of the nodes of some trees, the place of its tree in ``rows`` for each, and numbers of the leaves."""
        nodes, tree = ranges(self.trees.first[rows], self.trees.first[rows + 1])
        return nodes, tree, ranges(self._first_leaf[rows], self._first_leaf[rows + 1])[0]

    def seen(
        self,
        frame: Frame | None,
        target_frame: Frame | None,
        dtype: torch.dtype,
        device: torch.device,
        resident: bool = False,
        look: Callable[[Index, Tensor], None] | None = None,
    ) -> Forest:
        """Return the trees with their leaves' vectors in a frame. The other arguments are those of ``Source``."""
        leaf = self.leaf
        if leaf.ndim == 2:
            leaf = to_tensor(leaf)
            leaf = (leaf if frame is None else frame.apply(leaf)).to(dtype)
        weight, y = (None if values is None else to_tensor(values) for values in (self.weight, self.y))
        return self._with(leaf=leaf, weight=weight, y=y, dtype=dtype, device=device)


def ranges(start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers from each start to each stop, one range after the other, and the number of the range of each."""
    sizes = stop - start
    owner = np.repeat(np.arange(len(start)), sizes)
    return np.arange(len(owner)) + (start - (np.cumsum(sizes) - sizes))[owner], owner
