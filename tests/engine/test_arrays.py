"""Arrays: rows with their weights and y, merged, weighed, and seen in a frame."""

import numpy as np
import pytest
import torch
from scipy import sparse

from skae.engine.arrays import Arrays
from skae.engine.data import Rows
from skae.engine.frame import Frame

CPU = torch.device("cpu")


@pytest.fixture
def X(rng):
    return rng.integers(0, 2, (40, 3)).astype(float)


def test_merged_rows_are_independent_of_order_and_of_how_they_are_counted(X, rng):
    times = rng.integers(0, 4, 40)
    merged = Arrays(X, times.astype(float)).learnt(merge=True)
    distinct, counted = np.unique(np.repeat(X, times, axis=0), axis=0, return_counts=True)
    assert np.array_equal(merged.X, distinct)
    np.testing.assert_allclose(merged.weight, counted / counted.mean())
    order = rng.permutation(times.sum())
    repeated = Arrays(np.repeat(X, times, axis=0)[order]).learnt(merge=True)
    assert np.array_equal(merged.X, repeated.X)
    assert np.array_equal(merged.weight, repeated.weight)


def test_rows_are_merged_together_with_their_y(X, rng):
    y = rng.integers(0, 2, (40, 2)).astype(float)
    merged = Arrays(X, None, y).learnt(merge=True)
    distinct, counted = np.unique(np.hstack([X, y]), axis=0, return_counts=True)
    assert np.array_equal(np.hstack([merged.X, merged.y]), distinct)
    np.testing.assert_allclose(merged.weight, counted / counted.mean())


@pytest.mark.parametrize("hold", [np.asfortranarray, sparse.csr_matrix, torch.from_numpy])
def test_merging_is_the_same_whatever_holds_the_rows(hold, X):
    weight = np.arange(40.0)
    merged, expected = (Arrays(held, weight, held).learnt(merge=True) for held in (hold(X), X))
    for a, b in ((merged.X, expected.X), (merged.y, expected.y), (merged.weight, expected.weight)):
        assert isinstance(a, np.ndarray)
        assert np.array_equal(a, b)


def test_equal_weights_are_no_weights_and_rows_without_weight_are_none():
    merged = Arrays(np.array([[3.0], [1.0], [2.0], [9.0]]), np.array([2.0, 2.0, 2.0, 0.0])).learnt(merge=True)
    assert merged.weight is None
    assert np.array_equal(merged.X, [[1.0], [2.0], [3.0]])


def test_weights_have_mean_one_where_rows_are_not_merged(X):
    weight = np.arange(40.0)
    data = Arrays(X, weight)
    assert np.array_equal(data.learnt(merge=False).X, X)
    np.testing.assert_allclose(data.learnt(merge=False).weight, weight / weight.mean())
    assert np.array_equal(data.weight, np.arange(40.0))


def test_a_part_keeps_rows_weights_and_y_together(X):
    part = Arrays(X, np.arange(40.0), X + 1).take(np.array([7, 3]))
    assert np.array_equal(part.X, X[[7, 3]])
    assert np.array_equal(part.weight, [7.0, 3.0])
    assert np.array_equal(part.y, X[[7, 3]] + 1)


def test_targets_are_framed_where_they_have_a_frame(X):
    data = Arrays(X, np.ones(40), sparse.csr_array(X * 10))
    frame, target_frame = Frame(np.ones(3), 2.0), Frame(np.full(3, 5.0), 10.0)
    batch = data.seen(frame, target_frame, torch.float32, CPU, resident=True)[torch.tensor([4, 1])]
    np.testing.assert_allclose(batch.x, (X[[4, 1]] - 1) / 2)
    np.testing.assert_allclose(batch.y, (X[[4, 1]] * 10 - 5) / 10)
    assert (batch.x.dtype, batch.y.dtype, batch.weight.dtype) == (torch.float32,) * 3
    assert isinstance(data.seen(frame, target_frame, torch.float32, CPU).y, Rows)
    plain = Arrays(X, None, X * 10).seen(frame, None, torch.float32, CPU)[slice(0, 2)]
    np.testing.assert_allclose(plain.y, X[:2] * 10)


def test_batches_are_rows_as_they_came_before_there_is_a_frame(X):
    batch = Arrays(X.astype(np.float32))[slice(2, 5)]
    assert batch.x.dtype == torch.float32
    assert np.array_equal(batch.x, X[2:5])


def test_every_batch_is_looked_at(X):
    seen = []
    table = Arrays(X).seen(None, None, torch.float64, CPU, look=lambda index, x: seen.append((index, x.shape)))
    table[slice(0, 7)]
    assert seen == [(slice(0, 7), (7, 3))]
