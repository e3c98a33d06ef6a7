"""Statistics of codes, against counts by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF, PCA, DictionaryLearning, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skae import Autoencoder, TopKAutoencoder
from skae.metrics import code_statistics, codes, reconstruction_r2


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
    monkeypatch.setattr(codes, "CHUNK_ROWS", rows)
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

    monkeypatch.setattr(codes, "CHUNK_ROWS", 64)
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
