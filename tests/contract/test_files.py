"""Files are not to be trusted: whatever is wrong in one is told in one sentence, and nothing of it is used before."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from contract.tables import CLASSES, entering, every_class, rows_for, target_of
from sklearn.base import clone
from sklearn.decomposition import PCA

from skae import RBM, Autoencoder

pytestmark = pytest.mark.filterwarnings("ignore:The loss was still falling")  # lbfgs in three epochs

SENTENCE = re.compile(r"^This \w+'s file is damaged: .+: fit it again or load another copy\.$")
ROWS = np.random.default_rng(0).random((30, 5))


def state_of(estimator):
    return estimator.fit(rows_for(estimator, ROWS), target_of(estimator, 30)).__getstate__()


def complaint(estimator, state):
    """What is said of a state when it is loaded; the estimator stays as it was."""
    new = clone(estimator)
    before = dict(vars(new))
    with pytest.raises(ValueError, match=r".") as caught:
        new.__setstate__(state)
    assert type(caught.value) is ValueError
    assert SENTENCE.match(str(caught.value)), str(caught.value)
    assert vars(new) == before
    return str(caught.value)


def places(value, way=()):
    """The ways to all arrays in a state, as keys one after the other. Estimators inside have states of their own."""
    if isinstance(value, dict):
        value = list(value.items())
    elif isinstance(value, (list, tuple)):
        value = list(enumerate(value))
    elif isinstance(value, np.ndarray):
        yield way, value
        return
    else:
        return
    for key, part in value:
        yield from places(part, (*way, key))


def replaced(state, way, new):
    """A copy of a state with another value at the end of a way. It shares the rest."""
    if not way:
        return new
    key, *rest = way
    if isinstance(state, dict):
        return {**state, key: replaced(state[key], rest, new)}
    parts = list(state)
    parts[key] = replaced(parts[key], rest, new)
    return tuple(parts) if isinstance(state, tuple) else parts


def without(state, way):
    """A copy of a state that lacks the value at the end of a way, or has None there in a tuple."""
    *above, key = way
    parent = state
    for step in above:
        parent = parent[step]
    if isinstance(parent, dict):
        return replaced(state, above, {name: value for name, value in parent.items() if name != key})
    return replaced(state, way, None)


def spoilt(array):
    """An array in every way in which it can be wrong."""
    yield np.append(array.ravel(), array.ravel()[:1]) if array.size else np.zeros((3, 3), array.dtype)
    yield array[None]
    yield np.zeros(0, array.dtype) if array.shape != (0,) else np.zeros((0, 2), array.dtype)
    yield array.astype(np.complex64) if array.dtype.kind in "biuf" else array.astype(bytes)
    yield array.astype(np.float16) if array.dtype.kind in "biuf" else np.zeros(array.shape, complex)
    yield array.astype(object) if array.dtype != object else np.full(array.shape, None)
    yield array.tolist()
    yield "text"
    yield len
    if array.dtype.kind == "f" and array.size:
        for wrong in (np.nan, np.inf):
            some = array.copy()
            some.flat[0] = wrong
            yield some


OPTIONAL = {"_limits", "_residuals", "_target_frame", "feature_names_in_"}
"""Attributes that are None where there is nothing to keep."""
ANY_NUMBERS = {"classes_"}
"""Arrays that may be of any dtype."""


def is_right(way, wrong):
    """Whether a spoilt array is right all the same: labels of another dtype, or a NaN that means "not yet known"."""
    if way[0] == "labels_":  # those of any number of rows
        return isinstance(wrong, np.ndarray) and wrong.dtype == np.int32 and wrong.ndim == 1 and wrong.size > 0
    if way[0] in ANY_NUMBERS:
        return isinstance(wrong, np.ndarray) and wrong.dtype in (object, np.float16)
    return way[-1] == "encoder.threshold" and isinstance(wrong, np.ndarray) and np.isnan(wrong).all()


@entering("saving")
def test_every_array_is_checked(estimator):
    state = state_of(estimator)
    found = list(places({k: v for k, v in state.items() if k not in estimator.get_params()}))
    assert len(found) > 3
    for i, (way, array) in enumerate(found):
        ways_to_fail = list(spoilt(array))
        for wrong in ways_to_fail[i % 3 :: 3]:  # all of them, over the arrays
            if not is_right(way, wrong):
                complaint(estimator, replaced(state, way, wrong))
        if (way[0] not in OPTIONAL or len(way) > 1) and way[-1] != "velocity":
            complaint(estimator, without(state, way))


@every_class()
def test_every_attribute_is_checked(estimator):
    state = state_of(estimator)
    for name in ("module_", "_optimizer", "_rng", "_spec", "_frame", "history_", "n_iter_", "loss_"):
        complaint(estimator, without(state, (name,)))
        for wrong in (None, len, "text", [], np.zeros(3), 2.5j, ((),)):
            complaint(estimator, replaced(state, (name,), wrong))
    complaint(estimator, replaced(state, ("module_",), {**state["module_"], "more": np.zeros(3)}))


def test_the_sentence_says_what_and_where():
    model = Autoencoder(2, hidden_layer_sizes=(3,), max_iter=1)
    state = state_of(model)
    wrong = replaced(state, ("module_", "encoder.weight_0"), np.zeros((3, 4), np.float32))
    assert complaint(model, wrong) == (
        "This Autoencoder's file is damaged: module_ 'encoder.weight_0' has shape (3, 4) instead of (3, 5): "
        "fit it again or load another copy."
    )


@every_class()
def test_a_file_cannot_replace_what_the_class_defines(estimator):
    state = state_of(estimator)
    own = ["_Module", "_new_module", "_encode", "transform", "mean_", "_saved", "_monitor", "__class__", "__array__"]
    for name in [*own, "help"]:
        assert f"it has an attribute {name!r}, which no fit sets" in complaint(estimator, {**state, name: len})
        assert "which no fit sets" in complaint(estimator, {**clone(estimator).__getstate__(), name: len})


def test_a_parameter_that_a_version_did_not_have_has_its_default():
    model = Autoencoder(likelihood="bernoulli")
    model.__setstate__(without(Autoencoder(3).__getstate__(), ("likelihood",)))
    assert (model.n_components, model.likelihood) == (3, "gaussian")
    model = clone(CLASSES["FineTunedClassifier"])
    assert "the parameter encoder is missing" in complaint(model, without(model.__getstate__(), ("encoder",)))


def test_a_parameter_that_another_version_had_is_told():
    state = {**Autoencoder().__getstate__(), "magic": 1, "_skae_version": "9.9"}
    with pytest.raises(ValueError, match=r"saved by skae 9\.9 and has 'magic', which it has not in skae"):
        Autoencoder().__setstate__(state)


@pytest.mark.parametrize("state", [None, [], "text", {1: 2}, {b"solver": "adam"}])
def test_what_is_no_state_is_refused(state):
    complaint(Autoencoder(), state)


FORGED = {
    "Autoencoder": [
        *({"likelihood": "numpy"}, {"activation": "__class__"}, {"code_activation": ""}, {"more": 1}),
        *({"n_components": 10**13}, {"hidden_layer_sizes": (10**9, 10**9)}, {"n_features": 2**70}),
    ],
    "ConvolutionalAutoencoder": [{"image_shape": (1, 10**7, 10**7)}, {"channels": (10**6, 10**9)}],
    "RBM": [
        *({"n_components": 10**13}, {"n_labels": 10**13}, {"n_labels": -1}, {"visible": "numpy"}, {"hidden": "counts"}),
        *({"chain_shape": (10**8, 10**8)}, {"chain_shape": (-1, 2)}, {"n_features": 10**13}),
    ],
    "DeepBeliefNetwork": [{"hidden_layer_sizes": (10**13,)}, {"hidden_layer_sizes": ()}, {"labels": 10**13}],
    "FineTunedClassifier": [{"n_predictions": 10**13}, {"n_components": 10**13}],
    "ReceptiveFieldAutoencoder": [
        {"image_shape": (10**7, 10**6, 1)},
        {"image_shape": (1, 10**12, 1), "stride": (10**12, 1), "field_size": (5, 1)},
        *({"stride": (0, 1)}, {"pool_size": (9, 9)}, {"pool_size": (0, 1)}, {"pool_stride": (-1, 1)}),
    ],
    "SemiSupervisedAutoencoder": [{"n_predictions": 10**13}, {"n_predictions": -1}],
    "TopKAutoencoder": [{"n_components": 10**13}, {"k": 3}, {"k": 0}],
}
"""Arguments of modules that would take terabytes, or that no module can be made of."""


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_module_takes_no_memory(name):
    estimator = clone(CLASSES[name])
    state = state_of(estimator)
    for forged in FORGED[name]:
        complaint(estimator, {**state, "_spec": {**state["_spec"], **forged}})
    for wrong in (len, {"a": 1}, np.zeros(3), object()):
        first = next(iter(state["_spec"]))
        assert "in '" + first in complaint(estimator, {**state, "_spec": {**state["_spec"], first: wrong}})


@pytest.mark.parametrize("sizes", [(10**12,), (2, 10**12), (2, 2), (-1, 6), (2.5, 2.5)])
@pytest.mark.parametrize(
    "model", [Autoencoder(2, likelihood="categorical", categories=(2, 3)), RBM(2, visible="softmax", categories=(2, 3))]
)
def test_forged_groups_take_no_memory(model, sizes):
    X = np.hstack([np.eye(2)[np.arange(30) % 2], np.eye(3)[np.arange(30) % 3]])
    state = clone(model).set_params(max_iter=1).fit(X).__getstate__()
    complaint(model, {**state, "_spec": {**state["_spec"], "categories": sizes}})


def test_a_generator_goes_on_inside_its_words():
    """Torch takes such a state, and reads past the end of it."""
    state = state_of(Autoencoder(2, max_iter=1))
    for left, place in ((624, 624), (1, 1), (-1, 626), (0, 0), (600, 600)):
        order = state["_rng"].copy()
        order[8:12], order[16:24] = np.array([left], np.int32).view(np.uint8), np.array([place]).view(np.uint8)
        complaint(Autoencoder(), {**state, "_rng": order})


@pytest.mark.parametrize("n_draws", [0, 1, 622, 623, 624, 625, 1300])
def test_a_generator_is_saved_wherever_it_is(n_draws):
    model = Autoencoder(2, max_iter=1).fit(ROWS)
    model._rng.manual_seed(3)
    torch.rand(n_draws, generator=model._rng)
    again = pickle.loads(pickle.dumps(model))
    assert torch.equal(torch.rand(2000, generator=again._rng), torch.rand(2000, generator=model._rng))


def test_estimators_inside_must_fit():
    stacked, deep = clone(CLASSES["StackedAutoencoder"]), clone(CLASSES["DeepBeliefNetwork"])
    classifier = clone(CLASSES["FineTunedClassifier"])
    narrow = Autoencoder(3, max_iter=1).fit(ROWS[:, :4])
    for whole, name in ((stacked, "layers_"), (deep, "layers_"), (classifier, "encoder_")):
        state = state_of(whole)
        inside = state[name]
        wrong = [narrow, Autoencoder(), PCA().fit(ROWS), None, [], [narrow], [inside], "text", whole]
        if isinstance(inside, list):
            wrong += [inside[::-1], inside[:1], inside * 2, tuple(inside), [*inside[:-1], Autoencoder()]]
        for other in wrong:
            complaint(whole, {**state, name: other})


def test_the_columns_of_a_file_agree():
    model = Autoencoder(2, max_iter=1).fit(pd.DataFrame(ROWS, columns=list("abcde")))
    state = model.__getstate__()
    names = state["feature_names_in_"]
    for wrong in (
        {"feature_names_in_": names[:4]},
        {"feature_names_in_": np.array([1, 2, 3, 4, 5], dtype=object)},
        {"n_features_in_": 4},
        {"n_features_in_": 5.0},
        {"_frame": (np.zeros(5), 0.0, True)},
        {"_frame": (np.zeros(5), -1.0, True)},
        {"_frame": (np.zeros(5), np.nan, True)},
        {"_frame": (np.zeros(5), np.zeros(5), True)},
        {"_frame": (np.zeros(5), np.ones(4), True)},
        {"_frame": (np.zeros(5), 1.0, "yes")},
        {"_frame": (np.zeros(4), 1.0, True)},
        {"history_": {"loss": ["low"]}},
        {"n_iter_": -1},
    ):
        complaint(model, {**state, **wrong})


@pytest.mark.parametrize("version", ["\x1b[31m0.1", 3, None, "0.1\n", "9" * 50])
def test_a_version_is_not_printed_unless_it_is_one(version):
    state = Autoencoder(2, max_iter=1).fit(ROWS).__getstate__()
    assert "does not say which version" in complaint(Autoencoder(), {**state, "_skae_version": version})


def test_only_the_class_of_an_estimator_needs_the_trust_of_skops():
    for estimator in CLASSES.values():
        model = clone(estimator)
        dumped = skops.io.dumps(model.fit(ROWS, target_of(model, 30)))
        known = {f"{type(e).__module__}.{type(e).__qualname__}" for e in CLASSES.values()}
        assert set(skops.io.get_untrusted_types(data=dumped)) <= known


def test_variants_keep_attributes_of_their_own():
    class Variant(Autoencoder):
        def _conclude(self, data):
            self._spread, self.more_ = {"a": 1}, np.zeros(3)

    model = Variant(2, max_iter=1).fit(ROWS)
    again = Variant()
    again.__setstate__(model.__getstate__())
    assert again._spread == {"a": 1}


def test_set_output_is_kept():
    model = pickle.loads(pickle.dumps(Autoencoder(2, max_iter=1).fit(ROWS).set_output(transform="pandas")))
    assert isinstance(model.transform(ROWS), pd.DataFrame)
