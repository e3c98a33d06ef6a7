"""An RBM of binary digits: weights, draws, free energies, and its likelihood beside those of simple models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import logsumexp
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import RBM
from skae.inspection import FilterDisplay, FreeEnergyDisplay, GibbsDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MIXTURES = 10, 20, 40, 80


def mixture(train: np.ndarray, test: np.ndarray, k: int, n_steps: int = 50) -> float:
    """Held-out log-likelihood of k kinds of rows with independent pixels, fitted by expectation and maximisation."""
    share = np.random.default_rng(0).dirichlet(np.ones(k), len(train)).T

    def log_joint(X: np.ndarray) -> np.ndarray:
        p = (share @ train + 0.5) / (share.sum(axis=1, keepdims=True) + 1)
        return X @ np.log(p).T + (1 - X) @ np.log1p(-p).T + np.log((share.sum(axis=1) + 1) / (len(train) + k))

    for _ in range(n_steps):
        joint = log_joint(train)
        share = np.exp(joint - logsumexp(joint, axis=1, keepdims=True)).T
    return float(logsumexp(log_joint(test), axis=1).mean())


def draw_likelihoods(ax: Axes, rbm: RBM, train: np.ndarray, test: np.ndarray) -> None:
    """Held-out log p of three models. The size of the mixture is chosen on a part of the training rows."""
    inner, watched = train_test_split(train, random_state=0)
    k = max(MIXTURES, key=lambda k: mixture(inner, watched, k))
    values = {
        "independent\npixels": -mixture(train, test, 1),
        f"mixture of {k}\nof them": -mixture(train, test, k),
        "RBM": -rbm.score(test),
    }
    bars = ax.barh(list(values), list(values.values()), color=["0.7", "0.7", "C0"])
    ax.bar_label(bars, fmt="%.1f", padding=3)
    ax.invert_yaxis()
    ax.set(xlabel="-log p(v) of held-out digits, nats: less is better", xlim=(0, 1.15 * max(values.values())))


def draw(max_iter: int | str = "auto") -> Figure:
    X = (load_digits().data > 8).astype(float)
    train, test = train_test_split(X, random_state=0)
    rbm = RBM(64, visible="bernoulli", sparsity=0.1, max_iter=max_iter, random_state=0).fit(train)
    figure, axes = plt.subplots(2, 2, figsize=(10, 5.6), width_ratios=(1, 1.7), layout="constrained")
    strongest = np.argsort(-(rbm.components_**2).sum(axis=1))[:28]
    FilterDisplay(filters=rbm.components_[strongest], image_shape=(8, 8), n_columns=7).plot(axes[0, 0])
    GibbsDisplay.from_estimator(rbm, test, n_chains=10, n_steps=(0, 1, 10, 1000), cmap="gray_r", ax=axes[0, 1])
    FreeEnergyDisplay(train=rbm.free_energy(train), test=rbm.free_energy(test)).plot(axes[1, 0])
    draw_likelihoods(axes[1, 1], rbm, train, test)
    axes[0, 0].set_title("The 28 largest weight vectors of 64")
    axes[0, 1].set_title("Gibbs chains that start at held-out digits")
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=80)
