"""Rows drawn as profiles over their features, with one panel per sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._matplotlib import literal, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_profiles"]

MAX_NAMES = 30
"""Largest number of features that are named below a profile. More names would overlap."""
WIDTH = 10.0
"""Width of a new figure, in inches."""
GAP = 0.2, 0.36
"""Horizontal and vertical distance of neighbouring panels, in inches. Titles need the vertical one."""


def draw_profiles(
    rows: Mapping[str, np.ndarray],
    feature_names: Sequence[str] | None,
    ax: Axes | None,
    *,
    titles: Sequence[str] | None = None,
    colors: Sequence[Any] | None = None,
    points: int = 1,
) -> tuple[np.ndarray, Axes]:
    """Draw panels inside ``ax``, and return the panels and ``ax``.

    Parameters
    ----------
    rows : dict of str to ndarray of shape (n_panels, n_features) or (n_panels, n_rows, n_features)
        Profiles of one colour, one or more in each panel. Those of NaN are left out.
    feature_names : sequence of str or None
    ax : Axes or None
    titles : sequence of str, default=None
        What is written above each panel.
    colors : sequence of colours, default=None
        Colours of the lines. None takes those of matplotlib.
    points : int, default=1
        How many of the first arrays are drawn as points. The others are lines to compare with them.
    """
    first = next(iter(rows.values()))
    n_panels, n_features = len(first), first.shape[-1]
    names = [] if feature_names is None or n_features > MAX_NAMES else [literal(name) for name in feature_names]
    n_columns = _fitting_columns(ax, n_panels, n_features)
    if ax is None:
        room = 0.07 * max(map(len, names), default=0)
        ax = new_axes(WIDTH, 0.9 + room + 1.6 * -(-n_panels // n_columns))
    panels = _panels(ax, n_panels, n_columns)
    for k, panel in enumerate(panels):
        _draw(panel, {name: values[k] for name, values in rows.items()}, names, colors, points)
        if titles is not None:
            panel.set_title(titles[k], fontsize="small")
    if not names:
        for panel in panels[-n_columns:]:
            panel.set_xlabel("Feature", fontsize="small")
    # The legend is above the titles. Its padding makes room for them, in units of the font size.
    ax.legend(
        handles=panels[0].get_lines(),
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        borderaxespad=2.0,
        ncols=len(rows),
        frameon=False,
    )
    return panels, ax


def _fitting_columns(ax: Axes | None, n_samples: int, n_features: int) -> int:
    """Number of panels side by side that are wide enough for titles and names of features."""
    width = WIDTH if ax is None else _inches(ax)[0]
    return min(n_samples, max(1, int(width / (2.4 if n_features <= 15 else 4.5))))


def _inches(ax: Axes) -> np.ndarray:
    """Width and height of axes, in inches."""
    return np.array(ax.bbox.size) / ax.figure.dpi


def _panels(ax: Axes, n_samples: int, n_columns: int) -> np.ndarray:
    """Panels inside axes, line by line. All share their scales, and only the outer ones have labels."""
    ax.set_axis_off()
    counts = np.array([n_columns, -(-n_samples // n_columns)])
    gap = np.minimum(GAP / _inches(ax), 0.5 / counts)  # at least half of the room is for panels
    size = (1 - gap * (counts - 1)) / counts
    panels: list[Axes] = []
    for k in range(n_samples):
        line, column = divmod(k, n_columns)
        left, top = column * (size + gap)[0], 1 - line * (size + gap)[1]
        shared: dict[str, Any] = {"sharex": panels[0], "sharey": panels[0]} if panels else {}
        panel = ax.inset_axes((left, top - size[1], *size), **shared)
        panel.tick_params(labelleft=column == 0, labelbottom=k + n_columns >= n_samples, labelsize="small")
        panels.append(panel)
    return np.array(panels)


def _draw(
    ax: Axes, profiles: Mapping[str, np.ndarray], names: Sequence[str], colors: Sequence[Any] | None, points: int
) -> None:
    """Draw the first profiles as points, and the others as lines to compare with them."""
    for i, (name, values) in enumerate(profiles.items()):
        x, y = _end_to_end(values)
        if i < points:
            ax.plot(x, y, "o", color="black", markersize=3, label=name, zorder=3)
        else:
            ax.plot(x, y, label=name, color=None if colors is None else colors[i - points])
    ax.set_xlim(-0.5, values.shape[-1] - 0.5)
    if names:
        ax.set_xticks(range(len(names)), names, rotation=90)
    else:
        ax.locator_params(axis="x", integer=True)


def _end_to_end(profiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places and values of profiles in a single line with gaps between them, which is quicker than a line for each."""
    x = np.arange(profiles.shape[-1], dtype=float)
    if profiles.ndim == 1:
        return x, profiles
    gap = np.full((len(profiles), 1), np.nan)
    return np.tile(np.append(x, np.nan), len(profiles)), np.hstack([profiles, gap]).ravel()
