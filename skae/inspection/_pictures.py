"""Rows drawn as pictures, with one column per sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ._matplotlib import new_axes
from ._shapes import as_images

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_pictures"]

GAP = 1.1
"""Distance between the left or the upper edges of neighbours, in units of the size of a picture."""


def draw_pictures(
    rows: Mapping[str, np.ndarray], shape: tuple[int, ...], errors: Any, cmap: str, ax: Axes | None
) -> Axes:
    """Draw all pictures on the same axes, in units of pixels."""
    pictures = {name: as_images(values, shape) for name, values in rows.items()}
    first = next(iter(pictures.values()))
    n_samples, height, width = first.shape[:3]
    if ax is None:
        side = min(1.1, 14 / n_samples)
        ax = new_axes(1.2 + n_samples * side, 0.7 + len(rows) * side * height / width)
    limits = _limits(first)
    for i, images in enumerate(pictures.values()):
        for j, image in enumerate(images):
            left, top = j * GAP * width, i * GAP * height
            _show(ax, image, limits, cmap, extent=(left, left + width, top + height, top))
    # imshow has set the limits to the edges of the last picture.
    right, bottom = (GAP * (n_samples - 1) + 1) * width, (GAP * (len(rows) - 1) + 1) * height
    ax.set(xlim=(0, right), ylim=(bottom, 0))
    ax.set_yticks((GAP * np.arange(len(rows)) + 0.5) * height, list(rows))
    _write_errors(ax, (GAP * np.arange(n_samples) + 0.5) * width, errors)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _limits(images: np.ndarray) -> tuple[float, float]:
    """Smallest and largest value. A shade of grey then means the same number in all pictures.

    In colour, zero stays black if no value is negative. Otherwise hues would change.
    """
    low, high = float(np.nanmin(images)), float(np.nanmax(images))
    return min(low, 0.0) if images.ndim == 4 else low, high


def _show(
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


def _write_errors(ax: Axes, centers: np.ndarray, errors: Any) -> None:
    if errors is None:
        ax.set_xticks([])
        return
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.set_xticks(centers, [f"{error:.3g}" for error in errors], fontsize="small")
    ax.set_xlabel("Squared error", fontsize="small")
