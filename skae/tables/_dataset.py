"""From columns to a table of numbers: what is left out, filled, encoded and refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ._column import Column
from ._faults import Faults
from ._options import Options
from ._use import remark, too_many, useless
from ._words import listed, plural, quoted, short

__all__ = ["Dataset", "assemble", "told_gaps", "without_empty_rows"]


@dataclass
class Dataset:
    """A table of numbers, and the target to predict from it.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
        NaN where a value is missing, unless it was filled.
    y : ndarray of shape (n_samples,) or (n_samples, n_targets), or None
    name : str
    feature_names : list of str
        Without control characters, like ``name``.
    image_shape : (int, int) or None
        Height and width, if rows are images.
    notes : list of str
        Sentences for the user: columns that were left out, values that were filled, texts that became many columns.
    columns : tuple of (str, int)
        Kinds and numbers of adjacent columns of X, as the mixed likelihood of ``Autoencoder`` takes them.
    """

    X: np.ndarray
    y: np.ndarray | None
    name: str
    feature_names: list[str]
    image_shape: tuple[int, int] | None = None
    notes: list[str] = field(default_factory=list)
    columns: tuple[tuple[str, int], ...] = ()

    @property
    def is_messy(self) -> bool:
        """Whether a column is of categories, or has missing values."""
        return any(kind != "gaussian" for kind, _ in self.columns) or bool(np.isnan(self.X).any())


def assemble(
    name: str,
    columns: Sequence[Column],
    target: Column | None,
    faults: Faults,
    options: Options,
) -> Dataset:
    """Make a table of numbers of columns that have been read.

    Parameters
    ----------
    name : str
    columns : sequence of Column
    target : Column or None
    faults : Faults
        Where to put what is wrong. It may hold some already.
    options : Options
    """
    every = [*columns, *([target] if target else [])]
    notes = [note for column in every for note in column.notes]
    has_header = not all(column.unnamed for column in every)
    reasons = [useless(column, has_header=has_header) for column in columns]
    kept = [column for column, reason in zip(columns, reasons, strict=True) if not reason]
    notes += [f"Column {quoted(c.name)} was left out: {why}." for c, why in zip(columns, reasons, strict=True) if why]
    for column in kept:
        _check(column, faults, options)
    if target is not None:
        _check(target, faults, options, is_target=True)
    faults.raise_if_any()
    if not kept:
        raise ValueError(" ".join([f"{quoted(name)} has no column{' beside the target' if target else ''}.", *notes]))
    dates = [quoted(column.name) for column in kept if column.is_date]
    notes += [f"Dates are read as days since 1970: {listed(dates)}."] if dates else []
    notes += [note for column in kept if (note := remark(column))]
    filled = {column.name: int(column.missing.sum()) for column in kept if column.missing.any()}
    if filled:
        forms = dict.fromkeys(quoted(word) if word else "empty" for column in kept for word in column.missing_words)
        notes.append(told_gaps(sum(filled.values()), filled, options, list(forms)))
    numbers = [(c.name, _numbers(c) if options.impute else c.values) for c in kept if not c.is_text]
    texts = [_one_hot(column, is_open=not options.impute) for column in kept if column.is_text]
    encoded = numbers + [pair for pairs in texts for pair in pairs]
    X = np.column_stack([values for _, values in encoded])
    kinds = [("gaussian", 1) for _ in numbers] + [("categorical", len(pairs)) for pairs in texts]
    titles = [title for title, _ in encoded]
    X, y, told = without_empty_rows(X, None if target is None else _labels(target), faults)
    return Dataset(X, y, name, titles, None, [*notes, *told], tuple(kinds))


def without_empty_rows(
    X: np.ndarray, y: np.ndarray | None, faults: Faults
) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """X and y without the rows whose values are all missing in X, and what to say of it."""
    full = ~np.isnan(X).all(axis=1)
    if full.all():
        return X, y, []
    places = listed((faults.place(int(row)) for row in np.flatnonzero(~full)), 3)
    beside = "" if y is None else " beside the target"
    note = f"{plural(int((~full).sum()), 'row')} without a value{beside} left out: {places}."
    return X[full], None if y is None else y[full], [note]


def told_gaps(count: int, names: Iterable[str], options: Options, forms: Sequence[str] = ()) -> str:
    """What to say of missing values in columns with these names, and of the forms in which they are written."""
    where, gaps = listed(map(quoted, names)), plural(count, "missing value")
    gaps += f" ({listed(forms, 5)})" if forms else ""
    return f"{gaps} filled in {where}." if options.impute else f"{gaps} in {where}."


def _check(column: Column, faults: Faults, options: Options, *, is_target: bool = False) -> None:
    """Put what is wrong with a column to the faults."""
    if column.odd:
        faults.add_odd(column)
    elif column.is_date and options.dates == "refuse":
        faults.add("date", column.name, f"such as {quoted(column.example)}")
    elif column.unclear:
        faults.add("order" if column.is_date else "decimal", column.name, column.unclear)
    elif column.is_text and not is_target and (why := too_many(column)):
        faults.add(*why)
    elif not column.is_text and np.isinf(column.values).any():
        faults.add_infinite(column)
    if is_target and column.missing.sum() > column.n_odd:
        faults.add_missing(column)


def _numbers(column: Column) -> np.ndarray:
    """The numbers, with the median where a value is missing."""
    missing = column.missing
    return np.where(missing, np.nanmedian(column.values), column.values) if missing.any() else column.values


def _one_hot(column: Column, *, is_open: bool) -> list[tuple[str, np.ndarray]]:
    """A column of zeros and ones for each text, and one for missing values. They are NaN instead if ``is_open``."""
    present = ~column.missing
    categories = column.categories or sorted(set(column.values[present]))
    code = {text: i for i, text in enumerate(categories)} | {None: len(categories)}
    codes = np.array([code[text] for text in column.values])
    titles = [*categories, *([] if present.all() or is_open else ["missing"])]
    hidden = ~present & is_open
    found = [np.where(hidden, np.nan, codes == i) for i in range(len(titles))]
    return [(f"{column.name}_{short(title)}", values) for title, values in zip(titles, found, strict=True)]


def _labels(target: Column) -> np.ndarray:
    """The target as texts, whole numbers or real numbers."""
    if target.is_text:
        return target.values.astype(str)
    whole = bool((target.values % 1 == 0).all()) and np.abs(target.values).max() < 2**53
    return target.values.astype(int) if whole and not target.is_date else target.values
