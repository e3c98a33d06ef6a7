"""Moments against numpy, principal axes against scikit-learn's PCA."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy import linalg, sparse
from sklearn.decomposition import PCA

from skae.engine import moments as _linear
from skae.engine.data import Rows, chunks
from skae.engine.frame import Frame
from skae.engine.moments import moments, principal_axes

CPU = torch.device("cpu")


def as_memmap(X, tmp_path):
    mapped = np.memmap(tmp_path / "x.bin", X.dtype, "w+", shape=X.shape)
    mapped[:] = X
    mapped.flush()
    return np.memmap(tmp_path / "x.bin", X.dtype, "r", shape=X.shape)


KINDS = {
    "float64": lambda X, path: X,
    "float32": lambda X, path: X.astype(np.float32),
    "columns first": lambda X, path: np.asfortranarray(X),
    "every second column": lambda X, path: np.repeat(X, 2, axis=1)[:, ::2],
    "CSR matrix": lambda X, path: sparse.csr_matrix(X),
    "CSR array, float32": lambda X, path: sparse.csr_array(X.astype(np.float32)),
    "tensor": lambda X, path: torch.from_numpy(X.copy()),
    "tensor, float32": lambda X, path: torch.from_numpy(X).float(),
    "memory map": as_memmap,
    "memory map, float32": lambda X, path: as_memmap(X.astype(np.float32), path),
}


def table(n=53, d=6, seed=0):
    """Columns of different means and scales, some entries zero."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * np.arange(1, d + 1) + rng.standard_normal(d)
    return X * (rng.random((n, d)) < 0.8)


def weights(n, seed=1):
    """Some of them zero, and all of them in the first chunks."""
    rng = np.random.default_rng(seed)
    return rng.random(n) * (np.arange(n) >= 8) * (rng.random(n) < 0.7)


@pytest.fixture
def small_chunks(monkeypatch):
    """Four or fewer rows of six columns at a time."""
    monkeypatch.setattr(_linear, "chunks", partial(chunks, elements=24))


def oracle(X, w):
    mean = np.average(X, axis=0, weights=w)
    return mean, np.average((X - mean) ** 2, axis=0, weights=w).mean() ** 0.5


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_moments_are_those_of_numpy(kind, weighted, tmp_path, small_chunks):
    X, w = table(), weights(53) if weighted else None
    given = KINDS[kind](X, tmp_path)
    mean, scale = moments(given, w)
    expected_mean, expected_scale = oracle(X, w)
    tolerance = 1e-6 if "float32" in kind else 1e-13
    assert mean.dtype == np.float64
    assert isinstance(scale, float)
    np.testing.assert_allclose(mean, expected_mean, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(scale, expected_scale, rtol=tolerance)


@pytest.mark.parametrize("elements", [1, 6, 13, 10_000])
def test_moments_do_not_depend_on_the_size_of_chunks(elements, monkeypatch):
    X = table()
    monkeypatch.setattr(_linear, "chunks", partial(chunks, elements=elements))
    mean, scale = moments(X)
    np.testing.assert_allclose(mean, X.mean(0), rtol=1e-13)
    np.testing.assert_allclose(scale, X.var(0).mean() ** 0.5, rtol=1e-13)


def test_weights_of_moments_are_repetitions():
    X, times = table(), np.random.default_rng(2).integers(0, 4, 53)
    mean, scale = moments(X, times.astype(float))
    repeated_mean, repeated_scale = moments(np.repeat(X, times, axis=0))
    np.testing.assert_allclose(mean, repeated_mean, rtol=1e-13)
    np.testing.assert_allclose(scale, repeated_scale, rtol=1e-13)


@pytest.mark.parametrize("weighted", [False, True])
def test_variation_of_one_around_a_hundred_million_survives(weighted, small_chunks):
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (53, 6))
    w = weights(53) if weighted else None
    mean, scale = moments(1e8 + signs, w)
    expected_mean, expected_scale = oracle(signs, w)
    np.testing.assert_allclose(mean - 1e8, expected_mean, atol=1e-7)
    np.testing.assert_allclose(scale, expected_scale, rtol=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e6 / 7, 1e12])
@pytest.mark.parametrize("n", [1, 7, 100, 997])
def test_the_scale_of_constant_columns_is_one(n, value, dtype, weighted):
    X = np.full((n, 4), value, dtype)
    mean, scale = moments(X, np.random.default_rng(0).random(n) if weighted else None)
    assert scale == 1.0
    np.testing.assert_allclose(mean, X[0], rtol=1e-6 if dtype == np.float32 else 1e-13)


def test_columns_that_are_constant_and_differ_have_scale_one():
    assert moments(np.tile([0.0, 5.0, -3.0], (10, 1)))[1] == 1.0


# ---------------------------------------------------------------- principal axes


def rows_of(X, dtype=torch.float64, mean=None, scale=1.0):
    return Rows(X, Frame(X.mean(0) if mean is None else mean, scale), dtype=dtype, device=CPU)


