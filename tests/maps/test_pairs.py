"""Rows with their neighbours: an epoch draws one of the neighbours or peers of each row, and no other row."""

from collections import Counter

import numpy as np
import pytest
import torch
from scipy import sparse

from skae.base import Arrays, Subset
from skae.base.graphs import Graph, nearest_rows
from skae.engine.data import in_order, to_tensor
from skae.maps import _pairs
from skae.maps._pairs import LinkedArrays, Links

N, K = 30, 4
LABEL = np.where(np.arange(N) % 5 == 0, -1, np.arange(N) % 3)


@pytest.fixture(scope="module")
def graph():
    """Neighbours of rows in two columns. Row i is (i, i^2) after that, so that a row tells its number."""
    return nearest_rows(np.random.default_rng(0).normal(size=(N, 2)), K, "euclidean")


def pairs(graph, peers=None, share=0.0, seed=0, weight=None):
    X = np.stack([np.arange(N), np.arange(N) ** 2], axis=1).astype(float)
    links = LinkedArrays(Arrays(X, weight), Links.of_graph(graph), peers, share)
    table = links.seen(None, None, torch.float64, torch.device("cpu"))
    return table.drawing(torch.Generator().manual_seed(seed))


def numbers(batch):
    """Row numbers of a batch, and of their mates."""
    n = len(batch.x)
    assert torch.equal(batch.shown[:n], batch.x)
    assert torch.equal(batch.shown[:, 0] ** 2, batch.shown[:, 1])
    return batch.x[:, 0].long().numpy(), batch.shown[n:, 0].long().numpy()


def drawn(table, n_epochs, n=N):
    """Pairs (row, mate) of some epochs, each in another order, taken in batches."""
    found = []
    for epoch in range(n_epochs):
        order = torch.randperm(n, generator=torch.Generator().manual_seed(epoch))
        epoch = in_order(table, order)
        for rows in (slice(0, 7), slice(7, n)):
            found += zip(*numbers(epoch[rows]), strict=True)
    return found


def neighbors_of(graph, i):
    return set(graph.indices[graph.indptr[i] : graph.indptr[i + 1]].tolist())


def test_an_epoch_pairs_each_row_with_one_of_its_neighbours_and_each_turns_up(graph):
    found = drawn(pairs(graph), 60)
    assert sorted(i for i, _ in found) == sorted(list(range(N)) * 60)
    for i in range(N):
        assert {j for row, j in found if row == i} == neighbors_of(graph, i)
    times = Counter(found)
    counts = np.array([times[edge] for edge in zip(graph.sources.tolist(), graph.indices.tolist(), strict=True)])
    assert ((counts - 15) ** 2 / 15).sum() < 2 * len(counts)  # each as often as the others


def test_the_neighbour_that_is_not_drawn_is_the_nearest(graph):
    """In a batch that is not of an epoch, such as one of held-out rows."""
    for index in (slice(3, 9), torch.tensor([8, 2, 2])):
        rows, mates = numbers(pairs(graph)[index])
        assert rows.tolist() == torch.arange(N)[index].tolist()
        assert mates.tolist() == graph.indices[graph.indptr[rows]].tolist()


def test_another_seed_draws_others(graph):
    one, same, other = (drawn(pairs(graph, seed=seed), 1) for seed in (0, 0, 1))
    assert one == same != other


def test_weights_are_those_of_the_rows(graph):
    batch = in_order(pairs(graph, weight=np.arange(N, dtype=float)), torch.arange(N).flip(0))[:5]
    assert batch.weight.tolist() == [29, 28, 27, 26, 25]


def test_peers_have_the_same_label_and_are_other_rows(graph):
    found = drawn(pairs(graph, Links.of_classes(LABEL), share=1.0), 60)
    for i in range(N):
        mates = {j for row, j in found if row == i}
        peers = set(np.flatnonzero(LABEL[i] == LABEL).tolist()) - {i} if LABEL[i] >= 0 else neighbors_of(graph, i)
        assert mates - {i} <= peers | neighbors_of(graph, i)
        assert peers <= mates
    labelled = [(i, j) for i, j in found if LABEL[i] >= 0]
    assert np.mean([LABEL[i] == LABEL[j] for i, j in labelled]) > 0.85  # all but the draws of the row itself


def test_a_share_of_the_rows_is_paired_with_peers():
    """Here peers are no neighbours."""
    label = np.repeat([0, 1], N // 2)
    far = (np.arange(N) + N // 2) % N
    graph = Graph(np.arange(N + 1), far, np.ones(N))
    found = np.array(drawn(pairs(graph, Links.of_classes(label), share=0.3), 40))
    is_peer = label[found[:, 0]] == label[found[:, 1]]
    assert is_peer.mean() == pytest.approx(0.3 * 14 / 15, abs=0.04)
    assert not (found[:, 0] == found[:, 1]).any()


def test_rows_of_a_class_of_one_keep_their_neighbours(graph):
    label = np.where(np.arange(N) == 7, 5, 0)
    found = drawn(pairs(graph, Links.of_classes(label), share=1.0), 30)
    assert {j for i, j in found if i == 7} == neighbors_of(graph, 7)


def test_among_some_rows_no_other_is_drawn(graph):
    """Neither as a neighbour nor as a peer, and a row without either is its own."""
    rows = torch.tensor([0, 1, 2, 3, 4, 6, 9, 12, 15])
    for peers, share in ((None, 0.0), (Links.of_classes(LABEL), 0.5)):
        table = pairs(graph, peers, share).among(rows).drawing(torch.Generator().manual_seed(0))
        found = drawn(Subset(table, rows), 60, len(rows))
        assert {i for i, _ in found} == set(rows.tolist())
        for i in rows.tolist():
            mates, near = {j for row, j in found if row == i}, neighbors_of(graph, i) & set(rows.tolist())
            assert mates <= set(rows.tolist())
            assert near <= mates
            if peers is None:
                assert mates == (near or {i})


def test_the_typical_difference_is_that_of_rows_and_their_neighbours():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3)) * [1.0, 2.0, 3.0]
    graph = nearest_rows(X, 5, "euclidean")
    links = LinkedArrays(Arrays(X), Links.of_graph(graph))
    every = X[graph.sources] - X[graph.indices]
    assert links.mean_difference() == pytest.approx(np.sqrt((every**2).mean()), rel=0.05)
    one = LinkedArrays(Arrays(X[:2]), Links.of_graph(Graph(np.arange(3), np.array([1, 0]), np.ones(2))))
    assert one.mean_difference() == pytest.approx(np.sqrt(((X[0] - X[1]) ** 2).mean()))


def test_rows_of_a_wide_sparse_table_are_not_dense_all_at_once(monkeypatch):
    X = sparse.random(N, 50_000, density=1e-3, format="csr", random_state=0)
    graph, sizes = nearest_rows(X, K, "euclidean"), []
    monkeypatch.setattr(_pairs, "to_tensor", lambda x: sizes.append(np.prod(x.shape)) or to_tensor(x))
    found = LinkedArrays(Arrays(X), Links.of_graph(graph)).mean_difference()
    every = (X[graph.sources] - X[graph.indices]).power(2)
    assert found == pytest.approx(np.sqrt(every.mean()), rel=0.05)
    assert max(sizes) <= 2**19
