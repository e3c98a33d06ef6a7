"""Guesses of missing entries: probabilistic PCA in closed form, its EM, and tables whose gaps are filled."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA

from skae.engine import completion
from skae.engine.arrays import Arrays
from skae.engine.completion import Completion, filled, fit_completion
from skae.engine.frame import Frame
from skae.engine.moments import known_moments, moments

D, Q, N = 6, 2, 400
MODULE = torch.float64, torch.device("cpu")


@pytest.fixture
def model(rng):
    """A covariance W W' + s^2 I, and rows drawn from it, of which a third of the entries are missing."""
    W, m = rng.normal(size=(D, Q)), rng.normal(size=D)
    X = m + rng.normal(size=(N, Q)) @ W.T + 0.3 * rng.normal(size=(N, D))
    gappy = np.where(rng.random(X.shape) < 0.3, np.nan, X)
    gappy[np.isnan(gappy).all(1)] = X[np.isnan(gappy).all(1)]
    return W, m, X, gappy


def plain_conditional_mean(x, m, covariance):
    o = ~np.isnan(x)
    guess = m + covariance[:, o] @ np.linalg.solve(covariance[np.ix_(o, o)], (x - m)[o])
    return np.where(o, x, guess)


def test_a_guess_is_the_mean_given_the_observed_entries(model):
    W, m, _, gappy = model
    covariance = W @ W.T + 0.09 * np.eye(D)
    found = Completion(m, W, 0.09, np.ones(D, bool)).complete(torch.from_numpy(gappy)).numpy()
    expected = [plain_conditional_mean(x, m, covariance) for x in gappy]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    seen = ~np.isnan(gappy)
    np.testing.assert_array_equal(found[seen], gappy[seen])


def test_without_factors_a_guess_is_the_mean(model):
    _, m, _, gappy = model
    found = Completion(m, np.zeros((D, 0)), 1.0, np.ones(D, bool)).complete(torch.from_numpy(gappy))
    np.testing.assert_array_equal(found, np.where(np.isnan(gappy), m, gappy))


def test_axes_are_those_of_the_covariance(model):
    W, m, _, _ = model
    axes, variances = Completion(m, W, 0.09, np.ones(D, bool)).axes(Q)
    np.testing.assert_allclose(variances, np.linalg.eigvalsh(W @ W.T + 0.09 * np.eye(D))[::-1][:Q])
    axes, variances = axes.numpy(), variances.numpy()
    np.testing.assert_allclose(axes @ (W @ W.T + 0.09 * np.eye(D)), variances[:, None] * axes, atol=1e-9)
    assert Completion(m, W, 0.09, np.ones(D, bool)).axes(Q + 1) is None


@pytest.mark.parametrize("weighted", [False, True])
def test_without_gaps_it_is_the_closed_form(model, weighted, monkeypatch, rng):
    X = model[2]
    monkeypatch.setattr(completion, "LEAST_FACTORS", 1)
    weight = rng.integers(0, 3, len(X)).astype(float) if weighted else None
    rows = X if weight is None else np.repeat(X, weight.astype(int), axis=0)
    frame = Frame(rows.mean(0))
    found = fit_completion(Arrays(X, weight), frame, Q)
    pca = PCA(Q).fit(rows)
    n = len(rows) / (len(rows) - 1)  # scikit-learn divides by n - 1
    assert found.variance == pytest.approx(pca.noise_variance_ / n)
    covariance = found.loadings @ found.loadings.T + found.variance * np.eye(D)
    np.testing.assert_allclose(covariance * n, pca.get_covariance(), atol=1e-9)
    assert not found.has_gaps.any()


def log_posterior(x, W, m, variance):
    """Log-likelihood of the observed entries, and the prior N(0, 1) of the loadings."""
    covariance = W @ W.T + variance * np.eye(D)
    rows = ((row, ~np.isnan(row)) for row in x)
    of_rows = (multivariate_normal(m[o], covariance[np.ix_(o, o)]).logpdf(row[o]) for row, o in rows)
    return sum(of_rows) - np.square(W).sum() / 2


