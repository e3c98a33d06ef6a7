"""Labels of a deep belief network: read from y, and as columns of zeros and ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor
from torch.nn import functional as F

__all__ = ["classes_of", "labels_to_hold", "one_hot", "read_labels"]


def read_labels(y: Any, n_samples: int) -> np.ndarray:
    """Labels as an array of shape (n_samples,)."""
    if y is None:
        raise ValueError("labels=True needs y, a label for each row: pass it, or use labels=False.")
    column: np.ndarray = column_or_1d(y.detach().cpu().numpy() if isinstance(y, Tensor) else y, warn=True)
    if len(column) != n_samples:
        raise ValueError(f"y has {len(column)} labels, but X has {n_samples} rows: pass one for each row.")
    check_classification_targets(column)
    return column


def classes_of(y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Labels of the rows that have a positive weight, each once and sorted."""
    classes = np.unique(y if weight is None else y[weight > 0])
    if len(classes) < 2:
        raise ValueError(f"y has 1 class ({classes.tolist()[0]!r}), but labels=True needs at least 2.")
    return classes


def one_hot(y: np.ndarray, classes: np.ndarray) -> Tensor:
    """Labels as columns of zeros and ones, a column a class."""
    place = {label: i for i, label in enumerate(classes.tolist())}
    unknown = [label for label in np.unique(y).tolist() if label not in place]
    if unknown:
        raise ValueError(f"y has the label {unknown[0]!r}, but the classes are {classes.tolist()!r}.")
    return F.one_hot(torch.tensor([place[label] for label in y.tolist()]), len(place))


def labels_to_hold(y: Any, n_samples: int, classes: np.ndarray | None) -> Tensor:
    """One label, or one for each sample, as columns of zeros and ones of shape (n_samples, n_classes)."""
    if classes is None:
        raise ValueError(f"y={y!r} asks for a class, but the network has none: fit with labels=True, and y.")
    column = np.atleast_1d(np.asarray(y))
    if column.shape not in {(1,), (n_samples,)}:
        raise ValueError(f"y must be one label, or one for each of the {n_samples} samples: got {len(column)}.")
    return one_hot(column, classes).expand(n_samples, -1)
