"""Networks that improve a first guess at missing entries. Several are trained in one batched computation."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ..base import damage
from ..base.damage import Saved
from ..base.estimator import TorchEstimator
from ..base.params import PositiveInt, Probability
from ..base.transformer import row_by_row
from ..engine.data import Batch, Source
from ..engine.optim import Terms
from ..nn.stacked_dense import StackedDense

__all__ = ["Refinement", "RefiningNetworks"]


class RefiningNetworks(StackedDense):
    """Several networks of equal shape, each of which maps [f, known] to f + net([f, known]).

    Parameters
    ----------
    n_features : int
        Number of columns of f.
    n_networks : int
    width, depth : int
        Number of units of a hidden layer, and of hidden layers.
    dropout : float
        See ``StackedDense``.
    """

    def __init__(self, n_features: int, n_networks: int, width: int, depth: int, dropout: float) -> None:
        sizes = [2 * n_features, *[width] * depth, n_features]
        super().__init__(n_networks, sizes, [*["silu"] * depth, "identity"], dropout)
        self.n_features = n_features

    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """What each network makes of a batch [f, known], of shape (n_networks, n, n_features)."""
        return x[:, : self.n_features] + super().forward(x, rng)


class Refinement(TorchEstimator):
    """Networks that learn what is wrong with a first guess at missing entries.

    X is [f, known]: rows whose missing entries hold a guess, and which entries are observed. y is [x, counted]: the
    rows as they are, and how much each entry counts. The networks f + net([f, known]) minimise the squared error of
    the entries that count.

    Parameters
    ----------
    n_networks : int, default=4
        Number of networks. ``transform`` returns the mean of what they say.
    width, depth : int
        Number of units of a hidden layer, and number of hidden layers.
    dropout : float, default=0.1
        Probability with which a hidden unit is silenced in training.
    """

    n_networks: PositiveInt = 4
    width: PositiveInt = 128
    depth: PositiveInt = 3
    dropout: Probability = 0.1

    _Module = RefiningNetworks
    _saved: ClassVar[dict[str, Saved]] = {"_spec": Saved(damage.spec_with_layers("depth"))}

    def _targets(self, y: Any, n_samples: int, weight: np.ndarray | None, reset: bool | None) -> Any:
        return y

    def _standardizes(self) -> bool:
        return False

    def _is_noisy(self) -> bool:
        return True

    def _architecture(self, n_features: int) -> dict[str, Any]:
        shape = {name: int(getattr(self, name)) for name in ("n_networks", "width", "depth")}
        return {"n_features": n_features // 2, **shape, "dropout": float(self.dropout)}

    @torch.no_grad()
    def _initialise(self, module: RefiningNetworks, data: Any, rng: torch.Generator) -> None:
        """Draw the weights. Those of the last layer are zero, so that training starts at the first guess."""
        for weight in module.weights[:-1]:
            weight.copy_(torch.randn(weight.shape, generator=rng) * math.sqrt(2 / weight.shape[1]))
        module.weights[-1].zero_()

    def _loss(self, module: RefiningNetworks, batch: Batch, rng: torch.Generator | None) -> Terms:
        assert batch.y is not None
        x, counted = batch.y.chunk(2, 1)
        wrong = (module(batch.x, rng) - x).square().mean(0)
        return {"error": (counted * wrong).sum() / counted.sum().clamp_min(1e-12)}

    def _encode(self, module: RefiningNetworks, batch: Batch) -> Tensor:
        return row_by_row(lambda rows: module(rows.x).mean(0), batch)

    @property
    def _n_features_out(self) -> int:
        return int(self._spec["n_features"])

    def _failure(self, data: Source) -> None:
        """Nothing: the guess itself is used where the networks do not improve it."""
