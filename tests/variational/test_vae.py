"""VariationalAutoencoder: exact likelihoods of linear models, gradients, limits, priors, samples and messages."""

import numpy as np
import pytest
import torch
from contract.requirements import refuses
from scipy import linalg, sparse, stats
from seen import seen
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning

import skae.variational._variational as family
from skae import Autoencoder, VariationalAutoencoder
from skae.base import Bottleneck
from skae.nn.priors import FittedMixture, Vamp

QUICK = {"hidden_layer_sizes": (8,), "batch_size": 50, "max_iter": 3, "random_state": 0}
AT_THE_START = {"prior": "normal", "learning_rate_init": 1e-30, "weight_decay": 0.0, "max_iter": 1, "random_state": 0}
LINEAR = {"hidden_layer_sizes": (), "prior": "normal", "random_state": 0}


@pytest.fixture(scope="module")
def correlated():
    """Rows of a linear Gaussian model with two components and 6 columns, in units that are not those of the module."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 6)) + 0.6 * rng.normal(size=(400, 6))
    return 7.0 * X + np.arange(6)


def exact(model, X):
    """Log-likelihood of each row under a linear model, in closed form."""
    D, center = model.components_, model.inverse_transform(np.zeros((1, len(model.components_))))[0]
    covariance = D.T @ D + np.diag(np.broadcast_to(model.noise_variance_, len(center)))
    return stats.multivariate_normal(center, covariance).logpdf(X)


def spoil_posterior(model, factor):
    """Multiply the variances of q(h | x) by a factor."""
    with torch.no_grad():
        model.module_.encoder.biases[-1][int(model.n_components) :] += np.log(factor)
    return model


# ------------------------------------------------------------------ linear models are probabilistic PCA


@pytest.mark.parametrize(
    "options", [{}, {"channels": (3,), "image_shape": (2, 3)}, {"tied_weights": True, "hidden_layer_sizes": ()}]
)
@pytest.mark.parametrize("k", [1, 2, 5])
def test_training_starts_at_probabilistic_pca(k, options, correlated):
    model = VariationalAutoencoder(k, dtype="float64", **AT_THE_START, **options).fit(correlated)
    np.testing.assert_allclose(model.elbo(correlated), model.score_samples(correlated), rtol=1e-9)  # q is exact
    covariance = PCA(k).fit(correlated).get_covariance() * (399 / 400)  # scikit-learn divides by n - 1
    expected = stats.multivariate_normal(correlated.mean(0), covariance).logpdf(correlated)
    np.testing.assert_allclose(model.score_samples(correlated), expected, rtol=1e-6)


@pytest.mark.parametrize("k", [6, 9])
def test_as_many_components_as_columns_are_a_full_gaussian(k, correlated):
    model = VariationalAutoencoder(k, hidden_layer_sizes=(), dtype="float64", **AT_THE_START).fit(correlated)
    covariance = np.cov(correlated.T, bias=True)
    expected = stats.multivariate_normal(correlated.mean(0), covariance).logpdf(correlated)
    np.testing.assert_allclose(model.score_samples(correlated), expected, rtol=1e-6)
    np.testing.assert_array_equal(model.active_components_, np.arange(k) < 6)


@pytest.mark.parametrize(("seed", "deviation"), [(1, 1e-4), (6, 1e-4), (7, 1.5e-4)])
def test_a_variance_that_is_lost_in_rounding_does_not_spoil_the_start(seed, deviation):
    """The variance of the noise is about a hundred-millionth of the whole."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(500, 6)) @ np.diag([1.0, 3e-3, *[deviation] * 4]) @ stats.ortho_group(6).rvs(1, rng).T
    start = VariationalAutoencoder(2, **AT_THE_START).fit(X)
    assert start.score(X) > PCA(2).fit(X).score(X) - 1


