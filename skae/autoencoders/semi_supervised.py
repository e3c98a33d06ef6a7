"""SemiSupervisedAutoencoder, a classifier, and its twin for regression: few labels and many rows."""

from __future__ import annotations

from typing import Any

from sklearn.utils.metaestimators import available_if
from typing_extensions import Self

from ..base.estimator import _is_stochastic
from ..base.labels import Told
from ..base.prediction import ClassPrediction, NumberPrediction
from ._predicting import Predicting

__all__ = ["SemiSupervisedAutoencoder", "SemiSupervisedAutoencoderRegressor"]


class SemiSupervisedAutoencoder(ClassPrediction, Predicting):
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


class SemiSupervisedAutoencoderRegressor(NumberPrediction, Predicting):
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
