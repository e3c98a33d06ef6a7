"""AdversariallyRegularizedAutoencoder: a generator learns the prior of the codes, for tables, images and sentences."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..base import Arrays, Batch, Bottleneck, Frame, Move, NonNegative, Positive, PositiveInt, Saved, Sizes
from ..base import Source, Support, Terms, average, sizes_of
from ..base import damage
from ..base.checks import check_weight
from ..base.transformer import row_by_row
from ..engine.frame import in_double
from ..functional import OPPOSITIONS, Opposition
from ..nn.coder import Coder
from ..nn.critics import Critic, fixed
from ..nn.generators import Generator
from ..nn.priors import Prior
from ._adversarial import Adversarial, Shown
from ._tokens import ids_of, one_hot, token_ids

__all__ = ["AdversariallyRegularizedAutoencoder"]


def _fault_of_frame(estimator: Any, value: Frame) -> str | None:
    """Check the frame of rows of numbers, or of the columns that tokens become."""
    if not estimator._spec.get("n_tokens"):
        return damage.frame(estimator, value)
    return damage.fault_of_numbers(value.mean, (estimator._spec["n_features"],))


class AdversariallyRegularizedAutoencoder(Adversarial):
    """TODO.

    Parameters
    ----------
    generator_layer_sizes : tuple of int, or int, default=(128, 128)
        Widths of the generator's hidden layers.
    """

    likelihood: Literal["gaussian", "bernoulli", "categorical", "poisson", "tokens"] = "gaussian"
    n_tokens: PositiveInt | Literal["auto"] = "auto"
    generator_layer_sizes: Sizes = (128, 128)
    n_noise: PositiveInt | Literal["auto"] = "auto"
    adversarial_weight: NonNegative = 1.0
    constraint: Literal["gradient_penalty", "clipping"] = "gradient_penalty"
    gradient_penalty: NonNegative = 10.0
    clip: Positive = 0.01
    n_critic: PositiveInt = 5

    _without_weight: ClassVar[frozenset[str]] = Adversarial._without_weight | {"generator"}
    _saved: ClassVar[dict[str, Saved]] = {"_frame": Saved(_fault_of_frame, cls=Frame)}

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
            "n_tokens": spec["categories"][0] if of_tokens else 0,
            "generator_layer_sizes": sizes_of("generator_layer_sizes", self.generator_layer_sizes),
            "n_noise": 0 if self.n_noise == "auto" else int(self.n_noise),
        }

    def _shape_of_image(self, n_features: int) -> tuple[int, int, int]:
        """Tokens are a line of pixels, with a channel for each token."""
        if self.likelihood != "tokens":
            return super()._shape_of_image(n_features)
        return n_features // self.n_features_in_, 1, self.n_features_in_

    def _new_prior(self, coder: Coder) -> Prior:
        spec, width = self._spec, coder.code_width
        return Generator(width, spec["n_noise"] or width, spec["generator_layer_sizes"], spec["activation"])

    # ---------------------------------------------------------------- objective

    def _opposition(self) -> Opposition:
        return OPPOSITIONS["wasserstein"]

    def _shown(self, module: Any, batch: Batch, rng: torch.Generator) -> Shown:
        batch = self._corrupt(module, batch, rng)
        codes = module.encode(batch.shown, rng)
        return Shown(codes, module.prior.sample(len(codes), rng), batch.weight)

    def _weight_of_penalty(self) -> float:
        return super()._weight_of_penalty() if self.constraint == "gradient_penalty" else 0.0

    def _penalty(self, critic: Critic, shown: Shown, rng: torch.Generator) -> Tensor:
        """The mean of (||slope|| - 1)^2 on straight lines between codes of rows and made ones."""
        u = torch.empty_like(shown.real[:, :1]).uniform_(generator=rng)
        slopes = critic.slopes(torch.lerp(shown.made, shown.real, u))
        lengths = (slopes.square().sum(1) + 1e-12).sqrt()  # the slope of a root at 0 is infinite
        return average((lengths - 1).square(), shown.real_weight)

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
        if rng is None:  # held-out rows are judged by their reconstruction
            return neck
        s = module.prior.noise(len(e), rng)

        def approaching(h: Tensor) -> tuple[Tensor, Terms]:
            with fixed(module.critic):
                of_codes, of_made = average(module.critic(h), batch.weight), module.critic(module.prior(s)).mean()
            return h, {
                "adversarial": self.adversarial_weight * module.n_outputs * (of_codes - of_made.detach()),
                "generator": of_codes.detach() - of_made,
            }

        return neck.by_autograd(approaching)

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

    def _as_ids(self, rows: Any) -> Any:
        """Token ids, if the model is of tokens, and otherwise the rows as they are."""
        return ids_of(rows, self.n_features_in_) if self._spec["n_tokens"] else rows

    def inverse_transform(self, X: Any) -> Any:
        """Decode codes into rows."""
        return self._as_ids(super().inverse_transform(X))

    def _rows_of(self, codes: Tensor, rng: torch.Generator, y: Tensor | None = None) -> np.ndarray:
        rows: np.ndarray = self._as_ids(super()._rows_of(codes, rng, y))
        return rows

    def score_samples(self, X: Any) -> np.ndarray:
        """TODO."""
        check_is_fitted(self)
        if not self._spec["n_tokens"]:
            return super().score_samples(X)
        return self._of_each_row(lambda module, x, eta: in_double(module.likelihood.log_likelihood(eta, x)), X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """TODO."""
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
