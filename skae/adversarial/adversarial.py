"""AdversarialAutoencoder: a critic of codes makes their distribution that of a prior."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from ..base import Batch, Bottleneck, NonNegative, PositiveInt, Terms
from ..nn.coder import Coder
from ..nn.fixed_priors import Modes, Uniform
from ..nn.priors import Prior, StandardNormal
from ._adversarial import Adversarial, Shown

__all__ = ["AdversarialAutoencoder"]


class AdversarialAutoencoder(Adversarial):
    """An autoencoder whose codes have the distribution of a prior, which a critic sees to.

    Parameters
    ----------
    prior : {"normal", "uniform", "mixture"}, default="normal"
        Distribution of the codes.
    n_clusters : int, default=10
        Number of modes of the prior "mixture".
    adversarial_weight : float, default=1.0
        Weight of the adversary, for each column of X.
    """

    prior: Literal["normal", "uniform", "mixture"] = "normal"
    n_clusters: PositiveInt = 10
    adversarial_weight: NonNegative = 1.0

    # ---------------------------------------------------------------- architecture

    def _architecture(self, n_features: int) -> dict[str, Any]:
        n_modes = int(self.n_clusters) if self.prior == "mixture" else 0
        return {**super()._architecture(n_features), "prior": self.prior, "n_modes": n_modes}

    def _new_prior(self, coder: Coder) -> Prior:
        name, width = self._spec["prior"], coder.code_width
        if name == "mixture":
            return Modes(width, self._spec["n_modes"])
        return Uniform(width) if name == "uniform" else StandardNormal(width)

    # ---------------------------------------------------------------- objective

    def _shown(self, module: Any, batch: Batch, rng: torch.Generator) -> Shown:
        batch = self._corrupt(module, batch, rng)
        made = super()._bottleneck(module, batch, module.encode(batch.shown, rng), rng).h
        return Shown(module.prior.sample(len(made), rng), made, None, batch.weight)

    def _bottleneck(self, module: Any, batch: Batch, e: Tensor, rng: torch.Generator | None) -> Bottleneck:
        neck = super()._bottleneck(module, batch, e, rng)
        if rng is None:  # held-out rows are judged by their reconstruction
            return neck

        def deceiving(h: Tensor) -> tuple[Tensor, Terms]:
            term = self._deceiving(module.critic, h, batch.weight)
            return h, {"adversarial": self.adversarial_weight * module.n_outputs * term}

        return neck.by_autograd(deceiving)
