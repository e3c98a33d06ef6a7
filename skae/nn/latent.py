"""A code that is a distribution for each row: a normal one, with the bounds it gives, or one of any shape.

Kingma and Welling (2014), "Auto-Encoding Variational Bayes", https://arxiv.org/abs/1312.6114
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..functional import common_normal, gaussian_divergence
from .bottleneck import Bottleneck
from .dense import Dense

__all__ = ["Posterior", "Universal", "drawn_by_hand", "importance_weighted", "total_correlation"]

LOG_VARIANCES = -30.0, 4.0
"""Smallest and largest log variance. They keep codes and densities of rows far from the training data finite."""


class Posterior(NamedTuple):
    """Means and log variances of the codes of some rows."""

    mu: Tensor
    """Means, of shape (n, n_components)."""
    log_variance: Tensor
    """log sigma^2, of the same shape."""

    @classmethod
    def of(cls, e: Tensor) -> Posterior:
        """Read what an encoder puts out: e = [mu | log sigma^2].

        Log variances below -30 or above 4 are set to these bounds. The gradient ignores them.

        Parameters
        ----------
        e : Tensor of shape (n, 2 n_components)
        """
        mu, raw = e.chunk(2, 1)
        bounded = raw.detach().clamp(*LOG_VARIANCES)
        return cls(mu, raw + (bounded - raw).detach() if e.requires_grad else bounded)

    @property
    def sigma(self) -> Tensor:
        """Standard deviations, of shape (n, n_components)."""
        return (self.log_variance * 0.5).exp()

    def drawn(self, eps: Tensor) -> Tensor:
        """Codes mu + sigma eps, given numbers from N(0, 1). Leading axes of eps count draws."""
        return torch.addcmul(self.mu, self.sigma, eps)

    def log_prob(self, h: Tensor) -> Tensor:
        """Log q(h | x) in nats, of shape (..., n), given codes of shape (..., n, n_components)."""
        z = (h - self.mu) / self.sigma
        return -0.5 * (z.square() + self.log_variance + math.log(2 * math.pi)).sum(-1)

    def entropy(self) -> Tensor:
        """Entropy of q(h | x) of each row in nats, of shape (n,)."""
        return 0.5 * (self.log_variance + (1 + math.log(2 * math.pi))).sum(1)


class Universal(nn.Module):
    """A code that is a function of a row and of noise: h = m + g(e, eps), for e = [m | r] and eps from N(0, I).

    The encoder puts out e, and g is a dense network. So q(h | x) may have any shape, and no density is known. At the
    start g is zero.

    Parameters
    ----------
    n_components : int
        Width of h, of m, of r and of eps.
    width : int
        Hidden units of g.
    activation : str
        A key of ``functional.ACTIVATIONS``, of the hidden units.

    References
    ----------
    Makhzani, Shlens, Jaitly, Goodfellow and Frey (2015), "Adversarial Autoencoders", section 2.1,
    https://arxiv.org/abs/1511.05644
    """

    def __init__(self, n_components: int, width: int, activation: str) -> None:
        super().__init__()
        self.n_components = n_components
        self.network = Dense([3 * n_components, width, n_components], activation)

    def drawn(self, e: Tensor, eps: Tensor) -> Tensor:
        """Codes of n rows, given noise of shape (n, n_components). Leading axes of eps count draws."""
        seen = torch.cat([e.expand(*eps.shape[:-1], -1), eps], -1)
        shifted: Tensor = e[:, : self.n_components] + self.network(seen)
        return shifted

    def mean(self, e: Tensor, n_draws: int) -> Tensor:
        """Mean code of each row, over noise that all rows share."""
        eps = common_normal(n_draws, self.n_components).to(e)
        return self.drawn(e, eps[:, None].expand(-1, len(e), -1)).mean(0)

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Draw the weights of the hidden units, and set those above them to zero."""
        self.network.initialise(rng)
        self.network.weights[-1].zero_()


