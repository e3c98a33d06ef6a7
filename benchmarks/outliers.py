"""Outlier detectors on tables with known outliers: area under the ROC, average precision, and processor time.

    python benchmarks/outliers.py [--data FOLDER] [--only SETS] [--methods NAMES] [--seeds 5] [--json FILE]

Default settings everywhere. ``--only`` and ``--methods`` take parts of names. ``--data`` adds sets from a folder that
has ``anomaly``, ``banknote``, ``caltech101_silhouettes``, ``mfeat`` and ``newsgroups`` in it. The extra ``bench``
brings scikit-learn's peers; PyOD is installed by ``pip install pyod``. Detectors that are not installed are left out.

"contaminated" means that a detector is fitted to all rows, outliers included, and ranks these. "clean" means that it is
fitted to half of the other rows, and ranks the other half and the outliers. A set has at most 1000 rows, drawn with the
seed. In sets that are made of classes, the outliers are rows of one class (in silhouettes of 96 classes), 5 % of all.

The defaults of OutlierDetector were chosen on the sets in ``CHOSEN_ON``, on these with 10 % of outliers, and on these
with some columns of a row taken from another row. No setting was chosen on the sets in ``JUDGED_ON``.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.io import loadmat
from scipy.stats import rankdata
from sklearn import datasets
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor

from skae import RBM, Autoencoder, OutlierDetector, VariationalAutoencoder

Labelled = tuple[np.ndarray, np.ndarray]
MOST_ROWS, SHARE = 1000, 0.05
MODES = "contaminated", "clean"

# -------------------------------------------------------------------- sets


def of_classes(X: np.ndarray, is_odd: np.ndarray, rng: np.random.Generator) -> Labelled:
    """Rows of the usual classes, and as many odd ones as make 5 %, but at least 8."""
    usual, odd = rng.permutation(np.flatnonzero(~is_odd)), rng.permutation(np.flatnonzero(is_odd))
    usual = usual[: round(MOST_ROWS * (1 - SHARE))]
    odd = odd[: max(8, round(SHARE / (1 - SHARE) * len(usual)))]
    rows = rng.permutation(np.concatenate([usual, odd]))
    return np.asarray(X[rows], dtype=float), is_odd[rows].astype(int)


def anomaly(name: str) -> Callable[[Path, np.random.Generator, int], Labelled]:
    """A set whose outliers are published with it."""

    def load(data: Path, rng: np.random.Generator, seed: int) -> Labelled:
        found = np.load(next((data / "anomaly").glob(f"*_{name}.npz")))
        rows = rng.permutation(len(found["X"]))[:MOST_ROWS]
        return found["X"][rows].astype(float), found["y"].ravel()[rows].astype(int)

    return load


def breast_cancer(data: Path, rng: np.random.Generator, seed: int) -> Labelled:
    """Benign tumours, and malignant ones as outliers."""
    X, y = datasets.load_breast_cancer(return_X_y=True)
    return of_classes(X, y == 0, rng)


def digits(data: Path, rng: np.random.Generator, seed: int) -> Labelled:
    """One digit is rare."""
    X, y = datasets.load_digits(return_X_y=True)
    return of_classes(X, y == (4, 9, 1, 7, 0)[seed % 5], rng)


def iris(data: Path, rng: np.random.Generator, seed: int) -> Labelled:
    """One species is rare."""
    X, y = datasets.load_iris(return_X_y=True)
    return of_classes(X, y == (2, 1)[seed % 2], rng)


def wine(data: Path, rng: np.random.Generator, seed: int) -> Labelled:
    """One cultivar is rare."""
    X, y = datasets.load_wine(return_X_y=True)
    return of_classes(X, y == seed % 3, rng)


def banknote(data: Path, rng: np.random.Generator, seed: int) -> Labelled:
    """Genuine or forged notes are rare."""
    table = np.loadtxt(data / "banknote/data_banknote_authentication.txt", delimiter=",")
    return of_classes(table[:, :4], table[:, 4] != seed % 2, rng)


def newsgroups(data: Path, rng: np.random.Generator, seed: int) -> Labelled:
    """Documents with at least four of a hundred words."""
    found = loadmat(data / "newsgroups/20news_w100.mat")
    X, y = found["documents"].T.toarray().astype(float), found["newsgroups"].ravel()
    long = X.sum(1) >= 4
    return of_classes(X[long], y[long] == seed % 4 + 1, rng)


def silhouettes(data: Path, rng: np.random.Generator, seed: int) -> Labelled:
    """The five large classes, and all others as outliers, in 14 x 14 pixels."""
    found = loadmat(data / "caltech101_silhouettes/caltech101_silhouettes_28_split1.mat")
    parts = "train", "val", "test"
    X = np.concatenate([found[f"{part}_data"] for part in parts]).astype(float)
    y = np.concatenate([found[f"{part}_labels"].ravel() for part in parts])
    return of_classes(X.reshape(-1, 14, 2, 14, 2).mean((2, 4)).reshape(-1, 196), y > 5, rng)


def mfeat(data: Path, rng: np.random.Generator, seed: int) -> Labelled:
    """All 649 features of handwritten numerals."""
    found = np.load(data / "mfeat/mfeat.npz")
    X = np.hstack([found[view] for view in ("fou", "fac", "kar", "pix", "zer", "mor")])
    return of_classes(X, found["y"].ravel() == (4, 9, 1, 7, 0)[seed % 5], rng)


JUDGED_ON = {
    "thyroid": anomaly("thyroid"),
    "mnist": anomaly("mnist"),
    "wine": wine,
    "mfeat": mfeat,
}
CHOSEN_ON = {
    "cardio": anomaly("cardio"),
    "breast cancer": breast_cancer,
    "digits": digits,
    "iris": iris,
    "banknote": banknote,
    "newsgroups": newsgroups,
    "silhouettes": silhouettes,
}
BUNDLED = {"wine", "breast cancer", "digits", "iris"}


def splits(X: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray, np.ndarray, Any]]:
    """Mode, training rows, judged rows and which of these are outliers."""
    yield "contaminated", X, X, y
    usual = rng.permutation(np.flatnonzero(y == 0))
    half = len(usual) // 2
    rows = np.concatenate([usual[half:], np.flatnonzero(y)])
    yield "clean", X[usual[:half]], X[rows], y[rows]


# -------------------------------------------------------------------- detectors


def ours(model: Any = None) -> Callable[..., np.ndarray]:
    """OutlierDetector with a model, or as it is."""

    def strangeness(train: np.ndarray, test: np.ndarray, mode: str, seed: int) -> np.ndarray:
        detector: Any = OutlierDetector(model, random_state=seed).fit(train)
        return -np.asarray(detector.score_samples(test))

    return strangeness


def forest(train: np.ndarray, test: np.ndarray, mode: str, seed: int) -> np.ndarray:
    """scikit-learn's forest."""
    return -np.asarray(IsolationForest(random_state=seed).fit(train).score_samples(test))


