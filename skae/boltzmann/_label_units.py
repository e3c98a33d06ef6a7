"""LabelUnits: labels that are read, joined at the top of a deep machine, and told from rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.nn import functional as F

from .rbm import RBM

__all__ = ["LabelUnits"]


def _has_labels(estimator: Any) -> bool:
    """Whether labels are joined; scikit-learn asks by looking for the method."""
    if not estimator.labels:
        raise AttributeError("predict needs a label at the top of the network: fit with labels=True, and y.")
    return True


class LabelUnits(RBM):
    """Classes of a machine beside whose uppermost visible units a label may be.

    Parameters
    ----------
    labels : bool, default=False
        Whether ``fit`` joins y to the layer below the code, as a softmax unit. Then there are
        ``classes_``, ``predict`` and ``predict_proba``, and ``sample`` takes a label. Without, y is not used.
    """

    labels: bool = False

    @available_if(_has_labels)
    def predict_proba(self, X: Any) -> Any:
        """Probability of each label, given what the top of the network sees of a row.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Rows sum to one; columns are in the order of ``classes_``.
        """
        check_is_fitted(self)
        X = self._check_x(X, reset=False, look_through=False)
        module: Any = self._ready_module()
        parts = ((part, module.label_scores(module.mean_up(x)).softmax(1)) for part, x in self._finite_chunks(X))
        return self._collect(parts, X.shape[0], X)

    @available_if(_has_labels)
    def predict(self, X: Any) -> np.ndarray:
        """The most probable label of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        chosen: np.ndarray = self.classes_[np.asarray(self.predict_proba(X)).argmax(axis=1)]
        return chosen

    def _targets(self, y: Any, n_samples: int) -> np.ndarray | None:
        if not self.labels:
            return None
        if y is None:
            raise ValueError("labels=True needs y, a label for each row: pass it, or use labels=False.")
        column: np.ndarray = column_or_1d(y.detach().cpu().numpy() if isinstance(y, Tensor) else y, warn=True)
        if len(column) != n_samples:
            raise ValueError(f"y has {len(column)} labels, but X has {n_samples} rows: pass one for each row.")
        check_classification_targets(column)
        return column

    def _measure(self, X: Any, y: Any, weight: np.ndarray | None) -> None:
        self.__dict__.pop("classes_", None)
        if y is not None:
            self.classes_ = np.unique(y if weight is None else y[weight > 0])
            if len(self.classes_) < 2:
                raise ValueError(f"y has 1 class ({self.classes_.tolist()[0]!r}), but labels=True needs at least 2.")
        super()._measure(X, y, weight)

    def _one_hot(self, y: np.ndarray) -> Tensor:
        """Labels as columns of zeros and ones; a row that has weight zero may have an unknown one."""
        place = {label: i for i, label in enumerate(self.classes_.tolist())}
        unknown = [label for label in np.unique(y).tolist() if label not in place]
        if unknown:
            raise ValueError(f"y has the label {unknown[0]!r}, but the classes are {self.classes_.tolist()!r}.")
        index = torch.tensor([place[label] for label in y.tolist()])
        return F.one_hot(index, len(place)).to(getattr(torch, self.dtype))

    def _clamped(self, y: Any, n_samples: int) -> Tensor:
        """Labels to clamp, one or one for each sample."""
        if not hasattr(self, "classes_"):
            raise ValueError(f"y={y!r} asks for a class, but the network has none: fit with labels=True, and y.")
        column = np.atleast_1d(np.asarray(y))
        if column.shape not in {(1,), (n_samples,)}:
            raise ValueError(f"y must be one label, or one for each of the {n_samples} samples: got {len(column)}.")
        return self._one_hot(column).to(self._flat.theta).expand(n_samples, -1)
