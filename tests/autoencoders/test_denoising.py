"""Denoising against the optimal denoiser, which is known in closed form where data are Gaussian."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from contract.requirements import refuses
from nn.test_dense import GROUPS, N, fitted, real, require_same_gradient, seeded
from scipy import sparse, stats
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from skae import (
    Autoencoder,
    DenoisingAutoencoder,
    FineTunedClassifier,
    SemiSupervisedAutoencoder,
    StackedAutoencoder,
)
from skae.engine.data import Batch

CORRUPTIONS = ["masking", "gaussian", "salt_and_pepper", "swap", "bert"]
QUICK = {"hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 0}
WEIGHT = torch.tensor([2.0, 0.0, 1.0, 0.5, 3.0, 1.0, 0.0, 0.5, 1.0], dtype=torch.float64)  # its mean is 1
MIXING = np.array([[1.2, 0.0, 0.3], [0.5, 0.8, 0.0], [-0.4, 0.5, 0.9]])
MEAN = np.array([1.0, 20.0, -3.0])


class Settled(DenoisingAutoencoder):
    """Keeps its last weights, and not those of the epoch whose noise was kindest."""

    _monitor = None


def gaussian_rows(n=3000, seed=0):
    return np.random.default_rng(seed).standard_normal((n, 3)) @ MIXING.T + MEAN


def linear(corruption, level, X, cls=Settled, **options):
    """A denoiser that can be any affine map, near its optimum."""
    defaults = {"hidden_layer_sizes": (), "batch_size": 200, "max_iter": 40, "learning_rate_init": 0.02}
    defaults["weight_decay"] = 0.0
    options = {**defaults, "dtype": "float64", "random_state": 0, **options}
    return cls(X.shape[1], corruption=corruption, corruption_level=level, **options).fit(X)


def covariance_of_noise(model):
    """Of the residuals that ``sample`` adds in each step, in squared units of X."""
    R = model._residuals.root()
    return R.T @ R * model.scale_**2


def affine(restore, center):
    """The matrix and the offset of an affine map around a center."""
    ends = restore(np.vstack([center, center + np.eye(len(center))]))
    return (ends[1:] - ends[0]).T, ends[0] - center


def moments_of(corruption, level, X):
    """Mean of x~ - mu, and the second moments E (x - mu)(x~ - mu)' and E (x~ - mu)(x~ - mu)'."""
    S, mu, kept = np.cov(X.T, bias=True), X.mean(0), 1 - level
    variances = np.diag(np.diag(S))
    sigma2 = level**2 * np.trace(S) / len(S)
    ends = np.stack([X.min(0), X.max(0)]) - mu
    middle, square = ends.mean(0), (ends**2).mean(0)
    shared = kept**2 * S - kept**2 * variances  # of pairs of columns that are both kept
    within = level * np.outer(middle, middle) * level
    return {
        "gaussian": (0 * mu, S, S + sigma2 * np.eye(len(S))),
        "masking": (0 * mu, kept * S, shared + kept * variances),
        "swap": (0 * mu, kept * S, shared + variances),
        "salt_and_pepper": (
            level * middle,
            kept * S,
            shared + within - np.diag(np.diag(within)) + kept * variances + level * np.diag(square),
        ),
    }[corruption]


# ------------------------------------------------------------------ the optimal denoiser


@pytest.mark.parametrize(
    ("corruption", "level"),
    [("gaussian", 0.5), ("gaussian", 1.0), ("masking", 0.3), ("swap", 0.3), ("salt_and_pepper", 0.2)],
)
def test_a_linear_denoiser_is_the_regression_of_clean_on_corrupted_rows(corruption, level):
    """Under Gaussian noise x_hat - mu = S (S + sigma^2 I)^-1 (x~ - mu), which is E[x | x~] of Gaussian data."""
    X = gaussian_rows()
    model = linear(corruption, level, X)
    shift, cross, second = moments_of(corruption, level, X)
    expected = cross @ np.linalg.inv(second - np.outer(shift, shift))
    found, offset = affine(model.denoise, X.mean(0))
    assert np.linalg.norm(found - expected) < 0.04 * np.linalg.norm(expected)
    np.testing.assert_allclose(offset, -expected @ shift, atol=0.04 * model.scale_)
    assert np.linalg.norm(np.eye(3) - expected) > 0.2 * np.linalg.norm(expected)  # and not the identity


def test_the_score_field_is_that_of_the_density_of_noisy_data():
    """-(S + sigma^2 I)^-1 (x - mu), the gradient of log N(mu, S + sigma^2 I)."""
    X = gaussian_rows()
    model = linear("gaussian", 0.7, X)
    S = np.cov(X.T, bias=True)
    np.testing.assert_allclose(model.sigma_, 0.7 * np.sqrt(np.trace(S) / 3), rtol=1e-6)
    precision = np.linalg.inv(S + model.sigma_**2 * np.eye(3))
    found, _ = affine(lambda Z: model.score_field(Z) + MEAN, MEAN)
    assert np.linalg.norm(found + precision) < 0.06 * np.linalg.norm(precision)
    np.testing.assert_allclose(model.score_field(X), (model.denoise(X) - X) / model.sigma_**2, rtol=1e-8, atol=1e-12)
    exact = -(X - X.mean(0)) @ precision
    assert np.sqrt(((model.score_field(X) - exact) ** 2).mean() / (exact**2).mean()) < 0.06


def test_the_score_field_is_in_inverse_units_of_x():
    X = gaussian_rows(300)
    options = {"corruption": "gaussian", "corruption_level": 0.5, "dtype": "float64", **QUICK}
    one = DenoisingAutoencoder(2, **options).fit(X)
    thousand = DenoisingAutoencoder(2, **options).fit(1000 * X + 5)
    np.testing.assert_allclose(1000 * thousand.score_field(1000 * X + 5), one.score_field(X), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(thousand.sigma_, 1000 * one.sigma_, rtol=1e-10)
    np.testing.assert_allclose(thousand.denoise(1000 * X + 5), 1000 * one.denoise(X) + 5, rtol=1e-6)


def test_noisy_targets_are_as_good_as_clean_ones():
    """noise2noise: the best guess of a noisy copy is that of the clean row."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 2)) @ rng.standard_normal((2, 8))
    one, two, new = (X + 0.7 * rng.standard_normal(X.shape) for _ in range(3))
    model = DenoisingAutoencoder(
        2, hidden_layer_sizes=(32,), learning_rate_init=3e-3, batch_size=100, max_iter=25, random_state=0
    )
    errors = {
        name: ((clone(model).set_params(target="y").fit(one, target).denoise(new) - X) ** 2).sum(1).mean()
        for name, target in (("noisy", two), ("clean", X))
    }
    assert errors["noisy"] < 1.1 * errors["clean"]
    assert errors["clean"] < 0.3 * ((new - X) ** 2).sum(1).mean()


