"""Draw what a sparse code is made of: its atoms, and how many of them a digit takes."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import SparseAutoencoder
from skae.inspection import FilterDisplay

STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0)


def draw(max_iter: int = 100) -> Figure:
    """Atoms at the default strength, and the trade between sparsity and reconstruction."""
    train, test = train_test_split(load_digits().data, random_state=0)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9.5, 4.2), layout="constrained", gridspec_kw={"width_ratios": [1, 1.1]}
    )
    model = SparseAutoencoder(100, sparsity=1.0, max_iter=max_iter, random_state=0).fit(train)
    FilterDisplay(filters=model.inverse_transform(np.eye(100)) - model.mean_, image_shape=(8, 8), n_columns=10).plot(
        ax=left
    )
    left.set_title("100 atoms of the digits, l1")
    for penalty in ("l1", "log", "student_t", "l2"):
        points = []
        for sparsity in STRENGTHS:
            fitted = model.set_params(penalty=penalty, sparsity=sparsity).fit(train)
            active = (fitted.transform(test) != 0).sum(axis=1).mean()
            points.append((active, fitted.score(test)))
        right.plot(*zip(*points, strict=True), "o-", label=penalty)
    right.set(xlabel="Active units a row, of 100", ylabel="Held-out R2", title="What sparsity costs", ylim=(0, 1))
    right.legend(title="penalty", loc="lower right")
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=100)
