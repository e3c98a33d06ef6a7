"""Convolutions against sums written out, dense layers, adjoints and finite differences."""

import itertools
import math
import pickle
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from torch.nn import functional as F

from skae import (
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
)
from skae.autoencoders.dense import has_closed_gradient
from skae.base.budget import threads_of
from skae.engine.optim import Flat, Optimizer
from skae.engine.train import backward
from skae.nn.convolutional import (
    Convolution,
    HiddenMap,
    ImageAutoencoder,
    TransposedConvolution,
    as_map,
    levels_of,
)
from skae.nn.dense import DenseAutoencoder

POOLINGS = ["stride", "max", "average", None]
SPEC = {
    "image_shape": (2, 5, 4),
    "channels": (3, 2),
    "kernel_size": 3,
    "pooling": "stride",
    "code": "vector",
    "n_components": 3,
    "n_features": 40,
    "n_outputs": 40,
    "hidden_layer_sizes": (),
    "activation": "silu",
    "code_activation": "identity",
    "likelihood": "gaussian",
    "categories": (),
    "tied_weights": False,
    "projected": False,
    "dropout": 0.0,
    "batch_norm": False,
}
QUICK = {"n_components": 3, "channels": (4,), "max_iter": 3, "random_state": 0}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make(seed=0, **changes):
    """A module in double precision, no bias of which is zero."""
    spec = {**SPEC, **changes}
    spec["n_features"] = spec["n_outputs"] = math.prod(spec["image_shape"])
    module = ImageAutoencoder(**spec).double()
    rng = generator(seed)
    module.initialise(torch.zeros(spec["n_outputs"], dtype=torch.float64), rng)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 1:
                parameter.normal_(generator=rng)
    return module


def images(n, *shape, seed=1):
    return torch.randn(n, math.prod(shape), dtype=torch.float64, generator=generator(seed))


def initialised(module):
    module.double().initialise(generator())
    return module


# ------------------------------------------------------------------ shapes


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("code", ["vector", "map"])
def test_every_size_comes_back(pooling, code):
    shapes = [(1, 1, 1), (1, 1, 7), (2, 9, 1), (3, 5, 4), (1, 7, 7), (1, 8, 8), (2, 2, 3)]
    for shape, kernel_size, channels in itertools.product(shapes, [1, 3, 5], [(2,), (2, 3), (3, 2, 2)]):
        n = math.prod(shape)
        module = make(image_shape=shape, kernel_size=kernel_size, channels=channels, pooling=pooling, code=code)
        h = module.encode(images(2, n))
        assert h.shape == (2, math.prod(module.code_shape))
        assert module.decode(h).shape == (2, n)


def test_sizes_are_halved_upwards_and_kernels_see_no_more_than_the_map():
    levels = levels_of((3, 7, 1), (4, 5, 6), 5, "max")
    assert [level.coarse for level in levels] == [(4, 4, 1), (5, 2, 1), (6, 1, 1)]
    assert [level.kernel for level in levels] == [(5, 1), (5, 1), (3, 1)]
    assert [level.coarse for level in levels_of((3, 7, 1), (4, 5), 5, None)] == [(4, 7, 1), (5, 7, 1)]


@pytest.mark.parametrize("shape", [(1, 4, 5), (3, 4, 5), (3, 1, 5), (3, 1, 1)])
def test_maps_are_rows_read_channel_after_channel_with_channels_last_in_memory(shape):
    rows = images(6, *shape)
    maps = as_map(rows, shape)
    assert torch.equal(maps, rows.view(6, *shape))
    assert maps.stride(1) == 1
    x = initialised(Convolution(levels_of(shape, (8,), 3, "max")[0]))(maps)
    assert x.stride(1) == 1 or x.shape[2:] == (1, 1)


# ------------------------------------------------------------------ against sums written out


def convolved(x, weight, bias):
    """Every pixel's weighted neighbourhood, pixels outside being zero."""
    n_out, n_in, kh, kw = weight.shape
    _, height, width = x.shape
    y = np.zeros((n_out, height, width))
    for o, i, j in np.ndindex(*y.shape):
        y[o, i, j] = bias[o]
        for c, a, b in np.ndindex(n_in, kh, kw):
            row, column = i + a - kh // 2, j + b - kw // 2
            if 0 <= row < height and 0 <= column < width:
                y[o, i, j] += weight[o, c, a, b] * x[c, row, column]
    return y


