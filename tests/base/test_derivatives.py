"""Derivatives of the code against finite differences, closed forms and the code itself."""

from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.decomposition import NMF, PCA
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder
from skae.autoencoders.dense import Activation
from skae.base import derivatives as _derivatives
from skae.base.derivatives import UnitDrive, code_jacobian, first_layer_weights, jacobian_singular_values


def fitted(X, n_components=3, **parameters):
    """A small network in double precision whose residual is not zero any more."""
    options = {"hidden_layer_sizes": (6, 5), "max_iter": 4, "learning_rate_init": 0.02, "random_state": 0}
    return Autoencoder(n_components, dtype="float64", **{**options, **parameters}).fit(X)


def finite_differences(estimator, X, step=1e-5):
    columns = [
        (estimator.transform(X + step * e) - estimator.transform(X - step * e)) / (2 * step) for e in np.eye(X.shape[1])
    ]
    return np.stack(columns, axis=2)


# -------------------------------------------------------------------- the Jacobian


@pytest.mark.parametrize("activation", get_args(Activation))
@pytest.mark.parametrize("init", ["pca", "random"])
def test_jacobian_is_that_of_finite_differences(iris, activation, init):
    X = iris[::10]
    model = fitted(X, activation=activation, init=init)
    np.testing.assert_allclose(code_jacobian(model, X), finite_differences(model, X), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "parameters",
    [
        {"code_activation": "logistic"},
        {"tied_weights": True},
        {"tied_weights": True, "hidden_layer_sizes": ()},
        {"batch_norm": True},
        {"likelihood": "poisson"},
        {"likelihood": "bernoulli"},
        {"likelihood": "categorical", "categories": (2, 2)},
        {"n_components": 7},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:X has values outside")
def test_jacobian_of_other_architectures(iris, parameters):
    X = iris[::10]
    model = fitted(X, **parameters)
    expected = finite_differences(model, X)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(code_jacobian(model, X), expected, rtol=1e-5, atol=1e-8)


def test_jacobian_of_counts_is_zero_where_log1p_is_clamped(iris):
    model = fitted(iris, likelihood="poisson")
    X = iris[:5].copy()
    X[:, 1] = -1.0
    J = code_jacobian(model, X)
    assert (J[:, :, 1] == 0).all()
    assert (J[:, :, 0] != 0).any()


def test_jacobian_of_a_linear_code_is_its_weights_everywhere(iris):
    model = fitted(iris, hidden_layer_sizes=())
    J = code_jacobian(model, iris)
    np.testing.assert_allclose(J, np.broadcast_to(first_layer_weights(model), J.shape), rtol=1e-12)


def test_shape_and_precision_are_those_of_the_code(iris):
    model = Autoencoder(2, hidden_layer_sizes=4, max_iter=2, random_state=0).fit(iris)
    assert code_jacobian(model, iris).shape == (150, 2, 4)
    assert code_jacobian(model, iris).dtype == jacobian_singular_values(model, iris).dtype == np.float64


@pytest.mark.parametrize("container", [np.ndarray.tolist, sparse.csr_array, torch.as_tensor])
def test_all_kinds_of_input(iris, container):
    X = iris[:20].copy()
    model = fitted(X)
    np.testing.assert_allclose(code_jacobian(model, container(X)), code_jacobian(model, X), rtol=1e-12)


def test_frames_keep_their_names(iris):
    frame = pd.DataFrame(iris, columns=list("abcd"))
    model = fitted(frame)
    np.testing.assert_array_equal(code_jacobian(model, frame), code_jacobian(fitted(frame.to_numpy()), iris))
    with pytest.raises(ValueError, match="feature names should match"):
        code_jacobian(model, frame[["b", "a", "c", "d"]])


@pytest.mark.parametrize("function", [code_jacobian, jacobian_singular_values])
@pytest.mark.parametrize("block", [1, 100])
def test_blocks_do_not_change_the_result(iris, monkeypatch, function, block):
    model = fitted(iris)
    whole = function(model, iris)
    monkeypatch.setattr(_derivatives, "BLOCK", block)
    np.testing.assert_allclose(function(model, iris), whole, rtol=1e-10, atol=1e-14)


def test_blocks_hold_no_more_than_they_may(iris, monkeypatch):
    model = fitted(iris)
    seen = []
    monkeypatch.setattr(_derivatives, "_jacobian", lambda encode, x: seen.append(len(x)) or torch.zeros(len(x), 3, 4))
    monkeypatch.setattr(_derivatives, "BLOCK", 120)
    jacobian_singular_values(model, iris)
    assert seen == [10] * 15


def test_nothing_of_the_model_is_touched(iris):
    model = fitted(iris)
    model._flat.grad.fill_(7.0)
    before = model._flat.theta.clone()
    code_jacobian(model, iris)
    UnitDrive(model)(iris[:3], np.arange(3))
    assert (model._flat.grad == 7.0).all()
    assert torch.equal(model._flat.theta, before)
    assert all(parameter.requires_grad and parameter.dtype == torch.float64 for parameter in model.module_.parameters())
    assert all((parameter.grad == 7.0).all() for parameter in model.module_.parameters())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_derivatives_exist_where_gradients_are_off(iris, mode):
    model = fitted(iris)
    expected = code_jacobian(model, iris)
    with mode():
        np.testing.assert_array_equal(code_jacobian(model, torch.from_numpy(iris.copy())), expected)
        np.testing.assert_allclose(UnitDrive(model)(iris[:1] - model.mean_, np.array([2]))[1], expected[:1, 2])


# -------------------------------------------------------------------- singular values


@pytest.mark.parametrize("n_components", [1, 3, 4, 7])
def test_singular_values_are_those_of_the_jacobian(iris, n_components):
    X = iris[::10]
    model = fitted(X, n_components=n_components)
    s = jacobian_singular_values(model, X)
    J = code_jacobian(model, X)
    assert s.shape == (len(X), min(n_components, 4))
    assert (np.diff(s, axis=1) <= 0).all()
    squares = np.linalg.eigvalsh(J.swapaxes(1, 2) @ J)[:, ::-1][:, : s.shape[1]]
    np.testing.assert_allclose(s**2, squares, atol=1e-12)


def test_singular_values_of_pca_are_one_over_the_scale(iris):
    model = fitted(iris, learning_rate_init=1e-12)
    np.testing.assert_allclose(jacobian_singular_values(model, iris) * model.scale_, 1.0, rtol=1e-8)


def test_singular_values_go_with_the_units_of_x(iris):
    s = jacobian_singular_values(fitted(iris), iris)
    np.testing.assert_allclose(jacobian_singular_values(fitted(100 * iris), 100 * iris), s / 100, rtol=1e-6)


def test_saturated_units_follow_nothing(iris):
    model = fitted(iris, code_activation="logistic")
    with torch.no_grad():
        model.module_.encoder.biases[-1].fill_(1e3)
    assert (jacobian_singular_values(model, iris) == 0).all()


# -------------------------------------------------------------------- first-layer weights


def test_weights_of_a_hidden_layer_are_those_of_the_module_in_units_of_x(iris):
    model = fitted(iris)
    expected = model.module_.encoder.weights[0].detach().numpy() / model.scale_
    np.testing.assert_array_equal(first_layer_weights(model), expected)


@pytest.mark.parametrize("estimator", [PCA(2), NMF(2, max_iter=1000)])
def test_weights_of_linear_models_are_their_components(iris, estimator):
    np.testing.assert_array_equal(first_layer_weights(estimator.fit(iris)), estimator.components_)


# -------------------------------------------------------------------- the drive of a unit


@pytest.mark.parametrize("likelihood", ["gaussian", "poisson"])
def test_drive_is_the_code_and_its_jacobian(iris, likelihood):
    model, units = fitted(iris, likelihood=likelihood), np.array([2, 0, 1, 1])
    X = iris[:4]
    value, gradient = UnitDrive(model)(X - model.mean_, units)
    np.testing.assert_allclose(value, model.transform(X)[np.arange(4), units], rtol=1e-12)
    np.testing.assert_allclose(gradient, code_jacobian(model, X)[np.arange(4), units], rtol=1e-9)


def test_drive_is_in_double_precision(iris):
    model = Autoencoder(2, hidden_layer_sizes=4, max_iter=2, random_state=0).fit(iris)
    value, gradient = UnitDrive(model)(iris - model.mean_, np.zeros(150, dtype=int))
    assert value.dtype == gradient.dtype == np.float64
    np.testing.assert_allclose(value, model.transform(iris)[:, 0], rtol=1e-4, atol=1e-5)
    assert model.module_.encoder.weights[0].dtype == torch.float32


def test_atoms_of_a_linear_decoder_are_its_columns(iris):
    model = fitted(iris, hidden_layer_sizes=())
    decoded = model.inverse_transform(np.vstack([np.zeros(3), np.eye(3)]))
    atoms = UnitDrive(model).atoms(np.array([1, 0]))
    np.testing.assert_allclose(atoms * model.scale_, (decoded[1:] - decoded[0])[[1, 0]], rtol=1e-9)


# -------------------------------------------------------------------- bad input


class Rounded(Autoencoder):
    """A code without a derivative."""

    def _encode(self, module, batch):
        return super()._encode(module, batch).detach().round()


@pytest.mark.parametrize("function", [code_jacobian, jacobian_singular_values])
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda X: PCA(2).fit(X), TypeError, "PCA has no derivative of its code: pass an estimator of skae"),
        (lambda X: Autoencoder(2), NotFittedError, "not fitted"),
        (lambda X: Rounded(2, max_iter=1).fit(X), TypeError, "code of Rounded is not differentiable"),
    ],
)
def test_models_without_derivatives_are_refused(iris, function, make, error, message):
    with pytest.raises(error, match=message):
        function(make(iris), iris)


