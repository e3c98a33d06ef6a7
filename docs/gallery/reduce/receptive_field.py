"""Draw filters of grey patches of photographs, before and after training, and how oriented they are."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from sklearn.base import clone
from sklearn.datasets import load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d

from skae import ReceptiveFieldAutoencoder
from skae.inspection import FilterDisplay


def grey_patches(side: int, n: int) -> np.ndarray:
    photographs = [image.mean(axis=2) for image in load_sample_images().images]
    patches = [extract_patches_2d(image, (side, side), max_patches=n // 2, random_state=0) for image in photographs]
    return np.concatenate(patches).reshape(n, side * side)


def orientation_selectivity(filters: np.ndarray, side: int) -> np.ndarray:
    """Length of the mean of exp(2 i angle) over a filter's power spectrum."""
    power = np.abs(np.fft.fft2(filters.reshape(-1, side, side), s=(32, 32))) ** 2
    power[:, 0, 0] = 0.0
    fy, fx = np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32), indexing="ij")
    return np.abs((power * np.exp(2j * np.arctan2(fy, fx))).sum((1, 2))) / power.sum((1, 2))


def draw(max_iter: int = 40) -> Figure:
    X = grey_patches(12, 10_000)
    one_field = ReceptiveFieldAutoencoder(
        64, image_shape=(12, 12), sparsity=1.0, batch_size=100, max_iter=max_iter, random_state=0
    ).fit(X)
    start = clone(one_field).set_params(max_iter=1, learning_rate_init=1e-9).fit(X)
    local = ReceptiveFieldAutoencoder(
        4,
        image_shape=(18, 18),
        field_size=8,
        stride=2,
        pool_size=2,
        pool_stride=2,
        sparsity=2.0,
        max_iter=max_iter,
        random_state=0,
    ).fit(grey_patches(18, 10_000))

    figure, axes = plt.subplots(2, 2, figsize=(9, 9), layout="constrained")
    pictures = [
        (start.components_, (12, 12), "One field: 64 filters before training"),
        (one_field.components_, (12, 12), "The same filters after training"),
        (local.components_[:36], (18, 18), "Local fields: one filter at each of 6 x 6 positions"),
    ]
    for ax, (filters, shape, title) in zip(axes.flat, pictures, strict=False):
        FilterDisplay(filters=filters, image_shape=shape).plot(cmap="gray", ax=ax)
        ax.set_title(title)
    bins = np.linspace(0, 1, 21)
    for model, side, label in [(start, 12, "before"), (one_field, 12, "one field"), (local, 18, "local fields")]:
        selectivity = orientation_selectivity(model.components_, side)
        axes[1, 1].hist(selectivity, bins, histtype="step", linewidth=2, density=True, label=label)
    axes[1, 1].set(xlabel="orientation selectivity (0 noise, 1 a grating)", ylabel="density of filters")
    axes[1, 1].set_title("Filters turn to edges")
    axes[1, 1].legend()
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=80)
