"""States of fitted estimators: what a call that fails leaves behind."""

import numpy as np
import pytest
import torch

from skae import Autoencoder

QUICK = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_fit_that_fails_draws_no_random_numbers(iris, method):
    """So that what is drawn afterwards is what would have been drawn without it."""
    model = Autoencoder(2, max_iter=1, batch_size=50, warm_start=True, random_state=0).fit(iris)
    before = model._rng.get_state()
    model.set_params(learning_rate_init=1e30)
    with pytest.raises(ValueError, match="became"):
        getattr(model, method)(np.vstack([iris] * 2))
    assert torch.equal(model._rng.get_state(), before)
