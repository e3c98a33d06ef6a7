"""How wide a sparse code should be: chosen on a part of the training rows, judged on rows that were put aside.

    python benchmarks/widths.py [--splits 2] [--markdown FILE]

The sets are those that scikit-learn bundles.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import ReceptiveFieldAutoencoder, SparseAutoencoder
from skae.metrics import code_statistics

WIDTHS = (2, 4, 8, 16, 32, 64, 128)
TOLERANCE = 0.01
"""The default is the smallest width whose mean R2 and mean accuracy are at most so far below the best."""
PAGE = """# How wide is a sparse code?

Made by `python benchmarks/widths.py --splits {splits} --markdown docs/measured/widths.md`.

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
"""

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


def page(splits: int) -> str:
    """The page: what was measured, what was chosen, and how good the choice is on rows put aside."""
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
    return PAGE.format(splits=splits, **texts)


def main() -> None:
    """Print the page, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=2)
    parser.add_argument("--markdown", type=Path, help="also write the page docs/measured/widths.md here")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    text = page(args.splits)
    print(text)
    if args.markdown:
        args.markdown.write_text(text)


if __name__ == "__main__":
    main()
