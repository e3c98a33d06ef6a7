"""RecursiveAutoencoder: X is a list of trees. Its oracle is plain recursion with the weights that it learnt."""

import copy
import pickle
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from autoencoders.plain_trees import (
    as_tree,
    balanced,
    binary,
    is_leaf,
    leaves,
    left,
    nodes,
    recursion_of,
    roots_of,
    vectors_of,
    woods,
)
from contract.requirements import refuses
from seen import seen
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline

from skae import RecursiveAutoencoder
from skae.exceptions import NothingLearntWarning
from skae.trees import Tree

QUICK = RecursiveAutoencoder(4, max_iter=3, random_state=0, batch_size=4)
DOUBLE = clone(QUICK).set_params(dtype="float64")
WORDS = np.array(["a", "the", "cat", "dog", "sat", "ran", "on", "mat"])


def of_words(seed=0, height=12):
    rng = np.random.default_rng(seed)
    return woods(rng, lambda: str(rng.choice(WORDS)), height=height)


def of_vectors(seed=0, height=12, width=4):
    rng = np.random.default_rng(seed)
    return woods(rng, lambda: rng.standard_normal(width) + 1.0, height=height)


PLAIN, POINTS = of_words(), of_vectors()
X = [as_tree(tree) for tree in PLAIN]
V = [as_tree(tree) for tree in POINTS]


@pytest.fixture(scope="module")
def fitted():
    return clone(QUICK).fit(X)


# ------------------------------------------------------------------ what is computed

NETWORKS = [
    {"unfolding": False},
    {"composition": "gated", "n_layers": 2},
    {"composition": "tensor", "unfolding": False, "weighted": False, "n_components": 3},
    {"n_layers": 3, "weighted": False, "unit_length": False, "n_components": 3},
]
KINDS = pytest.mark.parametrize("trees", [PLAIN, POINTS], ids=["tokens", "vectors"])
OPTIONS = pytest.mark.parametrize("options", NETWORKS, ids=str)


@OPTIONS
@KINDS
def test_codes_vectors_and_losses_are_those_of_the_recursion(trees, options):
    forest = [as_tree(tree) for tree in trees]
    model = clone(DOUBLE).set_params(tune_leaves=True, **options).fit(forest)
    recursion, vector, roots = recursion_of(model), vectors_of(model), roots_of(model, trees)
    np.testing.assert_allclose(model.transform(forest), [root.h.detach() for root in roots], rtol=1e-10)
    vectors, errors = model.node_vectors(forest), model.node_errors(forest)
    with torch.no_grad():
        terms = model._loss(model.module_, seen(model, forest)[slice(None)], None)
        total = sum(float(recursion.reconstruction(root)) for root in roots)
        np.testing.assert_allclose(terms["reconstruction"], total / len(trees), rtol=1e-10)
        for tree, of_nodes, of_errors in zip(trees, vectors, errors, strict=True):
            each = [recursion.run(binary(node), vector) for node in nodes(tree)]
            np.testing.assert_allclose(of_nodes, [node.h for node in each], rtol=1e-10)
            expected = [float(recursion.error(node)) if node.children else np.nan for node in each]
            np.testing.assert_allclose(of_errors, expected, rtol=1e-10)


@OPTIONS
@KINDS
def test_a_step_is_the_gradient_of_the_loss(trees, options):
    """Also in the table of tokens, of which only the rows of a batch are touched."""
    forest = [as_tree(tree) for tree in trees]
    weight = np.arange(len(trees)) % 3 + 0.5
    model = clone(DOUBLE).set_params(tune_leaves=True, **options).fit(forest)
    recursion, vector = recursion_of(model), vectors_of(model)
    batch = seen(model, forest, None, weight)[torch.arange(1, len(trees), 2)]
    model._flat.grad.zero_()
    terms = model._step(model.module_, batch, torch.Generator())
    weight /= weight.mean()
    expected = sum(
        weight[i] * recursion.reconstruction(recursion.run(binary(trees[i]), vector)) for i in range(1, len(trees), 2)
    ) / len(batch.root)
    np.testing.assert_allclose(terms["reconstruction"].item(), expected.item(), rtol=1e-10)
    parameters = list(model.module_.parameters())
    gradients = torch.autograd.grad(expected, parameters, materialize_grads=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-9, atol=1e-12)


