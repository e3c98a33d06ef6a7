"""A file holds sums over the training rows, and no row: nothing in it looks like one."""

import numpy as np
import pytest
from contract.tables import CLASSES, target_of
from sklearn.base import BaseEstimator, clone

from skae import DenoisingAutoencoder
from skae.autoencoders import _residuals

ALIKE = 0.9
"""A correlation that only a row itself reaches.

Rows of many columns are nearly orthogonal. A sum of w_i x_i over them then has the correlation w_i / |w| with row i.
That is n^-1/2 in a mean, and about (2 log n / n)^1/2 for the largest of random weights, 0.26 here. The largest found is
0.7, in gradients, where rows with a large code count more. At 0.9 one row counts more than all others together.
"""
SHAPES = [(150, 200), (150, 100)]
"""Fewer rows than columns, and more."""
QUICK = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}
DENOISING = {
    corruption: DenoisingAutoencoder(corruption=corruption, **QUICK)
    for corruption in ("masking", "salt_and_pepper", "swap", "bert")
} | {"walkback": DenoisingAutoencoder(walkback=3, **QUICK)}


def arrays(value):
    """All arrays of numbers that can be reached from a value, those of estimators inside too."""
    if isinstance(value, BaseEstimator):
        value = value.__getstate__()
    if isinstance(value, np.ndarray):
        return [value.astype(float)] if value.dtype.kind in "fiu" else []
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else []
    return [array for part in parts for array in arrays(part)]


def likeness(array, rows):
    """Largest correlation of a row with a row or column of an array, or with adjacent numbers in a flat one."""
    width = rows.shape[1]
    if array.ndim == 1 and len(array) >= width:
        lines = [np.lib.stride_tricks.sliding_window_view(array, width)]
    else:
        lines = [np.moveaxis(array, k, -1).reshape(-1, width) for k, n in enumerate(array.shape) if n == width]
    return max((np.abs(unit(line) @ unit(rows).T).max() for line in lines), default=0.0)


def unit(rows):
    """Rows of mean zero and length one."""
    rows = rows - rows.mean(1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12)


def require_no_row(model, X):
    found = arrays(model)
    assert sum(array.size for array in found) > X.shape[1]
    assert max(likeness(array, X - X.mean(0)) for array in found) < ALIKE


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", [*CLASSES, *DENOISING])
def test_no_array_of_a_file_looks_like_a_row(name, shape):
    X = np.random.default_rng(0).standard_normal(shape)
    y = target_of(CLASSES[name], len(X)) if name in CLASSES else None
    require_no_row(clone((CLASSES | DENOISING)[name]).fit(X, y), X)


@pytest.mark.parametrize("n_mixed", [200, 150, 100])
def test_no_row_of_wide_residuals_is_kept(n_mixed, monkeypatch):
    monkeypatch.setattr(_residuals, "MOST_COLUMNS", 100)
    monkeypatch.setattr(_residuals, "N_MIXED", n_mixed)
    X = np.random.default_rng(0).standard_normal((150, 200))
    model = DenoisingAutoencoder(**QUICK).fit(X)
    require_no_row(model, X)
    require_no_row(model.partial_fit(X[:40]), X)
    assert model._residuals.moments.shape == (n_mixed, 200)


def test_a_row_in_a_file_is_found():
    """Whatever its scale and its place: in a matrix, in its transpose, or among other numbers."""
    X = np.random.default_rng(0).standard_normal((150, 200))
    noise = np.random.default_rng(1).standard_normal((7, 200))
    residuals = 3 * X[:7] + noise
    for hidden in (residuals, residuals.T, residuals.ravel(), np.append(noise, X[5])):
        assert likeness(hidden, X - X.mean(0)) > ALIKE
    assert likeness(noise, X) < 0.4
