"""TorchEstimator: the template of every fit.

A variant fills in hooks, and few variants need more than two. ``_architecture`` returns the numbers and strings that
define the module. ``_loss`` returns the named terms of the objective. Parameters, validation, devices and the
training loop are handled here and in the folders below.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from typing_extensions import Self, dataclass_transform

from ..engine.data import Source, Subset, is_on, name_of, resolve_device
from ..engine.group import current
from ..engine.listeners import in_stage
from ..engine.modes import plain_torch
from ..engine.optim import Flat, Move, Optimizer, Terms
from ..engine.train import Interrupted, Outcome, Plan, backward, joined, minimise
from ..functional import spawn
from .budget import SMALL_TABLE, epochs_of, optimizer_of, plan_of, rows_a_step, steps_worthwhile, threads_of
from .callbacks import monitored
from .checkpoint import Checkpoint, refuse_nested, resumable
from .checks import frame_of
from .encoding import Encoding
from .held_out import mean_loss, split
from .listening import attended
from .mixins import fit_context
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
    sign_plainly,
)
from .run import Run
from .sharing import shared
from .state import new_generator, unchanged_on_error
from .streams import fit_stream, is_stream
from .verdict import tell, tell_of_falling, withheld

__all__ = ["Run", "TorchEstimator"]


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
@dataclass(kw_only=True, eq=False, repr=False)
class TorchEstimator(Encoding):
    """An estimator whose code is learnt by a PyTorch module.

    Parameters
    ----------
    solver : {"adam", "adamw", "sgd", "lbfgs"}, default="adamw"
        Optimisation algorithm. "lbfgs" takes all rows in one batch and finds its own step length. It is meant for small
        data.
    learning_rate_init : float or "auto", default="auto"
        Learning rate at the start, or its peak under "one_cycle". "auto" is 0.003 under "one_cycle", and 0.001
        otherwise. Not used by "lbfgs".
    learning_rate : {"constant", "cosine", "one_cycle"}, default="one_cycle"
        Schedule of the learning rate over the epochs of a fit. "one_cycle" rises to its peak in the first three tenths
        of the steps, and then falls to zero like "cosine" (Smith and Topin, 2019). ``partial_fit`` keeps the rate
        constant. Not used by "lbfgs".
    momentum : float, default=0.9
        Momentum. Only used by "sgd".
    weight_decay : float or "auto", default="auto"
        L2 penalty on the weights, but not on the biases. "adamw" decouples it from the gradient. The other solvers add
        it to the gradient. "auto" is 0.3 for "adamw", and 0 for the others.
    max_grad_norm : float, "auto" or None, default="auto"
        Largest norm of the gradient of a step. Longer gradients are scaled down to this norm. None sets no limit.
        "auto" is 1 for the Poisson likelihood, where single rows may have long gradients, and None otherwise. Not used
        by "lbfgs".
    batch_size : int or "auto", default="auto"
        Number of rows per step. "auto" is n_samples / 15, but at least 32 and at most 100. "lbfgs" takes all rows.
    max_iter : int or "auto", default="auto"
        Maximum number of epochs. "auto" is as many as n_samples / 2 steps take, but at least 300 steps, at most 4000
        steps, and at most 100 epochs. For "lbfgs" it is 100.
    tol : float, default=0.0001
        Training stops after ``n_iter_no_change`` epochs in a row without improvement. An epoch is an improvement if it
        lowers the loss by at least this fraction of the lowest loss before. A training loss with noise, such as
        dropout, is not watched. Under "one_cycle", epochs count once the rate has fallen below half its peak.
    n_iter_no_change : int, default=10
        Number of epochs without improvement after which training stops, see ``tol``.
    early_stopping : bool, default=False
        Whether to watch the loss of held-out rows instead of the training loss.
    validation_fraction : float, default=0.1
        Fraction of the rows that ``early_stopping`` holds out.
    shuffle : bool, default=True
        Whether to take the rows in a new order in each epoch. Not used by "lbfgs".
    warm_start : bool, default=False
        Whether ``fit`` continues from the last fit, with its weights, optimizer and random numbers. A pickle does not
        hold the curvature that "lbfgs" has estimated.
    verbose : int, default=0
        0 is silent, 1 shows a progress bar, 2 prints one line per epoch. If a fit has several stages, such as the
        layers of a stack, all of them are shown with their names.
    callback : callable or None, default=None
        A function that is called after each epoch of each stage, with a ``skae.base.Epoch``: ``stage``, ``number``,
        ``max_iter``, ``terms``, and ``estimator``. If it returns True, the stage ends, with its best weights so far.
    checkpoint : path, skae.Checkpoint or None, default=None
        A file from which ``fit`` goes on if it was killed: called again on the same data and with the same parameters,
        it ends at the model of an unbroken fit, to the bit. A folder holds a file for each fit. See ``Checkpoint``.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, of the order of the rows and of all noise. With an int, results are reproducible on
        the same device, with the same number of threads and the same versions. Global random generators are not used.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1" or "mps". "auto" is an accelerator if there is one, and otherwise the CPU.
    dtype : {"float32", "float64"}, default="float32"
        Precision of the weights, of training and of what the module returns, such as codes and probabilities. All that
        is in units of X or y, such as reconstructions, samples and scores, is returned in float64.
    """

    solver: Literal["adam", "adamw", "sgd", "lbfgs"] = "adamw"
    learning_rate_init: Positive | Literal["auto"] = "auto"
    learning_rate: Literal["constant", "cosine", "one_cycle"] = "one_cycle"
    momentum: Probability = 0.9
    weight_decay: NonNegative | Literal["auto"] = "auto"
    max_grad_norm: Positive | Literal["auto"] | None = "auto"
    batch_size: PositiveInt | Literal["auto"] = "auto"
    max_iter: PositiveInt | Literal["auto"] = "auto"
    tol: NonNegative = 1e-4
    n_iter_no_change: PositiveInt = 10
    early_stopping: bool = False
    validation_fraction: Fraction = 0.1
    shuffle: bool = True
    warm_start: bool = False
    verbose: Verbosity = 0
    callback: Callable[[Any], Any] | None = None
    checkpoint: str | os.PathLike | Checkpoint | None = None
    random_state: RandomState = None
    device: str = "auto"
    dtype: Literal["float32", "float64"] = "float32"

    _parameter_constraints: ClassVar[dict[str, list[Any]]]
    _own_doc: ClassVar[str | None] = __doc__
    _x_doc: ClassVar[dict[str, str]] = {}
    """Entry of "X" in the docstring of a method, by the name of the method."""
    _y_doc: ClassVar[dict[str, str]] = {}
    """Entry of "y" in the docstring of a method, by the name of the method."""
    _monitor: ClassVar[str | None] = "loss"
    """The curve of the history that training watches. None if the terms do not sum to an objective, the "loss"."""
    _most_epochs: ClassVar[int] = 100
    """Largest number of epochs with ``max_iter="auto"``."""
    _peak: ClassVar[float] = 3e-3
    """Learning rate with ``learning_rate_init="auto"``: its peak under "one_cycle", and three times that of others."""
    _decay: ClassVar[float] = 0.3
    """Weight decay of "adamw" with ``weight_decay="auto"``."""
    _norm: ClassVar[float | None] = None
    """Largest norm of a gradient with ``max_grad_norm="auto"``."""
    _betas: ClassVar[tuple[float, float]] = (0.9, 0.999)
    """Decay rates of the moments of "adam" and "adamw". (0.5, 0.999) makes adversarial training stable."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not vars(cls).get("__doc__"):
            cls.__doc__ = " and ".join(base.__name__ for base in cls.__bases__) + " in one."
        inherit_fields(cls)
        dataclass(kw_only=True, eq=False, repr=False)(cls)
        sign_plainly(cls)
        cls._parameter_constraints = constraints(cls)
        cls._own_doc = cls.__doc__
        cls.__doc__ = joined_doc(cls)
        inherit_methods(cls, "X", vars(cls).get("_x_doc", {}))
        inherit_methods(cls, "y", vars(cls).get("_y_doc", {}))

    # ---------------------------------------------------------------- hooks of a variant

    def _check_parameters(self) -> None:
        """Raise an error for parameters that contradict each other. The data are not known yet."""

    def _architecture(self, n_features: int) -> dict[str, Any]:
        """Arguments of ``_Module``. They may be numbers, strings, tuples or None."""
        raise NotImplementedError

    def _pretrain(self, data: Source, run: Run) -> None:
        """Learn parts of the model before the module is built, such as the layers of a stack.

        ``data`` holds the checked rows, on the scale of X and with the user's sample weights.
        """

    def _last_stage(self) -> Any:
        """The estimator whose training ends the fit. It is a layer if the layers are not trained together."""
        return self

    def _stage_name(self) -> str:
        """Name of the training of the whole, if others come before it in the same fit."""
        return ""

    def _initialise(self, module: Any, data: Any, rng: torch.Generator) -> None:
        """Set the weights of a new module. ``data`` are the rows it will be fitted to."""
        raise NotImplementedError

    def _loss(self, module: Any, batch: Any, rng: torch.Generator | None) -> Terms:
        """Named terms of the objective, as differentiable scalars.

        ``rng`` draws the noise. If it is None, the loss has no noise. If the objective is an expectation over noise,
        None means common noise: the same draws for all rows and in every call.
        """
        raise NotImplementedError

    def _step(self, module: Any, batch: Any, rng: torch.Generator) -> Terms | Move:
        """Write the gradient of a batch into the module's parameters, and return the terms of the loss.

        A step that changes only some parts of the parameters returns a ``Move`` that names them.
        """
        return backward(self._loss(module, batch, rng))

    def _standardizes(self) -> bool:
        """Whether the module sees X centred and divided by one global scale."""
        return True

    def _conclude(self, data: Any) -> None:
        """Measure what a fitted model needs besides its weights, on the rows that it was just fitted to."""

    def _label(self, data: Source) -> None:
        """Set what is told of each row that was passed to ``fit``, in the order of the rows."""

    def _rows_are_independent(self) -> bool:
        """Whether the loss, apart from its noise, is a weighted sum over rows in which no row depends on another."""
        return True

    def _needs_all_rows(self) -> str | None:
        """Why several processes cannot share a fit, such as "its loss compares rows", or None if they can."""
        return None if self._rows_are_independent() else "with these parameters its loss looks at several rows at once"

    def _is_noisy(self) -> bool:
        """Whether the training loss contains noise. Then the epoch of the lowest loss need not be the best."""
        return False

    def _n_steps(self, n_samples: int) -> int:
        """Number of steps that so many rows are worth, with ``max_iter="auto"``."""
        return steps_worthwhile(n_samples)

    def _holds_out(self, n_samples: int) -> bool:
        """Whether to hold out some of so many rows, and to watch their loss."""
        return bool(self.early_stopping)

    def _rate(self, schedule: str) -> float:
        """Learning rate at the start of a schedule, or its peak."""
        usual = self._peak if schedule == "one_cycle" else self._peak / 3
        return usual if self.learning_rate_init == "auto" else float(self.learning_rate_init)

    def _before_epoch(self, train: Source, progress: float) -> None:
        """What is done before an epoch of training. ``progress`` is the fraction of the epochs that are over."""

    def _examine(self, train: Source, held_out: Source | None) -> dict[str, float]:
        """Values for the history after each epoch. ``early_stopping`` watches "validation_loss"."""
        return {} if held_out is None else {"validation_loss": self._mean_loss(held_out)}

    # ---------------------------------------------------------------- fitting

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model to the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Finite numbers, or NaN where an entry is missing if the estimator's tag ``allow_nan`` is True. X may be
            larger than memory if it is a memory map of dtype float32 or float64, an Arrow table or data set, or a
            Parquet file: its path, or a ``pyarrow.parquet.ParquetFile``. An iterable of chunks, such as a generator of
            arrays or of pairs (X, y), is gone through once, with one call of ``partial_fit`` for each chunk.
        y : Ignored
            Present for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows. Only their ratios matter.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, y or a parameter is not as described, or if the loss becomes NaN or infinite. The estimator then stays
            as it was before the call.
        KeyboardInterrupt
            At Ctrl-C. The estimator is then fitted with the best weights so far if its last stage has finished an
            epoch. Otherwise it stays as it was before the call.
        """
        watched = monitored(self, X, y, sample_weight)
        with watched, plain_torch(), unchanged_on_error(self), resumable(self, X, y, sample_weight):
            (fit_stream if is_stream(X) else type(self)._fit)(self, X, y, sample_weight)
        return self

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, partial: bool = False, train: bool = True) -> None:
        """Fit. With ``train=False`` the weights are initialised but not trained."""
        resolve_device(self.device, self.dtype)
        run = Run((partial or self.warm_start) and hasattr(self, "module_"), partial, train)
        refuse_nested(self)
        self._check_parameters()
        with attended(self, X):
            self._learn(shared(self._source(X, y, sample_weight, reset=not run.resume), self), run)

    def _learn(self, data: Source, run: Run) -> None:
        """Fit to a source that has been checked."""
        if run.resume:
            self._require_same_architecture(data.width)
        else:
            self._rng = new_generator(self.random_state)
        interrupt = self._pretrained(data, run)
        learnt = self._learnt(data, run)
        if not run.resume:
            self._measure(learnt)
        device = resolve_device(self.device, self.dtype)
        try:
            self._learn_seen(self._seen(learnt, getattr(torch, self.dtype), device, resident=True), run)
        except Interrupted:
            self._label(data)
            raise
        self._label(data)
        if interrupt is not None:
            interrupt.kept = self
            raise interrupt

    def _pretrained(self, data: Source, run: Run) -> Interrupted | None:
        """Pretrain. Returns the interrupt of the last stage, if the fit can be completed without more training."""
        try:
            with withheld():
                self._pretrain(data, run)
        except Interrupted as interrupt:
            if interrupt.kept is not self._last_stage():
                raise
            return interrupt
        return None

    def _learn_seen(self, data: Source, run: Run) -> None:
        """Fit to rows as the module sees them."""
        device = resolve_device(self.device, self.dtype)
        if not run.resume:
            self._build(data, device)
        elif not is_on(self._flat.theta, device):
            self._move(device)
        with threads_of(self, device, len(data)):
            try:
                self._train(data, run)
            except Interrupted as interrupt:
                self._conclude(data)
                interrupt.kept = self
                raise
            self._conclude(data)
            tell(self, data, run)

    def _learnt(self, data: Source, run: Run) -> Source:
        """The rows to learn from. Equal rows are merged where their order does not matter, and the mean weight is 1."""
        return data if run.partial else data.learnt(self._is_one_batch(len(data), data.width))

    def _is_one_batch(self, n_samples: int, n_features: int) -> bool:
        """Whether the order of the rows does not matter in a fit, and the table is small enough to merge equal rows."""
        one_batch = n_samples <= self._batch_size(n_samples) and not self._holds_out(n_samples)
        return one_batch and n_samples * n_features <= SMALL_TABLE and self._rows_are_independent()

    def _batch_size(self, n_samples: int) -> int:
        if self.solver == "lbfgs":
            return n_samples
        return rows_a_step(n_samples) if self.batch_size == "auto" else int(self.batch_size)

    def _n_epochs(self, n_samples: int) -> int:
        """Largest number of epochs of a fit to so many rows."""
        n_steps = self._most_epochs if self.solver == "lbfgs" else self._n_steps(n_samples)
        worthwhile = epochs_of(n_steps, n_samples, self._batch_size(n_samples), self._most_epochs)
        return worthwhile if self.max_iter == "auto" else int(self.max_iter)

    def _measure(self, data: Source) -> None:
        """Measure the frame in which the module sees the data, and what else a fit needs to know about them."""
        self._frame = frame_of(data, "X", self._standardizes())

    def _build(self, data: Source, device: torch.device) -> None:
        self._spec = self._architecture(data.width)
        self.module_ = self._new_module().to(device, getattr(torch, self.dtype))
        self._initialise(self.module_, data, self._rng)
        self._flat, self._optimizer = Flat(self.module_), Optimizer()
        self.history_: dict[str, list[float]] = {}

    def _train(self, data: Source, run: Run) -> None:
        noise = spawn(self._rng, self._flat.theta.device)
        train, held_out = self._split(data, run)
        if train.held() is not None:
            noise = current().own(noise)
        plan = self._plan(len(train), run._replace(held_out=held_out is not None))
        try:
            with in_stage(self._stage_name()):
                outcome = minimise(
                    lambda batch: self._step(self.module_, batch, noise),
                    train,
                    self._flat,
                    optimizer_of(self),
                    plan,
                    self._rng,
                    lambda: self._examine(train, held_out),
                    lambda epoch: self._before_epoch(train, epoch / plan.max_iter),
                    noise,
                    self,
                )
        except Interrupted as interrupt:
            self._record(interrupt.outcome)
            raise
        self._record(outcome)
        tell_of_falling(self, outcome, plan.max_iter)

    def _record(self, outcome: Outcome) -> None:
        self.history_ = joined(self.history_, outcome.history)
        self.n_iter_ = max([1, *map(len, self.history_.values())])
        self.loss_ = outcome.loss
        self._stopped_early = outcome.stopped_early

    def _split(self, data: Source, run: Run) -> tuple[Source, Subset | None]:
        """Rows to train on, and held-out rows if ``early_stopping``. No row of a chunk is held out."""
        return split(self, data, run)

    def _mean_loss(self, data: Source, at_a_time: int | None = None) -> float:
        """Sum of the terms over all rows, without a generator. ``at_a_time`` rows are a batch, None for any number."""
        return mean_loss(self, data, at_a_time)

    def _plan(self, n_samples: int, run: Run) -> Plan:
        return plan_of(self, n_samples, run)

    def _require_same_architecture(self, n_features: int) -> None:
        spec = self._architecture(n_features)
        changed = sorted(name for name in spec if spec[name] != self._spec.get(name))
        if name_of(self._flat.theta.dtype) != self.dtype:
            changed.append("dtype")
        if changed:
            raise ValueError(
                f"{', '.join(changed)} changed since the last fit, so its weights cannot be trained further: "
                "restore the old value, or call fit with warm_start=False."
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self._takes_gaps
        tags.transformer_tags.preserves_dtype = [self.dtype]
        return tags
