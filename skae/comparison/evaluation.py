"""One reducer in one fold: every figure of its row in the table of compare(), and those of doing without a reducer."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import get_config
from sklearn.exceptions import NotFittedError

from ..base.abilities import learns_from_target, restores, selects_columns, takes_gaps, takes_sparse
from ..metrics import neighbors_kept, r2_against, reconstruct
from .columns import COLUMNS, is_taken
from .metadata import WEIGHT, taken_by_reducer
from .scoring import Scorer

__all__ = ["Fold", "evaluate", "evaluate_baselines", "fit", "mean_of", "n_neighbors"]

N_NEIGHBORS = 15
"""Largest number of neighbours of which the share is measured that the code keeps."""
NOTHING = dict.fromkeys(COLUMNS)
"""A row of the table without values."""
BLOCK = 2**22
"""Number of entries of a sparse X that are an array at a time."""
TIMED = 0.05
"""Duration of the timing of transform, in seconds."""


@dataclass
class Fold:
    """Training rows and held-out rows.

    Attributes
    ----------
    X_train : {ndarray, sparse matrix} of shape (n_train, n_features)
    y_train : ndarray of shape (n_train,) or (n_train, n_targets), or None
    X_test : {ndarray, sparse matrix} of shape (n_test, n_features)
    y_test : ndarray of shape (n_test,) or (n_test, n_targets), or None
    classes : bool
        Whether the targets are classes. Scores are then accuracies, and otherwise R2.
    gaps_train, gaps_test : ndarray of bool of the shapes of X_train and X_test, or None
        Entries that were missing and are filled. A reducer that takes NaN is given NaN there.
    params_train, params_test : dict
        Metadata of the rows, such as "sample_weight", by their names.
    """

    X_train: Any
    y_train: np.ndarray | None
    X_test: Any
    y_test: np.ndarray | None
    classes: bool = False
    gaps_train: np.ndarray | None = None
    gaps_test: np.ndarray | None = None
    params_train: Mapping[str, Any] = field(default_factory=dict)
    params_test: Mapping[str, Any] = field(default_factory=dict)

    def rows_for(self, model: Any) -> tuple[Any, Any]:
        """Training rows and held-out rows, with NaN where entries are missing if the model takes them.

        Of a sparse X a reducer that needs arrays is given arrays, if they are not too large.
        """
        if sparse.issparse(self.X_train):
            return (self.X_train, self.X_test) if takes_sparse(model) else self._dense()
        if self.gaps_train is None or self.gaps_test is None or not takes_gaps(model):
            return self.X_train, self.X_test
        return np.where(self.gaps_train, np.nan, self.X_train), np.where(self.gaps_test, np.nan, self.X_test)

    def _dense(self) -> tuple[np.ndarray, np.ndarray]:
        n_rows = self.X_train.shape[0] + self.X_test.shape[0]
        size = n_rows * self.X_train.shape[1] * self.X_train.dtype.itemsize / 2**20
        most = get_config()["working_memory"]
        if size > most:
            raise ValueError(
                f"it takes no sparse X, and as an array X needs {size:,.0f} MiB, above the limit of {most:,.0f} MiB: "
                "leave it out, put a reducer that takes sparse X before it, or raise the limit by "
                "sklearn.set_config(working_memory=...)."
            )
        return self.X_train.toarray(), self.X_test.toarray()

    @property
    def weights(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Sample weights of the training rows and of the held-out rows."""
        return self.params_train.get(WEIGHT), self.params_test.get(WEIGHT)

    @property
    def is_scored(self) -> bool:
        """Whether there is a target, and a score of its prediction. R2 of one row is not defined."""
        return self.y_test is not None and (self.classes or len(self.y_test) > 1)


