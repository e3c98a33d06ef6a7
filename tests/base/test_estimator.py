"""What the template of every fit measures and hands on."""

import numpy as np

from skae import Autoencoder
from skae.engine import data as _data


def test_the_loss_of_held_out_rows_is_that_of_all_of_them_at_once(iris, monkeypatch):
    """Whatever the size of the chunks in which it is summed, the last of which is shorter here."""
    model = Autoencoder(
        2, hidden_layer_sizes=(5,), early_stopping=True, max_iter=3, dtype="float64", shuffle=False, random_state=0
    )
    whole = model.fit(iris).history_["validation_loss"]
    monkeypatch.setattr(_data.chunks, "__defaults__", (4 * 7,))  # seven of the 15 rows at a time
    np.testing.assert_allclose(model.fit(iris).history_["validation_loss"], whole, rtol=1e-9)
