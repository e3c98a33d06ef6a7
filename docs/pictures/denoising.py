"""Draw digits before and after denoising, and a field of gradients on a spiral."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import DenoisingAutoencoder
from skae.inspection import ReconstructionDisplay


def spiral(n_samples: int) -> np.ndarray:
    """Points along a spiral in the plane."""
    t = np.linspace(1.0, 3.5, n_samples) * np.pi
    noise = np.random.default_rng(0).normal(0, 0.2, (n_samples, 2))
    return np.stack([t * np.cos(t), t * np.sin(t)], axis=1) + noise


def draw(max_iter: int = 200) -> Figure:
    """Digits on the left, the spiral with the field on the right."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10, 4.2), layout="constrained", gridspec_kw={"width_ratios": [1.35, 1]}
    )
    train, test = train_test_split(load_digits().data, random_state=0)
    digits = DenoisingAutoencoder(
        64, corruption="salt_and_pepper", corruption_level=0.2, max_iter=max_iter, random_state=0
    ).fit(train)
    clean = test[:8]
    ReconstructionDisplay.from_estimator(digits, clean, corrupted=digits.corrupt(clean), image_shape=(8, 8), ax=left)
    points = spiral(2000)
    model = DenoisingAutoencoder(
        2, corruption_level=0.1, hidden_layer_sizes=(128, 128), max_iter=max_iter, random_state=0
    )
    draw_field(right, points, model.fit(points))
    return figure


def draw_field(ax: plt.Axes, points: np.ndarray, model: DenoisingAutoencoder) -> None:
    """Arrows of the score field over the points it was learnt from."""
    grid = np.stack(np.meshgrid(*[np.linspace(-13, 13, 27)] * 2), axis=-1).reshape(-1, 2)
    near = grid[((grid[:, None] - points[None, ::10]) ** 2).sum(-1).min(1) < 3]
    ax.plot(*points[::4].T, ".", color="0.7", markersize=3)
    ax.quiver(*near.T, *model.score_field(near).T, color="C0", width=0.004, scale=90)
    ax.set(title="score_field: uphill to the data", xticks=[], yticks=[], aspect="equal")


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=100)
