"""Dense stacks against torch.nn, linear starts against PCA, and gradients written by hand against autograd."""

import copy
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.decomposition import PCA
from torch import nn

from skae import Autoencoder
from skae.base.transformer import TorchTransformer
from skae.engine.data import Batch
from skae.functional import ACTIVATIONS
from skae.nn.dense import BatchNorm, Dense, DenseAutoencoder, TransposedDense

LAYERS = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "leaky_relu": nn.LeakyReLU,
    "softplus": nn.Softplus,
}
LIKELIHOODS = ["gaussian", "bernoulli", "poisson", "categorical"]
GROUPS = (2, 1, 3)
N, D = 9, sum(GROUPS)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def real(shape=(N, D), seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def randomise(module, seed=0):
    """Weights and biases that are all at work, in float64."""
    module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(real(parameter.shape, seed + parameter.numel()) * 0.4)
    return module


def explicit(sizes, activation, output_activation, batch_norm=False):
    """The same stack out of torch's own layers."""
    layers = []
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        hidden = i < len(sizes) - 2
        layers += [nn.Linear(fan_in, fan_out)] + [nn.BatchNorm1d(fan_out)] * (batch_norm and hidden)
        layers += [LAYERS[activation if hidden else output_activation]()]
    return nn.Sequential(*layers).double()


def copy_into(reference, coder):
    with torch.no_grad():
        linear = [layer for layer in reference if isinstance(layer, nn.Linear)]
        norms = [layer for layer in reference if isinstance(layer, nn.BatchNorm1d)]
        for layer, (weight, bias) in zip(linear, coder.layers(), strict=True):
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
        for layer, norm in zip(norms, coder.norms, strict=True):
            layer.weight.copy_(norm.gain)
            layer.bias.copy_(norm.shift)
    return reference


# ---------------------------------------------------------------- coders


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("sizes", [(D, 2), (D, 5, 2), (D, 5, 4, 8)], ids=str)
def test_a_dense_stack_is_the_sequential_of_torch(sizes, activation):
    coder = randomise(Dense(sizes, activation, "tanh"))
    reference = copy_into(explicit(sizes, activation, "tanh"), coder)
    torch.testing.assert_close(coder(real()), reference(real()), rtol=1e-12, atol=1e-14)


def test_batch_norm_is_that_of_torch_in_training_and_afterwards():
    sizes = (D, 5, 4, 2)
    coder = randomise(Dense(sizes, "tanh", batch_norm=True))
    reference = copy_into(explicit(sizes, "tanh", "identity", batch_norm=True), coder)
    for seed in range(3):
        torch.testing.assert_close(coder(real(seed=seed), seeded()), reference(real(seed=seed)))
    norms = [layer for layer in reference if isinstance(layer, nn.BatchNorm1d)]
    for ours, theirs in zip(coder.norms, norms, strict=True):
        torch.testing.assert_close(ours.mean, theirs.running_mean)
        theirs.running_var.copy_(ours.variance)  # theirs is unbiased, ours that of the batch
    before = [b.clone() for b in coder.buffers()]
    torch.testing.assert_close(coder(real(seed=9)), reference.eval()(real(seed=9)))
    assert all(map(torch.equal, before, coder.buffers()))


def test_running_statistics_of_batch_norm_settle_at_those_of_the_data():
    norm, x = BatchNorm(D).double(), 2 + 3 * real()
    for _ in range(300):
        norm(x, seeded())
    np.testing.assert_allclose(norm.mean, x.numpy().mean(0), rtol=1e-10)
    np.testing.assert_allclose(norm.variance, x.numpy().var(0), rtol=1e-10)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("hidden", [(), (7,), (8, 5)], ids=str)
def test_layers_are_as_wide_as_asked(hidden, tied):
    module = autoencoder_module(hidden=hidden, tied=tied)
    sizes = [D, *hidden, 2]
    assert [tuple(w.shape) for w, _ in module.encoder.layers()] == [(o, i) for i, o in pairwise(sizes)]
    assert [tuple(w.shape) for w, _ in module.decoder.layers()] == [(o, i) for i, o in pairwise(sizes[::-1])]
    assert [len(b) for _, b in module.decoder.layers()] == sizes[::-1][1:]
    n_weights = sum(i * o for i, o in pairwise(sizes))
    n_biases = sum(sizes[1:]) + sum(sizes[:-1])
    assert sum(p.numel() for p in module.parameters()) == n_weights * (1 if tied else 2) + n_biases


def autoencoder_module(hidden=(7, 5), tied=False, likelihood="gaussian", projected=False, **options):
    arguments = {"activation": "tanh", "code_activation": "identity", "dropout": 0.0, "batch_norm": False, **options}
    return DenseAutoencoder(
        n_features=D,
        n_components=2,
        n_outputs=D,
        hidden_layer_sizes=hidden,
        likelihood=likelihood,
        categories=GROUPS,
        tied_weights=tied,
        projected=projected,
        **arguments,
    )


def test_a_tied_decoder_follows_every_change_of_its_encoder():
    module = randomise(autoencoder_module(tied=True))
    assert isinstance(module.decoder, TransposedDense)
    for change in (lambda w: w.mul_(2), lambda w: w.add_(1), lambda w: w.zero_()):
        with torch.no_grad():
            for weight in module.encoder.weights:
                change(weight)
        pairs = zip(module.encoder.weights[::-1], module.decoder.layers(), strict=True)
        for encoder_weight, (decoder_weight, _) in pairs:
            assert torch.equal(decoder_weight, encoder_weight.T)
            assert decoder_weight.data_ptr() == encoder_weight.data_ptr()


@pytest.mark.parametrize("tied", [False, True])
def test_a_deep_copy_has_weights_of_its_own(tied):
    module = randomise(autoencoder_module(tied=tied))
    twin, expected = copy.deepcopy(module), module.decode(module.encode(real()))
    torch.testing.assert_close(twin.decode(twin.encode(real())), expected)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert torch.equal(module.decode(module.encode(real())), expected)
    assert torch.equal(twin.decode(twin.encode(real())), torch.zeros(N, D, dtype=torch.float64))


def test_initial_weights_depend_on_the_generator_alone_and_are_uniform():
    before = torch.get_rng_state()
    coders = [Dense([50, 40, 30], "tanh") for _ in range(3)]
    for coder, seed in zip(coders, (1, 1, 2), strict=True):
        coder.initialise(seeded(seed))
    assert torch.equal(before, torch.get_rng_state())
    first, again, other = ([p.detach() for p in c.parameters()] for c in coders)
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[0], other[0])
    for weight, bias in coders[0].layers():
        c = np.sqrt(1.5 / weight.shape[1])
        assert stats.kstest(weight.detach().numpy().ravel(), stats.uniform(-c, 2 * c).cdf).pvalue > 1e-3
        assert not bias.any()


