"""Checks of X, of codes and of weights: NaN that is found on the way through the module, and masks."""

import numpy as np
import pytest
import torch
from contract.requirements import refuses
from scipy import sparse

from skae import Autoencoder, DenoisingAutoencoder, ReceptiveFieldAutoencoder, compare
from skae.base import encoding as _encoding
from skae.base.checks import unmasked
from skae.metrics import code_statistics, neg_reconstruction_mse, reconstruction_r2


@pytest.mark.parametrize("hold", [np.asarray, sparse.csr_array, torch.from_numpy], ids=["array", "CSR", "tensor"])
@pytest.mark.parametrize("method", ["transform", "score", "score_samples"])
def test_a_number_that_is_none_is_named_in_whichever_chunk_it_lies(iris, monkeypatch, method, hold):
    model = Autoencoder(2, hidden_layer_sizes=(4,), max_iter=1, random_state=0).fit(iris)
    monkeypatch.setattr(_encoding, "CHUNK_BYTES", 4 * 4 * 10)  # ten rows of four numbers in float32
    X = iris.copy()
    X[37, 2] = np.inf
    with pytest.raises(ValueError, match="infinity in row 37, column 2"):
        getattr(model, method)(hold(X))


# ------------------------------------------------------------------ masked arrays

ROWS = np.arange(24.0).reshape(8, 3) % 7
QUICK = Autoencoder(2, hidden_layer_sizes=(4,), max_iter=1, random_state=0).fit(ROWS)
WITHOUT_GAPS = ReceptiveFieldAutoencoder(2, max_iter=1, random_state=0).fit(ROWS)
"""A model that takes no missing entries."""


def masked(X, row=5, column=1):
    """X with one entry behind a mask."""
    hidden = np.zeros(X.shape, dtype=bool)
    hidden[row, column] = True
    return np.ma.array(X, mask=hidden)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "object"])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "score", "score_samples"])
def test_a_masked_entry_of_x_is_missing(method, dtype):
    assert "NaN in row 5, column 1" in refuses(WITHOUT_GAPS, method, masked(ROWS.astype(dtype)))


def test_a_masked_entry_is_missing_everywhere():
    assert "NaN" in refuses(QUICK, "inverse_transform", masked(ROWS[:, :2]))
    weight = np.ma.array(np.ones(8), mask=np.arange(8) == 2)
    assert "sample_weight contains NaN" in refuses(QUICK, "fit", ROWS, sample_weight=weight)
    assert "sample_weight contains NaN" in refuses(QUICK, "score", ROWS, sample_weight=weight)
    assert "NaN" in refuses(DenoisingAutoencoder(2, target="y", max_iter=1), "fit", ROWS, masked(ROWS))
    for scorer in (reconstruction_r2, neg_reconstruction_mse, code_statistics):
        with pytest.raises(ValueError, match="NaN"):
            scorer(QUICK, masked(ROWS))
    with pytest.raises(ValueError, match="NaN"):
        compare(ROWS, np.ma.array(ROWS[:, 0], mask=weight.mask), cv=2)


def test_an_array_whose_mask_hides_nothing_is_an_array():
    for mask in (False, np.zeros(ROWS.shape, dtype=bool)):
        np.testing.assert_array_equal(QUICK.transform(np.ma.array(ROWS, mask=mask)), QUICK.transform(ROWS))


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        (np.array([1.0, 9.0], "f4"), np.nan),
        (np.array([1j, 9.0]), np.nan),
        (np.array([1, 9]), None),
        (np.array([True, False]), None),
        (np.array(["a", "b"]), None),
        (np.array(["2020", "2021"], "M8[s]"), np.datetime64("NaT", "s")),
        (np.array([1, 9], "m8[s]"), np.timedelta64("NaT", "s")),
    ],
)
def test_what_a_mask_hides_becomes_what_is_missing(values, missing):
    found = unmasked(np.ma.array(values, mask=[False, True]))
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, np.array([values[0], missing], dtype=found.dtype))
    assert unmasked(values) is values
