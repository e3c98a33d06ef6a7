"""Neighbour graphs: against sorted distances, scikit-learn's graphs and scipy's components."""

import sys
import tracemalloc
import types

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs
from sklearn.neighbors import KNeighborsTransformer, kneighbors_graph

from skae.base import graphs
from skae.base.graphs import Graph, check_metric, nearest_rows, read_graph

K = 4


@pytest.fixture(scope="module")
def rows():
    """Rows with zeros, of which none is all zero."""
    rng = np.random.default_rng(0)
    return 1.0 + rng.random((60, 20)) * (rng.random((60, 20)) < 0.3)


def sorted_neighbors(X, k, metric):
    """The k nearest other rows of each row, by sorting all distances."""
    distances = cdist(X, X, "cityblock" if metric == "manhattan" else metric)
    np.fill_diagonal(distances, np.inf)
    order = distances.argsort(axis=1)[:, :k]
    return order, np.take_along_axis(distances, order, axis=1)


@pytest.mark.parametrize(
    ("metric", "convert"),
    [
        ("euclidean", np.asarray),
        ("cosine", sparse.csr_array),
        ("manhattan", np.asarray),
        ("euclidean", torch.from_numpy),
        (lambda x, y: np.sqrt(np.abs(x - y)).sum(), np.asarray),
    ],
)
def test_the_nearest_rows_are_those_of_sorted_distances(metric, convert, rows):
    graph = nearest_rows(convert(rows.copy()), K, metric)
    expected, distances = sorted_neighbors(rows, K, metric)
    assert len(graph) == len(rows)
    np.testing.assert_array_equal(graph.indices.reshape(-1, K), expected)
    np.testing.assert_allclose(graph.distances.reshape(-1, K), distances, rtol=1e-6)
    np.testing.assert_array_equal(graph.sources, np.repeat(np.arange(len(rows)), K))


def test_metrics_of_truth_values_take_0_and_1_without_a_warning(rows):
    X = (rows > 1.0).astype(float)
    graph = nearest_rows(X, K, "jaccard")
    _, distances = sorted_neighbors(X > 0, K, "jaccard")
    np.testing.assert_allclose(graph.distances.reshape(-1, K), distances)


def test_copies_are_neighbours_of_each_other_and_no_row_is_its_own():
    X = np.repeat(np.arange(4.0), 5)[:, None]
    graph = nearest_rows(X, 3, "euclidean")
    assert (graph.indices != graph.sources).all()
    assert not graph.distances.any()
    assert graph.pieces().tolist() == [5, 5, 5, 5]


def test_neighbours_of_rows_far_from_zero_do_not_drown_in_rounding(rows):
    far = rows + 2.0**30
    graph = nearest_rows(far, K, "euclidean")
    np.testing.assert_array_equal(graph.indices, nearest_rows(far - 2.0**30, K, "euclidean").indices)


# ---------------------------------------------------------------- graphs that are passed


def of_transformer(X, k):
    return KNeighborsTransformer(n_neighbors=k).fit_transform(X)  # with each row itself, k + 1 entries


def of_function(X, k):
    return kneighbors_graph(X, k, mode="distance")


def unsorted(X, k):
    coo = of_function(X, k).tocoo()
    order = np.random.default_rng(0).permutation(len(coo.data))
    return sparse.coo_array((coo.data[order], (coo.row[order], coo.col[order])), shape=coo.shape)


@pytest.mark.parametrize("make", [of_transformer, of_function, unsorted])
@pytest.mark.parametrize("more", [0, 3])
def test_a_passed_graph_is_the_graph_that_is_found_here(make, more, rows):
    """Of a graph with more neighbours than are asked for, the nearest count."""
    expected, found = nearest_rows(rows, K, "euclidean"), read_graph(make(rows, K + more), len(rows), K).nearest(K)
    np.testing.assert_array_equal(found.indptr, expected.indptr)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.distances, expected.distances, rtol=1e-9, atol=1e-9)


