"""Draw the parts that a sparse code adds up, and what its sparsity costs beside PCA."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import SparseAutoencoder
from skae.metrics import code_statistics, reconstruction_r2

STRENGTHS = (0.1, 0.3, 1.0, 3.0)
PCA_SIZES = (1, 2, 4, 8, 16, 32)
LINES, COLUMNS = 4, 7


def draw(max_iter: int | str = "auto") -> Figure:
    """What single units draw, and the trade between sparsity and reconstruction."""
    train, test = train_test_split(load_digits().data, random_state=0)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained", width_ratios=(1.55, 1))
    model = SparseAutoencoder(100, max_iter=max_iter, random_state=0)
    for penalty in ("l1", "log", "student_t"):
        points = []
        for sparsity in STRENGTHS:
            fitted = model.set_params(penalty=penalty, sparsity=sparsity).fit(train)
            points.append((code_statistics(fitted, test).l0, fitted.score(test)))
        right.plot(*zip(*points, strict=True), "o-", label=f"100 units, {penalty}")
    pca = [reconstruction_r2(PCA(k).fit(train), test) for k in PCA_SIZES]
    right.plot(PCA_SIZES, pca, "^--", color="gray", label="PCA")
    right.set(xlabel="Active units a row, or components of PCA", ylabel="Held-out R2", xlim=(0, 45), ylim=(0, 1))
    right.set_title("What sparsity costs", fontsize="medium")
    right.legend(loc="lower right")
    draw_parts(left, model.set_params(penalty="log", sparsity=3.0).fit(train), train)
    return figure


def draw_parts(ax: Axes, model: SparseAutoencoder, X: np.ndarray) -> None:
    """The reconstruction if one unit alone is as active as it ever is, for the units that are active most often."""
    H = model.transform(X)
    often = np.argsort(-(H > 0).mean(axis=0))[: LINES * COLUMNS]
    alone = np.zeros((len(often), H.shape[1]))
    alone[np.arange(len(often)), often] = H.max(axis=0)[often]
    images = model.inverse_transform(alone).reshape(LINES, COLUMNS, 8, 8)
    tiles = np.pad(images, ((0, 0), (0, 0), (1, 0), (1, 0)), constant_values=np.nan).swapaxes(1, 2)
    ax.imshow(tiles.reshape(9 * LINES, 9 * COLUMNS), cmap="gray_r", vmin=0, vmax=16, interpolation="nearest")
    ax.set_axis_off()
    active = code_statistics(model, X).l0
    ax.set_title(f"What {LINES * COLUMNS} single units draw, of which {active:.0f} make up a digit", fontsize="medium")


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
