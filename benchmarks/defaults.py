"""Held-out R2 of Autoencoder's defaults beside PCA, on every set that scikit-learn bundles.

    python benchmarks/defaults.py [--splits 5] [--data DIR] [--set max_iter=200 ...] [--markdown FILE]
    python benchmarks/defaults.py --widths

Raw, unscaled columns; 75/25 splits; the median over the splits of R2 against the training mean. With
``--data`` the sets that do not come with scikit-learn are added. ``--set`` tries other settings
than the defaults, which is how they were chosen. ``--widths`` compares the widths of sparse codes
and of filters instead: chosen on a part of the training rows, judged on the test rows.
"""

from __future__ import annotations

import argparse
import ast
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder, ReceptiveFieldAutoencoder, SparseAutoencoder
from skae.metrics import code_statistics, reconstruction_r2

BUNDLED = ("digits", "wine", "breast_cancer", "iris", "diabetes", "linnerud")
SIZES = {"digits": (1, 2, 5, 8, 16)}


PAGE = """# The defaults beside PCA

Held-out R2 of the reconstruction against the mean of the training data, median over five 75/25 splits; raw columns,
nothing tuned. "gain" is the median difference to PCA on the same split, "worst split" the smallest. Seconds are of one
fit on two shared cores. The sets below linnerud do not come with scikit-learn.

{table}

The smallest median gain is {worst:+.4f}, and the smallest of a single split {least:+.3f}. How it was made: `python
benchmarks/defaults.py --data DIR --markdown docs/measured/defaults.md`.

{widths}
"""

WIDTHS = (2, 4, 8, 16, 32, 64, 128)
TOLERANCE = 0.01
"""The default is the smallest width whose mean R2 and mean accuracy are at most so far below the best."""
WIDTHS_PAGE = """## How wide is a sparse code?

`SparseAutoencoder` and `ReceptiveFieldAutoencoder` are not for short codes, and need a width of their own. There are
six bundled sets: digits, patches of 8 x 8 grey values, and the columns of iris, wine, breast_cancer and diabetes,
standardized. A quarter of the rows of each set was put aside. The other rows were split {splits} times: models were
fitted to three quarters and measured on the rest. The table has the means over sets and splits: R2, accuracy of
logistic regression on the code (of the four sets with classes), active units, and seconds of a fit on a busy machine.
The filters of images are local, 4 x 4 pixels. The default is the smallest width that is at most {tolerance} below the
best R2 and at most {tolerance} below the best accuracy.

{table}

On the quarter that was put aside, fitted to all other rows:

{judged}

Made by `python benchmarks/defaults.py --widths --splits {splits}`.
"""


def tables(folder: Path | None) -> dict[str, np.ndarray]:
    """Every table, by name."""
    found = {name: getattr(datasets, f"load_{name}")().data for name in BUNDLED}
    found["diabetes"] = datasets.load_diabetes(scaled=False).data  # the others are raw too
    if folder is not None:
        found["banknote"] = np.loadtxt(folder / "banknote/data_banknote_authentication.txt", delimiter=",")[:, :4]
        found["frey_faces"] = np.load(folder / "frey_faces/frey_faces.npz")["images"].reshape(-1, 560)
        for path in sorted((folder / "anomaly").glob("*.npz")):
            found[path.stem] = np.load(path)["X"]
        found.update(
            (f"mfeat_{name}", view) for name, view in np.load(folder / "mfeat/mfeat.npz").items() if name != "y"
        )
    return {name: np.asarray(X, dtype=float) for name, X in found.items()}


def row(name: str, X: np.ndarray, k: int, splits: int, settings: dict[str, Any]) -> list[float]:
    """Median R2 of PCA and of ours, the worst and the median difference, and the median seconds of a fit."""
    results = []
    for seed in range(splits):
        train, test = train_test_split(X, random_state=seed)
        pca = reconstruction_r2(PCA(k).fit(train), test)
        start = time.perf_counter()
        model = Autoencoder(k, random_state=0, **settings).fit(train)
        results.append((pca, model.score(test), time.perf_counter() - start))
    pca_r2, ours, seconds = np.array(results).T
    gain = ours - pca_r2
    return [np.median(pca_r2), np.median(ours), np.median(gain), gain.min(), np.median(seconds)]


Labelled = tuple[np.ndarray, np.ndarray | None]


def labelled_sets() -> dict[str, Labelled]:
    """Rows of each bundled set for the widths, and their classes, if it has any."""
    found: dict[str, Labelled] = {"digits": datasets.load_digits(return_X_y=True)}
    photograph = datasets.load_sample_images().images[0].mean(axis=2)
    found["patches"] = extract_patches_2d(photograph, (8, 8), max_patches=2000, random_state=0).reshape(-1, 64), None
    for name in ("iris", "wine", "breast_cancer", "diabetes"):
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        found[name] = StandardScaler().fit_transform(X), None if name == "diabetes" else y
    return found


def sparse(name: str, width: int) -> SparseAutoencoder:
    """The sparse variant of a width."""
    return SparseAutoencoder(width, random_state=0)


