"""The learning rate of atoms, which suits the size of their entries."""

from __future__ import annotations

import math

__all__ = ["peak_of_atoms"]


def peak_of_atoms(n_features: int) -> float:
    """Peak of the learning rate for atoms of norm one: 0.15 / sqrt(n_features), but at most 0.03.

    Adam moves every entry by about the rate, and an entry of an atom of norm one is about 1 / sqrt(n_features).
    """
    return min(0.15 / math.sqrt(n_features), 0.03)
