"""What scikit-learn asks of every estimator, asked of those that take trees.

scikit-learn passes tables of numbers. Of an estimator whose tag ``two_d_array`` is False it only checks that it can be
cloned. So here a row becomes a tree, with a number at each leaf, and then all the other checks apply as well.
"""

from typing import ClassVar

import numpy as np
import pytest
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from skae import RecursiveAutoencoder, RecursiveAutoencoderClassifier
from skae.base import Frame, Saved, damage
from skae.base.checks import check_x
from skae.trees import Tree


class _OfRows:
    """Takes the rows of a table as sequences of numbers."""

    _saved: ClassVar = {"_frame": Saved(damage.nothing, cls=Frame)}  # that of a leaf, and not of n_features_in_ columns

    def _source(self, X, y=None, weight=None, reset=None):
        X = check_x(self, X, reset=bool(reset), look_through=True)
        X = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
        sequences = [Tree.of(tuple(row.tolist())) for row in X]
        return super()._source(sequences, y, weight, reset)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.sparse = True
        return tags


class RecursiveAutoencoderOfRows(_OfRows, RecursiveAutoencoder):
    """An autoencoder of the trees of rows."""


class RecursiveAutoencoderClassifierOfRows(_OfRows, RecursiveAutoencoderClassifier):
    """A classifier of the trees of rows."""


SHORT = {"max_iter": 5}
CHECKED = [
    RecursiveAutoencoderOfRows(2, structure="left", **SHORT),
    RecursiveAutoencoderOfRows(2, structure="greedy", composition="tensor", n_layers=2, **SHORT),
    RecursiveAutoencoderOfRows(2, structure="balanced", composition="gated", unfolding=True, **SHORT),
    RecursiveAutoencoderClassifierOfRows(8, structure="balanced", composition="plain", max_iter=25),
]
NOT_APPLICABLE = {"check_array_api_input": "inverse_transform needs the shapes of the trees"}
"""Only of estimators that learn a decoder."""


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    CHECKED, expected_failed_checks=lambda e: NOT_APPLICABLE if hasattr(e, "inverse_transform") else {}
)
def test_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("cls", [RecursiveAutoencoder, RecursiveAutoencoderClassifier])
def test_scikit_learn_passes_no_tables_to_them(cls):
    tags = get_tags(cls())
    assert not tags.input_tags.two_d_array
    assert not tags.input_tags.sparse
