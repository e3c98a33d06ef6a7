"""SemiSupervisedAutoencoder, a classifier, and its twin for regression: few labels and many rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Self

from .._data import Array
from .._estimator import _is_stochastic
from .._labels import UNLABELLED, Labels, Told, moments_of_known, numbers, read_classes, read_labels
from ..functional import average, weighted_average
from ._predicting import Predicting

__all__ = ["SemiSupervisedAutoencoder", "SemiSupervisedAutoencoderRegressor"]


class SemiSupervisedAutoencoder(ClassifierMixin, Predicting):
    """A classifier and a code, learnt from few labelled and many unlabelled rows.

    The probabilities of the classes are linear in the code h = f(x) and in x, p(x) = softmax(W h +
    V x + b). What is minimised is

        alpha E_rec + (1 - alpha) (E_CE + lambda E_cons).

    E_rec is the reconstruction error in mean over all rows, as in ``Autoencoder``; E_CE is the
    cross-entropy -log p_y(x) in mean over the labelled rows; and E_cons asks that noise does not
    change what is predicted where no label is known: the sum over the unlabelled rows of
    ||p(x) - p(x + e)||^2 over the number of all rows, where e is Gaussian and p(x) is held fixed.
    So the boundaries between the classes move to where there are few rows.

    Training starts at logistic regression on the labelled rows, W = 0.

    Rows whose label is -1, None or NaN are unlabelled; -1 among strings needs an array of objects.
    If -1 and 1 are all that y holds, they are two classes, as elsewhere in scikit-learn, and a warning
    tells so.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    See Also
    --------
    SemiSupervisedAutoencoderRegressor : The same for numbers.
    sklearn.semi_supervised.LabelSpreading : No code, and a graph of all rows in memory.

    References
    ----------
    Ranzato and Szummer (2008), "Semi-supervised Learning of Compact Document Representations with
    Deep Networks", https://doi.org/10.1145/1390156.1390256

    Laine and Aila (2017), "Temporal Ensembling for Semi-Supervised Learning",
    https://arxiv.org/abs/1610.02242

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import SemiSupervisedAutoencoder
    >>> X, y = load_digits(return_X_y=True)
    >>> few = np.where(np.arange(len(y)) < 50, y, -1)  # the other labels are unknown
    >>> model = SemiSupervisedAutoencoder(max_iter=20, random_state=0).fit(X, few)
    >>> bool(model.score(X[50:], y[50:]) > 0.8)
    True
    >>> model.transform(X).shape, model.predict_proba(X).shape
    ((1797, 16), (1797, 10))
    """

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn the code and the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Finite numbers.
        y : array-like of shape (n_samples,)
            Labels; -1, None or NaN where there is none.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows in every term; only their ratios matter.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, y or a parameter is not as described, if fewer than two classes have a label, or if
            the loss becomes NaN or infinite. The estimator is then as it was before.
        """
        return super().fit(X, y, sample_weight)

    @available_if(_is_stochastic)
    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None) -> Self:
        """Take one pass over a chunk of rows, going on from where the last call ended.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Finite numbers. The first chunk fixes the scale and the initial weights.
        y : array-like of shape (n_samples,)
            Labels; -1, None or NaN where there is none. Later chunks may have none at all.
        classes : array-like of shape (n_classes,), default=None
            All labels that will come, for the first call; those of the first chunk if not given.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, taken as they are so that chunks can be weighted too.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            As ``fit``; and if a label is not among the classes, or ``early_stopping=True``.
        AttributeError
            With ``solver="lbfgs"``, which needs all rows.
        """
        return super().partial_fit(X, Told(y, classes), sample_weight)

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

        ``skae.metrics.reconstruction_r2`` scores the reconstruction.

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
        labels = self._targets(y, len(predicted))
        index = self._index(labels)
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
        super()._measure(X, y, weight)
        self.classes_ = y.distinct(weight) if y.classes is None else y.classes

    def _index(self, labels: Labels) -> np.ndarray:
        """Place of each label among the classes; NaN where there is none, -1 where it is no class."""
        place = {label: i for i, label in enumerate(self.classes_.tolist())}
        distinct, inverse = np.unique(labels.values, return_inverse=True)
        places = [place.get(label, np.nan if label == -1 else -1) for label in distinct.tolist()]
        index = np.full(len(labels.present), np.nan)
        index[labels.present] = np.array(places, dtype=float)[inverse]
        return index

    def _values(self, y: Labels, weight: np.ndarray | None) -> np.ndarray:
        index = self._index(y)
        if weight is not None:
            index[weight == 0.0] = np.nan
        strange = np.flatnonzero(index == -1)
        if len(strange):
            label = y.values[y.present[: strange[0]].sum()]
            raise ValueError(
                f"y has the label {label!r} in row {strange[0]}, which is not among the classes "
                f"{self.classes_.tolist()!r} of the first fit: pass all classes to the first partial_fit, "
                "or fit with warm_start=False."
            )
        return index[:, None]

    def _n_predictions(self) -> int:
        return len(self.classes_)

    def _link(self, output: Tensor) -> Tensor:
        return output.softmax(1)

    def _misfit(self, output: Tensor, count: Tensor, value: Tensor) -> Tensor:
        return average(F.cross_entropy(output, value[:, 0].long(), reduction="none"), count[:, 0])


