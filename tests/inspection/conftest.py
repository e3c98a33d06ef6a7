"""What the tests of several displays share."""

import pytest
from sklearn.decomposition import PCA


@pytest.fixture(scope="module")
def pca(iris):
    return PCA(3).fit(iris)
