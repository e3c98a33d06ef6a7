"""SampleDisplay: rows drawn from a model, by class or cluster, beside real rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from typing_extensions import Self

from ..base.arrow import names_of
from ._draws import Draws
from ._matplotlib import literal
from ._pictures import draw_pictures
from ._profiles import draw_profiles
from ._shapes import ImageShape, picture_shape, shape_to_draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SampleDisplay"]

MOST_COLUMNS = 10
"""Largest number of samples side by side. More of them go on in the next line."""


class SampleDisplay:
    """Rows drawn from a model, and real rows to compare with them.

    Parameters
    ----------
    samples : dict of str to array-like of shape (n_samples, n_features)
        Rows drawn from the model. Each array has a line of its own, such as that of a class. As pictures, more than ten
        rows go on in the next line.
    data : dict of str to array-like of shape (n_rows, n_features), default=None
        Real rows for some or all of the names of ``samples``. Pictures of them are at the left. In profiles they are
        points, and samples are lines.
    image_shape : tuple (height, width), (3, height, width) or (height, width, 3), "auto" or None, default=None
        Shape of the picture in a row of X, in C order. Channels are the axis of length 3. "auto" takes a square grey
        picture if n_features is a square of at least 16, and profiles otherwise. None draws profiles, with one panel
        for each array of ``samples``.
    feature_names : sequence of str, default=None
        Names of the features. They are written below profiles if there are at most 30.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The axes with data: one with all pictures, or one per array with its profiles.
    ax_ : matplotlib Axes
        Axes that hold the whole display.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    GibbsDisplay : States of a Gibbs chain, of models that draw their samples by one.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.mixture import GaussianMixture
    >>> from skae.inspection import SampleDisplay
    >>> X = load_digits().data
    >>> mixture = GaussianMixture(10, covariance_type="diag", random_state=0).fit(X)
    >>> display = SampleDisplay.from_estimator(mixture, X, image_shape=(8, 8))
    >>> {name: rows.shape for name, rows in display.samples.items()}
    {'': (10, 64)}
    """

    def __init__(
        self,
        *,
        samples: Mapping[str, np.ndarray],
        data: Mapping[str, np.ndarray] | None = None,
        image_shape: ImageShape = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.samples = samples
        self.data = data
        self.image_shape = image_shape
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        y: Any = None,
        *,
        groups: Sequence[Any] | Literal["auto"] | None = "auto",
        n_samples: int = 10,
        means: bool = False,
        image_shape: ImageShape = "auto",
        random_state: Any = None,
        cmap: str = "gray",
        ax: Axes | None = None,
    ) -> Self:
        """Draw rows from a model, and show them beside rows of X.

        All groups are drawn with one seed. In many models the samples in one column then share all but the group.

        Parameters
        ----------
        estimator : object
            A fitted estimator with ``sample(n_samples)``. RBM, GaussianMixture and KernelDensity work too.
        X : {array-like, sparse matrix, DataFrame} of shape (n_rows, n_features), default=None
            Real rows. The first ones are shown, those of each group beside its samples.
        y : array-like of shape (n_rows,), default=None
            The groups of the rows of X. Needed if X is given and samples are drawn by class. Clusters of X are those
            that the estimator predicts, unless y is given.
        groups : sequence, "auto" or None, default="auto"
            What samples are drawn by, one line for each entry: it is passed to ``sample`` as ``y``, or as ``cluster``
            if ``sample`` takes no y. "auto" takes all classes, ``estimator.classes_``, or all clusters, of which there
            are ``estimator.n_clusters``, and None if the estimator has neither. None draws from the whole model.
        n_samples : int, default=10
            Number of samples of each group, and at most as many rows of X.
        means : bool, default=False
            Whether to draw codes only, by ``sample_codes``, and to show what is expected given each of them, without
            the noise of p(x given h). Most papers show them.
        image_shape : tuple, "auto" or None, default="auto"
            Shape of the pictures, see the class. "auto" first uses the shape of the images that the estimator reads, if
            it reads images.
        random_state : int, RandomState instance or None, default=None
            Seed of the samples. None uses the estimator's own.
        cmap : str, default="gray"
            Colour map of pictures with one channel. "gray_r" draws dark on white.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : SampleDisplay
            The display that was drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator has no ``sample``, or with ``means=True`` no ``sample_codes``, or if that method does not
            take groups, or a seed, that are given.
        ValueError
            If ``n_samples`` is no positive number, if there are no groups, if X is given without the y that is needed,
            if ``means=True`` lacks the groups that are needed, or if ``image_shape`` does not fit the features or
            contradicts the estimator.
        """
        draws = Draws(estimator, means, groups, n_samples, random_state)
        data = None if X is None else draws.real_rows(X, y)
        samples = draws.samples()
        width, names = next(iter(samples.values())).shape[1], names_of(X)
        return cls(
            samples=samples,
            data=data,
            image_shape=shape_to_draw(image_shape, estimator, width),
            feature_names=getattr(estimator, "feature_names_in_", None) if names is None else names,
        ).plot(ax, cmap=cmap)

    def plot(self, ax: Axes | None = None, *, cmap: str = "gray") -> Self:
        """Draw the samples and the data.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.
        cmap : str, default="gray"
            Colour map of pictures with one channel. "gray_r" draws dark on white. A shade of grey means the same number
            in all pictures. Black and white are the ends of the data, or of the samples if there are no data.

        Returns
        -------
        self : SampleDisplay
            This display.

        Raises
        ------
        ValueError
            If the samples are not finite rows of one width, if data have a name or a width that samples do not have, or
            if ``image_shape`` does not fit.
        """
        samples, data = self._checked()
        shape = picture_shape(self.image_shape, next(iter(samples.values())).shape[1])
        if shape is not None:
            self.ax_ = _draw_pictures(samples, data, shape, cmap, ax)
            self.axes_ = np.array([self.ax_])
        else:
            profiles = {"data": _stacked(data)} if data else {}
            names = [literal(name) for name in samples]
            self.axes_, self.ax_ = draw_profiles(
                {**profiles, "samples": _stacked(samples)}, self.feature_names, ax, titles=names, points=len(profiles)
            )
        self.figure_ = self.ax_.figure
        return self

    def _checked(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Samples, and data for each of their names, which may be no rows. No data at all are an empty dictionary."""
        samples = {name: np.asarray(rows, dtype=float) for name, rows in self.samples.items()}
        shapes = {rows.shape[1:] for rows in samples.values()}
        if len(shapes) != 1 or len(min(shapes)) != 1 or not all(rows.size for rows in samples.values()):
            raise ValueError("The samples cannot be drawn: pass arrays of rows, at least one, all of the same width.")
        given = {} if self.data is None else {name: np.asarray(rows, dtype=float) for name, rows in self.data.items()}
        for name, rows in given.items():
            if name not in samples or rows.shape[1:] != min(shapes):
                raise ValueError(
                    f"The data {name!r} of shape {rows.shape} belong to no samples: pass data with names of samples "
                    f"and rows of width {min(shapes)[0]}."
                )
        if not all(np.isfinite(rows).all() for rows in (*samples.values(), *given.values())):
            raise ValueError("The samples or data contain NaN or infinity: pass finite numbers.")
        empty = np.empty((0, *min(shapes)))
        return samples, {name: given.get(name, empty) for name in samples} if any(map(len, given.values())) else {}


