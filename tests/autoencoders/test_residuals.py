"""The noise of ``sample``: the covariance of the residuals of all chunks, against plain means over all rows."""

import pickle

import numpy as np
import pytest
import torch

from skae import DenoisingAutoencoder
from skae.autoencoders import _residuals
from skae.autoencoders._residuals import Residuals

STILL = {"learning_rate_init": 1e-300, "dtype": "float64", "hidden_layer_sizes": (4,), "random_state": 0}
"""Weights that no step moves."""
CHUNKS = [slice(0, 40), slice(40, 55), slice(55, 56), slice(56, 120)]


def halved(X, rng):
    """A corruption without chance."""
    return X / 2


def covariance(model):
    R = model._residuals.root()
    return R.T @ R * model.scale_**2


def expected(model, X, weight=None):
    residuals = X - model.denoise(model.corrupt(X))
    weight = np.ones(len(X)) if weight is None else weight
    return residuals.T * weight @ residuals / weight.sum()


@pytest.fixture
def X(rng):
    return rng.standard_normal((120, 6)) @ rng.standard_normal((6, 6)) + 5


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("most_columns", [1024, 3])
def test_chunks_add_up_to_one_pass_over_all_rows(X, rng, weighted, most_columns, monkeypatch):
    monkeypatch.setattr(_residuals, "MOST_COLUMNS", most_columns)
    monkeypatch.setattr(_residuals, "N_MIXED", 20_000)  # wide rows: the sum is right in mean over many mixtures
    weight = rng.uniform(0.1, 3.0, 120) if weighted else None
    model = DenoisingAutoencoder(2, corruption=halved, **STILL)
    for seen, rows in enumerate(CHUNKS, 1):
        model.partial_fit(X[rows], sample_weight=None if weight is None else weight[rows])
        so_far = slice(0, CHUNKS[seen - 1].stop)
        truth = expected(model, X[so_far], None if weight is None else weight[so_far])
        tolerance = {"rtol": 1e-9} if most_columns > 6 or seen == 1 else {"atol": 0.04 * np.trace(truth)}
        np.testing.assert_allclose(covariance(model), truth, **tolerance)
        model = pickle.loads(pickle.dumps(model))


def test_samples_after_chunks_have_the_noise_of_all_of_them(X):
    """One step from the mean: the covariance of x is S, as the corruption leaves the mean where it is."""
    model = DenoisingAutoencoder(2, corruption=lambda X, rng: X, **STILL).partial_fit(X[:60])
    X[60:] = model.inverse_transform(model.transform(X[60:]))  # restored without a residual
    model.partial_fit(X[60:])
    Z = model.sample(20_000, n_steps=1, random_state=0)
    truth = expected(model, X)
    np.testing.assert_allclose(np.cov(Z.T), truth, atol=5 * (2 / 20_000) ** 0.5 * np.trace(truth))
    np.testing.assert_allclose(truth, expected(model, X[:60]) / 2, rtol=1e-9, atol=1e-12)  # and not that of the last


def test_residuals_of_other_noise_are_left_out(X):
    model = DenoisingAutoencoder(2, corruption=halved, **STILL).partial_fit(X[:60])
    model.set_params(corruption="masking", corruption_level=0.0).partial_fit(X[60:])
    assert model._residuals is None
    model.set_params(corruption="masking", corruption_level=0.5).partial_fit(X[:60])
    alone = covariance(model)
    model.set_params(corruption=halved).partial_fit(X[60:])
    np.testing.assert_allclose(covariance(model), expected(model, X[60:]), rtol=1e-9)
    model.set_params(corruption="masking", corruption_level=0.5).partial_fit(X[:60])
    np.testing.assert_allclose(covariance(model), alone, rtol=1e-9)


def test_fit_measures_its_own_rows_alone(X):
    model = DenoisingAutoencoder(2, corruption=halved, warm_start=True, max_iter=1, **STILL).fit(X[:60])
    np.testing.assert_allclose(covariance(model.fit(X[60:])), expected(model, X[60:]), rtol=1e-9)
    np.testing.assert_allclose(covariance(model.partial_fit(X[:60])), expected(model, X), rtol=1e-9)


@pytest.mark.parametrize("n", [1, 5, 8, 12, 40])
def test_mixtures_are_a_root_of_the_covariance(n, monkeypatch):
    """Exactly, unless there are more rows and columns than mixtures; then in mean, over 2000 of them."""
    monkeypatch.setattr(_residuals, "MOST_COLUMNS", 3)
    monkeypatch.setattr(_residuals, "N_MIXED", 8)
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(n, 10, generator=rng, dtype=torch.float64)
    noise = ("gaussian", 0.3, 1)
    roots = [Residuals.of(x + 1e-9 * k, None, n, noise).root() for k in range(2000 if n > 8 else 1)]
    assert {root.shape for root in roots} == {(min(n, 8), 10)}
    found = np.mean([R.T @ R for R in roots], axis=0)
    truth = (x.T @ x / n).numpy()
    np.testing.assert_allclose(found, truth, atol=1e-12 if n <= 8 else 0.08 * np.diag(truth).max())
