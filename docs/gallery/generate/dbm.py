"""Filters of both layers of a deep Boltzmann machine, and digits of which it fills in the lower half."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import KNNImputer
from sklearn.model_selection import cross_val_score, train_test_split

from skae import RBM, DeepBeliefNetwork, DeepBoltzmannMachine
from skae.inspection import FilterDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from skae.boltzmann.machine import BoltzmannMachine

N_SHOWN, N_DRAWS = 12, 20
LOWER = np.arange(64) >= 32


def machines(max_iter: int | str) -> dict[str, BoltzmannMachine]:
    options = {"visible": "bernoulli", "max_iter": max_iter, "random_state": 0}
    return {
        "RBM": RBM(64, **options),
        "DeepBeliefNetwork": DeepBeliefNetwork(64, hidden_layer_sizes=(64,), **options),
        "DeepBoltzmannMachine": DeepBoltzmannMachine(64, hidden_layer_sizes=(64,), **options),
    }


def show(ax: Axes, lines: dict[str, np.ndarray], given: bool = False) -> None:
    """Rows of 64 pixels as pictures: a line for each name."""
    images = np.stack([rows[:N_SHOWN] for rows in lines.values()]).reshape(len(lines), -1, 8, 8)
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=0.3)
    ax.imshow(
        padded.transpose(0, 2, 1, 3).reshape(10 * len(lines), -1),
        cmap="gray_r",
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    ax.set_xticks([])
    ax.set_yticks(np.arange(len(lines)) * 10 + 4.5, list(lines))
    ax.tick_params(length=0)
    if given:
        for k in range(1, len(lines)):
            ax.axhline(10 * k + 4.5, color="C3", linewidth=0.5)


def wrong(mean: np.ndarray, test: np.ndarray) -> str:
    """Wrong pixels of the lower half, if each pixel is what it is more often."""
    return f"{100 * ((mean > 0.5) != test)[:, LOWER].mean():.1f} %"


def told(filled: np.ndarray, test: np.ndarray) -> str:
    """How often a forest tells digits that were filled in from others."""
    rows, is_filled = np.concatenate([test, filled > 0.5]), np.arange(2 * len(test)) >= len(test)
    return f"{cross_val_score(RandomForestClassifier(50, random_state=0), rows, is_filled, cv=3).mean():.2f}"


def draw_filled(ax: Axes, model: BoltzmannMachine, train: np.ndarray, test: np.ndarray) -> None:
    """Of held-out digits the upper half is known. The lower one is filled in by neighbours, and by the machine."""
    halves = np.where(LOWER, np.nan, test)
    draws = [model.sample_given(halves, n_steps=40, random_state=k) for k in range(N_DRAWS)]
    means = {"neighbours": KNNImputer(n_neighbors=N_DRAWS).fit(train).transform(halves), "machine": np.mean(draws, 0)}
    lines = {"real": test, "mean of 20\nneighbours": means["neighbours"], "mean of 20\ndraws": means["machine"]}
    show(ax, lines | {f"draw {k + 1}": draws[k] for k in range(3)}, given=True)
    ax.set_title(
        f"Lower halves filled in. Wrong pixels: neighbours {wrong(means['neighbours'], test)}, "
        f"draws {wrong(means['machine'], test)}.\nTold from real by a forest: neighbours "
        f"{told(means['neighbours'], test)}, a draw {told(draws[0], test)} (chance 0.50)",
        fontsize=10,
    )


def draw(max_iter: int | str = "auto") -> Figure:
    train, test = train_test_split((load_digits().data > 7).astype(float), random_state=0)
    models = {name: model.fit(train) for name, model in machines(max_iter).items()}
    deep: Any = models["DeepBoltzmannMachine"]
    figure, axes = plt.subplots(2, 2, figsize=(11, 6.4), width_ratios=(1, 1.5), layout="constrained")
    first, second = deep.coefs_
    for ax, weights in zip(axes[:, 0], (first.T, second.T @ first.T), strict=True):
        strongest = np.argsort(-(weights**2).sum(axis=1))[:28]
        FilterDisplay(filters=weights[strongest], image_shape=(8, 8), n_columns=7).plot(ax)
    axes[0, 0].set_title("First layer: the 28 largest weight vectors", fontsize=10)
    axes[1, 0].set_title("Second layer: the 28 largest, times those of the first", fontsize=10)
    drawn = {name: model.sample(2 * N_SHOWN, random_state=0) for name, model in models.items()}
    lines = {"real": test[N_SHOWN:], **{name.replace("DeepB", "Deep\nB"): rows for name, rows in drawn.items()}}
    show(axes[0, 1], lines)
    bounds = ", ".join(f"{model.score(test):.1f}" for model in models.values())
    axes[0, 1].set_title(f"Drawn digits. Held-out log p(x), or its bound: {bounds} nats", fontsize=10)
    draw_filled(axes[1, 1], deep, train, test)
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=80)
