"""A seed repeats a fit to the last bit, and nobody else's randomness or settings are touched."""

import numpy as np
import pytest
import torch
from contract.requirements import outputs, require_same
from contract.tables import CLASSES, EVERY, entering, every_class
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = [
    pytest.mark.filterwarnings("ignore:The loss was still falling"),  # lbfgs in three epochs
    pytest.mark.filterwarnings("ignore:The code is nearly the same for all rows"),  # several layers in three epochs
]


@pytest.fixture(autouse=True)
def _global_generators_are_untouched():
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()
    yield
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)
    assert torch.equal(torch.get_rng_state(), torch_before)


@entering("randomness")
def test_an_int_seed_repeats_to_the_last_bit_and_another_does_not(estimator, X, y):
    estimator.set_params(batch_size=7)
    one, two = clone(estimator).fit(X, y), clone(estimator).fit(X, y)
    require_same(one, two, X)
    assert one.history_ == two.history_
    if estimator.solver != "lbfgs":  # all rows in one batch, from PCA: nothing is drawn
        other = clone(estimator).set_params(random_state=1).fit(X, y)
        assert not np.array_equal(one.transform(X), other.transform(X))


@entering("randomness")
def test_without_a_seed_fits_differ(estimator, X, y):
    estimator.set_params(random_state=None, batch_size=7)
    one, two = clone(estimator).fit(X, y), clone(estimator).fit(X, y)
    assert not np.array_equal(one.transform(X), two.transform(X))
    estimator.set_params(early_stopping=estimator.solver != "lbfgs")  # what is held out is drawn, too
    outputs(estimator.fit(X, y), X)
    estimator.score(X, y)


@every_class()
def test_process_globals_are_restored_also_when_fit_raises(estimator, X, y):
    before = (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled())
    estimator.fit(X, y)
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit(np.full((30, 5), np.nan), y)
    assert (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()) == before


def test_one_and_two_jobs_agree_to_the_last_bit(X):
    y = np.arange(len(X)) % 2
    pipe = make_pipeline(StandardScaler(), clone(CLASSES["Autoencoder"]).set_params(batch_size=7), LogisticRegression())
    grid = {"autoencoder__n_components": [1, 2], "autoencoder__activation": ["relu", "silu"]}
    one, two = (GridSearchCV(pipe, grid, cv=2, n_jobs=n).fit(X, y) for n in (1, 2))
    np.testing.assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(one.best_estimator_[:-1].transform(X), two.best_estimator_[:-1].transform(X))


@pytest.mark.parametrize("name", ["Autoencoder", "Autoencoder lbfgs", "Autoencoder bernoulli"])
def test_a_single_batch_is_blind_to_the_order_of_rows(name, X):
    one, two = clone(EVERY[name]).fit(X), clone(EVERY[name]).fit(X[::-1])
    np.testing.assert_array_equal(one.transform(X), two.transform(X))
