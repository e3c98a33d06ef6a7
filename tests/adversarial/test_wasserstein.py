"""WassersteinAutoencoder: limits, gradients, the linear case, what is watched, and messages."""

import numpy as np
import pytest
import torch
from contract.requirements import refuses
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning

import skae.adversarial.wasserstein as wasserstein
from skae import Autoencoder, WassersteinAutoencoder
from skae.base import backward
from skae.functional import median_squared_distance, normal_embedding, squared_mmd_to_normal
from skae.metrics import squared_mmd

QUICK = {"hidden_layer_sizes": (8,), "batch_size": 50, "max_iter": 3, "random_state": 0}
AT_THE_START = {**QUICK, "learning_rate_init": 1e-30, "max_iter": 1, "dtype": "float64"}
DEFAULT = WassersteinAutoencoder().scales


@pytest.fixture(scope="module")
def rows():
    """Rows of a skewed distribution, in units that are not those of the module."""
    rng = np.random.default_rng(0)
    return 3.0 + 5.0 * rng.exponential(size=(150, 4)) @ rng.normal(size=(4, 4))


def distance(model, h, weight=None):
    """The squared distance of codes to N(0, I), by a formula that autograd can differentiate."""
    n, d = h.shape
    w = h.new_ones(n) if weight is None else weight
    lengths = [2 * d * scale for scale in np.atleast_1d(model.scales)]
    squares = (h[:, None] - h).square().sum(2)
    k = torch.stack([torch.exp(-squares / (2 * s)) if model.kernel == "rbf" else s / (s + squares) for s in lengths])
    pairs = w[:, None] * w * (1 - torch.eye(n, dtype=h.dtype))
    a, v = normal_embedding(d, tuple(lengths), model.kernel)
    of_prior = (a * (1 + v) ** (-d / 2)).sum()
    between = (w / w.sum()) @ torch.exp(-v / 2 * h.square().sum(1, keepdim=True)) @ a
    return (pairs * k.mean(0)).sum() / pairs.sum() - 2 * between + of_prior


# ---------------------------------------------------------------- limits


@pytest.mark.parametrize("options", [{"dropout": 0.2}, {"early_stopping": True}])
def test_without_a_weight_it_is_an_autoencoder(options, rows):
    options = {**QUICK, "init": "random", "weight_decay": 0.0, **options}
    plain, zero = Autoencoder(2, **options).fit(rows), WassersteinAutoencoder(2, mmd_weight=0.0, **options).fit(rows)
    np.testing.assert_array_equal(zero.transform(rows), plain.transform(rows))
    assert {name: zero.history_[name] for name in plain.history_} == plain.history_


def test_training_starts_at_whitened_pca(rows):
    model = WassersteinAutoencoder(2, **AT_THE_START).fit(rows)
    assert model.score(rows) == pytest.approx(PCA(2).fit(rows).explained_variance_ratio_.sum())
    np.testing.assert_allclose(np.cov(model.transform(rows).T, bias=True), np.eye(2), atol=1e-8)


@pytest.mark.parametrize("options", [{}, {"kernel": "rbf", "scales": 0.5}])
def test_a_linear_model_of_normal_rows_has_the_subspace_of_pca_and_codes_with_the_prior(options):
    """Both terms are at their minimum at once: any invertible map of the components reconstructs as well as PCA."""
    rng = np.random.default_rng(0)
    X = 5 + rng.normal(size=(400, 2)) @ rng.normal(size=(2, 5)) * [1, 2, 1, 3, 1] + 0.3 * rng.normal(size=(400, 5))
    model = WassersteinAutoencoder(
        2,
        hidden_layer_sizes=(),
        solver="lbfgs",
        init="random",
        mmd_weight=10.0,
        max_iter=300,
        random_state=0,
        **options,
    ).fit(X)
    assert model.score(X) == pytest.approx(PCA(2).fit(X).explained_variance_ratio_.sum(), abs=2e-3)
    h = model.transform(X)
    np.testing.assert_allclose(h.mean(0), 0, atol=0.1)
    np.testing.assert_allclose(np.cov(h.T), np.eye(2), atol=0.15)
    start = WassersteinAutoencoder(2, hidden_layer_sizes=(), init="random", max_iter=1, random_state=0).fit(X)
    assert np.abs(np.cov(start.transform(X).T) - np.eye(2)).max() > 0.3


