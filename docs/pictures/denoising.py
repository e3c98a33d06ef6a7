"""Draw digits before and after denoising, and the steps back to a spiral."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import median_filter
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import DenoisingAutoencoder
from skae.inspection import ReconstructionDisplay

SHOWN = 8


def spiral(n_samples: int) -> np.ndarray:
    """Points along a spiral in the plane."""
    t = np.linspace(1.0, 3.5, n_samples) * np.pi
    noise = np.random.default_rng(0).normal(0, 0.2, (n_samples, 2))
    return np.stack([t * np.cos(t), t * np.sin(t)], axis=1) + noise


def draw(max_iter: int = 200) -> Figure:
    """Digits on the left, the spiral with the field on the right."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.9), layout="constrained", width_ratios=(1.6, 1))
    draw_digits(left, max_iter)
    points = spiral(2000)
    model = DenoisingAutoencoder(
        2, corruption_level=0.1, hidden_layer_sizes=(128, 128), max_iter=max_iter, random_state=0
    )
    draw_field(right, points, model.fit(points))
    return figure


def draw_digits(ax: Axes, max_iter: int) -> None:
    """Held-out digits, their corrupted copies, and what three ways restore. Errors are means over all 450."""
    train, test = train_test_split(load_digits().data, random_state=0)
    model = DenoisingAutoencoder(
        64, corruption="salt_and_pepper", corruption_level=0.2, max_iter=max_iter, random_state=0
    ).fit(train)
    noisy = model.corrupt(test, random_state=0)
    # The baselines get the size that is best on these very digits.
    by_pca = [pca.inverse_transform(pca.transform(noisy)) for pca in (PCA(k).fit(train) for k in range(4, 41, 4))]
    by_median = [median_filter(noisy.reshape(-1, 8, 8), (1, s, s)).reshape(noisy.shape) for s in (2, 3)]
    ways = {
        "corrupted": noisy,
        "best median filter": min(by_median, key=lambda x: error(test, x)),
        "best PCA": min(by_pca, key=lambda x: error(test, x)),
        "denoising": model.denoise(noisy),
    }
    rows = {"clean": test} | {f"{name}\nerror {error(test, way):.0f}": way for name, way in ways.items()}
    shown = {name: way[:SHOWN].clip(0, 16) for name, way in rows.items()}
    ReconstructionDisplay(rows=shown, image_shape=(8, 8)).plot(ax)
    ax.set_title("Salt and pepper on a fifth of the pixels", fontsize="medium")


def error(X: np.ndarray, X_hat: np.ndarray) -> float:
    """Mean squared distance of a row."""
    return float(((X - X_hat) ** 2).sum(axis=1).mean())


def draw_field(ax: Axes, points: np.ndarray, model: DenoisingAutoencoder) -> None:
    """Arrows r(x) - x, which is the score field times the variance of the noise."""
    grid = np.stack(np.meshgrid(*[np.linspace(-12.5, 12.5, 22)] * 2), axis=-1).reshape(-1, 2)
    near = grid[((grid[:, None] - points[None, ::10]) ** 2).sum(-1).min(1) < 3]
    ax.plot(*points[::4].T, ".", color="0.7", markersize=3)
    steps = model.sigma_**2 * model.score_field(near)
    ax.quiver(*near.T, *steps.T, color="C0", width=0.005, angles="xy", scale_units="xy", scale=1)
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.set_title("score_field leads back to the data", fontsize="medium")


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
