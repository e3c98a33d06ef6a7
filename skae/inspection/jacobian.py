"""JacobianDisplay: the number of directions in which the code follows a small step of its input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import Self

from ..base.derivatives import jacobian_singular_values
from ._matplotlib import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["JacobianDisplay"]


class JacobianDisplay:
    """Singular values of the Jacobian of the code by rank, averaged over the rows.

    A singular value s means that a step of length e in some direction moves the code by s * e. If the spectrum falls to
    zero after a few ranks, the code follows the few directions in which the data vary and ignores the others. A linear
    code has the same spectrum at all rows.

    Parameters
    ----------
    singular_values : array-like of shape (n_samples, n_ranks)
        Singular values at each row, in descending order, in units of the code per unit of X.
    label : str, default=None
        Name of the curve in a legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The mean over the rows.
    band_ : matplotlib PolyCollection
        The band between two quantiles over the rows.
    ax_ : matplotlib Axes
        Axes with the curve.
    figure_ : matplotlib Figure
        Figure with the axes.

    References
    ----------
    Rifai, Vincent, Muller, Glorot and Bengio (2011), "Contractive Auto-Encoders: Explicit Invariance
    During Feature Extraction", https://icml.cc/2011/papers/455_icmlpaper.pdf

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import Autoencoder
    >>> from skae.inspection import JacobianDisplay
    >>> X = load_digits().data[:200]
    >>> autoencoder = Autoencoder(8, max_iter=2, random_state=0).fit(X)
    >>> display = JacobianDisplay.from_estimator(autoencoder, X)
    >>> display.singular_values.shape
    (200, 8)
    """

    def __init__(self, *, singular_values: np.ndarray, label: str | None = None) -> None:
        self.singular_values = singular_values
        self.label = label

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, label: str | None = None, log_scale: bool = False, ax: Axes | None = None
    ) -> Self:
        """Compute the singular values at the rows of X, and draw them.

        Parameters
        ----------
        estimator : object
            A fitted estimator of this package.
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows that the estimator can transform. A few hundred are enough.
        label : str, default=None
            Name of the curve. None uses the name of the estimator's class.
        log_scale : bool, default=False
            Whether the axis of the singular values is logarithmic.
        ax : matplotlib Axes, default=None
            Axes to draw on, such as those of another estimator. None makes a new figure.

        Returns
        -------
        display : JacobianDisplay
            The display that was drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the code of the estimator has no derivative.
        ValueError
            If the estimator cannot transform X.
        """
        values = jacobian_singular_values(estimator, X)
        name = type(estimator).__name__ if label is None else label
        return cls(singular_values=values, label=name).plot(ax, log_scale=log_scale)

    def plot(
        self, ax: Axes | None = None, *, quantiles: tuple[float, float] = (0.1, 0.9), log_scale: bool = False
    ) -> Self:
        """Draw the mean, and the band between two quantiles.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.
        quantiles : tuple of two float, default=(0.1, 0.9)
            Ends of the band, in [0, 1].
        log_scale : bool, default=False
            Whether the axis of the singular values is logarithmic.

        Returns
        -------
        self : JacobianDisplay
            This display.

        Raises
        ------
        ValueError
            If there are no singular values, or if the quantiles are not as described.
        """
        values = np.asarray(self.singular_values, dtype=float)
        if values.ndim != 2 or values.size == 0:
            raise ValueError(
                f"singular_values of shape {values.shape} cannot be drawn: pass an array of shape (n_samples, n_ranks)."
            )
        low, high = _ends(values, quantiles)
        ax = new_axes() if ax is None else ax
        ranks = np.arange(1, values.shape[1] + 1)
        marker = "o" if len(ranks) == 1 else None  # a line with a single point is invisible
        self.line_ = ax.plot(ranks, values.mean(axis=0), label=self.label, marker=marker)[0]
        self.band_ = ax.fill_between(ranks, low, high, color=self.line_.get_color(), alpha=0.2, linewidth=0)
        ax.set(xlabel="Rank", ylabel="Singular value of the Jacobian", yscale="log" if log_scale else "linear")
        ax.locator_params(axis="x", integer=True, min_n_ticks=1)
        if self.label:
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _ends(values: np.ndarray, quantiles: tuple[float, float]) -> np.ndarray:
    """Lower and upper end of the band at each rank."""
    pair = np.asarray(quantiles, dtype=float)
    if pair.shape != (2,) or not 0 <= pair[0] <= pair[1] <= 1:
        raise ValueError(f"quantiles={quantiles!r} do not define a band: pass two numbers with 0 <= low <= high <= 1.")
    ends: np.ndarray = np.quantile(values, pair, axis=0)
    return ends
