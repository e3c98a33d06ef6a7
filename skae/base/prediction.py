"""What estimators that predict y share, where y is known for some of the rows: reading y, the loss, and scores.

In a batch y has two blocks of columns, see ``Known``: how much each value counts, and the values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import r2_score
from torch import Tensor
from torch.nn import functional as F

from ..engine.arrays import Arrays
from ..engine.data import Subset, Table
from ..functional import average, weighted_average
from .estimator import Run, TorchEstimator
from .labels import UNLABELLED, Labels, Told, moments_of_known, numbers, read_classes, read_labels

__all__ = ["ClassPrediction", "Known", "NumberPrediction", "Prediction", "with_labels_in_every_batch"]

LABELLED_SHARE = 0.25
"""Share of labelled rows below which an epoch takes each of them several times, with so much less weight."""


class Known(NamedTuple):
    """The two halves of y in a batch, or in a whole table."""

    count: Any
    """How much each value counts, of shape (n, n_columns); zero where it is not known."""
    value: Any
    """The values, of the same shape; zero where they are not known."""

    @classmethod
    def of(cls, y: Any) -> Known:
        """The halves of y, an array or a tensor."""
        n_columns = y.shape[1] // 2
        return cls(y[:, :n_columns], y[:, n_columns:])

    @property
    def rows(self) -> Any:
        """Which rows have a value that counts."""
        return (self.count > 0).any(1)


class Prediction(TorchEstimator):
    """What classifiers and regressors share."""

    # ---------------------------------------------------------------- hooks of the two

    def _values(self, y: Any, n_samples: int, weight: np.ndarray | None, reset: bool | None) -> np.ndarray:
        """Y as numbers of shape (n_samples, n_columns), checked; NaN where it is not known."""
        raise NotImplementedError

    def _n_predictions(self) -> int:
        """Width of the prediction."""
        raise NotImplementedError

    def _link(self, output: Tensor) -> Tensor:
        """The prediction, given what the last layer puts out."""
        return output

    def _misfit(self, output: Tensor, y: Any) -> Tensor:
        """Mean loss of a batch of predictions over the values that are known."""
        raise NotImplementedError

    def _output(self, module: Any, batch: Any) -> Tensor:
        """What the last layer puts out."""
        raise NotImplementedError

    # ---------------------------------------------------------------- y in a batch

    def _targets(self, y: Any, n_samples: int, weight: np.ndarray | None, reset: bool | None) -> np.ndarray:
        values = self._values(y, n_samples, weight, reset)
        if weight is not None:
            values[weight == 0.0] = np.nan
        known = ~np.isnan(values)
        return np.hstack([known, np.where(known, values, 0.0)])

    def _learnt(self, data: Any, run: Run) -> Any:
        """The rows to learn from, with counts whose mean over all rows is that of the rows' weights."""
        data = super()._learnt(data, run)
        known, values = Known.of(data.y)
        weight = np.ones((len(data), 1)) if data.weight is None else data.weight[:, None]
        counted = known * weight
        counts = counted * (weight.sum() / np.maximum(counted.sum(axis=0), 1e-290))
        return Arrays(data.X, data.weight, np.hstack([counts, values]))

    def _predicted(self, X: Any, like: Any = None, link: Callable[[Tensor], Tensor] | None = None) -> Any:
        """Predictions of all rows."""
        through = self._link if link is None else link
        return self._map(lambda module, batch: through(self._output(module, batch)), X, like=like)


def with_labels_in_every_batch(data: Table, rows: Tensor) -> Subset:
    """Rows of a table, of which the labelled ones come several times and count so much less each time.

    A few labelled rows would else be a handful of each batch, and the gradient of their loss noisy.
    All means over the rows stay as they were.
    """
    count, value = Known.of(data.y)
    labelled = Known(count, value).rows
    few = rows[labelled.to(rows.device)[rows]]
    copies = max(1, round(LABELLED_SHARE / (1 - LABELLED_SHARE) * (len(rows) - len(few)) / max(1, len(few))))
    more = few.repeat(copies - 1)
    spread = torch.cat([torch.arange(len(rows)), torch.linspace(0, len(rows), len(more))]).argsort(stable=True)
    order = torch.cat([rows, more])[spread.to(rows.device)]
    times = torch.where(labelled, 1 / copies, 1.0).to(count) * (len(order) / len(rows))
    weight = times if data.weight is None else data.weight * times
    return Subset(Table(data.x, weight, torch.cat([count * times[:, None], value], dim=1)), order)