def lof(train: np.ndarray, test: np.ndarray, mode: str, seed: int) -> np.ndarray:
    """scikit-learn's local outlier factor."""
    if mode == "contaminated":
        return -np.asarray(LocalOutlierFactor().fit(train).negative_outlier_factor_)
    return -np.asarray(LocalOutlierFactor(novelty=True).fit(train).score_samples(test))


def pyod(module: str, name: str, **options: Any) -> Callable[..., np.ndarray] | None:
    """A detector of PyOD, or None if it is not installed."""
    try:
        cls = getattr(__import__(f"pyod.models.{module}", fromlist=[name]), name)
    except ImportError:
        return None

    def strangeness(train: np.ndarray, test: np.ndarray, mode: str, seed: int) -> np.ndarray:
        seeded = {} if name == "ECOD" else {"random_state": seed}
        width = {"n_features": train.shape[1]} if name == "DeepSVDD" else {}
        return np.asarray(cls(**options, **seeded, **width).fit(train).decision_function(test))

    return strangeness


METHODS = {
    "OutlierDetector": ours(),
    "AutoEncoder (PyOD)": pyod("auto_encoder", "AutoEncoder", verbose=0),
    "DeepSVDD (PyOD)": pyod("deep_svdd", "DeepSVDD", verbose=0),
    "ECOD (PyOD)": pyod("ecod", "ECOD"),
    "IsolationForest": forest,
    "LocalOutlierFactor": lof,
}
ESTIMATORS = {
    "Autoencoder()": ours(Autoencoder()),
    "VariationalAutoencoder()": ours(VariationalAutoencoder()),
    "RBM(32, hidden='relu')": ours(RBM(32, hidden="relu")),
}


