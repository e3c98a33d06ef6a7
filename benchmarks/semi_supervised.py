"""Accuracy from few labels: ours beside logistic regression, the same network on the labels alone, and peers.

    python benchmarks/semi_supervised.py [--draws 10] [--labels 2 5 20]

Bundled data only. Digits: 1300 rows to train on, of which a few a class have a label, and 497 to
test on; each draw labels other rows. The small sets are split 75/25 anew for each draw and have
standardised columns. Everything has its defaults.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from skae import SemiSupervisedAutoencoder

Tables = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def on_labels_alone(model: Any) -> Callable[..., Any]:
    """Fit a classifier to the labelled rows."""
    return lambda X, y: model.fit(X[y >= 0], y[y >= 0])


def ours(**options: Any) -> SemiSupervisedAutoencoder:
    """The estimator with a seed."""
    return SemiSupervisedAutoencoder(random_state=0, **options)


METHODS: dict[str, Callable[[], Callable[..., Any]]] = {
    "logistic regression": lambda: on_labels_alone(LogisticRegression(max_iter=5000)),
    "logistic regression, standardised": lambda: on_labels_alone(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    ),
    "MLPClassifier": lambda: on_labels_alone(MLPClassifier((256, 128), max_iter=500, random_state=0)),
    "SelfTrainingClassifier": lambda: SelfTrainingClassifier(LogisticRegression(max_iter=5000)).fit,
    "LabelSpreading, 7 neighbours": lambda: LabelSpreading(kernel="knn").fit,
    "ours on the labels alone": lambda: on_labels_alone(ours()),
    "ours on the labels alone, alpha=0": lambda: on_labels_alone(ours(alpha=0.0)),
    "ours, consistency=0": lambda: ours(consistency=0.0).fit,
    "ours": lambda: ours().fit,
}


def digits(seed: int) -> Tables:
    """Digits in [0, 1], split the same for every seed."""
    X, y = datasets.load_digits(return_X_y=True)
    return tuple(train_test_split(X / 16, y, train_size=1300, stratify=y, random_state=0))


def small(name: str) -> Callable[[int], Tables]:
    """A small set with standardised columns, split by the seed."""

    def split(seed: int) -> Tables:
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        train, test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=seed)
        scaler = StandardScaler().fit(train)
        return scaler.transform(train), scaler.transform(test), y_train, y_test

    return split


def labels_of_a_few(y: np.ndarray, n_labels: int | None, seed: int) -> np.ndarray:
    """So many labels of each class, drawn at random, and -1 for all other rows; None keeps all."""
    if n_labels is None:
        return y
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.choice(np.flatnonzero(y == c), n_labels, replace=False) for c in np.unique(y)])
    few = np.full(len(y), -1)
    few[rows] = y[rows]
    return few


def accuracies(split: Callable[[int], Tables], n_labels: int | None, draws: int) -> dict[str, np.ndarray]:
    """Accuracy on the test rows, a number a draw."""
    found: dict[str, list[float]] = {name: [] for name in METHODS}
    for seed in range(draws):
        train, test, y_train, y_test = split(seed)
        few = labels_of_a_few(y_train, n_labels, seed)
        for name, method in METHODS.items():
            found[name].append(method()(train, few).score(test, y_test))
    return {name: np.array(values) for name, values in found.items()}


def main() -> None:
    """Print a table of means and standard deviations over the draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--labels", type=int, nargs="+", default=[2, 5, 20], help="labels a class of the digits")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    columns = {f"digits, {n} a class": (digits, n) for n in args.labels}
    for name in ("iris", "wine", "breast_cancer"):
        columns |= {f"{name}, 5 a class": (small(name), 5), f"{name}, all": (small(name), None)}
    results = {title: accuracies(split, n, args.draws) for title, (split, n) in columns.items()}
    print("| | " + " | ".join(results) + " |")
    print("| --- |" + " ---: |" * len(results))
    for method in METHODS:
        cells = [f"{values[method].mean():.3f} ± {values[method].std():.3f}" for values in results.values()]
        print(f"| {method} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
