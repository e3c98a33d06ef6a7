"""Bases of the estimators that predict y from partly labelled rows: reading y, the loss, and the scores.

In a batch, y has two halves of columns: how much each value counts, and the values. See ``Known``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from sklearn.metrics import r2_score
from torch import Tensor
from torch.nn import functional as F

from ..engine.data import Subset, Table
from ..engine.frame import in_double
from ..engine.listeners import in_stage
from ..engine.notices import warn
from ..engine.optim import Flat, Optimizer, Terms
from ..engine.train import Plan, backward, minimise
from ..functional import average, weighted_average
from . import damage
from .checks import check_weight
from .damage import Saved
from .encoding import judged
from .estimator import Run
from .exporting import Exported
from .labels import UNLABELLED, Labels, Told, moments_of_known, numbers, read_classes, read_labels
from .mixins import ClassifierMixin, RegressorMixin
from .verdict import constant_prediction, one_class

__all__ = ["ClassPrediction", "Known", "NumberPrediction", "Prediction", "with_labels_in_every_batch"]

N_START = 4096
"""Largest number of labelled rows for the linear model at the start. They are evenly spaced in the data."""
LABELLED_SHARE = 0.25
"""Smallest fraction of labelled rows in an epoch. If fewer are labelled, they are repeated with less weight."""


class Known(NamedTuple):
    """The two halves of y, in a batch or in a whole table."""

    count: Any
    """How much each value counts, of shape (n, n_columns). It is zero where the value is unknown."""
    value: Any
    """The values, of the same shape. They are zero where unknown."""

    @classmethod
    def of(cls, y: Any) -> Known:
        """Split y into its two halves.

        Parameters
        ----------
        y : array or Tensor of shape (n, 2 n_columns)

        Returns
        -------
        known : Known
        """
        n_columns = y.shape[1] // 2
        return cls(y[:, :n_columns], y[:, n_columns:])

    @property
    def rows(self) -> Any:
        """Mask of the rows that have a value that counts."""
        return (self.count > 0).any(1)


class Prediction:
    """What classifiers and regressors have in common."""

    _map: Callable[..., Any]
    _cure: Callable[[], str]
    history_: dict[str, list[float]]
    module_: Any

    # ---------------------------------------------------------------- hooks of the two

    def _values(self, y: Any, n_samples: int, weight: np.ndarray | None, reset: bool | None) -> np.ndarray:
        """Check y and return it as numbers of shape (n_samples, n_columns), with NaN where it is unknown."""
        raise NotImplementedError

    def _n_predictions(self) -> int:
        """Number of outputs of the last layer."""
        raise NotImplementedError

    def _link(self, output: Tensor) -> Tensor:
        """Turn the output of the last layer into the prediction."""
        return output

    def _misfit(self, output: Tensor, y: Any) -> Tensor:
        """Mean loss of the predictions of a batch, over the known values."""
        raise NotImplementedError

    def _verdict(self, output: Tensor, y: Any) -> str | None:
        """What is wrong with the predictions of a batch, as a sentence, or None."""
        raise NotImplementedError

    def _output(self, module: Any, batch: Any) -> Tensor:
        """Output of the last layer for a batch."""
        raise NotImplementedError

    # ---------------------------------------------------------------- learning from few labels

    def _fit_linear(
        self, layer: Any, embed: Callable[[Tensor], Tensor], data: Any, labelled: Tensor, rng: torch.Generator
    ) -> None:
        """Fit a linear layer alone to labelled rows, with the L2 penalty of LogisticRegression(C=1) or Ridge(alpha=1).

        ``embed`` makes of rows what the layer is shown, and ``labelled`` are the numbers of the rows with a label.
        """
        some = Subset(data, labelled[:: -(-len(labelled) // N_START)])
        n = len(some)
        share = float(Known.of(some[torch.arange(n, device=some.device)].y).count.mean()) / n

        def step(batch: Any) -> Terms:
            return backward({"prediction": self._misfit(layer(embed(batch.x)), batch.y)})

        plan = Plan(batch_size=n, max_iter=100, shuffle=False)
        with in_stage("linear start"):
            minimise(step, some, Flat(layer), Optimizer("lbfgs", weight_decay=share), plan, rng)

    def _inconsistency(
        self, predict: Callable[[Tensor], Tensor], batch: Any, output: Tensor, level: float, rng: torch.Generator
    ) -> Tensor:
        """Squared change of the predictions of unlabelled rows under noise on x, averaged over all rows.

        ``predict`` gives the output for rows, ``output`` is that without noise, and ``level`` is the deviation of it.
        """
        noise = torch.empty_like(batch.x).normal_(generator=rng)
        nearby = self._link(predict(torch.add(batch.shown, noise, alpha=level)))
        moved = (nearby - self._link(output.detach())).square().sum(1)
        return average(moved * ~Known.of(batch.y).rows, batch.weight)

    # ---------------------------------------------------------------- y in a batch

    def _targets(self, y: Any, n_samples: int, weight: np.ndarray | None, reset: bool | None) -> np.ndarray:
        values = self._values(y, n_samples, weight, reset)
        if weight is not None:
            values[weight == 0.0] = np.nan
        known = ~np.isnan(values)
        return np.hstack([known, np.where(known, values, 0.0)])

    def _learnt(self, data: Any, run: Run) -> Any:
        """The rows to learn from. The counts of each column of y are scaled to the mean of the rows' weights."""
        data = super()._learnt(data, run)  # type: ignore[misc]
        known, values = Known.of(data.y)
        weight = np.ones((len(data), 1)) if data.weight is None else data.weight[:, None]
        counted = known * weight
        counts = counted * (weight.sum() / np.maximum(counted.sum(axis=0), 1e-290))
        return data.with_y(np.hstack([counts, values]))

    def _failure(self, data: Any) -> str | None:
        return super()._failure(data) or self._failure_to_predict(data)  # type: ignore[misc]

    def _failure_to_predict(self, data: Any) -> str | None:
        """Look at the predictions of rows with known y, if y was learnt from."""
        batch = None
        if "prediction" in self.history_:
            batch = judged(self, data, torch.nonzero(Known.of(data.y).rows).squeeze(1))
        return None if batch is None else self._verdict(self._output(self.module_, batch), batch.y)

    def _predicted(self, X: Any, like: Any = None, link: Callable[[Tensor], Tensor] | None = None) -> Any:
        """Predictions for all rows."""
        through = self._link if link is None else link
        return self._map(lambda module, batch: through(self._output(module, batch)), X, like=like)