class SemiSupervisedAutoencoderRegressor(RegressorMixin, Predicting):
    """A regression and a code, learnt from few rows of known and many of unknown y.

    The prediction is linear in the code h = f(x) and in x, y_hat(x) = W h + V x + b. What is
    minimised is

        alpha E_rec + (1 - alpha) (E_y + lambda E_cons).

    E_rec is the reconstruction error in mean over all rows, as in ``Autoencoder``; E_y is
    ||y - y_hat(x)||^2 in mean over the rows where y is known; and E_cons asks that noise changes
    the prediction little where it is not: the sum over those rows of ||y_hat(x) - y_hat(x + e)||^2
    over the number of all rows, where e is Gaussian and y_hat(x) is held fixed.

    y is centred and scaled inside, column by column. Training starts at ridge regression on the
    rows of known y, W = 0.

    Parameters
    ----------
    alpha : float, default=0.5
        Weight of the reconstruction, in [0, 1]. 1 is ``Autoencoder``, and nothing is learnt of y;
        0 reconstructs nothing.
    consistency : float, default=0.3
        Weight lambda of the consistency under noise. At 0 rows of unknown y only help to
        reconstruct.

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (n_targets,)
        Mean and standard deviation of the known y.

    See Also
    --------
    SemiSupervisedAutoencoder : The same for classes.

    References
    ----------
    Ranzato and Szummer (2008), "Semi-supervised Learning of Compact Document Representations with
    Deep Networks", https://doi.org/10.1145/1390156.1390256

    Le, Patterson and White (2018), "Supervised autoencoders: Improving generalization performance
    with unsupervised regularizers",
    https://papers.nips.cc/paper/7296-supervised-autoencoders-improving-generalization-performance-with-unsupervised-regularizers

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skae import SemiSupervisedAutoencoderRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X = StandardScaler().fit_transform(X)
    >>> few = np.where(np.arange(len(y)) < 100, y, np.nan)  # the others are unknown
    >>> model = SemiSupervisedAutoencoderRegressor(4, max_iter=20, random_state=0).fit(X, few)
    >>> bool(model.score(X[100:], y[100:]) > 0.35)
    True
    """

    alpha = 0.5
    consistency = 0.3

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn the code and the regression.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Finite numbers.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Numbers; NaN where they are unknown.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows in every term; only their ratios matter.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, y or a parameter is not as described, if a column of y has no number, or if the
            loss becomes NaN or infinite. The estimator is then as it was before.
        """
        return super().fit(X, y, sample_weight)

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

        ``skae.metrics.reconstruction_r2`` scores the reconstruction.

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
        super()._measure(X, y, weight)
        self.y_mean_, self.y_scale_ = moments_of_known(y.reshape(len(y), -1), weight)
        self._y_is_flat = y.ndim == 1

    def _require_columns(self, y: np.ndarray) -> np.ndarray:
        """Y as a table of as many columns as were fitted."""
        table = y.reshape(len(y), -1)
        if table.shape[1] != len(self.y_mean_):
            raise ValueError(f"y has {table.shape[1]} columns, but {len(self.y_mean_)} were fitted: pass those.")
        return table

    def _values(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        values: np.ndarray = (self._require_columns(y) - self.y_mean_) / self.y_scale_
        return values

    def _n_predictions(self) -> int:
        return len(self.y_mean_)

    def _misfit(self, output: Tensor, count: Tensor, value: Tensor) -> Tensor:
        return weighted_average((output - value).square(), count)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
