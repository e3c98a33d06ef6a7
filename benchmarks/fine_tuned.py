"""Accuracy of a fine-tuned network beside the same network from a random start, and logistic regression.

    python benchmarks/fine_tuned.py [--draws 10] [--labels 2 5 20]

Bundled data only. Digits: 1300 rows to train on, of which a few a class have a label, and 497 to test
on; each draw labels other rows. The small sets are split 75/25 anew for each draw and have
standardised columns. Encoders are pretrained on all rows that are trained on, without labels; the
random start has the same network, head and training, but for that; frozen is logistic regression on
the pretrained code. Everything has its defaults.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from semi_supervised import digits, labels_of_a_few, on_labels_alone, small
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skae import Autoencoder, DenoisingAutoencoder, FineTunedClassifier, SemiSupervisedAutoencoder, SparseAutoencoder

ENCODERS: dict[str, Any] = {
    "denoising": DenoisingAutoencoder(32, hidden_layer_sizes=(256, 128), init="random"),
    "three hidden layers": Autoencoder(32, hidden_layer_sizes=(256, 256, 128), init="random"),
    "at PCA": Autoencoder(16),
    "sparse": SparseAutoencoder(100),
}


def start_and_end(name: str, encoder: Any, train: np.ndarray, few: np.ndarray, seed: int) -> dict[str, Any]:
    """An encoder three times: not pretrained, pretrained and left so, pretrained and trained on."""
    known = few >= 0
    encoder = clone(encoder).set_params(random_state=seed)
    pretrained = FrozenEstimator(clone(encoder).fit(train))
    frozen = make_pipeline(pretrained, LogisticRegression(max_iter=5000))
    return {
        f"{name}: random start": FineTunedClassifier(encoder, pretrain=False, random_state=seed).fit(train, few),
        f"{name}: frozen": frozen.fit(train[known], few[known]),
        f"{name}: fine-tuned": FineTunedClassifier(pretrained, random_state=seed).fit(train, few),
    }


def accuracies(split: Callable[[int], Any], n_labels: int | None, draws: int) -> dict[str, list[float]]:
    """Accuracy on the test rows, a number a draw."""
    found: dict[str, list[float]] = {}
    for seed in range(draws):
        train, test, y_train, y_test = split(seed)
        few = labels_of_a_few(y_train, n_labels, seed)
        models = {
            "logistic regression": on_labels_alone(LogisticRegression(max_iter=5000))(train, few),
            "SemiSupervisedAutoencoder": SemiSupervisedAutoencoder(random_state=0).fit(train, few),
        }
        for name, encoder in ENCODERS.items():
            models |= start_and_end(name, encoder, train, few, seed)
        for name, model in models.items():
            found.setdefault(name, []).append(model.score(test, y_test))
    return found


def main() -> None:
    """Print a table of means and standard deviations over the draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--labels", type=int, nargs="+", default=[2, 5, 20], help="labels a class of the digits")
    parser.add_argument("--sets", nargs="*", default=["iris", "wine", "breast_cancer"], help="small sets beside them")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    columns: dict[str, tuple[Any, int | None]] = {f"digits, {n} a class": (digits, n) for n in args.labels}
    for name in args.sets:
        columns |= {f"{name}, 5 a class": (small(name), 5), f"{name}, all": (small(name), None)}
    results = {title: accuracies(split, n, args.draws) for title, (split, n) in columns.items()}
    print("| | " + " | ".join(results) + " |")
    print("| --- |" + " ---: |" * len(results))
    for method in next(iter(results.values())):
        cells = [f"{np.mean(values[method]):.3f} ± {np.std(values[method]):.3f}" for values in results.values()]
        print(f"| {method} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
