"""Codes of two components over the prior with several weights of the distance, and samples of wider codes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split

from skae import WassersteinAutoencoder
from skae.inspection import LatentSpaceDisplay, ManifoldDisplay, SampleDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WEIGHTS = 0.0, 0.3, 3.0
REACH = 6.0
"""Largest coordinate that is drawn. The codes without a weight lie as far as 9 from the origin."""


def draw_codes(ax: Axes, model: WassersteinAutoencoder, X: np.ndarray, y: np.ndarray) -> None:
    """Codes of held-out digits, and circles of the prior."""
    LatentSpaceDisplay.from_estimator(model, X, y, ax=ax)
    if ax.get_legend() is not None:
        ax.get_legend().remove()
    for radius in (1, 2, 3):
        ax.add_patch(plt.Circle((0, 0), radius, fill=False, linestyle=":", color="0.3"))
    ax.set(xlabel="", ylabel="", aspect="equal", xlim=(-REACH, REACH), ylim=(-REACH, REACH))
    ax.set_title(f"mmd_weight = {model.mmd_weight:g}, R2 {model.score(X):.2f}")


def draw(max_iter: int | str = "auto") -> Figure:
    """The whole picture."""
    train, test, _, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
    options = {"max_iter": max_iter, "random_state": 0}
    figure = plt.figure(figsize=(10, 6.9), layout="constrained")
    axes = figure.subplot_mosaic([["0", "1", "2"], ["grid", "samples", "samples"]], height_ratios=(1, 1.1))
    for i, weight in enumerate(WEIGHTS):
        model = WassersteinAutoencoder(2, mmd_weight=weight, **options).fit(train)
        draw_codes(axes[str(i)], model, test, y_test)
    ManifoldDisplay.from_estimator(model, train, n_steps=11, cmap="gray_r", ax=axes["grid"])
    axes["grid"].set(title="Decoded from a grid, mmd_weight = 3", xlabel="", ylabel="")
    wide = WassersteinAutoencoder(8, **options).fit(train)
    clusters = GaussianMixture(20, reg_covar=1e-3, random_state=0).fit(wide.transform(train).astype(float))
    rows = {
        "digits": test[:10],
        "reconstructed": wide.reconstruct(test[:10]),
        "N(0, I)": wide.sample(10),
        "mixture": wide.inverse_transform(clusters.sample(10)[0]),
    }
    seen = {name: np.clip(values, 0, 16) for name, values in rows.items()}
    SampleDisplay(samples=seen, image_shape=(8, 8)).plot(axes["samples"], cmap="gray_r")
    axes["samples"].set_title("8 components: N(0, I) and a mixture of the codes, decoded")
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