def test_the_noise_in_a_target_is_not_learnt_by_heart():
    """The least error is that of Wiener's filter, and a network that is much too large comes near it."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((2, 12))
    X, new = (rng.standard_normal((n, 2)) @ A for n in (400, 1000))
    one, two = (X + 0.7 * rng.standard_normal(X.shape) for _ in range(2))
    seen = new + 0.7 * rng.standard_normal(new.shape)
    S = A.T @ A
    wiener = np.trace(S - S @ np.linalg.inv(S + 0.49 * np.eye(12)) @ S)
    model = DenoisingAutoencoder(4, target="y", hidden_layer_sizes=(256, 64), random_state=0)

    def error(target, **options):
        fitted = clone(model).set_params(**options).fit(one, target)
        return ((fitted.denoise(seen) - new) ** 2).sum(1).mean() / wiener

    noisy = error(two)
    assert noisy < 1.2 * error(X)
    assert noisy < 1.25
    assert error(two, early_stopping=False) > 1.35


@pytest.mark.parametrize(
    ("target", "n", "early_stopping", "held_out"),
    [
        ("X", 100, "auto", False),
        ("y", 100, "auto", True),
        ("y", 99, "auto", False),
        ("y", 100, False, False),
        ("X", 9, True, True),
    ],
)
def test_a_model_of_y_holds_out_rows(target, n, early_stopping, held_out):
    X = gaussian_rows(n)
    model = DenoisingAutoencoder(2, target=target, early_stopping=early_stopping, **QUICK).fit(X, X)
    assert ("validation_loss" in model.history_) == held_out


def test_a_chunk_holds_out_no_rows():
    X = gaussian_rows(120)
    model = DenoisingAutoencoder(2, target="y", **QUICK)
    one, two = (clone(model).set_params(early_stopping=stop).partial_fit(X, X) for stop in ("auto", False))
    assert "validation_loss" not in one.history_
    np.testing.assert_array_equal(one.transform(X), two.transform(X))
    with pytest.raises(ValueError, match="early_stopping"):
        model.set_params(early_stopping=True).partial_fit(X, X)


@pytest.mark.parametrize("corruption", ["masking", "gaussian", "salt_and_pepper"])
def test_it_restores_better_than_a_model_that_never_saw_noise(corruption, digits):
    test = load_digits().data[400:800]
    options = {"hidden_layer_sizes": (64,), "learning_rate_init": 3e-3, "batch_size": 50, "random_state": 0}
    model = DenoisingAutoencoder(32, corruption=corruption, corruption_level=0.3, max_iter=25, **options)
    if corruption == "gaussian":
        model.set_params(corruption_level=0.8)
    plain = Autoencoder(32, max_iter=25, **options).fit(digits)
    noisy = model.fit(digits).corrupt(test, random_state=1)
    restored, copied = model.denoise(noisy), plain.inverse_transform(plain.transform(noisy))
    assert ((restored - test) ** 2).mean() < 0.95 * ((copied - test) ** 2).mean()


def test_denoise_decodes_the_code(digits):
    model = DenoisingAutoencoder(4, dtype="float64", **QUICK).fit(digits)
    np.testing.assert_allclose(model.denoise(digits), model.inverse_transform(model.transform(digits)), rtol=1e-12)


# ------------------------------------------------------------------ the chain


def chain_covariance(R, V, D, S, n_steps=2000):
    """Where the covariance of x settles if x~ = x + N(0, D) and x = R x~ + N(0, V)."""
    for _ in range(n_steps):
        S = R @ (S + D) @ R.T + V
    return S


def whitened(covariance, S):
    L = np.linalg.inv(np.linalg.cholesky(S))
    return L @ covariance @ L.T


@pytest.mark.parametrize(("corruption", "level"), [("gaussian", 0.7), ("masking", 0.4), ("swap", 0.4)])
def test_samples_have_the_mean_and_the_covariance_of_the_data(corruption, level):
    X = gaussian_rows()
    model = linear(corruption, level, X)
    n = 5000
    Z = model.sample(n, n_steps=60, random_state=1)
    S = np.cov(X.T, bias=True)
    L = np.linalg.inv(np.linalg.cholesky(S))
    assert np.abs(L @ (Z.mean(0) - X.mean(0))).max() < 4 / n**0.5 + 0.1
    deviation = np.linalg.eigvalsh(whitened(np.cov(Z.T), S)) - 1
    assert np.abs(deviation).max() < 4 * (2 / n) ** 0.5 + 0.07  # of the sample, and of what was learnt
    if corruption == "gaussian":
        assert min(stats.kstest(column, stats.norm.cdf).pvalue for column in stats.zscore(Z).T) > 1e-5


def test_samples_are_those_of_the_chain_that_was_learnt():
    """By its own matrix and noise, in closed form, and at any number of steps: each chain starts at the mean."""
    X = gaussian_rows(1000)
    model = linear("gaussian", 0.7, X, max_iter=10)
    R, _ = affine(model.denoise, X.mean(0))
    V, D = covariance_of_noise(model), model.sigma_**2 * np.eye(3)
    n = 20_000
    for n_steps in (1, 3):
        expected = chain_covariance(R, V, D, np.zeros((3, 3)), n_steps)
        Z = model.sample(n, n_steps, random_state=2)
        np.testing.assert_allclose(whitened(np.cov(Z.T), expected), np.eye(3), atol=5 * (2 / n) ** 0.5)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_noise_of_the_chain_has_the_covariance_of_the_residuals(weighted):
    X = gaussian_rows(1000)
    far = np.abs(X - X.mean(0)).sum(1) > 3  # whose residuals are larger
    weight = np.where(far, 4.0, 0.0) if weighted else None
    model = Settled(1, hidden_layer_sizes=(6,), corruption_level=0.1, batch_size=100, max_iter=2, random_state=0)
    model.set_params(dtype="float64").fit(X, sample_weight=weight)
    residuals = np.concatenate([X - model.denoise(model.corrupt(X, random_state=seed)) for seed in range(30)])
    expected = np.cov(residuals.T, bias=True, aweights=None if weight is None else np.tile(weight, 30))
    found = covariance_of_noise(model)
    np.testing.assert_allclose(whitened(found, expected), np.eye(3), atol=5 * (2 / 1000) ** 0.5)


def fixed_point(S, D, walkback):
    """R and V that walkback training leads to on Gaussian data: moments of all pairs of x and x~ of a chain."""
    R = S @ np.linalg.inv(S + D)
    for _ in range(500):
        cross, second = [S], [S + D]
        for _ in range(walkback - 1):
            C, M = cross[-1], second[-1]
            residual = S - R @ C.T - C @ R.T + R @ M @ R.T
            cross.append(C @ R.T)
            second.append(R @ M @ R.T + residual + D)
        C, M = np.mean(cross, axis=0), np.mean(second, axis=0)
        R = C @ np.linalg.inv(M)
    return R, S - R @ C.T - C @ R.T + R @ M @ R.T


@pytest.mark.parametrize("walkback", [2, 4])
def test_walkback_learns_from_its_own_chain_and_still_samples_the_data(walkback):
    X = gaussian_rows()
    model = linear("gaussian", 0.7, X, walkback=walkback, max_iter=25, learning_rate="cosine")
    S, D = np.cov(X.T, bias=True), model.sigma_**2 * np.eye(3)
    R, V = fixed_point(S, D, walkback)
    found, _ = affine(model.denoise, X.mean(0))
    assert np.linalg.norm(found - R) < 0.06 * np.linalg.norm(R)
    np.testing.assert_allclose(whitened(covariance_of_noise(model), V), np.eye(3), atol=0.12)
    once = S @ np.linalg.inv(S + D)
    assert np.linalg.norm(found - once) > 0.15 * np.linalg.norm(once)  # it finds back from farther
    Z = model.sample(5000, n_steps=60, random_state=1)
    spread = np.linalg.eigvalsh(whitened(np.cov(Z.T), S))
    assert spread.min() > 0.85
    assert spread.max() < 1.25


def test_clean_rows_that_are_passed_as_y_and_ignored_are_told(iris):
    clean = iris + 0.0
    X = clean + np.random.default_rng(0).normal(scale=3.0, size=clean.shape)  # more noise than variance
    model, sentence = DenoisingAutoencoder(2, **QUICK), "y is near X, but is ignored: .* pass target='y'"
    with pytest.warns(UserWarning, match=sentence):
        told = model.fit(X, clean).denoise(X)
    with pytest.warns(UserWarning, match=sentence):
        model.fit(pd.DataFrame(X), pd.DataFrame(clean))
    for y in (X, X.copy(), np.arange(150), clean[::-1] + 5.0, np.full(X.shape, "a")):  # no warning, which is an error
        np.testing.assert_array_equal(model.fit(X, y).denoise(X), told)
    clone(model).set_params(target="y").fit(X, clean)


@pytest.mark.parametrize("walkback", [1, 3])
def test_a_chain_that_runs_away_is_told(walkback):
    X = load_digits().data[:300]
    options = {"corruption_level": 0.6, "hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0}
    wide = DenoisingAutoencoder(64, walkback=walkback, **options).fit(X)
    radius = np.sqrt(np.square(X - X.mean(axis=0)).sum(axis=1).mean())
    with pytest.warns(UserWarning, match="20 of 20 chains ran away") as told:
        Z = wide.sample(20, n_steps=300)
    farthest = np.linalg.norm(Z - X.mean(axis=0), axis=1).max() / radius
    assert farthest > 5
    assert str(told[0].message).endswith(
        f"the farthest to {farthest:.3g} times their root mean square distance from the mean, so these samples mean "
        "nothing: lower n_steps (now 300) or n_components (now 64), or raise corruption_level (now 0.6)."
    )
    with pytest.warns(UserWarning, match="1 of 1 chains ran away"):
        wide.sample(1, n_steps=5000)
    wide.sample(20, n_steps=1)  # no warning, which would be an error
    narrow = DenoisingAutoencoder(8, walkback=walkback, **options).fit(X)
    narrow.sample(20, n_steps=300)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["not", "weighted"])
def test_walkback_shows_rows_of_the_chain_all_to_be_restored_to_x(corruption, weight):
    model, batch = fitted(DenoisingAutoencoder, corruption=corruption, walkback=3)
    batch = batch._replace(weight=weight)
    walked = model._corrupt(model.module_, batch, seeded())
    assert len(walked.shown) == 3 * N
    assert torch.equal(walked.x, batch.x.repeat(3, 1))
    assert weight is None or torch.equal(walked.weight, weight.repeat(3))
    once = model.set_params(walkback=1)._corrupt(model.module_, batch, seeded())
    assert torch.equal(walked.shown[:N], once.shown)
    later = walked.shown[N:].reshape(2, N, -1)
    assert not torch.equal(later[0], later[1])
    assert not torch.equal(later[0], once.shown)
    assert (walked.emphasis is not None) == (corruption == "bert")
    if corruption == "bert":
        assert torch.equal(walked.emphasis[:N], once.emphasis)
        assert set(walked.emphasis.unique().tolist()) == {0.0, 1.0}


def test_without_noise_there_is_no_corruption():
    for options in ({}, {"walkback": 3}, {"corruption": "bert"}, {"input_dropout": 0.5}):
        model, batch = fitted(DenoisingAutoencoder, **options)
        assert model._corrupt(model.module_, batch, None) is batch


# ------------------------------------------------------------------ samples of other likelihoods


def discrete(likelihood, n=600):
    rows = np.random.default_rng(0)
    if likelihood == "categorical":
        first = rows.integers(0, 3, n)
        return np.hstack([np.eye(3)[first], np.eye(2)[(first == 0).astype(int)]])  # the second tells of the first
    rate = np.where(rows.random((n, 1)) < 0.5, [[0.1, 0.2, 0.9, 0.8]], [[0.9, 0.8, 0.1, 0.3]])
    return (rows.random((n, 4)) < rate).astype(float) if likelihood == "bernoulli" else rows.poisson(5 * rate) + 0.0


@pytest.mark.parametrize(
    ("likelihood", "walkback"), [("bernoulli", 1), ("poisson", 1), ("categorical", 1), ("bernoulli", 2)]
)
def test_discrete_samples_are_of_the_kind_and_the_frequencies_of_the_data(likelihood, walkback):
    X = discrete(likelihood)
    options = {"categories": (3, 2)} if likelihood == "categorical" else {}
    model = DenoisingAutoencoder(2, likelihood=likelihood, corruption="masking", walkback=walkback, **options)
    model.set_params(corruption_level=0.5, hidden_layer_sizes=(16,), learning_rate_init=0.01, batch_size=100)
    Z = model.set_params(max_iter=25, random_state=0).fit(X).sample(1000, n_steps=40, random_state=1)
    assert Z.shape == (1000, X.shape[1])
    assert (np.round(Z) == Z).all()
    assert Z.min() == 0
    if likelihood == "categorical":
        assert (Z[:, :3].sum(1) == 1).all()
        assert (Z[:, 3:].sum(1) == 1).all()
        assert (Z[:, 0] == Z[:, 4]).mean() > 0.7  # 0.56 if they were independent
    if likelihood == "bernoulli":
        assert Z.max() == 1
    assert np.abs(Z.mean(0) - X.mean(0)).max() < 0.2 * X.mean(0).max() + 0.05
    truth, found = np.corrcoef(X.T), np.corrcoef(Z.T)
    off = ~np.eye(X.shape[1], dtype=bool)
    assert np.corrcoef(truth[off], found[off])[0, 1] > 0.9


def test_samples_repeat_by_their_seed(digits):
    model = DenoisingAutoencoder(4, **QUICK).fit(digits)
    states = np.random.get_state()[1].copy(), torch.get_rng_state()
    one = model.sample(3, n_steps=5)
    np.testing.assert_array_equal(model.sample(3, n_steps=5), one)
    np.testing.assert_array_equal(model.sample(3, n_steps=5, random_state=0), one)
    assert not np.array_equal(model.sample(3, n_steps=5, random_state=1), one)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).sample(3, n_steps=5), one)
    np.testing.assert_array_equal(copy.deepcopy(model).sample(3, n_steps=5), one)
    assert one.shape == (3, 64)
    assert one.dtype == np.float64
    np.testing.assert_array_equal(np.random.get_state()[1], states[0])
    assert torch.equal(torch.get_rng_state(), states[1])


# ------------------------------------------------------------------ the step and the loss


@pytest.mark.parametrize(
    ("corruption", "likelihood"),
    [(corruption, "gaussian") for corruption in CORRUPTIONS]
    + [("masking", "bernoulli"), ("salt_and_pepper", "poisson"), ("bert", "categorical"), ("swap", "categorical")],
)
def test_the_gradient_of_a_step_is_that_of_autograd(corruption, likelihood):
    emphases = ["auto"] if corruption == "gaussian" else ["auto", (1.0, 0.3)]
    for emphasis in emphases:
        options = {"corruption": corruption, "corruption_level": 0.4, "emphasis": emphasis, "dropout": 0.2}
        for walkback in (1, 2):
            model, batch = fitted(DenoisingAutoencoder, likelihood, walkback=walkback, **options)
            if corruption == "salt_and_pepper":
                model._limits = np.stack([batch.x.amin(0), batch.x.amax(0)])
            for weight in (None, WEIGHT):
                require_same_gradient(model, batch._replace(weight=weight))


@pytest.mark.parametrize("width", [2, 6, 9])
def test_the_gradient_towards_another_target_is_that_of_autograd(width):
    X, Y = real().numpy(), real((N, width), seed=4).numpy()
    model = DenoisingAutoencoder(2, corruption="masking", corruption_level=0.3, hidden_layer_sizes=(5, 4))
    model.set_params(target="y", dtype="float64", max_iter=1, random_state=0, input_dropout=0.2).fit(X, Y)
    with torch.no_grad():
        model._flat.theta.copy_(real(model._flat.theta.shape, seed=1) * 0.5)
    for weight in (None, WEIGHT):
        require_same_gradient(model, Batch(torch.from_numpy(X), weight, torch.from_numpy(Y)))


@pytest.mark.parametrize("emphasis", [(1.0, 0.3), (0.0, 1.0), (2.0, 0.5), np.array([1.0, 0.0]), [3, 3]], ids=str)
@pytest.mark.parametrize("corruption", ["masking", "salt_and_pepper", "swap", "bert"])
def test_emphasis_weighs_corrupted_and_untouched_entries(corruption, emphasis):
    model, batch = fitted(DenoisingAutoencoder, corruption=corruption, corruption_level=0.4, emphasis=emphasis)
    for weight in (None, WEIGHT):
        weighted = batch._replace(weight=weight)
        x_tilde, selected = model._corruption(model.module_)(batch.x, seeded(1))
        assert 0 < selected.double().mean() < 1
        error = (model.module_.decode(model.module_.encode(x_tilde)) - batch.x).square()
        alpha, beta = (float(value) for value in emphasis)
        rows = (alpha * error * selected + beta * error * ~selected).sum(1)
        expected = (rows * (1.0 if weight is None else weight)).mean()
        found = model._loss(model.module_, weighted, seeded(1))
        assert list(found) == ["reconstruction"]
        torch.testing.assert_close(found["reconstruction"], expected, rtol=1e-12, atol=0.0)


def test_bert_s_loss_is_that_of_the_selected_entries():
    model, batch = fitted(DenoisingAutoencoder, corruption="bert")
    named, _ = fitted(DenoisingAutoencoder, corruption="bert", emphasis=(1.0, 0.0), corruption_level=0.15)
    found = [m._loss(m.module_, batch, seeded(1))["reconstruction"] for m in (model, named)]
    assert found[0] == found[1]


AUTO = {"gaussian": 0.3, "bert": 0.15, "masking": 0.1, "swap": 0.1, "salt_and_pepper": 0.1}


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_auto_is_a_level_that_suits_the_corruption(corruption, iris):
    model = DenoisingAutoencoder(corruption=corruption, learning_rate_init=0.01, batch_size=30, **QUICK)
    auto, named, other = (
        clone(model).set_params(corruption_level=level).fit(iris).transform(iris)
        for level in ("auto", AUTO[corruption], 2 * AUTO[corruption])
    )
    np.testing.assert_array_equal(auto, named)
    assert not np.array_equal(auto, other)


@pytest.mark.parametrize("corruption", [*CORRUPTIONS, lambda X, rng: X + rng.standard_normal(X.shape)])
def test_held_out_rows_are_free_of_noise(corruption, iris):
    """At a learning rate that moves nothing their loss stays, and is that of a plain autoencoder."""
    still = {**QUICK, "learning_rate_init": 1e-300, "early_stopping": True, "dtype": "float64", "n_iter_no_change": 9}
    model = DenoisingAutoencoder(corruption=corruption, **still).fit(iris)
    plain = Autoencoder(**still).fit(iris)
    assert model.history_["validation_loss"] == plain.history_["validation_loss"]
    assert len(set(model.history_["validation_loss"])) == 1
    assert len(set(model.history_["reconstruction"])) == 3
    moving = DenoisingAutoencoder(corruption=corruption, **QUICK, early_stopping=True, tol=1e9, n_iter_no_change=2)
    moving.set_params(learning_rate="cosine")
    assert moving.fit(iris).n_iter_ == 2


def test_input_dropout_comes_before_the_corruption():
    model, batch = fitted(DenoisingAutoencoder, corruption="gaussian", corruption_level=0.5, input_dropout=0.4)
    rng = seeded(3)
    dropped = Autoencoder._corrupt(model, model.module_, batch, rng).shown
    expected = dropped + 0.5 * torch.empty_like(dropped).normal_(generator=rng)
    torch.testing.assert_close(model._corrupt(model.module_, batch, seeded(3)).shown, expected)


# ------------------------------------------------------------------ a second array


@pytest.fixture(scope="module")
def halves():
    """The left half of each digit and the right one, on another scale."""
    images = load_digits().data[:400].reshape(400, 8, 8)
    return images[:, :, :4].reshape(400, 32), 100 * images[:, :, 5:].reshape(400, 24) + 7


COMPLETION = DenoisingAutoencoder(
    8, target="y", hidden_layer_sizes=(32,), learning_rate_init=0.01, batch_size=50, max_iter=15, random_state=0
)


def test_another_array_of_another_width_is_restored_on_its_own_scale(halves):
    X, Y = halves
    model = clone(COMPLETION).fit(X[:300], Y[:300])
    np.testing.assert_allclose(model.target_mean_, Y[:300].mean(0), rtol=1e-6)
    np.testing.assert_allclose(model.target_scale_, np.sqrt(Y[:300].var(0).mean()), rtol=1e-6)
    np.testing.assert_allclose(model.mean_, X[:300].mean(0), rtol=1e-6)
    Y_hat = model.denoise(X)
    assert Y_hat.shape == Y.shape
    np.testing.assert_array_equal(Y_hat, model.inverse_transform(model.transform(X)))
    errors, totals = ((Y - Y_hat) ** 2)[300:].sum(), ((Y - Y[:300].mean(0)) ** 2)[300:].sum()
    np.testing.assert_allclose(model.score(X[300:], Y[300:]), 1 - errors / totals, rtol=1e-5)
    assert model.score(X[300:], Y[300:]) > 0.25  # the other half tells something
    assert model.sigma_ == 0.0
    weight = np.arange(100.0)
    of_rows = ((Y - Y_hat) ** 2)[300:].sum(1) @ weight / (((Y - Y[:300].mean(0)) ** 2)[300:].sum(1) @ weight)
    np.testing.assert_allclose(model.score(X[300:], Y[300:], sample_weight=weight), 1 - of_rows, rtol=1e-5)


def test_x_is_not_corrupted_by_default_where_there_is_another_array(halves):
    X, Y = halves
    quick = clone(COMPLETION).set_params(max_iter=2)
    auto = clone(quick).fit(X, Y)
    np.testing.assert_allclose(auto.corrupt(X), X, atol=1e-4)
    silent = clone(quick).set_params(corruption_level=0.0).fit(X, Y)
    np.testing.assert_array_equal(silent.transform(X), auto.transform(X))
    noisy = clone(quick).set_params(corruption="masking", corruption_level=0.5).fit(X, Y)
    assert not np.array_equal(noisy.transform(X), silent.transform(X))
    np.testing.assert_allclose(
        np.isclose(noisy.corrupt(X), X.mean(0), atol=1e-4).mean(), 0.5 + 0.5 * (X == 0).mean(), atol=0.3
    )
    emphatic = clone(quick).set_params(corruption="bert").fit(X, Y)  # no entry is selected, none is left out
    np.testing.assert_array_equal(emphatic.transform(X), silent.transform(X))


def test_the_scale_of_the_targets_plays_no_part(halves):
    X, Y = halves
    options = {"dtype": "float64", "max_iter": 2}
    one = clone(COMPLETION).set_params(**options).fit(X, Y)
    thousand = clone(COMPLETION).set_params(**options).fit(X, 1000 * Y + 5)
    np.testing.assert_allclose(thousand.transform(X), one.transform(X), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(thousand.denoise(X), 1000 * one.denoise(X) + 5, rtol=1e-6)


@pytest.mark.parametrize(
    "convert",
    [
        lambda Y: pd.DataFrame(Y, columns=[f"right{i}" for i in range(24)]),
        lambda Y: Y.tolist(),
        np.asfortranarray,
        sparse.csr_array,
        torch.from_numpy,
        lambda Y: torch.from_numpy(Y).requires_grad_(),
    ],
)
def test_all_kinds_of_targets_are_taken(convert, halves):
    X, Y = halves
    quick = clone(COMPLETION).set_params(max_iter=2)
    expected = clone(quick).fit(X, Y)
    frame = pd.DataFrame(X, columns=[f"left{i}" for i in range(32)])
    model = quick.fit(frame, convert(Y.copy()))
    np.testing.assert_allclose(model.denoise(frame), expected.denoise(X), rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(model.score(frame, convert(Y.copy())), expected.score(X, Y), rtol=1e-4)
    assert list(model.feature_names_in_) == list(frame.columns)


@pytest.mark.parametrize(
    "labels",
    [
        np.arange(150) % 3,
        ["a", "b", "c"] * 50,
        pd.Series(range(150)),
        np.full(150, np.nan),
        np.ones((150, 2)),
        np.full((7, 1, 2), "b"),
    ],
    ids=lambda y: str(np.shape(y)),
)
def test_y_is_ignored_unless_it_is_the_target(labels, iris):
    expected = DenoisingAutoencoder(**QUICK).fit(iris)
    model = DenoisingAutoencoder(**QUICK).fit(iris, labels)
    np.testing.assert_array_equal(model.transform(iris), expected.transform(iris))
    assert model.score(iris, labels) == expected.score(iris)
    np.testing.assert_array_equal(
        DenoisingAutoencoder(**QUICK).partial_fit(iris, labels).transform(iris),
        DenoisingAutoencoder(**QUICK).partial_fit(iris).transform(iris),
    )


def test_a_classifier_may_follow(iris):
    y = np.arange(150) // 50
    pipe = make_pipeline(StandardScaler(), DenoisingAutoencoder(3, **QUICK), LogisticRegression()).fit(iris, y)
    assert pipe.score(iris, y) > 0.8


@pytest.mark.parametrize("columns", [slice(0, 1), slice(0, 2), 0])
def test_a_regression_of_several_targets_may_follow(columns, iris):
    """The targets of a pipeline are those of its last step."""
    X, Y = iris[:, :2], iris[:, 2:][:, columns]
    reducer = DenoisingAutoencoder(2, **QUICK)
    pipe = make_pipeline(reducer, Ridge()).fit(X, Y)
    np.testing.assert_array_equal(pipe[0].transform(X), clone(reducer).fit(X).transform(X))
    assert pipe[0].inverse_transform(pipe[0].transform(X)).shape == X.shape
    assert pipe[:1].score(X, Y) == clone(reducer).fit(X).score(X)


def test_the_target_y_must_be_passed_and_have_columns(iris):
    model = DenoisingAutoencoder(**OF_Y)
    assert refuses(model, "fit", iris) == (
        "target='y' reconstructs y, but y is None: pass the array to reconstruct as y."
    )
    assert refuses(model, "fit", iris, np.arange(150)) == (
        "target='y' reconstructs y, but y has one dimension: pass an array of shape (n_samples, n_targets), or use "
        "target='X', which ignores y."
    )
    assert get_tags(model).target_tags.required
    assert get_tags(model).target_tags.multi_output
    assert not get_tags(DenoisingAutoencoder()).target_tags.required
    for whole in (StackedAutoencoder([model]), FineTunedClassifier(model)):
        assert "learns from y" in refuses(whole, "fit", iris, np.arange(150) // 50)


class Both(DenoisingAutoencoder, SemiSupervisedAutoencoder):
    """Learns labels from corrupted rows."""


def test_a_recipe_leaves_y_to_the_class_that_predicts_it(iris, few):
    model = Both(2, **QUICK).fit(iris, few)
    assert {"reconstruction", "prediction"} < set(model.history_)
    assert model.score(iris, np.arange(150) // 50) > 0.8
    assert model.sample(2, n_steps=2).shape == (2, 4)


def test_a_parameter_that_changes_after_the_fit_changes_no_score(iris):
    model = DenoisingAutoencoder(**OF_Y).fit(iris, iris[:, :2])
    before = model.score(iris, iris[:, :2])
    assert model.set_params(target="X").score(iris, iris[:, :2]) == before


def test_weights_of_rows_with_targets(halves):
    """A weight of zero takes a row out of the mean and the scale of the targets too."""
    X, Y = halves
    weight = np.arange(400) % 2
    model = clone(COMPLETION).set_params(max_iter=2).fit(X, Y, sample_weight=weight)
    np.testing.assert_allclose(model.target_mean_, Y[1::2].mean(0), rtol=1e-6)
    np.testing.assert_allclose(model.target_scale_, np.sqrt(Y[1::2].var(0).mean()), rtol=1e-6)
    five = clone(COMPLETION).set_params(max_iter=2).fit(X, Y, sample_weight=5 * weight)
    np.testing.assert_allclose(five.transform(X), model.transform(X), rtol=1e-4, atol=1e-5)


def test_equal_rows_with_other_targets_are_other_rows():
    """Rows of one batch are not merged: the best guess for equal ones is the mean of their targets."""
    X, Y = np.repeat(np.eye(3), 4, axis=0), np.arange(12.0)[:, None]
    model = DenoisingAutoencoder(3, hidden_layer_sizes=(8,), solver="lbfgs", max_iter=50, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.set_params(target="y", dtype="float64").fit(X, Y)
    np.testing.assert_allclose(model.denoise(np.eye(3)).ravel(), [1.5, 5.5, 9.5], atol=0.05)


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson", "categorical"])
def test_targets_of_other_likelihoods(likelihood):
    Y = discrete(likelihood, 300)
    X = np.hstack([Y, Y]) / 10  # wider than Y, and in [0, 1]
    options = {"categories": (3, 2)} if likelihood == "categorical" else {}
    model = DenoisingAutoencoder(3, likelihood=likelihood, hidden_layer_sizes=(16,), random_state=0, **options)
    model.set_params(target="y", batch_size=50, max_iter=60, learning_rate_init=0.01)
    if likelihood == "categorical":
        with pytest.warns(UserWarning, match="outside") if X.max() > 1 else warnings.catch_warnings():
            model.fit(X, Y)
    else:
        model.fit(X, Y)
    Y_hat = model.denoise(X)
    assert Y_hat.shape == Y.shape
    assert Y_hat.min() >= 0
    if likelihood == "categorical":
        np.testing.assert_allclose(Y_hat[:, :3].sum(1), 1, rtol=1e-5)
    assert model.score(X, Y) > 0.8
    assert model.target_scale_ == model.scale_ == 1.0


def test_partial_fit_and_warm_start_go_on_with_another_array(halves):
    X, Y = halves
    model = clone(COMPLETION).set_params(max_iter=3, warm_start=True).fit(X, Y)
    mean, first = model.target_mean_, model.transform(X)
    model.fit(X, 2 * Y)
    assert model.n_iter_ == 6
    assert model.target_mean_ is mean  # the scale is that of the first fit
    assert not np.array_equal(model.transform(X), first)
    model.partial_fit(X[:50], Y[:50])
    assert model.n_iter_ == 7
    chunks = clone(COMPLETION)
    for start in range(0, 400, 100):
        chunks.partial_fit(X[start : start + 100], Y[start : start + 100])
    np.testing.assert_allclose(chunks.target_mean_, Y[:100].mean(0), rtol=1e-6)
    assert chunks.denoise(X).shape == Y.shape


def test_a_saved_model_restores_the_same(halves):
    X, Y = halves
    model = clone(COMPLETION).set_params(max_iter=3).fit(X, Y)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(other.denoise(X), model.denoise(X))
        assert other.score(X, Y) == model.score(X, Y)
        np.testing.assert_array_equal(other.target_mean_, model.target_mean_)
        other.partial_fit(X, Y)
    np.testing.assert_array_equal(other.denoise(X), model.partial_fit(X, Y).denoise(X))


def test_a_model_of_x_after_one_of_another_array_starts_anew(halves):
    X, Y = halves
    model = clone(COMPLETION).set_params(max_iter=2)
    again = model.fit(X, Y).set_params(target="X").fit(X, Y)
    np.testing.assert_array_equal(again.denoise(X), clone(model).fit(X).denoise(X))
    assert again.target_mean_ is again.mean_
    assert again.sample(2, n_steps=2).shape == (2, 32)


# ------------------------------------------------------------------ going on with other noise


def test_a_warm_start_may_lower_the_noise():
    """Annealing (Geras and Sutton, 2015): sigma_ and the chain's noise are those of the last fit."""
    X = gaussian_rows(500)
    model = Settled(2, corruption_level=1.0, warm_start=True, batch_size=50, **QUICK).fit(X)
    np.testing.assert_allclose(model.sigma_, model.scale_)
    spread = np.trace(covariance_of_noise(model)) / model.scale_**2
    model.set_params(corruption_level=0.1).fit(X)
    np.testing.assert_allclose(model.sigma_, 0.1 * model.scale_)
    assert np.trace(covariance_of_noise(model)) / model.scale_**2 < 0.9 * spread
    assert model.n_iter_ == 6


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_warm_start_may_change_the_corruption(corruption):
    X = gaussian_rows(200)
    model = DenoisingAutoencoder(2, corruption="masking", warm_start=True, **QUICK).fit(X)
    model.set_params(corruption=corruption).fit(X)
    assert (model.sigma_ > 0) == (corruption == "gaussian")
    assert model.corrupt(X).shape == X.shape
    fresh = DenoisingAutoencoder(2, corruption=corruption, **QUICK).fit(X)
    np.testing.assert_allclose(model.corrupt(X), fresh.corrupt(X), rtol=1e-9)  # equal rows were merged for "masking"


