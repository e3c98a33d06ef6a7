"""FreeEnergyDisplay: free energies of training and held-out rows, and their gap over the epochs."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted
from typing_extensions import Self

from ._matplotlib import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FreeEnergyDisplay"]

LAYOUT = 0.44, 0.56
"""Width of each of two panels, and left edge of the second, as fractions of the total width."""


class FreeEnergyDisplay:
    """Free energies of training and held-out rows, and their gap over the epochs of a fit.

    A row with free energy F is exp(F' - F) times as likely as a row with free energy F', whatever Z is. If held-out
    rows have higher free energies than training rows, the model overfits. The gap between the two means begins to rise
    when overfitting begins (Hinton, 2012).

    Parameters
    ----------
    train, test : array-like of shape (n_samples,)
        Free energies of training rows and of held-out rows, in nats.
    gap : array-like of shape (n_epochs,), default=None
        Mean free energy of held-out rows minus that of training rows after each epoch, in nats. NaN where it is not
        known. It is drawn beside the histograms.

    Attributes
    ----------
    histograms_ : dict of str to list of matplotlib patches
        Histograms of "training" and "held out", as densities with the same bins.
    line_ : matplotlib Line2D or None
        The gap over the epochs.
    axes_ : ndarray of matplotlib Axes
        The axes with data: those of the histograms, and those of the gap if there is one.
    ax_ : matplotlib Axes
        Axes that hold the whole display.
    figure_ : matplotlib Figure
        Figure with the axes.

    References
    ----------
    Hinton (2012), "A Practical Guide to Training Restricted Boltzmann Machines",
    https://doi.org/10.1007/978-3-642-35289-8_32

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import RBM
    >>> from skae.inspection import FreeEnergyDisplay
    >>> X = load_digits().data / 16
    >>> rbm = RBM(visible="bernoulli", max_iter=2, random_state=0).fit(X[:200])
    >>> display = FreeEnergyDisplay.from_estimator(rbm, X[:200], X[200:300])
    >>> display.train.shape, display.test.shape
    ((200,), (100,))
    """

    def __init__(self, *, train: np.ndarray, test: np.ndarray, gap: Sequence[float] | np.ndarray | None = None) -> None:
        self.train = train
        self.test = test
        self.gap = gap

    @classmethod
    def from_estimator(
        cls, estimator: Any, X_train: Any, X_test: Any, *, bins: int = 30, ax: Axes | None = None
    ) -> Self:
        """Compute the free energies of training and held-out rows, and draw them.

        Parameters
        ----------
        estimator : object
            A fitted estimator with ``free_energy(X)``, such as RBM. If its ``history_`` has a "free_energy_gap", as
            after ``early_stopping=True``, the gap is drawn too.
        X_train, X_test : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows that the estimator was fitted to, and other rows of the same kind.
        bins : int, default=30
            Number of bins of the histograms.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : FreeEnergyDisplay
            The display that was drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator has no ``free_energy``.
        ValueError
            If ``free_energy`` does not accept X, or if ``bins`` is below 1.
        """
        if not hasattr(estimator, "free_energy"):
            raise TypeError(
                f"{type(estimator).__name__} has no free_energy: pass a model that has one, such as RBM, "
                "or the last step of a Pipeline."
            )
        check_is_fitted(estimator)
        history = getattr(estimator, "history_", {})
        return cls(
            train=estimator.free_energy(X_train),
            test=estimator.free_energy(X_test),
            gap=history.get("free_energy_gap"),
        ).plot(ax, bins=bins)

    def plot(self, ax: Axes | None = None, *, bins: int = 30) -> Self:
        """Draw the histograms, and the gap beside them.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.
        bins : int, default=30
            Number of bins of the histograms.

        Returns
        -------
        self : FreeEnergyDisplay
            This display.

        Raises
        ------
        ValueError
            If there are no free energies, if some are not finite, or if ``bins`` is below 1.
        """
        energies = {"training": _checked("train", self.train), "held out": _checked("test", self.test)}
        if not isinstance(bins, Integral) or bins < 1:
            raise ValueError(f"bins={bins!r} leaves nothing to draw: pass a whole number of at least 1.")
        gap = _checked_gap(self.gap)
        ax = new_axes(6.4 if gap is None else 10.0, 3.8) if ax is None else ax
        panels = [ax] if gap is None else _halves(ax)
        self.histograms_ = _draw_histograms(panels[0], energies, int(bins))
        self.line_ = None if gap is None else _draw_gap(panels[1], gap)
        self.axes_, self.ax_, self.figure_ = np.array(panels), ax, ax.figure
        return self


def _checked(name: str, values: Any) -> np.ndarray:
    energies = np.asarray(values, dtype=float)
    if energies.ndim != 1 or energies.size == 0 or not np.isfinite(energies).all():
        raise ValueError(f"{name} of shape {energies.shape} cannot be drawn: pass finite numbers, one per row.")
    return energies


def _checked_gap(values: Any) -> np.ndarray | None:
    """The gap, or None if it was never measured."""
    if values is None:
        return None
    gap = np.asarray(values, dtype=float)
    if gap.ndim != 1:
        raise ValueError(f"gap of shape {gap.shape} cannot be drawn: pass one number per epoch.")
    return gap if np.isfinite(gap).any() else None


def _halves(ax: Axes) -> list[Axes]:
    """Two axes side by side inside other axes."""
    ax.set_axis_off()
    width, left = LAYOUT
    return [ax.inset_axes((0.0, 0.0, width, 1.0)), ax.inset_axes((left, 0.0, width, 1.0))]


def _draw_histograms(ax: Axes, energies: dict[str, np.ndarray], bins: int) -> dict[str, Any]:
    edges = np.histogram_bin_edges(np.concatenate(list(energies.values())), bins)
    drawn = {}
    for k, (name, values) in enumerate(energies.items()):
        style: dict[str, Any] = {
            "color": f"C{k}",
            "alpha": 0.5,
            "density": True,
            "label": f"{name}, mean {values.mean():.1f}",
        }
        drawn[name] = ax.hist(values, edges.tolist(), **style)[2]
        ax.axvline(values.mean(), color=f"C{k}", linestyle="--", linewidth=1.2)
    ax.set(xlabel="Free energy, nats", ylabel="Density")
    ax.margins(y=0.25)  # room for the legend
    ax.legend(fontsize="small")
    return drawn


def _draw_gap(ax: Axes, gap: np.ndarray) -> Any:
    marker = "." if np.isfinite(gap).sum() == 1 else None  # a line of one point is invisible
    (line,) = ax.plot(np.arange(1, len(gap) + 1), gap, color="black", marker=marker)
    ax.axhline(0.0, color="0.7", linewidth=0.8)
    ax.set(xlabel="Epoch", ylabel="Free energy, held out - training")
    ax.locator_params(axis="x", integer=True, min_n_ticks=1)
    return line
