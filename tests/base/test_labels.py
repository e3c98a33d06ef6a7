"""What is read off a y of which some values are unknown."""

import numpy as np
import pytest

from skae.base.labels import moments_of_known, read_labels


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_are_those_of_the_known_values_each_as_often_as_its_row_counts(rng, weighted):
    y = rng.standard_normal((20, 3)) * [1, 10, 0.1] + [0, 5, -2]
    y[rng.random(y.shape) < 0.3] = np.nan
    times = rng.integers(0, 4, len(y)) if weighted else np.ones(len(y), int)
    mean, deviation = moments_of_known(y, times.astype(float) if weighted else None)
    repeated = np.repeat(y, times, axis=0)
    np.testing.assert_allclose(mean, np.nanmean(repeated, axis=0), rtol=1e-12)
    np.testing.assert_allclose(deviation, np.nanstd(repeated, axis=0), rtol=1e-12)


def test_a_column_that_is_constant_where_it_counts_has_the_scale_one():
    y = np.array([[1.0, 3.0], [2.0, 3.0], [np.nan, 7.0]])
    mean, scale = moments_of_known(y, np.array([1.0, 1.0, 0.0]))
    assert mean.tolist() == [1.5, 3.0]
    assert scale.tolist() == [0.5, 1.0]


@pytest.mark.parametrize("dtype", [str, object])
def test_a_class_may_be_called_minus(dtype):
    labels = read_labels(np.array(["-", "+", "-"], dtype=dtype), "name")
    assert labels.values.tolist() == ["-", "+", "-"]


def test_tuples_are_no_labels():
    column = np.empty(2, dtype=object)
    column[:] = [(1, 2), (3, 4)]
    with pytest.raises(ValueError, match=r"y has the label \(1, 2\), a tuple: pass numbers, text or datetime64"):
        read_labels(column, "name")
