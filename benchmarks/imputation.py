"""Imputation: errors of missing entries, a classifier after it, and seconds, beside scikit-learn's imputers.

    python benchmarks/imputation.py [--data FOLDER] [--only SETS] [--imputers NAMES] [--masks 5] [--rows 400]
                                    [--first 0] [--trees 30] [--rounds 4] [--json FILE] [--show FILES]

Default settings of all imputers, but for the forests: ``--trees`` and ``--rounds`` are theirs. ``--data`` adds sets
from a folder that has ``banknote``, ``mfeat`` and ``anomaly`` in it. ``--only`` and ``--imputers`` take parts of names.

A set is at most ``--rows`` rows, half of them to learn from and half held out. Entries are made missing in both halves:

- "MCAR": each with the same probability.
- "MAR": three columns in ten are observed. An entry of another column is missing with a probability that is a logistic
  function of a random combination of the observed columns, of deviation 2 on the scale of the logit.
- "MNAR": the same with the entry itself, of deviation 1.5, in place of the combination. In half of the columns high
  values are missing more often, in the others low ones.

Measured are the root mean square error of the missing entries, in standard deviations of the column: "in place" of the
rows that the imputer was fitted to, and "held out" of the others. "accuracy" is that of a logistic regression that is
fitted to the filled rows and their classes, for the other half. Seconds are processor time of fit and both transforms.
All figures are kept by set and mask, and the file is written after each set.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn import datasets
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderImputer

MECHANISMS = [("MAR", 0.3), ("MCAR", 0.5), ("MCAR", 0.3), ("MCAR", 0.1), ("MNAR", 0.3)]
TUNED = {"iris", "diabetes", "banknote", "mfeat zer", "digits"}
"""Sets on which settings were chosen: the number of steps, the doubt about the networks, and, on digits, that EM ends
where held-out entries are filled in best."""
COLUMNS = "in place", "held out", "accuracy", "seconds"
Table = tuple[np.ndarray, np.ndarray]


def bundled() -> dict[str, Callable[[], Table]]:
    """Sets that come with scikit-learn. Those of numbers are classified by their median."""

    def above_median() -> Table:
        X, y = datasets.load_diabetes(return_X_y=True)
        return X, y > np.median(y)

    return {
        "iris": lambda: datasets.load_iris(return_X_y=True),
        "diabetes": above_median,
        "wine": lambda: datasets.load_wine(return_X_y=True),
        "breast cancer": lambda: datasets.load_breast_cancer(return_X_y=True),
        "digits": lambda: datasets.load_digits(return_X_y=True),
    }


def found_in(folder: Path) -> dict[str, Callable[[], Table]]:
    """Sets of a folder of data."""

    def anomaly(name: str) -> Table:
        with np.load(folder / "anomaly" / name) as file:
            return file["X"], file["y"]

    def banknote() -> Table:
        rows = np.loadtxt(folder / "banknote/data_banknote_authentication.txt", delimiter=",")
        return rows[:, :4], rows[:, 4]

    def view(name: str) -> Table:
        with np.load(folder / "mfeat/mfeat.npz") as file:
            return file[name], file["y"]

    return {
        "banknote": banknote,
        "cardio": lambda: anomaly("6_cardio.npz"),
        "thyroid": lambda: anomaly("38_thyroid.npz"),
        "mfeat mor": lambda: view("mor"),
        "mfeat zer": lambda: view("zer"),
    }


def imputers(trees: int, rounds: int) -> dict[str, Callable[[int], Any]]:
    """What is compared, by name. Each is made with a seed."""

    def forest(kind: Any, **options: Any) -> Callable[[int], Any]:
        return lambda seed: IterativeImputer(
            kind(trees, random_state=seed, **options), max_iter=rounds, random_state=seed
        )

    return {
        "mean": lambda seed: SimpleImputer(),
        "KNN": lambda seed: KNNImputer(),
        "BayesianRidge": lambda seed: IterativeImputer(random_state=seed),
        "ExtraTrees": forest(ExtraTreesRegressor),
        "RandomForest": forest(RandomForestRegressor, max_features="sqrt"),
        "AutoencoderImputer": lambda seed: AutoencoderImputer(random_state=seed),
    }


class Gaussian:
    """The Gaussian of a fitted ``AutoencoderImputer`` alone."""

    def __init__(self, imputer: AutoencoderImputer) -> None:
        self.imputer = imputer

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Fill in with no trust in the networks."""
        filler = self.imputer._filler
        networks, filler.networks = filler.networks, None
        try:
            return self.imputer.transform(X)
        finally:
            filler.networks = networks


def missing(X: np.ndarray, mechanism: str, rate: float, rng: np.random.RandomState) -> np.ndarray:
    """Which entries are missing. At least two entries of each column stay in each half of the rows."""
    n, d = X.shape
    if mechanism == "MCAR":
        return rng.random_sample(X.shape) < rate
    gone = np.zeros(X.shape, dtype=bool)
    observed = rng.permutation(d)[: max(1, round(0.3 * d))] if mechanism == "MAR" else np.array([], dtype=int)
    for j in np.setdiff1d(np.arange(d), observed):
        if mechanism == "MAR":
            logit = X[:, observed] @ rng.standard_normal(len(observed))
            logit *= 2 / max(logit.std(), 1e-12)
        else:
            logit = 1.5 * rng.choice([-1, 1]) * X[:, j]
        gone[:, j] = rng.random_sample(n) < expit(logit + _offset(logit, rate))
    return gone


def _offset(logit: np.ndarray, rate: float) -> float:
    """What makes the mean probability the rate."""
    low, high = -50.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(logit + middle).mean() < rate else (low, middle)
    return low


