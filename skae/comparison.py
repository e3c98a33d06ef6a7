"""compare(): cross-validation of PCA and other reducers on the same folds."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from .autoencoders import Autoencoder
from .engine.notices import reworded
from .evaluation import Fold, evaluate, evaluate_baselines, fit
from .exceptions import DisconnectedGraphWarning
from .finished import Finished, Nothing, description
from .folds import check_table, fold_of, splits_of
from .maps import NeighborAutoencoder
from .peers import is_map, lacking, prepare, quiet

__all__ = ["Comparison", "compare"]

MAP_SIZE = 2
"""Number of components of maps, if no number is given."""
BASELINES = "all columns"
"""Name under which what all columns and a guess get is kept, with 0 components, which no reducer has."""


@dataclass
class Comparison:
    """The result of ``compare``: scores of all reducers, and the models of the first fold.

    Attributes
    ----------
    rows : list of dict
        One row for each reducer and number of components, with the keys "reducer" and "n_components". The other keys
        are means over the folds: "r2" is the R2 of the held-out reconstruction. "linear" and "knn" are the accuracy, or
        the R2 of a regression, of a model on the code. "neighbors" is the share of neighbours kept: of the 15 nearest
        other held-out rows of a row, those that are among its 15 nearest on the code, see
        ``skae.metrics.neighborhood_preservation``. It is a tenth of the held-out rows if that is less than 15. Times
        are medians over the folds. So what a package compiles in its first fit does not count, if there are more than
        two folds. "fit_seconds" is the time of ``fit``. "rows_per_second" is the speed of ``transform``. A value is
        None if the reducer or the data do not have it, or if a fold is too small for it. A reducer without
        ``transform``, such as t-SNE, has only "fit_seconds".
    folds : list of dict
        The same values, with one row for each fold.
    estimators : dict
        The models that were fitted to the training rows of the first fold, by (reducer, n_components).
    X_test : ndarray of shape (n_test, n_features)
        The held-out rows of the first fold.
    y_test : ndarray of shape (n_test,), or None
        Their targets. None without a target.
    baselines : list of dict
        Two rows with the same keys as ``rows``, to judge the other rows by. "all columns" has the scores of the same
        models on X itself, without a reduction. "majority class", or "mean of the target", has the score of that guess.
        Without a target there are none.
    """

    rows: list[dict[str, Any]]
    folds: list[dict[str, Any]]
    estimators: dict[tuple[str, int], Any] = field(repr=False)
    X_test: np.ndarray = field(repr=False)
    y_test: np.ndarray | None = field(repr=False)
    baselines: list[dict[str, Any]]

    def to_frame(self) -> Any:
        """Return the rows as a data frame.

        Returns
        -------
        frame : pandas.DataFrame
            Indexed by n_components and reducer.
        """
        import pandas as pd

        return pd.DataFrame(self.rows).set_index(["n_components", "reducer"])

    def best(self, column: str, n_components: int) -> float | None:
        """Find the best value of a column among the reducers with a given number of components.

        The best value is the smallest for "fit_seconds", and the largest for the other columns.

        Parameters
        ----------
        column : str
            Key of ``rows``.
        n_components : int

        Returns
        -------
        value : float or None
            None if no reducer has a value.
        """
        values = [r[column] for r in self.rows if r["n_components"] == n_components and r[column] is not None]
        pick = min if column == "fit_seconds" else max
        return pick(values) if values else None

    def table(self, mark: str = "{}*") -> str:
        """Format the rows as a table for a terminal.

        Parameters
        ----------
        mark : str, default="{}*"
            Format of the best values. The best value of a column is marked for each number of components.

        Returns
        -------
        table : str
        """
        shown = {name: text for name, text in COLUMNS.items() if any(r[name] is not None for r in self.rows)}
        everything = self.rows + self.baselines
        names = max(len("reducer"), *(len(r["reducer"]) for r in everything))
        lines = [f"{'n_components':>12}  {'reducer':<{names}}" + "".join(f"{t[0]:>12}" for t in shown.values())]
        for i, row in enumerate(everything):
            new = i == 0 or row["n_components"] != everything[i - 1]["n_components"]
            cells = [self._cell(row, name, form, mark) for name, (_, form) in shown.items()]
            lines.append(f"{row['n_components'] if new else '':>12}  {row['reducer']:<{names}}" + "".join(cells))
        return "\n".join(lines)

    def _cell(self, row: dict[str, Any], column: str, form: str, mark: str) -> str:
        value = row[column]
        text = "-" if value is None else format(value, form)
        best = None if row in self.baselines else self.best(column, row["n_components"])
        if value is None or best is None or text != format(best, form):
            return f"{text:>11} "
        padding = " " * (11 - len(text))
        marked = mark.format(text)
        return padding + marked + ("" if mark == "{}*" else " ")

    def __str__(self) -> str:
        return self.table()


COLUMNS = {
    "r2": ("R2", ".3f"),
    "linear": ("linear", ".3f"),
    "knn": ("kNN", ".3f"),
    "neighbors": ("kept", ".3f"),
    "fit_seconds": ("fit s", ".2f"),
    "rows_per_second": ("rows/s", ",.0f"),
}
"""Heading and number format of each column."""
TIMES = ("fit_seconds", "rows_per_second")
"""Columns that are medians over the folds. The others are means."""


def compare(
    X: Any,
    y: Any = None,
    reducers: Mapping[str, Any] | Sequence[Any] | None = None,
    n_components: Sequence[int] | None = None,
    cv: Any = 5,
    *,
    standardize: Any = False,
    random_state: int | None = 0,
    verbose: int = 0,
    resume: str | PathLike[str] | None = None,
) -> Comparison:
    """Cross-validate PCA, autoencoders and other reducers on the same folds.

    The same downstream models are also scored on X itself, and beside a guess, see ``Comparison.baselines``.

    Parameters
    ----------
    X : array-like, DataFrame, Arrow table or path of a Parquet file, of shape (n_samples, n_features)
        Numbers on any scale, which are read into memory. Every reducer centres them itself. The estimators of this
        package also scale them. An entry that is NaN is missing. Reducers that take NaN are given it. The others, and
        the models on all columns, are given the mean of the training rows in its place. R2 is that of the observed
        entries. In a fold whose training rows lack all entries of a column, the column is 0 and tells nothing.
    y : array-like of shape (n_samples,), default=None
        Target of the models on the code. With classes they are scored by accuracy, with real numbers by R2. Texts and
        truth values are classes. Whole numbers are classes if there are at most 20 distinct values, or at least 5 rows
        per value.
    reducers : dict of str to reducer, list of reducers, or None, default=None
        Reducers to compare with PCA, which is always included. None is ``[Autoencoder(), NeighborAutoencoder()]``. Any
        transformer or pipeline can be used. Clones of it are given the ``n_components``. In a pipeline, the last step
        that has ``n_components`` gets it. A reducer without ``inverse_transform`` has no R2. A reducer without
        ``transform``, such as scikit-learn's ``TSNE``, has only the time of its fit: its map of training and held-out
        rows together would not be comparable. Only reducers that need y are fitted with it.
    n_components : sequence of int or None, default=None
        Numbers of components. None is 2, 8 and 16, as far as the columns and the training rows of a fold allow, and 2
        alone for what is made to draw a map: ``NeighborAutoencoder``, ``UMAP``, ``TSNE`` and ``PaCMAP``. Numbers that
        are given hold for all reducers.
    cv : int, splitter or iterable, default=5
        Folds as in ``cross_validate``. An int is a number of shuffled folds, which are stratified for classes.
    standardize : bool, or array-like of bool of shape (n_features,), default=False
        Whether to centre each column and divide it by its standard deviation in the training rows, for all reducers. R2
        is then measured on this scale. It suits tables whose columns have different units. An array names the columns.
    random_state : int or None, default=0
        Seed of the folds, and of every reducer that has a ``random_state`` of None.
    verbose : int, default=0
        1 shows a progress bar.
    resume : path of a folder, or None, default=None
        Folder in which finished fits are kept, so that a comparison that was killed goes on from them: call ``compare``
        again with the same arguments. The result is that of an unbroken run, with the times that were measured before.
        Reducers and numbers of components may be added. The folder is made if it is not there. None keeps nothing.

    Returns
    -------
    comparison : Comparison
        Print it, or use ``comparison.rows`` or ``comparison.to_frame()``.

    Raises
    ------
    TypeError
        If ``reducers`` is a single reducer, or if one of them is no reducer.
    ValueError
        If there are more components than columns or training rows, or if X, y or a parameter is not as described. Or if
        a reducer fails in a fold: the message says which and where. Or if the fits in ``resume`` are those of another
        comparison: the message says what differs.
    KeyboardInterrupt
        If the comparison is interrupted. There is then no result.

    Notes
    -----
    ``UMAP`` places held-out rows by ``transform`` and decodes them by ``inverse_transform``, which takes seconds for a
    fold of some hundred rows and two components, and minutes for many components. ``PaCMAP`` moves held-out rows only,
    towards their nearest training rows. It gets ``save_tree=True`` for that.

    With ``resume``, models of the first fold are kept too, because the pictures of ``ComparisonDisplay`` need them.
    Those of other packages are fitted again in their place, with the figures that were kept. The folder holds no rows
    of X. A change in the code of a reducer of yours is not noticed: use another folder then.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import Autoencoder
    >>> from skae.comparison import compare
    >>> X, y = load_iris(return_X_y=True)
    >>> result = compare(X, y, [Autoencoder(max_iter=20)], n_components=[1, 2], cv=3)
    >>> [(row["reducer"], row["n_components"]) for row in result.rows]
    [('PCA', 1), ('Autoencoder', 1), ('PCA', 2), ('Autoencoder', 2)]
    >>> all(0.9 < row["r2"] < 1 for row in result.rows)
    True
    """
    from tqdm.auto import tqdm

    X, y = check_table(X, y)
    with quiet():
        named = _named(reducers, random_state)
        splits = splits_of(X, y, cv, random_state)
        sizes = _check_sizes(n_components, min(min(len(train) for train, _ in splits), X.shape[1]))
        jobs = _jobs(named, sizes, len(splits), most_of_maps=MAP_SIZE if n_components is None else max(sizes))
        folds, estimators, guesses = [], {}, []
        total = len(jobs) + len(splits) * (y is not None)
        kept = _kept_fits(resume, X, y, splits, named, standardize, random_state)
        with tqdm(desc="compare", total=total, unit="fit", disable=not verbose) as bar:
            for k, name, fold in jobs:
                model = _with_components(named[name], k)
                told = partial(_told, f"{name} with n_components={k}", f"fold {fold + 1} of {len(splits)}")
                rows = kept.find(name, k, fold)
                if rows is None:
                    with kept.keeping(name, k, fold) as rows, told(), _drawn(fold == 0):
                        row = evaluate(model, fold_of(X, y, *splits[fold], standardize))
                        rows.append({"reducer": name, "n_components": k, "fold": fold, **row})
                    if fold == 0:
                        kept.keep_model(name, k, model)
                elif fold == 0:
                    with told():
                        model = _found_model(kept, name, k, model, partial(fold_of, X, y, *splits[fold], standardize))
                folds += rows
                if fold == 0:
                    estimators[name, k] = model
                bar.update()
            for fold, split in enumerate(splits if y is not None else []):
                rows = kept.find(BASELINES, 0, fold)
                if rows is None:
                    with kept.keeping(BASELINES, 0, fold) as rows:
                        rows += evaluate_baselines(fold_of(X, y, *split, standardize))
                guesses += rows
                bar.update()
    first = fold_of(X, y, *splits[0], standardize)
    return Comparison(_means(folds), folds, estimators, first.X_test, first.y_test, _means(guesses))


def _jobs(named: dict[str, Any], sizes: list[int], n_folds: int, most_of_maps: int) -> list[tuple[int, str, int]]:
    """Number of components, reducer and fold of each fit. Maps take part up to a number of components."""
    fits = [(k, name) for k in sizes for name, reducer in named.items() if k <= most_of_maps or not is_map(reducer)]
    return [(*fit, fold) for fit in fits for fold in range(n_folds)]


def _found_model(kept: Nothing, name: str, k: int, model: Any, fold: Callable[[], Fold]) -> Any:
    """The model of the first fold, whose figures were kept. It is fitted again if it was not kept itself."""
    found = kept.find_model(name, k, model)
    if found is not None:
        return found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they were issued with its figures
        fit(model, fold())
    kept.keep_model(name, k, model)
    return model


@contextmanager
def _told(who: str, where: str) -> Iterator[None]:
    """Tell in warnings and errors which reducer they are of."""
    try:
        with reworded(partial("{}: {}".format, who)):
            yield
    except Exception as error:
        raise ValueError(f"{who} failed in {where}: {str(error) or type(error).__name__}") from error


def _kept_fits(
    resume: str | PathLike[str] | None,
    X: np.ndarray,
    y: np.ndarray | None,
    splits: list[tuple[Any, Any]],
    named: dict[str, Any],
    standardize: Any,
    random_state: int | None,
) -> Nothing:
    """Where finished fits are kept, and found."""
    if resume is None:
        return Nothing()
    if not isinstance(resume, str | PathLike) or not str(resume):
        raise TypeError(f"resume={resume!r} must be the path of a folder, or None.")
    if random_state is None:
        raise ValueError("resume needs the same folds and models in the next run: pass a number as random_state.")
    settings = {"standardize": standardize, "random_state": random_state}
    return Finished(Path(resume), description(X, y, splits, named, settings))


@contextmanager
def _drawn(is_drawn: bool) -> Iterator[None]:
    """Leave out how the map of a fold may be read, unless the map is drawn."""
    with warnings.catch_warnings():
        if not is_drawn:
            warnings.simplefilter("ignore", DisconnectedGraphWarning)
        yield


def _named(reducers: Mapping[str, Any] | Sequence[Any] | None, random_state: int | None) -> dict[str, Any]:
    """The reducers by name, with PCA first unless it is among them, and with the seed."""
    from sklearn.decomposition import PCA

    if reducers is None:
        reducers = [Autoencoder(), NeighborAutoencoder()]
    if hasattr(reducers, "fit") or isinstance(reducers, str):
        one = "Autoencoder" if isinstance(reducers, str) else type(reducers).__name__
        raise TypeError(f"reducers must be a dict or a list of reducers: pass [{one}(...)].")
    named = {name: _reducer(name, reducer) for name, reducer in _numbered(reducers).items()}
    if not any(isinstance(reducer, PCA) for reducer in named.values()):
        if "PCA" in named:
            raise ValueError(
                "The name 'PCA' stands for PCA itself, which is always included: give that reducer another name."
            )
        named = {"PCA": PCA(), **named}
    for reducer in named.values():
        prepare(reducer, random_state)
    return named


def _reducer(name: str, reducer: Any) -> Any:
    """A clone of a reducer that can be fitted, and that encodes rows. t-SNE encodes only those it is fitted to."""
    if isinstance(reducer, type):
        raise TypeError(f"reducers has the class {reducer.__name__}: pass an instance, {reducer.__name__}().")
    if isinstance(reducer, str):
        raise TypeError(f"reducers has the text {reducer!r}: pass an estimator, such as Autoencoder().")
    missing = lacking(reducer)
    if missing:
        raise TypeError(f"{name} is not a reducer: it has no {missing}.")
    return clone(reducer)


def _numbered(reducers: Mapping[str, Any] | Sequence[Any]) -> Mapping[str, Any]:
    """The reducers by the names of their classes. Further reducers of one class get a number."""
    if isinstance(reducers, Mapping):
        return reducers
    classes = [type(reducer).__name__ for reducer in reducers]
    before = [classes[:i].count(name) for i, name in enumerate(classes)]
    names = [f"{name} {n + 1}" if n else name for name, n in zip(classes, before, strict=True)]
    return dict(zip(names, reducers, strict=True))


def _check_sizes(n_components: Sequence[int] | None, most: int) -> list[int]:
    if n_components is None:
        return [k for k in (2, 8, 16) if k <= most] or [most]
    sizes = list(dict.fromkeys(np.atleast_1d(np.asarray(n_components, dtype=object)).tolist()))
    if not sizes:
        raise ValueError("n_components is empty: pass at least one number.")
    for k in sizes:
        if not (isinstance(k, (int, np.integer)) and 1 <= k <= most):
            raise ValueError(
                f"n_components={k} is not a whole number from 1 to {most}, "
                "the smaller of the numbers of columns and of training rows of a fold."
            )
    return [int(k) for k in sizes]


def _with_components(reducer: Any, k: int) -> Any:
    """A clone with k components. In a pipeline the last step that has ``n_components`` gets them."""
    model = clone(reducer)
    names = [p for p in model.get_params() if p == "n_components" or p.endswith("__n_components")]
    if not names:
        return model
    return model.set_params(**{"n_components" if "n_components" in names else names[-1]: k})


def _means(folds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Average the folds of each reducer and number of components."""
    keys = dict.fromkeys((f["n_components"], f["reducer"]) for f in folds)
    rows = []
    for k, name in keys:
        same = [f for f in folds if (f["n_components"], f["reducer"]) == (k, name)]
        rows.append({"reducer": name, "n_components": k, **{c: _average(c, [f[c] for f in same]) for c in COLUMNS}})
    return rows


def _average(column: str, values: list[float | None]) -> float | None:
    """Mean, or median of times, of what is known."""
    known = [value for value in values if value is not None]
    return float((np.median if column in TIMES else np.mean)(known)) if known else None
