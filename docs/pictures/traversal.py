"""What becomes of a digit if one component of its code moves, of PCA and of a variational autoencoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import VariationalAutoencoder
from skae.inspection import LatentTraversalDisplay

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(max_iter: int | str = "auto") -> Figure:
    X = load_digits().data
    models = {
        "PCA": PCA(n_components=5).fit(X),
        "VariationalAutoencoder": VariationalAutoencoder(5, max_iter=max_iter, random_state=0).fit(X),
    }
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    figure.get_layout_engine().set(wspace=0.06)
    for ax, (name, model) in zip(axes, models.items(), strict=True):
        LatentTraversalDisplay.from_estimator(model, X, row=3, image_shape=(8, 8), ax=ax)
        ax.set_yticklabels([text.get_text().removeprefix(name.lower()) for text in ax.get_yticklabels()])
        ax.set_ylabel("Component")
        ax.set_title(name)
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=80)
