"""Journals: what the trainings of a fit have come to, and seeds that were drawn."""

import itertools

import pytest
import torch
from torch import nn

from skae.engine.journal import Journal, StrangeStateError, seeded
from skae.engine.listeners import Listener, attending
from skae.engine.optim import Flat, Optimizer
from skae.engine.train import Plan, backward, minimise


class Kept(Journal):
    """A journal that keeps every content."""

    def __init__(self, content=None):
        super().__init__(content)
        self.contents = []

    def is_due(self, training):
        return True

    def keep(self, content):
        self.contents.append(content)


class Counting(Listener):
    """Counts epochs."""

    n_epochs = 0

    def ends_epoch(self, training):
        self.n_epochs += 1


class Drawing(list):
    """Batches that are drawn, one after the other."""

    def __init__(self, seed):
        super().__init__(range(3))
        self.generators = (torch.Generator().manual_seed(seed),)

    def __getitem__(self, index):
        return torch.randn(4, generator=self.generators[0])


draws = itertools.count(10)


def fit(n_trainings=2, n_weights=4):
    """Train vectors one after the other, each from a seed that nobody knows."""
    found = []
    for _ in range(n_trainings):
        seed = seeded(lambda: next(draws))
        module = nn.Module()
        module.w = nn.Parameter(torch.zeros(n_weights))
        flat, batches = Flat(module), Drawing(seed)

        def step(batch, w=module.w, n=n_weights):
            return backward({"error": (w - batch.repeat(2)[:n]).square().mean()})

        minimise(step, batches, flat, Optimizer(), Plan(batch_size=1, max_iter=3, rate=0.1), torch.Generator())
        found.append(flat.theta.clone())
    return torch.stack(found)


def test_a_fit_goes_on_from_every_content_of_its_journal():
    with attending(kept := Kept(), counting := Counting()):
        whole = fit()
    assert counting.n_epochs == 6
    assert [len(content["finished"]) for content in kept.contents] == [0, 0, 0, 1, 1, 1, 1, 2]
    lefts = [5, 4, 3, 3, 2, 1, 0, 0]
    for content, left in zip(kept.contents, lefts, strict=True):
        with attending(again := Kept(content), counting := Counting()):
            found = fit()
        assert counting.n_epochs == left
        n_new = len(whole) - len(content["seeds"])  # what was not drawn yet is drawn anew
        assert torch.equal(found[: len(found) - n_new], whole[: len(whole) - n_new])
        assert again.size == (2, 2)
    assert not torch.equal(fit(), whole)


def test_a_content_does_not_change_when_the_fit_goes_on():
    with attending(kept := Kept()):
        fit()
    weights = [content["running"]["weights"][0].clone() for content in kept.contents if content["running"]]
    assert len({tuple(w.tolist()) for w in weights}) == len(weights) == 6
    assert [len(content["seeds"]) for content in kept.contents] == [1, 1, 1, 1, 2, 2, 2, 2]


def test_a_journal_of_another_fit_is_refused():
    with attending(kept := Kept()):
        fit()
    for content in kept.contents:
        with attending(Kept(content)), pytest.raises(StrangeStateError, match="the training is not that of this fit"):
            fit(n_weights=5)


def test_a_plain_journal_keeps_nothing():
    with attending(journal := Journal()):
        fit()
    assert journal.size == (2, 2)


@pytest.mark.parametrize("is_first", [True, False])
def test_an_epoch_is_kept_with_the_word_of_all_whether_it_was_the_last(is_first):
    class Stopping(Listener):
        def ends_epoch(self, training):
            return training.epoch == 2

    kept = Kept()
    with attending(*([Stopping(), kept] if is_first else [kept, Stopping()])):
        fit(n_trainings=1)
    running = [content["running"]["is_stopped"] for content in kept.contents if content["running"]]
    assert running == [False, True]
