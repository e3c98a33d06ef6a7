"""One reducer in one fold: every figure of its row in the table of compare(), and those of doing without a reducer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from .metrics import neighbors_kept, r2_against, reconstruct

__all__ = ["Fold", "evaluate", "evaluate_baselines", "fit", "n_neighbors", "takes_gaps"]

N_NEIGHBORS = 15
"""Largest number of neighbours of which the share is measured that the code keeps."""
NOTHING = dict.fromkeys(("r2", "linear", "knn", "neighbors", "fit_seconds", "rows_per_second"))
"""A row of the table without values."""
TIMED = 0.05
"""Duration of the timing of transform, in seconds."""


@dataclass
class Fold:
    """Training rows and held-out rows.

    Attributes
    ----------
    X_train : ndarray of shape (n_train, n_features)
    y_train : ndarray of shape (n_train,) or (n_train, n_targets), or None
    X_test : ndarray of shape (n_test, n_features)
    y_test : ndarray of shape (n_test,) or (n_test, n_targets), or None
    gaps_train, gaps_test : ndarray of bool of the shapes of X_train and X_test, or None
        Entries that were missing and are filled. A reducer that takes NaN is given NaN there.
    classes : bool
        Whether the targets are classes. Scores are then accuracies, and otherwise R2.
    """

    X_train: np.ndarray
    y_train: np.ndarray | None
    X_test: np.ndarray
    y_test: np.ndarray | None
    classes: bool = False
    gaps_train: np.ndarray | None = None
    gaps_test: np.ndarray | None = None

    def rows_for(self, model: Any) -> tuple[np.ndarray, np.ndarray]:
        """Training rows and held-out rows, with NaN where entries are missing if the model takes them."""
        if self.gaps_train is None or self.gaps_test is None or not takes_gaps(model):
            return self.X_train, self.X_test
        return np.where(self.gaps_train, np.nan, self.X_train), np.where(self.gaps_test, np.nan, self.X_test)

    @property
    def is_scored(self) -> bool:
        """Whether there is a target, and a score of its prediction. R2 of one row is not defined."""
        return self.y_test is not None and (self.classes or len(self.y_test) > 1)


def n_neighbors(n_test: int) -> int:
    """Number of nearest rows that a code should keep, at most a tenth of the held-out rows. 0 is too few rows."""
    return min(N_NEIGHBORS, max(1, n_test // 10)) if n_test > 2 else 0


def evaluate(model: Any, fold: Fold) -> dict[str, float | None]:
    """Fit a reducer to the training rows, and measure its reconstruction, its code and its speed.

    Parameters
    ----------
    model : reducer
        It is fitted.
    fold : Fold

    Returns
    -------
    row : dict
        With the keys "r2", "linear", "knn", "neighbors", "fit_seconds" and "rows_per_second". A value is None if the
        model cannot reconstruct, or if the fold has no score. Without ``transform`` all but "fit_seconds" are None.
    """
    fit_seconds = fit(model, fold)
    X_train, X_test = fold.rows_for(model)
    if not hasattr(model, "transform"):
        return {**NOTHING, "fit_seconds": fit_seconds}
    H_test = _encoded(model, X_test)
    return {
        "r2": _r2(model, fold, X_test),
        **_downstream(_encoded(model, X_train), H_test, fold),
        "neighbors": _neighbors(H_test, fold),
        "fit_seconds": fit_seconds,
        "rows_per_second": _rows_per_second(model, X_test),
    }


def fit(model: Any, fold: Fold) -> float:
    """Fit a reducer to the training rows.

    Returns
    -------
    seconds : float
        How long it took.
    """
    supervised = _learns_from_target(model)
    if supervised and fold.y_train is None:
        raise ValueError("it learns from a target, and there is none: pass one.")
    X_train, _ = fold.rows_for(model)
    start = time.perf_counter()
    model.fit(X_train, fold.y_train if supervised else None)
    return time.perf_counter() - start


def evaluate_baselines(fold: Fold) -> list[dict[str, Any]]:
    """Rows of the table for the same models on X itself, and for a guess that looks at y alone."""
    guess = _guess_score(fold)
    return [
        {
            "reducer": "all columns",
            "n_components": fold.X_train.shape[1],
            **NOTHING,
            **_downstream(fold.X_train, fold.X_test, fold),
        },
        {
            "reducer": "majority class" if fold.classes else "mean of the target",
            "n_components": 0,
            **NOTHING,
            "linear": guess,
            "knn": guess,
        },
    ]


def _learns_from_target(model: Any) -> bool:
    """Whether a reducer needs y. PLSRegression says that it does not."""
    if not hasattr(model, "__sklearn_tags__"):
        return False
    return get_tags(model).target_tags.required or is_classifier(model) or is_regressor(model)


def _encoded(model: Any, X: np.ndarray) -> np.ndarray:
    H = model.transform(X)
    H = H.toarray() if sparse.issparse(H) else np.asarray(H)
    if H.ndim != 2 or len(H) != len(X):
        raise ValueError(f"its code has shape {H.shape}, but X has {len(X)} rows.")
    if not np.isfinite(H).all():
        raise ValueError("its code has NaN or infinite values.")
    return H


def takes_gaps(model: Any) -> bool:
    """Whether a reducer takes NaN where an entry is missing."""
    return hasattr(model, "__sklearn_tags__") and bool(get_tags(model).input_tags.allow_nan)


def _r2(model: Any, fold: Fold, X_test: np.ndarray) -> float | None:
    """R2 of the reconstruction of what was observed of held-out rows, or None if the model cannot reconstruct."""
    if not hasattr(model, "inverse_transform"):
        return None
    try:
        X_hat = reconstruct(model, X_test)
    except NotFittedError:  # KernelPCA has the method, but can use it only with fit_inverse_transform=True
        return None
    except ValueError as error:
        raise ValueError(f"its reconstruction: {error}") from error
    mean, X_test = fold.X_train.mean(axis=0, dtype=float), fold.X_test
    if fold.gaps_test is not None:
        X_test = np.where(fold.gaps_test, np.nan, X_test)
    r2 = r2_against(X_test, X_hat, mean)
    if not np.isfinite(r2):
        raise ValueError("its squared error is too large to be computed: rescale X.")
    return r2


def _downstream(H_train: np.ndarray, H_test: np.ndarray, fold: Fold) -> dict[str, float | None]:
    """Held-out scores of a linear model on the standardised code, and of 5 nearest neighbours on the code."""
    if not fold.is_scored:
        return {"linear": None, "knn": None}
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    k = min(5, len(H_train))
    if fold.classes:
        several = len(np.unique(np.asarray(fold.y_train))) > 1
        models = [LogisticRegression(max_iter=1000) if several else DummyClassifier(), KNeighborsClassifier(k)]
    else:
        models = [Ridge(), KNeighborsRegressor(k)]
    models[0] = make_pipeline(StandardScaler(), models[0])
    linear, knn = (float(m.fit(H_train, fold.y_train).score(H_test, fold.y_test)) for m in models)
    return {"linear": linear, "knn": knn}


def _neighbors(H_test: np.ndarray, fold: Fold) -> float | None:
    """Mean share of the nearest held-out rows of a row that are among its nearest on the code."""
    k = n_neighbors(len(H_test))
    return float(neighbors_kept(fold.X_test, H_test, n_neighbors=k).mean()) if k else None


def _guess_score(fold: Fold) -> float | None:
    """Held-out score of the most frequent class, or of the mean, of the training rows."""
    if not fold.is_scored:
        return None
    from sklearn.dummy import DummyClassifier, DummyRegressor

    guess = DummyClassifier(strategy="most_frequent") if fold.classes else DummyRegressor()
    return float(guess.fit(fold.X_train, fold.y_train).score(fold.X_test, fold.y_test))


def _rows_per_second(model: Any, X: np.ndarray) -> float:
    """Number of rows that transform encodes per second, in the fastest of several calls."""
    best, start, now = np.inf, time.perf_counter(), -np.inf
    while now - start < TIMED:
        before = time.perf_counter()
        model.transform(X)
        now = time.perf_counter()
        best = min(best, now - before)
    return len(X) / best
