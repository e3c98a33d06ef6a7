"""Maps of digits that keep variance, reconstruction or neighbours; what parameters do; and what a map does not say."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, make_blobs
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skae import Autoencoder, NeighborAutoencoder
from skae.exceptions import DisconnectedGraphWarning
from skae.inspection import ManifoldDisplay
from skae.metrics import reconstruction_r2

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SETTINGS = {"n_neighbors": (5, 50), "reconstruction": (0.0, 10.0)}
"""Each is 15 or 1 in the map of the first row."""
CENTERS, WIDTHS = [[0.0, 0.0], [6.0, 0.0], [40.0, 15.0]], [0.3, 2.0, 5.0]
CLUMPED: dict[str, Any] = {"n_neighbors": 3, "noise_level": 0.2, "reconstruction": 0.0}
"""Parameters with which noise without structure has clumps on its map."""


def draw_points(ax: Axes, points: np.ndarray, y: np.ndarray | None, title: str) -> None:
    colours = {"color": "0.3"} if y is None else {"c": y, "cmap": "tab10"}
    ax.scatter(*points.T, s=5, linewidths=0, **colours)
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=9)


def draw_map(ax: Axes, model: Any, data: list[np.ndarray], name: str) -> None:
    """Held-out rows, and in the title what the map keeps of them."""
    train, test, y_train, y_test = data
    accuracy = KNeighborsClassifier().fit(model.transform(train), y_train).score(model.transform(test), y_test)
    title = f"{name}\n5-NN accuracy {accuracy:.3f}, R2 {reconstruction_r2(model, test):.2f}"
    draw_points(ax, model.transform(test), y_test, title)


def draw(max_iter: int | str = "auto") -> Figure:
    """The whole picture."""
    data = train_test_split(*load_digits(return_X_y=True), random_state=0)
    train = data[0]
    options: dict[str, Any] = {"max_iter": max_iter, "random_state": 0}
    figure, axes = plt.subplots(3, 4, figsize=(11, 8.6), layout="constrained")
    model = NeighborAutoencoder(**options).fit(train)
    draw_map(axes[0, 0], PCA(2).fit(train), data, "PCA")
    draw_map(axes[0, 1], Autoencoder(2, **options).fit(train), data, "Autoencoder")
    draw_map(axes[0, 2], model, data, "NeighborAutoencoder")
    ManifoldDisplay.from_estimator(model, train, n_steps=14, cmap="gray_r", ax=axes[0, 3])
    axes[0, 3].images[0].set_clim(0, 16)
    axes[0, 3].set(xlabel="", ylabel="", xticks=[], yticks=[])
    axes[0, 3].set_title("decoded from a grid on that map", fontsize=9)

    pairs = [(name, value) for name, values in SETTINGS.items() for value in values]
    for ax, (name, value) in zip(axes[1], pairs, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DisconnectedGraphWarning)  # 18 digits apart from all others
            other = NeighborAutoencoder(**options).set_params(**{name: value}).fit(train)
        draw_map(ax, other, data, f"{name} = {value:g}")

    X, y = make_blobs([200] * 3, centers=CENTERS, cluster_std=WIDTHS, random_state=0)
    noise = np.random.default_rng(0).normal(size=(300, 10))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DisconnectedGraphWarning)  # clusters far apart are pieces
        of_clusters = NeighborAutoencoder(**options).fit(X)
        of_noise = [NeighborAutoencoder(**options, **more).fit(noise) for more in ({}, CLUMPED)]
    draw_points(axes[2, 0], X, y, "three clusters in two columns,\nas they are")
    axes[2, 0].set_aspect("equal", adjustable="datalim")
    draw_points(axes[2, 1], of_clusters.transform(X), y, "their map:\nother widths and distances")
    draw_points(axes[2, 2], of_noise[0].transform(noise), None, "N(0, I) in ten columns,\ndefault map")
    of_clumps = "\n".join(["n_neighbors = 3, noise_level = 0.2,", "reconstruction = 0: clumps of chance"])
    draw_points(axes[2, 3], of_noise[1].transform(noise), None, of_clumps)
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
