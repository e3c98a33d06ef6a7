"""Two-dimensional maps: neighbours kept, classes kept apart, rows restored, and seconds, beside UMAP and PaCMAP.

    python benchmarks/maps.py [--only SETS] [--reducers NAMES] [--folds 5] [--data FOLDER] [--json FILE]

Default settings, nothing tuned, means over folds. ``--only`` and ``--reducers`` take parts of names. ``--data`` adds
sets from a folder that has ``mnist``, ``newsgroups``, ``olivetti``, ``mfeat`` and ``anomaly`` in it. The extra
``bench`` brings the packages that are compared; those that are not installed are left out.

- "5-NN": share of held-out rows whose class is that of most of their 5 nearest training rows on the map.
- "trust" and "kept": ``skae.metrics.trustworthiness`` (5 neighbours) and ``neighborhood_preservation`` (15 neighbours)
  of the first 2000 held-out rows.
- "R2": of the held-out rows, restored from two numbers. UMAP restores the first 50 of them, which takes seconds.
- "fit s", "rows/s" and "decoded/s": seconds of ``fit``, held-out rows that are mapped and restored in a second.

scikit-learn's TSNE, and PaCMAP without its saved index, map no held-out rows. openTSNE maps them, but restores none.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.io import loadmat
from sklearn import datasets
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from variants import mnist

from skae import Autoencoder, NeighborAutoencoder
from skae.metrics import neighborhood_preservation, trustworthiness

Folds = list[tuple[np.ndarray, np.ndarray]]
COLUMNS = "5-NN", "trust", "kept", "R2", "fit s", "rows/s", "decoded/s"
N_JUDGED = 2000
"""Held-out rows whose neighbours are compared."""
N_SLOW = 50
"""Rows that a reducer restores which takes long."""


class Labelled(NamedTuple):
    """A table with classes, and the folds into which it is split."""

    X: Any
    y: np.ndarray
    folds: Folds
    metric: str = "euclidean"


class Mapped:
    """Rows and their map, as an estimator that ``skae.metrics`` takes."""

    def __init__(self, H: np.ndarray) -> None:
        self.H = H

    def transform(self, X: Any) -> np.ndarray:
        """Return the map."""
        return self.H


# -------------------------------------------------------------------- sets


def split(X: Any, y: np.ndarray, n_folds: int) -> Labelled:
    """A table in stratified folds."""
    return Labelled(X, y, list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))[:n_folds])


def bundled(name: str, standardize: bool = True) -> Callable[[int, Path | None], Labelled]:
    """A set of scikit-learn."""

    def load(n_folds: int, data: Path | None) -> Labelled:
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        return split(StandardScaler().fit_transform(X) if standardize else X, y, n_folds)

    return load


def digits_by_hand(n_train: int, n_test: int) -> Callable[[int, Path], Labelled]:
    """Rows of MNIST, some of its training images and some of its test images."""

    def load(n_folds: int, data: Path) -> Labelled:
        X, X_test, y, y_test = mnist(data, full=True)
        rng = np.random.default_rng(0)
        train, test = rng.permutation(60_000)[:n_train], rng.permutation(10_000)[:n_test]
        rows = np.arange(n_train + n_test)
        both = np.vstack([X[train], X_test[test]]), np.concatenate([y[train], y_test[test]])
        return Labelled(*both, [(rows[:n_train], rows[n_train:])])

    return load


def newsgroups(n_folds: int, data: Path) -> Labelled:
    """TF-IDF of 2000 words, by date. Documents without any of the words are left out."""
    stored = np.load(data / "newsgroups" / "20newsgroups_bydate_bow2000.npz")
    parts = [
        sparse.csr_matrix(
            (stored[f"{part}_data"].astype(float), stored[f"{part}_indices"], stored[f"{part}_indptr"]),
            shape=(len(stored[f"y_{part}"]), 2000),
        )
        for part in ("train", "test")
    ]
    weigh = TfidfTransformer(sublinear_tf=True).fit(parts[0])
    X = weigh.transform(sparse.vstack(parts)).tocsr()
    y = np.concatenate([stored["y_train"], stored["y_test"]])
    full, n = np.asarray(X.getnnz(axis=1) > 0), parts[0].shape[0]
    rows = np.arange(len(y))
    return Labelled(X, y, [(rows[full & (rows < n)], rows[full & (rows >= n)])], "cosine")


def olivetti(n_folds: int, data: Path) -> Labelled:
    """400 faces of 40 people."""
    faces = loadmat(data / "olivetti" / "olivettifaces.mat")["faces"].T.astype(float)
    return split(faces, np.arange(400) // 10, n_folds)


def mfeat(n_folds: int, data: Path) -> Labelled:
    """Digits in six views, standardised: 649 columns."""
    stored = np.load(data / "mfeat" / "mfeat.npz")
    views = [stored[name].astype(float) for name in ("fou", "fac", "kar", "pix", "zer", "mor")]
    return split(StandardScaler().fit_transform(np.hstack(views)), stored["y"], n_folds)


def anomaly(name: str) -> Callable[[int, Path], Labelled]:
    """A table with usual and unusual rows."""

    def load(n_folds: int, data: Path) -> Labelled:
        stored = np.load(data / "anomaly" / f"{name}.npz")
        return split(stored["X"].astype(float), stored["y"].astype(int), n_folds)

    return load


SETS: dict[str, Callable[[int, Any], Labelled]] = {
    "digits": bundled("digits", standardize=False),
    "wine": bundled("wine"),
    "breast_cancer": bundled("breast_cancer"),
}
STORED: dict[str, Callable[[int, Any], Labelled]] = {
    "olivetti": olivetti,
    "mfeat": mfeat,
    "cardio": anomaly("6_cardio"),
    "thyroid": anomaly("38_thyroid"),
    "anomaly_mnist": anomaly("24_mnist"),
    "newsgroups": newsgroups,
    "mnist_10000": digits_by_hand(10_000, 2000),
    "mnist_60000": digits_by_hand(60_000, 10_000),
}


# -------------------------------------------------------------------- reducers


def umap(metric: str) -> Any:
    """UMAP with its defaults. Without a seed it uses all processors."""
    return importlib.import_module("umap").UMAP(metric=metric)


def pacmap(metric: str) -> Any:
    """PaCMAP, with the index that it needs to map new rows."""
    return importlib.import_module("pacmap").PaCMAP(
        distance="angular" if metric == "cosine" else metric, save_tree=True
    )


class OpenTSNE:
    """openTSNE with the methods of scikit-learn."""

    def __init__(self, metric: str) -> None:
        self.tsne = importlib.import_module("openTSNE").TSNE(metric=metric, n_jobs=-1, random_state=0)

    def fit(self, X: Any) -> OpenTSNE:
        """Fit."""
        self.map = self.tsne.fit(X)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Map new rows."""
        return np.asarray(self.map.transform(X))


