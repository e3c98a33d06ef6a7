"""How a file of text is laid out: what separates the columns, and whether the first line names them."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise

from ._dates import days
from ._numbers import MISSING, parse
from ._words import one_line

__all__ = ["Layout", "Row", "cells_of_any_size", "head_of", "layout_of", "rows_of"]

SAMPLE = 200
"""Rows from which the layout is told."""
HEAD = 1 << 18
"""Characters in which these rows are looked for, and more up to the end of the line."""
SEPARATORS = ("\t", ";", "|", ",", " ")
"""Candidates, in the order in which they are preferred if the rows do not tell. Of blanks, several count as one."""
YEARS = range(1800, 2200)
MANY = 5
"""So many numbers at even distances name columns."""

Row = tuple[int, list[str]]
"""Number of the line on which a row begins, and its cells."""


@dataclass
class Layout:
    """How a file of text is laid out.

    Attributes
    ----------
    separator : str
    first : int
        Number of lines before the first row of data.
    names : list of str
        Names of the columns. A column without a name has its number instead.
    unnamed : set of int
        The columns without a name.
    has_header : bool
    row_names : bool
        Whether each row begins with a name that has no name in the header, as R writes it.
    surplus : bool
        Whether each row ends with a separator, and the header does not.
    """

    separator: str
    first: int
    names: list[str]
    unnamed: set[int]
    has_header: bool
    row_names: bool = False
    surplus: bool = False

    @property
    def width(self) -> int:
        """Number of cells in a row of the file."""
        return len(self.names) + self.row_names + self.surplus


def layout_of(whole: str, separator: str | None) -> Layout:
    """Tell the layout from the first rows.

    Parameters
    ----------
    whole : str
        The file, with at least one row that is not blank.
    separator : str or None
        What separates the columns, if it is known.
    """
    text = head_of(whole)
    before, told = _declared(text)
    separator = separator or told or _separator(text, before)
    comments = list(_comments(text, before))
    sample = list(islice(rows_of(text, separator, before + len(comments)), SAMPLE + 1))
    body = [cells for _, cells in sample]
    header = _commented(comments, separator, body)
    if header is None and body and _is_header(body[0], body[1:]):
        header = body.pop(0)
        sample.pop(0)
    first = sample[0][0] - 1 if sample else text.count("\n") + 1
    return _named(header, body, separator, first)


def head_of(text: str) -> str:
    """The first lines of a text."""
    end = text.find("\n", HEAD)
    return text if end < 0 else text[:end]


def _declared(text: str) -> tuple[int, str | None]:
    """The line "sep=;" that Excel understands: how many lines it takes, and its separator."""
    line = re.match(r'"?sep=(.)"?\n', text, re.IGNORECASE)
    return (1, line[1]) if line else (0, None)


def _comments(text: str, before: int) -> Iterator[str]:
    """Lines at the top that begin with "#"."""
    for line in islice(io.StringIO(text), before, None):
        if not line.startswith("#"):
            return
        yield line


def _commented(comments: list[str], separator: str, body: list[list[str]]) -> list[str] | None:
    """The last comment, if it has a name for each column, as numpy writes it."""
    for line in comments[-1:]:
        names = next(csv.reader([line.lstrip("# ").rstrip("\n")], delimiter=separator, skipinitialspace=True), [])
        if body and len(names) == len(body[0]) and not _is_header(body[0], body[1:]):
            return names
    return None


def rows_of(text: str, separator: str, skipped: int = 0) -> Iterator[Row]:
    """Rows that are not blank, after some skipped lines. Quoted cells may hold separators and line ends.

    The cells have no blanks around them.
    """
    if separator == " ":
        text = text.replace("\t", " ")
    lines = io.StringIO(text)
    for _ in range(skipped):
        lines.readline()
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    line = skipped + 1
    for row in reader:
        cells = [cell.strip() for cell in row]
        if separator == " " and len(cells) > 1 and not cells[-1]:
            cells.pop()
        if cells not in ([], [""]):
            yield line, cells
        line = skipped + reader.line_num + 1


@contextmanager
def cells_of_any_size(text: str) -> Iterator[None]:
    """Let Python's reader take cells as long as the text. Its limit is that of the process, so it is put back."""
    usual = csv.field_size_limit(min(len(text) + 1, 2**31 - 1))
    try:
        yield
    finally:
        csv.field_size_limit(usual)


# -------------------------------------------------------------------- separators


def _separator(text: str, before: int) -> str:
    """The candidate that gives most rows the same number of cells, and of several the one that gives most numbers."""
    comments = sum(1 for _ in _comments(text, before))
    ranks = {}
    for mark in SEPARATORS:
        rows = [cells for _, cells in islice(rows_of(text, mark, before + comments), SAMPLE)]
        counts = [len(cells) for cells in rows]
        usual = max(set(counts), key=lambda count: (counts.count(count), count), default=0)
        share = counts.count(usual) / max(len(counts), 1)
        numbers = _numbers([cell for cells in rows for cell in cells])
        if usual > 1 and (mark != " " or numbers > 0):
            ranks[mark] = (share == 1, round(share, 1), numbers)
    return max(ranks, key=ranks.__getitem__, default=",")


