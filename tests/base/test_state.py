"""States of fitted estimators: what a file holds, and which files are refused."""

import pickle

import numpy as np
import pytest
import torch

from skae import Autoencoder, DenoisingAutoencoder

QUICK = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}


def test_a_file_of_another_layout_is_refused_with_its_version_and_a_cure(iris):
    state = Autoencoder(2, **QUICK).fit(iris).__getstate__() | {"_skae_version": "0.1.0"}
    del state["_format"]
    with pytest.raises(ValueError, match=r"saved by skae 0\.1\.0, .* cannot read: fit it again"):
        Autoencoder().__setstate__(state)


def test_frames_come_back_as_they_were(iris):
    model = DenoisingAutoencoder(2, **QUICK).fit(iris, iris[:, :2] + 7)
    state = model.__getstate__()
    assert state["_frame"] is None  # no class of ours is in the file
    again = pickle.loads(pickle.dumps(model))
    for name in ("mean_", "scale_", "target_mean_", "target_scale_"):
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name))


def test_an_estimator_that_is_not_fitted_has_its_parameters_alone():
    state = Autoencoder(3).__getstate__()
    assert state["n_components"] == 3
    assert not [name for name in state if name.startswith("_") and "sklearn" not in name]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_fit_that_fails_draws_no_random_numbers(iris, method):
    """So that what is drawn afterwards is what would have been drawn without it."""
    model = Autoencoder(2, max_iter=1, batch_size=50, warm_start=True, random_state=0).fit(iris)
    before = model._rng.get_state()
    model.set_params(learning_rate_init=1e30)
    with pytest.raises(ValueError, match="became"):
        getattr(model, method)(np.vstack([iris] * 2))
    assert torch.equal(model._rng.get_state(), before)
