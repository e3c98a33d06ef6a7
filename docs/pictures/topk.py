"""Draw digits that are put together atom by atom, and what k numbers a row are worth."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, SparseCoder
from sklearn.model_selection import train_test_split

from skae import TopKAutoencoder
from skae.inspection import ReconstructionDisplay
from skae.metrics import reconstruct, reconstruction_r2

ATOMS, SHOWN = 128, 8
STRENGTHS = (1, 2, 4, 8, 16)


def draw(max_iter: int | str = "auto") -> Figure:
    """Held-out digits after 1, 2, 4 and 8 atoms; reconstruction against k."""
    train, test = train_test_split(load_digits().data, random_state=0)
    fitted = {k: TopKAutoencoder(ATOMS, k=k, max_iter=max_iter, random_state=0).fit(train) for k in STRENGTHS}
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.6), width_ratios=(1.35, 1), layout="constrained")
    rows = {"held out": test[:SHOWN]}
    for n in (1, 2, 4, 8):
        rows[f"{n} of 8 atoms" if n > 1 else "the largest atom"] = largest(fitted[8], test[:SHOWN], n)
    rows["PCA, 8 numbers"] = reconstruct(PCA(8).fit(train), test[:SHOWN])
    ReconstructionDisplay(rows={k: v.clip(0, 16) for k, v in rows.items()}, image_shape=(8, 8)).plot(
        left, cmap="gray_r"
    )
    left.set_title(f"Digits put together from {ATOMS} atoms, by k = 8", fontsize="medium")
    draw_scores(right, fitted, train, test)
    return figure


def largest(model: TopKAutoencoder, X: np.ndarray, n: int) -> np.ndarray:
    """Reconstructions from the n largest activations of each row."""
    h = model.transform(X)
    least = np.sort(h, axis=1)[:, -n, None]
    return model.inverse_transform(np.where(h >= least, h, 0))


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
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
