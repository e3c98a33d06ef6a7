"""FineTunedClassifier and FineTunedRegressor: a linear head on a pretrained encoder, and both trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from typing_extensions import Self

from ..base.estimator import TorchEstimator
from ..base.params import NonNegativeInt
from ..base.prediction import ClassPrediction, NumberPrediction, counted, halves, merged
from ..engine.data import Array, Batch, Rows, Table, chunks, to_tensor
from ..engine.optim import Flat, Optimizer, Terms
from ..engine.train import Plan, backward, minimise
from ..nn.heads import FineTunedNetwork

__all__ = ["FineTunedClassifier", "FineTunedRegressor"]

FEW = 4
"""Rows below which a matrix product takes another kernel, whose last bit differs."""


def _has_chunks(estimator: Any) -> bool:
    """Whether there is a partial_fit, which there is not; scikit-learn asks by looking for the method."""
    raise AttributeError(
        "partial_fit sees one chunk at a time, but the encoder learns from all rows: use fit, with warm_start=True to "
        "train on."
    )


class FineTuned(TorchEstimator):
    """What the classifier and the regressor share: the encoder, the head and the training of both.

    Parameters
    ----------
    encoder : estimator of this package, or FrozenEstimator
        A clone of it is fitted to all rows, without y, with its own ``dtype`` and ``device``, and a seed
        from ``random_state`` if it has none. One that is fitted already is passed as
        ``sklearn.frozen.FrozenEstimator(encoder)``: a copy of its network is trained on.
    pretrain : bool, default=True
        False leaves the encoder at the weights its own fit would start from, so that what pretraining
        brings can be told from what the network brings. The start of an ``Autoencoder`` is PCA unless
        ``init="random"``.
    n_frozen : int, default=100
        Iterations of L-BFGS at the most that the head alone is given first, on the code of the frozen
        encoder. At 0 training starts from a head of zeros. It is not used where ``warm_start`` goes on.
    max_iter : int, default=50
        Epochs at the most in which encoder and head are trained together, on the rows of known y.
    """

    encoder: TorchEstimator | FrozenEstimator = field(kw_only=False)
    pretrain: bool = True
    n_frozen: NonNegativeInt = 100
    max_iter = 50

    _values: ClassVar[Callable[..., np.ndarray]]
    """What ``_targets`` returned as numbers of shape (n_samples, n_columns), NaN where y is unknown."""
    _n_predictions: ClassVar[Callable[..., int]]
    """Width of the prediction."""
    _link: ClassVar[Callable[..., Tensor]]
    """The prediction, given what the head puts out."""
    _misfit: ClassVar[Callable[..., Tensor]]
    """Mean loss of a batch of predictions; a value counts so much, or zero where it is unknown."""

    # ---------------------------------------------------------------- encoder

    @available_if(_has_chunks)
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """There is none: the encoder learns from all rows."""
        raise NotImplementedError

    def _measure(self, X: Array, y: Any, weight: np.ndarray | None) -> None:
        encoder = _usable(self.encoder)
        if isinstance(encoder, FrozenEstimator):
            self._require_fitting(encoder, X)
        else:
            self._learn_code(encoder, X, weight)
        self.encoder_ = encoder
        self.mean_, self.scale_, self._centred = encoder.mean_, encoder.scale_, encoder._centred

    def _require_fitting(self, encoder: Any, X: Array) -> None:
        if not self.pretrain:
            raise ValueError("pretrain=False is for an encoder that is not fitted: pass it without FrozenEstimator.")
        if encoder.n_features_in_ != X.shape[1]:
            raise ValueError(
                f"X has {X.shape[1]} features, but the encoder was fitted to {encoder.n_features_in_}: pass those."
            )

    def _learn_code(self, encoder: Any, X: Array, weight: np.ndarray | None) -> None:
        if encoder.random_state is None and self.random_state is not None:
            encoder.set_params(random_state=int(check_random_state(self.random_state).randint(2**31 - 1)))
        if self.pretrain:
            encoder.fit(X, sample_weight=weight)
        else:
            encoder._start(X, weight)
        if hasattr(self, "feature_names_in_"):
            encoder.feature_names_in_ = self.feature_names_in_

    def _architecture(self, n_features: int) -> dict[str, Any]:
        return {
            "encoder": _description(self.encoder),
            "pretrain": bool(self.pretrain),
            "n_components": int(self.encoder_._n_features_out),
            "n_predictions": self._n_predictions(),
        }

    def _new_module(self) -> nn.Module:
        return FineTunedNetwork(self.encoder_._new_module(), self._spec["n_components"], self._spec["n_predictions"])

    def _encode(self, module: Any, x: Tensor) -> Tensor:
        h: Tensor = self.encoder_._encode(module.encoder, x)
        return h

    @property
    def _widest(self) -> int:
        return max(self.encoder_._widest, self._spec["n_predictions"])

    # ---------------------------------------------------------------- training

    def _table(self, X: Array, y: Any, weight: np.ndarray | None, device: torch.device) -> Table:
        """Rows of known y, whose y has two blocks of columns: how much each value counts, and the values."""
        values = self._values(y, weight)
        known = ~np.isnan(values)
        labelled = np.flatnonzero(known.any(axis=1))
        columns = np.hstack([known, np.where(known, values, 0.0)])[labelled]
        X, weight = X[labelled], None if weight is None else weight[labelled]
        if self._is_one_batch(*X.shape):
            X, columns, weight = merged(X, columns, weight)
        table = super()._table(X, None, None, device)
        table.y = to_tensor(counted(columns, weight)).to(table.x.out, getattr(torch, self.dtype))
        return table

    def _initialise(self, module: Any, data: Table, rng: torch.Generator) -> None:
        module.start(self.encoder_._ready_module())
        if self.n_frozen:
            self._fit_head(module, data, rng)

    def _fit_head(self, module: Any, data: Table, rng: torch.Generator) -> None:
        """Fit the head alone, with the L2 penalty of LogisticRegression(C=1)."""
        n = len(data)
        with torch.no_grad():
            h = torch.cat([self._encode(module, data[rows].x) for rows in chunks(n, self._widest)])
        codes = Table(Rows(h, dtype=h.dtype, device=h.device), None, data.y)

        def step(batch: Batch) -> Terms:
            return backward({"prediction": self._misfit(module.head(batch.x), *halves(batch.y))})

        plan = Plan(batch_size=n, max_iter=int(self.n_frozen), shuffle=False)
        minimise(step, codes, Flat(module.head), Optimizer("lbfgs", weight_decay=1 / n), plan, rng)

    def _loss(self, module: Any, batch: Batch, rng: torch.Generator | None) -> Terms:
        return {"prediction": self._misfit(module.head(self._encode(module, batch.x)), *halves(batch.y))}

    # ---------------------------------------------------------------- using

    def _predicted(self, X: Any, like: Any = None, link: Callable[[Tensor], Tensor] | None = None) -> Any:
        """Predictions, a chunk of rows at a time."""
        check_is_fitted(self)
        X = self._check_x(X, reset=False, look_through=False)
        module: Any = self._ready_module()
        parts = ((part, (link or self._link)(self._output(module, x))) for part, x in self._finite_chunks(X))
        return self._collect(parts, X.shape[0], like)

    def _output(self, module: Any, x: Tensor) -> Tensor:
        """What the head puts out. A few rows are repeated, as products of few rows are rounded in another way."""
        many = x if len(x) >= FEW else x.repeat(FEW, 1)
        output: Tensor = module.head(self._encode(module, many))
        return output[: len(x)]


def _usable(encoder: Any) -> Any:
    """A clone of an encoder that can be fitted without y, or one that is fitted already."""
    encoder = clone(encoder)
    if isinstance(encoder, FrozenEstimator):
        check_is_fitted(encoder)
        if not hasattr(encoder, "_encode"):
            raise ValueError(f"encoder={encoder!r} has no layers to train: freeze an estimator of skae.")
        return encoder
    encoder._validate_params()
    if get_tags(encoder).target_tags.required:
        raise ValueError(
            f"encoder={encoder!r} learns from y itself: use it alone, or fit it and pass FrozenEstimator(encoder)."
        )
    return encoder


def _description(encoder: Any) -> str:
    """An encoder and its parameters as text, by which a change is noticed."""
    parameters = encoder.get_params().items()
    told = [f"{name}={value!r}" for name, value in sorted(parameters) if not name.endswith("random_state")]
    return f"{type(encoder).__name__}({', '.join(told)})"


class FineTunedClassifier(ClassPrediction, FineTuned):
    """A classifier: a linear head on an encoder that was pretrained without labels, and both trained on.

    An encoder h = f(x) is fitted to all rows without their labels. A linear layer is put on its
    code, p(x) = softmax(W h + b), and fitted to the labelled rows: that is ``LogisticRegression`` on
    the code. Then the layers of f, W and b are trained together by back-propagation, which minimises
    the cross-entropy -log p_y(x) in mean over the labelled rows.

    Rows whose label is -1, None or NaN are unlabelled; -1 among strings needs an array of objects.
    If -1 and 1 are all that y holds, they are two classes, as elsewhere in scikit-learn, and a warning
    tells so. ``early_stopping`` holds out labelled rows.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    encoder_ : estimator
        The pretrained encoder, which fine-tuning leaves as it is.
    module_ : torch.nn.Module
        The fine-tuned copy of its network, and the head.
    history_ : dict of str to list of float
        An entry an epoch of fine-tuning: "loss", which is "prediction", in nats, and
        "validation_loss" with ``early_stopping``. That of pretraining is ``encoder_.history_``.
    loss_ : float
        The loss of the weights that were kept.
    n_iter_ : int
        Epochs of fine-tuning.

    See Also
    --------
    FineTunedRegressor : The same for numbers.
    SemiSupervisedAutoencoder : Learns from both kinds of rows at the same time.

    References
    ----------
    Hinton and Salakhutdinov (2006), "Reducing the Dimensionality of Data with Neural Networks",
    https://doi.org/10.1126/science.1127647

    Erhan, Bengio, Courville, Manzagol, Vincent and Bengio (2010), "Why Does Unsupervised
    Pre-training Help Deep Learning?", https://www.jmlr.org/papers/v11/erhan10a.html

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import DenoisingAutoencoder, FineTunedClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> few = np.where(np.arange(len(y)) < 50, y, -1)  # the other labels are unknown
    >>> encoder = DenoisingAutoencoder(32, hidden_layer_sizes=(256, 128), max_iter=10)
    >>> model = FineTunedClassifier(encoder, random_state=0).fit(X, few)
    >>> bool(model.score(X[50:], y[50:]) > 0.75)
    True
    >>> model.transform(X).shape, model.predict_proba(X).shape
    ((1797, 32), (1797, 10))
    """

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn the code from all rows, and the classes from those that have a label.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Finite numbers.
        y : array-like of shape (n_samples,)
            Labels; -1, None or NaN where there is none.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, in both; only their ratios matter.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, y, the encoder or a parameter is not as described, if fewer than two classes have a
            label, or if a loss becomes NaN or infinite. The estimator is then as it was before.
        """
        return super().fit(X, y, sample_weight)

    def predict_log_proba(self, X: Any) -> Any:
        """Logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
        """
        return self._predicted(X, like=X, link=lambda output: output.log_softmax(1))


