"""What drives a unit most: closed forms, stationarity, and searches at random."""

from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.cluster import DBSCAN
from sklearn.decomposition import NMF, PCA, IncrementalPCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skae import Autoencoder, FineTunedClassifier, SparseAutoencoder
from skae.base.derivatives import UnitDrive, code_jacobian, first_layer_weights
from skae.inspection import optimal_stimulus, stimuli, top_stimuli
from skae.inspection._ascent import climb


def fitted(X, n_components=3, **parameters):
    options = {"hidden_layer_sizes": (16, 8), "max_iter": 5, "learning_rate_init": 0.01, "random_state": 0}
    return Autoencoder(n_components, **{**options, **parameters}).fit(X)


def single_layer(X, code_activation="identity", **parameters):
    return fitted(X, hidden_layer_sizes=(), code_activation=code_activation, **parameters)


def unit_rows(W):
    return W / np.linalg.norm(W, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def deep(digits):
    """A smooth deep encoder whose answer far from the mean is not linear."""
    return fitted(digits, n_components=6, init="random", max_iter=20)


# -------------------------------------------------------------------- closed forms


def test_stimulus_of_a_linear_unit_is_its_weights_at_unit_length(iris):
    model = single_layer(iris, dtype="float64")
    expected = unit_rows(first_layer_weights(model))
    np.testing.assert_allclose(optimal_stimulus(model, None, norm=1.0), expected, rtol=1e-12)
    np.testing.assert_allclose(optimal_stimulus(model, 1, norm=7.5), 7.5 * expected[1], rtol=1e-12)


@pytest.mark.parametrize("activation", ["logistic", "tanh", "elu", "leaky_relu", "softplus"])
@pytest.mark.parametrize("norm", [0.1, 1, 30.0])
def test_stimulus_of_an_increasing_layer_is_that_of_cs294a(digits, activation, norm):
    model = single_layer(digits, activation)
    W = model.module_.encoder.weights[0].detach().double().numpy()
    expected = W / np.sqrt((W**2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(optimal_stimulus(model, None, norm) / norm, expected, atol=1e-9)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_stimulus_does_not_depend_on_whether_x_is_centred_inside(digits, likelihood):
    model = single_layer(digits / 16, "logistic", likelihood=likelihood, dtype="float64", init="random")
    np.testing.assert_allclose(optimal_stimulus(model, None, 1.0), unit_rows(first_layer_weights(model)), atol=1e-9)


def test_saturated_units_keep_their_direction(digits):
    model = single_layer(digits, "logistic", dtype="float64")
    expected = 1e6 * unit_rows(first_layer_weights(model))
    np.testing.assert_allclose(optimal_stimulus(model, None, norm=1e6, random_state=0), expected, rtol=1e-9)


@pytest.mark.parametrize("estimator", [PCA(3), PCA(3, whiten=True), IncrementalPCA(3), TruncatedSVD(3)])
def test_stimulus_of_a_projection_is_its_component(iris, estimator):
    estimator.fit(iris)
    np.testing.assert_allclose(optimal_stimulus(estimator, [2, 0], norm=2.0), 2 * estimator.components_[[2, 0]])


def test_stimulus_of_a_boltzmann_machine_is_its_weights_at_unit_length(digits, rng):
    rbm = BernoulliRBM(4, n_iter=2, random_state=0).fit(digits / 16)
    d = optimal_stimulus(rbm, 2)
    np.testing.assert_allclose(d, unit_rows(rbm.components_)[2])
    others = unit_rows(rng.standard_normal((1000, 64)))
    assert rbm.transform([d])[0, 2] > rbm.transform(others)[:, 2].max()


# -------------------------------------------------------------------- deep encoders


@pytest.mark.parametrize("norm", [1.0, 20.0, 80.0])
def test_deep_stimuli_are_stationary_on_the_sphere(deep, norm):
    d = optimal_stimulus(deep, None, norm, random_state=0)
    _, gradient = UnitDrive(deep)(d, np.arange(6))
    np.testing.assert_allclose(np.linalg.norm(d, axis=1), norm, rtol=1e-9)
    cosine = (unit_rows(d) * unit_rows(gradient)).sum(axis=1)
    np.testing.assert_allclose(cosine, 1.0, atol=1e-8)


@pytest.mark.parametrize("parameters", [{}, {"activation": "relu"}, {"likelihood": "poisson"}, {"batch_norm": True}])
def test_no_random_input_of_the_norm_drives_a_unit_more(digits, rng, parameters):
    model = fitted(digits, **parameters)
    d = optimal_stimulus(model, None, norm=20.0, random_state=0)
    driven = np.diag(model.transform(model.mean_ + d))
    near_and_far = np.r_[np.full(1000, 20.0), rng.uniform(0, 20.0, 1000)][:, None]
    at_random = model.transform(model.mean_ + near_and_far * unit_rows(rng.standard_normal((2000, 64))))
    around = np.vstack([unit_rows(row + 0.1 * rng.standard_normal((200, 64))) for row in d])
    assert (driven > at_random.max(axis=0)).all()
    assert (driven > model.transform(model.mean_ + 20.0 * around).max(axis=0) - 1e-5).all()


def test_small_stimuli_are_the_gradient_at_the_mean(deep):
    expected = unit_rows(code_jacobian(deep, deep.mean_[None])[0])
    np.testing.assert_allclose(optimal_stimulus(deep, None, norm=1e-6) / 1e-6, expected, atol=1e-4)


def test_stimuli_of_several_units_are_those_of_each(deep):
    together = optimal_stimulus(deep, [4, 0, 4], norm=20.0, random_state=0)
    assert together.shape == (3, 64)
    np.testing.assert_allclose(together[0], optimal_stimulus(deep, 4, norm=20.0, random_state=0), atol=1e-5)
    np.testing.assert_allclose(together[2], together[0], atol=1e-5)


def test_many_units_climb_in_several_parts(deep, monkeypatch):
    whole = optimal_stimulus(deep, None, norm=20.0, random_state=0)
    monkeypatch.setattr(stimuli, "CLIMBS", 2 * 8 * 64)
    np.testing.assert_allclose(optimal_stimulus(deep, None, norm=20.0, random_state=0), whole, atol=1e-5)


def test_a_seed_makes_stimuli_repeatable_and_no_global_generator_is_drawn_from(deep):
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    first, second = (optimal_stimulus(deep, None, norm=80.0, random_state=7) for _ in range(2))
    optimal_stimulus(deep, 0, random_state=None)
    optimal_stimulus(deep, 0, random_state=np.random.RandomState(0))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])


def test_more_starts_are_never_worse(deep):
    drive, units = UnitDrive(deep), np.arange(6)
    driven = [drive(optimal_stimulus(deep, None, 80.0, n_starts=n, random_state=0), units)[0] for n in (1, 2, 8)]
    assert (np.diff(driven, axis=0) >= -1e-9).all()


def test_a_unit_that_nothing_drives_has_no_stimulus(digits):
    model = single_layer(digits, "relu", init="random")
    with torch.no_grad():
        model.module_.encoder.biases[0].copy_(torch.tensor([1e3, -1e9, 1e3]))
    d = optimal_stimulus(model, None, norm=1.0)
    assert (d[1] == 0).all()
    np.testing.assert_allclose(np.linalg.norm(d[[0, 2]], axis=1), 1.0)


class Thresholded(Autoencoder):
    """Units that are silent at the mean, as the units of a sparse code are."""

    def _encode(self, module, batch):
        h = super()._encode(module, batch)
        return h * (h > 1.0)


def test_silent_units_are_woken_by_their_atoms(digits):
    model = Thresholded(2, hidden_layer_sizes=(), tied_weights=True, max_iter=5, random_state=0).fit(digits)
    assert (optimal_stimulus(model, None, norm=40.0, n_starts=1) == 0).all()
    expected = unit_rows(first_layer_weights(model))
    np.testing.assert_allclose(optimal_stimulus(model, None, norm=40.0, n_starts=2) / 40, expected, atol=1e-9)


# -------------------------------------------------------------------- the norm, and fine-tuned encoders


def norms(model):
    return np.linalg.norm(optimal_stimulus(model, None, random_state=0), axis=1)


def test_the_norm_is_by_default_the_distance_of_a_typical_row(digits):
    distance = np.sqrt(((digits - digits.mean(axis=0)) ** 2).sum(axis=1).mean())
    np.testing.assert_allclose(norms(single_layer(digits)), distance, rtol=1e-6)
    np.testing.assert_allclose(norms(PCA(3).fit(digits)), 1.0)


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson"])
def test_the_norm_of_binary_rows_and_counts_is_that_of_their_variances(likelihood, rng):
    X = (rng.random((4000, 9)) < 0.02).astype(float)
    model = single_layer(X, likelihood=likelihood, code_activation="logistic")
    np.testing.assert_allclose(norms(model), np.sqrt(X.var(axis=0).sum()), rtol=0.02)


@pytest.mark.parametrize("norm", ["auto", 5.0])
def test_stimuli_of_a_fine_tuned_encoder_are_those_of_its_code(digits, norm):
    encoder = SparseAutoencoder(6, max_iter=3, random_state=0)
    model = FineTunedClassifier(encoder, max_iter=3, random_state=0).fit(digits, np.arange(400) % 2)
    tuned = deepcopy(model.encoder_)
    tuned.module_.load_state_dict(model.module_.encoder.state_dict())
    expected = optimal_stimulus(tuned, None, norm, random_state=0)
    np.testing.assert_array_equal(optimal_stimulus(model, None, norm, random_state=0), expected)
    before = optimal_stimulus(model.encoder_, None, norm, random_state=0)
    assert not np.allclose(before, expected)


# -------------------------------------------------------------------- the ascent


def starts(rng, n=5, p=4, radius=1.0):
    return radius * unit_rows(rng.standard_normal((n, p))) * rng.uniform(size=(n, 1))


def test_climbs_of_a_quadratic_end_at_its_maximum_inside_of_the_ball(rng):
    center, A = np.array([0.3, -0.2, 0.1, 0.0]), np.diag([1.0, 3.0, 10.0, 30.0])

    def hill(x, climbs):
        return -((x - center) @ A * (x - center)).sum(1), -2 * (x - center) @ A

    x, value = climb(hill, starts(rng), 1.0)
    np.testing.assert_allclose(x, np.broadcast_to(center, x.shape), atol=1e-6)
    np.testing.assert_allclose(value, 0.0, atol=1e-11)


@pytest.mark.parametrize("radius", [1e-3, 1.0, 1e3])
def test_climbs_of_a_quadratic_form_end_at_the_first_eigenvector(rng, radius):
    A = rng.standard_normal((6, 6))
    A = A + A.T
    values, vectors = np.linalg.eigh(A)
    x, value = climb(lambda x, climbs: ((x @ A * x).sum(1), 2 * x @ A), starts(rng, 20, 6, radius), radius)
    best = value.argmax()
    np.testing.assert_allclose(value[best], values[-1] * radius**2, rtol=1e-9)
    np.testing.assert_allclose(abs(x[best] @ vectors[:, -1]), radius, rtol=1e-6)


def test_climbs_go_on_from_kinks(rng):
    """The top of a roof whose ridges stop plain gradients."""
    center = np.array([0.3, -0.2, 0.1, 0.0])
    slopes = np.array([1.0, 2.0, 4.0, 8.0])

    def roof(x, climbs):
        return -(slopes * abs(x - center)).sum(1), -slopes * np.sign(x - center)

    x, _ = climb(roof, starts(rng), 1.0)
    np.testing.assert_allclose(x, np.broadcast_to(center, x.shape), atol=1e-3)


def test_each_climb_has_its_own_function(rng):
    tops = starts(rng, 8, 3)
    x, _ = climb(lambda x, climbs: (-((x - tops[climbs]) ** 2).sum(1), -2 * (x - tops[climbs])), np.zeros((8, 3)), 1.0)
    np.testing.assert_allclose(x, tops, atol=1e-8)


def test_a_flat_function_keeps_directions(rng):
    begin = starts(rng)
    begin[0] = 0.0
    x, value = climb(lambda x, climbs: (np.ones(len(x)), np.zeros_like(x)), begin, 1.0)
    assert (x[0] == 0).all()
    np.testing.assert_allclose(x[1:], unit_rows(begin[1:]))  # at full length, as it costs nothing
    assert (value == 1).all()


# -------------------------------------------------------------------- top rows


@pytest.mark.parametrize("make", [PCA, fitted], ids=["PCA", "Autoencoder"])
def test_top_rows_are_those_of_the_greatest_codes(digits, make):
    model = make(n_components=3, X=digits) if make is fitted else PCA(3).fit(digits)
    H = model.transform(digits)
    rows, activations = top_stimuli(model, digits, 1, k=5)
    assert rows.shape == activations.shape == (5,)
    np.testing.assert_array_equal(activations, np.sort(H[:, 1])[:-6:-1])
    np.testing.assert_array_equal(H[rows, 1], activations)


def test_top_rows_of_several_units_are_those_of_each(digits):
    pca = PCA(3).fit(digits)
    rows, activations = top_stimuli(pca, digits, [2, 0], k=4)
    assert rows.shape == activations.shape == (2, 4)
    for unit, found in zip([2, 0], rows, strict=True):
        np.testing.assert_array_equal(found, top_stimuli(pca, digits, unit, k=4)[0])
    assert top_stimuli(pca, digits, None, k=1)[0].shape == (3, 1)


def test_of_equal_rows_the_first_come_first():
    X = np.array([[0.0], [1.0], [0.0], [1.0], [1.0]])
    rows, _ = top_stimuli(FunctionTransformer(), X, 0, k=5)
    np.testing.assert_array_equal(rows, [1, 3, 4, 0, 2])


@pytest.mark.parametrize("container", [sparse.csr_array, pd.DataFrame])
def test_codes_in_other_containers_are_read(iris, container):
    rows, activations = top_stimuli(FunctionTransformer(), container(iris), 2, k=3)
    np.testing.assert_array_equal(activations, np.sort(iris[:, 2])[:-4:-1])
    np.testing.assert_array_equal(iris[rows, 2], activations)


def test_pipelines_have_top_rows(iris):
    pipeline = make_pipeline(StandardScaler(), PCA(2)).set_output(transform="pandas").fit(iris)
    assert top_stimuli(pipeline, iris, 0, k=1)[0] == pipeline.transform(iris)["pca0"].argmax()


# -------------------------------------------------------------------- bad input


@pytest.mark.parametrize("unit", [3, -1, [0, 3], 1.0, "0", [], [[0]], True])
def test_units_that_are_not_there_are_refused(iris, unit):
    for model in (fitted(iris), PCA(3).fit(iris)):
        with pytest.raises(ValueError, match=r"There is no unit .* among 3: pass whole numbers from 0 to 2"):
            optimal_stimulus(model, unit)
        with pytest.raises(ValueError, match=r"There is no unit .* among 3"):
            top_stimuli(model, iris, unit, k=1)


@pytest.mark.parametrize("norm", [0, -1.0, np.inf, np.nan, "1", None])
def test_a_norm_that_bounds_nothing_is_refused(iris, norm):
    with pytest.raises(ValueError, match=r'norm=.* must be a positive number, in units of X, or "auto"'):
        optimal_stimulus(PCA(2).fit(iris), 0, norm)


@pytest.mark.parametrize("n_starts", [0, -1, 1.5])
def test_no_starts_are_refused(iris, n_starts):
    with pytest.raises(ValueError, match=r"n_starts=.* must be a whole number of at least 1"):
        optimal_stimulus(fitted(iris), 0, n_starts=n_starts)


def test_seeds_that_are_none_are_refused(iris):
    with pytest.raises(ValueError, match="seed"):
        optimal_stimulus(fitted(iris), 0, random_state="a")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda X: NMF(2, max_iter=1000).fit(X), TypeError, "NMF has no derivative of its code"),
        (lambda X: make_pipeline(StandardScaler(), PCA(2)).fit(X), TypeError, "Pipeline has no derivative"),
        (lambda X: DBSCAN().fit(X), TypeError, "DBSCAN has no derivative"),
        (lambda X: Autoencoder(2), NotFittedError, "not fitted"),
        (lambda X: PCA(2), NotFittedError, "not fitted"),
    ],
)
def test_models_without_stimuli_are_refused(iris, make, error, message):
    with pytest.raises(error, match=message):
        optimal_stimulus(make(iris), 0)


@pytest.mark.parametrize("k", [0, -1, 151, 2.0])
def test_more_rows_than_there_are_are_refused(iris, k):
    with pytest.raises(ValueError, match=r"rows cannot be taken from 150: pass a whole number from 1 to 150"):
        top_stimuli(PCA(2).fit(iris), iris, 0, k=k)


def test_top_rows_need_a_fitted_transformer_and_its_features(iris):
    with pytest.raises(TypeError, match="DBSCAN has no transform"):
        top_stimuli(DBSCAN(), iris, 0)
    with pytest.raises(NotFittedError):
        top_stimuli(Autoencoder(2), iris, 0)
    with pytest.raises(ValueError, match="3 features"):
        top_stimuli(fitted(iris), iris[:, :3], 0)
