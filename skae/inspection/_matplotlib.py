"""matplotlib, imported only when something is drawn."""

from __future__ import annotations

from typing import Any

__all__ = ["new_axes", "pyplot"]


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
