"""Pages of digits that were struck through, restored by filters, PCA, a dense and a convolutional autoencoder."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from scipy import ndimage
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import ConvolutionalAutoencoder, DenoisingAutoencoder
from skae.inspection import ReconstructionDisplay

SIDE, N_LINES, SHOWN = 24, 4, 6
PCA_SIZES = 10, 30, 60, 100, 200


class DenoisingConvolutional(DenoisingAutoencoder, ConvolutionalAutoencoder):
    """Both, by inheritance."""


def pages(digits: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Pages of four digits, one at a random place in each quarter."""
    rng = np.random.default_rng(seed)
    images = np.zeros((n, SIDE, SIDE))
    for page in images:
        for quarter in np.ndindex(2, 2):
            y, x = 12 * np.array(quarter) + rng.integers(5, size=2)
            page[y : y + 8, x : x + 8] = digits[rng.integers(len(digits))].reshape(8, 8) / 16
    return images.reshape(n, -1)


def struck(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pages with lines at random places and angles, one pixel wide."""
    images = np.array(X).reshape(-1, SIDE, SIDE)
    steps = np.arange(-SIDE, SIDE, 0.5)[:, None]
    for page in images:
        for _ in range(N_LINES):
            angle = rng.random() * np.pi
            points = np.round(rng.random(2) * SIDE + steps * [np.sin(angle), np.cos(angle)]).astype(int)
            y, x = points[((points >= 0) & (points < SIDE)).all(axis=1)].T
            page[y, x] = 1
    return images.reshape(X.shape)


def error(X: np.ndarray, X_hat: np.ndarray) -> float:
    return float(np.sqrt(np.mean((X - X_hat) ** 2)))


def by_filter(damaged: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """The best of a few blurs, medians and openings, chosen by its error on these pages."""
    images = damaged.reshape(-1, SIDE, SIDE)
    found = [ndimage.gaussian_filter(images, (0, s, s)) for s in (0.5, 0.7, 1.0, 1.5)]
    found += [ndimage.median_filter(images, (1, s, s)) for s in (2, 3, 5)]
    found += [ndimage.grey_opening(images, (1, s, s)) for s in (2, 3)]
    return min((image.reshape(clean.shape) for image in found), key=lambda X_hat: error(clean, X_hat))


def by_pca(X: np.ndarray, damaged: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """PCA of the best number of components, chosen by its error on these pages."""
    found = [
        pca.inverse_transform(pca.transform(damaged)) for pca in (PCA(k, random_state=0).fit(X) for k in PCA_SIZES)
    ]
    return min(found, key=lambda X_hat: error(clean, X_hat))


def draw(max_iter: int = 20) -> Figure:
    """Held-out pages in columns, and the ways to restore them in rows."""
    train, test = train_test_split(load_digits().data, random_state=0)
    X, clean = pages(train, 1000, 0), pages(test, 200, 1)
    damaged = struck(clean, np.random.default_rng(2))
    options = {"corruption": struck, "batch_size": 50, "max_iter": max_iter, "random_state": 0}
    dense = DenoisingAutoencoder(64, **options).fit(X)
    convolutional = DenoisingConvolutional(
        16, code="map", pooling=None, channels=(16,), learning_rate_init=0.01, **options
    ).fit(X)
    ways = {
        "with lines": damaged,
        "best filter": by_filter(damaged, clean),
        "PCA": by_pca(X, damaged, clean),
        "dense": dense.denoise(damaged),
        "convolutional": convolutional.denoise(damaged),
    }
    rows = {"clean": clean} | {f"{name}\nerror {error(clean, way):.3f}": way for name, way in ways.items()}
    shown = {name: np.clip(way[:SHOWN], 0, 1) for name, way in rows.items()}
    figure, ax = plt.subplots(figsize=(7.4, 5.8), layout="constrained")
    ReconstructionDisplay(rows=shown, image_shape=(SIDE, SIDE)).plot(ax, cmap="gray_r")
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=80)
