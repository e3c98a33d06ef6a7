"""Clusters in codes that are distributions: a mixture of normal distributions, fitted by expectation maximisation."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.cluster import AgglomerativeClustering, KMeans
from torch import Tensor
from torch.nn import functional as F

from ..engine.modes import one_thread
from ..nn.latent import Posterior
from ..nn.priors import Mixture

__all__ = ["fit_clusters"]

N_MEANS, N_WARD = 4, 8
"""Starts by k-means and by Ward's method."""
N_CODES = 5000
"""Largest number of codes that starts are compared on."""
N_GROUPED = 1000
"""Largest number of codes that are grouped for a start. Ward's method takes time and memory as the square of it."""
LEAST_CODES = 10
"""Codes a cluster that are grouped for a start, if there are so many; otherwise half of them."""
N_STEPS = 100
"""Largest number of steps from each start."""
LEAST_GAIN = 1e-4
"""A start is followed until a step raises the log-likelihood by less, in nats."""
LEAST_SHARE = 1e-10
"""What keeps the share of an empty cluster from zero."""
SHRINKAGE = 5
"""The covariance that all clusters share counts as so many rows for each component, in that of each cluster.

Otherwise a small cluster could fit its covariance to a few rows, and the highest likelihood would often be such a fit.
"""


@torch.no_grad()
def fit_clusters(q: Posterior, share: Tensor, n_clusters: int) -> Mixture:
    """Fit a mixture of normal distributions to codes that are distributions themselves.

    Clusters are found by the means of the codes, by expectation maximisation. It starts from the clusters of k-means,
    and from those that Ward's method (1963) finds in random parts of the codes. The highest likelihood wins, among the
    starts that leave the fewest clusters without rows, and goes on with all codes. Then the variances of the codes are
    added to the covariance of their cluster, because a code h varies as its mean does, and around it. Found with their
    variances from the start, uncertain codes would all belong to the largest cluster.

    Parameters
    ----------
    q : Posterior
        Of the rows, in float64 on the CPU.
    share : Tensor of shape (n,)
        Weights of the rows, which sum to 1.
    n_clusters : int

    Returns
    -------
    prior : Mixture
        In float64. The largest cluster is the first.
    """
    n = max(min(len(share), N_CODES), n_clusters, 2)
    places = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    rows = torch.searchsorted(share.cumsum(0), places).clamp_max(len(share) - 1)
    some = q.mu[rows]
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few, equal or square codes, with which all methods can deal
        found = [_climb(some, torch.full((n,), 1 / n).double(), start) for start in _starts(some, n_clusters)]
        best = _climb(q.mu, share, max(found, key=lambda one: one[:2])[2])[2]
    _maximise(best, q.mu, best.log_joint(q.mu).softmax(1) * share[:, None], q.log_variance.exp())
    order = best.logits.argsort(descending=True)
    best.start(best.logits.softmax(0)[order], best.means[order], best.covariances[order])
    return best


def _starts(mu: Tensor, n_clusters: int) -> Iterator[Mixture]:
    """Mixtures to start from: the clusters of k-means, and those of Ward's method in random parts of the codes."""
    n, width = mu.shape
    size = max(n_clusters, min(n, N_GROUPED, max(n // 2, LEAST_CODES * n_clusters)))
    rng = np.random.default_rng(0)
    parts = [np.arange(n)] * N_MEANS + [rng.permutation(n)[:size] for _ in range(N_WARD)]
    methods: list[Any] = [KMeans(n_clusters, n_init=1, random_state=seed) for seed in range(N_MEANS)]
    methods += [AgglomerativeClustering(n_clusters)] * N_WARD
    for rows, method in zip(parts, methods, strict=True):
        part = mu[rows]
        labels = torch.from_numpy(method.fit_predict(part.numpy())).long()
        prior = Mixture(width, n_clusters).double()
        _maximise(prior, part, F.one_hot(labels, n_clusters).double() / len(rows))
        yield prior


def _climb(mu: Tensor, share: Tensor, prior: Mixture) -> tuple[int, float, Mixture]:
    """Take steps from a start. Returns how many clusters have rows, the mean log-likelihood and the mixture."""
    before = -float("inf")
    for _ in range(N_STEPS):
        joint = prior.log_joint(mu)
        marginal = joint.logsumexp(1)
        likelihood = float(share @ marginal)
        if likelihood < before + LEAST_GAIN:
            break
        before = likelihood
        _maximise(prior, mu, (joint - marginal[:, None]).exp() * share[:, None])
    return len(joint.argmax(1).unique()), likelihood, prior


def _maximise(prior: Mixture, mu: Tensor, parts: Tensor, variances: Tensor | None = None) -> None:
    """Give each cluster the share, the mean and the covariance of its parts of the codes, of shape (n, n_clusters)."""
    shares = parts.sum(0).clamp_min(LEAST_SHARE)
    means = parts.t() @ mu / shares[:, None]
    from_mean = mu - means[:, None]
    scatter = (from_mean * parts.t()[:, :, None]).mT @ from_mean
    if variances is not None:
        scatter = scatter + (parts.t() @ variances).diag_embed()
    shared = SHRINKAGE * mu.shape[1] * float(parts.sum(1).square().sum())  # share of as many rows
    covariances = (scatter + shared * scatter.sum(0)) / (shares + shared)[:, None, None]
    prior.start(shares / shares.sum(), means, covariances)
