"""Priors p(h) without parameters that are learnt: a uniform distribution, and a mixture of equal normal distributions.

Codes have a variance of 1 in mean over the components, as those of N(0, I) have.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from .priors import Prior

__all__ = ["Modes", "Uniform", "spread_on_sphere"]

SEPARATION = 6.0
"""Distance of the nearest two modes, in standard deviations of a mode."""
N_STARTS, N_TURNS = 10, 20
"""Rotations from which modes are turned towards places, and steps from each of them."""


class Uniform(Prior):
    """Independent components, each uniform in [-sqrt(3), sqrt(3)].

    Examples
    --------
    >>> Uniform(2).log_prob(torch.tensor([[0.0, 1.0], [0.0, 2.0]]))  # -2 log(2 sqrt(3)), and outside
    tensor([-2.4849,    -inf])
    """

    def log_prob(self, h: Tensor) -> Tensor:
        outside = (h.abs() > math.sqrt(3)).any(-1)
        density = torch.full_like(h[..., 0], -self.n_components * math.log(2 * math.sqrt(3)))
        return density.masked_fill(outside, -torch.inf)

    @torch.no_grad()
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        u = torch.rand((n, self.n_components), generator=rng, dtype=self.origin.dtype, device=self.origin.device)
        return (2 * u - 1) * math.sqrt(3)


class Modes(Prior):
    """A mixture of round normal distributions of equal weight and size, p(h) = 1/K sum_k N(h; mu_k, s^2 I).

    The means are spread evenly on a sphere, and on a line if there is one component. The nearest two are 6 s from each
    other.

    Parameters
    ----------
    n_components : int
        Width of the codes.
    n_modes : int
        Number K of modes.

    Attributes
    ----------
    means : Tensor of shape (n_modes, n_components)
    deviation : Tensor of shape ()
        s.
    """

    means: Tensor
    deviation: Tensor

    def __init__(self, n_components: int, n_modes: int) -> None:
        super().__init__(n_components)
        self.register_buffer("means", torch.zeros(n_modes, n_components))
        self.register_buffer("deviation", torch.ones(()))

    def initialise(self, rng: torch.Generator) -> None:
        """Place the modes. The places do not depend on the generator."""
        n_modes, n_components = self.means.shape
        if n_modes == 1:
            return
        means = spread_on_sphere(n_modes, n_components)
        apart = np.linalg.norm(means[:, None] - means, axis=2)[~np.eye(n_modes, dtype=bool)].min()
        deviation = apart / SEPARATION
        scale = math.sqrt(n_components / (np.square(means).sum(1).mean() + n_components * deviation**2))
        self.means.copy_(torch.from_numpy(scale * means))
        self.deviation.fill_(scale * deviation)

    def turn_towards(self, places: np.ndarray) -> None:
        """Turn and exchange the modes, so that mode k lies in the direction of place k as far as it can.

        The sum of the inner products of modes and places is maximised over all rotations and orders.

        Parameters
        ----------
        places : ndarray of shape (n_modes, n_components)
        """
        means = self.means.cpu().double().numpy()
        starts = np.random.default_rng(0).standard_normal((N_STARTS, *2 * means.shape[1:]))
        starts[0] = np.eye(means.shape[1])
        found = [_turned(means @ np.linalg.qr(start)[0], places) for start in starts]
        self.means.copy_(torch.from_numpy(max(found, key=lambda turned: float((turned * places).sum()))))

    def log_joint(self, h: Tensor) -> Tensor:
        """Log p(h, k), of shape (..., n_modes)."""
        z = (h[..., None, :] - self.means) / self.deviation
        log_volume = self.n_components * (self.deviation.log() + math.log(2 * math.pi) / 2) + math.log(len(self.means))
        return -0.5 * z.square().sum(-1) - log_volume

    def log_prob(self, h: Tensor) -> Tensor:
        return self.log_joint(h).logsumexp(-1)

    @torch.no_grad()
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.sample_of(torch.randint(len(self.means), (n,), generator=rng, device=self.means.device), rng)

    @torch.no_grad()
    def sample_of(self, modes: Tensor, rng: torch.Generator) -> Tensor:
        """Draw a code of each of these modes: numbers k, of shape (n,)."""
        return self.means[modes] + self.deviation * self._noise(len(modes), rng)


def spread_on_sphere(n: int, width: int) -> np.ndarray:
    """Unit vectors that are far from one another, of shape (n, width); numbers in [-1, 1] if they have one component.

    In two dimensions they are the corners of a polygon. In more, they move from random places, the same in every call,
    as charges that repel one another.
    """
    if width == 1:
        return np.linspace(-1.0, 1.0, n)[:, None]
    if width == 2:
        angles = 2 * np.pi * np.arange(n) / n
        return np.stack([np.cos(angles), np.sin(angles)], 1)
    places = np.random.default_rng(0).standard_normal((n, width))
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    for step in range(200):
        squares = 2 - 2 * places @ places.T
        np.fill_diagonal(squares, np.inf)
        pushes = 1 / squares**2
        force = pushes.sum(1, keepdims=True) * places - pushes @ places
        force -= (force * places).sum(1, keepdims=True) * places  # along the sphere
        longest = np.linalg.norm(force, axis=1).max()
        places += 0.3 * (1 - step / 200) * force / max(longest, 1e-12)
        places /= np.linalg.norm(places, axis=1, keepdims=True)
    return places


def _turned(means: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Order and turn points in alternation, so that their inner products with places grow."""
    for _ in range(N_TURNS):
        means = means[linear_sum_assignment(-places @ means.T)[1]]
        left, _, right = np.linalg.svd(means.T @ places)  # orthogonal Procrustes
        means = means @ left @ right
    return means
