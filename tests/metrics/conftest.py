"""Rows that are fitted and rows that are scored."""

import numpy as np
import pytest

from skae import Autoencoder


@pytest.fixture(scope="module")
def halves():
    """Rows to fit and rows to score, of another mean."""
    X = np.random.default_rng(0).normal(size=(60, 5)) @ np.random.default_rng(1).normal(size=(5, 5))
    return X[:30] + 3.0, X[30:] + 3.5


@pytest.fixture(scope="module")
def autoencoder(halves):
    return Autoencoder(2, hidden_layer_sizes=(4,), max_iter=3, random_state=0).fit(halves[0])
