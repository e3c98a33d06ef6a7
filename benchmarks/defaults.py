"""Held-out R2 of Autoencoder's defaults beside PCA, on every set that scikit-learn bundles.

    python benchmarks/defaults.py [--splits 5] [--data DIR] [--set max_iter=200 ...] [--markdown FILE]

Raw, unscaled columns; 75/25 splits; the median over the splits of R2 against the training mean. With
``--data`` the sets that do not come with scikit-learn are added. ``--set`` tries other settings
than the defaults, which is how they were chosen.
"""

from __future__ import annotations

import argparse
import ast
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import Autoencoder
from skae.metrics import reconstruction_r2

BUNDLED = ("digits", "wine", "breast_cancer", "iris", "diabetes", "linnerud")
SIZES = {"digits": (1, 2, 5, 8, 16)}


PAGE = """# The defaults beside PCA

Held-out R2 of the reconstruction against the mean of the training data, median over five 75/25 splits; raw columns,
nothing tuned. "gain" is the median difference to PCA on the same split, "worst split" the smallest. Seconds are of one
fit on two shared cores. The sets below linnerud do not come with scikit-learn.

{table}

The smallest median gain is {worst:+.4f}. How it was made: `python benchmarks/defaults.py --data DIR --markdown
docs/measured/defaults.md`.
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


def main() -> None:
    """Print the table, and fail if a median is more than 0.01 below PCA."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--data", type=Path, help="folder with the sets that are not bundled")
    parser.add_argument("--only", nargs="+", help="names of sets")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of Autoencoder")
    parser.add_argument("--markdown", type=Path, help="also write the page docs/measured/defaults.md here")
    args = parser.parse_args()
    settings = {name: ast.literal_eval(value) for name, value in (pair.split("=", 1) for pair in args.set)}
    warnings.simplefilter("ignore")
    lines = [
        "| data | rows x columns | k | PCA | Autoencoder | gain | worst split | s a fit |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    print("\n".join(lines), flush=True)
    worst = np.inf
    for name, X in tables(args.data).items():
        for k in SIZES.get(name, (1, 2, 5)) if not args.only or name in args.only else ():
            if k > X.shape[1]:
                continue
            pca, ours, gain, least, seconds = row(name, X, k, args.splits, settings)
            worst = min(worst, gain)
            size = f"{X.shape[0]} x {X.shape[1]}"
            lines.append(
                f"| {name} | {size} | {k} | {pca:.3f} | {ours:.3f} | {gain:+.3f} | {least:+.3f} | {seconds:.1f} |"
            )
            print(lines[-1], flush=True)
    if args.markdown:
        args.markdown.write_text(PAGE.format(table="\n".join(lines), worst=worst))
    print(f"\nworst median gain over PCA: {worst:+.4f}")
    raise SystemExit(int(worst < -0.01))


if __name__ == "__main__":
    main()
