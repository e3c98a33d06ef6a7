"""Many small pictures in one image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ._matplotlib import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

__all__ = ["draw_mosaic"]

MAX_TITLES = 40
"""Largest number of pictures that get titles."""
SIDE = 0.3, 0.9
"""Smallest and largest length of a picture's longer side in a new figure, in inches."""
WIDTH = 9.0
"""Largest width of a new figure in inches, unless pictures become too small."""


def draw_mosaic(
    images: np.ndarray, titles: Sequence[str] | None, n_columns: int | None, cmap: str, ax: Axes | None
) -> AxesImage:
    """Draw pictures of shape (n, height, width) or (n, height, width, 3), with values from -1 to 1, line by line."""
    n, height, width = images.shape[:3]
    titles = [] if titles is None or n > MAX_TITLES else titles
    n_columns = min(n, n_columns or math.ceil(math.sqrt(n)))
    longer = max(height, width)
    gap = max(1, round(0.1 * longer))
    above = max(gap, math.ceil(0.25 * longer)) if titles else gap
    mosaic = _join(images, n_columns, gap, above)
    if ax is None:
        pixel = float(np.clip(WIDTH / n_columns, *SIDE)) / longer
        ax = new_axes(0.2 + pixel * mosaic.shape[1], 0.2 + pixel * mosaic.shape[0])
    image = ax.imshow(mosaic, cmap=cmap, vmin=-1.0, vmax=1.0, interpolation="nearest")
    line, column = np.divmod(np.arange(n), n_columns)
    left, top = column * (width + gap) - 0.5, above + line * (height + above) - 0.5
    _frame(ax, left, top, width, height)
    _write(ax, titles, left + width / 2, top, above)
    ax.set_axis_off()
    ax.set(xlim=(-1.0, mosaic.shape[1]), ylim=(mosaic.shape[0], -1.0 if titles else above - 1.0))
    return image


def _join(images: np.ndarray, n_columns: int, gap: int, above: int) -> np.ndarray:
    """Put pictures into cells with space above and to the right of them. Empty cells are blank."""
    n, height, width, *colors = images.shape
    n_lines = -(-n // n_columns)
    cells = np.full((n_lines * n_columns, height + above, width + gap, *colors), np.nan)
    cells[:n, above:, :width] = images
    lines = cells.reshape(n_lines, n_columns, *cells.shape[1:]).swapaxes(1, 2)
    mosaic = lines.reshape(n_lines * (height + above), n_columns * (width + gap), *colors)[:, :-gap]
    return np.nan_to_num(0.5 + 0.5 * mosaic, nan=1.0) if colors else np.ma.masked_invalid(mosaic)


def _frame(ax: Axes, left: np.ndarray, top: np.ndarray, width: int, height: int) -> None:
    """Draw the edges of all pictures. Otherwise they are invisible where the middle of the colour map is white."""
    x = left[:, None] + np.array([0, width, width, 0, 0, np.nan])
    y = top[:, None] + np.array([0, 0, height, height, 0, np.nan])
    ax.plot(x.ravel(), y.ravel(), color="0.6", linewidth=0.5)


def _write(ax: Axes, titles: Sequence[str], x: np.ndarray, y: np.ndarray, above: int) -> None:
    """Write titles that fit into the space above the pictures."""
    across, down = np.array(ax.bbox.size) / ax.figure.dpi / np.array(ax.images[-1].get_size()[::-1])
    size = min(9.0, 0.6 * 72 * above * min(across, down))
    for title, center, bottom in zip(titles, x, y, strict=False):
        ax.text(center, bottom - 0.1 * above, str(title), ha="center", va="bottom", fontsize=size)
