"""Recursive autoencoders over one tree at a time, by plain recursion: the oracle of the packed forests.

A tree is (label, value) for a leaf and (label, [child, ...]) for a node. The label is None where there is none.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from skae.engine.forest import Forest
from skae.engine.forest import binary as of_arity
from skae.nn.compositions import COMPOSITIONS
from skae.trees import Tree

# ------------------------------------------------------------------ trees


def is_leaf(tree):
    return not isinstance(tree[1], list)


def depth(tree):
    return 0 if is_leaf(tree) else 1 + max(map(depth, tree[1]))


def leaves(tree):
    return [tree] if is_leaf(tree) else [leaf for child in tree[1] for leaf in leaves(child)]


def nodes(tree):
    """All subtrees in post-order."""
    return [*([] if is_leaf(tree) else [node for child in tree[1] for node in nodes(child)]), tree]


def arities(trees):
    """Number of children of each node in post-order, tree after tree."""
    return np.array([0 if is_leaf(node) else len(node[1]) for tree in trees for node in nodes(tree)], np.int32)


def numbered(trees):
    """The trees with their leaves numbered in reading order over all of them."""
    count = iter(range(10**9))

    def number(tree):
        return (tree[0], next(count) if is_leaf(tree) else [number(child) for child in tree[1]])

    return [number(tree) for tree in trees]


def packed(trees, leaf, **options):
    """A forest of the trees with these leaves in reading order, and with labels that are numbers of classes."""
    label = [-1 if node[0] is None else node[0] for tree in trees for node in nodes(binary(tree))]
    shape = of_arity(arities(trees), np.array([len(nodes(tree)) for tree in trees]))
    return Forest(shape, leaf, label=np.array(label), **options)


def binary(tree):
    """Left binarisation, and nodes with one child are that child, under the outermost label that is there."""
    label, children = tree
    if is_leaf(tree):
        return tree
    if len(children) == 1:
        below = binary(children[0])
        return (below[0] if label is None else label, below[1])
    left = children[0] if len(children) == 2 else (None, children[:-1])
    return (label, [binary(left), binary(children[-1])])


def left(items):
    """((1 2) 3) of a sequence of leaves."""
    return items[0] if len(items) == 1 else (None, [left(items[:-1]), items[-1]])


def balanced(items):
    """Halves, of which the left one has the extra leaf."""
    half = (len(items) + 1) // 2
    return items[0] if len(items) == 1 else (None, [balanced(items[:half]), balanced(items[half:])])


def bushy(rng, n_leaves, value, label=lambda: None, arity=2):
    """A tree of nodes with 1 to ``arity`` children (with 2, of two each), split at random."""
    if n_leaves == 1:
        leaf = (label(), value())
        return (label(), [leaf]) if arity > 2 and rng.random() < 0.2 else leaf
    n = min(n_leaves, int(rng.integers(2, arity + 1)))
    cuts = [0, *sorted(rng.choice(n_leaves - 1, n - 1, replace=False) + 1), n_leaves]
    node = (label(), [bushy(rng, stop - start, value, label, arity) for start, stop in pairwise(cuts)])
    return (label(), [node]) if arity > 2 and rng.random() < 0.2 else node


def caterpillar(rng, height, value, label=lambda: None, side=None):
    """Nodes that have a leaf as one child: the right one (side 0), the left one (side 1), or at random."""
    tree = (label(), value())
    for _ in range(height):
        below = [tree, (label(), value())]
        tree = (label(), below[::-1] if (rng.integers(2) if side is None else side) else below)
    return tree


def woods(rng, value, label=lambda: None, height=40, arity=4):
    """One-leaf trees, pairs, bushy trees, n-ary trees with unary chains, and caterpillars."""
    return [
        (label(), value()),
        bushy(rng, 9, value, label),
        bushy(rng, 2, value, label),
        caterpillar(rng, height, value, label, side=0),
        (label(), value()),
        bushy(rng, 14, value, label, arity),
        caterpillar(rng, height // 2, value, label, side=1),
        caterpillar(rng, height // 3, value, label),
        bushy(rng, 5, value, label, arity),
        (label(), [(label(), [(label(), value())])]),
    ]


def as_tree(tree):
    """The tree that a user would pass."""
    label, value = tree
    return Tree(value, label=label) if is_leaf(tree) else Tree(children=list(map(as_tree, value)), label=label)


# ------------------------------------------------------------------ the recursion


class Node(NamedTuple):
    """What the recursion knows of a subtree."""

    states: list[tuple[Tensor, Tensor]]
    """h and the gated composition's c of each layer, the lowest first."""
    target: Tensor
    leaves: list[Tensor]
    children: tuple["Node", ...] = ()
    label: Any = None

    @property
    def h(self):
        return self.states[-1][0]

    def nodes(self):
        return [*(node for child in self.children for node in child.nodes()), self]


ACTIVATIONS = {
    "identity": lambda z: z,
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "relu": torch.relu,
    "silu": F.silu,
    "gelu": F.gelu,
    "elu": F.elu,
    "leaky_relu": F.leaky_relu,
    "softplus": F.softplus,
}


