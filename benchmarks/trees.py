"""Recursive autoencoders: speed beside a recursion in torch, cost by size, and sentiment beside bags of words.

    python benchmarks/trees.py --data DIR [--only speed size words] [--json FILE]

DIR holds ``sst_trees`` (train, dev and test of the Stanford Sentiment Treebank, a bracketed tree a line, gzipped). Only
``speed`` and ``words`` need it. One thread for all.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from threadpoolctl import threadpool_limits

from skae.trees import Tree

NEUTRAL = 2
"""Of the five classes from very negative to very positive. Binary accuracy leaves neutral trees out."""


# ------------------------------------------------------------------ the treebank


def treebank(data: Path, part: str) -> list[Tree]:
    """Trees of the official split: train, dev or test. Labels of nodes are whole numbers."""
    with gzip.open(data / "sst_trees" / f"{part}.txt.gz", "rt", encoding="utf-8", newline="\n") as lines:
        return [with_numbers(Tree.from_brackets(line)) for line in lines]


def with_numbers(tree: Tree) -> Tree:
    """The same tree with labels as numbers."""
    return Tree.from_arity(tree.arity, tree.leaves, tuple(map(int, tree.labels or ())))


def labels_of(trees: Sequence[Tree]) -> np.ndarray:
    """Label of each root."""
    return np.array([tree.label for tree in trees])


def accuracies(y: np.ndarray, probabilities: np.ndarray) -> tuple[float, float]:
    """Percent right of five classes, and of positive against negative by the sums of their probabilities."""
    sides = y != NEUTRAL
    is_positive = probabilities[:, NEUTRAL + 1 :].sum(1) > probabilities[:, :NEUTRAL].sum(1)
    fine = np.mean(probabilities.argmax(1) == y)
    return 100 * float(fine), 100 * float(np.mean(is_positive[sides] == (y[sides] > NEUTRAL)))


# ------------------------------------------------------------------ bags of words


class Phrases(NamedTuple):
    """Token sequences, their classes, and how often each pair occurs."""

    tokens: list[tuple[str, ...]]
    y: np.ndarray
    weight: np.ndarray


def phrases(trees: Sequence[Tree], whole: bool) -> Phrases:
    """Whole sentences, or the phrases of all nodes."""
    nodes = trees if whole else [node for tree in trees for node in tree.nodes()]
    counts = Counter((node.leaves, node.label) for node in nodes)
    return Phrases([tokens for tokens, _ in counts], np.array([c for _, c in counts]), np.array([*counts.values()]))


def bag_of_words(C: float) -> Pipeline:
    """Logistic regression on the presence of words and of pairs of neighbours."""
    words = CountVectorizer(tokenizer=list, token_pattern=None, lowercase=False, ngram_range=(1, 2), binary=True)
    return make_pipeline(words, LogisticRegression(C=C, max_iter=300, tol=1e-3))


def best_bag_of_words(known: Phrases, judge: Callable[[Pipeline], float], choices: Sequence[float]) -> Pipeline:
    """The one that does best on the development trees."""
    made = [bag_of_words(C).fit(known.tokens, known.y, logisticregression__sample_weight=known.weight) for C in choices]
    return max(made, key=judge)


def words(data: Path) -> dict[str, float]:
    """Root accuracy of bags of words. C is chosen on the development trees, for five and for two classes apart."""
    train, dev, test = (treebank(data, part) for part in ("train", "dev", "test"))
    figures: dict[str, float] = {}

    def accuracy(model: Pipeline, trees: Sequence[Tree], binary: bool) -> float:
        y = labels_of(trees)
        rows = np.flatnonzero(y != NEUTRAL) if binary else np.arange(len(y))
        found = model.predict([trees[row].leaves for row in rows])
        return 100 * float(np.mean(found == (y[rows] > NEUTRAL if binary else y[rows])))

    for whole in (True, False):
        known = phrases(train, whole)
        for binary in (False, True):
            kept = np.flatnonzero(known.y != NEUTRAL) if binary else np.arange(len(known.y))
            y = known.y > NEUTRAL if binary else known.y
            asked = Phrases([known.tokens[row] for row in kept], y[kept], known.weight[kept])
            choices = (0.03, 0.1, 0.3, 1.0) if whole else (0.3, 1.0, 3.0)
            model = best_bag_of_words(asked, lambda model, binary=binary: accuracy(model, dev, binary), choices)
            name = f"bag of words of {'roots' if whole else 'phrases'}, {'binary' if binary else 'fine'}"
            tell(figures, f"{name}, C", model[-1].C)
            tell(figures, f"{name}, dev", accuracy(model, dev, binary))
            tell(figures, name, accuracy(model, test, binary))
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


def seconds(work: Callable[[], object]) -> float:
    """Wall time."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


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
    return Tree.from_arity(np.where(steps > 0, 0, 2).astype(np.int32), [f"w{k}" for k in rng.integers(1000, size=n_leaves)])


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


def size(data: Path) -> dict[str, float]:
    """Random trees of all sizes, each in a process of its own."""
    figures: dict[str, float] = {}
    for power in (4, 5, 6, 7):
        code = f"import json, trees; print(json.dumps(trees.of_size(10**{power})))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=HERE)
        for name, value in json.loads(done.stdout).items():
            tell(figures, f"10^{power} nodes: {name}", value)
    return figures


PARTS: dict[str, Callable[[Path], dict[str, float]]] = {"speed": speed, "size": size, "words": words}


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with sst_trees")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    if args.data is None and set(args.only) != {"size"}:
        parser.error("--data is needed: a folder that holds sst_trees.")
    warnings.simplefilter("ignore")
    results = {}
    with threadpool_limits(1):
        for name in args.only:
            print(f"\n{name}", flush=True)
            results[name] = PARTS[name](args.data)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
