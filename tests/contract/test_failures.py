"""What a fit leaves behind that ends early, and that the caller's modes of torch do not reach into a fit."""

import copy
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from contract.requirements import require_equal, require_same
from contract.tables import CLASSES, every_class, needs_y
from sklearn.base import clone, is_regressor
from sklearn.exceptions import ConvergenceWarning

from skae import Autoencoder, DeepBeliefNetwork, StackedAutoencoder
from skae.engine.optim import Optimizer
from skae.engine.train import NonFiniteLossError

pytestmark = pytest.mark.filterwarnings("ignore:The loss was still falling")  # at a constant rate

STEPS = 3
"""Steps of an epoch: 30 rows in batches of 10."""


@pytest.fixture
def y(estimator):
    """Labels or numbers of all rows, because rows whose y is unknown make no steps of some estimators."""
    if not needs_y(estimator):
        return None
    return np.sin(np.arange(30)) if is_regressor(estimator) else np.arange(30) % 2


@contextmanager
def failing(step, error, monkeypatch):
    """Raise an error in the step of that number, counted over all stages of a fit. Yields the count of steps."""
    real, count = Optimizer.step, [0]

    def take(self, *args, **kwargs):
        count[0] += 1
        if count[0] == step:
            raise error
        return real(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Optimizer, "step", take)
        yield count


def n_steps(estimator, X, y, monkeypatch):
    with failing(0, None, monkeypatch) as count:
        clone(estimator).fit(X, y)
    return count[0]


# ------------------------------------------------------------------ interrupts


@every_class()
def test_an_interrupt_goes_up_and_keeps_an_estimator_whose_last_stage_had_an_epoch(estimator, X, y, monkeypatch):
    estimator.set_params(batch_size=10)
    total = n_steps(estimator, X, y, monkeypatch)
    before = vars(estimator).copy()
    for step in range(1, total - 2 * STEPS + 1, 2):
        with failing(step, KeyboardInterrupt(), monkeypatch), pytest.raises(KeyboardInterrupt):
            estimator.fit(X, y)
        assert vars(estimator) == before
    for step in range(total - 2 * STEPS + 1, total + 1):
        one = clone(estimator)
        with failing(step, KeyboardInterrupt(), monkeypatch), pytest.raises(KeyboardInterrupt):
            one.fit(X, y)
        assert np.isfinite(one.transform(X)).all()
        epochs = 2 if step > total - STEPS else 1
        assert {len(curve) for curve in one.history_.values()} == {epochs}
        assert one.n_iter_ == epochs


@every_class(lambda estimator: not isinstance(estimator, DeepBeliefNetwork))
def test_an_interrupt_between_two_epochs_leaves_the_model_of_so_many_epochs(estimator, X, y, monkeypatch):
    estimator.set_params(learning_rate="constant", batch_size=10)
    total = n_steps(estimator, X, y, monkeypatch)
    shorter = clone(estimator).set_params(max_iter=2).fit(X, y)
    with failing(total - STEPS + 1, KeyboardInterrupt(), monkeypatch), pytest.raises(KeyboardInterrupt):
        estimator.fit(X, y)
    require_same(shorter, estimator, X)


@pytest.mark.parametrize(
    "stack",
    [
        StackedAutoencoder(
            [Autoencoder(4, batch_size=10, max_iter=3), Autoencoder(2, batch_size=10, max_iter=3)],
            fine_tune=False,
            random_state=0,
        ),
        DeepBeliefNetwork(2, hidden_layer_sizes=(4,), batch_size=10, max_iter=3, random_state=0),
    ],
    ids=["stack", "belief network"],
)
def test_the_last_layer_is_the_last_stage_if_layers_are_not_trained_together(stack, X, monkeypatch):
    for step, epochs in ((8, None), (11, None), (13, 1), (18, 2)):
        one = clone(stack)
        with failing(step, KeyboardInterrupt(), monkeypatch), pytest.raises(KeyboardInterrupt):
            one.fit(X)
        assert hasattr(one, "module_") == (epochs is not None)
        if epochs:
            assert [max(map(len, layer.history_.values())) for layer in one.layers_] == [3, epochs]
            assert np.isfinite(one.transform(X)).all()


def test_an_interrupted_stage_does_not_let_the_next_one_begin(X, monkeypatch):
    network = DeepBeliefNetwork(2, hidden_layer_sizes=(4,), batch_size=10, max_iter=3)
    with failing(8, KeyboardInterrupt(), monkeypatch) as count, pytest.raises(KeyboardInterrupt):
        network.fit(X)
    assert count[0] == 8


def test_a_second_interrupt_leaves_the_estimator_as_it_was(X, monkeypatch):
    estimator = clone(CLASSES["DenoisingAutoencoder"]).set_params(warm_start=True, batch_size=10).fit(X)
    twin = copy.deepcopy(estimator)

    def interrupted(self, data):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(estimator), "_conclude", interrupted)
    with failing(8, KeyboardInterrupt(), monkeypatch), pytest.raises(KeyboardInterrupt):
        estimator.fit(X)
    require_equal(twin, estimator)


