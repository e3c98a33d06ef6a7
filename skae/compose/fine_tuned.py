"""FineTunedClassifier and FineTunedRegressor: a pretrained encoder with a linear head, fine-tuned on known y."""

from __future__ import annotations

import copy
from dataclasses import field
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from ..base import damage
from ..base.checks import check_columns
from ..base.damage import Saved
from ..base.description import described
from ..base.encoding import widest
from ..base.estimator import Run, TorchEstimator
from ..base.params import NonNegativeInt
from ..base.prediction import ClassPrediction, Known, NumberPrediction, Prediction
from ..engine.data import Batch, Rows, Source, Table, chunks
from ..engine.listeners import in_stage
from ..engine.optim import Flat, Optimizer, Terms
from ..engine.train import Plan, backward, minimise
from ..nn.heads import FineTunedNetwork
from ._logistic import Budget, LogisticTuning, with_rates

__all__ = ["FineTunedClassifier", "FineTunedRegressor"]

LEAST_STEPS, MOST_STEPS = 100, 4000
"""Limits of the number of steps. More steps than these would forget what a pretrained encoder knows from other rows."""
PRETRAINED_RATE = 1e-3
"""Learning rate of pretrained weights, which need not move far."""
FEW = 4
"""Number of rows below which matrix products are rounded differently, because another kernel computes them."""


def _fits(model: Any, encoder: Any) -> bool:
    """Whether a loaded encoder takes the rows, and gives the code, that the network was made for."""
    return len(encoder._frame) == len(model._frame) and encoder._n_features_out == model._spec["n_components"]