@OPTIONS
def test_unfolded_vectors_and_their_scores_are_those_of_the_recursion(options):
    model = clone(DOUBLE).set_params(**options).fit(V)
    recursion, module = recursion_of(model), model.module_
    back = np.eye(4) if module.entry is None else np.linalg.pinv(module.entry.detach().numpy())
    found = model.inverse_transform(model.transform(V), structure=V)
    errors, variation = [], []
    for root, plain, tree, given in zip(roots_of(model, POINTS), POINTS, found, V, strict=True):
        with torch.no_grad():
            ys = np.array([x.numpy() for x in recursion.unfold(root.h, root)]) @ back.T
        x = np.array([leaf[1] for leaf in leaves(plain)])
        np.testing.assert_allclose(tree.vectors, ys * model.scale_ + model.mean_, rtol=1e-9)
        np.testing.assert_array_equal(tree.arity, given.arity)
        errors.append(((x - tree.vectors) ** 2).sum())
        variation.append(((x - model.mean_) ** 2).sum())
    n_leaves = [tree.n_leaves for tree in V]
    np.testing.assert_allclose(model.score_samples(V), -np.array(errors) / n_leaves, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.score(V), 1 - sum(errors) / sum(variation), rtol=1e-9)


def test_unfolded_tokens_are_the_nearest():
    model = clone(DOUBLE).set_params(max_iter=30, learning_rate_init=0.02).fit(X)
    recursion, vector = recursion_of(model), vectors_of(model)
    table = np.array([vector(token) for token in model.vocabulary_])
    found = model.inverse_transform(model.transform(X), structure=X)
    n_right = 0
    for root, plain, tree in zip(roots_of(model, PLAIN), PLAIN, found, strict=True):
        ys = np.array([x.detach() for x in recursion.unfold(root.h, root)])
        nearest = ((ys[:, None] - table) ** 2).sum(2).argmin(1)
        assert list(tree.leaves) == list(model.vocabulary_[nearest])
        n_right += sum(a == leaf[1] for a, leaf in zip(tree.leaves, leaves(plain), strict=True))
    assert n_right > 0


@pytest.mark.parametrize("options", [{}, {"composition": "gated"}, {"weighted": False, "n_layers": 2}], ids=str)
@pytest.mark.parametrize("structure", ["greedy", "balanced", "left"])
def test_parsing_is_that_of_the_paper(structure, options):
    """The shape of the trees that are passed does not matter, only their leaves in order."""
    model = clone(DOUBLE).set_params(structure=structure, **options).fit(X)
    recursion, vector = recursion_of(model), vectors_of(model)
    vectors = model.node_vectors(X)
    for plain, tree, found, h in zip(PLAIN, model.parse(X), vectors, model.transform(X), strict=True):
        row = leaves(plain)
        if structure == "greedy":
            with torch.no_grad():
                root = recursion.greedy([vector(leaf[1]) for leaf in row])
            expected = shape(root, iter(row))
        else:
            expected = (balanced if structure == "balanced" else left)(row)
        assert tree == as_tree(expected)
        root = recursion.run(expected, vector)
        np.testing.assert_allclose(found, [node.h.detach() for node in root.nodes()], rtol=1e-10)
        np.testing.assert_allclose(h, root.h.detach(), rtol=1e-10)


def shape(node, row):
    """A node of the recursion as a tree over a row of leaves."""
    return (None, [shape(child, row) for child in node.children]) if node.children else next(row)


def test_pairs_in_a_linear_network_are_a_pca():
    """The rows of a table, cut in halves: trained without f, two-leaf trees reach what PCA explains of the table."""
    rng = np.random.default_rng(0)
    table = rng.standard_normal((60, 3)) @ rng.standard_normal((3, 6)) + 0.3 * rng.standard_normal((60, 6))
    table -= table.mean(0)
    table[:, 3:] += table[:, :3].mean(0)
    trees = [Tree.of((row[:3], row[3:])) for row in table]
    linear = {"activation": "identity", "unit_length": False, "solver": "lbfgs", "max_iter": 300, "tol": 1e-12}
    model = RecursiveAutoencoder(3, dtype="float64", random_state=0, **linear).fit(trees)
    explained = PCA(3).fit(table).explained_variance_ratio_.sum()
    np.testing.assert_allclose(model.score(trees), explained, rtol=1e-6)
    np.testing.assert_allclose(-2 * model.score_samples(trees).mean(), table.var(0).sum() * (1 - explained), rtol=1e-4)


# ------------------------------------------------------------------ the contract of scikit-learn, which has no trees