@pytest.mark.parametrize("function", [code_jacobian, jacobian_singular_values])
@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda X: X[:, :3], "X has 3 features, but Autoencoder is expecting 4 features"),
        (lambda X: X[0], "Expected 2D array"),
        (lambda X: X[:0], "0 sample"),
        (lambda X: np.where(np.arange(len(X))[:, None] == 2, np.inf, X), "infinity in row 2, column 0"),
    ],
)
def test_bad_rows_are_refused(iris, function, break_it, message):
    model = fitted(iris)
    with pytest.raises(ValueError, match=message):
        function(model, break_it(iris))


def test_drive_needs_a_fitted_model_of_this_package(iris):
    with pytest.raises(TypeError, match="PCA has no derivative"):
        UnitDrive(PCA(2).fit(iris))
    with pytest.raises(NotFittedError):
        UnitDrive(Autoencoder(2))
    with pytest.raises(TypeError, match="code of Rounded is not differentiable"):
        UnitDrive(Rounded(2, max_iter=1).fit(iris))(iris, np.zeros(150, dtype=int))


def test_models_without_a_first_layer_are_refused(iris):
    with pytest.raises(TypeError, match="StandardScaler has no components_ and no dense first layer"):
        first_layer_weights(StandardScaler().fit(iris))
    with pytest.raises(NotFittedError):
        first_layer_weights(Autoencoder(2))
