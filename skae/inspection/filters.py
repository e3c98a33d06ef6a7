"""FilterDisplay: weights of units, or their optimal stimuli, as pictures or as a heat map."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from typing_extensions import Self

from ..base.derivatives import receptive_fields
from ._matplotlib import literal, new_axes
from ._mosaic import draw_mosaic
from ._shapes import ImageShape, as_images, picture_shape, shape_to_draw
from .stimuli import check_units, optimal_stimulus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

__all__ = ["FilterDisplay"]

MAX_NAMES = 40
"""Largest number of names that are written beside each other. More names would overlap."""


class FilterDisplay:
    """The patterns that units respond to, each as a picture or as a line of a heat map.

    Zero is the middle of the colour map, and colours are symmetric around it. Each filter is scaled to the full range
    of colours, unless all filters share one scale.

    Parameters
    ----------
    filters : array-like of shape (n_filters, n_features)
        Weights, optimal stimuli, mean differences, or other rows of positive and negative numbers.
    image_shape : tuple (height, width), (3, height, width) or (height, width, 3), "auto" or None, default=None
        Shape of the picture in a row, in C order. Channels are the axis of length 3. "auto" takes a square grey picture
        if n_features is a square of at least 16, and a heat map otherwise. None draws a heat map.
    titles : sequence of str, default=None
        Names of the filters. They are written if there are at most 40.
    n_columns : int, default=None
        Number of pictures side by side. None arranges them in a square.
    feature_names : sequence of str, default=None
        Names of the features. They are written below a heat map if there are at most 40.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        All pictures in one image, or the heat map.
    ax_ : matplotlib Axes
        Axes with the image.
    figure_ : matplotlib Figure
        Figure with the axes.

    References
    ----------
    Lee, Ekanadham and Ng (2008), "Sparse deep belief net model for visual area V2",
    https://papers.nips.cc/paper/2007/hash/4daa3db355ef2b0e64b472968cb70f0d-Abstract.html

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae.inspection import FilterDisplay
    >>> pca = PCA(n_components=16).fit(load_digits().data)
    >>> display = FilterDisplay.from_estimator(pca, kind="weights")
    >>> display.filters.shape
    (16, 64)
    """

    def __init__(
        self,
        *,
        filters: np.ndarray,
        image_shape: ImageShape = None,
        titles: Sequence[str] | None = None,
        n_columns: int | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.filters = filters
        self.image_shape = image_shape
        self.titles = titles
        self.n_columns = n_columns
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        kind: Literal["stimuli", "weights"] = "stimuli",
        layer: int = 1,
        units: int | Sequence[int] | None = None,
        image_shape: ImageShape = "auto",
        norm: float | Literal["auto"] = "auto",
        random_state: Any = None,
        n_columns: int | None = None,
        cmap: str = "RdBu_r",
        shared_scale: bool = False,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the patterns that the units of a fitted estimator respond to.

        Parameters
        ----------
        estimator : object
            A fitted estimator of this package, or one with ``components_``, such as PCA or BernoulliRBM.
        kind : {"stimuli", "weights"}, default="stimuli"
            "stimuli" draws, for each unit of the code, the input that activates it most, see ``optimal_stimulus``.
            "weights" draws the weights of the units of a layer.
        layer : int, default=1
            Layer whose weights are drawn. 1 is the layer that sees X. Weights of the second layer are drawn as W_2 W_1,
            the patterns of its units if the first layer were linear, and so on (Lee, Ekanadham and Ng, 2008). For a
            StackedAutoencoder, layer k is the code of its k-th layer. Not used by "stimuli", which are those of the
            code.
        units : int, sequence of int or None, default=None
            Units to draw. None draws all.
        image_shape : tuple, "auto" or None, default="auto"
            Shape of the pictures, see the class. "auto" first uses the shape of the images that the estimator reads, if
            it reads images.
        norm : float or "auto", default="auto"
            Largest Euclidean norm of the stimuli, in units of X. "auto" is the distance of a typical training row from
            the mean, see ``optimal_stimulus``. Not used by "weights".
        random_state : int, RandomState instance or None, default=None
            Seed of the search for stimuli. Not used by "weights".
        n_columns : int, default=None
            Number of pictures side by side. None arranges them in a square.
        cmap : str, default="RdBu_r"
            Colour map, see ``plot``.
        shared_scale : bool, default=False
            Whether all filters share one scale of colours, see ``plot``.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : FilterDisplay
            The display that was drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the code of the estimator has no derivative, or if the estimator has no weights to draw.
        ValueError
            If a unit or layer does not exist, or if a parameter is not as described.

        Warns
        -----
        UserWarning
            If no input within the norm drives a unit, so that its picture is blank.
        """
        if kind == "stimuli":
            filters = np.atleast_2d(optimal_stimulus(estimator, units, norm, random_state=random_state))
            _warn_of_silence(filters, units)
        elif kind == "weights":
            weights = receptive_fields(estimator, layer)
            filters = weights[check_units(units, len(weights))]
        else:
            raise ValueError(f'kind={kind!r} is unknown: pass "stimuli" or "weights".')
        return cls(
            filters=filters,
            image_shape=shape_to_draw(image_shape, estimator, filters.shape[1]),
            titles=[str(unit) for unit in (range(len(filters)) if units is None else np.atleast_1d(units))],
            n_columns=n_columns,
            feature_names=getattr(estimator, "feature_names_in_", None),
        ).plot(ax, cmap=cmap, shared_scale=shared_scale)

    def plot(self, ax: Axes | None = None, *, cmap: str = "RdBu_r", shared_scale: bool = False) -> Self:
        """Draw the filters.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.
        cmap : str, default="RdBu_r"
            Colour map of heat maps and of pictures with one channel. "gray" is usual in the literature.
        shared_scale : bool, default=False
            Whether a colour stands for the same number in all filters. If False, it stands for the same fraction of the
            largest absolute value of each filter.

        Returns
        -------
        self : FilterDisplay
            This display.

        Raises
        ------
        ValueError
            If the filters are not rows of finite numbers, or if ``image_shape``, ``titles``, ``feature_names`` or
            ``n_columns`` do not fit them.
        """
        filters = self._checked_filters()
        shape = picture_shape(self.image_shape, filters.shape[1])
        largest = np.abs(filters).max(axis=None if shared_scale else 1, keepdims=True)
        scaled = filters / np.where(largest > 0, largest, 1.0)
        if shape is not None:
            self.image_ = draw_mosaic(as_images(scaled, shape), self.titles, self.n_columns, cmap, ax)
        else:
            self.image_ = _draw_heat_map(scaled, self.titles, self.feature_names, cmap, ax)
        self.ax_, self.figure_ = self.image_.axes, self.image_.figure
        if shape is None or (shared_scale and len(shape) == 2):
            _add_bar(self.image_, float(largest.max()) if shared_scale else None)
        return self

    def _checked_filters(self) -> np.ndarray:
        filters = np.asarray(self.filters, dtype=float)
        if filters.ndim != 2 or filters.size == 0 or not np.isfinite(filters).all():
            raise ValueError(
                f"filters of shape {filters.shape} cannot be drawn: pass finite numbers, one row per filter."
            )
        _require_names("titles", self.titles, filters.shape[0])
        _require_names("feature_names", self.feature_names, filters.shape[1])
        if self.n_columns is not None and (not isinstance(self.n_columns, Integral) or self.n_columns < 1):
            raise ValueError(f"n_columns={self.n_columns!r} must be a whole number of at least 1, or None.")
        return filters