@pytest.mark.parametrize("init", ["pca", "random"])
def test_a_linear_model_reaches_the_likelihood_and_the_subspace_of_pca(init, correlated):
    options = {**LINEAR, "max_iter": 150, "init": init, "weight_decay": 0.0, "learning_rate_init": 0.02}
    model, pca = VariationalAutoencoder(2, **options).fit(correlated), PCA(2).fit(correlated)
    assert model.score(correlated) == pytest.approx(pca.score(correlated), abs=0.01 * 6)
    assert exact(model, correlated).mean() == pytest.approx(pca.score(correlated), abs=0.01 * 6)
    angles = linalg.subspace_angles(model.components_.T, pca.components_.T)
    assert np.degrees(angles.max()) < 3


def test_the_posterior_is_that_of_the_linear_model(correlated):
    model = VariationalAutoencoder(2, hidden_layer_sizes=(), dtype="float64", **AT_THE_START).fit(correlated)
    D, s2 = model.components_, model.noise_variance_
    S = np.linalg.inv(D @ D.T / s2 + np.eye(2))
    mean, deviation = model.posterior(correlated)
    np.testing.assert_allclose(mean, (correlated - correlated.mean(0)) @ D.T @ S / s2, atol=1e-9)
    np.testing.assert_allclose(deviation, np.broadcast_to(np.sqrt(np.diag(S)), (400, 2)), rtol=1e-9)
    np.testing.assert_array_equal(mean, model.transform(correlated))


@pytest.mark.parametrize("factor", [0.4, 1.5])
def test_bounds_rise_with_draws_and_stay_below_the_exact_likelihood(factor, correlated):
    model = VariationalAutoencoder(2, hidden_layer_sizes=(), dtype="float64", **AT_THE_START)
    spoil_posterior(model.fit(correlated), factor)
    limit = exact(model, correlated).mean()
    bounds = [model.elbo(correlated).mean()]
    bounds += [model.set_params(n_draws=n).score(correlated) for n in (16, 64, 512)]
    assert bounds[0] < bounds[1] < bounds[2] < limit
    assert bounds[3] == pytest.approx(limit, abs=0.03)  # all rows share the error of the draws
    gap = factor - 1 - np.log(factor)  # the divergence of q from the exact posterior, of two components
    assert bounds[0] == pytest.approx(limit - gap, abs=1e-6)


def test_samples_have_the_moments_of_the_linear_model(correlated):
    model = VariationalAutoencoder(2, hidden_layer_sizes=(), **AT_THE_START).fit(correlated)
    X, covariance = model.sample(40_000, random_state=0), PCA(2).fit(correlated).get_covariance()
    np.testing.assert_allclose(X.mean(0), correlated.mean(0), atol=5 * np.sqrt(covariance.max() / 40_000))
    np.testing.assert_allclose(np.cov(X.T), covariance, atol=0.03 * covariance.max())
    assert X.dtype == np.float64


@pytest.mark.parametrize("variance", ["global", "column", 9.0])
def test_the_variance_is_learnt_or_fixed_in_units_of_x(variance, correlated):
    options = {**LINEAR, "max_iter": 60, "variance": variance, "weight_decay": 0.0}
    model = VariationalAutoencoder(2, **options).fit(correlated)
    assert model.score(correlated) == pytest.approx(exact(model, correlated).mean(), abs=0.03)
    if variance == 9.0:
        assert model.noise_variance_ == pytest.approx(9.0)
    else:
        true = (7 * 0.6) ** 2
        np.testing.assert_allclose(model.noise_variance_, true, rtol=0.15 if variance == "global" else 0.4)
        assert np.shape(model.noise_variance_) == ((6,) if variance == "column" else ())


# ------------------------------------------------------------------ the objective


def both_steps(model, X, weight=None):
    """Gradient and terms of a step by hand, and of autograd, with the same noise."""
    batch = seen(model, X, weight=weight)[slice(0, 30)]
    found = []
    for step in (model._step, lambda *arguments: super(Autoencoder, model)._step(*arguments)):
        model._flat.grad.zero_()
        terms = step(model.module_, batch, torch.Generator().manual_seed(3))
        found.append((model._flat.grad.clone(), {name: float(term.detach()) for name, term in terms.items()}))
    return found