def n_neighbors(n_test: int) -> int:
    """Number of nearest rows that a code should keep, at most a tenth of the held-out rows. 0 is too few rows."""
    return min(N_NEIGHBORS, max(1, n_test // 10)) if n_test > 2 else 0


def evaluate(model: Any, fold: Fold, scorers: Iterable[Scorer] = ()) -> dict[str, float | None]:
    """Fit a reducer to the training rows, and measure its reconstruction, its code and its speed.

    Parameters
    ----------
    model : reducer
        It is fitted.
    fold : Fold
    scorers : iterable of Scorer, default=()
        Further figures.

    Returns
    -------
    row : dict
        With the keys in ``COLUMNS``, and those of the scorers. A value is None if the model cannot reconstruct, or if
        the fold has no score. Without ``transform`` all but "fit_seconds" are None.
    """
    X_train, X_test = fold.rows_for(model)
    fit_seconds = fit(model, fold, X_train)
    if not hasattr(model, "transform"):
        return {**NOTHING, "fit_seconds": fit_seconds, **{scorer.name: None for scorer in scorers}}
    H_test = _encoded(model, X_test)
    downstream, linear = _downstream(_encoded(model, X_train), H_test, fold)
    row: dict[str, float | None] = {
        "r2": _r2(model, fold, X_test),
        **downstream,
        "neighbors": _neighbors(H_test, fold),
        "fit_seconds": fit_seconds,
        "rows_per_second": _rows_per_second(model, X_test),
    }
    for scorer in scorers:
        judged, rows = (linear, H_test) if scorer.judges_predictions else (model, X_test)
        _add(row, _scored(scorer, judged, rows, fold))
    return row


def fit(model: Any, fold: Fold, X_train: Any) -> float:
    """Fit a reducer to the training rows, as ``Fold.rows_for`` gives them.

    Returns
    -------
    seconds : float
        How long it took.
    """
    needs_y = learns_from_target(model)
    if needs_y and fold.y_train is None:
        raise ValueError("it learns from a target, and there is none: pass one.")
    y_train = fold.y_train if needs_y or selects_columns(model) else None
    params = taken_by_reducer(model, fold.params_train)
    start = time.perf_counter()
    model.fit(X_train, y_train, **params)
    return time.perf_counter() - start


def evaluate_baselines(fold: Fold, scorers: Iterable[Scorer] = ()) -> list[dict[str, Any]]:
    """Rows of the table for the same models on X itself, and for a guess that looks at y alone."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    downstream, linear = _downstream(fold.X_train, fold.X_test, fold)
    guess = DummyClassifier(strategy="most_frequent") if fold.classes else DummyRegressor()
    weight, weight_test = fold.weights
    guessed = None
    if fold.is_scored:
        guess.fit(fold.X_train, fold.y_train, sample_weight=weight)
        guessed = float(guess.score(fold.X_test, fold.y_test, sample_weight=weight_test))
    everything = {"reducer": "all columns", "n_components": fold.X_train.shape[1], **NOTHING, **downstream}
    nothing = {
        "reducer": "majority class" if fold.classes else "mean of the target",
        "n_components": 0,
        **NOTHING,
        "linear": guessed,
        "knn": guessed,
    }
    for scorer in scorers:
        for row, model in ((everything, linear), (nothing, guess)):
            known = scorer.judges_predictions and fold.is_scored
            _add(row, _scored(scorer, model, fold.X_test, fold) if known else {scorer.name: None})
    return [everything, nothing]


def _add(row: dict[str, Any], found: dict[str, float | None]) -> None:
    """Add the columns of a scorer to a row. A scorer that returns a dict has told their names only now."""
    name = next((name for name in found if is_taken(name) or name in row), None)
    if name is not None:
        raise ValueError(f"a scorer returned a value for {name!r}, which is the name of another column.")
    row |= found


def _scored(scorer: Scorer, model: Any, rows: Any, fold: Fold) -> dict[str, float | None]:
    if model is None:
        return {scorer.name: None}
    return scorer.score(model, rows, fold.y_test, fold.params_test)


def _encoded(model: Any, X: Any) -> np.ndarray:
    H = model.transform(X)
    H = H.toarray() if sparse.issparse(H) else np.asarray(H)
    if H.ndim != 2 or len(H) != X.shape[0]:
        raise ValueError(f"its code has shape {H.shape}, but X has {X.shape[0]} rows.")
    if not np.isfinite(H).all():
        raise ValueError("its code has NaN or infinite values.")
    return H


def _r2(model: Any, fold: Fold, X_test: Any) -> float | None:
    """R2 of the reconstruction of what was observed of held-out rows, or None if the model cannot reconstruct."""
    if not restores(model):
        return None
    try:
        if sparse.issparse(fold.X_test) or fold.weights[1] is not None:
            return _r2_in_parts(model, fold, X_test)
        X_hat = reconstruct(model, X_test)
    except NotFittedError:  # KernelPCA has the method, but can use it only with fit_inverse_transform=True
        return None
    except ValueError as error:
        raise ValueError(f"its reconstruction: {error}") from error
    r2 = r2_against(_with_gaps(fold), X_hat, fold.X_train.mean(axis=0, dtype=float))
    return _finite(r2)


def _with_gaps(fold: Fold) -> Any:
    return fold.X_test if fold.gaps_test is None else np.where(fold.gaps_test, np.nan, fold.X_test)


def _r2_in_parts(model: Any, fold: Fold, X_test: Any) -> float:
    """The same with weights, and of sparse rows, of which some are an array at a time."""
    weight, weight_test = fold.weights
    X, n_rows = _with_gaps(fold), fold.X_test.shape[0]
    mean = mean_of(fold.X_train, weight)
    weight_test = np.ones(n_rows) if weight_test is None else weight_test
    step = max(1, BLOCK // X.shape[1])
    error = total = 0.0
    for start in range(0, n_rows, step):
        part = slice(start, start + step)
        x = X[part].toarray() if sparse.issparse(X) else X[part]
        squares = [np.nansum((x - other) ** 2, axis=1) for other in (reconstruct(model, X_test[part]), mean)]
        error, total = (sum_ + float(weight_test[part] @ s) for sum_, s in zip((error, total), squares, strict=True))
    return _finite(1.0 - error / total if total > 0.0 else float(error == 0.0))


def _finite(r2: float) -> float:
    if not np.isfinite(r2):
        raise ValueError("its squared error is too large to be computed: rescale X.")
    return r2


def mean_of(X: Any, weight: np.ndarray | None) -> np.ndarray:
    """The mean of rows with weights. NaN is missing, and a column without known entries that count has NaN."""
    if sparse.issparse(X):
        weight = np.ones(X.shape[0]) if weight is None else weight
        return np.asarray(X.T @ weight).ravel() / weight.sum()
    if weight is None:
        mean: np.ndarray = np.nanmean(X, axis=0, dtype=float)
        return mean
    known = ~np.isnan(X)
    with np.errstate(invalid="ignore"):
        return weight @ np.where(known, X, 0.0) / (weight @ known)


def _downstream(H_train: Any, H_test: Any, fold: Fold) -> tuple[dict[str, float | None], Any]:
    """Held-out scores of a linear model on the standardised code, and of 5 nearest neighbours, and the linear model.

    Neighbours vote without weights, because scikit-learn has none for them.
    """
    if not fold.is_scored:
        return {"linear": None, "knn": None}, None
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    weight, weight_test = fold.weights
    k = min(5, H_train.shape[0])
    if fold.classes:
        counted = fold.y_train if weight is None else np.asarray(fold.y_train)[weight > 0]
        several = len(np.unique(np.asarray(counted))) > 1
        linear, knn = (LogisticRegression(max_iter=1000) if several else DummyClassifier()), KNeighborsClassifier(k)
    else:
        linear, knn = Ridge(), KNeighborsRegressor(k)
    # fitted one by one: a pipeline would hand on weights in one of two ways, by the configuration of metadata routing
    scale = StandardScaler(with_mean=not sparse.issparse(H_train)).fit(H_train, sample_weight=weight)
    linear.fit(scale.transform(H_train), fold.y_train, sample_weight=weight)
    knn.fit(H_train, fold.y_train)
    scored = partial(_score, y=fold.y_test, weight=weight_test)
    scores: dict[str, float | None] = {"linear": scored(linear, scale.transform(H_test)), "knn": scored(knn, H_test)}
    return scores, make_pipeline(scale, linear)


def _score(model: Any, H: Any, y: Any, weight: np.ndarray | None) -> float:
    return float(model.score(H, y, sample_weight=weight))


def _neighbors(H_test: np.ndarray, fold: Fold) -> float | None:
    """Mean share of the nearest held-out rows of a row that are among its nearest on the code."""
    k = n_neighbors(len(H_test))
    if not k:
        return None
    kept, weight = neighbors_kept(fold.X_test, H_test, n_neighbors=k), fold.weights[1]
    return float(kept.mean() if weight is None else np.average(kept, weights=weight))


def _rows_per_second(model: Any, X: Any) -> float:
    """Number of rows that transform encodes per second, in the fastest of several calls."""
    best, start, now = np.inf, time.perf_counter(), -np.inf
    while now - start < TIMED:
        before = time.perf_counter()
        model.transform(X)
        now = time.perf_counter()
        best = min(best, now - before)
    return X.shape[0] / best
