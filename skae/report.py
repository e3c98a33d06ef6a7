"""What ``python -m skae compare`` says about a table and a comparison, and the files that it writes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from ._version import __version__
from .base.abilities import takes_gaps
from .comparison import Comparison
from .comparison.evaluation import n_neighbors
from .comparison.folds import is_classes
from .comparison.page import page, picture_of
from .engine.replaced import replaced
from .tables import Dataset, printable

__all__ = ["NotWrittenError", "describe", "legend", "output_folder", "scale_hint", "told_around", "write"]

FILES = ("compare.json", "compare.png", "compare.html")
ALMOST_ALL = 0.95
"""A few columns with at least this share of the variance get a hint."""


class NotWrittenError(Exception):
    """A result could not be written."""


def describe(data: Dataset) -> str:
    """Describe a table in one line."""
    return f"{printable(data.name)}: {data.X.shape[0]} rows, {data.X.shape[1]} columns, {_describe_target(data)}"


def _describe_target(data: Dataset) -> str:
    if data.y is None:
        return "no target"
    if is_classes(data.y):
        return f"{len(np.unique(data.y))} classes"
    return "a target of real numbers" if data.y.ndim == 1 else f"{data.y.shape[1]} targets of real numbers"


def scale_hint(data: Dataset) -> str | None:
    """Advice to standardize, if one column in ten, or a single one, has almost all of the variance."""
    n_columns = data.X.shape[1]
    largest = np.nanmax(np.abs(data.X), axis=0)
    if data.image_shape is not None or n_columns < 2 or not largest.any():
        return None
    variance = np.nanvar(data.X / largest.max(), axis=0)
    order = np.argsort(-variance, kind="stable")
    share = np.cumsum(variance[order]) / (variance.sum() or 1.0)
    n_large = int(np.argmax(share >= ALMOST_ALL)) + 1
    if share[-1] < ALMOST_ALL or n_large > max(1, n_columns // 10):
        return None
    names = ", ".join(f"'{printable(data.feature_names[i])}'" for i in order[: min(n_large, 3)])
    names += f" and {n_large - 3} more" if n_large > 3 else ""
    have = "has" if n_large == 1 else "have"
    return (
        f"{n_large} of {n_columns} columns ({names}) {have} {share[n_large - 1]:.1%} of the variance, so R2 hardly "
        "depends on the others: --standardize gives all columns the same weight."
    )


def told_around(models: Mapping[str, Any], data: Dataset) -> str | None:
    """Which reducers learn around missing values, and what the others are given."""
    if not np.isnan(data.X).any():
        return None
    able = [name for name, model in models.items() if takes_gaps(model)]
    others = [name for name in dict.fromkeys(["PCA", *models]) if name not in able]  # PCA always takes part
    told = f"Around missing values learn: {_names(able)}. " if able else ""
    told += f"Given means of the training rows in their place: {_names(others)}. " if others else ""
    return f"{told}R2 is that of the values that are there. --impute fills them first, for all reducers."


def legend(result: Comparison, data: Dataset) -> str:
    """Explain the rows and columns of the table."""
    marked = "The best reducer of each size is marked."
    lines = [f"Means ± standard deviations over {result.settings['folds']} folds, on held-out rows. {marked}"]
    if result.settings["folds"] == "1":
        lines = [f"Scores of held-out rows. {marked}"]
    lines.append("R2: reconstruction")
    if data.y is not None:
        unit = "accuracy" if is_classes(data.y) else "R2"
        lines[1] += f"; linear, kNN: {unit} of a linear model and of 5 nearest neighbours on the code"
    k = n_neighbors(len(result.X_test))
    if k:
        lines.append(f"kept: share of each row's {k} nearest held-out rows that are its {k} nearest on the code too")
    if data.y is not None:
        lines.append(f"all columns: the same on the columns themselves; {result.baselines[1]['reducer']}: a guess")
    if "scoring" in result.settings:
        lines.append(f"Scorers, of which greater is better: {result.settings['scoring']}")
    blind = [row["reducer"] for row in result.rows if row["rows_per_second"] is None]
    without = [row["reducer"] for row in result.rows if row["r2"] is None and row["reducer"] not in blind]
    if without:
        lines.append(f"No R2, because it cannot reconstruct rows: {_names(without)}")
    if blind:
        lines.append(
            "No scores, because it cannot encode held-out rows, and a map that is fitted to training and held-out rows "
            f"together is not comparable: {_names(blind)}"
        )
    return "\n".join(lines)


def _names(reducers: list[str]) -> str:
    return ", ".join(map(printable, dict.fromkeys(reducers)))


@contextmanager
def output_folder(path: Path) -> Iterator[None]:
    """Make the folder before anything is computed, and remove it if nothing was written to it."""
    new: list[Path] = []
    try:
        try:
            new = [folder for folder in (path, *path.parents) if not folder.exists()]
            path.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=path):
                pass
            taken = next((path / name for name in FILES if (path / name).is_dir()), None)
        except (OSError, ValueError) as error:
            raise ValueError(f"Cannot write to {str(path)!r}: {getattr(error, 'strerror', error)}.") from None
        if taken is not None:
            raise ValueError(f"Cannot write to {str(taken)!r}: Is a directory.")
        yield
    finally:
        for folder in new:
            with suppress(OSError, ValueError):
                folder.rmdir()


def write(result: Comparison, data: Dataset, options: argparse.Namespace) -> list[str]:
    """Write compare.json, compare.png and compare.html. An interrupt leaves all as they were.

    Returns
    -------
    written : list of str
        The paths of the files, or why there is no picture.

    Raises
    ------
    NotWrittenError
        If a file could not be written. If that is the picture, the figures are written all the same.
    """
    figures, picture, html = (options.output / name for name in FILES)
    with _replaced(figures) as part:
        part.write_text(_json(result, data, options), encoding="utf-8")
        try:
            drawn, failure = _draw(result, data), None
        except Exception as error:
            drawn, failure = None, f"{str(picture)!r} was not drawn: {str(error) or type(error).__name__}"
        text = _html(result, data, drawn).encode(errors="xmlcharrefreplace")
        for path, content in ((picture, drawn), (html, text)):
            try:
                if isinstance(content, bytes):
                    with _replaced(path) as file:
                        file.write_bytes(content)
            except NotWrittenError as error:
                failure = failure or str(error)
    if failure is not None:
        raise NotWrittenError(failure)
    shown = printable(picture) if isinstance(drawn, bytes) else str(drawn)
    return [printable(figures), shown, printable(html)]


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """A path to write to. What was written takes the place of the old file when it is complete, and not before."""
    try:
        with replaced(path) as part:
            yield part
    except OSError as error:
        raise NotWrittenError(f"Cannot write {str(path)!r}: {error.strerror or error}.") from None


def _json(result: Comparison, data: Dataset, options: argparse.Namespace) -> str:
    """All numbers of the result, and the settings."""
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items()}
    content = {"skae": __version__, "data": data.name, "shape": data.X.shape, "settings": settings}
    content |= {"rows": result.rows, "baselines": result.baselines, "folds": result.folds}
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _draw(result: Comparison, data: Dataset) -> bytes | str:
    """The comparison as a PNG, or why there is none."""
    try:
        import matplotlib as mpl
    except ImportError:
        return f'{FILES[1]} was not drawn, because it needs matplotlib: pip install "skae[plot]"'
    mpl.use("Agg")
    return picture_of(result, data.name, data.image_shape)


def _html(result: Comparison, data: Dataset, drawn: bytes | str | None) -> str:
    """The page with the picture, if there is one."""
    return page(result, data.name, drawn if isinstance(drawn, bytes) else None, [describe(data), *data.notes])