@dataclass
class Recursion:
    """The network. ``layers`` holds W, b, T (tensor), U (gated, first layer) and V (further layers) of each layer."""

    layers: list[dict[str, Tensor]]
    D: Tensor | None = None
    e: Tensor | None = None
    S: Tensor | None = None
    c: Tensor | None = None
    composition: str = "plain"
    activation: str = "tanh"
    unit_length: bool = True
    weighted: bool = True
    unfolding: bool = False
    d: int = field(init=False)

    def __post_init__(self):
        self.d = self.layers[0]["W"].shape[1] // 2

    def f(self, z):
        h = ACTIVATIONS[self.activation](z)
        return self.unit(h)

    def unit(self, h):
        """A vector of zeros has no direction, and stays."""
        return h / h.norm() if self.unit_length and h.detach().any() else h

    def compose(self, layer, left, right, below):
        """h and c of a node in a layer: children's (h, c), and the node's vector in the layer below, or None."""
        pair, u = torch.cat([left[0], right[0]]), layer["b"]
        if below is not None:
            u = u + layer["U" if "U" in layer else "V"] @ below
        z = layer["W"] @ pair + u
        if self.composition == "gated":
            i, l, r, o, g = z.chunk(5)  # noqa: E741
            c = i.sigmoid() * g.tanh() + l.sigmoid() * left[1] + r.sigmoid() * right[1]
            return self.unit(o.sigmoid() * c.tanh()), c
        if self.composition == "tensor":
            z = z + torch.einsum("a,kab,b->k", pair, layer["T"], pair)
        return self.f(z), torch.zeros_like(z)

    def leaf(self, x, label=None):
        none, states = (torch.zeros_like(x), torch.zeros_like(x)), []
        for i, layer in enumerate(self.layers):
            if i == 0 and self.composition != "gated":
                states.append(none)
                states[0] = (x, none[1])
            else:
                states.append(self.compose(layer, none, none, states[-1][0] if i else x))
        return Node(states, x, [x], label=label)

    def node(self, left, right, label=None):
        states = []
        for i, layer in enumerate(self.layers):
            states.append(self.compose(layer, left.states[i], right.states[i], states[-1][0] if i else None))
        return Node(states, states[-1][0], left.leaves + right.leaves, (left, right), label)

    def run(self, tree, vector):
        """The nodes of a binary tree, given the vector of a leaf's value."""
        label, children = tree
        if is_leaf(tree):
            return self.leaf(vector(children), label)
        return self.node(*(self.run(child, vector) for child in children), label)

    @classmethod
    def of(cls, module, **options):
        """The network with the weights of a module."""
        layers = []
        for i, (cell, b) in enumerate(zip(module.cells, module.biases, strict=True)):
            layers.append({"W": cell.W, "b": b})
            if hasattr(cell, "T"):
                layers[i]["T"] = cell.T / cell.d
            if str(i) in module.V:
                layers[i]["V" if i else "U"] = module.V[str(i)]
        kind = type(module.cells[0])
        composition = next(name for name, of_name in COMPOSITIONS.items() if of_name is kind)
        own = {name: getattr(module, name) for name in ("D", "e", "S", "c", "activation", "unit_length")}
        return cls(layers, composition=composition, **own, **options)

    # -------------------------------------------------------------- losses

    def decode(self, p, children):
        ys = (self.D @ p + self.e).chunk(2)
        return [self.f(y) if child.children else y for y, child in zip(ys, children, strict=True)]

    def unfold(self, p, node):
        """The decoded leaves below a node."""
        if not node.children:
            return [p]
        below = zip(self.decode(p, node.children), node.children, strict=True)
        return [x for y, child in below for x in self.unfold(y, child)]

    def error(self, node):
        """E_rec of one inner node."""
        n = len(node.leaves)
        if self.unfolding:
            found = self.unfold(node.h, node)
            share = 0.5 if self.weighted else 1 / n
            return share * sum((x - y).square().sum() for x, y in zip(node.leaves, found, strict=True))
        decoded = self.decode(node.h, node.children)
        return sum(
            (len(child.leaves) / n if self.weighted else 0.5) * (child.target - y).square().sum()
            for child, y in zip(node.children, decoded, strict=True)
        )

    def reconstruction(self, root):
        """The sum of E_rec over the inner nodes of a tree."""
        return sum((self.error(node) for node in root.nodes() if node.children), root.h.new_zeros(()))

    def logits(self, node):
        return self.S @ node.h + self.c

    def cross_entropy(self, supervised):
        """The sum over (node, class) pairs."""
        return sum(-self.logits(node).log_softmax(0)[k] for node, k in supervised)

    # -------------------------------------------------------------- search

    def greedy(self, vectors):
        """Merge the neighbours that are reconstructed best, until one node is left (Socher et al. 2011)."""
        row = [self.leaf(x) for x in vectors]
        while len(row) > 1:
            merged = [self.node(*pair) for pair in pairwise(row)]
            errors = [self.error(node).item() for node in merged]
            best = errors.index(min(errors))
            row[best : best + 2] = [merged[best]]
        return row[0]


# ------------------------------------------------------------------ of a fitted estimator


def recursion_of(model):
    """The network that an estimator has learnt."""
    return Recursion.of(model.module_, weighted=model.weighted, unfolding=model._unfolds())


def vectors_of(model):
    """A function that returns the vector of a leaf, a token or numbers, as its module takes it into account."""
    module = model.module_
    number = {} if model.vocabulary_ is None else {token: i for i, token in enumerate(model.vocabulary_)}

    def vector(value):
        if isinstance(value, str):
            x = module.table[number.get(value, len(number))]
        else:
            x = torch.tensor((np.asarray(value) - model.mean_) / model.scale_)
        return x if module.entry is None else module.entry @ x

    return vector


def roots_of(model, trees):
    """The recursion's node of each tree."""
    recursion, vector = recursion_of(model), vectors_of(model)
    with torch.no_grad():
        return [recursion.run(binary(tree), vector) for tree in trees]
