"""Recursive autoencoders: speed beside a recursion in torch, cost by size, and sentiment beside bags of words.

    python benchmarks/trees.py --data DIR [--only speed size sentiment] [--seed 0] [--json FILE]

DIR holds ``sst_trees`` (train, dev and test of the Stanford Sentiment Treebank, a bracketed tree a line, gzipped). Only
``speed`` and ``sentiment`` need it. One thread for all.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skae import RecursiveAutoencoder, RecursiveAutoencoderClassifier
from skae.engine.forest import Forest
from skae.trees import Tree

Settings = dict[str, Any]
Predict = Callable[[Sequence[Tree]], np.ndarray]
HERE = Path(__file__).parent
ROUNDS = 5
NEUTRAL = 2
"""Of the five classes from very negative to very positive. Binary accuracy leaves neutral trees out."""


# ------------------------------------------------------------------ the treebank


class Treebank(NamedTuple):
    """Trees of the official split, whose nodes have whole numbers as labels. Tokens are in small letters."""

    train: list[Tree]
    dev: list[Tree]
    test: list[Tree]

    @classmethod
    def read(cls, data: Path, binary: bool) -> Treebank:
        """With five classes, or with two. Then neutral nodes have no label, and neutral sentences are not judged."""
        parts = [read_trees(data / "sst_trees" / f"{part}.txt.gz") for part in cls._fields]
        if not binary:
            return cls(*parts)
        train, *judged = ([two_sided(tree) for tree in trees] for trees in parts)
        return cls(train, *([tree for tree in trees if tree.label is not None] for trees in judged))


def read_trees(path: Path) -> list[Tree]:
    """A tree a line."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        trees = [Tree.from_brackets(line) for line in lines]
    return [
        Tree.from_arity(tree.arity, [token.lower() for token in tree.leaves], [int(label) for label in tree.labels])
        for tree in trees
    ]


def two_sided(tree: Tree) -> Tree:
    """The same tree with labels 0 and 1, and None instead of neutral."""
    sides = [None if label == NEUTRAL else int(label > NEUTRAL) for label in tree.labels]
    return Tree.from_arity(tree.arity, tree.leaves, sides)


def labels_of(trees: Sequence[Tree]) -> np.ndarray:
    """Label of each root."""
    return np.array([tree.label for tree in trees])


# ------------------------------------------------------------------ sentiment


def bag_of_words(C: float) -> Pipeline:
    """Logistic regression on the presence of words and of pairs of neighbours."""
    words = CountVectorizer(tokenizer=list, token_pattern=None, lowercase=False, ngram_range=(1, 2), binary=True)
    return make_pipeline(words, LogisticRegression(C=C, max_iter=300, tol=1e-3))


def of_phrases(trees: Iterable[Tree], C: float) -> Predict:
    """A bag of words that learns from phrases. Equal ones are learnt once, with their number as weight."""
    counts = Counter((tree.leaves, tree.label) for tree in trees if tree.label is not None)
    tokens, y = zip(*counts, strict=True)
    model = bag_of_words(C).fit(tokens, y, logisticregression__sample_weight=np.array([*counts.values()]))
    return lambda asked: model.predict([tree.leaves for tree in asked])


def words(trees: Sequence[Tree], common: Settings, C: float, whole: bool) -> Predict:
    """A bag of words that learns from whole sentences, or from the phrases of all nodes."""
    return of_phrases(trees if whole else (node for tree in trees for node in tree.nodes()), C)


def reconstruction(trees: Sequence[Tree], common: Settings, **options: Any) -> Predict:
    """Logistic regression on root vectors that were learnt without labels."""
    known = [tree for tree in trees if tree.label is not None]
    encoder = RecursiveAutoencoder(**options, **common)
    return (
        make_pipeline(encoder, StandardScaler(), LogisticRegression(max_iter=2000)).fit(known, labels_of(known)).predict
    )


def recursive(trees: Sequence[Tree], common: Settings, **options: Any) -> Predict:
    """The recursive network with or without reconstruction, which learns from all nodes or from the roots."""
    model = RecursiveAutoencoderClassifier(**options, **common)
    y = None if model.supervision == "nodes" else [-1 if tree.label is None else tree.label for tree in trees]
    return model.fit(trees, y).predict


def accuracy(predict: Predict, trees: Sequence[Tree]) -> float:
    """Percent of the roots that are right."""
    return 100 * float(np.mean(predict(trees) == labels_of(trees)))


class Contestant(NamedTuple):
    """How a model is made, and its settings for five classes and for two, which were chosen on development trees."""

    learn: Callable[..., Predict]
    fine: Settings
    binary: Settings