@pytest.mark.parametrize("weight", [None, np.arange(60) % 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"init": "random", "beta": 3.0},
        {"free_bits": 0.8},
        {"variance": "column"},
        {"variance": 0.3},
        {"likelihood": "bernoulli"},
        {"likelihood": "poisson"},
        {"dropout": 0.3, "input_dropout": 0.2},
        {"tied_weights": True},
    ],
)
def test_the_step_by_hand_is_that_of_autograd(options, weight):
    X = np.random.default_rng(0).random((60, 5))
    model = VariationalAutoencoder(2, dtype="float64", **QUICK, **options).fit(X)
    (by_hand, terms), (expected, same) = both_steps(model, X, weight)
    torch.testing.assert_close(by_hand, expected)
    assert terms == pytest.approx(same)
    assert list(terms) == ["reconstruction", "divergence"]


def test_log_variances_beyond_the_bound_have_the_gradient_that_leads_back():
    X = np.random.default_rng(0).random((60, 5))
    model = spoil_posterior(VariationalAutoencoder(2, dtype="float64", **QUICK).fit(X), np.exp(20.0))
    (by_hand, _), (expected, _) = both_steps(model, X)
    torch.testing.assert_close(by_hand, expected)
    assert bool((model.module_.encoder.biases[-1].grad[2:] > 0).all())
    assert np.isfinite(model.score_samples(1e3 * X)).all()


def test_without_noise_and_divergence_it_is_an_autoencoder_to_the_bit(monkeypatch):
    """Of whose encoder a half is not used, and with the squared error over twice the variance 1/2."""

    class Half(Autoencoder):
        """An autoencoder that decodes the first half of what its encoder puts out."""

        def _architecture(self, n_features):
            return {**super()._architecture(n_features), "n_moments": 2}

        def _is_noisy(self):
            return True

        def _bottleneck(self, module, batch, e, rng):
            return Bottleneck(e[:, :2], {}, lambda g: torch.cat([g, torch.zeros_like(g)], 1))

        def _encode(self, module, batch):
            return module.encode(batch.x)[:, :2]

    monkeypatch.setattr(family, "standard_normal", lambda like, rng: torch.zeros_like(like))
    X = np.random.default_rng(0).random((60, 5))
    options = {**QUICK, "init": "random", "batch_size": 7}
    plain = Half(2, **options).fit(X)
    model = VariationalAutoencoder(2, beta=0.0, prior="normal", variance=0.5 * plain.scale_**2, **options).fit(X)
    for name, weights in plain.module_.state_dict().items():
        assert torch.equal(model.module_.state_dict()[name], weights), name
    np.testing.assert_array_equal(model.transform(X), plain.transform(X))