# ------------------------------------------------------------------ bad input

SMALL = np.random.default_rng(0).standard_normal((30, 4))
OF_Y = {"target": "y", **QUICK}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"corruption": "noise"}, "'corruption' parameter of DenoisingAutoencoder"),
        ({"corruption": None}, "'corruption' parameter"),
        ({"corruption_level": -0.1}, "'corruption_level' parameter"),
        ({"corruption_level": "much"}, "'corruption_level' parameter"),
        ({"corruption": "masking", "corruption_level": 1.5}, "corruption_level=1.5 is not a probability"),
        ({"corruption": "bert", "corruption_level": 2}, "corruption_level=2 is not a probability"),
        (
            {"emphasis": (1.0, 0.5)},
            "needs uncorrupted entries, but Gaussian noise corrupts every entry: use emphasis='auto'",
        ),
        ({"emphasis": (2.0, 2.0)}, "but Gaussian noise corrupts every entry"),
        ({"corruption": "masking", "emphasis": (-1.0, 1.0)}, "must be two numbers of at least 0"),
        ({"corruption": "masking", "emphasis": (0, 0)}, "not both 0"),
        ({"corruption": "masking", "emphasis": (1, 2, 3)}, "must be two numbers"),
        ({"corruption": "masking", "emphasis": (1,)}, "must be two numbers"),
        ({"corruption": "masking", "emphasis": ("a", "b")}, "must be two numbers"),
        ({"corruption": "masking", "emphasis": [[1, 2], [3]]}, "must be two numbers"),
        ({"corruption": "masking", "emphasis": (np.nan, 1)}, "must be two numbers"),
        ({"corruption": "masking", "emphasis": (np.inf, 1)}, "must be two numbers"),
        ({"corruption": "masking", "emphasis": "strong"}, "'emphasis' parameter"),
        ({"corruption": "masking", "emphasis": 1.0}, "'emphasis' parameter"),
        ({"walkback": 0}, "'walkback' parameter"),
        ({"walkback": 1.5}, "'walkback' parameter"),
    ],
    ids=str,
)
def test_bad_parameters_are_named(options, sentence):
    assert sentence in refuses(DenoisingAutoencoder(**QUICK).set_params(**options), "fit", SMALL)


