"""Matched: autoencoders whose codes are matched to a prior, so that codes of the prior are decoded to rows."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ..autoencoders import Coded
from ..base import Batch, Source
from ..base.encoding import judged
from ..exceptions import ModeCollapseWarning
from ..functional import SCALES, aside, effective_number, median_squared_distance, squared_mmd
from ..nn.coder import Coder
from ..nn.priors import Prior, StandardNormal

__all__ = ["Matched"]

LEAST_DIVERSITY = 0.3
"""Smallest effective number of samples, as a fraction of that of training rows, at which no mode is taken for lost."""
N_COUNTED = 200
"""Samples and rows whose effective number is measured."""
N_COMPARED = 250
"""Largest number of rows and of samples whose distance is measured. It then takes less time than a few steps."""


class Matched(Coded):
    """An autoencoder that samples: the distribution of its codes is matched to a prior p(h).

    Parameters
    ----------
    init : {"auto", "pca", "random"}, default="auto"
        "pca" starts at PCA with components of variance 1, and at its inverse. It needs ``code="vector"`` and a gaussian
        likelihood. "random" starts from random weights, without the PCA term. "auto" is "pca" where it is defined, and
        "random" otherwise.
    code_activation : "identity", default="identity"
        A code that is matched to a prior has no activation function.
    weight_decay : float or "auto", default="auto"
        L2 penalty on the weights, but not on the biases. "adamw" decouples it from the gradient. The other solvers add
        it to the gradient. "auto" is 0.
    """

    code_activation: Literal["identity"] = "identity"

    _without_weight: ClassVar[frozenset[str]] = Coded._without_weight | {"mmd"}
    _may_idle = True
    _decay = 0.0

    # ---------------------------------------------------------------- hooks of a variant

    def _new_prior(self, coder: Coder) -> Prior:
        """The prior p(h) of a new module."""
        return StandardNormal(coder.code_width)

    # ---------------------------------------------------------------- architecture and start

    def _new_module(self) -> nn.Module:
        coder = self._new_coder(self._spec)
        coder.prior = self._new_prior(coder)
        return coder

    def _initialise(self, module: Any, data: Any, rng: torch.Generator) -> None:
        super()._initialise(module, data, rng)
        module.prior.initialise(aside(rng))

    def _start_at_axes(self, module: Any, axes: Tensor, variances: Tensor) -> None:
        module.start_whitened(axes, variances)

    # ---------------------------------------------------------------- fitting

    def _is_noisy(self) -> bool:
        return True

    def _examine(self, train: Source, held_out: Source | None) -> dict[str, float]:
        """``mmd``, the squared distance of samples to held-out rows, or to training rows if none are held out."""
        batch = judged(self, train if held_out is None else held_out)
        told = {} if batch is None else {"mmd": self._distance_of_samples(batch)}
        return told if held_out is None else {**told, "validation_loss": self._watched(held_out, told)}

    def _watched(self, held_out: Source, told: dict[str, float]) -> float:
        """What ``early_stopping`` watches: the reconstruction error of the held-out rows."""
        return self._mean_loss(held_out)

    @torch.no_grad()
    def _distance_of_samples(self, batch: Batch) -> float:
        """Squared MMD of some rows and as many samples, which are drawn with the same noise in every call."""
        some = slice(None, None, -(-len(batch.x) // N_COMPARED))
        x, weight = self._target(batch)[some], None if batch.weight is None else batch.weight[some]
        unit = median_squared_distance(x)
        return float(squared_mmd(x, self._drawn_rows(len(x)), [scale * unit for scale in SCALES], weight=weight))

    def _drawn_rows(self, n: int) -> Tensor:
        """Samples on the scale of the module, the same in every call."""
        rng = torch.Generator(self._flat.theta.device).manual_seed(0)
        h = self.module_.prior.sample(n, rng)
        return self._row_given(self.module_, self.module_.decode(h), rng)

    # ---------------------------------------------------------------- after a fit

    def _failure(self, data: Any) -> Any:
        failure = super()._failure(data) or self._failure_to_reconstruct(data)
        return failure or self._failure_to_sample(data)

    def _failure_to_sample(self, data: Any) -> ModeCollapseWarning | None:
        """Compare how many distinct samples and distinct training rows there are."""
        batch = judged(self, data)
        if batch is None or len(batch.x) < N_COUNTED:
            return None
        x = self._as_diverse(batch)[torch.linspace(0, len(batch.x) - 1, N_COUNTED).long()]
        scales = [min(SCALES) * median_squared_distance(x)]
        of_rows, of_samples = effective_number(x, scales), effective_number(self._drawn_rows(N_COUNTED), scales)
        if of_samples >= LEAST_DIVERSITY * of_rows:
            return None
        return ModeCollapseWarning(
            f"The samples are alike: {N_COUNTED} of them are as diverse as {of_samples:.0f} distinct rows, where as "
            f"many training rows, restored from {self.module_.code_width} components, are as diverse as "
            f"{of_rows:.0f}: {self._cure_of_collapse()}."
        )

    def _as_diverse(self, batch: Batch) -> Tensor:
        """Rows whose diversity the samples should have: no more of it than a narrow code can hold.

        They are made of the codes of training rows, as samples are made of codes of the prior.
        """
        eta = self.module_.decode(self._encode(self.module_, batch))
        return self._row_given(self.module_, eta, torch.Generator(eta.device).manual_seed(0))

    def _cure_of_collapse(self) -> str:
        """What to do about samples that are alike, for the message."""
        return "raise max_iter"

    # ---------------------------------------------------------------- using

    def _row_given(self, module: Any, eta: Tensor, rng: torch.Generator) -> Tensor:
        """The mean of a gaussian likelihood, whose variance is not learnt, and a draw from the others."""
        if self._spec["likelihood"] == "gaussian":
            return eta
        return super()._row_given(module, eta, rng)
