"""Comparison: what compare() returns, as rows, as a table of text, as a data frame and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np

from .columns import COLUMNS, NAMES, SPREAD

__all__ = ["HEADINGS", "TIMES", "Comparison", "figures_of", "form_of", "summarized", "with_spread"]

HEADINGS = {
    "r2": ("R2", ".3f"),
    "linear": ("linear", ".3f"),
    "knn": ("kNN", ".3f"),
    "neighbors": ("kept", ".3f"),
    "fit_seconds": ("fit s", ".2f"),
    "rows_per_second": ("rows/s", ",.0f"),
}
"""Heading and number format of the columns of every comparison."""
TIMES = ("fit_seconds", "rows_per_second")
"""Columns that are medians over the folds. The others are means."""
WIDTH = 100
"""Characters of a terminal's line. Columns beyond it are printed below the others."""


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
        ``transform``, such as t-SNE, has only "fit_seconds". Each scorer of ``scoring`` adds a key with its name. For
        each of these keys there is one that ends with "_std", such as "r2_std": the standard deviation over the folds,
        with their number less one as the divisor. It is None if fewer than two folds have a value.
    folds : list of dict
        The same values, with one row for each fold.
    estimators : dict
        The models that were fitted to the training rows of the first fold, by (reducer, n_components).
    X_test : {ndarray, sparse matrix} of shape (n_test, n_features)
        The held-out rows of the first fold.
    y_test : ndarray of shape (n_test,), or None
        Their targets. None without a target.
    baselines : list of dict
        Two rows with the same keys as ``rows``, to judge the other rows by. "all columns" has the scores of the same
        models on X itself, without a reduction. "majority class", or "mean of the target", has the score of that guess.
        Without a target there are none.
    settings : dict of str to str
        What was compared, and how, in words.
    """

    rows: list[dict[str, Any]]
    folds: list[dict[str, Any]]
    estimators: dict[tuple[str, int], Any] = field(repr=False)
    X_test: Any = field(repr=False)
    y_test: np.ndarray | None = field(repr=False)
    baselines: list[dict[str, Any]]
    settings: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def columns(self) -> list[str]:
        """Keys of ``rows`` that are figures, without the standard deviations."""
        keys = dict.fromkeys(key for row in self.rows for key in row)
        return [key for key in keys if key not in NAMES and not key.endswith(SPREAD)]

    def to_frame(self) -> Any:
        """Return the rows as a data frame.

        Returns
        -------
        frame : pandas.DataFrame
            Indexed by n_components and reducer.
        """
        import pandas as pd

        return pd.DataFrame(self.rows).set_index(["n_components", "reducer"])

    def to_html(self, path: str | PathLike[str], *, title: str | None = None, image_shape: Any = None) -> None:
        """Write the comparison as one page of HTML, with its picture inside.

        The page has the table, what each column means, the figures of each fold, the settings, the versions of the
        packages and the parameters of each reducer. It needs no network and no server, and runs no script.

        Parameters
        ----------
        path : path of a file
            It is replaced when the page is complete, and not before.
        title : str, default=None
            Title of the page and of the picture.
        image_shape : tuple of int, "auto" or None, default=None
            Shape of the picture in a row. None if rows are not pictures.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        OSError
            If the file cannot be written.
        """
        from .page import page, picture_of, write_page

        write_page(path, page(self, title, picture_of(self, title, image_shape)))

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

    def is_best(self, row: dict[str, Any], column: str) -> bool:
        """Whether no reducer with as many components has a value that looks better in the table."""
        if row[column] is None or any(row is other for other in self.baselines):
            return False
        form = self.heading(column)[1]
        return format(row[column], form) == format(self.best(column, row["n_components"]), form)

    def heading(self, column: str) -> tuple[str, str]:
        """Heading and number format of a column."""
        return HEADINGS.get(column) or (column, form_of([row.get(column) for row in self.rows]))

    def table(self, mark: str = "{}*") -> str:
        """Format the rows as a table for a terminal.

        Scores of several folds are means ± standard deviations. Columns that would make a line longer than 100
        characters are printed below the others.

        Parameters
        ----------
        mark : str, default="{}*"
            Format of the best values. The best value of a column is marked for each number of components.

        Returns
        -------
        table : str
        """
        everything = self.rows + self.baselines
        shown = [name for name in self.columns if any(row[name] is not None for row in self.rows)]
        names = max(len("reducer"), *(len(row["reducer"]) for row in everything))
        labels = [f"{'n_components':>12}  {'reducer':<{names}}"]
        for i, row in enumerate(everything):
            new = i == 0 or row["n_components"] != everything[i - 1]["n_components"]
            labels.append(f"{row['n_components'] if new else '':>12}  {row['reducer']:<{names}}")
        columns = [self._column(name, mark) for name in shown]
        blocks = list(_blocks(columns, WIDTH - len(labels[0])))
        lines = [[label + "".join(cells) for label, *cells in zip(labels, *block, strict=True)] for block in blocks]
        return "\n\n".join("\n".join(block) for block in lines or [labels])

    def _column(self, name: str, mark: str) -> list[str]:
        """The cells of a column, with its heading first, as wide as the widest. Each ends with the place of a star."""
        heading, form = self.heading(name)
        everything = self.rows + self.baselines
        texts = [heading, *(with_spread(row, name, form) for row in everything)]
        width = max(map(len, texts))
        cells = [f" {texts[0]:>{width}} "]
        for row, text in zip(everything, texts[1:], strict=True):
            marked = mark.format(text) if self.is_best(row, name) else f"{text} "
            ended = marked if mark == "{}*" or marked == f"{text} " else f"{marked} "
            cells.append(" " * (1 + width - len(text)) + ended)
        return cells

    def __str__(self) -> str:
        return self.table()


def _blocks(columns: list[list[str]], room: int) -> Any:
    """Columns that fit beside each other, with more space between them if there is room."""
    block: list[list[str]] = []
    blocks = [block]
    for column in columns:
        if block and sum(len(cells[0]) for cells in [*block, column]) > room:
            block = []
            blocks.append(block)
        block.append(column)
    for block in blocks:
        free = room - sum(len(cells[0]) for cells in block)
        space = " " * min(2, max(0, free // max(len(block), 1)))
        yield [[space + cell for cell in cells] for cells in block]


def with_spread(row: dict[str, Any], column: str, form: str) -> str:
    """A value with its standard deviation, such as 0.943±.012. Times have none, because they are medians."""
    value, spread = row[column], row.get(column + SPREAD)
    if value is None:
        return "-"
    text = format(value, form)
    if spread is None or column in TIMES:
        return text
    of_spread = format(spread, form)
    return f"{text}±{of_spread[1:] if of_spread.startswith('0.') else of_spread}"


def form_of(values: Sequence[float | None]) -> str:
    """The number format of a further column: at least three digits of its largest value."""
    largest = max((abs(value) for value in values if value), default=1.0)
    if 0.1 <= largest < 10:
        return ".3f"
    magnitude = int(np.floor(np.log10(largest)))
    return ".2e" if magnitude < -4 else f",.{max(0, 3 - magnitude) if largest >= 10 else 2 - magnitude}f"


def figures_of(folds: list[dict[str, Any]]) -> list[str]:
    """The names of the figures in rows: those of every comparison first, then those of scorers."""
    return list(dict.fromkeys((*COLUMNS, *(key for fold in folds for key in fold if key not in NAMES))))


def summarized(folds: list[dict[str, Any]], columns: list[str]) -> list[dict[str, Any]]:
    """Means and standard deviations over the folds of each reducer and number of components."""
    rows = []
    for k, name in dict.fromkeys((f["n_components"], f["reducer"]) for f in folds):
        same = [f for f in folds if (f["n_components"], f["reducer"]) == (k, name)]
        known = {c: [f[c] for f in same if f.get(c) is not None] for c in columns}
        means = {c: _average(c, values) for c, values in known.items()}
        spreads = {c + SPREAD: float(np.std(v, ddof=1)) if len(v) > 1 else None for c, v in known.items()}
        rows.append({"reducer": name, "n_components": k, **means, **spreads})
    return rows


def _average(column: str, values: list[float]) -> float | None:
    """Mean, or median of times."""
    return float((np.median if column in TIMES else np.mean)(values)) if values else None