@pytest.mark.parametrize(
    ("Y", "options", "sentence"),
    [
        (SMALL[:29], {}, "Y has 29 rows, but X has 30: pass a target for each row of X."),
        (np.where(SMALL > 2, np.nan, SMALL), {}, "Input Y contains NaN"),
        (np.where(SMALL > 2, np.inf, SMALL), {}, "Input Y contains infinity"),
        (sparse.csr_array(np.where(SMALL > 2, np.nan, SMALL)), {}, "Input Y contains NaN"),
        (np.char.add(SMALL.astype(str), "x"), {}, "could not convert string to float"),
        (SMALL + 1j, {}, "Complex data not supported"),
        (SMALL[:, :, None], {}, "dim 3"),
        (SMALL[:, :0], {}, "0 feature"),
        (SMALL * 1e300, {}, "Y has values so large that their variance is infinite: rescale Y."),
        (SMALL[:, :2], {"tied_weights": True}, "Y has 2 columns and X 4: use tied_weights=False"),
        (SMALL[:, :2], {"init": "pca"}, "init='pca' is not defined with 2 targets and 4 features"),
        (SMALL[:, :2], {"emphasis": (1.0, 0.5), "corruption": "masking"}, "but Y has columns of its own"),
        (SMALL, {"walkback": 2}, "walkback=2 needs a model of X: use walkback=1, or target='X'."),
    ],
)
def test_bad_targets_are_told_and_leave_nothing_behind(Y, options, sentence):
    for model in (DenoisingAutoencoder(**OF_Y), DenoisingAutoencoder(**OF_Y).fit(SMALL, SMALL)):
        assert sentence in refuses(model.set_params(**options), "fit", SMALL, Y)
        if not options:
            assert sentence in refuses(DenoisingAutoencoder(**OF_Y), "partial_fit", SMALL, Y)
            assert sentence in refuses(DenoisingAutoencoder(**OF_Y), "fit_transform", SMALL, Y)


