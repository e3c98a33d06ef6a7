"""TableAutoencoder: a code of the rows of a data frame with numbers, categories, dates and gaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field
from numbers import Integral
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from typing_extensions import Self

from ..base.callbacks import monitored
from ..base.checks import check_weight, require_positive
from ..base.compat import Interval
from ..base.damage import Saved
from ..base.mixins import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, available_if, fit_context
from ..base.params import PositiveInt, RandomState
from ..base.state import unchanged_on_error
from ..base.typed import Typed
from ..variational import VariationalAutoencoder
from ._cells import Cells, read
from ._schema import Schema, schema_of
from ._table_files import TABLE

__all__ = ["TableAutoencoder"]

Kinds: TypeAlias = Annotated[Mapping[Any, str], dict]
Several: TypeAlias = Annotated[int, Interval(Integral, 2, None, closed="left")]
MOST_COMPONENTS = 32
"""Largest width of the code that is chosen."""


def _samples(table: Any) -> bool:
    """Whether the autoencoder inside is a generative model. scikit-learn calls this when it looks for the method."""
    inside = getattr(table, "estimator_", table.estimator)
    return inside is None or hasattr(inside, "sample")


class TableAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Typed):
    """Code of the rows of a table with numbers, categories, strings, booleans, dates and gaps.

    A pandas or polars frame goes in as it is, and comes back as it was: ``inverse_transform`` and ``sample`` return a
    frame of the same library, with the same columns, dtypes and categories. Missing entries of every dtype (None, NaN,
    NaT, pd.NA, null) are gaps, and the code is learnt from the entries that are there. An array is a table too.

    The table is encoded as columns of an autoencoder with ``likelihood="mixed"``, by the dtype of each column:

    - booleans, and whole numbers that are all 0 or 1: "bernoulli", one column.
    - whole numbers: "poisson" if they look like counts. Counts are not negative, one of them is 0, there are at most
      20 distinct ones, and their variance is at least half their mean. Otherwise they are "gaussian", and are rounded
      when they come back.
    - other numbers, dates, times and durations: "gaussian", one column.
    - strings, categories and other objects: "categorical", one column for each category.

    ``columns`` may say otherwise. It has one kind more, "text": five numbers that are near for strings which share
    groups of letters. ``inverse_transform`` then gives the most similar text of the training rows. An array of numbers
    is a table of "gaussian" columns.

    Parameters
    ----------
    n_components : int or None, default=None
        Width of the code. None is that of ``estimator``, or, without one, as many as there are columns, from 2 to 32. A
        variational autoencoder leaves out components that it does not need, and its samples look best so.
    estimator : estimator or None, default=None
        An autoencoder that has ``likelihood="mixed"``, such as ``Autoencoder`` or ``VariationalAutoencoder``. It is
        cloned, and gets ``likelihood``, ``columns`` and ``n_components``. None is
        ``VariationalAutoencoder(variance="column")``, whose score is a bound of the log-likelihood, and which draws
        samples.
    columns : dict or None, default=None
        Kinds of columns by name, or by number for an array: "gaussian", "bernoulli", "poisson", "categorical" or
        "text". Those that are not named follow from their dtypes.
    numbers : {"normal", "standard"}, default="normal"
        What is done to "gaussian" columns first. "normal" maps them to a normal distribution by their ranks. Samples
        then have the distribution of the training rows in each column, and an outlier has no weight of its own.
        Numbers beyond the training rows count as the smallest or the largest of them. "standard" leaves them as they
        are, but for mean and standard deviation.
    max_categories : int, default=30
        Largest number of columns for one categorical column. If there are more categories, the rarest of them share
        the last column. ``inverse_transform`` gives the most frequent of these, and ``sample`` draws one of them.
    handle_unknown : {"warn", "error"}, default="warn"
        What is done about a category that no training row had. "warn" takes it as a rare category if there are such,
        and as missing otherwise, with one warning for each column. "error" raises an error.
    random_state : int, RandomState instance or None, default=None
        Seed of ``estimator``, if that has none of its own, and of ``sample``.

    Attributes
    ----------
    estimator_ : estimator
        The fitted autoencoder of the encoded table, with ``history_``, ``loss_`` and ``module_``.
    columns_ : dict of str
        Kind of each column.
    n_features_in_ : int
        Number of columns of the table.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if they are all strings.

    See Also
    --------
    sklearn.compose.ColumnTransformer : Encodes columns of a frame, but cannot go back.
    skae.Autoencoder : Its ``columns`` are what the table is encoded as.

    References
    ----------
    Nazabal, Olmos, Ghahramani and Valera (2020), "Handling Incomplete Heterogeneous Data Using VAEs",
    https://doi.org/10.1016/j.patcog.2020.107501

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skae import TableAutoencoder
    >>> rng = np.random.RandomState(0)
    >>> size = rng.normal(size=300)
    >>> frame = pd.DataFrame({
    ...     "length": 10 + size + 0.1 * rng.normal(size=300),
    ...     "class": pd.Categorical(np.where(size > 0, "large", "small")),
    ...     "n_seeds": rng.poisson(np.exp(size)),
    ... })
    >>> frame.loc[::5, "length"] = np.nan
    >>> model = TableAutoencoder(1, random_state=0).fit(frame)
    >>> model.columns_
    {'length': 'gaussian', 'class': 'categorical', 'n_seeds': 'poisson'}
    >>> restored = model.inverse_transform(model.transform(frame))
    >>> bool((restored["class"] == frame["class"]).mean() > 0.9), bool((restored.dtypes == frame.dtypes).all())
    (True, True)
    >>> model.sample(3, random_state=0).shape
    (3, 3)
    """

    n_components: PositiveInt | None = field(default=None, kw_only=False)
    estimator: BaseEstimator | None = None
    columns: Kinds | None = None
    numbers: Literal["normal", "standard"] = "normal"
    max_categories: Several = 30
    handle_unknown: Literal["warn", "error"] = "warn"
    random_state: RandomState = None

    _saved: ClassVar[dict[str, Saved]] = TABLE

    # ---------------------------------------------------------------- fitting

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model to the rows of a table.

        Parameters
        ----------
        X : pandas.DataFrame, polars.DataFrame or array-like of shape (n_samples, n_features)
        y : Ignored
            Present for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows. Only their ratios matter.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError
            If X is a table of another library, or a path.
        ValueError
            If a column or a row has no known entry, a number is infinite, an entry does not suit the kind of its
            column, or a parameter is not as described. The estimator then stays as it was.
        """
        self._check_parameters()
        sheet, cells = read(X)
        names = _names(X, len(cells))
        _require_rows(cells)
        weight = check_weight(sample_weight, len(cells[0].values))
        is_normal = self.numbers == "normal"
        schema = schema_of(names, cells, weight, self.columns, self.max_categories, is_normal)
        estimator = self._new_estimator(schema)
        with monitored(self, X, y, sample_weight), unchanged_on_error(self):
            validate_data(self, X, reset=True, skip_check_array=True)
            estimator.fit(schema.encoded(cells), sample_weight=weight)
            self.estimator_, self._schema, self._sheet = estimator, schema, sheet
        return self

    def _check_parameters(self) -> None:
        """Raise an error for an estimator that cannot have a mixed likelihood."""
        if self.estimator is not None and not {"columns", "likelihood"} <= set(self.estimator.get_params(deep=False)):
            raise ValueError(
                f"estimator={self.estimator!r} has no likelihood='mixed': pass an autoencoder that has, such as "
                "Autoencoder() or VariationalAutoencoder()."
            )

    def _new_estimator(self, schema: Schema) -> Any:
        """The autoencoder to fit."""
        if self.estimator is None:
            made: Any = VariationalAutoencoder(variance="column")
        else:
            made = clone(self.estimator)
        if made.get_params(deep=False).get("random_state") is None and self.random_state is not None:
            made.set_params(random_state=int(check_random_state(self.random_state).randint(2**31 - 1)))
        n_components = self.n_components
        if n_components is None and self.estimator is None:
            n_components = max(2, min(MOST_COMPONENTS, len(schema.variables)))
        if n_components is not None:
            made.set_params(n_components=int(n_components))
        return made.set_params(likelihood="mixed", columns=schema.columns)

    # ---------------------------------------------------------------- using

    @property
    def columns_(self) -> dict[Any, str]:
        """Kind of each column, by its name."""
        check_is_fitted(self)
        return {variable.name: variable.kind for variable in self._schema.variables}

    def encode(self, X: Any) -> np.ndarray:
        """The table of numbers that the autoencoder inside is given.

        Parameters
        ----------
        X : pandas.DataFrame, polars.DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_encoded), float64
            Columns of one kind are adjacent: "gaussian", "bernoulli", "poisson" and "categorical". NaN is missing.
        """
        check_is_fitted(self)
        _, cells = read(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        _require_rows(cells)
        return self._schema.encoded(cells, self.handle_unknown)

    def transform(self, X: Any) -> np.ndarray:
        """Encode rows.

        Parameters
        ----------
        X : pandas.DataFrame, polars.DataFrame or array-like of shape (n_samples, n_features)
            A table with the columns of the one that was fitted.

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)
            The code of each row.

        Raises
        ------
        ValueError
            If columns are missing or in another order, an entry does not suit its column, or a row has no known entry.
        """
        rows = self.encode(X)
        return self.estimator_.transform(rows)

    def inverse_transform(self, X: Any) -> Any:
        """Decode codes into rows of the table.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        X : pandas.DataFrame, polars.DataFrame or ndarray of shape (n_samples, n_features)
            As the table that was fitted. A number is the mean given the code, after the map that ``numbers`` says is
            undone, and a category the most probable one. Nothing is missing.
        """
        check_is_fitted(self)
        rows = self.estimator_.inverse_transform(X)
        return self._sheet.written(self._schema.decoded(rows), getattr(X, "index", None))

    @available_if(_samples)
    def sample(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """Draw rows that look like those of the table.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. None uses the estimator's ``random_state``.

        Returns
        -------
        X : pandas.DataFrame, polars.DataFrame or ndarray of shape (n_samples, n_features)
            As the table that was fitted. Nothing is missing.

        Raises
        ------
        ValueError
            If ``n_samples`` is below 1.
        """
        check_is_fitted(self)
        require_positive(n_samples=n_samples)
        seeds = check_random_state(self.random_state if random_state is None else random_state)
        of_rows, of_levels = (int(seed) for seed in seeds.randint(2**31 - 1, size=2))
        rows = self.estimator_.sample(n_samples, random_state=of_rows)
        return self._sheet.written(self._schema.decoded(rows, of_levels, drawn=True))

    def score_samples(self, X: Any) -> np.ndarray:
        """Scores of the rows by the autoencoder inside.

        Parameters
        ----------
        X : pandas.DataFrame, polars.DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            For a generative model a bound of the log-likelihood of the observed entries of the encoded row, in nats.
            For others minus the sum over the observed entries of their squared errors over their variances.
        """
        rows = self.encode(X)
        scores: np.ndarray = self.estimator_.score_samples(rows)
        return scores

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Score of the autoencoder inside.

        Parameters
        ----------
        X : pandas.DataFrame, polars.DataFrame or array-like of shape (n_samples, n_features)
        y : Ignored
            Present for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows.

        Returns
        -------
        score : float
            For a generative model the mean of ``score_samples``. For others the mean R2 of the columns, where the
            squared error of a category is that of its probabilities.
        """
        rows = self.encode(X)
        return float(self.estimator_.score(rows, sample_weight=sample_weight))

    # ---------------------------------------------------------------- scikit-learn

    @property
    def _n_features_out(self) -> int:
        return int(self.estimator_._n_features_out)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _names(X: Any, n_columns: int) -> list[Any]:
    """Names of the columns of a frame, or numbers."""
    names = list(X.columns) if hasattr(X, "columns") else list(range(n_columns))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"X has two columns of the name {twice[0]!r}: rename one.")
    return names


def _require_rows(columns: Sequence[Cells]) -> None:
    if not columns:
        raise ValueError("Found array with 0 feature(s): a minimum of 1 is required.")
    if len(columns[0].values) == 0:
        raise ValueError(f"Found array with 0 sample(s), of {len(columns)} columns: a minimum of 1 is required.")
