"""Many rows as a shading: cells of the plane instead of points, which would cover one another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._matplotlib import pyplot
from ._target import MISSING, Target

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

__all__ = ["MANY", "shade"]

MANY = 20_000
"""Largest number of rows that are drawn as points."""
CELL = 2.5
"""Width and height of a cell, in points of 1/72 inch."""
FAINTEST = 0.35
"""Strength of the colour of a cell with one row. That of a cell with many rows is 1."""
FULL = 99
"""Per cent of the occupied cells whose strength differs. The others are at full strength."""


def shade(ax: Axes, codes: np.ndarray, target: Target | None, cmap: str) -> AxesImage:
    """Draw the number of rows in each cell, or with a target their majority or their mean.

    Parameters
    ----------
    ax : matplotlib Axes
    codes : ndarray of shape (n_samples, 2)
    target : Target or None
    cmap : str
        Colours of a quantity.
    """
    drawn = np.isfinite(codes).all(axis=1)
    points = codes[drawn].astype(float)
    low, high = points.min(axis=0), points.max(axis=0)
    flat = high <= low
    low, high = low - 0.5 * flat, high + 0.5 * flat
    box = ax.get_window_extent()
    points_per_pixel = 72 / ax.figure.dpi
    shape = np.maximum(1, np.array([box.width, box.height]) * points_per_pixel / CELL).astype(int)
    column, row = np.minimum((points - low) / (high - low) * shape, shape - 1).astype(int).T
    cell, n_cells = row * shape[0] + column, shape[0] * shape[1]
    counts = np.bincount(cell, minlength=n_cells)
    style: dict[str, Any] = {}
    if target is None:
        colors = _deepened(np.broadcast_to(pyplot().matplotlib.colors.to_rgb("C0"), (n_cells, 3)), counts)
    elif target.labels is None:
        colors, style = _means(cell, n_cells, target, drawn, cmap)
    else:
        colors = _deepened(_majorities(cell, n_cells, target, drawn), counts)
    pixels = np.column_stack([colors, counts > 0]).reshape(shape[1], shape[0], 4)
    extent = (low[0], high[0], low[1], high[1])
    image = ax.imshow(pixels, extent=extent, origin="lower", aspect="auto", interpolation="nearest", **style)
    image.sticky_edges.x[:] = image.sticky_edges.y[:] = []  # a margin, as around points
    ax.autoscale_view()
    return image


def _deepened(colors: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The colours, mixed with white where there are few rows. The strength grows with the logarithm of their number."""
    most = max(2.0, float(np.percentile(counts[counts > 0], FULL)))
    strength = FAINTEST + (1 - FAINTEST) * np.clip(np.log(np.maximum(counts, 1)) / np.log(most), 0, 1)
    deepened: np.ndarray = 1 - (1 - colors) * strength[:, None]
    return deepened


def _majorities(cell: np.ndarray, n_cells: int, target: Target, drawn: np.ndarray) -> np.ndarray:
    """The colour of the class with the most rows in each cell. Missing values count only among themselves."""
    n_classes, index = len(target.classes), target.index[drawn]
    counts = np.bincount(cell * (n_classes + 1) + index, minlength=n_cells * (n_classes + 1))
    counts = counts.reshape(n_cells, n_classes + 1)
    counts[counts[:, :n_classes].any(axis=1), n_classes] = 0
    colors: np.ndarray = target.palette[counts.argmax(axis=1)]
    return colors


def _means(
    cell: np.ndarray, n_cells: int, target: Target, drawn: np.ndarray, cmap: str
) -> tuple[np.ndarray, dict[str, Any]]:
    """The colour of the mean of the quantity in each cell, and the scale of the colours."""
    known = ~target.missing[drawn]
    values = target.values[drawn][known].astype(float)
    counts = np.bincount(cell[known], minlength=n_cells)
    mean = np.bincount(cell[known], values, minlength=n_cells) / np.maximum(counts, 1)
    norm, scale = target.scale(cmap)
    colors = np.where((counts > 0)[:, None], scale(norm(mean))[:, :3], MISSING)
    return colors, {"norm": norm, "cmap": scale}
