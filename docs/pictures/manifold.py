"""A code of two components: where the digits lie in it, how surely, and what is decoded from each place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from skae import VariationalAutoencoder
from skae.inspection import ManifoldDisplay, PosteriorDisplay

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(max_iter: int | str = "auto") -> Figure:
    X, y = load_digits(return_X_y=True)
    model = VariationalAutoencoder(2, max_iter=max_iter, random_state=0).fit(X)
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), width_ratios=(1.1, 1), layout="constrained")
    PosteriorDisplay.from_estimator(model, X[:500], y[:500], ax=axes[0])
    ManifoldDisplay.from_estimator(model, X, n_steps=12, cmap="gray_r", ax=axes[1])
    axes[0].set_title("q(h | x) of 500 digits")
    axes[1].set_title("E[x | h] over a grid")
    for ax in axes:
        ax.set(xlabel="Component 0", ylabel="Component 1")
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