@pytest.mark.parametrize("activation", ["tanh", "logistic", "softplus"])
@pytest.mark.parametrize(("hidden", "tied"), [((), False), ((), True), ((7, 5), False)])
def test_a_projected_autoencoder_starts_as_pca(hidden, activation, tied, iris):
    x = iris - iris.mean(0)
    pca = PCA(2).fit(x)
    options = {"hidden_layer_sizes": hidden, "activation": activation, "tied_weights": tied, "dtype": "float64"}
    estimator = Autoencoder(2, learning_rate_init=1e-300, max_iter=1, random_state=0, **options).fit(iris)
    np.testing.assert_allclose(estimator.transform(iris) * estimator.scale_, pca.transform(x), atol=1e-10)
    restored = estimator.inverse_transform(estimator.transform(iris))
    np.testing.assert_allclose(restored, pca.inverse_transform(pca.transform(x)) + iris.mean(0), atol=1e-10)


# ---------------------------------------------------------------- functional transforms


@pytest.mark.parametrize(("likelihood", "projected"), [("gaussian", False), ("gaussian", True), ("poisson", False)])
def test_jacobians_of_torch_func_are_those_of_autograd(likelihood, projected):
    module = randomise(autoencoder_module(likelihood=likelihood, projected=projected))
    if projected:
        module.projection.copy_(real((2, D), seed=5))
    x = real().abs()
    each_row = torch.func.vmap(torch.func.jacrev(lambda row: module.encode(row[None])[0]))(x)
    expected = [torch.autograd.functional.jacobian(lambda row: module.encode(row[None])[0], row) for row in x]
    torch.testing.assert_close(each_row, torch.stack(expected), rtol=1e-12, atol=1e-14)
    x.requires_grad_()
    assert torch.autograd.gradgradcheck(module.encode, x)


