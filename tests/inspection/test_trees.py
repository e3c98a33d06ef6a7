"""TreeDisplay: where nodes are, that nothing overlaps or crosses, colours and sizes, and what is refused."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.base import BaseEstimator

from skae import RecursiveAutoencoderClassifier
from skae.inspection import TreeDisplay
from skae.trees import Tree

SENTENCE = Tree.from_brackets("(S (NP (DT the) (NN cat)) (VP (VBD sat) (PP (IN on) (NP (DT a) (NN mat)))))")


class Recursive(BaseEstimator):
    """Says of each node what its number of leaves is."""

    def __init__(self, alpha=0.5, structure="given"):
        self.alpha = alpha
        self.structure = structure

    def fit(self, X=None, y=None):
        self.classes_ = np.arange(9)
        return self

    def parse(self, X):
        return [Tree.of(x) if self.structure == "given" else Tree.of((x[0], tuple(x[1:]))) for x in X]

    def predict_nodes(self, X):
        return [np.array([node.n_leaves for node in tree.nodes()]) for tree in self.parse(X)]

    def node_errors(self, X):
        return [np.where(sizes > 1, sizes / 10, np.nan) for sizes in self.predict_nodes(X)]


def random_tree(rng, n_leaves):
    """Random words under random nodes."""
    if n_leaves == 1:
        return "".join(rng.choice(list("aeiostrw"), rng.integers(1, 13)))
    cuts = np.sort(rng.choice(np.arange(1, n_leaves), rng.integers(1, min(n_leaves, 4)), replace=False))
    return tuple(random_tree(rng, size) for size in np.diff([0, *cuts, n_leaves]))


@pytest.fixture(params=range(6))
def tree(request):
    rng = np.random.default_rng(request.param)
    return Tree.of(random_tree(rng, int(rng.integers(2, 25))))


def test_a_node_is_above_the_middle_of_its_children(tree):
    display = TreeDisplay.from_tree(tree)
    places = dict(zip(range(tree.n_nodes), display.nodes_.get_offsets().tolist(), strict=True))
    nodes = tree.nodes()

    def check(node, last):
        """Check what is below, and return the number of nodes."""
        x, y = places[last]
        assert y == node.height
        numbers = []
        for child in reversed(node.children):
            numbers.append(last - 1 - sum(nodes[number].n_nodes for number in numbers))
            check(child, numbers[-1])
        if numbers:
            assert x == pytest.approx((places[numbers[0]][0] + places[numbers[-1]][0]) / 2)

    check(tree, tree.n_nodes - 1)
    assert [word.get_text() for word in display.words_] == list(tree.leaves)
    leaf_x = [places[i][0] for i in np.flatnonzero(tree.arity == 0)]
    assert leaf_x == sorted(leaf_x)
    np.testing.assert_allclose(leaf_x, [word.get_position()[0] for word in display.words_])


def test_lines_go_from_each_node_to_its_parent_and_never_cross(tree):
    display = TreeDisplay.from_tree(tree)
    lines = [path.vertices for path in display.edges_.get_paths()]
    places = set(map(tuple, display.nodes_.get_offsets().tolist()))
    assert {tuple(line[-1]) for line in lines} == places - {tuple(display.nodes_.get_offsets()[-1])}
    assert {tuple(line[0]) for line in lines} == {place for place in places if place[1] > 0}
    for (x1, y), (x2, _), _ in lines:
        for _, (x, top), (_, bottom) in lines:
            assert not (min(x1, x2) < x < max(x1, x2) and bottom < y < top)


def boxes(display):
    display.figure_.canvas.draw()
    return [word.get_window_extent() for word in display.words_]


@pytest.mark.parametrize("n_leaves", [1, 2, 20, 60])
@pytest.mark.parametrize("layout", ["own", "constrained", None])
def test_words_do_not_overlap_and_are_in_the_figure(n_leaves, layout):
    rng = np.random.default_rng(n_leaves)
    tree = Tree.of(random_tree(rng, n_leaves))
    ax = None if layout == "own" else plt.subplots(1, 2, figsize=(10, 4), layout=layout)[1][1]
    display = TreeDisplay.from_tree(tree, y=np.arange(tree.n_nodes) % 3, errors=np.ones(tree.n_nodes), ax=ax)
    drawn = boxes(display)
    for left, right in pairwise(drawn):
        assert left.x1 < right.x0
    if layout == "own":
        assert all(word.get_fontsize() >= 7 for word in display.words_)
    if layout is not None:
        figure = display.figure_.bbox
        assert all(figure.x0 <= box.x0 and box.x1 <= figure.x1 and figure.y0 <= box.y0 for box in drawn)


def test_wide_labels_of_leaves_do_not_overlap():
    tree = Tree(children=[Tree(word, label="a long label") for word in "abcd"])
    display = TreeDisplay.from_tree(tree)
    display.figure_.canvas.draw()
    drawn = [text.get_window_extent() for text in display.ax_.texts]
    assert len(drawn) == 4
    assert all(left.x1 < right.x0 for left, right in pairwise(drawn))


# --------- labels, colours, sizes


def test_labels_are_those_of_the_tree_or_given_ones():
    texts = [text.get_text() for text in TreeDisplay.from_tree(SENTENCE).ax_.texts]
    assert texts == list(SENTENCE.labels)
    labels = [None, 1, *[None] * 8, "all"]
    texts = [text.get_text() for text in TreeDisplay.from_tree(SENTENCE, labels=labels).ax_.texts]
    assert texts == ["1", "all"]
    assert not TreeDisplay.from_tree(("a", ("b", "c"))).ax_.texts


def test_classes_have_the_same_colours_in_all_trees():
    y = ["x", "z", None, "x", np.nan]
    few = TreeDisplay.from_tree((("a", "b"), "c"), y=y).nodes_.get_facecolor()
    display = TreeDisplay.from_tree((("a", "b"), "c"), y=y, classes=["w", "x", "z"], target_name="kind")
    many = display.nodes_.get_facecolor()
    assert (few[0] == few[3]).all()
    assert (few[0] != few[1]).any()
    assert (few[2] == few[4]).all()
    assert (many[2] == few[2]).all()
    assert (many[0] == few[1]).all()  # the second of the classes
    legend = display.ax_.get_legend()
    assert legend.get_title().get_text() == "kind"
    assert [text.get_text() for text in legend.get_texts()] == ["w", "x", "z"]
    handle = legend.legend_handles[1]
    np.testing.assert_allclose(plt.matplotlib.colors.to_rgba(handle.get_color()), many[0])


def test_a_colour_map_is_for_classes_with_an_order():
    y = np.arange(5) * 6
    colors = TreeDisplay.from_tree((("a", "b"), "c"), y=y, cmap="viridis").nodes_.get_facecolor()
    np.testing.assert_allclose(colors, plt.get_cmap("viridis")([0.0, 0.25, 0.5, 0.75, 1.0]))
    tree = Tree.of(tuple("abcdefghijklmnopqrstuvw"))
    with pytest.raises(ValueError, match="There are 24 classes, but only 20 colours can be told apart: pass a cmap"):
        TreeDisplay.from_tree(tree, y=np.arange(24))
    assert len(TreeDisplay.from_tree(tree, y=np.arange(24), cmap="viridis").ax_.get_legend().get_texts()) == 24


@pytest.mark.parametrize("y", [None, [0, 1, 0, 1, 0]])
def test_circles_grow_with_the_error(y):
    display = TreeDisplay.from_tree((("a", "b"), "c"), y=y, errors=[np.nan, np.nan, 1.0, np.nan, 2.0])
    small, half, large = display.nodes_.get_sizes()[[0, 2, 4]]
    assert small < half < large
    assert half == pytest.approx((small + large) / 2)
    assert (display.nodes_.get_sizes()[[1, 3]] == small).all()
    if y is None:
        (bar,) = (ax for ax in display.figure_.axes if ax is not display.ax_)
        assert bar.get_ylabel() == "Reconstruction error"
        assert bar.get_ylim() == (0, 2)
    else:
        legend = display.ax_.get_legend()
        assert [text.get_text() for text in legend.get_texts()] == ["0", "1", "error 2"]
        assert legend.legend_handles[-1].get_markersize() == pytest.approx(large**0.5)


def test_a_single_leaf_has_no_error():
    assert len(TreeDisplay.from_tree(Tree("a"), errors=[np.nan]).nodes_.get_sizes()) == 1
    display = TreeDisplay.from_tree(Tree("a"), y=[1], errors=[np.nan])
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["1"]


def test_labels_are_legible_on_their_colours():
    y = np.arange(5)
    display = TreeDisplay.from_tree((("a", "b"), "c"), labels=list("abcde"), y=y, cmap="gray")
    assert [text.get_color() for text in display.ax_.texts] == ["white", "white", "black", "black", "black"]


def test_the_first_numbers_of_vectors_are_written():
    display = TreeDisplay.from_tree(([0.5, 2], ([1 / 3, 1e9], [0, 0])))
    assert [word.get_text() for word in display.words_] == ["(0.5, 2)", "(0.333, 1e+09)", "(0, 0)"]
    display = TreeDisplay.from_tree((np.arange(9.0), np.zeros(9)))
    assert display.words_[0].get_text() == "(0, 1, 2, \N{HORIZONTAL ELLIPSIS})"
    assert TreeDisplay.from_tree((1.5, 2)).words_[0].get_text() == "1.5"


def test_a_deep_tree_is_drawn():
    thing = "a"
    for _ in range(2000):
        thing = (thing,)
    assert TreeDisplay.from_tree(thing).nodes_.get_offsets()[-1, 1] == 2000


# --------- estimators


def test_an_estimator_says_classes_and_errors():
    display = TreeDisplay.from_estimator(Recursive().fit(), SENTENCE)
    assert display.tree == SENTENCE
    assert display.y.tolist() == [node.n_leaves for node in SENTENCE.nodes()]
    assert display.classes.tolist() == list(range(9))
    np.testing.assert_array_equal(display.errors, Recursive().node_errors([SENTENCE])[0])
    assert [text.get_text() for text in display.ax_.texts] == list(SENTENCE.labels)
    assert display.ax_.get_legend().get_title().get_text() == "predicted"


def test_what_was_not_learnt_is_not_shown():
    assert TreeDisplay.from_estimator(Recursive(alpha=0.0).fit(), SENTENCE).errors is None
    assert TreeDisplay.from_estimator(Recursive(alpha=1.0).fit(), SENTENCE).y is None


def test_a_classifier_without_a_decoder_is_drawn():
    model = RecursiveAutoencoderClassifier(4, max_iter=2, random_state=0).fit([("a", "b"), ("b", "a")], [0, 1])
    display = TreeDisplay.from_estimator(model, ("a", ("b", "a")))
    np.testing.assert_array_equal(display.y, model.predict_nodes([("a", ("b", "a"))])[0])
    assert display.errors is None


def test_the_tree_is_the_one_that_the_estimator_builds():
    display = TreeDisplay.from_estimator(Recursive(structure="greedy").fit(), ["a", "b", "c"])
    assert display.tree == Tree.of(("a", ("b", "c")))


def test_bad_input_is_refused():
    with pytest.raises(TypeError, match="BaseEstimator has no node_errors: pass a RecursiveAutoencoder"):
        TreeDisplay.from_estimator(BaseEstimator(), SENTENCE)
    for name, value in (("y", [1, 2]), ("labels", ["a"]), ("errors", [[0.5] * 11])):
        with pytest.raises(ValueError, match=rf"{name} has shape \(.*\), but the tree has 11 nodes"):
            TreeDisplay.from_tree(SENTENCE, **{name: value})
    with pytest.raises(ValueError, match="child 1 of the root is empty"):
        TreeDisplay.from_tree(("a", ()))
    assert not plt.get_fignums()
