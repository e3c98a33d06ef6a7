"""Tables of every kind give the same, and are left as they were."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from contract.requirements import outputs, require_same
from contract.tables import CLASSES, entering, every_class
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone

from skae import Autoencoder


def as_tensor(X):
    return torch.from_numpy(X).requires_grad_()


def as_frame(X):
    return pd.DataFrame(X, columns=list("abcde"))


@entering("input")
@pytest.mark.parametrize("convert", [as_frame, sparse.csr_array, as_tensor])
def test_other_tables_give_the_same(estimator, X, y, convert):
    X = X.copy()
    expected = clone(estimator).fit(X, y)
    other = convert(X)
    require_same(expected, estimator.fit(other, y), X, other, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(estimator.score(other, y), expected.score(X, y), rtol=1e-5)


@pytest.mark.parametrize(
    "convert",
    [
        np.asfortranarray,
        lambda X: pl.DataFrame(X, schema=list("abcde")),
        sparse.csr_matrix,
        sparse.coo_array,
        lambda X: X[:, ::-1][:, ::-1],
        lambda X: X.astype(">f8"),
        lambda X: X.tolist(),
    ],
)
def test_what_is_converted_before_an_estimator_sees_it(X, convert):
    model = clone(CLASSES["Autoencoder"])
    require_same(clone(model).fit(X), model.fit(convert(X)), X, convert(X), rtol=1e-6, atol=1e-6)


@every_class()
def test_float32_and_float64_input_agree(estimator, X, y):
    X = X.astype(np.float32)
    solvers = [name for name in estimator.get_params() if name.endswith("solver")]
    estimator.set_params(**dict.fromkeys(solvers, "sgd"))  # Adam makes much of the rounding of gradients near zero
    one, two = clone(estimator).fit(X, y), clone(estimator).fit(X.astype(float), y)
    np.testing.assert_allclose(one.transform(X), two.transform(X), rtol=1e-4, atol=1e-4)


@every_class()
def test_tensors_come_back_as_tensors_if_array_api_dispatch_asks(estimator, X, y):
    tensor = torch.from_numpy(X)
    expected = outputs(estimator.fit(X, y), X)
    assert isinstance(estimator.transform(tensor), np.ndarray)
    with config_context(array_api_dispatch=True):
        found = outputs(estimator, tensor)
    for name in set(found) - {"predict"}:
        assert isinstance(found[name], torch.Tensor)
        np.testing.assert_array_equal(found[name].numpy(), expected[name])


@every_class()
def test_memory_maps(estimator, X, y, tmp_path):
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    expected = clone(estimator).fit(X.astype(np.float32), y)
    require_same(expected, estimator.fit(mapped, y), mapped, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", ["r+", "c"])
def test_memory_maps_that_could_be_written_to_are_not(mode, X, tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode=mode)
    clone(CLASSES["Autoencoder"]).set_params(batch_size=20, dtype="float64").fit(mapped).score(mapped)
    np.testing.assert_array_equal(mapped, X)
    np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), X)


def test_nothing_is_looked_through_if_numbers_are_assumed_to_be_finite(X):
    model = clone(CLASSES["Autoencoder"]).fit(X)
    X[2, 3] = np.inf
    with config_context(assume_finite=True):
        assert np.isnan(model.transform(X)).all(axis=1).tolist() == [i == 2 for i in range(30)]


@entering("input")
def test_x_and_y_are_left_as_they_were(estimator, X, y):
    data = X.copy(), None if y is None else y.copy()
    estimator.fit(X, y, sample_weight=np.arange(30.0)).score(X, y)
    np.testing.assert_array_equal(X, data[0])
    if y is not None:
        np.testing.assert_array_equal(y, data[1])


@every_class()
def test_names_of_columns(estimator, X, y):
    frame = as_frame(X)
    estimator.set_output(transform="pandas").fit(frame, y)
    prefix = type(estimator).__name__.lower()
    assert list(estimator.transform(frame).columns) == [f"{prefix}0", f"{prefix}1"]
    np.testing.assert_array_equal(estimator.feature_names_in_, list("abcde"))
    if hasattr(estimator, "inverse_transform"):
        assert estimator.inverse_transform(estimator.transform(frame)).shape == X.shape


def test_codes_of_tensors_may_be_trained_on(X):
    with config_context(array_api_dispatch=True):
        H = Autoencoder(2, max_iter=1, random_state=0).fit(X).transform(torch.from_numpy(X))
    torch.nn.Linear(2, 1)(H).sum().backward()