def test_codes_come_near_the_prior_and_samples_near_the_rows():
    corners = 3 * np.array([[1.0, 0.0], [-0.5, 0.9], [-0.5, -0.9]])
    X, held_out = np.random.default_rng(0).normal(np.tile(corners, (2, 200, 1)), 0.4)
    options = {"hidden_layer_sizes": (64, 64), "learning_rate_init": 0.01, "max_iter": 60, "random_state": 0}
    plain, matched = (WassersteinAutoencoder(2, mmd_weight=w, **options).fit(X) for w in (0.0, 10.0))
    far, near = (
        float(squared_mmd_to_normal(torch.tensor(model.transform(held_out)), (1.0, 4.0))[0])
        for model in (plain, matched)
    )
    assert near < 0.2 * far
    assert matched.history_["mmd"][-1] < 0.6 * plain.history_["mmd"][-1]
    assert matched.score(held_out) > 0.98
    np.testing.assert_allclose(matched.sample(5), matched.inverse_transform(matched.sample_codes(5)), rtol=1e-6)


# ---------------------------------------------------------------- gradients and terms


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kernel": "rbf", "scales": (0.2, 1.0)},
        {"batch_norm": True},
        {"channels": (2,), "image_shape": (2, 2), "kernel_size": 1, "pooling": None},
    ],
)
def test_the_gradient_of_a_step_is_that_of_the_objective(options, weighted, rows):
    """By hand, and where autograd is used: with batch_norm and for images."""
    model = WassersteinAutoencoder(2, mmd_weight=0.7, dtype="float64", **{**QUICK, **options}).fit(rows)
    weight = np.random.default_rng(0).uniform(size=len(rows)) if weighted else None
    batch = model._ready_source(rows)[torch.arange(40)]
    batch = batch._replace(weight=None if weight is None else torch.from_numpy(weight[:40]))
    module, rng = model.module_, torch.Generator()
    model._flat.grad.zero_()
    terms = model._step(module, batch, rng.manual_seed(0))
    by_step = model._flat.grad.clone()
    model._flat.grad.zero_()
    h = module.encode(batch.x, rng.manual_seed(0))
    expected = {
        "reconstruction": module.likelihood.loss(module.decode(h, rng), batch.x, batch.weight),
        "divergence": 0.7 * 4 * distance(model, h, batch.weight),
    }
    backward(expected)
    for name in expected:
        torch.testing.assert_close(terms[name].detach(), expected[name].detach(), rtol=1e-6, atol=0)
    assert by_step.abs().max() > 1e-3
    torch.testing.assert_close(by_step, model._flat.grad, rtol=1e-6, atol=1e-8)


def test_weights_of_rows_count_in_the_distance(rows):
    weight = np.where(rows[:, 0] > rows[:, 0].mean(), 1.0, 0.1)
    model = WassersteinAutoencoder(2, **{**AT_THE_START, "batch_size": 200}).fit(rows, sample_weight=weight)
    expected = distance(model, torch.from_numpy(model.transform(rows)), torch.from_numpy(weight))
    assert model.history_["divergence"][0] == pytest.approx(model.mmd_weight * 4 * float(expected), rel=1e-5)
    equal = WassersteinAutoencoder(2, **{**AT_THE_START, "batch_size": 200}).fit(rows)
    assert abs(equal.history_["divergence"][0] / model.history_["divergence"][0] - 1) > 0.05


