"""A Markov chain that has left the rows that its model was trained on, and what to tell of it."""

from __future__ import annotations

import numpy as np
from torch import Tensor

__all__ = ["tell_of_straying"]

FARTHEST = 10.0
"""Hardly any row is so far from the mean, in root mean squares of the rows' distances: it has the variance of a hundred
rows. Chains that run away are soon much farther."""
MOST_SPREAD, LEAST_ROWS = 3.0, 10
"""The root mean square of so many drawn rows should be below that. All of them may stray, but slowly."""


def tell_of_straying(x: Tensor, n_steps: int, cures: list[str]) -> str | None:
    """What is wrong with rows at the end of a chain of which some are far from all training rows, or None.

    Parameters
    ----------
    x : Tensor of shape (n, n_features)
        The rows, centred and scaled such that the mean square of the training rows is 1.
    n_steps : int
        Number of steps of the chain.
    cures : list of str
        What to do about it, apart from fewer steps. At least one.
    """
    distances = x.cpu().double().square().mean(dim=1).sqrt().nan_to_num(nan=np.inf).numpy()
    spread = float(np.sqrt(np.square(distances).mean())) if len(x) >= LEAST_ROWS else 0.0
    if distances.max() < FARTHEST and spread < MOST_SPREAD:
        return None
    astray, farthest = int((distances > MOST_SPREAD).sum()), float(distances.max())
    return (
        f"{astray} of {len(x)} chains ran away from the training rows, the farthest to {farthest:.3g} times their root "
        f"mean square distance from the mean, so these samples mean nothing: lower n_steps (now {n_steps}), "
        f"{', '.join([*cures[:-1], f'or {cures[-1]}'])}."
    )
