"""Scores of a reconstruction and statistics of codes, against formulas and counts by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF, PCA, DictionaryLearning, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, StandardScaler
from sklearn.random_projection import SparseRandomProjection

from skae import Autoencoder, TopKAutoencoder, VariationalAutoencoder, functional, metrics
from skae.metrics import (
    code_statistics,
    neg_reconstruction_mse,
    neg_sample_mmd,
    reconstruct,
    reconstruction_r2,
    squared_mmd,
)

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


@pytest.fixture(scope="module")
def halves():
    """Rows to fit and rows to score, of another mean."""
    X = np.random.default_rng(0).normal(size=(60, 5)) @ np.random.default_rng(1).normal(size=(5, 5))
    return X[:30] + 3.0, X[30:] + 3.5


@pytest.fixture(scope="module")
def autoencoder(halves):
    return Autoencoder(2, hidden_layer_sizes=(4,), max_iter=3, random_state=0).fit(halves[0])


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


# -------------------------------------------------------------------- code_statistics


class Fixed(TransformerMixin, BaseEstimator):
    """A code and a reconstruction that are given, whatever the first column of X says is their row."""

    def __init__(self, H, X_hat=None):
        self.H, self.X_hat = H, X_hat

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return self.H[np.asarray(X)[:, 0].astype(int)]


class FixedBack(Fixed):
    def inverse_transform(self, H):
        return self.X_hat[: len(H)]


CODES = np.array([[0.0, 2.0, 0.0, -1.0], [0.0, 4.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.5]])
ROWS = np.array([[0.0, 0.0], [1.0, 3.0], [2.0, 4.0]])


def test_counts_by_hand():
    statistics = code_statistics(Fixed(CODES), ROWS)
    assert statistics.l0 == pytest.approx(4 / 3)
    assert statistics.density == pytest.approx(1 / 3)
    assert statistics.dead_fraction == 0.5
    assert statistics.dead.tolist() == [0, 2]
    np.testing.assert_allclose(statistics.frequency, [0, 2 / 3, 0, 2 / 3])
    np.testing.assert_allclose(statistics.mean_activation, [0, 2, 0, -0.5 / 3])
    assert statistics.nmse is None
    assert statistics.nmse_by_row is None


def test_both_errors_by_hand():
    statistics = code_statistics(FixedBack(CODES, np.array([[0.0, 1.0], [1.0, 2.0], [0.0, 4.0]])), ROWS)
    errors, mean = np.array([1.0, 1.0, 4.0]), ROWS.mean(axis=0)
    assert statistics.nmse == pytest.approx(errors.sum() / ((ROWS - mean) ** 2).sum())
    assert statistics.nmse_by_row == pytest.approx((1 / 10 + 4 / 20) / 2), "the row of zeros has no length"


def test_an_activation_counts_above_the_tolerance():
    assert code_statistics(Fixed(CODES), ROWS, tol=1.0).frequency.tolist() == [0, 2 / 3, 0, 0]
    assert code_statistics(Fixed(CODES), ROWS, tol=0.99).frequency.tolist() == [0, 2 / 3, 0, 1 / 3]


def test_it_is_told_in_a_line():
    assert repr(code_statistics(Fixed(CODES), ROWS)) == "CodeStatistics(l0=1.333, density=0.3333, dead_fraction=0.5)"
    whole = code_statistics(FixedBack(CODES, ROWS), ROWS)
    assert repr(whole) == "CodeStatistics(l0=1.333, density=0.3333, dead_fraction=0.5, nmse=0, nmse_by_row=0)"


@pytest.mark.parametrize("n_targets", [1, 5])
def test_a_model_of_something_else_than_x_has_no_error(digits, n_targets):
    """As a denoising autoencoder that learnt to predict other columns."""

    class Other(Fixed):
        def inverse_transform(self, H):
            return np.ones((len(H), n_targets))

    statistics = code_statistics(Other(CODES), ROWS)
    assert statistics.nmse is None
    assert statistics.nmse_by_row is None
    assert statistics.l0 == code_statistics(Fixed(CODES), ROWS).l0


def test_top_k_has_k(digits):
    statistics = code_statistics(TopKAutoencoder(64, k=5, max_iter=3, random_state=0).fit(digits), digits)
    assert statistics.l0 == 5
    assert statistics.density == 5 / 64
    assert statistics.frequency.sum() == pytest.approx(5)
    assert 0 < statistics.nmse < 1


@pytest.mark.parametrize(
    "estimator",
    [
        PCA(3),
        TruncatedSVD(3),
        NMF(3, max_iter=1000),
        make_pipeline(StandardScaler(), PCA(3)),
        make_pipeline(StandardScaler(with_mean=False), Autoencoder(3, hidden_layer_sizes=(5,), max_iter=2)),
        make_pipeline("passthrough", NMF(3, max_iter=1000)),
    ],
    ids=str,
)
def test_nmse_is_one_minus_r2(estimator, iris):
    estimator.fit(iris)
    statistics = code_statistics(estimator, iris[:70])
    assert statistics.nmse == pytest.approx(1 - reconstruction_r2(estimator, iris[:70]), rel=1e-6)
    assert statistics.frequency.shape == (3,)


def test_transformers_without_a_way_back(iris):
    for estimator in (KMeans(3, n_init=1, random_state=0), DictionaryLearning(3, max_iter=5, random_state=0)):
        code = estimator.fit(iris).transform(iris)
        statistics = code_statistics(estimator, iris)
        assert statistics.l0 == pytest.approx((code != 0).sum() / 150)
        np.testing.assert_allclose(statistics.mean_activation, code.mean(axis=0))
    assert code_statistics(KMeans(3, n_init=1, random_state=0).fit(iris), iris).nmse is None


def test_sparse_codes():
    table = np.array([[0, 5], [1, 5], [0, 6]])
    encoder = OneHotEncoder().fit(table)
    assert sparse.issparse(encoder.transform(table))
    statistics = code_statistics(encoder, table)
    assert statistics.l0 == 2
    assert statistics.nmse == statistics.nmse_by_row == 0
    np.testing.assert_allclose(statistics.frequency, [2 / 3, 1 / 3, 2 / 3, 1 / 3])


@pytest.mark.parametrize(
    "convert",
    [
        np.asfortranarray,
        pd.DataFrame,
        sparse.csr_matrix,
        sparse.csr_array,
        sparse.coo_array,
        sparse.csc_matrix,
        lambda X: X.tolist(),
        lambda X: X.astype(np.float32),
    ],
)
def test_kinds_of_input(convert, iris):
    model = TopKAutoencoder(8, k=2, max_iter=2, random_state=0).fit(iris)
    expected, got = code_statistics(model, iris), code_statistics(model, convert(iris))
    assert got.l0 == expected.l0
    assert got.nmse == pytest.approx(expected.nmse, rel=1e-4)
    assert got.nmse_by_row == pytest.approx(expected.nmse_by_row, rel=1e-4)
    np.testing.assert_allclose(got.mean_activation, expected.mean_activation, rtol=1e-4)


@pytest.mark.parametrize("rows", [1, 7, 150, 151])
def test_chunks_make_no_difference(rows, iris, monkeypatch):
    model = PCA(3).fit(iris)
    whole = code_statistics(model, iris, tol=0.1)
    monkeypatch.setattr(metrics, "CHUNK_ROWS", rows)
    parts = code_statistics(model, iris, tol=0.1)
    assert parts.l0 == whole.l0
    assert parts.nmse == pytest.approx(whole.nmse)
    assert parts.nmse_by_row == pytest.approx(whole.nmse_by_row)
    np.testing.assert_allclose(parts.mean_activation, whole.mean_activation, atol=1e-12)


def test_no_more_rows_than_a_chunk_are_encoded_at_once(iris, monkeypatch):
    seen = []

    class Watched(PCA):
        def transform(self, X):
            seen.append(len(X))
            return super().transform(X)

    monkeypatch.setattr(metrics, "CHUNK_ROWS", 64)
    code_statistics(Watched(2).fit(iris), iris)
    assert seen == [64, 64, 22]


def test_frames_of_codes(iris):
    plain = code_statistics(PCA(2).fit(iris), iris)
    framed = code_statistics(PCA(2).set_output(transform="pandas").fit(iris), iris)
    assert framed.nmse == pytest.approx(plain.nmse)
    np.testing.assert_allclose(framed.mean_activation, plain.mean_activation, atol=1e-12)


def test_one_row_and_constant_data():
    constant = np.ones((5, 3))
    statistics = code_statistics(Autoencoder(2, hidden_layer_sizes=(4,), max_iter=1).fit(constant), constant)
    assert statistics.nmse in (0.0, 1.0)
    assert statistics.nmse_by_row < 1e-6
    zeros = code_statistics(FixedBack(CODES, np.zeros((3, 2))), np.zeros((3, 2)))
    assert zeros.nmse == zeros.nmse_by_row == 0.0
    assert code_statistics(Fixed(CODES), ROWS[:1]).l0 == 2


def test_no_transform_no_code(iris):
    with pytest.raises(TypeError, match=r"^LinearRegression has no transform, so it gives no code\.$"):
        code_statistics(LinearRegression().fit(iris[:, :3], iris[:, 3]), iris)


@pytest.mark.parametrize("tol", [-1.0, np.nan])
def test_a_tolerance_is_not_negative(tol):
    with pytest.raises(ValueError, match=f"tol={tol} must be at least 0"):
        code_statistics(Fixed(CODES), ROWS, tol=tol)


def test_what_the_estimator_refuses_is_refused(iris):
    with pytest.raises(NotFittedError):
        code_statistics(PCA(2), iris)
    with pytest.raises(ValueError, match="NaN"):
        code_statistics(PCA(2).fit(iris), np.full((3, 4), np.nan))
    with pytest.raises(ValueError, match="3 features"):
        code_statistics(PCA(2).fit(iris), iris[:, :3])
    with pytest.raises(ValueError, match="0 sample"):
        code_statistics(PCA(2).fit(iris), iris[:0])
    with pytest.raises(ValueError, match="0 sample"):
        code_statistics(KMeans(2, n_init=1).fit(iris), iris[:0])


# -------------------------------------------------------------------- samples


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
    monkeypatch.setattr(metrics, "N_PAIRS", 100)  # a few rows at a time
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
