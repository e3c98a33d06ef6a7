"""LearningCurveDisplay: the loss and its terms over the epochs of a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted
from typing_extensions import Self

from ._matplotlib import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["LearningCurveDisplay"]

STYLES: dict[str, dict[str, Any]] = {
    "loss": {"color": "black", "linewidth": 2.0},
    "validation_loss": {"color": "tab:red", "linewidth": 2.0, "linestyle": "--"},
}
"""Styles of the curves that are not terms. Terms are thin lines in the default colours."""


class LearningCurveDisplay:
    """Learning curve: the loss and its terms over the epochs of a fit.

    Parameters
    ----------
    history : dict of str to array-like of shape (n_epochs,)
        One list per curve: the terms, "loss" (their sum, if it is the objective) and "validation_loss" if there is one.
        An entry is NaN if the value was not computed in that epoch.
    monitor : str or None, default="auto"
        The curve whose lowest point is marked. "auto" is "validation_loss" if there is one, otherwise "loss" if there
        is one, and otherwise None. None marks nothing, which suits terms that need not fall, such as adversarial ones.

    Attributes
    ----------
    best_epoch : int or None
        Epoch of the lowest value of the monitored curve, counted from 1. None if no curve is monitored.
    lines_ : dict of str to matplotlib Line2D
        The curves that were drawn. If the loss has a single term, only the term is drawn.
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Scores against the number of training rows.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import Autoencoder
    >>> from skae.inspection import LearningCurveDisplay
    >>> X = load_digits().data[:200]
    >>> autoencoder = Autoencoder(max_iter=2, early_stopping=True, random_state=0).fit(X)
    >>> display = LearningCurveDisplay.from_estimator(autoencoder)
    >>> list(display.lines_)
    ['reconstruction', 'validation_loss']
    """

    def __init__(self, *, history: Mapping[str, Sequence[float] | np.ndarray], monitor: str | None = "auto") -> None:
        self.history = {name: np.asarray(values, dtype=float) for name, values in history.items()}
        self.monitor = monitor

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        monitor: str | None = "auto",
        log_scale: bool | Literal["auto"] = "auto",
        ax: Axes | None = None,
    ) -> Self:
        """Draw the learning curve of a fitted estimator.

        Parameters
        ----------
        estimator : object
            A fitted estimator with a ``history_``.
        monitor : str or None, default="auto"
            The curve whose lowest point is marked, see the class.
        log_scale : bool or "auto", default="auto"
            Whether the axis of the loss is logarithmic, see ``plot``.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : LearningCurveDisplay
            The display that was drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator has no ``history_``.
        ValueError
            If the history is empty or its lists differ in length, or if a parameter is not as described.
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "history_"):
            raise TypeError(
                f"{type(estimator).__name__} keeps no history_ of its loss: pass an estimator of skae, "
                "such as the last step of a Pipeline or the best_estimator_ of a search."
            )
        return cls(history=estimator.history_, monitor=monitor).plot(ax, log_scale=log_scale)

    def plot(self, ax: Axes | None = None, *, log_scale: bool | Literal["auto"] = "auto") -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.
        log_scale : bool or "auto", default="auto"
            Whether the axis of the loss is logarithmic. "auto" makes it logarithmic if all values are positive and the
            largest is more than ten times the smallest.

        Returns
        -------
        self : LearningCurveDisplay
            This display.

        Raises
        ------
        ValueError
            If the history is empty or its lists differ in length, or if a parameter is not as described.
        """
        curves, scale = self._curves(), self._scale(log_scale)
        monitored, best = self._monitored(), self.best_epoch
        ax = new_axes() if ax is None else ax
        self.lines_ = {name: _draw(ax, name, values) for name, values in curves.items()}
        if monitored is not None and best is not None:
            _mark(ax, best, self.history[monitored])
        ax.set(xlabel="Epoch", ylabel="Loss", yscale=scale)
        ax.locator_params(axis="x", integer=True, min_n_ticks=1)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @property
    def best_epoch(self) -> int | None:
        """Epoch of the lowest value of the monitored curve, counted from 1. None if no curve is monitored."""
        monitored = self._monitored()
        return None if monitored is None else int(np.nanargmin(self.history[monitored])) + 1

    def _monitored(self) -> str | None:
        """Name of the curve whose lowest point is marked, or None."""
        if self.monitor == "auto":
            return next((name for name in ("validation_loss", "loss") if name in self.history), None)
        if self.monitor is not None and self.monitor not in self.history:
            raise ValueError(f"monitor={self.monitor!r} is not in the history: choose from {sorted(self.history)}.")
        return self.monitor

    def _curves(self) -> dict[str, np.ndarray]:
        """Curves to draw. A loss with a single term equals the term and is left out."""
        lengths = {name: len(values) for name, values in self.history.items()}
        if not any(lengths.values()):
            raise ValueError("The history is empty: fit for at least one epoch.")
        if len(set(lengths.values())) > 1:
            raise ValueError(f"The lists of the history differ in length, {lengths}: pad the short lists with NaN.")
        n_terms = len(self.history.keys() - STYLES)
        return {name: values for name, values in self.history.items() if name != "loss" or n_terms != 1}

    def _scale(self, log_scale: bool | Literal["auto"]) -> Literal["linear", "log"]:
        if log_scale not in (True, False, "auto"):
            raise ValueError(f'log_scale={log_scale!r} is unknown: pass True, False or "auto".')
        if log_scale == "auto":
            values = np.concatenate(list(self.history.values()))
            log_scale = bool(np.nanmin(values) > 0 and np.nanmax(values) > 10 * np.nanmin(values))
        return "log" if log_scale else "linear"


def _draw(ax: Axes, name: str, values: np.ndarray) -> Line2D:
    style = {"linewidth": 1.2, **STYLES.get(name, {})}
    marker = "." if len(values) == 1 else None  # a line with a single point is invisible
    (line,) = ax.plot(np.arange(1, len(values) + 1), values, label=name.replace("_", " "), marker=marker, **style)
    return line


def _mark(ax: Axes, epoch: int, values: np.ndarray) -> None:
    """Draw a ring around the lowest point of a curve."""
    ax.plot(
        [epoch], [values[epoch - 1]], "o", color="black", fillstyle="none", markersize=9, label=f"best (epoch {epoch})"
    )
