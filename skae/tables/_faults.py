"""Everything that is wrong with a table, in one message."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np

from ._column import Column
from ._words import listed, plural, quoted, quoted_path

__all__ = ["Faults"]

SENTENCES: dict[str, tuple[str, str, str]] = {
    "target": ("has missing values in the target", "", "delete these rows, for a target cannot be imputed"),
    "odd": (
        "has cells that do not fit",
        "have cells that do not fit",
        "correct them, or leave the column out with --drop COLUMN",
    ),
    "decimal": ("can be read in two ways", "can be read in two ways", "tell with --decimal . or --decimal ,"),
    "date": (
        "has dates",
        "have dates",
        "they are read as days since 1970 without --dates refuse, and --drop COLUMN leaves a column out",
    ),
    "order": (
        "has unclear dates",
        "have unclear dates",
        "write them as 2000-12-31, or leave the column out with --drop COLUMN",
    ),
    "text": (
        "has too many different texts",
        "have too many different texts",
        "leave the column out with --drop COLUMN, or encode it before",
    ),
    "unit": (
        "has numbers with units",
        "have numbers with units",
        "take the units out, or leave the column out with --drop COLUMN",
    ),
    "digits": (
        "has texts that may be numbers",
        "have texts that may be numbers",
        "write them as plain numbers, or leave the column out with --drop COLUMN",
    ),
    "empty": ("has no value", "have no value", "leave the column out with --drop COLUMN"),
    "infinite": (
        "has infinite values",
        "have infinite values",
        "replace them, or leave the column out with --drop COLUMN",
    ),
}
"""What is said of one column and of several, and the cure, by kind of fault."""
EXAMPLES = 3


class Faults:
    """Collect what is wrong with the columns of a table.

    Parameters
    ----------
    source : str
        Name of the file.
    place : callable
        Turns the number of a row into words, such as "line 3".
    """

    def __init__(self, source: str, place: Callable[[int], str]) -> None:
        self.source = source
        self.place = place
        self._found: dict[str, list[tuple[str, str]]] = defaultdict(list)

    def add(self, kind: str, name: str, detail: str) -> None:
        """Add a fault of one of the kinds in ``SENTENCES``."""
        self._found[kind].append((name, detail))

    def add_missing(self, column: Column) -> None:
        """Add the missing values of a target."""
        count = int(column.missing.sum()) - column.n_odd
        words = self._examples(column.missing_words) or f"the first in {self.place(int(column.missing.argmax()))}"
        self.add("target", column.name, f"{count} of {len(column.values)}: {words}")

    def add_odd(self, column: Column) -> None:
        """Add the cells of a column that are neither numbers, or dates, nor missing."""
        kind = "dates" if column.is_date else "numbers"
        count = len(column.values) - int(column.missing.sum())
        self.add(
            "odd",
            column.name,
            f"{count} of {len(column.values)} cells are {kind}, but not {self._examples(column.odd)}",
        )

    def add_infinite(self, column: Column) -> None:
        """Add the infinite values of a column."""
        row = int(np.isinf(column.values).argmax())
        self.add("infinite", column.name, f"{column.values[row]} in {self.place(row)}")

    def _examples(self, words: dict[str, int]) -> str:
        """Cells with their places."""
        return listed((f"{quoted(w) if w else 'empty'} in {self.place(row)}" for w, row in words.items()), EXAMPLES)

    def raise_if_any(self) -> None:
        """Raise a ValueError with a sentence for each kind of fault that was added."""
        sentences = [self._sentence(kind, self._found[kind]) for kind in SENTENCES if kind in self._found]
        if len(sentences) == 1:
            raise ValueError(sentences[0])
        if sentences:
            lines = "".join(f"\n- {sentence}" for sentence in sentences)
            raise ValueError(f"{quoted_path(self.source)} has {len(sentences)} kinds of columns to decide on:{lines}")

    @staticmethod
    def _sentence(kind: str, found: list[tuple[str, str]]) -> str:
        one, several, cure = SENTENCES[kind]
        if len(found) == 1:
            name, detail = found[0]
            return f"Column {quoted(name)} {one} ({detail}): {cure}."
        columns = listed(f"{quoted(name)} ({detail})" for name, detail in found)
        return f"{plural(len(found), 'column')} {several}, {columns}: {cure}."