NODES = {"supervision": "nodes", "batch_size": 25, "weight_decay": 0.0, "tol": 0.0, "learning_rate_init": 0.01}
PLAIN = {**NODES, "n_components": 30, "composition": "plain", "dropout": 0.0, "max_iter": 4}
GATED = {**NODES, "n_components": 50, "composition": "gated", "dropout": 0.5, "max_iter": 5}
TENSOR = {**NODES, "n_components": 25, "composition": "tensor"}

CONTESTANTS = {
    "bag of words, sentences": Contestant(words, {"C": 0.1, "whole": True}, {"C": 0.1, "whole": True}),
    "bag of words, phrases": Contestant(words, {"C": 1.0, "whole": False}, {"C": 1.0, "whole": False}),
    "plain net": Contestant(recursive, PLAIN, PLAIN),
    "tensor net": Contestant(recursive, TENSOR, TENSOR),
    "gated net": Contestant(recursive, GATED, GATED),
}


def sentiment(data: Path, contestants: dict[str, Contestant], common: Settings) -> dict[str, float]:
    """Root accuracy of all contestants, on the development trees and on the test trees."""
    figures: dict[str, float] = {}
    for target in ("fine", "binary"):
        bank = Treebank.read(data, target == "binary")
        for name, contestant in contestants.items():
            start = time.process_time()
            predict = contestant.learn(bank.train, common, **getattr(contestant, target))
            tell(figures, f"{name}, {target}, seconds", time.process_time() - start)
            tell(figures, f"{name}, {target}, dev", accuracy(predict, bank.dev))
            tell(figures, f"{name}, {target}", accuracy(predict, bank.test))
    return figures


def tell(figures: dict[str, float], name: str, value: float) -> None:
    """Keep a figure, and print it at once."""
    figures[name] = round(float(value), 4)
    print(f"  {name}: {value:.4g}", flush=True)


# ------------------------------------------------------------------ speed


