"""Distances of samples and rows, against those of tensors."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import VariationalAutoencoder, functional
from skae.metrics import neg_sample_mmd, samples, squared_mmd


@pytest.mark.parametrize("kernel", ["imq", "rbf"])
def test_the_distance_of_tables_is_that_of_tensors(kernel, halves, monkeypatch):
    X, Y = halves[0] + 1e3, halves[1][:20] + 1e3
    unit = functional.median_squared_distance(torch.tensor(X))
    lengths = [unit * scale for scale in functional.SCALES]
    expected = float(functional.squared_mmd(torch.tensor(X - 1e3), torch.tensor(Y - 1e3), lengths, kernel))
    assert squared_mmd(X, Y, kernel=kernel) == pytest.approx(
        expected, rel=1e-3
    )  # an even number of pairs has two medians
    assert squared_mmd(X, Y, kernel=kernel, unit=unit) == pytest.approx(expected, rel=1e-9)
    assert squared_mmd(X, Y, kernel=kernel, scales=lengths, unit=1.0) == pytest.approx(expected, rel=1e-9)
    monkeypatch.setattr(samples, "N_PAIRS", 100)  # a few rows at a time
    assert squared_mmd(X, Y, kernel=kernel, unit=unit) == pytest.approx(expected, rel=1e-9)
    frame, few = pd.DataFrame(X), sparse.csr_matrix(Y)
    assert squared_mmd(frame, few, kernel=kernel, unit=unit) == pytest.approx(expected, rel=1e-9)


def test_the_unit_of_equal_rows_is_one():
    X = np.zeros((4, 2))
    assert squared_mmd(X, X) == 0.0
    X[0] = 2.0  # most distances are zero, and the mean is that of three pairs in six
    assert squared_mmd(X, X + 1) == pytest.approx(squared_mmd(X, X + 1, unit=4.0))
    assert squared_mmd(X[1:], X[1:] + 1, scales=[1.0]) == pytest.approx(2 - 2 / 3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"Y": np.zeros((3, 4))}, "same columns"),
        ({"X": np.zeros((1, 5))}, "at least 2 rows"),
        ({"Y": np.zeros((1, 5))}, "at least 2 rows"),
        ({"scales": ()}, "above 0"),
        ({"scales": (1.0, 0.0)}, "above 0"),
        ({"unit": -1.0}, "above 0"),
        ({"unit": np.nan}, "above 0"),
        ({"kernel": "linear"}, "'imq' or 'rbf'"),
        ({"X": np.full((3, 5), np.nan)}, "NaN"),
    ],
)
def test_a_distance_needs_tables_lengths_and_a_kernel(change, told, halves):
    options = {"X": halves[0], "Y": halves[1], **change}
    X, Y = options.pop("X"), options.pop("Y")
    with pytest.raises(ValueError, match=told):
        squared_mmd(X, Y, **options)


def test_samples_of_any_model_are_compared_with_rows(halves):
    train, test = halves
    models = [
        GaussianMixture(2, reg_covar=0.1, random_state=0),  # its sample returns labels too
        KernelDensity(bandwidth=0.3),  # its sample is random unless it is told otherwise
        VariationalAutoencoder(2, hidden_layer_sizes=(4,), max_iter=2, random_state=0),
    ]
    for model in models:
        model.fit(train)
        options = {} if isinstance(model, GaussianMixture) else {"random_state": 0}
        rows = model.sample(len(test), **options)
        rows = rows[0] if isinstance(rows, tuple) else rows
        assert neg_sample_mmd(model, test) == pytest.approx(-squared_mmd(test, rows), rel=1e-12)
        assert neg_sample_mmd(model, test) == neg_sample_mmd(model, test)
    with pytest.raises(TypeError, match="PCA has no sample"):
        neg_sample_mmd(PCA(2).fit(train), test)


def test_samples_of_a_pipeline_are_on_the_scale_of_x(halves):
    train, test = halves
    pipe = make_pipeline(StandardScaler(), GaussianMixture(1, random_state=0)).fit(train)
    rows = pipe[0].inverse_transform(pipe[1].sample(len(test))[0])
    assert neg_sample_mmd(pipe, test) == pytest.approx(-squared_mmd(test, rows), rel=1e-12)
    alone = GaussianMixture(1, random_state=0).fit(train)
    assert neg_sample_mmd(make_pipeline(alone), test) == neg_sample_mmd(alone, test)
    with pytest.raises(TypeError, match="PCA has no sample"):
        neg_sample_mmd(make_pipeline(StandardScaler(), PCA(2)).fit(train), test)


def test_a_search_by_samples_finds_the_number_of_groups():
    X = np.random.default_rng(0).normal(np.tile([[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0]], (60, 1)), 0.3)
    folds = KFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(GaussianMixture(random_state=0), {"n_components": [1, 3]}, scoring=neg_sample_mmd, cv=folds)
    assert search.fit(X).best_params_ == {"n_components": 3}
    assert search.best_score_ == pytest.approx(0.0, abs=0.02)
