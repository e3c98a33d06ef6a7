"""What the steps of several machines have in common: offsets that follow, and gradients of rows with gaps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..energy.deep import Deep
from ..energy.harmonium import Harmonium
from ..energy.layers import columns_of
from ..engine.data import Batch
from ..engine.group import current
from ..engine.optim import Terms
from ..functional import gradient_of

__all__ = ["allow_for_spread", "follow", "lacks_a_modality", "mean_activation", "step_in_parts"]


def follow(machine: Harmonium, s: Tensor, h: Tensor, share: Tensor, rate: float) -> None:
    """Let the offsets of a machine follow the means of a batch, see ``Harmonium.follow``.

    If several processes divide the batch, these are the means of all of its rows.
    """
    group = current()
    if group.size > 1:
        sums = group.mean_of_batch(torch.cat([share @ s, share @ h, share.sum()[None]]))
        s, h, share = (part[None] for part in (sums / sums[-1].clamp_min(1e-30)).split([s.shape[1], h.shape[1], 1]))
        share = sums[-1:]
    machine.follow(s, h, share, rate)


def mean_activation(h: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of the expectations h of hidden units over a batch, and the sum of the shares of its rows."""
    sums = current().mean_of_batch(torch.cat([share @ h, share.sum()[None]]))
    total = sums[-1].clamp_min(1e-30)
    return sums[:-1] / total, total


def step_in_parts(step: Callable[[str, Batch], Terms], module: Deep, batch: Batch, algorithm: str) -> Terms:
    """Write the gradient of a batch in which some rows lack a modality.

    Such rows are learnt by contrastive divergence, and mean field stands for what they lack. It makes that clearer than
    the model does, and if the machine learnt from it as from data, it would trust itself more and more. The chains of
    contrastive divergence start at the same states, so that most of this cancels.

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


def allow_for_spread(module: Deep, x: Tensor, weight: Tensor | None) -> None:
    """Correct the gradient in log sigma: the variance of an unknown entry, which is 1, is not in its mean."""
    weight = torch.ones_like(x[:, 0]) if weight is None else weight
    unknown = weight @ x.isnan().to(weight) / len(x)
    for columns in module.scaled:
        gradient_of(module.log_scale)[columns] -= unknown[columns]
