"""What the tests of the contract share: an estimator, rows for it, and what is known of y."""

import pytest
from contract.tables import EVERY, target_of
from sklearn.base import clone


@pytest.fixture
def estimator(request):
    return clone(EVERY[request.param])


@pytest.fixture
def X(rng):
    """30 rows of 5 columns in [0, 1], which suits every likelihood."""
    return rng.random((30, 5))


@pytest.fixture
def y(estimator):
    """Labels or numbers of two thirds of the rows of X, None where none are needed."""
    return target_of(estimator, 30)
