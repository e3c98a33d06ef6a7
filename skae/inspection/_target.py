"""Colours for a target: for classes, or for a quantity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.labels import is_missing
from ._matplotlib import literal, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import PathCollection
    from matplotlib.colors import Colormap, Normalize

__all__ = ["Quantity", "Target"]

MAX_CLASSES = 20
"""Largest number of colours of a categorical map that can be distinguished."""
MISSING = (0.83, 0.83, 0.83)
"""Light grey, for rows whose target is NaN or None, such as the unlabelled ones."""
CLIPPED = 95
"""Per cent of the rows that lie on the scale of a quantity with outliers."""


class Target:
    """A target to draw. It consists of classes, or of a quantity if ``labels`` is None.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Strings are classes. Numbers are classes if there are at most 20 distinct values.

    Raises
    ------
    ValueError
        If there are more than 20 classes that are not numbers, or labels of several kinds.
    """

    def __init__(self, y: Any) -> None:
        values, hidden = np.asarray(y), np.ma.getmaskarray(y)
        self.values = np.where(hidden, np.nan, values) if hidden.any() and values.dtype.kind in "iuf" else values
        self.missing = np.array([is_missing(value) for value in self.values], dtype=bool) | hidden
        known = self.values[~self.missing]
        if any(isinstance(label, str) for label in known):  # among names, -1 is no label, as for ``fit``
            self.missing[~self.missing] = [not isinstance(label, str) and label == -1 for label in known]
        try:
            labels, index = np.unique(self.values[~self.missing], return_inverse=True)
        except TypeError:
            raise ValueError(
                "y mixes labels that cannot be compared, such as text and numbers: use one kind."
            ) from None
        if len(labels) <= MAX_CLASSES:
            self.labels: list[str] | None = [_text(label) for label in labels]
            self.index = np.full(len(self.values), len(labels))
            self.index[~self.missing] = index
            if self.missing.any():
                self.labels.append("missing")
        elif np.issubdtype(self.values.dtype, np.number):
            self.labels = None
        else:
            raise ValueError(
                f"y has {len(labels)} classes, but only {MAX_CLASSES} colours can be told apart: "
                "join the rare classes, or pass numbers."
            )

    @property
    def order(self) -> np.ndarray:
        """The order in which rows are drawn: those with missing values first, so that they cover no others."""
        return np.argsort(~self.missing, kind="stable")

    @property
    def classes(self) -> list[str]:
        """The labels of the classes, without that of missing values. A quantity has none."""
        labels = self.labels or []
        return labels[: len(labels) - bool(self.missing.any())]

    @property
    def palette(self) -> np.ndarray:
        """A colour for each label, and one for missing values."""
        n_classes = len(self.classes)
        colors = pyplot().get_cmap("tab10" if n_classes <= 10 else "tab20").colors
        return np.array([*colors[:n_classes], MISSING])

    @property
    def end(self) -> float | None:
        """Upper end of the scale of a quantity. None is the largest value."""
        return None

    def scale(self, cmap: str | None) -> tuple[Normalize, Colormap]:
        """The scale of a quantity, and its colours."""
        known = self.values[~self.missing].astype(float)
        known = known[np.isfinite(known)]
        low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
        norm = pyplot().Normalize(low, high if self.end is None else self.end)
        return norm, pyplot().get_cmap(cmap).with_extremes(bad=MISSING)

    def scatter(self, ax: Axes, x: np.ndarray, y: np.ndarray, cmap: str | None = None, **style: Any) -> PathCollection:
        """Draw points in the colours of the target, in the order of ``order``."""
        order = self.order
        if self.labels is not None:
            return ax.scatter(x[order], y[order], c=self.palette[self.index[order]], **style)
        norm, colors = self.scale(cmap)
        return ax.scatter(x[order], y[order], c=self.values[order], norm=norm, cmap=colors, plotnonfinite=True, **style)

    def explain(self, ax: Axes, drawn: ScalarMappable, name: str | None) -> None:
        """Add a legend of the classes, or a colour bar of the quantity, in opaque colours."""
        if self.labels is None:
            opaque = pyplot().cm.ScalarMappable(drawn.norm, drawn.cmap)
            label = literal(name or "")
            if self.end is None:
                ax.figure.colorbar(opaque, ax=ax, label=label)
            else:
                label += f"\n(the scale ends at the {CLIPPED} % quantile)"
                ax.figure.colorbar(opaque, ax=ax, label=label, extend="max")
            return
        handles = [
            pyplot().Line2D([], [], marker="o", linestyle="none", color=color, label=label)
            for color, label in zip(self.palette, self.labels, strict=False)
        ]
        place: dict[str, Any] = (
            {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if ax.figure.get_layout_engine() else {}
        )
        ax.legend(handles=handles, title=None if name is None else literal(name), **place)


class Quantity(Target):
    """A quantity with outliers. The scale of its colours ends at a quantile, unless that is the largest value.

    Parameters
    ----------
    values : array-like of shape (n_samples,)
        Numbers. NaN is unknown.
    """

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values, dtype=float)
        self.missing = np.isnan(self.values)
        self.labels = None

    @property
    def end(self) -> float | None:
        """See ``Target``."""
        known = self.values[~self.missing]
        if not len(known):
            return None
        end = float(np.quantile(known, CLIPPED / 100))
        return end if end < known.max() else None


def _text(label: Any) -> str:
    """Text of a label. 3.0 is written as 3, because an integer column with missing values holds floats."""
    return str(int(label)) if isinstance(label, np.floating) and label.is_integer() else literal(label)
