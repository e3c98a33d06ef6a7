"""Rows with missing entries: what estimators promise that take them, and what the others say."""

import numpy as np
import pandas as pd
import pytest
import torch
from contract.requirements import outputs, refuses
from contract.tables import entering, every_class, rows_for, target_of
from scipy import sparse
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.utils import get_tags

from skae import RBM, Autoencoder, DenoisingAutoencoder, VariationalAutoencoder
from skae.base import Batch

QUICK = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}


def takes_gaps(estimator):
    return get_tags(estimator).input_tags.allow_nan


def refuses_gaps(estimator):
    return get_tags(estimator).input_tags.two_d_array and not takes_gaps(estimator)


@pytest.fixture
def gappy(rng):
    """Rows in [0, 1], of which a quarter of the entries are missing."""
    X = rng.random((60, 5))
    hidden = rng.random(X.shape) < 0.25
    hidden[hidden.all(1), 0] = False
    hidden[:3] = [[1, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
    return np.where(hidden, np.nan, X)


@entering("scores", takes_gaps)
def test_rows_with_gaps_are_learnt_encoded_and_scored(estimator, gappy):
    X, y = rows_for(estimator, gappy), target_of(estimator, len(gappy))
    model = clone(estimator).set_params(warm_start=True).fit(X, y)
    found = outputs(model, X) | {"score_samples": model.score_samples(X)}
    assert all(np.isfinite(array).all() for array in found.values())
    assert np.isfinite(model.score(X, y))
    alone = outputs(model, X[:1]) | {"score_samples": model.score_samples(X[:1])}
    for name, array in alone.items():
        np.testing.assert_allclose(array, found[name][:1], rtol=1e-5, atol=1e-6, err_msg=name)
    model.partial_fit(X, y).fit(X, y)
    assert np.isfinite(model.transform(X)).all()


@every_class(takes_gaps)
def test_what_is_missing_is_not_read(estimator, gappy):
    """A masked array, a frame and a sparse matrix hide the same entries."""
    X, y = rows_for(estimator, gappy), target_of(estimator, len(gappy))
    model = clone(estimator).fit(X, y)
    junk = np.where(np.isnan(X), 1e9, X)
    objects = np.where(np.isnan(X), pd.NA, X.astype(object))
    for same in (np.ma.array(junk, mask=np.isnan(X)), sparse.csr_array(X), torch.from_numpy(X), objects):
        np.testing.assert_array_equal(model.transform(same), model.transform(X))
        np.testing.assert_array_equal(clone(estimator).fit(same, y).transform(X), model.transform(X))
    for columns in (pd.DataFrame(objects), pd.DataFrame(X).convert_dtypes()):
        np.testing.assert_array_equal(model.transform(columns), model.transform(X))


@every_class(takes_gaps)
def test_a_row_and_a_column_without_any_entry_are_named(estimator, gappy):
    y = target_of(estimator, len(gappy))
    names = list("abcde")
    frame = pd.DataFrame(rows_for(estimator, gappy), columns=names)
    model = clone(estimator).fit(frame, y)
    empty_row, empty_column = frame.copy(), frame.fillna(0.0)
    empty_row.loc[7, :] = np.nan
    empty_column["c"] = np.nan
    for method, rest in (("fit", (y,)), ("transform", ())):
        assert "ow 7 of X" in refuses(model, method, empty_row, *rest)
    assert refuses(model, "fit", empty_column, y) == (
        "Column 'c' of X has no known entry to learn from: leave it out of X."
    )
    assert np.isfinite(model.transform(empty_column)).all()


def test_entries_that_do_not_count_teach_nothing_about_a_column(gappy):
    weight = np.arange(len(gappy)) % 2
    X = np.where(np.isnan(gappy), 0.0, gappy)
    X[weight == 1, 2] = np.nan
    for model in (Autoencoder(2, **QUICK), RBM(2, max_iter=2)):
        told = refuses(model, "fit", X, None, weight)
        assert told == "Column 2 of X has no known entry to learn from: leave it out of X."


@every_class(refuses_gaps)
def test_others_say_where_an_entry_is_missing(estimator, gappy):
    y = target_of(estimator, len(gappy))
    sentence = refuses(clone(estimator), "fit", pd.DataFrame(gappy, columns=list("abcde")), y)
    assert sentence == "Input X contains NaN in row 0, column 'a': impute it (sklearn.impute) or drop the row."


# ------------------------------------------------------------------ what the scores are


def test_errors_are_those_of_the_observed_entries(gappy):
    model = Autoencoder(2, dtype="float64", **QUICK).fit(gappy)
    restored = model.inverse_transform(model.transform(gappy))
    errors = np.nansum((gappy - restored) ** 2, axis=1)
    np.testing.assert_allclose(model.score_samples(gappy), -errors)
    total = np.nansum((gappy - np.nanmean(gappy, axis=0)) ** 2)
    assert model.score(gappy) == pytest.approx(1 - errors.sum() / total)
    np.testing.assert_allclose(model.mean_, np.nanmean(gappy, axis=0))
    assert model.scale_ == pytest.approx(np.sqrt(np.nanvar(gappy, axis=0).mean()))


def test_the_loss_has_no_slope_in_guesses(gappy):
    model = Autoencoder(2, dtype="float64", **QUICK).fit(gappy)
    x = torch.from_numpy((gappy - model.mean_) / model.scale_)
    known = ~x.isnan()
    losses = [
        model._loss(model.module_, Batch(x.nan_to_num(0.0), corrupted=x.nan_to_num(0.0), known=known), None),
        model._loss(model.module_, Batch(x.nan_to_num(5.0), corrupted=x.nan_to_num(0.0), known=known), None),
    ]
    assert losses[0]["reconstruction"].equal(losses[1]["reconstruction"])


def test_the_bound_is_that_of_the_observed_entries(rng):
    """A linear model at its start is probabilistic PCA, whose density of some of the columns is known."""
    X = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 5)) + 0.5 * rng.normal(size=(300, 5))
    model = VariationalAutoencoder(
        2,
        hidden_layer_sizes=(),
        prior="normal",
        n_draws=4000,
        dtype="float64",
        random_state=0,
        max_iter=1,
        learning_rate_init=1e-12,
    ).fit(X)
    E = model.module_.expansion.numpy() * model.scale_
    covariance = E.T @ E + model.noise_variance_ * np.eye(5)
    gappy = np.where(rng.random((40, 5)) < 0.3, np.nan, X[:40])
    gappy[np.isnan(gappy).all(1), 0] = 0.0
    seen = [~np.isnan(row) for row in gappy]
    exact = np.array(
        [
            multivariate_normal(model.mean_[o], covariance[np.ix_(o, o)]).logpdf(row[o])
            for row, o in zip(gappy, seen, strict=True)
        ]
    )
    found = model.score_samples(gappy)
    assert (found < exact + 0.1).all()  # by chance the estimate of a bound may be above it
    assert np.median(np.abs(found - exact)) < 0.02
    assert (model.elbo(gappy) <= found + 1e-9).all()


