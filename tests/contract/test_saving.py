"""A copy, by whatever way, is the same estimator and goes on as it would have."""

import copy
import io
import pickle

import joblib
import numpy as np
import pytest
import skops.io
import torch
from contract.requirements import require_same
from contract.tables import CLASSES, entering, every_class
from sklearn.base import clone

import skae

pytestmark = pytest.mark.filterwarnings("ignore:The loss was still falling")  # lbfgs in three epochs


def through_pickle(estimator):
    return pickle.loads(pickle.dumps(estimator))


def through_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    return joblib.load(file)


def through_skops(estimator):
    dumped = skops.io.dumps(estimator)
    unknown = skops.io.get_untrusted_types(data=dumped)
    assert all(name.startswith("skae.") for name in unknown), "only estimators of the package may need trust"
    return skops.io.loads(dumped, trusted=unknown)


def require_a_copy(estimator, X, y, copied):
    """Compare a copy with what was fitted, and both after they went on: from where optimizer and generator were."""
    estimator.set_params(warm_start=True, batch_size=20).fit(X, y)
    other = copied(estimator)
    require_same(estimator, other, X)
    assert other.score(X, y) == estimator.score(X, y)
    assert other.history_ == estimator.history_
    if estimator.solver != "lbfgs":  # whose memory of curvature is not saved
        go_on = "partial_fit" if hasattr(estimator, "partial_fit") else "fit"
        require_same(getattr(estimator, go_on)(X, y), getattr(other, go_on)(X, y), X)


@entering("saving")
def test_a_pickle_keeps_everything(estimator, X, y):
    require_a_copy(estimator, X, y, through_pickle)


@entering("saving")
def test_a_file_keeps_everything(estimator, X, y, tmp_path):
    def through_file(model):
        model.save(tmp_path / "m.skae")
        return skae.load(tmp_path / "m.skae")

    require_a_copy(estimator, X, y, through_file)


@every_class()
@pytest.mark.parametrize("copied", [through_joblib, copy.deepcopy, through_skops])
def test_other_ways_keep_everything(estimator, X, y, copied):
    require_a_copy(estimator, X, y, copied)


@entering("saving")
def test_a_copy_shares_nothing(estimator, X, y):
    other = copy.deepcopy(estimator.fit(X, y))
    before = copy.deepcopy(other)
    other.set_params(max_iter=5, warm_start=True).fit(X, y)
    require_same(before, estimator, X)


@entering("saving")
def test_parameters_changed_after_fit_do_not_break_the_fitted_model(estimator, X, y):
    before = copy.deepcopy(estimator.fit(X, y))
    others = {"n_components": 3, "hidden_layer_sizes": (2, 2), "dtype": "float64", "activation": "relu"}
    estimator.set_params(**{name: value for name, value in others.items() if name in estimator.get_params()})
    require_same(before, estimator, X)
    require_same(before, through_pickle(estimator), X)


def test_another_version_warns(X):
    state = clone(CLASSES["Autoencoder"]).fit(X).__getstate__()
    with pytest.warns(UserWarning, match=r"saved by skae 0\.0\.0"):
        type(CLASSES["Autoencoder"])().__setstate__({**state, "_skae_version": "0.0.0"})


def test_files_of_another_layout_are_refused(X):
    state = clone(CLASSES["Autoencoder"]).fit(X).__getstate__()
    del state["_format"]
    with pytest.raises(ValueError, match="fit it again, or load it with that version"):
        type(CLASSES["Autoencoder"])().__setstate__(state)


@every_class()
def test_the_pickle_holds_no_tensor(estimator, X, y):
    def leaves(value):
        if hasattr(value, "__getstate__") and type(value).__module__.startswith("skae."):
            value = value.__getstate__()
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, (list, tuple)):
            return [leaf for v in value for leaf in leaves(v)]
        return [value]

    found = leaves(estimator.fit(X, y))
    assert any(isinstance(leaf, np.ndarray) for leaf in found)
    assert not any(isinstance(leaf, (torch.Tensor, torch.nn.Module)) for leaf in found)