@pytest.mark.parametrize("structure", ["given", "greedy"])
@pytest.mark.parametrize("method", ["transform", "node_vectors", "node_errors", "parse", "score", "score_samples"])
def test_what_needs_a_fit_says_so(method, structure):
    model = clone(QUICK).set_params(structure=structure)
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        getattr(model, method)(X)
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        model.inverse_transform(np.ones((len(X), 4)), structure=X)


def test_repeated_fits_are_equal(fitted):
    expected = fitted.transform(X)
    np.testing.assert_array_equal(clone(QUICK).fit(X).transform(X), expected)
    np.testing.assert_array_equal(clone(QUICK).fit_transform(X), expected)
    np.testing.assert_array_equal(copy.deepcopy(fitted).fit(X).transform(X), expected)
    assert not np.array_equal(clone(QUICK).set_params(random_state=1).fit(X).transform(X), expected)


def test_no_global_random_number_is_drawn():
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    clone(QUICK).fit(X).transform(X)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize(
    "options", [{}, {"structure": "greedy"}, {"dtype": "float64", "composition": "gated"}], ids=str
)
@KINDS
def test_other_trees_of_x_change_no_bit(trees, options):
    forest = [as_tree(tree) for tree in trees] * 4
    model = clone(QUICK).set_params(**options).fit(forest)
    found = {"transform": model.transform(forest), "score_samples": model.score_samples(forest)}
    for index in (range(len(forest))[::-1], [5], [3, 0, 17]):
        for method, of_all in found.items():
            np.testing.assert_array_equal(getattr(model, method)([forest[i] for i in index]), of_all[list(index)])


def test_chunks_make_no_difference(fitted, monkeypatch):
    expected = fitted.transform(X), fitted.node_vectors(X), fitted.inverse_transform(fitted.transform(X), structure=X)
    monkeypatch.setattr("skae.base.encoding.CHUNK_BYTES", 2000)
    np.testing.assert_array_equal(fitted.transform(X), expected[0])
    for one, two in zip(fitted.node_vectors(X), expected[1], strict=True):
        np.testing.assert_array_equal(one, two)
    assert fitted.inverse_transform(expected[0], structure=X) == expected[2]


def test_copies_are_the_same(fitted):
    H = fitted.transform(X)
    for copied in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(copied.transform(X), H)
        np.testing.assert_array_equal(copied.score_samples(X), fitted.score_samples(X))
        assert copied.score(X) == fitted.score(X)
        assert copied.inverse_transform(H, structure=X) == fitted.inverse_transform(H, structure=X)
        twin = copy.deepcopy(fitted).partial_fit(X)
        np.testing.assert_array_equal(copied.partial_fit(X).transform(X), twin.transform(X))
    assert not hasattr(clone(fitted), "module_")
    assert clone(fitted).get_params() == fitted.get_params()


@pytest.mark.parametrize(
    "convert",
    [tuple, lambda X: np.array(X, dtype=object), pd.Series, lambda X: pd.Series(X, index=np.arange(len(X))[::-1])],
    ids=["tuple", "array", "Series", "Series with an index"],
)
def test_other_sequences_of_trees(fitted, convert):
    other = convert(X)
    np.testing.assert_array_equal(clone(QUICK).fit(other).transform(X), fitted.transform(X))
    np.testing.assert_array_equal(fitted.transform(other), fitted.transform(X))
    np.testing.assert_array_equal(fitted.score_samples(other), fitted.score_samples(X))
    assert fitted.parse(other) == X


class Node(list):
    """A tree as nltk has it."""

    def label(self):
        return "S"


def test_tuples_and_trees_of_others_are_trees(fitted):
    def made(tree, kind):
        return tree[1] if is_leaf(tree) else kind([made(child, kind) for child in tree[1]])

    some = [i for i, tree in enumerate(PLAIN) if not is_leaf(tree)]
    for kind in (tuple, Node):
        np.testing.assert_array_equal(fitted.transform([made(PLAIN[i], kind) for i in some]), fitted.transform(X)[some])


def test_trees_are_not_changed():
    arrays = [[np.array([1.0, 2.0]), np.array([3.0, 4.0])], [np.array([0.0, 1.0]), np.array([5.0, 2.0])]]
    trees = [tuple(pair) for pair in arrays]
    kept, before = list(trees), copy.deepcopy(arrays)
    model = RecursiveAutoencoder(2, max_iter=2, random_state=0).fit(trees)
    for method in (model.transform, model.score, model.parse, model.node_vectors):
        method(trees)
    assert all(a is b for a, b in zip(trees, kept, strict=True))
    np.testing.assert_array_equal(arrays, before)


