"""The Markov chain of a denoising autoencoder: its steps as one batch, and chains that ran away."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..engine.notices import warn

__all__ = ["joined", "tell_of_straying"]

FARTHEST = 10.0
"""Hardly any row is so far from the mean, in root mean squares of the rows' distances: it has the variance of a hundred
rows. Chains that run away are soon much farther."""
MOST_SPREAD, LEAST_ROWS = 3.0, 10
"""The root mean square of so many drawn rows should be below that. All of them may stray, but slowly."""


def joined(parts: tuple[Tensor | None, ...]) -> Any:
    """Concatenate tensors along the rows; None if there are none."""
    present = [part for part in parts if part is not None]
    return torch.cat(present) if present else None


def tell_of_straying(model: Any, x: Tensor, n_steps: int) -> None:
    """Warn if rows at the end of chains are far from all training rows.

    Far from all training rows the network is nearly linear. If it stretches rows there, each step leads farther away.

    Parameters
    ----------
    model : DenoisingAutoencoder
        Its rows are centred, or nothing is told: others are drawn from distributions that have limits.
    x : Tensor of shape (n, n_features)
        The rows, on the scale on which the mean square of the training rows is 1.
    n_steps : int
        Number of steps of the chains.
    """
    if not model._frame.centred:
        return
    distances = x.cpu().double().square().mean(dim=1).sqrt().nan_to_num(nan=np.inf).numpy()
    spread = float(np.sqrt(np.square(distances).mean())) if len(x) >= LEAST_ROWS else 0.0
    farthest = float(distances.max())
    if farthest < FARTHEST and spread < MOST_SPREAD:
        return
    cures = f"lower n_steps (now {n_steps}) or n_components (now {model.module_.code_width})"
    if model.corruption == "gaussian":
        cures += f", or raise corruption_level (now {model._level():g})"
    warn(
        f"{(distances > MOST_SPREAD).sum()} of {len(x)} chains ran away from the training rows, the farthest to "
        f"{farthest:.3g} times their root mean square distance from the mean, so these samples mean nothing: {cures}."
    )
