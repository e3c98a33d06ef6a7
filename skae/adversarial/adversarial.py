"""AdversarialAutoencoder: a critic of codes makes their distribution that of a prior."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from ..base import Batch, Bottleneck, NonNegative, PositiveInt, standard_normal
from ..nn.coder import Coder
from ..nn.fixed_priors import Modes, Uniform
from ..nn.latent import Posterior
from ..nn.priors import Prior, StandardNormal
from ._adversarial import Adversarial, Shown

__all__ = ["AdversarialAutoencoder"]

LOG_VARIANCE = -4.0
"""Of a code that is normally distributed given its row, at the start."""


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
    posterior: Literal["deterministic", "gaussian"] = "deterministic"
    adversarial_weight: NonNegative = 1.0

    # ---------------------------------------------------------------- architecture

    def _architecture(self, n_features: int) -> dict[str, Any]:
        n_modes = int(self.n_clusters) if self.prior == "mixture" else 0
        n_moments = 2 if self.posterior == "gaussian" else 1
        return {**super()._architecture(n_features), "prior": self.prior, "n_modes": n_modes, "n_moments": n_moments}

    def _new_prior(self, coder: Coder) -> Prior:
        name, width = self._spec["prior"], coder.code_width
        if name == "mixture":
            return Modes(width, self._spec["n_modes"])
        return Uniform(width) if name == "uniform" else StandardNormal(width)

    # ---------------------------------------------------------------- objective

    def _drawn(self, neck: Bottleneck, rng: torch.Generator | None) -> Bottleneck:
        """The codes of a batch, drawn from q(h | x), and given noise that all rows share without a generator."""
        if self._spec["n_moments"] == 1:
            return neck
        eps = standard_normal(neck.h.chunk(2, 1)[0], rng)
        return neck.by_autograd(lambda e: (Posterior.of(e).drawn(eps), {}))

    def _start_at_axes(self, module: Any, axes: Tensor, variances: Tensor) -> None:
        super()._start_at_axes(module, axes, variances)
        if self._spec["n_moments"] == 2:
            with torch.no_grad():
                module.encoder.biases[-1][len(axes) :] = LOG_VARIANCE

    def _encode(self, module: Any, batch: Batch) -> Tensor:
        code: Tensor = module.encode(batch.x)[:, : module.code_width]
        return code

    def _shown(self, module: Any, batch: Batch, rng: torch.Generator) -> Shown:
        batch = self._corrupt(module, batch, rng)
        made = self._drawn(Bottleneck(module.encode(batch.shown, rng)), rng).h
        return Shown(module.prior.sample(len(made), rng), made, None, batch.weight)

    def _bottleneck(self, module: Any, batch: Batch, e: Tensor, rng: torch.Generator | None) -> Bottleneck:
        neck = self._drawn(super()._bottleneck(module, batch, e, rng), rng)
        if rng is None:  # held-out rows are judged by their reconstruction
            return neck
        term, slope = self._deceiving(module.critic, neck.h, batch.weight)
        factor = self.adversarial_weight * module.n_outputs
        return neck.plus("adversarial", factor * term, factor * slope)
