"""Several dense networks of equal shape, computed together in batched matrix products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..functional import ACTIVATIONS

__all__ = ["StackedDense"]


class StackedDense(nn.Module):
    """Networks x -> a_L(... a_1(x W_1 + b_1) ... W_L + b_L), each with weights of its own.

    One batched product takes little more time than the product of one small network, which spends it in calls.

    Parameters
    ----------
    n_networks : int
    sizes : sequence of int
        Width of the input, of each hidden layer and of the output.
    activations : sequence of str
        Keys of ``functional.ACTIVATIONS``, one for each layer.
    dropout : float, default=0.0
        Probability with which a hidden unit is silenced in training. It is rounded to a multiple of 1/256.
    """

    def __init__(self, n_networks: int, sizes: Sequence[int], activations: Sequence[str], dropout: float = 0.0) -> None:
        super().__init__()
        self.n_copies, self.activations, self.dropout = n_networks, tuple(activations), dropout
        self.widest = max(sizes)
        self.multiplications = sum(math.prod(pair) for pair in pairwise(sizes))
        self.weights = nn.ParameterList([nn.Parameter(torch.empty(n_networks, *pair)) for pair in pairwise(sizes)])
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(n_networks, 1, size)) for size in sizes[1:]])
        for bias in self.biases:
            bias.decay = False

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Draw the weights from N(0, 1 / inputs), and set the biases to zero."""
        for weight in self.weights:
            weight.copy_(torch.randn(weight.shape, generator=rng) / math.sqrt(weight.shape[1]))
        for bias in self.biases:
            bias.zero_()

    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Outputs of all networks.

        Parameters
        ----------
        x : Tensor of shape (n, inputs) or (n_networks, n, inputs)
            Rows that all networks see, or rows for each of them.
        rng : Generator or None, default=None
            What draws the hidden units that are silenced. None silences none.

        Returns
        -------
        y : Tensor of shape (n_networks, n, outputs)
        """
        x = x.expand(self.n_copies, *x.shape[-2:])
        for i, activation in enumerate(self.activations):
            x = ACTIVATIONS[activation](torch.baddbmm(self.biases[i], x, self.weights[i]))
            if self.dropout and rng is not None and i < len(self.activations) - 1:
                x = x * _silencing(x, self.dropout, rng)
        return x


def _silencing(x: Tensor, p: float, rng: torch.Generator) -> Tensor:
    """Dropout in the shape of x. A random whole number of 64 bits decides about eight units, which saves time."""
    words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device).random_(-(2**63), None, generator=rng)
    silent = round(p * 256)
    kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= silent
    return kept.to(x.dtype).mul_(256 / (256 - silent))
