"""Draw the directions that a code still follows, with and without contraction."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import ContractiveAutoencoder
from skae.inspection import JacobianDisplay


def draw(max_iter: int | str = "auto") -> Figure:
    """Singular values of the code's derivative by rank, for three strengths."""
    train, test = train_test_split(load_digits().data, random_state=0)
    figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    one_layer = {"hidden_layer_sizes": (), "code_activation": "logistic", "learning_rate_init": 0.01}
    for contraction in (0.0, 1.0, 10.0):
        model = ContractiveAutoencoder(64, contraction=contraction, max_iter=max_iter, random_state=0, **one_layer)
        model.fit(train)
        label = f"contraction {contraction:g}, R2 {model.score(test):.2f}"
        JacobianDisplay.from_estimator(model, test[:200], ax=ax, label=label)
    ax.set_title("64 logistic units on the digits")
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=100)
