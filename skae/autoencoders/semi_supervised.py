"""SemiSupervisedAutoencoder, a classifier, and its twin for regression: few labels and many rows."""

from __future__ import annotations

from numbers import Real
from typing import Annotated, Any, ClassVar

import torch
from sklearn.utils.metaestimators import available_if
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Self

from ..base.compat import Interval
from ..base.labels import Told
from ..base.params import NonNegative
from ..base.prediction import ClassPrediction, Known, NumberPrediction, Prediction, with_labels_in_every_batch
from ..base.transformer import is_stochastic
from ..engine.data import Batch, Source, Subset, Table, rows_of
from ..engine.optim import Flat, Optimizer, Terms
from ..engine.train import Plan, backward, minimise
from ..functional import average
from ..nn.bottleneck import Bottleneck
from ..nn.heads import PredictingAutoencoder
from .dense import Autoencoder

__all__ = ["SemiSupervisedAutoencoder", "SemiSupervisedAutoencoderRegressor"]

N_START = 4096
"""Labelled rows, spread over the data, to which the linear model at the start is fitted."""


class _Predicting(Prediction, Autoencoder):
    """What the classifier and the regressor share: the loss, the batches and the start.

    Parameters
    ----------
    n_components : int, default=16
        Width of the code.
    alpha : float, default=0.1
        Weight of the reconstruction, in [0, 1]. 1 is ``Autoencoder``, and nothing is learnt of y;
        0 reconstructs nothing.
    consistency : float, default=3.0
        Weight lambda of the consistency under noise. At 0 rows without a label only help to
        reconstruct.
    noise_level : float, default=0.5
        Standard deviation of that noise, in units of the root mean variance of the columns.

    Attributes
    ----------
    noise_scale_ : float
        Standard deviation of the noise, in units of X.
    """

    n_components = 16
    alpha: Annotated[float, Interval(Real, 0, 1, closed="both")] = 0.1
    consistency: NonNegative = 3.0
    noise_level: NonNegative = 0.5

    _Module: ClassVar[type[nn.Module]] = PredictingAutoencoder

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
        """What the predictions of a batch cost."""
        beta = 1.0 - self.alpha
        output = module.predict(batch.shown, h)
        terms = {"prediction": beta * self._misfit(output, batch.y)}
        if rng is None or not self._draws_noise():
            return terms
        return {**terms, "consistency": beta * self.consistency * self._inconsistency(module, batch, output, rng)}

    def _inconsistency(self, module: Any, batch: Batch, output: Tensor, rng: torch.Generator) -> Tensor:
        """How far noise on x moves the predictions of the rows without a label; in mean over all rows."""
        noise = torch.empty_like(batch.x).normal_(generator=rng)
        x = torch.add(batch.shown, noise, alpha=float(self.noise_scale_ / self.scale_))
        nearby = self._link(module.predict(x, module.encode(x, rng)))
        moved = (nearby - self._link(output.detach())).square().sum(1)
        return average(moved * ~Known.of(batch.y).rows, batch.weight)

    # ---------------------------------------------------------------- start and batches

    def _initialise(self, module: Any, data: Table, rng: torch.Generator) -> None:
        super()._initialise(module, data, rng)
        labelled = torch.nonzero(Known.of(data.y).rows).squeeze(1)
        if self.alpha < 1.0 and len(labelled):
            self._start_at_linear_model(module, Subset(data, labelled[:: -(-len(labelled) // N_START)]), rng)

    def _start_at_linear_model(self, module: Any, labelled: Subset, rng: torch.Generator) -> None:
        """Fit the layer from x alone, with the L2 penalty of LogisticRegression(C=1) and Ridge(alpha=1)."""
        n = len(labelled)
        everything = labelled[torch.arange(n, device=labelled.device)]
        share = float(Known.of(everything.y).count.mean()) / n

        def step(batch: Batch) -> Terms:
            return backward({"prediction": self._misfit(module.shortcut(module.likelihood.embed(batch.x)), batch.y)})

        plan = Plan(batch_size=n, max_iter=100, shuffle=False)
        minimise(step, labelled, Flat(module.shortcut), Optimizer("lbfgs", weight_decay=share), plan, rng)

    def _split(self, data: Any) -> tuple[Source, Subset | None]:
        train, held_out = super()._split(data)
        if self.alpha == 1.0 or len(train) <= self._batch_size(len(train)):
            return train, held_out
        return with_labels_in_every_batch(data, rows_of(train)), held_out

    # ---------------------------------------------------------------- using

    def _output(self, module: Any, batch: Batch) -> Tensor:
        output = module.predict(batch.x, self._encode(module, batch))
        return F.pad(output, (0, self._n_predictions() - output.shape[1]))  # alpha=1 has no layer that predicts


class SemiSupervisedAutoencoder(ClassPrediction, _Predicting):
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
    skae.metrics.reconstruction_r2 : Scores the reconstruction; ``score`` is the accuracy.
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

    _y_doc: ClassVar[dict[str, str]] = {
        "fit": """y : array-like of shape (n_samples,)
    Labels; -1, None or NaN where there is none. At least two classes must have one."""
    }

    @available_if(is_stochastic)
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


class SemiSupervisedAutoencoderRegressor(NumberPrediction, _Predicting):
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
    skae.metrics.reconstruction_r2 : Scores the reconstruction; ``score`` is the R2 of y.

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
    Numbers; NaN where they are unknown. Each column must have one."""
    }