def drawn_by_hand(
    e: Tensor, eps: Tensor, weight: Tensor | None, beta: float | Tensor, free_bits: float = 0.0
) -> Bottleneck:
    """Draw codes h = mu + sigma eps, with the divergence from N(0, I) as a term and the gradient by hand.

    Parameters
    ----------
    e : Tensor of shape (n, 2 n_components)
        What the encoder puts out, see ``Posterior.of``.
    eps : Tensor of shape (n, n_components)
        Draws from N(0, 1).
    weight : Tensor of shape (n,) or None
        Sample weights.
    beta : float or Tensor of shape ()
        Weight of the divergence.
    free_bits : float, default=0.0
        Divergence of each component, in mean over the rows, that costs nothing.
    """
    q = Posterior.of(e)
    sigma = q.sigma
    noise = sigma * eps
    share: Tensor | float = 1 / len(e) if weight is None else (weight / len(e))[:, None]
    divergence = (gaussian_divergence(q.mu, q.log_variance) * share).sum(0)
    scale = beta * share
    if free_bits:
        scale = scale * (divergence > free_bits)
        divergence = divergence.clamp_min(free_bits)

    def backward(g: Tensor) -> Tensor:
        spread = (sigma.square() - 1).mul_(scale)
        return torch.cat([g + q.mu * scale, torch.addcmul(spread, g, noise).mul_(0.5)], 1)

    return Bottleneck(q.mu + noise, {"divergence": beta * divergence.sum()}, backward)


def importance_weighted(fit: Tensor, ratio: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Minus the importance-weighted bound log 1/K sum_k w_k of each row, as two terms.

    Here w_k = p(x | h_k) p(h_k) / q(h_k | x) for K codes from q(h | x). The first term is minus the mean of
    log p(x | h_k) with the weights v_k = w_k / sum_l w_l, and the second is the rest. Their gradient in h is doubly
    reparameterised: it is that of -sum_k v_k^2 log w_k for constant v_k. It keeps its precision when K grows.

    Parameters
    ----------
    fit : Tensor of shape (K, n)
        log p(x | h_k).
    ratio : Tensor of shape (K, n)
        log p(h_k) - log q(h_k | x), where the mean and the deviation of q are constants.
    h : Tensor of shape (K, n, n_components)
        The codes, of which ``fit`` and ``ratio`` are functions.

    References
    ----------
    Burda, Grosse and Salakhutdinov (2016), "Importance Weighted Autoencoders", https://arxiv.org/abs/1509.00519

    Tucker, Lawson, Gu and Maddison (2019), "Doubly Reparameterized Gradient Estimators for Monte Carlo
    Objectives", https://arxiv.org/abs/1810.04152
    """
    log_w = fit + ratio
    share = log_w.detach().softmax(0)
    if h.requires_grad:
        h.register_hook(lambda g: g * share[..., None])
    first = -(share * fit).sum(0)
    slopes = -(share * ratio).sum(0)
    bound = math.log(len(h)) - log_w.detach().logsumexp(0)
    return first, slopes + (bound - (first + slopes).detach())


def total_correlation(q: Posterior, h: Tensor, weight: Tensor | None = None) -> Tensor:
    """Estimate KL(q(h) || prod_j q(h_j)) in nats, where q(h) is the mean of q(h | x) over the rows of a batch.

    Each row gives one code, at which log q(h) and the sum of log q(h_j) are compared. With few rows the estimate is too
    high by a number that hardly depends on the weights of the network.

    Parameters
    ----------
    q : Posterior
        Of n rows.
    h : Tensor of shape (n, n_components)
        A code of each row.
    weight : Tensor of shape (n,) or None, default=None
        Sample weights.

    References
    ----------
    Chen, Li, Grosse and Duvenaud (2018), "Isolating Sources of Disentanglement in Variational Autoencoders",
    https://arxiv.org/abs/1802.04942
    """
    z = (h[:, None] - q.mu) / q.sigma
    log_q = -0.5 * (z.square() + q.log_variance + math.log(2 * math.pi))  # of code i under row j: (n, n, n_components)
    share = h.new_full((len(h),), 1 / len(h)) if weight is None else weight / weight.sum().clamp_min(1e-30)
    log_share = share.log()[:, None]
    joint = (log_q.sum(2, keepdim=True) + log_share).logsumexp(1)[:, 0]
    separate = (log_q + log_share).logsumexp(1).sum(1)
    return (share * (joint - separate)).sum()