def test_names_of_columns_and_rows(fitted):
    series = pd.Series(X, index=[f"row {i}" for i in range(len(X))])
    frame = copy.deepcopy(fitted).set_output(transform="pandas").transform(series)
    assert list(frame.columns) == [f"recursiveautoencoder{i}" for i in range(4)]
    np.testing.assert_array_equal(frame.to_numpy(), fitted.transform(X))


def test_before_a_classifier_in_a_pipeline_and_in_searches():
    """With workers, to which trees and models are sent, the same comes out."""
    y = [tree.n_leaves > 9 for tree in X]
    pipe = make_pipeline(clone(QUICK).set_params(max_iter=1), LogisticRegression())
    one, two = (clone(pipe).fit(x, y).predict_proba(x) for x in (X, np.array(X, dtype=object)))
    np.testing.assert_array_equal(one, two)
    grid = {"recursiveautoencoder__n_components": [1, 3]}
    scores = [GridSearchCV(pipe, grid, cv=2, n_jobs=n).fit(X, y).cv_results_["mean_test_score"] for n in (1, 2)]
    np.testing.assert_array_equal(*scores)
    found = [cross_val_predict(pipe, X, y, cv=2, n_jobs=n, method="predict_proba") for n in (1, 2)]
    np.testing.assert_array_equal(*found)


def test_a_search_by_its_own_score():
    search = GridSearchCV(clone(QUICK), {"n_components": [1, 4]}, cv=2).fit(V)
    folds = [(V[:5], V[5:]), (V[5:], V[:5])]
    expected = [np.mean([clone(QUICK).set_params(n_components=d).fit(b).score(a) for a, b in folds]) for d in (1, 4)]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], expected)


# ------------------------------------------------------------------ weights, and going on


@KINDS
def test_weights_repeat_trees(trees):
    forest = [as_tree(tree) for tree in trees]
    weight = np.arange(len(forest)) % 3
    repeated = [tree for tree, n in zip(forest, weight, strict=True) for _ in range(n)]
    model = clone(DOUBLE).set_params(max_iter=5, tune_leaves=True, batch_size=100)
    one, two = clone(model).fit(forest, sample_weight=weight), clone(model).fit(repeated)
    np.testing.assert_allclose(two.transform(forest), one.transform(forest), rtol=1e-8)
    np.testing.assert_allclose([two.scale_, *two.mean_], [one.scale_, *one.mean_], rtol=1e-12)
    np.testing.assert_allclose(two.score(forest), one.score(forest), rtol=1e-8)
    np.testing.assert_allclose(two.score(repeated), one.score(forest, sample_weight=weight), rtol=1e-8)
    np.testing.assert_allclose(two.history_["loss"], one.history_["loss"], rtol=1e-8)


