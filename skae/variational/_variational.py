"""Variational: the objective, the scores and the samples of all variational autoencoders."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ..autoencoders import Coded
from ..base import (
    Batch,
    Bottleneck,
    Generative,
    NonNegative,
    Positive,
    PositiveInt,
    Probability,
    Saved,
    Subset,
    Terms,
    average,
    backward,
    standard_normal,
    weighted_average,
)
from ..base.damage import fault_of_array, fault_of_numbers
from ..base.encoding import judged
from ..base.verdict import collapsed_posterior
from ..engine.frame import in_double
from ..functional import common_normal, gaussian_divergence
from ..nn.coder import Coder
from ..nn.latent import Posterior, drawn_by_hand, importance_weighted
from ..nn.priors import Prior, StandardNormal

__all__ = ["Variational"]

N_HELD_OUT_DRAWS = 16
"""Codes of each held-out row with which its loss is estimated."""
N_DECODED = 2**13
"""Codes that are decoded at a time when rows are scored."""
N_MEASURED = 10_000
"""Largest number of training rows on which the posterior is measured after a fit."""
PRECISE = 1e-3
"""Variance of standardised x given the code below which large steps do harm."""
LEAST_ACTIVITY = 0.01
"""Variance of the posterior mean from which on a component is active (Burda et al., 2016)."""


def _one_a_component(fault: Callable[..., str | None]) -> Saved:
    """An attribute that is an array with one value for each component."""
    return Saved(lambda estimator, value: fault(value, (estimator._n_features_out,)))


class Variational(Generative, Coded):
    """A model of the density of rows, trained on a lower bound of the log-likelihood.

    Parameters
    ----------
    learning_rate_init : float or "auto", default="auto"
        Learning rate at the start, or its peak under "one_cycle". "auto" is 0.003 under "one_cycle", and 0.001
        otherwise. It is a third of that if the variance of X given the code is below a thousandth of that of X at the
        start. Not used by "lbfgs".
    init : {"auto", "pca", "random"}, default="auto"
        "pca" starts at probabilistic PCA and its posterior. It needs ``code="vector"`` and a gaussian or mixed
        likelihood. "random" starts from random weights, without the PCA term. "auto" is "pca" where it is defined, and
        "random" otherwise.
    code_activation : "identity", default="identity"
        A code that is a distribution has no activation function.
    beta : float, default=1.0
        Weight of the divergence. 1 is the bound of log p(x). More gives codes that say less about the row and whose
        components are more independent. 0 gives an autoencoder with noise in its code.
    warm_up : float, default=0.0
        Fraction of the steps, in [0, 1), in which the weight of the divergence rises from 0 to ``beta``.
    free_bits : float, default=0.0
        Divergence of each component, in nats and in mean over a batch, that costs nothing (Kingma et al., 2016). It
        keeps components in use.
    n_importance_samples : int, default=1
        Codes that are drawn for each row in training. 1 trains the ELBO. More train the tighter importance-weighted
        bound (Burda et al., 2016), with doubly reparameterised gradients (Tucker et al., 2019). A step then takes as
        many times longer.
    variance : float or {"global", "column"}, default="global"
        Variance of X given the code, for the gaussian likelihood. "global" learns one number, "column" learns one for
        each column. A number is a fixed variance, in squared units of X. For the mixed likelihood it is the variance of
        the gaussian columns after they are standardised.
    n_draws : int, default=64
        Codes that are drawn for each row by ``score_samples`` and ``elbo``. More draws give a tighter bound.
    """

    code_activation: Literal["identity"] = "identity"
    beta: NonNegative = 1.0
    warm_up: Probability = 0.0
    free_bits: NonNegative = 0.0
    n_importance_samples: PositiveInt = 1
    variance: Positive | Literal["global", "column"] = "global"
    n_draws: PositiveInt = 64

    _saved: ClassVar[dict[str, Saved]] = {
        "kl_per_component_": _one_a_component(fault_of_numbers),
        "active_components_": _one_a_component(lambda value, shape: fault_of_array(value, shape, np.bool_)),
    }

    _may_idle = True

    # ---------------------------------------------------------------- hooks of a variant

    def _new_prior(self, coder: Coder) -> Prior:
        """The prior p(h) of a new module."""
        return StandardNormal(coder.code_width)

    def _log_prior(self, prior: Any, h: Tensor, batch: Batch) -> Tensor:
        """Log p(h) of codes of shape (draws, n, n_components) in nats. The batch may hold a condition."""
        density: Tensor = prior.log_prob(h)
        return density

    def _has_closed_costs(self, module: Any) -> bool:
        """Whether the prior in training is N(0, I), and nothing but the divergence is added to the reconstruction."""
        return isinstance(module.prior.in_training, StandardNormal)

    def _costs(self, module: Any, batch: Batch, q: Posterior, h: Tensor, beta: float | Tensor) -> Terms:
        """What codes cost beside the reconstruction.

        Parameters
        ----------
        module : torch.nn.Module
        batch : Batch
        q : Posterior
            Of each row.
        h : Tensor of shape (draws, n, n_components)
            Drawn from q.
        beta : float or Tensor of shape ()
        """
        return {"divergence": beta * self._divergence(module, batch, q, h)}

    # ---------------------------------------------------------------- architecture and start

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.n_importance_samples > 1 and (self.beta != 1.0 or self.warm_up or self.free_bits):
            raise ValueError(
                "n_importance_samples > 1 trains a bound that has no term to weight: use beta=1.0, warm_up=0.0 and "
                "free_bits=0.0, or n_importance_samples=1."
            )

    def _architecture(self, n_features: int) -> dict[str, Any]:
        known = isinstance(self.variance, str) or self.likelihood != "gaussian"
        variance = self.variance if known else float(self.variance) / float(self._output_frame.scale) ** 2
        return {**super()._architecture(n_features), "n_moments": 2, "variance": variance}

    def _new_module(self) -> nn.Module:
        coder = self._new_coder(self._spec)
        coder.prior = self._new_prior(coder)
        coder.register_buffer("steps_taken", torch.zeros(()))
        coder.register_buffer("steps_to_beta", torch.ones(()))
        return coder

    def _initialise(self, module: Any, data: Any, rng: torch.Generator) -> None:
        super()._initialise(module, data, rng)
        steps = self._n_epochs(len(data)) * math.ceil(len(data) / self._batch_size(len(data)))
        module.steps_to_beta.fill_(max(1.0, self.warm_up * steps))
        module.prior.initialise(rng)

    def _start_at_axes(self, module: Any, axes: Tensor, variances: Tensor, total: Any = None, B: Any = None) -> None:
        """Start at probabilistic PCA and its posterior, where the bound is the exact log-likelihood.

        As many axes as columns describe a full Gaussian, with any variance that is below those along the axes. With
        another ``beta`` than 1 the best linear model has the gains of PCA with a variance of beta sigma^2. With slopes
        B it is that of the residuals of a regression, whose variances sum to ``total``.
        """
        n_features, n = module.likelihood.rank(axes.shape[1]), len(axes)
        total, all_axes = n_features if total is None else total, n >= n_features
        others = variances[n_features - 1] / 10 if all_axes else (total - variances.sum()) / (n_features - n)
        others = others.clamp_min(torch.finfo(axes.dtype).eps * float(total) / n_features)  # what rounding leaves of it
        if module.likelihood.log_variance is not None:
            module.likelihood.start_at_variance(others)
        noise = float(self.beta) * float(torch.as_tensor(module.likelihood.variance).detach().mean())
        signal = (variances - noise).clamp_min(0)
        gain = signal.sqrt()
        module.start_at_projection(axes, torch.ones_like(gain), gain / (signal + noise).clamp_min(1e-12), gain, B)
        with torch.no_grad():
            module.encoder.biases[-1][n:] = (noise / (signal + noise).clamp_min(1e-12)).clamp_min(1e-12).log()

    # ---------------------------------------------------------------- objective

    def _is_noisy(self) -> bool:
        return True

    def _needs_all_rows(self) -> str | None:
        return "free_bits are those of a whole batch" if self.free_bits else super()._needs_all_rows()

    def _rate(self, schedule: str) -> float:
        usual = super()._rate(schedule)
        variance = getattr(self.module_.likelihood, "variance", 1.0)
        precise = float(torch.as_tensor(variance).detach().mean()) < PRECISE
        return usual / 3 if precise and self.learning_rate_init == "auto" else usual

    def _step(self, module: Any, batch: Batch, rng: torch.Generator) -> Any:
        if self.warm_up:
            module.steps_taken += 1
        if self.n_importance_samples > 1:
            return backward(self._loss(module, batch, rng))
        return super()._step(module, batch, rng)

    def _reconstruction(self, module: Any, eta: Tensor, batch: Batch) -> Tensor:
        error: Tensor = module.likelihood.nll(eta, self._target(batch), batch.entry_weight)
        return error

    def _reconstruction_and_slope(self, module: Any, eta: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = module.likelihood.nll_and_backward(eta, self._target(batch), batch.entry_weight)
        return found

    def _bottleneck(self, module: Any, batch: Batch, e: Tensor, rng: torch.Generator | None) -> Bottleneck:
        beta = self._weight_of_divergence(module, rng)
        eps = standard_normal(e[:, : e.shape[1] // 2], rng)
        if self._has_closed_costs(module):
            return drawn_by_hand(e, eps, batch.weight, beta, float(self.free_bits))

        def drawn(e: Tensor) -> tuple[Tensor, Terms]:
            q = Posterior.of(e)
            h = q.drawn(eps)
            return h, self._costs(module, batch, q, h[None], beta)

        return Bottleneck(e).by_autograd(drawn)

    def _divergence(self, module: Any, batch: Batch, q: Posterior, h: Tensor) -> Tensor:
        """Mean of KL(q(h | x) || p(h)) over the rows, but for free bits. Without a closed form it is estimated by h."""
        free = torch.as_tensor(float(self.free_bits)).to(h)
        if isinstance(module.prior.in_training, StandardNormal):
            entries = gaussian_divergence(q.mu, q.log_variance)
            weighted = entries if batch.weight is None else entries * batch.weight[:, None]
            return torch.maximum(weighted.mean(0), free).sum()
        of_rows = -q.entropy() - self._log_prior(module.prior.in_training, h, batch).mean(0)
        divergence = average(of_rows, batch.weight)
        return torch.maximum(divergence, free * h.shape[-1]) if self.free_bits else divergence

    def _weight_of_divergence(self, module: Any, rng: torch.Generator | None) -> float | Tensor:
        """``beta``, or a part of it while it rises."""
        if rng is None or not self.warm_up:
            return float(self.beta)
        rising: Tensor = (module.steps_taken / module.steps_to_beta).clamp_max(1.0) * self.beta
        return rising

    def _loss(self, module: Any, batch: Batch, rng: torch.Generator | None) -> Terms:
        if rng is not None and self.n_importance_samples == 1:
            return super()._loss(module, batch, rng)
        batch = self._corrupt(module, batch, rng)
        q = Posterior.of(module.encode(batch.shown, rng, batch.told_known))
        n_draws = N_HELD_OUT_DRAWS if self.n_importance_samples == 1 else int(self.n_importance_samples)
        h = q.drawn(standard_normal(q.mu.expand(n_draws, *q.mu.shape), rng))
        if self.n_importance_samples > 1:
            return self._importance_weighted(module, batch, q, h, rng)
        nats = module.likelihood.nats(self._decode_draws(module, h, batch, rng), self._target(batch)).mean(0)
        reconstruction = weighted_average(nats, batch.entry_weight)
        return {"reconstruction": reconstruction, **self._costs(module, batch, q, h, float(self.beta))}

    _closed_loss = _loss

    def _importance_weighted(
        self, module: Any, batch: Batch, q: Posterior, h: Tensor, rng: torch.Generator | None
    ) -> Terms:
        """The importance-weighted bound, as terms of the objective."""
        eta, known = self._decode_draws(module, h, batch, rng), self._observed(batch)
        fit = module.likelihood.log_likelihood(eta, self._target(batch), known)
        fixed = Posterior(q.mu.detach(), q.log_variance.detach())
        ratio = self._log_prior(module.prior.in_training, h, batch) - fixed.log_prob(h)
        reconstruction, rest = importance_weighted(fit, ratio, h)
        return {
            "reconstruction": average(reconstruction, batch.weight),
            "divergence": average(rest, batch.weight),
        }

    # ---------------------------------------------------------------- after a fit

    def _moments_of(self, module: Any, batch: Batch) -> Tensor:
        """Mu and log sigma^2 of q(h | x) of each row of a batch, without noise, side by side."""
        batch = self._corrupt(module, batch, None)
        return torch.cat(Posterior.of(module.encode(batch.shown, known=batch.told_known)), 1)

    def _conclude(self, data: Any) -> None:
        super()._conclude(data)
        self._describe(*self._posterior_of_training(data))

    def _posterior_of_training(self, data: Any) -> tuple[Posterior, Tensor]:
        """Posterior of some training rows, in float64 on the CPU, and their weights, which sum to 1."""
        rows = torch.arange(0, len(data), -(-len(data) // N_MEASURED), device=data.device)
        moments = self._collect(self._moments_of, Subset(data, rows)).double()
        weight = torch.ones(len(rows)) if data.weight is None else data.weight[rows].cpu()
        return Posterior(*moments.chunk(2, 1)), weight.double() / max(float(weight.sum()), 1e-290)

    def _describe(self, q: Posterior, share: Tensor) -> None:
        """Measure how much each component says about rows with this posterior and these shares."""
        of_means = share @ q.mu.square() - (share @ q.mu).square()
        variance = of_means + share @ q.log_variance.exp()
        self.active_components_ = (of_means > LEAST_ACTIVITY * variance).numpy()
        if isinstance(self.module_.prior.in_training, StandardNormal):
            divergence = share @ gaussian_divergence(q.mu, q.log_variance)
        else:
            divergence = 0.5 * (variance.log() - share @ q.log_variance)
        self.kl_per_component_ = divergence.numpy()

    def _failure(self, data: Any) -> str | None:
        lower = f"lower beta (now {self.beta:g}), or " if self.beta > 1.0 else ""
        cure = f"{lower}set warm_up=0.3 or free_bits=0.1, or raise max_iter"
        return collapsed_posterior(self.active_components_, judged(self, data), cure) or super()._failure(data)

    # ---------------------------------------------------------------- using

    def _encode(self, module: Any, batch: Batch) -> Tensor:
        return self._moments_of(module, batch)[:, : self._n_features_out]

    def posterior(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the code of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        mean : ndarray of shape (n_samples, n_components)
            What ``transform`` returns.
        deviation : ndarray of shape (n_samples, n_components)
        """
        return self._posterior(X)

    def _posterior(self, X: Any, y: Any = None) -> tuple[np.ndarray, np.ndarray]:
        found = self._map(self._moments_of, X, y)
        mean, log_variance = np.split(found, 2, axis=1)
        return np.ascontiguousarray(mean), np.exp(log_variance / 2)

    def score_samples(self, X: Any) -> np.ndarray:
        """Lower bound of log p(x) of each row in nats: the importance-weighted bound of ``n_draws`` codes.

        It is log 1/K sum_k p(x, h_k) / q(h_k | x) for codes h_k from q(h | x), K of them. It rises with K on average,
        and reaches log p(x) where q is the exact posterior. All rows share the draws, so the score of a row depends on
        that row alone.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        bound : ndarray of shape (n_samples,), float64
            Rows with the lowest values are the most unusual. Rows that the likelihood cannot describe have -inf, and a
            warning names the first of them.
        """
        return super().score_samples(X)

    def elbo(self, X: Any) -> np.ndarray:
        """Evidence lower bound of log p(x) of each row in nats, which is below that of ``score_samples``.

        It is E_q[log p(x | h) + log p(h) - log q(h | x)], with a mean over ``n_draws`` codes that all rows share.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        bound : ndarray of shape (n_samples,), float64
        """
        return self._log_densities(self._elbo, X)

    def _elbo(self, module: Any, batch: Batch) -> Tensor:
        return in_double(self._log_weights(module, batch)).mean(0) - self._frame.log_volumes(batch.known)

    def _log_likelihood(self, module: Any, batch: Batch) -> Tensor:
        log_w = in_double(self._log_weights(module, batch))
        return log_w.logsumexp(0) - math.log(len(log_w)) - self._frame.log_volumes(batch.known)

    def _log_weights(self, module: Any, batch: Batch) -> Tensor:
        """Log p(x, h) - log q(h | x) for drawn codes of each row, of shape (n_draws, n)."""
        q = Posterior(*self._moments_of(module, batch).chunk(2, 1))
        z = common_normal(int(self.n_draws), q.mu.shape[1]).to(q.mu)[:, None]
        drawn = z.split(max(1, N_DECODED // len(batch.x)))
        return torch.cat([self._log_weights_at(module, batch, q, q.drawn(eps)) for eps in drawn])

    def _log_weights_at(self, module: Any, batch: Batch, q: Posterior, h: Tensor) -> Tensor:
        eta, known = self._decode_draws(module, h, batch), self._observed(batch)
        fit: Tensor = module.likelihood.log_likelihood(eta, self._target(batch), known)
        return fit + self._log_prior(module.prior, h, batch) - q.log_prob(h)
