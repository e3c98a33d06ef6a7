"""The norm of the code's derivative against the explicit Jacobian, and what penalising it does."""

import warnings
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from contract.requirements import refuses
from nn.test_dense import N, fitted, real, require_same_gradient, seeded
from scipy import sparse
from seen import seen
from sklearn.base import clone

from skae import Autoencoder, ContractiveAutoencoder, DenoisingAutoencoder
from skae.engine.data import Batch
from skae.functional import ACTIVATIONS

QUICK = {"max_iter": 3, "random_state": 0}
WEIGHT = torch.tensor([2.0, 0.0, 1.0, 0.5, 3.0, 1.0, 0.0, 0.5, 1.0], dtype=torch.float64)  # its mean is 1
ARCHITECTURES = {
    "one layer": {"hidden_layer_sizes": ()},
    "untied": {"hidden_layer_sizes": (), "tied_weights": False},
    "projected": {"hidden_layer_sizes": (), "init": "pca"},
    "deep": {"init": "random"},
    "deep and projected": {"init": "pca"},
    "poisson": {"hidden_layer_sizes": (), "likelihood": "poisson"},
    "deep poisson": {"likelihood": "poisson"},
    "bernoulli": {"hidden_layer_sizes": (), "likelihood": "bernoulli"},
    "categorical": {"likelihood": "categorical"},
}


def jacobian(module, x):
    """The Jacobian of each row's code, row by row, as torch.func finds it."""
    return torch.func.vmap(torch.func.jacrev(lambda row: module.encode(row[None])[0]))(x)


def squared_norms(module, x):
    return jacobian(module, x).square().sum((1, 2))


def contractive(architecture, activation="tanh", **options):
    """A model whose weights are all at work, and a batch for it."""
    options = {"activation": activation, "contraction": 0.3, **ARCHITECTURES[architecture], **options}
    code = "identity" if options.get("init") == "pca" else activation
    options.setdefault("code_activation", code)
    n_components = options.pop("n_components", 5)
    model, batch = fitted(lambda _, **given: ContractiveAutoencoder(n_components, **given), **options)
    return model, batch._replace(x=batch.x + 1) if options.get("likelihood") == "poisson" else batch


def terms(model, batch, seed=1):
    h = model.module_.encode(batch.shown)
    return model._bottleneck(model.module_, batch, h, seeded(seed)).terms


# ------------------------------------------------------------------ the norm


@pytest.mark.parametrize(
    ("architecture", "activation"),
    [*product(["one layer", "deep"], ACTIVATIONS), *product(ARCHITECTURES, ["tanh", "silu"])],
)
def test_the_penalty_is_the_norm_of_the_explicit_jacobian(architecture, activation):
    model, batch = contractive(architecture, activation, n_probes=None)
    norms = squared_norms(model.module_, batch.x)
    assert norms.max() > 1e-6
    h = model.module_.encode(batch.x)
    torch.testing.assert_close(model.module_.squared_jacobian(batch.x, h), norms, rtol=1e-9, atol=0.0)
    for weight in (None, WEIGHT):
        w = 1.0 if weight is None else weight
        found = terms(model, batch._replace(weight=weight))
        assert list(found) == ["contraction"]
        torch.testing.assert_close(found["contraction"], 0.3 * (w * norms).sum() / N, rtol=1e-9, atol=0.0)


@pytest.mark.parametrize("activation", ["logistic", "tanh", "softplus", "gelu"])
def test_the_norm_of_a_layer_is_the_formula_of_the_paper(activation):
    """sum_j a'(z_j)^2 ||W_j||^2 (Rifai et al., 2011)."""
    model, batch = contractive("one layer", activation)
    ((weight, bias),) = model.module_.encoder.layers()
    z = (batch.x @ weight.T + bias).detach().requires_grad_()
    (slope,) = torch.autograd.grad(ACTIVATIONS[activation](z).sum(), z)
    expected = slope.square() @ weight.square().sum(1)
    h = model.module_.encode(batch.x)
    torch.testing.assert_close(model.module_.squared_jacobian(batch.x, h), expected, rtol=1e-10, atol=1e-14)


