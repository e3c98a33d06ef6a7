"""ReconstructionDisplay: rows of X beside their reconstructions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from typing_extensions import Self

from ..base.arrow import names_of
from ._codes import require_decoder
from ._pictures import draw_pictures
from ._profiles import draw_profiles
from ._rows import as_array, first_rows
from ._shapes import ImageShape, picture_shape, shape_to_draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ReconstructionDisplay"]


class ReconstructionDisplay:
    """Rows of X and their reconstructions, as pictures or as profiles over the features.

    Parameters
    ----------
    rows : dict of str to array-like of shape (n_samples, n_features)
        Arrays to draw, from top to bottom in pictures: {"input": X, "reconstruction": X_hat}, or {"clean": X,
        "corrupted": X_noisy, "restored": X_hat}, where X_hat is the reconstruction of X_noisy. The first array is the
        reference. Its values set the greys of all pictures. In profiles it is drawn as points, and the others as lines.
    errors : array-like of shape (n_samples,), default=None
        Squared error of each sample, which is written above it.
    image_shape : tuple (height, width), (3, height, width) or (height, width, 3), "auto" or None, default=None
        Shape of the picture in a row of X, in C order. Channels are the axis of length 3. "auto" takes a square grey
        picture if n_features is a square of at least 16, and profiles otherwise. None draws profiles.
    feature_names : sequence of str, default=None
        Names of the features. They are written below profiles if there are at most 30.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The axes with data: one with all pictures, or one per sample with its profile.
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
        corrupted: Any = None,
        n_samples: int = 8,
        image_shape: ImageShape | Literal["estimator"] = "estimator",
        random_state: Any = None,
        ax: Axes | None = None,
    ) -> Self:
        """Reconstruct the first rows of X, from themselves or from corrupted copies, and draw them.

        Parameters
        ----------
        estimator : object
            A fitted transformer with ``inverse_transform``. PCA and pipelines work too.
        X : {array-like, sparse matrix, DataFrame} of shape (n_rows, n_features)
            Rows that the estimator can transform.
        corrupted : array-like of the shape of X, True or None, default=None
            Corrupted rows to reconstruct instead of X. Errors are then the differences between the restored and the
            clean rows. True uses the estimator's own corruption, ``estimator.corrupt(X)``.
        n_samples : int, default=8
            Number of rows to draw.
        image_shape : tuple, "estimator", "auto" or None, default="estimator"
            Shape of the pictures, see the class. "estimator" and "auto" use the shape of the images that the estimator
            reads, as a ConvolutionalAutoencoder does. If it reads no images, "estimator" draws profiles.
        random_state : int, RandomState instance or None, default=None
            Seed of the noise with ``corrupted=True``.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : ReconstructionDisplay
            The display that was drawn.

        Raises
        ------
        TypeError
            If the estimator has no ``transform`` or no ``inverse_transform``, or if ``corrupted=True`` and it has no
            ``corrupt``.
        ValueError
            If ``n_samples`` is not positive, if corrupted or reconstructed rows differ from X in shape, or if
            ``image_shape`` does not fit the features or contradicts the estimator.
        """
        require_decoder(estimator)
        if n_samples < 1:
            raise ValueError(f"n_samples={n_samples} leaves nothing to draw: pass at least 1.")
        clean = first_rows(X, n_samples)
        shown = _corrupted(estimator, clean, corrupted, n_samples, random_state)
        restored = as_array(estimator.inverse_transform(estimator.transform(clean if shown is None else shown)))
        if shown is None:
            rows = {"input": as_array(clean), "reconstruction": restored}
        else:
            rows = {"clean": as_array(clean), "corrupted": as_array(shown), "restored": restored}
        first = _require_same_shape(rows)
        return cls(
            rows=rows,
            errors=((first - restored) ** 2).sum(axis=1),
            image_shape=shape_to_draw(image_shape, estimator, first.shape[1]),
            feature_names=names_of(X),
        ).plot(ax)

    def plot(self, ax: Axes | None = None, *, cmap: str = "gray") -> Self:
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.
        cmap : str, default="gray"
            Colour map of pictures with one channel. "gray_r" draws dark on white.

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
            errors = [] if self.errors is None else [(f"{error:.3g}", 1) for error in self.errors]
            label = "Squared error" if errors else ""
            self.ax_ = draw_pictures(list(rows), list(rows.values()), shape, cmap, ax, headings=errors, label=label)
            self.axes_ = np.array([self.ax_])
        else:
            titles = None if self.errors is None else [f"squared error {error:.3g}" for error in self.errors]
            self.axes_, self.ax_ = draw_profiles(rows, self.feature_names, ax, titles=titles)
        self.figure_ = self.ax_.figure
        return self


def _corrupted(estimator: Any, clean: Any, corrupted: Any, n_samples: int, random_state: Any) -> Any:
    """The corrupted rows that the estimator reconstructs, or None if it reconstructs X."""
    if corrupted is None or corrupted is False:
        return None
    if corrupted is not True:
        return first_rows(corrupted, n_samples)
    if not hasattr(estimator, "corrupt"):
        raise TypeError(f"{type(estimator).__name__} has no corrupt: pass corrupted rows as corrupted.")
    return _like(clean, as_array(estimator.corrupt(clean, random_state=random_state)))


def _require_same_shape(rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the first rows, if all others have the same shape."""
    (name, first), *others = rows.items()
    for other, values in others:
        if values.shape != first.shape:
            raise ValueError(
                f"The {other} rows have shape {values.shape}, but the {name} rows have shape {first.shape}: "
                "pass rows of the same shape."
            )
    return first


def _like(X: Any, values: np.ndarray) -> Any:
    """Put values into a data frame if X is one, because the estimator may need the names of its columns."""
    return type(X)(dict(zip(X.columns, values.T, strict=True))) if hasattr(X, "columns") else values
