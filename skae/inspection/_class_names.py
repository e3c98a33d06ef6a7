"""Names of classes, written into the plane. This file imports matplotlib, so it is imported only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.transforms import Affine2D

from ._matplotlib import literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ._target import Target

__all__ = ["ClassName", "write_class_names"]

LONGEST = 24
"""Characters of a name."""
SIZES = 6.0, 12.0
"""Smallest and largest size of the letters, in points of 1/72 inch."""
LETTER = 0.6
"""Width of a letter in units of its size."""
WIDEST, LARGEST = 0.3, 0.05
"""Width of the longest name and size of a letter, as shares of the width of the axes."""


class ClassName(Text):
    """The name of a class. It stays within the axes, and hides where it would cover one that is drawn before it.

    It also hides if its place is outside of the axes, after a zoom. All this is found out when it is drawn, since a
    layout moves and resizes axes until then.
    """

    def __init__(self, x: float, y: float, name: str, before: list[ClassName], **style: Any) -> None:
        super().__init__(x, y, name, ha="center", va="center", weight="bold", color="0.1", zorder=3, **style)
        self.before = before
        self.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
        self.set_in_layout(False)

    def draw(self, renderer: Any) -> None:
        """Draw the name, if there is room."""
        ax: Any = self.axes
        self.set_visible(True)  # what is hidden has no extent
        self.set_transform(ax.transData)
        box, inside = self.get_window_extent(renderer), ax.bbox
        shift = max(inside.x0 - box.x0, 0.0) + min(inside.x1 - box.x1, 0.0)
        if shift:
            self.set_transform(ax.transData + Affine2D().translate(shift, 0.0))
            box = box.translated(shift, 0.0)
        others = [name.get_window_extent(renderer) for name in self.before if name.get_visible()]
        is_free = not any(box.overlaps(other) for other in others)
        self.set_visible(is_free and inside.contains(*ax.transData.transform(self.get_position())))
        super().draw(renderer)


def write_class_names(ax: Axes, codes: np.ndarray, target: Target) -> list[ClassName]:
    """Write the name of each class at the median of its rows, those of large classes first."""
    names = [literal(label, LONGEST) for label in target.classes]
    if not names:
        return []
    width = ax.get_window_extent().width * 72 / ax.figure.dpi
    size = np.clip(min(WIDEST * width / (LETTER * max(map(len, names))), LARGEST * width), *SIZES)
    counts = np.bincount(target.index, minlength=len(names))[: len(names)]
    written: list[ClassName] = []
    for k in np.argsort(-counts, kind="stable"):
        x, y = np.nanmedian(codes[target.index == k], axis=0)
        name = ClassName(x, y, names[k], written.copy(), size=float(size))
        ax.add_artist(name)
        written.append(name)
    return written
