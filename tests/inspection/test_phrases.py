"""PhraseDisplay: the nearest phrases are those of a plain search, each once, and what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.base import BaseEstimator

from skae.inspection import PhraseDisplay
from skae.trees import Tree

SIZES = {"cat": [2.0, 0.1], "dog": [1.8, 0.3], "a": [0.2, 0.2], "the": [0.2, 0.1], "sat": [-1.0, 3.0], "um": [0.0, 0.0]}
TREES = [(("a", "cat"), "sat"), (("the", "cat"), "sat"), (("a", "dog"), "sat"), (("a", "cat"), "um"), ("um", "um")]


class Recursive(BaseEstimator):
    """The vector of a node is the sum of those of its leaves."""

    def fit(self, X=None, y=None):
        self.fitted_ = True
        return self

    def parse(self, X):
        return [Tree.of(x) for x in X]

    def node_vectors(self, X):
        return [
            np.array([np.sum([SIZES[leaf] for leaf in node.leaves], axis=0) for node in tree.nodes()], dtype=np.float32)
            for tree in self.parse(X)
        ]


def search(phrase, min_leaves):
    """Phrases with their cosines, the nearest first, by one loop."""
    model, cosines = Recursive(), {}
    target = model.node_vectors([phrase])[0][-1].astype(float)
    for tree in model.parse(TREES):
        for node in tree.nodes():
            vector = model.node_vectors([node])[0][-1].astype(float)
            lengths = np.linalg.norm(vector) * np.linalg.norm(target)
            if node.n_leaves >= min_leaves and node.leaves != Tree.of(phrase).leaves:
                cosines.setdefault(" ".join(node.leaves), vector @ target / lengths if lengths else 0.0)
    return sorted(cosines.items(), key=lambda item: -item[1])


@pytest.mark.parametrize("min_leaves", [1, 2, 3])
@pytest.mark.parametrize("phrase", [("a", "cat"), Tree("dog"), ("um", "sat")])
@pytest.mark.parametrize("n", [1, 4, 100])
def test_phrases_are_those_of_a_plain_search(phrase, min_leaves, n):
    display = PhraseDisplay.from_estimator(Recursive().fit(), TREES, phrase, n, min_leaves=min_leaves)
    expected = search(phrase, min_leaves)[:n]
    np.testing.assert_allclose(display.similarities, [cosine for _, cosine in expected], atol=1e-7)
    assert len(set(display.phrases)) == len(display.phrases) == len(expected)
    found = dict(search(phrase, min_leaves))
    np.testing.assert_allclose(display.similarities, [found[name] for name in display.phrases], atol=1e-7)
    assert display.phrase == " ".join(Tree.of(phrase).leaves)


def test_bars_are_as_long_as_the_similarities():
    display = PhraseDisplay(phrases=["near", "far", "opposite"], similarities=[0.9, 0.25, -0.5], phrase="it").plot()
    assert [bar.get_width() for bar in display.bars_] == [0.9, 0.25, -0.5]
    assert [text.get_text() for text in display.ax_.texts] == ["0.900", "0.250", "-0.500"]
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["near", "far", "opposite"]
    assert display.ax_.get_title(loc="left") == "nearest to: it"
    bottom, top = display.ax_.get_ylim()
    assert bottom > top  # the first is the uppermost


def test_bad_input_is_refused():
    model = Recursive().fit()
    with pytest.raises(TypeError, match="BaseEstimator has no node_vectors: pass a RecursiveAutoencoder"):
        PhraseDisplay.from_estimator(BaseEstimator(), TREES, ("a", "cat"))
    for arguments in ({"n": 0}, {"n": 1.5}, {"min_leaves": 0}):
        with pytest.raises(ValueError, match=r"(n|min_leaves)=.* leaves nothing to draw"):
            PhraseDisplay.from_estimator(model, TREES, ("a", "cat"), **arguments)
    with pytest.raises(ValueError, match="X has no other phrase of at least 2 leaves"):
        PhraseDisplay.from_estimator(model, [("a", "cat")], ("a", "cat"))
    for phrases, similarities in (([], []), (["a"], [1.0, 0.5]), (["a"], [[1.0]])):
        with pytest.raises(ValueError, match="phrases have"):
            PhraseDisplay(phrases=phrases, similarities=similarities).plot()
    assert not plt.get_fignums()
