"""compare(): cross-validation of PCA and other reducers on the same folds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from .finished import Finished, Nothing, description, versions_of
from .folds import Table, check_groups, check_standardize, check_table, fold_of, is_classes, splits_of
from .jobs import BASELINES, Job, outcomes
from .metadata import WEIGHT, check_params, require_taken, taken_by_reducer
from .peers import is_map, quiet
from .reducers import checked_sizes, named_reducers, with_components
from .result import Comparison, figures_of, summarized
from .scoring import Scorer, check_scorers

__all__ = ["compare"]

MAP_SIZE = 2
"""Number of components of maps, if no number is given."""
FEW_COLUMNS = 1000
"""Up to so many columns of a sparse X, PCA is computed from its covariance, as scikit-learn does with arrays."""


def compare(
    X: Any,
    y: Any = None,
    reducers: Mapping[str, Any] | Sequence[Any] | None = None,
    n_components: Sequence[int] | None = None,
    cv: Any = 5,
    *,
    groups: Any = None,
    params: Mapping[str, Any] | None = None,
    scoring: Any = None,
    n_repeats: int = 1,
    standardize: Any = False,
    random_state: int | None = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
    resume: str | PathLike[str] | None = None,
) -> Comparison:
    """Cross-validate PCA, autoencoders and other reducers on the same folds.

    The same downstream models are also scored on X itself, and beside a guess, see ``Comparison.baselines``.

    Parameters
    ----------
    X : array-like, DataFrame, sparse matrix, Arrow table or path of a Parquet file, of shape (n_samples, n_features)
        Numbers on any scale, which are read into memory. Every reducer centres them itself. The estimators of this
        package also scale them. A sparse X stays sparse for reducers that take it. The others are given arrays, if
        those of a fold are within scikit-learn's ``working_memory``. An entry that is NaN is missing. Reducers that
        take NaN, and pipelines that begin with an imputer, are given it. The others, and the models on all columns, are
        given the mean of the training rows in its place. R2 is that of the observed entries. In a fold whose training
        rows lack all entries of a column, the column is 0 and tells nothing.
    y : array-like of shape (n_samples,), default=None
        Target of the models on the code. With classes they are scored by accuracy, with real numbers by R2. Texts and
        truth values are classes. Whole numbers are classes if there are at most 20 distinct values, or at least 5 rows
        per value.
    reducers : dict of str to reducer, list of reducers, or None, default=None
        Reducers to compare with PCA, which is always included. None is ``[Autoencoder(), NeighborAutoencoder()]``. Any
        transformer or pipeline can be used. Clones of it are given the ``n_components``. In a pipeline, the last step
        that has ``n_components`` gets it. A reducer without ``inverse_transform`` has no R2, and neither has a pipeline
        with an imputer. A reducer without ``transform``, such as scikit-learn's ``TSNE``, has only the time of its fit:
        its map of training and held-out rows together would not be comparable. Only reducers that need y, and pipelines
        that select columns, are fitted with it.
    n_components : sequence of int or None, default=None
        Numbers of components. None is 2, 8 and 16, as far as the columns and the training rows of a fold allow, and 2
        alone for what is made to draw a map: ``NeighborAutoencoder``, ``UMAP``, ``TSNE`` and ``PaCMAP``. Numbers that
        are given hold for all reducers.
    cv : int, splitter or iterable, default=5
        Folds as in ``cross_validate``. An int is a number of shuffled folds, which are stratified for classes, and
        which keep groups together.
    groups : array-like of shape (n_samples,), default=None
        Group of each row, such as a patient, for the splitter. With an int as ``cv``, no group has both training and
        held-out rows.
    params : dict, default=None
        Metadata by their names, such as ``{"sample_weight": weights}``, with an entry for each row. Those of the
        training rows are given to the reducers whose ``fit`` has such an argument, and in a pipeline to the steps that
        have it. Those of the held-out rows are given to the scorers that have it. If metadata routing is enabled in
        scikit-learn, requests decide instead. "sample_weight" is also given to the linear model, and weighs all scores:
        see the notes. A name that nobody takes is refused.
    scoring : str, callable, list, tuple, set or dict, default=None
        Scorers as in ``cross_validate``. Each is a further column. Those of ``make_scorer`` and their names, such as
        "f1_macro", judge the linear model on the code. Other callables are given the reducer, held-out rows and
        their targets: ``callable(estimator, X, y)``. So are those of ``skae.metrics``, which may be given by name too,
        such as "trustworthiness". If a scorer fails, its value is None, and a warning says why.
    n_repeats : int, default=1
        How often folds of an int ``cv`` are drawn, each time others. A splitter may repeat its folds itself.
    standardize : bool, or array-like of bool of shape (n_features,), default=False
        Whether to centre each column and divide it by its standard deviation in the training rows, for all reducers. R2
        is then measured on this scale. It suits tables whose columns have different units. An array chooses columns.
        Columns of a sparse X are divided and not centred.
    random_state : int or None, default=0
        Seed of the folds, and of every reducer that has a ``random_state`` of None.
    n_jobs : int, default=None
        Number of processes as in ``cross_validate``: None is one, or what a ``joblib.parallel_config`` says, and -1 is
        one for each core. The figures are the same, to the bit if as many threads compute, but for the times: those are
        then of fits that share the machine.
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
        If ``reducers`` is a single reducer, or if one of them is no reducer, or if ``scoring`` has something else.
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

    Sample weights weigh the rows in R2, in the share of neighbours kept, in accuracies, and in the fits of the linear
    model, of the guess and of ``standardize``. A weight of 2 is then a row that is there twice. Two things are without
    weights: the five nearest neighbours vote as equals, because scikit-learn has no weights for them, and a reducer
    whose ``fit`` takes none, such as PCA, is fitted as always. ``Comparison.settings`` says which took them.

    With ``n_jobs``, each process computes with its share of the cores, and needs memory of its own, on a GPU too.

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

    Further columns, with the spread over ten folds:

    >>> result = compare(X, y, [], [2], cv=5, n_repeats=2, scoring=["f1_macro", "trustworthiness"])
    >>> row = result.rows[0]
    >>> print(f"{row['f1_macro']:.2f} ± {row['f1_macro_std']:.2f}, {row['trustworthiness']:.2f}")
    0.96 ± 0.04, 0.99
    """
    from tqdm.auto import tqdm

    X, y = check_table(X, y)
    table = Table(X, y, check_standardize(standardize, X.shape[1]), check_params(params, X.shape[0]))
    groups = check_groups(groups, X.shape[0])
    scorers = check_scorers(scoring, y is not None)
    _require_seed(random_state)
    with quiet():
        named = named_reducers(reducers, random_state, _pca(X))
        require_taken(table.params, named.values(), scorers)
        splits = splits_of(X, y, cv, random_state, groups, n_repeats)
        _require_weights(table, splits)
        sizes = checked_sizes(n_components, min(min(len(train) for train, _ in splits), X.shape[1]))
        jobs = _jobs(named, sizes, splits, MAP_SIZE if n_components is None else max(sizes), y is not None)
        kept = _kept_fits(resume, table, splits, named, scorers, random_state)
        with tqdm(desc="compare", total=len(jobs), unit="fit", disable=not verbose) as bar:
            rows, estimators = _computed(jobs, table, scorers, kept, n_jobs, bar.update)
    folds = [row for job in jobs if job.model is not None for row in rows[job.number]]
    guesses = [row for job in jobs if job.model is None for row in rows[job.number]]
    first = fold_of(table, *splits[0])
    settings = _settings(table, named, splits, scorers, {"cv": cv, "groups": groups, "n_repeats": n_repeats})
    settings |= {"random_state": str(random_state), "n_jobs": str(n_jobs), "versions": versions_of(named)}
    columns = figures_of(folds)
    baselines = summarized(guesses, columns)
    return Comparison(summarized(folds, columns), folds, estimators, first.X_test, first.y_test, baselines, settings)


def _require_seed(random_state: Any) -> None:
    is_number = isinstance(random_state, int | np.integer) and 0 <= random_state < 2**32
    if random_state is not None and not is_number:
        raise ValueError(f"random_state={random_state!r} must be a whole number from 0 to {2**32 - 1}, or None.")


def _pca(X: Any) -> Any:
    """PCA as it is always included. scikit-learn's own choice for a sparse X cannot keep all components."""
    from sklearn.decomposition import PCA

    return PCA(svd_solver="covariance_eigh") if sparse.issparse(X) and X.shape[1] <= FEW_COLUMNS else PCA()


