"""OutlierDetector: rows that are unlike the others, by any model of this package."""

from __future__ import annotations

from dataclasses import field
from numbers import Real
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data
from typing_extensions import Self

from ..base.callbacks import monitored
from ..base.checks import check_x, look_for_gaps
from ..base.compat import Interval
from ..base.damage import Saved
from ..base.mixins import BaseEstimator, OutlierMixin, fit_context
from ..base.params import RandomState
from ..base.state import unchanged_on_error
from ..base.typed import Typed
from ..engine.data import Array, chunks, to_tensor
from ..engine.notices import warn
from ..exceptions import NothingLearntWarning
from ._blame import contributions
from ._errors import ShortAutoencoders
from ._files import DETECTOR
from ._near import Near, standard_frame, weight_of
from .table import TableAutoencoder

__all__ = ["OutlierDetector"]

FENCE = 1.5
"""Interquartile ranges below the lower quartile at which outliers begin (Tukey, 1977)."""
Share: TypeAlias = Annotated[float, Interval(Real, 0, 0.5, closed="right")]
MOST_SEED = 2**31 - 1
MOST_ROWS = 10_000
"""Rows of which medians are taken."""
MOST_MASKED = 1000
"""Rows of which entries are hidden."""


class OutlierDetector(OutlierMixin, Typed):
    """Detector of rows that are unlike the others, with scikit-learn's outlier interface.

    The detector is robust to outliers among its own training rows. By default it combines two signs of an outlier:

        score(x) = -(log e(x) + log r(x)) / 2.

    e(x) says how unusual the row is for five small autoencoders: the root mean square of its errors, each in deviations
    of this error in its column, and of the coordinates of its code, scaled to covariance I. It is large if the columns
    do not go together as they usually do. r(x) is the distance of the row from the nearest of 16 random training rows,
    as a root mean square difference in standard deviations of the columns. It is large where few rows are. log e is
    averaged over the autoencoders, and log r over 20 samples of 16 rows. A row whose score is lower by log 2 has
    deviations and distances that are twice as long.

    Of a row with missing entries, both are taken over the others. Such rows would score higher, because near rows are
    easier to find in few columns. How much higher is measured on training rows of which entries are hidden, as a
    quadratic function of log(n_features / number of known entries), and subtracted.

    A fitted detector, and so its file, holds these 320 rows.

    Training rows far from all samples have small weights: a row at t times the median distance counts as t^-4. So they
    are hardly learnt. An ``estimator`` is fitted with the same weights.

    Parameters
    ----------
    estimator : object or None, default=None
        An unfitted estimator with ``fit`` and ``score_samples``, in which usual rows have high scores, such as any
        autoencoder or Boltzmann machine of this package. A clone of it is fitted, and its ``score_samples`` are the
        scores. If it has no ``random_state``, its seed is drawn from that of the detector. None is the default
        described above.
    contamination : "auto" or float in (0, 0.5], default="auto"
        Share of outliers among the training rows, which sets ``offset_``. With a number, the scores of this share of
        the training rows are below ``offset_``. "auto" draws the line as a box plot does: a row is an outlier if its
        score is more than 1.5 interquartile ranges below the lower quartile of the scores of the training rows. Of
        normally distributed scores these are 0.35 %.
    random_state : int, RandomState instance or None, default=None
        Seed of the samples, of the autoencoders and of the orders of columns in ``explain``. With an int, results are
        reproducible.

    Attributes
    ----------
    estimator_ : object
        The fitted clone of ``estimator``, or the autoencoders.
    offset_ : float
        Score below which a row is an outlier.
    reference_ : ndarray of shape (n_features_in_,)
        Median of each column, with which ``explain`` compares rows. With a ``TableAutoencoder`` it is an encoded row,
        with the most frequent categories.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X had any.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Isolates rows by random splits, one column at a time.
    skae.inspection.OutlierDisplay : Draws what ``explain`` returns.

    References
    ----------
    Pang, Ting and Albrecht (2015), "LeSiNN: Detecting Anomalies by Identifying Least Similar Nearest Neighbours",
    https://doi.org/10.1109/ICDMW.2015.62

    Chen, Sathe, Aggarwal and Turaga (2017), "Outlier Detection with Autoencoder Ensembles",
    https://doi.org/10.1137/1.9781611974973.11

    Strumbelj and Kononenko (2014), "Explaining Prediction Models and Individual Predictions with Feature
    Contributions", https://doi.org/10.1007/s10115-013-0679-x

    Tukey (1977), "Exploratory Data Analysis".

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from skae import OutlierDetector
    >>> X = load_wine(as_frame=True).data
    >>> X.loc[7, "ash"] = 23.0  # it is 2.3 in other rows
    >>> detector = OutlierDetector(random_state=0).fit(X)
    >>> int(detector.score_samples(X).argmin()), int(detector.predict(X)[7])
    (7, -1)
    >>> str(X.columns[detector.explain(X[7:8])[0].argmax()])
    'ash'

    Any model of this package:

    >>> from skae import RBM
    >>> model = OutlierDetector(RBM(8, hidden="relu", max_iter=5), contamination=0.1, random_state=0)
    >>> int((model.fit_predict(X) == -1).sum())
    18
    """

    estimator: BaseEstimator | None = field(default=None, kw_only=False)
    contamination: Share | Literal["auto"] = "auto"
    random_state: RandomState = None

    _saved: ClassVar[dict[str, Saved]] = DETECTOR
    _inside: ClassVar[tuple[type, ...]] = (ShortAutoencoders,)

    def _check_parameters(self) -> None:
        """Raise an error for an estimator that cannot judge rows."""
        if self.estimator is not None and not hasattr(self.estimator, "score_samples"):
            raise ValueError(
                f"estimator={self.estimator!r} has no score_samples, by which rows are judged: pass a model that has "
                "it, such as Autoencoder()."
            )

    # ---------------------------------------------------------------- fitting

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what usual rows are like.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Numbers. At least two rows. NaN is an entry that is missing, unless the ``estimator`` takes none. With a
            ``TableAutoencoder`` X is a frame with columns of any kind.
        y : Ignored
            Present for scikit-learn's pipelines.

        Returns
        -------
        self : object
            The fitted detector.

        Raises
        ------
        ValueError
            If X or a parameter is not as described, or if the ``estimator`` raises it. The detector then stays as it
            was before the call.
        """
        self._check_parameters()
        with monitored(self, X, y, None), unchanged_on_error(self):
            if isinstance(self.estimator, TableAutoencoder):
                self._fit_table(X)
                return self
            X = check_x(self, X, reset=True, look_through=True)
            look_for_gaps(self, X, columns=True)
            self._fit(X)
        return self

    def _fit_table(self, X: Any) -> None:
        """Fit to a frame. Distances of its rows are not defined, and so all rows have the same weight."""
        _require_rows(len(X))
        model = self._unfitted(check_random_state(self.random_state)).fit(X)
        validate_data(self, X, reset=True, skip_check_array=True)
        self.estimator_, self.reference_ = model, model._schema.typical(model.encode(X))
        self.offset_ = _offset(self._scores(X), self.contamination)

    def _fit(self, X: Array) -> None:
        _require_rows(X.shape[0])
        rng = check_random_state(self.random_state)
        model = self._unfitted(rng)
        near = Near(X, standard_frame(X), rng)
        log_distance = near.log_distance(X)
        if has_fit_parameter(model, "sample_weight"):
            model.fit(X, sample_weight=weight_of(log_distance))
        else:
            model.fit(X)
        self.estimator_, self._near = model, near
        self.reference_ = _medians(X)
        if isinstance(model, ShortAutoencoders):
            self._ease = self._measure_ease(_some_rows(X, MOST_MASKED), np.random.RandomState(self._seed))
        scores = self._scores(X)
        self.offset_ = _offset(scores, self.contamination)

    def _measure_ease(self, rows: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """By how much a row scores higher if entries are hidden: the coefficients of ``_sparsity``."""
        kept = rng.rand(*rows.shape) < rng.rand(len(rows), 1)
        one = np.where(np.isnan(rows), -1.0, rng.rand(*rows.shape)).argmax(1)
        kept[np.arange(len(rows)), one] = True
        masked = np.where(kept, rows, np.nan)
        ease: np.ndarray = np.linalg.lstsq(_sparsity(masked) - _sparsity(rows), self._raw(masked) - self._raw(rows))[0]
        return ease

    def _unfitted(self, rng: np.random.RandomState) -> Any:
        """A clone of the estimator, or the autoencoders of the default, with a seed."""
        model: Any = ShortAutoencoders() if self.estimator is None else clone(self.estimator)
        self._seed = int(rng.randint(MOST_SEED))
        if "random_state" in model.get_params() and model.get_params()["random_state"] is None:
            model.set_params(random_state=int(rng.randint(MOST_SEED)))
        return model

    # ---------------------------------------------------------------- using

    def score_samples(self, X: Any) -> np.ndarray:
        """How usual each row is.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            The higher, the more usual. With an ``estimator`` they are its ``score_samples``.
        """
        return self._scores(self._checked(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """By how much the score of each row is above ``offset_``.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        decision : ndarray of shape (n_samples,), float64
            ``score_samples(X) - offset_``. It is negative for outliers.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Whether each row is an outlier.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
            -1 for outliers and 1 for other rows.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def explain(self, X: Any) -> np.ndarray:
        """Which columns make each row strange.

        A row is compared with ``reference_``, the median of each column. The entries of the reference are replaced by
        those of the row, one after another, and each lowers the score by something. The contribution of a column is the
        mean of this over random orders of the columns, its Shapley value. It takes 2 to 16 random orders and their
        reverses, so at least 4 n_features rows are scored for a row of X.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            A few rows, such as those that ``predict`` calls outliers.

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features), float64
            Positive for columns that make the row stranger than the reference, and negative for columns that make it
            more usual. The sum of a row is ``score_samples(reference_) - score_samples(X)``. A missing entry
            contributes 0, and is then missing in the reference too.
        """
        X, rng = self._checked(X), np.random.RandomState(self._seed)
        if isinstance(self.estimator_, TableAutoencoder):
            inside, owner = self.estimator_.estimator_, self.estimator_._schema.owner
            return contributions(inside.score_samples, self.estimator_.encode(X), self.reference_, rng, owner)
        rows = to_tensor(X).cpu().double().numpy()
        return contributions(self._scores, rows, self.reference_, rng)

    def _checked(self, X: Any) -> Any:
        check_is_fitted(self)
        if isinstance(self.estimator_, TableAutoencoder):
            return X
        X = check_x(self, X, reset=False, look_through=True)
        look_for_gaps(self, X, columns=False)
        return X

    def _scores(self, X: Any) -> np.ndarray:
        scores: np.ndarray
        if isinstance(self.estimator_, ShortAutoencoders):
            scores = self._raw(X) - _sparsity(X) @ self._ease
        else:
            scores = np.asarray(self.estimator_.score_samples(X), dtype=np.float64)
        return scores

    def _raw(self, X: Array) -> np.ndarray:
        """The score before it is made comparable with those of rows that have more entries."""
        raw: np.ndarray = -(self.estimator_.log_deviation(X) + self._near.log_distance(X)) / 2
        return raw

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        of_model = get_tags(ShortAutoencoders() if self.estimator is None else self.estimator).input_tags
        for name in ("sparse", "allow_nan", "string", "categorical"):
            setattr(tags.input_tags, name, getattr(of_model, name))
        return tags