def _warn_of_silence(stimuli: np.ndarray, units: int | Sequence[int] | None) -> None:
    """Warn of units that no input drives. Their pictures are blank."""
    silent = np.flatnonzero(~stimuli.any(axis=1))
    if len(silent):
        names = silent if units is None else np.atleast_1d(units)[silent]
        warnings.warn(
            f"No input within the norm drives units {names.tolist()}, so that their pictures are blank: pass a larger "
            'norm, or draw kind="weights".',
            UserWarning,
            stacklevel=3,
        )


def _require_names(name: str, names: Sequence[str] | None, n: int) -> None:
    if names is not None and len(names) != n:
        raise ValueError(f"{name} has {len(names)} names, but the filters need {n}: pass as many names, or None.")


def _draw_heat_map(
    scaled: np.ndarray, titles: Sequence[str] | None, feature_names: Sequence[str] | None, cmap: str, ax: Axes | None
) -> AxesImage:
    """Draw one line per filter and one column per feature."""
    lines, columns = _legible(titles), [literal(name) for name in _legible(feature_names)]
    if ax is None:
        room = 0.07 * max(map(len, columns), default=0)
        width, height = 2.0 + 0.3 * scaled.shape[1], 1.0 + 0.25 * len(scaled)
        ax = new_axes(float(np.clip(width, 4.0, 10.0)), room + float(np.clip(height, 2.0, 8.0)))
    image: AxesImage = ax.imshow(scaled, cmap=cmap, vmin=-1.0, vmax=1.0, aspect="auto", interpolation="nearest")
    ax.set(xlabel="" if columns else "Feature", ylabel="Unit")
    ax.locator_params(integer=True)
    if columns:
        ax.set_xticks(range(len(columns)), columns, rotation=90)
    if lines:
        ax.set_yticks(range(len(lines)), lines)
    return image


def _legible(names: Sequence[str] | None) -> list[str]:
    """The names, if they can be written beside each other."""
    return [] if names is None or len(names) > MAX_NAMES else [str(name) for name in names]


def _add_bar(image: AxesImage, end: float | None) -> None:
    """Add a colour bar. It shows numbers up to the shared maximum, or fractions of the maximum of each filter."""
    ticks = ["-max", "0", "max"] if end is None else [f"{value:.3g}" for value in (-end, 0.0, end)]
    bar = image.figure.colorbar(image, ax=image.axes, ticks=[-1.0, 0.0, 1.0])
    bar.ax.set_yticklabels(ticks)
