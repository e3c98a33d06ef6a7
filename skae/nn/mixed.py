"""Mixed: a likelihood of columns of different kinds, each of which counts as much as another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .. import functional
from .likelihoods import Bernoulli, Categorical, Gaussian, Likelihood, Poisson, _weighted

__all__ = ["LEAST_ENTROPY", "Mixed"]

LEAST_ENTROPY = 0.05
"""Least number of nats by which a term is divided. A column that is nearly constant would count too much otherwise."""
LEAST_SHARE = 1e-3
"""Least share of rows of a category by which what the encoder sees of it is scaled."""


class _Counts(Poisson):
    """Counts with factors of their own for each column."""

    def __init__(self, n_features: int) -> None:
        super().__init__(n_features, n_features)
        self.register_buffer("spread", torch.ones(n_features))
        self.register_buffer("input_spread", torch.ones(n_features))

    def start_and_measure(self, mean: Tensor, batches: Iterable[Any], where: Any) -> Tensor:
        """Start, and return the mean over the rows of half the deviance of the mean rate, for each column."""
        sums = torch.zeros(2, len(mean), dtype=torch.float64, device=mean.device)

        def of_counts() -> Any:
            for inputs, rows, weight in batches:
                x = rows[:, where]
                w = torch.ones_like(x[:, 0]) if weight is None else weight
                count, rate = x.clamp_min(0), mean.clamp_min(1e-3)
                sums.add_(torch.stack([w @ (torch.xlogy(count, count / rate) - count + rate), w.sum().expand_as(rate)]))
                yield inputs[:, where], x, weight

        self.start(mean, of_counts())
        return sums[0] / sums[1].clamp_min(1e-12)


class Mixed(Likelihood):
    """Columns of different kinds, independent given eta: numbers, groups of one-hot columns, counts and bits.

    ``nats`` are those of the kinds. ``loss`` is their weighted sum, in which a column, or a group of one-hot columns,
    has the value 1 in mean over the training rows if it is described by its mean alone. So none drowns the others:

    - gaussian: the squared error. The module sees these columns with a variance of 1.
    - categorical, bernoulli: -log p(x | eta), over the entropy of the training rows.
    - poisson: log p(x | x) - log p(x | eta), half the deviance, over its mean at the mean rate.

    A divisor in nats is at least 0.05.

    The encoder sees (x - p) / sqrt(p) of one-hot columns, with the shares p of the training rows, as in multiple
    correspondence analysis. It sees standardised bits, and counts as ``Poisson`` shows them, each column with its own
    factor.

    Parameters
    ----------
    columns : sequence of (str, int)
        Kind and number of adjacent columns: "gaussian", "poisson" or "bernoulli", or one group of "categorical" ones.
    variance : float or {"global", "column"}, default=1.0
        Of the gaussian columns, see ``Gaussian``.

    Attributes
    ----------
    worth : Tensor of shape (n_features,)
        1 over the divisor of each column.
    center, unit : Tensor of shape (n_features,)
        What is subtracted from what the encoder sees, and divided by.
    """

    embeds = True
    worth: Tensor
    center: Tensor
    unit: Tensor

    def __init__(self, columns: Sequence[tuple[str, int]], variance: float | str = 1.0) -> None:
        super().__init__()
        kinds = [kind for kind, size in columns for _ in range(size)]
        sizes = [size for kind, size in columns if kind == "categorical"]
        made: dict[str, Callable[[int], Likelihood]] = {
            "gaussian": lambda n: Gaussian(n, variance),
            "bernoulli": lambda n: Bernoulli(),
            "poisson": _Counts,
            "categorical": lambda n: Categorical(sizes),
        }
        self.of = nn.ModuleDict()
        self._where: dict[str, slice | list[int]] = {}
        for kind in dict.fromkeys(kinds):
            of_kind = [i for i, other in enumerate(kinds) if other == kind]
            self.of[kind] = made[kind](len(of_kind))
            adjacent = of_kind[-1] - of_kind[0] + 1 == len(of_kind)
            self._where[kind] = slice(of_kind[0], of_kind[-1] + 1) if adjacent else of_kind
        self.register_buffer("worth", torch.ones(len(kinds)))
        self.register_buffer("center", torch.zeros(len(kinds)))
        self.register_buffer("unit", torch.ones(len(kinds)))

    @property
    def parts(self) -> Iterable[tuple[Any, slice | list[int]]]:
        """The likelihood of each kind, and its columns."""
        return ((self.of[kind], where) for kind, where in self._where.items())

    @property
    def variance(self) -> Tensor | float:
        """Variance of the gaussian columns, 1 without any."""
        return self.of["gaussian"].variance if "gaussian" in self._where else 1.0  # type: ignore[return-value]

    @property
    def log_variance(self) -> Any:
        """That of the gaussian columns, see ``Gaussian``."""
        return self.of["gaussian"].log_variance if "gaussian" in self._where else None

    def start_at_variance(self, variance: Tensor | float) -> None:
        """See ``Gaussian``."""
        self.of["gaussian"].start_at_variance(variance)  # type: ignore[operator]

    # ---------------------------------------------------------------- start

    @torch.no_grad()
    def start(self, mean: Tensor, batches: Iterable[tuple[Tensor, Tensor, Tensor | None]]) -> None:
        divisor = torch.ones_like(mean)
        for part, where in self.parts:
            p = mean[where].clamp(0, 1)
            if isinstance(part, _Counts):
                divisor[where] = part.start_and_measure(mean[where], batches, where).to(divisor)
            elif isinstance(part, Bernoulli):
                divisor[where] = functional.bernoulli_nll(torch.logit(p, 1e-6), p)
                self.center[where], self.unit[where] = p, (p * (1 - p)).clamp_min(LEAST_SHARE).sqrt()
            elif isinstance(part, Categorical):
                divisor[where] = functional.group_sum(-torch.xlogy(p, p), part.member, part.n_groups)[part.member]
                self.center[where], self.unit[where] = p, p.clamp_min(LEAST_SHARE).sqrt()
        self.worth.copy_(1 / divisor.clamp_min(LEAST_ENTROPY))

    @torch.no_grad()
    def natural(self, slopes: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
        """The parameter eta = b + B' h under which what the encoder sees of x is about S' h in mean.

        Codes h are taken for normal variables around zero, with a diagonal covariance V. So cov(seen_j, h) = V s_j.
        Then the code of the rows of category k has the mean m_k = V s_k u_k / p_k, where u is ``unit``. Let W be its
        covariance within the categories, V less sum_k p_k m_k m_k'. Bayes' rule gives the logits of a linear
        discriminant analysis: log p_k - m_k' W^-1 m_k / 2 + m_k' W^-1 h. A tenth of V is added to W, because a code
        may tell a category exactly. Numbers have eta = s_j' h. Log rates of counts are taken for what log(1 + x) is.

        Parameters
        ----------
        slopes : Tensor of shape (n_components, n_features)
            S.
        variances : Tensor of shape (n_components,)
            The diagonal of V.

        Returns
        -------
        B : Tensor of shape (n_components, n_features)
        b : Tensor of shape (n_features,)
        """
        B, b = slopes.clone(), torch.zeros_like(self.center)
        for part, where in self.parts:
            shift, p = (slopes * variances[:, None] * self.unit)[:, where], self.center[where].clamp(1e-6, 1 - 1e-6)
            if isinstance(part, _Counts):
                b[where] = -0.5 * part.spread * (slopes[:, where].square() * variances[:, None]).sum(0)
            elif isinstance(part, Bernoulli):
                ones, zeros = shift / p.clamp_min(LEAST_SHARE), -shift / (1 - p).clamp_min(LEAST_SHARE)
                pairs = [
                    _logits(torch.stack(pair, 1), torch.stack([1 - q, q]), variances)
                    for *pair, q in zip(zeros.t(), ones.t(), p, strict=True)
                ]
                B[:, where] = torch.stack([of_h[:, 1] - of_h[:, 0] for of_h, _ in pairs], 1)
                b[where] = torch.stack([level[1] - level[0] for _, level in pairs])
            elif isinstance(part, Categorical):
                sizes = part.member.bincount().tolist()
                means = shift / p.clamp_min(LEAST_SHARE)
                groups = [_logits(m, q, variances) for m, q in zip(means.split(sizes, 1), p.split(sizes), strict=True)]
                B[:, where] = torch.cat([of_h for of_h, _ in groups], 1)
                b[where] = torch.cat([level for _, level in groups])
        return B, b

    # ---------------------------------------------------------------- the loss of an autoencoder

    def entries(self, eta: Tensor, x: Tensor) -> Tensor:
        found = self._each(lambda part, where: _excess(part, eta[..., where], x[..., where]), eta)
        return found.mul(self.worth)

    def gradient(self, eta: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        found = self._each(lambda part, where: part.gradient(eta[:, where], x[:, where]), eta)
        return _weighted(found.mul_(self.worth), weight)

    # ---------------------------------------------------------------- nats

    def nats(self, eta: Tensor, x: Tensor) -> Tensor:
        shape = torch.broadcast_shapes(eta.shape, x.shape)
        return self._each(lambda part, where: part.nats(eta[..., where], x[..., where]), eta.expand(shape))

    def nll_backward(self, eta: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        def backward(part: Any, where: Any) -> Tensor:
            of_part = weight if weight is None or weight.ndim == 1 else weight[:, where]
            found: Tensor = part.nll_backward(eta[:, where], x[:, where], of_part)
            return found

        return self._each(backward, eta)

    # ---------------------------------------------------------------- mean and samples

    def mean(self, eta: Tensor) -> Tensor:
        return self._each(lambda part, where: part.mean(eta[..., where]), eta)

    def sample(self, eta: Tensor, rng: torch.Generator) -> Tensor:
        return self._each(lambda part, where: part.sample(eta[..., where], rng), eta)

    def link(self, mean: Tensor) -> Tensor:
        return self._each(lambda part, where: part.link(mean[..., where]), mean)

    # ---------------------------------------------------------------- what the encoder sees

    def embed(self, x: Tensor) -> Tensor:
        seen = (x - self.center) / self.unit
        if "poisson" in self._where:
            where = self._where["poisson"]
            seen[..., where] = self.of["poisson"].embed(x[..., where])  # type: ignore[operator]
        return seen

    def embed_slope(self, x: Tensor, g: Tensor) -> Tensor:
        g = g / self.unit
        if "poisson" in self._where:
            where = self._where["poisson"]
            g[..., where] = self.of["poisson"].embed_slope(x[:, where], g[..., where])  # type: ignore[operator]
        return g

    def rank(self, n_features: int) -> int:
        groups: Any = self.of["categorical"] if "categorical" in self._where else None
        return n_features if groups is None else n_features - groups.n_groups

    def _each(self, function: Callable[[Any, Any], Tensor], like: Tensor) -> Tensor:
        """Put together what a function returns for the columns of each kind."""
        found = torch.empty_like(like)
        for part, where in self.parts:
            found[..., where] = function(part, where)
        return found


def _excess(part: Likelihood, eta: Tensor, x: Tensor) -> Tensor:
    """Loss of each entry. That of a count is what its nats exceed those of the best rate by."""
    if not isinstance(part, Poisson):
        return part.entries(eta, x)
    count = x.clamp_min(0)
    least = count - torch.xlogy(count, count) + torch.lgamma(count + 1)
    return part.entries(eta, x) - least


def _logits(means: Tensor, p: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes and levels of the logits of the categories of one group, given the means of their codes as columns."""
    within = 1.1 * variances.diag() - (means * p) @ means.t()
    floor = 0.1 * variances.min().clamp_min(1e-6)
    values, axes = torch.linalg.eigh(within.double())  # shares that are cut off may make it indefinite
    slopes = (axes / values.clamp_min(float(floor))) @ axes.t() @ means.double()
    return slopes.to(means), (p.log() - 0.5 * (means * slopes).sum(0)).to(means)