@pytest.mark.parametrize("K", [1, 5])
def test_the_importance_weighted_loss_and_its_gradient(K):
    """The value is minus log 1/K sum w, and the gradient has the mean of the one that goes through q too."""
    X = np.random.default_rng(0).random((60, 5))
    model = spoil_posterior(VariationalAutoencoder(2, prior="normal", dtype="float64", **QUICK).fit(X), 2.0)
    module, batch = model.module_, seen(model, X)[slice(0, 3)]
    e = module.encode(batch.x).detach().requires_grad_()
    many = batch._replace(x=batch.x.repeat(20_000, 1))
    q = family.Posterior.of(e.repeat(20_000, 1))
    eps = torch.randn(K, len(q.mu) // 2, 2, generator=torch.Generator().manual_seed(0), dtype=e.dtype)
    h = q.drawn(torch.cat([eps, -eps], 1))
    fit = module.likelihood.log_likelihood(module.decode(h.flatten(0, 1)).unflatten(0, h.shape[:2]), many.x)
    expected = np.log(K) - (fit + module.prior.log_prob(h) - q.log_prob(h)).logsumexp(0).mean()
    (through_q,) = torch.autograd.grad(expected, e, retain_graph=True)
    loss = sum(model._importance_weighted(module, many, q, h, None).values())
    assert float(loss.detach()) == pytest.approx(float(expected.detach()))
    (found,) = torch.autograd.grad(loss, e)
    torch.testing.assert_close(found, through_q, rtol=0.05, atol=0.005)
    if K == 1:
        elbo = float((model._divergence(module, many, q, h) - fit.mean()).detach())
        assert elbo == pytest.approx(float(expected.detach()), abs=0.02)


def test_more_importance_samples_train_a_better_bound(correlated):
    """With a posterior that is wrong on purpose, the loss of held-out rows is lower with more samples."""
    plain = VariationalAutoencoder(2, dtype="float64", **QUICK).fit(correlated)
    model = VariationalAutoencoder(2, n_importance_samples=16, dtype="float64", **QUICK).fit(correlated)
    assert set(model.history_) == {"loss", "reconstruction", "divergence"}
    batch = seen(plain, correlated)[slice(0, 400)]
    spoil_posterior(plain, 3.0)
    with torch.no_grad():
        elbo, weighted = (float(sum(m._loss(plain.module_, batch, None).values())) for m in (plain, model))
    assert weighted < elbo - 0.3


def test_the_weight_of_the_divergence_rises():
    X = np.random.default_rng(0).random((100, 5))
    model = VariationalAutoencoder(2, warm_up=0.5, beta=2.0, **{**QUICK, "max_iter": 10}).fit(X)
    assert float(model.module_.steps_taken) == 20
    weights = []
    for step in range(1, 13):
        model.module_.steps_taken.fill_(step)
        weights.append(float(model._weight_of_divergence(model.module_, torch.Generator())))
    np.testing.assert_allclose(weights, 2.0 * np.minimum(np.arange(1, 13) / 10, 1), rtol=1e-6)
    assert model._weight_of_divergence(model.module_, None) == 2.0


def test_free_bits_cost_nothing_and_move_nothing():
    X = np.random.default_rng(0).random((60, 5))
    model = VariationalAutoencoder(2, free_bits=50.0, dtype="float64", **QUICK).fit(X)
    (by_hand, terms), _ = both_steps(model, X)
    assert terms["divergence"] == 2 * 50.0
    model.set_params(beta=0.0)
    (without, _), _ = both_steps(model, X)
    assert torch.equal(by_hand, without)


def test_the_divergence_from_a_learnt_prior_is_estimated():
    X = np.random.default_rng(0).random((60, 5))
    model = VariationalAutoencoder(2, prior="flow", dtype="float64", **QUICK).fit(X)
    for parameter in model.module_.prior.parameters():  # N(0, I) again, where the divergence is known
        parameter.data.zero_()
    batch = seen(model, X)[slice(0, 60)]
    q = family.Posterior(*model._moments_of(model.module_, batch).detach().chunk(2, 1))
    h = q.drawn(torch.randn(500, *q.mu.shape, dtype=q.mu.dtype, generator=torch.Generator().manual_seed(0)))
    closed = family.gaussian_divergence(q.mu, q.log_variance).sum(1).mean()
    assert float(model._divergence(model.module_, batch, q, h).detach()) == pytest.approx(float(closed), abs=0.03)


def test_total_correlation_weakens_correlation():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 2)) @ [[1.0, 0.9, 0.5, 0.0], [0.0, 0.5, 0.9, 1.0]] + 0.1 * rng.normal(size=(1000, 4))
    options = {"hidden_layer_sizes": (16,), "init": "random", "max_iter": 20, "random_state": 0}
    found = []
    for weight in (0.0, 20.0):
        model = VariationalAutoencoder(2, total_correlation=weight, **options).fit(X)
        found.append(abs(np.corrcoef(model.transform(X).T)[0, 1]))
        assert ("total_correlation" in model.history_) == (weight > 0)
    assert found[1] < 0.5 * found[0]


# ------------------------------------------------------------------ priors


def test_a_mixture_raises_the_bound_of_the_same_network(digits):
    options = {"hidden_layer_sizes": (32,), "max_iter": 20, "random_state": 0}
    normal, mixture = (VariationalAutoencoder(4, prior=prior, **options).fit(digits) for prior in ("normal", "mixture"))
    np.testing.assert_array_equal(mixture.transform(digits), normal.transform(digits))  # the network is the same
    assert mixture.elbo(digits).mean() > normal.elbo(digits).mean()
    np.testing.assert_array_equal(mixture.kl_per_component_, normal.kl_per_component_)


