"""Names of classes, written into the plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._matplotlib import literal
from ._target import Target

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

__all__ = ["write_class_names"]

LONGEST = 24
"""Characters of a name."""
SIZES = 6.0, 12.0
"""Smallest and largest size of the letters, in points of 1/72 inch."""
LETTER = 0.6
"""Width of a letter in units of its size."""
WIDEST = 0.3
"""Width of the longest name as a share of that of the axes, unless the letters would be too small."""


def write_class_names(ax: Axes, codes: np.ndarray, target: Target) -> list[Text]:
    """Write the name of each class at the median of its rows.

    A name that would cover that of a larger class is left out.
    """
    from matplotlib.patheffects import withStroke

    names = [literal(label, LONGEST) for label in target.classes]
    if not names:
        return []
    width = ax.get_window_extent().width * 72 / ax.figure.dpi
    size = float(np.clip(WIDEST * width / (LETTER * max(map(len, names))), *SIZES))
    texts: list[Text] = []
    taken: list[np.ndarray] = []
    for k in np.argsort(-np.bincount(target.index, minlength=len(names))[: len(names)], kind="stable"):
        place = np.nanmedian(codes[target.index == k], axis=0)
        center = ax.transData.transform(place) * 72 / ax.figure.dpi
        half = size * np.array([LETTER * max(len(names[k]), 1), 1.2]) / 2
        box = np.array([center - half, center + half])
        if any((box[0] < other[1]).all() and (other[0] < box[1]).all() for other in taken):
            continue
        taken.append(box)
        text = ax.text(*place, names[k], size=size, ha="center", va="center", weight="bold", color="0.1", zorder=3)
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
        text.set_in_layout(False)
        texts.append(text)
    return texts