class Figures(NamedTuple):
    """What is measured of one detector on one set in one mode: a mean over the seeds."""

    auc: float
    precision: float
    seconds: float


def measure(strangeness: Callable[..., np.ndarray], load: Any, data: Path, n_seeds: int) -> dict[str, Figures]:
    """Fit and judge a detector in both modes."""
    found: dict[str, list[list[float]]] = {mode: [] for mode in MODES}
    for seed in range(n_seeds):
        rng = np.random.default_rng(seed)
        X, y = load(data, rng, seed)
        for mode, train, test, is_odd in splits(X, y, rng):
            start = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scores = strangeness(train, test, mode, seed)
            seconds = time.process_time() - start
            found[mode].append([roc_auc_score(is_odd, scores), average_precision_score(is_odd, scores), seconds])
    return {mode: Figures(*np.mean(values, axis=0).tolist()) for mode, values in found.items()}


# -------------------------------------------------------------------- tables


def table(results: dict[str, dict[str, dict[str, Figures]]], names: list[str], mode: str, field: str) -> str:
    """One line a set, one column a detector, and the mean and the mean rank of all."""
    values = np.array([[getattr(results[set_][name][mode], field) for name in names] for set_ in results])
    ranks = rankdata(-values, axis=1).mean(0)
    lines = [f"| {mode}, {field} | " + " | ".join(names) + " |", "| --- " + "| ---: " * len(names) + "|"]
    lines += [
        f"| {set_} | " + " | ".join(f"{v:.3f}" for v in row) + " |" for set_, row in zip(results, values, strict=True)
    ]
    lines += ["| mean | " + " | ".join(f"{v:.3f}" for v in values.mean(0)) + " |"]
    lines += ["| mean rank | " + " | ".join(f"{v:.2f}" for v in ranks) + " |"]
    return "\n".join(lines)


def chosen(names: Any, parts: str | None) -> list[str]:
    """The names that contain one of the parts."""
    return [name for name in names if parts is None or any(part in name for part in parts.split(","))]


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only")
    parser.add_argument("--methods")
    parser.add_argument("--estimators", action="store_true", help="measure OutlierDetector with models, not peers")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets = {**JUDGED_ON, **CHOSEN_ON}
    sets = {name: sets[name] for name in chosen(sets, options.only) if options.data or name in BUNDLED}
    known = {name: m for name, m in (ESTIMATORS if options.estimators else METHODS).items() if m is not None}
    names = chosen(known, options.methods)
    OutlierDetector(random_state=0).fit(np.random.default_rng(0).normal(size=(100, 3)))  # torch loads its optimizers
    results: dict[str, dict[str, dict[str, Figures]]] = {}
    for set_, load in sets.items():
        results[set_] = {name: measure(known[name], load, options.data, options.seeds) for name in names}  # type: ignore[misc]
        if options.json:
            told = {s: {n: {m: f._asdict() for m, f in r.items()} for n, r in by.items()} for s, by in results.items()}
            options.json.write_text(json.dumps(told, indent=1))
        for mode in MODES:
            print(f"\n{table({set_: results[set_]}, names, mode, 'auc')}", flush=True)
    for title, part in (("judged on", JUDGED_ON), ("chosen on", CHOSEN_ON)):
        some = {name: results[name] for name in results if name in part}
        for mode in MODES if some else ():
            for field in ("auc", "precision", "seconds"):
                print(f"\n{title}\n{table(some, names, mode, field)}", flush=True)


if __name__ == "__main__":
    main()
