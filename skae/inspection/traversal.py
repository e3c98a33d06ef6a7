"""LatentTraversalDisplay: what becomes of a row if one component of its code moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from typing_extensions import Self

from ..base.arrow import names_of
from ._codes import columns_of_code, decode, names_of_components, quantiles_of, require_decoder
from ._matplotlib import literal, pyplot
from ._pictures import draw_pictures
from ._profiles import draw_profiles
from ._rows import as_array
from ._shapes import ImageShape, picture_shape, shape_to_draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LatentTraversalDisplay"]

MOST = 10
"""Largest number of components that are drawn if none are named."""


class LatentTraversalDisplay:
    """Rows decoded from a code of which one component moves and the others stay, with one line per component.

    A component that the decoder does not use, such as a collapsed one of a variational autoencoder, changes nothing.

    Parameters
    ----------
    rows : dict of str to array-like of shape (n_steps, n_features)
        Decoded rows, for each component that moves.
    quantiles : array-like of shape (n_steps,)
        Where the moving component is, as shares in [0, 1] of the rows that have less of it.
    start : array-like of shape (n_features,)
        The row decoded from the code that does not move. Profiles show it as points.
    image_shape : tuple (height, width), (3, height, width) or (height, width, 3), "auto" or None, default=None
        Shape of the picture in a row of X, in C order. Channels are the axis of length 3. "auto" takes a square grey
        picture if n_features is a square of at least 16, and profiles otherwise. None draws profiles, with one panel
        per component.
    feature_names : sequence of str, default=None
        Names of the features. They are written below profiles if there are at most 30.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The axes with data: one with all pictures, or one per component with its profiles.
    ax_ : matplotlib Axes
        Axes that hold the whole display.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    ManifoldDisplay : Two components move over a grid.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae.inspection import LatentTraversalDisplay
    >>> X = load_digits().data
    >>> pca = PCA(n_components=3).fit(X)
    >>> display = LatentTraversalDisplay.from_estimator(pca, X, components=(0, 2), image_shape=(8, 8))
    >>> {name: rows.shape for name, rows in display.rows.items()}
    {'pca0': (7, 64), 'pca2': (7, 64)}
    """

    def __init__(
        self,
        *,
        rows: Mapping[str, np.ndarray],
        quantiles: np.ndarray,
        start: np.ndarray,
        image_shape: ImageShape = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.rows = rows
        self.quantiles = quantiles
        self.start = start
        self.image_shape = image_shape
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        row: int | None = 0,
        components: int | Sequence[int] | None = None,
        n_steps: int = 7,
        quantiles: tuple[float, float] = (0.05, 0.95),
        image_shape: ImageShape | Literal["estimator"] = "estimator",
        cmap: str = "gray",
        ax: Axes | None = None,
    ) -> Self:
        """Move components of the code of a row over their quantiles among the rows of X, and draw what is decoded.

        Parameters
        ----------
        estimator : object
            A fitted transformer with ``inverse_transform``. PCA and pipelines work too.
        X : {array-like, sparse matrix, DataFrame} of shape (n_rows, n_features)
            Rows that the estimator can transform. Quantiles are those of their codes.
        y : array-like of shape (n_rows,) or (n_rows, n_columns), default=None
            Conditions of the rows of X, for a model that is told them, such as ConditionalVariationalAutoencoder. All
            decoded rows have the condition of the start. Other models do without.
        row : int or None, default=0
            Number of the row of X whose code is the start. None starts at the mean of all codes.
        components : int, sequence of int or None, default=None
            Columns of the code to move. None moves the ten that change the decoded rows most in mean square, those that
            change them more first.
        n_steps : int, default=7
            Number of places of each component.
        quantiles : tuple of two float, default=(0.05, 0.95)
            The first and the last place, as shares in [0, 1] of the rows that have less. The others are evenly spaced
            between them.
        image_shape : tuple, "estimator", "auto" or None, default="estimator"
            Shape of the pictures, see the class. "estimator" and "auto" use the shape of the images that the estimator
            reads, as a ConvolutionalAutoencoder does. If it reads no images, "estimator" draws profiles.
        cmap : str, default="gray"
            Colour map of pictures with one channel. "gray_r" draws dark on white.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : LatentTraversalDisplay
            The display that was drawn.

        Raises
        ------
        TypeError
            If the estimator has no ``transform`` or no ``inverse_transform``.
        ValueError
            If X has no such row or the code no such components, if the start has no condition although y is given, if
            ``n_steps`` or ``quantiles`` is not as described, or if ``image_shape`` does not fit the features or
            contradicts the estimator.
        """
        require_decoder(estimator)
        shares = _shares(quantiles, n_steps)
        encoded = estimator.transform(X) if y is None else estimator.transform(X, y=y)
        names = names_of_components(estimator, encoded)
        codes = as_array(encoded)
        start, condition = _start(codes, row), _condition(y, row)
        columns = list(range(len(names)))
        if components is not None:
            columns = columns_of_code(components, len(names), "different whole numbers", range(1, len(names) + 1))
        moved = np.tile(start, (len(columns), n_steps, 1))
        moved[np.arange(len(columns)), :, columns] = quantiles_of(codes[:, columns], shares)
        rows = decode(estimator, moved, condition)
        order = range(len(columns)) if components is not None else _most_telling(rows)
        return cls(
            rows={names[columns[k]]: rows[k] for k in order},
            quantiles=shares,
            start=decode(estimator, start, condition),
            image_shape=shape_to_draw(image_shape, estimator, rows.shape[-1]),
            feature_names=names_of(X),
        ).plot(ax, cmap=cmap)

    def plot(self, ax: Axes | None = None, *, cmap: str = "gray") -> Self:
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.
        cmap : str, default="gray"
            Colour map of pictures with one channel. "gray_r" draws dark on white. A shade of grey means the same number
            in all pictures.

        Returns
        -------
        self : LatentTraversalDisplay
            This display.

        Raises
        ------
        ValueError
            If ``image_shape`` does not fit the number of features.
        """
        names = [literal(name) for name in self.rows]
        rows = np.array([np.asarray(values, dtype=float) for values in self.rows.values()])
        shape = picture_shape(self.image_shape, rows.shape[-1])
        shares = [f"{100 * share:.3g} %" for share in self.quantiles]
        if shape is not None:
            headings = [(share, 1) for share in shares]
            reference = rows.reshape(-1, rows.shape[-1])
            label = "Quantile of the component"
            self.ax_ = draw_pictures(names, rows, shape, cmap, ax, headings=headings, label=label, reference=reference)
            self.axes_ = np.array([self.ax_])
        else:
            profiles = {
                "start": np.tile(self.start, (len(rows), 1)),
                **dict(zip(shares, rows.swapaxes(0, 1), strict=True)),
            }
            ramp = pyplot().get_cmap("viridis")(np.linspace(0, 0.9, len(shares)))
            self.axes_, self.ax_ = draw_profiles(profiles, self.feature_names, ax, titles=names, colors=ramp)
        self.figure_ = self.ax_.figure
        return self


