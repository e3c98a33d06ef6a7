"""Draw digits that a bidirectional GAN makes and restores, beside PCA and a variational autoencoder."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import BidirectionalGAN, VariationalAutoencoder
from skae.inspection import ReconstructionDisplay

SHOWN = 10
WIDTH = 8
EPOCHS = 2, 8
"""After which samples are shown, beside those of a whole training."""


def draw(max_iter: int | str = "auto") -> Figure:
    """Digits that are made of codes from N(0, I), held-out digits that are restored, and a ring of clouds."""
    train, test = train_test_split(load_digits().data, random_state=100)
    few = [min(n, max_iter) if isinstance(max_iter, int) else n for n in EPOCHS]
    gans = [BidirectionalGAN(WIDTH, max_iter=n, random_state=0).fit(train) for n in (*few, max_iter)]
    vae = VariationalAutoencoder(WIDTH, prior="normal", max_iter=max_iter, random_state=0).fit(train)
    pca = PCA(WIDTH, whiten=True).fit(train)
    codes = gans[-1].sample_codes(SHOWN, random_state=3)
    rows = {"held out": test[:SHOWN], "restored, GAN": gans[-1].reconstruct(test[:SHOWN])}
    rows["restored, VAE"] = vae.reconstruct(test[:SHOWN])
    rows["made, PCA"] = pca.inverse_transform(codes)
    rows["made, VAE"] = vae.inverse_transform(codes)
    for n, gan in zip((*(f"{n} epochs" for n in few), "GAN"), gans, strict=True):
        rows[f"made, {n}"] = gan.inverse_transform(codes)
    figure = plt.figure(figsize=(10.5, 5.2), layout="constrained")
    grid = figure.add_gridspec(2, 3, width_ratios=(2.3, 1, 1))
    left = figure.add_subplot(grid[:, 0])
    shown = {name: values.clip(0, 16) for name, values in rows.items()}
    ReconstructionDisplay(rows=shown, image_shape=(8, 8)).plot(left, cmap="gray_r")
    left.set_title(f"Digits in {WIDTH} numbers", fontsize="medium")
    draw_ring([figure.add_subplot(grid[i, j]) for i in (0, 1) for j in (1, 2)], max_iter)
    return figure


def ring(n: int) -> np.ndarray:
    """Rows of three clouds on a circle."""
    rng = np.random.default_rng(0)
    angle = 2 * np.pi * rng.integers(0, 3, n) / 3 + 0.35 * rng.standard_normal(n)
    radius = 1 + 0.08 * rng.standard_normal(n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)


def draw_ring(axes: list[Axes], max_iter: int | str) -> None:
    """Rows of the ring, and as many that are decoded from codes of N(0, I)."""
    X = ring(1500)
    epochs = 200 if max_iter == "auto" else max_iter
    options = {"hidden_layer_sizes": (64, 64), "max_iter": epochs, "random_state": 0}
    gan = BidirectionalGAN(2, critic_layer_sizes=(64, 64), **options).fit(X)
    vae = VariationalAutoencoder(2, prior="normal", **options).fit(X)
    made = {
        "rows": X,
        "PCA": PCA(2, whiten=True).fit(X).inverse_transform(np.random.default_rng(1).standard_normal((1500, 2))),
        "VAE, N(0, I)": vae.inverse_transform(vae.sample_codes(1500, random_state=0)),
        "bidirectional GAN": gan.sample(1500, random_state=0),
    }
    for ax, (name, rows) in zip(axes, made.items(), strict=True):
        ax.scatter(*rows.T, s=1.5, linewidths=0)
        ax.set(title=name, xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), xticks=(), yticks=(), aspect="equal")
        ax.title.set_fontsize("medium")


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
