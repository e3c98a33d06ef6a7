"""ManifoldDisplay: pictures decoded from a grid of codes with two components."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri
from sklearn.utils.validation import check_is_fitted
from typing_extensions import Self

from ..nn.priors import StandardNormal
from ._codes import columns_of_code, decode, names_of_components, quantiles_of, require_decoder
from ._matplotlib import literal, new_axes
from ._pictures import grey_limits, show_picture
from ._rows import as_array
from ._shapes import ImageShape, as_images, picture_shape, shape_to_draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ManifoldDisplay"]

MOST_TICKS = 5
"""Largest number of places that are named along an axis."""
SIDE = 6.0
"""Longer side of a new figure's grid, in inches."""


class ManifoldDisplay:
    """Pictures decoded from a grid of codes in probability coordinates.

    The columns of pictures stand at the shares (i + 1/2) / n of the first component: those numbers that this share of
    the codes lies below. The lines stand at the same shares of the second component. So pictures are dense where codes
    are dense, and each picture stands for as many codes as any other if the two components are independent.

    Parameters
    ----------
    rows : array-like of shape (n_steps, n_steps, n_features)
        Decoded rows. The second component grows along the first axis, the first component along the second axis.
    values : array-like of shape (2, n_steps)
        Values of the two components, ascending.
    image_shape : tuple (height, width), (3, height, width) or (height, width, 3), or "auto", default="auto"
        Shape of the picture in a row of X, in C order. Channels are the axis of length 3. "auto" takes a square grey
        picture if n_features is a square of at least 16.
    component_names : sequence of str, default=None
        Names of the two components, for the axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the pictures.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    LatentTraversalDisplay : One component moves, of codes with any number of them and of rows that are no pictures too.

    References
    ----------
    Kingma and Welling (2014), "Auto-Encoding Variational Bayes", figure 4, https://arxiv.org/abs/1312.6114

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae.inspection import ManifoldDisplay
    >>> X = load_digits().data
    >>> display = ManifoldDisplay.from_estimator(PCA(n_components=2).fit(X), X, n_steps=9)
    >>> display.rows.shape
    (9, 9, 64)
    """

    def __init__(
        self,
        *,
        rows: np.ndarray,
        values: np.ndarray,
        image_shape: ImageShape = "auto",
        component_names: Sequence[str] | None = None,
    ) -> None:
        self.rows = rows
        self.values = values
        self.image_shape = image_shape
        self.component_names = component_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        components: tuple[int, int] | None = None,
        condition: Any = None,
        n_steps: int = 15,
        image_shape: ImageShape = "auto",
        cmap: str = "gray",
        ax: Axes | None = None,
    ) -> Self:
        """Decode a grid of codes, and draw it.

        Parameters
        ----------
        estimator : object
            A fitted transformer with ``inverse_transform``. PCA and pipelines work too.
        X : {array-like, sparse matrix, DataFrame} of shape (n_rows, n_features), default=None
            Rows that the estimator can transform. The grid is at quantiles of their codes. None takes quantiles of the
            standard normal distribution, for an estimator whose prior is that distribution.
        components : tuple of two int, default=None
            Columns of the code that the grid is over. The others stay at their mean, which is zero without X. None
            needs a code of two columns.
        condition : scalar or array-like of shape (n_columns,), default=None
            The y of all pictures, such as a class, for a model whose ``inverse_transform`` takes conditions.
        n_steps : int, default=15
            Number of pictures along each side of the grid.
        image_shape : tuple or "auto", default="auto"
            Shape of the pictures, see the class. "auto" first uses the shape of the images that the estimator reads, if
            it reads images.
        cmap : str, default="gray"
            Colour map of pictures with one channel. "gray_r" draws dark on white.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : ManifoldDisplay
            The display that was drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator has no ``transform`` or no ``inverse_transform``.
        ValueError
            If X is None and the codes have no standard normal prior, if the code has no such components, if ``n_steps``
            is no positive number, or if the rows are no pictures of this shape.
        """
        require_decoder(estimator)
        check_is_fitted(estimator)
        if not isinstance(n_steps, Integral) or n_steps < 1:
            raise ValueError(f"n_steps={n_steps!r} leaves nothing to draw: pass a whole number of at least 1.")
        shares = (np.arange(n_steps) + 0.5) / n_steps
        names, center, columns, values = _grid(estimator, X, components, shares)
        codes = np.tile(center, (n_steps, n_steps, 1))
        codes[:, :, columns[0]] = values[0]
        codes[:, :, columns[1]] = values[1][:, None]
        rows = decode(estimator, codes, condition)
        return cls(
            rows=rows,
            values=values,
            image_shape=shape_to_draw(image_shape, estimator, rows.shape[-1]),
            component_names=[names[k] for k in columns],
        ).plot(ax, cmap=cmap)

    def plot(self, ax: Axes | None = None, *, cmap: str = "gray") -> Self:
        """Draw the pictures.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.
        cmap : str, default="gray"
            Colour map of pictures with one channel. "gray_r" draws dark on white. A shade of grey means the same number
            in all pictures.

        Returns
        -------
        self : ManifoldDisplay
            This display.

        Raises
        ------
        ValueError
            If the rows are no pictures of this shape.
        """
        rows = np.asarray(self.rows, dtype=float)
        n, _, n_features = rows.shape
        shape = picture_shape(self.image_shape, n_features)
        if shape is None:
            raise ValueError(
                f"Rows with {n_features} features are no pictures: pass their image_shape, or draw a "
                "LatentTraversalDisplay, which shows any rows."
            )
        images = as_images(rows.reshape(n * n, n_features), shape)
        height, width = images.shape[1:3]
        if ax is None:
            inch = SIDE / max(height, width)
            ax = new_axes(0.8 + inch * width, 0.6 + inch * height)
        show_picture(ax, _join(images, n), _limits(images), cmap, extent=(0, n * width, 0, n * height))
        names = self.component_names or ("Component 0", "Component 1")
        _write_values(ax, np.asarray(self.values), names, width, height)
        _separate(ax, n, width, height)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _limits(images: np.ndarray) -> tuple[float, float]:
    """Values that are drawn darkest and lightest. Of grey pixels, a hundredth at each end may be beyond them."""
    if images.ndim == 4:
        return grey_limits(images)
    low, high = np.nanpercentile(images, (1, 99)).tolist()
    return low, high


