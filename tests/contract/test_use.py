"""Using an estimator: not before it is fitted, and without a trace."""

import inspect

import numpy as np
import pytest
from contract.requirements import outputs
from contract.tables import entering, every_class, target_of
from sklearn.exceptions import NotFittedError

pytestmark = pytest.mark.filterwarnings("ignore:The loss was still falling")  # lbfgs in three epochs


METHODS = (
    "transform",
    "inverse_transform",
    "score",
    "score_samples",
    "predict",
    "predict_proba",
    "predict_log_proba",
    "jacobian_singular_values",
    "reconstruct",
    "posterior",
    "elbo",
)


@every_class()
def test_unfitted_estimators_say_so(estimator, X):
    for method in METHODS:
        if callable(getattr(estimator, method, None)):  # a parameter may have the name of another's method
            with pytest.raises(NotFittedError):
                getattr(estimator, method)(X)


@entering("use")
def test_using_changes_nothing(estimator, X, y):
    """Neither an attribute nor a weight or a running statistic: the second time is as the first."""
    before = {name: id(value) for name, value in vars(estimator.fit(X, y)).items()}
    tensors = {name: tensor.clone() for name, tensor in estimator.module_.state_dict().items()}
    first, score = outputs(estimator, X), estimator.score(X, y)
    for name, array in outputs(estimator, X).items():
        np.testing.assert_array_equal(array, first[name])
    assert estimator.score(X, y) == score
    assert {name: id(value) for name, value in vars(estimator).items()} == before
    for name, tensor in estimator.module_.state_dict().items():
        assert tensor.equal(tensors[name]) or tensor.isnan().all(), name


@every_class()
def test_components_exist_or_the_error_says_where_to_look(estimator, X):
    with pytest.raises(AttributeError):
        estimator.components_  # noqa: B018
    estimator.fit(X, target_of(estimator, len(X)))
    if hasattr(estimator, "components_"):
        assert estimator.components_.shape[0] >= estimator.n_components
        assert "components_ : ndarray of shape (n_" in inspect.getdoc(type(estimator))
    else:
        with pytest.raises(AttributeError, match="draw what its units look for with skae"):
            estimator.components_  # noqa: B018