def spectrum(n, d, seed=0, decay=0.6):
    """Rows whose variances fall geometrically along random axes."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((d, min(n, d, 40))))[0]
    return rng.standard_normal((n, axes.shape[1])) * decay ** np.arange(axes.shape[1]) @ axes.T + 3


SHAPES = {  # n_samples, n_features, n_components
    "exact": (50, 8, 3),
    "exact, all components": (50, 8, 8),
    "exact, more columns than rows": (9, 30, 5),
    "exact, wide code": (60, 300, 20),
    "subspace": (60, 300, 4),
    "subspace, more rows than columns": (330, 300, 5),
}


@pytest.mark.parametrize(("n", "d", "k"), SHAPES.values(), ids=SHAPES)
def test_axes_and_variances_are_those_of_pca(n, d, k, small_chunks):
    X = spectrum(n, d)
    pca = PCA(k, svd_solver="full").fit(X)
    axes, variances = principal_axes(rows_of(X), k, torch.Generator().manual_seed(0))
    assert axes.dtype == variances.dtype == torch.float64
    assert axes.shape == (k, d)
    np.testing.assert_allclose(axes @ axes.T, np.eye(k), atol=1e-12)
    np.testing.assert_allclose(variances, pca.explained_variance_ * (n - 1) / n, rtol=1e-8)
    assert linalg.subspace_angles(axes.numpy().T, pca.components_.T).max() < 1e-6
    np.testing.assert_allclose(axes, pca.components_, atol=1e-6)  # the same signs, too


@pytest.mark.parametrize(("n", "d", "k"), [SHAPES["exact"], SHAPES["subspace"]], ids=["exact", "subspace"])
def test_axes_in_float32_span_the_same_space(n, d, k):
    X = spectrum(n, d)
    axes, variances = principal_axes(rows_of(X, torch.float32), k, torch.Generator().manual_seed(0))
    pca = PCA(k, svd_solver="full").fit(X)
    np.testing.assert_allclose(variances, pca.explained_variance_ * (n - 1) / n, rtol=1e-5)
    assert linalg.subspace_angles(axes.numpy().T, pca.components_.T).max() < 1e-4


@pytest.mark.parametrize(("n", "d", "k"), [SHAPES["exact"], SHAPES["subspace"]], ids=["exact", "subspace"])
def test_weights_of_axes_are_repetitions(n, d, k, small_chunks):
    X, times = spectrum(n, d), np.random.default_rng(0).integers(0, 4, n)
    repeated = np.repeat(X, times, axis=0)
    mean = repeated.mean(0)
    weight = torch.from_numpy(times * 0.7)
    axes, variances = principal_axes(rows_of(X, mean=mean), k, torch.Generator().manual_seed(0), weight)
    expected = principal_axes(rows_of(repeated), k, torch.Generator().manual_seed(0))
    np.testing.assert_allclose(axes, expected[0], atol=1e-8)
    np.testing.assert_allclose(variances, expected[1], rtol=1e-10)


@pytest.mark.parametrize(("n", "d", "k"), [SHAPES["exact"], SHAPES["subspace"]], ids=["exact", "subspace"])
def test_the_scale_divides_variances_and_leaves_axes(n, d, k):
    X = spectrum(n, d)
    axes, variances = principal_axes(rows_of(X), k, torch.Generator().manual_seed(0))
    scaled_axes, scaled = principal_axes(rows_of(X, scale=4.0), k, torch.Generator().manual_seed(0))
    np.testing.assert_allclose(scaled * 16, variances, rtol=1e-10)
    np.testing.assert_allclose(scaled_axes, axes, atol=1e-8)


@pytest.mark.parametrize("d", [5, 300])
def test_constant_rows_have_orthonormal_axes_of_no_variance(d):
    X = np.full((4, d), 2.0)
    axes, variances = principal_axes(rows_of(X), 3, torch.Generator().manual_seed(0))
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert torch.equal(variances, torch.zeros(3, dtype=torch.float64))


def test_spare_axes_are_zero():
    rows = rows_of(table())
    axes, variances = principal_axes(rows, 9, torch.Generator().manual_seed(0))
    expected = principal_axes(rows, 6, torch.Generator().manual_seed(0))
    assert torch.equal(axes[:6], expected[0])
    assert torch.equal(variances[:6], expected[1])
    assert axes.shape == (9, 6)
    assert not axes[6:].any()
    assert not variances[6:].any()


def test_axes_depend_on_their_generator_alone():
    X, before = spectrum(60, 300), torch.get_rng_state()
    first, again = (principal_axes(rows_of(X), 4, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first[0], again[0])
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("kind", "dtype"), [("CSR matrix", torch.float64), ("memory map", torch.float64)])
def test_axes_need_not_come_from_an_array(kind, dtype, tmp_path):
    X = table()
    given = rows_of(KINDS[kind](X, tmp_path), dtype, mean=X.mean(0))
    axes, variances = principal_axes(given, 2, torch.Generator())
    expected = PCA(2).fit(X)
    np.testing.assert_allclose(axes, expected.components_, atol=1e-10)
    np.testing.assert_allclose(variances, expected.explained_variance_ * 52 / 53, rtol=1e-10)
