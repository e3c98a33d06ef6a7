"""Fine-tuning of logistic units: which networks have them, their budget, and that a plateau does not end it."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from skae import (
    RBM,
    Autoencoder,
    ConvolutionalAutoencoder,
    DeepBeliefNetwork,
    FineTunedClassifier,
    StackedAutoencoder,
)
from skae.base.budget import optimizer_of
from skae.compose._layers import make_layers, shorten

SHORT = {"max_iter": 1, "random_state": 0}
BITS = {"visible": "bernoulli", **SHORT}
LOGISTIC = {"activation": "logistic", "code_activation": "logistic", "hidden_layer_sizes": (3,), **SHORT}


@pytest.fixture
def X(digits):
    return digits[:150] / 16


@pytest.fixture
def y(X):
    return (X.sum(1) > np.median(X.sum(1))).astype(int)


@pytest.mark.parametrize(
    ("encoder", "logistic"),
    [
        (RBM(4, **BITS), True),
        (RBM(4, hidden="gaussian", **SHORT), False),
        (RBM(4, hidden="relu", **SHORT), False),
        (DeepBeliefNetwork(4, hidden_layer_sizes=(3,), **BITS), True),
        (DeepBeliefNetwork(4, hidden_layer_sizes=(3,), layers=[{}, {"hidden": "gaussian"}], **BITS), True),
        (DeepBeliefNetwork(4, hidden_layer_sizes=(3,), layers=[{}, {"hidden": "relu"}], **BITS), False),
        (StackedAutoencoder([RBM(4, **BITS), RBM(3, **BITS)], **SHORT), True),
        (StackedAutoencoder([RBM(4, **BITS), 2], **SHORT), False),
        (Autoencoder(4, init="random", **LOGISTIC), True),
        (Autoencoder(4, **{**LOGISTIC, "activation": "relu"}, init="random"), False),
        (Autoencoder(4, **{**LOGISTIC, "code_activation": "identity"}, init="pca"), False),
        (Autoencoder(4, **{**LOGISTIC, "activation": "relu", "hidden_layer_sizes": ()}), True),
        (ConvolutionalAutoencoder(4, code_activation="logistic", channels=(2,), **SHORT), False),
    ],
)
def test_logistic_units_have_rate_decay_and_steps_of_their_own(X, y, encoder, logistic):
    model = FineTunedClassifier(encoder, random_state=0, n_frozen=1).set_params(max_iter=1).fit(X, y)
    assert (model._rate("one_cycle"), model._decay) == ((0.03, 0.05) if logistic else (0.001, 0.3))
    model.set_params(max_iter="auto")
    assert model._n_epochs(150) == math.ceil((1000 if logistic else 100) / math.ceil(150 / 32))
    if not logistic:  # random weights learn as those of other estimators
        model.set_params(pretrain=False)
        assert (model._rate("one_cycle"), model._n_epochs(150)) == (0.003, 300 / 5)
    model.set_params(learning_rate_init=0.2, weight_decay=0.1, max_iter=7)
    assert (model._rate("one_cycle"), optimizer_of(model).weight_decay, model._n_epochs(150)) == (0.2, 0.1, 7)


def test_a_stack_of_machines_has_a_budget_of_its_own(X):
    model = StackedAutoencoder([RBM(4, **BITS), RBM(3, **BITS)], **SHORT).fit(X).set_params(max_iter="auto")
    assert (model._rate("one_cycle"), model._decay, model._batch_size(150)) == (0.06, 0.07, 100)
    assert model._n_epochs(150) == 4000 / 2
    assert model.set_params(solver="lbfgs")._batch_size(150) == 150


def test_weights_with_many_inputs_learn_slower(X):
    """The first step of Adam moves every parameter by the rate, which starts at 0.04 of its peak."""
    wide = np.tile(X, 2)
    layers = [RBM(70, weight_scale=0.5, **BITS), RBM(3, weight_scale=0.5, **BITS)]
    options = {"learning_rate_init": 1e-3 / 0.04, "weight_decay": 0.0, "batch_size": 150}
    model = StackedAutoencoder(layers, dtype="float64", **options, **SHORT).fit(wide)
    before = StackedAutoencoder(layers, dtype="float64", fine_tune=False, **SHORT).fit(wide).module_
    for new, old in zip(model.module_.parameters(), before.parameters(), strict=True):
        rate = 1e-3 * (min(1, 64 / new.shape[1]) if new.ndim > 1 else 1)
        moved = (new - old).detach().abs()
        assert float(moved.max()) == pytest.approx(rate, rel=1e-3)


@pytest.mark.filterwarnings("ignore:All rows are predicted to be of class")
def test_a_plateau_does_not_end_the_training(X, y):
    """With a rate that moves nothing, every epoch is a plateau. All steps are taken nevertheless."""
    model = FineTunedClassifier(RBM(4, **BITS), learning_rate_init=1e-12, random_state=0).fit(X[:30], y[:30])
    assert model.n_iter_ == 1000


def test_a_code_that_does_not_vary_is_trained_to_serve_as_well_as_the_rows(iris):
    """The code of a machine that has learnt nothing is constant but for a hundredth."""
    species = load_iris().target
    X = (iris - iris.min(0)) / np.ptp(iris, 0)
    model = FineTunedClassifier(RBM(8, weight_scale=0.01, **BITS), pretrain=False, random_state=0).fit(X, species)
    assert model.encoder_.transform(X).std(0).max() < 0.01
    assert model.score(X, species) >= LogisticRegression().fit(X, species).score(X, species)


@pytest.mark.parametrize(
    "encoder",
    [
        Autoencoder(4, hidden_layer_sizes=(3,), **SHORT),
        StackedAutoencoder([RBM(4, **BITS), RBM(3, **BITS)], **SHORT),
        DeepBeliefNetwork(4, hidden_layer_sizes=(3,), **BITS),
    ],
    ids=lambda encoder: type(encoder).__name__,
)
def test_what_leads_down_is_not_trained_and_does_not_decay(X, y, encoder):
    model = FineTunedClassifier(encoder, max_iter=5, random_state=0).fit(X, y)
    before = dict(model.encoder_.module_.named_parameters())
    down = [name for name in before if {"decoder", "down"} & set(name.split("."))]
    assert down
    for name, parameter in model.module_.encoder.named_parameters():
        assert torch.equal(parameter, before[name]) or name not in down


@pytest.mark.parametrize(("n_samples", "epochs"), [(150, 25), (1400, 25), (20_000, 20), (100_000, 4)])
def test_a_width_takes_the_automatic_epochs_but_at_most_25(n_samples, epochs):
    given = [8, Autoencoder(4)]
    made = make_layers(given, set())
    shorten(given, made, n_samples)
    assert [layer.max_iter for _, layer in made] == [epochs, "auto"]
