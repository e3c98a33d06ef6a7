"""Draw digits as sums of a few atoms, and what k numbers a row are worth."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, SparseCoder
from sklearn.model_selection import train_test_split

from skae import TopKAutoencoder
from skae.metrics import reconstruction_r2

ATOMS, SHOWN = 128, 5
STRENGTHS = (1, 2, 4, 8, 16)


def draw(max_iter: int = 100) -> Figure:
    """Three held-out digits with the atoms that they use; reconstruction against k."""
    train, test = train_test_split(load_digits().data, random_state=0)
    fitted = {k: TopKAutoencoder(ATOMS, k=k, max_iter=max_iter, random_state=0).fit(train) for k in STRENGTHS}
    figure = plt.figure(figsize=(10.5, 4.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1.35, 1])
    left.suptitle(f"Digits made of 8 of {ATOMS} atoms, of which {SHOWN} are shown", fontsize="medium")
    panels = left.subplots(3, 2 + SHOWN)
    for row, digit in zip(panels, test[[0, 1, 4]], strict=True):
        draw_sum(row, fitted[8], digit)
    panels[0, 0].set_title("digit", fontsize="small")
    panels[0, 1].set_title("rebuilt", fontsize="small")
    draw_scores(right.subplots(), fitted, train, test)
    return figure


def draw_sum(panels: np.ndarray, model: TopKAutoencoder, digit: np.ndarray) -> None:
    """A digit, its reconstruction, and its most active atoms with their activations."""
    h = model.transform(digit[None])
    for ax, pixels in zip(panels, (digit, model.inverse_transform(h)[0]), strict=False):
        show(ax, pixels, "gray_r", 0, 16)
    for ax, unit in zip(panels[2:], np.argsort(-h[0]), strict=False):
        show(ax, model.components_[unit], "RdBu_r", -0.4, 0.4)
        ax.set_title(f"{h[0, unit]:.1f} x", fontsize="small")


def show(ax: Axes, pixels: np.ndarray, cmap: str, low: float, high: float) -> None:
    """A picture of eight by eight without an axis."""
    ax.imshow(pixels.reshape(8, 8), cmap=cmap, vmin=low, vmax=high)
    ax.set_axis_off()


def draw_scores(ax: Axes, fitted: dict[int, TopKAutoencoder], train: np.ndarray, test: np.ndarray) -> None:
    """Held-out R2 against the numbers that tell a row."""
    pca = [reconstruction_r2(PCA(k).fit(train), test) for k in STRENGTHS]
    ax.plot(STRENGTHS, [pursued(model, k, test) for k, model in fitted.items()], "s:", label="the same atoms, OMP")
    ax.plot(STRENGTHS, [model.score(test) for model in fitted.values()], "o-", label=f"{ATOMS} units, k active")
    ax.plot(STRENGTHS, pca, "^--", color="gray", label="PCA, k components")
    ax.set_xscale("log", base=2)
    ax.set_xticks(STRENGTHS, [str(k) for k in STRENGTHS])
    ax.set(xlabel="k", ylabel="Held-out R2", ylim=(0, 1))
    ax.set_title("What k numbers a row are worth", fontsize="medium")
    ax.legend(loc="lower right")


def pursued(model: TopKAutoencoder, k: int, X: np.ndarray) -> float:
    """R2 if the atoms of a row are chosen by orthogonal matching pursuit instead of by the encoder."""
    atoms = model.components_.astype(float)
    coder = SparseCoder(atoms, transform_algorithm="omp", transform_n_nonzero_coefs=k).fit(X)
    lost = X - model.mean_ - coder.transform(X - model.mean_) @ atoms
    return float(1 - (lost**2).sum() / ((X - model.mean_) ** 2).sum())


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=100)
