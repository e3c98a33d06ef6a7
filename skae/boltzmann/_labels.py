"""LabelledMachine: the methods of a Boltzmann machine to whose top a label may be joined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from typing_extensions import Self

from ..base.checks import require_positive
from ..base.encoding import judged
from ..base.estimator import Run
from ..base.labels import UNLABELLED, Labels, Told
from ..base.mixins import available_if
from ..base.prediction import ClassPrediction
from ..base.transformer import is_stochastic
from ..base.verdict import one_class
from ..energy.harmonium import Known
from ..engine.data import Batch
from ..engine.optim import Flat
from .machine import BoltzmannMachine

__all__ = ["LabelledMachine"]

SWITCHED_ON = "labels=True was set after the last fit, which learnt no labels: "
"""Beginning of the messages for a fitted network without labels that is asked for them."""


def has_labels(network: Any) -> bool:
    """Whether labels are joined. scikit-learn calls this when it looks for a method of classifiers."""
    if not network.labels:
        raise AttributeError("predict needs a label at the top of the network: fit with labels=True, and y.")
    return True


def require_y(y: Any, name: str) -> Any:
    """Return y. Raise an error if there is none."""
    if (y.y if isinstance(y, Told) else y) is None:
        raise ValueError(
            f"{name}(labels=True) requires y to be passed, but the target y is None: pass a label for each row "
            f"({UNLABELLED} where there is none), or use labels=False."
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


class LabelledMachine(ClassPrediction):
    """A Boltzmann machine with the parameter ``labels``, which is a classifier if that is True.

    Its module has ``n_labels`` and ``label_scores``.
    """

    labels: Any
    classes_: np.ndarray
    _flat: Flat
    _samples: Callable[..., np.ndarray]

    def _holding(self, labels: Tensor) -> Known:
        """Visible and hidden states with these labels, as columns of zeros and ones, for chains in which they stay."""
        raise NotImplementedError

    _y_doc: ClassVar[dict[str, str]] = {
        "fit": """y : array-like of shape (n_samples,), default=None
    Labels, and -1, None or NaN for rows without a label. At least two classes must occur. Required with
    ``labels=True``, and ignored without."""
    }

    @available_if(is_stochastic)
    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None) -> Self:
        """Update the model with one pass over a chunk of rows, and continue from the last call.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Finite numbers. The first chunk fixes the scale and the initial weights.
        y : array-like of shape (n_samples,), default=None
            As in ``fit``. In later chunks, all rows may be without a label.
        classes : array-like of shape (n_classes,), default=None
            All classes that will occur, for the first call with ``labels=True``. None takes those of the first chunk.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. They are not normalised, so chunks can be weighted against each other.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            As for ``fit``, and if a label is not among the classes, or if ``early_stopping=True``.
        """
        if classes is None:
            return super().partial_fit(X, y, sample_weight)  # type: ignore[misc]
        if not self.labels:
            raise ValueError("classes are those of labels=True, but labels is False: pass weights as sample_weight=.")
        return super().partial_fit(X, Told(y, classes), sample_weight)  # type: ignore[misc]

    # ---------------------------------------------------------------- y in a batch

    def _n_classes(self) -> int:
        return len(self.classes_) if self.labels else 0

    def _targets(self, y: Any, n_samples: int, weight: np.ndarray | None, reset: bool | None) -> Any:
        if reset:
            self.__dict__.pop("classes_", None)
        if not self.labels:
            return None
        if not (reset or hasattr(self, "classes_")):
            raise ValueError(SWITCHED_ON + "set it to False again, or call fit with warm_start=False.")
        index = self._values(y, n_samples, weight, reset)
        return one_hot(index[:, 0], len(self.classes_))

    def _learnt(self, data: Any, run: Run) -> Any:
        """The rows to learn from. A label counts as its row does, as both are one state of the top."""
        return BoltzmannMachine._learnt(self, data, run)  # type: ignore[arg-type]

    # ---------------------------------------------------------------- predicting

    predict = available_if(has_labels)(ClassPrediction.predict)
    predict_proba = available_if(has_labels)(ClassPrediction.predict_proba)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Accuracy on the labelled rows with ``labels=True``, and otherwise the mean of ``score_samples``.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            True labels. Rows without a label are ignored. Required with ``labels=True``, and not used without.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows.

        Returns
        -------
        score : float
            A fraction of the labelled rows, or nats per row. Higher is better.
        """
        kind: Any = ClassPrediction if self.labels else BoltzmannMachine
        return float(kind.score(self, X, y, sample_weight))

    def _output(self, module: Any, batch: Batch) -> Tensor:
        if not module.n_labels:
            raise ValueError(SWITCHED_ON + "fit again, with y.")
        return self._label_scores(module, batch.x)

    def _label_scores(self, module: Any, x: Tensor) -> Tensor:
        """Log p(x, y) + log Z for each label y, or a bound of it."""
        scores: Tensor = module.label_scores(x)
        return scores

    _failure_to_predict = judge_labels

    def _read(self, y: Any, n_samples: int) -> Labels:
        return super()._read(require_y(y, type(self).__name__), n_samples)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if not self.labels:
            tags.estimator_type, tags.classifier_tags, tags.target_tags.required = None, None, False
        return tags

    # ---------------------------------------------------------------- samples

    def sample(self, n_samples: int = 1, n_steps: int = 1000, random_state: Any = None, y: Any = None) -> np.ndarray:
        """Draw rows from the model by Gibbs sampling.

        The chains go on from where those of the training ended.

        Parameters
        ----------
        n_samples : int, default=1
            Number of chains. The last state of each chain gives a row.
        n_steps : int, default=1000
            Steps of each chain.
        random_state : int, RandomState instance or None, default=None
            Seed of the chains. None uses the estimator's ``random_state``.
        y : label, array-like of shape (n_samples,), or None, default=None
            Class to draw from, if the machine was fitted with ``labels=True``. None draws from all classes.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)

        Raises
        ------
        ValueError
            If a number is below 1, or y is no class.
        """
        check_is_fitted(self)
        require_positive(n_samples=n_samples)
        known = None
        if y is not None:
            known = self._holding(labels_to_hold(y, n_samples, self).to(self._flat.theta))
        return self._samples(n_samples, n_steps, random_state, known)
