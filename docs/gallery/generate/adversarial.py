"""Codes of digits over the prior that a critic has them follow, beside those of a VAE; and samples in training."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import AdversarialAutoencoder, VariationalAutoencoder
from skae.exceptions import ModeCollapseWarning

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EPOCHS = 1, 4, 15, 60
"""After which samples are drawn."""
N_SAMPLES = 30


def draw_codes(ax: Axes, model: Any, X: np.ndarray, y: np.ndarray, title: str) -> None:
    """Codes of rows, coloured by their digits, over draws from the prior in grey."""
    drawn = model.sample_codes(3000, random_state=0)
    ax.scatter(*drawn.T, s=6, color="0.85", linewidths=0)
    ax.scatter(*model.transform(X).T, s=6, c=y, cmap="tab10", linewidths=0)
    ax.set(aspect="equal", xticks=[], yticks=[], xlim=(-3, 3), ylim=(-3, 3))
    ax.set_title(title, fontsize=10)


def draw_samples(ax: Axes, rows: np.ndarray, title: str) -> None:
    """Digits in rows of six."""
    images = [np.pad(row.reshape(8, 8), 1) for row in rows]
    ax.imshow(np.block([images[i : i + 6] for i in range(0, len(images), 6)]), cmap="gray_r", vmin=0, vmax=16)
    ax.set_title(title, fontsize=10)
    ax.axis("off")


def draw(max_iter: int | str = "auto") -> Figure:
    train, test, y_train, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
    few = np.where(np.arange(len(train)) % 10 == 0, y_train, -1)
    options: dict[str, Any] = {"max_iter": 60 if max_iter == "auto" else max_iter, "random_state": 0}
    figure, axes = plt.subplots(2, 4, figsize=(11, 5.9), layout="constrained", height_ratios=(1.15, 1))
    models = {
        "variational autoencoder": VariationalAutoencoder(2, prior="normal", **options).fit(train),
        'prior="normal"': AdversarialAutoencoder(2, **options).fit(train),
        'prior="mixture"': AdversarialAutoencoder(2, prior="mixture", n_clusters=10, **options).fit(train),
        'prior="labels", one in ten known': AdversarialAutoencoder(2, prior="labels", **options).fit(train, few),
    }
    for ax, (title, model) in zip(axes[0], models.items(), strict=True):
        draw_codes(ax, model, test, y_test, title)

    n_epochs = np.diff((0, *EPOCHS)).tolist() if max_iter == "auto" else [max_iter] * len(EPOCHS)
    model = AdversarialAutoencoder(8, warm_start=True, learning_rate="constant", random_state=0)
    for ax, n, epoch in zip(axes[1], n_epochs, np.cumsum(n_epochs), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ModeCollapseWarning)  # the first samples are alike
            model.set_params(max_iter=n).fit(train)
        name = "epoch" if epoch == 1 else "epochs"
        title = f"{epoch} {name}: squared MMD {model.history_['mmd'][-1]:.3f}"
        draw_samples(ax, model.sample(N_SAMPLES, random_state=0), title)
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
