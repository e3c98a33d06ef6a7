"""RecursiveAutoencoderClassifier: labels of trees, or of all their nodes, beside the code."""

from __future__ import annotations

from numbers import Real
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Self

from ..base.budget import steps_worthwhile
from ..base.checks import check_weight
from ..base.compat import Interval
from ..base.labels import Told
from ..base.mixins import available_if
from ..base.params import Probability
from ..base.prediction import ClassPrediction, Known
from ..base.transformer import is_stochastic
from ..engine.data import Source
from ..engine.forest import Forest, Packed
from ..engine.optim import Terms
from ..nn.recursive import RecursiveNetwork, Vectors
from ._labels import NodeLabels, read_node_labels
from ._trees import trees_of
from .recursive import TREES, RecursiveAutoencoder

__all__ = ["RecursiveAutoencoderClassifier"]


class RecursiveAutoencoderClassifier(ClassPrediction, RecursiveAutoencoder):
    """Classify trees or all their nodes, by vectors that are composed from the leaves up.

    The vector h of a node is that of ``RecursiveAutoencoder``, and its class probabilities are softmax(S h + c). The
    loss of a tree is

        alpha sum_nodes E_rec + (1 - alpha) sum_nodes E_CE,

    in mean over the trees. E_rec is the reconstruction error of an inner node. E_CE = -log p_y is the cross-entropy of
    a node whose label is known, and its mean is over the labelled trees, if y alone has labels. With ``alpha=0`` this
    is a recursive neural network, which learns no decoder.

    Trees whose label is -1, None or NaN are unlabelled. With ``supervision="nodes"`` so are nodes without a label.

    Parameters
    ----------
    composition : {"plain", "tensor", "gated"}, default="gated"
        How two vectors become one. "plain" is f(W [c1; c2] + b). "tensor" adds products of the entries of the children.
        "gated" is a tree LSTM, which has a memory beside the vector.
    unit_length : bool or "auto", default="auto"
        Whether vectors of inner nodes have the length 1. "auto" is True but for a gated composition.
    tune_leaves : bool, default=True
        Whether the tokens' vectors, and the map of vectors of another width than ``n_components``, are trained too.
    alpha : float, default=0.0
        Weight of the reconstruction error, in [0, 1]. With 0, no decoder is learnt. Then ``weighted`` and ``unfolding``
        play no part, nothing can be unfolded or scored by its reconstruction, and ``structure="greedy"`` is refused.
        With 1, no classes are learnt, and all are equally probable.
    supervision : {"root", "spread", "nodes"}, default="root"
        Which nodes have a label. "root" takes y as that of the root alone. "spread" takes it as that of all inner nodes
        (Socher et al., 2011), and of a tree that is a leaf. "nodes" reads the labels of all nodes, leaves too, from the
        trees of X. y is then the root's label, and may be left out.
    dropout : float, default=0.5
        Probability that an entry of a vector that is classified is set to zero in training.
    max_iter : int or "auto", default="auto"
        Maximum number of epochs. "auto" is as many as n_samples / 4 steps take, but at least 800 steps, at most 4000
        steps, and at most 200 epochs. With ``supervision="nodes"`` a tree has many labels, and it is at least 300
        steps. For "lbfgs" it is 200.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    history_ : dict of str to list of float
        Training curves: "loss", its terms "reconstruction" and "prediction", and "validation_loss" with
        ``early_stopping``. All terms include their weights.
    module_, vocabulary_, loss_, n_iter_, mean_, scale_
        As in ``RecursiveAutoencoder``.

    See Also
    --------
    RecursiveAutoencoder : Learns without labels.

    References
    ----------
    Socher, Pennington, Huang, Ng and Manning (2011), "Semi-Supervised Recursive Autoencoders for Predicting Sentiment
    Distributions", https://aclanthology.org/D11-1014

    Socher et al. (2013), "Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank",
    https://aclanthology.org/D13-1170

    Tai, Socher and Manning (2015), "Improved Semantic Representations From Tree-Structured Long Short-Term Memory
    Networks", https://arxiv.org/abs/1503.00075

    Examples
    --------
    >>> from skae import RecursiveAutoencoderClassifier
    >>> words = {"good": 1, "fine": 1, "bad": 0, "dull": 0}
    >>> trees = [("very", word) for word in words] + [("not", ("very", word)) for word in words]
    >>> y = [*words.values(), *(1 - value for value in words.values())]
    >>> model = RecursiveAutoencoderClassifier(8, max_iter=100, random_state=0).fit(trees, y)
    >>> model.predict([("very", "dull"), ("not", ("very", "dull"))]).tolist()
    [0, 1]
    >>> model.predict_nodes([("not", ("very", "dull"))])[0].shape
    (5,)
    """

    composition = "gated"
    tune_leaves = True
    alpha: Annotated[float, Interval(Real, 0, 1, closed="both")] = 0.0
    supervision: Literal["root", "spread", "nodes"] = "root"
    dropout: Probability = 0.5

    _x_doc: ClassVar[dict[str, str]] = dict.fromkeys(("fit", "predict", "predict_proba"), TREES)
    _y_doc: ClassVar[dict[str, str]] = {
        "fit": """y : array-like of shape (n_samples,), default=None
    Label of each tree, and -1, None or NaN where it is unknown. At least two classes must occur. It may be left
    out with ``supervision="nodes"``."""
    }

    # ---------------------------------------------------------------- reading y

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.supervision == "nodes" and self.structure != "given":
            raise ValueError(
                f"supervision='nodes' reads labels from the trees of X, but structure={self.structure!r} builds its "
                "own: use structure='given', or supervision='root'."
            )
        if self.structure == "greedy" and self.alpha == 0.0:
            raise ValueError(
                "structure='greedy' merges what is reconstructed best, but with alpha=0 no decoder is learnt: "
                "use alpha=0.1, or structure='balanced'."
            )

    def _source(self, X: Any, y: Any = None, weight: Any = None, reset: bool | None = None) -> Source:
        if self.supervision != "nodes" or reset is None:
            return super()._source(X, y, weight, reset)
        trees = trees_of(X, self.structure)
        y, classes = y if isinstance(y, Told) else Told(y, None)
        weight = check_weight(weight, len(trees))
        labels = read_node_labels(trees, weight, y, classes, None if reset else self.classes_)
        if not reset:
            labels.require_among(self.classes_)
        y = labels.of_roots() if y is None else y
        classes = labels.classes(y, weight, type(self).__name__) if classes is None and reset else classes
        data: Any = super()._source(trees, Told(y, classes), weight, reset)
        return data.with_labels(self._numbers(labels, data))

    def _numbers(self, labels: NodeLabels, data: Forest) -> np.ndarray:
        """Number of the class of each binary node, and -1 where it is unknown. That of a root is y, if it is known."""
        numbers = labels.numbers(self.classes_, data.trees)
        count, value = Known.of(data.y)
        roots = data.trees.first[1:] - 1
        numbers[roots] = np.where(count[:, 0] > 0, value[:, 0], numbers[roots])
        return numbers

    # ---------------------------------------------------------------- objective

    def _architecture(self, n_features: int) -> dict[str, Any]:
        predictions = self._n_predictions() if self.alpha < 1.0 else 0
        return {**super()._architecture(n_features), "n_predictions": predictions, "dropout": float(self.dropout)}

    def _learns_decoder(self) -> bool:
        return self.alpha > 0.0

    def _has_unit_length(self) -> bool:
        return self.composition != "gated"

    def _n_steps(self, n_samples: int) -> int:
        return steps_worthwhile(n_samples, a_step=4) if self.supervision == "nodes" else super()._n_steps(n_samples)

    def _is_noisy(self) -> bool:
        return self.dropout > 0.0 and self.alpha < 1.0

    def _terms(self, module: RecursiveNetwork, batch: Packed, vectors: Vectors, rng: torch.Generator | None) -> Terms:
        terms = {}
        if self.alpha > 0.0:
            terms = super()._terms(module, batch, vectors, rng)
            terms = {name: self.alpha * term for name, term in terms.items()}
        if self.alpha < 1.0:
            terms["prediction"] = (1 - self.alpha) * self._cross_entropy(module, batch, vectors, rng)
        return terms

    def _cross_entropy(
        self, module: RecursiveNetwork, batch: Packed, vectors: Vectors, rng: torch.Generator | None
    ) -> Tensor:
        """E_CE in mean over the trees: of the root, of all inner nodes, or of all nodes with a label."""
        if self.supervision == "nodes":
            assert batch.label is not None
            output = module.predict(vectors.h, rng)
            error = F.cross_entropy(output, batch.label, reduction="none", ignore_index=-1)
            return batch.mean_over_trees(error, slice(None))
        if self.supervision == "root":
            return self._misfit(module.predict(vectors.h[batch.root], rng), batch.y)
        count, value = Known.of(batch.y)
        n_leaves = len(batch.leaf)
        nodes = torch.cat([batch.root[batch.root < n_leaves], torch.arange(n_leaves, len(batch.tree)).to(batch.root)])
        tree = batch.tree[nodes]
        error = F.cross_entropy(module.predict(vectors.h[nodes], rng), value[tree, 0].long(), reduction="none")
        return (error * count[tree, 0]).sum() / len(batch.root)

    # ---------------------------------------------------------------- using

    def _output(self, module: RecursiveNetwork, batch: Packed) -> Tensor:
        return self._padded(module.predict(self._encode(module, batch)))

    def _padded(self, output: Tensor) -> Tensor:
        """The output with a column for each class, which is missing if ``alpha=1``, because no layer predicts."""
        return F.pad(output, (0, self._n_predictions() - output.shape[1]))

    def predict_nodes(self, X: Any) -> list[np.ndarray]:
        """Predict the most probable label of each node of each tree.

        Parameters
        ----------
        X : list of trees
            As in ``fit``.

        Returns
        -------
        labels : list of ndarray of shape (n_nodes,)
            For each tree, in post-order, as in ``node_vectors``. The root's is the last one.
        """

        def number(module: Any, batch: Packed) -> Tensor:
            return self._padded(module.predict(module.vectors(batch).h)).argmax(1)

        return [self.classes_[numbers] for numbers in self._of_nodes(number, X)]

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Accuracy on the labelled trees.

        Parameters
        ----------
        X : list of trees
            As in ``fit``.
        y : array-like of shape (n_samples,), default=None
            True labels. Trees without a label are ignored. With ``supervision="nodes"``, None takes the labels of the
            roots of X.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the trees.

        Returns
        -------
        accuracy : float
            Fraction of the labelled trees whose label is predicted correctly.
        """
        if y is None and self.supervision == "nodes":
            check_is_fitted(self)
            X = trees_of(X, self.structure)
            y = read_node_labels(X, None, self.classes_).of_roots()
        return super().score(X, y, sample_weight)

    @available_if(is_stochastic)
    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None) -> Self:  # type: ignore[override]  # as in scikit-learn
        """Update the model with one pass over some trees, and continue from the last call.

        Parameters
        ----------
        X : list of trees
            As in ``fit``. The first call fixes the vocabulary, so that its trees should be typical ones.
        y : array-like of shape (n_samples,), default=None
            As in ``fit``.
        classes : array-like of shape (n_classes,), default=None
            All classes that will occur, for the first call. None takes the classes of the first chunk.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the trees. They are not normalised, so chunks can be weighted against each other.

        Returns
        -------
        self : object
            The estimator.
        """
        return super().partial_fit(X, Told(y, classes), sample_weight)
