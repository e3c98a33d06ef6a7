"""Scores against their formulas; those of predictions are in test_prediction.py."""

import numpy as np
import pytest
from contract.tables import entering, predicts_nothing

from skae.base import Generative


def is_density(estimator):
    return predicts_nothing(estimator) and isinstance(estimator, Generative)


def is_deterministic(estimator):
    return predicts_nothing(estimator) and not isinstance(estimator, Generative)


@entering("scores", is_deterministic)
def test_score_is_r2_against_the_training_mean(estimator, X):
    test = (X[:7] + 0.1).clip(0, 1)
    X_hat = estimator.fit(X).inverse_transform(estimator.transform(test))
    weight = np.arange(7.0)
    errors, totals = ((test - X_hat) ** 2).sum(1), ((test - X.mean(0)) ** 2).sum(1)
    np.testing.assert_allclose(estimator.score(test), 1 - errors.sum() / totals.sum(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        estimator.score(test, sample_weight=weight), 1 - (weight @ errors) / (weight @ totals), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(estimator.score_samples(test), -errors, rtol=1e-3, atol=1e-5)


@entering("scores", predicts_nothing)
def test_the_score_of_a_row_depends_on_that_row_alone(estimator, X, y):
    whole = estimator.fit(X, y).score_samples(X)
    for rows in (slice(0, 1), slice(3, 10), slice(11, 30)):
        np.testing.assert_allclose(estimator.score_samples(X[rows]), whole[rows], rtol=1e-12)


@entering("scores", is_density)
def test_score_is_the_mean_log_likelihood(estimator, X, y):
    estimator.fit(X, y)
    scores, weight = estimator.score_samples(X), np.arange(30.0)
    np.testing.assert_allclose(estimator.score(X), scores.mean(), rtol=1e-5)
    np.testing.assert_allclose(estimator.score(X, sample_weight=weight), weight @ scores / weight.sum(), rtol=1e-5)


@entering("scores", predicts_nothing)
def test_a_weight_for_each_row(estimator, X, y):
    estimator.fit(X, y)
    with pytest.raises(ValueError, match="sample_weight"):
        estimator.score(X, sample_weight=np.ones(29))
