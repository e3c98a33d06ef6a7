"""Adversarial: a critic that tells what was made from what is real, and networks that learn to deceive it."""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..base import Batch, Move, NonNegative, Positive, PositiveInt, Sizes, Terms, average, backward, sizes_of
from ..base.budget import steps_worthwhile
from ..exceptions import CriticWinsWarning
from ..functional import OPPOSITIONS, Opposition, aside, gradient_of
from ..nn.critics import Critic
from ._matched import Matched

__all__ = ["Adversarial", "Shown", "mean_weight"]

LEAST_STEPS = 1500
"""Steps of a fit to few rows, with ``max_iter="auto"``. The players need time to answer each other."""
MOST_ACCURATE = 0.98
"""Share of pairs from which on a critic always wins, in mean over the last quarter of the epochs."""


class Shown(NamedTuple):
    """What a critic is shown of a batch."""

    real: Tensor
    """Rows that count as real."""
    made: Tensor
    """As many rows that were made by the network that the critic judges."""
    real_weight: Tensor | None = None
    made_weight: Tensor | None = None

    def between(self, rng: torch.Generator) -> Tensor:
        """Rows on straight lines between real and made ones."""
        share = torch.empty_like(self.real[:, :1]).uniform_(generator=rng)
        return torch.lerp(self.made, self.real, share)

    def balanced(self) -> Shown:
        """The same, where rows of one kind count as much as those of the other kind, if only these have weights.

        Otherwise a critic could lower the difference of two means by a constant that it adds to all scores.
        """
        real, made = mean_weight(self.real_weight), mean_weight(self.made_weight)
        return self._replace(
            real_weight=made if self.real_weight is None else self.real_weight,
            made_weight=real if self.made_weight is None else self.made_weight,
        )


def mean_weight(weight: Tensor | None) -> Tensor | None:
    """The mean of some weights, as the weight of rows without weights of their own."""
    return None if weight is None else weight.mean()


