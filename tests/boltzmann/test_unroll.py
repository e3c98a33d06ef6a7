"""to_autoencoder: an autoencoder with the codes and the means of the machine that it was made of."""

import pickle
from itertools import product

import numpy as np
import pytest

from skae import RBM, DeepBeliefNetwork

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
