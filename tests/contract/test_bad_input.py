"""Bad input: a ValueError or TypeError of one clear sentence, and an estimator as it was before."""

import numpy as np
import pandas as pd
import pytest
import torch
from contract.requirements import refuses
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone

from skae import Autoencoder

QUICK = Autoencoder(hidden_layer_sizes=(4,), max_iter=2, random_state=0)
GOOD = np.random.default_rng(0).random((12, 3))


def spoilt(value):
    """GOOD with one entry replaced, anywhere."""

    def replace(place):
        X = GOOD.astype(object if isinstance(value, (str, type(None), list)) else np.result_type(GOOD, type(value)))
        X[divmod(place, 3)] = value
        return X

    return st.integers(0, 35).map(replace)


BAD_X = st.one_of(
    spoilt(np.inf),
    spoilt(-np.inf),
    spoilt("a"),
    spoilt([1, 2]),
    spoilt(1j),
    spoilt(1e308),
    spoilt(np.inf).map(sparse.csr_array),
    spoilt(np.inf).map(torch.from_numpy),
    spoilt(np.inf).map(lambda X: pd.DataFrame(X, columns=["a", "b", "c"])),
    st.sampled_from([(0, 3), (3, 0), (0, 0), (4,), (), (2, 2, 2)]).map(np.ones),
    st.sampled_from(
        ["text", 3, None, {"a": 1}, [[1, 2], [3]], object(), np.char.add(GOOD.astype(str), "x"), torch.ones(3), b"x"]
    ),
)
BAD_WEIGHT = st.one_of(
    st.sampled_from([np.zeros(12), -np.ones(12), np.ones(11), np.ones((12, 2)), ["a"] * 12, torch.zeros(12)]),
    st.integers(0, 11).map(lambda i: np.where(np.arange(12) == i, np.nan, 1.0)),
    st.integers(0, 11).map(lambda i: np.where(np.arange(12) == i, -1.0, 1.0)),
)
often = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_transform"])
@often
@given(X=BAD_X)
def test_fit_refuses(method, X):
    refuses(clone(QUICK), method, X)


@often
@given(weight=BAD_WEIGHT)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_fit_refuses_weights(method, weight):
    refuses(clone(QUICK), method, GOOD, sample_weight=weight)


FITTED = clone(QUICK).fit(GOOD)


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "score", "score_samples"])
@often
@given(X=BAD_X)
def test_a_fitted_estimator_refuses_and_stays_usable(method, X):
    if method not in ("fit", "partial_fit") and isinstance(X, np.ndarray) and 1e308 in X:
        return  # large, but a number like any other once the scale is known
    expected = FITTED.transform(GOOD)
    refuses(FITTED, method, X)
    np.testing.assert_array_equal(FITTED.transform(GOOD), expected)


@pytest.mark.parametrize("method", ["partial_fit", "transform", "score", "score_samples", "inverse_transform"])
@pytest.mark.parametrize("width", [1, 4])
def test_the_wrong_width_is_refused(method, width):
    sentence = refuses(FITTED, method, np.ones((5, width)))
    assert str(width) in sentence


@often
@given(H=BAD_X)
def test_inverse_transform_refuses(H):
    """GOOD has three columns, one more than the code."""
    refuses(FITTED, "inverse_transform", H)


@pytest.mark.parametrize("method", ["fit", "transform", "score"])
def test_the_row_and_the_column_are_named(method):
    frame = pd.DataFrame(GOOD, columns=["a", "b", "c"])
    model = clone(QUICK).fit(frame)
    frame.loc[7, "b"] = np.inf
    sentence = "Input X contains infinity in row 7, column 'b': replace it or drop the row."
    assert refuses(model, method, frame) == sentence


@pytest.mark.parametrize("convert", [sparse.csr_array, torch.from_numpy, np.asfortranarray])
def test_the_row_is_named_for_other_arrays(convert):
    X = GOOD.copy()
    X[7, 1] = np.inf
    assert "infinity in row 7, column 1" in refuses(clone(QUICK), "fit", convert(X))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_components": 0}, "'n_components' parameter of Autoencoder must be an int in the range [1, inf)"),
        ({"n_components": 1.5}, "'n_components' parameter"),
        ({"hidden_layer_sizes": (4, 0)}, "hidden_layer_sizes=(4, 0) has 0 in it"),
        ({"hidden_layer_sizes": (4, 2.5)}, "every size must be a whole number"),
        ({"hidden_layer_sizes": "many"}, "'hidden_layer_sizes' parameter"),
        ({"activation": "sine"}, "'activation' parameter"),
        ({"columns": (("gaussian", 3),)}, "columns describe X for the mixed likelihood"),
        ({"likelihood": "categorical"}, "needs the sizes of the groups of columns: pass them as categories"),
        ({"likelihood": "categorical", "categories": (2, 2)}, "categories=(2, 2) sum to 4, but X has 3 columns"),
        ({"dropout": 1.0}, "'dropout' parameter"),
        ({"learning_rate_init": 0.0}, "'learning_rate_init' parameter"),
        ({"validation_fraction": 1.0}, "'validation_fraction' parameter"),
        ({"batch_size": 0}, "'batch_size' parameter"),
        ({"random_state": "seed"}, "'random_state' parameter"),
        ({"dtype": "float16"}, "'dtype' parameter"),
        ({"device": "gpu"}, "device='gpu' is not a device"),
        ({"device": "cuda:99"}, "this machine has none"),
        ({"device": "meta"}, "is not supported"),
        ({"init": "pca", "likelihood": "bernoulli"}, "init='pca' is not defined with likelihood='bernoulli'"),
    ],
)
def test_bad_parameters_are_named(options, sentence):
    assert sentence in refuses(clone(QUICK).set_params(**options), "fit", GOOD)


def test_one_row_cannot_be_normalised_by_its_batch():
    sentence = refuses(clone(QUICK).set_params(batch_norm=True), "fit", GOOD[:1])
    assert sentence == "batch_norm=True needs at least 2 rows in a batch; got n_samples = 1."


def test_a_missing_device_at_inference_warns_and_uses_the_cpu():
    if torch.cuda.is_available():
        pytest.skip("the device is there")
    model = clone(QUICK).fit(GOOD).set_params(device="cuda")
    with pytest.warns(UserWarning, match="this machine has none.*Using the CPU"):
        H = model.transform(GOOD)
    np.testing.assert_array_equal(H, FITTED.transform(GOOD))
    assert "this machine has none" in refuses(model, "fit", GOOD)
