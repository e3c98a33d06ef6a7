"""Each job of docs/choosing.md, by the simple thing first and then by the model of this package, on held-out rows.

    python benchmarks/jobs.py [--only JOBS] [--splits 5] [--data FOLDER] [--json FILE] [--page docs/measured/jobs.md]

Defaults but for the width of codes, and scores only. The sets are those that scikit-learn bundles. ``--data`` adds
``banknote`` and a view of ``mfeat`` from a folder that has them. ``--json`` keeps what was measured: jobs and sets
that are already in the file are not measured again. ``--page`` writes the tables between the marks of that page, and
leaves its prose as it is.
"""

from __future__ import annotations

import argparse
import json
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn import datasets
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest, RandomForestClassifier, RandomForestRegressor
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading

from skae import (
    Autoencoder,
    AutoencoderImputer,
    DenoisingAutoencoder,
    FineTunedClassifier,
    FineTunedRegressor,
    MixtureVariationalAutoencoder,
    OutlierDetector,
    SemiSupervisedAutoencoder,
    VariationalAutoencoder,
)
from skae.metrics import reconstruction_r2, squared_mmd

NOISE, GAPS, N_LABELS, SHARE = 0.5, 0.3, 5, 0.05
"""Standard deviation of noise over that of X, share of missing entries, labels a class, share of outliers."""
SAMPLES = ", samples"
"""How the names of scores of samples end."""
TRAINING = f"training rows{SAMPLES}"
"""What a perfect sample would have. It is no contestant."""
SIZES = range(1, 11)
"""Numbers of normal distributions among which the information criterion chooses."""

Scores = dict[str, float]


