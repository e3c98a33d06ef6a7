"""The command line of ``python -m skae``: its options, and the reducers that they name."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import adversarial, autoencoders, boltzmann, compose, maps, variational
from ._version import __version__
from .comparison.peers import PEERS, lacking, peer
from .tables import BUNDLED, Dataset, load

__all__ = ["check", "groups_of", "parser", "reducers", "standardized", "table_options"]

TABLE = "table"
"""Name of the reducer that knows of what kinds the columns are."""
USUAL = ("pca", "autoencoder", "neighbor")
"""The reducers if none are named. TABLE is one of them too if a column is of categories, or has missing values."""
LIMITS = {"max_iter": (1, 10**9), "seed": (0, 2**32 - 1), "hidden_layer_sizes": (1, 10**6), "repeats": (1, 10**6)}
"""Smallest and largest value of an option."""


def parser() -> argparse.ArgumentParser:
    """Define the command line."""
    top = argparse.ArgumentParser(prog="python -m skae", description="Compare autoencoders with PCA.")
    top.add_argument("--version", action="version", version=f"skae {__version__}")
    commands = top.add_subparsers(dest="command", required=True)
    compare = commands.add_parser("compare", help="cross-validate PCA and autoencoders on a table")
    _add_table(compare)
    _add_reducers(compare)
    _add_evaluation(compare)
    return top


def _add_table(compare: argparse.ArgumentParser) -> None:
    add = compare.add_argument_group("the table").add_argument
    compare.add_argument(
        "data", nargs="?", default="digits", metavar="DATA", help=f"{', '.join(BUNDLED)}, or a file (default: digits)"
    )
    add("--target", metavar="COLUMN", help="name or number of the column to predict")
    add(
        "--drop",
        action="append",
        default=[],
        metavar="COLUMN",
        help="name or number of a column to leave out; may be repeated",
    )
    add(
        "--impute",
        action="store_true",
        help="fill missing values first, with medians and with a category of their own (default: what can learns "
        "around them, and the others are given means of the training rows)",
    )
    add("--separator", metavar="MARK", help="character between the columns, such as ';' (default: found in the file)")
    add("--decimal", metavar="MARK", help="decimal mark, '.' or ',' (default: found in the file)")
    add("--encoding", metavar="NAME", help="encoding of the file, such as latin-1 (default: UTF-8)")
    add(
        "--dates",
        choices=("numbers", "refuse"),
        default="numbers",
        help="what to do with dates (default: numbers, days since 1970)",
    )
    add(
        "--standardize",
        action="store_true",
        help="centre the columns and divide them by their standard deviation first; with the reducer table only "
        "those of numbers",
    )


def _add_reducers(compare: argparse.ArgumentParser) -> None:
    add = compare.add_argument_group("the reducers").add_argument
    add(
        "--reducers",
        nargs="+",
        metavar="NAME",
        help="reducers to compare: names of this package; table, which is what TableAutoencoder fits to the encoded "
        f"columns, around missing values; {', '.join(PEERS)}; or dotted names of classes that can be imported, such as "
        f"sklearn.decomposition.FastICA (default: {' '.join(USUAL)}, and {TABLE} if DATA has categories or missing "
        "values)",
    )
    add(
        "--n-components",
        nargs="+",
        type=int,
        metavar="K",
        help="numbers of components (default: 2 8 16, as far as DATA allows, and 2 for maps such as neighbor)",
    )
    add("--hidden-layer-sizes", nargs="*", type=int, metavar="N", help="widths of the encoders' hidden layers")
    add("--max-iter", type=int, metavar="N", help="maximum number of epochs")
    add("--device", default="auto", help="device of the computation: auto, cpu, cuda or mps (default: auto)")


def _add_evaluation(compare: argparse.ArgumentParser) -> None:
    add = compare.add_argument_group("the comparison").add_argument
    add("--cv", type=int, default=5, metavar="N", help="number of folds (default: 5)")
    add("--repeats", type=int, default=1, metavar="N", help="how often the folds are drawn (default: 1)")
    add(
        "--groups",
        metavar="COLUMN",
        help="name or number of a column, such as a patient's, whose groups are never divided by a fold; it is no "
        "column of the table then",
    )
    add(
        "--scoring",
        nargs="+",
        metavar="NAME",
        help="scorers as further columns: names of scikit-learn, such as f1_macro, which judge the linear model on the "
        "code, or of skae.metrics, such as trustworthiness, which judge the reducer",
    )
    add("--n-jobs", type=int, metavar="N", help="number of processes, -1 for one for each core (default: 1)")
    add("--seed", type=int, default=0, help="seed of the folds and the models (default: 0)")
    add("--output", type=Path, default=Path("compare"), metavar="DIR", help="folder for the results (default: compare)")
    add(
        "--resume",
        type=Path,
        metavar="DIR",
        help="folder in which finished fits are kept: with the same command, a comparison that was killed goes on from "
        "them (default: none are kept)",
    )


def check(options: argparse.Namespace) -> None:
    """Refuse numbers that no estimator could take."""
    for name, (low, high) in LIMITS.items():
        given = getattr(options, name)
        values = given if isinstance(given, list) else [] if given is None else [given]
        if not all(low <= value <= high for value in values):
            raise ValueError(f"--{name.replace('_', '-')} takes whole numbers from {low} to {high}.")
    if options.n_jobs == 0:
        raise ValueError("--n-jobs takes a number of processes, or -1 for one for each core.")
    if options.groups is not None and options.data in BUNDLED:
        raise ValueError(f"--groups is for files: the bundled set {options.data!r} has no column of groups.")


def table_options(options: argparse.Namespace) -> dict[str, Any]:
    """The options that say how the table is read."""
    names = ("target", "drop", "impute", "separator", "decimal", "encoding", "dates")
    given = {name: getattr(options, name) for name in names}
    return given if options.groups is None else {**given, "drop": [*given["drop"], options.groups]}


def groups_of(options: argparse.Namespace, n_rows: int) -> Any:
    """The group of each row, or None. The column is read as a target, so that its texts stay as they are."""
    if options.groups is None:
        return None
    drop = [*options.drop, *([options.target] if options.target is not None else [])]
    given = {**table_options(options), "target": options.groups, "drop": drop}
    try:
        groups = load(options.data, **given).y
    except ValueError as error:
        raise ValueError(f"--groups: {error}") from None
    if groups is None or len(groups) != n_rows:
        raise ValueError("--groups: rows of the table have no value beside the target and the group, remove them.")
    return groups


def standardized(options: argparse.Namespace, data: Dataset) -> Any:
    """Whether columns are standardised, or which: one-hot columns are not if a reducer knows what they are."""
    if not options.standardize or TABLE not in _asked(options, data):
        return bool(options.standardize)
    return [kind == "gaussian" for kind, size in data.columns for _ in range(size)]


def _asked(options: argparse.Namespace, data: Dataset) -> list[str]:
    """The names of reducers on the command line, or those that suit the table."""
    if options.reducers is None:
        return [*USUAL, TABLE] if data.is_messy else list(USUAL)
    return [name.strip() for names in options.reducers for name in names.split(",") if name.strip()]


def reducers(options: argparse.Namespace, data: Dataset) -> dict[str, Any]:
    """The estimators that are named on the command line, by the names of their classes.

    Parameters
    ----------
    options : argparse.Namespace
    data : Dataset
        The table. It tells which reducers suit it, if none are named, and what its columns are, for "table".

    Raises
    ------
    ValueError
        If there is no such reducer, if its package is not installed, or if it is not a reducer.
    """
    from sklearn.decomposition import PCA
    from sklearn.utils import get_tags

    folders = autoencoders, maps, adversarial, boltzmann, variational
    families = [getattr(folder, name) for folder in folders for name in folder.__all__]
    of_tables = [estimator for estimator in families if get_tags(estimator()).input_tags.two_d_array]
    known = {"pca": PCA, **{_short_name(estimator.__name__): estimator for estimator in of_tables}}
    known |= {"stacked": compose.StackedAutoencoder}
    choice = (*known, TABLE, *PEERS)
    asked = _asked(options, data)
    if not asked:
        raise ValueError(f"--reducers is empty: choose from {', '.join(choice)}.")
    found: dict[str, Any] = {}
    for name in asked:
        short = name.lower()
        if short == TABLE:
            of_table = variational.VariationalAutoencoder(likelihood="mixed", columns=data.columns, variance="column")
            found["TableAutoencoder"] = _configured(of_table, options)
            continue
        cls = known.get(short) or (peer(short) if short in PEERS else _imported(name, choice))
        taken = cls.__name__ in found or (cls.__name__ == "PCA" and cls is not PCA)
        if not any(type(reducer) is cls for reducer in found.values()):
            made = _made(cls, name)
            # max_iter of t-SNE is not a number of epochs, and has a lower limit of 250
            found[name if taken else cls.__name__] = made if short in PEERS else _configured(made, options)
    return found


def _short_name(name: str) -> str:
    """Name of an estimator on the command line, such as "sparse" for SparseAutoencoder."""
    return name.removesuffix("Autoencoder").lower() or "autoencoder"


def _imported(name: str, choice: Sequence[str]) -> Any:
    """The class with a dotted name, such as sklearn.decomposition.FastICA."""
    if Path(name).is_file() or name in BUNDLED:
        raise ValueError(f"--reducers takes every name behind it: write {name!r} before it.")
    module, _, attribute = name.rpartition(".")
    if not module:
        raise ValueError(
            f"There is no reducer {name!r}: choose from {', '.join(choice)}, or give the dotted name of a class, such "
            "as sklearn.decomposition.FastICA."
        )
    try:
        cls = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # a script may end the process
        raise ValueError(f"The reducer {name!r} cannot be imported: {error}.") from None
    missing = lacking(cls)
    if not isinstance(cls, type) or missing:
        why = f"it has no {missing}" if isinstance(cls, type) else "it is not a class"
        raise ValueError(f"{name!r} is not a reducer: {why}.")
    return cls


def _made(cls: Any, name: str) -> Any:
    try:
        return cls()
    except Exception as error:
        raise ValueError(f"The reducer {name!r} cannot be made without arguments: {error}.") from None


def _configured(estimator: Any, options: argparse.Namespace) -> Any:
    """The estimator with the command line's options set, as far as they are its parameters."""
    hidden = options.hidden_layer_sizes
    asked = {
        "device": options.device,
        "hidden_layer_sizes": None if hidden is None else tuple(hidden),
        "max_iter": options.max_iter,
    }
    known = estimator.get_params()
    return estimator.set_params(**{k: v for k, v in asked.items() if k in known and v is not None})
