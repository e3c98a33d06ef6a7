"""ContractiveAutoencoder: a code that changes little when the input changes."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from ..base.params import NonNegative, Positive, PositiveInt
from ..engine.data import Batch
from ..engine.optim import Terms
from ..functional import average
from ..nn.bottleneck import Bottleneck
from .dense import Autoencoder

__all__ = ["ContractiveAutoencoder"]


class ContractiveAutoencoder(Autoencoder):
    """Autoencoder whose code follows the data along their manifold and ignores the other directions.

    The loss of a row is its reconstruction error plus the penalty

        lambda ||J||_F^2 = lambda sum_ij (dh_j / dx_i)^2,

    where J is the derivative of the code (Rifai et al., 2011). The penalty removes every direction from the code
    that the reconstruction does not need. ``order=2`` also penalises how fast J changes, by

        gamma E ||J(x) - J(x + eps)||_F^2 with eps from N(0, sigma^2 I),

    which makes the manifold smooth.

    The norm can be computed exactly. For one layer h = a(W x + b) it is sum_j a'_j^2 ||W_j||^2. For a deep encoder
    it follows from the product of the derivatives of its layers. ``n_probes`` replaces it by an estimate.

    Encoder and decoder share their weights. Otherwise a small code with large decoder weights would evade the
    penalty. J is the derivative without dropout or other noise, with x in units of ``scale_``.

    Parameters
    ----------
    contraction : float, default=0.1
        Weight lambda of ||J||_F^2.
    order : {1, 2}, default=1
        2 adds the penalty on the change of J.
    gamma : float, default=0.1
        Weight of the penalty on the change of J.
    sigma : float, default=0.1
        Standard deviation of eps, in units of ``scale_``.
    n_probes : int, "auto" or None, default="auto"
        Number of random sign vectors v per row. ||J||_F^2 is estimated as the mean of ||v'J||^2 over them
        (Hutchinson, 1990). None computes it exactly, from all ``n_components`` rows of J. "auto" is None for a
        single layer. It is 1 for deeper encoders, where each row of J costs a backward pass through the encoder.
    tied_weights : bool, default=True
        Whether the decoder uses the encoder's weights, transposed: W_d = W_e'.

    Attributes
    ----------
    history_ : dict of str to list of float
        As in ``Autoencoder``, with the terms "contraction", and "curvature" with ``order=2``.
    module_, loss_, n_iter_, mean_, scale_, n_features_in_, feature_names_in_
        As in ``Autoencoder``.

    References
    ----------
    Rifai, Vincent, Muller, Glorot and Bengio (2011), "Contractive Auto-Encoders: Explicit Invariance
    During Feature Extraction", https://icml.cc/2011/papers/455_icmlpaper.pdf

    Rifai, Mesnil, Vincent, Muller, Bengio, Dauphin and Glorot (2011), "Higher Order Contractive
    Auto-Encoder", https://doi.org/10.1007/978-3-642-23783-6_41

    Hutchinson (1990), "A Stochastic Estimator of the Trace of the Influence Matrix for Laplacian
    Smoothing Splines", https://doi.org/10.1080/03610919008812866

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import Autoencoder, ContractiveAutoencoder
    >>> X = load_digits().data[:500]
    >>> options = {"tied_weights": True, "max_iter": 20, "random_state": 0}
    >>> plain = Autoencoder(8, **options).fit(X)
    >>> contractive = ContractiveAutoencoder(8, contraction=3.0, **options).fit(X)
    >>> norms = [(m.jacobian_singular_values(X) ** 2).sum(axis=1).mean() for m in (contractive, plain)]
    >>> bool(norms[0] < 0.8 * norms[1])
    True
    """

    contraction: NonNegative = 0.1
    order: Literal[1, 2] = 1
    gamma: NonNegative = 0.1
    sigma: Positive = 0.1
    n_probes: PositiveInt | Literal["auto"] | None = "auto"
    tied_weights = True

    def _is_noisy(self) -> bool:
        perturbed = self.order == 2 and self.gamma > 0.0
        probed = self.contraction > 0.0 and self._count_probes(self.module_) is not None
        return super()._is_noisy() or perturbed or probed

    def _bottleneck(self, module: Any, batch: Batch, e: Tensor, rng: torch.Generator | None) -> Bottleneck:
        neck = super()._bottleneck(module, batch, e, rng)
        return neck.by_autograd(lambda h: (h, self._contraction(module, batch, h, rng)))

    def _contraction(self, module: Any, batch: Batch, h: Tensor, rng: torch.Generator | None) -> Terms:
        """Penalties on the derivative of the code, at the rows that the encoder sees."""
        terms = {}
        rng = torch.Generator(h.device).manual_seed(0) if rng is None else rng  # makes held-out losses comparable
        x, known = batch.shown, batch.told_known
        if self.contraction > 0.0:
            terms["contraction"] = self.contraction * average(
                self._squared_norm(module, x, h, rng, known), batch.weight
            )
        if self.order == 2 and self.gamma > 0.0:
            terms["curvature"] = self.gamma * average(self._squared_change(module, x, h, rng, known), batch.weight)
        return terms

    def _squared_norm(
        self, module: Any, x: Tensor, h: Tensor, rng: torch.Generator, known: Tensor | None = None
    ) -> Tensor:
        """||J||_F^2 of each row, exact or as an unbiased estimate."""
        v = self._probes(module, h, rng)
        if v is None:
            return module.squared_jacobian(x, h, known)
        return module.pull_back(x, v, known).square().sum((1, 2)).div(v.shape[1])

    def _squared_change(
        self, module: Any, x: Tensor, h: Tensor, rng: torch.Generator, known: Tensor | None = None
    ) -> Tensor:
        """||J(x) - J(x + eps)||_F^2 of each row, for one draw of eps."""
        eps = torch.empty_like(x).normal_(0.0, self.sigma, generator=rng)
        v = self._probes(module, h, rng)
        n_probes = 1 if v is None else v.shape[1]
        v = torch.eye(h.shape[1], dtype=h.dtype, device=h.device)[None] if v is None else v
        change = module.pull_back(x, v, known) - module.pull_back(x + eps, v, known)
        return change.square().sum((1, 2)).div(n_probes)

    def _probes(self, module: Any, h: Tensor, rng: torch.Generator) -> Tensor | None:
        """Random signs of shape (n, n_probes, n_components), or None for the exact norm."""
        n_probes = self._count_probes(module)
        if n_probes is None:
            return None
        coins = torch.empty((len(h), n_probes, h.shape[1]), dtype=h.dtype, device=h.device)
        return coins.bernoulli_(0.5, generator=rng).mul_(2).sub_(1)

    def _count_probes(self, module: Any) -> int | None:
        return (1 if module.is_deep else None) if self.n_probes == "auto" else self.n_probes
