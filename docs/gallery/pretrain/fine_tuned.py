"""Draw accuracy on the digits against the number of labels: fine-tuned, and the same network from a random start."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skae import DenoisingAutoencoder, FineTunedClassifier

LABELS = (2, 5, 10, 30)
N_DRAWS = 4


def labels_of_a_few(y: np.ndarray, n: int, seed: int) -> np.ndarray:
    """So many labels of each class, drawn at random, and -1 for the other rows."""
    order = np.random.default_rng(seed).permutation(len(y))
    rows = np.concatenate([order[y[order] == label][:n] for label in range(10)])
    few = np.full(len(y), -1)
    few[rows] = y[rows]
    return few


def draw(max_iter: int | str = "auto") -> Figure:
    """Test accuracy of three models: mean over the draws of the labels, and their range."""
    X, y = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(X, y, train_size=1300, stratify=y, random_state=0)
    encoder = DenoisingAutoencoder(32, hidden_layer_sizes=(256, 128), init="random", max_iter=max_iter, random_state=0)
    pretrained = FrozenEstimator(encoder.fit(train))
    scores = np.empty((3, len(LABELS), N_DRAWS))
    for i, n in enumerate(LABELS):
        for seed in range(N_DRAWS):
            few = labels_of_a_few(y_train, n, seed)
            known = few >= 0
            models = [
                FineTunedClassifier(pretrained, max_iter=max_iter, random_state=seed).fit(train, few),
                FineTunedClassifier(encoder, pretrain=False, max_iter=max_iter, random_state=seed).fit(train, few),
                LogisticRegression(max_iter=5000).fit(train[known] / 16, few[known]),
            ]
            scores[:, i, seed] = [
                model.score(X_test, y_test) for model, X_test in zip(models, (test, test, test / 16), strict=True)
            ]
    figure, ax = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    names = ("fine-tuned", "the same network, random start", "logistic regression")
    for shift, name, values in zip((0.97, 1.0, 1.03), names, scores, strict=True):
        mean = values.mean(axis=1)
        reach = np.abs(np.stack([values.min(axis=1), values.max(axis=1)]) - mean)
        ax.errorbar(np.array(LABELS) * shift, mean, reach, fmt="o-", capsize=3, label=name)
    ax.set_xscale("log")
    ax.set_xticks(LABELS, [str(n) for n in LABELS])
    ax.minorticks_off()
    ax.set(xlabel="Labels a class, of 1300 rows", ylabel="Test accuracy", title="Digits: mean and range of four draws")
    ax.legend(loc="lower right")
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=100)
