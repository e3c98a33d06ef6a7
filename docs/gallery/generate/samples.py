"""Digits that a deep belief network draws by class, beside real ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sklearn.datasets import load_digits

from skae import DeepBeliefNetwork
from skae.inspection import SampleDisplay

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(max_iter: int | str = "auto") -> Figure:
    X, y = load_digits(return_X_y=True)
    X = (X > 8).astype(float)
    network = DeepBeliefNetwork(
        32, hidden_layer_sizes=(128,), labels=True, visible="bernoulli", max_iter=max_iter, random_state=0
    ).fit(X, y)
    display = SampleDisplay.from_estimator(network, X, y, n_samples=8, random_state=0, cmap="gray_r")
    display.figure_.set_size_inches(9, 5.4)
    return display.figure_


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=80)