def measured(imputer: Any, parts: list[np.ndarray], truth: list[np.ndarray], y: list[np.ndarray]) -> dict[str, float]:
    """The figures of a fitted imputer."""
    filled = [imputer.transform(part) for part in parts]
    errors = [
        float(np.sqrt(np.mean(np.square(f - t)[np.isnan(part)])))
        for f, t, part in zip(filled, truth, parts, strict=True)
    ]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(filled[0], y[0])
    return dict(zip(COLUMNS, [*errors, float(model.score(filled[1], y[1]))], strict=False))


def cells(X: np.ndarray, y: np.ndarray, mask: int, made: dict[str, Any], n_rows: int) -> dict[str, dict[str, Any]]:
    """Figures of all imputers, by mechanism and imputer, for one mask."""
    rng = np.random.RandomState(mask)
    some = rng.permutation(len(X))[:n_rows]
    X, y = X[some].astype(float), y[some]
    fewest = np.unique(y, return_counts=True)[1].min()
    halves = train_test_split(np.arange(len(X)), test_size=0.5, random_state=mask, stratify=y if fewest > 1 else None)
    kept = X[halves[0]].std(0) > 1e-9
    X = X[:, kept]
    X = (X - X[halves[0]].mean(0)) / X[halves[0]].std(0)
    found: dict[str, dict[str, Any]] = {}
    for mechanism, rate in MECHANISMS:
        gone = missing(X, mechanism, rate, rng)
        for half in halves:
            gone[half[:2]] &= False
        parts = [np.where(gone[half], np.nan, X[half]) for half in halves]
        truth, classes = [X[half] for half in halves], [y[half] for half in halves]
        of_mechanism = found.setdefault(f"{mechanism} {rate:.0%}", {})
        for name, make in made.items():
            started = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                imputer = make(mask).fit(parts[0])
                figures = measured(imputer, parts, truth, classes)
                of_mechanism[name] = {**figures, "seconds": time.process_time() - started}
                if isinstance(imputer, AutoencoderImputer):
                    of_mechanism["Gaussian"] = measured(Gaussian(imputer), parts, truth, classes)
                    of_mechanism[name]["trust"] = float(imputer.trust_)
    return found


def mean_of(results: list[dict[str, Any]], mechanism: str, name: str, column: str) -> float:
    """Mean over sets of the means over masks."""
    keys = dict.fromkeys(r["set"] for r in results)
    of = [[r["figures"][mechanism][name].get(column, np.nan) for r in results if r["set"] == key] for key in keys]
    return float(np.mean([np.mean(values) for values in of])) if of else float("nan")


def summary(results: list[dict[str, Any]]) -> str:
    """Tables of the means over masks and sets, and of each set."""
    names = list(results[0]["figures"][next(iter(results[0]["figures"]))])
    others = [r for r in results if r["set"] not in TUNED]
    head = ["in place", "held out", "in place, others", "held out, others", "accuracy", "seconds"]
    lines = []
    for mechanism in results[0]["figures"]:
        lines += ["", f"| {mechanism} | " + " | ".join(head) + " |", "| --- |" + " ---: |" * len(head)]
        for name in names:
            values = [mean_of(results, mechanism, name, column) for column in ("in place", "held out")]
            values += [mean_of(others, mechanism, name, column) for column in ("in place", "held out")]
            told = [f"{v:.3f}" for v in (*values, mean_of(results, mechanism, name, "accuracy"))]
            seconds = mean_of(results, mechanism, name, "seconds")
            lines.append(f"| {name} | " + " | ".join([*told, "-" if np.isnan(seconds) else f"{seconds:.1f}"]) + " |")
    for column in ("in place", "held out"):
        for mechanism in results[0]["figures"]:
            lines += ["", f"| {mechanism}, {column} | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]
            for key in dict.fromkeys(r["set"] for r in results):
                of_set = [r for r in results if r["set"] == key]
                values = [mean_of(of_set, mechanism, name, column) for name in names]
                lines.append(f"| {key} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    total = {name: sum(f[name].get("seconds", 0) for r in results for f in r["figures"].values()) for name in names}
    masks = {key: len([r for r in results if r["set"] == key]) for key in dict.fromkeys(r["set"] for r in results)}
    lines.append("\nseconds in total: " + ", ".join(f"{name} {value:.0f}" for name, value in total.items()))
    lines.append("masks: " + ", ".join(f"{key} {n}" for key, n in masks.items()))
    return "\n".join(lines)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--imputers", default="")
    parser.add_argument("--masks", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="number of the first mask")
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--trees", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--show", type=Path, nargs="*", help="print the tables of these files, and measure nothing")
    options = parser.parse_args()
    if options.show:
        print(summary([result for file in options.show for result in json.loads(file.read_text())]))
        return
    sets = bundled() | (found_in(options.data) if options.data else {})
    wanted = [part for part in options.only.split(",") if part]
    sets = {name: load for name, load in sets.items() if not wanted or any(part in name for part in wanted)}
    chosen = [part for part in options.imputers.split(",") if part]
    made = imputers(options.trees, options.rounds)
    made = {name: make for name, make in made.items() if not chosen or any(part in name for part in chosen)}
    results: list[dict[str, Any]] = []
    for mask in range(options.first, options.first + options.masks):
        for name, load in sets.items():
            X, y = load()
            figures = cells(np.asarray(X), np.asarray(y).ravel(), mask, made, options.rows)
            results.append({"set": name, "mask": mask, "tuned": name in TUNED, "figures": figures})
            load_now = os.getloadavg()[0]
            print(f"mask {mask}, {name} {X.shape}, load {load_now:.1f}", flush=True)
            if options.json:
                options.json.write_text(json.dumps(results))
    print(summary(results))


if __name__ == "__main__":
    main()
