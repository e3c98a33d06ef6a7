"""What units look for: components of PCA, weights of a sparse layer, stimuli of a deep encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import DenoisingAutoencoder, SparseAutoencoder
from skae.inspection import FilterDisplay

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(max_iter: int = 150) -> Figure:
    X = load_digits().data
    options = {"n_components": 25, "max_iter": max_iter, "learning_rate_init": 0.01, "random_state": 0}
    pca = PCA(n_components=25).fit(X)
    sparse = SparseAutoencoder(hidden_layer_sizes=(), weight_decay=1e-3, **options).fit(X)
    deep = DenoisingAutoencoder(hidden_layer_sizes=(128,), corruption="gaussian", corruption_level=1.0, **options).fit(
        X
    )
    figure, axes = plt.subplots(1, 3, figsize=(10, 4), layout="constrained")
    figure.get_layout_engine().set(wspace=0.08)
    FilterDisplay.from_estimator(pca, kind="weights", ax=axes[0])
    FilterDisplay.from_estimator(sparse, kind="weights", ax=axes[1])
    FilterDisplay.from_estimator(deep, kind="stimuli", norm=35.0, random_state=0, ax=axes[2])
    axes[0].set_title("PCA: components")
    axes[1].set_title("Sparse layer: weights")
    axes[2].set_title("Deep denoising encoder: stimuli")
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=100)
