"""Rows drawn as pictures, with one column per sample."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ._matplotlib import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ImageShape", "draw_pictures", "picture_shape"]

ImageShape = tuple[int, ...] | Literal["auto"] | None

GAP = 1.1
"""Distance between the left or the upper edges of neighbours, in units of the size of a picture."""


def picture_shape(image_shape: ImageShape, n_features: int) -> tuple[int, ...] | None:
    """Find the shape of the picture in a row, or None if rows are not pictures."""
    if image_shape is None:
        return None
    if image_shape == "auto":
        side = math.isqrt(n_features)
        return (side, side) if side >= 4 and side**2 == n_features else None
    shape = tuple(np.atleast_1d(image_shape).tolist())
    lengths = all(isinstance(length, int) and length > 0 for length in shape)
    if not lengths or len(shape) < 2 or shape[2:] not in ((), (3,)):
        raise ValueError(
            f"image_shape={image_shape!r} is not the shape of a picture: pass (height, width) or (height, width, 3)."
        )
    if math.prod(shape) != n_features:
        raise ValueError(
            f"image_shape={image_shape!r} has {math.prod(shape)} numbers, but X has {n_features} features: "
            "pass a shape with as many numbers as features."
        )
    return shape


def draw_pictures(
    rows: Mapping[str, np.ndarray], shape: tuple[int, ...], errors: Any, cmap: str, ax: Axes | None
) -> Axes:
    """Draw all pictures on the same axes, in units of pixels."""
    n_samples, (height, width) = len(next(iter(rows.values()))), shape[:2]
    if ax is None:
        side = min(1.1, 14 / n_samples)
        ax = new_axes(1.2 + n_samples * side, 0.7 + len(rows) * side * height / width)
    limits = _limits(next(iter(rows.values())))
    for i, values in enumerate(rows.values()):
        for j, image in enumerate(values.reshape(-1, *shape)):
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


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Smallest and largest value. A shade of grey then means the same number in all pictures."""
    return float(np.nanmin(values)), float(np.nanmax(values))


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
