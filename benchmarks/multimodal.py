"""Multimodal deep Boltzmann machines: digits from parts of them, and retrieval of texts by images and the reverse.

    python benchmarks/multimodal.py [--data DIR] [--only digits learning wikipedia] [--seeds 100 101 102]

Digits are scikit-learn's, in black and white. DIR holds ``wikipedia``: the image-text pairs of Rasiwasia et al. (2010),
of which an image is a histogram of visual words and a text one of topics. Only the part of that name needs it. One
thread for all.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.io import loadmat
from sklearn.cross_decomposition import CCA
from sklearn.datasets import load_digits
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skae import MultimodalDeepBoltzmannMachine

Settings = dict[str, Any]
HALVES = {"upper": slice(0, 32), "lower": slice(32, 64)}
DEPTHS: dict[str, Settings] = {
    "no layers between": {"hidden_layer_sizes": ()},
    "64 units between": {"hidden_layer_sizes": (64,)},
    "the same, not pretrained": {"hidden_layer_sizes": (64,), "pretrain_iter": 0},
}
N_TOPICS, N_CLASSES = 10, 10


# ------------------------------------------------------------------ digits


def digits(seed: int) -> list[np.ndarray]:
    """Train, test, y_train, y_test."""
    X, y = load_digits(return_X_y=True)
    parts: list[np.ndarray] = train_test_split((X > 7).astype(float), y, test_size=500, stratify=y, random_state=seed)
    return parts


def without(X: np.ndarray, columns: slice) -> np.ndarray:
    """X with NaN in some columns."""
    X = X.copy()
    X[:, columns] = np.nan
    return X


def error(found: np.ndarray, X: np.ndarray, columns: slice) -> float:
    """Mean over the images of the sum of squares over the pixels that were unknown."""
    return float(np.square(found - X)[:, columns].sum(1).mean())


def of_halves(impute: Any, test: np.ndarray) -> list[float]:
    """Errors of the upper half given the lower one, and the reverse."""
    return [error(impute(without(test, columns)), test, columns) for columns in HALVES.values()]


def by_ridge(train: np.ndarray, test: np.ndarray) -> list[float]:
    """Errors of a linear regression of each half on the other."""
    upper, lower = (train[:, columns] for columns in HALVES.values())

    def impute(X: np.ndarray) -> np.ndarray:
        given, missing = (lower, upper) if np.isnan(X[0, 0]) else (upper, lower)
        known = X[:, ~np.isnan(X[0])]
        found = X.copy()
        found[:, np.isnan(X[0])] = Ridge(10.0).fit(given, missing).predict(known)
        return found

    return of_halves(impute, test)


def by_class_mean(train: np.ndarray, test: np.ndarray, y_train: np.ndarray, y_test: np.ndarray) -> list[float]:
    """Errors of the mean of the class, which this baseline is told."""
    means = np.array([train[y_train == c].mean(0) for c in range(N_CLASSES)])[y_test]
    return [error(means, test, columns) for columns in HALVES.values()]


def machine(seed: int, **options: Any) -> MultimodalDeepBoltzmannMachine:
    """A machine of binary halves, of 64 units a layer."""
    return MultimodalDeepBoltzmannMachine(
        64, **{"modalities": HALVES, "visible": "bernoulli", "random_state": seed, **options}
    )


def compare_digits(seeds: Sequence[int]) -> None:
    """Each half of a digit given the other one, and the digit given its label and the reverse."""
    found: dict[str, list[list[float]]] = {}

    def note(name: str, values: Sequence[float]) -> None:
        found.setdefault(name, []).append(list(values))

    for seed in seeds:
        train, test, y_train, y_test = digits(seed)
        note("mean of the pixels", of_halves(SimpleImputer().fit(train).transform, test))
        note("mean of the class, if it is told", by_class_mean(train, test, y_train, y_test))
        note("`Ridge` on the other half", by_ridge(train, test))
        note("`KNNImputer`, 20 neighbours", of_halves(KNNImputer(n_neighbors=20).fit(train).transform, test))
        for name, options in DEPTHS.items():
            model = machine(seed, **options).fit(train)
            note(f"{name}, Gibbs", of_halves(model.impute, test))
            note(f"{name}, mean field", of_halves(partial(model.impute, method="mean_field"), test))
    print("| squared error of a half | upper | lower |\n| --- | ---: | ---: |")
    for name, values in found.items():
        print("| {} | {:.2f} | {:.2f} |".format(name, *np.mean(values, 0)), flush=True)
    compare_labels(seeds)


def compare_labels(seeds: Sequence[int]) -> None:
    """Accuracy of the label as a modality, and how often digits drawn by label are read as meant."""
    found: dict[str, list[list[float]]] = {}
    for seed in seeds:
        train, test, y_train, y_test = digits(seed)
        reader = LogisticRegression(C=0.3, max_iter=500).fit(test, y_test)
        plain = LogisticRegression(C=0.3, max_iter=500).fit(train, y_train)
        found.setdefault("`LogisticRegression`", []).append([plain.score(test, y_test), np.nan])
        for name, options in DEPTHS.items():
            model = labelled(seed, **options).fit(np.hstack([train, np.eye(N_CLASSES)[y_train]]))
            asked = np.hstack([test, np.full((len(test), N_CLASSES), np.nan)])
            drawn = model.sample(given_labels(20), n_steps=500, random_state=seed)[:, :64]
            told = model.impute(asked)[:, 64:].argmax(1)
            read = reader.score(drawn, np.repeat(np.arange(N_CLASSES), 20))
            found.setdefault(name, []).append([float(np.mean(told == y_test)), read])
    print("\n| label as a modality | label of an image | digits drawn by label, read as meant |\n| --- | ---: | ---: |")
    for name, values in found.items():
        print("| {} | {:.3f} | {:.3f} |".format(name, *np.mean(values, 0)), flush=True)


def labelled(seed: int, **options: Any) -> MultimodalDeepBoltzmannMachine:
    """A machine of images and their labels."""
    return machine(
        seed,
        **{
            "modalities": {"image": slice(0, 64), "label": slice(64, 74)},
            "visible": {"image": "bernoulli", "label": "softmax"},
            "categories": {"label": (N_CLASSES,)},
            **options,
        },
    )


def given_labels(n_each: int) -> np.ndarray:
    """Rows whose images are unknown, so many of each label."""
    return np.hstack([np.full((n_each * N_CLASSES, 64), np.nan), np.eye(N_CLASSES).repeat(n_each, 0)])


# ------------------------------------------------------------------ learning


def compare_learning(seeds: Sequence[int]) -> None:
    """What rows that lack a half add to those that do not: the bound of complete rows, and errors as above."""
    print("| rows | layers | upper | lower | bound, nats |\n| --- | --- | ---: | ---: | ---: |")
    for share in (0.5, 0.8):
        for depth in list(DEPTHS)[:2]:
            for which in ("all rows", "complete rows alone"):
                found = [judged(seed, share, which == "all rows", DEPTHS[depth]) for seed in seeds]
                figures = "{:.2f} | {:.2f} | {:.2f}".format(*np.mean(found, 0))
                print(f"| {which}, {share:.0%} lack a half | {depth} | {figures} |", flush=True)


def judged(seed: int, share: float, all_rows: bool, options: Settings) -> list[float]:
    """Errors of both halves, and the bound, of a machine that learnt from rows of which a share lack a half."""
    train, test, *_ = digits(seed)
    lot = np.random.default_rng(seed).random(len(train))
    train = train.copy()
    train[lot < share / 2, HALVES["upper"]] = np.nan
    train[(share / 2 <= lot) & (lot < share), HALVES["lower"]] = np.nan
    rows = train if all_rows else train[lot >= share]
    model = machine(seed, **options).fit(rows)
    return [*of_halves(model.impute, test), model.score(test)]


# ------------------------------------------------------------------ Wikipedia


class Pairs(NamedTuple):
    """Images, texts and classes."""

    images: np.ndarray
    texts: np.ndarray
    y: np.ndarray

    def table(self, label: bool) -> np.ndarray:
        """All modalities side by side."""
        return np.hstack([self.images, self.texts, *([np.eye(N_CLASSES)[self.y]] if label else [])])


def pairs(data: Path, held_out: int | None = None) -> tuple[Pairs, Pairs]:
    """Training and test pairs: square roots of the histograms, with columns of variance one.

    ``held_out`` is a seed: then some of the training pairs take the place of the test pairs, to choose settings on.
    """
    raw = loadmat(str(data / "wikipedia" / "raw_features.mat"))
    parts = []
    for short, long in (("tr", "train"), ("te", "test")):
        lines = (data / "wikipedia" / f"{long}set_txt_img_cat.list").read_text().splitlines()
        y = np.array([int(line.split()[-1]) - 1 for line in lines])
        parts.append(Pairs(np.sqrt(raw[f"I_{short}"]), np.sqrt(raw[f"T_{short}"]), y))
    if held_out is not None:
        order = np.random.default_rng(held_out).permutation(len(parts[0].y))
        parts = [Pairs(*(a[rows] for a in parts[0])) for rows in (order[500:], order[:500])]
    scalers = [StandardScaler().fit(a) for a in parts[0][:2]]
    train, test = (Pairs(*(s.transform(a) for s, a in zip(scalers, p[:2], strict=True)), p.y) for p in parts)
    return train, test


def precision(queries: np.ndarray, found: np.ndarray, y: np.ndarray, same: bool = False) -> float:
    """Mean average precision of retrieval by the cosine; what is found is relevant if it is of the same class.

    With ``same``, row i is not among what is found for query i.
    """
    one, two = (a / np.linalg.norm(a, axis=1, keepdims=True).clip(1e-12) for a in (queries, found))
    likeness = one @ two.T
    if same:
        np.fill_diagonal(likeness, -np.inf)
    order = np.argsort(-likeness, axis=1, kind="stable")[:, : len(y) - same]
    relevant = y[order] == y[:, None]
    precisions = relevant.cumsum(1) / np.arange(1, relevant.shape[1] + 1)
    return float(((precisions * relevant).sum(1) / relevant.sum(1)).mean())


def fitted(train: Pairs, settings: Settings, common: Settings, label: bool) -> MultimodalDeepBoltzmannMachine:
    """A machine of images and texts, and of classes with ``label``."""
    width = train.images.shape[1]
    modalities = {"image": slice(0, width), "text": slice(width, width + N_TOPICS)}
    if label:
        modalities["label"] = slice(width + N_TOPICS, width + N_TOPICS + N_CLASSES)
    kinds = {"visible": {"label": "softmax"}, "categories": {"label": (N_CLASSES,)}} if label else {}
    return MultimodalDeepBoltzmannMachine(modalities=modalities, **kinds, **settings, **common).fit(train.table(label))


def asked(test: Pairs, label: bool) -> dict[str, np.ndarray]:
    """Test pairs of which only the image is known, only the text, or both; the class never is."""
    both = test.table(label)
    width = test.images.shape[1]
    both[:, width + N_TOPICS :] = np.nan
    image, text = both.copy(), both.copy()
    image[:, width:], text[:, :width] = np.nan, np.nan
    return {"image": image, "text": text, "both": both}


def retrieval(train: Pairs, test: Pairs, settings: Settings, common: Settings) -> dict[str, float]:
    """Mean average precision of images and texts as queries, by chance, CCA and machines."""
    y, figures = test.y, {}
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, len(y), N_TOPICS))
    figures["chance"] = precision(*noise, y)
    one, two = CCA(7, max_iter=2000).fit(train.images, train.texts).transform(test.images, test.texts)
    figures |= {"CCA, image query": precision(one, two, y), "CCA, text query": precision(two, one, y)}
    figures |= by_logistic_regression(train, test)
    model = fitted(train, settings, common, label=False)
    columns = slice(train.images.shape[1], train.images.shape[1] + N_TOPICS)
    filled = {name: model.impute(X, random_state=0) for name, X in asked(test, False).items() if name != "both"}
    texts = filled["image"][:, columns]
    figures |= {"image query": precision(texts, test.texts, y), "text query": precision(test.texts, texts, y)}
    center = model.transform(train.table(False)).mean(0)
    codes = {name: model.transform(X) - center for name, X in asked(test, False).items()}
    figures |= {
        "codes, image query": precision(codes["image"], codes["text"], y),
        "codes, text query": precision(codes["text"], codes["image"], y),
        "codes, query of both": precision(codes["both"], codes["both"], y, same=True),
    }
    model = fitted(train, settings, common, label=True)
    share = np.eye(N_CLASSES)[train.y].mean(0)
    told = {name: model.impute(X, random_state=0)[:, columns.stop :] - share for name, X in asked(test, True).items()}
    return figures | {
        "with labels, image query": precision(told["image"], told["text"], y),
        "with labels, text query": precision(told["text"], told["image"], y),
        "with labels, query of both": precision(told["both"], told["both"], y, same=True),
    }


def by_logistic_regression(train: Pairs, test: Pairs) -> dict[str, float]:
    """Semantic matching: probabilities of the classes by a logistic regression of each modality."""
    share = np.eye(N_CLASSES)[train.y].mean(0)
    one, two = (
        LogisticRegression(C=0.01, max_iter=1000).fit(a, train.y).predict_proba(b) - share
        for a, b in zip(train[:2], test[:2], strict=True)
    )
    return {
        "logistic regression, image query": precision(one, two, test.y),
        "logistic regression, text query": precision(two, one, test.y),
    }


SETTINGS: Settings = {"n_components": 128, "learning_rate_init": 0.03}


def compare_wikipedia(data: Path, seeds: Sequence[int], held_out: int | None) -> None:
    """Retrieval, then topics that are drawn for an image as the chain goes, and what is found for it."""
    train, test = pairs(data, held_out)
    started = time.perf_counter()
    found = [retrieval(train, test, SETTINGS, {"random_state": seed}) for seed in seeds]
    print(f"seconds: {time.perf_counter() - started:.0f}\n| mean average precision | |\n| --- | ---: |")
    for name in found[0]:
        print(f"| {name} | {np.mean([f[name] for f in found]):.3f} |")
    names = (data / "wikipedia" / "categories.list").read_text().split()
    model = fitted(train, SETTINGS, {"random_state": seeds[0]}, label=True)
    images = asked(test, True)["image"][:: len(test.y) // 5][:5]
    course = model.sample(images, steps=[50, 100, 150, 200, 250], random_state=0)
    print("\nclasses drawn for an image after 50, 100, 150, 200 and 250 steps, and those of the five nearest texts")
    width = train.images.shape[1]
    texts = model.impute(images, random_state=0)[:, width : width + N_TOPICS]
    likeness = texts @ test.texts.T / np.linalg.norm(test.texts, axis=1)
    for row, y in enumerate(test.y[:: len(test.y) // 5][:5]):
        drawn = [names[k] for k in course[:, row, width + N_TOPICS :].argmax(1)]
        near = [names[k] for k in test.y[np.argsort(-likeness[row])[:5]]]
        print(f"{names[y]}: {', '.join(drawn)}; {', '.join(near)}")


def main() -> None:
    """Run the parts asked for, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument(
        "--only", nargs="+", choices=("digits", "learning", "wikipedia"), default=("digits", "learning")
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[100, 101, 102])
    parser.add_argument("--held-out", type=int, help="seed of a split of the training pairs, to choose settings on")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    with threadpool_limits(1):
        if "digits" in args.only:
            compare_digits(args.seeds)
        if "learning" in args.only:
            compare_learning(args.seeds)
        if "wikipedia" in args.only:
            compare_wikipedia(args.data, args.seeds, args.held_out)


if __name__ == "__main__":
    main()