def _require_weights(table: Table, splits: Sequence[tuple[Any, Any]]) -> None:
    weight = table.params.get(WEIGHT)
    if weight is None:
        return
    for i, split in enumerate(splits):
        for rows, what in zip(split, ("training", "held-out"), strict=True):
            if not weight[rows].any():
                raise ValueError(
                    f"All sample weights of {what} rows of fold {i + 1} of {len(splits)} are zero: leave out rows that "
                    "do not count, or pass another cv."
                )


def _jobs(
    named: dict[str, Any], sizes: list[int], splits: list[tuple[Any, Any]], most_of_maps: int, has_target: bool
) -> list[Job]:
    """The fits, and after them what all columns and a guess get. Maps take part up to a number of components."""
    fits = [(k, name) for k in sizes for name, reducer in named.items() if k <= most_of_maps or not is_map(reducer)]
    asked: list[tuple[int, str, Any]] = [(k, name, with_components(named[name], k)) for k, name in fits]
    asked += [(0, BASELINES, None)] if has_target else []
    places = [(*each, fold) for each in asked for fold in range(len(splits))]
    return [Job(i, name, k, fold, len(splits), splits[fold], model) for i, (k, name, model, fold) in enumerate(places)]


def _computed(
    jobs: list[Job],
    table: Table,
    scorers: list[Scorer],
    kept: Nothing,
    n_jobs: int | None,
    count: Callable[[], object],
) -> tuple[dict[int, list[dict[str, Any]]], dict[tuple[str, int], Any]]:
    """Rows of each job by its number, and the models of the first fold. What was kept is not computed."""
    rows: dict[int, list[dict[str, Any]]] = {}
    models: dict[int, Any] = {}
    for job in jobs:
        found = kept.find(job.name, job.k, job.fold)
        if found is None:
            continue
        rows[job.number], job.is_known = found, True
        model = kept.find_model(job.name, job.k, job.model) if job.is_drawn else None
        if model is not None:
            models[job.number] = model
    open_ = [job for job in jobs if job.number not in rows or (job.is_drawn and job.number not in models)]
    for _ in range(len(jobs) - len(open_)):
        count()
    for job, outcome in outcomes(open_, table, scorers, n_jobs):
        if job.is_known:
            _, model = outcome()
        else:
            with kept.keeping(job.name, job.k, job.fold) as figures:
                computed, model = outcome()
                figures += computed
            rows[job.number] = figures
        if job.is_drawn:
            models[job.number] = model
            kept.keep_model(job.name, job.k, model)
        count()
    return rows, {(job.name, job.k): models[job.number] for job in jobs if job.is_drawn}


