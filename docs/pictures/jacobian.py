"""In how many directions codes follow their input: singular values of the Jacobian, by rank."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import Autoencoder, ContractiveAutoencoder, DenoisingAutoencoder
from skae.inspection import JacobianDisplay

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(max_iter: int | str = "auto") -> Figure:
    train, test = train_test_split(load_digits().data, random_state=0)
    options = {
        "hidden_layer_sizes": (),
        "code_activation": "logistic",
        "learning_rate_init": 0.01,
        "max_iter": max_iter,
        "random_state": 0,
    }
    models = {
        "plain": Autoencoder(64, **options),
        "denoising": DenoisingAutoencoder(64, corruption="gaussian", corruption_level=1.0, **options),
        "contractive": ContractiveAutoencoder(64, contraction=3.0, **options),
    }
    ax = None
    for name, model in models.items():
        label = f"{name}, reconstruction R2 {model.fit(train).score(test):.2f}"
        display = JacobianDisplay.from_estimator(model, test, label=label, ax=ax)
        ax = display.ax_
    return display.figure_


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=100)