def _require_rows(n: int) -> None:
    if n < 2:
        raise ValueError(f"OutlierDetector compares rows and needs at least 2; got n_samples = {n}.")


def _medians(X: Array) -> np.ndarray:
    """The median of the observed entries of each column, in at most 10 000 rows that are evenly spaced."""
    medians: np.ndarray = np.nanmedian(_some_rows(X, MOST_ROWS), axis=0)
    return medians


def _some_rows(X: Array, most: int) -> np.ndarray:
    """At most that many rows, evenly spaced."""
    rows: np.ndarray = to_tensor(X[:: -(-X.shape[0] // most)]).cpu().double().numpy()
    return rows


def _sparsity(X: Array) -> np.ndarray:
    """L and l^2 of each row, where l = log(number of columns / number of known entries). 0 for rows without gaps."""
    known = np.empty(X.shape[0])
    for rows in chunks(*X.shape):
        known[rows] = (~to_tensor(X[rows]).isnan()).sum(1).cpu().numpy()
    log = np.log(X.shape[1] / known)
    return np.column_stack([log, log * log])


def _offset(scores: np.ndarray, contamination: Any) -> float:
    """The score below which a row is an outlier, given those of the training rows."""
    if scores.min() == scores.max():
        warn("All training rows have the same score: look whether they differ in any column.", NothingLearntWarning)
    if contamination != "auto":
        return float(np.percentile(scores, 100.0 * contamination))
    lower, upper = np.percentile(scores, [25, 75])
    return float(lower - FENCE * (upper - lower))
