"""Coders with a prior that depends on conditions: what their code is, and the gradient by hand."""

import pytest
import torch

from skae.engine.optim import Flat
from skae.functional import gaussian_divergence
from skae.nn.conditional import ConditionalDense, ConditionalImages
from skae.nn.convolutional import ImageAutoencoder
from skae.nn.dense import DenseAutoencoder

D, K, C, N = 6, 3, 2, 20
COMMON = {
    "n_features": D,
    "n_components": K,
    "n_outputs": D,
    "hidden_layer_sizes": (7,),
    "activation": "tanh",
    "code_activation": "identity",
    "likelihood": "gaussian",
    "categories": (),
    "tied_weights": False,
    "projected": True,
    "dropout": 0.0,
    "batch_norm": False,
    "n_moments": 2,
    "n_conditions": C,
}
OF_IMAGES = {"image_shape": (1, 3, 2), "channels": (4,), "kernel_size": 3, "pooling": "stride", "code": "vector"}
PAIRS = {
    "dense": (ConditionalDense, DenseAutoencoder, {}),
    "one layer": (ConditionalDense, DenseAutoencoder, {"hidden_layer_sizes": ()}),
    "images": (ConditionalImages, ImageAutoencoder, OF_IMAGES),
}
every_pair = pytest.mark.parametrize(("cls", "plain", "options"), PAIRS.values(), ids=PAIRS)


def real(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def drawn(cls, options):
    """A module whose weights are all at work."""
    module = cls(**{**COMMON, **options}).double()
    Flat(module)
    with torch.no_grad():
        for tensor in [*module.parameters(), module.projection, module.expansion]:
            tensor.copy_(real(tensor.shape, tensor.numel()) * 0.4)
    return module


def pair(cls, plain, options):
    """A module, and one without a location that has its other weights."""
    module, other = drawn(cls, options), drawn(plain, options)
    other.load_state_dict({name: t for name, t in module.state_dict().items() if not name.startswith("location")})
    return module, other


@pytest.fixture
def batch():
    """Rows, conditions, and numbers from N(0, 1) for their codes."""
    return real((N, D)), real((N, C), 1), real((N, K), 2)


@every_pair
def test_it_starts_as_the_coder_without_a_location(cls, plain, options, batch):
    x, c, h = batch
    found = []
    for made in (cls, plain):
        module = made(**{**COMMON, **options}).double()
        module.initialise(torch.zeros(D).double(), torch.Generator().manual_seed(0))
        found.append([module.encode(torch.cat([x, c], 1)), module.decode(torch.cat([h, c], 1))])
    torch.testing.assert_close(*found)


@every_pair
def test_the_divergence_from_a_normal_prior_is_that_from_the_prior_of_the_condition(cls, plain, options, batch):
    """KL(N(mu, sigma^2) || N(m, s^2)), which torch knows."""
    x, c, _ = batch
    module, other = pair(cls, plain, options)
    m, log_s = module.location(c)
    mu, log_variance = other.encode(torch.cat([x, c], 1)).chunk(2, 1)
    normal = torch.distributions.Normal
    q, p = normal(mu, (log_variance / 2).exp()), normal(m, log_s.exp())
    expected = torch.distributions.kl_divergence(q, p)
    standardised = module.encode(torch.cat([x, c], 1)).chunk(2, 1)
    torch.testing.assert_close(gaussian_divergence(*standardised), expected)


@every_pair
def test_a_code_is_decoded_from_where_it_was_encoded(cls, plain, options, batch):
    x, c, eps = batch
    module, other = pair(cls, plain, options)
    decoded = []
    for coder in (module, other):
        mu, log_variance = coder.encode(torch.cat([x, c], 1)).chunk(2, 1)
        decoded.append(coder.decode(torch.cat([mu + (log_variance / 2).exp() * eps, c], 1)))
    torch.testing.assert_close(*decoded)


@every_pair
def test_jacobians_are_in_x_with_the_conditions_held(cls, plain, options, batch):
    module, row, v = drawn(cls, options), torch.cat(batch[:2], 1)[:4], real((4, 2, K), 3)
    J = torch.stack([torch.autograd.functional.jacobian(lambda r: module.encode(r[None])[0, :K], r) for r in row])
    torch.testing.assert_close(module.pull_back(row, v), v @ J[..., :D])


@pytest.mark.parametrize("options", [PAIRS["dense"][2], PAIRS["one layer"][2]])
def test_gradients_by_hand_are_those_of_autograd(options, batch):
    module, rng = drawn(ConditionalDense, options), torch.Generator()
    x, c, z = batch
    mean, log_variance = module.encode(torch.cat([x, c], 1)).chunk(2, 1)
    h = mean + (log_variance / 2).exp() * z
    objective = module.likelihood.nll(module.decode(torch.cat([h, c], 1)), x)
    objective = objective + gaussian_divergence(mean, log_variance).sum() / N
    expected = torch.autograd.grad(objective, list(module.parameters()))
    with torch.no_grad():
        e, inward = module.encode_forward(torch.cat([x, c], 1), rng)
        mean, log_variance = e.chunk(2, 1)
        sigma = (log_variance / 2).exp()
        eta, outward = module.decode_forward(torch.cat([mean + sigma * z, c], 1), rng)
        g = module.decode_backward(outward, module.likelihood.nll_backward(eta, x))[:, :K]
        in_log_variance = (g * z * sigma + (sigma.square() - 1) / N) / 2
        module.encode_backward(inward, torch.cat([g + mean / N, in_log_variance], 1))
    by_hand = [parameter.grad for parameter in module.parameters()]
    torch.testing.assert_close(by_hand, list(expected), rtol=1e-9, atol=1e-12)
