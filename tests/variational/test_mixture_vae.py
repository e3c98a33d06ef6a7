"""MixtureVariationalAutoencoder: clusters in codes, exact likelihoods of linear models, starts and messages."""

import numpy as np
import pytest
import torch
from contract.requirements import refuses
from scipy import special, stats
from sklearn.base import is_clusterer
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from skae import MixtureVariationalAutoencoder, VariationalAutoencoder
from skae.nn.latent import Posterior
from skae.variational import _clusters, mixture_vae
from skae.variational._clusters import fit_clusters

QUICK = {"hidden_layer_sizes": (8,), "batch_size": 50, "random_state": 0}
CENTERS = np.array([[4.0, 0.0, 0.0, 0.0, 0.0], [-4.0, 2.0, 0.0, 0.0, 0.0], [0.0, -4.0, 3.0, 0.0, 0.0]])


@pytest.fixture(scope="module")
def clouds():
    """Rows of three clusters of different sizes and shapes, and their clusters."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [100, 60, 40])
    X = CENTERS[y] + rng.normal(size=(200, 5)) @ rng.normal(size=(5, 5)) * 0.3
    order = rng.permutation(200)
    return X[order], y[order]


@pytest.fixture(scope="module")
def fitted(clouds):
    return MixtureVariationalAutoencoder(3, n_clusters=3, max_iter=20, **QUICK).fit(clouds[0])


@pytest.fixture(scope="module")
def linear(clouds):
    """A model whose decoder is linear, so that p(x) is a mixture of normal distributions."""
    options = {"hidden_layer_sizes": (), "dtype": "float64", "max_iter": 20, "random_state": 0}
    return MixtureVariationalAutoencoder(2, n_clusters=3, **options).fit(clouds[0])


# ------------------------------------------------------------------ clusters in codes


def codes(log_variance, n=300):
    """Codes of two clusters, with the same uncertainty."""
    rng = np.random.default_rng(0)
    skew = np.array([[1.0, 0.8], [0.0, 0.5]])
    mu = rng.normal(size=(n, 2)) @ skew + np.where(np.arange(n) % 3 == 0, 5.0, -1.0)[:, None]
    mu = torch.from_numpy(mu)
    return Posterior(mu, torch.full_like(mu, log_variance)), torch.full((n,), 1 / n, dtype=torch.float64)


def test_certain_codes_have_the_clusters_of_a_gaussian_mixture(monkeypatch):
    monkeypatch.setattr(_clusters, "SHRINKAGE", 0)
    q, share = codes(-30.0)
    found = fit_clusters(q, share, 2)
    expected = GaussianMixture(2, tol=1e-8, random_state=0).fit(q.mu.numpy())
    np.testing.assert_allclose(found.logits.softmax(0).detach(), [2 / 3, 1 / 3], atol=1e-3)
    order = np.argsort(-expected.weights_)
    np.testing.assert_allclose(found.means.detach(), expected.means_[order], atol=1e-2)
    np.testing.assert_allclose(found.covariances.detach(), expected.covariances_[order], atol=1e-2)
    np.testing.assert_allclose(found.log_prob(q.mu).mean().item(), expected.score(q.mu.numpy()), atol=1e-3)


@pytest.mark.parametrize("variance", [0.1, 25.0])
def test_the_uncertainty_of_codes_is_added_to_the_covariance_of_their_cluster(variance):
    """Even where it is wider than the clusters are apart."""
    certain, uncertain = (fit_clusters(*codes(log_variance), 2) for log_variance in (-30.0, np.log(variance)))
    torch.testing.assert_close(uncertain.covariances, certain.covariances + variance * torch.eye(2).double())
    torch.testing.assert_close(uncertain.means, certain.means)


def test_a_weight_counts_as_so_many_rows(monkeypatch):
    monkeypatch.setattr(_clusters, "SHRINKAGE", 0)
    q, _ = codes(-2.0, 90)
    times = torch.arange(90) % 3
    again = torch.arange(90).repeat_interleave(times)
    weighted = fit_clusters(q, times.double() / len(again), 2)
    repeated = Posterior(q.mu[again], q.log_variance[again])
    found = fit_clusters(repeated, torch.full((len(again),), 1 / len(again), dtype=torch.float64), 2)
    for one, other in zip(weighted.parameters(), found.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=0.02, rtol=0)


def test_few_rows_have_a_covariance_like_that_of_all():
    """With five rows a component in two clusters, it is halfway to that which all share."""
    q, share = codes(-30.0)
    own = np.cov(q.mu[(torch.arange(300) % 3 == 0)].numpy().T, bias=True)
    others = np.cov(q.mu[(torch.arange(300) % 3 != 0)].numpy().T, bias=True)
    shared = own / 3 + others * 2 / 3
    found = fit_clusters(q, share, 2).covariances.detach()
    np.testing.assert_allclose(found[1], (100 * own + 10 * shared) / 110, atol=0.01)
    np.testing.assert_allclose(found[0], (200 * others + 10 * shared) / 210, atol=0.01)


@pytest.mark.parametrize("n_codes", [1, 2, 5])
def test_few_or_equal_codes_are_no_obstacle(n_codes):
    mu = torch.zeros(n_codes, 2, dtype=torch.float64)
    share = torch.full((n_codes,), 1 / n_codes, dtype=torch.float64)
    found = fit_clusters(Posterior(mu, torch.full_like(mu, -3.0)), share, 3)
    assert all(p.isfinite().all() for p in found.parameters())
    assert found.log_prob(mu).isfinite().all()


def test_the_largest_cluster_is_the_first():
    weights = fit_clusters(*codes(-3.0), 2).logits.softmax(0).tolist()
    assert weights == sorted(weights, reverse=True)


# ------------------------------------------------------------------ the model


def test_clusters_are_found(fitted, clouds):
    X, y = clouds
    assert is_clusterer(fitted)
    assert adjusted_rand_score(y, fitted.labels_) > 0.95
    np.testing.assert_array_equal(fitted.predict(X), fitted.labels_)
    np.testing.assert_allclose(fitted.cluster_shares_, np.bincount(fitted.labels_) / 200)
    np.testing.assert_allclose(fitted.weights_, [0.5, 0.3, 0.2], atol=0.05)
    means = np.array([X[fitted.labels_ == k].mean(axis=0) for k in range(3)])
    np.testing.assert_allclose(fitted.cluster_centers_, means, atol=0.5)


def test_the_bound_of_a_linear_model_is_below_its_exact_likelihood_and_near_it(linear, clouds):
    X, D = clouds[0], linear.components_
    noise = linear.noise_variance_ * np.eye(5)
    parts = zip(linear.weights_, linear.cluster_centers_, linear.covariances_, strict=True)
    joint = [np.log(w) + stats.multivariate_normal(m, D.T @ S @ D + noise).logpdf(X) for w, m, S in parts]
    exact = special.logsumexp(joint, axis=0)
    assert linear.elbo(X).mean() < linear.score(X) < exact.mean() + 0.01
    assert linear.score(X) > exact.mean() - 0.1
    assert exact.mean() > VariationalAutoencoder(2, hidden_layer_sizes=(), prior="normal", random_state=0).fit(X).score(
        X
    )


def test_memberships_are_those_of_their_formula(fitted, clouds):
    X = clouds[0]
    mean, deviation = (part.astype(float) for part in fitted.posterior(X))
    joint = np.empty((200, 3))
    for k in range(3):
        S = fitted.covariances_[k]
        density = stats.multivariate_normal(fitted.means_[k], S).logpdf(mean)
        joint[:, k] = np.log(fitted.weights_[k]) + density - deviation**2 @ np.diag(np.linalg.inv(S)) / 2
    np.testing.assert_allclose(fitted.predict_proba(X), special.softmax(joint, axis=1), atol=1e-4)
    np.testing.assert_array_equal(fitted.predict_proba(X).argmax(axis=1), fitted.predict(X))


def test_samples_of_a_cluster_belong_to_it(fitted):
    for k in range(3):
        assert (fitted.predict(fitted.sample(200, random_state=0, cluster=k)) == k).mean() > 0.9
    mixed = np.arange(300) % 3
    assert (fitted.predict(fitted.sample(300, random_state=0, cluster=mixed)) == mixed).mean() > 0.9
    shares = np.bincount(fitted.predict(fitted.sample(2000, random_state=0)), minlength=3) / 2000
    np.testing.assert_allclose(shares, fitted.weights_, atol=0.05)


def test_a_seed_repeats_a_sample_of_a_cluster(fitted):
    one, again, other = (fitted.sample(3, random_state=seed, cluster=1) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


# ------------------------------------------------------------------ stages


def test_without_a_last_quarter_the_network_is_that_of_a_normal_prior(clouds):
    """So the first stage is a variational autoencoder, to the last bit."""
    X = clouds[0]
    alone = VariationalAutoencoder(2, prior="normal", max_iter=3, **QUICK).fit(X)
    model = MixtureVariationalAutoencoder(2, n_clusters=3, max_iter=3, **QUICK).fit(X)
    np.testing.assert_array_equal(model.transform(X), alone.transform(X))
    assert model.score(X) > alone.score(X)  # the clusters are known all the same


def test_the_last_quarter_trains_the_clusters_too(clouds):
    X = clouds[0]
    three, four = (MixtureVariationalAutoencoder(2, n_clusters=3, max_iter=n, **QUICK) for n in (3, 4))
    for model in (three, four):
        model.set_params(learning_rate="constant").fit(X)
    before = MixtureVariationalAutoencoder(2, n_clusters=3, max_iter=3, warm_start=True, **QUICK)
    before.set_params(learning_rate="constant").fit(X)
    means = before.means_
    np.testing.assert_array_equal(means, three.means_)
    np.testing.assert_allclose(four.means_, means, atol=0.5)
    assert not np.array_equal(four.means_, means)
    before.fit(X)  # goes on with network and clusters
    assert before.module_.prior.is_started
    assert not np.array_equal(before.means_, means)


def test_chunks_go_on_with_the_clusters_of_the_first(clouds):
    X = clouds[0]
    model = MixtureVariationalAutoencoder(2, n_clusters=3, **QUICK).partial_fit(X)
    means = model.means_
    model.partial_fit(X[:70])
    assert len(model.labels_) == 70
    assert not np.array_equal(model.means_, means)
    np.testing.assert_allclose(model.means_, means, atol=0.5)


def test_weights_that_are_kept_from_before_the_clusters_get_clusters(clouds, monkeypatch):
    """The epoch of the lowest validation loss may be one with a normal prior."""
    found = []

    def far_off_at_first(q, share, n_clusters):
        found.append(fit_clusters(q, share, n_clusters))
        if len(found) == 1:
            found[0].means.data += 100
        return found[-1]

    monkeypatch.setattr(mixture_vae, "fit_clusters", far_off_at_first)
    model = MixtureVariationalAutoencoder(2, n_clusters=3, max_iter=8, early_stopping=True, **QUICK).fit(clouds[0])
    assert np.argmin(model.history_["validation_loss"]) < 6
    assert len(found) == 2
    np.testing.assert_allclose(model.means_, found[1].means.detach(), rtol=1e-6)


def test_rows_that_are_merged_have_labels_in_their_own_order(clouds):
    X = np.repeat(clouds[0][:30], 2, axis=0)[::-1]
    model = MixtureVariationalAutoencoder(2, n_clusters=3, **{**QUICK, "batch_size": 100}).fit(X)
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    assert len(np.unique(model.labels_)) == 3


def test_weights_of_zero_leave_rows_out_of_the_clusters(clouds):
    X, y = clouds
    model = MixtureVariationalAutoencoder(3, n_clusters=2, **QUICK).fit(X, sample_weight=(y != 2).astype(float))
    assert adjusted_rand_score(y[y != 2], model.labels_[y != 2]) > 0.9
    assert len(model.labels_) == 200


# ------------------------------------------------------------------ messages


def test_more_clusters_than_rows_are_one_sentence(clouds):
    X = clouds[0][:5]
    model = MixtureVariationalAutoencoder(2, n_clusters=6, **QUICK)
    assert refuses(model, "fit", X) == (
        "n_clusters=6 needs at least as many rows; got n_samples = 5: lower n_clusters, or pass more rows."
    )
    sentence = refuses(model.set_params(n_clusters=4), "fit", X, sample_weight=[1, 1, 0, 0, 1])
    assert "rows with positive weight; got n_samples = 3" in sentence
    model.set_params(n_clusters=5, max_iter=2).fit(X)
    assert len(model.weights_) == 5


def test_clusters_that_do_not_exist_are_refused(fitted):
    for wrong in (3, -1, 0.5, "one", [0, 1, 3]):
        assert "from 0 to 2" in refuses(fitted, "sample", 3, None, wrong)
    assert "shape (2,)" in refuses(fitted, "sample", 3, None, [0, 1])
    assert "n_samples" in refuses(fitted, "sample", 0, None, 1)


def test_another_number_of_clusters_needs_a_new_fit(clouds):
    model = MixtureVariationalAutoencoder(2, n_clusters=3, max_iter=2, warm_start=True, **QUICK).fit(clouds[0])
    assert "n_clusters changed" in refuses(model.set_params(n_clusters=4), "fit", clouds[0])


def test_empty_clusters_are_told(clouds):
    X = np.repeat(clouds[0][:3], 70, axis=0)
    model = MixtureVariationalAutoencoder(2, n_clusters=5, max_iter=15, **QUICK)
    with pytest.warns(
        UserWarning, match=r"Clusters? .* empty, no training row belongs there: lower n_clusters \(now 5"
    ):
        model.fit(X)
    assert np.isfinite(model.score_samples(X)).all()
