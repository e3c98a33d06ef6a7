"""Priors p(h) over codes: a normal distribution, a mixture, posteriors of learned inputs, and a normalising flow.

The best prior of a variational autoencoder is the mean of q(h | x) over the rows. A standard normal
distribution can differ much from it, and codes that are drawn from it are then decoded to rows unlike the
data. The other priors are trained together with the network, and come nearer to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import functional
from .coder import Coder
from .dense import Dense
from .latent import Posterior

__all__ = ["Coupling", "FittedMixture", "Flow", "Mixture", "Prior", "StandardNormal", "Vamp", "prior_of"]

LEAST_VARIANCE = 1e-4
"""Least variance with which a cluster starts, so that its density is finite where its codes are equal."""
MOST_LOG_SCALE = 2.0
"""A layer of the flow stretches a component by a factor of less than exp(2), and shrinks it by no more."""
N_LAYERS, WIDTH = 6, 64
"""Size of the flow that ``prior_of`` makes."""


class Prior(nn.Module):
    """A distribution of codes h. Its parameters are spared from weight decay.

    Parameters
    ----------
    n_components : int
        Width of the codes.
    """

    origin: Tensor

    def __init__(self, n_components: int) -> None:
        super().__init__()
        self.n_components = n_components
        # Codes that are drawn have its precision, and lie on its device.
        self.register_buffer("origin", torch.zeros(n_components), persistent=False)

    def _spare_from_decay(self) -> None:
        for parameter in self.parameters():
            parameter.decay = False  # type: ignore[attr-defined]

    @property
    def in_training(self) -> Prior:
        """The prior with which a network is trained."""
        return self

    def log_prob(self, h: Tensor) -> Tensor:
        """Log p(h) in nats.

        Parameters
        ----------
        h : Tensor of shape (..., n_components)

        Returns
        -------
        Tensor of shape (...)
        """
        raise NotImplementedError

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw n codes, of shape (n, n_components), with a generator on the prior's device."""
        raise NotImplementedError

    def initialise(self, rng: torch.Generator) -> None:
        """Set the parameters to numbers near those of N(0, I). The generator is on the CPU."""

    def _noise(self, n: int, rng: torch.Generator) -> Tensor:
        return functional.standard_normal(self.origin.expand(n, -1), rng)


class StandardNormal(Prior):
    """N(0, I), the prior of Kingma and Welling (2014). It has no parameters.

    Examples
    --------
    >>> StandardNormal(2).log_prob(torch.zeros(3, 2))  # -log(2 pi)
    tensor([-1.8379, -1.8379, -1.8379])
    """

    def log_prob(self, h: Tensor) -> Tensor:
        return -0.5 * (h.square().sum(-1) + self.n_components * math.log(2 * math.pi))

    @torch.no_grad()
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self._noise(n, rng)