@pytest.mark.parametrize("n", [101, 600])
def test_samples_are_compared_with_at_most_250_rows_after_each_epoch(n):
    """The distance has no unit, so that it is the same in units of X."""
    X = 7 + 3 * np.random.default_rng(0).exponential(size=(n, 3))
    model = WassersteinAutoencoder(2, **AT_THE_START).fit(X)
    seen = X[:: -(-min(n, 500) // 250)] if n <= 500 else X[np.linspace(0, n - 1, 500).astype(int)][::2]
    h = model.module_.prior.sample(len(seen), torch.Generator().manual_seed(0))
    unit = median_squared_distance(torch.from_numpy(seen))
    assert model.history_["mmd"][0] == pytest.approx(squared_mmd(seen, model.inverse_transform(h), unit=unit), rel=1e-6)


def test_early_stopping_watches_the_objective_of_held_out_rows(rows, monkeypatch):
    compared = []

    def recorded(h, *others):
        found = squared_mmd_to_normal(h, *others)
        compared.append((len(h), float(found[0])))
        return found

    monkeypatch.setattr(wasserstein, "squared_mmd_to_normal", recorded)
    options = {"early_stopping": True, "validation_fraction": 0.2, **AT_THE_START, "mmd_weight": 3.0}
    model = WassersteinAutoencoder(2, **options).fit(rows)
    (n, squared), without = compared[-1], WassersteinAutoencoder(2, **{**options, "mmd_weight": 0.0}).fit(rows)
    assert n == 30
    assert model.history_["validation_loss"][0] - without.history_["validation_loss"][0] == pytest.approx(12 * squared)
    assert model.loss_ == model.history_["validation_loss"][0]


def test_all_rows_at_once_are_an_objective_that_falls(rows):
    with pytest.warns(ConvergenceWarning, match="still falling"):
        model = WassersteinAutoencoder(2, **{**QUICK, "solver": "lbfgs", "max_iter": 20}).fit(rows)
    assert (np.diff(model.history_["loss"]) <= 1e-4).all()
    assert model.history_["loss"][-1] < model.history_["loss"][0]
    assert model.loss_ <= min(model.history_["loss"])
    parts = np.array(model.history_["reconstruction"]) + model.history_["divergence"]
    np.testing.assert_allclose(model.history_["loss"], parts, rtol=1e-6)


# ---------------------------------------------------------------- few rows, images, messages


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_rows_are_fitted(n, rows):
    model = WassersteinAutoencoder(2, **{**QUICK, "batch_size": 1}).fit(rows[:n])
    assert np.isfinite(model.transform(rows)).all()
    assert model.history_["divergence"] == [0.0] * 3  # a batch of one row is compared with nothing
    assert np.isfinite(WassersteinAutoencoder(2, **QUICK).fit(rows[:n]).sample(3)).all()


def test_images_and_bits_are_matched_too():
    X = load_digits().data[:200]
    images = WassersteinAutoencoder(3, channels=(4,), image_shape=(8, 8), max_iter=2, random_state=0).fit(X)
    assert images.sample(2).shape == (2, 64)
    bits = WassersteinAutoencoder(3, likelihood="bernoulli", **QUICK).fit(X > 8)
    assert set(np.unique(bits.sample(20))) == {0.0, 1.0}


@pytest.mark.parametrize("scales", [(), (0.1, 0.0), (1.0, np.nan), (np.inf,), [[1.0]], ("one",)])
def test_scales_are_numbers_above_zero(scales, rows):
    told = refuses(WassersteinAutoencoder(scales=scales), "fit", rows)
    assert "scales" in told
    assert "above 0" in told or "ndarray" in told


@pytest.mark.parametrize("scales", [1.0, [1.0], np.array([1.0])])
def test_one_scale_is_enough(scales, rows):
    expected = WassersteinAutoencoder(2, scales=(1.0,), **QUICK).fit(rows).transform(rows)
    np.testing.assert_array_equal(WassersteinAutoencoder(2, scales=scales, **QUICK).fit(rows).transform(rows), expected)
    assert (WassersteinAutoencoder(2, scales=DEFAULT, **QUICK).fit(rows).transform(rows) != expected).any()
