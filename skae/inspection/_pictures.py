"""Rows drawn as pictures, with one column per sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ._matplotlib import new_axes
from ._shapes import as_images

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_pictures", "grey_limits", "show_picture"]

GAP = 1.1
"""Distance between the left or the upper edges of neighbours, in units of the size of a picture."""


def draw_pictures(
    names: Sequence[str],
    lines: Sequence[np.ndarray] | np.ndarray,
    shape: tuple[int, ...],
    cmap: str,
    ax: Axes | None,
    *,
    headings: Sequence[tuple[str, int]] = (),
    label: str = "",
    reference: np.ndarray | None = None,
) -> Axes:
    """Draw all pictures on the same axes, in units of pixels. Rows of NaN leave their place empty.

    Parameters
    ----------
    names : sequence of str
        Name of each line.
    lines : sequence of ndarray of shape (n_columns, n_features)
        Rows, one array per line.
    shape : tuple
        A shape from ``picture_shape``.
    cmap : str
    ax : Axes or None
    headings : sequence of (str, int), default=()
        What is written above the columns, and the number of columns that each text stands for.
    label : str, default=""
        What the headings are.
    reference : ndarray of shape (n, n_features), default=None
        Rows whose values set the greys. None stands for the first line.
    """
    pictures = [as_images(rows, shape) for rows in lines]
    n_columns, height, width = pictures[0].shape[:3]
    if ax is None:
        side = min(1.1, 14 / n_columns)
        ax = new_axes(1.2 + n_columns * side, 0.7 + len(lines) * side * height / width)
    limits = grey_limits(pictures[0] if reference is None else as_images(reference, shape))
    for i, images in enumerate(pictures):
        for j, image in enumerate(images):
            left, top = j * GAP * width, i * GAP * height
            if not np.isnan(image).all():
                show_picture(ax, image, limits, cmap, extent=(left, left + width, top + height, top))
    # imshow has set the limits to the edges of the last picture.
    right, bottom = (GAP * (n_columns - 1) + 1) * width, (GAP * (len(lines) - 1) + 1) * height
    ax.set(xlim=(0, right), ylim=(bottom, 0))
    ax.set_yticks((GAP * np.arange(len(lines)) + 0.5) * height, list(names))
    _write_headings(ax, headings, label, width)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def grey_limits(images: np.ndarray) -> tuple[float, float]:
    """Smallest and largest value. A shade of grey then means the same number in all pictures.

    In colour, zero stays black if no value is negative. Otherwise hues would change.
    """
    low, high = float(np.nanmin(images)), float(np.nanmax(images))
    return min(low, 0.0) if images.ndim == 4 else low, high


def show_picture(
    ax: Axes,
    image: np.ndarray,
    limits: tuple[float, float],
    cmap: str,
    extent: tuple[float, float, float, float],
) -> None:
    low, high = limits
    if image.ndim == 3:  # matplotlib maps grey to (low, high) but colours only from (0, 1)
        image = np.clip((image - low) / ((high - low) or 1.0), 0.0, 1.0)
    ax.imshow(image, cmap=cmap, vmin=low, vmax=high, extent=extent, interpolation="nearest")


def _write_headings(ax: Axes, headings: Sequence[tuple[str, int]], label: str, width: int) -> None:
    """Write each heading above the middle of its columns."""
    counts = np.array([n for _, n in headings], dtype=int)
    first = np.cumsum(counts) - counts
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    middles = (GAP * (first + (counts - 1) / 2) + 0.5) * width
    ax.set_xticks(middles, [text for text, _ in headings], fontsize="small")
    ax.set_xlabel(label, fontsize="small")