def test_a_mixture_of_one_has_the_moments_of_the_codes(digits):
    model = VariationalAutoencoder(3, prior_size=1, hidden_layer_sizes=(16,), max_iter=10, random_state=0).fit(digits)
    mean, deviation = model.posterior(digits)
    codes = model.sample_codes(50_000, random_state=0)
    np.testing.assert_allclose(codes.mean(0), mean.mean(0), atol=0.06)
    expected = np.cov(mean.T, bias=True) + np.diag((deviation**2).mean(0))
    np.testing.assert_allclose(np.cov(codes.T), expected, atol=0.12)


def test_rows_that_weigh_nothing_do_not_shape_the_mixture(digits):
    weight = (np.arange(400) < 200).astype(float)
    model = VariationalAutoencoder(2, prior_size=1, **QUICK).fit(digits, sample_weight=weight)
    mean, _ = model.posterior(digits[:200])
    codes = model.sample_codes(20_000, random_state=0)
    np.testing.assert_allclose(codes.mean(0), mean.mean(0), atol=0.1)


def test_few_rows_keep_the_normal_prior():
    X = np.random.default_rng(0).random((29, 4))
    prior = VariationalAutoencoder(2, **QUICK).fit(X).module_.prior
    assert isinstance(prior, FittedMixture)
    h = torch.ones(1, 2)
    torch.testing.assert_close(prior.log_prob(h), prior.normal.log_prob(h))


def test_a_vamp_prior_starts_at_rows_and_learns_them(iris):
    model = VariationalAutoencoder(2, prior_size=5, **{**AT_THE_START, "prior": "vamp"}).fit(iris)
    assert isinstance(model.module_.prior, Vamp)
    rows = model._frame.undo(model.module_.prior.pseudo_inputs.detach()).numpy()
    assert all(np.isclose(iris, row, atol=1e-5).all(1).any() for row in rows)
    model.set_params(learning_rate_init=0.01, max_iter=20).fit(iris)
    assert not np.allclose(rows, model._frame.undo(model.module_.prior.pseudo_inputs.detach()).numpy())


# ------------------------------------------------------------------ using


@pytest.mark.parametrize("likelihood", ["bernoulli", "categorical", "poisson"])
def test_samples_are_rows_of_their_likelihood(likelihood):
    rng = np.random.default_rng(0)
    X = {
        "bernoulli": (rng.random((60, 6)) < 0.4).astype(float),
        "categorical": np.hstack([np.eye(3)[rng.integers(0, 3, 60)], np.eye(3)[rng.integers(0, 3, 60)]]),
        "poisson": rng.poisson(4.0, (60, 6)).astype(float),
    }[likelihood]
    categories = (3, 3) if likelihood == "categorical" else None
    model = VariationalAutoencoder(2, likelihood=likelihood, categories=categories, **QUICK).fit(X)
    rows = model.sample(200, random_state=0)
    np.testing.assert_array_equal(rows, rows.round())
    assert rows.min() >= 0
    if likelihood == "categorical":
        np.testing.assert_array_equal(rows.reshape(200, 2, 3).sum(2), 1.0)
    assert (rows.max() <= 1) == (likelihood != "poisson")
    np.testing.assert_array_equal(rows, model.sample(200, random_state=0))
    assert not np.array_equal(rows, model.sample(200, random_state=1))
    with pytest.raises(AttributeError, match="noise_variance_ belongs to the gaussian likelihood"):
        _ = model.noise_variance_


