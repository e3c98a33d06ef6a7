"""ReconstructionDisplay: rows of X beside what the code keeps of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import Self

from ._pictures import ImageShape, draw_pictures, picture_shape
from ._profiles import draw_profiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ReconstructionDisplay"]


class ReconstructionDisplay:
    """Rows of X and their reconstructions, as pictures or as profiles over the features.

    Parameters
    ----------
    rows : dict of str to array-like of shape (n_samples, n_features)
        What is drawn, from top to bottom in pictures: {"input": X, "reconstruction": X_hat}. The
        first is what the others are compared to: its values set the greys of all pictures, and it
        is drawn as points where the others are lines.
    errors : array-like of shape (n_samples,), default=None
        A number above each sample, its squared error.
    image_shape : tuple (height, width) or (height, width, 3), "auto" or None, default=None
        Shape of the picture in a row of X, in C order. "auto" takes a square grey picture if
        n_features is a square of at least 16, and profiles otherwise. None draws profiles.
    feature_names : sequence of str, default=None
        Names of the features, written below profiles of up to 30 features.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The axes with data: one with all pictures, or one a sample with its profile.
    ax_ : matplotlib Axes
        Axes that hold the whole display.
    figure_ : matplotlib Figure
        Figure with the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import Autoencoder
    >>> from skae.inspection import ReconstructionDisplay
    >>> X = load_digits().data[:200]
    >>> autoencoder = Autoencoder(n_components=8, max_iter=2, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(autoencoder, X, image_shape=(8, 8))
    >>> len(display.ax_.images)
    16
    """

    def __init__(
        self,
        *,
        rows: Mapping[str, np.ndarray],
        errors: np.ndarray | None = None,
        image_shape: ImageShape = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.rows = rows
        self.errors = errors
        self.image_shape = image_shape
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        n_samples: int = 8,
        image_shape: ImageShape = None,
        ax: Axes | None = None,
    ) -> Self:
        """Reconstruct the first rows of X and draw them.

        Parameters
        ----------
        estimator : object
            A fitted transformer with ``inverse_transform``; PCA and pipelines are welcome.
        X : {array-like, sparse matrix, DataFrame} of shape (n_rows, n_features)
            What the estimator transforms.
        n_samples : int, default=8
            Rows to draw.
        image_shape : tuple (height, width) or (height, width, 3), "auto" or None, default=None
            Shape of the pictures, see the class.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.

        Returns
        -------
        display : ReconstructionDisplay
            The display that was drawn.

        Raises
        ------
        TypeError
            If the estimator has no ``transform`` or no ``inverse_transform``.
        ValueError
            If ``n_samples`` is not positive, or ``image_shape`` does not fit the features.
        """
        for method in ("transform", "inverse_transform"):
            if not hasattr(estimator, method):
                name = type(estimator).__name__
                raise TypeError(f"{name} has no {method}: pass a transformer that can reconstruct, as PCA can.")
        if n_samples < 1:
            raise ValueError(f"n_samples={n_samples} leaves nothing to draw: pass at least 1.")
        first = _first_rows(X, n_samples)
        reconstruction = _dense(estimator.inverse_transform(estimator.transform(first)))
        rows = {"input": _dense(first), "reconstruction": reconstruction}
        return cls(
            rows=rows,
            errors=((rows["input"] - reconstruction) ** 2).sum(axis=1),
            image_shape=image_shape,
            feature_names=getattr(X, "columns", None),
        ).plot(ax)

    def plot(self, ax: Axes | None = None, *, cmap: str = "gray") -> Self:
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        cmap : str, default="gray"
            Colour map of pictures of one channel; "gray_r" is ink on paper.

        Returns
        -------
        self : ReconstructionDisplay
            This display.

        Raises
        ------
        ValueError
            If ``image_shape`` does not fit the number of features.
        """
        rows = {name: np.asarray(values) for name, values in self.rows.items()}
        shape = picture_shape(self.image_shape, next(iter(rows.values())).shape[1])
        if shape is not None:
            self.ax_ = draw_pictures(rows, shape, self.errors, cmap, ax)
            self.axes_ = np.array([self.ax_])
        else:
            self.axes_, self.ax_ = draw_profiles(rows, self.feature_names, self.errors, ax)
        self.figure_ = self.ax_.figure
        return self


def _first_rows(X: Any, n: int) -> Any:
    """Take the first rows of X, in the container that X is."""
    if hasattr(X, "head"):
        return X.head(n)
    return X.tocsr()[:n] if hasattr(X, "tocsr") else X[:n]


def _dense(X: Any) -> np.ndarray:
    return np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=float)