class Split(NamedTuple):
    """Rows to learn from, held-out rows, and the numbers or classes that belong to them."""

    train: np.ndarray
    test: np.ndarray
    y: np.ndarray
    y_test: np.ndarray
    seed: int

    @property
    def k(self) -> int:
        """Components of a code."""
        return min(8, self.train.shape[1] // 2)

    def generator(self) -> np.random.Generator:
        """A new generator of this split's random numbers. Two of them draw the same, so rows share one."""
        return np.random.default_rng(self.seed)


# -------------------------------------------------------------------- sets


def bundled(name: str) -> Callable[[Path], tuple[np.ndarray, np.ndarray]]:
    """A set of scikit-learn."""
    return lambda data: getattr(datasets, f"load_{name}")(return_X_y=True)


def banknote(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Four statistics of pictures of notes, genuine and forged."""
    table = np.loadtxt(data / "banknote/data_banknote_authentication.txt", delimiter=",")
    return table[:, :4], table[:, 4].astype(int)


def fourier(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Fourier coefficients of handwritten numerals."""
    found = np.load(data / "mfeat/mfeat.npz")
    return found["fou"].astype(float), found["y"].ravel()


BUNDLED = {name: bundled(name) for name in ("digits", "wine", "breast_cancer", "iris", "diabetes")}
FURTHER = {"banknote": banknote, "mfeat_fou": fourier}
CLASSES = ("digits", "wine", "breast_cancer", "iris", "banknote", "mfeat_fou")
PIXELS = ("digits",)
"""Sets whose columns have one unit already. The columns of others are standardised by the training rows."""


def split(name: str, rows: tuple[np.ndarray, np.ndarray], seed: int) -> Split:
    """Three quarters of the rows, and the last quarter."""
    X, y = rows
    X, X_test, y, y_test = train_test_split(X, y, stratify=y if name in CLASSES else None, random_state=seed)
    if name not in PIXELS:
        scaler = StandardScaler().fit(X)
        X, X_test = scaler.transform(X), scaler.transform(X_test)
    return Split(np.asarray(X, dtype=float), np.asarray(X_test, dtype=float), y, y_test, seed)


# -------------------------------------------------------------------- jobs


def compress(s: Split) -> Scores:
    """R2 of held-out rows restored from their codes."""
    models = {"PCA": PCA(s.k), "Autoencoder": Autoencoder(s.k, random_state=s.seed)}
    return {name: reconstruction_r2(model.fit(s.train), s.test) for name, model in models.items()}


def classify(s: Split) -> Scores:
    """Accuracy with all labels: on all columns, on codes, and with an encoder that is trained for the labels."""
    encoder = Autoencoder(s.k, random_state=s.seed)
    models = {
        "RandomForest": RandomForestClassifier(random_state=s.seed),
        "linear": linear(),
        "PCA, linear": make_pipeline(PCA(s.k), linear()),
        "Autoencoder, linear": make_pipeline(encoder, linear()),
        "Autoencoder, RandomForest": make_pipeline(encoder, RandomForestClassifier(random_state=s.seed)),
        "FineTunedClassifier": FineTunedClassifier(encoder, random_state=s.seed),
    }
    return {name: model.fit(s.train, s.y).score(s.test, s.y_test) for name, model in models.items()}


def linear() -> Any:
    """Logistic regression on standardised columns."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))


def regress(s: Split) -> Scores:
    """R2 of a number with all values known."""
    models = {
        "RandomForest": RandomForestRegressor(random_state=s.seed),
        "ridge": RidgeCV(np.logspace(-3, 3, 13)),
        "FineTunedRegressor": FineTunedRegressor(Autoencoder(s.k, random_state=s.seed), random_state=s.seed),
    }
    return {name: model.fit(s.train, s.y).score(s.test, s.y_test) for name, model in models.items()}


def few_labels(s: Split) -> Scores:
    """Accuracy from five labels a class."""
    rows = np.concatenate([s.generator().permutation(np.flatnonzero(s.y == c))[:N_LABELS] for c in np.unique(s.y)])
    known = np.full(len(s.y), -1)
    known[rows] = s.y[rows]
    alone = {"linear": linear(), "RandomForest": RandomForestClassifier(random_state=s.seed)}
    found = {name: model.fit(s.train[rows], s.y[rows]).score(s.test, s.y_test) for name, model in alone.items()}
    graph = LabelSpreading(kernel="knn").fit(s.train, known)
    ours = SemiSupervisedAutoencoder(random_state=s.seed).fit(s.train, known)
    return {
        **found,
        "LabelSpreading": graph.score(s.test, s.y_test),
        "SemiSupervisedAutoencoder": ours.score(s.test, s.y_test),
    }


def mixture(X: np.ndarray, seed: int) -> GaussianMixture:
    """The mixture of normal distributions whose size is best by the Bayesian information criterion."""
    models = [GaussianMixture(n, random_state=seed).fit(X) for n in SIZES]
    return min(models, key=lambda model: model.bic(X))


def spread_out(s: Split) -> Split:
    """Rows of whole numbers with uniform noise between them, so that they have a density."""
    if (s.train != s.train.round()).any():
        return s
    rng = s.generator()
    return s._replace(train=s.train + rng.random(s.train.shape), test=s.test + rng.random(s.test.shape))


def density(s: Split) -> Scores:
    """Mean log p of held-out rows in nats, and 1000 times the squared MMD of samples to them."""
    s = spread_out(s)
    n = 1000
    models = {
        "one Gaussian": GaussianMixture(random_state=s.seed).fit(s.train),
        "GaussianMixture": mixture(s.train, s.seed),
        "VariationalAutoencoder": VariationalAutoencoder(s.k, random_state=s.seed).fit(s.train),
    }
    found = {name: float(model.score(s.test)) for name, model in models.items()}
    for name, model in models.items():
        ours = isinstance(model, VariationalAutoencoder)
        drawn = model.sample(n, random_state=s.seed) if ours else model.sample(n)[0]
        found[f"{name}{SAMPLES}"] = 1000 * squared_mmd(s.test, drawn)
    return {**found, TRAINING: 1000 * squared_mmd(s.test, s.train)}


def clusters(s: Split) -> Scores:
    """Adjusted Rand index of the clusters of held-out rows and their classes, with as many clusters as classes."""
    n = len(np.unique(s.y))
    models = {
        "KMeans": KMeans(n, n_init=10, random_state=s.seed),
        "GaussianMixture": GaussianMixture(n, random_state=s.seed),
        "PCA, GaussianMixture": make_pipeline(PCA(s.k), GaussianMixture(n, random_state=s.seed)),
        "MixtureVariationalAutoencoder": MixtureVariationalAutoencoder(n_clusters=n, random_state=s.seed),
        "MixtureVariationalAutoencoder(k)": MixtureVariationalAutoencoder(s.k, n_clusters=n, random_state=s.seed),
    }
    return {name: adjusted_rand_score(s.y_test, m.fit(s.train).predict(s.test)) for name, m in models.items()}


def noise(s: Split) -> Scores:
    """R2 of held-out rows that are restored from noisy copies. Clean rows are known in training."""
    level = NOISE * np.sqrt(s.train.var(axis=0).mean())
    rng = s.generator()
    X_noisy, noisy = (X + level * rng.normal(size=X.shape) for X in (s.train, s.test))
    ridge = RidgeCV(np.logspace(-3, 6, 19)).fit(X_noisy, s.train)
    pca = PCA(s.k).fit(s.train)
    narrow = Autoencoder(s.k, random_state=s.seed).fit(s.train)
    d = s.train.shape[1]
    ours, wide = (DenoisingAutoencoder(n, corruption_level=NOISE, random_state=s.seed).fit(s.train) for n in (s.k, d))
    restored = {
        "as they are": noisy,
        "PCA": pca.inverse_transform(pca.transform(noisy)),
        "ridge regression": ridge.predict(noisy),
        "Autoencoder": narrow.inverse_transform(narrow.transform(noisy)),
        "DenoisingAutoencoder": ours.denoise(noisy),
        "DenoisingAutoencoder(d)": wide.denoise(noisy),
    }
    total = np.square(s.test - s.train.mean(axis=0)).sum()
    return {name: float(1 - np.square(X - s.test).sum() / total) for name, X in restored.items()}


def gaps(s: Split) -> Scores:
    """Root mean square error of missing entries of held-out rows, in standard deviations."""
    rng = s.generator()
    hidden, missing = (rng.random(X.shape) < GAPS for X in (s.train, s.test))
    X, X_test = np.where(hidden, np.nan, s.train), np.where(missing, np.nan, s.test)
    models = {
        "SimpleImputer": SimpleImputer(),
        "KNNImputer": KNNImputer(),
        "AutoencoderImputer": AutoencoderImputer(random_state=s.seed),
    }
    unit = s.train.std(axis=0) + 0 * s.test
    use = missing & (unit > 0.0)
    filled = {name: model.fit(X).transform(X_test) for name, model in models.items()}
    return {name: float(np.sqrt(np.mean(((F - s.test)[use] / unit[use]) ** 2))) for name, F in filled.items()}


def outliers(s: Split) -> Scores:
    """Area under the ROC curve: rows of one class, a twentieth of all, among the others; fitted to all of them."""
    odd = np.unique(s.y)[s.seed % len(np.unique(s.y))]
    usual, rare = np.flatnonzero(s.y != odd), s.generator().permutation(np.flatnonzero(s.y == odd))
    rare = rare[: max(5, round(SHARE * len(usual)))]
    X, is_odd = s.train[np.concatenate([usual, rare])], np.repeat([0, 1], [len(usual), len(rare)])
    scores = {
        "IsolationForest": IsolationForest(random_state=s.seed).fit(X).score_samples(X),
        "LocalOutlierFactor": LocalOutlierFactor().fit(X).negative_outlier_factor_,
        "OutlierDetector": OutlierDetector(random_state=s.seed).fit(X).score_samples(X),
    }
    return {name: float(roc_auc_score(is_odd, -np.asarray(score))) for name, score in scores.items()}


NUMBERS = ("diabetes",)
SMALL = ("wine", "breast_cancer", "banknote", "diabetes")
"""Sets whose gaps are filled here. benchmarks/imputation.py has more."""
JOBS: dict[str, tuple[Callable[[Split], Scores], tuple[str, ...]]] = {
    "compress": (compress, (*CLASSES, *NUMBERS)),
    "classify": (classify, CLASSES),
    "regress": (regress, NUMBERS),
    "few_labels": (few_labels, CLASSES),
    "density": (density, CLASSES),
    "clusters": (clusters, CLASSES),
    "noise": (noise, (*CLASSES, *NUMBERS)),
    "gaps": (gaps, SMALL),
    "outliers": (outliers, CLASSES),
}

# -------------------------------------------------------------------- tables


def measured(job: str, name: str, rows: tuple[np.ndarray, np.ndarray], n_splits: int) -> dict[str, list[float]]:
    """Scores of each method on each split."""
    found = [JOBS[job][0](split(name, rows, seed)) for seed in range(n_splits)]
    return {method: [scores[method] for scores in found] for method in found[0]}


def table(results: dict[str, dict[str, list[float]]], methods: list[str], lower: bool = False, digits: int = 3) -> str:
    """One line a set with means and standard deviations over the splits. The best mean of each line is bold."""
    titles = [method.removesuffix(SAMPLES) for method in methods]
    lines = ["| | " + " | ".join(titles) + " |", "| --- |" + " ---: |" * len(methods)]
    for name, found in results.items():
        means = {method: float(np.mean(found[method])) for method in methods if method != TRAINING}
        best = (min if lower else max)(round(mean, digits) for mean in means.values())
        cells = [shown(found[method], round(means.get(method, np.nan), digits) == best, digits) for method in methods]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def shown(values: list[float], is_best: bool, digits: int) -> str:
    """A mean and a standard deviation."""
    text = f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1) if len(values) > 1 else 0.0:.{digits}f}"
    return f"**{text}**" if is_best else text


def tables(results: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """A name and a table for each job."""
    for job, of_sets in results.items():
        methods = list(next(iter(of_sets.values())))
        if job == "density":
            yield "density", table(of_sets, [m for m in methods if not m.endswith(SAMPLES)], digits=1)
            yield "samples", table(of_sets, [m for m in methods if m.endswith(SAMPLES)], lower=True, digits=2)
        else:
            yield job, table(of_sets, methods, lower=job == "gaps")


def rewritten(page: str, results: dict[str, Any]) -> str:
    """A page with these tables in place of those between its marks."""
    for name, text in tables(results):
        parts = re.split(rf"(<!-- {name} -->).*?(<!-- end -->)", page, flags=re.DOTALL)
        if len(parts) != 4:
            raise SystemExit(f"The page has {len(parts) // 3} places for the table {name!r}.")
        page = f"{parts[0]}{parts[1]}\n\n{text}\n\n{parts[2]}{parts[3]}"
    return page


def main() -> None:
    """Measure, print, and write the tables of the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names of jobs, separated by commas")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    kept = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    sets = {**BUNDLED, **(FURTHER if options.data else {})}
    results: dict[str, Any] = {}
    for job in options.only.split(",") if options.only else JOBS:
        results[job] = {}
        for name in (name for name in JOBS[job][1] if name in sets):
            known = kept.setdefault(job, {})
            if name not in known:
                known[name] = measured(job, name, sets[name](options.data), options.splits)
                if options.json:
                    options.json.write_text(json.dumps(kept, indent=1))
            results[job][name] = known[name]
        print(*(f"\n{name}\n{text}" for name, text in tables({job: results[job]})), sep="\n", flush=True)
    if options.page:
        options.page.write_text(rewritten(options.page.read_text(), results))


if __name__ == "__main__":
    main()