class ClassPrediction(ClassifierMixin, Prediction):
    """Labels, probabilities and accuracy of an estimator whose ``_predicted`` are probabilities.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    """

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
        index = self._index(self._read(y, len(predicted)))
        known = ~np.isnan(index)
        if not known.any():
            raise ValueError(f"y has no label to compare with: pass at least one that is not {UNLABELLED}.")
        weight = None if sample_weight is None else np.asarray(sample_weight)[known]
        return float(np.average(predicted[known] == index[known], weights=weight))

    def _read(self, y: Any, n_samples: int) -> Labels:
        """Labels, and all the classes that there are if they are told."""
        y, classes = y if isinstance(y, Told) else Told(y, None)
        labels = read_labels(y, type(self).__name__)
        if len(labels.present) != n_samples:
            raise ValueError(f"y has {len(labels.present)} labels, but X has {n_samples} rows: pass one for each row.")
        return labels if classes is None else labels._replace(classes=read_classes(classes))

    def _values(self, y: Any, n_samples: int, weight: np.ndarray | None, reset: bool | None) -> np.ndarray:
        """Places of the labels among the classes as a column, NaN where there is no label."""
        labels = self._read(y, n_samples)
        if reset:
            self.classes_ = labels.distinct(weight) if labels.classes is None else labels.classes
        index = self._index(labels)
        strange = np.flatnonzero(index == -1 if weight is None else (index == -1) & (weight > 0))
        if len(strange):
            label = labels.values[labels.present[: strange[0]].sum()]
            raise ValueError(
                f"y has the label {label!r} in row {strange[0]}, which is not among the classes "
                f"{self.classes_.tolist()!r} of the first fit: fit anew with warm_start=False, or tell all classes "
                "to the first partial_fit where there is one."
            )
        return index[:, None]

    def _index(self, labels: Labels) -> np.ndarray:
        """Place of each label among the classes; NaN where there is none, -1 where it is no class."""
        place = {label: i for i, label in enumerate(self.classes_.tolist())}
        distinct, inverse = np.unique(labels.values, return_inverse=True)
        places = [place.get(label, np.nan if label == -1 else -1) for label in distinct.tolist()]
        index = np.full(len(labels.present), np.nan)
        index[labels.present] = np.array(places, dtype=float)[inverse]
        return index

    def _n_predictions(self) -> int:
        return len(self.classes_)

    def _link(self, output: Tensor) -> Tensor:
        return output.softmax(1)

    def _misfit(self, output: Tensor, y: Any) -> Tensor:
        """Mean cross-entropy of a batch."""
        count, value = Known.of(y)
        return average(F.cross_entropy(output, value[:, 0].long(), reduction="none"), count[:, 0])


class NumberPrediction(RegressorMixin, Prediction):
    """Numbers and R2 of an estimator whose ``_predicted`` are standardised targets.

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (n_targets,)
        Mean and standard deviation of the known y.
    """

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
        truth = self._read(y, len(predicted))
        weight = np.ones(len(truth)) if sample_weight is None else np.asarray(sample_weight)
        columns = zip(truth.T, predicted.reshape(len(truth), -1).T, ~np.isnan(truth).T, strict=True)
        return float(np.mean([r2_score(t[known], p[known], sample_weight=weight[known]) for t, p, known in columns]))

    def _read(self, y: Any, n_samples: int, reset: bool | None = None, weight: np.ndarray | None = None) -> np.ndarray:
        """Y as a table of as many columns as were fitted."""
        values = numbers(y, type(self).__name__)
        if len(values) != n_samples:
            raise ValueError(f"y has {len(values)} numbers, but X has {n_samples} rows: pass one for each row.")
        table = values.reshape(n_samples, -1)
        if reset:
            self.y_mean_, self.y_scale_ = moments_of_known(table, weight)
            self._y_is_flat = values.ndim == 1
        if table.shape[1] != len(self.y_mean_):
            raise ValueError(f"y has {table.shape[1]} columns, but {len(self.y_mean_)} were fitted: pass those.")
        return table

    def _values(self, y: Any, n_samples: int, weight: np.ndarray | None, reset: bool | None) -> np.ndarray:
        """Standardised y, NaN where it is not known."""
        values: np.ndarray = (self._read(y, n_samples, reset, weight) - self.y_mean_) / self.y_scale_
        return values

    def _n_predictions(self) -> int:
        return len(self.y_mean_)

    def _link(self, output: Tensor) -> Tensor:
        return output

    def _misfit(self, output: Tensor, y: Any) -> Tensor:
        """Mean squared error of a batch."""
        count, value = Known.of(y)
        return weighted_average((output - value).square(), count)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
