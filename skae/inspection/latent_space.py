"""LatentSpaceDisplay: one or two components of the code, coloured by a target or by what they hide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d
from typing_extensions import Self

from ._codes import columns_of_code, names_of_components, require_decoder
from ._hidden import row_errors, scores_of_map, spread_of_neighbors
from ._matplotlib import literal, new_axes, write_above
from ._rows import without_torch
from ._shading import MANY, shade
from ._target import Quantity, Target

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

__all__ = ["LatentSpaceDisplay"]

COLORS = "target", "spread", "error"


class LatentSpaceDisplay:
    """Map of the rows: one or two components of the code, coloured by a target or by what the map hides.

    Up to 20 000 rows are points. More rows become a shading of small cells. Without a target, and with classes, a cell
    is the darker the more rows it holds, on a logarithmic scale, and has the colour of its most frequent class. With a
    quantity, its colour is that of the mean.

    A single component is on the x axis. The y axis is then the target, or without a target the count of a histogram.

    Parameters
    ----------
    codes : array-like of shape (n_samples, 1) or (n_samples, 2)
        The components to draw.
    y : array-like of shape (n_samples,), default=None
        Target that colours the rows. Strings, and numbers with at most 20 distinct values, are classes. They get a
        legend, and their names are written at the medians of the classes. Other numbers get a colour bar. Rows whose y
        is NaN are grey.
    component_names : sequence of str, default=None
        Names of the components, for the axes.
    target_name : str, default=None
        Name of y, for the legend or the colour bar.
    quantity : array-like of shape (n_samples,), default=None
        Numbers that colour the rows in place of y. The names of the classes of y are still written. If there are larger
        values, the scale of the colours ends at the 95 % quantile, and the colour bar says so.
    quantity_name : str, default=None
        Name of the quantity, for the colour bar.
    scores : dict of str to float, default=None
        Scores of the map, written above the axes.

    Attributes
    ----------
    scatter_ : matplotlib PathCollection or None
        The points. None for a shading and for a histogram.
    shading_ : matplotlib AxesImage or None
        The shading of more than 20 000 rows with two components. None for fewer rows.
    class_names_ : sequence of matplotlib Text
        The names at the medians of the classes. A name that would cover that of a larger class is
        not visible.
    ax_ : matplotlib Axes
        Axes with the points.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    skae.metrics.neighborhood_preservation : The share of neighbours kept, as a scorer.
    skae.metrics.reconstruction_r2 : The R2 of the reconstruction, as a scorer.

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
    >>> list(display.scores)
    ['15 neighbours kept', 'reconstruction R2']

    Colour what the map tears apart:

    >>> display = LatentSpaceDisplay.from_estimator(autoencoder, X[:200], y[:200], color_by="spread")
    >>> display.quantity.shape
    (200,)
    """

    def __init__(
        self,
        *,
        codes: np.ndarray,
        y: np.ndarray | None = None,
        component_names: Sequence[str] | None = None,
        target_name: str | None = None,
        quantity: np.ndarray | None = None,
        quantity_name: str | None = None,
        scores: dict[str, float] | None = None,
    ) -> None:
        self.codes = codes
        self.y = y
        self.component_names = component_names
        self.target_name = target_name
        self.quantity = quantity
        self.quantity_name = quantity_name
        self.scores = scores

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        components: int | tuple[int, ...] = (0, 1),
        color_by: Literal["target", "spread", "error"] = "target",
        scores: bool = True,
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
        color_by : {"target", "spread", "error"}, default="target"
            What colours the rows. "target" is y.

            "spread" is the root mean square distance on the map from a row to its 15 nearest other rows in X, divided
            by its median over the rows. 1 is usual. A row with a large value has neighbours that the map tears apart,
            or lies far from all rows in X, too. Of fewer than 31 rows, half are neighbours. Distances in X are
            Euclidean. More than about 20 000 rows can take minutes.

            "error" is ||x - x_hat||^2, divided by the mean of ||x - mean||^2 over the rows, with the mean of the
            training data. So its mean is 1 - R2. x_hat is decoded from the whole code.
        scores : bool, default=True
            Whether two scores are computed and written above the axes, if they are defined: the share of the 15
            nearest neighbours in X that are among the 15 nearest on the map, and the R2 of the reconstruction from the
            whole code. Of more than 2000 rows, 2000 are scored, drawn at random with a fixed seed. A slow decoder, such
            as that of UMAP, takes seconds.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : LatentSpaceDisplay
            The display that was drawn.

        Raises
        ------
        TypeError
            If the estimator has no ``transform``, or for "error" no ``inverse_transform``.
        ValueError
            If the code has no such components, if y is not one-dimensional or not as long as X, if y has too many
            classes, if there is no such ``color_by``, if the rows have no distances for "spread", or if they are
            reconstructed with other columns for "error".
        """
        if color_by not in COLORS:
            raise ValueError(f"color_by={color_by!r} must be 'target', 'spread' or 'error'.")
        if not hasattr(estimator, "transform"):
            raise TypeError(f"{type(estimator).__name__} has no transform: pass a transformer, such as PCA.")
        if color_by == "error":
            require_decoder(estimator)
        codes, y = without_torch(estimator.transform(X)), without_torch(y)
        if y is not None:
            check_consistent_length(codes, y)
        columns = _columns(components, codes.shape[1])
        names = names_of_components(estimator, codes)
        values = (codes.toarray() if hasattr(codes, "toarray") else np.asarray(codes))[:, columns]
        quantity, quantity_name, errors = None, None, None
        if color_by == "spread":
            quantity, k = spread_of_neighbors(X, values)
            quantity_name = f"Distance to the {k} neighbours in X (1 is usual)"
        elif color_by == "error":
            quantity = errors = row_errors(estimator, X, codes)
            quantity_name = "Squared error of the row (mean 1 - R2)"
        return cls(
            codes=values,
            y=None if y is None else column_or_1d(y),
            component_names=[names[column] for column in columns],
            target_name=getattr(y, "name", None),
            quantity=quantity,
            quantity_name=quantity_name,
            scores=scores_of_map(estimator, X, codes, columns, errors) if scores else None,
        ).plot(ax)

    def plot(self, ax: Axes | None = None, *, cmap: str | None = None) -> Self:
        """Draw the code.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.
        cmap : str, default=None
            Colour map for numbers. None is "viridis" for y, and "plasma_r" for a quantity that colours the rows in
            place of y, where the largest values are the darkest.

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
        color, name, usual = target, self.target_name, "viridis"
        if self.quantity is not None:
            color, name, usual = Quantity(self.quantity), self.quantity_name, "plasma_r"
        ax = new_axes() if ax is None else ax
        self.scatter_: PathCollection | None = None
        self.shading_: AxesImage | None = None
        self.class_names_: Sequence[Text] = ()
        if codes.shape[1] == 2:
            self._draw_plane(ax, codes, color, cmap or usual, name)
            if target is not None:
                from ._class_names import write_class_names

                self.class_names_ = write_class_names(ax, codes, target)
        elif color is not None:
            self.scatter_ = _draw_strips(ax, codes[:, 0], color, name)
        else:
            ax.hist(codes[:, 0], bins=min(50, math.isqrt(len(codes)) + 1))
            ax.set_ylabel("Rows")
        names = [literal(name) for name in self.component_names or map("Component {}".format, range(codes.shape[1]))]
        ax.set(**dict(zip(("xlabel", "ylabel"), names, strict=False)))
        if self.scores:
            write_above(ax, [f"{literal(name)}: {score:.2f}" for name, score in self.scores.items()])
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_plane(self, ax: Axes, codes: np.ndarray, color: Target | None, cmap: str, name: str | None) -> None:
        drawn: Any
        x, y = codes.T
        if len(codes) > MANY:
            self.shading_ = drawn = shade(ax, codes, color, cmap)
        elif color is None:
            self.scatter_ = drawn = ax.scatter(x, y, **_style(len(codes)))
        else:
            self.scatter_ = drawn = color.scatter(ax, x, y, cmap, **_style(len(codes)))
        if color is not None:
            color.explain(ax, drawn, name)


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
