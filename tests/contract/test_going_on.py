"""Training that goes on, stops early, and tells of itself."""

import copy
import pickle
import re
import warnings

import numpy as np
import pytest
import torch
from contract.requirements import refuses, require_same
from contract.tables import CLASSES, EVERY, entering, every_class, predicts_nothing, takes_equal_rows, target_of
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import skae
from skae import (
    Autoencoder,
    DeepBeliefNetwork,
    DeepBoltzmannMachine,
    FineTunedClassifier,
    NeighborAutoencoder,
    StackedAutoencoder,
)

pytestmark = pytest.mark.filterwarnings("ignore:The loss was still falling")  # lbfgs in three epochs


@entering("going on")
def test_partial_fit_goes_on(estimator, X, y):
    if estimator.solver == "lbfgs" or "FineTuned" in type(estimator).__name__:
        assert not hasattr(estimator, "partial_fit")
        return
    assert estimator.partial_fit(X, y) is estimator
    first = estimator.transform(X)
    estimator.partial_fit(X, y, sample_weight=np.ones(30))
    assert estimator.n_iter_ == 2
    assert not np.array_equal(estimator.transform(X), first)
    with pytest.raises(ValueError, match="does not support early_stopping"):
        estimator.set_params(early_stopping=True).partial_fit(X, y)


@every_class(lambda estimator: hasattr(estimator, "partial_fit"))
def test_lbfgs_has_no_partial_fit(estimator):
    assert not hasattr(estimator.set_params(solver="lbfgs"), "partial_fit")


def test_a_chunk_knows_of_no_schedule(X):
    """How many chunks are to come is not known, so the rate stays."""
    one, two = (clone(CLASSES["Autoencoder"]).set_params(learning_rate=kind) for kind in ("constant", "cosine"))
    require_same(one.partial_fit(X).partial_fit(X), two.partial_fit(X).partial_fit(X), X)


@every_class(lambda estimator: hasattr(estimator, "partial_fit"))
def test_what_diverges_leaves_no_trace(estimator, X, y):
    """Neither in the weights nor in the moments or in the random numbers that come next."""
    estimator.set_params(batch_size=7).partial_fit(X, y)
    twin, rate = copy.deepcopy(estimator), estimator.learning_rate_init
    estimator.set_params(solver="sgd", learning_rate_init=1e30)
    assert "became nan in epoch 1: lower learning_rate_init" in refuses(estimator, "partial_fit", X, y)
    estimator.set_params(solver=twin.solver, learning_rate_init=rate)
    require_same(twin, estimator, X)
    require_same(twin.partial_fit(X, y), estimator.partial_fit(X, y), X)


@entering("going on")
def test_warm_start_goes_on_and_fit_starts_anew(estimator, X, y):
    fresh = clone(estimator).fit(X, y)
    warm = clone(estimator).set_params(warm_start=True).fit(X, y)
    require_same(fresh, warm, X)
    warm.fit(X, y)
    assert warm.n_iter_ > fresh.n_iter_
    assert not np.array_equal(warm.transform(X), fresh.transform(X))
    require_same(fresh, warm.set_params(warm_start=False).fit(X, y), X)


@every_class(lambda estimator: "n_components" in estimator.get_params())
def test_warm_start_refuses_another_architecture(estimator, X, y):
    estimator.set_params(warm_start=True).fit(X, y)
    sentence = refuses(estimator.set_params(n_components=3), "fit", X, y)
    assert re.match(r"[\w, ]*n_components[\w, ]* changed since the last fit", sentence)


@pytest.mark.filterwarnings("ignore:Cluster 1 is empty")  # two epochs do not find clusters in noise
@entering("going on")
def test_early_stopping_watches_held_out_rows(estimator, X, y):
    estimator.set_params(early_stopping=True, max_iter=5, tol=1e9, n_iter_no_change=2, learning_rate="cosine")
    estimator.fit(X, y)
    assert estimator.n_iter_ == 2
    assert len(estimator.history_["validation_loss"]) == 2


@every_class(predicts_nothing)
def test_early_stopping_needs_two_rows(estimator, X):
    """Which may be equal: rows are not merged before some of them are held out."""
    assert "n_samples = 1" in refuses(estimator.set_params(early_stopping=True), "fit", X[:1], target_of(estimator, 1))
    if not takes_equal_rows(estimator):
        return
    assert "validation_loss" in estimator.fit(np.repeat(X[:1], 10, axis=0), target_of(estimator, 10)).history_


