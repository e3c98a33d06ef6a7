"""Trees: what they are made of, what they say of themselves, and that depth does not matter."""

import copy
import pickle

import numpy as np
import pytest

from skae.trees import Tree

DEEP = 30_000


class Node(list):
    """A node as nltk has them: a list of children with a label."""

    def __init__(self, label, children=()):
        super().__init__(children)
        self._label = label

    def label(self):
        return self._label


def plain(tree):
    """The tree as nested tuples (label, value, children), by recursion."""
    value = tree.value.tolist() if isinstance(tree.value, np.ndarray) else tree.value
    return tree.label, value, tuple(plain(child) for child in tree.children)


def nested(rng, n_leaves, leaf):
    """Random nested tuples, some nodes with one child."""
    if n_leaves == 1:
        return leaf() if rng.random() < 0.8 else (leaf(),)
    cuts = np.sort(rng.choice(np.arange(1, n_leaves), rng.integers(1, min(n_leaves, 4)), replace=False))
    sizes = np.diff([0, *cuts, n_leaves])
    return tuple(nested(rng, size, leaf) for size in sizes)


def words(rng):
    return lambda: str(rng.choice(["the", "cat", "\\/", "-LRB-", "8\xa01\\/2"]))


def vectors(rng):
    return lambda: rng.normal(size=3).tolist()


def numbered(thing, counter):
    """The tree of nested tuples by recursion through the constructor, with its nodes numbered in post-order."""
    below = [numbered(child, counter) for child in thing] if isinstance(thing, tuple) else []
    counter.append(len(counter))
    return Tree(None if below else thing, children=below, label=str(counter[-1]))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("leaf", [words, vectors])
def test_what_a_tree_says_of_itself_is_what_a_recursion_finds(seed, leaf):
    rng = np.random.default_rng(seed)
    thing = nested(rng, int(rng.integers(1, 20)), leaf(rng))
    tree = Tree.of(thing)
    assert tree.labels is None

    def check(node, thing):
        """Post-order of the nodes below."""
        if not isinstance(thing, tuple):
            assert node.is_leaf
            assert node.children == ()
            assert (node.n_nodes, node.n_leaves, node.height) == (1, 1, 0)
            assert np.array_equal(node.value, thing)
            return [node]
        assert not node.is_leaf
        assert node.value is None
        below = [check(child, entry) for child, entry in zip(node.children, thing, strict=True)]
        found = [*(below_it for part in below for below_it in part), node]
        assert node.nodes() == found
        assert node.n_nodes == len(found)
        assert node.n_leaves == len(node.leaves) == sum(len(child.leaves) for child in node.children)
        assert node.height == 1 + max(child.height for child in node.children)
        assert node.arity.tolist() == [len(child.children) for child in found]
        return found

    check(tree, thing)
    labelled = numbered(thing, [])
    assert labelled.labels == tuple(str(i) for i in range(tree.n_nodes)) == tuple(t.label for t in labelled.nodes())
    assert Tree.from_arity(labelled.arity, labelled.leaves, labelled.labels) == labelled != tree
    assert Tree.from_arity(labelled.arity, labelled.leaves) == tree
    if leaf is vectors:
        assert np.array_equal(tree.vectors, np.stack(tree.leaves))
        assert Tree.from_arity(tree.arity, tree.vectors) == tree
    else:
        assert tree.vectors is None


# --------- brackets


@pytest.mark.parametrize("seed", range(20))
def test_brackets_are_read_as_they_were_written(seed):
    rng = np.random.default_rng(seed)
    thing = nested(rng, int(rng.integers(1, 20)), words(rng))
    tree = Tree.of(thing)
    labelled = numbered(thing, [])
    some = Tree.from_arity(
        tree.arity, tree.leaves, [label if rng.random() < 0.5 else None for label in labelled.labels]
    )
    for node in (*tree.nodes(), *labelled.nodes(), *some.nodes()):
        assert plain(Tree.from_brackets(str(node))) == plain(node)


