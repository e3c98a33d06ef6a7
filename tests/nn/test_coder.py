"""What all modules share: the linear start against PCA and probabilistic PCA, several moments, and conditions."""

import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression

from skae.engine.optim import Flat
from skae.functional import ACTIVATIONS
from skae.nn.convolutional import ImageAutoencoder
from skae.nn.dense import DenseAutoencoder
from skae.nn.heads import PredictingAutoencoder

IMAGE = (2, 3, 2)
D, K, N = math.prod(IMAGE), 3, 40
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
    "projected": False,
    "dropout": 0.0,
    "batch_norm": False,
}
OF_IMAGES = {"image_shape": IMAGE, "channels": (4,), "kernel_size": 3, "pooling": "stride", "code": "vector"}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def real(shape=(N, D), seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def dense(**options):
    return DenseAutoencoder(**{**COMMON, **options}).double()


def images(**options):
    return ImageAutoencoder(**{**COMMON, **OF_IMAGES, **options}).double()


def drawn(module, seed=0):
    """Weights and biases that are all at work."""
    Flat(module)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(real(parameter.shape, seed + parameter.numel()) * 0.4)
        for matrix in (module.projection, module.expansion):
            if matrix is not None:
                matrix.copy_(real(matrix.shape, seed=5 if matrix is module.projection else 6))
    return module


MODULES = {
    "dense": dense,
    "dense, one layer": lambda **options: dense(hidden_layer_sizes=(), **options),
    "dense, tied": lambda **options: dense(tied_weights=True, **options),
    "dense, one tied layer": lambda **options: dense(tied_weights=True, hidden_layer_sizes=(), **options),
    "images": images,
    "images, tied": lambda **options: images(tied_weights=True, **options),
}
every_module = pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)


def test_a_subclass_names_only_its_own_arguments():
    module = PredictingAutoencoder(**COMMON, n_predictions=4)
    assert (module.n_features, module.tied_weights, module.n_predictions, module.n_moments) == (D, False, 4, 1)
    assert module.predict(real().float(), real((N, K)).float()).shape == (N, 4)
    with pytest.raises(TypeError, match="n_predictions"):
        PredictingAutoencoder(**COMMON)
    with pytest.raises(TypeError, match="n_predictions"):
        DenseAutoencoder(**COMMON, n_predictions=4)


def test_the_variance_is_that_of_the_likelihood():
    assert dense(variance="column").likelihood.log_variance.shape == (D,)
    assert dense(variance=0.5).likelihood.variance == 0.5
    assert dense().likelihood.variance == 1.0


# ---------------------------------------------------------------- linear start


@pytest.fixture(scope="module")
def data():
    """Centred rows, their axes, one a row, and all variances from the largest on."""
    x = real(seed=1) * torch.linspace(2, 0.3, D).double() @ torch.linalg.qr(real((D, D), seed=2))[0]
    x = x - x.mean(0)
    variances, vectors = torch.linalg.eigh(x.T @ x / N)
    return x, vectors.flip(1).T[:K], variances.flip(0)


def started(make, axes, variances, **gains):
    module = make(projected=True)
    module.initialise(torch.zeros(D, dtype=torch.float64), seeded())
    module.start_at_projection(axes, variances, **gains)
    return module


@every_module
def test_without_gains_the_code_and_what_it_restores_are_those_of_pca(make, data):
    x, axes, variances = data
    module = started(make, axes, variances[:K])
    restored = x @ axes.T @ axes
    if module.tied_weights and module.is_deep:  # whose own layers are at work from the start
        module.projection.zero_()
        module.expansion.zero_()
        torch.testing.assert_close(module.decode(torch.zeros(1, K).double()), torch.zeros(1, D).double())
        assert module.encode(x).std() > 1e-3
    else:
        torch.testing.assert_close(module.encode(x), x @ axes.T)
        torch.testing.assert_close(module.decode(module.encode(x)), restored)


GAINED = [name for name in MODULES if "tied" not in name or "one" in name]
every_silent_module = pytest.mark.parametrize("make", [MODULES[name] for name in GAINED], ids=GAINED)