def test_a_graph_may_have_rows_of_different_length():
    matrix = sparse.csr_array(np.array([[0, 2.0, 1.0], [2.0, 0, 0], [1.0, 0, 0]]))
    found = read_graph(matrix, 3)
    assert found.indptr.tolist() == [0, 2, 3, 4]
    assert found.indices.tolist() == [2, 1, 0, 0]
    assert found.distances.tolist() == [1.0, 2.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda G: G.toarray(), "got a ndarray"),
        (lambda G: G[:50], "got shape (50, 60)"),
        (lambda G: G[:, :50], "got shape (60, 50)"),
        (lambda G: "graph", "got a str"),
        (lambda G: G.multiply(-1.0).tocsr(), "negative, infinite or NaN distance in row 0"),
        (lambda G: sparse.csr_array((np.full(len(G.data), np.nan), G.indices, G.indptr)), "in row 0: pass distances"),
        (lambda G: sparse.diags_array(np.arange(60) != 7, dtype=float) @ G, "0 neighbours of row 7, but 4 are needed"),
        (lambda G: of_function(np.arange(60.0)[:, None], K - 1), "has 3 neighbours of row 0, but 4 are needed"),
    ],
)
def test_a_wrong_graph_is_refused_in_a_sentence(spoil, told, rows):
    graph = sparse.csr_array(of_function(rows, K))
    bad = spoil(graph)
    if "0 neighbours" in told:
        bad.eliminate_zeros()
    with pytest.raises(ValueError, match=r"^neighbors ") as caught:
        read_graph(bad, 60, K)
    assert told in str(caught.value)
    assert str(caught.value).count(". ") == 0


# ---------------------------------------------------------------- what a graph can do


def test_pieces_are_the_components_of_scipy():
    X, _ = make_blobs([50, 20, 30], centers=[[0.0] * 3, [40.0] * 3, [-90.0] * 3], random_state=0)
    graph = nearest_rows(X, K, "euclidean")
    assert graph.pieces().tolist() == [50, 30, 20]
    n, number = connected_components(of_function(X, K), directed=False)
    assert len(graph.pieces()) == n
    assert sorted(np.bincount(number)) == sorted(graph.pieces())


def test_one_edge_joins_two_pieces_whatever_its_direction():
    graph = Graph(np.array([0, 1, 2, 3, 5]), np.array([1, 0, 3, 2, 1]), np.ones(5))
    assert graph.pieces().tolist() == [4]
    assert graph.keep(np.arange(5) < 4).pieces().tolist() == [2, 2]


def test_some_edges_and_some_rows(rows):
    graph = nearest_rows(rows, K, "euclidean")
    dense = sparse.csr_array((graph.distances, graph.indices, graph.indptr), shape=(60, 60)).toarray()
    kept = graph.keep(graph.indices % 2 == 0)
    even = np.where(np.arange(60) % 2 == 0, dense, 0)
    np.testing.assert_array_equal(
        sparse.csr_array((kept.distances, kept.indices, kept.indptr), (60, 60)).toarray(), even
    )
    some = np.array([1, 2, 5, 9, 30, 31, 32, 59])
    part = graph.among(some)
    found = sparse.csr_array((part.distances, part.indices, part.indptr), (8, 8)).toarray()
    np.testing.assert_array_equal(found, dense[np.ix_(some, some)])


def test_radii_are_root_mean_square_distances():
    """Of a row without a neighbour, or among copies, the least of the others: a logarithm of 0 is no number."""
    graph = Graph(np.array([0, 2, 3, 3, 4]), np.array([1, 2, 0, 1]), np.array([1.0, 3.0, 2.0, 0.0]))
    np.testing.assert_allclose(graph.log_radii(), np.log([5.0, 4.0, 4.0, 4.0]))
    copies = Graph(np.array([0, 1, 2]), np.array([1, 0]), np.zeros(2))
    assert copies.log_radii().tolist() == [0.0, 0.0]


# ---------------------------------------------------------------- many rows, and metrics


