"""The regression of rows on conditions, against scikit-learn's and against fits without a row."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge

from skae.engine.data import Rows
from skae.engine.regression import regress

N, D, Q = 40, 5, 3


@pytest.fixture
def table(rng):
    """Centred rows and conditions, the last of which is the sum of the others."""
    c = rng.normal(size=(N, Q)) * [1, 3, 0.2]
    c = np.column_stack([c, c.sum(1)])
    X = c[:, :Q] @ rng.normal(size=(Q, D))
    return X - X.mean(0), c - c.mean(0)


def regressed(X, c, weight=None):
    x = Rows(X, dtype=torch.float64, device=torch.device("cpu"))
    slopes, residuals = regress(x, torch.from_numpy(c), None if weight is None else torch.from_numpy(weight))
    return slopes.numpy(), residuals


@pytest.mark.parametrize("weighted", [False, True])
def test_slopes_are_those_of_least_squares(table, rng, weighted):
    """Where there is no noise. A column that repeats the others is no harm."""
    X, c = table
    weight = rng.random(N) if weighted else None
    if weighted:
        X, c = (part - np.average(part, axis=0, weights=weight) for part in (X, c))
    slopes, _ = regressed(X, c, weight)
    expected = LinearRegression(fit_intercept=False).fit(c[:, :Q], X, sample_weight=weight).predict(c[:, :Q])
    np.testing.assert_allclose(c @ slopes, expected, atol=1e-3)


def test_residuals_are_those_of_fits_without_the_row(rng):
    X, c = rng.normal(size=(N, D)), rng.normal(size=(N, 2))  # uncentred: neither fit has a constant
    slopes, residuals = regressed(X, c)
    singular, V = np.linalg.svd(c)[1:]
    alpha = (V @ c.T @ X)[0, 0] / (V @ slopes)[0, 0] - singular[0] ** 2  # the ridge penalty that was chosen
    for i in range(0, N, 7):
        others = np.arange(N) != i
        without = Ridge(alpha, fit_intercept=False).fit(c[others], X[others])
        np.testing.assert_allclose(residuals[i : i + 1][0], X[i] - without.predict(c[i : i + 1])[0], atol=1e-6)


def test_many_conditions_of_few_rows_do_not_explain_noise(rng):
    """Least squares would leave nothing over."""
    X, c = rng.normal(size=(N, D)), rng.normal(size=(N, 100))
    X, c = X - X.mean(0), c - c.mean(0)
    slopes, residuals = regressed(X, c)
    assert (c @ slopes).var() < 0.3
    assert residuals.total(None) == pytest.approx(D, rel=0.3)
    assert residuals.total(torch.ones(N)) == pytest.approx(residuals.total(None))