@pytest.mark.parametrize("batch_size", [4, 100])
def test_of_weight_zero_nothing_is_learnt_before_the_start(batch_size):
    """Neither the scale nor the axes by which wide vectors are mapped."""
    wide = [as_tree(tree) for tree in of_vectors(width=7)]
    weight = np.arange(len(wide)) % 3
    model = clone(DOUBLE).set_params(batch_size=batch_size, learning_rate_init=1e-12)
    one = clone(model).fit(wide, sample_weight=weight)
    two = clone(model).fit([tree for tree, n in zip(wide, weight, strict=True) for _ in range(n)])
    np.testing.assert_allclose(two.module_.entry, one.module_.entry, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose([two.scale_, *two.mean_], [one.scale_, *one.mean_], rtol=1e-12)


@pytest.mark.parametrize("batch_size", [4, 100])
def test_scores_of_tokens_are_relative_to_their_weighted_mean(batch_size):
    weight = np.arange(len(X)) % 3 + 1.0
    model = clone(DOUBLE).set_params(batch_size=batch_size).fit(X, sample_weight=weight)
    vector = vectors_of(model)
    x = [np.array([vector(token) for token in tree.leaves]) for tree in X]
    mean = sum(w * each.sum(0) for w, each in zip(weight, x, strict=True)) / sum(
        w * len(each) for w, each in zip(weight, x, strict=True)
    )
    variation = sum(((each - mean) ** 2).sum() for each in x)
    errors = sum(-model.score_samples(X) * [len(each) for each in x])
    np.testing.assert_allclose(model.score(X), 1 - errors / variation, rtol=1e-9)


def test_weights_count_by_their_ratio_and_of_weight_zero_nothing_is_learnt():
    weight = np.arange(len(X)) % 3
    one, two = (clone(DOUBLE).fit(X, sample_weight=factor * weight) for factor in (1, 5))
    np.testing.assert_allclose(two.transform(X), one.transform(X), rtol=1e-8)
    strange = [*X, Tree.of(("quite", "another"))]
    assert "quite" not in clone(DOUBLE).fit(strange, sample_weight=[*np.ones(len(X)), 0.0]).vocabulary_


def test_partial_fit_goes_on(fitted):
    model = clone(QUICK).partial_fit(X[:6])
    vocabulary, first = model.vocabulary_.copy(), model.transform(X)
    assert model.partial_fit([*X[6:], ("never", "seen")]) is model
    assert model.n_iter_ == 2
    np.testing.assert_array_equal(model.vocabulary_, vocabulary)
    assert not np.array_equal(model.transform(X), first)
    with pytest.raises(ValueError, match="does not support early_stopping"):
        model.set_params(early_stopping=True).partial_fit(X)


def test_lbfgs_has_no_partial_fit():
    assert hasattr(QUICK, "partial_fit")
    assert not hasattr(clone(QUICK).set_params(solver="lbfgs"), "partial_fit")


def test_warm_start_goes_on_with_the_vocabulary():
    warm = clone(QUICK).set_params(warm_start=True).fit(X)
    first = warm.transform(X)
    warm.fit([*X, ("never", "seen")])
    assert warm.n_iter_ == 6
    assert "never" not in warm.vocabulary_
    assert not np.array_equal(warm.transform(X), first)
    assert "n_components changed since the last fit" in refuses(warm.set_params(n_components=3), "fit", X)


def test_early_stopping_watches_held_out_trees():
    model = clone(DOUBLE).set_params(early_stopping=True, validation_fraction=0.3, max_iter=6).fit(X * 3)
    assert len(model.history_["validation_loss"]) == model.n_iter_ == 6
    assert min(model.history_["validation_loss"]) == model.loss_


# ------------------------------------------------------------------ trees of few leaves, and of many levels


@pytest.mark.parametrize("structure", ["given", "greedy", "balanced", "left"])
@pytest.mark.parametrize("options", [{}, {"composition": "gated", "n_layers": 2}, {"unfolding": False}], ids=str)
def test_one_tree_and_trees_of_one_leaf(structure, options):
    """The code of a leaf is its vector x, if nothing is composed of leaves, and there is nothing to learn."""
    model = clone(DOUBLE).set_params(structure=structure, **options)
    alone = clone(model).fit([Tree.of(("a", "b"))])
    assert alone.transform([Tree.of(("a", "b"))]).shape == (1, 4)
    few = [Tree("a"), Tree("b"), Tree("a")]
    model.fit(few)
    assert model.history_["loss"] == [0.0] * len(model.history_["loss"])
    H = model.transform(few)
    np.testing.assert_array_equal(H[0], H[2])
    np.testing.assert_allclose(
        H, [root.h.detach() for root in roots_of(model, [("", "a"), ("", "b"), ("", "a")])], rtol=1e-12
    )
    assert model.parse(few) == few
    assert [len(vectors) for vectors in model.node_vectors(few)] == [1, 1, 1]
    if "composition" not in options:
        assert [tree.value for tree in model.inverse_transform(H, structure=few)] == ["a", "b", "a"]


def test_a_depth_of_3000():
    n = 3000
    deep = Tree.from_arity(np.array([0, *([0, 2] * n)]), tuple(np.resize(WORDS, n + 1)))
    assert deep.height == n
    model = RecursiveAutoencoder(2, unfolding=False, max_iter=1, random_state=0).fit([deep, Tree.of(("a", "b"))])
    vectors = model.node_vectors([deep])[0]
    assert np.isfinite(vectors).all()
    assert model.inverse_transform(vectors[-1:], structure=[deep])[0].height == n
    model, other = pickle.loads(pickle.dumps((model, deep)))
    np.testing.assert_array_equal(model.transform([other]), vectors[-1:])


# ------------------------------------------------------------------ tokens and vectors


def test_unknown_and_rare_tokens_share_a_vector(fitted):
    pairs = [("the", word) for word in ("xyzzy", "plugh", "cat")]
    one, two, known = fitted.transform(pairs)
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, known)
    trees = [("a", "a"), ("a", ("b", "once"))]
    model = clone(QUICK).set_params(min_frequency=2).fit(trees)
    np.testing.assert_array_equal(model.vocabulary_, ["a"])
    one, two = model.transform([("a", "b"), ("a", "xyzzy")])
    np.testing.assert_array_equal(one, two)


