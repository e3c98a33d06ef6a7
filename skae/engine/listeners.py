"""Listeners: who attends the trainings of a fit, such as a progress bar, a callback, or a file to go on from.

A fit may train several things one after the other, such as the layers of a stack. Each of them is a stage with a name.
The listeners of the fit attend all stages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

__all__ = ["Listener", "announced", "attending", "current_stage", "in_stage", "listeners"]

_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("listeners", default=())
_stages: ContextVar[tuple[str, ...]] = ContextVar("stages", default=())


class Listener:
    """What attends trainings. A subclass overrides the methods that it needs."""

    def begins(self, training: Any) -> None:
        """Attend the start of a ``Training``. Its ``load`` lets it go on from a state."""

    def begins_epoch(self, training: Any) -> None:
        """Attend the start of an epoch."""

    def ends_epoch(self, training: Any) -> bool | None:
        """Attend the end of an epoch, whose values are in ``training.row``. True stops the training."""
        return None

    def keeps_epoch(self, training: Any) -> None:
        """Attend it once more, when every listener has said whether it stops: see ``training.is_stopped``."""

    def ends(self, training: Any) -> None:
        """Attend the end of a training, with its best weights loaded. It is not called after an error."""

    def close(self) -> None:
        """Give back what is held, after the last training or an error."""


def listeners() -> tuple[Listener, ...]:
    """All that attend trainings now, those of the outermost fit first."""
    return _listeners.get()


@contextmanager
def attending(*new: Listener) -> Iterator[None]:
    """Let listeners attend all trainings in the context, besides those who do already.

    Parameters
    ----------
    *new : Listener
    """
    before = _listeners.set((*_listeners.get(), *new))
    try:
        yield
    finally:
        _listeners.reset(before)
        for listener in new:
            listener.close()


def announced(event: str, training: Any, to: Iterable[Listener]) -> bool:
    """Call a method of listeners, one after the other. Returns whether one of them stops the training.

    What a listener trains meanwhile, such as a callback that compares with another model, is a fit of its own. The
    listeners do not attend it.

    Parameters
    ----------
    event : str
        Name of the method.
    training : Training
    to : iterable of Listener
    """
    attended, staged = _listeners.set(()), _stages.set(())
    try:
        stops = [getattr(listener, event)(training) for listener in to]
        return any(stops)
    finally:
        _listeners.reset(attended)
        _stages.reset(staged)


@contextmanager
def in_stage(name: str) -> Iterator[None]:
    """Name what is trained in the context. Stages may nest.

    Parameters
    ----------
    name : str
        Such as "layer1". An empty name is that of the stage around it.
    """
    before = _stages.set((*_stages.get(), *([name] if name else [])))
    try:
        yield
    finally:
        _stages.reset(before)


def current_stage() -> str:
    """Name of the stage, such as "layer1: head", which is empty if a fit trains one thing alone."""
    return ": ".join(_stages.get())