def test_groups_are_those_of_what_is_restored():
    Y = np.eye(3)[np.arange(30) % 3]
    model = DenoisingAutoencoder(likelihood="categorical", categories=(2, 2), **OF_Y)
    assert "categories=(2, 2) sum to 4" in refuses(model, "fit", np.abs(SMALL[:, :2]) % 1, Y)


def test_going_on_needs_the_same_kind_of_target():
    of_x = DenoisingAutoencoder(warm_start=True, **QUICK).fit(SMALL)
    of_y = DenoisingAutoencoder(warm_start=True, **OF_Y).fit(SMALL, SMALL[:, :2])
    of_x.set_params(target="y")
    for method in ("fit", "partial_fit"):
        assert refuses(of_x, method, SMALL, SMALL) == (
            "The last fit was with target='X', so training cannot continue with target='y': use target='X', or call "
            "fit with warm_start=False."
        )
        assert "cannot continue with target='X': use target='y'" in refuses(
            copy.deepcopy(of_y).set_params(target="X"), method, SMALL
        )
        assert "Y has 3 columns, but the model was fitted to a Y of 2" in refuses(of_y, method, SMALL, SMALL[:, :3])
    assert of_y.partial_fit(SMALL, SMALL[:, :2]).n_iter_ == 4


def test_scores_need_what_was_restored():
    of_x = DenoisingAutoencoder(**QUICK).fit(SMALL)
    of_y = DenoisingAutoencoder(**OF_Y).fit(SMALL, SMALL[:, :2])
    assert "reconstructs y, not X: pass the array to compare with as y" in refuses(of_y, "score", SMALL)
    assert "reconstructs y, not X" in refuses(of_y, "score_samples", SMALL)
    assert "Y has 3 columns, but the model was fitted to a Y of 2" in refuses(of_y, "score", SMALL, SMALL[:, :3])
    assert "Y has 29 rows" in refuses(of_y, "score", SMALL, SMALL[:29, :2])
    assert of_x.score(SMALL, SMALL * np.nan) == of_x.score(SMALL)
    same = DenoisingAutoencoder(**OF_Y).fit(SMALL, SMALL + 0.01)
    assert same.score(SMALL) < 1  # X itself, where it has the columns of what was restored
    assert same.score_samples(SMALL).shape == (30,)