TABLE = np.random.default_rng(5).standard_normal((len(WORDS), 4))


@pytest.mark.parametrize("width", [4, 6])
def test_embeddings_are_given_and_stay(width):
    """As a dictionary or as an array with a vocabulary. They are scaled, and of another width mapped by PCA's axes."""
    table = np.random.default_rng(5).standard_normal((len(WORDS), width))
    given = clone(DOUBLE).set_params(embeddings=dict(zip(WORDS.tolist(), table.tolist(), strict=True))).fit(X)
    array = clone(DOUBLE).set_params(embeddings=table, vocabulary=WORDS.tolist()).fit(X)
    np.testing.assert_array_equal(given.transform(X), array.transform(X))
    module = given.module_
    found = module.table[:-1].detach().numpy() * given.scale_
    np.testing.assert_allclose(found, table[[WORDS.tolist().index(t) for t in given.vocabulary_]], rtol=1e-12)
    np.testing.assert_allclose(module.table[-1] * given.scale_, table.mean(0), rtol=1e-12)
    np.testing.assert_allclose(given.scale_, np.sqrt((table**2).sum(1).mean()))
    assert not {"table", "entry"} & set(dict(module.named_parameters()))
    if width == 4:
        found = np.array(given.transform([Tree(word) for word in WORDS]))
        np.testing.assert_allclose(found, table / given.scale_, rtol=1e-12)
    tuned = clone(given).set_params(tune_leaves=True).fit(X)
    assert not np.allclose(tuned.module_.table[:-1].detach().numpy() * tuned.scale_, table)


@pytest.mark.parametrize("convert", [pd.DataFrame, torch.from_numpy, list], ids=["frame", "tensor", "list"])
def test_embeddings_may_be_any_table(convert):
    array = clone(QUICK).set_params(embeddings=TABLE, vocabulary=WORDS.tolist()).fit(X)
    other = clone(QUICK).set_params(embeddings=convert(TABLE), vocabulary=WORDS.tolist()).fit(X)
    np.testing.assert_array_equal(other.transform(X), array.transform(X))


