"""What estimators that predict y share, where y is known for some of the rows: reading y, the loss, and scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import r2_score
from torch import Tensor
from torch.nn import functional as F

from ..engine.data import Array, merge_duplicates, to_tensor
from ..functional import average, weighted_average
from .labels import UNLABELLED, Labels, Told, moments_of_known, numbers, read_classes, read_labels

__all__ = ["ClassPrediction", "NumberPrediction", "counted", "halves", "merged"]


class ClassPrediction(ClassifierMixin):
    """Labels, probabilities and accuracy of an estimator whose ``_predicted`` are probabilities.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    """

    _predicted: Callable[..., Any]

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        probability = self._predicted(X)
        labels: np.ndarray = self.classes_[probability.argmax(axis=1)]
        return labels

    def predict_proba(self, X: Any) -> Any:
        """Probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Rows sum to one; columns are in the order of ``classes_``.
        """
        return self._predicted(X, like=X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Accuracy on the rows that have a label.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Labels. Rows without one do not count.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        accuracy : float
        """
        predicted = self._predicted(X).argmax(axis=1)
        index = self._index(self._targets(y, len(predicted)))
        known = ~np.isnan(index)
        if not known.any():
            raise ValueError(f"y has no label to compare with: pass at least one that is not {UNLABELLED}.")
        weight = None if sample_weight is None else np.asarray(sample_weight)[known]
        return float(np.average(predicted[known] == index[known], weights=weight))

    def _targets(self, y: Any, n_samples: int) -> Labels:
        y, classes = y if isinstance(y, Told) else Told(y, None)
        labels = read_labels(y, type(self).__name__)
        if len(labels.present) != n_samples:
            raise ValueError(f"y has {len(labels.present)} labels, but X has {n_samples} rows: pass one for each row.")
        return labels if classes is None else labels._replace(classes=read_classes(classes))

    def _measure(self, X: Array, y: Labels, weight: np.ndarray | None) -> None:
        self.classes_ = y.distinct(weight) if y.classes is None else y.classes
        super()._measure(X, y, weight)

    def _index(self, labels: Labels) -> np.ndarray:
        """Place of each label among the classes; NaN where there is none, -1 where it is no class."""
        place = {label: i for i, label in enumerate(self.classes_.tolist())}
        distinct, inverse = np.unique(labels.values, return_inverse=True)
        places = [place.get(label, np.nan if label == -1 else -1) for label in distinct.tolist()]
        index = np.full(len(labels.present), np.nan)
        index[labels.present] = np.array(places, dtype=float)[inverse]
        return index

    def _values(self, y: Labels, weight: np.ndarray | None) -> np.ndarray:
        """Places of the labels as a column, NaN where there is none that counts."""
        index = self._index(y)
        if weight is not None:
            index[weight == 0.0] = np.nan
        strange = np.flatnonzero(index == -1)
        if len(strange):
            label = y.values[y.present[: strange[0]].sum()]
            raise ValueError(
                f"y has the label {label!r} in row {strange[0]}, which is not among the classes "
                f"{self.classes_.tolist()!r} of the first fit: fit anew with warm_start=False, or tell all classes "
                "to the first partial_fit where there is one."
            )
        return index[:, None]

    def _n_predictions(self) -> int:
        return len(self.classes_)

    def _link(self, output: Tensor) -> Tensor:
        return output.softmax(1)

    def _misfit(self, output: Tensor, count: Tensor, value: Tensor) -> Tensor:
        """Mean cross-entropy of a batch; a row counts so much, or zero where its class is unknown."""
        return average(F.cross_entropy(output, value[:, 0].long(), reduction="none"), count[:, 0])


class NumberPrediction(RegressorMixin):
    """Numbers and R2 of an estimator whose ``_predicted`` are standardised targets.

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (n_targets,)
        Mean and standard deviation of the known y.
    """

    _predicted: Callable[..., Any]

    def predict(self, X: Any) -> np.ndarray:
        """The expected y of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets), float64
            On the scale of y, and of its shape.
        """
        predicted: np.ndarray = self._predicted(X) * self.y_scale_ + self.y_mean_
        return predicted[:, 0] if self._y_is_flat else predicted

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """R2 of y, in mean over its columns, on the rows where it is known.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Numbers. NaN do not count.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        r2 : float
        """
        predicted = self.predict(X)
        truth = self._require_columns(self._targets(y, len(predicted)))
        weight = np.ones(len(truth)) if sample_weight is None else np.asarray(sample_weight)
        columns = zip(truth.T, predicted.reshape(len(truth), -1).T, ~np.isnan(truth).T, strict=True)
        return float(np.mean([r2_score(t[known], p[known], sample_weight=weight[known]) for t, p, known in columns]))

    def _targets(self, y: Any, n_samples: int) -> np.ndarray:
        values = numbers(y, type(self).__name__)
        if len(values) != n_samples:
            raise ValueError(f"y has {len(values)} numbers, but X has {n_samples} rows: pass one for each row.")
        return values

    def _measure(self, X: Array, y: np.ndarray, weight: np.ndarray | None) -> None:
        self.y_mean_, self.y_scale_ = moments_of_known(y.reshape(len(y), -1), weight)
        self._y_is_flat = y.ndim == 1
        super()._measure(X, y, weight)

    def _require_columns(self, y: np.ndarray) -> np.ndarray:
        """Y as a table of as many columns as were fitted."""
        table = y.reshape(len(y), -1)
        if table.shape[1] != len(self.y_mean_):
            raise ValueError(f"y has {table.shape[1]} columns, but {len(self.y_mean_)} were fitted: pass those.")
        return table

    def _values(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        """Standardised targets, NaN where they are unknown or do not count."""
        values: np.ndarray = (self._require_columns(y) - self.y_mean_) / self.y_scale_
        if weight is not None:
            values[weight == 0.0] = np.nan
        return values

    def _n_predictions(self) -> int:
        return len(self.y_mean_)

    def _link(self, output: Tensor) -> Tensor:
        return output

    def _misfit(self, output: Tensor, count: Tensor, value: Tensor) -> Tensor:
        """Mean squared error of a batch; a value counts so much, or zero where it is unknown."""
        return weighted_average((output - value).square(), count)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def merged(
    X: Array, columns: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Distinct rows of X and y in lexical order, with the sum of their weights."""
    rows, sums = merge_duplicates(np.hstack([to_tensor(X).cpu().numpy(), columns]), weight)
    return rows[:, : X.shape[1]], rows[:, X.shape[1] :], sums


def counted(columns: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Of columns that tell what is known, and as many with the values, the first half as weights of mean one."""
    known, values = np.hsplit(columns, 2)
    count = known if weight is None else known * weight[:, None]
    return np.hstack([count * (len(count) / count.sum(axis=0)), values])


def halves(y: Any) -> tuple[Tensor, Tensor]:
    """How much each value counts, and the values."""
    count, value = y.chunk(2, dim=1)
    return count, value