def test_functional_call_uses_the_weights_it_is_given():
    module = randomise(autoencoder_module())
    zeros = {name: torch.zeros_like(p) for name, p in module.encoder.named_parameters()}
    h = torch.func.functional_call(module.encoder, zeros, real())
    assert torch.equal(h, torch.zeros(N, 2, dtype=torch.float64))


# ---------------------------------------------------------------- gradients by hand


def fitted(cls=Autoencoder, likelihood="gaussian", **options):
    """An estimator whose weights are all at work, and a batch for it."""
    defaults = {"hidden_layer_sizes": (5, 4), "dtype": "float64", "max_iter": 1, "random_state": 0}
    if likelihood == "categorical":
        options["categories"] = GROUPS
    rows = np.random.default_rng(0)
    X = {
        "gaussian": lambda: rows.standard_normal((N, D)),
        "bernoulli": lambda: rows.random((N, D)),
        "categorical": lambda: rows.random((N, D)),  # groups that do not sum to one
        "poisson": lambda: rows.poisson(2.0, (N, D)).astype(float),
    }[likelihood]()
    valid = X / np.add.reduceat(X, [0, 2, 3], axis=1)[:, [0, 0, 1, 2, 2, 2]] if likelihood == "categorical" else X
    model = cls(2, likelihood=likelihood, **{**defaults, **options}).fit(valid)
    with torch.no_grad():
        model._flat.theta.copy_(real(model._flat.theta.shape, seed=1) * 0.5)
    return model, Batch(torch.from_numpy(X))