def _numbers(cells: list[str]) -> float:
    """Share of the cells that are numbers."""
    return sum(map(_is_number, cells)) / max(len(cells), 1)


def _is_number(cell: str) -> bool:
    return bool(parse(cell, ".") or parse(cell, ","))


# -------------------------------------------------------------------- headers


def _is_header(first: list[str], body: list[list[str]]) -> bool:
    """Whether the first row names the columns below it.

    Words above columns of numbers speak for it, and more than numbers there speak against it. Texts of the first row
    that come again below it speak against it, too. Numbers in regular steps are names.
    """
    if _count(first) or (_are_steps(first) and not any(map(_are_steps, body[:1]))) or _number_fractions(first, body):
        return True
    votes = 0
    for j, word in enumerate(first):
        below = [cells[j] for cells in body if j < len(cells) and cells[j] not in MISSING]
        if not any(map(str.isalnum, word)) or word in MISSING or not below:
            continue
        others = sum(1 for cell in below if not _is_value(cell))
        if others <= max(0.1 * len(below), len(below) > 1):
            votes += -1 if _is_value(word) else 3
        elif word in below:
            votes -= 1
    return votes > 0 or (votes == 0 and not all(_is_value(word) for word in first if word not in MISSING))


def _is_value(cell: str) -> bool:
    """Whether a cell is a number or a date."""
    return _is_number(cell) or (cell[:1].isdigit() and bool(days([cell])[0])) or cell.lower() in ("inf", "-inf")


def _count(first: list[str]) -> bool:
    """Whether the cells are 0, 1, 2, ..., as pandas names columns, with or without an empty one for the index."""
    names = first[1:] if first[0] == "" else first
    return names == [str(i) for i in range(len(names))] and len(names) >= (1 if first[0] == "" else 3)


def _number_fractions(first: list[str], body: list[list[str]]) -> bool:
    """Whether the first row counts columns of fractions, such as 1, 2, 3 or 2019, 2020, 2021 above 0.37, 1.52, 0.81."""
    if len(first) < 3 or not body or not all(re.fullmatch(r"\d{1,9}", cell) for cell in first):
        return False
    steps = {int(b) - int(a) for a, b in pairwise(first)}
    cells = [cell for row in body for cell in row]
    return steps == {1} and sum("." in cell or "," in cell for cell in cells) > 0.8 * len(cells)


def _are_steps(first: list[str]) -> bool:
    """Whether the numbers in a row are years beside words, or many numbers, at even distances: names of columns."""
    numbers = [float(cell) for cell in first if re.fullmatch(r"-?\d{1,9}(\.\d{1,9})?", cell)]
    if len(numbers) < 2:
        return False
    steps = [b - a for a, b in pairwise(numbers)]
    even = steps[0] != 0 and max(steps) - min(steps) < 1e-6 * abs(steps[0])
    are_years = len(numbers) < len(first) and numbers[0] in YEARS and steps[0] == 1
    return even and (are_years or len(numbers) >= MANY)


def _named(header: list[str] | None, body: list[list[str]], separator: str, first: int) -> Layout:
    """The layout with names for all columns, no two of which are the same."""
    width = len(body[0]) if body else len(header or [])
    if header is None:
        return Layout(separator, first, [str(i) for i in range(width)], set(range(width)), False)
    longer = bool(body) and all(len(cells) == len(header) + 1 for cells in body)
    shorter = bool(body) and all(len(cells) == len(header) - 1 for cells in body) and header[-1] == ""
    header = header[:-1] if shorter else header
    surplus = longer and all(cells[-1] == "" for cells in body)
    row_names = longer and not surplus and _name_rows([cells[0] for cells in body])
    unnamed = {i for i, name in enumerate(header) if not name}
    return Layout(separator, first, _distinct(header), unnamed, True, row_names, surplus)


def _distinct(header: list[str]) -> list[str]:
    """Printable names. A name that comes again has a count after it, and an empty one is the column's number."""
    seen: Counter[str] = Counter()
    names = []
    for i, name in enumerate(map(one_line, header)):
        names.append(f"{name}.{seen[name]}" if name and seen[name] else name or str(i))
        seen[name] += 1
    return names


def _name_rows(cells: list[str]) -> bool:
    """Whether the first cells of the rows are names of the rows: 1, 2, 3, ..., or different words."""
    counted = cells == [str(i) for i in range(1, len(cells) + 1)]
    return counted or (len(set(cells)) == len(cells) and not any(map(_is_number, cells)))
