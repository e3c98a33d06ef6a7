"""PosteriorDisplay: where the code of each row is likely to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d
from typing_extensions import Self

from ._codes import columns_of_code, names_of_components
from ._matplotlib import literal, new_axes, pyplot
from ._rows import as_array
from ._target import Target

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import EllipseCollection, PathCollection

__all__ = ["PosteriorDisplay"]

POINT = 6.0
"""Size of the points, which are small since the ellipses matter."""


class PosteriorDisplay:
    """Means of q(h given x) for two components of the code, with ellipses of one and two standard deviations.

    An ellipse of the size of the prior says that the row says nothing of its code. Small ellipses far from one another
    leave holes, from which samples of the model come that look like no row. An ellipse that shrinks to a point belongs
    to an autoencoder without noise.

    Parameters
    ----------
    mean : array-like of shape (n_samples, 2)
        Means of the two components of each row.
    deviation : array-like of shape (n_samples, 2)
        Standard deviations of the two components of each row.
    y : array-like of shape (n_samples,), default=None
        Target that colours the rows. Strings, and numbers with at most 20 distinct values, are classes and get a
        legend. Other numbers get a colour bar. Rows whose y is NaN are grey.
    component_names : sequence of str, default=None
        Names of the two components, for the axes.
    target_name : str, default=None
        Name of y, for the legend or the colour bar.

    Attributes
    ----------
    scatter_ : matplotlib PathCollection
        The means.
    ellipses_ : list of matplotlib EllipseCollection
        Ellipses of one deviation and of two deviations.
    ax_ : matplotlib Axes
        Axes with the points.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    LatentSpaceDisplay : Codes without their uncertainty, for any transformer.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.inspection import PosteriorDisplay
    >>> mean = np.array([[0.0, 1.0], [2.0, -1.0]])
    >>> display = PosteriorDisplay(mean=mean, deviation=np.full((2, 2), 0.5), y=["a", "b"]).plot()
    >>> len(display.ellipses_)
    2
    """

    def __init__(
        self,
        *,
        mean: np.ndarray,
        deviation: np.ndarray,
        y: np.ndarray | None = None,
        component_names: Sequence[str] | None = None,
        target_name: str | None = None,
    ) -> None:
        self.mean = mean
        self.deviation = deviation
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
        components: tuple[int, int] = (0, 1),
        ax: Axes | None = None,
    ) -> Self:
        """Compute q(h given x) for the rows of X, and draw it.

        Parameters
        ----------
        estimator : object
            A fitted estimator with ``posterior(X)``, which returns means and standard deviations, such as
            VariationalAutoencoder.
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows that the estimator can encode. A few hundred are enough.
        y : array-like of shape (n_samples,), default=None
            Target that colours the rows, see the class.
        components : tuple of two int, default=(0, 1)
            Columns of the code to draw.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : PosteriorDisplay
            The display that was drawn.

        Raises
        ------
        TypeError
            If the estimator has no ``posterior``.
        ValueError
            If the code has no such components, if y is not one-dimensional or not as long as X, or if y has too many
            classes.
        """
        if not hasattr(estimator, "posterior"):
            raise TypeError(
                f"{type(estimator).__name__} has no posterior: pass a variational model, such as "
                "VariationalAutoencoder."
            )
        mean, deviation = (as_array(moment) for moment in estimator.posterior(X))
        columns = columns_of_code(components, mean.shape[1], "two different whole numbers", (2,))
        if y is not None:
            check_consistent_length(mean, y)
        names = names_of_components(estimator, mean)
        return cls(
            mean=mean[:, columns],
            deviation=deviation[:, columns],
            y=None if y is None else column_or_1d(y),
            component_names=[names[column] for column in columns],
            target_name=getattr(y, "name", None),
        ).plot(ax)

    def plot(self, ax: Axes | None = None, *, cmap: str = "viridis") -> Self:
        """Draw the means and the ellipses.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.
        cmap : str, default="viridis"
            Colour map for a target that is a quantity.

        Returns
        -------
        self : PosteriorDisplay
            This display.

        Raises
        ------
        ValueError
            If y has more than 20 classes that are not numbers.
        """
        mean, deviation = np.asarray(self.mean, dtype=float), np.asarray(self.deviation, dtype=float)
        target = None if self.y is None else Target(self.y)
        ax = new_axes() if ax is None else ax
        if target is None:
            self.scatter_: PathCollection = ax.scatter(mean[:, 0], mean[:, 1], s=POINT)
        else:
            self.scatter_ = target.scatter(ax, mean[:, 0], mean[:, 1], cmap, s=POINT)
            target.explain(ax, self.scatter_, self.target_name)
            mean, deviation = mean[target.order], deviation[target.order]
        self.ellipses_ = _draw_ellipses(ax, self.scatter_, mean, deviation)
        names = self.component_names or ("Component 0", "Component 1")
        ax.set(xlabel=literal(names[0]), ylabel=literal(names[1]))
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _draw_ellipses(
    ax: Axes, points: PathCollection, mean: np.ndarray, deviation: np.ndarray
) -> list[EllipseCollection]:
    """Draw ellipses of one and of two deviations in the colours of the points, fainter if there are many."""
    points.update_scalarmappable()
    crowd = max(1.0, len(mean) / 100) ** 0.5
    drawn = []
    for n in (1, 2):
        width, height = 2 * n * deviation.T
        ellipses = pyplot().matplotlib.collections.EllipseCollection(
            width, height, np.zeros(len(mean)), units="xy", offsets=mean, offset_transform=ax.transData
        )
        ellipses.set(facecolor=points.get_facecolor(), alpha=0.3 / (n * crowd), linewidth=0, zorder=1 - 0.1 * n)
        ax.add_collection(ellipses)
        # A collection counts its centres only.
        ax.update_datalim(np.concatenate([mean - n * deviation, mean + n * deviation]))
        drawn.append(ellipses)
    ax.autoscale_view()
    return drawn
