"""Samples of a model by class or cluster, and the real rows that belong to each."""

from __future__ import annotations

import inspect
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted

from ._codes import decode
from ._rows import as_array, first_rows

__all__ = ["Draws"]

MOST_SEED = 2**31 - 1
KNOWN = {
    "sample": "a generative model, such as RBM",
    "sample_codes": "a variational model, such as VariationalAutoencoder, or leave means out",
}
"""What has these methods."""


class Draws:
    """How rows of each group are drawn from a fitted estimator.

    Parameters
    ----------
    estimator : object
    means : bool
        Whether codes are drawn, by ``sample_codes``, and decoded.
    groups : sequence, "auto" or None
        What is drawn by, see ``SampleDisplay.from_estimator``.
    n : int
        Number of rows of each group.
    random_state : int, RandomState instance or None
    """

    def __init__(self, estimator: Any, means: bool, groups: Any, n: Any, random_state: Any) -> None:
        self.estimator = estimator
        self.method = "sample_codes" if means else "sample"
        name = type(estimator).__name__
        if not hasattr(estimator, self.method):
            raise TypeError(f"{name} has no {self.method}: pass {KNOWN[self.method]}.")
        check_is_fitted(estimator)
        if not isinstance(n, Integral) or n < 1:
            raise ValueError(f"n_samples={n!r} leaves nothing to draw: pass a whole number of at least 1.")
        self.n = int(n)
        self._takes = inspect.signature(getattr(estimator, self.method)).parameters
        self._decodes_with_y = means and "y" in inspect.signature(estimator.inverse_transform).parameters
        words = {*self._takes, *(("y",) if self._decodes_with_y else ())}
        self.keyword = next((word for word in ("y", "cluster") if word in words), None)
        self.groups = self._entries(groups)
        if random_state is not None and "random_state" not in self._takes:
            raise TypeError(f"{self.method} of {name} takes no random_state: set that of the estimator.")
        self._seed = {} if random_state is None else {"random_state": _one_seed(random_state)}

    def _entries(self, groups: Any) -> list[Any]:
        """What is drawn by. None is the whole model."""
        if isinstance(groups, str) and groups == "auto":
            if self.keyword == "y" and hasattr(self.estimator, "classes_"):
                return list(self.estimator.classes_)
            clusters = range(int(self.estimator.n_clusters)) if self.keyword == "cluster" else []
            return list(clusters) or [None]
        if groups is None:
            return [None]
        if self.keyword is None:
            name = type(self.estimator).__name__
            raise TypeError(f"{self.method} of {name} draws from the whole model only: leave groups out.")
        if len(groups) == 0:
            raise ValueError(f"groups={groups!r} leaves nothing to draw: pass at least one group, or None.")
        return list(groups)

    def samples(self) -> dict[str, np.ndarray]:
        """Rows drawn from each group, of shape (n, n_features)."""
        if self._decodes_with_y and any(group is None for group in self.groups):
            raise ValueError("means=True decodes codes of given y, and there is none: pass groups, or leave means out.")
        return {_name_of(group): self._drawn(group) for group in self.groups}

    def _drawn(self, group: Any) -> np.ndarray:
        told: dict[str, Any] = {}
        if group is not None and self.keyword in self._takes:
            told[str(self.keyword)] = np.array([group] * self.n) if self.keyword == "y" else group
        found = getattr(self.estimator, self.method)(self.n, **told, **self._seed)
        rows = found[0] if isinstance(found, tuple) else found  # a GaussianMixture also says which Gaussian drew it
        if self.method == "sample":
            return as_array(rows)
        return decode(self.estimator, np.asarray(rows), group if self._decodes_with_y else None)

    def real_rows(self, X: Any, y: Any) -> dict[str, np.ndarray]:
        """The first rows of X in each group, at most n."""
        if self.groups[0] is None:
            return {_name_of(None): as_array(first_rows(X, self.n))}
        if y is None and self.keyword == "y":
            raise ValueError("X is shown by class, and its classes are not known: pass y, or leave X out.")
        known = np.asarray(self.estimator.predict(X) if y is None else y)
        check_consistent_length(X, known)
        rows, known = as_array(X), known.reshape(len(known), -1)
        return {_name_of(group): rows[(known == np.ravel(group)).all(axis=1)][: self.n] for group in self.groups}


def _one_seed(random_state: Any) -> int:
    """One seed for all groups."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(MOST_SEED))


def _name_of(group: Any) -> str:
    return "" if group is None else str(group)