class _FineTuned(Prediction, LogisticTuning):
    """The encoder, the head and their training, which the classifier and the regressor share.

    Parameters
    ----------
    encoder : estimator of this package, or FrozenEstimator
        An estimator that is not fitted. A clone of it is fitted to all rows without y, with its own ``dtype`` and
        ``device``. If it has no ``random_state``, its seed is drawn from this one. To use an encoder that is fitted
        already, pass ``sklearn.frozen.FrozenEstimator(encoder)``. Then a copy of it is kept and trained, and X must
        have the columns that it was fitted to.
    pretrain : bool, default=True
        Whether the encoder is trained before the head. False only initialises it, which shows how much of the result
        pretraining contributes. An ``Autoencoder`` is initialised to PCA unless ``init="random"``.
    n_frozen : int, default=100
        Maximum number of iterations of L-BFGS that first train the head alone, on the code of the frozen encoder. With
        0 the head starts at zero. Not used when ``warm_start`` continues a fit.
    max_iter : int or "auto", default="auto"
        Maximum number of epochs in which encoder and head are trained together, on the rows with known y. "auto" is as
        many as n_samples / 2 steps take, but at least 100 steps (300 without ``pretrain``), at most 4000 steps, and at
        most 100 epochs. If the units of the encoder are logistic, it is as many epochs as at least 1000 steps take, and
        all of them are run.
    learning_rate_init : float or "auto", default="auto"
        Learning rate at the start, or its peak under "one_cycle". "auto" is 0.001, because pretrained weights need not
        move far. Without ``pretrain`` it is 0.003 under "one_cycle". If the units of the encoder are logistic, such as
        those of ``RBM``, it is 0.03 under "one_cycle", and weights of units with more than 64 inputs have a rate that
        is 64 / n_inputs times as high. Not used by "lbfgs".
    weight_decay : float or "auto", default="auto"
        L2 penalty on the weights, but not on the biases. "adamw" decouples it from the gradient. The other solvers add
        it to the gradient. "auto" is 0.3 for "adamw", or 0.05 if the units of the encoder are logistic, and 0 for the
        other solvers.
    """

    encoder: TorchEstimator | FrozenEstimator = field(kw_only=False)
    pretrain: bool = True
    n_frozen: NonNegativeInt = 100

    _budget = Budget(n_steps=1000, rate=0.03, decay=0.05)
    _saved: ClassVar[dict[str, Saved]] = {"encoder_": Saved(damage.nested(_fits, TorchEstimator))}

    # ---------------------------------------------------------------- encoder

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if isinstance(_usable(self.encoder), FrozenEstimator) and not self.pretrain:
            raise ValueError("pretrain=False needs an encoder that is not fitted: pass it without FrozenEstimator.")

    def _source(self, X: Any, y: Any = None, weight: Any = None, reset: bool | None = None) -> Source:
        data = super()._source(X, y, weight, reset)
        if reset and isinstance(self.encoder, FrozenEstimator):
            check_columns(_inner(self.encoder), X, reset=False)
        return data

    def _pretrain(self, data: Any, run: Run) -> None:
        if run.resume:
            return
        encoder = _usable(self.encoder)
        if isinstance(encoder, FrozenEstimator):
            encoder = FrozenEstimator(copy.deepcopy(_inner(encoder)))  # the user's may be fitted again
        else:
            self._learn_code(encoder, data)
        self.encoder_ = encoder

    def _learn_code(self, encoder: Any, data: Any) -> None:
        if encoder.random_state is None and self.random_state is not None:
            encoder.set_params(random_state=int(check_random_state(self.random_state).randint(2**31 - 1)))
        with in_stage("encoder"):
            own = data.own()
            encoder._fit(own.X, None, own.weight, train=bool(self.pretrain))
        if hasattr(self, "feature_names_in_"):
            encoder.feature_names_in_ = self.feature_names_in_

    def _stage_name(self) -> str:
        return "encoder and head"

    def _measure(self, data: Any) -> None:
        self._frame = self.encoder_._frame

    def _architecture(self, n_features: int) -> dict[str, Any]:
        return {
            "encoder": described(self.encoder, ignore={"random_state"}),
            "pretrain": bool(self.pretrain),
            "n_components": int(self.encoder_._n_features_out),
            "n_predictions": self._n_predictions(),
        }

    def _pretrained_modules(self) -> list[nn.Module]:
        return [self.encoder_.module_]

    def _new_module(self) -> nn.Module:
        encoder = with_rates(self.encoder_._tunable()._new_module())
        return FineTunedNetwork(encoder, self._spec["n_components"], self._spec["n_predictions"])

    def _encode(self, module: Any, batch: Batch) -> Tensor:
        h: Tensor = self.encoder_._tunable()._encode(module.encoder, batch)
        return h

    def _decode(self, module: Any, h: Tensor, batch: Batch) -> Tensor:
        x: Tensor = self.encoder_._tunable()._decode(module.encoder, h, batch)
        return x

    # ---------------------------------------------------------------- training

    def _learn_seen(self, data: Source, run: Run) -> None:
        super()._learn_seen(self.encoder_._tunable()._prepared(data), run)

    def _n_steps(self, n_samples: int) -> int:
        return max(LEAST_STEPS, min(n_samples // 2, MOST_STEPS)) if self.pretrain else super()._n_steps(n_samples)

    def _rate(self, schedule: str) -> float:
        as_it_is = self.learning_rate_init != "auto" or not self.pretrain or self._is_logistic()
        return super()._rate(schedule) if as_it_is else PRETRAINED_RATE

    def _learnt(self, data: Any, run: Run) -> Any:
        """The rows with known y."""
        return super()._learnt(data.take(np.flatnonzero(Known.of(data.y).rows)), run)

    def _initialise(self, module: Any, data: Table, rng: torch.Generator) -> None:
        module.start(self.encoder_._tunable()._ready_module())
        if self.n_frozen:
            self._fit_head(module, data, rng)

    def _fit_head(self, module: Any, data: Table, rng: torch.Generator) -> None:
        """Fit the head alone, with the L2 penalty of LogisticRegression(C=1)."""
        n = len(data)
        with torch.no_grad():
            parts = chunks(n, max(data.width, widest(module)))
            h = torch.cat([self._encode(module, data[rows]) for rows in parts])
        codes = Table(Rows(h, dtype=h.dtype, device=h.device), None, data.y)

        def step(batch: Batch) -> Terms:
            return backward({"prediction": self._misfit(module.head(batch.x), batch.y)})

        plan = Plan(batch_size=n, max_iter=int(self.n_frozen), shuffle=False)
        with in_stage("head"):
            minimise(step, codes, Flat(module.head), Optimizer("lbfgs", weight_decay=1 / n), plan, rng)

    def _loss(self, module: Any, batch: Batch, rng: torch.Generator | None) -> Terms:
        return {"prediction": self._misfit(module.head(self._encode(module, batch)), batch.y)}

    def _cure(self) -> str:
        return f"change the encoder ({_inner(self.encoder_)._cure()}), or raise max_iter"

    # ---------------------------------------------------------------- using

    def _output(self, module: Any, batch: Batch) -> Tensor:
        """Output of the head. A few rows are repeated, because products of few rows are rounded differently."""
        x = batch.x
        many = x if len(x) >= FEW else x.repeat(FEW, 1)
        output: Tensor = module.head(self._encode(module, Batch(many)))
        return output[: len(x)]


def _usable(encoder: Any) -> Any:
    """A clone of an encoder that can be fitted without y, or of one that is fitted already."""
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


def _inner(encoder: Any) -> Any:
    """The estimator that is frozen."""
    while isinstance(encoder, FrozenEstimator):
        encoder = encoder.estimator
    return encoder


class FineTunedClassifier(ClassPrediction, _FineTuned):
    """Classifier: a linear head on an encoder that was pretrained without labels, both fine-tuned on the labelled rows.

    The fit has three steps. First, an encoder h = f(x) is fitted to all rows, without their labels. Second, a linear
    layer on the code, p(x) = softmax(W h + b), is fitted to the labelled rows, which is a ``LogisticRegression`` on the
    code. Third, the layers of f, W and b are trained together by back-propagation. They minimise the mean cross-entropy
    -log p_y(x) of the labelled rows.

    Rows whose label is -1, None, NaN, NA, NaT or masked are unlabelled. To mix -1 with string labels, use an array of
    dtype object. If y contains only -1 and 1, they are two classes, as elsewhere in
    scikit-learn, and a warning is issued. ``early_stopping`` holds out labelled rows.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    encoder_ : estimator
        The pretrained encoder. Fine-tuning does not change it. If it was fitted already, this is a copy of it.
    module_ : torch.nn.Module
        The fine-tuned copy of the encoder's network, and the head.
    history_ : dict of str to list of float
        Training curves of the fine-tuning, with one value per epoch: "loss" and its only term "prediction", in nats,
        and "validation_loss" with ``early_stopping``. The curves of pretraining are ``encoder_.history_``.
    loss_ : float
        Loss of the weights that were kept.
    n_iter_ : int
        Number of epochs of the fine-tuning.
    mean_, scale_, n_features_in_, feature_names_in_
        As in ``Autoencoder``.

    See Also
    --------
    FineTunedRegressor : The same model for regression.
    SemiSupervisedAutoencoder : Learns from labelled and unlabelled rows at the same time.

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

    _y_doc: ClassVar[dict[str, str]] = {
        "fit": """y : array-like of shape (n_samples,)
    Labels, and -1, None or NaN for rows without a label. At least two classes must occur."""
    }

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict the logarithm of the probability of each class for each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            The columns are in the order of ``classes_``.
        """
        return self._predicted(X, like=X, link=lambda output: output.log_softmax(1))


class FineTunedRegressor(NumberPrediction, _FineTuned):
    """Regressor: a linear head on an encoder that was pretrained without y, both fine-tuned on the rows with known y.

    The fit has three steps. First, an encoder h = f(x) is fitted to all rows, without y. Second, a linear layer on the
    code, y_hat(x) = W h + b, is fitted to the rows with known y, which is a ``Ridge`` regression on the code. Third,
    the layers of f, W and b are trained together by back-propagation. They minimise the mean of ||y - y_hat(x)||^2 over
    the rows with known y.

    Internally each column of y is centred and scaled. NaN, None, NA and masked entries are unknown. If y has several
    columns, each may be unknown for other rows. ``early_stopping`` holds out rows with known y.

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (n_targets,)
        Mean and standard deviation of the known y.
    encoder_ : estimator
        The pretrained encoder. Fine-tuning does not change it. If it was fitted already, this is a copy of it.
    module_ : torch.nn.Module
        The fine-tuned copy of the encoder's network, and the head.
    history_ : dict of str to list of float
        Training curves of the fine-tuning, with one value per epoch: "loss" and its only term "prediction", in units of
        ``y_scale_`` squared, and "validation_loss" with ``early_stopping``. The curves of pretraining are
        ``encoder_.history_``.
    loss_ : float
        Loss of the weights that were kept.
    n_iter_ : int
        Number of epochs of the fine-tuning.
    mean_, scale_, n_features_in_, feature_names_in_
        As in ``Autoencoder``.

    See Also
    --------
    FineTunedClassifier : The same model for classification.
    SemiSupervisedAutoencoderRegressor : Learns from rows with known and unknown y at the same time.

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

    _y_doc: ClassVar[dict[str, str]] = {
        "fit": """y : array-like of shape (n_samples,) or (n_samples, n_targets)
    Target values, and NaN where they are unknown. Each column needs at least one known value."""
    }
