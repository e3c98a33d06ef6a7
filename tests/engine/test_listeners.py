"""Listeners: they see every training of a fit, may stop it, and hold what it takes to go on from an epoch."""

import copy
import math

import pytest
import torch
from torch import nn

from skae.engine.listeners import Listener, attending, in_stage, listeners
from skae.engine.optim import Flat, Optimizer
from skae.engine.train import Plan, backward, minimise


def train(rule="adamw", max_iter=8, **options):
    """Fit a line to noisy rows, with noise in each step. Returns the weights, the outcome and both generators."""
    rows = torch.randn(12, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    module = nn.Linear(3, 1).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(0.1)
    rng, noise = torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)

    def step(batch):
        x = batch if rule == "lbfgs" else batch + 0.1 * torch.randn(batch.shape, generator=noise, dtype=torch.float64)
        return backward({"error": (module(x)[:, 0] - batch.sum(1)).square().mean()})

    flat, plan = Flat(module), Plan(batch_size=12 if rule == "lbfgs" else 5, max_iter=max_iter, rate=0.1, **options)
    outcome = minimise(step, rows, flat, Optimizer(rule), plan, rng, noise=noise)
    return flat.theta.clone(), outcome, [rng.get_state(), noise.get_state()]


class Recorder(Listener):
    """Keeps all that it attends, and the states after each epoch and at the end."""

    def __init__(self):
        self.told, self.states = [], []

    def begins(self, training):
        self.told.append(("begins", training.stage, training.epoch))

    def ends_epoch(self, training):
        self.told.append(("epoch", training.stage, training.epoch))
        self.states.append(copy.deepcopy(training.state()))

    def ends(self, training):
        self.told.append(("ends", training.stage, training.epoch))
        self.states.append(copy.deepcopy(training.state()))


class From(Listener):
    """Lets a training go on from a state, of which a copy must not change."""

    def __init__(self, state):
        self.state = state

    def begins(self, training):
        training.load(self.state)


@pytest.mark.parametrize("rule", ["adamw", "sgd", "lbfgs"])
@pytest.mark.parametrize("monitor", ["loss", None])
def test_a_training_goes_on_from_any_epoch_to_the_bit(rule, monitor):
    with attending(recorder := Recorder()):
        weights, outcome, orders = train(rule, monitor=monitor)
    assert len(recorder.states) == len(outcome.history["loss"]) + 1 > 2
    for state in recorder.states:
        with attending(From(state), again := Recorder()):
            other, result, others = train(rule, monitor=monitor)
        assert torch.equal(weights, other)
        assert result == outcome
        assert all(map(torch.equal, orders, others))
        n_left = len(outcome.history["loss"]) - state["watch"]["epochs"] if state["watch"] else 0
        assert len(again.states) == n_left + 1, "it takes only the epochs that are left"
        torch.testing.assert_close(again.states[-1]["optimizer"], recorder.states[-1]["optimizer"], rtol=0, atol=0)


def test_listeners_see_the_stages_of_a_fit_by_their_names():
    with attending(recorder := Recorder()):
        with in_stage("layer1"), in_stage(""), in_stage("head"):
            train(max_iter=1)
        train(max_iter=1)
    assert recorder.told == [(what, name, n) for name in ("layer1: head", "") for what, n in told_in_order()]
    assert listeners() == ()


def told_in_order():
    return [("begins", 0), ("epoch", 1), ("ends", 1)]


class Stopping(Listener):
    def __init__(self, after):
        self.after = after

    def ends_epoch(self, training):
        return training.epoch == self.after


def test_any_listener_may_stop_a_training_which_keeps_the_best_weights():
    with attending(Stopping(2), recorder := Recorder(), Stopping(5)):
        _, outcome, _ = train(max_iter=8)
    assert len(outcome.history["loss"]) == 2
    assert recorder.told[-1] == ("ends", "", 2)
    assert not outcome.stopped_early
    assert not outcome.still_falling
    assert outcome.loss <= min(outcome.history["loss"]) or math.isnan(outcome.loss)


def test_listeners_are_closed_after_an_error_and_not_told_of_an_end():
    class Closing(Recorder):
        def close(self):
            self.told.append("closed")

    closing = Closing()
    with pytest.raises(ValueError, match="became nan"), attending(closing):
        minimise(
            lambda batch: {"a": torch.tensor(math.nan)},
            torch.zeros(3, 1),
            Flat(nn.Linear(1, 1)),
            Optimizer("sgd"),
            Plan(3, 2),
            torch.Generator(),
        )
    assert closing.told == [("begins", "", 0), "closed"]


def test_what_a_listener_trains_is_a_fit_of_its_own():
    class Comparing(Recorder):
        def begins(self, training):
            super().begins(training)
            train(max_iter=1)

        def ends_epoch(self, training):
            super().ends_epoch(training)
            with attending(inner):
                train(max_iter=1)

    inner = Recorder()
    with attending(comparing := Comparing(), after := Recorder()), in_stage("layer1"):
        train(max_iter=1)
    assert comparing.told == after.told == [(what, "layer1", n) for what, n in told_in_order()]
    assert inner.told == [(what, "", n) for what, n in told_in_order()]