def test_a_way_leads_from_one_reconstruction_to_the_other(iris):
    model = VariationalAutoencoder(2, **QUICK).fit(iris)
    way = model.interpolate(iris[0], iris[[100]], n=5)
    np.testing.assert_allclose(way[[0, -1]], model.reconstruct(iris[[0, 100]]), atol=1e-5)
    middle = model.transform(iris[[0, 100]]).mean(0, keepdims=True)
    np.testing.assert_allclose(way[2:3], model.inverse_transform(middle), atol=1e-5)
    assert "a must be a single row" in refuses(model, "interpolate", iris[:2], iris[0])
    assert "a must be a single row, but has the shape ()" in refuses(model, "interpolate", 3, 100)
    ends = sparse.csr_matrix(iris[[0]]), sparse.csr_array(iris[[100]])
    np.testing.assert_allclose(model.interpolate(*ends, n=5), way, atol=1e-5)
    assert "4 features" in refuses(model, "interpolate", iris[0, :3], iris[0])
    assert "n=0 must be a whole number of at least 1" in refuses(model, "interpolate", iris[0], iris[1], 0)
    assert "n_samples=0 must be a whole number" in refuses(model, "sample", 0)


def test_codes_of_the_prior_are_those_that_are_decoded(iris):
    model = VariationalAutoencoder(2, variance=1e-8, **QUICK).fit(iris)  # hardly any noise in p(x | h)
    means = model.inverse_transform(model.sample_codes(7, random_state=3))
    np.testing.assert_allclose(model.sample(7, random_state=3), means, atol=0.01)


def test_a_component_without_variance_is_not_active():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 1)) @ rng.normal(size=(1, 6)) + 0.3 * rng.normal(size=(500, 6))
    model = VariationalAutoencoder(3, hidden_layer_sizes=(), beta=2.0, max_iter=60, random_state=0).fit(X)
    assert model.active_components_.tolist() == [True, False, False]
    assert model.kl_per_component_[0] > 1 > 20 * model.kl_per_component_[1:].max()


def test_the_divergence_of_a_component_is_measured(iris):
    model = VariationalAutoencoder(2, **QUICK).fit(iris)
    mean, deviation = model.posterior(iris)
    expected = 0.5 * (mean**2 + deviation**2 - 1 - 2 * np.log(deviation)).mean(0)
    np.testing.assert_allclose(model.kl_per_component_, expected, rtol=1e-4)


# ------------------------------------------------------------------ what goes wrong


def test_a_collapsed_posterior_is_told():
    X = np.random.default_rng(0).normal(size=(300, 5))
    with pytest.warns(ConvergenceWarning, match=r"The posterior has collapsed: .*: lower beta \(now 50\), or set warm"):
        model = VariationalAutoencoder(2, beta=50.0, max_iter=30, random_state=0).fit(X)
    assert not model.active_components_.any()


def test_constant_rows_have_nothing_to_say():
    X = np.ones((60, 3))
    assert np.isfinite(VariationalAutoencoder(2, max_iter=60, random_state=0).fit(X).score(X))


def test_rows_outside_the_support_are_told_when_they_are_scored(digits):
    model = VariationalAutoencoder(2, likelihood="bernoulli", **{**QUICK, "max_iter": 1}).fit(digits / 16)
    with pytest.warns(UserWarning, match="values outside .* in row 0"):
        assert model.score(digits) == -np.inf
    with pytest.warns(UserWarning, match="values outside .* in row 0"):
        assert (model.elbo(digits[:3]) == -np.inf).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_importance_samples": 2, "beta": 2.0}, "n_importance_samples > 1 trains a bound that has no term"),
        ({"n_importance_samples": 2, "warm_up": 0.5}, "n_importance_samples > 1 trains a bound"),
        ({"n_importance_samples": 2, "total_correlation": 1.0}, "total_correlation is a term of the ELBO"),
        ({"prior_size": 151}, "prior_size=151 needs at least as many rows; got n_samples = 150"),
        ({"code": "map", "hidden_layer_sizes": ()}, "code='map' needs convolutional layers: pass channels"),
        ({"code_activation": "tanh"}, "'code_activation' parameter of VariationalAutoencoder must be"),
        ({"variance": 0.0}, "'variance' parameter of VariationalAutoencoder must be"),
        ({"prior": "student"}, "'prior' parameter of VariationalAutoencoder must be"),
    ],
)
def test_bad_parameters_are_told_in_a_sentence(options, message, iris):
    assert message in refuses(VariationalAutoencoder(2, **options), "fit", iris)