# ------------------------------------------------------------------ what the encoder is told


def test_the_encoder_is_told_what_is_missing(gappy):
    full = np.nan_to_num(gappy, nan=0.5)
    marked = Autoencoder(2, **QUICK).fit(gappy)
    assert marked.module_.encoder.weights[0].shape == (8, 10)
    assert Autoencoder(2, missing_indicator=False, **QUICK).fit(gappy).module_.encoder.weights[0].shape == (8, 5)
    some = np.where(np.arange(5) == 1, gappy, full)
    assert Autoencoder(2, **QUICK).fit(some).module_.marked == (1,)
    x, known = torch.zeros(1, 5), torch.tensor([[True, False, True, True, True]])
    with torch.no_grad():
        marked.module_.encoder.weights[0][:, 6] = 1.0
    assert not marked.module_.encode(x, known=known).equal(marked.module_.encode(x))
    assert marked.module_.encode(x, known=torch.ones(1, 5, dtype=torch.bool)).equal(marked.module_.encode(x))


def test_masking_says_what_it_has_masked(gappy):
    model = DenoisingAutoencoder(2, corruption="masking", corruption_level=0.4, **QUICK).fit(gappy)
    x = torch.rand(50, 5) + 1
    known = torch.rand(50, 5) < 0.7
    batch = model._corrupt(model.module_, Batch(x, known=known), torch.Generator().manual_seed(0))
    assert batch.told.equal(known & (batch.corrupted != 0))
    assert batch.known.equal(known)
    unmarked = DenoisingAutoencoder(2, corruption="masking", **QUICK).fit(np.nan_to_num(gappy))
    assert unmarked._corrupt(unmarked.module_, Batch(x), torch.Generator()).told is None


def test_gaps_in_x_do_not_hide_another_target(gappy):
    Y = np.nan_to_num(gappy)[:, :3]
    model = DenoisingAutoencoder(2, target="y", dtype="float64", **QUICK).fit(gappy, Y)
    errors = ((model.denoise(gappy) - Y) ** 2).sum()
    assert model.score(gappy, Y) == pytest.approx(1 - errors / ((Y - Y.mean(0)) ** 2).sum())


def test_hidden_entries_are_restored_better_than_by_the_mean(digits):
    rng = np.random.default_rng(0)
    X, hidden = digits, rng.random(digits.shape) < 0.3
    gappy = np.where(hidden, np.nan, X)
    model = Autoencoder(8, random_state=0).fit(gappy)
    error, of_mean = (
        np.square((other - X)[hidden]).mean()
        for other in (model.inverse_transform(model.transform(gappy)), np.nanmean(gappy, axis=0))
    )
    assert error < 0.45 * of_mean


def test_columns_changed_after_fit_do_not_break_the_fitted_model():
    row = np.arange(30.0)
    rows = np.column_stack([row, row % 2, 1 - row % 2])
    rows[::4, 1:] = np.nan
    model = Autoencoder(2, likelihood="mixed", columns=(("gaussian", 1), ("categorical", 2)), max_iter=2).fit(rows)
    before = model.transform(rows)
    model.set_params(likelihood="gaussian", columns=(("gaussian", 9),))
    np.testing.assert_array_equal(model.transform(rows), before)
