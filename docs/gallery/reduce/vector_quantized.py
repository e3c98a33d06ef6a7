"""Draw digits that were stored in a few bits, and reconstruction against the number of bits."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import VectorQuantizedAutoencoder
from skae.inspection import ReconstructionDisplay

SHOWN = 9
GROUPS = (1, 2, 4, 8, 12)
BITS = 6
"""Of each index: a codebook of 64 entries."""


def draw(max_iter: int | str = "auto") -> Figure:
    """Held-out digits in 6, 24 and 48 bits; held-out R2 against bits."""
    train, test = train_test_split(load_digits().data, random_state=100)
    fitted = {
        g: VectorQuantizedAutoencoder(
            max(2 * g, 8), n_groups=g, codebook_size=2**BITS, max_iter=max_iter, random_state=0
        ).fit(train)
        for g in GROUPS
    }
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.4), width_ratios=(1.35, 1), layout="constrained")
    means = KMeans(2**BITS, n_init=3, random_state=0).fit(train)
    rows = {"held out": test[:SHOWN], "k-means, 6 bits": means.cluster_centers_[means.predict(test[:SHOWN])]}
    for g in (1, 4, 8):
        rows[f"{g} {'index' if g == 1 else 'indices'}, {g * BITS} bits"] = fitted[g].reconstruct(test[:SHOWN])
    shown = {name: values.clip(0, 16) for name, values in rows.items()}
    ReconstructionDisplay(rows=shown, image_shape=(8, 8)).plot(left, cmap="gray_r")
    left.set_title("Digits that were stored as a list of indices", fontsize="medium")
    draw_scores(right, fitted, train, test, max_iter)
    return figure


def draw_scores(
    ax: Axes,
    fitted: dict[int, VectorQuantizedAutoencoder],
    train: np.ndarray,
    test: np.ndarray,
    max_iter: int | str,
) -> None:
    """Held-out R2 of the autoencoders, of k-means and of quantised PCA codes."""

    def r2(restored: np.ndarray) -> float:
        return float(1 - ((test - restored) ** 2).sum() / ((test - train.mean(0)) ** 2).sum())

    bits = [BITS * g for g in GROUPS]
    levels = {
        3 * n: VectorQuantizedAutoencoder(n, quantizer="fsq", max_iter=max_iter, random_state=0).fit(train)
        for n in (2, 4, 8, 16, 24)
    }
    means = {b: KMeans(2**b, n_init=3, random_state=0).fit(train) for b in (2, 4, 6, 8)}
    ax.plot(bits, [r2(model.reconstruct(test)) for model in fitted.values()], "o-", label='"vq", 64 entries')
    ax.plot(list(levels), [r2(m.reconstruct(test)) for m in levels.values()], "s-", label='"fsq", 8 levels')
    ax.plot(bits, [r2(quantised_pca(train, test, g)) for g in GROUPS], "^--", color="gray", label="quantised PCA")
    found = [r2(model.cluster_centers_[model.predict(test)]) for model in means.values()]
    ax.plot(list(means), found, "x:", color="black", label="k-means")
    ax.set(xlabel="Bits of a row", ylabel="Held-out R2", ylim=(0, 1))
    ax.set_title("What bits are worth", fontsize="medium")
    ax.legend(loc="lower right")


def quantised_pca(train: np.ndarray, test: np.ndarray, n_groups: int) -> np.ndarray:
    """Rows from PCA codes of which each group of two components is replaced by the nearest of 64 means."""
    pca = PCA(2 * n_groups).fit(train)
    codes, told = pca.transform(train), pca.transform(test)
    for g in range(n_groups):
        found = KMeans(2**BITS, n_init=3, random_state=0).fit(codes[:, g::n_groups])
        told[:, g::n_groups] = found.cluster_centers_[found.predict(told[:, g::n_groups])]
    return pca.inverse_transform(told)


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
