"""What a critic and those whom it judges minimise: three ways to set one against the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

__all__ = ["OPPOSITIONS", "Opposition"]


class Opposition(NamedTuple):
    """Losses of a row as functions of the critic's score s, which is high for what looks real."""

    real: Callable[[Tensor], Tensor]
    """Of the critic, for a real row."""
    made: Callable[[Tensor], Tensor]
    """Of the critic, for a row that was made."""
    maker: Callable[[Tensor], Tensor]
    """Of the network that made the row. Of one that makes what counts as real, it is this function of -s."""


OPPOSITIONS = {
    "logistic": Opposition(lambda s: F.softplus(-s), F.softplus, lambda s: F.softplus(-s)),
    "hinge": Opposition(lambda s: F.relu(1 - s), lambda s: F.relu(1 + s), lambda s: -s),
    "wasserstein": Opposition(lambda s: -s, lambda s: s, lambda s: -s),
}
"""Logistic with a maker that does not saturate (Goodfellow et al., 2014), hinge (Lim and Ye, 2017), and the difference
of the mean scores (Arjovsky, Chintala and Bottou, 2017), which needs a critic whose slope is bounded."""
