"""Draw accuracy against the number of labels, with and without the unlabelled rows, on two sets."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading

from skae import SemiSupervisedAutoencoder

LABELS, N_DRAWS = (2, 5, 20), 10
NEIGHBOURS = 7, 20, 50
SETS = {"breast cancer": load_breast_cancer, "digits": load_digits}


def tables(name: str, seed: int) -> list[np.ndarray]:
    """Rows to learn from and to judge by. Pixels share a scale, the measurements of tumours do not."""
    X, y = SETS[name](return_X_y=True)
    train, test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=seed)
    scaler = StandardScaler(with_mean=name != "digits", with_std=name != "digits").fit(train)
    unit = 16 if name == "digits" else 1
    return [scaler.transform(train) / unit, scaler.transform(test) / unit, y_train, y_test]


def few_labels(y: np.ndarray, n: int, seed: int) -> np.ndarray:
    """So many labels of each class, drawn at random, and -1 for the other rows."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.choice(np.flatnonzero(y == label), n, replace=False) for label in np.unique(y)])
    few = np.full(len(y), -1)
    few[rows] = y[rows]
    return few


def accuracies(name: str, n: int, seed: int, max_iter: int) -> list[float]:
    """Of three kinds of models, after one split and one draw of the labels."""
    train, test, y_train, y_test = tables(name, seed)
    few = few_labels(y_train, n, seed)
    known = few >= 0
    models: list[Any] = [
        SemiSupervisedAutoencoder(max_iter=max_iter, random_state=0).fit(train, few),
        LogisticRegression(max_iter=5000).fit(train[known], few[known]),
    ]
    with np.errstate(invalid="ignore"):  # it divides zero by zero at rows that no label reaches
        models += [LabelSpreading(kernel="knn", n_neighbors=k).fit(train, few) for k in NEIGHBOURS]
        return [model.score(test, y_test) for model in models]


def draw(max_iter: int = 30) -> Figure:
    """Mean of ten splits and draws of the labels, and its standard error. LabelSpreading has its best neighbours."""
    names = ("SemiSupervisedAutoencoder", "LogisticRegression, labels alone", "LabelSpreading")
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.8), layout="constrained")
    for ax, name in zip(axes, SETS, strict=True):
        scores = np.array([[accuracies(name, n, seed, max_iter) for seed in range(N_DRAWS)] for n in LABELS])
        best = 2 + scores[:, :, 2:].mean(axis=1).argmax(axis=1)
        scores[:, :, 2] = scores[np.arange(len(LABELS)), :, best]
        means, errors = scores.mean(axis=1), scores.std(axis=1, ddof=1) / np.sqrt(N_DRAWS)
        for k, shift in enumerate((0.97, 1.0, 1.03)):
            ax.errorbar(np.array(LABELS) * shift, means[:, k], errors[:, k], fmt="o-", capsize=3, label=names[k])
        ax.set_xscale("log")
        ax.set_xticks(LABELS, [str(n) for n in LABELS])
        ax.minorticks_off()
        ax.set(xlabel="Labels a class", title=name)
    axes[0].set_ylabel("Test accuracy")
    axes[1].legend(loc="lower right", fontsize="small")
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
