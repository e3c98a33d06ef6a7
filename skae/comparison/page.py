"""A comparison as one page of HTML: table, picture, settings and parameters, without a script and without a network."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

from sklearn.base import BaseEstimator

from .._version import __version__
from ..engine.replaced import replaced
from .evaluation import n_neighbors
from .result import Comparison, with_spread

__all__ = ["meanings", "page", "picture_of", "write_page"]

DPI = 120
BESIDE = 6
"""Columns of a table that fit on a sheet of paper. Further ones are in a table below."""
LONGEST = 300
"""Longer parameters are cut."""
STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1d1d1f; background: #fff; max-width: 76rem; margin: 0 auto;
  padding: 1rem; }
h1 { font-size: 1.6rem; margin: 0.5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2rem 0 0.5rem; border-bottom: 1px solid #d2d2d7; }
img { max-width: 100%; height: auto; }
.wide { overflow-x: auto; margin-bottom: 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.92rem; }
th, td { padding: 0.2rem 0.7rem; text-align: right; white-space: nowrap; }
th { border-bottom: 2px solid #86868b; vertical-align: bottom; }
td.name, th.name { text-align: left; }
td.text { text-align: left; white-space: normal; overflow-wrap: anywhere; }
tr.first td { border-top: 1px solid #d2d2d7; }
tr.base td { color: #515154; }
.sd { color: #6e6e73; font-size: 0.85em; }
.best { font-weight: 700; }
.best::after { content: "*"; }
dt { font-weight: 600; }
dd { margin: 0 0 0.4rem 1.5rem; }
summary { cursor: pointer; color: #0040a0; }
footer { margin-top: 2rem; color: #6e6e73; font-size: 0.85rem; }
@media print {
  body { font-size: 10pt; padding: 0; }
  table { font-size: 8pt; }
  th, td { padding: 0.1rem 0.35rem; }
  tr, img, dd { break-inside: avoid; }
  h2 { break-after: avoid; }
}
"""


