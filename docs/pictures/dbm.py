"""Filters of both layers of a deep Boltzmann machine, and digits of which it fills in the lower half."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.impute import KNNImputer
from sklearn.model_selection import train_test_split

from skae import RBM, DeepBeliefNetwork, DeepBoltzmannMachine
from skae.inspection import FilterDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from skae.boltzmann.machine import BoltzmannMachine

N_SHOWN, N_DRAWS = 10, 3
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


def error(mean: np.ndarray, test: np.ndarray) -> float:
    """Wrong pixels of the lower half, if each pixel is what it is more often."""
    return float(((mean > 0.5) != test)[:, LOWER].mean())


def draw_filled(ax: Axes, model: BoltzmannMachine, train: np.ndarray, test: np.ndarray, n_steps: int) -> None:
    """The upper half is given: lower halves of the machine, and of the mean of neighbours."""
    halves = np.where(LOWER, np.nan, test)
    neighbours = KNNImputer(n_neighbors=10).fit(train).transform(halves)
    draws = [model.sample_given(halves, n_steps=n_steps, random_state=k) for k in range(20)]
    lines = {"held-out digit": test, "mean of ten\nneighbours": neighbours, "mean of twenty\ndraws": np.mean(draws, 0)}
    show(ax, lines | {f"draw {k + 1}": draws[k] for k in range(N_DRAWS)}, given=True)
    wrong = ", ".join(f"{100 * error(lines[name], test):.1f}" for name in list(lines)[1:])
    ax.set_title(f"Lower halves filled in; wrong pixels of the two means: {wrong} %", fontsize=10)


def draw(max_iter: int | str = "auto") -> Figure:
    train, test = train_test_split((load_digits().data > 7).astype(float), random_state=0)
    models = {name: model.fit(train) for name, model in machines(max_iter).items()}
    deep = models["DeepBoltzmannMachine"]
    figure, axes = plt.subplots(2, 2, figsize=(10, 7.6), width_ratios=(1, 1.25), layout="constrained")
    for ax, layer in zip(axes[0], (1, 2), strict=True):
        FilterDisplay.from_estimator(deep, kind="weights", layer=layer, ax=ax)
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=80)
