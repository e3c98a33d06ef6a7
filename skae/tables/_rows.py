"""The cells of a file of text, column by column, and the line on which each row begins."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import islice

import numpy as np

from ._layout import Layout, Row, head_of, rows_of
from ._numbers import plain
from ._words import plural, quoted_path

__all__ = ["cells_of", "lines_of"]

SAMPLE = 100
"""Rows from which it is told which columns are of numbers alone."""


def cells_of(text: str, layout: Layout, where: str, *, as_words: bool = False) -> list[np.ndarray]:
    """Read all columns that have a name in the layout.

    Parameters
    ----------
    text : str
    layout : Layout
    where : str
        Name of the file, for errors.
    as_words : bool, default=False
        Whether columns of numbers alone are returned as words, too.

    Returns
    -------
    columns : list of ndarray of shape (n_rows,)
        Of float64 if numpy reads all cells of a column as numbers, and of str objects without blanks around them
        otherwise.

    Raises
    ------
    ValueError
        If a row is longer or shorter than the others.
    """
    _check_quotes(text, layout, where)
    columns = _quickly(text, layout, as_words) or _carefully(_body(text, layout), layout, where)
    first = int(layout.row_names)
    return columns[first : first + len(layout.names)]


def lines_of(text: str, layout: Layout) -> list[int]:
    """Numbers of the lines on which the rows begin."""
    return [line for line, _ in _body(text, layout)]


def _body(text: str, layout: Layout) -> list[Row]:
    """Rows of data. One without any value, as spreadsheets write them at the end, is no row."""
    return [row for row in rows_of(text, layout.separator, layout.first) if any(row[1])]


def _check_quotes(text: str, layout: Layout, where: str) -> None:
    """Refuse a quotation mark that is not closed, and so makes one cell of all that follows."""
    rows = _body(text, layout) if text.count('"') % 2 else []
    if not rows:
        return
    line, cells = rows[-1]
    of_last_row = "\n".join(text.split("\n")[line - 1 :])
    if any("\n" in cell for cell in cells) and of_last_row.count('"') % 2:
        raise ValueError(f"Cannot read {quoted_path(where)} as a table: a quotation mark in line {line} is not closed.")


def _quickly(text: str, layout: Layout, as_words: bool) -> list[np.ndarray] | None:
    """Read with numpy, which takes neither a slip nor a row of another length: None then."""
    separator = layout.separator
    sample = [cells for _, cells in islice(rows_of(head_of(text), separator, layout.first), SAMPLE)]
    if {len(cells) for cells in sample} != {layout.width} or f'{separator} "' in text or '\n "' in text:
        return None
    kinds = [object if as_words or plain(cells) is None else float for cells in zip(*sample, strict=True)]
    body = io.StringIO(text)
    for _ in range(layout.first):
        body.readline()
    try:
        table = np.loadtxt(
            body,
            dtype=[(f"column {i}", kind) for i, kind in enumerate(kinds)],
            delimiter=None if separator == " " else separator,
            comments=None,
            quotechar='"',
            ndmin=1,
        )
    except ValueError:
        return None
    if float not in kinds and not all(any(map(str.strip, row)) for row in table.tolist()):
        return None
    return [_column(table[name]) for name in table.dtype.fields or ()]


def _column(cells: np.ndarray) -> np.ndarray:
    """A column of its own, without blanks around the words."""
    if cells.dtype == np.float64:
        return np.ascontiguousarray(cells)
    return np.array(list(map(str.strip, cells)), dtype=object)


def _carefully(rows: list[Row], layout: Layout, where: str) -> list[np.ndarray]:
    _check_lengths(rows, layout, where)
    cells = zip(*(cells for _, cells in rows), strict=True)
    return [np.array(column, dtype=object) for column in cells] or [np.array([], dtype=object)] * layout.width


def _check_lengths(rows: Sequence[Row], layout: Layout, where: str) -> None:
    """Refuse rows of another length than the header's, or if there is none, than the first row's."""
    wrong = [(line, cells) for line, cells in rows if len(cells) != layout.width]
    if not wrong:
        return
    line, cells = wrong[0]
    model = "the header" if layout.has_header else "the first row"
    count = f" (rows of another length: {len(wrong)})" if len(wrong) > 1 else ""
    raise ValueError(
        f"Cannot read {quoted_path(where)} as a table: line {line} has {plural(len(cells), 'cell')}, but {model} has "
        f"{layout.width}{count}. Correct the file, or tell with --separator what is between the columns."
    )
