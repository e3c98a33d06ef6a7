"""FilterDisplay: rows of weights, or of stimuli, as pictures or as a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from typing_extensions import Self

from ..base.derivatives import receptive_fields
from ._matplotlib import new_axes
from ._mosaic import draw_mosaic
from ._pictures import ImageShape, picture_shape
from .stimuli import check_units, optimal_stimulus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

__all__ = ["FilterDisplay"]

MAX_NAMES = 40
"""Names that can be written beside each other before they run together."""


class FilterDisplay:
    """What units look for: each row of numbers a picture, or a line of a heat map.

    Colours are symmetric around zero, which is the middle of the map. Each filter reaches the ends
    of the map, unless all share one scale.

    Parameters
    ----------
    filters : array-like of shape (n_filters, n_features)
        Weights, optimal stimuli, mean differences, or other rows with a sign.
    image_shape : tuple (height, width) or (height, width, 3), "auto" or None, default=None
        Shape of the picture in a row, in C order. "auto" takes a square grey picture if n_features
        is a square of at least 16, and a heat map otherwise. None draws a heat map.
    titles : sequence of str, default=None
        Names of the filters. Up to 40 are written.
    n_columns : int, default=None
        Pictures side by side; None makes a square of them.
    feature_names : sequence of str, default=None
        Names of the features, written below a heat map of up to 40 features.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        All pictures in one, or the heat map.
    ax_ : matplotlib Axes
        Axes with the pictures.
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
        norm: float = 1.0,
        random_state: Any = None,
        n_columns: int | None = None,
        cmap: str = "RdBu_r",
        shared_scale: bool = False,
        ax: Axes | None = None,
    ) -> Self:
        """Draw what the units of a fitted estimator look for.

        Parameters
        ----------
        estimator : object
            A fitted estimator of this package, or one with ``components_``, such as PCA or BernoulliRBM.
        kind : {"stimuli", "weights"}, default="stimuli"
            "stimuli": for each unit of the code, the input that drives it most, see
            ``optimal_stimulus``. "weights": for each unit of a layer, its weights.
        layer : int, default=1
            Layer of the weights, from the rows up. Those of the second are drawn through the first, as
            the pictures W_2 W_1 that its units would look for were the first linear, and so on
            (Lee, Ekanadham and Ng, 2008). Of a StackedAutoencoder layer k is the code of its k-th
            layer. Not used by "stimuli", which are those of the code.
        units : int, sequence of int or None, default=None
            Units to draw; None draws all.
        image_shape : tuple (height, width) or (height, width, 3), "auto" or None, default="auto"
            Shape of the pictures, see the class; "auto" asks the estimator first, if it knows.
        norm : float, default=1.0
            Bound of the stimuli, in units of X. Not used by "weights".
        random_state : int, RandomState instance or None, default=None
            Seed of the search for stimuli. Not used by "weights".
        n_columns, cmap, shared_scale
            See the class and ``plot``.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.

        Returns
        -------
        display : FilterDisplay
            The display that was drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator has no derivative of its code, or no weights that could be drawn.
        ValueError
            If there is no such unit or layer, or a parameter is not as described.
        """
        if kind == "stimuli":
            filters = optimal_stimulus(estimator, units, norm, random_state=random_state)
        elif kind == "weights":
            weights = receptive_fields(estimator, layer)
            filters = weights[check_units(units, len(weights))]
        else:
            raise ValueError(f'kind={kind!r} is unknown: pass "stimuli" or "weights".')
        filters = np.atleast_2d(filters)
        return cls(
            filters=filters,
            image_shape=_shape_of(estimator) if image_shape == "auto" else image_shape,
            titles=[str(unit) for unit in (range(len(filters)) if units is None else np.atleast_1d(units))],
            n_columns=n_columns,
            feature_names=getattr(estimator, "feature_names_in_", None),
        ).plot(ax, cmap=cmap, shared_scale=shared_scale)

    def plot(self, ax: Axes | None = None, *, cmap: str = "RdBu_r", shared_scale: bool = False) -> Self:
        """Draw the filters.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        cmap : str, default="RdBu_r"
            Colour map of pictures of one channel and of heat maps; "gray" is that of the literature.
        shared_scale : bool, default=False
            Whether a colour means the same number in all filters, instead of the same fraction of
            the filter's largest.

        Returns
        -------
        self : FilterDisplay
            This display.

        Raises
        ------
        ValueError
            If the filters are no finite rows, or ``image_shape``, ``titles`` or ``n_columns`` do
            not fit them.
        """
        filters = self._checked_filters()
        shape = picture_shape(self.image_shape, filters.shape[1])
        largest = np.abs(filters).max(axis=None if shared_scale else 1, keepdims=True)
        scaled = filters / np.where(largest > 0, largest, 1.0)
        if shape is not None:
            self.image_ = draw_mosaic(scaled.reshape(-1, *shape), self.titles, self.n_columns, cmap, ax)
        else:
            self.image_ = _draw_heat_map(scaled, self.titles, self.feature_names, cmap, ax)
        self.ax_, self.figure_ = self.image_.axes, self.image_.figure
        if shape is None or (shared_scale and len(shape) == 2):
            _add_bar(self.image_, float(largest.max()) if shared_scale else None)
        return self

    def _checked_filters(self) -> np.ndarray:
        filters = np.asarray(self.filters, dtype=float)
        if filters.ndim != 2 or filters.size == 0 or not np.isfinite(filters).all():
            raise ValueError(f"filters of shape {filters.shape} cannot be drawn: pass finite numbers, a row a filter.")
        _require_names("titles", self.titles, filters.shape[0])
        _require_names("feature_names", self.feature_names, filters.shape[1])
        if self.n_columns is not None and (not isinstance(self.n_columns, Integral) or self.n_columns < 1):
            raise ValueError(f"n_columns={self.n_columns!r} must be a whole number of at least 1, or None.")
        return filters


def _require_names(name: str, names: Sequence[str] | None, n: int) -> None:
    if names is not None and len(names) != n:
        raise ValueError(f"{name} has {len(names)} names, but the filters need {n}: pass as many, or None.")


def _shape_of(estimator: Any) -> ImageShape:
    """Shape of the pictures that an estimator was told of, if they have one channel."""
    shape = getattr(estimator, "image_shape", None)
    if not isinstance(shape, tuple | list) or len(shape) not in (2, 3):
        return "auto"
    grey = len(shape) == 2 or shape[0] == 1  # channels come first there
    return tuple(shape[-2:]) if grey else "auto"


def _draw_heat_map(
    scaled: np.ndarray, titles: Sequence[str] | None, feature_names: Sequence[str] | None, cmap: str, ax: Axes | None
) -> AxesImage:
    """A line a filter, a column a feature."""
    lines, columns = _legible(titles), _legible(feature_names)
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
    """Names, if they can be written beside each other."""
    return [] if names is None or len(names) > MAX_NAMES else [str(name) for name in names]


def _add_bar(image: AxesImage, end: float | None) -> None:
    """Explain the colours: numbers up to the shared end, or fractions of each filter's own largest."""
    ticks = ["-max", "0", "max"] if end is None else [f"{value:.3g}" for value in (-end, 0.0, end)]
    bar = image.figure.colorbar(image, ax=image.axes, ticks=[-1.0, 0.0, 1.0])
    bar.ax.set_yticklabels(ticks)