@every_silent_module
def test_gains_of_probabilistic_pca_give_its_posterior_mean_and_reconstruction(make, data):
    x, axes, variances = data
    noise = variances[K:].mean()
    W = axes.T * (variances[:K] - noise).sqrt()  # Tipping and Bishop (1999), with R = I
    M = W.T @ W + noise * torch.eye(K).double()
    posterior_mean = x @ W @ torch.linalg.inv(M)
    gain = (variances[:K] - noise).sqrt()
    module = started(make, axes, torch.ones(K), gain_in=gain / variances[:K], gain_out=gain)
    torch.testing.assert_close(module.encode(x), posterior_mean)
    torch.testing.assert_close(module.decode(posterior_mean), posterior_mean @ W.T)
    # The covariance of this model, W W' + s^2 I, has the largest variances of the data.
    of_model = torch.linalg.eigvalsh(W @ W.T + noise * torch.eye(D).double()).flip(0)
    torch.testing.assert_close(of_model[:K], variances[:K])


@every_silent_module
def test_gains_whiten_the_code_and_leave_the_reconstruction_to_pca(make, data):
    x, axes, variances = data
    deviations = variances[:K].sqrt()
    module = started(make, axes, torch.ones(K), gain_in=1 / deviations, gain_out=deviations)
    h = module.encode(x)
    torch.testing.assert_close(h.T @ h / N, torch.eye(K).double())
    torch.testing.assert_close(module.decode(h), x @ axes.T @ axes)


@pytest.mark.parametrize("make", [dense, images])
def test_the_decoder_s_first_layer_is_scaled_to_the_variances_of_the_codes(make, data):
    axes = data[1]
    one, scaled = (started(make, axes, v) for v in (torch.ones(K), torch.tensor([4.0, 0.25, 0.0])))
    first = [getattr(module.decoder, "dense", module.decoder).weights[0] for module in (one, scaled)]
    torch.testing.assert_close(first[1], first[0] / torch.tensor([2.0, 0.5, 1e-3]))


# ---------------------------------------------------------------- derivatives with gains


@every_module
def test_codes_and_outputs_are_those_of_the_formula(make):
    module, x, h = drawn(make(projected=True)), real(), real((N, K), seed=3)
    torch.testing.assert_close(module.encode(x), module.encoder(x) + x @ module.projection.T)
    torch.testing.assert_close(module.decode(h), module.decoder(h) + h @ module.expansion)


# ---------------------------------------------------------------- several moments


def maps(projected, **options):
    """A code that is a map, for which there is no projection."""
    return images(code="map", **options)


@pytest.mark.parametrize("make", [*MODULES.values(), maps], ids=[*MODULES, "map"])
@pytest.mark.parametrize("projected", [False, True])
def test_the_first_columns_are_the_mean_to_which_alone_the_projection_is_added(make, projected):
    module, x = drawn(make(n_moments=2, projected=projected)), real()
    width = math.prod(getattr(module, "code_shape", (K,)))
    encoded, h = module.encode(x), real((N, width), seed=3)
    assert encoded.shape == (N, 2 * width)
    assert module.decode(h).shape == (N, D)
    linear = 0.0 if module.projection is None else x @ module.projection.T
    torch.testing.assert_close(encoded[:, :width], module.encoder(x)[:, :width] + linear)
    torch.testing.assert_close(encoded[:, width:], module.encoder(x)[:, width:])
    jacobian = torch.stack([torch.autograd.functional.jacobian(lambda r: module.encode(r[None])[0], r) for r in x[:4]])
    v = real((4, 2, width), seed=4)
    torch.testing.assert_close(module.pull_back(x[:4], v), v @ jacobian[:, :width])
    of_mean = jacobian[:, :width].square().sum((1, 2))
    torch.testing.assert_close(module.squared_jacobian(x[:4], encoded[:4, :width]), of_mean)


def test_the_moments_of_a_map_are_blocks_of_channels():
    two, x = drawn(images(code="map", n_moments=2)), real()
    one = images(code="map")
    state = {k: v[:K] if k.startswith("encoder.convolutions.1") else v for k, v in two.state_dict().items()}
    one.load_state_dict(state)
    assert two.code_shape == one.code_shape == (K, *one.code_shape[1:])
    width = math.prod(one.code_shape)
    torch.testing.assert_close(two.encode(x)[:, :width], one.encode(x))
    torch.testing.assert_close(two.decode(x[:, :width]), one.decode(x[:, :width]))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_one_layer_with_two_moments_has_the_squared_jacobian_of_its_mean(activation):
    module, x = drawn(dense(hidden_layer_sizes=(), n_moments=2, code_activation=activation)), real((4, D))
    J = torch.stack([torch.autograd.functional.jacobian(lambda r: module.encode(r[None])[0, :K], r) for r in x])
    torch.testing.assert_close(module.squared_jacobian(x, module.encode(x)[:, :K]), J.square().sum((1, 2)))


