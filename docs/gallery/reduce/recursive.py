"""Draw where a JSON document is odd, and who finds such documents."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import roc_auc_score

from skae import RecursiveAutoencoder
from skae.inspection import TreeDisplay

UNITS = {"book": "page", "cable": "metre", "paint": "litre", "flour": "gram", "film": "minute", "seed": "piece"}
WORDS = {*UNITS, *UNITS.values()}
ODD = ("a customer among the items", "mail outside the customer", "units of two items exchanged")
SEEDS = (100, 101, 102)
N_LEARNT, N_JUDGED = 300, 100


def order(rng: np.random.Generator, odd: str | None = None) -> dict[str, Any]:
    """An order as it should be, or an odd one. Odd orders have the words of good ones."""
    kinds = rng.permutation(list(UNITS))[: rng.integers(2, 5)].tolist()
    items = [{"kind": kind, "id": 1, "price": 0.5, "unit": UNITS[kind]} for kind in kinds]
    for item in items:
        if rng.random() < 0.3:
            item["tags"] = ["new"] * int(rng.integers(1, 3))
    customer = {"id": 1, "name": "Ada", "mail": "a@b"}
    first, second = rng.permutation(len(items))[:2]
    if odd == ODD[0]:
        items[first], customer = customer, items[first]
    if odd == ODD[2]:
        items[first]["unit"], items[second]["unit"] = items[second]["unit"], items[first]["unit"]
    outside = {"mail": customer.pop("mail")} if odd == ODD[1] else {}
    note = {"note": "soon"} if rng.random() < 0.5 else {}
    return {"id": 1, "customer": customer, "items": items, **outside, **note, "paid": True}


def word(value: Any) -> str:
    """A value, if it is one of few, and else its type."""
    return value if value in WORDS else type(value).__name__


def tree(document: Any) -> Any:
    """A node for each object, each pair of a name and a value, and each list."""
    if isinstance(document, dict):
        return tuple((name, tree(value)) for name, value in document.items())
    return tuple(map(tree, document)) if isinstance(document, list) else word(document)


def words(document: Any) -> list[str]:
    """The leaves of the tree."""
    if isinstance(document, dict):
        return [found for name, value in document.items() for found in (name, *words(value))]
    return [found for value in document for found in words(value)] if isinstance(document, list) else [word(document)]


def triples(document: Any) -> list[tuple[str, ...]]:
    """Up to three leaves in a row."""
    row = words(document)
    return [tuple(row[i : i + n]) for n in (1, 2, 3) for i in range(len(row) - n + 1)]


def paths(document: Any, path: str = "") -> list[str]:
    """Each value with the names of all objects that it is in."""
    if isinstance(document, dict):
        return [found for name, value in document.items() for found in paths(value, f"{path}.{name}")]
    if isinstance(document, list):
        return [found for value in document for found in paths(value, f"{path}[]")]
    return [f"{path}={word(document)}"]


Score = Callable[[Sequence[Any]], np.ndarray]


def bag(parts: Callable[[Any], list[Any]], learnt: Sequence[Any]) -> Score:
    """Squared error of PCA of how often each part is in a document."""
    counts = CountVectorizer(analyzer=parts).fit(learnt)
    pca = PCA(0.99).fit(counts.transform(learnt).toarray())

    def score(documents: Sequence[Any]) -> np.ndarray:
        X = counts.transform(documents).toarray()
        return ((X - pca.inverse_transform(pca.transform(X))) ** 2).sum(1)

    return score


def recursive(learnt: Sequence[Any], seed: int, max_iter: int | str) -> tuple[RecursiveAutoencoder, Score]:
    """A model, and the mean error of the nodes of each tree."""
    model = RecursiveAutoencoder(weighted=False, max_iter=max_iter, random_state=seed)
    model.fit([tree(document) for document in learnt])
    return model, lambda documents: np.array([np.nanmean(e) for e in model.node_errors(list(map(tree, documents)))])


def judged(rng: np.random.Generator) -> dict[str, list[Any]]:
    """Good and odd documents that were not learnt from."""
    return {odd or "": [order(rng, odd) for _ in range(N_JUDGED)] for odd in (None, *ODD)}


def areas(score: Score, documents: dict[str, list[Any]]) -> list[float]:
    """Area under the ROC curve for each kind of odd documents."""
    good = score(documents[""])
    is_odd = np.repeat([0, 1], N_JUDGED)
    return [roc_auc_score(is_odd, np.r_[good, score(documents[odd])]) for odd in ODD]


def draw(max_iter: int | str = "auto") -> Figure:
    """The errors of the nodes of an odd order, and areas under the ROC curve, in mean over three draws of all."""
    found: dict[str, list[list[float]]] = {}
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(10.5, 8.2), height_ratios=(1.5, 1), layout="constrained")
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        learnt = [order(rng) for _ in range(N_LEARNT)]
        documents = judged(rng)
        model, errors = recursive(learnt, seed, max_iter)
        scores = {
            "bag of words, PCA": bag(words, learnt),
            "bag of words, pairs and triples, PCA": bag(triples, learnt),
            "bag of paths, PCA": bag(paths, learnt),
            "RecursiveAutoencoder": errors,
        }
        for name, score in scores.items():
            found.setdefault(name, []).append(areas(score, documents))
        if seed == SEEDS[0]:
            shown = min(documents[ODD[2]], key=lambda document: len(words(document)))
            TreeDisplay.from_estimator(model, tree(shown), ax=upper)
            upper.set_title(
                "An order whose two items have exchanged their units, and the error of each node", fontsize="medium"
            )
    draw_areas(lower, {name: np.mean(values, axis=0) for name, values in found.items()})
    return figure


def draw_areas(ax: Axes, found: dict[str, np.ndarray]) -> None:
    """Areas as bars, in a group for each kind of odd documents."""
    colors = ("0.85", "0.7", "0.55", "tab:blue")
    for k, (name, values) in enumerate(found.items()):
        at = np.arange(len(ODD)) + 0.2 * (k - (len(found) - 1) / 2)
        ax.bar(at, values, 0.19, label=name, color=colors[k])
    ax.axhline(0.5, color="black", linewidth=0.8, linestyle=":")
    ax.set_xticks(range(len(ODD)), ODD)
    ax.set(ylabel="Area under the ROC curve", ylim=(0.4, 1.02))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4, fontsize="small", frameon=False)


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
