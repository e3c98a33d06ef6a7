"""Two maps of the digits, and what one of them hides: neighbours that it tears apart, and what is lost of each row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import NeighborAutoencoder
from skae.inspection import LatentSpaceDisplay

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(max_iter: int | str = "auto") -> Figure:
    X, y = load_digits(return_X_y=True)
    model = NeighborAutoencoder(max_iter=max_iter, random_state=0).fit(X)
    figure, axes = plt.subplots(2, 2, figsize=(10, 8.2), layout="constrained")
    LatentSpaceDisplay.from_estimator(PCA(2).fit(X), X, y, ax=axes[0, 0])
    LatentSpaceDisplay.from_estimator(model, X, y, ax=axes[0, 1])
    LatentSpaceDisplay.from_estimator(model, X, y, color_by="spread", scores=False, ax=axes[1, 0])
    LatentSpaceDisplay.from_estimator(model, X, y, color_by="error", scores=False, ax=axes[1, 1])
    titles = "PCA", "NeighborAutoencoder", 'color_by="spread"', 'color_by="error"'
    for ax, title in zip(axes.flat, titles, strict=True):
        ax.set(title=title, xlabel="Component 0", ylabel="Component 1")
    for ax in axes[0]:  # the names of the classes are enough
        ax.get_legend().remove()
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
