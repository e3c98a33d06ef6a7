"""The fits of a comparison, one by one or by several processes of joblib."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from joblib import effective_n_jobs
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed

from ..engine.notices import reworded, warn
from ..exceptions import DisconnectedGraphWarning
from .evaluation import evaluate, evaluate_baselines, fit
from .folds import Table, fold_of
from .peers import quiet
from .scoring import Scorer

__all__ = ["BASELINES", "Job", "outcomes"]

BASELINES = "all columns"
"""Name under which what all columns and a guess get is kept, with 0 components, which no reducer has."""

Outcome = tuple[list[dict[str, Any]], Any]
"""Rows of the table, and the fitted model if it is one of the first fold."""


@dataclass
class Job:
    """A reducer in a fold, or what all columns and a guess get there.

    Parameters
    ----------
    number : int
        Its place among the jobs.
    name : str
    k : int
        Number of components.
    fold : int
    n_folds : int
    split : pair of ndarray
        Training rows and held-out rows.
    model : reducer or None
        It is not fitted. None for all columns and a guess.
    is_known : bool, default=False
        Whether its figures were kept. It is fitted for its picture then, and not measured.
    """

    number: int
    name: str
    k: int
    fold: int
    n_folds: int
    split: tuple[Any, Any]
    model: Any
    is_known: bool = False

    @property
    def is_drawn(self) -> bool:
        """Whether its model is one of those that pictures are made with."""
        return self.fold == 0 and self.model is not None

    def run(self, table: Table, scorers: Sequence[Scorer]) -> Outcome:
        """Fit and measure.

        Raises
        ------
        ValueError
            If the reducer fails. The message says which, and in which fold.
        """
        with self.told(), _drawn(self.fold == 0):
            fold = fold_of(table, *self.split)
            if self.model is None:
                return evaluate_baselines(fold, scorers), None
            model = clone(self.model)  # so that what it learns goes with it
            if self.is_known:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # they were issued with its figures
                    fit(model, fold, fold.rows_for(model)[0])
                return [], model
            row = evaluate(model, fold, scorers)
        named = {"reducer": self.name, "n_components": self.k, "fold": self.fold, **row}
        return [named], model if self.is_drawn else None

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell in warnings and errors which reducer they are of."""
        who = "all columns" if self.model is None else f"{self.name} with n_components={self.k}"
        try:
            with reworded(partial("{}: {}".format, who)):
                yield
        except Exception as error:
            where = f"fold {self.fold + 1} of {self.n_folds}"
            raise ValueError(f"{who} failed in {where}: {str(error) or type(error).__name__}") from error


@contextmanager
def _drawn(is_drawn: bool) -> Iterator[None]:
    """Leave out how the map of a fold may be read, unless the map is drawn."""
    with warnings.catch_warnings():
        if not is_drawn:
            warnings.simplefilter("ignore", DisconnectedGraphWarning)
        yield


def outcomes(
    jobs: Sequence[Job], table: Table, scorers: Sequence[Scorer], n_jobs: int | None
) -> Iterator[tuple[Job, Callable[[], Outcome]]]:
    """Run jobs, and give each with a function for its outcome, in the order in which they are done.

    The function issues the warnings of the job, and raises its error. Without several processes it is what runs the
    job.

    Parameters
    ----------
    jobs : sequence of Job
    table : Table
    scorers : sequence of Scorer
    n_jobs : int or None
        Number of processes as joblib counts them.
    """
    if len(jobs) < 2 or effective_n_jobs(n_jobs) == 1:
        for job in jobs:
            yield job, partial(job.run, table, scorers)
        return
    # one job at a time, so that each is kept as soon as it is done
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
    calls = (delayed(_recorded)(job, table, scorers, os.getpid()) for job in jobs)
    by_number = {job.number: job for job in jobs}
    with closing(parallel(calls)) as results:
        for number, said, outcome in results:
            yield by_number[number], partial(_told_again, by_number[number], said, outcome)


class _Ours(str):
    """The message of a warning of this package, which points at the user's line. Its text stays one of this class."""

    __slots__ = ()

    def __str__(self) -> str:
        return self


def _recorded(job: Job, table: Table, scorers: Sequence[Scorer], home: int) -> tuple[int, list[Any], Outcome]:
    """Run a job in a process of joblib, with its warnings. They are heard without that in a thread."""
    if os.getpid() == home:
        with quiet():
            return job.number, [], job.run(table, scorers)
    with warnings.catch_warnings(record=True) as told, quiet(), reworded(_Ours):
        outcome = job.run(table, scorers)
    return job.number, [_parts(one) for one in told], outcome


def _parts(told: warnings.WarningMessage) -> tuple[str, type[Warning], str, int, bool]:
    message = told.message.args[0] if isinstance(told.message, Warning) and told.message.args else told.message
    return str(message), told.category, told.filename, told.lineno, isinstance(message, _Ours)


def _told_again(job: Job, said: list[Any], outcome: Outcome) -> Outcome:
    """Issue the warnings of a job where the user hears them."""
    for message, category, filename, line, is_ours in said:
        try:
            if is_ours:
                warn(message, category)
            else:
                warnings.warn_explicit(message, category, filename, line)
        except Warning as error:  # those that are errors here, if they were none in the other process
            with job.told():
                raise error from None
    return outcome
