"""DeepBoltzmannMachine: seconds beside a bare PyTorch loop, and figures of digits beside RBM and DeepBeliefNetwork.

    python benchmarks/dbm.py [--only speed digits labels defaults] [--seeds 100 101 102] [--data DIR]

"speed": an epoch of joint training, beside a loop as a tutorial would write it, with the same mean field, the same
chains, centring and momentum. Both run on one thread, and the time of that thread is measured.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

CASES = {"64-64-64": (1797, 64, 64, 64, 30), "784-500-1000": (2000, 784, 500, 1000, 2)}
"""Rows, their width, units of the two hidden layers, and epochs that are timed."""
BATCH, SWEEPS, RATE, MOMENTUM, FOLLOW = 100, 5, 0.05, 0.5, 0.01


def up(x: Tensor, W: Tensor, bias: Tensor) -> Tensor:
    """Fields of the layer above."""
    return torch.addmm(bias, x, W.t())


class BareLoop:
    """A centred machine of two hidden layers, learnt by mean field and persistent chains."""

    def __init__(self, X: np.ndarray, n_1: int, n_2: int) -> None:
        self.data, width = torch.from_numpy(X), X.shape[1]
        mean = self.data.mean(0)
        self.W1, self.W2 = 0.1 * torch.randn(n_1, width), 0.1 * torch.randn(n_2, n_1)
        self.a, self.b, self.c = torch.logit(mean.clamp(0.01, 0.99)), torch.zeros(n_1), torch.zeros(n_2)
        self.mu, self.lam_1, self.lam_2 = mean.clone(), torch.full((n_1,), 0.5), torch.full((n_2,), 0.5)
        self.speeds = [torch.zeros_like(p) for p in self.parameters()]
        self.chain = torch.bernoulli(torch.full((BATCH, n_1), 0.5))

    def parameters(self) -> list[Tensor]:
        """All of them."""
        return [self.W1, self.W2, self.a, self.b, self.c]

    def epoch(self) -> None:
        """One pass over shuffled rows."""
        for rows in torch.randperm(len(self.data)).split(BATCH):
            self.step(self.data[rows])

    def step(self, v: Tensor) -> None:
        """One update of the parameters and the offsets."""
        below = up(v, self.W1, self.b)
        h_2 = self.lam_2.expand(len(v), -1)
        for _ in range(SWEEPS):
            h_1 = torch.sigmoid(torch.addmm(below, h_2, self.W2))
            h_2 = torch.sigmoid(up(h_1, self.W2, self.c))
        h_1 = torch.sigmoid(torch.addmm(below, h_2, self.W2))
        v_model = torch.bernoulli(torch.sigmoid(torch.addmm(self.a, self.chain, self.W1)))
        h_2_model = torch.bernoulli(torch.sigmoid(up(self.chain, self.W2, self.c)))
        h_1_model = torch.sigmoid(torch.addmm(up(v_model, self.W1, self.b), h_2_model, self.W2))
        self.chain = torch.bernoulli(h_1_model)
        self.update(self.gradient(v, h_1, h_2), self.gradient(v_model, h_1_model, h_2_model))
        self.mu.lerp_(v.mean(0), FOLLOW)
        self.lam_1.lerp_(h_1.mean(0), FOLLOW)
        self.lam_2.lerp_(h_2.mean(0), FOLLOW)

    def gradient(self, v: Tensor, h_1: Tensor, h_2: Tensor) -> list[Tensor]:
        """Means over the rows of the centred statistics, in the order of the parameters."""
        v, h_1, h_2 = v - self.mu, h_1 - self.lam_1, h_2 - self.lam_2
        return [h_1.t() @ v / len(v), h_2.t() @ h_1 / len(v), v.mean(0), h_1.mean(0), h_2.mean(0)]

    def update(self, data: list[Tensor], model: list[Tensor]) -> None:
        """Go up the gradient. The biases take up what the offsets move."""
        d_W1, d_W2, d_a, d_b, d_c = (one - other for one, other in zip(data, model, strict=True))
        d_a -= self.lam_1 @ d_W1
        d_b -= d_W1 @ self.mu + self.lam_2 @ d_W2
        d_c -= d_W2 @ self.lam_1
        for p, speed, d in zip(self.parameters(), self.speeds, (d_W1, d_W2, d_a, d_b, d_c), strict=True):
            speed.mul_(MOMENTUM).add_(d)
            p.add_(speed, alpha=RATE)
