"""Digits in the plane: by PCA, by layers trained one after the other, and by the same layers trained together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skae import StackedAutoencoder
from skae.metrics import reconstruction_r2

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(max_iter: int | str = "auto") -> Figure:
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    models: dict[str, Any] = {
        "PCA": PCA(2),
        "64, 16, 2: one after the other": StackedAutoencoder([64, 16, 2], fine_tune=False, random_state=0),
        "then together": StackedAutoencoder([64, 16, 2], max_iter=max_iter, random_state=0),
    }
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.6), layout="constrained")
    for ax, (name, model) in zip(axes, models.items(), strict=True):
        H, H_test = model.fit(X).transform(X), model.transform(X_test)
        accuracy = KNeighborsClassifier(5).fit(H, y).score(H_test, y_test)
        dots = ax.scatter(*H_test.T, c=y_test, cmap="tab10", vmin=-0.5, vmax=9.5, s=7)
        ax.set_title(f"{name}\nR2 {reconstruction_r2(model, X_test):.2f}, neighbours {accuracy:.2f}", fontsize=10)
        ax.set_xticks([])
        ax.set_yticks([])
    figure.legend(*dots.legend_elements(num=None), title="digit", loc="outside right center", frameon=False)
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
