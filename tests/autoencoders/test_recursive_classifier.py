"""RecursiveAutoencoderClassifier: labels of trees, or of all their nodes, against plain recursion."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from autoencoders.plain_trees import (
    as_tree,
    binary,
    nodes,
    recursion_of,
    roots_of,
    vectors_of,
    woods,
)
from contract.requirements import refuses
from seen import seen
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_predict

from skae import RecursiveAutoencoder, RecursiveAutoencoderClassifier
from skae.trees import Tree

QUICK = RecursiveAutoencoderClassifier(4, max_iter=3, random_state=0, batch_size=4)
DOUBLE = clone(QUICK).set_params(dtype="float64", dropout=0.0)
WORDS = np.array(["a", "the", "cat", "dog", "sat", "ran", "on", "mat"])
NAMES = np.array(["bad", "good", "so so"], dtype=object)


def labelled(seed=0, height=8, known=0.7):
    """Trees with names of classes at most of their nodes."""
    rng = np.random.default_rng(seed)

    def label():
        return str(rng.choice(NAMES)) if rng.random() < known else None

    return woods(rng, lambda: str(rng.choice(WORDS)), label, height)


PLAIN = labelled()
X = [as_tree(tree) for tree in PLAIN]
Y = NAMES[np.arange(len(X)) % 3]
FEW = np.where(np.arange(len(X)) % 5 < 3, Y, -1)
SUPERVISION = pytest.mark.parametrize("supervision", ["root", "spread", "nodes"])


def told(root, supervision, y, classes):
    """The nodes of a tree of the recursion that have a label, and the numbers of their classes."""
    if supervision == "nodes":
        found = [(node, y if node is root and y != -1 else node.label) for node in root.nodes()]
    else:
        spread = [(node, y) for node in root.nodes() if node.children or node is root]
        found = [(root, y)] if supervision == "root" else spread
    return [(node, classes.index(label)) for node, label in found if label is not None and label != -1]


def terms_of(model, trees, y, weight):
    """The two terms by recursion: sums over nodes, in mean over the trees, or over those with a label."""
    recursion, vector, classes = recursion_of(model), vectors_of(model), list(model.classes_)
    roots = [recursion.run(binary(tree), vector) for tree in trees]
    weight = weight / weight.mean()
    errors = [recursion.reconstruction(root) for root in roots]
    entropies = [
        recursion.cross_entropy(told(root, model.supervision, label, classes))
        for root, label in zip(roots, y, strict=True)
    ]
    counts = weight if model.supervision == "nodes" else weight * (y != -1)
    return {
        "reconstruction": model.alpha * sum(w * error for w, error in zip(weight, errors, strict=True)) / weight.sum(),
        "prediction": (1 - model.alpha) * sum(w * e for w, e in zip(counts, entropies, strict=True)) / counts.sum(),
    }


# ------------------------------------------------------------------ what is computed


@SUPERVISION
@pytest.mark.parametrize(
    "options",
    [{"composition": "plain", "unfolding": False}, {"n_layers": 2}, {"composition": "tensor", "n_components": 3}],
    ids=str,
)
def test_terms_and_steps_are_those_of_the_recursion(supervision, options):
    model = clone(DOUBLE).set_params(supervision=supervision, alpha=0.3, **options).fit(X, FEW)
    weight = np.arange(len(X)) % 4 + 0.5
    batch = seen(model, X, FEW, weight)[slice(None)]
    model._flat.grad.zero_()
    terms = model._step(model.module_, batch, torch.Generator())
    expected = terms_of(model, PLAIN, FEW, weight)
    assert set(terms) == set(expected)
    for name, term in expected.items():
        torch.testing.assert_close(terms[name].detach(), term.detach(), rtol=1e-10, atol=0.0)
    parameters = list(model.module_.parameters())
    gradients = torch.autograd.grad(sum(expected.values()), parameters, materialize_grads=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-9, atol=1e-12)


def test_probabilities_are_those_of_the_recursion():
    model = clone(DOUBLE).fit(X, FEW)
    recursion, vector = recursion_of(model), vectors_of(model)
    with torch.no_grad():
        p = np.array([recursion.logits(root).softmax(0) for root in roots_of(model, PLAIN)])
        np.testing.assert_allclose(model.predict_proba(X), p, rtol=1e-10)
        np.testing.assert_allclose(model.transform(X), [root.h for root in roots_of(model, PLAIN)], rtol=1e-10)
        np.testing.assert_array_equal(model.predict(X), model.classes_[p.argmax(1)])
        for tree, found in zip(PLAIN, model.predict_nodes(X), strict=True):
            each = [recursion.logits(recursion.run(binary(node), vector)).argmax() for node in nodes(tree)]
            np.testing.assert_array_equal(found, model.classes_[each])
    known = FEW != -1
    assert model.score(X, FEW) == accuracy_score(FEW[known].astype(str), model.predict(X)[known].astype(str))


@pytest.mark.parametrize("options", [{}, {"composition": "plain", "n_layers": 2}], ids=str)
def test_alpha_1_is_the_autoencoder_to_the_last_bit(options):
    shared = {
        "max_iter": 3,
        "random_state": 0,
        "batch_size": 4,
        "composition": "gated",
        "tune_leaves": True,
        "unit_length": False,
        **options,
    }
    plain = RecursiveAutoencoder(4, **shared).fit(X)
    limit = RecursiveAutoencoderClassifier(4, alpha=1.0, dropout=0.0, **shared).fit(X, FEW)
    np.testing.assert_array_equal(limit.transform(X), plain.transform(X))
    assert limit.history_ == plain.history_
    np.testing.assert_allclose(limit.predict_proba(X), 1 / 3)
    assert [len(found) for found in limit.predict_nodes(X)] == [tree.n_nodes for tree in X]


def test_alpha_0_learns_no_decoder():
    model = clone(DOUBLE).set_params(alpha=0.0, weight_decay=0.0)
    short, long = clone(model).set_params(max_iter=1).fit(X, FEW), clone(model).set_params(max_iter=20).fit(X, FEW)
    assert set(long.history_) == {"loss", "prediction"}
    assert torch.equal(short.module_.D, long.module_.D)
    assert torch.equal(short.module_.e, long.module_.e)
    assert not torch.equal(short.module_.cells[0].W, long.module_.cells[0].W)


def test_trees_without_a_label_do_not_move_a_supervised_network():
    """With alpha = 0 a tree without a label counts as if it was not there."""
    model = clone(DOUBLE).set_params(alpha=0.0, batch_size=100, vocabulary=WORDS.tolist())
    known = np.flatnonzero(FEW != -1)
    every, some = clone(model).fit(X, FEW), clone(model).fit([X[i] for i in known], FEW[known])
    np.testing.assert_allclose(every.predict_proba(X), some.predict_proba(X), rtol=1e-9)


def test_what_words_decide_is_learnt():
    """The label of a tree is whether it has the word good, wherever that is."""
    rng = np.random.default_rng(1)
    words = ["a", "b", "c", "d"]
    plain = [woods(rng, lambda: str(rng.choice(words)), height=5)[i % 10] for i in range(60)]
    trees = [as_tree(tree) for tree in plain]
    y = np.array(["d" in tree.leaves for tree in trees])
    model = RecursiveAutoencoderClassifier(8, max_iter=60, learning_rate_init=0.02, random_state=0).fit(trees, y)
    assert model.score(trees, y) > 0.95
    assert model.predict([("a", "d"), ("a", "b")]).tolist() == [True, False]


@pytest.mark.parametrize(
    ("structure", "alpha"), [("given", 0.0), ("balanced", 0.0), ("left", 0.0), ("left", 0.5), ("greedy", 0.5)]
)
def test_sequences_are_classified_by_the_trees_over_them(structure, alpha):
    """The label of the last node is that of the tree."""
    model = clone(DOUBLE).set_params(structure=structure, alpha=alpha).fit(X, FEW)
    found = model.predict_nodes(X)
    assert [len(of_nodes) for of_nodes in found] == [tree.n_nodes for tree in model.parse(X)]
    np.testing.assert_array_equal([of_nodes[-1] for of_nodes in found], model.predict(X))


def test_without_a_decoder_nothing_is_reconstructed():
    model = clone(QUICK).set_params(alpha=0.0).fit(X, FEW)
    sentence = "With alpha=0 no decoder is learnt, so that nothing is reconstructed: fit with alpha=0.1."
    for method in ("score_samples", "node_errors", "inverse_transform"):
        with pytest.raises(AttributeError) as found:
            getattr(model, method)
        assert str(found.value.__cause__) == sentence
        assert hasattr(clone(model).set_params(alpha=0.1), method)
    assert refuses(model.set_params(structure="greedy"), "fit", X, FEW) == (
        "structure='greedy' merges what is reconstructed best, but with alpha=0 no decoder is learnt: "
        "use alpha=0.1, or structure='balanced'."
    )


# ------------------------------------------------------------------ labels


def test_labels_of_nodes_may_do_without_y():
    model = clone(DOUBLE).set_params(supervision="nodes")
    roots = np.array([tree.label if tree.label is not None else -1 for tree in X], dtype=object)
    one, two = clone(model).fit(X), clone(model).fit(X, roots)
    np.testing.assert_array_equal(one.classes_, sorted(NAMES))
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    assert one.score(X, roots) == two.score(X, roots)


def test_a_score_may_do_without_y_too():
    """As in a search over trees whose nodes have labels."""
    model = clone(DOUBLE).set_params(supervision="nodes").fit(X)
    known = np.array([tree.label is not None for tree in X])
    labels = [tree.label for tree in X if tree.label is not None]
    assert model.score(X) == np.mean(model.predict(X)[known] == labels)
    search = GridSearchCV(clone(QUICK).set_params(supervision="nodes"), {"n_layers": [1, 2]}, cv=2).fit(X * 2)
    assert 0 <= search.best_score_ <= 1
    sentence = "RecursiveAutoencoderClassifier requires y to be passed, but the target y is None"
    assert refuses(clone(QUICK).fit(X, FEW), "score", X).startswith(sentence)


def test_labels_in_trees_of_weight_zero_are_no_classes():
    model, strange = clone(DOUBLE).set_params(supervision="nodes"), Tree.from_brackets("(new (newer a) b)")
    weight = np.ones(len(X) + 1)
    weight[-1] = 0
    for y, more in ((None, None), (FEW, np.append(FEW, "newest"))):
        one, two = clone(model).fit(X, y), clone(model).fit([*X, strange], more, weight)
        np.testing.assert_array_equal(two.classes_, one.classes_)


def test_text_of_numbers_becomes_the_numbers_of_y():
    """Brackets hold text, such as the digits of the Stanford treebank."""
    trees = [Tree.from_brackets(text) for text in ("(3 (2 It) (4 good))", "(1 (2 It) (0 bad))")]
    model = clone(QUICK).set_params(supervision="nodes").fit(trees, [3, 1])
    np.testing.assert_array_equal(model.classes_, [0, 1, 2, 3, 4])
    assert model.predict(trees).dtype.kind == "i"
    assert clone(model).fit(trees).classes_.tolist() == ["0", "1", "2", "3", "4"]
    assert model.score(trees) == model.score(trees, [3, 1])


@pytest.mark.parametrize("y", [[None, 1], [np.nan, 1.0], pd.Series([pd.NA, 1]), np.array([None, 1])], ids=str)
def test_text_becomes_numbers_if_some_of_y_is_unknown(y):
    trees = [Tree.from_brackets(text) for text in ("(3 (2 It) (4 good))", "(1 (2 It) (0 bad))")]
    model = clone(QUICK).set_params(supervision="nodes").fit(trees, y)
    np.testing.assert_array_equal(model.classes_, [0, 1, 2, 3, 4])


def test_text_becomes_the_numbers_of_the_classes_that_are_known():
    trees = [Tree.from_brackets(text) for text in ("(3 (2 It) (4 good))", "(1 (2 It) (0 bad))")]
    model = clone(QUICK).set_params(supervision="nodes")
    one, two = clone(model).partial_fit(trees, classes=range(5)), clone(model).partial_fit(trees, [3, 1], range(5))
    np.testing.assert_array_equal(one.predict_proba(trees), two.predict_proba(trees))
    one, two = one.partial_fit(trees), two.partial_fit(trees, [3, 1])
    np.testing.assert_array_equal(one.predict_proba(trees), two.predict_proba(trees))
    assert one.classes_.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("label", [-1, None, np.nan, pd.NA], ids=str)
def test_nodes_whose_label_is_unknown_count_for_nothing(label):
    def trees(label):
        good, bad = (Tree(word, label=label) for word in ("good", "bad"))
        return [Tree(children=[good, "a"], label="+"), Tree(children=[bad, "a"], label="-")]

    marked, bare = (clone(QUICK).set_params(supervision="nodes").fit(trees(mark)) for mark in (label, None))
    np.testing.assert_array_equal(marked.predict_proba(PAIR), bare.predict_proba(PAIR))


@pytest.mark.parametrize(
    ("convert", "classes"),
    [
        (lambda y: list(np.where(y == -1, None, y)), NAMES),
        (lambda y: pd.Series(np.where(y == -1, None, y)), NAMES),
        (lambda y: np.where(y == -1, np.nan, y), NAMES),
        (lambda y: np.array([-1 if label == -1 else 5 + list(NAMES).index(label) for label in y]), [5, 6, 7]),
    ],
)
def test_unlabelled_trees_are_told_in_many_ways(convert, classes):
    expected = clone(QUICK).fit(X, FEW)
    model = clone(QUICK).fit(X, convert(FEW))
    np.testing.assert_array_equal(model.classes_, classes)
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))


@SUPERVISION
def test_weights_repeat_trees(supervision):
    weight = np.arange(len(X)) % 4
    repeated = [tree for tree, n in zip(X, weight, strict=True) for _ in range(n)]
    model = clone(DOUBLE).set_params(supervision=supervision, alpha=0.4, batch_size=100, max_iter=5)
    one = clone(model).fit(X, FEW, sample_weight=weight)
    two = clone(model).fit(repeated, FEW.repeat(weight))
    np.testing.assert_array_equal(one.classes_, two.classes_)
    np.testing.assert_allclose(one.predict_proba(X), two.predict_proba(X), rtol=1e-8)
    np.testing.assert_allclose(one.history_["prediction"], two.history_["prediction"], rtol=1e-8)
    np.testing.assert_allclose(one.score(X, Y, weight), two.score(repeated, Y.repeat(weight)), rtol=1e-12)


# ------------------------------------------------------------------ the contract of scikit-learn, which has no trees


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_nodes", "transform"])
def test_what_needs_a_fit_says_so(method):
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        getattr(clone(QUICK), method)(X)


def test_it_is_a_classifier_of_trees():
    assert is_classifier(QUICK)
    tags = QUICK.__sklearn_tags__()
    assert not tags.input_tags.two_d_array
    assert tags.target_tags.required


@SUPERVISION
def test_repeated_fits_and_copies_are_equal(supervision):
    model = clone(QUICK).set_params(supervision=supervision).fit(X, FEW)
    expected = model.predict_proba(X)
    for other in (clone(model).fit(X, FEW), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.predict_proba(X), expected)
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
        for one, two in zip(other.predict_nodes(X), model.predict_nodes(X), strict=True):
            np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(model.predict_proba(X[::-1]), expected[::-1])
    np.testing.assert_array_equal(model.predict_proba(pd.Series(X[3:5])), expected[3:5])
    np.testing.assert_array_equal(model.predict_proba(np.array(X, dtype=object)), expected)


def test_y_is_not_changed():
    y = FEW.copy()
    clone(QUICK).fit(X, y).score(X, y)
    np.testing.assert_array_equal(y, FEW)


def test_searches_and_folds_with_workers():
    model = clone(QUICK).set_params(max_iter=1)
    forest, y = X * 2, np.tile(Y, 2)
    found = [cross_val_predict(model, forest, y, cv=2, n_jobs=n, method="predict_proba") for n in (1, 2)]
    np.testing.assert_array_equal(*found)
    grid = {"composition": ["plain", "gated"], "alpha": [0.0, 0.5]}
    search = GridSearchCV(model, grid, cv=2).fit(np.array(forest, dtype=object), y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_partial_fit_knows_all_classes_from_the_first_call():
    model = clone(QUICK).partial_fit(X[:2], Y[:2], classes=NAMES)
    np.testing.assert_array_equal(model.classes_, NAMES)
    before = model.predict_proba(X)
    model.partial_fit(X[2:], FEW[2:]).partial_fit(X[2:4], [-1, -1])
    assert model.n_iter_ == 3
    assert not np.array_equal(model.predict_proba(X), before)


def test_lbfgs_has_no_partial_fit():
    assert hasattr(QUICK, "partial_fit")
    assert not hasattr(clone(QUICK).set_params(solver="lbfgs"), "partial_fit")


def test_warm_start_and_early_stopping():
    model = clone(QUICK).set_params(warm_start=True).fit(X, FEW)
    first = model.predict_proba(X)
    assert model.fit(X, FEW).n_iter_ == 6
    assert not np.array_equal(model.predict_proba(X), first)
    stopping = clone(QUICK).set_params(early_stopping=True, validation_fraction=0.3).fit(X * 3, np.tile(Y, 3))
    assert len(stopping.history_["validation_loss"]) == 3


@SUPERVISION
def test_trees_of_one_leaf(supervision):
    few, y = [Tree("a", label="bad"), Tree("b", label="good"), Tree("a", label="bad")], ["bad", "good", "bad"]
    model = clone(QUICK).set_params(supervision=supervision, max_iter=40, learning_rate_init=0.05, dropout=0.0)
    model.fit(few, y)
    assert [found.shape for found in model.predict_nodes(few)] == [(1,)] * 3
    assert model.predict(few).tolist() == y


def test_dropout_is_in_training_alone():
    one = clone(QUICK).set_params(dropout=0.5).fit(X, FEW)
    np.testing.assert_array_equal(one.predict_proba(X), one.predict_proba(X))
    two = clone(QUICK).set_params(dropout=0.0).fit(X, FEW)
    assert not np.array_equal(one.predict_proba(X), two.predict_proba(X))


def test_without_predictions_dropout_is_no_noise():
    """The loss is then watched, and training stops when it no longer falls."""
    model = clone(QUICK).set_params(alpha=1.0, tol=1e6, n_iter_no_change=2, max_iter=20, learning_rate="constant")
    with warnings.catch_warnings(action="ignore"):  # so little is no fit
        one, two = (clone(model).set_params(dropout=dropout).fit(X, FEW) for dropout in (0.5, 0.0))
    assert one.n_iter_ == two.n_iter_ < 20


# ------------------------------------------------------------------ bad input

PAIR = [("a", "b"), ("b", "a"), ("c", "a")]


@pytest.mark.parametrize(
    ("options", "trees", "y", "sentence"),
    [
        (
            {},
            PAIR,
            None,
            "RecursiveAutoencoderClassifier requires y to be passed, but the target y is None: pass y, or use an "
            "estimator without.",
        ),
        (
            {},
            PAIR,
            [0, 0, -1],
            "y has labels of 1 class (0), but at least 2 classes are needed; rows with -1, None or NaN are unlabelled.",
        ),
        (
            {"supervision": "nodes"},
            PAIR,
            None,
            "y has labels of 0 classes, but at least 2 classes are needed; rows with -1, None or NaN are unlabelled.",
        ),
        (
            {"supervision": "nodes", "structure": "left"},
            PAIR,
            [0, 1, 0],
            "supervision='nodes' reads labels from the trees of X, but structure='left' builds its own: use "
            "structure='given', or supervision='root'.",
        ),
        (
            {"supervision": "nodes"},
            [Tree.from_brackets("(x a b)"), Tree.from_brackets("(3 a b)")],
            [1, 3],
            "the trees have the label 'x', but y holds numbers: pass y as text, or numbers as labels.",
        ),
        (
            {"supervision": "nodes"},
            [Tree(children=["a", "b"], label=(1, 2)), Tree(children=["a", "c"], label=(3, 4))],
            None,
            "y has the label (1, 2), a tuple: pass numbers, text or datetime64, for example y.astype(str).",
        ),
    ],
)
def test_bad_labels_are_refused(options, trees, y, sentence):
    assert refuses(clone(QUICK).set_params(**options), "fit", trees, y) == sentence


@pytest.mark.parametrize("text", ["(new a b)", "(good (new a) b)"])
def test_a_label_of_a_node_that_the_first_fit_did_not_see(text):
    model = clone(QUICK).set_params(supervision="nodes", warm_start=True).fit(X)
    assert refuses(model, "fit", [*X, Tree.from_brackets(text)]) == (
        "the trees have the label 'new', which is not among the classes ['bad', 'good', 'so so'] of the first fit: fit "
        "again with warm_start=False."
    )
