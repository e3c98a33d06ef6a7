"""Journal: what the trainings of a fit have come to, so that the same fit can go on from there.

A fit is determined by its data, parameters and seeds. So a journal holds the state of each finished training, that of
the training that is going on, and the seeds that the operating system drew. A fit with this journal runs again from its
start: what is computed between trainings is computed anew, and the trainings take up their states.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .listeners import Listener, listeners

__all__ = ["Journal", "StrangeStateError", "seeded"]

State = dict[str, Any]
FAILURES = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
"""Errors that a state of another form may lead to."""


class StrangeStateError(Exception):
    """A journal holds something else than states of the trainings of this fit."""


class Journal(Listener):
    """Notes the trainings of a fit, and lets those that are noted already take up their states.

    Parameters
    ----------
    content : dict or None, default=None
        The ``content`` of the journal of an earlier run of the same fit.
    """

    def __init__(self, content: State | None = None) -> None:
        self._seeds: list[int] = [] if content is None else list(content["seeds"])
        self._finished: list[State] = [] if content is None else list(content["finished"])
        self._running: State | None = None if content is None else content["running"]
        self._n_seeds = self._n_begun = 0

    # ---------------------------------------------------------------- hooks

    def is_due(self, training: Any) -> bool:
        """Whether to keep the journal now, at the end of an epoch, or of the training if that has ended."""
        return False

    def keep(self, content: State) -> None:
        """Keep the content of the journal, from which another one can be made."""

    # ---------------------------------------------------------------- what is noted

    def content(self, running: State | None = None) -> State:
        """All that is noted: numbers, texts, tensors, and lists and dictionaries of such.

        Parameters
        ----------
        running : dict or None, default=None
            State of the training that is going on.
        """
        return {"seeds": [*self._seeds], "finished": [*self._finished], "running": running}

    @property
    def size(self) -> tuple[int, ...]:
        """How much of the fit is noted."""
        return len(self._finished), len(self._seeds)

    def seed(self, draw: Callable[[], int]) -> int:
        """The next of the seeds that are drawn in a fit. ``draw`` is called unless it is noted already."""
        if self._n_seeds == len(self._seeds):
            self._seeds.append(draw())
        self._n_seeds += 1
        return self._seeds[self._n_seeds - 1]

    def begins(self, training: Any) -> None:
        """See ``Listener``."""
        place = self._n_begun
        self._n_begun += 1
        if place < len(self._finished):
            _load(training, self._finished[place])
        elif self._running is not None:
            running, self._running = self._running, None
            _load(training, running)

    def keeps_epoch(self, training: Any) -> None:
        """See ``Listener``."""
        if self.is_due(training):
            self.keep(self.content(training.state()))

    def ends(self, training: Any) -> None:
        """See ``Listener``."""
        if len(self._finished) < self._n_begun:
            self._finished.append(training.state())
            if self.is_due(training):
                self.keep(self.content())


def _load(training: Any, state: Any) -> None:
    try:
        if not _fits(training, state):
            raise ValueError
        training.load(state)
    except FAILURES as error:
        raise StrangeStateError(f"its state of {training.stage or 'the training'} is not that of this fit") from error


def _fits(training: Any, state: Any) -> bool:
    """Whether the tensors of a state have the shapes and dtypes of those of a training."""
    own, watch, moments = training.state(), state["watch"], state["optimizer"]["moments"]
    weights = (
        [state["weights"]] if watch is None else [state["weights"], watch["best"], watch["pending"] or watch["best"]]
    )
    theta, steps = own["weights"][0], torch.zeros(len(training.flat.groups))
    return (
        (watch is None) != (state["outcome"] is None)
        and all(_are_alike(own["weights"], held) for held in weights)
        and all(_are_alike([steps if name == "step" else theta], [moment]) for name, moment in moments.items())
        and _are_alike(own["generators"], state["generators"])
    )


def _are_alike(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    pairs = zip(ours, theirs, strict=True)
    return all(one.shape == other.shape and one.dtype == other.dtype for one, other in pairs)


def seeded(draw: Callable[[], int]) -> int:
    """A seed that ``draw`` draws, or that of an earlier run if a journal attends."""
    for listener in listeners():
        if isinstance(listener, Journal):
            return listener.seed(draw)
    return draw()
