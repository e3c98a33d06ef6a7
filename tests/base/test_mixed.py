"""Tables of columns of different kinds: their frame, scores and messages."""

import pickle

import numpy as np
import pytest
from scipy import stats

from skae import (
    Autoencoder,
    DenoisingAutoencoder,
    NeighborAutoencoder,
    SemiSupervisedAutoencoder,
    SemiSupervisedVariationalAutoencoder,
    VariationalAutoencoder,
)
from skae.base.mixed import columns_of, frame_of_columns, groups_of_columns

COLUMNS = (("gaussian", 2), ("categorical", 3), ("poisson", 1), ("bernoulli", 1))
QUICK = {"likelihood": "mixed", "columns": COLUMNS, "hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}


def table(n=120, seed=0):
    rng = np.random.RandomState(seed)
    z = rng.normal(size=n)
    level = np.eye(3)[np.digitize(z + 0.5 * rng.normal(size=n), [-0.5, 0.5])]
    numbers = np.array([1e3, 0.1]) * np.stack([z, rng.normal(size=n)], 1) + [1e4, 3.0]
    return np.hstack([numbers, level, rng.poisson(np.exp(z))[:, None], (z > 0)[:, None]]).astype(float)


@pytest.fixture(scope="module")
def X():
    return table()


@pytest.fixture(scope="module")
def model(X):
    return Autoencoder(2, **QUICK).fit(X)


def test_only_numbers_are_standardised(X, model):
    scaled = X.copy()
    scaled[:, :2] = (X[:, :2] - X[:, :2].mean(0)) / X[:, :2].std(0)
    module = Autoencoder(2, **QUICK).fit(scaled)
    np.testing.assert_allclose(model.scale_, [*X[:, :2].std(0), 1, 1, 1, 1, 1])
    np.testing.assert_allclose(model.transform(X), module.transform(scaled), atol=1e-3)


def test_the_score_is_the_mean_of_the_r2_of_the_variables(X, model):
    held_out = table(seed=1)
    restored = model.inverse_transform(model.transform(held_out))
    error, total = np.square(held_out - restored).sum(0), np.square(held_out - X.mean(0)).sum(0)
    member = groups_of_columns(COLUMNS)
    variance = np.bincount(member, X.var(0))
    error, total = (np.bincount(member, part) / variance for part in (error, total))
    assert model.score(held_out) == pytest.approx(1 - error.sum() / total.sum(), rel=1e-5)
    assert model.score_samples(held_out).sum() == pytest.approx(-error.sum(), rel=1e-5)


def test_the_order_of_the_columns_does_not_matter(X, model):
    order = [6, 0, 5, 2, 3, 4, 1]
    columns = (("bernoulli", 1), ("gaussian", 1), ("poisson", 1), ("categorical", 3), ("gaussian", 1))
    other = Autoencoder(2, **QUICK | {"columns": columns, "max_iter": 1, "learning_rate_init": 1e-12}).fit(X[:, order])
    one = Autoencoder(2, **QUICK | {"max_iter": 1, "learning_rate_init": 1e-12}).fit(X)
    np.testing.assert_allclose(np.abs(other.transform(X[:, order])), np.abs(one.transform(X)), atol=1e-4)


def test_the_linear_start_is_a_factor_analysis_of_mixed_data(X):
    model = Autoencoder(2, **QUICK | {"max_iter": 1, "learning_rate_init": 1e-12}).fit(X)
    seen = (X - X.mean(0)) / X.std(0)
    p = X[:, 2:5].mean(0)
    seen[:, 2:5] = (X[:, 2:5] - p) / np.sqrt(p)
    logs = np.log1p(X[:, 5])
    seen[:, 5] = (logs - logs.mean()) / logs.std()
    axes = np.linalg.svd(seen)[2][:2]
    np.testing.assert_allclose(np.abs(model.transform(X)), np.abs(seen @ axes.T), atol=1e-4)
    assert model.score(X) > 0.4


def test_the_bound_of_a_variational_model_is_the_log_likelihood(X):
    """By quadrature over a code of one component, and of some entries alone where others are missing."""
    model = VariationalAutoencoder(1, n_draws=2000, dtype="float64", prior="normal", variance="column", **QUICK).fit(X)
    grid = np.linspace(-8, 8, 4001)[:, None]
    mean, sd = model.inverse_transform(grid), np.sqrt(np.asarray(model.module_.likelihood.variance.detach()))

    def log_p(x):
        numbers = [stats.norm(mean[:, j], sd[j] * model.scale_[j]).logpdf(x[j]) for j in (0, 1)]
        count, bit = stats.poisson(mean[:, 5]).logpmf(x[5]), stats.bernoulli(mean[:, 6]).logpmf(x[6])
        return np.stack([*numbers, np.log(mean[:, 2:5] @ x[2:5]), count, bit])

    prior = stats.norm.logpdf(grid[:, 0]) + np.log(grid[1, 0] - grid[0, 0])
    gaps = X[:10].copy()
    gaps[:, [0, 2, 3, 4, 6]] = np.nan
    for rows, known in ((X[:10], slice(None)), (gaps, [1, 3])):
        exact = [np.logaddexp.reduce(log_p(x)[known].sum(0) + prior) for x in rows]
        np.testing.assert_allclose(model.score_samples(rows), exact, atol=0.1)


def test_a_group_is_missing_as_a_whole(X, model):
    holey, all_of_it = X.copy(), X.copy()
    holey[::3, 3], all_of_it[::3, 2:5] = np.nan, np.nan
    np.testing.assert_array_equal(model.transform(holey), model.transform(all_of_it))
    np.testing.assert_array_equal(model.score_samples(holey), model.score_samples(all_of_it))


def test_a_frame_of_columns_survives_a_pickle(X, model):
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    frame = frame_of_columns(X, None, COLUMNS)
    assert (frame.shifted == [True, True, *[False] * 5]).all()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (None, "needs the kinds of the columns"),
        ((("gausian", 7),), "has the kind 'gausian': use 'gaussian'"),
        (("gaussian", 7), "has 'gaussian' in it: pass pairs"),
        ((("gaussian", 0),), "has 0 columns of the kind 'gaussian'"),
        ((("gaussian", 6),), "has 6 columns, but X has 7"),
    ],
)
def test_wrong_columns_are_told(X, columns, message):
    with pytest.raises(ValueError, match=message):
        Autoencoder(2, **QUICK | {"columns": columns}).fit(X)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (5, -1.0, r"row 3, column 5 \(-1\), which the kind 'poisson' cannot describe"),
        (6, 2.0, r"row 3, column 6 \(2\), which the kind 'bernoulli'"),
        (2, 0.5, r"row 3, columns 2 to 4 .*, which the kind 'categorical'"),
    ],
)
def test_rows_that_no_kind_describes_are_named(X, model, column, value, message):
    odd = X.copy()
    odd[3, column] = value
    with pytest.warns(UserWarning, match=message):
        scores = model.score_samples(odd)
    assert np.flatnonzero(scores == -np.inf).tolist() == [3]


def test_columns_of_reads_lists():
    assert columns_of([["gaussian", np.int64(2)], ("poisson", 1)]) == (("gaussian", 2), ("poisson", 1))


@pytest.mark.parametrize(
    "cls",
    [NeighborAutoencoder, SemiSupervisedAutoencoder, SemiSupervisedVariationalAutoencoder],
    ids=lambda c: c.__name__,
)
def test_where_noise_has_one_unit_for_all_columns_kinds_are_refused(X, cls):
    with pytest.raises(ValueError, match=f"{cls.__name__} has one unit of noise for all columns"):
        cls(2, **QUICK).fit(X, X[:, -1].astype(int))


def test_another_target_has_no_kinds(X):
    with pytest.raises(ValueError, match="reconstructs X itself"):
        DenoisingAutoencoder(2, target="y", **QUICK).fit(X, X)
