"""The learning rate of atoms, which suits the size of their entries."""

from __future__ import annotations

import math

__all__ = ["rate_of_atoms"]


def rate_of_atoms(n_features: int, schedule: str) -> float:
    """Learning rate for atoms of norm one: 0.15 / sqrt(n_features) at its peak, but at most 0.03, and else a third.

    Adam moves every entry by about the rate, and an entry of an atom of norm one is about 1 / sqrt(n_features).
    """
    peak = min(0.15 / math.sqrt(n_features), 0.03)
    return peak if schedule == "one_cycle" else peak / 3