def test_iterations_never_lower_the_likelihood_of_the_observed_entries(model):
    gappy = torch.from_numpy(model[3])
    known = ~gappy.isnan()
    x, weight = torch.where(known, gappy, 0.0), torch.ones(N, dtype=torch.float64)
    W, shift, variance = torch.randn(D, Q, dtype=torch.float64), torch.zeros(D, dtype=torch.float64), 1.0
    values = []
    for _ in range(12):
        values.append(log_posterior(model[3], W.numpy(), shift.numpy(), variance))
        W, shift, variance = completion._improved(x, known, weight, W, shift, variance)
    assert min(np.diff(values)) > -1e-6
    assert values[-1] > values[0] + 100


def test_gaps_are_guessed_from_the_other_columns(model):
    _, _, X, gappy = model
    data = Arrays(gappy, has_gaps=True)
    frame = Frame(*moments(gappy))
    found = fit_completion(data, frame, Q)
    guess = frame.undo(found.complete(frame.apply(torch.from_numpy(gappy)))).numpy()
    hidden = np.isnan(gappy)
    error, of_mean = (np.square((other - X)[hidden]).mean() for other in (guess, np.nanmean(gappy, 0) + 0 * X))
    assert error < 0.35 * of_mean
    assert found.has_gaps.all()


@pytest.mark.parametrize("resident", [True, False])
def test_a_filled_table_holds_guesses_and_their_mask(model, resident):
    gappy = model[3]
    guess = torch.arange(D, dtype=torch.float64)
    seen = Arrays(gappy).seen(Frame(np.zeros(D)), None, *MODULE, resident=resident)
    data = filled(seen, lambda x: torch.where(x.isnan(), guess, x))
    for batch in (data[3:90], data.in_order(torch.arange(N).flip(0))[N - 90 : N - 3]):
        rows = torch.from_numpy(gappy[3:90])
        rows = rows if batch.x[0].equal(data[3:4].x[0]) else rows.flip(0)
        assert batch.known.equal(~rows.isnan())
        assert batch.x.equal(torch.where(rows.isnan(), guess, rows))
        assert batch.entry_weight.equal((~rows.isnan()).double())
        assert batch.observed.nan_to_num(7.0).equal(rows.nan_to_num(7.0))
    assert data.x[:5].equal(data[:5].x)


def test_a_group_is_missing_as_a_whole():
    X = np.array([[1.0, 0.0, 2.0], [np.nan, 1.0, 3.0], [0.0, 1.0, np.nan]])
    seen = Arrays(X).seen(Frame(np.zeros(3)), None, *MODULE)
    batch = filled(seen, lambda x: x.nan_to_num(9.0), torch.tensor([0, 0, 1]))[:]
    assert batch.known.tolist() == [[True, True, True], [False, False, True], [True, True, False]]
    assert batch.x.tolist() == [[1.0, 0.0, 2.0], [9.0, 9.0, 3.0], [0.0, 1.0, 9.0]]


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_are_those_of_the_observed_entries(model, weighted, rng):
    gappy = 1e6 + model[3]
    weight = rng.integers(0, 3, N).astype(float) if weighted else None
    rows = gappy if weight is None else np.repeat(gappy, weight.astype(int), axis=0)
    for found in (moments(gappy, weight), known_moments(gappy, weight)):
        np.testing.assert_allclose(found[0], np.nanmean(rows, 0), rtol=1e-14)
        assert found[1] == pytest.approx(np.sqrt(np.nanvar(rows, 0).mean()), rel=1e-9)


def test_equal_rows_with_equal_gaps_are_merged():
    X = np.array([[1.0, np.nan], [2.0, 0.0], [1.0, np.nan], [1.0, 0.0]])
    data = Arrays(X, has_gaps=True).learnt(merge=True)
    found = sorted(map(str, zip(data.X.tolist(), data.weight.tolist(), strict=True)))
    assert found == ["([1.0, 0.0], 0.75)", "([1.0, nan], 1.5)", "([2.0, 0.0], 0.75)"]
