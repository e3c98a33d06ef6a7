"""Digits drawn by class, pixel by pixel and by a network with labels at its top, and likelihoods by depth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.naive_bayes import BernoulliNB
from sklearn.neighbors import KNeighborsClassifier

from skae import DeepBeliefNetwork

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_EACH, SHOWN = 100, 8
STAGES = {"1 layer,\nan RBM": ((), 0), "2 layers": ((64,), 0), "2 layers,\nup-down": ((64,), 30)}


def pixel_by_pixel(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Draws of a model in which the pixels of a class are independent."""
    p = np.exp(BernoulliNB().fit(X, y).feature_log_prob_)
    return np.random.default_rng(0).random((10, N_EACH, 64)) < p[:, None]


def by_network(X: np.ndarray, y: np.ndarray, max_iter: int | str) -> np.ndarray:
    options = {"visible": "bernoulli", "labels": True, "max_iter": max_iter}
    network = DeepBeliefNetwork(128, hidden_layer_sizes=(64,), random_state=0, **options).fit(X, y)
    return network.sample(10 * N_EACH, n_steps=200, y=np.repeat(network.classes_, N_EACH))


def bound(train: np.ndarray, test: np.ndarray, sizes: tuple[int, ...], n_up_down: int, max_iter: int | str) -> float:
    """Of held-out rows, in nats."""
    options = {"visible": "bernoulli", "up_down_iter": n_up_down, "max_iter": max_iter}
    return DeepBeliefNetwork(64, hidden_layer_sizes=sizes, random_state=0, **options).fit(train).score(test)


def judged(drawn: np.ndarray, X: np.ndarray, y: np.ndarray) -> str:
    """How often neighbours among held-out digits are of the class, and how well a forest tells drawn from held-out."""
    drawn = drawn.reshape(-1, 64).astype(float)
    read = KNeighborsClassifier(3).fit(X, y).score(drawn, np.repeat(np.arange(10), N_EACH))
    some = drawn[np.random.default_rng(0).permutation(len(drawn))[: len(X)]]
    rows, is_drawn = np.concatenate([X, some]), np.arange(2 * len(X)) >= len(X)
    told = cross_val_score(RandomForestClassifier(200, random_state=0), rows, is_drawn, cv=5).mean()
    return f"read as meant {read:.2f}, told from real {told:.2f}"


def show(ax: Axes, drawn: np.ndarray, title: str) -> None:
    """Digits 0 to 9 as lines of one picture."""
    some = drawn.reshape(10, N_EACH, 8, 8)[:, :SHOWN].astype(float)
    padded = np.pad(some, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=0.3)
    ax.imshow(
        padded.transpose(0, 2, 1, 3).reshape(100, 10 * SHOWN), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest"
    )
    ax.set_title(title, fontsize=10)
    ax.set_xticks([])
    ax.set_yticks(np.arange(10) * 10 + 4.5, range(10))
    ax.tick_params(length=0)


def draw_bounds(ax: Axes, train: np.ndarray, test: np.ndarray, max_iter: int | str) -> None:
    p = (train.sum(axis=0) + 0.5) / (len(train) + 1)
    values = {"independent\npixels": -(test @ np.log(p) + (1 - test) @ np.log1p(-p)).mean()}
    for name, (sizes, n) in STAGES.items():
        n_up_down = n if max_iter == "auto" else min(n, int(max_iter))
        values[name] = -bound(train, test, sizes, n_up_down, max_iter)
    bars = ax.barh(list(values), list(values.values()), color=["0.7", "C0", "C0", "C0"])
    ax.bar_label(bars, fmt="%.1f", padding=3)
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.2 * max(values.values())), xlabel="nats: less is better")
    ax.set_title("-log p(x) of held-out digits,\nor its bound", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)


def draw(max_iter: int | str = "auto") -> Figure:
    X, y = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split((X > 8).astype(float), y, random_state=0)
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(10.5, 4.2), width_ratios=(1, 1, 0.9), layout="constrained"
    )
    naive, network = pixel_by_pixel(train, y_train), by_network(train, y_train, max_iter)
    show(left, naive, f"Drawn by class, pixel by pixel:\n{judged(naive, test, y_test)}")
    show(middle, network, f"Drawn by class, by the network:\n{judged(network, test, y_test)}")
    draw_bounds(right, train, test, max_iter)
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
