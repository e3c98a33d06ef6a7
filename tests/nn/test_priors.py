"""Priors: densities against scipy and integrals, samples against densities, and how they start."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.mixture import GaussianMixture

from skae.nn.dense import DenseAutoencoder
from skae.nn.priors import LEAST_VARIANCE, Coupling, Flow, Mixture, StandardNormal, prior_of

NAMES = ["normal", "mixture", "fitted", "vamp", "flow"]
every_prior = pytest.mark.parametrize("name", NAMES)
every_width = pytest.mark.parametrize("n_components", [1, 2])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def coder_of(n_components=2):
    coder = DenseAutoencoder(
        n_features=3,
        n_components=n_components,
        n_outputs=3,
        hidden_layer_sizes=(4,),
        activation="tanh",
        code_activation="identity",
        likelihood="gaussian",
        categories=(),
        tied_weights=False,
        projected=False,
        dropout=0.0,
        batch_norm=False,
        n_moments=2,
    ).double()
    coder.initialise(torch.zeros(3), seeded())
    return coder


def new(name, n_components=2):
    """A prior as it is before training."""
    prior = made(name, n_components).double()
    prior.initialise(seeded())
    return prior


def made(name, n_components=2):
    if name == "flow":
        return Flow(n_components, n_layers=4, width=8)
    if name == "mixture":
        return Mixture(n_components, 3)
    return prior_of("mixture" if name == "fitted" else name, n_components, 3, coder_of(n_components))


def trained(name, n_components=2):
    """A prior with parameters as training could leave them."""
    prior = new(name, n_components)
    rng = seeded(5)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(0.4 * torch.randn(parameter.shape, generator=rng, dtype=parameter.dtype))
    if name == "fitted":
        found = fitted_mixture(n_components)
        prior.start(*map(torch.from_numpy, (found.weights_, found.means_, found.precisions_cholesky_)))
    return prior


def fitted_mixture(n_components):
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(60, n_components)) @ (np.eye(n_components) + 0.5) + np.arange(60)[:, None] % 2 * 3
    return GaussianMixture(2, random_state=0).fit(codes)


def grid(n_components, end=12.0, n=241):
    """Points of a lattice, and the volume that belongs to each."""
    axis = torch.linspace(-end, end, n, dtype=torch.float64)
    points = torch.stack(torch.meshgrid(*[axis] * n_components, indexing="ij"), -1).reshape(-1, n_components)
    return points, float(axis[1] - axis[0]) ** n_components


# ---------------------------------------------------------------- densities


@every_prior
@every_width
def test_a_density_integrates_to_one(name, n_components):
    h, volume = grid(n_components)
    np.testing.assert_allclose(trained(name, n_components).log_prob(h).exp().sum().item() * volume, 1.0, atol=1e-4)


@every_prior
@every_width
def test_samples_have_the_moments_and_the_entropy_of_the_density(name, n_components):
    prior, n = trained(name, n_components), 40_000
    h, volume = grid(n_components)
    p = prior.log_prob(h).exp() * volume
    drawn = prior.sample(n, seeded(1))
    assert drawn.shape == (n, n_components)
    assert drawn.dtype == torch.float64
    mean = p @ h
    covariance = (h - mean).t() @ (p[:, None] * (h - mean))
    deviation = covariance.diagonal().sqrt()
    assert ((drawn.mean(0) - mean).abs() < 4 * deviation / math.sqrt(n)).all()
    torch.testing.assert_close(drawn.t().cov().reshape(covariance.shape), covariance, rtol=0.05, atol=0.05)
    entropy, log_prob = -(p * prior.log_prob(h)).sum(), prior.log_prob(drawn)
    assert abs(log_prob.mean() + entropy) < 4 * log_prob.std() / math.sqrt(n)


def test_a_normal_prior_is_that_of_scipy():
    h = torch.randn(5, 3, generator=seeded(), dtype=torch.float64)
    expected = stats.multivariate_normal(np.zeros(3)).logpdf(h.numpy())
    np.testing.assert_allclose(StandardNormal(3).log_prob(h), expected, rtol=1e-12)


def normals(prior):
    """Densities of a mixture's clusters, by scipy."""
    means, covariances = prior.means.detach().numpy(), prior.covariances.detach().numpy()
    return [stats.multivariate_normal(m, S) for m, S in zip(means, covariances, strict=True)]


def test_a_mixture_is_that_of_scipy():
    prior = trained("mixture")
    h = torch.randn(5, 2, generator=seeded(), dtype=torch.float64)
    joint = (
        np.stack([normal.pdf(h.numpy()) for normal in normals(prior)], -1) * prior.logits.softmax(0).detach().numpy()
    )
    np.testing.assert_allclose(prior.log_joint(h).exp().detach(), joint, rtol=1e-10)
    np.testing.assert_allclose(prior.log_prob(h).exp().detach(), joint.sum(1), rtol=1e-10)


def test_covariances_are_full():
    covariances = trained("mixture").covariances
    assert (covariances[:, 0, 1].abs() > 0.01).all()
    torch.testing.assert_close(covariances, covariances.mT)


