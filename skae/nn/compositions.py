"""How the vectors of two children become that of their parent, for all nodes of a level at once.

A composition works on *states*. The state of a node is its vector h, and in a gated composition also its memory c. A
composition says how states are computed (``combine``), and what the gradient is (``slopes``). ``compose`` applies it to
whole trees, level by level, as one function that autograd can differentiate. A level takes a dozen calls, whichever
number of nodes it has.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..functional import normal_weights
from ..functional.activations import ACTIVATIONS, SLOPES

__all__ = ["BLOCK", "COMPOSITIONS", "Composition", "compose", "in_blocks", "product", "unit"]

BLOCK = 32
"""Rows that a matrix product takes at a time, or a multiple of them. Rows that are left over are rounded otherwise."""
MOST_COLUMNS = 128
"""Columns that a matrix product sums over at a time. In which order it adds up more depends on the number of rows."""
_of_tanh, _of_logistic = torch.ops.aten.tanh_backward.default, torch.ops.aten.sigmoid_backward.default
SMALL = 1e-12
"""Vectors shorter than this are not divided by their length. A vector of zeros stays, and its gradient is finite."""


def unit(a: Tensor) -> Tensor:
    """Rows divided by their length."""
    return a / length(a)


def length(a: Tensor) -> Tensor:
    """Length of each row, as a column, and 1 for a row of zeros."""
    size = torch.linalg.vector_norm(a, dim=-1, keepdim=True)
    return torch.where(size > SMALL, size, 1.0)


def product(x: Tensor, W: Tensor, u: Tensor | None = None) -> Tensor:
    """W x + u for each row x.

    Parameters
    ----------
    x : Tensor of shape (n, width)
    W : Tensor of shape (n_outputs, width)
    u : Tensor of shape (n_outputs,) or (n, n_outputs), or None, default=None
    """
    if x.shape[1] <= MOST_COLUMNS:
        return x @ W.t() if u is None else torch.addmm(u, x, W.t())
    return product(x[:, MOST_COLUMNS:], W[:, MOST_COLUMNS:], product(x[:, :MOST_COLUMNS], W[:, :MOST_COLUMNS], u))


def in_blocks(function: Any, x: Tensor) -> Tensor:
    """Apply a product to rows, so that the result for a row depends on that row alone, to the last bit.

    Parameters
    ----------
    function : callable
        Maps rows to rows.
    x : Tensor of shape (n, width)
    """
    n = len(x)
    if torch.is_grad_enabled() or n % BLOCK == 0:
        result: Tensor = function(x)
        return result
    padded = x.new_zeros((n + -n % BLOCK, *x.shape[1:]))
    padded[:n] = x
    of_block: Tensor = function(padded)[:n]
    return of_block


class Composition(nn.Module):
    """h = f(z) with z = W [h_l; h_r] + u, divided by its length if ``unit_length`` (Socher et al., 2011).

    Parameters
    ----------
    n_components : int
        Width d of a vector.
    activation : str
        Name of f.
    unit_length : bool
    """

    n_inputs: ClassVar[int] = 1
    """Width of z and of u, in units of d."""
    n_states: ClassVar[int] = 1
    """Width of a state, in units of d."""

    def __init__(self, n_components: int, activation: str, unit_length: bool) -> None:
        super().__init__()
        self.d, self.activation, self.unit_length = n_components, activation, unit_length
        self.W = nn.Parameter(torch.empty(self.n_inputs * n_components, 2 * n_components))

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Start near the mean of the two children."""
        self.W.copy_(normal_weights(self.W, 0.1 / self.d**0.5, rng))
        self.W[:, : self.d].diagonal().add_(0.5)
        self.W[:, self.d :].diagonal().add_(0.5)

    @property
    def weights(self) -> list[Tensor]:
        """The parameters, in the order of ``weight_slopes``."""
        return [self.W]

    def leaf(self, u: Tensor) -> Tensor:
        """States of nodes without children, given u. Autograd differentiates them."""
        a = ACTIVATIONS[self.activation](u)
        return unit(a) if self.unit_length else a

    def inputs(self, kids: Tensor, u: Tensor) -> Tensor:
        """Z for children of shape (m, 2, width of a state)."""
        return product(self.vectors(kids), self.W, u)

    def vectors(self, kids: Tensor) -> Tensor:
        """[h_l; h_r] of children."""
        return kids.flatten(1)

    def combine(self, kids: Tensor, z: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """States of parents, and what ``slopes`` needs."""
        a = ACTIVATIONS[self.activation](z)
        if not self.unit_length:
            return a, (z, a)
        size = length(a)
        h = a / size
        return h, (z, a, h, size)

    def slopes(self, g: Tensor, tape: tuple[Tensor, ...], kids: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients in z and in the children's states, given the gradient g in the parents' states."""
        z, a, *of_length = tape
        s = SLOPES[self.activation](_before_length(g, *of_length), z, a)
        return s, self.through(s, kids)

    def through(self, s: Tensor, kids: Tensor) -> Tensor:
        """Gradient in the children's vectors, of the shape of ``kids``, given the gradient s in z."""
        return (s @ self.W).view(len(s), 2, -1)

    def weight_slopes(self, s: Tensor, kids: Tensor) -> list[Tensor]:
        """Gradients in the weights, given the gradient s in z of all nodes."""
        return [s.t() @ self.vectors(kids)]


def _before_length(g: Tensor, h: Tensor | None = None, size: Tensor | None = None) -> Tensor:
    """Gradient in a vector, given the gradient g in h, which is that vector divided by its length ``size``."""
    if h is None or size is None:
        return g
    return torch.addcmul(g, h, (h * g).sum(1, keepdim=True), value=-1).div_(size)


class TensorComposition(Composition):
    """z_k = v' T_k v / d + W_k v + u_k with v = [h_l; h_r] (Socher et al., 2013).

    A step of Adam moves each entry of T as far as one of W. There are 2 d times as many for each z_k, so that without
    the division products would soon outweigh W.
    """

    def __init__(self, n_components: int, activation: str, unit_length: bool) -> None:
        super().__init__(n_components, activation, unit_length)
        self.T = nn.Parameter(torch.empty(n_components, 2 * n_components, 2 * n_components))

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Start without products of the children."""
        super().initialise(rng)
        self.T.zero_()

    @property
    def weights(self) -> list[Tensor]:
        """The parameters, in the order of ``weight_slopes``."""
        return [self.W, self.T]

    def inputs(self, kids: Tensor, u: Tensor) -> Tensor:
        """Z for children of shape (m, 2, d)."""
        v = self.vectors(kids)
        products = product(v, self.T.transpose(1, 2).reshape(-1, 2 * self.d)).view(len(v), self.d, -1)
        return super().inputs(kids, u) + torch.bmm(products, v[:, :, None])[:, :, 0] / self.d

    def through(self, s: Tensor, kids: Tensor) -> Tensor:
        """Gradient in the children's vectors."""
        v = self.vectors(kids)
        symmetric = (self.T + self.T.transpose(1, 2)).transpose(0, 1).reshape(2 * self.d, -1)
        products = (v @ symmetric).view(len(v), self.d, -1)
        return super().through(s, kids) + torch.bmm(s[:, None, :] / self.d, products).view(len(v), 2, -1)

    def weight_slopes(self, s: Tensor, kids: Tensor) -> list[Tensor]:
        """Gradients in W and T. A few nodes at a time, because each has d times 2 d products."""
        slope = torch.zeros_like(self.T).view(-1, 2 * self.d)
        v = self.vectors(kids)
        for s_part, v_part in zip(s.split(1024), v.split(1024), strict=True):
            outer = (s_part[:, :, None] * v_part[:, None, :]).flatten(1)
            slope.addmm_(outer.t(), v_part)
        return [*super().weight_slopes(s, kids), slope.view_as(self.T) / self.d]


class GatedComposition(Composition):
    """A memory that gates open and close: the binary tree LSTM of Tai, Socher and Manning (2015).

    z holds the gates i, l, r, o and the candidate g. With the logistic function s, a node remembers
    c = s(i) tanh(g) + s(l) c_l + s(r) c_r, and its vector is h = s(o) tanh(c).
    """

    n_inputs: ClassVar[int] = 5
    n_states: ClassVar[int] = 2

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Start with random gates."""
        self.W.copy_(normal_weights(self.W, (2 * self.d) ** -0.5, rng))

    def leaf(self, u: Tensor) -> Tensor:
        """States of nodes without children, given u. Autograd differentiates them."""
        i, _, _, o, g = u.chunk(5, 1)
        c = i.sigmoid() * g.tanh()
        a = o.sigmoid() * c.tanh()
        return torch.cat([unit(a) if self.unit_length else a, c], 1)

    def vectors(self, kids: Tensor) -> Tensor:
        """[h_l; h_r] of children."""
        return kids[:, :, : self.d].flatten(1)

    def combine(self, kids: Tensor, z: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """States [h; c] of parents, and what ``slopes`` needs."""
        gates, candidate = z[:, : 4 * self.d].sigmoid(), z[:, 4 * self.d :].tanh()
        i, left, right, o = gates.chunk(4, 1)
        c = torch.addcmul(i * candidate, left, kids[:, 0, self.d :]).addcmul_(right, kids[:, 1, self.d :])
        squashed = c.tanh()
        a = o * squashed
        if not self.unit_length:
            return torch.cat([a, c], 1), (gates, candidate, squashed)
        size = length(a)
        h = a / size
        return torch.cat([h, c], 1), (gates, candidate, squashed, h, size)

    def slopes(self, g: Tensor, tape: tuple[Tensor, ...], kids: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients in z and in the children's states, given the gradient g in the parents' states."""
        gates, candidate, squashed, *of_length = tape
        i, left, right, o = gates.chunk(4, 1)
        of_a = _before_length(g[:, : self.d], *of_length)
        of_c = g[:, self.d :] + _of_tanh(of_a * o, squashed)
        memory = kids[:, :, self.d :]
        of_gates = torch.cat([of_c * candidate, of_c * memory[:, 0], of_c * memory[:, 1], of_a * squashed], 1)
        s = torch.cat([_of_logistic(of_gates, gates), _of_tanh(of_c * i, candidate)], 1)
        of_memory = torch.stack([of_c * left, of_c * right], 1)
        return s, torch.cat([self.through(s, kids), of_memory], 2)


COMPOSITIONS: dict[str, type[Composition]] = {
    "plain": Composition,
    "tensor": TensorComposition,
    "gated": GatedComposition,
}
"""By the name of an option."""


def compose(cell: Composition, leaf: Tensor, u: Tensor, children: Tensor, levels: tuple[int, ...]) -> Tensor:
    """States of all nodes of some trees, given those of the leaves.

    Parameters
    ----------
    cell : Composition
    leaf : Tensor of shape (n_leaves, width of a state)
    u : Tensor of shape (width of z,), or of shape (n_nodes - n_leaves, width of z)
        What is added to z, at all inner nodes or at each.
    children : LongTensor of shape (n_nodes - n_leaves, 2)
        Numbers of the left and the right child of each inner node.
    levels : tuple of int
        First node of each level, and the number of nodes.

    Returns
    -------
    states : Tensor of shape (n_nodes, width of a state)
        Without a gradient, the state of a node depends on its own tree alone, to the last bit.
    """
    if torch.is_grad_enabled():
        states: Tensor = _Compose.apply(cell, children, levels, leaf, u, *cell.weights)
        return states
    return _upwards(cell, leaf, u, children, levels, BLOCK)[0]


def _upwards(
    cell: Composition, leaf: Tensor, u: Tensor, children: Tensor, levels: tuple[int, ...], block: int
) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
    """States, and the tape of each level. Levels are composed in blocks of rows, of which some are there twice."""
    n_leaves = levels[1]
    states = leaf.new_empty((levels[-1], leaf.shape[1]))
    states[:n_leaves] = leaf
    tapes = []
    for start, stop in pairwise(levels[1:]):
        rows = slice(start - n_leaves, stop - n_leaves)
        pairs, own = children[rows], u if u.ndim == 1 else u[rows]
        if spare := -len(pairs) % block:
            again = torch.arange(len(pairs) + spare, device=pairs.device) % len(pairs)
            pairs, own = pairs[again], own if own.ndim == 1 else own[again]
        kids = states.index_select(0, pairs.flatten()).view(len(pairs), 2, states.shape[1])
        state, tape = cell.combine(kids, cell.inputs(kids, own))
        states[start:stop] = state[: stop - start]
        tapes.append(tape)
    return states, tapes


class _Compose(torch.autograd.Function):
    """``compose`` with its gradient by hand, which takes as few calls a level as the function itself."""

    @staticmethod
    def forward(
        ctx: Any,
        cell: Composition,
        children: Tensor,
        levels: tuple[int, ...],
        leaf: Tensor,
        u: Tensor,
        *weights: Tensor,
    ) -> Tensor:
        """The states."""
        states, ctx.tapes = _upwards(cell, leaf, u, children, levels, 1)
        ctx.cell, ctx.children, ctx.levels, ctx.is_shared = cell, children, levels, u.ndim == 1
        ctx.save_for_backward(states)
        return states

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """The gradients in the states of the leaves, in u and in the weights."""
        cell, children, levels = ctx.cell, ctx.children, ctx.levels
        n_leaves = levels[1]
        states, g = ctx.saved_tensors[0], gradient.clone()
        kids = states.index_select(0, children.flatten()).view(len(children), 2, states.shape[1])
        s = g.new_empty((len(children), cell.W.shape[0]))
        for start, stop, tape in zip(levels[-2:0:-1], levels[:1:-1], reversed(ctx.tapes), strict=True):
            rows = slice(start - n_leaves, stop - n_leaves)
            s[rows], of_kids = cell.slopes(g[start:stop], tape, kids[rows])
            g.index_add_(0, children[rows].flatten(), of_kids.flatten(0, 1))
        return None, None, None, g[:n_leaves], s.sum(0) if ctx.is_shared else s, *cell.weight_slopes(s, kids)
