"""Descriptions of estimators: equal for equal parameters, and without an address in memory."""

import functools
import logging

import numpy as np
import pytest
from sklearn.base import clone

from skae import Autoencoder, DeepBeliefNetwork, DenoisingAutoencoder, StackedAutoencoder
from skae.base.description import described


class Holder:
    """A callable that refers to itself, and to much else."""

    def __init__(self, number):
        self.number, self.numbers, self.log = number, np.arange(number), logging.getLogger("x")
        self.me, self.all = self, [self]

    def __call__(self, X, rng):
        return X

    def method(self, X, rng):
        return X


def times(factor):
    def product(X, rng):
        return factor * X

    return product


PAIRS = [
    (lambda: Holder(3), lambda: Holder(4)),
    (lambda: Holder(200), lambda: Holder(201)),
    (lambda: Holder(3).method, lambda: Holder(4).method),
    (lambda: times(2), lambda: times(3)),
    (lambda: lambda X, rng: X + 1, lambda: lambda X, rng: X + 2),
    (lambda: lambda X, rng: np.sin(X), lambda: lambda X, rng: np.cos(X)),
    (lambda: lambda X, rng, p=1: X * p, lambda: lambda X, rng, p=2: X * p),
    (lambda: lambda X, *, p=1: X * p, lambda: lambda X, *, p=2: X * p),
    (lambda: functools.partial(times, 2), lambda: functools.partial(times, factor=2)),
    (lambda: np.add, lambda: np.subtract),
    (lambda: Autoencoder(np.int64(2), hidden_layer_sizes=[3]), lambda: Autoencoder(3, hidden_layer_sizes=[3])),
    (lambda: DenoisingAutoencoder(corruption=times(2)), lambda: DenoisingAutoencoder(corruption=times(3))),
    (lambda: StackedAutoencoder([("a", Autoencoder(2))]), lambda: StackedAutoencoder([("a", Autoencoder(3))])),
    (lambda: DeepBeliefNetwork(layers=[{"n_gibbs": 2}]), lambda: DeepBeliefNetwork(layers=[{"n_gibbs": 3}])),
    (lambda: np.arange(200), lambda: np.arange(200) + (np.arange(200) == 150)),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_change_shows_and_an_address_does_not(one, other):
    assert described(one()) == described(one())
    assert described(one()) != described(other())
    assert "0x" not in described(one())


def test_ways_to_write_one_value_are_the_same():
    sizes = [(3, 2), [3, 2], np.array([3, 2]), (np.int64(3), np.int32(2))]
    assert len({described(Autoencoder(2, hidden_layer_sizes=size)) for size in sizes}) == 1
    model = DenoisingAutoencoder(corruption=Holder(3))
    assert described(clone(model)) == described(model)


def test_what_is_ignored_is_ignored_at_every_depth():
    one, two = (StackedAutoencoder([Autoencoder(2, random_state=seed)], random_state=seed) for seed in (1, 2))
    assert described(one) != described(two)
    assert described(one, ignore={"random_state"}) == described(two, ignore={"random_state"})
