"""Digits from halves of them, digits from labels, and labels from digits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.impute import KNNImputer
from sklearn.model_selection import train_test_split

from skae import MultimodalDeepBoltzmannMachine

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UPPER, LOWER = slice(0, 32), slice(32, 64)
IMAGE, LABEL = slice(0, 64), slice(64, 74)
N_DRAWN = 6


def mosaic(images: np.ndarray) -> np.ndarray:
    """Images of shape (rows, columns, 64) as one picture."""
    padded = np.pad(images.reshape(*images.shape[:2], 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=0.3)
    return padded.transpose(0, 2, 1, 3).reshape(10 * images.shape[0], 10 * images.shape[1])


def show(ax: Axes, images: np.ndarray, title: str, names: list[str]) -> None:
    ax.imshow(mosaic(images), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    ax.set_title(title, fontsize=10)
    ax.set_xticks([])
    ax.set_yticks(np.arange(len(names)) * 10 + 4.5, names, fontsize=8)
    ax.tick_params(length=0)


def draw_halves(ax: Axes, train: np.ndarray, test: np.ndarray, max_iter: int | str) -> None:
    model = MultimodalDeepBoltzmannMachine(
        64,
        modalities={"upper": UPPER, "lower": LOWER},
        visible="bernoulli",
        max_iter=max_iter,
        random_state=0,
    ).fit(train)
    asked = test.copy()
    asked[:, UPPER] = np.nan
    course = model.sample(asked, steps=[50, 100, 150], random_state=0)
    lines = [test, np.nan_to_num(asked), KNNImputer(n_neighbors=20).fit(train).transform(asked), model.impute(asked)]
    names = ["digit", "known", "KNNImputer", "imputed", "50 steps", "100 steps", "150 steps"]
    show(ax, np.stack([*lines, *course]), "The upper half, given the lower one", names)


def machine_of_labels(train: np.ndarray, y: np.ndarray, max_iter: int | str) -> MultimodalDeepBoltzmannMachine:
    return MultimodalDeepBoltzmannMachine(
        64,
        modalities={"image": IMAGE, "label": LABEL},
        visible={"image": "bernoulli", "label": "softmax"},
        categories={"label": (10,)},
        max_iter=max_iter,
        random_state=0,
    ).fit(np.hstack([train, np.eye(10)[y]]))


def draw_images(ax: Axes, model: MultimodalDeepBoltzmannMachine) -> None:
    asked = np.hstack([np.full((10 * N_DRAWN, 64), np.nan), np.eye(10).repeat(N_DRAWN, 0)])
    drawn = model.sample(asked, n_steps=500, random_state=0)[:, IMAGE]
    lines = drawn.reshape(10, N_DRAWN, 64).transpose(1, 0, 2)
    show(ax, lines, "Images drawn, given the labels 0 to 9", [""] * N_DRAWN)


def draw_labels(ax: Axes, model: MultimodalDeepBoltzmannMachine, test: np.ndarray, y: np.ndarray) -> None:
    p = model.impute(np.hstack([test, np.full((len(test), 10), np.nan)]), random_state=0)[:, LABEL]
    right = np.mean(p.argmax(1) == y)
    p = np.array([p[y == digit].mean(0) for digit in range(10)])
    ax.imshow(p, cmap="Blues", vmin=0, vmax=1)
    ax.set_title(f"Labels, given images: {right:.0%} right", fontsize=10)
    ax.set(xlabel="label, by mean probability", ylabel="class", xticks=range(10), yticks=range(10))


def draw(max_iter: int | str = "auto") -> Figure:
    X, y = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split((X > 7).astype(float), y, random_state=0)
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(11, 3.4), width_ratios=(1.25, 1.3, 1), layout="constrained"
    )
    some = np.array([np.flatnonzero(y_test == digit)[0] for digit in range(10)])
    draw_halves(left, train, test[some], max_iter)
    model = machine_of_labels(train, y_train, max_iter)
    draw_images(middle, model)
    draw_labels(right, model, test, y_test)
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