def _in_one_unit(classes: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Classes and labels, of which dates and durations have the same unit, such as days."""
    if classes.dtype.kind not in "mM" or values.dtype.kind != classes.dtype.kind:
        return classes, values
    unit = np.promote_types(classes.dtype, values.dtype)
    return classes.astype(unit), values.astype(unit)


def _weight_of(known: np.ndarray, weight: np.ndarray | None) -> np.ndarray | None:
    """The weights of the rows whose y is known."""
    if weight is None:
        return None
    if not weight[known].any():
        raise ValueError("The sample weights of all rows with known y are zero: at least one of these must count.")
    return weight[known]


def _r2(truth: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None) -> float:
    if not len(truth):
        raise ValueError("y has a column without a number to compare with: pass at least one that is not NaN.")
    return float(r2_score(truth, predicted, sample_weight=weight))


def with_labels_in_every_batch(data: Table, rows: Tensor) -> Subset:
    """Repeat the labelled rows of a table, so that every batch has some of them.

    If only a few rows are labelled, a batch would have a handful of them, and the gradient of their loss would be
    noisy. Each copy of a row counts less, so all means over the rows stay the same.

    Parameters
    ----------
    data : Table
        Rows whose y is that of ``Known``.
    rows : LongTensor of shape (n_rows,)
        The rows of the table to use.

    Returns
    -------
    data : Subset
        The rows and the additional copies, which are evenly spaced.
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
    """Labels, probabilities and accuracy of a classifier. ``_predicted`` returns the probabilities.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    """

    _saved: ClassVar[dict[str, Saved]] = {"classes_": Saved(damage.classes)}

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable label of each row.

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

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class for each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Each row sums to one. The columns are in the order of ``classes_``.
        """
        return self._predicted(X, like=X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Accuracy on the labelled rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            True labels. Rows without a label are ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows.

        Returns
        -------
        accuracy : float
            Fraction of the labelled rows whose label is predicted correctly.
        """
        predicted = self._predicted(X).argmax(axis=1)
        index = self._index(self._read(y, len(predicted)))
        known = ~np.isnan(index)
        if not known.any():
            raise ValueError(f"y has no label to compare with: pass at least one that is not {UNLABELLED}.")
        if (index[known] == -1).any():
            share = f"{np.mean(index[known] == -1):.0%}"
            warn(
                f"{share} of the labels are of classes that the fit did not see, and count as wrong. In a search or a "
                "cross-validation, shuffle the rows, or mark unlabelled rows with -1 among whole numbers, so that "
                "folds are stratified."
            )
        weight = _weight_of(known, check_weight(sample_weight, len(known)))
        return float(np.average(predicted[known] == index[known], weights=weight))

    def _exported(self) -> dict[str, Exported]:
        probabilities = Exported(lambda module, batch: self._link(self._output(module, batch)))
        return {**super()._exported(), "predict_proba": probabilities}  # type: ignore[misc]

    def _read(self, y: Any, n_samples: int) -> Labels:
        """Check the labels, and the classes if they were given."""
        y, classes = y if isinstance(y, Told) else Told(y, None)
        labels = read_labels(y, type(self).__name__)
        if len(labels.present) != n_samples:
            raise ValueError(f"y has {len(labels.present)} labels, but X has {n_samples} rows: pass one for each row.")
        return labels if classes is None else labels._replace(classes=read_classes(classes))

    def _values(self, y: Any, n_samples: int, weight: np.ndarray | None, reset: bool | None) -> np.ndarray:
        """Index of each label in ``classes_``, as a column, with NaN for rows without a label."""
        labels = self._read(y, n_samples)
        if reset:
            self.classes_ = labels.distinct(weight) if labels.classes is None else labels.classes
        index = self._index(labels)
        strange = np.flatnonzero(index == -1 if weight is None else (index == -1) & (weight > 0))
        if len(strange):
            label = labels.values[labels.present[: strange[0]].sum()]
            raise ValueError(
                f"y has the label {label!r} in row {strange[0]}, which is not among the classes "
                f"{self.classes_.tolist()!r} of the first fit: fit again with warm_start=False, or pass all classes to "
                "the first call of partial_fit, if the estimator has it."
            )
        return index[:, None]

    def _index(self, labels: Labels) -> np.ndarray:
        """Index of each label in ``classes_``. It is NaN without a label, and -1 for a label that is not a class."""
        classes, values = _in_one_unit(self.classes_, labels.values)
        place = {label: i for i, label in enumerate(classes.tolist())}
        distinct, inverse = np.unique(values, return_inverse=True)
        places = [place.get(label, np.nan if label == -1 else -1) for label in distinct.tolist()]
        index = np.full(len(labels.present), np.nan)
        index[labels.present] = np.array(places, dtype=float)[inverse]
        return index

    def _asked(self, y: Any, n_samples: int) -> np.ndarray:
        """Index in ``classes_`` of the classes that are asked for: one label for all samples, or one for each."""
        column = np.atleast_1d(np.asarray(y, dtype=None if hasattr(y, "dtype") else object))
        if column.ndim == 2 and column.shape[1] == 1:
            column = column[:, 0]
        if column.shape not in {(1,), (n_samples,)}:
            got = len(column) if column.ndim == 1 else f"the shape {column.shape}"
            raise ValueError(f"y must be one label, or one for each of the {n_samples} samples: got {got}.")
        index = self._index(read_labels(column, "sample"))
        strange = np.flatnonzero(~(index >= 0))
        if len(strange):
            raise ValueError(f"y has {column[strange[0]]!r}, but the classes are {self.classes_.tolist()!r}.")
        return np.broadcast_to(index.astype(int), n_samples).copy()

    def _n_predictions(self) -> int:
        return len(self.classes_)

    def _link(self, output: Tensor) -> Tensor:
        return output.softmax(1)

    def _misfit(self, output: Tensor, y: Any) -> Tensor:
        """Mean cross-entropy of a batch, in nats."""
        count, value = Known.of(y)
        return average(F.cross_entropy(output, value[:, 0].long(), reduction="none"), count[:, 0])

    def _verdict(self, output: Tensor, y: Any) -> str | None:
        count, value = Known.of(y)
        return one_class(output.argmax(1), value[:, 0].long(), count[:, 0], self.classes_, self._cure())


class NumberPrediction(RegressorMixin, Prediction):
    """Predictions and R2 of a regressor. ``_predicted`` returns standardised targets.

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (n_targets,)
        Mean and standard deviation of the known y.
    """

    _saved: ClassVar[dict[str, Saved]] = {
        "y_mean_": Saved(damage.targets),
        "y_scale_": Saved(damage.scales),
        "_y_is_flat": Saved(damage.truth),
    }

    def predict(self, X: Any) -> np.ndarray:
        """Predict the expected y of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets), float64
            On the scale of y. It has as many dimensions as y had in ``fit``.
        """
        predicted: np.ndarray = self._predicted(X) * self.y_scale_ + self.y_mean_
        return predicted[:, 0] if self._y_is_flat else predicted

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """R2 of y on the rows where it is known, averaged over the columns of y.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            True values. NaN are ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows.

        Returns
        -------
        r2 : float
            1 is perfect. 0 is no better than the mean of the given values.
        """
        predicted = self.predict(X)
        truth = self._read(y, len(predicted))
        weight = check_weight(sample_weight, len(truth))
        columns = zip(truth.T, predicted.reshape(len(truth), -1).T, ~np.isnan(truth).T, strict=True)
        return float(np.mean([_r2(t[known], p[known], _weight_of(known, weight)) for t, p, known in columns]))

    def _exported(self) -> dict[str, Exported]:
        return {**super()._exported(), "predict": Exported(self._predicted_batch)}  # type: ignore[misc]

    def _predicted_batch(self, module: Any, batch: Any) -> Tensor:
        """``predict`` of a batch, on the scale of y."""
        y = in_double(self._output(module, batch))
        y = y * torch.from_numpy(self.y_scale_).to(y) + torch.from_numpy(self.y_mean_).to(y)
        return y[:, 0] if self._y_is_flat else y

    def _read(self, y: Any, n_samples: int, reset: bool | None = None, weight: np.ndarray | None = None) -> np.ndarray:
        """Check y and return it as a table with the number of columns that was fitted."""
        values = numbers(y, type(self).__name__)
        if len(values) != n_samples:
            raise ValueError(f"y has {len(values)} numbers, but X has {n_samples} rows: pass one for each row.")
        table = values.reshape(n_samples, -1)
        if reset:
            self.y_mean_, self.y_scale_ = moments_of_known(table, weight)
            self._y_is_flat = values.ndim == 1
        if table.shape[1] != len(self.y_mean_):
            raise ValueError(
                f"y has {table.shape[1]} columns, but the fitted y had {len(self.y_mean_)}: pass the same columns."
            )
        return table

    def _values(self, y: Any, n_samples: int, weight: np.ndarray | None, reset: bool | None) -> np.ndarray:
        """Standardised y, with NaN where it is unknown."""
        values: np.ndarray = (self._read(y, n_samples, reset, weight) - self.y_mean_) / self.y_scale_
        return values

    def _n_predictions(self) -> int:
        return len(self.y_mean_)

    def _misfit(self, output: Tensor, y: Any) -> Tensor:
        """Mean squared error of a batch."""
        count, value = Known.of(y)
        return weighted_average((output - value).square(), count)

    def _verdict(self, output: Tensor, y: Any) -> str | None:
        count, value = Known.of(y)
        return constant_prediction(output, value, count, self._cure())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
