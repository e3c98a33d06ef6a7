"""SemiSupervisedAutoencoder and SemiSupervisedAutoencoderRegressor: few labels and many rows."""

from __future__ import annotations

from numbers import Real
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Self

from ..base import damage
from ..base.compat import Interval
from ..base.damage import Saved
from ..base.estimator import Run
from ..base.labels import Told
from ..base.mixins import available_if
from ..base.params import NonNegative
from ..base.prediction import ClassPrediction, Known, NumberPrediction, Prediction, with_labels_in_every_batch
from ..base.transformer import is_stochastic
from ..engine.data import Batch, Source, Subset, Table, rows_of
from ..engine.optim import Terms
from ..nn.bottleneck import Bottleneck
from ..nn.heads import PredictingAutoencoder
from .dense import Autoencoder

__all__ = ["SemiSupervisedAutoencoder", "SemiSupervisedAutoencoderRegressor"]


class _Predicting(Prediction, Autoencoder):
    """The loss, the batches and the start, which the classifier and the regressor share.

    Parameters
    ----------
    n_components : int, default=16
        Width of the code.
    alpha : float, default=0.1
        Weight of the reconstruction error, in [0, 1]. With 1 the model is an ``Autoencoder`` and learns nothing about
        y. With 0 it learns no reconstruction.
    consistency : float, default=3.0
        Weight lambda of E_cons. With 0, unlabelled rows count only in the reconstruction error.
    noise_level : float, default=0.5
        Standard deviation of the noise e in E_cons, in units of the square root of the mean variance of the columns.
    """

    n_components = 16
    alpha: Annotated[float, Interval(Real, 0, 1, closed="both")] = 0.1
    consistency: NonNegative = 3.0
    noise_level: NonNegative = 0.5

    _Module: ClassVar[type[nn.Module]] = PredictingAutoencoder
    _takes_kinds = False
    _saved: ClassVar[dict[str, Saved]] = {"noise_scale_": Saved(damage.number(0.0))}

    # ---------------------------------------------------------------- objective

    def _architecture(self, n_features: int) -> dict[str, Any]:
        return {**super()._architecture(n_features), "n_predictions": self._n_predictions() if self.alpha < 1.0 else 0}

    def _draws_noise(self) -> bool:
        return self.alpha < 1.0 and self.consistency > 0.0 and self.noise_level > 0.0

    def _is_noisy(self) -> bool:
        return super()._is_noisy() or self._draws_noise()

    def _measure(self, data: Any) -> None:
        super()._measure(data)
        self.noise_scale_ = float(self.noise_level) * (self.scale_ if self._frame.centred else data.moments()[1])

    def _corrupt(self, module: Any, batch: Batch, rng: torch.Generator | None) -> Batch:
        batch = super()._corrupt(module, batch, rng)
        if self.alpha == 1.0:
            return batch
        alpha = batch.x.new_full((len(batch.x), 1), float(self.alpha))
        return batch._replace(emphasis=alpha if batch.emphasis is None else alpha * batch.emphasis)

    def _bottleneck(self, module: Any, batch: Batch, e: Tensor, rng: torch.Generator | None) -> Bottleneck:
        neck = super()._bottleneck(module, batch, e, rng)
        if self.alpha == 1.0:
            return neck
        return neck.by_autograd(lambda h: (h, self._errors(module, batch, h, rng)))

    def _errors(self, module: Any, batch: Batch, h: Tensor, rng: torch.Generator | None) -> Terms:
        """Loss terms of the predictions of a batch."""
        beta = 1.0 - self.alpha
        output = module.predict(batch.shown, h)
        terms = {"prediction": beta * self._misfit(output, batch.y)}
        if rng is None or not self._draws_noise():
            return terms

        def predict(x: Tensor) -> Tensor:
            nearby: Tensor = module.predict(x, module.encode(x, rng, batch.told_known))
            return nearby

        level = float(self.noise_scale_ / self.scale_)
        inconsistency = self._inconsistency(predict, batch, output, level, rng)
        return {**terms, "consistency": beta * self.consistency * inconsistency}

    # ---------------------------------------------------------------- start and batches

    def _initialise(self, module: Any, data: Table, rng: torch.Generator) -> None:
        super()._initialise(module, data, rng)
        labelled = torch.nonzero(Known.of(data.y).rows).squeeze(1)
        if self.alpha < 1.0 and len(labelled):
            self._fit_linear(module.shortcut, module.likelihood.embed, data, labelled, rng)

    def _split(self, data: Any, run: Run) -> tuple[Source, Subset | None]:
        train, held_out = super()._split(data, run)
        if self.alpha == 1.0 or len(train) <= self._batch_size(len(train)):
            return train, held_out
        return with_labels_in_every_batch(data, rows_of(train)), held_out

    # ---------------------------------------------------------------- using

    def _output(self, module: Any, batch: Batch) -> Tensor:
        output = module.predict(batch.x, self._encode(module, batch))
        return F.pad(output, (0, self._n_predictions() - output.shape[1]))  # with alpha=1 no layer predicts


