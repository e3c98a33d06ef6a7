"""LatentSpaceDisplay: one or two components of the code, coloured by a target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d
from typing_extensions import Self

from ._codes import columns_of_code, names_of_components
from ._matplotlib import literal, new_axes
from ._target import Target

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

__all__ = ["LatentSpaceDisplay"]


class LatentSpaceDisplay:
    """Scatter plot of one or two components of the code, coloured by a target.

    A single component is on the x axis. The y axis is then the target, or without a target the count of a histogram.

    Parameters
    ----------
    codes : array-like of shape (n_samples, 1) or (n_samples, 2)
        The components to draw.
    y : array-like of shape (n_samples,), default=None
        Target that colours the rows. Strings, and numbers with at most 20 distinct values, are classes and get a
        legend. Other numbers get a colour bar. Rows whose y is NaN are grey.
    component_names : sequence of str, default=None
        Names of the components, for the axes.
    target_name : str, default=None
        Name of y, for the legend or the colour bar.

    Attributes
    ----------
    scatter_ : matplotlib PathCollection or None
        The points. None for a histogram.
    ax_ : matplotlib Axes
        Axes with the points.
    figure_ : matplotlib Figure
        Figure with the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import Autoencoder
    >>> from skae.inspection import LatentSpaceDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> autoencoder = Autoencoder(max_iter=2, random_state=0).fit(X[:200])
    >>> display = LatentSpaceDisplay.from_estimator(autoencoder, X[:200], y[:200])
    >>> display.ax_.get_xlabel()
    'autoencoder0'
    """

    def __init__(
        self,
        *,
        codes: np.ndarray,
        y: np.ndarray | None = None,
        component_names: Sequence[str] | None = None,
        target_name: str | None = None,
    ) -> None:
        self.codes = codes
        self.y = y
        self.component_names = component_names
        self.target_name = target_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        components: int | tuple[int, ...] = (0, 1),
        ax: Axes | None = None,
    ) -> Self:
        """Encode X and draw the code.

        Parameters
        ----------
        estimator : object
            A fitted transformer. PCA and pipelines work too.
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows that the estimator can transform.
        y : array-like of shape (n_samples,), default=None
            Target that colours the rows, see the class.
        components : int, or tuple of one or two int, default=(0, 1)
            Columns of the code to draw. With the default, a code with a single column is drawn alone.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : LatentSpaceDisplay
            The display that was drawn.

        Raises
        ------
        TypeError
            If the estimator has no ``transform``.
        ValueError
            If the code has no such components, if y is not one-dimensional or not as long as X, or if y has too many
            classes.
        """
        if not hasattr(estimator, "transform"):
            raise TypeError(f"{type(estimator).__name__} has no transform: pass a transformer, such as PCA.")
        codes = estimator.transform(X)
        if y is not None:
            check_consistent_length(codes, y)
        columns = _columns(components, codes.shape[1])
        names = names_of_components(estimator, codes)
        values = codes.toarray() if hasattr(codes, "toarray") else np.asarray(codes)
        return cls(
            codes=values[:, columns],
            y=None if y is None else column_or_1d(y),
            component_names=[names[column] for column in columns],
            target_name=getattr(y, "name", None),
        ).plot(ax)

    def plot(self, ax: Axes | None = None, *, cmap: str = "viridis") -> Self:
        """Draw the code.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.
        cmap : str, default="viridis"
            Colour map for a target that is a quantity.

        Returns
        -------
        self : LatentSpaceDisplay
            This display.

        Raises
        ------
        ValueError
            If y has more than 20 classes that are not numbers.
        """
        codes = np.asarray(self.codes)
        target = None if self.y is None else Target(self.y)
        ax = new_axes() if ax is None else ax
        self.scatter_: PathCollection | None = None
        if codes.shape[1] == 2:
            self.scatter_ = _draw_plane(ax, codes, target, cmap, self.target_name)
        elif target is not None:
            self.scatter_ = _draw_strips(ax, codes[:, 0], target, self.target_name)
        else:
            ax.hist(codes[:, 0], bins=min(50, math.isqrt(len(codes)) + 1))
            ax.set_ylabel("Rows")
        names = [literal(name) for name in self.component_names or map("Component {}".format, range(codes.shape[1]))]
        ax.set(**dict(zip(("xlabel", "ylabel"), names, strict=False)))
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _draw_plane(ax: Axes, codes: np.ndarray, target: Target | None, cmap: str, name: str | None) -> PathCollection:
    x, y = codes.T
    if target is None:
        return ax.scatter(x, y, **_style(len(codes)))
    points = target.scatter(ax, x, y, cmap, **_style(len(codes)))
    target.explain(ax, points, name)
    return points


def _draw_strips(ax: Axes, x: np.ndarray, target: Target, name: str | None) -> PathCollection:
    """Draw one strip of ticks per class, or the quantity against the code."""
    ax.set_ylabel(literal(name or "y"))
    if target.labels is None:
        return ax.scatter(x, target.values, **_style(len(x)))
    ax.set_yticks(range(len(target.labels)), target.labels)
    return target.scatter(ax, x, target.index, **{**_style(len(x)), "marker": "|", "s": 200, "linewidths": 1})


def _style(n_samples: int) -> dict[str, Any]:
    """Style of the points. With many points they are smaller and fainter, and pixels in a vector graphic."""
    crowd = max(1.0, n_samples / 500)
    return {
        "s": max(4.0, 24 / crowd**0.5),
        "alpha": max(0.2, 0.9 / crowd**0.25),
        "linewidths": 0,
        "rasterized": n_samples > 2000,
    }


def _columns(components: int | tuple[int, ...], width: int) -> list[int]:
    """Columns of the code to draw."""
    if width == 1 and np.array_equal(components, (0, 1)):
        return [0]
    return columns_of_code(components, width, "one or two different whole numbers", (1, 2))
