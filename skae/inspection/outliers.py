"""OutlierDisplay: which columns make the strangest rows strange."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from typing_extensions import Self

from ..base.arrow import names_of
from ._matplotlib import literal, new_axes
from ._pictures import GAP, draw_pictures, show_picture
from ._rows import as_array, take_rows
from ._shapes import ImageShape, as_images, picture_shape, shape_to_draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["OutlierDisplay"]

WIDTH, LINE = 4.0, 0.26
"""Width of a panel with its names, and height of a bar, in inches."""
ROOM = 0.52
"""Share of the width of a panel that its names take."""
MOST_COLUMNS = 3
"""Panels side by side in a new figure."""
LONGEST = 20
"""Largest number of characters of the name of a column."""


class OutlierDisplay:
    """The strangest rows, and what each column contributes to their scores, as bars or as pictures.

    Bars show the columns with the largest contributions, with the value that the row has there. In pictures, red pixels
    make the row strange, and blue pixels make it more usual.

    Parameters
    ----------
    rows : array-like of shape (n_samples, n_features)
        The rows to draw.
    contributions : array-like of shape (n_samples, n_features)
        What each entry contributes, as ``OutlierDetector.explain`` returns it.
    names : sequence of str, default=None
        What is written above each row. None numbers the rows.
    image_shape : tuple (height, width), (3, height, width) or (height, width, 3), "auto" or None, default=None
        Shape of the picture in a row, in C order. Channels are the axis of length 3. "auto" takes a square grey picture
        if n_features is a square of at least 16, and bars otherwise. None draws bars.
    feature_names : sequence of str, default=None
        Names of the columns. None numbers them.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The axes with data: one with all pictures, or one per row with its bars.
    ax_ : matplotlib Axes
        Axes that hold the whole display.
    figure_ : matplotlib Figure
        Figure with the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import OutlierDetector
    >>> from skae.inspection import OutlierDisplay
    >>> X = load_iris(as_frame=True).data
    >>> detector = OutlierDetector(random_state=0).fit(X)
    >>> display = OutlierDisplay.from_estimator(detector, X, n_samples=2)
    >>> len(display.axes_)
    2
    """

    def __init__(
        self,
        *,
        rows: np.ndarray,
        contributions: np.ndarray,
        names: Sequence[str] | None = None,
        image_shape: ImageShape = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.rows = rows
        self.contributions = contributions
        self.names = names
        self.image_shape = image_shape
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        n_samples: int = 6,
        image_shape: ImageShape | Literal["estimator"] = "estimator",
        ax: Axes | None = None,
    ) -> Self:
        """Explain the rows of X with the lowest scores, and draw them.

        Parameters
        ----------
        estimator : object
            A fitted OutlierDetector, or another object with ``score_samples`` and ``explain``.
        X : {array-like, sparse matrix, DataFrame, Arrow table, Parquet file} of shape (n_rows, n_features)
            Rows among which the strangest are looked for.
        n_samples : int, default=6
            Number of rows to draw, strangest first.
        image_shape : tuple, "estimator", "auto" or None, default="estimator"
            Shape of the pictures, see the class. "estimator" and "auto" use the shape of the images that the
            detector's estimator reads. If it reads no images, "estimator" draws bars.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : OutlierDisplay
            The display that was drawn.

        Raises
        ------
        TypeError
            If the estimator has no ``explain``.
        ValueError
            If ``n_samples`` is not positive, or if ``image_shape`` does not fit the columns.
        """
        if not hasattr(estimator, "explain"):
            raise TypeError(f"{type(estimator).__name__} has no explain: pass a fitted OutlierDetector.")
        if n_samples < 1:
            raise ValueError(f"n_samples={n_samples} leaves nothing to draw: pass at least 1.")
        scores = np.asarray(estimator.score_samples(X))
        strangest = np.argsort(scores, kind="stable")[:n_samples]
        chosen = take_rows(X, strangest)
        rows, index = _entries(chosen), getattr(chosen, "index", strangest)
        return cls(
            rows=rows,
            contributions=estimator.explain(chosen),
            names=[f"row {name}: score {score:.3g}" for name, score in zip(index, scores[strangest], strict=True)],
            image_shape=shape_to_draw(image_shape, getattr(estimator, "estimator_", estimator), rows.shape[1]),
            feature_names=names_of(X),
        ).plot(ax)

    def plot(self, ax: Axes | None = None, *, n_features: int = 6, cmap: str = "gray") -> Self:
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.
        n_features : int, default=6
            Number of columns whose contributions are drawn as bars.
        cmap : str, default="gray"
            Colour map of pictures with one channel.

        Returns
        -------
        self : OutlierDisplay
            This display.

        Raises
        ------
        ValueError
            If ``image_shape`` does not fit the number of columns, or if there are not as many contributions or names.
        """
        rows, values = _entries(self.rows), as_array(self.contributions)
        names = [f"row {i}" for i in range(len(rows))] if self.names is None else [literal(name) for name in self.names]
        _require_equal(
            f"contributions of shape {values.shape}", values.shape, f"rows of shape {rows.shape}", rows.shape
        )
        _require_equal(f"{len(names)} names", len(names), f"{len(rows)} rows", len(rows))
        if self.feature_names is not None:
            n_names, n_columns = len(self.feature_names), rows.shape[1]
            _require_equal(f"{n_names} feature_names", n_names, f"{n_columns} columns", n_columns)
        shape = picture_shape(self.image_shape, rows.shape[1])
        if shape is None:
            self.axes_, self.ax_ = _draw_bars(rows, values, names, self.feature_names, ax, n_features)
        else:
            self.ax_ = _draw_pictures(rows, values, names, shape, ax, cmap)
            self.axes_ = np.array([self.ax_])
        self.figure_ = self.ax_.figure
        return self


