"""Likelihoods p(x | eta) of a row x, given the decoder's output eta.

An autoencoder minimises ``loss``. A model of the density needs nats: ``log_likelihood`` of each row, and
their negative mean ``nll`` with its gradient. The two differ for ``Gaussian``, whose loss is the squared error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .. import functional

__all__ = ["Bernoulli", "Categorical", "Gaussian", "Likelihood", "Poisson", "likelihood_of"]

LEAST_VARIANCE = 1e-4
"""Largest floor of a variance that is learnt, in squared units of standardised x: a deviation of one percent."""


class Likelihood(nn.Module):
    """A likelihood p(x | eta) whose columns are independent given eta, or groups of columns are.

    Rows x and outputs eta have the shape (n, n_features). Some methods say that more axes may come first.
    """

    slope = 1.0
    """``gradient`` is this times E[x | eta] - x."""
    embeds = False
    """Whether ``embed`` changes x."""

    # ---------------------------------------------------------------- the loss of an autoencoder

    def entries(self, eta: Tensor, x: Tensor) -> Tensor:
        """Loss of each entry: -log p(x_ij | eta_ij), but for constants and a factor."""
        raise NotImplementedError

    def loss(self, eta: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mean over the rows of the sum of ``entries``.

        Parameters
        ----------
        eta, x : Tensor of shape (n, n_features)
        weight : Tensor of shape (n,) or (n, n_features), or None
            Weights of rows or of entries. Those of entries must be equal within a group of columns
            that share a distribution.
        """
        return functional.weighted_average(self.entries(eta, x), weight)

    def gradient(self, eta: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """Gradient of ``loss`` in eta: a multiple of E[x | eta] - x, as eta is the natural parameter."""
        return _weighted((self.mean(eta) - x).mul_(self.slope / len(x)), weight)

    def loss_and_gradient(self, eta: Tensor, x: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Both at once, which may take less time."""
        return self.loss(eta, x, weight), self.gradient(eta, x, weight)

    def start(self, mean: Tensor, batches: Iterable[tuple[Tensor, Tensor, Tensor | None]]) -> None:
        """Measure what the likelihood needs to know of the rows before the weights are set.

        Parameters
        ----------
        mean : Tensor of shape (n_features,)
            Mean of the rows that are described.
        batches : iterable of (Tensor, Tensor, Tensor or None)
            What the encoder will see, the rows that are described, and their weights.
        """

    # ---------------------------------------------------------------- nats

    def nats(self, eta: Tensor, x: Tensor) -> Tensor:
        """-log p(x_ij | eta_ij) of each entry, with all constants. More axes may come first, and are broadcast."""
        return self.entries(eta, x)

    def log_likelihood(self, eta: Tensor, x: Tensor, known: Tensor | None = None) -> Tensor:
        """Log p(x | eta) of each row in nats, with all constants.

        Parameters
        ----------
        eta : Tensor of shape (..., n, n_features)
            Leading axes may be draws of the code.
        x : Tensor of shape (n, n_features)
            Or any shape that broadcasts with that of eta.
        known : Tensor of bool of shape (n, n_features) or None
            Mask of the entries of x that were observed: the density is that of these. None if all were.

        Returns
        -------
        Tensor of shape (..., n)
        """
        nats = self.nats(eta, x)
        return -(nats if known is None else nats * known).sum(-1)

    def nll(self, eta: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mean over the rows of -log p(x | eta), nats, with weights as those of ``loss``."""
        return functional.weighted_average(self.nats(eta, x), weight)

    def nll_backward(self, eta: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the gradient of ``nll`` in eta. That in the likelihood's own parameters is added to ``.grad``."""
        return self.gradient(eta, x, weight)

    def nll_and_backward(self, eta: Tensor, x: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``nll`` and what ``nll_backward`` returns, which may take less time at once."""
        return self.nll(eta, x, weight), self.nll_backward(eta, x, weight)

    # ---------------------------------------------------------------- mean and samples

    def mean(self, eta: Tensor) -> Tensor:
        """E[x | eta]. More axes may come first."""
        return eta

    def sample(self, eta: Tensor, rng: torch.Generator) -> Tensor:
        """Draw x from p(x | eta). More axes may come first."""
        raise NotImplementedError

    def link(self, mean: Tensor) -> Tensor:
        """The eta whose mean this is; a mean on the border of its range is moved inside first."""
        return mean

    # ---------------------------------------------------------------- what the encoder sees

    def embed(self, x: Tensor) -> Tensor:
        """What the encoder sees of x."""
        return x

    def embed_slope(self, x: Tensor, g: Tensor) -> Tensor:
        """Gradients in x, of shape (n, m, n_features), given those in ``embed(x)``."""
        return g

    def rank(self, n_features: int) -> int:
        """Number of directions in which what the encoder sees of so many columns varies."""
        return n_features


class Gaussian(Likelihood):
    """A normal distribution around eta: x_j ~ N(eta_j, sigma_j^2).

    ``entries``, ``loss`` and ``gradient`` are those of the squared error (x - eta)^2, whatever the
    variance is. The variance counts in nats and in samples.

    Parameters
    ----------
    n_features : int
        Columns of x.
    variance : float or {"global", "column"}, default=1.0
        A fixed sigma^2, or one that is learnt: one number for all columns, or one a column. In units of the
        x that the module sees, squared.

    Attributes
    ----------
    log_variance : Parameter of shape () or (n_features,), or None
        Where it is learnt, sigma^2 = least + exp(log_variance).
    least : Tensor of shape (), or None
        A floor that keeps the likelihood from growing without end where rows are restored exactly: 1e-4, or a hundredth
        of the variance at the start if that is less.
    """

    slope = 2.0
    log_variance: Any
    least: Tensor

    def __init__(self, n_features: int, variance: float | str = 1.0) -> None:
        super().__init__()
        self.register_parameter("log_variance", None)
        if isinstance(variance, str):
            shape: Sequence[int] = {"global": (), "column": (n_features,)}[variance]
            self.log_variance = nn.Parameter(torch.zeros(shape))
            self.log_variance.decay = False
            self.register_buffer("least", torch.tensor(LEAST_VARIANCE))
        else:
            self._fixed = float(variance)

    @property
    def variance(self) -> Tensor | float:
        """sigma^2: one number, or one a column."""
        return self._fixed if self.log_variance is None else self.log_variance.exp() + self.least

    @torch.no_grad()
    def start_at_variance(self, variance: Tensor | float) -> None:
        """Set the variance that is learnt, and its floor. One below 1e-8 becomes 1e-8."""
        assert self.log_variance is not None
        start = torch.as_tensor(variance).clamp_min(1e-8)
        self.least.copy_((start.mean() / 100).clamp_max(LEAST_VARIANCE))
        self.log_variance.copy_((start - self.least).log())

    def entries(self, eta: Tensor, x: Tensor) -> Tensor:
        return functional.squared_error(eta, x)

    def loss(self, eta: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        return functional.mean_squared_error(eta, x) if weight is None else super().loss(eta, x, weight)

    def loss_and_gradient(self, eta: Tensor, x: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if weight is not None:
            return super().loss_and_gradient(eta, x, weight)
        residual = eta - x
        flat = residual.reshape(-1)
        n = x.shape[0]  # quicker than len(x)
        return torch.dot(flat, flat).div_(n), residual.mul_(self.slope / n)

    def nats(self, eta: Tensor, x: Tensor) -> Tensor:
        return functional.gaussian_nll(eta, x, self.variance)

    @torch.no_grad()
    def nll_backward(self, eta: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        variance, error = self.variance, eta - x
        if self.log_variance is not None:
            half = _weighted((1 - error.square() / variance).div_(2 * len(x)), weight)  # in log sigma^2
            slope = half.sum(0) * (self.log_variance.exp() / variance)  # the floor makes it less steep
            functional.gradient_of(self.log_variance).add_(slope.sum_to_size(self.log_variance.shape))
        return _weighted((error / variance).div_(len(x)), weight)

    @torch.no_grad()
    def nll_and_backward(self, eta: Tensor, x: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
        variance, (n, n_features) = self.variance, x.shape
        if weight is not None or (isinstance(variance, Tensor) and variance.ndim):
            return super().nll_and_backward(eta, x, weight)
        residual = eta - x
        flat = residual.reshape(-1)
        halves = torch.dot(flat, flat).div_(2 * n) / variance
        if not isinstance(variance, Tensor):
            constant = n_features * math.log(2 * math.pi * variance) / 2
            return halves + constant, residual.mul_(1 / (variance * n))
        floored = self.log_variance.exp() / variance  # the floor makes the slope in log sigma^2 less steep
        functional.gradient_of(self.log_variance).add_((n_features / 2 - halves) * floored)
        return halves + (variance.log() + math.log(2 * math.pi)) * (n_features / 2), residual.div_(variance * n)

    def sample(self, eta: Tensor, rng: torch.Generator) -> Tensor:
        return functional.standard_normal(eta, rng) * self.variance**0.5 + eta


class Bernoulli(Likelihood):
    """Columns that are 0 or 1, with the log-odds eta.

    X may be anything in [0, 1]. It is then taken for the probability of a 1, and -log p(x | eta) is the
    cross-entropy -x log p - (1 - x) log(1 - p), where p is the sigmoid of eta: the mean of -log p over
    zeros and ones that are drawn with this probability.
    """

    def entries(self, eta: Tensor, x: Tensor) -> Tensor:
        return functional.bernoulli_nll(eta, x)

    def nats(self, eta: Tensor, x: Tensor) -> Tensor:
        return self.entries(*torch.broadcast_tensors(eta, x))  # torch's cross-entropy does not broadcast

    def mean(self, eta: Tensor) -> Tensor:
        return torch.sigmoid(eta)

    def sample(self, eta: Tensor, rng: torch.Generator) -> Tensor:
        return torch.bernoulli(self.mean(eta), generator=rng)

    def link(self, mean: Tensor) -> Tensor:
        return torch.logit(mean, eps=1e-3)


class Poisson(Likelihood):
    """Counts with the log rate m_j + s eta_j. The encoder sees (log(1 + x_j) - c_j) / r.

    ``start`` sets m to the logarithms of the means, and c to the means of log(1 + x). The factors s and r are root mean
    variances of logarithms. So eta and what the encoder sees are of the order of 1, however large the counts are.
    Without it, a network whose output changes by 1 would change counts near 1e5 by a factor of e, where their noise is
    0.3 percent.

    Parameters
    ----------
    n_features : int
        Columns of the counts that are described.
    n_inputs : int
        Columns of what the encoder sees.
    """

    embeds = True
    log_mean: Tensor
    spread: Tensor
    center: Tensor
    input_spread: Tensor

    def __init__(self, n_features: int, n_inputs: int) -> None:
        super().__init__()
        self.register_buffer("log_mean", torch.zeros(n_features))
        self.register_buffer("spread", torch.ones(()))
        self.register_buffer("center", torch.zeros(n_inputs))
        self.register_buffer("input_spread", torch.ones(()))

    @property
    def slope(self) -> Any:  # type: ignore[override]
        return self.spread

    @torch.no_grad()
    def start(self, mean: Tensor, batches: Iterable[tuple[Tensor, Tensor, Tensor | None]]) -> None:
        of_inputs, of_counts = _Moments(len(self.center)), _Moments(len(self.log_mean))
        for inputs, counts, weight in batches:
            of_inputs.add(_log(inputs), weight)
            of_counts.add(_log(counts), weight)
        self.log_mean.copy_(mean.clamp_min(1e-3).log())
        self.center.copy_(of_inputs.mean)
        self.spread.copy_(of_counts.spread(self.spread.shape))
        self.input_spread.copy_(of_inputs.spread(self.input_spread.shape))

    def entries(self, eta: Tensor, x: Tensor) -> Tensor:
        return functional.poisson_nll(self._log_rate(eta), x)

    def mean(self, eta: Tensor) -> Tensor:
        return self._log_rate(eta).exp()

    def sample(self, eta: Tensor, rng: torch.Generator) -> Tensor:
        return torch.poisson(self.mean(eta), generator=rng)

    def link(self, mean: Tensor) -> Tensor:
        return (mean.clamp_min(1e-3).log() - self.log_mean) / self.spread

    def embed(self, x: Tensor) -> Tensor:
        return (_log(x) - self.center) / self.input_spread

    def embed_slope(self, x: Tensor, g: Tensor) -> Tensor:
        return g * torch.where(x >= 0, 1 / ((1 + x) * self.input_spread), 0.0)[:, None]

    def _log_rate(self, eta: Tensor) -> Tensor:
        return self.log_mean + self.spread * eta


class Categorical(Likelihood):
    """Groups of adjacent columns, as one-hot encoding makes them, with the logits eta.

    The probabilities are a softmax over the columns of each group. Where the columns of a group are not
    one-hot, -log p(x | eta) is the cross-entropy -sum_j x_j log p_j.

    Parameters
    ----------
    sizes : sequence of int
        Columns of each group.
    """

    member: Tensor

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.n_groups = len(sizes)
        member = torch.arange(self.n_groups).repeat_interleave(torch.as_tensor(sizes), output_size=sum(sizes))
        self.register_buffer("member", member, persistent=False)

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
        return (score == functional.group_max(score, self.member, self.n_groups)[..., self.member]).to(eta.dtype)

    def link(self, mean: Tensor) -> Tensor:
        return mean.clamp_min(1e-3).log()


def likelihood_of(
    name: str,
    n_features: int,
    categories: Sequence[int] = (),
    variance: float | str = 1.0,
    n_inputs: int | None = None,
) -> Likelihood:
    """A likelihood by its name.

    Parameters
    ----------
    name : {"gaussian", "bernoulli", "categorical", "poisson"}
    n_features : int
        Columns of x.
    categories : sequence of int
        Group sizes, for "categorical" alone.
    variance : float or {"global", "column"}
        For "gaussian" alone.
    n_inputs : int or None, default=None
        Columns of what the encoder sees, for "poisson" alone. None stands for ``n_features``.
    """
    made: dict[str, Callable[[], Likelihood]] = {
        "gaussian": lambda: Gaussian(n_features, variance),
        "bernoulli": Bernoulli,
        "categorical": lambda: Categorical(categories),
        "poisson": lambda: Poisson(n_features, n_features if n_inputs is None else n_inputs),
    }
    return made[name]()


class _Moments:
    """Mean of each column, and the root of the mean variance of the columns, from parts of the rows."""

    def __init__(self, n_features: int) -> None:
        self._count = 0.0
        self._sums, self._squares = torch.zeros((2, n_features), dtype=torch.float64)

    def add(self, x: Tensor, weight: Tensor | None) -> None:
        """Add rows with their weights."""
        x = x.cpu().double()
        w = torch.ones_like(x[:, 0]) if weight is None else weight.cpu().double()
        self._count += float(w.sum())
        self._sums += w @ x
        self._squares += w @ x.square()

    @property
    def mean(self) -> Tensor:
        """Mean of each column."""
        return self._sums / self._count

    def spread(self, shape: torch.Size) -> Tensor:
        """Root of the variance of each column, or of the mean variance if the shape is (); 1 for constant columns."""
        variance = (self._squares / self._count - self.mean.square()).clamp_min(0)
        variance = variance if shape else variance.mean()
        return torch.where(variance > 1e-12, variance.sqrt(), 1.0)


def _log(x: Tensor) -> Tensor:
    """Log(1 + x) of counts. Below zero it stays zero."""
    return torch.log1p(x.clamp_min(0))


def _weighted(gradient: Tensor, weight: Tensor | None) -> Tensor:
    """Multiply a gradient by the weights of rows or of entries, in place."""
    if weight is None:
        return gradient
    return gradient.mul_(weight[:, None] if weight.ndim == 1 else weight)