@entering("going on")
def test_verbose_shows_all_stages_by_their_names(estimator, X, y, capsys):
    estimator.set_params(verbose=2).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    *_, stage = (line.rpartition("epoch ")[0] for line in lines)
    own = [line for line in lines if line.startswith(f"{stage}epoch")]
    assert len(own) == estimator.n_iter_
    assert own[0].startswith(f"{stage}epoch 1/3")
    estimator.set_params(verbose=1, early_stopping=True).fit(X, y)
    shown = capsys.readouterr().err
    assert "validation_loss" in shown
    assert "prediction" in shown if "FineTuned" in type(estimator).__name__ else "reconstruction" in shown


def stages_of(estimator, X, y):
    """Fit with a callback. Returns the names of the stages in order, and all that the callback was told."""
    told = []
    estimator.set_params(callback=told.append).fit(X, y)
    return list(dict.fromkeys(epoch.stage for epoch in told)), told


def test_a_callback_is_told_of_each_epoch_and_may_stop_it(X):
    seen = []

    def stop(epoch):
        seen.append(epoch.estimator.transform(X))
        return epoch.number == 2

    estimator = Autoencoder(random_state=0, max_iter=5, callback=stop)
    codes = estimator.fit_transform(X)
    assert len(seen) == estimator.n_iter_ == 2
    assert not np.array_equal(seen[0], seen[1])
    assert any(np.array_equal(codes, each) for each in seen), "the weights of one of the epochs are kept"
    stages, told = stages_of(estimator.set_params(max_iter=3), X, None)
    assert stages == [""]
    assert [epoch.terms["loss"] for epoch in told] == estimator.history_["loss"]
    assert [(epoch.number, epoch.max_iter) for epoch in told] == [(1, 3), (2, 3), (3, 3)]


def test_callbacks_see_the_stages_of_models_that_have_several(X):
    def binary(x):
        return (x > x.mean(0)).astype(float)

    y = np.arange(len(X)) % 2
    stack = StackedAutoencoder([4, 2], max_iter=2, random_state=0)
    assert stages_of(stack, X, None)[0] == ["layer1", "layer2", "all layers"]
    nested = StackedAutoencoder([DeepBeliefNetwork(3, hidden_layer_sizes=(4,), visible="gaussian", max_iter=1), 2])
    asked = stages_of(nested.set_params(max_iter=1, random_state=0), X, None)[0]
    assert asked == ["layer1: layer 1 of 2", "layer1: layer 2 of 2", "layer2", "all layers"]
    deep = DeepBeliefNetwork(2, hidden_layer_sizes=(3,), max_iter=1, up_down_iter=1, random_state=0)
    assert stages_of(deep, binary(X), None)[0] == ["layer 1 of 2", "layer 2 of 2", "up-down"]
    machine = DeepBoltzmannMachine(2, hidden_layer_sizes=(3,), max_iter=1, pretrain_iter=1, random_state=0)
    asked = stages_of(machine, binary(X), None)[0]
    assert asked == ["pretraining of layer 1", "pretraining of layer 2", "all layers"]
    tuned = FineTunedClassifier(Autoencoder(max_iter=1), max_iter=1, random_state=0)
    assert stages_of(tuned, X, y)[0] == ["encoder", "head", "encoder and head"]
    below = skae.VariationalAutoencoder(3, max_iter=1)
    above = skae.SemiSupervisedVariationalAutoencoder(2, encoder=below, max_iter=1, random_state=0)
    assert stages_of(above, X, y)[0] == ["encoder", "linear start", ""]


@every_class()
def test_a_callback_sees_a_fitted_copy_and_changes_nothing(estimator, X, y, tmp_path):
    """The oracle is the model that the fit leaves, which has the weights of one of the epochs."""
    plain, kept = clone(estimator).fit(X, y), {}

    def keep(epoch):
        kept[epoch.stage, epoch.number] = model = epoch.estimator
        if epoch.number == 2 and model is not None:
            rows = X if model.n_features_in_ == X.shape[1] else X[:, : model.n_features_in_]
            model.save(tmp_path / "model.skae")
            require_same(model, pickle.loads(pickle.dumps(model)), rows)
            require_same(model, skae.load(tmp_path / "model.skae"), rows)

    model = estimator.set_params(callback=keep).fit(X, y)
    require_same(plain, model, X)
    assert model.history_ == plain.history_
    (last, n), of_whole = [*kept][-1], type(kept[[*kept][-1]]) is type(model)
    assert kept[last, n].n_iter_ == n
    if not of_whole:
        return
    codes = model.transform(X)
    (same,) = [one for (stage, _), one in kept.items() if stage == last and np.array_equal(one.transform(X), codes)]
    require_same(same, model, X)
    if hasattr(model, "score_samples"):
        np.testing.assert_array_equal(same.score_samples(X), model.score_samples(X))


