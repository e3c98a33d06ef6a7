"""Draw the accuracy of truth values of boolean expressions, and an expression with the values of its parts."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skae import RecursiveAutoencoder, RecursiveAutoencoderClassifier
from skae.inspection import TreeDisplay
from skae.trees import Tree

LEARNT, JUDGED = (1, 2, 3, 4), (1, 2, 3, 4, 5, 6, 7, 8)
N_LEARNT, N_JUDGED = 500, 200
SEED = 100


def expression(rng: np.random.Generator, height: int) -> Any:
    """An expression with so many operators one above the other."""
    if height == 0:
        return "T" if rng.random() < 0.5 else "F"
    if rng.random() < 0.2:
        return ("not", expression(rng, height - 1))
    parts = [expression(rng, height - 1), expression(rng, int(rng.integers(height)))]
    left, right = parts if rng.random() < 0.5 else parts[::-1]
    return (left, ("and", "or", "xor")[rng.integers(3)], right)


def is_true(expression: Any) -> bool:
    """The value of an expression."""
    if isinstance(expression, str):
        return expression == "T"
    if len(expression) == 2:
        return not is_true(expression[1])
    left, right = is_true(expression[0]), is_true(expression[2])
    return {"and": left and right, "or": left or right, "xor": left != right}[expression[1]]


def drawn(rng: np.random.Generator, n: int, heights: tuple[int, ...]) -> tuple[list[Any], np.ndarray]:
    """Expressions, of which every second one is true, and their values."""
    X: list[Any] = []
    while len(X) < n:
        height = int(rng.choice(heights))
        found = expression(rng, height)
        while is_true(found) != (len(X) % 2 == 0):
            found = expression(rng, height)
        X.append(found)
    return X, np.array(["true", "false"] * n)[:n]


def values(expression: Any) -> list[str | None]:
    """The values of an expression and its parts in post-order, and None for leaves."""
    if isinstance(expression, str):
        return [None]
    return [value for part in expression for value in values(part)] + ["T" if is_true(expression) else "F"]


def words(expression: Any, n: int = 1) -> list[tuple[str, ...]]:
    """Up to n leaves in a row."""
    row = Tree.of(expression).leaves
    return [row[i : i + k] for k in range(1, n + 1) for i in range(len(row) - k + 1)]


def models(seed: int, max_iter: int | str) -> dict[str, Any]:
    """What a reader might try first, and trees."""

    def linear(*steps: Any) -> Any:
        return make_pipeline(*steps, LogisticRegression(max_iter=5000))

    return {
        "bag of words": linear(CountVectorizer(analyzer=words)),
        "bag of words, pairs and triples": linear(CountVectorizer(analyzer=lambda x: words(x, 3))),
        "RecursiveAutoencoder, then linear": linear(RecursiveAutoencoder(max_iter=max_iter, random_state=seed)),
        "RecursiveAutoencoderClassifier": RecursiveAutoencoderClassifier(max_iter=max_iter, random_state=seed),
    }


def draw(max_iter: int | str = "auto") -> Figure:
    """Accuracy against height, and one of the higher expressions."""
    rng = np.random.default_rng(SEED)
    learnt, judged = drawn(rng, N_LEARNT, LEARNT), [drawn(rng, N_JUDGED, (height,)) for height in JUDGED]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.4), width_ratios=(1, 1.5), layout="constrained")
    styles = (("^--", "0.7"), ("v--", "0.45"), ("s-", "tab:orange"), ("o-", "tab:blue"))
    for (name, model), (style, color) in zip(models(SEED, max_iter).items(), styles, strict=True):
        model.fit(*learnt)
        left.plot(JUDGED, [model.score(*rows) for rows in judged], style, color=color, label=name)
    left.axvspan(LEARNT[0] - 0.3, LEARNT[-1] + 0.5, color="0.93", zorder=0)
    left.set(xlabel="Height, learnt up to 4", ylabel="Accuracy", ylim=(0.45, 1.02))
    left.legend(fontsize="small", loc="upper right", bbox_to_anchor=(1, 0.92))
    few = [x for x in judged[5][0] if Tree.of(x).n_leaves <= 20]
    draw_parts(right, model, max(few, key=lambda x: min(values(x).count("T"), values(x).count("F"))))
    return figure


def draw_parts(ax: Axes, model: RecursiveAutoencoderClassifier, shown: Any) -> None:
    """The values that are predicted of an expression and its parts, with the true ones written on them."""
    true = values(shown)
    predicted = [None if a is None else b for a, b in zip(true, model.predict_nodes([shown])[0], strict=True)]
    TreeDisplay.from_tree(
        shown, y=predicted, classes=model.classes_, labels=true, target_name="predicted", cmap="coolwarm", ax=ax
    )
    ax.set_title("An expression of height 6, and what is predicted of its parts", fontsize="medium")


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