def local(name: str, width: int) -> ReceptiveFieldAutoencoder:
    """So many filters at each position of an image, or of a table."""
    fields = {"image_shape": (8, 8), "field_size": 4} if name in ("digits", "patches") else {}
    return ReceptiveFieldAutoencoder(width, random_state=0, **fields)


def quality(model: Any, train: Labelled, test: Labelled) -> list[float]:
    """R2, accuracy of a linear model on the code, active units and seconds of the fit."""
    start = time.perf_counter()
    model.fit(train[0])
    seconds, accuracy = time.perf_counter() - start, np.nan
    if train[1] is not None:
        linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        accuracy = linear.fit(model.transform(train[0]), train[1]).score(model.transform(test[0]), test[1])
    return [model.score(test[0]), accuracy, code_statistics(model, test[0]).l0, seconds]


def split(rows: Labelled, seed: int) -> tuple[Labelled, Labelled]:
    """Three quarters of the rows, and the last quarter."""
    X, y = rows
    train, test = train_test_split(np.arange(len(X)), stratify=y, random_state=seed)
    return tuple((X[part], None if y is None else y[part]) for part in (train, test))  # type: ignore[return-value]


def chosen_width(make: Callable[[str, int], Any], sets: dict[str, Labelled], splits: int) -> tuple[int, list[str]]:
    """The width that suits a model best, and the lines of the table that say so."""
    lines, means = [], []
    for width in WIDTHS:
        model = [(make(name, width), rows) for name, rows in sets.items()]
        found = [quality(one, *split(rows, seed)) for one, rows in model for seed in range(splits)]
        means.append(np.nanmean(found, axis=0))
        r2, accuracy, active, seconds = means[-1]
        title = type(model[0][0]).__name__
        lines.append(f"| {title} | {width} | {r2:.3f} | {accuracy:.3f} | {active:.1f} | {seconds:.2f} |")
        print(lines[-1], flush=True)
    near = np.array(means)[:, :2] >= np.max(means, axis=0)[:2] - TOLERANCE
    return WIDTHS[int(np.argmax(near.all(axis=1)))], lines


def width_section(splits: int) -> str:
    """The section on widths: what was measured, what was chosen, and how good the choice is on rows put aside."""
    lines = ["| model | width | R2 | accuracy | active | s a fit |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    judged = ["| model, width | set | R2, accuracy at width 2 | at this width |", "| --- | --- | ---: | ---: |"]
    halves = {name: split(rows, 0) for name, rows in labelled_sets().items()}
    for make in (sparse, local):
        width, measured = chosen_width(make, {name: train for name, (train, _) in halves.items()}, splits)
        lines += measured
        for name, (train, test) in halves.items():
            pair = [quality(make(name, w), train, test)[:2] for w in (2, width)]
            cells = [f"{r2:.3f}" + ("" if np.isnan(accuracy) else f", {accuracy:.3f}") for r2, accuracy in pair]
            judged.append(f"| {type(make(name, 2)).__name__}, {width} | {name} | {cells[0]} | {cells[1]} |")
            print(judged[-1], flush=True)
    texts = {"table": "\n".join(lines), "judged": "\n".join(judged), "tolerance": f"{TOLERANCE:g}"}
    return WIDTHS_PAGE.format(splits=splits, **texts).rstrip()


def main() -> None:
    """Print the table, and fail if a median is more than 0.01 below PCA."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--data", type=Path, help="folder with the sets that are not bundled")
    parser.add_argument("--only", nargs="+", help="names of sets")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of Autoencoder")
    parser.add_argument("--markdown", type=Path, help="also write the page docs/measured/defaults.md here")
    parser.add_argument("--widths", action="store_true", help="measure the widths of sparse codes only, and print them")
    args = parser.parse_args()
    if args.widths:
        warnings.simplefilter("ignore")
        print(width_section(args.splits))
        return
    settings = {name: ast.literal_eval(value) for name, value in (pair.split("=", 1) for pair in args.set)}
    warnings.simplefilter("ignore")
    lines = [
        "| data | rows x columns | k | PCA | Autoencoder | gain | worst split | s a fit |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    print("\n".join(lines), flush=True)
    worst = of_split = np.inf
    for name, X in tables(args.data).items():
        for k in SIZES.get(name, (1, 2, 5)) if not args.only or name in args.only else ():
            if k > X.shape[1]:
                continue
            pca, ours, gain, least, seconds = row(name, X, k, args.splits, settings)
            worst, of_split = min(worst, gain), min(of_split, least)
            size = f"{X.shape[0]} x {X.shape[1]}"
            lines.append(
                f"| {name} | {size} | {k} | {pca:.3f} | {ours:.3f} | {gain:+.3f} | {least:+.3f} | {seconds:.1f} |"
            )
            print(lines[-1], flush=True)
    if args.markdown:
        figures = {"table": "\n".join(lines), "worst": worst, "least": of_split}
        args.markdown.write_text(PAGE.format(**figures, widths=width_section(args.splits)))
    print(f"\nworst median gain over PCA: {worst:+.4f}")
    raise SystemExit(int(worst < -0.01))


if __name__ == "__main__":
    main()
