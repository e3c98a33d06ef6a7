"""WassersteinAutoencoder: codes whose distribution is near a normal one in maximum mean discrepancy."""

from __future__ import annotations

from numbers import Real
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..base import Batch, Bottleneck, NonNegative, Source
from ..base.compat import Interval
from ..base.encoding import judged
from ..functional import squared_mmd_to_normal
from ._matched import Matched

__all__ = ["WassersteinAutoencoder"]

Scales: TypeAlias = Annotated[tuple[float, ...], "array-like", Interval(Real, 0, None, closed="neither")]


class WassersteinAutoencoder(Matched):
    """An autoencoder that samples: the distribution of its codes is near N(0, I) in maximum mean discrepancy.

    Training minimises

        mean -log p(x | g(f(x))) + mmd_weight * n_features * MMD^2(q(h), N(0, I)),

    where f is the encoder, g the decoder, and q(h) the distribution of the codes h = f(x) of all rows. So codes that
    are drawn from N(0, I) are decoded to rows like those of X. Unlike in a variational autoencoder, a single row has a
    code and no distribution of codes, so that matching costs less reconstruction. Unlike in an adversarial autoencoder
    there is no critic: the loss is one objective, which falls.

    The distance is MMD^2(q, p) = E k(h, h') - 2 E k(h, z) + E k(z, z') for h, h' from q and z, z' from p. It is zero
    only if q = p. The first expectation is the mean over the pairs of different rows of a batch, an estimate without
    bias. The paper estimates the other two by draws of z. For N(0, I) they are known, and computed here.

    The decoder has no noise for the gaussian likelihood: ``sample`` returns decoded codes. Other likelihoods draw from
    p(x | h).

    Parameters
    ----------
    kernel : {"imq", "rbf"}, default="imq"
        "imq" is the inverse multiquadratic kernel C / (C + ||h - h'||^2). Its slope is felt by codes far from the
        prior. "rbf" is the Gaussian kernel exp(-||h - h'||^2 / 2 C), which is blind to codes that are far from
        all others and from the prior.
    scales : tuple of float, or float, default=(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
        Squared lengths C, in multiples of 2 d, which is the mean squared distance of two draws from N(0, I) in d
        components. The kernel is the mean of those of the scales.
    mmd_weight : float, default=3.0
        Weight of the squared distance, for each column of X. 0 gives an autoencoder whose codes have the variance 1
        at the start. The larger, the nearer the codes are to N(0, I), and the worse the reconstruction.

    Attributes
    ----------
    module_ : torch.nn.Module
        The fitted networks, and the prior.
    history_ : dict of str to list of float
        Training curves, with one value per epoch: "loss", its terms "reconstruction" and "divergence", which is the
        distance with its weight, and "mmd", the squared MMD of samples to rows: to held-out ones with
        ``early_stopping``, and then also "validation_loss", the sum of the terms for the held-out rows. Estimates of
        distances may be below zero.
    image_shape_, code_shape_
        As in ``ConvolutionalAutoencoder``. The first exists only with ``channels``.
    loss_, n_iter_, mean_, scale_, n_features_in_, feature_names_in_, components_
        As in ``Autoencoder``.

    See Also
    --------
    AdversarialAutoencoder : A critic in place of the kernel, and other priors.
    VariationalAutoencoder : Likelihoods in nats, and a distribution of codes for each row.
    skae.metrics.squared_mmd : The distance of two tables.

    References
    ----------
    Tolstikhin, Bousquet, Gelly and Schoelkopf (2018), "Wasserstein Auto-Encoders", https://arxiv.org/abs/1711.01558

    Gretton, Borgwardt, Rasch, Schoelkopf and Smola (2012), "A Kernel Two-Sample Test",
    https://jmlr.org/papers/v13/gretton12a.html

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from skae import WassersteinAutoencoder
    >>> from skae.metrics import squared_mmd
    >>> train, test = train_test_split(load_digits().data, random_state=0)
    >>> model = WassersteinAutoencoder(n_components=8, max_iter=20, random_state=0).fit(train)
    >>> model.transform(test).shape, model.sample(3, random_state=0).shape
    ((450, 8), (3, 64))
    >>> bool(model.score(test) > 0.8)  # reconstruction R2
    True
    >>> bool(squared_mmd(model.transform(test), model.sample_codes(450)) < 0.01)  # the codes have the prior
    True
    """

    kernel: Literal["imq", "rbf"] = "imq"
    scales: Scales = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
    mmd_weight: NonNegative = 3.0

    # ---------------------------------------------------------------- parameters

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._multiples()

    def _multiples(self) -> tuple[float, ...]:
        """``scales`` as a tuple of numbers above 0."""
        try:
            found = np.atleast_1d(np.asarray(self.scales, dtype=float))
        except (TypeError, ValueError):
            found = np.array([])
        if found.ndim != 1 or not len(found) or not (np.isfinite(found) & (found > 0)).all():
            raise ValueError(f"scales={self.scales!r} must be one number above 0, or several.")
        return tuple(found.tolist())

    def _needs_all_rows(self) -> str | None:
        return "the codes of a batch are compared with one another" if self.mmd_weight else super()._needs_all_rows()

    def _is_noisy(self) -> bool:
        """A batch is a draw of rows, whose distance to the prior varies more than the rest. "lbfgs" takes all rows."""
        return self.solver != "lbfgs" or super(Matched, self)._is_noisy()

    # ---------------------------------------------------------------- objective

    def _divergence(self, module: Any, h: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
        """The squared distance of codes to N(0, I) with its weight, and its gradient in the codes."""
        lengths = tuple(2 * h.shape[1] * scale for scale in self._multiples())
        factor = self.mmd_weight * module.n_outputs
        distance, gradient = squared_mmd_to_normal(h, lengths, self.kernel, weight)
        return factor * distance, factor * gradient

    def _bottleneck(self, module: Any, batch: Batch, e: Tensor, rng: torch.Generator | None) -> Bottleneck:
        neck = super()._bottleneck(module, batch, e, rng)
        if rng is None or not self.mmd_weight:  # held-out rows are compared with the prior all at once
            return neck
        term, slope = self._divergence(module, neck.h.detach(), batch.weight)
        return neck.plus("divergence", term, slope)

    def _watched(self, held_out: Source, told: dict[str, float]) -> float:
        """The objective for the held-out rows, some of which are compared with the prior."""
        batch = judged(self, held_out)
        if batch is None or not self.mmd_weight:
            return super()._watched(held_out, told)
        divergence, _ = self._divergence(self.module_, self._encode(self.module_, batch), batch.weight)
        return super()._watched(held_out, told) + float(divergence)

    # ---------------------------------------------------------------- after a fit

    def _cure_of_collapse(self) -> str:
        return f"raise mmd_weight (now {self.mmd_weight:g}) or max_iter"
