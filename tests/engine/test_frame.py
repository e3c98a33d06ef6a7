"""Frames: where rows go, and the way back."""

import pickle

import numpy as np
import pytest
import torch

from skae.engine.frame import Frame

MEAN = np.array([1.0, -2.0, 30.0])
SCALES = {"one scale": 4.0, "a scale a column": np.array([1.0, 2.0, 8.0])}


@pytest.fixture
def x():
    return torch.tensor(np.random.default_rng(0).normal(size=(5, 3)))


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_rows_are_centred_and_scaled_and_come_back(scale, x):
    frame = Frame(MEAN, scale)
    torch.testing.assert_close(frame.apply(x), (x - torch.tensor(MEAN)) / torch.tensor(scale))
    torch.testing.assert_close(frame.undo(frame.apply(x)), x)
    assert frame.apply(x.float()).dtype == torch.float32
    assert frame.undo(x.float()).dtype == frame.pull_back(x.float()).dtype == torch.float64
    assert np.array_equal(frame.center, np.zeros(3))


def test_a_frame_that_is_not_centred_leaves_rows_alone_and_knows_their_mean(x):
    frame = Frame(MEAN, 1.0, centred=False)
    assert frame.apply(x) is x
    assert torch.equal(frame.undo(x), x)
    assert np.array_equal(frame.center, MEAN)
    assert frame.log_volume == 0.0


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_derivatives_densities_and_distances_follow_the_change_of_variables(scale, x):
    frame = Frame(MEAN, scale)
    columns = torch.tensor(np.broadcast_to(scale, 3).copy())
    torch.testing.assert_close(frame.pull_back(torch.ones(2, 4, 3, dtype=torch.float64)), torch.ones(2, 4, 3) / columns)
    normal = torch.distributions.Normal(0.0, 1.0)
    seen = normal.log_prob(frame.apply(x)).sum(1) - frame.log_volume
    torch.testing.assert_close(seen, torch.distributions.Normal(torch.tensor(MEAN), columns).log_prob(x).sum(1))
    distance = frame.squared_distance(frame.apply(x), frame.apply(x + 1.0)) * frame.unit**2
    torch.testing.assert_close(distance, torch.full((5,), 3.0, dtype=torch.float64))


def test_a_frame_is_pickled_without_what_it_keeps_for_speed(x):
    frame = Frame(MEAN, SCALES["a scale a column"])
    frame.apply(x)
    again = pickle.loads(pickle.dumps(frame))
    assert torch.equal(again.apply(x), frame.apply(x))
    assert len(again) == 3
    assert len(pickle.dumps(frame)) == len(pickle.dumps(Frame(MEAN, SCALES["a scale a column"])))