def test_the_expected_density_of_a_code_is_the_mean_over_draws_of_it():
    prior, n = trained("mixture"), 100_000
    mean, log_variance = torch.tensor([[0.5, -1.0], [-0.7, 0.3]], dtype=torch.float64)
    h = mean + (log_variance / 2).exp() * torch.randn(n, 2, generator=seeded(), dtype=torch.float64)
    drawn = prior.log_joint(h)
    expected = prior.expected_log_joint(mean, log_variance)
    assert ((drawn.mean(0) - expected).abs() < 4 * drawn.std(0) / math.sqrt(n)).all()
    certain = prior.expected_log_joint(mean, torch.full((2,), -800.0, dtype=torch.float64))
    torch.testing.assert_close(certain, prior.log_joint(mean))


def test_samples_of_a_cluster_are_its_own():
    prior, n = trained("mixture"), 20_000
    for k, normal in enumerate(normals(prior)):
        drawn = prior.sample_of(torch.full((n,), k), seeded(k)).numpy()
        np.testing.assert_allclose(drawn.mean(0), normal.mean, atol=0.05)
        np.testing.assert_allclose(np.cov(drawn.T), normal.cov, atol=0.05)


def test_a_vamp_prior_is_the_mean_of_its_posteriors():
    prior = trained("vamp")
    h = torch.randn(5, 2, generator=seeded(), dtype=torch.float64)
    mean, log_variance = prior._coder[0].encode(prior.pseudo_inputs).detach().numpy().reshape(3, 2, 2).swapaxes(0, 1)
    expected = np.mean(
        [
            stats.multivariate_normal(m, np.diag(np.exp(s))).pdf(h.numpy())
            for m, s in zip(mean, log_variance, strict=True)
        ],
        axis=0,
    )
    np.testing.assert_allclose(prior.log_prob(h).exp().detach(), expected, rtol=1e-10)


@pytest.mark.parametrize("n_components", [1, 2, 5])
def test_a_flow_can_be_inverted_and_knows_its_volume(n_components):
    flow = trained("flow", n_components)
    h = 2 * torch.randn(4, n_components, generator=seeded(), dtype=torch.float64)
    z, log_volume = flow.to_base(h)
    torch.testing.assert_close(flow.from_base(z), h, rtol=1e-8, atol=1e-8)
    for row, of_row in zip(h, log_volume, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda row: flow.to_base(row[None])[0][0], row)
        torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], of_row.detach())


def test_a_coupling_layer_moves_every_other_component_by_the_others():
    for offset in (0, 1):
        layer = Coupling(4, offset, 8).double()
        layer.network.initialise(seeded(offset))
        jacobian = torch.autograd.functional.jacobian(lambda h, f=layer: f(h)[0], torch.ones(4, dtype=torch.float64))
        moved = (torch.arange(4) + offset) % 2 == 0
        assert torch.equal(jacobian[~moved], torch.eye(4, dtype=torch.float64)[~moved])
        assert (jacobian[moved][:, ~moved] != 0).all()


def test_a_flow_of_one_component_is_a_normal_distribution_that_learns_its_mean_and_deviation():
    flow = trained("flow", 1)
    (a, b), _ = flow.to_base(torch.tensor([[0.0], [1.0]], dtype=torch.float64))
    scale = (b - a).item()
    assert abs(scale - 1) > 0.01
    h = torch.linspace(-3, 3, 7, dtype=torch.float64)
    expected = stats.norm(-a.item() / scale, 1 / scale).logpdf(h.numpy())
    np.testing.assert_allclose(flow.log_prob(h[:, None]).detach(), expected, rtol=1e-10)


# ---------------------------------------------------------------- gradients and extremes


@every_prior
@every_width
def test_leading_axes_are_draws(name, n_components):
    prior = trained(name, n_components)
    h = torch.randn(2, 3, n_components, generator=seeded(), dtype=torch.float64)
    assert prior.log_prob(h).shape == (2, 3)
    torch.testing.assert_close(prior.log_prob(h)[1], prior.log_prob(h[1]))
    torch.testing.assert_close(prior.log_prob(h)[1, 2], prior.log_prob(h[1, 2]))


@every_prior
@every_width
def test_the_gradient_in_code_and_parameters_is_that_of_differences(name, n_components):
    prior = trained(name, n_components)
    h = torch.randn(3, n_components, generator=seeded(), dtype=torch.float64, requires_grad=True)

    def density(h, *parameters):
        named = dict(zip(dict(prior.named_parameters()), parameters, strict=True))
        return torch.func.functional_call(_LogProb(prior), {f"prior.{name}": p for name, p in named.items()}, (h,))

    assert torch.autograd.gradcheck(density, (h, *prior.parameters()), fast_mode=True)


class _LogProb(torch.nn.Module):
    def __init__(self, prior):
        super().__init__()
        self.prior = prior

    def forward(self, h):
        return self.prior.log_prob(h)