# ------------------------------------------------------------------ errors


@every_class()
@pytest.mark.parametrize("place", ["step", "_examine", "_conclude", "interrupt"])
def test_an_error_in_a_fit_that_goes_on_leaves_everything_as_it_was(estimator, X, y, place, monkeypatch):
    if isinstance(estimator, DeepBeliefNetwork):
        estimator.set_params(up_down_iter=3)
    estimator.set_params(warm_start=True, batch_size=10).fit(X, y)
    twin = copy.deepcopy(estimator)
    error = KeyboardInterrupt() if place == "interrupt" else MemoryError("no room")

    def fails(*args):
        raise error

    with monkeypatch.context() as patch:
        if place in ("_examine", "_conclude"):
            patch.setattr(type(estimator), place, fails)
        step = {"step": 2 * STEPS, "interrupt": 2}.get(place, 0)
        with failing(step, error, monkeypatch), pytest.raises(type(error)):
            estimator.fit(X, y)
    require_equal(twin, estimator)
    require_equal(twin.fit(X, y), estimator.fit(X, y))


@every_class(lambda estimator: hasattr(estimator, "partial_fit"))
def test_an_error_in_partial_fit_leaves_everything_as_it_was(estimator, X, y, monkeypatch):
    estimator.set_params(batch_size=10).partial_fit(X, y)
    twin = copy.deepcopy(estimator)
    with failing(STEPS, MemoryError(), monkeypatch), pytest.raises(MemoryError):
        estimator.partial_fit(X, y)
    require_equal(twin, estimator)
    require_equal(twin.partial_fit(X, y), estimator.partial_fit(X, y))


@pytest.mark.parametrize(("solver", "rate"), [("adam", 1e-3), ("adamw", 1e-3), ("sgd", 1e-2), ("lbfgs", 1.0)])
def test_a_warning_that_is_an_error_leaves_the_curvature_and_the_moments_as_they_were(solver, rate, X):
    estimator = Autoencoder(max_iter=2, solver=solver, learning_rate="constant", warm_start=True, random_state=0)
    estimator.set_params(learning_rate_init=rate).fit(X)
    twin = clone(estimator).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(ConvergenceWarning, match="still falling"):
            estimator.fit(X)
    require_equal(twin.fit(X), estimator.fit(X))


@every_class()
def test_a_last_step_that_diverges_is_an_error(estimator, X, y, monkeypatch):
    """The loss of a step is that of the weights before it, so no loss shows it."""
    estimator.set_params(batch_size=10, learning_rate="constant")
    last, real, count = n_steps(estimator, X, y, monkeypatch), Optimizer.step, []

    def take(self, flat, *args):
        terms = real(self, flat, *args)
        count.append(terms)
        if len(count) == last:
            flat.theta[0] = np.inf
        return terms

    monkeypatch.setattr(Optimizer, "step", take)
    with pytest.raises(NonFiniteLossError, match=r"became .* in epoch 3: lower learning_rate_init"):
        estimator.fit(X, y)
    assert not hasattr(estimator, "module_")


def test_a_code_that_overflows_is_an_error_although_the_weights_are_finite(X):
    estimator = Autoencoder(hidden_layer_sizes=(8,), early_stopping=True, max_iter=1, random_state=0)

    def huge(self, *args):
        self._flat.theta.fill_(1e38)

    estimator._train = huge.__get__(estimator)
    estimator.n_iter_ = 1
    with pytest.raises(NonFiniteLossError, match="code of the training rows became NaN or infinite"):
        estimator.fit(X)


# ------------------------------------------------------------------ modes of torch


@contextmanager
def default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


MODES = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "default device": lambda: torch.device("meta"),
    "default dtype": default_dtype,
}

AFTER = {
    "no_grad": (False, torch.float32, "cpu"),
    "inference_mode": (False, torch.float32, "cpu"),
    "default device": (True, torch.float32, "meta"),
    "default dtype": (True, torch.float64, "cpu"),
}
"""Whether gradients are on, the default dtype and the default device in a mode, which a fit leaves as they are."""


@every_class()
def test_the_callers_modes_change_nothing(estimator, X, y):
    """Of a fit, of the use of a fitted estimator, and of fits that go on with it outside."""
    outside = clone(estimator).set_params(warm_start=True).fit(X, y)
    expected = copy.deepcopy(outside).fit(X, y)
    for name, mode in MODES.items():
        inside = clone(estimator).set_params(warm_start=True)
        with mode():
            inside.fit(X, y)
            require_equal(outside, inside, name)
            require_same(outside, inside, X)
            inside = copy.deepcopy(inside)
            mode_after = torch.is_grad_enabled(), torch.get_default_dtype(), torch.empty(0).device.type
        assert mode_after == AFTER.get(name, (True, torch.float32, "cpu")), name
        require_equal(expected, inside.fit(X, y), name)
