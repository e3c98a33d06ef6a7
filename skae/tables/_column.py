"""One column: what its cells are, what is missing, and what does not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ._dates import days
from ._numbers import MISSING, parse, plain, with_commas
from ._words import listed, quoted

__all__ = ["Column", "read"]

FEW = 10
"""A column of numbers and words with no more different cells than this may be of categories, such as 1, 2, 3 and 4+."""
SOME = 0.1
"""Share of numbers in a text from which on it is worth a word."""


@dataclass
class Column:
    """A column that has been read.

    Attributes
    ----------
    name : str
    values : ndarray of shape (n_rows,)
        float64 for numbers and for dates (in days), with NaN where a value is missing. Objects for texts: str, or None
        where a value is missing.
    is_text, is_date : bool
    unnamed : bool
        Whether the file has no name for it, so that the name is its number.
    missing_words : dict of int
        How missing values are written, and where each form comes first.
    odd : dict of int
        Cells that fit in with the others in no way, and where each comes first.
    n_odd : int
    unclear : str
        What can be read in two ways, and the cure, or empty.
    notes : list of str
        What a reader of the table should know.
    categories : list of str, or None
        Categories of a text in their order, if they are declared.
    example : str
        A cell, for columns of dates.
    """

    name: str
    values: np.ndarray
    is_text: bool = False
    is_date: bool = False
    unnamed: bool = False
    missing_words: dict[str, int] = field(default_factory=dict)
    odd: dict[str, int] = field(default_factory=dict)
    n_odd: int = 0
    unclear: str = ""
    notes: list[str] = field(default_factory=list)
    categories: list[str] | None = None
    example: str = ""

    @cached_property
    def missing(self) -> np.ndarray:
        """Mask of the cells without a value. Odd cells are among them."""
        return np.array([value is None for value in self.values]) if self.is_text else np.isnan(self.values)


def read(name: str, cells: np.ndarray, decimal: str | None) -> Column:
    """Read the cells of a column.

    Parameters
    ----------
    name : str
    cells : ndarray of shape (n_rows,)
        Of float64, or of str objects without blanks around them.
    decimal : str or None
        The decimal mark. None if nothing tells it.
    """
    if cells.dtype != object:
        return Column(name, cells)
    words = cells.tolist()
    numbers = with_commas if decimal == "," else plain
    values = numbers(words)
    if values is not None and not np.isnan(values).any():
        return Column(name, values)
    missing = _first(words, MISSING)
    values = numbers(["nan" if word in missing else word for word in words])
    if values is not None:
        return Column(name, values, missing_words=missing)
    return _mixed(Column(name, np.array([]), missing_words=missing), words, decimal)


def _mixed(column: Column, words: list[str], mark: str | None) -> Column:
    """Read a column whose cells are not all plain numbers."""
    counts = Counter(words)
    for word in column.missing_words:
        del counts[word]
    dashes = {word for word in counts if not any(map(str.isalnum, word))}
    readable = {word for word in counts if parse(word, ".") or parse(word, ",")}
    share = _share(readable, counts, dashes)
    dates, unclear = days(counts) if share < 0.5 else ({}, False)
    if share > 0.5 and not _are_codes(readable, counts, dashes):
        column.missing_words |= _first(words, dashes)
        column.unclear = _two_ways(readable) if mark is None else ""
        return _filled(column, words, _numbers(column, counts, mark or "."))
    if _share(dates, counts, dashes) > 0.5:
        column.missing_words |= _first(words, dashes)
        column.is_date, column.example = True, next(iter(dates))
        column.unclear = f"the day or the month may come first in {quoted(column.example)}" if unclear else ""
        return _filled(column, words, dates)
    if share > SOME:
        column.notes.append(
            f"Column {quoted(column.name)} has numbers and words, and is read as text: {_examples(counts)}."
        )
    column.is_text = True
    column.values = np.array([None if word in column.missing_words else word for word in words], dtype=object)
    return column


def _share(chosen: Collection[str], counts: Counter[str], dashes: set[str]) -> float:
    """Share of the cells that are among the chosen, of those that are neither missing nor dashes."""
    total = counts.total() - sum(counts[word] for word in dashes)
    return sum(counts[word] for word in chosen) / max(total, 1)


def _are_codes(readable: set[str], counts: Counter[str], dashes: set[str]) -> bool:
    """Whether numbers and words come again and again, so that both are categories."""
    others = counts.keys() - readable - dashes
    return bool(others) and len(counts) <= FEW and all(counts[word] > 1 for word in others)


def _two_ways(readable: set[str]) -> str:
    """What to say of numbers such as 1,234 if nothing tells what their comma means."""
    word = next((word for word in sorted(readable) if "," in word), None)
    if word is None:
        return ""
    one, other = (parse(word, mark) for mark in ".,")
    return f"{quoted(word)} may be {one[0]:g} or {other[0]:g}" if one and other else ""


def _numbers(column: Column, counts: Counter[str], decimal: str) -> dict[str, float]:
    """Values of the words that are numbers in the usual unit of the column."""
    found = {word: pair for word in counts if (pair := parse(word, decimal))}
    units: Counter[str] = Counter()
    for word, (value, unit) in found.items():
        units[unit] += counts[word] if value or unit else 0
    usual = units.most_common(1)[0][0] if units else ""
    if usual:
        column.notes.append(f"Column {quoted(column.name)} is read as numbers, without its sign {quoted(usual)}.")
    return {word: value for word, (value, unit) in found.items() if unit == usual or value == 0}


def _filled(column: Column, words: list[str], values: dict[str, float]) -> Column:
    """The column with the values of its words, and the odd words listed."""
    known = {**values, **dict.fromkeys(column.missing_words, np.nan)}
    column.odd = _first(words, set(words) - known.keys())
    column.n_odd = sum(1 for word in words if word in column.odd)
    column.values = np.array([known.get(word, np.nan) for word in words])
    return column


def _first(words: list[str], chosen: Collection[str]) -> dict[str, int]:
    """The different words that are chosen, in the order of their first rows."""
    found = set(words).intersection(chosen)
    rows: dict[str, int] = {}
    for row, word in enumerate(words if found else []):
        if word in found:
            rows.setdefault(word, row)
    return rows


def _examples(counts: Counter[str]) -> str:
    return listed((quoted(word) for word, _ in counts.most_common()), 5)
