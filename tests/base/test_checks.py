"""Checks of X that are made on the way through the module."""

import numpy as np
import pytest
import torch
from scipy import sparse

from skae import Autoencoder
from skae.base import encoding as _encoding


@pytest.mark.parametrize("hold", [np.asarray, sparse.csr_array, torch.from_numpy], ids=["array", "CSR", "tensor"])
@pytest.mark.parametrize("method", ["transform", "score", "score_samples"])
def test_a_number_that_is_none_is_named_in_whichever_chunk_it_lies(iris, monkeypatch, method, hold):
    model = Autoencoder(2, hidden_layer_sizes=(4,), max_iter=1, random_state=0).fit(iris)
    monkeypatch.setattr(_encoding, "CHUNK_BYTES", 4 * 4 * 10)  # ten rows of four numbers in float32
    X = iris.copy()
    X[37, 2] = np.nan
    with pytest.raises(ValueError, match="NaN in row 37, column 2"):
        getattr(model, method)(hold(X))
