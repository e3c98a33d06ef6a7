"""Binary trees over sequences by a greedy search.

All sequences of a batch are parsed at once. The leaves of the sequences are numbered one after the other, 0 to
n_leaves - 1. The inner nodes follow, those of the first sequence first. Within a sequence a node comes after its
children, so that its last inner node is the root. A sequence of n leaves has n - 1 inner nodes. So the numbers are
known before the tree is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .compositions import BLOCK

__all__ = ["Parse", "greedy", "post_order"]

MOST_ENTRIES = 2**22
"""Entries of the states of as many sequences as are searched at once."""

Compose = Callable[[Tensor, Tensor], Tensor]
Errors = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


class Parse(NamedTuple):
    """Binary trees over sequences, with their nodes numbered as this module does."""

    children: Tensor
    """Numbers of the left and the right child of each inner node, of shape (n_inner, 2)."""
    tree: Tensor
    """Number of the sequence that each inner node belongs to, of shape (n_inner,)."""
    states: Tensor
    """State of each node, of shape (n_leaves + n_inner, width)."""


@torch.no_grad()
def greedy(states: Tensor, lengths: Sequence[int] | Tensor, compose: Compose, errors: Errors) -> Parse:
    """Merge the two neighbours with the least error, again and again, until one node is left of each sequence.

    A step merges one pair in every sequence that is not finished, and composes the merged node with its two new
    neighbours. So n leaves cost 3 n compositions at most. Of equal errors the first one wins, from left to right.

    Parameters
    ----------
    states : Tensor of shape (n_leaves, width)
        States of the leaves of all sequences, one sequence after the other.
    lengths : sequence of int or LongTensor of shape (n_sequences,)
        Number of leaves of each sequence, 1 at least.
    compose : callable
        ``compose(left, right)`` gives the states of parents, of shape (m, width), from those of their children.
    errors : callable
        ``errors(parent, left, right, is_inner_left, is_inner_right, n_left, n_right)`` gives the reconstruction errors
        of parents, of shape (m,). The booleans say which children are inner nodes. ``n_left`` and ``n_right`` are the
        numbers of leaves below the children, in the dtype of the states.

    Returns
    -------
    parse : Parse
        It has no gradient.

    Raises
    ------
    ValueError
        If the lengths do not fit the states.

    Notes
    -----
    The time is that of sum(lengths) compositions, and of sqrt(longest) comparisons for each. Memory beside the result
    is bounded: long lists of sequences are searched in groups.

    References
    ----------
    Socher, Pennington, Huang, Ng and Manning (2011), `Semi-Supervised Recursive Autoencoders for Predicting Sentiment
    Distributions <https://aclanthology.org/D11-1014>`_.

    Examples
    --------
    >>> def apart(parent, left, right, *_):
    ...     return (left - right).abs().sum(1)
    >>> states = torch.tensor([[0.0], [5.0], [6.0], [1.0], [1.0]])
    >>> parse = greedy(states, [3, 2], torch.maximum, apart)
    >>> parse.children.tolist()
    [[1, 2], [0, 5], [3, 4]]
    >>> parse.tree.tolist()
    [0, 0, 1]
    >>> parse.states[5:, 0].tolist()
    [6.0, 6.0, 1.0]
    """
    n_leaves = len(states)
    sizes = _checked(lengths, n_leaves)
    first, tree = _first_leaves(sizes), _trees(sizes)
    nodes = torch.cat([states, states.new_empty(len(tree), states.shape[1])])
    children = torch.empty((len(tree), 2), dtype=torch.long, device=states.device)
    most = max(1, MOST_ENTRIES // max(1, states.shape[1]))
    for rows in _groups(sizes, most):
        search = _Search(nodes, first[rows], sizes[rows], compose, errors)
        search.run(nodes, children, first[rows] - rows, n_leaves)
    return Parse(children, tree.to(states.device), nodes)


class _Least:
    """Errors of n rows, the least of which is found without looking at all: through the least one of each block.

    Every error has a slot. Row i has the slots from ``stride`` * i on. The last slot belongs to no row.
    """

    def __init__(self, n: int, width: int, like: Tensor) -> None:
        self.shift = width.bit_length() // 2
        size = 2**self.shift
        self.n_blocks = -(-width // size)
        self.stride = size * self.n_blocks
        self.nowhere = n * self.stride
        self.blocks = like.new_full((n * self.n_blocks + 1, size), torch.inf)
        self.least = like.new_full((n * self.n_blocks + 1,), torch.inf)
        self.first_block = torch.arange(n, device=like.device) * self.n_blocks

    def fill(self, slots: Tensor, errors: Tensor) -> None:
        """Set many errors."""
        self.blocks.view(-1).index_copy_(0, slots, errors)
        torch.amin(self.blocks, 1, out=self.least)

    def put(self, slots: Tensor, errors: Tensor) -> None:
        """Set a few errors."""
        self.blocks.view(-1).index_copy_(0, slots, errors)
        block = slots >> self.shift
        self.least.index_copy_(0, block, self.blocks.index_select(0, block).amin(1))

    def best(self, n: int) -> Tensor:
        """The slot of the first of the least errors in each of the first n rows."""
        block = self.least[: n * self.n_blocks].view(n, -1).argmin(1) + self.first_block[:n]
        return (block << self.shift) + self.blocks.index_select(0, block).argmin(1)


class _Search:
    """Sequences on their way to trees, the longest first.

    A node lies in the slot of its first leaf, and its merger with its right neighbour has the same slot in
    ``candidate`` and ``least``. What lies beyond the ends of a sequence is the slot ``nowhere``.

    Parameters
    ----------
    nodes : Tensor of shape (n_nodes, width)
        States of all nodes.
    first, sizes : LongTensor of shape (n,)
        First leaf of each sequence, and its number of leaves, in descending order.
    compose, errors
        See ``greedy``.
    """

    def __init__(self, nodes: Tensor, first: Tensor, sizes: Tensor, compose: Compose, errors: Errors) -> None:
        self.compose, self.errors, self.sizes = compose, errors, sizes
        self.least = _Least(len(sizes), int(sizes[0]), nodes)
        self.nowhere = self.least.nowhere
        row = torch.repeat_interleave(sizes)
        place = torch.arange(len(row)) - _first_leaves(sizes)[row]
        is_last = place + 1 == sizes[row]
        slot, node = (x.to(nodes.device) for x in (row * self.least.stride + place, first[row] + place))
        is_last = is_last.to(nodes.device)
        self.node = self._slots(slot, node, 0)
        self.left, self.right = (self._slots(slot, slot + step, self.nowhere) for step in (-1, 1))
        self.left[slot[place.to(slot) == 0]] = self.nowhere
        self.right[slot[is_last]] = self.nowhere
        self.n_leaves = nodes.new_ones(self.nowhere + 1)
        self.state = nodes.new_zeros(self.nowhere + 1, nodes.shape[1])
        self.state[slot] = nodes[node]
        self.candidate = torch.empty_like(self.state)
        pairs = slot[~is_last]
        self.least.fill(*self._weigh(pairs, pairs + 1))

    def _slots(self, slot: Tensor, values: Tensor, elsewhere: int) -> Tensor:
        """A number in each slot."""
        return values.new_full((self.nowhere + 1,), elsewhere).index_put_((slot,), values)

    def _weigh(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """Compose the nodes in these slots. Return the slots of the mergers and their errors."""
        missing = -len(left) % BLOCK
        left, right = (F.pad(slot, (0, missing), value=self.nowhere) for slot in (left, right))
        pairs = torch.cat([left, right])
        x, y = self.state.index_select(0, pairs).split(len(left))
        n_left, n_right = self.n_leaves.index_select(0, pairs).split(len(left))
        parent = self.compose(x, y)
        self.candidate.index_copy_(0, left, parent)
        errors = self.errors(parent, x, y, n_left > 1, n_right > 1, n_left, n_right)
        return left, errors.masked_fill(torch.maximum(left, right) == self.nowhere, torch.inf)

    def run(self, nodes: Tensor, children: Tensor, first: Tensor, n_leaves: int) -> None:
        """Write the states and the children of all inner nodes. ``first`` has the first inner node of each sequence."""
        ended = torch.bincount(self.sizes).cumsum(0)
        active = (len(self.sizes) - ended[1:]).tolist()
        inner = first.to(nodes.device)
        for step in range(len(active) - 1):
            n, n_next = active[step : step + 2]
            row = inner[:n] + step
            here = self.least.best(n)
            gone = self.right.index_select(0, here)
            merged = self.node.index_select(0, torch.cat([here, gone])).view(2, n)
            state = self.candidate.index_select(0, here)
            children.index_copy_(0, row, merged.t())
            nodes.index_copy_(0, row + n_leaves, state)
            if n_next:
                self.node.index_copy_(0, here, row + n_leaves)
                self.state.index_copy_(0, here, state)
                self._merge(here, gone, n_next)

    def _merge(self, here: Tensor, gone: Tensor, n: int) -> None:
        """Take out the nodes in ``gone``. Compose those in the first n slots of ``here`` with their new neighbours."""
        before, after = self.left.index_select(0, here), self.right.index_select(0, gone)
        self.right.index_copy_(0, here, after)
        self.left.index_copy_(0, after, here)
        self.n_leaves.index_add_(0, here, self.n_leaves.index_select(0, gone))
        left, errors = self._weigh(torch.cat([before[:n], here[:n]]), torch.cat([here[:n], after[:n]]))
        self.least.put(torch.cat([left, gone]), F.pad(errors, (0, len(gone)), value=torch.inf))


def post_order(children: Tensor, n_leaves: int) -> Tensor:
    """Place of each node if a node directly follows what is below it, and leaves are in order.

    Parameters
    ----------
    children : LongTensor of shape (n_inner, 2)
        Children of the nodes n_leaves, n_leaves + 1, ... of binary trees over consecutive leaves.
    n_leaves : int

    Returns
    -------
    place : LongTensor of shape (n_nodes,)

    Examples
    --------
    >>> post_order(torch.tensor([[1, 2], [0, 5], [3, 4]]), n_leaves=5).tolist()
    [0, 1, 2, 5, 6, 3, 4, 7]
    """
    n_nodes = n_leaves + len(children)
    first, last = (_ends(side, n_leaves, n_nodes) for side in children.unbind(1))
    return torch.argsort((last + 1) * (n_leaves + 1) - first).argsort()


def _ends(child: Tensor, n_leaves: int, n_nodes: int) -> Tensor:
    """The leaf below each node that is reached by one of its children, that one's child, and so on."""
    end = torch.cat([torch.arange(n_leaves).to(child), child])
    while bool((end >= n_leaves).any()):
        end = end[end]
    return end


