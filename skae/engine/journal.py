"""Journal: what the trainings of a fit have come to, so that the same fit can go on from there.

A fit is determined by its data, parameters and seeds. So a journal holds the state of each finished training, that of
the training that is going on, and the seeds that the operating system drew. A fit with this journal runs again from its
start: what is computed between trainings is computed anew, and the trainings take up their states.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .listeners import Listener, listeners

__all__ = ["Journal", "seeded"]

State = dict[str, Any]


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
            training.load(self._finished[place])
        elif self._running is not None:
            running, self._running = self._running, None
            training.load(running)

    def ends_epoch(self, training: Any) -> None:
        """See ``Listener``."""
        if self.is_due(training):
            self.keep(self.content(training.state()))

    def ends(self, training: Any) -> None:
        """See ``Listener``."""
        if len(self._finished) < self._n_begun:
            self._finished.append(training.state())
            if self.is_due(training):
                self.keep(self.content())


def seeded(draw: Callable[[], int]) -> int:
    """A seed that ``draw`` draws, or that of an earlier run if a journal attends."""
    for listener in listeners():
        if isinstance(listener, Journal):
            return listener.seed(draw)
    return draw()
