"""Labels of a deep belief network: whether there are any, and as columns of zeros and ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..base.encoding import judged
from ..base.labels import UNLABELLED, Told
from ..base.verdict import one_class

__all__ = ["SWITCHED_ON", "has_labels", "judge_labels", "labels_to_hold", "one_hot", "require_y"]

SWITCHED_ON = "labels=True was set after the last fit, which learnt no labels: "
"""Beginning of the messages for a fitted network without labels that is asked for them."""


def has_labels(network: Any) -> bool:
    """Whether labels are joined. scikit-learn calls this when it looks for a method of classifiers."""
    if not network.labels:
        raise AttributeError("predict needs a label at the top of the network: fit with labels=True, and y.")
    return True


def require_y(y: Any) -> Any:
    """Return y. Raise an error if there is none."""
    if (y.y if isinstance(y, Told) else y) is None:
        raise ValueError(
            "DeepBeliefNetwork(labels=True) requires y to be passed, but the target y is None: pass a label for each "
            f"row ({UNLABELLED} where there is none), or use labels=False."
        )
    return y


def one_hot(index: np.ndarray, n_classes: int) -> np.ndarray:
    """Labels as columns of zeros and ones, a column a class. The row of an index that is NaN or -1 is zero."""
    columns = np.zeros((len(index), n_classes))
    known = np.flatnonzero(index >= 0)
    columns[known, index[known].astype(int)] = 1.0
    return columns


def labels_to_hold(y: Any, n_samples: int, network: Any) -> Tensor:
    """One label, or one for each sample, as columns of zeros and ones of shape (n_samples, n_classes)."""
    if not network.module_.n_labels:
        raise ValueError(f"y={y!r} asks for a class, but the network has none: fit with labels=True, and y.")
    index = network._asked(y, n_samples)
    return torch.from_numpy(one_hot(index, len(network.classes_)))


def judge_labels(network: Any, data: Any) -> str | None:
    """What is wrong with the predicted labels of the training rows, as a sentence, or None."""
    if not network.labels:
        return None
    batch = judged(network, data, torch.nonzero(data.y.sum(1)).squeeze(1))
    if batch is None:
        return None
    count = torch.ones_like(batch.y[:, 0]) if batch.weight is None else batch.weight
    predicted = network._output(network.module_, batch).argmax(1)
    return one_class(predicted, batch.y.argmax(1), count, network.classes_, network._cure())
