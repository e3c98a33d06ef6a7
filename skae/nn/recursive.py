"""RecursiveNetwork: vectors for the nodes of binary trees, from the leaves up, and back down to the leaves.

A batch is an object with the fields of ``skae.engine.forest.Packed``. In shapes, n is the number of nodes of a batch
and d is ``n_components``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ..functional import dropout_mask, normal_weights
from ..functional.activations import ACTIVATIONS
from .compositions import COMPOSITIONS, compose, in_blocks, product, unit

__all__ = ["RecursiveNetwork", "Vectors"]

MOST_VALUES = 2**23
"""Numbers that unfolding takes in memory for each of its quantities. More of them are computed part by part."""


class Vectors(NamedTuple):
    """Vectors of all nodes of a batch."""

    h: Tensor
    """The top layer's vectors, of shape (n, d)."""
    target: Tensor
    """What is reconstructed, of shape (n, d): a leaf's own vector x, and h of an inner node."""


class RecursiveNetwork(nn.Module):
    """A composition of two children, a decoder back to them, and a linear classifier of nodes.

    - A leaf has a vector x of width d. Tokens look theirs up in a table. Vectors of another width w are mapped.
    - Layer 1 composes h_1 = f(W_1 [h_l; h_r] + b_1), see ``skae.nn.compositions``. Layer i > 1 adds V_i h_{i-1} of the
      same node. A leaf has no children, so its h_i is f(V_i h_{i-1} + b_i) (Irsoy and Cardie, 2014).
    - The decoder puts out [y_l; y_r] = D h + e. A leaf is decoded as y, and an inner node as f(y).

    Parameters
    ----------
    n_components : int
        Width d of the vectors.
    leaf_width : int
        Width w of the leaves' vectors.
    n_tokens : int
        Number of tokens in the vocabulary. One more vector is that of unknown tokens. 0 if the leaves are vectors.
    composition : {"plain", "tensor", "gated"}
    n_layers : int
    activation : str
        Name of f.
    unit_length : bool
        Whether composed vectors and decoded inner nodes are divided by their length.
    tuned : bool
        Whether the table and the map of the leaves are parameters.
    n_predictions : int, default=0
        Number of classes, and 0 without a classifier.
    dropout : float, default=0.0
        Probability that an entry of a vector that is classified is set to zero in training.
    """

    cells: Any
    V: Any
    table: Any
    entry: Any

    def __init__(
        self,
        n_components: int,
        leaf_width: int,
        n_tokens: int,
        composition: str,
        n_layers: int,
        activation: str,
        unit_length: bool,
        tuned: bool,
        n_predictions: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"There is no activation {activation!r}.")
        d = n_components
        self.d, self.activation, self.unit_length, self.dropout = d, activation, unit_length, dropout
        kind = COMPOSITIONS[composition]
        self.cells = nn.ModuleList([kind(d, activation, unit_length) for _ in range(n_layers)])
        self.is_gated = kind.n_states > 1
        self.biases = nn.ParameterList([nn.Parameter(torch.empty(kind.n_inputs * d)) for _ in range(n_layers)])
        of_layers = range(0 if self.is_gated else 1, n_layers)
        self.V = nn.ParameterDict({str(i): nn.Parameter(torch.empty(kind.n_inputs * d, d)) for i in of_layers})
        self.D, self.e = nn.Parameter(torch.empty(2 * d, d)), nn.Parameter(torch.empty(2 * d))
        self._add("table", torch.empty(n_tokens + 1, leaf_width) if n_tokens else None, tuned)
        self._add("entry", torch.empty(d, leaf_width) if leaf_width != d else None, tuned)
        self.S = nn.Parameter(torch.empty(n_predictions, d)) if n_predictions else None
        self.c = nn.Parameter(torch.empty(n_predictions)) if n_predictions else None

    def _add(self, name: str, value: Tensor | None, tuned: bool) -> None:
        if tuned and value is not None:
            setattr(self, name, nn.Parameter(value))
        else:
            self.register_buffer(name, value)

    @property
    def multiplications(self) -> int:
        """Multiplications for a node. A level has about as many nodes as a batch has trees."""
        return sum(weight.numel() for cell in self.cells for weight in cell.weights)

    @torch.no_grad()
    def initialise(self, rng: torch.Generator, table: Tensor | None = None, axes: Tensor | None = None) -> None:
        """Set the weights. A parent starts near the mean of its children, and is decoded to itself twice.

        Parameters
        ----------
        rng : torch.Generator
        table : Tensor of shape (n_tokens + 1, leaf_width) or None, default=None
            Vectors of the tokens. None draws random ones, whose length is about 1, and unknown tokens start at zero.
        axes : Tensor of shape (n_components, leaf_width) or None, default=None
            Map of the leaves, if ``leaf_width`` is not ``n_components``.
        """
        for cell, bias in zip(self.cells, self.biases, strict=True):
            cell.initialise(rng)
            bias.zero_()
        for V in self.V.values():
            V.copy_(normal_weights(V, self.d**-0.5, rng))
        self.D.copy_(torch.eye(self.d).repeat(2, 1))
        self.e.zero_()
        if self.table is not None and table is None:
            self.table.copy_(normal_weights(self.table, self.table.shape[1] ** -0.5, rng))[-1] = 0.0
        elif self.table is not None and table is not None:
            self.table.copy_(table)
        if self.entry is not None and axes is not None:
            self.entry.copy_(axes)
        if self.S is not None and self.c is not None:
            self.S.zero_()
            self.c.zero_()

    # ---------------------------------------------------------------- leaves

    def embed(self, leaf: Tensor) -> Tensor:
        """Vectors of width w of leaves, which are tokens or vectors already."""
        return leaf if self.table is None else F.embedding(leaf, self.table)

    def enter(self, raw: Tensor) -> Tensor:
        """Vectors x of width d, of vectors of width w."""
        entry = self.entry
        return raw if entry is None else in_blocks(lambda rows: product(rows, entry), raw)

    def leave(self, x: Tensor) -> Tensor:
        """Vectors of width w, of vectors x of width d."""
        return x if self.entry is None else x @ torch.linalg.pinv(self.entry).t()

    # ---------------------------------------------------------------- upwards

    def vectors(self, batch: Any, raw: Tensor | None = None) -> Vectors:
        """Vectors of all nodes. ``raw`` are those of the leaves, as ``embed`` returns them."""
        h = x = self.enter(self.embed(batch.leaf) if raw is None else raw)
        n_leaves = len(x)
        for i, (cell, bias) in enumerate(zip(self.cells, self.biases, strict=True)):
            u = self._inputs(i, h)
            leaf = h if u is None else cell.leaf(u[:n_leaves])
            own = bias if u is None or i == 0 else u[n_leaves:]
            h = compose(cell, leaf, own, batch.children, batch.levels)[:, : self.d]
        return Vectors(h, torch.cat([x, h[n_leaves:]]))

    def _inputs(self, i: int, h: Tensor) -> Tensor | None:
        """V_i h + b_i of layer i, or None in a first layer whose leaves are their own vectors."""
        if str(i) not in self.V:
            return None
        return in_blocks(lambda rows: product(rows, self.V[str(i)], self.biases[i]), h)

    def predict(self, h: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Output S h + c of the classifier for some nodes."""
        S, c = self.S, self.c
        if S is None:
            return h[:, :0]
        h = h if rng is None or not self.dropout else h * dropout_mask(h, self.dropout, rng)
        return in_blocks(lambda rows: product(rows, S, c), h)

    # ---------------------------------------------------------------- node by node, for a search

    def grown_leaf(self, leaf: Tensor) -> Tensor:
        """States of leaves: those of all layers, and then the target, of shape (n_leaves, width)."""
        x = self.enter(self.embed(leaf))
        h, states = x, []
        for i, cell in enumerate(self.cells):
            u = self._inputs(i, h)
            states.append(h if u is None else cell.leaf(u))
            h = states[-1][:, : self.d]
        return torch.cat([*states, x], 1)

    def grown(self, left: Tensor, right: Tensor) -> Tensor:
        """States of parents, given those of their children."""
        kids = torch.stack([left, right], 1)
        width = (kids.shape[2] - self.d) // len(self.cells)
        states: list[Tensor] = []
        for i, (cell, bias) in enumerate(zip(self.cells, self.biases, strict=True)):
            own = bias if i == 0 else product(states[-1][:, : self.d], self.V[str(i)], bias)
            part = kids[:, :, i * width : (i + 1) * width]
            states.append(cell.combine(part, cell.inputs(part, own))[0])
        return torch.cat([*states, states[-1][:, : self.d]], 1)

    # ---------------------------------------------------------------- downwards

    def decode(self, p: Tensor) -> Tensor:
        """Children decoded as leaves, of shape (m, 2, d), given vectors p of parents."""
        return product(p, self.D, self.e).view(len(p), 2, self.d)

    def as_inner(self, y: Tensor) -> Tensor:
        """What is decoded as an inner node."""
        a = ACTIVATIONS[self.activation](y)
        return unit(a) if self.unit_length else a

    def errors(self, p: Tensor, targets: Tensor, is_inner: Tensor, n_leaves: Tensor, weighted: bool) -> Tensor:
        """Reconstruction error of the two children of each node, of shape (m,).

        Parameters
        ----------
        p : Tensor of shape (m, d)
            Vectors of the nodes.
        targets : Tensor of shape (m, 2, d)
        is_inner : BoolTensor of shape (m, 2)
            Whether the children are inner nodes.
        n_leaves : Tensor of shape (m, 2)
            Number of leaves below each child.
        weighted : bool
            Whether a child counts by that number. Otherwise each counts a half.
        """
        y = self.decode(p)
        decoded = torch.where(is_inner[:, :, None], self.as_inner(y), y)
        squares = (targets - decoded).square().sum(2)
        if not weighted:
            return squares.sum(1) / 2
        return (squares * n_leaves).sum(1) / n_leaves.sum(1)

    def node_errors(self, vectors: Vectors, batch: Any, weighted: bool, unfolding: bool) -> Tensor:
        """Reconstruction error of each inner node of a batch."""
        children, first = batch.children, batch.levels[1]
        if unfolding:
            return self._unfolded(vectors, batch, weighted)
        pairs = vectors.target.index_select(0, children.flatten()).view(len(children), 2, self.d)
        return self.errors(vectors.h[first:], pairs, children >= first, batch.n_leaves[children], weighted)

    def _unfolded(self, vectors: Vectors, batch: Any, weighted: bool) -> Tensor:
        """Squared error of all leaves below each inner node, if they are decoded from that node alone."""
        first, n = batch.levels[1], batch.levels[-1]
        below = batch.n_leaves[first:]
        target, children = vectors.target[:first], batch.children
        parts = [torch.arange(first, n, device=children.device)]
        if (n - first) * (len(batch.levels) - 2) * self.d > MOST_VALUES:
            share = (below - 1).cumsum(0).mul(self.d).div(MOST_VALUES, rounding_mode="floor")
            parts = list(parts[0].split(torch.unique_consecutive(share, return_counts=True)[1].tolist()))
        if len(parts) == 1:
            errors = [self._below(vectors.h, target, children, parts[0])]
        else:
            arguments = (vectors.h, target, children)
            errors = [checkpoint(self._below, *arguments, part, use_reentrant=False) for part in parts]
        return torch.cat(errors) / (2 if weighted else below)

    def _below(self, h: Tensor, target: Tensor, children: Tensor, nodes: Tensor) -> Tensor:
        """Squared error of all leaves below some inner nodes, decoded a step down for all of them at once."""
        n_leaves = len(target)
        origin = torch.arange(len(nodes), device=nodes.device)
        p, total = h[nodes], h.new_zeros(len(nodes))
        while len(nodes):
            y, kids, origin = (
                self.decode(p).flatten(0, 1),
                children[nodes - n_leaves].flatten(),
                origin.repeat_interleave(2),
            )
            is_leaf = kids < n_leaves
            squares = (target[kids[is_leaf]] - y[is_leaf]).square().sum(1)
            total = total.index_add(0, origin[is_leaf], squares)
            nodes, origin, p = kids[~is_leaf], origin[~is_leaf], self.as_inner(y[~is_leaf])
        return total

    def unfold(self, roots: Tensor, batch: Any) -> Tensor:
        """Vectors x of all leaves of a batch, of shape (n_leaves, d), decoded from those of the roots."""
        first, n = batch.levels[1], batch.levels[-1]
        values = roots.new_zeros((n, self.d))
        values[batch.root] = roots
        for start, stop in zip(batch.levels[-2:0:-1], batch.levels[:1:-1], strict=True):
            kids = batch.children[start - first : stop - first].flatten()
            y = in_blocks(self.decode, values[start:stop]).flatten(0, 1)
            values[kids] = torch.where((kids >= first)[:, None], self.as_inner(y), y)
        return values[:first]
