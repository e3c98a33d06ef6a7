"""Normal scores: a monotone map of the values of a column to a normal distribution, and back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

__all__ = ["NormalScores"]

MOST_KNOTS = 1000
"""Values of a column that are kept."""
ATOM = 0.01
"""Share of rows from which on equal values are an atom, to which an interval of scores is mapped back."""


class NormalScores(NamedTuple):
    """The map z = Phi^-1(F(x)), where F is the distribution function of a column.

    F is that of the training rows, at the middle of its steps, and linear between the values. Beyond the smallest and
    the largest value it is constant. An inverse that is linear between the values maps scores back. A value that has at
    least a hundredth of the rows is an atom: all scores of its step are mapped back to it.
    """

    values: np.ndarray
    """Distinct values, ascending."""
    middle: np.ndarray
    """F in the middle of the step at each value."""
    shares: np.ndarray
    """F and values, of which the inverse is drawn through."""
    inverse: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, weight: np.ndarray | None) -> NormalScores:
        """Measure a column without missing entries."""
        weight = np.ones(len(x)) if weight is None else weight
        values, place = np.unique(x[weight > 0], return_inverse=True)
        mass = np.bincount(place, weight[weight > 0]) / weight.sum()
        top = np.minimum(mass.cumsum(), 1.0)
        middle = top - mass / 2
        is_atom = mass >= ATOM
        if len(values) > MOST_KNOTS:
            grid = np.searchsorted(top, np.linspace(0, 1, MOST_KNOTS)).clip(0, len(values) - 1)
            kept = np.union1d(grid, np.flatnonzero(is_atom))
            values, middle, mass, top, is_atom = (part[kept] for part in (values, middle, mass, top, is_atom))
        ends = [middle[~is_atom], (top - mass)[is_atom], top[is_atom]]
        through = [values[~is_atom], values[is_atom], values[is_atom]]
        shares, inverse = np.concatenate(ends), np.concatenate(through)
        order = np.lexsort((inverse, shares))
        return cls(values, middle, shares[order], inverse[order])

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Scores of values. NaN stays NaN."""
        share = np.interp(x, self.values, self.middle)
        return np.where(np.isnan(x), np.nan, torch.special.ndtri(torch.from_numpy(share)).numpy())

    def backward(self, z: np.ndarray) -> np.ndarray:
        """Values of scores."""
        share = torch.special.ndtr(torch.from_numpy(np.ascontiguousarray(z, dtype=np.float64))).numpy()
        return np.interp(share, self.shares, self.inverse)
