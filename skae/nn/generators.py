"""Generator: a network that learns a prior p(h), by making codes of noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import functional
from .dense import Dense
from .priors import Prior

__all__ = ["Generator", "on_sphere"]


def on_sphere(h: Tensor) -> Tensor:
    """Codes with the length of the root of their width, h sqrt(k) / ||h||. A code of length 0 stays where it is.

    Parameters
    ----------
    h : Tensor of shape (n, k)
    """
    return h * (math.sqrt(h.shape[1]) / h.norm(dim=1, keepdim=True).clamp_min(1e-6))


class Generator(Prior):
    """The distribution of h = g(s) with noise s from N(0, I). Its density is not known.

    The network is g(s) = W s + r(s). At first r is zero, and W maps noise to codes that are normally distributed with
    the mean 0 and the variance 1 in mean over the components. With ``spherical`` they are then moved to the sphere, as
    ``on_sphere`` says. The parameters are the part "generator".

    Parameters
    ----------
    n_components : int
        Width of the codes.
    n_noise : int
        Width of the noise.
    hidden_layer_sizes : sequence of int
        Widths of the hidden layers of r.
    activation : str
        A key of ``functional.ACTIVATIONS``.
    spherical : bool, default=False

    Examples
    --------
    >>> generator = Generator(2, 5, (16,), "silu")
    >>> generator.initialise(torch.Generator().manual_seed(0))
    >>> generator.sample(3, torch.Generator().manual_seed(0)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        n_components: int,
        n_noise: int,
        hidden_layer_sizes: Sequence[int],
        activation: str,
        *,
        spherical: bool = False,
    ) -> None:
        super().__init__(n_components)
        self.spherical = spherical
        self.n_noise = n_noise
        self.linear = nn.Parameter(torch.zeros(n_components, n_noise))
        self.residual = Dense([n_noise, *hidden_layer_sizes, n_components], activation)
        self._spare_from_decay()
        for parameter in self.parameters():
            parameter.part = "generator"  # type: ignore[attr-defined]

    def noise(self, n: int, rng: torch.Generator) -> Tensor:
        """Noise for n codes, of shape (n, n_noise)."""
        return functional.standard_normal(self.origin[:1].expand(n, self.n_noise), rng)

    def forward(self, s: Tensor) -> Tensor:
        """The codes that are made of noise, of shape (n, n_components)."""
        made: Tensor = F.linear(s, self.linear) + self.residual(s)
        return on_sphere(made) if self.spherical else made

    @torch.no_grad()
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self(self.noise(n, rng))

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        self.residual.initialise(rng)
        self.residual.weights[-1].zero_()
        n_noise, n_components = self.n_noise, self.n_components
        if n_noise == n_components:
            self.linear.copy_(torch.eye(n_components))
            return
        directions = torch.randn(max(self.linear.shape), min(self.linear.shape), generator=rng, dtype=torch.float64)
        axes = torch.linalg.qr(directions)[0]  # orthonormal columns
        wide = axes.t() if n_noise > n_components else axes * (n_components / n_noise) ** 0.5
        self.linear.copy_(wide)
