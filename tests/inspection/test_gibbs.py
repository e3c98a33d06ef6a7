"""GibbsDisplay: one chain seen at several steps, what is drawn of it, and what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.decomposition import PCA

from skae import RBM, DeepBeliefNetwork
from skae.inspection import GibbsDisplay


@pytest.fixture(scope="module")
def rbm(digits):
    return RBM(5, visible="bernoulli", max_iter=2, random_state=0).fit(digits / 16)


@pytest.fixture(scope="module")
def network(digits):
    return DeepBeliefNetwork(5, hidden_layer_sizes=(6,), visible="bernoulli", max_iter=2, random_state=0).fit(
        digits / 16
    )


def draw(estimator, X, **options):
    return GibbsDisplay.from_estimator(estimator, X / 16, **{"n_steps": (0, 1, 3), "n_chains": 4, **options})


# -------------------------------------------------------------------- the chain


@pytest.mark.parametrize("model", ["rbm", "network"])
def test_states_are_those_of_one_chain(model, digits, request):
    estimator = request.getfixturevalue(model)
    states = draw(estimator, digits, random_state=3).states
    assert list(states) == [0, 1, 3]
    np.testing.assert_array_equal(states[0], digits[:4] / 16)
    for n in (1, 3):
        np.testing.assert_array_equal(states[n], estimator.gibbs(digits[:4] / 16, n, random_state=3))


def test_a_longer_chain_goes_on_from_the_shorter_one(rbm, digits):
    states = draw(rbm, digits, random_state=3).states
    machine, rng = rbm.module_, rbm._noise(3)
    with torch.no_grad():
        s = machine.gibbs(torch.as_tensor(states[0], dtype=torch.float32), 1, rng)
        np.testing.assert_array_equal(states[1], s)
        np.testing.assert_array_equal(states[3], machine.gibbs(s, 2, rng))


def test_the_seed_is_the_estimators_unless_one_is_given(rbm, digits):
    own, again, other = (draw(rbm, digits, random_state=seed).states[3] for seed in (None, 0, 1))
    np.testing.assert_array_equal(own, again)
    assert not np.array_equal(own, other)


def test_a_generator_is_one_seed_for_the_whole_chain(rbm, digits):
    states = draw(rbm, digits, random_state=np.random.RandomState(7)).states
    seed = np.random.RandomState(7).randint(2**31 - 1)
    np.testing.assert_array_equal(states[3], rbm.gibbs(digits[:4] / 16, 3, random_state=seed))


def test_without_any_seed_the_global_generator_is_left_alone(digits):
    rbm = RBM(2, visible="bernoulli", max_iter=1).fit(digits / 16)
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    first, second = draw(rbm, digits).states, draw(rbm, digits).states
    assert not np.array_equal(first[3], second[3])
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_without_rows_the_chains_start_at_a_sample_of_the_model(rbm):
    states = GibbsDisplay.from_estimator(rbm, n_steps=(0, 2), n_chains=3, random_state=1).states
    start = rbm.sample(3, 1, random_state=1)
    np.testing.assert_array_equal(states[0], start)
    np.testing.assert_array_equal(states[2], rbm.gibbs(start, 2, random_state=1))


def test_means_are_what_the_model_expects_at_the_states(rbm, digits):
    states, means = draw(rbm, digits).states, draw(rbm, digits, means=True).states
    np.testing.assert_array_equal(means[0], states[0])
    np.testing.assert_array_equal(means[3], rbm.inverse_transform(rbm.transform(states[3])))


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_array, pd.DataFrame])
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_all_kinds_of_input(rbm, digits, container):
    display = GibbsDisplay.from_estimator(rbm, container(digits / 16), n_steps=(0, 2), n_chains=3)
    expected = GibbsDisplay.from_estimator(rbm, digits / 16, n_steps=(0, 2), n_chains=3)
    for n in (0, 2):
        np.testing.assert_array_equal(display.states[n], expected.states[n])


def test_frames_and_their_names_are_taken(iris):
    frame = pd.DataFrame(iris, columns=list("abcd"))
    rbm = RBM(3, max_iter=1, random_state=0).fit(frame)
    display = GibbsDisplay.from_estimator(rbm, frame, n_steps=(0, 1), n_chains=2, means=True)
    assert [tick.get_text() for tick in display.axes_[-1].get_xticklabels()] == list("abcd")
    GibbsDisplay.from_estimator(rbm, n_steps=(0, 1), n_chains=2)


# -------------------------------------------------------------------- what is drawn


def test_pictures_stand_in_lines_of_steps_and_columns_of_chains(rbm, digits):
    display = draw(rbm, digits)
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["start", "1 step", "3 steps"]
    images = [image.get_array() for image in display.ax_.images]
    np.testing.assert_array_equal(images, np.concatenate(list(display.states.values())).reshape(-1, 8, 8))
    left, _, bottom, _ = np.array([image.get_extent() for image in display.ax_.images]).T
    assert (np.diff(left.reshape(3, 4)) > 8).all()
    assert (np.diff(bottom.reshape(3, 4), axis=0) > 8).all()


def test_rows_that_are_no_pictures_are_profiles(rbm, digits):
    display = draw(rbm, digits, image_shape=None)
    assert len(display.axes_) == 4
    for chain, ax in enumerate(display.axes_):
        lines = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
        assert list(lines) == ["start", "1 step", "3 steps"]
        np.testing.assert_array_equal(lines["3 steps"], display.states[3][chain])
    display.figure_.canvas.draw()


# -------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_steps": ()}, r"n_steps=\(\) are not steps of a chain: pass ascending whole numbers"),
        ({"n_steps": (3, 1)}, r"n_steps=\(3, 1\) are not steps"),
        ({"n_steps": (1, 1)}, "are not steps of a chain"),
        ({"n_steps": (-1, 1)}, "are not steps of a chain"),
        ({"n_steps": (0.5, 1)}, "are not steps of a chain"),
        ({"n_steps": 10}, "n_steps=10 are not steps of a chain"),
        ({"n_chains": 0}, "n_chains=0 leaves nothing to draw"),
        ({"n_chains": 1.5}, "n_chains=1.5 leaves nothing to draw"),
        ({"image_shape": (3, 3)}, r"image_shape=\(3, 3\) has 9 numbers, but X has 64"),
    ],
)
def test_bad_choices_are_refused(rbm, digits, options, message):
    with pytest.raises(ValueError, match=message):
        draw(rbm, digits, **options)
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ({}, r"states of shapes \[\] cannot be drawn"),
        ({0: np.ones(4)}, r"states of shapes \[\(4,\)\] cannot be drawn"),
        ({0: np.ones((0, 4))}, "cannot be drawn"),
        ({0: np.ones((2, 4)), 1: np.ones((3, 4))}, r"pass arrays of one shape \(n_chains, n_features\)"),
        ({0: np.full((2, 4), np.nan)}, "The states contain NaN or infinity"),
    ],
)
def test_bad_states_are_refused(states, message):
    with pytest.raises(ValueError, match=message):
        GibbsDisplay(states=states).plot()
    assert not plt.get_fignums()


def test_models_without_a_chain_are_refused(digits):
    with pytest.raises(TypeError, match="PCA has no gibbs: pass a model with a Gibbs chain, such as RBM"):
        draw(PCA(2).fit(digits), digits)
