"""AdversariallyRegularizedAutoencoder: a generator learns the prior of the codes, for tables, images and sentences."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..base import (
    Arrays,
    Batch,
    Bottleneck,
    Exported,
    Frame,
    Move,
    NonNegative,
    Positive,
    PositiveInt,
    Saved,
    Sizes,
    Source,
    Support,
    Terms,
    average,
    damage,
    sizes_of,
    standard_normal,
)
from ..base.checks import check_weight
from ..base.token_ids import MOST_TOKENS, ids_of, one_hot, token_ids
from ..base.transformer import row_by_row
from ..engine.frame import in_double
from ..functional import OPPOSITIONS, Opposition
from ..nn.coder import Coder
from ..nn.critics import Critic, fixed
from ..nn.generators import Generator, on_sphere
from ..nn.priors import Prior
from ._adversarial import Adversarial, Shown, mean_weight

__all__ = ["AdversariallyRegularizedAutoencoder"]

NOISE_OF_TOKENS = 0.5
"""Standard deviation of the noise of codes with ``code_noise="auto"`` and tokens."""


def _fault_of_spec(estimator: Any, value: Any) -> str | None:
    """Check the arguments of the module, of which one is the number of tokens, or 0 for rows of numbers."""
    found = damage.spec(estimator, value)
    if found is None and damage.whole()(estimator, value.get("n_tokens")):
        return "has no whole number n_tokens"
    return found


def _fault_of_frame(estimator: Any, value: Frame) -> str | None:
    """Check the frame of rows of numbers, or of the columns that tokens become."""
    if not estimator._spec.get("n_tokens"):
        return damage.frame(estimator, value)
    return damage.fault_of_numbers(value.mean, (estimator._spec["n_features"],))


class AdversariallyRegularizedAutoencoder(Adversarial):
    """An autoencoder whose codes and whose prior learn to be alike, for tables, images and sentences.

    An encoder f maps a row x to a code h = f(x), and a decoder maps it back. A third network, the generator g, makes
    codes of noise, g(s) with s from N(0, I). A critic c scores codes (also called discriminator). Its scores tell how
    far the two distributions are from each other (Wasserstein distance):

        D = E[c(f(x))] - E[c(g(s))],    where the slope of c is about 1 at the most.

    In each step the critic moves ``n_critic`` times, to raise D. Then the others move: encoder and decoder minimise

        -E[log p(x | h)] + w d D,    with the weight w, ``adversarial_weight``, and d columns of X,

    and the generator minimises D. So the prior follows the codes, and the codes keep near what a smooth function of
    noise can make. No shape is imposed on them, as N(0, I) would be.

    With ``likelihood="tokens"`` rows are sentences: whole numbers that stand for tokens, one for each place, which
    ``skae.tokens.TokenEncoder`` makes of texts. All that is decoded is again token ids: by ``inverse_transform``,
    ``reconstruct`` and ``interpolate`` the most probable token at each place, and by ``sample`` a draw.

    Parameters
    ----------
    likelihood : {"gaussian", "bernoulli", "categorical", "poisson", "tokens"}, default="gaussian"
        Distribution of X given the code. The first four are as in ``Autoencoder``. "tokens" is for rows of token ids,
        0, 1, 2 and so on, with a categorical distribution at each place. With ``channels``, the convolutions run along
        the places, and ``image_shape`` and ``channel_axis`` are not used.
    n_tokens : int or "auto", default="auto"
        Number of tokens, for ``likelihood="tokens"`` alone. "auto" is the largest id in the training rows plus 1. Pass
        a number if later rows may have more tokens.
    generator_layer_sizes : tuple of int, or int, default=(128, 128)
        Widths of the generator's hidden layers.
    n_noise : int or "auto", default="auto"
        Width of the noise s. "auto" is the width of the code.
    adversarial_weight : float, default=0.1
        Weight w of the distance in what the encoder minimises, for each column of X. With 0 the generator still learns
        the distribution of the codes, and the encoder does not come towards it.
    spherical : bool or "auto", default="auto"
        Whether codes are moved to a sphere, h sqrt(k) / ||h|| with k components, as in the paper. Distances between
        codes then have a fixed scale. "auto" is True for tokens with two components or more.
    code_noise : float or "auto", default="auto"
        Standard deviation of normal noise that is added to the codes in training before they are decoded. It makes
        neighbouring codes decode alike. "auto" is 0.5 for tokens and 0 otherwise. Without ``spherical``, the encoder
        can make codes large against it.
    constraint : {"gradient_penalty", "clipping"}, default="gradient_penalty"
        What keeps the critic's slope near 1. "gradient_penalty" penalises (||slope|| - 1)^2 on straight lines between
        codes of rows and made ones (Gulrajani et al., 2017), and of codes of one number only slopes above 1 (Petzka et
        al., 2018). "clipping" moves all parameters of the critic into
        [-``clip``, ``clip``] after each of its moves (Arjovsky et al., 2017), as in the paper.
    gradient_penalty : float, default=10.0
        Weight of that penalty. Not used with "clipping".
    clip : float, default=0.01
        Largest parameter of the critic. Not used with "gradient_penalty".
    n_critic : int, default=5
        Moves of the critic in each step. The others move once.
    missing_indicator : False, default=False
        X has no missing entries here.

    Attributes
    ----------
    module_ : torch.nn.Module
        The fitted networks. ``module_.prior`` is the generator.
    history_ : dict of str to list of float
        Training curves, with one value per epoch. "reconstruction" is as in ``Autoencoder``, "adversarial" is w d D,
        and "generator" is D. "critic" is -D before the critic's last move, and "penalty" that on its slope. "accuracy"
        is the share of pairs in which the critic scores the code of the row higher. 1/2 is the goal. "mmd" is the
        squared maximum mean discrepancy of samples to held-out rows, or to training rows.
    mean_ : ndarray of shape (n_features,)
        Mean of the training data. With tokens, the frequency of each token at each place, one place after the other,
        of shape (length * n_tokens,).
    n_features_in_ : int
        Number of columns of X. With tokens, the number of places.
    image_shape_, code_shape_
        As in ``ConvolutionalAutoencoder``. The first exists only with ``channels``.
    loss_, n_iter_, scale_, feature_names_in_, components_
        As in ``Autoencoder``.

    See Also
    --------
    skae.AdversarialAutoencoder : A critic matches the codes to a given prior.
    skae.tokens.TokenEncoder : Sentences as rows of token ids.

    References
    ----------
    Zhao, Kim, Zhang, Rush and LeCun (2018), "Adversarially Regularized Autoencoders",
    https://arxiv.org/abs/1706.04223

    Arjovsky, Chintala and Bottou (2017), "Wasserstein GAN", https://arxiv.org/abs/1701.07875

    Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville (2017), "Improved Training of Wasserstein GANs",
    https://arxiv.org/abs/1704.00028

    Petzka, Fischer and Lukovnikov (2018), "On the Regularization of Wasserstein GANs",
    https://arxiv.org/abs/1709.08894

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AdversariallyRegularizedAutoencoder
    >>> X = load_digits().data[:300]
    >>> options = {"hidden_layer_sizes": (32,), "critic_layer_sizes": (16,), "generator_layer_sizes": (16,)}
    >>> model = AdversariallyRegularizedAutoencoder(8, max_iter=5, random_state=0, **options).fit(X)
    >>> model.transform(X).shape, model.sample(3, random_state=0).shape
    ((300, 8), (3, 64))

    Sentences:

    >>> from sklearn.pipeline import make_pipeline
    >>> from skae.tokens import TokenEncoder
    >>> nouns, verbs = ("dogs", "cats", "birds"), ("eat", "sleep", "run")
    >>> sentences = [f"{noun} {verb}" for noun in nouns for verb in verbs]
    >>> model = AdversariallyRegularizedAutoencoder(4, likelihood="tokens", max_iter=60, random_state=0, **options)
    >>> pipe = make_pipeline(TokenEncoder(), model).fit(sentences)
    >>> pipe.inverse_transform(pipe.transform(["dogs eat", "birds run"]))
    ['dogs eat', 'birds run']
    """

    likelihood: Literal["gaussian", "bernoulli", "categorical", "poisson", "tokens"] = "gaussian"  # type: ignore[assignment]
    n_tokens: PositiveInt | Literal["auto"] = "auto"
    generator_layer_sizes: Sizes = (128, 128)
    n_noise: PositiveInt | Literal["auto"] = "auto"
    adversarial_weight: NonNegative = 0.1
    spherical: bool | Literal["auto"] = "auto"
    code_noise: NonNegative | Literal["auto"] = "auto"
    constraint: Literal["gradient_penalty", "clipping"] = "gradient_penalty"
    gradient_penalty: NonNegative = 10.0
    clip: Positive = 0.01
    n_critic: PositiveInt = 5
    missing_indicator: Literal[False] = False

    _takes_gaps = False

    _without_weight: ClassVar[frozenset[str]] = Adversarial._without_weight | {"generator"}
    _saved: ClassVar[dict[str, Saved]] = {
        "_spec": Saved(_fault_of_spec),
        "_frame": Saved(_fault_of_frame, cls=Frame),
    }

    # ---------------------------------------------------------------- tokens

    def _source(self, X: Any, y: Any = None, weight: Any = None, reset: bool | None = None) -> Source:
        fitted = 0 if reset else self._spec["n_tokens"]
        if not (fitted if reset is None else self.likelihood == "tokens"):
            return super()._source(X, y, weight, reset)
        ids = token_ids(self, X, bool(reset))
        n_tokens = fitted
        if reset is not None and (self.n_tokens != "auto" or not fitted):
            n_tokens = int(ids.max()) + 1 if self.n_tokens == "auto" else int(self.n_tokens)
        return Arrays(one_hot(ids, n_tokens), check_weight(weight, len(ids)))

    def _sizes(self) -> tuple[int, ...]:
        if self.likelihood != "tokens":
            return super()._sizes()
        return (len(self._output_frame) // self.n_features_in_,) * self.n_features_in_

    # ---------------------------------------------------------------- architecture

    def _check_parameters(self) -> None:
        super()._check_parameters()
        sizes_of("generator_layer_sizes", self.generator_layer_sizes)
        if self.spherical is True and self.n_components == 1 and self.code == "vector":
            raise ValueError("spherical=True makes every code of one number 1 or -1: raise n_components.")
        if self.likelihood == "tokens" and self.n_tokens != "auto" and self.n_tokens > MOST_TOKENS:
            raise ValueError(f"n_tokens={self.n_tokens} is above the largest number of tokens, {MOST_TOKENS}.")
        if self.likelihood == "tokens" and self.categories is not None:
            raise ValueError("categories are for likelihood='categorical': with 'tokens' set n_tokens instead.")

    def _architecture(self, n_features: int) -> dict[str, Any]:
        spec = super()._architecture(n_features)
        of_tokens = self.likelihood == "tokens"
        if of_tokens:
            spec["likelihood"] = "categorical"
        if of_tokens and "image_shape" in spec:
            spec["channels_last"] = True
        return {
            **spec,
            "n_tokens": n_features // self.n_features_in_ if of_tokens else 0,
            "generator_layer_sizes": sizes_of("generator_layer_sizes", self.generator_layer_sizes),
            "n_noise": 0 if self.n_noise == "auto" else int(self.n_noise),
            "spherical": of_tokens and self.n_components > 1 if self.spherical == "auto" else bool(self.spherical),
        }

    def _shape_of_image(self, n_features: int) -> tuple[int, int, int]:
        """Tokens are a line of pixels, with a channel for each token."""
        if self.likelihood != "tokens":
            return super()._shape_of_image(n_features)
        return n_features // self.n_features_in_, 1, self.n_features_in_

    def _new_prior(self, coder: Coder) -> Prior:
        spec, width = self._spec, coder.code_width
        n_noise = spec["n_noise"] or width
        return Generator(width, n_noise, spec["generator_layer_sizes"], spec["activation"], spherical=spec["spherical"])

    # ---------------------------------------------------------------- objective

    def _opposition(self) -> Opposition:
        return OPPOSITIONS["wasserstein"]

    def _shown(self, module: Any, batch: Batch, rng: torch.Generator) -> Shown:
        batch = self._corrupt(module, batch, rng)
        codes = self._placed(module.encode(batch.shown, rng))
        return Shown(codes, module.prior.sample(len(codes), rng), batch.weight)

    def _weight_of_penalty(self) -> float:
        return super()._weight_of_penalty() if self.constraint == "gradient_penalty" else 0.0

    def _sloped(self, shown: Shown, rng: torch.Generator) -> Tensor:
        return shown.between(rng)

    def _penalty(self, slopes: Tensor, weight: Tensor | None) -> Tensor:
        """The mean of (||slope|| - 1)^2.

        Of codes of one number, only slopes above 1 count (Petzka, Fischer and Lukovnikov, 2018).
        """
        excess = (slopes.square().sum(1) + 1e-12).sqrt() - 1  # the slope of a root at 0 is infinite
        if slopes.shape[1] == 1:  # a slope of one number cannot turn: between -1 and 1 lies a hill of the penalty
            excess = excess.clamp_min(0)
        return average(excess.square(), weight)

    def _critic_moves(self, module: Any, batch: Batch, rng: torch.Generator, n: int) -> Move:
        self._bound(module.critic)
        return super()._critic_moves(module, batch, rng, n)

    def _others_move(self, module: Any, batch: Batch, rng: torch.Generator) -> Move:
        self._bound(module.critic)
        return super()._others_move(module, batch, rng)._replace(parts=("main", "generator"))

    def _bound(self, critic: Critic) -> None:
        """Clip the critic, at the start and after each of its moves."""
        if self.constraint == "clipping":
            critic.clip(float(self.clip))

    def _bottleneck(self, module: Any, batch: Batch, e: Tensor, rng: torch.Generator | None) -> Bottleneck:
        neck = super()._bottleneck(module, batch, e, rng)
        if self._spec["spherical"]:
            neck = neck.by_autograd(lambda e: (on_sphere(e), {}))
        if rng is None:  # held-out rows are judged by their reconstruction
            return neck
        s = module.prior.noise(len(e), rng)
        n_columns = self.n_features_in_ if self._spec["n_tokens"] else module.n_outputs

        def approaching(h: Tensor) -> tuple[Tensor, Terms]:
            with fixed(module.critic):
                of_codes = average(module.critic(h), batch.weight)
                of_made = average(module.critic(module.prior(s)), mean_weight(batch.weight))
            return h, {
                "adversarial": self.adversarial_weight * n_columns * (of_codes - of_made.detach()),
                "generator": of_codes.detach() - of_made,
            }

        neck = neck.by_autograd(approaching)
        deviation = self._deviation()
        return neck._replace(h=neck.h + deviation * standard_normal(neck.h, rng)) if deviation else neck

    def _placed(self, e: Tensor) -> Tensor:
        """The encoder's output as codes: as it is, or on the sphere."""
        return on_sphere(e) if self._spec["spherical"] else e

    def _deviation(self) -> float:
        """Standard deviation of the noise that is added to codes in training."""
        if self.code_noise != "auto":
            return float(self.code_noise)
        return NOISE_OF_TOKENS if self.likelihood == "tokens" else 0.0

    def _encode(self, module: Any, batch: Batch) -> Tensor:
        return self._placed(super()._encode(module, batch))

    def _decode(self, module: Any, h: Tensor, batch: Batch) -> Tensor:
        return super()._decode(module, self._placed(h), batch)

    # ---------------------------------------------------------------- after a fit

    def _cure_of_lost_game(self) -> str:
        if self.constraint == "clipping":
            return f"lower clip (now {self.clip:g}) or critic_rate, or raise max_iter"
        return super()._cure_of_lost_game()

    def _cure_of_collapse(self) -> str:
        cure = f"raise n_critic (now {self.n_critic})"
        return f"{cure} or lower adversarial_weight (now {self.adversarial_weight:g})"

    # ---------------------------------------------------------------- using

    def _support(self) -> Support | None:
        return None if self._spec["n_tokens"] else super()._support()

    def _tunable(self) -> Any:
        if self._spec["n_tokens"]:
            raise ValueError(
                "A model with likelihood='tokens' cannot be fine-tuned: fit one with likelihood='categorical' and "
                "spherical=True to one-hot columns (sklearn's OneHotEncoder) instead, which is the same model."
            )
        return super()._tunable()

    def _exported(self) -> dict[str, Exported]:
        if self._spec["n_tokens"]:
            raise ValueError("A model with likelihood='tokens' has no graph of ONNX: its rows are tokens, not numbers.")
        return super()._exported()

    def _as_ids(self, rows: Any) -> Any:
        """Token ids, if the model is of tokens, and otherwise the rows as they are."""
        return ids_of(rows, self.n_features_in_) if self._spec["n_tokens"] else rows

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Decode codes into rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The mean of a row given its code, in units of the training data, in float64. With ``likelihood="tokens"``,
            the id of the most probable token at each place, in int64. It is a tensor if the codes are a tensor and
            scikit-learn's ``array_api_dispatch`` is on.
        """
        return self._as_ids(super().inverse_transform(X))

    def _rows_of(self, codes: Tensor, rng: torch.Generator, y: Tensor | None = None) -> np.ndarray:
        rows: np.ndarray = self._as_ids(super()._rows_of(codes, rng, y))
        return rows

    def score_samples(self, X: Any) -> np.ndarray:
        """Minus the squared reconstruction error of each row, or the log-likelihood of its tokens.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            With ``likelihood="tokens"``, log p(x | f(x)) in nats: the log-likelihood of the tokens of a row, given its
            code. Otherwise minus the squared error, in squared units of X, and -inf for rows that the likelihood cannot
            describe. Rows with the lowest scores are the most unusual.
        """
        check_is_fitted(self)
        if not self._spec["n_tokens"]:
            return super().score_samples(X)
        return self._of_each_row(lambda module, x, eta: in_double(module.likelihood.log_likelihood(eta, x)), X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The share of tokens that are restored, or the reconstruction R2.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : Ignored
            Present for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows.

        Returns
        -------
        score : float
            With ``likelihood="tokens"``, the share of entries of X that ``reconstruct`` returns as they were. Padding
            counts as any token. Otherwise 1 - sum ||x - x_hat||^2 / sum ||x - mean_||^2, as in ``Autoencoder``. 1 is
            perfect.
        """
        check_is_fitted(self)
        if not self._spec["n_tokens"]:
            return super().score(X, y, sample_weight)
        length = self.n_features_in_
        shares = self._of_each_row(
            lambda module, x, eta: (ids_of(eta, length) == ids_of(x, length)).double().mean(1), X
        )
        return float(np.average(shares, weights=check_weight(sample_weight, len(shares))))

    def _of_each_row(self, function: Any, X: Any) -> np.ndarray:
        """``function(module, x, eta)`` of rows x and the decoder's output for their codes."""

        def of_rows(module: Any, batch: Batch) -> Tensor:
            found: Tensor = function(module, batch.x, module.decode(self._encode(module, batch)))
            return found

        found: np.ndarray = self._map(lambda module, batch: row_by_row(partial(of_rows, module), batch), X)
        return found
