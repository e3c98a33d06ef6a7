"""Scores of reconstructions, against formulas by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.random_projection import SparseRandomProjection

from skae import Autoencoder
from skae.metrics import code_statistics, neg_reconstruction_mse, reconstruct, reconstruction_r2

SCORES = [reconstruction_r2, neg_reconstruction_mse]


class Constant(TransformerMixin, BaseEstimator):
    """Reconstructs every row as the same number."""

    def __init__(self, value=0.0):
        self.value = value

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.zeros((len(X), 1))

    def inverse_transform(self, X):
        return np.full((len(X), 3), self.value)


def r2_by_hand(X, X_hat, mean):
    return 1 - np.square(X - X_hat).sum() / np.square(X - mean).sum()


# -------------------------------------------------------------------- R2


def test_r2_of_pca_is_measured_against_the_mean_of_the_training_rows(halves):
    train, test = halves
    center = train.mean(axis=0)
    _, _, axes = np.linalg.svd(train - center, full_matrices=False)
    X_hat = center + (test - center) @ axes[:2].T @ axes[:2]
    r2 = reconstruction_r2(PCA(2).fit(train), test)
    assert r2 == pytest.approx(r2_by_hand(test, X_hat, center), abs=1e-12)
    assert r2 != pytest.approx(r2_by_hand(test, X_hat, test.mean(axis=0)), abs=1e-2)


def test_r2_of_pca_on_its_training_rows_is_the_explained_variance(halves):
    pca = PCA(2).fit(halves[0])
    assert reconstruction_r2(pca, halves[0]) == pytest.approx(pca.explained_variance_ratio_.sum(), abs=1e-12)


def test_r2_of_an_autoencoder_is_its_score(halves, autoencoder):
    for X in halves:
        assert reconstruction_r2(autoencoder, X) == pytest.approx(autoencoder.score(X), abs=1e-5)


def test_the_mean_of_a_pipeline_is_pulled_back_through_its_first_steps(halves):
    train, test = halves
    train, test = train * [1, 10, 100, 1, 1], test * [1, 10, 100, 1, 1]
    center, deviation = train.mean(axis=0), train.std(axis=0)
    z_train, z_test = (train - center) / deviation, (test - center) / deviation
    _, _, axes = np.linalg.svd(z_train, full_matrices=False)
    X_hat = center + deviation * (z_test @ axes[:2].T @ axes[:2])
    pipeline = make_pipeline(StandardScaler(), PCA(2)).fit(train)
    assert reconstruction_r2(pipeline, test) == pytest.approx(r2_by_hand(test, X_hat, center), abs=1e-12)


def test_a_pipeline_of_one_step_scores_as_the_step(halves):
    train, test = halves
    assert reconstruction_r2(make_pipeline(PCA(2)).fit(train), test) == reconstruction_r2(PCA(2).fit(train), test)


@pytest.mark.parametrize("wrap", [lambda step: step, lambda step: make_pipeline(MaxAbsScaler(), step)])
def test_without_a_known_mean_that_of_the_scored_rows_is_taken(wrap, halves):
    train, test = halves
    svd = wrap(TruncatedSVD(2, random_state=0)).fit(train)
    X_hat = svd.inverse_transform(svd.transform(test))
    assert reconstruction_r2(svd, test) == pytest.approx(r2_by_hand(test, X_hat, test.mean(axis=0)), abs=1e-12)


def test_a_mean_that_is_none_of_the_columns_is_not_taken():
    X = np.arange(12.0).reshape(4, 3)
    model = Constant(5.0)
    model.mean_ = np.zeros(1)
    assert reconstruction_r2(model, X) == pytest.approx(r2_by_hand(X, 5.0, X.mean(axis=0)), abs=1e-12)


@pytest.mark.parametrize(("value", "r2"), [(2.0, 1.0), (2.5, 0.0)])
def test_r2_of_constant_rows_is_1_if_they_are_met_and_0_if_not(value, r2):
    assert reconstruction_r2(Constant(value), np.full((6, 3), 2.0)) == r2


def test_an_autoencoder_of_constant_rows_scores_1():
    X = np.full((6, 3), 2.0)
    assert reconstruction_r2(Autoencoder(1, max_iter=1).fit(X), X) == 1.0


# -------------------------------------------------------------------- mean squared error


def test_the_mean_squared_error_is_that_of_an_entry():
    X = np.array([[0.0, 1.0, 2.0], [4.0, 2.0, 2.0]])
    assert neg_reconstruction_mse(Constant(2.0), X) == -(4 + 1 + 0 + 4 + 0 + 0) / 6


def test_the_mean_squared_error_of_an_autoencoder_is_that_of_its_score_samples(halves, autoencoder):
    expected = autoencoder.score_samples(halves[1]).mean() / halves[1].shape[1]
    assert neg_reconstruction_mse(autoencoder, halves[1]) == pytest.approx(expected, rel=1e-5)


# -------------------------------------------------------------------- as scorers


@pytest.mark.parametrize("score", SCORES)
def test_a_search_over_pca_and_autoencoders_is_scored(score, iris):
    autoencoder = Autoencoder(hidden_layer_sizes=(4,), max_iter=1, random_state=0)
    grid = {"reduce": [PCA(), autoencoder], "reduce__n_components": [1, 3]}
    search = GridSearchCV(Pipeline([("reduce", PCA())]), grid, scoring=score, cv=2, n_jobs=1).fit(iris)
    halves = [(iris[75:], iris[:75]), (iris[:75], iris[75:])]
    for chosen, found in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
        model = chosen["reduce"].set_params(n_components=chosen["reduce__n_components"])
        assert found == pytest.approx(np.mean([score(model.fit(train), test) for train, test in halves]), rel=1e-5)
    assert search.best_params_["reduce__n_components"] == 3


@pytest.mark.parametrize("score", SCORES)
def test_a_target_is_ignored(score, iris, autoencoder, halves):
    assert score(autoencoder, halves[1], np.zeros(30)) == score(autoencoder, halves[1])
    scores = cross_validate(PCA(4), iris, np.arange(150), scoring=score, cv=2, error_score="raise")["test_score"]
    assert scores == pytest.approx([float(score is reconstruction_r2)] * 2, abs=1e-12)


# -------------------------------------------------------------------- containers


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csc_array, pd.DataFrame, np.ndarray.tolist])
def test_all_containers_score_alike(score, container, halves):
    train, test = halves
    model = Autoencoder(2, hidden_layer_sizes=(4,), max_iter=1, random_state=0)
    names = [f"x{i}" for i in range(5)]

    def wrap(X):
        return pd.DataFrame(X, columns=names) if container is pd.DataFrame else container(X)

    assert score(model.fit(wrap(train)), wrap(test)) == pytest.approx(score(model.fit(train), test), rel=1e-5)


@pytest.mark.parametrize("score", SCORES)
def test_a_pipeline_of_data_frames_that_returns_data_frames_scores_alike(score, halves):
    train, test = (pd.DataFrame(X, columns=[f"x{i}" for i in range(5)]) for X in halves)
    pipeline = make_pipeline(StandardScaler(), PCA(2)).set_output(transform="pandas").fit(train)
    plain = make_pipeline(StandardScaler(), PCA(2)).fit(halves[0])
    assert score(pipeline, test) == pytest.approx(score(plain, halves[1]), abs=1e-12)


def test_sparse_reconstructions_become_dense(halves):
    X = sparse.csr_matrix(halves[0])
    scaler = MaxAbsScaler().fit(X)
    assert sparse.issparse(scaler.inverse_transform(scaler.transform(X)))
    np.testing.assert_allclose(reconstruct(scaler, X), halves[0])


# -------------------------------------------------------------------- complaints


@pytest.mark.parametrize("call", [*SCORES, reconstruct])
def test_what_cannot_reconstruct_is_told_so(call, halves):
    sentence = "^SelectFew has no inverse_transform, so nothing can be reconstructed.$"

    class SelectFew(TransformerMixin, BaseEstimator):
        def transform(self, X):
            return X

    with pytest.raises(TypeError, match=sentence):
        call(SelectFew(), halves[1])


def test_a_pipeline_with_a_step_that_cannot_reconstruct_is_told_so(halves):
    class Forget(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            return self

        def transform(self, X):
            return X

    pipeline = make_pipeline(Forget(), PCA(2)).fit(halves[0])
    with pytest.raises(TypeError, match=r"^Pipeline has no inverse_transform"):
        reconstruction_r2(pipeline, halves[1])


def test_random_projections_are_scored_without_a_mean_of_their_own(halves):
    train, test = halves
    projection = SparseRandomProjection(2, random_state=0, dense_output=True).fit(train)
    X_hat = projection.inverse_transform(projection.transform(test))
    assert reconstruction_r2(projection, test) == pytest.approx(r2_by_hand(test, X_hat, test.mean(axis=0)), abs=1e-12)


def test_a_model_of_another_array_says_so(rng):
    from skae import DenoisingAutoencoder

    X = rng.random((30, 5))
    model = DenoisingAutoencoder(2, hidden_layer_sizes=(), max_iter=1, target="y", random_state=0).fit(X, X[:, :3])
    for metric in (reconstruction_r2, neg_reconstruction_mse):
        with pytest.raises(ValueError, match="reconstructs 3 columns, but X has 5"):
            metric(model, X)


def test_errors_are_those_of_the_observed_entries(halves):
    train, test = halves
    gaps = np.random.default_rng(0).random(test.shape) < 0.3
    gaps[gaps.all(1), 0] = False
    X = np.where(gaps, np.nan, test)
    model = Autoencoder(2, hidden_layer_sizes=(), max_iter=2, dtype="float64", random_state=0).fit(train)
    error = (test - model.inverse_transform(model.transform(X)))[~gaps]
    assert neg_reconstruction_mse(model, X) == pytest.approx(-np.square(error).mean(), rel=1e-9)
    assert reconstruction_r2(model, X) == pytest.approx(model.score(X), rel=1e-9)
    nmse = np.square(error).sum() / np.square((test - model.mean_)[~gaps]).sum()
    assert code_statistics(model, X).nmse == pytest.approx(nmse, rel=1e-9)
