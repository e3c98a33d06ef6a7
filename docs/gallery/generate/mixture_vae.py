"""Clusters of digits: their means and samples beside the centres of k-means, and how many clusters there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import train_test_split

from skae import MixtureVariationalAutoencoder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_CLUSTERS = 1, 3, 10, 20, 30
N_SAMPLES = 4


def cluster_of_digit(y: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    """Match ten clusters with the ten digits, so that most rows agree. Returns clusters, and the share that agrees."""
    counts = confusion_matrix(y, labels)
    digits, clusters = linear_sum_assignment(-counts)
    return clusters, counts[digits, clusters].sum() / len(y)


def show(ax: Axes, rows: list[np.ndarray], names: list[str]) -> None:
    """Rows of ten digits, with a name at the left of each row."""
    mosaic = np.block([[np.pad(x.reshape(8, 8), 1) for x in row] for row in rows])
    ax.imshow(mosaic, cmap="gray_r", vmin=0, vmax=16)
    ax.set_yticks(10 * np.arange(len(rows)) + 4.5, names)
    ax.set_xticks([])
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)


def draw(max_iter: int | str = "auto") -> Figure:
    X, y = load_digits(return_X_y=True)
    options: dict[str, Any] = {"n_components": 16, "max_iter": max_iter, "random_state": 0}
    model = MixtureVariationalAutoencoder(n_clusters=10, **options).fit(X)
    means = KMeans(10, n_init=10, random_state=0).fit(X)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(1.5, 1), layout="constrained")

    (of_means, share_of_means), (order, share) = (cluster_of_digit(y, found.labels_) for found in (means, model))
    drawn = [model.sample(10, random_state=seed, cluster=order) for seed in range(N_SAMPLES)]
    names = [f"k-means\n{share_of_means:.0%}", f"means\n{share:.0%}", "samples", *[""] * (N_SAMPLES - 1)]
    show(left, [means.cluster_centers_[of_means], model.cluster_centers_[order], *drawn], names)
    left.set_title("Clusters that agree best with the digits 0 to 9")

    train, test = train_test_split(X, random_state=0)
    models = [MixtureVariationalAutoencoder(n_clusters=k, **options).fit(train) for k in N_CLUSTERS]
    for rows, name in ((train, "training"), (test, "held-out")):
        right.plot(N_CLUSTERS, [model.score(rows) for model in models], "o-", label=f"{name} digits")
    right.set(xlabel="n_clusters", ylabel="score: bound of log p(x), nats", xticks=N_CLUSTERS)
    right.legend()
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