@pytest.mark.parametrize("convert", [list, np.array, pd.Index])
def test_a_given_vocabulary_without_vectors(convert):
    model = clone(QUICK).set_params(vocabulary=convert(["dog", "cat"])).fit(X)
    assert set(map(type, model.vocabulary_)) == {str}
    np.testing.assert_array_equal(model.vocabulary_, ["dog", "cat"])
    one, two, other = model.transform([("dog", "the"), ("dog", "mat"), ("cat", "mat")])
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("tune", [False, True])
def test_vectors_of_another_width_are_mapped(tune):
    wide = [as_tree(tree) for tree in of_vectors(width=7)]
    model = clone(DOUBLE).set_params(tune_leaves=tune).fit(wide)
    roots = roots_of(model, of_vectors(width=7))
    np.testing.assert_allclose(model.transform(wide), [root.h.detach() for root in roots], rtol=1e-10)
    x = np.concatenate([tree.vectors for tree in wide])
    np.testing.assert_allclose(model.mean_, x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(model.scale_**2, ((x - x.mean(0)) ** 2).sum(1).mean(), rtol=1e-12)
    axes = PCA(4).fit(x).components_
    entry = model.module_.entry.detach().numpy()
    same_space = np.linalg.matrix_rank(np.vstack([axes, entry]), tol=1e-6) == 4
    assert same_space != tune
    assert model.inverse_transform(model.transform(wide), structure=wide)[0].vectors.shape[1] == 7


def test_numbers_are_vectors_of_one_entry():
    one = clone(DOUBLE).fit([(1.0, (2.0, 3.5)), (0.5, 1.5)])
    two = clone(DOUBLE).fit([([1.0], ([2.0], [3.5])), ([0.5], [1.5])])
    np.testing.assert_array_equal(one.transform([(1.0, 4.0)]), two.transform([([1.0], [4.0])]))


def test_the_scale_of_vectors_plays_no_part():
    moved = [as_tree(tree) for tree in rescaled(POINTS)]
    one, two = clone(DOUBLE).fit(V), clone(DOUBLE).fit(moved)
    np.testing.assert_allclose(two.transform(moved), one.transform(V), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(two.score(moved), one.score(V), rtol=1e-6)


def rescaled(trees):
    return [(tree[0], 1000 * tree[1] + 5 if is_leaf(tree) else rescaled(tree[1])) for tree in trees]


# ------------------------------------------------------------------ bad input

PAIR = [("a", "b"), ("b", "a")]


@pytest.mark.parametrize(
    ("trees", "sentence"),
    [
        (Tree.of(("a", "b")), "X is a Tree: pass a list of trees, even for a single one."),
        ("a b", "X is a str: pass a list of trees, even for a single one."),
        (None, "X is a NoneType: pass a list of trees, even for a single one."),
        ({("a", "b"), "c"}, "X is a set: pass a list of trees, even for a single one."),
        (
            [([1e200], [-1e200]), ([3e200], [0.0])],
            "X has values so large that their variance is infinite: rescale X.",
        ),
        ([], "X has 0 trees (shape=(0,)) while a minimum of 1 is required."),
        (np.ones((3, 2)), "X is a table of shape (3, 2): pass a list of trees."),
        (pd.DataFrame(np.ones((3, 2))), "X is a table of shape (3, 2): pass a list of trees."),
        ([*PAIR, "(S a b)"], "tree 2 is a text, '(S a b)': use Tree.from_brackets(text)."),
        ([*PAIR, "a"], "tree 2 is a text, 'a': use Tree(word) for a tree of one leaf."),
        ([*PAIR, ("a", ())], "tree 2: child 1 of the root is empty. A tree has at least one leaf."),
        (
            [*PAIR, ("a", [1.0])],
            "tree 2: child 1 of the root is a vector of width 1, but the first leaf is a word. All leaves of a tree "
            "are words, or vectors of one width.",
        ),
        ([*PAIR, (1.0, 2.0)], "the leaves of tree 0 are tokens, but those of tree 2 are vectors."),
        (
            [([1.0, 2.0], [2.0, 3.0]), ([1.0], [2.0])],
            "tree 1 has leaves of 1 numbers, but those of tree 0 have 2.",
        ),
        ([(1.0, (np.nan, 2.0))], "tree 0: child 0 of child 1 of the root is a vector with NaN or infinity."),
        ([["a", "b"]], "tree 0: the root is a list that is no vector of numbers. Write a tuple for a node."),
    ],
)
def test_bad_trees_are_refused(trees, sentence):
    assert refuses(clone(QUICK), "fit", trees) == sentence


@pytest.mark.parametrize("method", ["partial_fit", "transform", "score", "score_samples", "node_vectors", "parse"])
def test_a_fitted_model_refuses_and_stays_as_it_was(fitted, method):
    expected = fitted.transform(X)
    model = copy.deepcopy(fitted)
    assert refuses(model, method, [*PAIR, ("a", ())]).startswith("tree 2: child 1 of the root is empty.")
    if method != "parse":
        sentence = refuses(model, method, [(1.0, 2.0)])
        assert sentence == "the fitted trees had tokens as leaves, but those of X are vectors."
    np.testing.assert_array_equal(model.transform(X), expected)


def test_vectors_of_another_width_than_fitted_are_refused():
    model = clone(QUICK).fit([(1.0, 2.0)])
    sentence = "tree 0 has leaves of 2 numbers, but those of the fit have 1."
    assert refuses(model, "transform", [([1.0, 2.0], [1.0, 2.0])]) == sentence
    sentence = "the fitted trees had vectors as leaves, but those of X are tokens."
    assert refuses(model, "transform", PAIR) == sentence


@pytest.mark.parametrize(
    ("sequences", "sentence"),
    [
        (["a b"], "sequence 0 is a text, 'a b': split it into tokens, as in text.split()."),
        ([["a", "b"], []], "sequence 1 is empty: drop it."),
        ([["a", ("b", "c")]], "sequence 0 is a list with a tuple in it: a token is a str, and a vector a list."),
        (
            [[[1.0, 2.0]], [(1.0, 2.0), (3.0, 4.0)]],
            "sequence 1 is a list with a tuple in it: a token is a str, and a vector a list.",
        ),
        ([], "X has 0 sequences (shape=(0,)) while a minimum of 1 is required."),
    ],
)
def test_bad_sequences_are_refused(sequences, sentence):
    assert refuses(clone(QUICK).set_params(structure="greedy"), "fit", sequences) == sentence


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"embeddings": TABLE},
            "embeddings is an array: pass the token of each row as vocabulary, or a dictionary.",
        ),
        (
            {"embeddings": {"a": [1.0, 2.0], "b": [1.0]}},
            "embeddings must be vectors of one width, but there are the shapes [(1,), (2,)].",
        ),
        (
            {"embeddings": {"a": [1.0], "b": [np.nan]}},
            "embeddings has NaN or infinity in the vector of 'b': drop that token.",
        ),
        (
            {"embeddings": {"a": [1.0]}, "vocabulary": ["a"]},
            "embeddings is a dictionary, which has its own tokens: leave out vocabulary.",
        ),
        (
            {"embeddings": TABLE, "vocabulary": ["a", "b"]},
            "embeddings has 8 vectors, but vocabulary has 2 tokens.",
        ),
        ({"vocabulary": ["a", "a"]}, "vocabulary has 'a' twice: pass each token once."),
        ({"vocabulary": {"a", "b"}}, "vocabulary is a set, which has no order: pass a list of tokens."),
        (
            {"vocabulary": ["A", "B"]},
            "X has no token of the vocabulary, as 'A', but others, as 'a': write both alike.",
        ),
        (
            {"embeddings": {"A": [1.0], "B": [2.0]}},
            "X has no token of the vocabulary, as 'A', but others, as 'a': write both alike.",
        ),
        ({"vocabulary": [1]}, "vocabulary has 1 in it: tokens are str."),
        (
            {"structure": "greedy", "unfolding": True},
            "structure='greedy' merges the children that are reconstructed best, which unfolding=True does not train: "
            "use unfolding=False, or structure='balanced'.",
        ),
        ({"min_frequency": 3}, "No token occurs min_frequency=3 times: lower min_frequency."),
    ],
)
def test_bad_parameters_are_named(options, sentence):
    assert refuses(clone(QUICK).set_params(**options), "fit", PAIR) == sentence


