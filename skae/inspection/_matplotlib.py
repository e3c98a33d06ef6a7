"""matplotlib, imported only when something is drawn."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["literal", "new_axes", "pyplot", "write_above"]


def pyplot() -> Any:
    """Return ``matplotlib.pyplot``, or raise an error that says how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('Displays need matplotlib to draw: pip install "skae[plot]".') from error
    return plt


def new_axes(width: float = 6.4, height: float = 4.8) -> Any:
    """Axes of a new figure, sized in inches, with room for labels and legends."""
    _, ax = pyplot().subplots(figsize=(width, height), layout="constrained")
    return ax


def literal(text: object, longest: int | None = None) -> str:
    """Text that matplotlib draws as it is, without mathematics, hidden labels and control characters.

    Parameters
    ----------
    text : object
        A name of the user's. Text that this function has returned is returned unchanged.
    longest : int, default=None
        Largest number of characters. Of a longer text the middle is left out.
    """
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))
    if longest is not None and len(shown) > longest:
        shown = f"{shown[: longest // 2]}\N{HORIZONTAL ELLIPSIS}{shown[len(shown) - (longest - 1) // 2 :]}"
    shown = re.sub(r"(?<!\\)\$", r"\$", shown)
    return f" {shown}" if shown.startswith("_") else shown  # legends leave out what starts with an underscore


def write_above(ax: Any, parts: list[str]) -> None:
    """Write short texts above axes and below their title, beside each other if there is room.

    They are the label of a flat inset at the upper edge, which titles make room for. A second x axis could not be
    pickled.
    """
    size = 9.0
    room = ax.get_window_extent().width * 72 / ax.figure.dpi / (0.55 * size)
    line = " \N{MIDDLE DOT} ".join(parts)
    above = ax.inset_axes((0.0, 0.999, 1.0, 0.001), frameon=False, xticks=[], yticks=[])
    above.xaxis.set_label_position("top")
    above.set_xlabel(line if len(line) <= room else "\n".join(parts), size=size, color="0.35")