def require_same_gradient(model, batch, atol=1e-12):
    """The step of the estimator, and back-propagation of its loss, leave the same."""
    results = []
    for step in (type(model)._step, TorchTransformer._step):
        model._flat.grad.zero_()
        terms = step(model, model.module_, batch, seeded(1))
        results.append((model._flat.grad.clone(), {name: term.detach() for name, term in terms.items()}))
    (by_hand, terms), (by_autograd, expected) = results
    assert by_autograd.abs().max() > 1e-3
    torch.testing.assert_close(by_hand, by_autograd, rtol=1e-12, atol=atol * float(by_autograd.abs().max()))
    torch.testing.assert_close(terms, expected, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_by_hand_are_those_of_autograd(activation, likelihood):
    inits = ("random", "pca") if likelihood == "gaussian" else ("random",)
    for tied, dropout, init in product((False, True), (0.0, 0.4), inits):
        options = {"tied_weights": tied, "dropout": dropout, "init": init, "activation": activation}
        code = activation if init == "random" else "identity"
        model, batch = fitted(likelihood=likelihood, code_activation=code, **options)
        for weight in (None, real((N,), seed=3).abs()):
            require_same_gradient(model, batch._replace(weight=weight))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("init", ["random", "pca"])
def test_gradients_by_hand_need_no_hidden_layer(init, tied):
    require_same_gradient(*fitted(hidden_layer_sizes=(), init=init, tied_weights=tied))


class Penalised(Autoencoder):
    def _penalty(self, module, batch, h):
        raise NotImplementedError

    def _bottleneck(self, module, batch, e, rng):
        neck = super()._bottleneck(module, batch, e, rng)
        return neck.by_autograd(lambda h: (h, self._penalty(module, batch, h)))


class Lasso(Penalised):
    def _penalty(self, module, batch, h):
        return {"sparsity": 0.1 * h.abs().sum(1).mean()}


class Decay(Penalised):
    def _penalty(self, module, batch, h):
        return {"decay": 0.3 * sum(w.square().sum() for w in module.encoder.weights)}


class Contractive(Penalised):
    def _penalty(self, module, batch, h):
        jacobian = torch.func.vmap(torch.func.jacrev(lambda row: module.encode(row[None])[0]))(batch.x)
        return {"contraction": 0.2 * jacobian.square().sum() / len(h)}


class Mixed(Penalised):
    def _corrupt(self, module, batch, rng):
        noise = torch.randn(batch.x.shape, generator=rng, dtype=batch.x.dtype)
        return super()._corrupt(module, batch._replace(corrupted=batch.x + noise, emphasis=noise.abs()), rng)

    def _penalty(self, module, batch, h):
        return {"product": 0.2 * (h @ module.encoder.weights[-1]).square().mean()}

    def _bottleneck(self, module, batch, e, rng):
        """Several functions in turn, of which one bends the code and one has its gradient by hand."""
        neck = super()._bottleneck(module, batch, e, rng)
        for kind in (Lasso, Decay, Contractive):
            neck = neck.by_autograd(lambda h, kind=kind: (h, kind._penalty(self, module, batch, h)))
        neck = neck.by_autograd(lambda h: (torch.tanh(h), {"bent": 0.1 * h.square().sum()}))
        return neck.plus("by hand", 0.3 * neck.h.square().sum(), 0.6 * neck.h)


class Constant(Penalised):
    def _penalty(self, module, batch, h):
        return {"constant": torch.ones((), dtype=h.dtype)}


@pytest.mark.parametrize("cls", [Lasso, Decay, Contractive, Mixed, Constant])
@pytest.mark.parametrize("options", [{}, {"init": "random", "tied_weights": True, "dropout": 0.3}], ids=str)
def test_penalties_have_the_gradient_that_autograd_finds(cls, options):
    require_same_gradient(*fitted(cls, **options))


class OwnLoss(Autoencoder):
    def _loss(self, module, batch, rng):
        h = module.encode(batch.x, rng)
        return {"quartic": (module.decode(h, rng) - batch.x).pow(4).mean()}


def test_a_loss_of_a_subclass_is_what_it_is_trained_by():
    model, batch = fitted(OwnLoss)
    model._flat.grad.zero_()
    terms = model._step(model.module_, batch, seeded())
    assert list(terms) == ["quartic"]
    parameters = list(model.module_.parameters())
    by_hand = [p.grad.clone() for p in parameters]
    loss = (model.module_.decode(model.module_.encode(batch.x)) - batch.x).pow(4).mean()
    torch.testing.assert_close(by_hand, list(torch.autograd.grad(loss, parameters)), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(terms["quartic"].item(), loss.item(), rtol=1e-12)


def test_batch_norm_is_trained_as_torch_would():
    model, batch = fitted(batch_norm=True, init="random", activation="tanh")
    coders = [model.module_.encoder, model.module_.decoder]
    ends = [explicit(sizes, "tanh", "identity", batch_norm=True) for sizes in ((D, 5, 4, 2), (2, 4, 5, D))]
    reference = nn.Sequential(*(copy_into(end, coder) for end, coder in zip(ends, coders, strict=True)))
    (reference(batch.x) - batch.x).square().sum(1).mean().backward()
    buffers = [b.clone() for b in model.module_.buffers()]
    model._flat.grad.zero_()
    model._step(model.module_, batch, seeded())
    for coder, end in zip(coders, ends, strict=True):
        linear = [layer for layer in end if isinstance(layer, nn.Linear)]
        norms = [layer for layer in end if isinstance(layer, nn.BatchNorm1d)]
        ours = [*coder.weights, *coder.biases, *(n.gain for n in coder.norms), *(n.shift for n in coder.norms)]
        theirs = [*(m.weight for m in linear), *(m.bias for m in linear)]
        theirs += [*(m.weight for m in norms), *(m.bias for m in norms)]
        torch.testing.assert_close([p.grad for p in ours], [p.grad for p in theirs], rtol=1e-9, atol=1e-11)
    assert not any(map(torch.equal, buffers, model.module_.buffers()))


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_every_parameter_is_reached_by_a_gradient(likelihood, tied, batch_norm):
    options = {"tied_weights": tied, "batch_norm": batch_norm, "max_iter": 2, "learning_rate_init": 0.01}
    if likelihood == "categorical":
        options["categories"] = GROUPS
    rows = np.random.default_rng(0)
    X = rows.integers(0, 2, (30, D)).astype(float)
    if likelihood == "categorical":
        X = np.hstack([np.eye(size)[rows.integers(0, size, 30)] for size in GROUPS])
    model = Autoencoder(hidden_layer_sizes=(5, 4), likelihood=likelihood, dtype="float64", random_state=0, **options)
    model.fit(X)
    model._flat.grad.zero_()
    batch = Batch(torch.from_numpy((X - model.mean_) / model.scale_ if likelihood == "gaussian" else X))
    model._step(model.module_, batch, seeded())
    # batch normalisation subtracts a bias again, that of the code if nothing but g sees the code
    cancelled = ("bias_0", "bias_1", *["encoder.bias_2"] * (likelihood != "gaussian")) if batch_norm else ()
    for name, parameter in model.module_.named_parameters():
        assert (parameter.grad.abs().max() > 1e-9) != name.endswith(cancelled), name


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("activation", ["silu", "tanh", "relu"])
def test_training_leaves_the_pca_that_it_starts_from(activation, tied, iris):
    options = {"hidden_layer_sizes": (16,), "activation": activation, "tied_weights": tied, "random_state": 0}
    options |= {"learning_rate_init": 0.01, "weight_decay": 0.0, "max_iter": 200, "n_iter_no_change": 50}
    estimator = Autoencoder(1, **options).fit(iris)
    of_pca = PCA(1).fit(iris).explained_variance_ratio_.sum()
    assert 1 - estimator.score(iris) < 0.9 * (1 - of_pca)


# ------------------------------------------------------------------ the code's derivative


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hidden": ()},
        {"projected": True},
        {"tied": True, "code_activation": "logistic"},
        {"likelihood": "poisson"},
        {"batch_norm": True},
        {"dropout": 0.5},
    ],
    ids=str,
)
def test_pull_back_is_the_jacobian_that_autograd_finds(activation, options):
    module = randomise(autoencoder_module(activation=activation, **options))
    x = real((N, D), seed=1).abs() + 0.1
    jacobian = torch.func.vmap(torch.func.jacrev(lambda row: module.encode(row[None])[0]))(x)
    torch.testing.assert_close(module.pull_back(x, torch.eye(2)[None].double()), jacobian, rtol=1e-10, atol=1e-12)
    v = real((N, 3, 2), seed=2)
    torch.testing.assert_close(module.pull_back(x, v), v @ jacobian, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_pull_back_can_be_differentiated_in_the_weights(activation):
    module = randomise(autoencoder_module(hidden=(4, 3), activation=activation))
    x, eye = real((5, D), seed=1), torch.eye(2)[None].double()
    jacobian = torch.func.vmap(torch.func.jacrev(lambda row: module.encode(row[None])[0]))(x)
    parameters = [*module.encoder.weights, *module.encoder.biases]
    expected = torch.autograd.grad(jacobian.square().sum(), parameters, allow_unused=True)
    gradient = torch.autograd.grad(module.pull_back(x, eye).square().sum(), parameters, allow_unused=True)
    for one, other in zip(gradient, expected, strict=True):
        torch.testing.assert_close(0 if one is None else one, 0 if other is None else other, rtol=1e-9, atol=1e-11)


# ------------------------------------------------------------------ dropout of hidden units


def test_hidden_dropout_of_a_linear_network_has_the_mean_and_the_variance_of_its_units():
    """E h = W_2 a, and Var h_i = p / (1 - p) sum_j W_2ij^2 a_j^2 with a = W_1 x + b_1."""
    p, n = 0.3, 20_000
    coder = Dense([4, 6, 2], "identity", dropout=p).double()
    with torch.no_grad():
        for i, parameter in enumerate(coder.parameters()):
            parameter.copy_(real(parameter.shape, seed=i))
        x = real((1, 4), seed=9)
        draws = coder(x.repeat(n, 1), seeded(1))
        (first, bias), (second, _) = coder.layers()
        a = x @ first.T + bias
        error = draws.std(0) / n**0.5
        assert ((draws.mean(0) - coder(x)[0]).abs() / error).max() < 4.5
        expected = p / (1 - p) * a.square() @ second.square().T
        torch.testing.assert_close(draws.var(0), expected[0], rtol=0.05, atol=0.0)


@pytest.mark.parametrize("activation", ["relu", "silu", "tanh"])
def test_only_hidden_units_are_silenced(activation):
    """Neither the code nor the output: without a hidden layer there is no dropout."""
    coder = Dense([4, 3], "identity", activation, dropout=0.5).double()
    with torch.no_grad():
        coder.weight_0.copy_(real((3, 4)))
    x = real((5, 4), seed=1)
    assert torch.equal(coder(x, seeded()), coder(x))
    assert torch.equal(coder.propagate(x, seeded())[0], coder(x))


def test_the_tape_of_a_step_is_what_forward_computes():
    coder = Dense([4, 6, 5, 2], "silu", dropout=0.4).double()
    coder.initialise(seeded())
    x = real((7, 4))
    out, tape = coder.propagate(x, seeded(3))
    torch.testing.assert_close(out, coder(x, seeded(3)), rtol=0.0, atol=0.0)
    masks = [mask for *_, mask in tape]
    assert masks[-1] is None
    assert all((mask == 0).any() for mask in masks[:-1])
