"""to_autoencoder: an autoencoder with the codes and the means of the machine that it was made of."""

import pickle
from itertools import product

import numpy as np
import pytest
from scipy.special import expit

from skae import RBM, DeepBeliefNetwork, DeepBoltzmannMachine, StackedAutoencoder

SHORT = {"max_iter": 2, "n_chains": 5, "random_state": 0}


@pytest.fixture
def X(rng):
    return (rng.random((40, 6)) < 0.3 + 0.4 * (np.arange(40) % 2)[:, None]).astype(float)


VISIBLE = [{"visible": "gaussian"}, {"visible": "bernoulli"}, {"visible": "softmax", "categories": (2, 4)}]


@pytest.mark.parametrize(
    ("options", "hidden", "sizes"),
    [
        *product(VISIBLE, ["bernoulli"], [None, (), (5,), (5, 4)]),
        *product(VISIBLE[:1], ["gaussian", "relu"], [None, (5, 4)]),
    ],
)
def test_an_autoencoder_has_the_same_codes_and_means(rng, options, hidden, sizes):
    X = rng.random((30, 6)) * (3.0 if options["visible"] == "gaussian" else 1.0)
    if "categories" in options:
        X /= np.add.reduceat(X, [0, 2], axis=1)[:, [0, 0, 1, 1, 1, 1]]
    if sizes is None:
        model = RBM(3, hidden=hidden, **options, **SHORT)
    else:
        code = [{"hidden": "gaussian"}] * len(sizes) + [{"hidden": hidden}]
        model = DeepBeliefNetwork(3, hidden_layer_sizes=sizes, layers=code, up_down_iter=1, **options, **SHORT)
    autoencoder = model.fit(X).to_autoencoder()
    H = model.transform(X)
    close = 0.011 if hidden == "relu" else 1e-5  # softplus is that close to the mean of rectified units
    np.testing.assert_allclose(autoencoder.transform(X), H, rtol=1e-4, atol=close)
    np.testing.assert_allclose(autoencoder.inverse_transform(H), model.inverse_transform(H), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:The code is nearly the same for all rows")
def test_the_autoencoder_is_fitted_and_trains_on(X):
    network = DeepBeliefNetwork(2, hidden_layer_sizes=(5,), visible="bernoulli", **SHORT).fit(X)
    autoencoder = pickle.loads(pickle.dumps(network.to_autoencoder()))
    before = autoencoder.score(X)
    autoencoder.set_params(warm_start=True, max_iter=50, learning_rate_init=0.01).fit(X)
    assert autoencoder.score(X) > before
    assert autoencoder.n_iter_ > 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": "relu", "hidden_layer_sizes": (3,)}, "a mean that differs upwards"),
        (
            {"layers": [{}, {"hidden": "gaussian"}, {}], "hidden_layer_sizes": (3, 3)},
            "hidden units of several kinds",
        ),
        ({"visible": "softmax"}, "have no likelihood in Autoencoder"),
        ({"labels": True, "visible": "bernoulli"}, "sums over labels"),
    ],
)
def test_what_no_autoencoder_expresses_is_told(X, options, message):
    network = DeepBeliefNetwork(2, **({"hidden_layer_sizes": (3,)} | options), **SHORT).fit(X, X[:, 0])
    with pytest.raises(ValueError, match=message):
        network.to_autoencoder()


def test_counts_of_an_rbm_cannot_be_unrolled(X):
    with pytest.raises(ValueError, match="have no likelihood in Autoencoder"):
        RBM(2, visible="softmax", **SHORT).fit(X).to_autoencoder()


# ------------------------------------------------------------------ deep Boltzmann machines