def _kept_fits(
    resume: str | PathLike[str] | None,
    table: Table,
    splits: list[tuple[Any, Any]],
    named: dict[str, Any],
    scorers: list[Scorer],
    random_state: int | None,
) -> Nothing:
    """Where finished fits are kept, and found."""
    if resume is None:
        return Nothing()
    if not isinstance(resume, str | PathLike) or not str(resume):
        raise TypeError(f"resume={resume!r} must be the path of a folder, or None.")
    if random_state is None:
        raise ValueError("resume needs the same folds and models in the next run: pass a number as random_state.")
    settings: dict[str, Any] = {"standardize": table.standardize, "random_state": random_state}
    settings |= {"scoring": {scorer.name: scorer.function for scorer in scorers}} if scorers else {}
    settings |= {"params": table.params} if table.params else {}
    return Finished(Path(resume), description(table.X, table.y, splits, named, settings))


def _settings(
    table: Table,
    named: dict[str, Any],
    splits: list[tuple[Any, Any]],
    scorers: list[Scorer],
    folds: dict[str, Any],
) -> dict[str, str]:
    """What was compared, and how, in words."""
    (n_rows, n_columns), y = table.X.shape, table.y
    told = {"rows": f"{n_rows:,}", "columns": f"{n_columns:,}{' (sparse)' if sparse.issparse(table.X) else ''}"}
    if y is None:
        told["target"] = "none"
    elif is_classes(y):
        told["target"] = f"{len(np.unique(y))} classes"
    else:
        told["target"] = "real numbers" if y.ndim == 1 else f"{y.shape[1]} targets of real numbers"
    is_given = isinstance(folds["cv"], Iterable) and not hasattr(folds["cv"], "split")
    told |= {"folds": str(len(splits)), "cv": "given folds" if is_given else str(folds["cv"])}
    told |= {"n_repeats": str(folds["n_repeats"])}
    told |= {"groups": f"{len(np.unique(folds['groups']))}"} if folds["groups"] is not None else {}
    told["standardize"] = "some columns" if np.ndim(table.standardize) else str(bool(table.standardize))
    if scorers:
        judged = {True: "of the linear model on the code", False: "of the reducer"}
        told["scoring"] = ", ".join(f"{scorer.name} {judged[scorer.judges_predictions]}" for scorer in scorers)
    for name, value in table.params.items():
        able = [reducer for reducer, model in named.items() if taken_by_reducer(model, {name: value})]
        others = [reducer for reducer in named if reducer not in able]
        told[name] = f"given to {', '.join(able) or 'no reducer'}" + (f", not to {', '.join(others)}" if others else "")
    return told
