"""VariationalAutoencoder: a model of the density whose code is a distribution for each row."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import torch
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from ..base import Batch, NonNegative, PositiveInt, Terms
from ..engine.modes import one_thread
from ..nn.coder import Coder
from ..nn.latent import Posterior, total_correlation
from ..nn.priors import FittedMixture, Prior, Vamp, prior_of
from ._variational import Variational

__all__ = ["VariationalAutoencoder"]

N_CODES = 10_000
"""Number of codes to which a mixture is fitted, or four for each row if that is less."""
CANDIDATES = 1, 3, 8, 20
"""Numbers of normal distributions of which ``prior_size="auto"`` chooses one."""
LEAST_ROWS = 30
"""A mixture is not fitted to the codes of fewer rows."""


class VariationalAutoencoder(Variational):
    """A model of the density of rows, in which each row has a normal distribution of codes.

    A code h is drawn from the prior p(h), and a row x from p(x | h), whose parameter is a neural network of h. A second
    network, the encoder, approximates p(h | x) by q(h | x) = N(mu(x), diag(sigma(x)^2)). Both are trained to maximise
    a lower bound of log p(x), the ELBO:

        log p(x) >= E_q[log p(x | h)] - beta KL(q(h | x) || p(h)),    h = mu + sigma eps,  eps from N(0, I).

    ``transform`` returns mu, ``inverse_transform`` the mean of p(x | h), and ``sample`` rows of the model.
    ``score_samples`` are nats, as those of PCA, FactorAnalysis and GaussianMixture.

    With the gaussian likelihood training starts at probabilistic PCA and its posterior, where the bound is the exact
    log-likelihood ``PCA.score``, and improves on it.

    Parameters
    ----------
    prior : {"mixture", "normal", "vamp", "flow"}, default="mixture"
        Distribution of the codes. "normal" is N(0, I). The mean of q(h | x) over the rows differs from it, so that
        samples differ from the data. "mixture" trains with N(0, I) and then fits a mixture of normal distributions to
        the codes, which takes little time and raises the bound. "vamp" is the mean of q(h | u) over ``prior_size``
        learnt rows u (Tomczak and Welling, 2018). "flow" is an invertible network (RealNVP; Xu et al., 2019). These two
        are trained together with the autoencoder, in steps that take longer.
    prior_size : int or "auto", default="auto"
        Number of normal distributions of "mixture", or of learnt rows of "vamp". "auto" is 20 for "vamp", and
        the best of 1, 3, 8 and 20 for "mixture", judged by codes that are held out. With fewer than 30 rows the prior
        stays N(0, I).
    total_correlation : float, default=0.0
        Additional weight of the total correlation KL(q(h) || prod_j q(h_j)) of the code, whose weight is ``beta``
        already. It makes the components independent (Chen et al., 2018). It is estimated within each batch, so use
        batches of 100 rows or more; the estimate has a gradient of its own where the code is wide.

    Attributes
    ----------
    module_ : torch.nn.Module
        The fitted networks, and the prior.
    kl_per_component_ : ndarray of shape (n_components,)
        What each component says about a training row, in nats and in mean over the rows: KL(q(h_j | x) || N(0, 1)) for
        the priors "normal" and "mixture", and otherwise the divergence of q(h_j | x) from the normal distribution with
        the mean and the variance of all q(h_j).
    active_components_ : ndarray of shape (n_components,), bool
        Components whose mean mu_j varies over the rows: its variance is at least 0.01 of that of h_j. The others say
        nothing about the row.
    noise_variance_ : float, or ndarray of shape (n_features,)
        Variance of X given the code, in squared units of X. Only with the gaussian likelihood.
    history_ : dict of str to list of float
        As in ``Autoencoder``, with the terms "reconstruction", which is -log p(x | h), and "divergence", in nats for X
        as the module sees it. All terms include their weights.
    image_shape_, code_shape_
        As in ``ConvolutionalAutoencoder``. The first exists only with ``channels``.
    loss_, n_iter_, mean_, scale_, n_features_in_, feature_names_in_, components_
        As in ``Autoencoder``.

    See Also
    --------
    sklearn.decomposition.PCA : Its ``score`` is the exact log-likelihood of the linear special case.
    sklearn.mixture.GaussianMixture : A density without a code.

    References
    ----------
    Kingma and Welling (2014), "Auto-Encoding Variational Bayes", https://arxiv.org/abs/1312.6114

    Rezende, Mohamed and Wierstra (2014), "Stochastic Backpropagation and Approximate Inference in Deep Generative
    Models", https://arxiv.org/abs/1401.4082

    Higgins et al. (2017), "beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework",
    https://openreview.net/forum?id=Sy2fzU9gl

    Kingma et al. (2016), "Improved Variational Inference with Inverse Autoregressive Flow" (free bits),
    https://arxiv.org/abs/1606.04934

    Burda, Grosse and Salakhutdinov (2016), "Importance Weighted Autoencoders", https://arxiv.org/abs/1509.00519

    Tucker, Lawson, Gu and Maddison (2019), "Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives",
    https://arxiv.org/abs/1810.04152

    Tomczak and Welling (2018), "VAE with a VampPrior", https://arxiv.org/abs/1705.07120

    Xu et al. (2019), "On the Necessity and Effectiveness of Learning the Prior of Variational Auto-Encoder",
    https://arxiv.org/abs/1905.13452

    Ghosh, Sajjadi, Vergari, Black and Schoelkopf (2020), "From Variational to Deterministic Autoencoders" (a prior that
    is fitted after training), https://arxiv.org/abs/1903.12436

    Chen, Li, Grosse and Duvenaud (2018), "Isolating Sources of Disentanglement in Variational Autoencoders",
    https://arxiv.org/abs/1802.04942

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import train_test_split
    >>> from skae import VariationalAutoencoder
    >>> train, test = train_test_split(load_digits().data, random_state=0)
    >>> model = VariationalAutoencoder(n_components=8, max_iter=20, random_state=0).fit(train)
    >>> model.transform(test).shape, model.sample(3, random_state=0).shape
    ((450, 8), (3, 64))
    >>> bool(model.score(test) > PCA(n_components=8).fit(train).score(test) + 15)  # nats per row
    True
    """

    prior: Literal["mixture", "normal", "vamp", "flow"] = "mixture"
    prior_size: PositiveInt | Literal["auto"] = "auto"
    total_correlation: NonNegative = 0.0

    # ---------------------------------------------------------------- architecture and start

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.n_importance_samples > 1 and self.total_correlation:
            raise ValueError(
                "total_correlation is a term of the ELBO, which n_importance_samples > 1 does not train: set one of "
                "them to its default."
            )

    def _architecture(self, n_features: int) -> dict[str, Any]:
        size = max(CANDIDATES) if self.prior_size == "auto" else int(self.prior_size)
        return {**super()._architecture(n_features), "prior": self.prior, "prior_size": size}

    def _new_prior(self, coder: Coder) -> Prior:
        return prior_of(self._spec["prior"], coder.code_width, self._spec["prior_size"], coder)

    def _initialise(self, module: Any, data: Any, rng: torch.Generator) -> None:
        if self.prior in ("mixture", "vamp") and self.prior_size != "auto" and self.prior_size > len(data):
            raise ValueError(
                f"prior_size={self.prior_size} needs at least as many rows; got n_samples = {len(data)}: lower it."
            )
        super()._initialise(module, data, rng)
        if isinstance(module.prior, Vamp):
            order = torch.randperm(len(data), generator=rng)[: len(module.prior.pseudo_inputs)]
            module.prior.start(self._corrupt(module, data[order.to(data.device)], None).shown)

    # ---------------------------------------------------------------- objective

    def _rows_are_independent(self) -> bool:
        return super()._rows_are_independent() and not self.total_correlation

    def _has_closed_costs(self, module: Any) -> bool:
        return super()._has_closed_costs(module) and not self.total_correlation

    def _costs(self, module: Any, batch: Batch, q: Posterior, h: Tensor, beta: float | Tensor) -> Terms:
        costs = super()._costs(module, batch, q, h, beta)
        if self.total_correlation:
            estimate = torch.stack([total_correlation(q, draw, batch.weight) for draw in h]).mean()
            costs["total_correlation"] = self.total_correlation * estimate
        return costs

    # ---------------------------------------------------------------- after a fit

    def _describe(self, q: Posterior, share: Tensor) -> None:
        super()._describe(q, share)
        if isinstance(self.module_.prior, FittedMixture):
            self._fit_mixture(q, share, self.module_.prior)

    def _fit_mixture(self, q: Posterior, share: Tensor, prior: FittedMixture) -> None:
        """Fit a mixture of normal distributions to codes that are drawn from q of the training rows."""
        if len(share) < LEAST_ROWS:
            return
        codes, held_out = _draw(q, share, min(4 * len(share), N_CODES), self._rng)
        sizes = CANDIDATES if self.prior_size == "auto" else (int(self.prior_size),)
        possible = [size for size in sizes if size <= len(codes) // 4 or self.prior_size != "auto"]
        with one_thread(), config_context(array_api_dispatch=False), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            size = possible[0] if len(possible) == 1 else _best_size(codes[~held_out], codes[held_out], possible)
            found = _mixture_of(codes, size)
        parts = found.weights_, found.means_, found.precisions_cholesky_
        prior.start(*(torch.from_numpy(part).to(prior.weights) for part in parts))


def _draw(q: Posterior, share: Tensor, n: int, rng: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw n codes from the mean of q over rows with these shares, and mark those of a quarter of the rows."""
    places = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    rows = torch.searchsorted(share.cumsum(0), places).clamp_max(len(share) - 1)
    eps = torch.randn(n, q.mu.shape[1], dtype=torch.float64, generator=rng)
    return (q.mu[rows] + q.sigma[rows] * eps).numpy(), (rows % 4 == 0).numpy()


def _best_size(train: np.ndarray, test: np.ndarray, sizes: list[int]) -> int:
    """The number of normal distributions that, fitted to some codes, describes others best."""
    return max(sizes, key=lambda size: _mixture_of(train, size).score(test))


def _mixture_of(codes: np.ndarray, size: int) -> GaussianMixture:
    return GaussianMixture(size, reg_covar=1e-3, max_iter=50, random_state=0).fit(codes)