def test_the_norm_is_that_of_what_the_encoder_is_shown_without_its_noise():
    model, batch = contractive("deep", n_probes=None, dropout=0.4)
    shown = batch.x + real(batch.x.shape, seed=7)
    found = terms(model, batch._replace(corrupted=shown))["contraction"]
    torch.testing.assert_close(found, 0.3 * squared_norms(model.module_, shown).mean(), rtol=1e-10, atol=0.0)


@pytest.mark.parametrize("architecture", ["poisson", "deep poisson"])
def test_a_count_of_zero_has_the_slope_on_its_right(architecture):
    """log(1 + x) has slope 1 there, on the side where counts are; autograd says so too."""
    model, batch = contractive(architecture, n_probes=None)
    x = torch.zeros_like(batch.x)
    h = model.module_.encode(x)
    norms = model.module_.squared_jacobian(x, h)
    torch.testing.assert_close(norms, squared_norms(model.module_, x), rtol=1e-10, atol=0.0)
    assert norms.min() > 1e-4
    at_right = squared_norms(model.module_, x + 1e-9)
    torch.testing.assert_close(norms, at_right, rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("n_probes", [1, 3, "auto"])
@pytest.mark.parametrize("architecture", ["deep", "deep and projected", "deep poisson"])
def test_probes_estimate_the_norm_without_bias(architecture, n_probes):
    model, batch = contractive(architecture, n_probes=n_probes)
    exact = squared_norms(model.module_, batch.x).detach()
    repeated = batch.x.repeat(4000, 1)
    with torch.no_grad():
        h = model.module_.encode(repeated)
        estimates = model._squared_norm(model.module_, repeated, h, seeded()).reshape(4000, N)
    error = (estimates.mean(0) - exact) / (estimates.std(0) / 4000**0.5)
    assert estimates.std(0).min() > 1e-6  # they are estimates
    assert error.abs().max() < 4.5
    expected = 3 if n_probes == 3 else 1
    assert model._probes(model.module_, h, seeded()).shape == (4000 * N, expected, 5)


def test_more_probes_vary_less():
    model, batch = contractive("deep")
    repeated = batch.x[:1].repeat(4000, 1)
    spread = []
    for n_probes in (1, 4):
        model.set_params(n_probes=n_probes)
        with torch.no_grad():
            h = model.module_.encode(repeated)
            spread.append(model._squared_norm(model.module_, repeated, h, seeded()).var())
    np.testing.assert_allclose(spread[0] / spread[1], 4, rtol=0.2)


def test_probes_are_fair_signs():
    model, _ = contractive("deep")
    signs = model._probes(model.module_, real((20_000, 2)), seeded())
    assert set(signs.unique().tolist()) == {-1.0, 1.0}
    assert abs(signs.mean()) < 5 / 40_000**0.5


def test_auto_is_exact_for_a_layer_and_one_probe_for_more():
    for architecture, exact in (("one layer", True), ("projected", True), ("deep", False)):
        model, batch = contractive(architecture)
        h = model.module_.encode(batch.x)
        found = model._squared_norm(model.module_, batch.x, h, seeded())
        assert torch.allclose(found, squared_norms(model.module_, batch.x), rtol=1e-10) == exact


# ------------------------------------------------------------------ the second order


@pytest.mark.parametrize("architecture", ["one layer", "deep", "deep and projected", "deep poisson"])
def test_the_second_order_is_the_change_of_the_explicit_jacobian(architecture):
    model, batch = contractive(architecture, order=2, gamma=0.6, sigma=0.25, n_probes=None)
    for weight in (None, WEIGHT):
        found = terms(model, batch._replace(weight=weight))
        assert list(found) == ["contraction", "curvature"]
        eps = torch.empty_like(batch.x).normal_(0, 0.25, generator=seeded(1))
        change = jacobian(model.module_, batch.x) - jacobian(model.module_, batch.x + eps)
        rows = change.square().sum((1, 2)) * (1.0 if weight is None else weight)
        assert rows.sum() > 1e-6
        torch.testing.assert_close(found["curvature"], 0.6 * rows.sum() / N, rtol=1e-10, atol=1e-16)


def test_probes_estimate_the_second_order_without_bias():
    model, batch = contractive("deep", order=2, sigma=0.3)
    x = batch.x[:2].repeat_interleave(20_000, 0)
    h = torch.zeros(len(x), 5, dtype=x.dtype)
    with torch.no_grad():
        exact = model.set_params(n_probes=None)._squared_change(model.module_, x, h, seeded(1)).reshape(2, -1)
        probed = model.set_params(n_probes=2)._squared_change(model.module_, x, h, seeded(2)).reshape(2, -1)
    error = (exact.mean(1) - probed.mean(1)) / ((exact.var(1) + probed.var(1)) / 20_000).sqrt()
    assert error.abs().max() < 4.5


def test_a_linear_code_has_no_second_order():
    model, batch = contractive("projected", order=2)
    assert model.module_.encoder.activations == ["identity"]
    assert terms(model, batch)["curvature"] == 0
    bent, batch = contractive("one layer", order=2)
    assert terms(bent, batch)["curvature"] > 1e-6


def test_the_second_order_takes_the_place_of_the_first():
    model, batch = contractive("deep", contraction=0.0, order=2)
    assert list(terms(model, batch)) == ["curvature"]


# ------------------------------------------------------------------ in training


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("options", [{}, {"n_probes": None}, {"order": 2, "n_probes": 3}], ids=str)
def test_the_gradient_of_a_step_is_that_of_autograd(architecture, options):
    for activation in ("tanh", "silu"):
        model, batch = contractive(architecture, activation, **options)
        for weight in (None, WEIGHT):
            require_same_gradient(model, batch._replace(weight=weight))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("architecture", ["one layer", "deep"])
def test_the_gradient_is_that_of_the_explicit_loss(architecture, activation):
    """Reconstruction and norm written out, and differentiated twice by autograd."""
    model, batch = contractive(architecture, activation, n_probes=None)
    module = model.module_
    model._flat.grad.zero_()
    model._step(module, batch, seeded())
    found = [p.grad.clone() for p in module.parameters()]
    reconstruction = (module.decode(module.encode(batch.x)) - batch.x).square().sum() / N
    loss = reconstruction + 0.3 * squared_norms(module, batch.x).mean()
    expected = torch.autograd.grad(loss, list(module.parameters()))
    torch.testing.assert_close(found, list(expected), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("options", [{"dropout": 0.3}, {"input_dropout": 0.3}], ids=str)
def test_noise_goes_with_it(options):
    model, batch = contractive("deep", order=2, **options)
    require_same_gradient(model, batch)


def test_batch_norm_is_that_of_the_running_statistics():
    """So that what is penalised is the derivative of what ``transform`` computes."""
    model, batch = contractive("deep", n_probes=None, batch_norm=True)
    found = model._step(model.module_, batch, seeded())["contraction"]
    expected = 0.3 * squared_norms(model.module_, batch.x).mean()
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0.0)


class ContractiveDenoising(DenoisingAutoencoder, ContractiveAutoencoder):
    """A recipe."""


@pytest.mark.parametrize("corruption", ["masking", "gaussian", "bert"])
@pytest.mark.parametrize("hidden", [(), (5, 4)], ids=str)
def test_the_gradient_of_a_recipe_is_that_of_autograd(hidden, corruption):
    noise = {"corruption": corruption, "corruption_level": 0.4, "walkback": 2}
    options = {"contraction": 0.4, "order": 2, "code_activation": "logistic", "hidden_layer_sizes": hidden}
    model, batch = fitted(ContractiveDenoising, **noise, **options)
    for weight in (None, WEIGHT):
        require_same_gradient(model, batch._replace(weight=weight))


def test_a_recipe_has_both_terms_both_parameters_and_the_defaults_of_both(digits):
    model = ContractiveDenoising(12, order=2, hidden_layer_sizes=(16,), batch_size=100, **QUICK).fit(digits)
    assert set(model.history_) == {"loss", "reconstruction", "contraction", "curvature"}
    own = ContractiveAutoencoder().get_params() | {"n_probes": "auto", "tied_weights": True}
    of_denoising = {
        name: DenoisingAutoencoder().get_params()[name]
        for name in ("target", "corruption", "walkback", "emphasis", "early_stopping")
    }
    assert ContractiveDenoising().get_params() == own | of_denoising | {"corruption_level": "auto"}
    np.testing.assert_array_equal(model.transform(digits), clone(model).fit(digits).transform(digits))


def test_held_out_rows_are_measured_by_the_same_probes(digits):
    model = ContractiveAutoencoder(4, hidden_layer_sizes=(8,), order=2, early_stopping=True, **QUICK).fit(digits)
    x = seen(model, digits)[:].x
    with torch.no_grad():
        one, two = (model._loss(model.module_, Batch(x), None) for _ in range(2))
    assert one == two
    assert len(model.history_["validation_loss"]) == 3


@pytest.mark.parametrize(("contraction", "kept", "init"), [(0.1, 3, "auto"), (0.3, 2, "auto"), (0.3, 2, "random")])
def test_a_linear_code_keeps_the_axes_of_pca_that_are_worth_it(contraction, kept, init, iris):
    """min (1 - a)^2 s + lambda a over a = w^2 >= 0, along an axis of variance s, is a = 1 - lambda / (2 s)."""
    model = ContractiveAutoencoder(3, contraction=contraction, hidden_layer_sizes=(), init=init, solver="lbfgs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.set_params(dtype="float64", tol=0, max_iter=40, random_state=0).fit(iris)
    x = (iris - iris.mean(0)) / model.scale_
    singular, axes = np.linalg.svd(x, full_matrices=False)[1:]
    gains = np.maximum(0, 1 - contraction / (2 * singular**2 / 150))[:3]
    assert (gains > 0).sum() == kept
    restored = (model.inverse_transform(model.transform(iris)) - iris.mean(0)) / model.scale_
    np.testing.assert_allclose(restored, x @ axes[:3].T * gains @ axes[:3], atol=1e-3)
    values = model.jacobian_singular_values(iris) * model.scale_
    np.testing.assert_allclose(values, np.broadcast_to(np.sqrt(gains), values.shape), atol=1e-2)


@pytest.mark.parametrize("hidden", [(), (16,)], ids=str)
def test_contraction_lowers_the_norm(hidden, digits):
    options = {"hidden_layer_sizes": hidden, "code_activation": "logistic", "batch_size": 50, "max_iter": 20}
    model = ContractiveAutoencoder(12, learning_rate_init=0.03, random_state=0, **options)
    norms = [
        (clone(model).set_params(contraction=c).fit(digits).jacobian_singular_values(digits) ** 2).sum(1).mean()
        for c in (0.0, 0.1, 1.0, 10.0)
    ]
    assert norms[0] > norms[1] > norms[2] > norms[3]
    assert norms[3] < 0.7 * norms[0]


def test_a_weight_of_two_is_the_row_twice(iris):
    weight = np.arange(150) % 3
    model = ContractiveAutoencoder(3, hidden_layer_sizes=(), code_activation="tanh", batch_size=300, **QUICK)
    one, two = clone(model).fit(iris, sample_weight=weight), clone(model).fit(iris.repeat(weight, axis=0))
    np.testing.assert_array_equal(one.transform(iris), two.transform(iris))


# ------------------------------------------------------------------ jacobian_singular_values


@pytest.mark.parametrize(("n_components", "width"), [(2, 2), (7, 4)])
def test_singular_values_are_those_of_the_jacobian_in_units_of_x(n_components, width, iris):
    model = ContractiveAutoencoder(n_components, hidden_layer_sizes=(6,), dtype="float64", **QUICK)
    X = 1000 * iris + 5
    values = model.fit(X).jacobian_singular_values(X)
    x = torch.from_numpy((X - model.mean_) / model.scale_)
    J = jacobian(model.module_, x).detach().numpy() / model.scale_
    assert values.shape == (150, width)
    np.testing.assert_allclose(values, np.linalg.svd(J, compute_uv=False), rtol=1e-8, atol=1e-15)
    np.testing.assert_allclose((values**2).sum(1), (J**2).sum((1, 2)), rtol=1e-10)
    assert (np.diff(values, axis=1) <= 0).all()


def test_the_squares_sum_to_what_was_penalised(iris):
    model = ContractiveAutoencoder(2, contraction=0.7, hidden_layer_sizes=(), dtype="float64", batch_size=150)
    model.set_params(learning_rate_init=1e-300, max_iter=1, random_state=0).fit(iris)
    squares = (model.jacobian_singular_values(iris) * model.scale_) ** 2
    np.testing.assert_allclose(model.history_["contraction"], [0.7 * squares.sum(1).mean()], rtol=1e-10)


def test_the_scale_of_x_only_divides_them(iris):
    options = {"hidden_layer_sizes": (6,), "dtype": "float64", "batch_size": 150, **QUICK}
    one, thousand = (
        ContractiveAutoencoder(2, **options).fit(X).jacobian_singular_values(X) for X in (iris, 1000 * iris + 5)
    )
    np.testing.assert_allclose(1000 * thousand, one, rtol=1e-6)


@pytest.mark.parametrize("convert", [pd.DataFrame, sparse.csr_array, torch.from_numpy])
def test_singular_values_of_any_kind_of_input(convert, iris):
    model = ContractiveAutoencoder(2, hidden_layer_sizes=(6,), **QUICK).fit(iris)
    converted = convert(iris.copy())
    np.testing.assert_allclose(
        model.jacobian_singular_values(converted), model.jacobian_singular_values(iris), rtol=1e-5
    )


def test_a_code_of_identity_has_singular_values_of_pca(iris):
    """The residual around PCA starts at zero: the rows of J are orthonormal, over scale_."""
    model = Autoencoder(2, learning_rate_init=1e-300, max_iter=1, dtype="float64", random_state=0).fit(iris)
    np.testing.assert_allclose(model.jacobian_singular_values(iris) * model.scale_, 1.0, rtol=1e-8)


# ------------------------------------------------------------------ bad parameters


@pytest.mark.parametrize(
    "options",
    [
        {"contraction": -0.1},
        {"contraction": "strong"},
        {"order": 3},
        {"order": 0},
        {"gamma": -1.0},
        {"sigma": 0.0},
        {"n_probes": 0},
        {"n_probes": 1.5},
        {"n_probes": "all"},
        {"tied_weights": "yes"},
    ],
    ids=str,
)
def test_bad_parameters_are_named(options, iris):
    (name,) = options
    sentence = refuses(ContractiveAutoencoder(**options, **QUICK), "fit", iris)
    assert f"'{name}' parameter of ContractiveAutoencoder" in sentence


def test_singular_values_of_the_wrong_width_are_refused(iris):
    model = ContractiveAutoencoder(hidden_layer_sizes=(6,), **QUICK).fit(iris)
    with pytest.raises(ValueError, match="3 features, but ContractiveAutoencoder is expecting 4"):
        model.jacobian_singular_values(iris[:, :3])
    with pytest.raises(ValueError, match="infinity in row 2, column 1"):
        model.jacobian_singular_values(np.where(np.arange(600).reshape(150, 4) == 9, np.inf, iris))
