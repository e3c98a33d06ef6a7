"""A table from a file of text."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from ._column import Column, read
from ._dataset import Dataset, assemble
from ._faults import Faults
from ._files import PACKED, text_of
from ._layout import Layout, cells_of_any_size, layout_of
from ._numbers import evidence
from ._options import Options
from ._rows import cells_of, lines_of
from ._words import printable, quoted_path

__all__ = ["read_text"]


def read_text(path: Path, options: Options) -> Dataset:
    """Read a file of text, which may be compressed.

    Parameters
    ----------
    path : Path
    options : Options
    """
    text = text_of(path, options.encoding)
    if not text.strip():
        raise ValueError(f"Cannot read {quoted_path(path)} as a table: it is empty.")
    with cells_of_any_size(text):
        return _table(text, path, options)


def _table(text: str, path: Path, options: Options) -> Dataset:
    name = printable(Path(path.stem).stem if path.suffix.lower() in PACKED else path.stem)
    layout = layout_of(text, options.separator)
    if not layout.names:
        raise ValueError(f"{quoted_path(path)} holds no rows.")
    target, kept = options.choose(layout.names, name)
    columns = _columns(text, layout, [*kept, *([] if target is None else [target])], options, str(path))

    @cache
    def lines() -> list[int]:
        return lines_of(text, layout)

    faults = Faults(str(path), lambda row: f"line {lines()[row]}")
    data = assemble(name, columns[: len(kept)], None if target is None else columns[-1], faults, options)
    if layout.row_names:
        data.notes.insert(
            0, "The header has no name for the first cell of each row, so it is the name of the row and left out."
        )
    return data


def _columns(text: str, layout: Layout, wanted: list[int], options: Options, where: str) -> list[Column]:
    """Read the wanted columns. One that does not show its decimal mark has that of the others, if they agree."""
    cells = cells_of(text, layout, where)
    if not any(map(len, cells)):
        raise ValueError(f"{quoted_path(where)} holds no rows.")
    shown = {i: evidence(cells[i]) for i in wanted if cells[i].dtype == object and options.decimal is None}
    marks = {options.decimal, *shown.values()} - {None}
    usual = marks.pop() if len(marks) == 1 else None
    if usual == "," and any(cells[i].dtype == np.float64 for i in wanted):
        cells = cells_of(text, layout, where, as_words=True)
        shown = {i: evidence(cells[i]) for i in wanted if options.decimal is None}
    columns = [read(layout.names[i], cells[i], shown.get(i) or usual) for i in wanted]
    for i, column in zip(wanted, columns, strict=True):
        column.unnamed = i in layout.unnamed
    return columns
