"""Sentences on the way from one to another, by a plain autoencoder and by an adversarially regularised one."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skae import AdversariallyRegularizedAutoencoder, Autoencoder
from skae.tokens import TokenEncoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DETERMINERS = ("the", "a", "every"), ("the", "some", "many")
ADJECTIVES = "small", "old", "young", "happy", "wild"
NOUNS = "dog", "cat", "girl", "boy", "bird", "horse"
VERBS = "sleep", "run", "sing", "eat", "wait"
ADVERBS = "now", "here", "often", "alone", "again"
N_TRAIN, N_TEST, N_STEPS, N_PAIRS = 500, 400, 8, 150
OPTIONS = {"hidden_layer_sizes": (128,), "weight_decay": 0.0}
WIDTH = 8
ROW = 0.0345


def sentences() -> list[str]:
    """All sentences of a grammar in which determiner, noun and verb agree: all are singular, or all are plural."""
    made = []
    for determiners, of_noun, of_verb in zip(DETERMINERS, ("", "s"), ("s", ""), strict=True):
        for determiner, adjective, noun, verb, adverb in product(determiners, ADJECTIVES, NOUNS, VERBS, ADVERBS):
            made.append(f"{determiner} {adjective} {noun}{of_noun} {verb}{of_verb} {adverb}")
    return made


def some(seed: int, n: int) -> tuple[list[str], list[str], TokenEncoder]:
    """Sentences to learn from, others, and the encoder of their tokens."""
    everything = sentences()
    picked = np.random.default_rng(seed).permutation(len(everything))[: n + N_TEST]
    chosen = [everything[i] for i in picked]
    return chosen[:n], chosen[n:], TokenEncoder().fit(everything)


def regularized(train: list[str], tokens: TokenEncoder, **options: Any) -> Any:
    """A pipeline of sentences that ends in the model, fitted."""
    model = AdversariallyRegularizedAutoencoder(
        WIDTH, likelihood="tokens", n_tokens=len(tokens.vocabulary_), **{**OPTIONS, **options}
    )
    model.fit(tokens.transform(train))
    return make_pipeline(tokens, model)


class Plain:
    """An autoencoder of the same table of ones and zeros, and of the same widths."""

    def __init__(self, train: list[str], tokens: TokenEncoder, **options: Any) -> None:
        n_tokens, length = len(tokens.vocabulary_), tokens.length_
        self.tokens, categories = tokens, (n_tokens,) * length
        self.one_hot = OneHotEncoder(categories=[np.arange(n_tokens)] * length).fit(tokens.transform(train))
        model = Autoencoder(WIDTH, likelihood="categorical", categories=categories, **{**OPTIONS, **options})
        self.model = model.fit(self.one_hot.transform(tokens.transform(train)))

    def transform(self, texts: list[str]) -> np.ndarray:
        codes: np.ndarray = self.model.transform(self.one_hot.transform(self.tokens.transform(texts)))
        return codes

    def inverse_transform(self, codes: np.ndarray) -> list[str]:
        rows = self.model.inverse_transform(codes)
        texts: list[str] = self.tokens.inverse_transform(rows.reshape(len(rows), self.tokens.length_, -1).argmax(2))
        return texts


def between(model: Any, a: str, b: str) -> list[str]:
    """Decode codes on the straight line from the code of one sentence to that of another."""
    start, end = model.transform([a, b])
    texts: list[str] = model.inverse_transform(np.linspace(start, end, N_STEPS))
    return texts


def shares(model: Any, test: list[str], seed: int) -> dict[str, float]:
    """Which shares of lines between held-out sentences, and of single steps, are grammatical."""
    right = set(sentences())
    rng = np.random.default_rng(seed)
    lines = [between(model, *(test[i] for i in rng.choice(len(test), 2, replace=False))) for _ in range(N_PAIRS)]
    steps = np.array([[text in right for text in line] for line in lines])
    tokens = model.tokens if isinstance(model, Plain) else model[0]
    restored = tokens.transform(model.inverse_transform(model.transform(test)))
    return {
        "lines": float(steps.all(1).mean()),
        "steps": float(steps.mean()),
        "samples": float(np.mean([text in right for text in model.inverse_transform(some_codes(model, test, seed))])),
        "restored": float((tokens.transform(test) == restored).mean()),
    }


def some_codes(model: Any, test: list[str], seed: int) -> np.ndarray:
    """Codes of the generator, or of a normal distribution that is fitted to the codes of sentences."""
    if not isinstance(model, Plain):
        codes: np.ndarray = model[-1].sample_codes(1000, random_state=seed)
        return codes
    H = model.transform(test)
    return np.random.default_rng(seed).multivariate_normal(H.mean(0), np.cov(H.T), 1000)


def is_plural(text: str) -> bool:
    return text.split()[2].endswith("s")


def show(ax: Axes, title: str, decode: Callable[[str, str], list[str]], pairs: list[tuple[str, str]]) -> None:
    """Write each line of sentences; words that changed are bold, and what breaks the grammar is red."""
    right, y = set(sentences()), 0.97
    ax.set_title(title)
    ax.set_axis_off()
    for a, b in pairs:
        ax.text(0, y, f"{a}  \N{RIGHTWARDS ARROW}  {b}", color="0.5", style="italic", fontsize=8, va="top")
        y -= ROW
        previous: list[str] = []
        for text in decode(a, b):
            words = text.split()
            colour = "0.1" if text in right else "tab:red"
            for place, word in enumerate(words):
                changed = bool(previous) and previous[place : place + 1] != [word]
                weight = "bold" if changed else "normal"
                ax.text(place * 0.19, y, word, color=colour, weight=weight, fontsize=9, va="top")
            previous, y = words, y - ROW
        y -= ROW / 2


def draw(max_iter: int = 60) -> Figure:
    train, test, tokens = some(0, N_TRAIN)
    options = {"max_iter": max_iter, "random_state": 0}
    models = {
        "Autoencoder": Plain(train, tokens, **options),
        "AdversariallyRegularizedAutoencoder": regularized(train, tokens, **options),
    }
    pairs = [(a, b) for a, b in pairwise(test) if not is_plural(a) and is_plural(b)][:3]
    figure, axes = plt.subplots(1, 2, figsize=(9, 6), layout="constrained")
    for ax, (name, model) in zip(axes, models.items(), strict=True):
        show(ax, name, lambda a, b, model=model: between(model, a, b), pairs)
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)