@pytest.mark.parametrize("make", [MODULES[name] for name in MODULES if "dense" in name])
@pytest.mark.parametrize("projected", [False, True])
def test_gradients_by_hand_of_a_mean_and_a_log_variance_are_those_of_autograd(make, projected):
    """Of -E[log p(x | m + e^(s / 2) z)] and a penalty of both moments."""
    module, x, z = drawn(make(n_moments=2, projected=projected, variance="column")), real(), real((N, K), seed=3)
    m, s = module.encode(x).chunk(2, 1)
    objective = module.likelihood.nll(module.decode(m + (s / 2).exp() * z), x) + (m.square() + s.exp() - s).mean()
    expected = torch.autograd.grad(objective, list(module.parameters()))
    with torch.no_grad():
        encoded, inward = module.encode_forward(x, seeded())
        m, s = encoded.chunk(2, 1)
        eta, outward = module.decode_forward(m + (s / 2).exp() * z, seeded())
        g = module.decode_backward(outward, module.likelihood.nll_backward(eta, x))
        in_m = g + 2 * m / m.numel()
        in_s = g * z * (s / 2).exp() / 2 + (s.exp() - 1) / s.numel()
        module.encode_backward(inward, torch.cat([in_m, in_s], 1))
    by_hand = [parameter.grad for parameter in module.parameters()]
    torch.testing.assert_close(by_hand, list(expected), rtol=1e-9, atol=1e-12)


@every_module
def test_at_the_linear_start_the_other_moments_are_zero(make, data):
    x, axes, variances = data
    module = started(lambda **options: make(n_moments=3, **options), axes, variances[:K])
    encoded = module.encode(x)
    assert encoded.shape == (N, 3 * K)
    assert not encoded[:, K:].any()
    if not (module.tied_weights and module.is_deep):
        np.testing.assert_allclose(encoded[:, :K].detach(), x @ axes.T, atol=1e-12)
    assert module.encoder(x)[:, :K].any() == (module.tied_weights and module.is_deep)


@pytest.mark.parametrize("code", ["vector", "map"])
def test_a_tied_decoder_shares_the_weights_of_the_mean(code):
    stack = drawn(dense(tied_weights=True, n_moments=2))
    assert torch.equal(stack.decoder.weights[0], stack.encoder.weights[-1][:K].t())
    module = drawn(images(tied_weights=True, n_moments=2, code=code))
    inward, outward = (part.convolutions if code == "map" else part for part in (module.encoder, module.decoder))
    if code == "map":
        assert torch.equal(outward[-1].weight, inward[-1].weight[:K])
    else:
        assert torch.equal(outward.dense.weights[0], inward.dense.weights[-1][:K].t())


# ---------------------------------------------------------------- conditions

C = 2
CONDITIONED = {name: make for name, make in MODULES.items() if "tied" not in name}
every_conditioned_module = pytest.mark.parametrize("make", CONDITIONED.values(), ids=CONDITIONED)


@every_conditioned_module
@pytest.mark.parametrize("projected", [False, True])
def test_conditions_join_rows_and_codes(make, projected):
    module = drawn(make(n_conditions=C, n_moments=2, projected=projected))
    x, h, c = real(), real((N, K), seed=3), real((N, C), seed=4)
    encoded, eta = module.encode(torch.cat([x, c], 1)), module.decode(torch.cat([h, c], 1))
    assert (encoded.shape, eta.shape) == ((N, 2 * K), (N, D))
    for j in range(C):
        c_moved = c.clone()
        c_moved[:, j] += 1
        assert (module.encode(torch.cat([x, c_moved], 1)) != encoded).any(0).all()
        assert (module.decode(torch.cat([h, c_moved], 1)) != eta).any(0).all()


@every_conditioned_module
@pytest.mark.parametrize("likelihood", ["gaussian", "poisson"])
def test_a_condition_of_constant_weight_zero_changes_nothing(make, likelihood):
    """And the likelihood embeds x alone."""
    conditioned, plain = (drawn(make(n_conditions=n, likelihood=likelihood)) for n in (C, 0))
    state = conditioned.state_dict()
    with torch.no_grad():
        for name, tensor in plain.state_dict().items():
            state[name].zero_()
            state[name][tuple(map(slice, tensor.shape))] = tensor
    x, h, c = real().abs(), real((N, K), seed=3), real((N, C), seed=4)
    torch.testing.assert_close(conditioned.encode(torch.cat([x, c], 1)), plain.encode(x))
    torch.testing.assert_close(conditioned.decode(torch.cat([h, c], 1)), plain.decode(h))


