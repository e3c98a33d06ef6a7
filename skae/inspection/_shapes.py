"""The shape of the picture in a row: what the user says, and what the estimator knows."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from sklearn.base import OneToOneFeatureMixin

__all__ = ["ImageShape", "as_images", "known_shape", "picture_shape", "shape_to_draw"]

ImageShape = tuple[int, ...] | Literal["auto"] | None

DRAWN = 1, 3
"""Numbers of channels that can be drawn: grey, and red, green and blue."""


def picture_shape(image_shape: tuple[int, ...] | str | None, n_features: int) -> tuple[int, ...] | None:
    """Find the shape of the picture in a row, or None if rows are not pictures.

    It is (height, width), or (3, height, width) or (height, width, 3) in colour. A single channel is left out.
    """
    if image_shape is None:
        return None
    if isinstance(image_shape, str) and image_shape == "auto":
        side = math.isqrt(n_features)
        return (side, side) if side >= 4 and side**2 == n_features else None
    shape = tuple(np.atleast_1d(image_shape).tolist())
    lengths = all(isinstance(length, int) and length > 0 for length in shape)
    axes = [axis for axis in (0, 2) if shape[axis] in DRAWN] if len(shape) == 3 else []
    if not lengths or not (len(shape) == 2 or axes):
        raise ValueError(
            f"image_shape={image_shape!r} is not the shape of a picture: pass (height, width), (3, height, width) or "
            "(height, width, 3)."
        )
    if math.prod(shape) != n_features:
        raise ValueError(
            f"image_shape={image_shape!r} has {math.prod(shape)} numbers, but X has {n_features} features: "
            "pass a shape with as many numbers as features."
        )
    if len(axes) == 2:
        raise ValueError(
            f"image_shape={image_shape!r} may have its channels first or last: leave out a single channel, or pass "
            "None to draw no pictures."
        )
    return _without_grey(shape, *axes)


def shape_to_draw(image_shape: ImageShape | Literal["estimator"], estimator: Any, n_features: int) -> ImageShape:
    """Find the shape in which a display draws the rows of an estimator.

    Parameters
    ----------
    image_shape : tuple, "estimator", "auto" or None
        What the user says. "estimator" is the shape that the estimator knows, and None if it knows none. "auto" is the
        same, but leaves the choice to ``picture_shape`` if the estimator knows none.
    estimator : object
        A fitted estimator.
    n_features : int
        Number of features of a row.

    Returns
    -------
    image_shape : tuple, "auto" or None
        What ``picture_shape`` accepts.

    Raises
    ------
    ValueError
        If the user and the estimator say different shapes, or if the user's shape does not fit.
    """
    known = known_shape(estimator)
    if known is not None and math.prod(known[0]) != n_features:
        known = None
    if isinstance(image_shape, str) and image_shape in ("estimator", "auto"):
        if known is not None:
            return _drawable(*known)
        return "auto" if image_shape == "auto" else None
    told = picture_shape(image_shape, n_features)
    if told is not None and known is not None and told != _without_grey(*known):
        shape, axis = known
        place = "" if axis is None else f" with channels {'first' if axis == 0 else 'last'}"
        raise ValueError(
            f"image_shape={image_shape!r} contradicts {type(estimator).__name__}, whose rows are images of shape "
            f"{shape}{place}: pass its shape, or leave image_shape out."
        )
    return told


def known_shape(estimator: Any) -> tuple[tuple[int, ...], int | None] | None:
    """Shape of the images that an estimator reads, and the axis of their channels. None if it reads no images."""
    if hasattr(estimator, "steps"):
        *before, last = (step for _, step in estimator.steps)
        keeps_columns = all(step in (None, "passthrough") or isinstance(step, OneToOneFeatureMixin) for step in before)
        return known_shape(last) if keeps_columns else None
    for inner in ("best_estimator_", "encoder_"):
        if hasattr(estimator, inner):
            return known_shape(getattr(estimator, inner))
    if getattr(estimator, "layers_", None):
        return known_shape(estimator.layers_[0])
    shape: Any = getattr(estimator, "image_shape_", getattr(estimator, "image_shape", None))
    if isinstance(shape, str) or np.ndim(shape) != 1 or len(shape) not in (2, 3):
        return None
    channels_last = getattr(estimator, "channel_axis", "first") == "last"
    return tuple(int(length) for length in shape), None if len(shape) == 2 else 2 * channels_last


def _drawable(shape: tuple[int, ...], axis: int | None) -> tuple[int, ...] | None:
    """The shape as one that ``picture_shape`` accepts, or None for signals and for other numbers of channels."""
    shape = _without_grey(shape, axis)
    if len(shape) == 2:
        return None if shape[0] == 1 else shape
    axes = [axis for axis in (0, 2) if shape[axis] in DRAWN]
    return shape if axes == [axis] else None


def _without_grey(shape: tuple[int, ...], axis: int | None = None) -> tuple[int, ...]:
    """The shape without the axis of the channels if there is one channel."""
    return shape if axis is None or shape[axis] > 1 else tuple(np.delete(shape, axis).tolist())


def as_images(rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Rows as pictures of shape (n, height, width) or (n, height, width, 3), for a shape from ``picture_shape``."""
    images = rows.reshape(-1, *shape)
    return np.moveaxis(images, 1, -1) if len(shape) == 3 and shape[2] != 3 else images