class Mixture(Prior):
    """A mixture of normal distributions, p(h) = sum_k pi_k N(h; mu_k, S_k).

    The covariances S_k are full matrices. Where q(h | x) is independent over the components, the code has preferred
    axes, and the clouds of most clusters lie askew to them.

    Parameters
    ----------
    n_components : int
        Width of the codes.
    n_clusters : int
        Number K of normal distributions.

    Attributes
    ----------
    logits : Parameter of shape (n_clusters,)
        pi is the softmax of it.
    means : Parameter of shape (n_clusters, n_components)
    factors : Parameter of shape (n_clusters, n_components, n_components)
        The lower triangles make the factors P_k of the inverse covariances P_k' P_k. On the diagonal are the
        logarithms of those of P_k. What is above the diagonal is not used.

    References
    ----------
    Jiang, Zheng, Tan, Tang and Zhou (2017), "Variational Deep Embedding: An Unsupervised and Generative
    Approach to Clustering", https://arxiv.org/abs/1611.05148

    Examples
    --------
    >>> prior = Mixture(1, 2)
    >>> prior.start(torch.tensor([0.5, 0.5]), torch.tensor([[-3.0], [3.0]]), torch.ones(2, 1, 1))
    >>> prior.log_joint(torch.tensor([[0.5]])).softmax(-1).detach()  # p(k | h)
    tensor([[0.0474, 0.9526]])
    """

    def __init__(self, n_components: int, n_clusters: int) -> None:
        super().__init__(n_components)
        self.n_clusters = n_clusters
        self.normal = StandardNormal(n_components)
        self.is_started = True
        self.logits = nn.Parameter(torch.zeros(n_clusters))
        self.means = nn.Parameter(torch.zeros(n_clusters, n_components))
        self.factors = nn.Parameter(torch.zeros(n_clusters, n_components, n_components))
        self._spare_from_decay()

    @property
    def in_training(self) -> Prior:
        """N(0, I) until there are codes, and clusters were found in them."""
        return self if self.is_started else self.normal

    @property
    def is_known(self) -> bool:
        """Whether the parameters are those of clusters that were found, and not those of a new module."""
        return bool(self.factors.any())

    @property
    def precision_factors(self) -> Tensor:
        """P_k, lower triangular, of shape (n_clusters, n_components, n_components)."""
        return self.factors.tril(-1) + self._log_diagonal.exp().diag_embed()

    @property
    def covariances(self) -> Tensor:
        """S_k, of shape (n_clusters, n_components, n_components)."""
        root = _inverse(self.precision_factors)
        return root @ root.mT

    @property
    def _log_diagonal(self) -> Tensor:
        return self.factors.diagonal(dim1=1, dim2=2)

    def log_joint(self, h: Tensor) -> Tensor:
        """Log p(h, k) = log pi_k + log N(h; mu_k, S_k).

        Parameters
        ----------
        h : Tensor of shape (..., n_components)

        Returns
        -------
        Tensor of shape (..., n_clusters)
        """
        factors = self.precision_factors
        z = F.linear(h, factors.flatten(0, 1)).unflatten(-1, self.means.shape) - _times(factors, self.means)
        log_volume = self._log_diagonal.sum(1) - self.n_components / 2 * math.log(2 * math.pi)
        return self.logits.log_softmax(0) + log_volume - 0.5 * z.square().sum(-1)

    def expected_log_joint(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """E[log p(h, k)] over h from a normal distribution with independent components.

        It is log p(mu, k) - 1/2 sum_j sigma_j^2 (S_k^-1)_jj, which needs no draws.

        Parameters
        ----------
        mean, log_variance : Tensor of shape (..., n_components)
            mu and log sigma^2.

        Returns
        -------
        Tensor of shape (..., n_clusters)
        """
        return self.log_joint(mean) - 0.5 * F.linear(log_variance.exp(), self.precision_factors.square().sum(1))

    def log_prob(self, h: Tensor) -> Tensor:
        return self.log_joint(h).logsumexp(-1)

    @torch.no_grad()
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.sample_of(torch.multinomial(self.logits.softmax(0), n, True, generator=rng), rng)

    @torch.no_grad()
    def sample_of(self, clusters: Tensor, rng: torch.Generator) -> Tensor:
        """Draw a code of each of these clusters: numbers k, of shape (n,)."""
        roots = _inverse(self.precision_factors)
        return self.means[clusters] + _times(roots[clusters], self._noise(len(clusters), rng))

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Become N(0, I): all clusters are equal. Training could not tell them apart, but ``start`` does."""
        self.is_started = False
        for parameter in self.parameters():
            parameter.zero_()

    @torch.no_grad()
    def start(self, weights: Tensor, means: Tensor, covariances: Tensor) -> None:
        """Take over clusters that were found in the codes.

        Parameters
        ----------
        weights : Tensor of shape (n_clusters,)
            Shares pi_k of the rows. One of zero becomes a very small one, which can grow.
        means : Tensor of shape (n_clusters, n_components)
        covariances : Tensor of shape (n_clusters, n_components, n_components)
            1e-4 is added to the variances, so that codes of a cluster may all be equal.
        """
        tiny = torch.finfo(self.logits.dtype).eps
        self.logits.copy_(weights.clamp_min(tiny).log())
        self.means.copy_(means)
        floor = LEAST_VARIANCE * torch.eye(self.n_components, dtype=torch.float64, device=covariances.device)
        factors = _inverse(torch.linalg.cholesky(covariances.double() + floor))
        self.is_started = True
        self.factors.copy_(factors.tril(-1) + factors.diagonal(dim1=1, dim2=2).log().diag_embed())


class FittedMixture(Prior):
    """A mixture of normal distributions with any covariances, which is fitted to the codes of a trained network.

    The network is trained with N(0, I), and the mixture is N(0, I) until it is fitted.

    Parameters
    ----------
    n_components : int
        Width of the codes.
    n_clusters : int
        Largest number of normal distributions.

    Attributes
    ----------
    weights : Tensor of shape (n_clusters,)
        Shares of the distributions. They are zero for those that are not in use.
    whitening : Tensor of shape (n_clusters, n_components, n_components)
        Matrices U with U' (h - mu) from N(0, I), which are triangular. The inverse covariances are U U'.
    centers : Tensor of shape (n_clusters, n_components)
        Products U' mu.

    References
    ----------
    Ghosh, Sajjadi, Vergari, Black and Schoelkopf (2020), "From Variational to Deterministic Autoencoders"
    (density estimation after training), https://arxiv.org/abs/1903.12436
    """

    weights: Tensor
    whitening: Tensor
    centers: Tensor

    def __init__(self, n_components: int, n_clusters: int) -> None:
        super().__init__(n_components)
        self.register_buffer("weights", torch.zeros(n_clusters))
        self.register_buffer("whitening", torch.zeros(n_clusters, n_components, n_components))
        self.register_buffer("centers", torch.zeros(n_clusters, n_components))
        self.normal = StandardNormal(n_components)

    @property
    def in_training(self) -> Prior:
        return self.normal

    def initialise(self, rng: torch.Generator) -> None:
        """Become N(0, I)."""
        one = torch.ones(1)
        self.start(one, torch.zeros(1, self.n_components), torch.eye(self.n_components)[None])

    @torch.no_grad()
    def start(self, weights: Tensor, means: Tensor, whitening: Tensor) -> None:
        """Take over normal distributions, at most as many as there is room for.

        Parameters
        ----------
        weights : Tensor of shape (n,)
        means : Tensor of shape (n, n_components)
        whitening : Tensor of shape (n, n_components, n_components)
            Upper triangular matrices U. The inverse covariances are U U'.
        """
        n = len(weights)
        self.weights.zero_()[:n] = weights
        self.whitening.copy_(torch.eye(self.n_components))[:n] = whitening
        self.centers.zero_()[:n] = (means[:, None] @ whitening)[:, 0]

    def log_prob(self, h: Tensor) -> Tensor:
        z = torch.einsum("...i,kij->...kj", h, self.whitening) - self.centers
        log_volume = self.whitening.diagonal(dim1=1, dim2=2).log().sum(1)
        constant = self.weights.log() + log_volume - self.n_components * math.log(2 * math.pi) / 2
        return (constant - z.square().sum(-1) / 2).logsumexp(-1)

    @torch.no_grad()
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        chosen = torch.multinomial(self.weights, n, True, generator=rng)
        z = (self._noise(n, rng) + self.centers[chosen])[:, :, None]
        return torch.linalg.solve_triangular(self.whitening[chosen].mT, z, upper=False)[..., 0]


class Vamp(Prior):
    """The mean of the posteriors of pseudo-inputs u_k, p(h) = 1/K sum_k q(h | u_k).

    The pseudo-inputs are trained. They lie in the space of what the coder encodes, and a code of p(h) has the
    shape of a posterior, whatever that is.

    Parameters
    ----------
    coder : Coder
        The module that encodes rows as q(h | x): a mean and a log variance of each component. Its parameters do
        not become parameters of the prior, but training the prior moves them too.
    n_inputs : int
        Number K of pseudo-inputs.
    width : int
        Numbers in a row that the coder encodes.

    Attributes
    ----------
    pseudo_inputs : Parameter of shape (n_inputs, width)

    References
    ----------
    Tomczak and Welling (2018), "VAE with a VampPrior", https://arxiv.org/abs/1705.07120
    """

    def __init__(self, coder: Coder, n_inputs: int, width: int) -> None:
        super().__init__(coder.n_components)
        self._coder = (coder,)  # in a tuple, so that its parameters are not ours as well
        self.pseudo_inputs = nn.Parameter(torch.zeros(n_inputs, width))
        self._spare_from_decay()

    def posteriors(self) -> Posterior:
        """Means and log variances of q(h | u_k), each of shape (n_inputs, n_components)."""
        return Posterior.of(self._coder[0].encode(self.pseudo_inputs))

    def log_prob(self, h: Tensor) -> Tensor:
        mean, log_variance = self.posteriors()
        return _log_normal(h[..., None, :], mean, log_variance).logsumexp(-1) - math.log(len(mean))

    @torch.no_grad()
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        mean, log_variance = self.posteriors()
        chosen = torch.randint(len(mean), (n,), generator=rng, device=mean.device)
        return mean[chosen] + (log_variance / 2).exp()[chosen] * self._noise(n, rng)

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Pseudo-inputs from N(0, I); ``start`` knows better ones."""
        self.pseudo_inputs.copy_(torch.randn(self.pseudo_inputs.shape, generator=rng))

    @torch.no_grad()
    def start(self, rows: Tensor) -> None:
        """Use rows of the data as pseudo-inputs, of shape (n, width). If they are too few, they are repeated."""
        n_inputs = len(self.pseudo_inputs)
        self.pseudo_inputs.copy_(rows[torch.arange(n_inputs, device=rows.device) % len(rows)])


class Coupling(nn.Module):
    """A layer of a flow: z = h where the mask is 1, and z = h exp(s) + t where it is 0.

    The functions s and t see the components where the mask is 1. So the layer can be inverted, and the logarithm
    of the determinant of dz/dh is the sum of s.

    Parameters
    ----------
    n_components : int
    offset : int
        The mask is 0 at components whose number has the parity of it. A single component is always moved.
    width : int
        Hidden units of the network with the outputs s and t.
    """

    mask: Tensor

    def __init__(self, n_components: int, offset: int, width: int) -> None:
        super().__init__()
        parity = (torch.arange(n_components) + offset) % min(n_components, 2)
        self.register_buffer("mask", parity.to(torch.get_default_dtype()), persistent=False)
        self.network = Dense([n_components, width, width, 2 * n_components], "tanh")

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and the logarithm of the determinant, of shapes (..., n_components) and (...)."""
        log_scale, shift = self._map(h)
        return h * log_scale.exp() + shift, log_scale.sum(-1)

    def inverse(self, z: Tensor) -> Tensor:
        """The h of which z is the output."""
        log_scale, shift = self._map(z)
        return (z - shift) * (-log_scale).exp()

    def _map(self, h: Tensor) -> tuple[Tensor, Tensor]:
        s, t = self.network(h * self.mask).chunk(2, -1)
        moved = 1 - self.mask
        return MOST_LOG_SCALE * torch.tanh(s / MOST_LOG_SCALE) * moved, t * moved

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Start as the identity."""
        self.network.initialise(rng)
        self.network.weights[-1].zero_()


class Flow(Prior):
    """A normalising flow: h is such that z = f(h) has the distribution N(0, I), log p(h) = log N(f(h)) + log |df/dh|.

    The function f consists of affine coupling layers (RealNVP). With a single component they
    leave p(h) a normal distribution, whose mean and deviation are learned.

    Parameters
    ----------
    n_components : int
        Width of the codes.
    n_layers : int
        Number of coupling layers.
    width : int
        Units in each of the two hidden layers of a coupling layer's network.

    References
    ----------
    Dinh, Sohl-Dickstein and Bengio (2017), "Density estimation using Real NVP", https://arxiv.org/abs/1605.08803

    Xu, Chen, Zheng, Wang, Yan and others (2019), "On the Necessity and Effectiveness of Learning the Prior of
    Variational Auto-Encoder", https://arxiv.org/abs/1905.13452

    Examples
    --------
    >>> prior = Flow(2, n_layers=4, width=16)
    >>> prior.initialise(torch.Generator().manual_seed(0))
    >>> h = torch.ones(3, 2)
    >>> bool(prior.log_prob(h).allclose(StandardNormal(2).log_prob(h)))  # before training
    True
    """

    def __init__(self, n_components: int, n_layers: int, width: int) -> None:
        super().__init__(n_components)
        self.couplings = nn.ModuleList([Coupling(n_components, i, width) for i in range(n_layers)])
        self.base = StandardNormal(n_components)
        self._spare_from_decay()

    def to_base(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return z = f(h) and log |df/dh|, of shapes (..., n_components) and (...)."""
        log_volume = torch.zeros_like(h[..., 0])
        for coupling in self.couplings:
            h, log_scale = coupling(h)
            log_volume = log_volume + log_scale
        return h, log_volume

    def from_base(self, z: Tensor) -> Tensor:
        """The h with f(h) = z."""
        for coupling in reversed(self.couplings):
            z = coupling.inverse(z)  # type: ignore[operator]
        return z

    def log_prob(self, h: Tensor) -> Tensor:
        z, log_volume = self.to_base(h)
        return self.base.log_prob(z) + log_volume

    @torch.no_grad()
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.from_base(self.base.sample(n, rng))

    def initialise(self, rng: torch.Generator) -> None:
        """Start as N(0, I): f is the identity."""
        for coupling in self.couplings:
            coupling.initialise(rng)  # type: ignore[operator]


def prior_of(name: str, n_components: int, n_clusters: int, coder: Coder) -> Prior:
    """A prior by its name.

    Parameters
    ----------
    name : {"normal", "mixture", "vamp", "flow"}
    n_components : int
        Width of the codes.
    n_clusters : int
        Largest number of normal distributions of "mixture", or number of pseudo-inputs of "vamp".
    coder : Coder
        The module whose codes are described, for "vamp" alone.
    """
    made: dict[str, Callable[[], Prior]] = {
        "normal": lambda: StandardNormal(n_components),
        "mixture": lambda: FittedMixture(n_components, n_clusters),
        "vamp": lambda: Vamp(coder, n_clusters, coder.n_features + getattr(coder, "n_conditions", 0)),
        "flow": lambda: Flow(n_components, N_LAYERS, WIDTH),
    }
    if name not in made:  # no estimator passes it, but a damaged file may hold it
        raise ValueError(f"{name!r} is no prior.")
    return made[name]()


def _log_normal(h: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log density of normal distributions with diagonal covariances, summed over the last axis."""
    z = (h - mean) * (-log_variance / 2).exp()
    constant = log_variance.sum(-1) + mean.shape[-1] * math.log(2 * math.pi)
    return -0.5 * (z.square().sum(-1) + constant)


def _inverse(factors: Tensor) -> Tensor:
    """Inverses of lower triangular matrices, of shape (n, d, d)."""
    unit = torch.eye(factors.shape[-1], dtype=factors.dtype, device=factors.device)
    return torch.linalg.solve_triangular(factors, unit.expand_as(factors), upper=False)


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Products of n matrices with n vectors, of shape (n, d)."""
    return torch.bmm(matrices, vectors[..., None]).squeeze(-1)
