"""Codes and reconstructions: their shapes and dtypes, and how many rows and columns it takes."""

import numpy as np
import pytest
from contract.tables import entering, every_class, predicts_nothing, rows_for, takes_equal_rows, target_of

pytestmark = pytest.mark.filterwarnings("ignore:The loss was still falling")  # lbfgs in three epochs


def can_go_back(estimator):
    return hasattr(estimator, "inverse_transform")


@entering("shapes")
def test_what_comes_out_has_the_dtype_and_shape_asked_for(estimator, X, y):
    H = estimator.fit(X, y).transform(X)
    assert H.shape == (30, 2)
    assert H.dtype == estimator.dtype
    assert isinstance(estimator.score(X, y), float)
    if can_go_back(estimator):
        X_hat = estimator.inverse_transform(H)
        assert X_hat.shape == X.shape
        assert X_hat.dtype == estimator.score_samples(X).dtype == np.float64  # in units of X
    if hasattr(estimator, "predict_proba"):
        assert estimator.predict_proba(X).shape == (30, 2)
        assert estimator.predict_proba(X).dtype == estimator.dtype


@every_class()
def test_fit_transform_is_both_in_turn(estimator, X, y):
    H = estimator.fit_transform(X, y)
    np.testing.assert_array_equal(H, estimator.transform(X))
    np.testing.assert_array_equal(H, estimator.fit(X, y).transform(X))


@entering("shapes", lambda estimator: can_go_back(estimator) and takes_equal_rows(estimator))
def test_constant_columns_come_back(estimator):
    X = np.ones((20, 4))
    estimator.fit(X, target_of(estimator, 20))
    np.testing.assert_allclose(estimator.inverse_transform(estimator.transform(X)), X, atol=0.3)


@entering("rows", lambda estimator: "n_components" in estimator.get_params())
def test_more_components_than_features_or_rows(estimator, X, y):
    y = None if y is None else y[:4]
    assert estimator.set_params(n_components=7).fit(X[:4], y).transform(X).shape == (30, 7)


@entering("rows", predicts_nothing)
@pytest.mark.parametrize("shape", [(1, 5), (30, 1), (1, 1)])
def test_one_row_or_one_column_works_or_says_why(estimator, rng, shape):
    X = rows_for(estimator, rng.random(shape))
    try:
        estimator.fit(X, target_of(estimator, len(X)))
    except ValueError as error:
        assert "n_samples = 1" in str(error)  # noqa: PT017
        assert shape[0] == 1
    else:
        assert np.isfinite(estimator.transform(X)).all()
        assert np.isfinite(estimator.score(X))


@entering("rows")
@pytest.mark.parametrize("n", [3, 8, 9, 17])
def test_any_tail_of_a_batch(estimator, rng, n):
    """Fewer rows than a batch, a whole batch, and a tail of one, which batch statistics cannot bear."""
    X = rows_for(estimator, rng.random((n, 5)))
    estimator.set_params(batch_size=8).fit(X, target_of(estimator, n))
    assert np.isfinite(estimator.transform(X)).all()
