"""What all tests share."""

import os

os.environ["SCIPY_ARRAY_API"] = "1"  # else scikit-learn's array-API checks are skipped silently
os.environ["MPLBACKEND"] = "Agg"

import numpy as np
import pytest
from partly import partly
from sklearn import datasets


@pytest.fixture(scope="session")
def digits():
    """400 rows of digits, read-only so that no test can change them for another."""
    X = datasets.load_digits().data[:400]
    X.flags.writeable = False
    return X


@pytest.fixture(scope="session")
def iris():
    X = datasets.load_iris().data
    X.flags.writeable = False
    return X


@pytest.fixture
def few():
    """Labels of a third of the irises."""
    return partly(datasets.load_iris().target, -1)


@pytest.fixture
def widths(iris):
    """The last column of the irises, of a third of them."""
    return partly(iris[:, 3], np.nan)


@pytest.fixture
def rng():
    return np.random.default_rng(0)