def _checked(lengths: Sequence[int] | Tensor, n_leaves: int) -> Tensor:
    """Lengths as whole numbers on the CPU."""
    sizes = torch.as_tensor(lengths, dtype=torch.long, device="cpu")
    if len(sizes) and int(sizes.min()) < 1:
        raise ValueError(f"sequence {int(sizes.argmin())} has the length {int(sizes.min())}: pass no empty sequences.")
    if int(sizes.sum()) != n_leaves:
        raise ValueError(f"the lengths add up to {int(sizes.sum())}, but there are {n_leaves} leaves: both must agree.")
    return sizes


def _first_leaves(sizes: Tensor) -> Tensor:
    """First leaf of each sequence."""
    return sizes.cumsum(0) - sizes


def _trees(sizes: Tensor) -> Tensor:
    """Number of the sequence of each inner node."""
    return torch.repeat_interleave(sizes - 1)


def _groups(sizes: Tensor, most: int) -> Iterator[Tensor]:
    """Numbers of the sequences of two leaves or more, the longest first, as many as have ``most`` slots together."""
    order = sizes.argsort(descending=True, stable=True)
    order = order[: int((sizes > 1).sum())]
    start = 0
    while start < len(order):
        stop = start + max(1, most // int(sizes[order[start]]))
        yield order[start:stop]
        start = stop