@pytest.mark.parametrize(
    "text",
    [
        "(3 (2 It) (4 (2 's) (4 good)))",
        "(3 (2 (2 co-writer\\/director) (2 -LRB-)) (2 8\xa01\\/2))",
        "(NP the cat)",
        "( (S (NP it) (VP works)))",
        "( ( the cat) sat)",
        "( (a))",
        "(2 (a))",
        "(a)",
    ],
)
def test_brackets_stay_as_they_are(text):
    assert str(Tree.from_brackets(text)) == text


def test_white_space_before_brackets_means_nothing():
    tree = Tree.from_brackets("  ((S\n\t(NP (DT the)(NN cat) ) (VP sat ) ) )\n")
    assert str(tree) == "( (S (NP (DT the) (NN cat)) (VP sat)))"
    assert tree.labels == ("DT", "NN", "NP", "VP", "S", None)
    assert tree.arity.tolist() == [0, 0, 2, 0, 2, 1]


def test_words_that_brackets_cannot_hold_are_escaped():
    tree = Tree.of(("a b", ("(", ")"), ""))
    assert str(tree) == "( a_b ( -LRB- -RRB-) _)"
    assert Tree.from_brackets(str(tree)).arity.tolist() == tree.arity.tolist()
    assert str(Tree.of(([0.5, 1], [2, -3]))) == "( [0.5,1] [2,-3])"


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        (" \n", 0),
        ("()", 0),
        ("cat", 0),
        (")", 0),
        ("(a (b c) ())", 9),
        ("(a (b c)", 0),
        ("(a (b c", 3),
        ("(a b))", 5),
        ("(a b) c", 6),
        ("(a b) (c d)", 6),
        (" (a (b c) (d e) ( )", 16),
    ],
)
def test_faults_in_brackets_are_found_at_their_position(text, position):
    with pytest.raises(ValueError, match=f"^position {position}: "):
        Tree.from_brackets(text)
    with pytest.raises(TypeError, match="bytes"):
        Tree.from_brackets(text.encode())


# --------- objects


def test_nodes_of_other_libraries():
    thing = Node("S", [Node("NP", [Node("DT", ["the"]), Node("NN", ["cat"])]), Node("", ["sat"])])
    assert Tree.of(thing) == Tree.from_brackets("(S (NP (DT the) (NN cat)) (sat))")
    assert Tree.of(Node(1, [Node(2, [(1.0, 2.0)])])).labels == (None, None, None, 2, 1)
    assert Tree.of((thing, thing)).children == (Tree.of(thing), Tree.of(thing))
    assert Tree.of(Node("NN", [Tree("cat", label="x")])) == Tree(children=[Tree("cat", label="x")], label="NN")


def test_leaves_are_words_or_vectors():
    tree = Tree.of((1, (np.float32(2), [3.0]), np.array([4], dtype=np.uint8), True))
    assert tree.vectors.tolist() == [[1], [2], [3], [4], [1]]
    assert tree.vectors.dtype == tree.leaves[0].dtype == np.float64
    assert Tree.of(np.str_("a")).value == "a"
    assert type(Tree.of((np.str_("a"), "b")).value) is not np.str_
    assert type(Tree.of((np.str_("a"), "b")).leaves[0]) is str
    assert Tree.of(tree) is tree
    assert Tree.of((tree, [5])).leaves == (*tree.leaves, np.array([5.0]))


def cyclic():
    node = Node("a", ["b"])
    node.append(("c", node))
    return node


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        ((), "the root is empty"),
        (Node("a"), "the root is empty"),
        (("a", ("b", ())), "child 1 of child 1 of the root is empty"),
        (["a", "b"], "the root is a list that is no vector of numbers. Write a tuple for a node"),
        (("a", [["b"], "c"]), "child 1 of the root is a list that is no vector"),
        (("a", [[1, 2], [3]]), "child 1 of the root is a list that is no vector"),
        (("a", np.zeros((2, 2))), "child 1 of the root is a ndarray that is no vector"),
        (("a", 1j), "child 1 of the root is a complex, and no leaf"),
        (("a", {}), "child 1 of the root is a dict, and no leaf"),
        (("a", None), "child 1 of the root is a NoneType, and no leaf"),
        (("a", Node), "child 1 of the root is a type, and no leaf"),
        (((1, []), 2), "child 1 of child 0 of the root is a vector without numbers"),
        (((1, np.nan), 2), "child 1 of child 0 of the root is a vector with NaN or infinity"),
        (
            (("a", "b"), ("c", 1)),
            "child 1 of child 1 of the root is a vector of width 1, but the first leaf is a word",
        ),
        (([1, 2], ([1, 2], "a")), "child 1 of child 1 of the root is a word, but the first leaf is a vector"),
        (([1, 2], ([1], [3, 4])), "child 0 of child 1 of the root is a vector of width 1, but .* of width 2"),
        (cyclic(), "child 1 of child 1 of the root is a node that contains itself"),
        (Node(["no"], ["a", "b"]), "label must be hashable"),
    ],
)
def test_faults_of_objects_are_found_at_their_place(thing, message):
    with pytest.raises(ValueError, match=f"^(A )?{message}"):
        Tree.of(thing)