def test_what_a_callback_sees_is_for_wide_rows_and_its_own():
    X, losses = np.random.default_rng(0).random((10, 50)), []

    def spoil(epoch):
        losses.append(epoch.estimator.loss_)
        assert epoch.estimator.inverse_transform(epoch.estimator.transform(X)).shape == X.shape
        with torch.no_grad():
            epoch.estimator.module_.encoder.weight_0.zero_()

    model = NeighborAutoencoder(2, hidden_layer_sizes=(4,), max_iter=3, random_state=0)
    spoilt = clone(model).set_params(callback=spoil).fit(X)
    np.testing.assert_array_equal(spoilt.transform(X), model.fit(X).transform(X))
    assert losses == model.history_["loss"]


@pytest.mark.parametrize("answer", [1, "12 characters", [None], np.array([True, False])])
def test_a_callback_ends_nothing_by_chance(answer, X):
    with pytest.raises(TypeError, match=r"callback returned .*: let it return True to end the stage, and False or"):
        Autoencoder(max_iter=2, callback=lambda epoch: answer).fit(X)
    assert Autoencoder(max_iter=2, callback=lambda epoch: np.True_).fit(X).n_iter_ == 1


def test_an_epoch_has_its_estimator_only_in_the_callback(X):
    epochs = []
    Autoencoder(max_iter=2, callback=epochs.append).fit(X)
    assert repr(epochs[0]).startswith("Epoch(stage='', number=1, max_iter=2, terms={'loss': ")
    with pytest.raises(RuntimeError, match="only while the callback runs: ask for it there"):
        epochs[0].estimator  # noqa: B018


@pytest.mark.parametrize("copied", [pickle.dumps, copy.deepcopy, lambda model: model.save("model.skae")])
def test_half_a_model_is_not_saved(copied, X):
    def save(epoch):
        copied(model)

    for model in (Autoencoder(callback=save), skae.TableAutoencoder(estimator=Autoencoder(callback=save))):
        with pytest.raises(ValueError, match=r"in the middle of its fit.*save or copy epoch\.estimator"):
            model.fit(X)
        assert not hasattr(model, "transform") or not model.__sklearn_is_fitted__()


def test_an_error_in_a_callback_leaves_the_estimator_as_it_was(X):
    def failing(epoch):
        raise RuntimeError("no room in the log")

    estimator = Autoencoder(random_state=0, max_iter=2).fit(X)
    before = estimator.transform(X)
    with pytest.raises(RuntimeError, match="no room"):
        estimator.set_params(callback=failing).fit(X)
    assert np.array_equal(before, estimator.transform(X))


def test_convergence_warning_only_where_it_helps(X):
    constant = clone(CLASSES["Autoencoder"]).set_params(learning_rate="constant", max_iter=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.warns(ConvergenceWarning, match="still falling after max_iter=5"):
            constant.fit(X)
        constant.set_params(tol=1e9, n_iter_no_change=2).fit(X)  # converged
        clone(CLASSES["Autoencoder"]).fit(X)  # a cosine schedule settles


# ------------------------------------------------------------------ weights of rows


@pytest.mark.parametrize("name", ["Autoencoder float64", "Autoencoder lbfgs", "Autoencoder bernoulli"])
def test_sample_weights_repeat_rows(name, X):
    """A weight of zero removes, and weights only count by their ratio."""
    weight = np.arange(len(X)) % 3
    one = clone(EVERY[name]).fit(X, sample_weight=weight)
    two = clone(EVERY[name]).fit(X.repeat(weight, axis=0))
    three = clone(EVERY[name]).fit(X, sample_weight=5 * weight)
    np.testing.assert_array_equal(one.transform(X), two.transform(X))
    np.testing.assert_allclose(one.transform(X), three.transform(X), rtol=1e-4, atol=1e-6)
