"""The units of X make no difference: what is in them follows, in float64, and all else stays the same."""

import numpy as np
import pytest
import torch
from contract.requirements import outputs
from contract.tables import every_class, predicts_nothing
from sklearn.base import clone

from skae import Autoencoder, DenoisingAutoencoder
from skae.base import Generative
from skae.metrics import code_statistics, neg_reconstruction_mse, reconstruct, reconstruction_r2

IN_UNITS = ("inverse_transform", "denoise")
POWERS = [2.0**-500, 2.0**500]
"""Factors of about 1e-150 and 1e150. Powers of two are exact, so that the module sees the same to the last bit."""


@pytest.mark.parametrize("c", POWERS, ids="{:.0e}".format)
@every_class()
def test_a_factor_changes_what_is_in_units_of_x_and_nothing_else(estimator, X, y, c):
    one, other = clone(estimator).fit(X, y), clone(estimator).fit(c * X, y)
    np.testing.assert_array_equal(other.mean_, c * one.mean_)
    np.testing.assert_array_equal(other.scale_, c * one.scale_)
    expected, found = outputs(one, X), outputs(other, c * X)
    for name, array in expected.items():
        factor = c if name in IN_UNITS else 1.0
        np.testing.assert_array_equal(found[name], factor * array, err_msg=name)
    if predicts_nothing(estimator):
        assert other.score(c * X) == pytest.approx(one.score(X) - is_density(one) * 5 * np.log(c), rel=1e-12)


def is_density(estimator):
    return isinstance(estimator, Generative)


@pytest.mark.parametrize("c", POWERS, ids="{:.0e}".format)
@every_class(predicts_nothing)
def test_scores_of_rows_are_in_squared_units_or_nats(estimator, X, y, c):
    one, other = clone(estimator).fit(X, y), clone(estimator).fit(c * X, y)
    expected, found = one.score_samples(X), other.score_samples(c * X)
    assert found.dtype == np.float64
    if is_density(one):  # a density is per unit of each of the 5 columns
        np.testing.assert_allclose(found, expected - 5 * np.log(c), rtol=1e-9)
        np.testing.assert_array_equal(other.sample(3, random_state=1), c * one.sample(3, random_state=1))
        if hasattr(one, "gibbs"):
            np.testing.assert_array_equal(other.free_energy(c * X), one.free_energy(X))
            np.testing.assert_array_equal(other.gibbs(c * X, 2), c * one.gibbs(X, 2))
    else:
        np.testing.assert_array_equal(found, expected * c**2)


@pytest.mark.parametrize("container", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("offset", [2.0**20, 2.0**23])
@every_class()
def test_an_offset_moves_reconstructions_and_nothing_else(estimator, X, y, offset, dtype, container):
    X = np.round(9 * X).astype(dtype)  # exact around the offset, in float32 too
    moved = X + dtype(offset)
    one, other = clone(estimator).fit(container(X), y), clone(estimator).fit(container(moved), y)
    np.testing.assert_allclose(other.mean_ - offset, one.mean_, atol=1e-6)
    expected, found = outputs(one, container(X)), outputs(other, container(moved))
    for name, array in expected.items():
        shift = offset if name in IN_UNITS else 0.0
        np.testing.assert_allclose(found[name] - shift, array, atol=0.03, err_msg=name)  # rounding sways training
    assert "inverse_transform" not in found or found["inverse_transform"].dtype == np.float64


def test_derivatives_scores_and_noise_follow_the_units(X):
    def fitted(c):
        return DenoisingAutoencoder(2, hidden_layer_sizes=(4,), max_iter=3, random_state=0).fit(c * X)

    one = fitted(1.0)
    for c in POWERS:
        other = fitted(c)
        assert other.sigma_ == c * one.sigma_
        np.testing.assert_array_equal(other.denoise(c * X), c * one.denoise(X))
        np.testing.assert_array_equal(other.corrupt(c * X, 0), c * one.corrupt(X, 0))
        np.testing.assert_array_equal(other.sample(4, 5), c * one.sample(4, 5))
        np.testing.assert_allclose(other.score_field(c * X), one.score_field(X) / c, rtol=1e-12)
        np.testing.assert_allclose(
            other.jacobian_singular_values(c * X), one.jacobian_singular_values(X) / c, rtol=1e-12
        )


@pytest.mark.parametrize("c", [1e-25, 1e20, 1e30])
def test_float32_rows_of_any_size_are_scored_as_those_of_size_one(X, c):
    def fitted(rows):
        return Autoencoder(2, hidden_layer_sizes=(4,), max_iter=3, random_state=0).fit(rows)

    big = (c * X).astype(np.float32)
    one, other = fitted(X), fitted(big)
    np.testing.assert_allclose(other.score_samples(big) / c**2, one.score_samples(X), rtol=0.01, atol=1e-3)
    for score in (type(one).score, reconstruction_r2):
        assert score(other, big) == pytest.approx(score(one, X), abs=1e-3)
    assert neg_reconstruction_mse(other, big) / c**2 == pytest.approx(neg_reconstruction_mse(one, X), rel=1e-3)
    assert code_statistics(other, big).nmse == pytest.approx(code_statistics(one, X).nmse, rel=1e-3)


def test_rows_far_out_keep_their_order(X):
    model = Autoencoder(2, hidden_layer_sizes=(), max_iter=3, random_state=0).fit(X)
    far = 10.0 ** np.arange(0, 38, 4)[:, None] * np.array([[1.0, -1.0, 2.0, 0.0, 1.0]])
    scores = model.score_samples(far)
    assert np.isfinite(scores).all()
    assert (np.diff(scores) < 0).all()


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_r2_of_what_comes_back_is_the_score(X, offset):
    model = Autoencoder(2, hidden_layer_sizes=(4,), max_iter=3, random_state=0).fit(X + offset)
    assert reconstruction_r2(model, X + offset) == pytest.approx(model.score(X + offset), abs=1e-5)
    errors = np.square(X + offset - reconstruct(model, X + offset)).sum(1)
    np.testing.assert_allclose(model.score_samples(X + offset), -errors, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("c", "told"), [(1e-170, "rounded to 0"), (1e170, "infinite")])
def test_units_in_which_a_variance_is_no_number_are_refused(X, c, told):
    with pytest.raises(ValueError, match=told):
        Autoencoder(2).fit(c * X)
