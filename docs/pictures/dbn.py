"""Digits dreamt by class by a network with labels at its top, and the bound of the likelihood by depth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import DeepBeliefNetwork

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_EACH = 10
STAGES = {"1 layer": ((), 0), "2 layers": ((64,), 0), "2 layers,\nup-down": ((64,), 30)}


def dreams(X: np.ndarray, y: np.ndarray, max_iter: int) -> np.ndarray:
    """Rows of digits 0 to 9 as one picture."""
    options = {"visible": "bernoulli", "algorithm": "cd", "labels": True, "max_iter": 2 * max_iter}
    network = DeepBeliefNetwork(128, hidden_layer_sizes=(64,), random_state=0, **options).fit(X, y)
    drawn = network.sample(10 * N_EACH, n_steps=200, y=np.repeat(network.classes_, N_EACH))
    shown = network.inverse_transform(network.transform(drawn)).reshape(10, N_EACH, 8, 8)  # shades, not dots
    padded: np.ndarray = np.pad(shown, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=0.5)
    return padded.transpose(0, 2, 1, 3).reshape(100, 10 * N_EACH)


def bound(train: np.ndarray, test: np.ndarray, sizes: tuple[int, ...], n_up_down: int, max_iter: int) -> float:
    """Of held-out rows, in nats."""
    options = {"visible": "bernoulli", "up_down_iter": n_up_down, "max_iter": max_iter}
    return DeepBeliefNetwork(64, hidden_layer_sizes=sizes, random_state=0, **options).fit(train).score(test)


def draw(max_iter: int = 50) -> Figure:
    X, y = load_digits(return_X_y=True)
    X = (X > 8).astype(float)
    train, test = train_test_split(X, random_state=0)
    bounds = [bound(train, test, sizes, min(n, max_iter), max_iter) for sizes, n in STAGES.values()]
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 4.2), width_ratios=(1.2, 1), layout="constrained")
    left.imshow(dreams(X, y, max_iter), cmap="gray_r", vmin=0, vmax=1)
    left.set_title("Dreamt by class", fontsize=10)
    left.set_xticks([])
    left.set_yticks(np.arange(10) * 10 + 4.5, range(10))
    left.tick_params(length=0)
    right.plot(list(STAGES), bounds, "o", markersize=9)
    for place, value in enumerate(bounds):
        right.annotate(f"{value:.2f}", (place, value), (0, 9), textcoords="offset points", ha="center")
    right.margins(0.25, 0.35)
    right.set_ylabel("bound of log p(x), nats")
    right.set_title("Held-out digits in black and white", fontsize=10)
    right.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=100)
