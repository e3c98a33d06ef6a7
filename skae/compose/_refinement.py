"""Networks that improve a first guess at missing entries. Several are trained in one batched computation."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..base.estimator import TorchEstimator
from ..base.params import PositiveInt, Probability
from ..base.transformer import row_by_row
from ..engine.data import Batch, Source
from ..engine.optim import Terms

__all__ = ["Refinement", "RefiningNetworks"]


class RefiningNetworks(nn.Module):
    """Several networks of equal shape, each of which maps [f, known] to f + net([f, known]).

    Parameters
    ----------
    n_features : int
        Number of columns of f.
    n_networks : int
    width, depth : int
        Number of units of a hidden layer, and of hidden layers.
    dropout : float
        Probability with which a hidden unit is silenced in training. It is rounded to a multiple of 1/256.
    """

    def __init__(self, n_features: int, n_networks: int, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.n_features, self.n_copies, self.dropout = n_features, n_networks, dropout
        sizes = [2 * n_features, *[width] * depth, n_features]
        self.widest = max(sizes)
        pairs = list(pairwise(sizes))
        self.weights = nn.ParameterList([nn.Parameter(torch.empty(n_networks, *pair)) for pair in pairs])
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(n_networks, 1, m)) for _, m in pairs])
        for bias in self.biases:
            bias.decay = False
        self.multiplications = sum(math.prod(pair) for pair in pairs)

    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """What each network makes of a batch [f, known], of shape (n_networks, n, n_features)."""
        a = x.expand(self.n_copies, *x.shape)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            a = F.silu(torch.baddbmm(bias, a, weight))
            if self.dropout and rng is not None:
                a = a * _silencing(a, self.dropout, rng)
        return x[:, : self.n_features] + torch.baddbmm(self.biases[-1], a, self.weights[-1])


def _silencing(x: Tensor, p: float, rng: torch.Generator) -> Tensor:
    """Dropout in the shape of x. A random whole number of 64 bits decides about eight units, which saves time."""
    words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device).random_(-(2**63), None, generator=rng)
    silent = round(p * 256)
    kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= silent
    return kept.to(x.dtype).mul_(256 / (256 - silent))


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