def _entries(X: Any) -> np.ndarray:
    """Rows as an array: of numbers, or of objects if there is anything else in them."""
    try:
        return as_array(X)
    except (TypeError, ValueError):
        return np.asarray(X, dtype=object)


def _written(entry: Any) -> str:
    """An entry of a row in few letters."""
    return f"{entry:.4g}" if isinstance(entry, Real) else literal(str(entry), LONGEST)


def _require_equal(what: str, number: Any, other: str, expected: Any) -> None:
    if number != expected:
        raise ValueError(f"There are {what}, but {other}: pass as many.")


def _draw_bars(
    rows: np.ndarray, values: np.ndarray, names: list[str], features: Any, ax: Axes | None, n_features: int
) -> tuple[np.ndarray, Axes]:
    """Draw a panel per row: the columns with the largest contributions, the largest on top."""
    n_bars = min(n_features, rows.shape[1])
    n_columns = min(len(rows), MOST_COLUMNS)
    if ax is None:
        ax = new_axes(WIDTH * n_columns, (LINE * n_bars + 0.7) * -(-len(rows) // n_columns) + 0.3)
    known = [f"column {j}" for j in range(rows.shape[1])] if features is None else [str(name) for name in features]
    panels = _panels(ax, len(rows), n_columns)
    for panel, row, value, name in zip(panels, rows, values, names, strict=True):
        order = np.argsort(-np.abs(value), kind="stable")[:n_bars][::-1]
        panel.barh(range(n_bars), value[order], color=["C3" if value[j] > 0 else "C0" for j in order])
        panel.set_yticks(range(n_bars), [f"{literal(known[j], LONGEST)} = {_written(row[j])}" for j in order])
        panel.axvline(0.0, color="0.3", linewidth=0.8)
        panel.tick_params(labelsize="small", labelleft=True, labelbottom=True)
        panel.set_title(name, fontsize="small")
    return panels, ax


def _panels(ax: Axes, n_panels: int, n_columns: int) -> np.ndarray:
    """Panels inside axes, line by line, each with room for the names of its columns at the left."""
    ax.set_axis_off()
    n_lines = -(-n_panels // n_columns)
    room, height = ROOM / n_columns, 1 / n_lines
    low, used = height * 0.12, height * 0.68
    places = [(k % n_columns / n_columns + room, 1 - (k // n_columns + 1) * height + low) for k in range(n_panels)]
    return np.array([ax.inset_axes((left, bottom, 0.95 / n_columns - room, used)) for left, bottom in places])


def _draw_pictures(
    rows: np.ndarray, values: np.ndarray, names: list[str], shape: tuple[int, ...], ax: Axes | None, cmap: str
) -> Axes:
    """Draw the rows as pictures, and their contributions in red and blue below."""
    headings = [(name.replace(": ", "\n"), 1) for name in names]
    lines = [rows, np.full_like(rows, np.nan)]
    ax = draw_pictures(["row", "contributions"], lines, shape, cmap, ax, headings=headings)
    limits = ax.get_xlim(), ax.get_ylim()
    pictures = as_images(values, shape)
    pictures = pictures.sum(-1) if pictures.ndim == 4 else pictures  # of all channels of a pixel
    height, width = pictures.shape[1:]
    for k, picture in enumerate(pictures):
        most = float(np.abs(picture).max()) or 1.0
        left, top = k * GAP * width, GAP * height
        show_picture(ax, picture, (-most, most), "RdBu_r", extent=(left, left + width, top + height, top))
    ax.set(xlim=limits[0], ylim=limits[1])
    return ax
