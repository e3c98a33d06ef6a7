"""What the tests of the contract share: an estimator, rows for it, and what is known of y."""

import pytest
from contract.tables import EVERY, rows_for, target_of
from sklearn.base import clone


@pytest.fixture
def estimator(request):
    return clone(EVERY[request.param])


@pytest.fixture
def X(rng, request):
    """30 rows of 5 columns in [0, 1], which suits every likelihood but counts, and whole numbers for these."""
    name = request.node.callspec.params.get("estimator") if hasattr(request.node, "callspec") else None
    return rows_for(EVERY.get(name), rng.random((30, 5)))


@pytest.fixture
def y(estimator):
    """Labels or numbers of two thirds of the rows of X, None where none are needed."""
    return target_of(estimator, 30)
