"""Fine-tuning of logistic units. Their slopes are small, so they need higher rates and more steps than others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from typing import ClassVar, NamedTuple, TypeVar

from torch import nn

from ..base.budget import epochs_of
from ..base.estimator import Run, TorchEstimator
from ..energy.harmonium import Harmonium
from ..energy.units import Bernoulli, Gaussian, Softmax
from ..engine.train import Plan
from ..nn.coder import Coder

__all__ = ["Budget", "LogisticTuning", "is_logistic", "with_rates"]

USUAL_INPUTS = 64
"""Number of inputs above which a unit has a lower rate. A step of Adam moves a unit by about rate times inputs."""
HIDDEN = {Bernoulli: "logistic", Gaussian: "identity"}
"""The activation that is the mean of hidden units."""


Module = TypeVar("Module", bound=nn.Module)


class Budget(NamedTuple):
    """What fine-tuning of logistic units takes where the parameters are "auto"."""

    n_steps: int
    """Least number of steps."""
    rate: float
    """Peak of the learning rate under "one_cycle"."""
    decay: float
    """Weight decay of "adamw"."""


def is_logistic(modules: Iterable[nn.Module]) -> bool:
    """Whether the units of encoders are logistic, or logistic and linear, and none of them started at PCA."""
    activations: set[str] = set()
    for part in chain.from_iterable(module.modules() for module in modules):
        if isinstance(part, Coder):
            activations |= {part.code_activation, part.activation if part.is_deep else part.code_activation}
            activations |= set() if part.projection is None else {"PCA"}
        elif isinstance(part, Harmonium):
            kinds = {type(units) for units, _ in part.hidden.kinds()} - {Softmax}  # the label of a deep machine
            activations |= {HIDDEN.get(kind, "other") for kind in kinds}
    return "logistic" in activations <= {"logistic", "identity"}


def with_rates(module: Module) -> Module:
    """The same network. If it is logistic, weights of units with many inputs get a rate inverse to that number."""
    for parameter in module.parameters() if is_logistic([module]) else ():
        if parameter.ndim > 1:
            parameter.rate = min(1.0, USUAL_INPUTS / parameter[0].numel())  # type: ignore[attr-defined]
    return module


class LogisticTuning(TorchEstimator):
    """An estimator that trains pretrained layers together, with a budget of its own if their units are logistic."""

    _budget: ClassVar[Budget]

    def _pretrained_modules(self) -> list[nn.Module]:
        """The networks that are trained together."""
        raise NotImplementedError

    def _is_logistic(self) -> bool:
        return is_logistic(self._pretrained_modules())

    def _n_epochs(self, n_samples: int) -> int:
        if self.max_iter != "auto" or self.solver == "lbfgs" or not self._is_logistic():
            return super()._n_epochs(n_samples)
        n_steps = max(self._budget.n_steps, self._n_steps(n_samples))
        return epochs_of(n_steps, n_samples, self._batch_size(n_samples), most=None)

    def _plan(self, n_samples: int, run: Run) -> Plan:
        plan = super()._plan(n_samples, run)
        if self.max_iter != "auto" or plan.monitor == "validation_loss" or not self._is_logistic():
            return plan
        return replace(plan, n_iter_no_change=max(plan.n_iter_no_change, plan.max_iter))

    def _rate(self, schedule: str) -> float:
        if self.learning_rate_init == "auto" and schedule == "one_cycle" and self._is_logistic():
            return self._budget.rate
        return super()._rate(schedule)

    @property
    def _decay(self) -> float:  # type: ignore[override]
        return self._budget.decay if self._is_logistic() else super()._decay
