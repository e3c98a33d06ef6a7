"""A code of two components learnt by reconstruction alone, by the divergence alone and by both; and samples."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split

from skae import VariationalAutoencoder
from skae.inspection import ManifoldDisplay, PosteriorDisplay, SampleDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BETAS = {"Reconstruction alone, beta = 0": 0.0, "Divergence alone, beta = 1e4": 1e4, "Both, beta = 1": 1.0}
CLUSTERS = 5, 10, 20
SEEN = 300
"""Held-out digits whose posteriors are drawn."""


def draw_posterior(ax: Axes, model: VariationalAutoencoder, X: np.ndarray, y: np.ndarray) -> None:
    PosteriorDisplay.from_estimator(model, X, y, ax=ax)
    ax.get_legend().remove()
    for radius in (1, 2):
        ax.add_patch(plt.Circle((0, 0), radius, fill=False, linestyle=":", color="0.3"))
    reach = 1.05 * max(map(abs, (*ax.get_xlim(), *ax.get_ylim())))
    ax.set(xlabel="", ylabel="", aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach))


def mixture(train: np.ndarray) -> GaussianMixture:
    """A mixture of full Gaussians, of as many as describe held-out training rows best."""
    inner, watched = train_test_split(train, random_state=0)

    def fitted(k: int, X: np.ndarray) -> GaussianMixture:
        return GaussianMixture(k, reg_covar=0.1, random_state=0).fit(X)

    best = max(CLUSTERS, key=lambda k: fitted(k, inner).score(watched))
    return fitted(best, train)


def draw(max_iter: int | str = "auto") -> Figure:
    train, test, _, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
    options = {"max_iter": max_iter, "random_state": 0}
    figure = plt.figure(figsize=(10, 6.9), layout="constrained")
    axes = figure.subplot_mosaic([["a", "b", "c"], ["grid", "samples", "samples"]], height_ratios=(1, 1.1))
    for ax, (title, beta) in zip("abc", BETAS.items(), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # the divergence alone is a collapse, as one of the panels shows
            model = VariationalAutoencoder(2, beta=beta, prior="normal", **options).fit(train)
        draw_posterior(axes[ax], model, test[:SEEN], y_test[:SEEN])
        axes[ax].set_title(title)
    ManifoldDisplay.from_estimator(model, n_steps=11, cmap="gray_r", ax=axes["grid"])
    axes["grid"].set(title="Decoded from a grid, beta = 1", xlabel="", ylabel="")
    models = {
        "VAE": VariationalAutoencoder(16, **options).fit(train),
        "Gaussian": GaussianMixture(1, reg_covar=0.1, random_state=0).fit(train),
        "mixture": mixture(train),
    }
    samples = {name: model.sample(10) for name, model in models.items()}
    rows = {name: found[0] if isinstance(found, tuple) else found for name, found in samples.items()}
    seen = {name: np.clip(values, 0, 16) for name, values in {"digits": test[:10], **rows}.items()}
    SampleDisplay(samples=seen, image_shape=(8, 8)).plot(axes["samples"], cmap="gray_r")
    axes["samples"].set_title("Held-out digits, and rows drawn from three models")
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
