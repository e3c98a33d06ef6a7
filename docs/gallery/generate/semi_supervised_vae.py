"""Draw digits by class, one style a row, and accuracy against the number of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skae import SemiSupervisedAutoencoder, SemiSupervisedVariationalAutoencoder

LABELS, DRAWS, N_STYLES = (2, 5, 20), range(100, 103), 6


def few_labels(y: np.ndarray, n: int, seed: int) -> np.ndarray:
    """So many labels of each class, drawn at random, and -1 for the other rows."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.choice(np.flatnonzero(y == label), n, replace=False) for label in np.unique(y)])
    few = np.full(len(y), -1)
    few[rows] = y[rows]
    return few


def generative(train: np.ndarray, few: np.ndarray, max_iter: int | str) -> SemiSupervisedVariationalAutoencoder:
    model = SemiSupervisedVariationalAutoencoder(likelihood="bernoulli", max_iter=max_iter, random_state=0)
    return model.fit(train, few)


def show_styles(ax: Axes, model: SemiSupervisedVariationalAutoencoder) -> None:
    """Digits 0 to 9 in columns. The rows have one code each."""
    H = model.sample_codes(N_STYLES, random_state=0)
    images = model.inverse_transform(H.repeat(10, axis=0), np.tile(np.arange(10), N_STYLES))
    padded = np.pad(images.reshape(N_STYLES, 10, 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=0.3)
    tiled = padded.transpose(0, 2, 1, 3).reshape(10 * N_STYLES, 100)
    ax.imshow(tiled, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    ax.set_xticks(np.arange(10) * 10 + 4.5, [str(label) for label in range(10)])
    ax.set_yticks([])
    ax.set(xlabel="Class", ylabel="Style", title="inverse_transform(H, y), 5 labels a class")


def show_accuracies(ax: Axes, scores: np.ndarray) -> None:
    """Scores of shape (labels, draws, models): their means, and the smallest and largest."""
    names = "SemiSupervisedVariationalAutoencoder", "SemiSupervisedAutoencoder", "LogisticRegression, labels alone"
    for k, name in enumerate(names):
        mean = scores[:, :, k].mean(1)
        reach = [mean - scores[:, :, k].min(1), scores[:, :, k].max(1) - mean]
        ax.errorbar(np.array(LABELS) * (0.97 + 0.03 * k), mean, reach, fmt="o-", capsize=3, label=name)
    ax.set_xscale("log")
    ax.set_xticks(LABELS, [str(n) for n in LABELS])
    ax.minorticks_off()
    ax.set(xlabel="Labels a class", ylabel="Test accuracy", title="Digits: mean, worst and best of 3 draws")
    ax.legend(loc="lower right", fontsize="small")


def draw(max_iter: int | str = "auto") -> Figure:
    """Draw both."""
    X, y = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(X / 16, y, train_size=1300, stratify=y, random_state=0)
    scores, shown = np.empty((len(LABELS), len(DRAWS), 3)), None
    for i, n in enumerate(LABELS):
        for j, seed in enumerate(DRAWS):
            few = few_labels(y_train, n, seed)
            models: list[Any] = [
                generative(train, few, max_iter),
                SemiSupervisedAutoencoder(max_iter=max_iter, random_state=0).fit(train, few),
                LogisticRegression(max_iter=5000).fit(train[few >= 0], few[few >= 0]),
            ]
            scores[i, j] = [model.score(test, y_test) for model in models]
            shown = models[0] if n == 5 and j == 0 else shown
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.9), layout="constrained")
    show_styles(axes[0], shown)
    show_accuracies(axes[1], scores)
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
