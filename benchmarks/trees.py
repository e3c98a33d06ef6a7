"""Recursive autoencoders: speed beside a recursion in torch, cost by size, and sentiment beside bags of words.

    python benchmarks/trees.py --data DIR [--only speed size sentiment] [--seeds 100 101 102] [--json FILE]

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
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skae import RecursiveAutoencoder, RecursiveAutoencoderClassifier
from skae.engine.forest import Forest
from skae.trees import Tree

Settings = dict[str, Any]
HERE = Path(__file__).parent
ROUNDS = 5
PARTS = ("speed", "size", "sentiment")
NEUTRAL = 2
"""Of the five classes from very negative to very positive. Binary accuracy leaves neutral trees out."""


# ------------------------------------------------------------------ the treebank


class Treebank(NamedTuple):
    """Trees of the official split, whose nodes have whole numbers as labels. Tokens are in small letters."""

    train: list[Tree]
    dev: list[Tree]
    test: list[Tree]

    @classmethod
    def read(cls, data: Path) -> Treebank:
        """Read the three files."""
        return cls(*(read_trees(data / "sst_trees" / f"{part}.txt.gz") for part in cls._fields))


def read_trees(path: Path) -> list[Tree]:
    """A tree a line."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        trees = [Tree.from_brackets(line) for line in lines]
    return [
        Tree.from_arity(tree.arity, [token.lower() for token in tree.leaves], [int(label) for label in tree.labels])
        for tree in trees
    ]


def labels_of(trees: Sequence[Tree]) -> np.ndarray:
    """Label of each root."""
    return np.array([tree.label for tree in trees])


# ------------------------------------------------------------------ sentiment


def grams(tree: Tree) -> list[str]:
    """Words, and pairs of neighbours."""
    return [*tree.leaves, *map(" ".join, pairwise(tree.leaves))]


def words(trees: Sequence[Tree], common: Settings, C: float, phrases: bool, sides: bool) -> Any:
    """Logistic regression on the presence of words and pairs.

    It learns from whole sentences, or from the phrases of all nodes. With ``sides`` it learns positive against
    negative. Equal phrases are learnt once, with their number as weight.
    """
    learnt = [node for tree in trees for node in tree.nodes()] if phrases else trees
    learnt = [tree for tree in learnt if not (sides and tree.label == NEUTRAL)]
    key = {(tree.leaves, tree.label): tree for tree in learnt}
    counts = Counter((tree.leaves, tree.label) for tree in learnt)
    y = labels_of([*key.values()])
    regression = LogisticRegression(C=C, max_iter=300, tol=1e-3)
    model = make_pipeline(CountVectorizer(analyzer=grams, binary=True), regression)
    weight = np.array([counts[pair] for pair in key])
    return model.fit([*key.values()], y > NEUTRAL if sides else y, logisticregression__sample_weight=weight)


def reconstruction(trees: Sequence[Tree], common: Settings, **options: Any) -> Any:
    """Logistic regression on root vectors that were learnt without labels."""
    regression = LogisticRegression(max_iter=2000)
    model = make_pipeline(RecursiveAutoencoder(**options, **common), StandardScaler(), regression)
    return model.fit(trees, labels_of(trees))


def recursive(trees: Sequence[Tree], common: Settings, **options: Any) -> Any:
    """The recursive network with or without reconstruction, which learns from all nodes or from the roots."""
    return RecursiveAutoencoderClassifier(**options, **common).fit(trees, labels_of(trees))


def accuracies(model: Any, trees: Sequence[Tree]) -> tuple[float, float]:
    """Percent of the roots that are right, of all classes, and of positive against negative by sums of probabilities.

    Neutral sentences do not count in the second one.
    """
    y, p = labels_of(trees), model.predict_proba(trees)
    half = p.shape[1] // 2
    is_positive = p[:, -half:].sum(1) > p[:, :half].sum(1)
    judged = y != NEUTRAL
    return 100 * float(np.mean(p.argmax(1) == y)), 100 * float(np.mean((is_positive == (y > NEUTRAL))[judged]))


NODES = {"supervision": "nodes", "batch_size": 25, "weight_decay": 0.0, "tol": 0.0, "learning_rate_init": 0.01}
PLAIN = {**NODES, "n_components": 30, "composition": "plain", "dropout": 0.0, "max_iter": 4}
GATED = {**NODES, "n_components": 50, "composition": "gated", "dropout": 0.5, "max_iter": 5}
TENSOR = {**NODES, "n_components": 25, "composition": "tensor", "dropout": 0.2, "max_iter": 4}
SEMI = {**PLAIN, "alpha": 0.2, "unfolding": False}

CONTESTANTS: dict[str, tuple[Callable[..., Any], Settings]] = {
    "bag of words": (words, {"C": 0.3, "phrases": False, "sides": False}),
    "bag of words, two classes": (words, {"C": 0.3, "phrases": False, "sides": True}),
    "bag of words, phrases": (words, {"C": 3.0, "phrases": True, "sides": False}),
    "bag of words, phrases, two classes": (words, {"C": 0.3, "phrases": True, "sides": True}),
    "reconstruction only": (reconstruction, {"n_components": 100, "max_iter": 2}),
    "plain net, roots' labels": (recursive, {**PLAIN, "supervision": "spread"}),
    "plain net, roots' labels, alpha=0.2": (recursive, {**SEMI, "supervision": "spread"}),
    "plain net, alpha=0.2": (recursive, SEMI),
    "plain net": (recursive, PLAIN),
    "tensor net": (recursive, TENSOR),
    "gated net": (recursive, GATED),
}
"""How each model learns, and its settings. They were chosen on the development trees."""
SETTINGS = {name: options for name, (_, options) in CONTESTANTS.items()}


def sentiment(data: Path, settings: dict[str, Settings], common: Settings) -> dict[str, float]:
    """Root accuracy of some contestants with these settings, on the development trees and on the test trees."""
    bank = Treebank.read(data)
    figures: dict[str, float] = {}
    for name, options in settings.items():
        learn, _ = CONTESTANTS[name]
        start = time.process_time()
        model = learn(bank.train, common, **options)
        tell(figures, f"{name}, seconds of the processor", time.process_time() - start)
        targets = ("binary",) if options.get("sides") else ("fine", "binary")
        for trees, where in ((bank.dev, ", dev"), (bank.test, "")):
            for target, value in zip(("fine", "binary"), accuracies(model, trees), strict=True):
                if target in targets:
                    tell(figures, f"{name}, {target}{where}", value)
    return figures


def sentiments(data: Path, seeds: Sequence[int]) -> dict[str, float]:
    """Means over the seeds, and standard deviations."""
    runs = []
    for seed in seeds:
        print(f"seed {seed}", flush=True)
        runs.append(sentiment(data, SETTINGS, {"random_state": seed}))
    print("mean over the seeds, and standard deviation")
    figures: dict[str, float] = {}
    for name in runs[0]:
        values = [run[name] for run in runs]
        tell(figures, name, float(np.mean(values)))
        tell(figures, f"{name}, +-", float(np.std(values)))
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
    trees = Treebank.read(data).train
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
    model = RecursiveAutoencoder(30, unfolding=False, max_iter=1, random_state=0).fit(
        trees[:100]
    )  # what torch itself takes
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
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=(100, 101, 102), help="of sentiment")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    if args.data is None and set(args.only) != {"size"}:
        parser.error("--data is needed: a folder that holds sst_trees.")
    warnings.simplefilter("ignore")
    parts = {
        "speed": lambda: speed(args.data),
        "size": size,
        "sentiment": lambda: sentiments(args.data, args.seeds),
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