def pooled(y, pooling):
    if pooling is None:
        return y
    if pooling == "stride":
        return y[:, ::2, ::2]
    reduce = np.max if pooling == "max" else np.mean
    starts = [range(0, size, 2) for size in y.shape[1:]]  # the last window may lie half outside
    rows = [[reduce(y[:, i : i + 2, j : j + 2], axis=(1, 2)) for j in starts[1]] for i in starts[0]]
    return np.array(rows).transpose(2, 0, 1)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("shape", [(2, 5, 4), (1, 1, 6), (3, 2, 3)])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_a_convolution_is_the_sum_that_defines_it(pooling, shape, kernel_size):
    convolution = initialised(Convolution(levels_of(shape, (3,), kernel_size, pooling)[0]))
    torch.nn.init.normal_(convolution.bias, generator=generator(5))
    (x,) = images(1, *shape).view(1, *shape)
    weight, bias = (p.detach().numpy() for p in convolution.parameters())
    expected = pooled(convolved(x.numpy(), weight, bias), pooling)
    np.testing.assert_allclose(convolution(x[None])[0].detach(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("pooling", ["stride", None])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_tied_kernels_are_the_adjoint(pooling, kernel_size):
    """<A x, y> = <x, A' y> for every x and y."""
    for shape in [(2, 5, 4), (1, 8, 8), (2, 1, 7), (3, 6, 1), (2, 1, 1)]:
        (level,) = levels_of(shape, (3,), kernel_size, pooling)
        forward = initialised(Convolution(level))
        back = initialised(TransposedConvolution(level, forward))
        assert [name for name, _ in back.named_parameters()] == ["bias"]
        x, y = images(4, *shape).view(4, *shape), images(4, *level.coarse, seed=2).view(4, *level.coarse)
        torch.testing.assert_close((forward(x) * y).sum(), (x * back(y)).sum())


def test_the_decoder_has_one_method_for_every_pooling():
    """A transposed convolution does not see what reduced the map."""
    levels = [levels_of((2, 5, 4), (3,), 3, pooling)[0] for pooling in ("stride", "max", "average")]
    one, *others = [initialised(TransposedConvolution(level)) for level in levels]
    y = images(2, 3, 3, 2).view(2, 3, 3, 2)
    for other in others:
        assert torch.equal(one(y), other(y))


# ------------------------------------------------------------------ limits that are dense


def test_kernels_of_one_pixel_are_a_dense_layer_a_pixel():
    module = make(kernel_size=1, pooling=None, channels=(), code="map", code_activation="tanh")
    x = images(4, *SPEC["image_shape"])
    (convolution,) = module.encoder.convolutions
    pixels = x.view(4, 2, 20).transpose(1, 2)
    expected = torch.tanh(F.linear(pixels, convolution.weight[:, :, 0, 0], convolution.bias)).transpose(1, 2)
    torch.testing.assert_close(module.encode(x), expected.flatten(1))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_an_image_of_one_pixel_is_a_dense_autoencoder(pooling):
    """And stays one in training."""
    convolutional = make(image_shape=(5, 1, 1), channels=(6,), pooling=pooling)
    only_images = ("image_shape", "channels", "kernel_size", "pooling", "code")
    spec = {name: value for name, value in SPEC.items() if name not in only_images}
    dense = DenseAutoencoder(**{**spec, "n_features": 5, "n_outputs": 5, "hidden_layer_sizes": (6,)}).double()
    encoder, decoder = convolutional.encoder, convolutional.decoder
    with torch.no_grad():
        for target, source in [
            (dense.encoder.weights, [encoder.convolutions[0].weight[:, :, 0, 0], encoder.dense.weights[0]]),
            (dense.encoder.biases, encoder.biases),
            (dense.decoder.weights, [decoder.dense.weights[0], decoder.convolutions[0].weight[:, :, 0, 0].t()]),
            (dense.decoder.biases, [decoder.dense.biases[0], decoder.bias]),
        ]:
            for t, s in zip(target, source, strict=True):
                t.copy_(s)
    x = images(20, 5)
    torch.testing.assert_close(trained(convolutional, x), trained(dense, x))


def trained(module, x):
    """Reconstruction after a few steps."""
    flat, optimizer = Flat(module), Optimizer()

    def evaluate():
        return backward({"reconstruction": module.likelihood.loss(module.decode(module.encode(x)), x)})

    for _ in range(5):
        optimizer.step(flat, evaluate, 0.01)
    return module.decode(module.encode(x))


# ------------------------------------------------------------------ derivatives


@pytest.mark.parametrize(
    ("pooling", "tied_weights", "code"),
    [("stride", True, "vector"), ("max", False, "vector"), ("average", True, "map"), (None, False, "map")],
)
def test_gradients_are_those_of_finite_differences(pooling, tied_weights, code):
    module = make(pooling=pooling, tied_weights=tied_weights, code=code, image_shape=(1, 3, 2))
    x = images(2, 6).requires_grad_()
    parameters = list(module.parameters())

    def output(x, *weights):
        names = [name for name, _ in module.named_parameters()]
        given = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(Whole(module), {f"inner.{k}": v for k, v in given.items()}, (x,))

    assert torch.autograd.gradcheck(output, (x, *parameters))


class Whole(torch.nn.Module):
    """Encode and decode, as a forward pass."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner.decode(self.inner.encode(x))


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("options", [{}, {"likelihood": "poisson"}, {"projected": True}, {"code": "map"}])
def test_pull_back_is_the_product_with_the_jacobian_and_has_a_gradient(pooling, options):
    module = make(pooling=pooling, **options)
    if module.projection is not None:
        module.projection.normal_(generator=generator(3))
    x = images(3, 40).abs()
    width = math.prod(module.code_shape)
    J = torch.stack([torch.autograd.functional.jacobian(lambda r: module.encode(r[None])[0], row) for row in x])
    v = images(3, 2, width).view(3, 2, width)
    torch.testing.assert_close(module.pull_back(x, v), v @ J)
    torch.testing.assert_close(module.pull_back(x, v[:1]), v[:1] @ J)
    torch.testing.assert_close(module.squared_jacobian(x, module.encode(x)), J.square().sum((1, 2)))
    with torch.no_grad():  # as in validation
        torch.testing.assert_close(module.pull_back(x, v), v @ J)
    weight = module.encoder.convolutions[0].weight
    (gradient,) = torch.autograd.grad(module.pull_back(x, v).square().sum(), weight)
    step = torch.zeros_like(weight)
    step[0, 0, 1, 1] = 1e-6
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight.add_(step, alpha=sign)
            values.append(module.pull_back(x, v).square().sum())
            weight.sub_(step, alpha=sign)
    torch.testing.assert_close(gradient[0, 0, 1, 1], (values[0] - values[1]) / 2e-6, rtol=1e-5, atol=1e-7)


# ------------------------------------------------------------------ maps


@pytest.mark.parametrize(("pooling", "step"), [(None, 1), ("stride", 4), ("max", 4), ("average", 4)])
def test_a_map_moves_with_the_image(pooling, step):
    module = make(image_shape=(1, 48, 48), pooling=pooling, code="map", channels=(3,))
    x = torch.zeros(1, 1, 48, 48, dtype=torch.float64)
    x[..., 20:25, 18:22] = images(1, 5, 4).view(5, 4)
    moved = x.roll((step, 2 * step), (2, 3))
    h, h_moved = (module.encode(image.flatten(1)).view(1, *module.code_shape) for image in (x, moved))
    coarse = step // (4 if pooling else 1)
    expected = h.roll((coarse, 2 * coarse), (2, 3))
    inside = (..., slice(4, -4), slice(4, -4))  # the border shows, as there are zeros around it
    torch.testing.assert_close(h_moved[inside], expected[inside])
    assert not torch.allclose(h_moved[inside], h[inside])


def test_dropout_silences_whole_channels():
    through = HiddenMap(50, "identity", dropout=0.25)
    x = torch.ones(40, 50, 3, 2)
    y = through(x, generator())
    assert torch.equal(y, y[:, :, :1, :1].expand_as(y))
    silenced = (y == 0).float().mean()
    assert abs(silenced - 0.25) < 0.03
    assert torch.equal(y[y != 0], torch.full_like(y[y != 0], 4 / 3))
    assert torch.equal(through(x), x)


def test_batch_norm_is_over_rows_and_positions():
    through = HiddenMap(3, "identity", batch_norm=True).double()
    x = images(6, 3, 4, 5).view(6, 3, 4, 5) * 3 + 1
    expected = F.batch_norm(x, None, None, training=True)
    torch.testing.assert_close(through(x, generator()), expected)
    assert not torch.allclose(through(x), expected)
    for _ in range(200):
        through(x, generator())
    torch.testing.assert_close(through(x), expected)


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson", "gaussian"])
@pytest.mark.parametrize("code", ["vector", "map"])
def test_the_output_at_the_code_zero_is_the_mean(likelihood, code):
    module = ImageAutoencoder(**{**SPEC, "likelihood": likelihood, "code": code})
    mean = torch.linspace(0.1, 0.9, 40)
    module.initialise(mean, generator())
    zero = torch.zeros(1, math.prod(module.code_shape))
    torch.testing.assert_close(module.likelihood.mean(module.decode(zero))[0], mean)


# ------------------------------------------------------------------ the estimator


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("hidden_layer_sizes", [(), (7,)])
def test_training_starts_at_pca(pooling, hidden_layer_sizes, digits):
    model = ConvolutionalAutoencoder(
        **QUICK, pooling=pooling, hidden_layer_sizes=hidden_layer_sizes, batch_size=400, dtype="float64"
    ).fit(digits)
    pca = PCA(3, svd_solver="full").fit(digits)
    lost = ((digits - pca.inverse_transform(pca.transform(digits))) ** 2).sum(axis=1).mean()
    assert model.history_["reconstruction"][0] * model.scale_**2 == pytest.approx(lost, rel=1e-9)
    assert model.loss_ < model.history_["reconstruction"][0]


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), np.array([8, 8]), "auto"])
def test_ways_to_tell_the_shape(shape, digits):
    model = ConvolutionalAutoencoder(**QUICK, image_shape=shape).fit(digits)
    assert model.image_shape_ == (1, 8, 8)
    assert model.code_shape_ == (3,)
    assert all(type(size) is int for size in model.image_shape_)


# ------------------------------------------------------------------ channels last


def last(rows, shape):
    """Rows with channels first as rows with channels last."""
    return rows.reshape(len(rows), *shape).transpose(0, 2, 3, 1).reshape(len(rows), -1)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize(("code", "tied_weights"), [("vector", False), ("vector", True), ("map", False)])
def test_channels_last_are_a_permutation_of_the_columns(rng, pooling, code, tied_weights):
    shape, options = SPEC["image_shape"], {"pooling": pooling, "code": code, "tied_weights": tied_weights}
    first, after = make(**options), make(**options, channels_last=True)
    with torch.no_grad():
        after.decoder.bias.copy_(torch.from_numpy(last(first.decoder.bias.detach().numpy()[None], shape)[0]))
    x = rng.standard_normal((6, 40))
    h = first.encode(torch.from_numpy(x))
    assert torch.equal(after.encode(torch.from_numpy(last(x, shape))), h)
    x_hat = first.decode(h).detach().numpy()
    np.testing.assert_array_equal(after.decode(h).detach().numpy(), last(x_hat, shape))


def test_fits_with_channels_last_are_those_with_channels_first(rng):
    X = rng.random((30, 60))
    options = {**QUICK, "init": "random", "dtype": "float64"}
    first = ConvolutionalAutoencoder(**options, image_shape=(3, 5, 4), channel_axis="first").fit(X)
    after = ConvolutionalAutoencoder(**options, image_shape=(5, 4, 3), channel_axis="last").fit(last(X, (3, 5, 4)))
    assert after.image_shape_ == (5, 4, 3)
    H = first.transform(X)
    np.testing.assert_allclose(after.transform(last(X, (3, 5, 4))), H, rtol=1e-9)
    np.testing.assert_allclose(after.inverse_transform(H), last(first.inverse_transform(H), (3, 5, 4)), rtol=1e-9)
    copied = pickle.loads(pickle.dumps(after))
    assert copied.image_shape_ == (5, 4, 3)
    np.testing.assert_array_equal(copied.inverse_transform(H), after.inverse_transform(H))


@pytest.mark.parametrize("shape", [(8, 6, 3), (8, 6, 4), (8, 6, 1), (6, 8, 3)])
def test_shapes_that_look_like_channels_last_need_a_word(rng, shape):
    X = rng.random((10, math.prod(shape)))
    model = ConvolutionalAutoencoder(**QUICK, image_shape=shape)
    with pytest.raises(ValueError, match=r"with channels last, but .* set channel_axis to 'last' or to 'first'\.$"):
        model.fit(X)
    assert not hasattr(model, "module_")
    assert model.set_params(channel_axis="first").fit(X)._spec["image_shape"] == shape
    assert model.set_params(channel_axis="last").fit(X)._spec["image_shape"] == (shape[2], *shape[:2])


@pytest.mark.parametrize(
    "shape", [(3, 8, 6), (1, 8, 3), (8, 3, 3), (8, 4, 4), (8, 1, 6), (6, 1, 1), (16, 2, 2), (8, 6, 2)]
)
def test_other_shapes_have_channels_first(rng, shape):
    model = ConvolutionalAutoencoder(**QUICK, image_shape=shape).fit(rng.random((10, math.prod(shape))))
    assert model.image_shape_ == shape


@pytest.mark.parametrize("shape", [(8, 8), "auto"])
def test_one_channel_is_at_either_end(digits, shape):
    default = ConvolutionalAutoencoder(**QUICK, image_shape=shape).fit(digits)
    model = ConvolutionalAutoencoder(**QUICK, image_shape=shape, channel_axis="last").fit(digits)
    assert model.image_shape_ == (8, 8, 1)
    np.testing.assert_array_equal(model.transform(digits), default.transform(digits))


def test_maps_between_layers_have_channels_first(rng):
    X = rng.random((20, 16 * 6))
    layers = [ConvolutionalAutoencoder(8, image_shape=(16, 6), code="map", channels=(), max_iter=1) for _ in range(2)]
    layers[1].set_params(image_shape="auto", channel_axis="last")
    stack = StackedAutoencoder(layers, max_iter=1, random_state=0).fit(X)
    assert [layer.code_shape_ for layer in stack.layers_] == [
        (8, 8, 3),
        (8, 4, 2),
    ]  # the first looks like channels last


def test_a_row_is_a_signal(digits):
    model = ConvolutionalAutoencoder(**QUICK, image_shape="row", kernel_size=9).fit(digits[:50])
    assert model.image_shape_ == (1, 1, 64)
    assert model.module_.encoder.convolutions[0].weight.shape == (4, 1, 1, 9)
    assert model.transform(digits).shape == (400, 3)


def test_maps_can_be_stacked(digits):
    options = {"code": "map", "code_activation": "tanh", "channels": (), "max_iter": 3, "random_state": 0}
    first = ConvolutionalAutoencoder(5, **options).fit(digits)
    assert first.code_shape_ == (5, 4, 4)
    H = first.transform(digits)
    assert H.shape == (400, 80)
    assert len(first.get_feature_names_out()) == 80
    assert first.inverse_transform(H).shape == digits.shape
    second = ConvolutionalAutoencoder(3, image_shape=first.code_shape_, **options).fit(H)
    assert second.code_shape_ == (3, 2, 2)
    assert second.inverse_transform(second.transform(H)).shape == H.shape
    copied = pickle.loads(pickle.dumps(second))
    assert copied.code_shape_ == (3, 2, 2)
    np.testing.assert_array_equal(copied.transform(H), second.transform(H))
    np.testing.assert_array_equal(clone(second).fit(H).transform(H), second.transform(H))


def test_colours_come_back(rng):
    X = rng.random((30, 3 * 5 * 4))
    model = ConvolutionalAutoencoder(**{**QUICK, "max_iter": 60}, image_shape=(3, 5, 4)).fit(X)
    assert model.inverse_transform(model.transform(X)).shape == X.shape
    assert model.history_["loss"][-1] < model.history_["loss"][0]


def test_categories_over_pixels(rng):
    bits = rng.integers(0, 2, (40, 9))
    X = np.stack([bits, 1 - bits], axis=2).reshape(40, 18).astype(float)
    model = ConvolutionalAutoencoder(
        **QUICK, image_shape=(3, 6), likelihood="categorical", categories=(2,) * 9, kernel_size=3
    ).fit(X)
    X_hat = model.inverse_transform(model.transform(X))
    np.testing.assert_allclose(X_hat.reshape(40, 9, 2).sum(axis=2), 1, rtol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_chunks_are_as_wide_as_the_widest_map(pooling):
    """At no convolution a row takes more numbers than the chunks are made for."""
    X = np.random.default_rng(0).random((5, 49))
    model = ConvolutionalAutoencoder(**{**QUICK, "channels": (4, 20)}, pooling=pooling).fit(X)
    seen = []
    original = F.conv2d

    def spy(*args, **kwargs):
        y = original(*args, **kwargs)
        seen.append(y[0].numel())
        return y

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "conv2d", spy)
        model.transform(X)
    assert max(49, model.module_.widest) == max(49, *seen)


def test_threads_go_by_the_work_and_not_by_the_weights():
    cpu = torch.device("cpu")
    X = np.random.default_rng(0).random((4, 32 * 32))
    model = ConvolutionalAutoencoder(**{**QUICK, "max_iter": 1}).fit(X)
    assert not isinstance(threads_of(model, cpu, 4), nullcontext)
    assert isinstance(threads_of(model, cpu, 10_000), nullcontext) == (32 * 32 // 4 * 4 * 9 * 200 >= 2**25)
    model.set_params(batch_size=5000)
    assert isinstance(threads_of(model, cpu, 10_000), nullcontext)


# ------------------------------------------------------------------ recipes


class DenoisingConvolutional(DenoisingAutoencoder, ConvolutionalAutoencoder):
    """Convolutions that remove noise."""


class SparseConvolutional(SparseAutoencoder, ConvolutionalAutoencoder):
    """Convolutions with few active units."""


class ContractiveConvolutional(ContractiveAutoencoder, ConvolutionalAutoencoder):
    """Convolutions that ignore small changes."""


class AllInOne(DenoisingAutoencoder, SparseAutoencoder, ContractiveAutoencoder, ConvolutionalAutoencoder):
    """Every recipe."""


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (DenoisingConvolutional, {"corruption_level": 0.0}),
        (SparseConvolutional, {"sparsity": 0.0, "code_activation": "identity", "tied_weights": False}),
        (ContractiveConvolutional, {"contraction": 0.0, "tied_weights": False}),
    ],
)
def test_recipes_of_strength_zero_are_the_parent_to_the_last_bit(cls, options, digits):
    options = {**QUICK, **options, "learning_rate_init": 0.003, "weight_decay": 0.3, "batch_size": 100}
    plain = {name: value for name, value in options.items() if name in ConvolutionalAutoencoder().get_params()}
    one, two = cls(**options).fit(digits), ConvolutionalAutoencoder(**plain).fit(digits)
    np.testing.assert_array_equal(one.transform(digits), two.transform(digits))


@pytest.mark.parametrize(
    ("cls", "terms", "code"),
    [
        (DenoisingConvolutional, set(), "vector"),
        (SparseConvolutional, {"sparsity"}, "vector"),
        (ContractiveConvolutional, {"contraction"}, "vector"),
        (AllInOne, {"sparsity", "contraction"}, "map"),
    ],
)
def test_recipes_apply(cls, terms, code, digits):
    model = cls(**QUICK, code=code).fit(digits)
    assert set(model.history_) == {"loss", "reconstruction", *terms}
    np.testing.assert_array_equal(model.transform(digits), clone(model).fit(digits).transform(digits))
    plain = ConvolutionalAutoencoder(**QUICK, code=code).fit(digits)
    assert not np.array_equal(model.transform(digits), plain.transform(digits))


def test_the_exact_contraction_is_the_jacobian(digits):
    model = ContractiveConvolutional(**QUICK, contraction=0.5, n_probes=None, batch_size=400, dtype="float64")
    model.set_params(learning_rate_init=1e-12, max_iter=1).fit(digits)
    norms = (model.jacobian_singular_values(digits) ** 2).sum(axis=1).mean() * model.scale_**2
    assert model.history_["contraction"][0] == pytest.approx(0.5 * norms, rel=1e-6)


def test_grey_images_can_be_given_colours(rng):
    X = rng.random((30, 5 * 4))
    Y = np.hstack([X, 1 - X, 0.5 * X])
    model = DenoisingConvolutional(**{**QUICK, "max_iter": 100}, image_shape=(5, 4), target="y").fit(X, Y)
    assert model.denoise(X).shape == (30, 60)
    assert model.score(X, Y) > 0.1
    with pytest.raises(
        ValueError, match="The target has 50 columns, which cannot be split into channels of 5 by 4 pixels"
    ):
        model.fit(X, Y[:, :50])
    with pytest.raises(ValueError, match=r"tied_weights=True .* but Y has 60 columns and X 20"):
        model.set_params(tied_weights=True).fit(X, Y)


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "image_shape='auto' reads rows as squares, but X has 12 columns"),
        ({"image_shape": (3, 5)}, r"image_shape=\(3, 5\) has 15 pixels, but X has 12 columns"),
        ({"image_shape": (2, 3, 4)}, r"image_shape=\(2, 3, 4\) has 24 pixels, but X has 12 columns"),
        ({"image_shape": (12,)}, r"image_shape=\(12,\) is neither \(height, width\) nor"),
        ({"image_shape": (1, 1, 3, 4)}, r"image_shape=\(1, 1, 3, 4\) is neither"),
        ({"image_shape": (3, 0)}, "has 0 in it"),
        ({"image_shape": (3, 4.0)}, "has 3.0 in it"),
        ({"image_shape": 12}, "'image_shape' parameter of ConvolutionalAutoencoder must be"),
        ({"image_shape": "square"}, "'image_shape' parameter of ConvolutionalAutoencoder must be"),
        ({"image_shape": (3, 4), "channel_axis": -1}, "'channel_axis' parameter"),
        ({"image_shape": (3, 4), "channels": ()}, r"channels=\(\) leaves no convolution"),
        ({"image_shape": (3, 4), "channels": (4, 0)}, "has 0 in it"),
        ({"image_shape": (3, 4), "channels": (4, "b")}, "has '4' in it"),
        ({"image_shape": (3, 4), "kernel_size": 4}, "kernel_size=4 is even and has no middle pixel"),
        ({"image_shape": (3, 4), "kernel_size": 0}, "'kernel_size' parameter"),
        ({"image_shape": (3, 4), "pooling": "min"}, "'pooling' parameter"),
        ({"image_shape": (3, 4), "code": "maps"}, "'code' parameter"),
        ({"image_shape": (3, 4), "code": "map", "init": "pca"}, "init='pca' is not defined with code='map'"),
        ({"image_shape": (3, 4), "init": "pca", "n_components": 13}, "n_components=13 and only 12 features"),
        (
            {"image_shape": (3, 4), "code": "map", "hidden_layer_sizes": (5,)},
            r"hidden_layer_sizes=\(5,\) are dense layers, but code='map' has none",
        ),
        ({"image_shape": (3, 4), "likelihood": "categorical"}, "needs the sizes .*: pass them as categories"),
    ],
)
def test_bad_parameters_are_told_in_a_sentence(options, message, rng):
    model = ConvolutionalAutoencoder(**{"max_iter": 1, **options})
    with pytest.raises(ValueError, match=message):
        model.fit(rng.random((6, 12)))
    assert not hasattr(model, "module_")
    assert not hasattr(model, "image_shape_")
    assert not hasattr(model, "code_shape_")


def test_another_architecture_cannot_go_on(digits):
    model = ConvolutionalAutoencoder(**QUICK, warm_start=True).fit(digits)
    for change in ({"pooling": "max"}, {"channels": (5,)}, {"kernel_size": 5}, {"image_shape": (4, 16)}):
        (name,) = change
        with pytest.raises(ValueError, match=f"{name} changed since the last fit"):
            clone_fitted(model).set_params(**change).fit(digits)
    with pytest.raises(ValueError, match="code, projected changed since the last fit"):
        clone_fitted(model).set_params(code="map").fit(digits)


def clone_fitted(model):
    return pickle.loads(pickle.dumps(model))


def test_other_images_are_refused_after_fit(digits):
    model = ConvolutionalAutoencoder(**QUICK).fit(digits)
    with pytest.raises(ValueError, match="X has 49 features, but ConvolutionalAutoencoder is expecting 64"):
        model.transform(digits[:, :49])


def test_the_dense_estimator_is_no_ancestor_by_accident(digits):
    """The gradient by hand is that of dense layers, and must not be taken for this one's."""
    model = ConvolutionalAutoencoder(**QUICK).fit(digits)
    assert not has_closed_gradient(model, model.module_)
    dense = Autoencoder(2, max_iter=1).fit(digits)
    assert has_closed_gradient(dense, dense.module_)
