"""A table from a file of text."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from ._column import Column, decimal_of, read
from ._dataset import Dataset, assemble
from ._faults import Faults
from ._files import PACKED, text_of
from ._layout import Layout, layout_of
from ._options import Options
from ._rows import cells_of, lines_of
from ._words import printable, quoted

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
        raise ValueError(f"{quoted(path)} is empty.")
    name = printable(Path(path.stem).stem if path.suffix.lower() in PACKED else path.stem)
    layout = layout_of(text, options.separator)
    target, kept = options.choose(layout.names, name)
    columns = _columns(text, layout, [*kept, *([] if target is None else [target])], options, str(path))

    @cache
    def lines() -> list[int]:
        return lines_of(text, layout)

    faults = Faults(str(path), lambda row: f"line {lines()[row]}")
    data = assemble(name, columns[: len(kept)], None if target is None else columns[-1], faults, options)
    if layout.row_names:
        data.notes.insert(
            0, "The first cell of each row has no name in the header. It is taken as the name of the row."
        )
    return data


def _columns(text: str, layout: Layout, wanted: list[int], options: Options, where: str) -> list[Column]:
    cells = cells_of(text, layout, where)
    if not len(cells[0]):
        raise ValueError(f"{quoted(where)} holds no rows.")
    shown = options.decimal or decimal_of(cells[i] for i in wanted)
    if shown == "," and any(cells[i].dtype == np.float64 for i in wanted):
        cells = cells_of(text, layout, where, as_words=True)
    columns = [read(layout.names[i], cells[i], options.decimal, shown) for i in wanted]
    for i, column in zip(wanted, columns, strict=True):
        column.unnamed = i in layout.unnamed
    return columns