class FineTunedRegressor(NumberPrediction, FineTuned):
    """A regression: a linear head on an encoder that was pretrained without y, and both trained on.

    An encoder h = f(x) is fitted to all rows without y. A linear layer is put on its code,
    y_hat(x) = W h + b, and fitted to the rows where y is known: that is ``Ridge`` on the code. Then
    the layers of f, W and b are trained together by back-propagation, which minimises
    ||y - y_hat(x)||^2 in mean over the rows where y is known.

    y is centred and scaled inside, column by column. NaN is unknown; with several columns each may
    have gaps of its own. ``early_stopping`` holds out rows of known y.

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (n_targets,)
        Mean and standard deviation of the known y.
    encoder_ : estimator
        The pretrained encoder, which fine-tuning leaves as it is.
    module_ : torch.nn.Module
        The fine-tuned copy of its network, and the head.
    history_ : dict of str to list of float
        An entry an epoch of fine-tuning: "loss", which is "prediction", in units of ``y_scale_``
        squared, and "validation_loss" with ``early_stopping``.
    loss_ : float
        The loss of the weights that were kept.
    n_iter_ : int
        Epochs of fine-tuning.

    See Also
    --------
    FineTunedClassifier : The same for classes.
    SemiSupervisedAutoencoderRegressor : Learns from both kinds of rows at the same time.

    References
    ----------
    Hinton and Salakhutdinov (2008), "Using Deep Belief Nets to Learn Covariance Kernels for
    Gaussian Processes",
    https://papers.nips.cc/paper/3211-using-deep-belief-nets-to-learn-covariance-kernels-for-gaussian-processes

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skae import Autoencoder, FineTunedRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X = StandardScaler().fit_transform(X)
    >>> few = np.where(np.arange(len(y)) < 100, y, np.nan)  # the others are unknown
    >>> model = FineTunedRegressor(Autoencoder(5, max_iter=20), random_state=0).fit(X, few)
    >>> bool(model.score(X[100:], y[100:]) > 0.3)
    True
    """

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn the code from all rows, and the regression from those where y is known.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Finite numbers.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Numbers; NaN where they are unknown.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, in both; only their ratios matter.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, y, the encoder or a parameter is not as described, if a column of y has no number,
            or if a loss becomes NaN or infinite. The estimator is then as it was before.
        """
        return super().fit(X, y, sample_weight)
