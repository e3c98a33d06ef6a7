"""Forests as arrays, against trees of tuples and plain recursion."""

import numpy as np
import pytest
import torch
from autoencoders.plain_trees import arities, bushy, depth, is_leaf, leaves, nodes, numbered, packed, woods
from autoencoders.plain_trees import binary as plainly

from skae.engine.forest import Binary, Forest, binary
from skae.engine.frame import Frame

LABELS = [None, 0, 1, 2]
EVERYTHING = slice(None)


@pytest.fixture(scope="module")
def trees():
    rng = np.random.default_rng(0)

    def label():
        return LABELS[rng.integers(4)]

    found = [*woods(rng, lambda: 0, label), *(bushy(rng, n, lambda: 0, label, arity=6) for n in range(1, 30))]
    return numbered(found)


def pack(trees):
    return binary(arities(trees), np.array([len(nodes(tree)) for tree in trees]))


def forest(trees):
    return packed(trees, np.arange(sum(len(leaves(tree)) for tree in trees)))


def tree_at(batch, node):
    """A subtree of a batch as tuples, with its labels."""
    n_leaves = batch.levels[1]
    k = batch.label[node].item()
    label = None if k < 0 else k
    if node < n_leaves:
        return (label, batch.leaf[node].item())
    return (label, [tree_at(batch, child) for child in batch.children[node - n_leaves].tolist()])


# ------------------------------------------------------------------ binary trees


def test_binary_trees_are_those_of_recursion(trees):
    found, expected = pack(trees), [plainly(tree) for tree in trees]
    flat = [node for tree in expected for node in nodes(tree)]
    np.testing.assert_array_equal(found.n_leaves, [len(leaves(node)) for node in flat])
    np.testing.assert_array_equal(found.height, [depth(node) for node in flat])
    np.testing.assert_array_equal(found.back, [0 if is_leaf(n) else len(nodes(n[1][1])) + 1 for n in flat])
    np.testing.assert_array_equal(np.diff(found.first), [len(nodes(tree)) for tree in expected])
    np.testing.assert_array_equal(np.diff(found.given), [len(nodes(tree)) for tree in trees])


def test_the_place_of_a_given_node_is_the_binary_node_of_the_same_leaves(trees):
    """Of nodes that collapse, all have the place of the one that is left."""
    found = pack(trees)
    flat = [node for tree in trees for node in nodes(plainly(tree))]
    spans = [[leaf[1] for leaf in leaves(node)] for node in flat]
    given = [[leaf[1] for leaf in leaves(node)] for tree in trees for node in nodes(tree)]
    assert len(found.place) == len(given)
    assert [spans[place] for place in found.place] == given
    assert len(set(map(tuple, spans))) == len(spans)


@pytest.mark.parametrize("side", [0, 1])
def test_a_depth_of_100_000(side):
    n = 100_000
    arity = np.array([0, *([0, 2] * n)] if side == 0 else [0] * (n + 1) + [2] * n, np.int32)
    found = binary(arity, np.array([2 * n + 1]))
    assert found.height[-1] == n
    assert found.n_leaves[-1] == n + 1
    np.testing.assert_array_equal(np.sort(found.height)[n + 1 :], np.arange(1, n + 1))
    np.testing.assert_array_equal(found.place, np.arange(2 * n + 1))


@pytest.mark.parametrize(("arity", "n_nodes"), [([0] + [1] * 5000, 1), ([0] * 5000 + [5000], 9999)])
def test_long_chains_and_wide_nodes(arity, n_nodes):
    found = binary(np.array(arity, np.int32), np.array([len(arity)]))
    assert found.first.tolist() == [0, n_nodes]
    assert found.place[-1] == n_nodes - 1
    assert found.height[-1] == found.n_leaves[-1] - 1


# ------------------------------------------------------------------ batches