def test_many_rows_of_many_columns_are_searched_approximately_if_that_is_installed(rows, monkeypatch):
    """pynndescent lists each row among its own neighbours, but may leave it out among copies."""
    expected = nearest_rows(rows, K, "euclidean")
    asked = {}

    class NNDescent:
        def __init__(self, X, metric, n_neighbors, random_state, **options):
            asked.update(metric=metric, n_neighbors=n_neighbors, random_state=random_state)
            order, distances = sorted_neighbors(X, n_neighbors, metric)
            order = np.hstack([np.arange(len(X))[:, None], order[:, :-1]])
            order[3] = sorted_neighbors(X, n_neighbors, metric)[0][3]
            order[5, -2:] = -1  # no more have been found
            self.neighbor_graph = order, np.hstack([np.zeros((len(X), 1)), distances[:, :-1]])

    monkeypatch.setattr(graphs, "EXACT", 0)
    known = {"named_distances": {"euclidean"}, "sparse_named_distances": {"cosine"}}
    for name in ("pynndescent", "pynndescent.distances", "pynndescent.sparse"):
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(NNDescent=NNDescent, **known))
    graph = nearest_rows(rows, K, "euclidean")
    assert asked == {"metric": "euclidean", "n_neighbors": K + 1, "random_state": 0}
    found = (expected.sources != 5) | (np.arange(60 * K) % K < K - 2)
    np.testing.assert_array_equal(graph.indices, expected.indices[found])
    np.testing.assert_array_equal(graph.sources, expected.sources[found])
    for X, metric in ((rows, "cityblock"), (sparse.csr_array(rows), "euclidean")):
        with pytest.warns(UserWarning, match=f"take minutes, and pynndescent has no metric='{metric}'"):
            assert len(nearest_rows(X, K, metric)) == 60
    monkeypatch.setitem(sys.modules, "pynndescent", None)
    with pytest.warns(UserWarning, match="pip install pynndescent"):
        exact = nearest_rows(rows, K, "euclidean")
    np.testing.assert_array_equal(exact.indices, expected.indices)
    assert (
        nearest_rows(rows[:, :5], K, "euclidean").indices != expected.indices
    ).any()  # few columns: without a warning


@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_distances_that_are_no_numbers_are_refused(rows):
    """A row of equal numbers has no correlation."""
    X = rows.copy()
    X[7] = 3.0
    with pytest.raises(ValueError, match="metric='correlation' gives distances that are NaN or infinite: use another"):
        nearest_rows(X, K, "correlation")


def know_no_metrics(monkeypatch):
    """Put a pynndescent without any metric in the place of the installed one."""
    modules = {
        "pynndescent": {"NNDescent": Refusing},
        "pynndescent.distances": {"named_distances": {}},
        "pynndescent.sparse": {"sparse_named_distances": {}},
    }
    for name, members in modules.items():
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(**members))


class Refusing:
    """A search that is not to be asked."""

    def __init__(self, X, metric, **options):
        raise ValueError(f"Metric {metric} is neither callable, nor a recognised string")


@pytest.mark.parametrize("metric", ["nan_euclidean", lambda x, y: np.abs(x - y).max()])
def test_metrics_that_pynndescent_does_not_have_are_computed_exactly(metric, rows, monkeypatch):
    expected = nearest_rows(rows, K, metric)
    monkeypatch.setattr(graphs, "EXACT", 0)
    know_no_metrics(monkeypatch)
    with pytest.warns(UserWarning, match="pynndescent has no metric="):
        found = nearest_rows(rows, K, metric)
    np.testing.assert_array_equal(found.indices, expected.indices)


def test_distances_are_computed_in_small_blocks(monkeypatch):
    X = np.random.default_rng(0).normal(size=(1500, 3))
    expected = nearest_rows(X, K, "cosine")
    monkeypatch.setattr(graphs, "BLOCK_MIB", 1)
    tracemalloc.start()
    found = nearest_rows(X, K, "cosine")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(found.indices, expected.indices)
    assert peak < 8 * 1500**2 / 2  # all distances have 18 MB


def test_few_columns_without_a_tree_are_searched_approximately_too(rows, monkeypatch):
    monkeypatch.setattr(graphs, "EXACT", 0)
    know_no_metrics(monkeypatch)
    for X, metric in ((rows[:, :5], "cosine"), (sparse.csr_array(rows[:, :5]), "euclidean")):
        with pytest.warns(UserWarning, match="pynndescent has no metric="):
            nearest_rows(X, K, metric)


def test_an_unknown_metric_is_refused_with_what_was_meant():
    with pytest.raises(ValueError, match="metric='euclidian' is no metric of scikit-learn: use 'euclidean'"):
        check_metric("euclidian")
    with pytest.raises(ValueError, match="use one of 'braycurtis', 'canberra'"):
        check_metric("zzzzzz")
    for metric in ("cosine", "haversine", "l2", lambda x, y: 0.0):
        check_metric(metric)
