"""Digits with missing pixels, and a curve with missing entries, filled in by three imputers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.impute import KNNImputer, SimpleImputer

from skae import AutoencoderImputer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_TRAIN, N_SHOWN = 600, 10
GONE = 0.5
"""Share of the pixels that are missing."""


def imputers(max_iter: int | str) -> dict[str, Any]:
    """What fills in, by name."""
    ours = AutoencoderImputer(max_iter=max_iter, random_state=0)
    return {"SimpleImputer": SimpleImputer(), "KNNImputer": KNNImputer(), "AutoencoderImputer": ours}


def error(filled: np.ndarray, whole: np.ndarray, gappy: np.ndarray) -> float:
    """Root mean square error of what was missing."""
    return float(np.sqrt(np.square(filled - whole)[np.isnan(gappy)].mean()))


def draw_strip(ax: Axes, rows: np.ndarray, title: str) -> None:
    """Digits side by side. Missing pixels are red."""
    strip = np.hstack([np.pad(row.reshape(8, 8), 1, constant_values=0) for row in rows])
    colours = plt.get_cmap("gray_r").with_extremes(bad="tab:red")
    ax.imshow(np.ma.masked_invalid(strip), cmap=colours, vmin=0, vmax=16)
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=9, loc="left")


def curve(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points near a parabola, with a third column that tells roughly where, and the same with gaps."""
    t = rng.uniform(-1, 1, size=500)
    whole = np.column_stack([t, t**2, t]) + rng.normal(size=(500, 3)) * [0.03, 0.03, 0.15]
    gappy = whole.copy()
    gappy[np.arange(0, 500, 2), rng.integers(0, 2, size=250)] = np.nan
    return whole, gappy


def draw_points(ax: Axes, points: np.ndarray, gappy: np.ndarray, title: str) -> None:
    """The first two columns. Points with a filled entry are red."""
    filled = np.isnan(gappy).any(1)
    ax.scatter(*points[~filled, :2].T, s=4, color="0.75", linewidths=0)
    ax.scatter(*points[filled, :2].T, s=7, color="tab:red", linewidths=0)
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=9)


def draw(max_iter: int | str = "auto") -> Figure:
    """The whole picture."""
    rng = np.random.default_rng(0)
    X = load_digits().data[: N_TRAIN + 100]
    X_gaps = np.where(rng.random(X.shape) < GONE, np.nan, X)
    train, held_out, truth = X_gaps[:N_TRAIN], X_gaps[N_TRAIN:], X[N_TRAIN:]
    figure = plt.figure(figsize=(9, 8.4), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[5, 2.6])
    strips = above.subplots(5, 1)
    draw_strip(strips[0], held_out[:N_SHOWN], f"held-out digits, {GONE:.0%} of the pixels missing")
    for ax, (name, imputer) in zip(strips[1:], imputers(max_iter).items(), strict=False):
        filled = imputer.fit(train).transform(held_out)
        title = f"{name}, error {error(filled, truth, held_out):.1f} of 16 grey levels"
        draw_strip(ax, filled[:N_SHOWN], title)
    draw_strip(strips[4], truth[:N_SHOWN], "as they are")

    whole, gappy = curve(rng)
    panels = below.subplots(1, 4, sharex=True, sharey=True)
    draw_points(panels[0], whole, gappy, "as they are;\nred: one entry is missing")
    for ax, (name, imputer) in zip(panels[1:], imputers(max_iter).items(), strict=True):
        filled = imputer.fit_transform(gappy)
        draw_points(ax, filled, gappy, f"{name},\nerror {error(filled, whole, gappy):.2f}")
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
