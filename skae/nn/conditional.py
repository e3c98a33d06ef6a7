"""Encoders and decoders with a prior p(u | c) of the code that depends on conditions c."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .coder import Coder
from .convolutional import ImageAutoencoder
from .dense import Dense, DenseAutoencoder, Tape

__all__ = ["ConditionalDense", "ConditionalImages", "Location"]

WIDTH = 64
"""Hidden units of the network that reads the conditions."""
MOST_LOG_DEVIATION = 2.0
"""Logarithms of the deviations s lie between this and minus this."""


class Location(nn.Module):
    """Means m(c) and deviations s(c) of p(u | c) = N(m, diag(s^2)): a network with one hidden layer.

    Its parameters are spared from weight decay.

    Parameters
    ----------
    n_components : int
        Width of u.
    n_conditions : int
        Width of c.
    """

    def __init__(self, n_components: int, n_conditions: int) -> None:
        super().__init__()
        self.network = Dense([n_conditions, WIDTH, 2 * n_components], "tanh")
        for parameter in self.parameters():
            parameter.decay = False  # type: ignore[attr-defined]

    def forward(self, c: Tensor) -> tuple[Tensor, Tensor]:
        """M and log s, given conditions of shape (n, n_conditions)."""
        return self._bounded(self.network(c))

    def propagate(self, c: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tape]:
        """``forward`` in training, and the tape that ``backpropagate`` needs."""
        output, tape = self.network.propagate(c, rng)
        return *self._bounded(output), tape

    def backpropagate(self, tape: Tape, log_s: Tensor, in_m: Tensor, in_log_s: Tensor) -> None:
        """Add to ``.grad``, given the gradients in m and in log s."""
        in_output = in_log_s * (1 - (log_s / MOST_LOG_DEVIATION).square())
        self.network.backpropagate(tape, torch.cat([in_m, in_output], 1), to_input=False)

    def _bounded(self, output: Tensor) -> tuple[Tensor, Tensor]:
        m, raw = output.chunk(2, 1)
        return m, MOST_LOG_DEVIATION * torch.tanh(raw / MOST_LOG_DEVIATION)

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Start as N(0, I), whatever c is."""
        self.network.initialise(rng)
        self.network.weights[-1].zero_()


class _Located(Coder):
    """A coder whose code is h = (u - m(c)) / s(c), where u is what its networks compute and decode.

    If p(u | c) is N(m(c), diag(s(c)^2)), then the prior of h is N(0, I) whatever c is, and KL(q(u | x, c) || p(u | c))
    is KL(q(h | x, c) || N(0, I)). So a prior that is learnt for each condition is a part of the coder, and codes of
    different conditions can be compared. The second of the two moments of the code is log sigma^2.

    References
    ----------
    Sohn, Lee and Yan (2015), "Learning Structured Output Representation using Deep Conditional Generative Models",
    https://papers.nips.cc/paper/2015/hash/8d55a249e6baa5c06772297520da2051-Abstract.html
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.location = Location(self.n_components, self.n_conditions)

    def initialise(self, mean: Tensor, rng: torch.Generator) -> None:
        """Start as the coder without a location."""
        super().initialise(mean, rng)
        self.location.initialise(rng)

    def encode(self, x: Tensor, rng: torch.Generator | None = None, known: Tensor | None = None) -> Tensor:
        """See ``Coder``."""
        return self._standardised(super().encode(x, rng, known), *self.location(x[:, self.n_features :]))

    def decode(self, h: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """See ``Coder``."""
        return super().decode(self._located(h, *self.location(h[:, self.n_components :])), rng)

    def _standardised(self, e: Tensor, m: Tensor, log_s: Tensor) -> Tensor:
        mu, log_variance = e.chunk(2, 1)
        return torch.cat([(mu - m) * (-log_s).exp(), log_variance - 2 * log_s], 1)

    def _located(self, h: Tensor, m: Tensor, log_s: Tensor) -> Tensor:
        code, c = h.tensor_split([self.n_components], 1)
        return torch.cat([torch.addcmul(m, code, log_s.exp()), c], 1)


class ConditionalImages(_Located, ImageAutoencoder):
    """Convolutional encoder and decoder with a prior that depends on conditions."""


class ConditionalDense(_Located, DenseAutoencoder):
    """Dense encoder and decoder with a prior that depends on conditions."""

    @property
    def directions(self) -> None:
        """None: how far a unit of the code moves the output depends on the conditions."""
        return None

    def pull_back(self, x: Tensor, v: Tensor, known: Tensor | None = None) -> Tensor:
        _, log_s = self.location(x[:, self.n_features :])
        return super().pull_back(x, v * (-log_s).exp()[:, None], known)

    def encode_forward(self, x: Tensor, rng: torch.Generator, known: Tensor | None = None) -> tuple[Tensor, Any]:
        e, tape = super().encode_forward(x, rng, known)
        m, log_s, of_location = self.location.propagate(x[:, self.n_features :], rng)
        standardised = self._standardised(e, m, log_s)
        return standardised, (tape, of_location, log_s, standardised)

    def decode_forward(self, h: Tensor, rng: torch.Generator) -> tuple[Tensor, Any]:
        m, log_s, of_location = self.location.propagate(h[:, self.n_components :], rng)
        eta, tape = super().decode_forward(self._located(h, m, log_s), rng)
        return eta, (tape, of_location, log_s, h)

    def encode_backward(self, tape: Any, g: Tensor) -> None:
        below, of_location, log_s, standardised = tape
        in_mean, in_log_variance = g.chunk(2, 1)
        in_mu = in_mean * (-log_s).exp()
        mean = standardised[:, : self.n_components]
        self.location.backpropagate(of_location, log_s, -in_mu, -in_mean * mean - 2 * in_log_variance)
        super().encode_backward(below, torch.cat([in_mu, in_log_variance], 1))

    def decode_backward(self, tape: Any, g: Tensor) -> Tensor:
        below, of_location, log_s, h = tape
        in_u, in_c = super().decode_backward(below, g).tensor_split([self.n_components], 1)
        in_code = in_u * log_s.exp()
        self.location.backpropagate(of_location, log_s, in_u, in_code * h[:, : self.n_components])
        return torch.cat([in_code, in_c], 1)  # without what c does to the location, which nobody asks for