@every_conditioned_module
@pytest.mark.parametrize("options", [{}, {"projected": True}, {"likelihood": "poisson"}, {"n_moments": 2}], ids=str)
def test_jacobians_are_in_x_with_the_conditions_held(make, options):
    module, row = drawn(make(n_conditions=C, **options)), real((4, D + C)).abs() + 0.1
    J = torch.stack([torch.autograd.functional.jacobian(lambda r: module.encode(r[None])[0, :K], r) for r in row])
    v, h = real((4, 2, K), seed=4), module.encode(row)[:, :K]
    torch.testing.assert_close(module.pull_back(row, v), v @ J[..., :D])
    torch.testing.assert_close(module.squared_jacobian(row, h), J[..., :D].square().sum((1, 2)))


@pytest.mark.parametrize("make", [CONDITIONED["dense"], CONDITIONED["dense, one layer"]])
@pytest.mark.parametrize("options", [{}, {"projected": True}, {"likelihood": "poisson"}], ids=str)
def test_gradients_by_hand_with_conditions_are_those_of_autograd(make, options):
    module = drawn(make(n_conditions=C, **options))
    x, c = real().abs(), real((N, C), seed=4)
    h = module.encode(torch.cat([x, c], 1))
    objective = module.likelihood.loss(module.decode(torch.cat([h, c], 1)), x) + h.square().sum()
    expected = torch.autograd.grad(objective, list(module.parameters()))
    with torch.no_grad():
        h, inward = module.encode_forward(torch.cat([x, c], 1), seeded())
        eta, outward = module.decode_forward(torch.cat([h, c], 1), seeded())
        g = module.decode_backward(outward, module.likelihood.gradient(eta, x))
        assert g.shape == (N, K + C)
        module.encode_backward(inward, g[:, :K] + 2 * h)
    by_hand = [parameter.grad for parameter in module.parameters()]
    torch.testing.assert_close(by_hand, list(expected), rtol=1e-9, atol=1e-12)


@every_conditioned_module
def test_a_start_at_a_regression_is_that_regression_and_pca_of_its_residuals(make, data):
    c = torch.cat([data[0][:, :1].sin() + real((N, 1), seed=7), real((N, 1), seed=8)], 1)
    x, c = data[0], c - c.mean(0)
    regression = LinearRegression().fit(c.numpy(), x.numpy())
    predicted = regression.predict(c.numpy())
    residuals = x.numpy() - predicted
    pca = PCA(K).fit(residuals)
    axes, slopes = torch.from_numpy(pca.components_), torch.from_numpy(regression.coef_.T.copy())
    variances = torch.from_numpy(pca.explained_variance_)
    module = started(lambda **options: make(n_conditions=C, **options), axes, variances, slopes=slopes)
    h = module.encode(torch.cat([x, c], 1))
    restored = module.decode(torch.cat([h, c], 1))
    np.testing.assert_allclose(h.detach(), pca.transform(residuals), atol=1e-12)
    expected = predicted + pca.inverse_transform(pca.transform(residuals))
    np.testing.assert_allclose(restored.detach(), expected, atol=1e-12)
    gain = variances.sqrt()
    module.start_at_projection(axes, torch.ones(K), gain_in=1 / gain, gain_out=gain, slopes=slopes)
    h = module.encode(torch.cat([x, c], 1))
    np.testing.assert_allclose(h.detach(), pca.transform(residuals) / gain.numpy(), atol=1e-12)
    np.testing.assert_allclose(module.decode(torch.cat([h, c], 1)).detach(), expected, atol=1e-12)


def test_directions_of_a_linear_decoder_are_those_of_the_code(data):
    module = drawn(dense(hidden_layer_sizes=(), n_conditions=C, projected=True))
    h, c = real((N, K), seed=3), real((N, C), seed=4)
    at_zero = module.decode(torch.cat([torch.zeros_like(h), c], 1))
    torch.testing.assert_close(module.decode(torch.cat([h, c], 1)), at_zero + h @ module.directions)


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [(dense, {"tied_weights": True}, "weights of its encoder"), (images, {"code": "map"}, "no dense layers")],
)
def test_modules_without_room_for_conditions_say_so(make, options, words):
    with pytest.raises(ValueError, match=words):
        make(n_conditions=C, **options)
