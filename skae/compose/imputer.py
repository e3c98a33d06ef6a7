"""AutoencoderImputer: missing entries, filled from a Gaussian and networks, or from any model that takes gaps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from sklearn.base import OneToOneFeatureMixin
from sklearn.impute import SimpleImputer
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from typing_extensions import Self

from ..base.callbacks import monitored
from ..base.checks import check_x
from ..base.compat import HasMethods, MissingValues
from ..base.damage import Saved
from ..base.mixins import TransformerMixin, fit_context
from ..base.params import PositiveInt, RandomState
from ..base.state import unchanged_on_error
from ..base.typed import Typed
from ..engine.modes import plain_torch
from ._files import IMPUTER
from ._recipe import Recipe
from ._refinement import Refinement
from ._restored import Restored, refuse_unsuitable, weighs

__all__ = ["AutoencoderImputer"]

Model: TypeAlias = Annotated[Any, None, HasMethods(["fit", "transform", "inverse_transform"])]
Missing: TypeAlias = Annotated[Any, MissingValues(numeric_only=True)]
ROWS = 2**14
"""Rows that are filled at a time."""


class AutoencoderImputer(TransformerMixin, Typed):
    """Imputer of missing entries from all other columns at once.

    Observed entries come back as they are. A missing entry is a function of the observed entries of its row. It has the
    parameters and the conventions of scikit-learn's ``IterativeImputer``.

    By default, entries are filled in with

        f + a (net - f), 0 <= a <= 1.

    f is the conditional mean of a Gaussian that is fitted by EM to the observed entries. Held-out observed entries tell
    when EM is to end, and by which factor the covariance is shrunk to its diagonal. net is the mean of four networks,
    f + g([f, mask]) each, that are trained to restore observed entries that were hidden from them: between a tenth and
    a half of those of a row. The trust a in the networks is fitted on held-out observed entries too. If they do not
    improve f there, a is 0 and the Gaussian alone is used.

    With an ``estimator``, missing entries are filled in from its reconstruction. A variational autoencoder fills them
    in by importance weights: with codes h_k drawn from q(h | x_o), where x_o are the observed entries, they are

        sum_k w_k E[x | h_k] / sum_k w_k, w_k = p(x_o | h_k) p(h_k) / q(h_k | x_o).

    Parameters
    ----------
    estimator : object or None, default=None
        A model that takes missing entries in ``fit`` and ``transform``, and that has ``inverse_transform``, such as
        ``Autoencoder`` or ``VariationalAutoencoder``. A clone of it is fitted. It sees each column with mean 0 and
        variance 1, unless its ``likelihood`` or ``visible`` is another than "gaussian", or it is a
        ``TableAutoencoder``. None is the default described above.
    missing_values : int, float, np.nan or pandas.NA, default=np.nan
        What stands for a missing entry in X. NaN and pandas.NA stand for each other.
    n_draws : int, default=64
        Number of codes drawn for each row. Only used by a variational ``estimator``.
    sample_posterior : bool, default=False
        Whether to fill in draws instead of means, for multiple imputation. By default they are drawn from N(0, C)
        around the filled values, where C is the conditional covariance of the Gaussian. From a variational
        ``estimator`` they are drawn by sampling importance resampling. Another ``estimator`` has no draws. For several
        imputations, transform with several values of ``random_state``: ``set_params(random_state=1).transform(X)``
        needs no new fit.
    max_iter : int or "auto", default="auto"
        Number of epochs, in each of which the networks see each row once, with other entries hidden. "auto" is as many
        as 600 steps take, or n_samples / 16 steps if these are more, but at most 2400 steps. A step has 128 rows. Not
        used with an ``estimator``, which has its own.
    add_indicator : bool, default=False
        Whether columns with the mask of missing entries are appended, as by ``MissingIndicator``: for each column that
        had missing entries in ``fit``.
    keep_empty_features : bool, default=False
        Whether columns without any observed entry in ``fit`` are kept, and filled with zeros. Otherwise they are
        dropped.
    random_state : int, RandomState instance or None, default=None
        Seed of the held-out entries, of the networks and of draws. With an int, results are reproducible.

    Attributes
    ----------
    estimator_ : object or None
        The fitted clone of ``estimator``.
    trust_ : float
        How far the networks are trusted, a. NaN with an ``estimator``.
    shrinkage_ : float
        By how much the covariance of the Gaussian is shrunk to its diagonal. NaN with an ``estimator``.
    mean_, scale_ : ndarray of shape (n_features_in_,)
        Mean and standard deviation of the observed entries of each column. The scale of a constant column is 1. Both
        are NaN for a column without observed entries.
    n_iter_ : int
        Number of epochs of the networks, or of the ``estimator``.
    indicator_ : MissingIndicator or None
        What appends the mask, if ``add_indicator``.
    initial_imputer_ : SimpleImputer
        What drops empty columns, and names columns.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X had any.

    See Also
    --------
    sklearn.impute.IterativeImputer : Regresses each column on the others, in turn.
    sklearn.impute.KNNImputer : Fills in means of the nearest rows.

    Notes
    -----
    X may not be sparse, because entries that are not stored are zero and not missing.

    References
    ----------
    Dempster, Laird and Rubin (1977), "Maximum Likelihood from Incomplete Data via the EM Algorithm",
    https://doi.org/10.1111/j.2517-6161.1977.tb01600.x

    Mattei and Frellsen (2019), "MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets",
    https://proceedings.mlr.press/v97/mattei19a.html

    Stekhoven and Buehlmann (2012), "MissForest: Non-parametric Missing Value Imputation for Mixed-type Data",
    https://doi.org/10.1093/bioinformatics/btr597

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderImputer
    >>> X = load_iris().data
    >>> X_gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    >>> imputer = AutoencoderImputer(max_iter=50, random_state=0).fit(X_gaps)
    >>> X_filled = imputer.transform(X_gaps)
    >>> bool(np.abs(X_filled - X).max() < np.abs(np.nanmean(X_gaps, axis=0) - X).max())
    True
    """

    estimator: Model = field(default=None, kw_only=False)
    missing_values: Missing = np.nan
    n_draws: PositiveInt = 64
    sample_posterior: bool = False
    max_iter: PositiveInt | Literal["auto"] = "auto"
    add_indicator: bool = False
    keep_empty_features: bool = False
    random_state: RandomState = None

    _saved: ClassVar[dict[str, Saved]] = IMPUTER
    _inside: ClassVar[tuple[type, ...]] = (Refinement,)

    def _check_parameters(self) -> None:
        """Raise an error for parameters that do not go together."""
        if self.estimator is None:
            return
        refuse_unsuitable(self.estimator)
        if self.sample_posterior and not weighs(self.estimator):
            raise ValueError(
                f"sample_posterior=True needs a density, which {type(self.estimator).__name__} has not: use "
                "VariationalAutoencoder, or estimator=None."
            )

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from the observed entries of X.

        Parameters
        ----------
        X : {array-like, DataFrame, tensor} of shape (n_samples, n_features)
            Numbers, with ``missing_values`` where they are missing.
        y : Ignored
            Present for scikit-learn's pipelines.

        Returns
        -------
        self : object
            The fitted imputer.

        Raises
        ------
        TypeError
            If X is sparse.
        ValueError
            If X or a parameter is not as described, or if ``estimator`` takes no missing entries. The imputer then
            stays as it was before the call.
        """
        self._check_parameters()
        with monitored(self, X, y, None), plain_torch(), unchanged_on_error(self):
            self._fit(self._read(X, reset=True))
        return self

    def _fit(self, X: np.ndarray) -> None:
        plain = SimpleImputer(add_indicator=self.add_indicator, keep_empty_features=self.keep_empty_features)
        self.initial_imputer_ = plain.set_output(transform="default").fit(X)
        known = ~np.isnan(X)
        self._kept = np.flatnonzero(known.any(0))
        rng = self._generator()
        self._filler = Recipe(self.max_iter) if self.estimator is None else Restored(self.estimator, int(self.n_draws))
        self._measure(X, known)
        if len(self._kept):
            self._filler.fit(self._standardised(X), known[:, self._kept], rng)
        self.n_iter_ = max(1, int(getattr(self.estimator_, "n_iter_", getattr(self._filler, "n_epochs", 1))))

    @property
    def indicator_(self) -> Any:
        """What appends the mask, or None."""
        check_is_fitted(self)
        return self.initial_imputer_.indicator_

    @property
    def estimator_(self) -> Any:
        """The fitted clone of ``estimator``, or None."""
        check_is_fitted(self)
        return self._filler.estimator if isinstance(self._filler, Restored) else None

    @property
    def trust_(self) -> float:
        """How far the networks are trusted. NaN with an ``estimator``."""
        check_is_fitted(self)
        return np.nan if isinstance(self._filler, Restored) else self._filler.trust

    @property
    def shrinkage_(self) -> float:
        """By how much the covariance of the Gaussian is shrunk to its diagonal. NaN with an ``estimator``."""
        check_is_fitted(self)
        return np.nan if isinstance(self._filler, Restored) else getattr(self._filler, "shrinkage", 0.0)

    def transform(self, X: Any) -> np.ndarray:
        """Fill in the missing entries of X.

        Parameters
        ----------
        X : {array-like, DataFrame, tensor} of shape (n_samples, n_features)
            Numbers, with ``missing_values`` where they are missing.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features_out)
            A copy of X with its observed entries as they are. Columns without observed entries in ``fit`` are left out
            unless ``keep_empty_features``, and ``add_indicator`` appends columns. It is of dtype float64, or float32 if
            X is.

        Raises
        ------
        TypeError
            If X is sparse.
        ValueError
            If X has other columns than in ``fit``, or holds infinity.
        """
        check_is_fitted(self)
        X = self._read(X, reset=False)
        filled: np.ndarray = self.initial_imputer_.transform(X)
        rows = np.flatnonzero(np.isnan(X[:, self._kept]).any(1))
        columns = self._kept if self.keep_empty_features else np.arange(len(self._kept))
        with plain_torch(grad=False):
            for part, values in self._filled(X, rows):
                missing = np.isnan(X[np.ix_(part, self._kept)])
                at = part[np.nonzero(missing)[0]], columns[np.nonzero(missing)[1]]
                filled[at] = values[missing]
        return filled

    def _filled(self, X: np.ndarray, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Row numbers, and these rows with their missing entries filled, some at a time and in units of X."""
        rng = self._generator() if self.sample_posterior else None
        rows = np.arange(len(X)) if rng is not None and len(rows) else rows  # the draws of a row depend on its place
        mean, scale = self._frame()
        for start in range(0, len(rows), ROWS):
            part = rows[start : start + ROWS]
            x, known = self._standardised(X[part]), ~np.isnan(X[np.ix_(part, self._kept)])
            values = self._filler.complete(x, known) if rng is None else self._filler.draw(x, known, rng)
            yield part, mean + scale * values

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns that ``transform`` returns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns of X. They must be ``feature_names_in_``, if X had names. None uses these, or "x0",
            "x1", and so on.

        Returns
        -------
        feature_names_out : ndarray of str
        """
        names = OneToOneFeatureMixin.get_feature_names_out(self, input_features)
        found: np.ndarray = self.initial_imputer_.get_feature_names_out(names)
        return found

    # ---------------------------------------------------------------- rows with gaps

    def _read(self, X: Any, reset: bool) -> np.ndarray:
        """X as an array in which NaN stands for missing entries."""
        X = check_x(self, X, reset=reset, look_through=True)
        if isinstance(X, Tensor):
            X = X.cpu().numpy()
        if not isinstance(X, np.ndarray):
            raise TypeError(
                "X is sparse, but the entries that it does not store are zero and not missing: pass X.toarray()."
            )
        X = np.ascontiguousarray(X)
        if self._allows_nan():
            return X
        return np.where(self.missing_values == X, X.dtype.type(np.nan), X)

    def _generator(self) -> np.random.RandomState:
        """A new generator. Its numbers are not those with which a user has made gaps with the same seed."""
        return np.random.RandomState(check_random_state(self.random_state).randint(2**31 - 1))

    def _allows_nan(self) -> bool:
        """Whether NaN stands for a missing entry."""
        return _is_na(self.missing_values) or self.missing_values != self.missing_values

    def _measure(self, X: np.ndarray, known: np.ndarray) -> None:
        """Mean and deviation of the observed entries of each column. Those of a constant column are exact."""
        count = known.sum(0)
        first = X[known.argmax(0), np.arange(X.shape[1])].astype(float)
        with np.errstate(all="ignore"):
            centred = np.where(known, X - first, 0.0)
            shift = centred.sum(0) / count
            scale = np.sqrt(np.where(known, np.square(centred - shift), 0.0).sum(0) / count)
        self.mean_, self.scale_ = first + shift, np.where(scale == 0.0, 1.0, scale)
        wrong = np.flatnonzero(~np.isfinite(self.mean_ + self.scale_) & (count > 0))
        if len(wrong):
            raise ValueError(f"Column {wrong[0]} of X has values so large that their variance is infinite: rescale X.")

    def _frame(self) -> tuple[np.ndarray, np.ndarray]:
        """Offset and scale with which the kept columns are seen."""
        if isinstance(self._filler, Restored) and not self._filler.standardizes:
            return np.zeros(len(self._kept)), np.ones(len(self._kept))
        return self.mean_[self._kept], self.scale_[self._kept]

    def _standardised(self, X: np.ndarray) -> np.ndarray:
        """The kept columns of rows as they are seen, with the mean of their column where an entry is missing."""
        x, (mean, scale) = X[:, self._kept].astype(float), self._frame()
        return np.where(np.isnan(x), (self.mean_[self._kept] - mean) / scale, (x - mean) / scale)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = bool(self._allows_nan())
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _is_na(value: Any) -> bool:
    return type(value).__name__ == "NAType"