@pytest.mark.parametrize("visible", VISIBLE, ids=lambda options: options["visible"])
def test_a_deep_boltzmann_machine_without_hidden_layers_is_unrolled_as_an_rbm(X, visible):
    X = np.c_[np.eye(2)[np.arange(40) % 2], np.eye(4)[np.arange(40) % 4]] if "categories" in visible else X
    one, two = RBM(3, **visible, **SHORT), DeepBoltzmannMachine(3, hidden_layer_sizes=(), **visible, **SHORT)
    one, two = (model.fit(X).to_autoencoder() for model in (one, two))
    np.testing.assert_array_equal(one.transform(X), two.transform(X))
    np.testing.assert_array_equal(one.inverse_transform(one.transform(X)), two.inverse_transform(two.transform(X)))


def test_a_deep_boltzmann_machine_is_unrolled_with_twice_the_weights_where_a_neighbour_is_missing(X):
    options = {**SHORT, "dtype": "float64", "weight_scale": 1.0}
    machine = DeepBoltzmannMachine(3, hidden_layer_sizes=(5, 4), visible="bernoulli", **options).fit(X)
    autoencoder = machine.to_autoencoder()
    W1, W2, W3 = machine.coefs_
    a, b1, b2, b3 = machine.intercepts_
    H = expit(expit(expit(2 * X @ W1 + b1) @ (2 * W2) + b2) @ W3 + b3)
    np.testing.assert_allclose(autoencoder.transform(X), H, rtol=1e-10)
    back = expit(expit(expit(2 * H @ W3.T + b2) @ (2 * W2.T) + b1) @ W1.T + a)
    np.testing.assert_allclose(autoencoder.inverse_transform(H), back, rtol=1e-10)


def test_the_autoencoder_of_a_deep_boltzmann_machine_keeps_the_scale_of_its_rows(rng):
    X = 10 + rng.normal(size=(50, 4)) * [1.0, 2.0, 3.0, 4.0]
    options = {**SHORT, "dtype": "float64", "learn_variances": True}
    machine = DeepBoltzmannMachine(3, hidden_layer_sizes=(5,), **options).fit(X)
    sigma = np.exp(machine.module_.log_scale.detach().numpy()[:4])
    W1, W2 = machine.coefs_
    a, b1, b2 = machine.intercepts_
    s = (X - machine.mean_) / machine.scale_ / sigma
    H = expit(expit(2 * s @ W1 + b1) @ W2 + b2)
    autoencoder = machine.to_autoencoder()
    np.testing.assert_allclose(autoencoder.transform(X), H, rtol=1e-10)
    back = (expit(2 * H @ W2.T + b1) @ W1.T + a) * sigma * machine.scale_ + machine.mean_
    np.testing.assert_allclose(autoencoder.inverse_transform(H), back, rtol=1e-10)


@pytest.mark.filterwarnings("ignore:The code is nearly the same for all rows")
def test_a_deep_boltzmann_machine_is_a_layer_of_a_stack(X):
    machine = DeepBoltzmannMachine(4, hidden_layer_sizes=(5,), visible="bernoulli", **SHORT)
    stack = StackedAutoencoder([machine, 2], max_iter=20, random_state=0).fit(X)
    assert stack.transform(X).shape == (40, 2)
    assert stack.history_["loss"][-1] < stack.history_["loss"][0]
    coder = stack.layers_[0].to_autoencoder().module_.encoder
    assert [w.shape for w in stack.module_.stages[0].coder.encoder.weights] == [w.shape for w in coder.weights]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"visible": "softmax"}, "have no likelihood in Autoencoder"),
        ({"labels": True, "visible": "bernoulli"}, "sums over labels"),
        ({"code": "all"}, "code='all' puts layers side by side, but the code of an Autoencoder is its last layer"),
    ],
)
def test_what_of_a_deep_boltzmann_machine_no_autoencoder_expresses_is_told(X, options, message):
    machine = DeepBoltzmannMachine(2, hidden_layer_sizes=(3,), **options, **SHORT).fit(X, X[:, 0])
    with pytest.raises(ValueError, match=message):
        machine.to_autoencoder()