def picture_of(result: Comparison, title: str | None, image_shape: Any) -> bytes:
    """The comparison as a PNG.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    from ..inspection import ComparisonDisplay

    figure = ComparisonDisplay.from_comparison(result, image_shape=image_shape, title=title).figure_
    content = io.BytesIO()
    figure.savefig(content, dpi=DPI, format="png")
    import matplotlib.pyplot as plt

    plt.close(figure)
    return content.getvalue()


def write_page(path: str | PathLike[str], text: str) -> None:
    """Write a page, which takes the place of an older one when it is complete."""
    with replaced(Path(path)) as part:
        part.write_text(text, encoding="utf-8", errors="xmlcharrefreplace")


def page(result: Comparison, title: str | None, picture: bytes | None, notes: Iterable[str] = ()) -> str:
    """Write a comparison as HTML.

    Parameters
    ----------
    result : Comparison
    title : str or None
    picture : bytes or None
        A PNG.
    notes : iterable of str, default=()
        Sentences to show above the table.

    Returns
    -------
    text : str
    """
    heading = escape(f"Reducers compared: {title}" if title else "Reducers compared")
    shown = [name for name in result.columns if any(row[name] is not None for row in result.rows)]
    parts = [
        f"<h1>{heading}</h1>",
        *(f"<p>{escape(note)}</p>" for note in notes),
        *(_table(result, part) for part in _parts(shown)),
        f"<p>{_told(result)}</p>",
    ]
    if picture is not None:
        encoded = base64.b64encode(picture).decode()
        alt = "Held-out rows on two components of each reducer, and the scores of the table as curves or bars"
        parts += ["<h2>Picture</h2>", f'<p><img alt="{alt}" src="data:image/png;base64,{encoded}"></p>']
    parts += ["<h2>What the columns mean</h2>", "<dl>"]
    parts += [f"<dt>{escape(result.heading(n)[0])}</dt><dd>{escape(m)}</dd>" for n, m in meanings(result).items()]
    parts += ["</dl>", "<h2>Settings</h2>", _pairs(result.settings)]
    parts += ["<h2>Parameters</h2>", "<p>Those that differ from the defaults are bold.</p>", _parameters(result)]
    parts += ["<h2>Each fold</h2>", f"<details><summary>{len(result.folds)} fits</summary>"]
    parts += [*(_folds(result, part) for part in _parts(shown)), "</details>"]
    parts += [f"<footer>Written by skae {__version__}.</footer>"]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}\n<title>{heading}</title>\n<style>{STYLE}</style></head>\n'
        "<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def _parts(columns: list[str]) -> Iterator[list[str]]:
    """As many columns as fit beside each other, at a time."""
    for start in range(0, max(len(columns), 1), BESIDE):
        yield columns[start : start + BESIDE]


def meanings(result: Comparison) -> dict[str, str]:
    """What each column that has a value means, in words, by the keys of the columns."""
    unit = "accuracy" if any(row["reducer"] == "majority class" for row in result.baselines) else "R2"
    k = n_neighbors(result.X_test.shape[0])
    known = {
        "r2": "R2 of the reconstruction of held-out rows: 1 is perfect, 0 is no better than the mean of the training "
        "rows.",
        "linear": f"Held-out {unit} of a linear model on the standardized code: logistic regression for classes, ridge "
        "regression for numbers.",
        "knn": f"Held-out {unit} of 5 nearest neighbours on the code.",
        "neighbors": f"Share of each row's {k} nearest other held-out rows that are its {k} nearest on the code too.",
        "fit_seconds": "Seconds of a fit, the median over the folds.",
        "rows_per_second": "Rows that are encoded in a second, the median over the folds.",
    }
    told = {name: known.get(name, "A scorer, see the settings. Greater is better.") for name in result.columns}
    return {name: text for name, text in told.items() if any(row[name] is not None for row in result.rows)}


def _told(result: Comparison) -> str:
    several = result.settings.get("folds") != "1"
    spread = " ± is the standard deviation over the folds." if several else ""
    return (
        "Means over the folds, on held-out rows. The best value of a column for each number of components is bold and "
        f"has a star.{spread}"
    )


def _table(result: Comparison, shown: list[str]) -> str:
    cells = "".join(f"<th>{escape(result.heading(name)[0])}</th>" for name in shown)
    lines = [f'<tr><th>n_components</th><th class="name">reducer</th>{cells}</tr>']
    before = None
    for i, row in enumerate(result.rows + result.baselines):
        new = row["n_components"] != before
        before = row["n_components"]
        kind = " ".join((["first"] if new else []) + (["base"] if i >= len(result.rows) else []))
        cells = "".join(_cell(result, row, name) for name in shown)
        label = f'<td>{before if new else ""}</td><td class="name">{escape(row["reducer"])}</td>'
        lines.append(f'<tr class="{kind}">{label}{cells}</tr>')
    return '<div class="wide"><table>' + "\n".join(lines) + "</table></div>"


def _cell(result: Comparison, row: dict[str, Any], name: str) -> str:
    mean, mark, spread = with_spread(row, name, result.heading(name)[1]).partition("±")
    kind = ' class="best"' if result.is_best(row, name) else ""
    return f"<td><span{kind}>{mean}</span>" + (f' <span class="sd">{mark}{spread}</span>' if mark else "") + "</td>"


def _pairs(told: Mapping[str, str]) -> str:
    lines = [f'<tr><td class="name">{escape(k)}</td><td class="text">{escape(v)}</td></tr>' for k, v in told.items()]
    return '<div class="wide"><table>' + "\n".join(lines) + "</table></div>"


def _parameters(result: Comparison) -> str:
    """The parameters of each reducer, those that were chosen first. n_components is told in the table."""
    models = {reducer: model for (reducer, _), model in reversed(result.estimators.items())}
    parts = []
    for reducer in dict.fromkeys(row["reducer"] for row in result.rows):
        model = models[reducer]
        given = {n: v for n, v in model.get_params().items() if n != "n_components" and not _is_inner(v)}
        usual = _defaults(model)
        chosen = [name for name in given if name not in usual or repr(usual[name]) != repr(given[name])]
        told = [(name, name in chosen) for name in (*chosen, *(n for n in given if n not in chosen))]
        pairs = ", ".join(
            f"<b>{escape(name)}={_short(given[name])}</b>" if is_chosen else f"{escape(name)}={_short(given[name])}"
            for name, is_chosen in told
        )
        of_class = "" if type(model).__name__ == reducer else f" ({type(model).__name__})"
        parts.append(f"<dt>{escape(reducer + of_class)}</dt><dd>{pairs}</dd>")
    return "<dl>" + "\n".join(parts) + "</dl>"


def _is_inner(value: Any) -> bool:
    """Whether a parameter is an estimator, or a list of steps, whose parameters are told one by one."""
    steps = value if isinstance(value, list) else [value]
    parts = [part for step in steps for part in (step if isinstance(step, tuple) else [step])]
    return any(isinstance(part, BaseEstimator) for part in parts)


def _defaults(model: Any) -> dict[str, Any]:
    try:
        found: dict[str, Any] = type(model)().get_params()
    except TypeError:  # such as a pipeline, which needs steps
        return {}
    return found


def _short(value: Any) -> str:
    text = repr(value)
    return escape(text if len(text) <= LONGEST else f"{text[:LONGEST]}...")


def _folds(result: Comparison, shown: list[str]) -> str:
    cells = "".join(f"<th>{escape(result.heading(name)[0])}</th>" for name in shown)
    lines = [f'<tr><th>fold</th><th>n_components</th><th class="name">reducer</th>{cells}</tr>']
    for fold in result.folds:
        values = (("-" if fold.get(n) is None else format(fold[n], result.heading(n)[1])) for n in shown)
        cells = "".join(f"<td>{value}</td>" for value in values)
        label = (
            f'<td>{fold["fold"] + 1}</td><td>{fold["n_components"]}</td><td class="name">{escape(fold["reducer"])}</td>'
        )
        lines.append(f"<tr>{label}{cells}</tr>")
    return '<div class="wide"><table>' + "\n".join(lines) + "</table></div>"
