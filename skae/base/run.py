"""Run: what a call of ``fit`` or ``partial_fit`` has to do."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Run"]


class Run(NamedTuple):
    """What a call of ``fit`` or ``partial_fit`` has to do."""

    resume: bool = False
    """Continue from the last call."""
    partial: bool = False
    """Take one pass over a chunk, and do not normalise its sample weights."""
    train: bool = True
    """False initialises the weights and does not train them."""
    held_out: bool = False
    """Some rows are held out, and training watches their loss."""
