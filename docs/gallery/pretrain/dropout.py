"""Draw what dropout does to held-out reconstruction as rows become many."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import Autoencoder
from skae.metrics import reconstruction_r2

SIZES = (40, 80, 160, 320, 640, 1300)
SETTINGS = {
    "no dropout": {},
    "dropout 0.1": {"dropout": 0.1},
    "input_dropout 0.1": {"input_dropout": 0.1},
}


def draw(max_iter: int | str = "auto") -> Figure:
    """Held-out R2 of 8 components of the digits against the number of training rows."""
    train, test = train_test_split(load_digits().data, random_state=0)
    figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for name, settings in SETTINGS.items():
        models = [Autoencoder(8, max_iter=max_iter, random_state=0, **settings).fit(train[:n]) for n in SIZES]
        ax.plot(SIZES, [model.score(test) for model in models], "o-", label=name)
    ax.plot(SIZES, [reconstruction_r2(PCA(8).fit(train[:n]), test) for n in SIZES], "k--", label="PCA")
    ax.set_xscale("log")
    ax.set_xticks(SIZES, [str(n) for n in SIZES])
    ax.minorticks_off()
    ax.set(xlabel="Training rows", ylabel="Held-out R2", title="8 components of the digits")
    ax.legend()
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=100)
