"""BidirectionalGAN: a generator and an encoder against one critic of pairs of a row and its code."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from ..base import Batch, Move, NonNegative, Source, Terms, average, backward
from ..exceptions import CriticWinsWarning
from ..functional import OPPOSITIONS, Opposition
from ..nn.critics import Critic, fixed
from ._adversarial import Adversarial, Shown, mean_weight

__all__ = ["BidirectionalGAN"]

LEAST_LOSS = 0.25
"""A critic wins if its loss is below this fraction of the loss of one that knows nothing."""
OF_IMAGES = 10.0
"""Factor of the penalty on a convolutional critic, which learns faster, as its weights act at all places at once."""


class BidirectionalGAN(Adversarial):
    """A generator of rows and an encoder, which deceive one critic of pairs of a row and a code.

    The generator G maps a code z from N(0, I) to a row G(z). The encoder E maps a row x to a code E(x). The critic D is
    shown pairs, which are real, (x, E(x)), or made, (G(z), z). It gives a high score to those that look real. The two
    networks try to make the pairs alike. If nothing can tell them apart, then G(z) has the distribution of the rows,
    E(x) that of z, and E is the inverse of G. With ``loss="logistic"``, the critic minimises the mean of

        log(1 + exp(-D(x, E(x)))) + log(1 + exp(D(G(z), z))) + gradient_penalty d ||slope of D||^2 / 2,

    and for d columns of X, generator and encoder minimise the mean of

        d log(1 + exp(-D(G(z), z))) + d log(1 + exp(D(x, E(x)))) + reconstruction_weight ||x - G(E(x))||^2.

    The squared error is that of the gaussian likelihood. Others have their own. In each step the critic moves first,
    ``n_critic`` times, and then the others.

    With ``reconstruction_weight=0`` this is the bidirectional generative adversarial network as it was published. Its
    generator and critic alone are a generative adversarial network: codes of a fixed distribution, and two networks
    that learn in turn. ``sample`` uses the generator alone.

    With the gaussian likelihood training starts at PCA, with codes of variance 1 as those of N(0, I) have.

    Parameters
    ----------
    loss : {"logistic", "wasserstein", "hinge"}, default="logistic"
        What the critic minimises. "logistic" is the cross-entropy of real and made pairs, in the form in which the
        gradient of the others does not vanish. "hinge" asks for scores above 1 and below -1. "wasserstein" is the
        difference of the mean scores, for a critic whose slope is about 1.
    reconstruction_weight : float, default=1.0
        Weight of the reconstruction error. Pairs that are right in distribution may still be wrong for a single row.
        This term makes the code of each row the code that is decoded to it. 0 leaves it out.
    gradient_penalty : float, default=0.1
        Weight of the penalty on the critic's slope, for each column of X. With "logistic" and "hinge" the penalty is
        the mean of ||slope||^2 / 2 at real pairs (Mescheder, Geiger and Nowozin, 2018). With "wasserstein" it is the
        mean of (sqrt(d) ||slope|| - 1)^2, not multiplied by d, on lines between real and made pairs (Gulrajani et al.,
        2017). With ``channels`` it counts 10 times as much, since a convolutional critic learns faster.
    spectral_norm : bool, default=False
        Whether to divide the weight of each dense layer of the critic by its largest singular value. Convolutional
        layers are not divided.
    missing_indicator : False, default=False
        X has no missing entries here.

    Attributes
    ----------
    module_ : torch.nn.Module
        The fitted networks: ``encoder``, ``decoder``, which is the generator, and ``critic``.
    history_ : dict of str to list of float
        Training curves, with one value per epoch. "critic" is what the critic minimises without its penalty, which is
        "penalty", and "accuracy" the share of pairs (real, made) that it ranks rightly; 1/2 is the goal. "generator"
        and "encoder" are what these two minimise, without the factor d. For "logistic", "critic" is 2 log 2 and they
        are log 2 each if nothing can be told apart. "reconstruction" is the reconstruction error, without its weight.
        "mmd" is the squared distance of samples to the training rows, or to the held-out rows with ``early_stopping``,
        where it is the "validation_loss" too.
    image_shape_, code_shape_
        As in ``ConvolutionalAutoencoder``. The first exists only with ``channels``.
    loss_, n_iter_, mean_, scale_, n_features_in_, feature_names_in_, components_
        As in ``Autoencoder``. ``loss_`` is NaN, as there is no objective, but for ``early_stopping``.

    See Also
    --------
    AdversarialAutoencoder : A critic of codes alone.
    VariationalAutoencoder : A model of the density.

    References
    ----------
    Donahue, Kraehenbuehl and Darrell (2017), "Adversarial Feature Learning", https://arxiv.org/abs/1605.09782

    Dumoulin, Belghazi, Poole, Mastropietro, Lamb, Arjovsky and Courville (2017), "Adversarially Learned Inference",
    https://arxiv.org/abs/1606.00704

    Goodfellow et al. (2014), "Generative Adversarial Nets", https://arxiv.org/abs/1406.2661

    Mescheder, Geiger and Nowozin (2018), "Which Training Methods for GANs Do Actually Converge?",
    https://arxiv.org/abs/1801.04406

    Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville (2017), "Improved Training of Wasserstein GANs",
    https://arxiv.org/abs/1704.00028

    Miyato, Kataoka, Koyama and Yoshida (2018), "Spectral Normalization for Generative Adversarial Networks",
    https://arxiv.org/abs/1802.05957

    Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter (2017), "GANs Trained by a Two Time-Scale Update Rule Converge
    to a Local Nash Equilibrium", https://arxiv.org/abs/1706.08500

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import train_test_split
    >>> from skae import BidirectionalGAN
    >>> train, test = train_test_split(load_digits().data, random_state=0)
    >>> model = BidirectionalGAN(8, max_iter=10, random_state=0).fit(train)
    >>> model.transform(test).shape, model.sample(3, random_state=0).shape
    ((450, 8), (3, 64))
    >>> curve = model.history_["mmd"]  # distance of samples to rows
    >>> curve[-1] < 0.5 * curve[0]
    True
    >>> bool(model.score(test) > PCA(8).fit(train).explained_variance_ratio_.sum())  # R2 of reconstructions
    True
    """

    loss: Literal["logistic", "wasserstein", "hinge"] = "logistic"
    reconstruction_weight: NonNegative = 1.0
    gradient_penalty: NonNegative = 0.1
    spectral_norm: bool = False
    missing_indicator: Literal[False] = False

    _takes_gaps = False

    _without_weight: ClassVar[frozenset[str]] = Adversarial._without_weight | {"generator", "encoder"}

    # ---------------------------------------------------------------- architecture

    def _architecture(self, n_features: int) -> dict[str, Any]:
        return {**super()._architecture(n_features), "spectral_norm": bool(self.spectral_norm)}

    def _n_judged(self, coder: Any) -> int:
        width: int = coder.n_outputs + coder.code_width
        return width

    def _new_critic(self, module: Any) -> Critic:
        spec = self._spec
        return Critic(
            self._n_judged(module),
            spec["critic_layer_sizes"],
            spec["activation"],
            rate=spec["critic_rate"],
            spectral_norm=spec["spectral_norm"],
            image=spec if "image_shape" in spec else None,
        )

    # ---------------------------------------------------------------- the critic

    def _opposition(self) -> Opposition:
        return OPPOSITIONS[self.loss]

    def _shown(self, module: Any, batch: Batch, rng: torch.Generator) -> Shown:
        h = module.encode(self._corrupt(module, batch, rng).shown, rng)
        z = module.prior.sample(len(h), rng)
        made = module.likelihood.mean(module.decode(z, rng))
        return Shown(_pairs(module, batch.x, h), _pairs(module, made, z), batch.weight)

    def _critic_terms(self, critic: Critic, shown: Shown, rng: torch.Generator) -> Terms:
        critic.iterate()
        return super()._critic_terms(critic, shown, rng)

    def _sloped(self, shown: Shown, rng: torch.Generator) -> Tensor:
        if self.loss != "wasserstein":
            return super()._sloped(shown, rng)
        return shown.between(rng)

    def _penalty(self, slopes: Tensor, weight: Tensor | None) -> Tensor:
        """A penalty on the slope in x / sqrt(d), as the length of x grows as sqrt(d) with the columns."""
        d, factor = self._spec["n_outputs"], OF_IMAGES if "image_shape" in self._spec else 1.0
        if self.loss != "wasserstein":
            return factor * d * super()._penalty(slopes, weight)
        return factor * average((d**0.5 * slopes.norm(dim=1) - 1).square(), weight)

    # ---------------------------------------------------------------- generator and encoder

    def _others_move(self, module: Any, batch: Batch, rng: torch.Generator) -> Move:
        """The move of generator and encoder, with new codes."""
        batch = self._corrupt(module, batch, rng)
        h = module.encode(batch.shown, rng)
        z = module.prior.sample(n := len(h), rng)
        eta = module.decode(torch.cat([z, h]) if self.reconstruction_weight else z, rng)
        made = module.likelihood.mean(eta[:n])
        with fixed(module.critic):
            pairs = torch.cat([_pairs(module, made, z), _pairs(module, batch.x, h)])
            of_made, of_real = module.critic(pairs).split(n)
        maker = self._opposition().maker
        terms = {
            "generator": average(maker(of_made), mean_weight(batch.weight)),
            "encoder": average(maker(-of_real), batch.weight),
        }
        objective = module.n_outputs * (terms["generator"] + terms["encoder"])
        if self.reconstruction_weight:
            terms["reconstruction"] = self._reconstruction(module, eta[n:], batch)
            objective = objective + self.reconstruction_weight * terms["reconstruction"]
        backward({"objective": objective})
        return Move(terms, "main")

    # ---------------------------------------------------------------- after a fit

    def _watched(self, held_out: Source, told: dict[str, float]) -> float:
        """The distance of samples to the held-out rows."""
        return told["mmd"] if "mmd" in told else super()._watched(held_out, told)

    def _failure_to_deceive(self) -> CriticWinsWarning | None:
        """A critic wins if it is nearly always right, and sure of it.

        In many columns it may be right about pairs that are nearly alike. One with a bounded slope is never sure.
        """
        clueless = {"logistic": 2 * np.log(2), "hinge": 2.0, "wasserstein": -np.inf}[self.loss]
        is_sure = self._late("critic") < LEAST_LOSS * clueless
        return super()._failure_to_deceive() if is_sure else None

    def _as_diverse(self, batch: Batch) -> Tensor:
        """What PCA restores of the rows, as the generator makes the reconstructions too, and may make all alike."""
        x = self._target(batch)
        centred = x - x.mean(0)
        axes = torch.linalg.svd(centred, full_matrices=False)[2][: self.module_.code_width]
        return centred @ axes.t() @ axes + x.mean(0)

    def _cure_of_reconstruction(self) -> str:
        return f"raise reconstruction_weight (now {self.reconstruction_weight:g}), or {self._cure()}"

    # ---------------------------------------------------------------- using

    def _row_given(self, module: Any, eta: Tensor, rng: torch.Generator) -> Tensor:
        """What the generator makes of a code, and no noise: that is what the critic was shown."""
        row: Tensor = module.likelihood.mean(eta)
        return row


def _pairs(module: Any, x: Tensor, h: Tensor) -> Tensor:
    """Rows, as the encoder sees them, and codes side by side."""
    return torch.cat([module.likelihood.embed(x), h], 1)