def test_codes_need_the_shapes_of_their_trees(fitted):
    H = fitted.transform(X)
    sentence = "A code does not hold the shape of its tree: pass trees of that shape as structure."
    assert refuses(fitted, "inverse_transform", H) == sentence
    sentence = "structure has 2 trees, but there are 10 codes: pass one for each."
    assert refuses(fitted, "inverse_transform", H, structure=X[:2]) == sentence
    fixed = H.copy()
    fixed.flags.writeable = False
    assert fitted.inverse_transform(fixed, structure=X) == fitted.inverse_transform(H, structure=X)
    sentence = "X has 3 columns, but RecursiveAutoencoder has codes of 4 columns: pass what transform returned."
    assert refuses(fitted, "inverse_transform", H[:, :3], structure=X) == sentence


def test_vectors_have_no_embeddings():
    sentence = "embeddings and vocabulary are for tokens, but the leaves of X are vectors."
    assert refuses(clone(QUICK).set_params(vocabulary=["a"]), "fit", V) == sentence


def test_deep_trees_are_not_unfolded_by_default():
    chain = Tree.from_arity([0, *[0, 2] * 250], ["a", "b"] * 125 + ["a"])
    deep, low = (clone(QUICK).set_params(max_iter=1).fit([tree]) for tree in (chain, ("a", ("b", "a"))))
    asked = clone(QUICK).set_params(max_iter=1, unfolding=False).fit([chain])
    np.testing.assert_array_equal(deep.transform([chain]), asked.transform([chain]))
    assert low._unfolds()
    assert not deep._unfolds()
    assert clone(low).fit([("a", ("b", "a")), chain], sample_weight=[1, 0])._unfolds()


@pytest.mark.parametrize(
    ("options", "cure"),
    [
        ({"unfolding": False}, "use unfolding=True"),
        ({"tune_leaves": True}, "use tune_leaves=False"),
        ({}, "raise max_iter"),
    ],
)
def test_a_reconstruction_that_is_no_better_than_the_mean_is_told(monkeypatch, options, cure):
    """The cure is that of the reason."""
    monkeypatch.setattr(RecursiveAutoencoder, "_error_and_variation", lambda *_: torch.tensor([[2.0, 1.0]]))
    with pytest.warns(NothingLearntWarning, match=rf"no better than their mean \(R2 -1\): {cure}"):
        clone(QUICK).set_params(max_iter=60, **options).fit([tuple(pair) for pair in product("abc", "abc")])
