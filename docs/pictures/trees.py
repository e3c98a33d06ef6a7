"""What a recursive autoencoder makes of logical expressions: the value of each node, and the nearest phrases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from skae import RecursiveAutoencoderClassifier
from skae.inspection import PhraseDisplay, TreeDisplay
from skae.trees import Tree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OPERATIONS = {"and": min, "or": max}


def expression(rng: np.random.Generator, n_values: int) -> Tree:
    """Random expression, with the value of each part as its label."""
    if n_values == 1:
        value = int(rng.integers(2))
        leaf = Tree(("false", "true")[value], label=value)
        return leaf if rng.random() < 0.6 else Tree(children=["not", leaf], label=1 - value)
    left = int(rng.integers(1, n_values))
    parts = [expression(rng, left), expression(rng, n_values - left)]
    word = str(rng.choice(list(OPERATIONS)))
    value = OPERATIONS[word](*(part.label for part in parts))
    return Tree(children=[parts[0], word, parts[1]], label=value)


def draw(max_iter: int | str = 60) -> Figure:
    rng = np.random.default_rng(0)
    trees = [expression(rng, int(n)) for n in rng.integers(1, 8, 600)]
    train, test = trees[:400], trees[400:]
    model = RecursiveAutoencoderClassifier(
        32, supervision="nodes", alpha=0.2, tune_leaves=False, dropout=0.0, max_iter=max_iter, random_state=0
    ).fit(train)
    right = [
        predicted == label
        for tree, labels in zip(test, model.predict_nodes(test), strict=True)
        for predicted, label in zip(labels, tree.labels, strict=True)
        if label is not None
    ]
    print(f"{np.mean(right):.3f} of the nodes of held-out trees are right")
    figure = plt.figure(figsize=(9.5, 7.5), layout="constrained")
    upper, lower = (part.subplots() for part in figure.subfigures(2, 1, height_ratios=(3, 2)))
    shown = next(tree for tree in test if tree.n_leaves == 17)
    TreeDisplay.from_estimator(model, shown, ax=upper, cmap="coolwarm")
    PhraseDisplay.from_estimator(model, test, ("true", "and", ("not", "false")), ax=lower)
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=100)