@every_prior
@every_width
@pytest.mark.parametrize("size", [0.0, 1e3, 1e12])
def test_extreme_codes_have_finite_densities_and_gradients(name, n_components, size):
    prior = trained(name, n_components).float()
    if name == "vamp":
        prior._coder[0].float()
    h = torch.full((2, n_components), size, requires_grad=True)
    prior.log_prob(h).sum().backward()
    assert prior.log_prob(h).isfinite().all()
    assert all(p.grad.isfinite().all() for p in (h, *prior.parameters()))


def test_a_vamp_prior_trains_the_encoder_but_does_not_own_it():
    prior = trained("vamp")
    assert [name for name, _ in prior.named_parameters()] == ["pseudo_inputs"]
    coder = prior._coder[0]
    prior.log_prob(torch.ones(1, 2, dtype=torch.float64)).sum().backward()
    assert all(p.grad.any() for p in coder.encoder.parameters())
    assert all(p.grad is None for p in coder.decoder.parameters())


def test_posteriors_of_any_log_variance_have_a_finite_density():
    prior = trained("vamp")
    for extreme in (-60.0, 1e4):
        with torch.no_grad():
            prior._coder[0].encoder.biases[-1][2:] = extreme
        assert prior.log_prob(torch.zeros(2, dtype=torch.float64)).isfinite()
        assert prior.sample(3, seeded()).isfinite().all()


def test_a_copied_vamp_prior_reads_the_copied_encoder():
    coder = coder_of()
    coder.prior = prior_of("vamp", 2, 3, coder).double()
    again = copy.deepcopy(coder)
    assert again.prior._coder[0] is again
    assert set(dict(coder.named_parameters())) > {"prior.pseudo_inputs"}


# ---------------------------------------------------------------- starts


@pytest.mark.parametrize("name", ["mixture", "vamp", "flow"])
def test_training_finds_where_the_codes_are(name):
    prior = new(name)
    h = 0.5 * torch.randn(200, 2, generator=seeded(), dtype=torch.float64) + 1
    parameters = list(prior.parameters())
    optimizer = torch.optim.Adam(parameters, 0.05)
    before = -prior.log_prob(h).mean().item()
    for _ in range(50):
        optimizer.zero_grad()
        loss = -prior.log_prob(h).mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < before - 0.2


def test_a_new_flow_is_a_standard_normal():
    h = torch.randn(5, 3, generator=seeded(), dtype=torch.float64)
    assert torch.equal(new("flow", 3).log_prob(h), StandardNormal(3).log_prob(h))


def test_a_mixture_starts_at_the_clusters_that_it_is_told():
    prior = Mixture(2, 3).double()
    weights = torch.tensor([0.2, 0.8, 0.0], dtype=torch.float64)
    means = torch.randn(3, 2, generator=seeded(), dtype=torch.float64)
    root = torch.randn(3, 2, 2, generator=seeded(1), dtype=torch.float64)
    covariances = root @ root.mT
    covariances[2] = 0
    prior.start(weights, means, covariances)
    torch.testing.assert_close(prior.logits.softmax(0).detach(), weights)
    torch.testing.assert_close(prior.means.detach(), means)
    floor = LEAST_VARIANCE * torch.eye(2, dtype=torch.float64)
    torch.testing.assert_close(prior.covariances.detach(), covariances + floor)
    assert prior.logits.isfinite().all()


@pytest.mark.parametrize("n_rows", [2, 3, 5])
def test_a_vamp_prior_starts_at_rows_that_are_repeated_if_they_are_few(n_rows):
    prior = new("vamp")
    rows = torch.randn(n_rows, 3, generator=seeded(), dtype=torch.float64)
    prior.start(rows)
    assert torch.equal(prior.pseudo_inputs, rows[[0, 1, 2 % n_rows]])


@every_prior
def test_a_prior_can_be_made_without_numbers_and_draws_none_from_the_global_generator(name):
    before = torch.get_rng_state()
    prior = new(name)
    prior.sample(3, seeded())
    assert torch.equal(torch.get_rng_state(), before)
    with torch.device("meta"):
        shapes = [p.shape for p in made(name).parameters()]
    assert [p.shape for p in made(name).parameters()] == shapes


@every_prior
def test_the_same_generator_starts_the_same_prior(name):
    for a, b in zip(new(name).parameters(), new(name).parameters(), strict=True):
        assert torch.equal(a, b)


@every_prior
def test_no_parameter_decays(name):
    prior = new(name)
    assert not any(p.decay for p in prior.parameters())


@every_width
def test_a_fitted_mixture_is_that_of_scikit_learn_and_the_normal_distribution_before(n_components):
    prior, found = new("fitted", n_components), fitted_mixture(n_components)
    h = torch.linspace(-3, 3, 7 * n_components, dtype=torch.float64).view(7, n_components)
    np.testing.assert_allclose(prior.log_prob(h), StandardNormal(n_components).log_prob(h))
    assert isinstance(prior.in_training, StandardNormal)
    np.testing.assert_allclose(trained("fitted", n_components).log_prob(h), found.score_samples(h.numpy()))


def test_an_unknown_prior_is_refused():
    with pytest.raises(ValueError, match="'spike' is no prior"):
        prior_of("spike", 2, 3, coder_of())