class Adversarial(Matched):
    """An autoencoder that is trained against a critic.

    In each step the critic moves first, ``n_critic`` times, and then the others move. A move leaves the weights and the
    moments of the others as they are.

    Parameters
    ----------
    solver : {"adam", "adamw", "sgd"}, default="adamw"
        Optimisation algorithm.
    critic_layer_sizes : tuple of int, or int, default=(128, 128)
        Widths of the critic's hidden layers.
    critic_rate : float, default=3.0
        Learning rate of the critic, as a multiple of that of the others (Heusel et al., 2017).
    n_critic : int, default=1
        Moves of the critic in each step. The others move once.
    gradient_penalty : float, default=0.05
        Weight of the penalty on the critic's slope.
    max_iter : int or "auto", default="auto"
        Maximum number of epochs. "auto" is as many as n_samples steps take, but at least 1500 steps, at most 4000
        steps, and at most 200 epochs. Samples still come nearer to the rows after that, and held-out rows are restored
        worse.
    """

    solver: Literal["adam", "adamw", "sgd"] = "adamw"
    critic_layer_sizes: Sizes = (128, 128)
    critic_rate: Positive = 3.0
    n_critic: PositiveInt = 1
    gradient_penalty: NonNegative = 0.05

    _monitor = None
    _most_epochs = 200
    _betas = (0.5, 0.999)
    _without_weight: ClassVar[frozenset[str]] = Matched._without_weight | {"critic", "accuracy", "penalty"}

    # ---------------------------------------------------------------- hooks of a variant

    def _opposition(self) -> Opposition:
        """What the critic and those whom it judges minimise."""
        return OPPOSITIONS["logistic"]

    def _n_judged(self, coder: Any) -> int:
        """Columns of what the critic is shown."""
        width: int = coder.code_width
        return width

    def _shown(self, module: Any, batch: Batch, rng: torch.Generator) -> Shown:
        """What the critic is shown of a batch, without gradients."""
        raise NotImplementedError

    def _others_move(self, module: Any, batch: Batch, rng: torch.Generator) -> Move:
        """The move of all others, after that of the critic."""
        terms: Any = super()._step(module, batch, rng)
        return Move(terms, "main")

    def _weight_of_penalty(self) -> float:
        """Weight of the penalty on the critic's slope. 0 leaves the term out."""
        return float(self.gradient_penalty)

    def _sloped(self, shown: Shown, rng: torch.Generator) -> Tensor:
        """Rows at which the critic's slope is penalised: the real ones, or as many others."""
        return shown.real

    def _penalty(self, slopes: Tensor, weight: Tensor | None) -> Tensor:
        """The mean of ||slope||^2 / 2 (R1: Mescheder, Geiger and Nowozin, 2018)."""
        return average(slopes.square().sum(1), weight) / 2

    # ---------------------------------------------------------------- architecture, start and length

    def _n_steps(self, n_samples: int) -> int:
        return steps_worthwhile(n_samples, a_step=1, least=LEAST_STEPS)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        sizes_of("critic_layer_sizes", self.critic_layer_sizes)

    def _architecture(self, n_features: int) -> dict[str, Any]:
        sizes = sizes_of("critic_layer_sizes", self.critic_layer_sizes)
        rate = float(self.critic_rate)
        return {**super()._architecture(n_features), "critic_layer_sizes": sizes, "critic_rate": rate}

    def _new_module(self) -> nn.Module:
        module: Any = super()._new_module()
        module.critic = self._new_critic(module)
        return module

    def _new_critic(self, module: Any) -> Critic:
        spec = self._spec
        return Critic(self._n_judged(module), spec["critic_layer_sizes"], spec["activation"], rate=spec["critic_rate"])

    def _initialise(self, module: Any, data: Any, rng: torch.Generator) -> None:
        super()._initialise(module, data, rng)
        module.critic.initialise(aside(rng))

    # ---------------------------------------------------------------- a step

    def _step(self, module: Any, batch: Batch, rng: torch.Generator) -> Move:
        return self._critic_moves(module, batch, rng, int(self.n_critic))

    def _critic_moves(self, module: Any, batch: Batch, rng: torch.Generator, n: int) -> Move:
        """The next of n moves of the critic, and then that of the others."""
        with torch.no_grad():
            shown = self._shown(module, batch, rng).balanced()
        terms = self._critic_terms(module.critic, shown, rng)
        following = partial(self._critic_moves, n=n - 1) if n > 1 else self._others_move
        return Move(terms, "critic", partial(following, module, batch, rng))

    def _critic_terms(self, critic: Critic, shown: Shown, rng: torch.Generator) -> Terms:
        """What the critic minimises, and which share of pairs it ranks rightly. Its gradient is added to ``.grad``."""
        opposition, weight, n = self._opposition(), self._weight_of_penalty(), len(shown.real)
        rows, sloped = [shown.real, shown.made], slice(n if weight else 0)
        where = self._sloped(shown, rng) if weight else shown.real
        if where is not shown.real:
            rows, sloped = [*rows, where], slice(n + len(shown.made), None)
        judgement = critic.judge(torch.cat(rows), sloped)
        with torch.enable_grad():
            scores, slopes = (found.requires_grad_() for found in judgement[:2])
            real, made = scores[:n], scores[n : n + len(shown.made)]
            loss = average(opposition.real(real), shown.real_weight) + average(opposition.made(made), shown.made_weight)
            terms = {"critic": loss}
            if weight:
                terms["penalty"] = weight * self._penalty(slopes, shown.real_weight)
        backward(terms)
        judgement.backward(gradient_of(scores), gradient_of(slopes) if weight else slopes)
        return {**terms, "accuracy": (real > made[:n]).to(real).mean()}

    def _deceiving(self, critic: Critic, made: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
        """What those who made rows minimise, and its gradient in the rows. The critic is taken as it is."""
        judgement = critic.judge(made, slice(None))
        with torch.enable_grad():
            scores = judgement.scores.requires_grad_()
            term = average(self._opposition().maker(scores), weight)
            (of_scores,) = torch.autograd.grad(term, scores)
        return term.detach(), of_scores[:, None] * judgement.slopes

    # ---------------------------------------------------------------- after a fit

    def _failure(self, data: Any) -> Any:
        return self._failure_to_deceive() or super()._failure(data)

    def _failure_to_deceive(self) -> CriticWinsWarning | None:
        """Look whether the critic was right about nearly all pairs in the last quarter of the epochs."""
        accuracy = self._late("accuracy")
        if not accuracy > MOST_ACCURATE:
            return None
        return CriticWinsWarning(
            f"The critic tells what was made from what is real in {accuracy:.0%} of the pairs of the last epochs, so "
            f"that it teaches little: {self._cure_of_lost_game()}."
        )

    def _late(self, curve: str) -> float:
        """Mean of a curve of the history over the last quarter of the epochs, and NaN if there is none."""
        values = self.history_.get(curve, [])
        return float(np.nanmean(values[-max(1, len(values) // 4) :])) if values else float("nan")

    def _cure_of_lost_game(self) -> str:
        """What to do about a critic that always wins, for the message."""
        return f"raise gradient_penalty (now {self.gradient_penalty:g}), lower critic_rate, or raise max_iter"

    def _cure_of_collapse(self) -> str:
        return f"raise gradient_penalty (now {self.gradient_penalty:g}) or n_critic (now {self.n_critic})"

    # ---------------------------------------------------------------- using

    def _tunable(self) -> Any:
        return _Unjudged(self)


class _Unjudged:
    """What fine-tuning trains of an adversarial model: all but the critic.

    Parameters
    ----------
    estimator : Adversarial
    """

    def __init__(self, estimator: Adversarial) -> None:
        self._estimator = estimator
        self._encode, self._decode, self._prepared = estimator._encode, estimator._decode, estimator._prepared

    def _new_module(self) -> nn.Module:
        return _without_critic(self._estimator._new_module())

    def _ready_module(self) -> nn.Module:
        return _without_critic(self._estimator._ready_module())


def _without_critic(module: nn.Module) -> nn.Module:
    """A module with the same parameters, but for those of the critic."""
    rest = copy(module)
    rest._modules = {name: part for name, part in module._modules.items() if name != "critic"}
    return rest
