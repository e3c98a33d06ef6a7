"""Likelihoods of the data given a decoder's output: loss, its gradient, mean and link."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .. import functional

__all__ = ["Bernoulli", "Categorical", "Gaussian", "Head", "Poisson", "head_of"]


class Head(nn.Module):
    """A likelihood p(x | eta) of the decoder's output eta."""

    slope = 1.0
    embeds = False
    """Whether the encoder sees anything but x itself."""

    def entries(self, eta: Tensor, x: Tensor) -> Tensor:
        """-log p(x_ij | eta_ij) of each entry, up to constants."""
        raise NotImplementedError

    def loss(self, eta: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mean over the rows of -log p(x | eta), with weights a row or an entry.

        Weights of entries must be equal within a group of columns that share a distribution.
        """
        return functional.weighted_average(self.entries(eta, x), weight)

    def gradient(self, eta: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """Gradient of ``loss`` in eta, which is a multiple of E[x | eta] - x for every natural parameter eta."""
        return _weighted((self.mean(eta) - x).mul_(self.slope / len(x)), weight)

    def mean(self, eta: Tensor) -> Tensor:
        """E[x | eta]."""
        return eta

    def sample(self, eta: Tensor, rng: torch.Generator) -> Tensor:
        """X from p(x | eta)."""
        raise NotImplementedError

    def link(self, mean: Tensor) -> Tensor:
        """The eta whose mean this is."""
        return mean

    def embed(self, x: Tensor) -> Tensor:
        """What the encoder sees of x."""
        return x

    def embed_slope(self, x: Tensor, g: Tensor) -> Tensor:
        """Gradients in x, of shape (n, m, n_features), given those in ``embed(x)``."""
        return g


class Gaussian(Head):
    """Squared error of standardised input; its variance is not modelled, so that a sample is the mean."""

    slope = 2.0

    def entries(self, eta: Tensor, x: Tensor) -> Tensor:
        return functional.squared_error(eta, x)

    def loss(self, eta: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        return functional.mean_squared_error(eta, x) if weight is None else super().loss(eta, x, weight)

    def sample(self, eta: Tensor, rng: torch.Generator) -> Tensor:
        return eta


class Bernoulli(Head):
    """Cross-entropy with logits, x in [0, 1]."""

    def entries(self, eta: Tensor, x: Tensor) -> Tensor:
        return functional.bernoulli_nll(eta, x)

    def mean(self, eta: Tensor) -> Tensor:
        return torch.sigmoid(eta)

    def sample(self, eta: Tensor, rng: torch.Generator) -> Tensor:
        return torch.bernoulli(self.mean(eta), generator=rng)

    def link(self, mean: Tensor) -> Tensor:
        return torch.logit(mean, eps=1e-3)


class Poisson(Head):
    """Counts with a log link; the encoder sees log(1 + x)."""

    embeds = True

    def entries(self, eta: Tensor, x: Tensor) -> Tensor:
        return functional.poisson_nll(eta, x)

    def mean(self, eta: Tensor) -> Tensor:
        return eta.exp()

    def sample(self, eta: Tensor, rng: torch.Generator) -> Tensor:
        return torch.poisson(self.mean(eta), generator=rng)

    def link(self, mean: Tensor) -> Tensor:
        return mean.clamp_min(1e-3).log()

    def embed(self, x: Tensor) -> Tensor:
        return torch.log1p(x.clamp_min(0))

    def embed_slope(self, x: Tensor, g: Tensor) -> Tensor:
        return g * torch.where(x >= 0, 1 / (1 + x), 0.0)[:, None]


class Categorical(Head):
    """A softmax over each group of adjacent columns, as one-hot encoding makes them.

    Parameters
    ----------
    sizes : sequence of int
        Columns of each group.
    """

    member: Tensor

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.n_groups = len(sizes)
        self.register_buffer("member", torch.arange(self.n_groups).repeat_interleave(torch.as_tensor(sizes)))

    def entries(self, eta: Tensor, x: Tensor) -> Tensor:
        return functional.categorical_nll(eta, x, self.member, self.n_groups)

    def gradient(self, eta: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        totals = functional.group_sum(x, self.member, self.n_groups)  # 1, where groups are one-hot
        return _weighted((self.mean(eta) * totals[:, self.member] - x).div_(len(x)), weight)

    def mean(self, eta: Tensor) -> Tensor:
        return functional.group_log_softmax(eta, self.member, self.n_groups).exp()

    def sample(self, eta: Tensor, rng: torch.Generator) -> Tensor:
        gumbel = -torch.empty_like(eta).exponential_(generator=rng).log()
        score = eta + gumbel
        return (score == functional.group_max(score, self.member, self.n_groups)[:, self.member]).to(eta.dtype)

    def link(self, mean: Tensor) -> Tensor:
        return mean.clamp_min(1e-3).log()


def head_of(likelihood: str, categories: Sequence[int]) -> Head:
    """The head of a likelihood, by its name; the sizes of groups are those of the categorical one."""
    if likelihood == "categorical":
        return Categorical(categories)
    return {"gaussian": Gaussian, "bernoulli": Bernoulli, "poisson": Poisson}[likelihood]()


def _weighted(gradient: Tensor, weight: Tensor | None) -> Tensor:
    """A gradient times the weights of rows or of entries, in place."""
    if weight is None:
        return gradient
    return gradient.mul_(weight[:, None] if weight.ndim == 1 else weight)
