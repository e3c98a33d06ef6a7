"""A restricted Boltzmann machine of binary digits: what units look for, what the chain draws, and its free energies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import RBM
from skae.inspection import FilterDisplay, FreeEnergyDisplay, GibbsDisplay

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(max_iter: int = 200) -> Figure:
    X = (load_digits().data > 8).astype(float)
    train, test = train_test_split(X, random_state=0)
    rbm = RBM(
        64,
        visible="bernoulli",
        sparsity=0.1,
        max_iter=max_iter,
        early_stopping=True,
        n_iter_no_change=max_iter,
        random_state=0,
    ).fit(train)
    figure = plt.figure(figsize=(10, 7.4), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.25, 1))
    left, right = above.subplots(1, 2, width_ratios=(1, 1.6))
    FilterDisplay.from_estimator(rbm, kind="weights", units=range(49), ax=left)
    GibbsDisplay.from_estimator(rbm, test, n_chains=8, means=True, ax=right)
    FreeEnergyDisplay.from_estimator(rbm, train, test, ax=below.subplots())
    left.set_title("Weights of 49 of the 64 units")
    right.set_title("Gibbs chains that start at held-out digits")
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