class SemiSupervisedAutoencoder(ClassPrediction, _Predicting):
    """Classifier and code, learnt from few labelled and many unlabelled rows.

    The class probabilities depend linearly on the code h = f(x) and on x: p(x) = softmax(W h + V x + b). The loss is

        alpha E_rec + (1 - alpha) (E_CE + lambda E_cons).

    - E_rec is the mean reconstruction error of all rows, as in ``Autoencoder``.
    - E_CE is the mean cross-entropy -log p_y(x) of the labelled rows.
    - E_cons asks that noise does not change the predictions of unlabelled rows. It is the sum of
      ||p(x) - p(x + e)||^2 over the unlabelled rows, divided by the number of all rows. The noise e is Gaussian, and
      no gradient flows through p(x). As a result, boundaries between classes move to regions with few rows.

    Training starts at a logistic regression that is fitted to the labelled rows, with W = 0.

    Rows whose label is -1, None, NaN, NA, NaT or masked are unlabelled. To mix -1 with string labels, use an array of
    dtype object. If y contains only -1 and 1, they are two classes, as elsewhere in
    scikit-learn, and a warning is issued.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    noise_scale_ : float
        Standard deviation of the noise e, in units of X.
    history_ : dict of str to list of float
        As in ``Autoencoder``, with the terms "prediction" and "consistency". All terms include their weights.
    module_, loss_, n_iter_, mean_, scale_, n_features_in_, feature_names_in_
        As in ``Autoencoder``.

    See Also
    --------
    SemiSupervisedAutoencoderRegressor : The same model for regression.
    skae.metrics.reconstruction_r2 : Score of the reconstruction. ``score`` is the accuracy.
    sklearn.semi_supervised.LabelSpreading : Learns no code, and keeps a graph of all rows in memory.

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

    _y_doc: ClassVar[dict[str, str]] = {
        "fit": """y : array-like of shape (n_samples,)
    Labels, and -1, None or NaN for rows without a label. At least two classes must occur."""
    }

    @available_if(is_stochastic)
    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None) -> Self:  # type: ignore[override]  # as in scikit-learn
        """Update the model with one pass over a chunk of rows, and continue from the last call.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Finite numbers. The first chunk fixes the scale and the initial weights.
        y : array-like of shape (n_samples,)
            Labels, and -1, None or NaN for rows without a label. Later chunks may have no labels at all.
        classes : array-like of shape (n_classes,), default=None
            All classes that will occur, for the first call. None takes the classes of the first chunk.
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
        AttributeError
            If ``solver="lbfgs"``, which needs all rows.
        """
        return super().partial_fit(X, Told(y, classes), sample_weight)


class SemiSupervisedAutoencoderRegressor(NumberPrediction, _Predicting):
    """Regression and code, learnt from few rows with known y and many rows with unknown y.

    The prediction depends linearly on the code h = f(x) and on x: y_hat(x) = W h + V x + b. The loss is

        alpha E_rec + (1 - alpha) (E_y + lambda E_cons).

    - E_rec is the mean reconstruction error of all rows, as in ``Autoencoder``.
    - E_y is the mean of ||y - y_hat(x)||^2 over the rows with known y.
    - E_cons asks that noise changes the prediction little where y is unknown. It is the sum of
      ||y_hat(x) - y_hat(x + e)||^2 over these rows, divided by the number of all rows. The noise e is Gaussian, and no
      gradient flows through y_hat(x).

    Internally each column of y is centred and scaled. NaN, None, NA and masked entries are unknown. Training starts at
    a ridge regression that is fitted to the rows with known y, with W = 0.

    Parameters
    ----------
    alpha : float, default=0.5
        Weight of the reconstruction error, in [0, 1]. With 1 the model is an ``Autoencoder`` and learns nothing about
        y. With 0 it learns no reconstruction.
    consistency : float, default=0.3
        Weight lambda of E_cons. With 0, rows with unknown y count only in the reconstruction error.

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (n_targets,)
        Mean and standard deviation of the known y.
    noise_scale_ : float
        Standard deviation of the noise e, in units of X.
    history_ : dict of str to list of float
        As in ``Autoencoder``, with the terms "prediction" and "consistency", which are in units of ``y_scale_``
        squared. All terms include their weights.
    module_, loss_, n_iter_, mean_, scale_, n_features_in_, feature_names_in_
        As in ``Autoencoder``.

    See Also
    --------
    SemiSupervisedAutoencoder : The same model for classification.
    skae.metrics.reconstruction_r2 : Score of the reconstruction. ``score`` is the R2 of y.

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

    _y_doc: ClassVar[dict[str, str]] = {
        "fit": """y : array-like of shape (n_samples,) or (n_samples, n_targets)
    Target values, and NaN where they are unknown. Each column needs at least one known value."""
    }