def _grid(
    estimator: Any, X: Any, components: tuple[int, int] | None, shares: np.ndarray
) -> tuple[list[str], np.ndarray, list[int], np.ndarray]:
    """Names of all components, the code in the middle, and the two columns that move with their values."""
    if X is None:
        _require_normal(estimator)
        names = [str(name) for name in estimator.get_feature_names_out()]
        columns = _columns(estimator, components, len(names))
        return names, np.zeros(len(names)), columns, np.tile(ndtri(shares), (2, 1))
    encoded = estimator.transform(X)
    names, codes = names_of_components(estimator, encoded), as_array(encoded)
    columns = _columns(estimator, components, len(names))
    return names, codes.mean(axis=0), columns, quantiles_of(codes[:, columns], shares)


def _require_normal(estimator: Any) -> None:
    named, fitted = getattr(estimator, "prior", None), getattr(getattr(estimator, "module_", None), "prior", None)
    if not (isinstance(fitted, StandardNormal) or (isinstance(named, str) and named == "normal")):
        raise ValueError(
            f"{type(estimator).__name__} has no standard normal prior to take quantiles of: pass X, and the grid is at "
            "quantiles of its codes."
        )


def _columns(estimator: Any, components: tuple[int, int] | None, width: int) -> list[int]:
    """The two columns of the code that move."""
    if components is not None:
        return columns_of_code(components, width, "two different whole numbers", (2,))
    if width != 2:
        raise ValueError(
            f"A grid is over 2 components, but the code of {type(estimator).__name__} has {width}: "
            + ("pass the two to draw, such as components=(0, 1)." if width > 2 else "fit it with n_components=2.")
        )
    return [0, 1]


def _join(images: np.ndarray, n: int) -> np.ndarray:
    """One picture of n x n pictures, the first line lowest."""
    grid = images.reshape(n, n, *images.shape[1:])[::-1].swapaxes(1, 2)
    return grid.reshape(n * images.shape[1], n * images.shape[2], *images.shape[3:])


def _write_values(ax: Axes, values: np.ndarray, names: Sequence[str], width: int, height: int) -> None:
    """Write the values of the components at some of the columns and lines."""
    n = values.shape[1]
    named = np.unique(np.linspace(0, n - 1, min(n, MOST_TICKS)).round().astype(int))
    ax.set_xticks((named + 0.5) * width, [f"{value:.2g}" for value in values[0][named]])
    ax.set_yticks((named + 0.5) * height, [f"{value:.2g}" for value in values[1][named]])
    ax.set(xlabel=literal(names[0]), ylabel=literal(names[1]))


def _separate(ax: Axes, n: int, width: int, height: int) -> None:
    """Draw lines between the pictures, since many fill their frames and would run together."""
    ax.set_xticks(np.arange(1, n) * width, minor=True)
    ax.set_yticks(np.arange(1, n) * height, minor=True)
    ax.tick_params(which="minor", length=0)
    ax.grid(which="minor", color="white", linewidth=1.5)