def _draw_pictures(
    samples: Mapping[str, np.ndarray],
    data: Mapping[str, np.ndarray],
    shape: tuple[int, ...],
    cmap: str,
    ax: Axes | None,
) -> Axes:
    """Draw data at the left, and samples at the right of them."""
    gap = {name: np.empty((0, rows.shape[1])) for name, rows in samples.items()}
    blocks = {"data": data, "": gap, "samples": samples} if data else {"samples": samples}
    counts = {kind: min(MOST_COLUMNS, max(1, *map(len, block.values()))) for kind, block in blocks.items()}
    names, lines = [], []
    for name in samples:
        n_lines = max(-(-len(block[name]) // counts[kind]) for kind, block in blocks.items())
        parts = [_wrapped(block[name], n_lines, counts[kind]) for kind, block in blocks.items()]
        lines += list(np.concatenate(parts, axis=1))
        names += [literal(name), *[""] * (n_lines - 1)]
    headings = list(counts.items()) if data else []
    reference = np.concatenate(list((data or samples).values()))
    return draw_pictures(names, lines, shape, cmap, ax, headings=headings, reference=reference)


def _wrapped(rows: np.ndarray, n_lines: int, n_columns: int) -> np.ndarray:
    """Rows in lines of shape (n_lines, n_columns, n_features), with NaN where there are no more."""
    places = np.full((n_lines * n_columns, rows.shape[1]), np.nan)
    places[: len(rows)] = rows
    return places.reshape(n_lines, n_columns, -1)


def _stacked(blocks: Mapping[str, np.ndarray]) -> np.ndarray:
    """Rows of shape (n_blocks, n_rows, n_features), with NaN where a block has fewer than others."""
    most = max(map(len, blocks.values()))
    return np.stack([_wrapped(rows, 1, most)[0] for rows in blocks.values()])
