"""The verdict on a finished fit: a warning that says what it has not learnt, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from ..engine.notices import warn
from ..engine.train import NonFiniteLossError, Outcome
from ..exceptions import NothingLearntWarning

__all__ = [
    "collapsed_posterior",
    "constant_code",
    "constant_prediction",
    "lone_row",
    "one_class",
    "poor_reconstruction",
    "relative_spread",
    "some_rows",
    "tell",
    "tell_of_falling",
    "withheld",
]

N_ROWS = 500
"""Largest number of training rows that are looked at. A verdict then takes less time than a few steps."""
N_VALUES = 2**20
"""Largest number of values in a layer for these rows. At least ten rows are looked at."""
LEAST_STEPS = 50
"""A fit of fewer steps, and of as many epochs as it was asked for, is a trial, on which there is no verdict."""
LEAST_SPREAD = 0.01
"""Smallest spread of a code, as a fraction of that of X, that counts as variation.

At this spread a probability of 0.5 is between 0.495 and 0.505. States that are drawn from it say nothing about the row,
and neither does a linear model of the code with the usual penalty. Random initial weights give such codes to logistic
units. Codes that were learnt vary by a tenth or more.
"""
ROUNDING = 1e-6
"""Rows whose spread is smaller are all equal."""
LARGEST_MAJORITY = 0.9
"""Share of the most frequent class up to which a classifier that predicts no other class has learnt nothing."""
LEAST_ROWS, LARGEST_SHARE = 20, 0.5
"""From so many rows on, a single one should not have more than this share of the variance."""
LEAST_DEVIATION = 0.01
"""Smallest standard deviation of the predictions, in those of y, that counts as variation."""


_is_withheld: ContextVar[bool] = ContextVar("_is_withheld", default=False)


@contextmanager
def withheld() -> Iterator[None]:
    """Give no verdict in the context, in which parts of a larger estimator are learnt. The whole gets one."""
    token = _is_withheld.set(True)
    try:
        yield
    finally:
        _is_withheld.reset(token)


@torch.no_grad()
def tell(estimator: Any, data: Any, run: Any) -> None:
    """Warn of what a fit has not learnt. Nothing is told of a start, of a chunk, of a part, and of a trial.

    Parameters
    ----------
    estimator : fitted estimator
        ``estimator._failure(data)`` is the sentence to tell, a warning that holds it, or None.
    data : Source
        The training rows as the module sees them.
    run : Run
    """
    if run.partial or not run.train or _is_withheld.get() or len(data) < 2:
        return
    failure = estimator._failure(data)
    stopped_early = estimator._monitor is not None and estimator._stopped_early
    if failure is not None and (stopped_early or _n_steps(estimator, len(data)) >= LEAST_STEPS):
        warn(str(failure), type(failure) if isinstance(failure, Warning) else NothingLearntWarning)


def tell_of_falling(estimator: Any, outcome: Outcome, max_iter: int) -> None:
    """Warn if training ended after ``max_iter`` epochs while the loss was still falling."""
    if outcome.still_falling and 0 < len(outcome.history.get("loss", ())) == max_iter:
        settle = "" if estimator.solver == "lbfgs" else ", or use learning_rate='cosine', which lowers the rate to zero"
        warn(
            f"The loss was still falling after max_iter={max_iter} epochs: raise max_iter{settle}.", ConvergenceWarning
        )


def _n_steps(estimator: Any, n_samples: int) -> int:
    """Steps of a fit to so many rows, with those of its layers or its encoder."""
    parts = [*getattr(estimator, "layers_", ()), *([estimator.encoder_] if hasattr(estimator, "encoder_") else ())]
    own = int(estimator.n_iter_) * -(-n_samples // estimator._batch_size(n_samples))
    return own + sum(_n_steps(part, n_samples) for part in parts)


def some_rows(data: Any, width: int, among: Tensor | None = None) -> Any:
    """A batch of evenly spaced training rows of positive weight; None if there are fewer than two.

    Parameters
    ----------
    data : Source
    width : int
        Width of the widest layer that they go through.
    among : LongTensor or None, default=None
        Row numbers to choose from.
    """
    rows = torch.arange(len(data), device=data.device) if among is None else among
    if data.weight is not None:
        rows = rows[data.weight[rows] > 0]
    n = min(len(rows), N_ROWS, max(10, N_VALUES // max(data.width, width)))
    return None if n < 2 else data[rows[torch.linspace(0, len(rows) - 1, n).long().to(rows.device)]]


def relative_spread(x: Tensor, weight: Tensor | None) -> float:
    """Standard deviation of rows around their mean, divided by their root mean square; between 0 and 1.

    Parameters
    ----------
    x : Tensor of shape (n, ...)
        NaN counts as 0.
    weight : Tensor of shape (n,) or None
    """
    values = x.detach().cpu().double().flatten(1).nan_to_num()
    w = torch.ones(len(values), dtype=torch.float64) if weight is None else weight.cpu().double()
    w = w / w.sum()
    total = float(w @ values.square().sum(1))
    return float(w @ (values - w @ values).square().sum(1) / total) ** 0.5 if total > 0.0 else 0.0


def constant_code(h: Tensor, x: Any, weight: Tensor | None, cure: str) -> str | None:
    """What is wrong with a code that is nearly the same for all rows, although the rows differ.

    A code that is not finite is an error: the last step diverged, and the loss is that of the weights before it.

    Parameters
    ----------
    h : Tensor of shape (n, n_components)
        The code.
    x : Tensor of shape (n, n_features)
        The rows. Anything else counts as rows that differ.
    weight : Tensor of shape (n,) or None
    cure : str
        What to do about it.
    """
    if not bool(h.isfinite().all()):
        raise NonFiniteLossError(
            "The code of the training rows became NaN or infinite in the last epoch: lower learning_rate_init, set "
            "max_grad_norm=1.0, or look for extreme values in X."
        )
    of_rows = relative_spread(x, weight) if isinstance(x, Tensor) else 1.0
    of_code = relative_spread(h, weight)
    if of_code >= LEAST_SPREAD * of_rows or of_rows < ROUNDING:
        return None
    if bool(((h == 0.0) | (h.abs() == 1.0)).all()):
        return "The code is the same for all rows, because its units are dead or saturated: lower learning_rate_init."
    return f"The code is nearly the same for all rows (its standard deviation is {of_code:.1g} of its size): {cure}."


def collapsed_posterior(active: Any, batch: Any, cure: str) -> str | None:
    """What is wrong with a distribution of codes that is the same for all rows, although the rows differ.

    Parameters
    ----------
    active : ndarray of shape (n_components,), bool
        Whether the mean of each component varies.
    batch : Batch or None
        Some of the rows.
    cure : str
        What to do about it.
    """
    if active.any() or batch is None or relative_spread(batch.x, batch.weight) < ROUNDING:
        return None
    return (
        "The posterior has collapsed: the code of every row is the same distribution, and no component says anything "
        f"about the row: {cure}."
    )


def poor_reconstruction(error: float, total: float, cure: str) -> str | None:
    """What is wrong with a reconstruction whose squared error is not below ``total``, that of the mean."""
    if total <= 0.0 or error < total:
        return None
    return f"The reconstruction of the training rows is no better than their mean (R2 {1 - error / total:.1g}): {cure}."


def one_class(predicted: Tensor, label: Tensor, count: Tensor, classes: Any, cure: str) -> str | None:
    """What is wrong with a classifier that predicts one class for all rows, although others are not rare.

    Parameters
    ----------
    predicted, label : LongTensor of shape (n,)
        Predicted and true class of labelled rows, as indices.
    count : Tensor of shape (n,)
        How much each row counts.
    classes : ndarray
    cure : str
    """
    first = predicted[0]
    share = float(count[label == first].sum() / count.sum())
    if bool((predicted != first).any()) or share > LARGEST_MAJORITY:
        return None
    return (
        f"All rows are predicted to be of class {classes.tolist()[int(first)]!r}, but {1 - share:.0%} are not: {cure}."
    )


def lone_row(x: Tensor) -> str | None:
    """What to tell of a row that has most of the variance of centred rows, or None."""
    squares = x.square().sum(1)
    share, row = float(squares.max() / squares.sum()), int(squares.argmax())
    if len(x) < LEAST_ROWS or not share > LARGEST_SHARE:
        return None
    return (
        f"One row has {share:.0%} of the variance of X, mostly in column {int(x[row].abs().argmax())}, so that all "
        "others look alike to the model: drop that row, or rescale that column."
    )


def constant_prediction(predicted: Tensor, y: Tensor, count: Tensor, cure: str) -> str | None:
    """What is wrong with predictions that are nearly the same for all rows, although y is not.

    Parameters
    ----------
    predicted, y : Tensor of shape (n, n_targets)
    count : Tensor of shape (n, n_targets)
        How much each value counts.
    cure : str
    """
    share = count / count.sum(0)
    deviation, of_y = (((t - (share * t).sum(0)).square() * share).sum(0).sqrt() for t in (predicted, y))
    if not bool((deviation < LEAST_DEVIATION * of_y).all()):
        return None
    return f"The prediction is nearly the same for all rows: {cure}."