REDUCERS: dict[str, Callable[[str], Any]] = {
    "PCA": lambda metric: PCA(2, random_state=0),
    "Autoencoder": lambda metric: Autoencoder(random_state=0),
    "NeighborAutoencoder": lambda metric: NeighborAutoencoder(metric=metric, random_state=0),
    "NeighborAutoencoder, objective=umap": lambda metric: NeighborAutoencoder(
        metric=metric, objective="umap", random_state=0
    ),
    "NeighborAutoencoder, objective=pacmap": lambda metric: NeighborAutoencoder(
        metric=metric, objective="pacmap", random_state=0
    ),
    "UMAP": umap,
    "PaCMAP": pacmap,
    "openTSNE": OpenTSNE,
}


def r2(X: np.ndarray, X_hat: np.ndarray, mean: np.ndarray) -> float:
    """R2 of restored rows against the training mean."""
    return 1 - float(np.square(X - X_hat).sum() / np.square(X - mean).sum())


def dense(X: Any) -> np.ndarray:
    """An array of an array or a sparse matrix."""
    return X.toarray() if sparse.issparse(X) else np.asarray(X)


def timed(function: Callable[[Any], Any], X: Any) -> tuple[np.ndarray, float]:
    """A result, and the seconds that it took."""
    start = time.perf_counter()
    found = function(X)
    return found, time.perf_counter() - start