def test_fields_and_chains_need_a_model_of_x_under_noise():
    of_y = DenoisingAutoencoder(corruption_level=0.3, **OF_Y).fit(SMALL, SMALL)
    masked = DenoisingAutoencoder(corruption="masking", **QUICK).fit(SMALL)
    silent = DenoisingAutoencoder(corruption_level=0.0, **QUICK).fit(SMALL)
    sentence = "needs a model of X, but this one reconstructs y: fit it with target='X'."
    assert refuses(of_y, "sample") == f"sample {sentence}"
    assert refuses(of_y, "score_field", SMALL) == f"score_field {sentence}"
    for model in (masked, silent):
        assert "score_field needs Gaussian noise" in refuses(model, "score_field", SMALL)
    assert "sample needs corruption, but the model was fitted without" in refuses(silent, "sample")
    assert "sample needs corruption, but the model was fitted without" in refuses(
        silent.set_params(corruption_level=0.3), "sample"
    )
    assert "n_samples=0 and n_steps=100 must both be at least 1" in refuses(masked, "sample", 0)
    assert "n_steps=0" in refuses(masked, "sample", 1, 0)
    assert "needs the range of each column" in refuses(
        masked.set_params(corruption="salt_and_pepper"), "corrupt", SMALL
    )


@pytest.mark.parametrize("method", ["denoise", "corrupt", "score_field"])
def test_rows_of_the_wrong_kind_are_refused(method):
    model = DenoisingAutoencoder(**QUICK).fit(SMALL)
    assert "3 features, but DenoisingAutoencoder is expecting 4" in refuses(model, method, SMALL[:, :3])
    spoilt = SMALL.copy()
    spoilt[7, 1] = np.inf
    assert "infinity in row 7, column 1" in refuses(model, method, spoilt)
    assert "is not fitted yet" in refuses(DenoisingAutoencoder(), method, SMALL)
    assert "is not fitted yet" in refuses(DenoisingAutoencoder(), "sample")


def test_the_groups_of_these_tests_are_those_of_the_module_s():
    model, _ = fitted(DenoisingAutoencoder, "categorical", corruption="masking")
    assert torch.equal(model.module_.likelihood.member.bincount(), torch.tensor(GROUPS))
