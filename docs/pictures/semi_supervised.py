"""Draw accuracy on the digits against the number of labels, with and without the unlabelled rows."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skae import SemiSupervisedAutoencoder

LABELS = (2, 5, 10, 30)


def draw(max_iter: int = 100) -> Figure:
    """Test accuracy of three models, one draw of the labels."""
    X, y = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(X, y, train_size=1300, stratify=y, random_state=0)
    rank = np.zeros(len(y_train), dtype=int)
    for label in range(10):
        rank[y_train == label] = np.arange((y_train == label).sum())
    scores: dict[str, list[float]] = {"SemiSupervisedAutoencoder": [], "its network, labels alone": [], "logistic": []}
    for n in LABELS:
        known = rank < n
        few, of_few = train[known], y_train[known]
        models = [
            SemiSupervisedAutoencoder(max_iter=max_iter, random_state=0).fit(train, np.where(known, y_train, -1)),
            SemiSupervisedAutoencoder(alpha=0.0, consistency=0.0, max_iter=max_iter, random_state=0).fit(few, of_few),
            LogisticRegression(max_iter=5000).fit(few, of_few),
        ]
        for found, model in zip(scores.values(), models, strict=True):
            found.append(model.score(test, y_test))
    figure, ax = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    for name, values in scores.items():
        ax.plot(LABELS, values, "o-", label=name)
    ax.set_xscale("log")
    ax.set_xticks(LABELS, [str(n) for n in LABELS])
    ax.minorticks_off()
    ax.set(xlabel="Labels a class, of 1300 rows", ylabel="Test accuracy", title="Digits")
    ax.legend(loc="lower right")
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=100)