def figures(reducer: Any, table: Labelled, train: np.ndarray, test: np.ndarray) -> dict[str, float]:
    """All figures of one fold. A reducer that lacks something has no such figure."""
    X, X_test = table.X[train], table.X[test]
    if isinstance(reducer, PCA) and sparse.issparse(X):
        reducer = TruncatedSVD(2, random_state=0)
    _, fit_seconds = timed(reducer.fit, X)
    H = np.asarray(reducer.embedding_) if hasattr(reducer, "embedding_") else np.asarray(reducer.transform(X))
    H_test, seconds = timed(reducer.transform, X_test)
    H_test = np.asarray(H_test)
    some = slice(N_JUDGED)
    found = {
        "5-NN": KNeighborsClassifier(5).fit(H, table.y[train]).score(H_test, table.y[test]),
        "trust": trustworthiness(Mapped(H_test[some]), X_test[some], metric=table.metric),
        "kept": neighborhood_preservation(Mapped(H_test[some]), X_test[some], metric=table.metric),
        "fit s": fit_seconds,
        "rows/s": len(H_test) / seconds,
    }
    if not hasattr(reducer, "inverse_transform"):
        return found
    n = N_SLOW if type(reducer).__name__ == "UMAP" else len(H_test)
    try:
        X_hat, seconds = timed(reducer.inverse_transform, H_test[:n])
    except (ValueError, AttributeError, NotImplementedError, IndexError) as error:  # UMAP restores no sparse rows
        print(f"{type(reducer).__name__} restores nothing here: {error}")
        return found
    mean = np.asarray(X.mean(axis=0)).ravel()
    return {**found, "R2": r2(dense(X_test[:n]), dense(X_hat), mean), "decoded/s": n / seconds}


# -------------------------------------------------------------------- the run


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], metavar="SET")
    parser.add_argument(
        "--reducers", nargs="+", default=["PCA", "Autoencoder", "NeighborAutoencoder", "UMAP", "PaCMAP"]
    )
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    sets = {**SETS, **(STORED if options.data else {})}
    chosen = [name for name in sets if not options.only or any(part in name for part in options.only)]
    named = [name for name in REDUCERS if name in options.reducers]
    all_figures: dict[str, dict[str, dict[str, float]]] = {}
    for name in chosen:
        table = sets[name](options.folds, options.data)
        shape = f"{table.X.shape[0]} x {table.X.shape[1]}"
        print(f"\n{name}: {shape}, folds: {len(table.folds)}, load {os.getloadavg()[0]:.1f}")
        print(f"{'':<40}" + "".join(f"{column:>11}" for column in COLUMNS))
        for who in named:
            try:
                rows = [figures(REDUCERS[who](table.metric), table, *fold) for fold in table.folds]
            except (ImportError, ValueError) as error:  # PaCMAP takes no sparse rows
                print(f"{who:<40} is left out: {error}")
                continue
            means = {column: float(np.mean([row[column] for row in rows])) for column in COLUMNS if column in rows[0]}
            all_figures.setdefault(name, {})[who] = means
            cells = (f"{means[c]:>11,.0f}" if means[c] >= 100 else f"{means[c]:>11.3f}" for c in COLUMNS if c in means)
            shown = [next(cells) if column in means else f"{'-':>11}" for column in COLUMNS]
            print(f"{who:<40}" + "".join(shown), flush=True)
            if options.json:
                options.json.write_text(json.dumps(all_figures, indent=1))


if __name__ == "__main__":
    main()