class Recursion(torch.nn.Module):
    """The plain recursive network as one writes it by hand: a step a node, and the softmax at each of them."""

    def __init__(self, n_tokens: int, d: int, n_classes: int) -> None:
        super().__init__()
        self.vectors = torch.nn.Embedding(n_tokens, d, sparse=True)
        self.composition = torch.nn.Linear(2 * d, d)
        self.softmax = torch.nn.Linear(d, n_classes)

    def forward(self, tree: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Vector of the root, and the sum of the cross-entropies of all nodes."""
        label, *below = tree
        if len(below) == 1:
            h = self.vectors(below[0])
            return h, self.error(h, label)
        (left, left_error), (right, right_error) = map(self, below)
        h = torch.tanh(self.composition(torch.cat([left, right])))
        h = h / h.norm()
        return h, left_error + right_error + self.error(h, label)

    def error(self, h: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of a node."""
        return torch.nn.functional.cross_entropy(self.softmax(h), label)


def nested(tree: Tree, numbers: dict[str, int]) -> Any:
    """The tree as nested tuples of tensors: the label, and the token or the two children."""
    label = torch.tensor(tree.label)
    if tree.is_leaf:
        return label, torch.tensor(numbers[tree.value])
    return label, *(nested(child, numbers) for child in tree.children)


def by_recursion(trees: Sequence[Any], network: Recursion) -> None:
    """Forward and backward, a tree after the other. The gradients add up."""
    for tree in trees:
        network(tree)[1].backward()


def by_levels(forest: Forest, model: Any, batch_size: int) -> None:
    """Forward and backward, a batch after the other: pack it, compose it level by level, and back."""
    rng = torch.Generator()
    for start in range(0, len(forest), batch_size):
        model._step(model.module_, forest[slice(start, start + batch_size)], rng)


def seconds(work: Callable[[], object]) -> float:
    """Seconds of the processor. All is done by one thread, and other work on the machine does not count."""
    start = time.process_time()
    work()
    return time.process_time() - start


def speed(data: Path) -> dict[str, float]:
    """Nodes a second, forward and backward over all training trees, and over a sample of them by the recursion.

    They take turns, and each round is a ratio to the recursion of that round. Figures are medians over the rounds.
    """
    trees = Treebank.read(data, binary=False).train
    some = [trees[row] for row in np.random.default_rng(0).choice(len(trees), 200, replace=False)]
    models = {kind: classifier(kind).fit(trees) for kind in ("plain", "gated", "tensor")}
    forest = models["plain"]._source(trees, reset=False).seen(None, None, torch.float32, torch.device("cpu"))
    numbers = {token: number for number, token in enumerate(models["plain"].vocabulary_)}
    hand, written = Recursion(len(numbers), 30, 5), [nested(tree, numbers) for tree in some]
    works: dict[str, tuple[int, Callable[[], None]]] = {
        "recursion": (sum(tree.n_nodes for tree in some), lambda: by_recursion(written, hand))
    }
    for kind, model in models.items():
        for parameter in model.module_.parameters():
            parameter.grad = torch.zeros_like(parameter)
        for size in (25, 100, 400, 1600):
            work = partial(by_levels, forest, model, size)
            works[f"{kind}, batches of {size}"] = (int(forest.trees.first[-1]), work)
    rates = [{name: n / seconds(work) for name, (n, work) in works.items()} for _ in range(ROUNDS)]
    figures: dict[str, float] = {}
    for name in works:
        tell(figures, f"{name}, nodes a second", float(np.median([rate[name] for rate in rates])))
        if name.startswith("plain"):
            ratio = float(np.median([rate[name] / rate["recursion"] for rate in rates]))
            tell(figures, f"{name}, x the recursion", ratio)
    return figures


def classifier(kind: str) -> RecursiveAutoencoderClassifier:
    """A recursive network of 30 components that is fitted for one epoch, so that it has weights."""
    return RecursiveAutoencoderClassifier(
        30, composition=kind, supervision="nodes", dropout=0.0, max_iter=1, random_state=0
    )


# ------------------------------------------------------------------ cost by size


def random_tree(n_leaves: int, rng: np.random.Generator) -> Tree:
    """A binary tree, each shape equally probable, with tokens drawn from a thousand.

    In post-order a leaf is a step up and an inner node a step down. Of all rotations of a shuffled row of steps, one
    never comes down to zero: the one that begins after the last lowest point.
    """
    steps = np.repeat([1, -1], [n_leaves, n_leaves - 1])
    rng.shuffle(steps)
    heights = steps.cumsum()
    lowest = len(steps) - 1 - int(heights[::-1].argmin())
    steps = np.roll(steps, -1 - lowest)
    return Tree.from_arity(
        np.where(steps > 0, 0, 2).astype(np.int32), [f"w{k}" for k in rng.integers(1000, size=n_leaves)]
    )


def random_trees(n_nodes: int, seed: int) -> list[Tree]:
    """Trees of 2 to 60 leaves, so many that they have about as many nodes as asked."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 61, n_nodes // 61)
    return [random_tree(n, rng) for n in sizes]


def resident(field: str) -> float:
    """Resident memory of this process in MB, now (VmRSS) or at its peak (VmHWM). Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def of_size(n_nodes: int) -> dict[str, float]:
    """Microseconds a node, and the memory that is added at the peak, of an epoch of fit and of transform."""
    trees = random_trees(n_nodes, 0)
    n_nodes = sum(tree.n_nodes for tree in trees)
    model = RecursiveAutoencoder(30, max_iter=1, random_state=0).fit(trees[:100])  # what torch itself takes
    figures: dict[str, float] = {"trees": len(trees), "nodes": n_nodes}
    for name, work in {"fit": model.fit, "transform": model.transform}.items():
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
        before = resident("VmRSS")
        figures[f"{name}, us a node"] = 1e6 * seconds(lambda work=work: work(trees)) / n_nodes
        figures[f"{name}, MB at the peak"] = resident("VmHWM") - before
    return figures


def size() -> dict[str, float]:
    """Random trees of all sizes, each in a process of its own."""
    figures: dict[str, float] = {}
    for power in (4, 5, 6, 7):
        code = f"import json, trees; print(json.dumps(trees.of_size(10**{power})))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=HERE)
        for name, value in json.loads(done.stdout).items():
            tell(figures, f"10^{power} nodes: {name}", value)
    return figures


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with sst_trees")
    parser.add_argument("--only", nargs="+", choices=("speed", "size", "sentiment"), default=("speed", "size"))
    parser.add_argument("--seed", type=int, default=0, help="of sentiment")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    if args.data is None and set(args.only) != {"size"}:
        parser.error("--data is needed: a folder that holds sst_trees.")
    warnings.simplefilter("ignore")
    parts = {
        "speed": lambda: speed(args.data),
        "size": size,
        "sentiment": lambda: sentiment(args.data, CONTESTANTS, {"random_state": args.seed}),
    }
    results = {}
    with threadpool_limits(1):
        for name in args.only:
            print(f"\n{name}", flush=True)
            results[name] = parts[name]()
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
