"""Further columns of compare(): scorers as ``cross_validate`` takes them, of reducers or of predictions on the code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import get_scorer, get_scorer_names

from .. import metrics
from ..engine.notices import warn
from .columns import SPREAD, is_taken
from .metadata import taken_by_scorer

__all__ = ["Scorer", "check_scorers"]

OURS = (
    "continuity",
    "knn_accuracy",
    "neg_reconstruction_mse",
    "neg_sample_mmd",
    "neighborhood_preservation",
    "reconstruction_r2",
    "trustworthiness",
)
"""Scorers of ``skae.metrics`` that can be given by their names."""


@dataclass(frozen=True)
class Scorer:
    """A scorer and the name of its column.

    Parameters
    ----------
    name : str
    function : callable
        Its arguments are an estimator, X and y. It returns a number, or a dict of numbers by the names of columns.
    """

    name: str
    function: Callable[..., Any]

    @property
    def judges_predictions(self) -> bool:
        """Whether it was made by ``make_scorer``. It is given a model on the code then, and otherwise the reducer."""
        return hasattr(self.function, "set_score_request")

    def score(self, estimator: Any, X: Any, y: Any, params: Mapping[str, Any]) -> dict[str, float | None]:
        """Score held-out rows. If that fails, the value is None, and a warning says why.

        Parameters
        ----------
        estimator : object
            A fitted reducer, or a fitted model on its code.
        X : {ndarray, sparse matrix} of shape (n_test, n_features)
        y : ndarray or None
        params : dict
            Metadata of the held-out rows. A scorer is given those of which it has arguments.

        Returns
        -------
        values : dict of str to float or None
            By the names of columns.
        """
        given = (X,) if y is None else (X, y)
        try:
            found = self.function(estimator, *given, **taken_by_scorer(self.function, params))
        except Exception as error:
            self._tell(f"failed ({' '.join(str(error).split()) or type(error).__name__})")
            return {self.name: None}
        return {
            str(name): self._checked(name, value)
            for name, value in (found.items() if isinstance(found, Mapping) else [(self.name, found)])
        }

    def _checked(self, name: str, value: Any) -> float | None:
        value = value.item() if isinstance(value, np.generic | np.ndarray) and np.size(value) == 1 else value
        if not isinstance(value, Real):
            raise ValueError(f"the scorer {self.name!r} returned {value!r}, which is no number.")
        if not np.isfinite(float(value)):
            self._tell(f"returned {float(value)}")
            return None
        return float(value)

    def _tell(self, what: str) -> None:
        warn(f"The scorer {self.name!r} {what}: there is no value in its column.", UndefinedMetricWarning)


def check_scorers(scoring: Any, has_target: bool) -> list[Scorer]:
    """The scorers that a user asks for, by the names of their columns.

    Parameters
    ----------
    scoring : str, callable, list, tuple or set of these, dict, or None
    has_target : bool

    Raises
    ------
    TypeError, ValueError
        If a scorer is none, if a name is taken, or if a scorer needs a target and there is none.
    """
    scorers = [Scorer(name, _found(scorer)) for name, scorer in _named(scoring)]
    for scorer in scorers:
        if is_taken(scorer.name):
            mine = f"my_{scorer.name.removesuffix(SPREAD)}"
            raise ValueError(
                f"scoring has the name {scorer.name!r}, which another column has: pass it by a name of its own, as in "
                f"{{{mine!r}: ...}}."
            )
        if scorer.judges_predictions and not has_target:
            raise ValueError(f"The scorer {scorer.name!r} judges predictions of a target, and there is none: pass y.")
    return scorers


def _named(scoring: Any) -> list[tuple[str, Any]]:
    if scoring is None:
        return []
    if isinstance(scoring, Mapping):
        return [(str(name), scorer) for name, scorer in scoring.items()]
    several = scoring if isinstance(scoring, list | tuple | set) else [scoring]
    pairs = [(_name_of(scorer), scorer) for scorer in several]
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"scoring has two scorers {twice!r}: pass a dict with a name for each.")
    return sorted(pairs, key=lambda pair: pair[0]) if isinstance(scoring, set) else pairs


def _name_of(scorer: Any) -> str:
    while isinstance(scorer, partial):
        scorer = scorer.func
    return scorer if isinstance(scorer, str) else getattr(scorer, "__name__", "score")


def _found(scorer: Any) -> Callable[..., Any]:
    if isinstance(scorer, str):
        if scorer not in (*OURS, *get_scorer_names()):
            raise ValueError(
                f"There is no scorer {scorer!r}: pass one of sklearn.metrics.get_scorer_names(), or of skae.metrics: "
                f"{', '.join(OURS)}."
            )
        found: Callable[..., Any] = getattr(metrics, scorer) if scorer in OURS else get_scorer(scorer)
        return found
    if not callable(scorer):
        raise TypeError(f"scoring has {scorer!r}: pass the name of a scorer, or a callable(estimator, X, y).")
    return scorer
