"""Learning from rows with gaps: the gradient of a batch in which entries are unknown."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..energy.deep import Deep
from ..energy.layers import columns_of
from ..engine.data import Batch
from ..engine.optim import Terms

__all__ = ["step_in_parts"]


def step_in_parts(step: Callable[[str, Batch], Terms], module: Deep, batch: Batch, algorithm: str) -> Terms:
    """Write the gradient of a batch in which some rows lack a modality.

    Such rows are learnt by contrastive divergence. What they lack is drawn by short chains, which make it clearer than
    the model does if mean field stands for hidden units. If the machine learnt from that as from data, it would trust
    itself more and more. The chains of contrastive divergence start at the same states, so that most of this cancels.

    The gradient is the mean over the other rows, plus the mean over those times their share. So they do not dilute what
    the others say about how modalities go together.

    Parameters
    ----------
    step : callable
        ``step(algorithm, rows)`` adds the gradient of some rows and returns terms.
    module : Deep
    batch : Batch
    algorithm : str
        A key of ``CHAINS``.
    """
    lacking = lacks_a_modality(module, batch.x)
    if not bool(lacking.any()):
        return step(algorithm, batch)
    if bool(lacking.all()):
        return step("cd", batch)
    some = batch.take(lacking)
    weight = torch.ones_like(some.x[:, 0]) if some.weight is None else some.weight
    step("cd", some._replace(weight=weight * lacking.to(weight).mean()))
    return step(algorithm, batch.take(~lacking))


def lacks_a_modality(module: Deep, x: Tensor) -> Tensor:
    """Whether a layer of the rows is unknown as a whole, of shape (n,)."""
    gaps, widths = ~module.are_known(x), [len(module.bias(k)) for k in range(module.n_seen)]
    return torch.stack([gaps[:, columns].all(1) for columns in columns_of(widths)], 1).any(1)
