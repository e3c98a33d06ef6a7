"""TorchEstimator: the template of every fit.

A variant fills hooks. ``_architecture`` says of which numbers and strings the module is made, and
``_loss`` returns the named terms of the objective; few variants need more. Parameters, validation,
devices and the loop are here and on the floors below.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits
from torch import Tensor
from typing_extensions import Self, dataclass_transform

from ..engine.data import Source, Subset, chunks, is_on, name_of, resolve_device
from ..engine.frame import Frame
from ..engine.notices import warn
from ..engine.optim import Flat, Move, Optimizer, Terms
from ..engine.train import Plan, backward, hold_out, joined, minimise
from ..functional import spawn
from .compat import fit_context
from .encoding import Encoding, widest
from .params import (
    Fraction,
    NonNegative,
    Positive,
    PositiveInt,
    Probability,
    RandomState,
    Verbosity,
    constraints,
    inherit_fields,
    inherit_methods,
    joined_doc,
)
from .state import new_generator, unchanged_on_error

__all__ = ["Run", "TorchEstimator"]

SMALL_STEP = 2**25
"""Multiplications of a step below which a second thread brings nothing, and costs if it is busy."""
SMALL_TABLE = 2**20
"""Entries up to which rows are sorted to find the equal ones; it takes less than a second."""


class Run(NamedTuple):
    """What a call of ``fit`` or ``partial_fit`` is to do."""

    resume: bool = False
    """Go on from the last call."""
    partial: bool = False
    """Take one pass over a chunk, whose weights count as they are."""
    train: bool = True
    """False leaves all weights at those that training would start from."""


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
@dataclass(kw_only=True, eq=False, repr=False)
class TorchEstimator(Encoding):
    """An estimator whose code is learnt by a PyTorch module.

    Parameters
    ----------
    solver : {"adam", "adamw", "sgd", "lbfgs"}, default="adam"
        Rule by which gradients move the weights. "lbfgs" takes all rows in one batch and finds
        its own step length; it is meant for small data.
    learning_rate_init : float, default=0.001
        Learning rate at the start, or at the height of "one_cycle". Not used by "lbfgs".
    learning_rate : {"constant", "cosine", "one_cycle"}, default="cosine"
        Its course over ``max_iter`` epochs. ``partial_fit`` keeps it constant, and "lbfgs" has none.
    momentum : float, default=0.9
        Momentum of "sgd".
    weight_decay : float, default=0.0
        L2 penalty of the weights, not of biases: decoupled from the gradient in "adamw", added to
        it in the others.
    max_grad_norm : float or None, default=None
        Scale a step's gradient down to this norm. Not used by "lbfgs".
    batch_size : int or "auto", default="auto"
        Rows a step; "auto" is min(200, n_samples). "lbfgs" takes all.
    max_iter : int, default=100
        Epochs at the most.
    tol : float, default=0.0001
        Training stops when, for ``n_iter_no_change`` epochs in a row, none has brought the loss down
        by this fraction of the lowest before.
    n_iter_no_change : int, default=10
        See ``tol``.
    early_stopping : bool, default=False
        Watch the loss on held-out rows instead of the training loss.
    validation_fraction : float, default=0.1
        Fraction of the rows that ``early_stopping`` holds out.
    shuffle : bool, default=True
        Whether each epoch takes the rows in a new order. "lbfgs" has no use for one.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the last fit: weights, optimizer, random numbers. What "lbfgs"
        knows of the curvature is not saved in a pickle.
    verbose : int, default=0
        1 shows a progress bar, 2 prints a line an epoch.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of rows and all noise. An int makes fits repeatable
        on the same device, number of threads and versions. No global generator is touched.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1", "mps"; "auto" takes an accelerator if there is one.
    dtype : {"float32", "float64"}, default="float32"
        Precision in which everything is computed and returned.
    """

    solver: Literal["adam", "adamw", "sgd", "lbfgs"] = "adam"
    learning_rate_init: Positive = 1e-3
    learning_rate: Literal["constant", "cosine", "one_cycle"] = "cosine"
    momentum: Probability = 0.9
    weight_decay: NonNegative = 0.0
    max_grad_norm: Positive | None = None
    batch_size: PositiveInt | Literal["auto"] = "auto"
    max_iter: PositiveInt = 100
    tol: NonNegative = 1e-4
    n_iter_no_change: PositiveInt = 10
    early_stopping: bool = False
    validation_fraction: Fraction = 0.1
    shuffle: bool = True
    warm_start: bool = False
    verbose: Verbosity = 0
    random_state: RandomState = None
    device: str = "auto"
    dtype: Literal["float32", "float64"] = "float32"

    _parameter_constraints: ClassVar[dict[str, list[Any]]]
    _own_doc: ClassVar[str | None] = __doc__
    _y_doc: ClassVar[dict[str, str]] = {}
    """What "y" is in the documentation of a method, by its name."""
    _monitor: ClassVar[str | None] = "loss"
    """The history's name of what must fall; None where the terms are no objective, and the history has no "loss"."""
    _betas: ClassVar[tuple[float, float]] = (0.9, 0.999)
    """Decay of the moments of "adam" and "adamw"; (0.5, 0.999) keeps adversaries stable."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not vars(cls).get("__doc__"):
            cls.__doc__ = " and ".join(base.__name__ for base in cls.__bases__) + " in one."
        inherit_fields(cls)
        dataclass(kw_only=True, eq=False, repr=False)(cls)
        cls._parameter_constraints = constraints(cls)
        cls._own_doc = cls.__doc__
        cls.__doc__ = joined_doc(cls)
        inherit_methods(cls, vars(cls).get("_y_doc", {}))

    # ---------------------------------------------------------------- hooks of a variant

    def _check_parameters(self) -> None:
        """Complain of parameters that do not go together; nothing is known of the data yet."""

    def _architecture(self, n_features: int) -> dict[str, Any]:
        """Arguments of ``_Module``, all of them numbers, strings, tuples or None."""
        raise NotImplementedError

    def _pretrain(self, data: Source, run: Run) -> None:
        """Learn what the module is made of: the layers of a stack, before the stack. The rows are as they came."""

    def _initialise(self, module: Any, data: Any, rng: torch.Generator) -> None:
        """Set the weights of a new module, given the data it will be fitted to."""
        raise NotImplementedError

    def _loss(self, module: Any, batch: Any, rng: torch.Generator | None) -> Terms:
        """Named terms of the objective, differentiable.

        Without a generator there is no noise, or, where the objective is an expectation over noise,
        common noise: the same for all rows and in every call.
        """
        raise NotImplementedError

    def _step(self, module: Any, batch: Any, rng: torch.Generator) -> Terms | Move:
        """Leave the gradient of a batch in the module's parameters, and return the terms.

        A step that moves only some parts of the parameters returns a ``Move``, which names them.
        """
        return backward(self._loss(module, batch, rng))

    def _standardizes(self) -> bool:
        """Whether the module sees X centred and divided by one global scale."""
        return True

    def _conclude(self, data: Any) -> None:
        """Measure, on the data just learnt from, what a fitted model needs beside its weights."""

    def _rows_are_independent(self) -> bool:
        """Whether the loss is, but for its noise, a weighted sum over rows: no row looks at another."""
        return True

    def _is_noisy(self) -> bool:
        """Whether the loss in training draws noise, so that the luckiest epoch is not the best."""
        return False

    def _rate(self) -> float:
        """Learning rate at the start."""
        return float(self.learning_rate_init)

    def _examine(self, train: Source, held_out: Source | None) -> dict[str, float]:
        """What the history tells of the weights after each epoch; "validation_loss" of held-out rows must fall."""
        return {} if held_out is None else {"validation_loss": self._mean_loss(held_out)}

    # ---------------------------------------------------------------- fitting

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Finite numbers. A memory map of float32 or float64 may be larger than memory.
        y : Ignored
            Present for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows; only their ratios matter.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, y or a parameter is not as described, or if the loss becomes NaN or infinite. The
            estimator is then as it was before.
        """
        with unchanged_on_error(self):
            self._fit(X, y, sample_weight)
        return self

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, partial: bool = False, train: bool = True) -> None:
        """Fit; ``train=False`` leaves the weights at those that training would start from."""
        resolve_device(self.device, self.dtype)
        run = Run((partial or self.warm_start) and hasattr(self, "module_"), partial, train)
        self._check_parameters()
        self._learn(self._source(X, y, sample_weight, reset=not run.resume), run)

    def _learn(self, data: Source, run: Run) -> None:
        """Fit to a source that was checked."""
        if run.resume:
            self._require_same_architecture(data.width)
        else:
            self._rng = new_generator(self.random_state)
        self._pretrain(data, run)
        data = self._learnt(data, run)
        if not run.resume:
            self._measure(data)
        device = resolve_device(self.device, self.dtype)
        self._learn_seen(self._seen(data, getattr(torch, self.dtype), device, resident=True), run)

    def _learn_seen(self, data: Source, run: Run) -> None:
        """Fit to rows as the module sees them."""
        device = resolve_device(self.device, self.dtype)
        if not run.resume:
            self._build(data, device)
        elif not is_on(self._flat.theta, device):
            self._move(device)
        with self._threads(device, len(data)):
            self._train(data, run)
            self._conclude(data)

    def _learnt(self, data: Source, run: Run) -> Source:
        """The rows to learn from: equal ones merged where order plays no part, and weights whose mean is 1."""
        return data if run.partial else data.learnt(self._is_one_batch(len(data), data.width))

    def _is_one_batch(self, n_samples: int, n_features: int) -> bool:
        """Whether order and multiplicity of rows play no part in a fit, and are quickly taken away."""
        one_batch = n_samples <= self._batch_size(n_samples) and not self.early_stopping
        return one_batch and n_samples * n_features <= SMALL_TABLE and self._rows_are_independent()

    def _batch_size(self, n_samples: int) -> int:
        if self.solver == "lbfgs":
            return n_samples
        return min(200, n_samples) if self.batch_size == "auto" else int(self.batch_size)

    def _measure(self, data: Source) -> None:
        """Set the frame in which the module sees the data, and what else a fit reads off them."""
        self._frame = self._frame_of(data, "X")

    def _frame_of(self, data: Source, name: str) -> Frame:
        mean, scale = data.moments()
        if not (np.isfinite(mean).all() and np.isfinite(scale).all()):
            raise ValueError(f"{name} has values so large that their variance is infinite: rescale {name}.")
        return Frame(mean, scale) if self._standardizes() else Frame(mean, 1.0, centred=False)

    def _build(self, data: Source, device: torch.device) -> None:
        self._spec = self._architecture(data.width)
        self.module_ = self._new_module().to(device, getattr(torch, self.dtype))
        self._initialise(self.module_, data, self._rng)
        self._flat = Flat(self.module_)
        self._optimizer = Optimizer()
        self.history_: dict[str, list[float]] = {}

    def _train(self, data: Source, run: Run) -> None:
        noise = spawn(self._rng, self._flat.theta.device)
        train, held_out = self._split(data)
        plan = self._plan(len(train), run)
        outcome = minimise(
            lambda batch: self._step(self.module_, batch, noise),
            train,
            self._flat,
            self._configure_optimizer(),
            plan,
            self._rng,
            lambda: self._examine(train, held_out),
        )
        self.history_ = joined(self.history_, outcome.history)
        self.n_iter_ = max([1, *map(len, self.history_.values())])
        self.loss_ = outcome.loss
        if outcome.still_falling and 0 < len(outcome.history.get("loss", ())) == plan.max_iter:
            settle = "" if self.solver == "lbfgs" else ", or use learning_rate='cosine', which settles within it"
            warn(
                f"The loss was still falling after max_iter={self.max_iter} epochs: raise max_iter{settle}.",
                ConvergenceWarning,
            )

    def _split(self, data: Source) -> tuple[Source, Subset | None]:
        """Rows to train on, and rows to watch if ``early_stopping`` asks for them."""
        if not self.early_stopping:
            return data, None
        counting = data if data.weight is None else Subset(data, torch.nonzero(data.weight).squeeze(1))
        if len(counting) < 2:
            raise ValueError("early_stopping=True holds out rows and needs at least 2; got n_samples = 1.")
        return hold_out(counting, self.validation_fraction, self._rng)

    @torch.no_grad()
    def _mean_loss(self, data: Source) -> float:
        """Sum of the terms over all rows, without a generator."""
        total: Tensor | float = 0.0
        for rows in chunks(len(data), max(data.width, widest(self.module_))):
            terms = self._loss(self.module_, data[rows], None)
            total = total + sum(terms.values()) * ((rows.stop - rows.start) / len(data))
        return float(total)

    def _configure_optimizer(self) -> Optimizer:
        optimizer = self._optimizer
        if optimizer.rule != self.solver:
            optimizer = self._optimizer = Optimizer(self.solver)
        optimizer.weight_decay = float(self.weight_decay)
        optimizer.momentum = float(self.momentum)
        optimizer.max_grad_norm = self.max_grad_norm
        optimizer.beta1, optimizer.beta2 = self._betas
        return optimizer

    def _plan(self, n_samples: int, run: Run) -> Plan:
        return Plan(
            batch_size=self._batch_size(n_samples),
            max_iter=0 if not run.train else 1 if run.partial else int(self.max_iter),
            rate=self._rate(),
            schedule="constant" if run.partial or self.solver == "lbfgs" else self.learning_rate,
            tol=float(self.tol),
            n_iter_no_change=int(self.n_iter_no_change),
            shuffle=self.shuffle and self.solver != "lbfgs",
            verbose=int(self.verbose),
            monitor=None if run.partial else self._watched(),
            objective=self._monitor is not None,
        )

    def _watched(self) -> str | None:
        return "validation_loss" if self.early_stopping else None if self._is_noisy() else self._monitor

    def _threads(self, device: torch.device, n_samples: int) -> Any:
        of_row = max(self._flat.theta.numel(), getattr(self.module_, "multiplications", 0))
        work = of_row * self._batch_size(n_samples)
        return threadpool_limits(1, "openmp") if device.type == "cpu" and work < SMALL_STEP else nullcontext()

    def _require_same_architecture(self, n_features: int) -> None:
        spec = self._architecture(n_features)
        changed = sorted(name for name in spec if spec[name] != self._spec[name])
        if name_of(self._flat.theta.dtype) != self.dtype:
            changed.append("dtype")
        if changed:
            raise ValueError(
                f"{', '.join(changed)} changed since the last fit, so its weights cannot be trained on: "
                "restore it, or call fit with warm_start=False."
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = [self.dtype]
        return tags