def _shares(quantiles: tuple[float, float], n_steps: int) -> np.ndarray:
    """Evenly spaced shares between two quantiles."""
    if not isinstance(n_steps, Integral) or n_steps < 2:
        raise ValueError(f"n_steps={n_steps!r} shows no movement: pass a whole number of at least 2.")
    pair = np.asarray(quantiles, dtype=float)
    if pair.shape != (2,) or not 0 <= pair[0] < pair[1] <= 1:
        raise ValueError(f"quantiles={quantiles!r} are no ends of a path: pass two numbers with 0 <= low < high <= 1.")
    return np.linspace(*pair, int(n_steps))


def _start(codes: np.ndarray, row: int | None) -> np.ndarray:
    """The code that does not move."""
    if row is None:
        mean: np.ndarray = codes.mean(axis=0)
        return mean
    if not isinstance(row, Integral) or not 0 <= row < len(codes):
        raise ValueError(f"row={row!r} is no row of X: pass a whole number from 0 to {len(codes) - 1}, or None.")
    return codes[row]


def _condition(y: Any, row: int | None) -> Any:
    """The condition of the row whose code does not move."""
    if y is not None and row is None:
        raise ValueError("row=None is the mean of all codes, and y says no condition of it: pass a row.")
    return None if y is None else np.asarray(y)[row]


def _most_telling(rows: np.ndarray) -> np.ndarray:
    """Components that change the decoded rows most, the strongest first."""
    return np.argsort(-rows.var(axis=1).mean(axis=1), kind="stable")[:MOST]
