"""What "auto" stands for: rows a step, steps, epochs, the learning rate and the weight decay."""

import numpy as np
import pytest

from skae import Autoencoder
from skae.base.budget import epochs_of, optimizer_of, rows_a_step, steps_worthwhile

RULE = {10: (10, 300), 32: (32, 300), 150: (32, 300), 479: (32, 300), 480: (32, 300), 601: (40, 300), 602: (40, 301)}
RULE |= {1_000: (66, 500), 1_515: (100, 757), 8_000: (100, 4000), 1_000_000: (100, 4000)}


@pytest.mark.parametrize(("n", "expected"), RULE.items())
def test_rows_a_step_and_steps_are_those_of_the_rule(n, expected):
    assert (rows_a_step(n), steps_worthwhile(n)) == expected


@pytest.mark.parametrize(
    ("n_steps", "n_samples", "batch_size", "epochs"),
    [(300, 150, 32, 60), (500, 1_000, 66, 32), (4000, 8_000, 100, 50), (4000, 1_000_000, 100, 1), (300, 20, 20, 100)],
)
def test_epochs_have_at_least_the_steps_but_are_at_most_100(n_steps, n_samples, batch_size, epochs):
    assert epochs_of(n_steps, n_samples, batch_size) == epochs
    assert epochs == 100 or (epochs - 1) * -(-n_samples // batch_size) < n_steps


@pytest.mark.parametrize("n", [40, 130, 700])
def test_auto_is_a_shorthand_to_the_last_bit(n, rng):
    """The docstring's numbers, written out."""
    X = rng.standard_normal((n, 4))
    size = min(max(32, n // 15), 100)
    epochs = min(100, int(np.ceil(max(300, n // 2) / np.ceil(n / size))))
    options = {"hidden_layer_sizes": (4,), "tol": 0.0, "random_state": 0}
    auto = Autoencoder(2, **options).fit(X)
    written = {"batch_size": size, "max_iter": epochs, "learning_rate_init": 3e-3, "weight_decay": 0.3}
    explicit = Autoencoder(2, learning_rate="one_cycle", solver="adamw", **written, **options).fit(X)
    assert auto.n_iter_ == epochs
    np.testing.assert_array_equal(auto.transform(X), explicit.transform(X))
    assert auto.history_ == explicit.history_


def test_a_batch_size_of_ones_own_changes_the_epochs_and_not_the_steps(rng):
    X = rng.standard_normal((100, 4))
    few, many = (Autoencoder(1, hidden_layer_sizes=(2,), batch_size=b, tol=0.0).fit(X).n_iter_ for b in (10, 50))
    assert (few, many) == (30, 100)  # 300 steps are 150 epochs of two, of which 100 are allowed


@pytest.mark.parametrize(("schedule", "rate"), [("one_cycle", 3e-3), ("cosine", 1e-3), ("constant", 1e-3)])
def test_the_rate_fits_its_schedule(schedule, rate):
    assert Autoencoder()._rate(schedule) == rate
    assert Autoencoder(learning_rate_init=0.7)._rate(schedule) == 0.7


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
def test_a_chunk_is_one_pass_at_the_rate_of_a_constant_schedule(schedule, rng):
    X = rng.standard_normal((50, 4))
    options = {"hidden_layer_sizes": (3,), "random_state": 0}
    model = Autoencoder(2, learning_rate=schedule, **options).partial_fit(X)
    expected = Autoencoder(2, learning_rate="constant", learning_rate_init=1e-3, **options).partial_fit(X)
    assert model.n_iter_ == 1
    np.testing.assert_array_equal(model.transform(X), expected.transform(X))


@pytest.mark.parametrize(("solver", "decay"), [("adamw", 0.3), ("adam", 0.0), ("sgd", 0.0), ("lbfgs", 0.0)])
def test_the_weight_decay_fits_its_solver(solver, decay):
    model = Autoencoder(1, solver=solver, hidden_layer_sizes=())
    model._fit(np.arange(12.0).reshape(6, 2), None, None, train=False)
    assert optimizer_of(model).weight_decay == decay
    assert optimizer_of(model.set_params(weight_decay=0.1)).weight_decay == 0.1


def test_lbfgs_has_100_iterations(rng):
    assert Autoencoder(solver="lbfgs")._n_epochs(10**6) == 100