INDICES = {
    "all": slice(None),
    "some": slice(3, 20),
    "one leaf": torch.tensor([0]),
    "one": torch.tensor([3]),
    "any order": torch.tensor([7, 3, 12, 0, 38, 1]),
    "repeated": torch.tensor([5, 5, 0, 5]),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_a_batch_holds_the_trees(trees, index):
    batch = forest(trees)[index]
    chosen = [trees[i] for i in torch.arange(len(trees))[index].tolist()]
    expected = [plainly(tree) for tree in chosen]
    assert [tree_at(batch, root) for root in batch.root.tolist()] == expected
    flat = [node for tree in expected for node in nodes(tree)]
    owner = [i for i, tree in enumerate(expected) for _ in nodes(tree)]
    place = batch.place.tolist()
    assert sorted(place) == list(range(len(flat)))
    assert [tree_at(batch, number) for number in place] == flat
    assert batch.tree[batch.place].tolist() == owner
    assert batch.n_leaves[batch.place].tolist() == [len(leaves(node)) for node in flat]
    level = np.digitize(place, batch.levels) - 1
    assert level.tolist() == [depth(node) for node in flat]
    assert batch.leaf.tolist() == [leaf[1] for tree in chosen for leaf in leaves(tree)]


def test_children_lie_in_lower_levels_and_every_node_but_the_roots_has_one_parent(trees):
    batch = forest(trees)[EVERYTHING]
    children, n_leaves = batch.children, batch.levels[1]
    parents = torch.arange(len(children)) + n_leaves
    levels = torch.tensor(batch.levels)
    level = torch.bucketize(torch.arange(len(batch.tree)), levels, right=True)
    assert (level[children].amax(1) + 1 == level[parents]).all()
    below = torch.cat([children.reshape(-1), batch.root])
    assert sorted(below.tolist()) == list(range(len(batch.tree)))


def test_the_rest_of_a_batch(trees, rng):
    n, n_leaves = len(trees), sum(len(leaves(tree)) for tree in trees)
    x, weight, y = rng.standard_normal((n_leaves, 3)), rng.random(n), rng.random((n, 2))
    data = Forest(pack(trees), x, weight, y, dtype=torch.float32)
    index = torch.tensor([9, 2, 30])
    batch = data[index]
    mine = [leaf[1] for i in index for leaf in leaves(trees[i])]
    assert batch.label is None
    for found, expected in ((batch.leaf, x[mine]), (batch.weight, weight[index]), (batch.y, y[index])):
        assert found.dtype == torch.float32
        np.testing.assert_array_equal(found, expected.astype(np.float32))
    other = data.with_y(None)[index]
    assert other.y is None
    assert torch.equal(other.leaf, batch.leaf)


def test_scale_and_weights(trees, rng):
    """A weight of two counts a tree's leaves twice."""
    x = rng.standard_normal((sum(len(leaves(tree)) for tree in trees), 3)) * 5 + 2
    weight = rng.integers(0, 3, len(trees)).astype(float)
    data = Forest(pack(trees), x, weight)
    rows = [leaf[1] for tree, w in zip(trees, weight, strict=True) for leaf in leaves(tree) * int(w)]
    mean, scale = data.moments()
    np.testing.assert_allclose(mean, x[rows].mean(0), rtol=1e-12)
    np.testing.assert_allclose(scale, np.sqrt(x[rows].var(0).sum()), rtol=1e-12)
    learnt = data.learnt(merge=False)
    np.testing.assert_allclose(learnt.weight, weight / weight.mean(), rtol=1e-12)
    batch = learnt.seen(Frame(mean, scale), None, torch.float64, torch.device("cpu"))[EVERYTHING]
    np.testing.assert_allclose(batch.leaf, (x - mean) / scale, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(batch.weight, weight / weight.mean(), rtol=1e-12)


@pytest.mark.parametrize("rows", [[4], [7, 3, 12, 0, 38, 1], [5, 5, 0]])
def test_some_trees_are_the_binary_trees_of_these(trees, rows):
    for found, expected in zip(pack(trees).take(np.array(rows)), pack([trees[i] for i in rows]), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_equal_trees_are_merged():
    """With the sum of their weights, which then has the mean 1. All that a model sees of a tree must be equal."""
    pair, other = (1, [(None, 0), (None, 0)]), (2, [(None, 0), (None, 0)])
    row = [pair, (None, 0), other, pair, (None, 0), pair, pair]
    leaf, y, weight = [7, 8, 5, 7, 8, 7, 8, 5, 8, 7, 7, 8], [0, 1, 0, 0, 1, 0, 1], [1.0, 2, 4, 8, 16, 32, 0]
    data = packed(row, np.array(leaf), weight=np.array(weight), y=np.array(y)[:, None])
    batch = data.learnt(merge=True)[EVERYTHING]
    mean = sum(weight) / 4
    found = {
        (str(tree_at(batch, root)), y): weight * mean
        for root, y, weight in zip(batch.root.tolist(), batch.y[:, 0].tolist(), batch.weight.tolist(), strict=True)
    }
    assert found == {
        (str((1, [(None, 7), (None, 8)])), 0.0): 9.0,
        (str((None, 5)), 1.0): 18.0,
        (str((2, [(None, 7), (None, 8)])), 0.0): 4.0,
        (str((1, [(None, 8), (None, 7)])), 0.0): 32.0,
    }
    np.testing.assert_array_equal(data.leaf_weight, np.repeat(weight, [2, 1, 2, 2, 1, 2, 2]))
    assert len(data.learnt(merge=False)) == 7


def test_merged_trees_do_not_depend_on_their_order(trees, rng):
    n_leaves = [len(leaves(tree)) for tree in trees]
    x = rng.integers(0, 2, sum(n_leaves))
    ends = np.cumsum(n_leaves)
    order = rng.permutation(len(trees))
    shuffled = np.concatenate([x[ends[i] - n_leaves[i] : ends[i]] for i in order])
    one = packed(trees, x).learnt(merge=True)[EVERYTHING]
    two = packed([trees[i] for i in order], shuffled).learnt(merge=True)[EVERYTHING]
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def test_trees_of_one_leaf_only():
    data = Forest(binary(np.zeros(3, np.int32), np.ones(3, int)), np.array([4, 5, 6]))
    batch = data[torch.tensor([2, 0])]
    assert batch.levels == (0, 2)
    assert batch.children.shape == (0, 2)
    assert batch.leaf.tolist() == [6, 4]
    assert batch.root.tolist() == batch.place.tolist() == batch.tree.tolist() == [0, 1]
    assert isinstance(data.trees, Binary)