def test_the_place_of_a_leaf_is_the_way_to_it():
    """The place is read from the numbers of children, so it is checked by walking."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        tree = Tree.of(nested(rng, int(rng.integers(2, 12)), lambda: 1.0))
        bad = int(rng.integers(1, tree.n_leaves))
        leaves = list(tree.leaves)
        leaves[bad] = [1.0, 2.0]
        with pytest.raises(ValueError, match="of the root is a vector of width 2") as error:
            Tree.from_arity(tree.arity, leaves)
        way = [int(word) for word in str(error.value).partition(" is ")[0].split() if word.isdigit()]
        if "..." in str(error.value):
            continue
        marked = Tree.from_arity(tree.arity, [[float(i == bad)] for i in range(tree.n_leaves)])
        for number in reversed(way):
            marked = marked.children[number]
        assert marked.value == [1.0]


def test_the_constructor_takes_a_value_or_children():
    assert Tree("a", label="x") == Tree.from_brackets("(x a)")
    assert Tree(children=("a", ("b", "c")), label="x").children[1] == Tree.of(("b", "c"))
    assert Tree(children=[Tree("a")], label="") == Tree.of(("a",)) != Tree("a")
    assert Tree([1, 2]).value.tolist() == [1, 2]
    for arguments in ({}, {"value": "a", "children": ("b",)}):
        with pytest.raises(ValueError, match="either a value, if it is a leaf, or children"):
            Tree(**arguments)
    with pytest.raises(ValueError, match="children must be a tuple of trees, not a str"):
        Tree(children="abc")
    with pytest.raises(ValueError, match="the root is a tuple, and no leaf"):
        Tree(("a", "b"))
    with pytest.raises(ValueError, match="label must be hashable"):
        Tree("a", label=["x"])


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (([], []), "arity must be a list of integers"),
        (([0.0], ["a"]), "arity must be a list of integers"),
        (([0, 2, 0], ["a", "b"]), "node 1: arity is 2"),
        (([0, -1], ["a"]), "node 1: arity is -1"),
        (([0, 0], ["a", "b"]), "arity describes 2 trees"),
        (([0, 0, 2], ["a"]), "arity has 2 leaves, but 1 are given"),
        (([0, 0, 2], ["a", "b"], ["x"]), "arity has 3 nodes, but 1 labels are given"),
        (([0, 0, 2], ["a", 1]), "child 1 of the root is a vector of width 1, but the first leaf is a word"),
        (([0, 0, 2], np.array([[1.0], [np.nan]])), "child 1 of the root is a vector with NaN"),
        (([0], np.empty((1, 0))), "the root is a vector without numbers"),
    ],
)
def test_faults_of_flat_parts(parts, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Tree.from_arity(*parts)


# --------- an immutable object


def test_a_tree_cannot_be_changed():
    matrix = np.array([[1.0], [2.0]])
    arity = np.array([0, 0, 2], dtype=np.int32)
    tree = Tree.from_arity(arity, matrix)
    matrix[:] = arity[:] = 0
    assert tree == Tree.of((1, 2))
    for array in (tree.arity, tree.vectors, tree.leaves[0], tree.children[0].value):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
    for name in ("label", "arity", "_flat", "anything"):
        with pytest.raises(AttributeError, match="cannot be changed"):
            setattr(tree, name, "x")
        with pytest.raises(AttributeError, match="cannot be changed"):
            delattr(tree, name)


def test_equal_trees_are_one_key():
    trees = [
        Tree.of((("a", "b"), "c")),
        Tree.of(("a", ("b", "c"))),
        Tree.of(("a", "b", "c")),
        Tree.of((("a", "b"), "d")),
        Tree.from_brackets("(x ( a b) c)"),
        Tree.of((0.0, 1.0)),
        Tree.of(([0.0, 1.0],)),
        Tree.of(("0.0", "1.0")),
    ]
    assert len(set(trees)) == len(trees)
    assert all((s == t) == (i == j) for i, s in enumerate(trees) for j, t in enumerate(trees))
    subtree = trees[0].children[0]
    assert subtree == Tree.of(("a", "b"))
    assert hash(subtree) == hash(Tree.of(("a", "b")))
    assert hash(Tree.of((-0.0, 1))) == hash(Tree.of((0.0, 1)))
    assert Tree.from_brackets("(x ( a b) c)").children[0] == subtree  # no label below: equal to one without labels
    assert subtree != ("a", "b")
    assert trees[0] != "( ( a b) c)"


@pytest.mark.parametrize("thing", [(("a", "b"), "c"), (([1.0, 2.0], [3.0, 4.0]), [5.0, 6.0])])
def test_copies_and_pickles_are_equal(thing):
    tree = Tree(children=thing, label="x")
    assert copy.copy(tree) is copy.deepcopy(tree) is tree
    for node in tree.nodes():
        loaded = pickle.loads(pickle.dumps(node))
        assert loaded == node
        assert not loaded.arity.flags.writeable
        assert loaded.vectors is None or not loaded.vectors.flags.writeable
    wide = Tree.of((tree, *[thing] * 1000))
    assert len(pickle.dumps(wide.children[0])) < len(pickle.dumps(wide)) / 50


def test_numpy_takes_a_tree_as_one_object():
    tree = Tree.of(("a", "b"))
    assert np.asarray([tree, tree]).shape == (2,)
    assert np.asarray(tree).shape == ()
    for name in ("__len__", "__getitem__", "__iter__"):
        assert not hasattr(tree, name)


def test_repr_is_short():
    assert repr(Tree.from_brackets("(x a (y b))")) == "<Tree of 3 nodes: (x a (y b))>"
    assert repr(Tree("a")) == "<Tree of 1 node: (a)>"
    assert len(repr(Tree.of(("word",) * 1000))) < 120


# --------- depth


def left(leaf):
    thing = leaf
    for _ in range(DEEP):
        thing = (thing, leaf)
    return thing


def right(leaf):
    thing = leaf
    for _ in range(DEEP):
        thing = Node("x", [leaf, thing])
    return thing


def unary(leaf):
    thing = (leaf,)
    for _ in range(DEEP - 1):
        thing = (thing,)
    return thing


@pytest.mark.parametrize(("shape", "leaf"), [(left, "a"), (right, "a"), (unary, "a"), (left, 1.0)])
def test_depth_does_not_matter(shape, leaf):
    tree = Tree.of(shape(leaf))
    assert tree.height == DEEP
    assert tree.nodes()[-2].height in {0, DEEP - 1}
    assert pickle.loads(pickle.dumps(tree)) == tree == copy.deepcopy(tree)
    assert hash(Tree(children=[tree]).children[0]) == hash(tree)
    if leaf == "a":
        assert Tree.from_brackets(str(tree)) == tree
    else:
        assert str(tree).count("[1]") == tree.n_leaves
    deepest = tree
    for _ in range(100):
        deepest = max(deepest.children, key=lambda child: child.height)
    assert deepest.height == DEEP - 100
    del tree
    assert deepest.leaves[0] == leaf


def test_faults_deep_down_are_named_shortly():
    with pytest.raises(ValueError, match=f"depth {DEEP}") as error:
        Tree.of(left(None))
    assert len(str(error.value)) < 250
    with pytest.raises(ValueError, match=f"^position {DEEP}: "):
        Tree.from_brackets("(" * DEEP + "()" + ")" * DEEP)
