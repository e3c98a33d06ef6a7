"""Every variant beside PCA: held-out R2, accuracy on the code, seconds; and speed against Autoencoder.

    python benchmarks/variants.py [--data DIR] [--full] [--only NAMES] [--old] [--markdown FILE]

Default settings, one split, nothing tuned. ``--data`` adds Olivetti faces and MNIST (4000 rows to
train on and 2000 to test, all of it with ``--full``). ``--old`` adds each variant with the settings
that were its defaults when a fit had 100 epochs. Speed is the least time of a step of each
variant over that of ``Autoencoder`` with the same network, taken in turn within one run.
"""

from __future__ import annotations

import argparse
import gzip
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

import skae
from skae import Autoencoder, ContractiveAutoencoder, DenoisingAutoencoder, SparseAutoencoder
from skae.metrics import reconstruction_r2

PAGE = """# The variants beside PCA

Made by `python benchmarks/variants.py --data DIR --markdown docs/measured/benchmarks.md`.

Held-out R2 of the reconstruction, accuracy of a linear model and of 5 nearest neighbours on the code, and seconds of a
fit on two shared cores. One split, default settings, nothing tuned; columns of breast_cancer are standardized. All have
as many components as PCA, but for the dictionaries, of which a row uses a few atoms: their width is in the name.
The semi-supervised one is given all labels of the training rows.

{table}

## Speed

Least seconds of an epoch over those of `Autoencoder` with the same network, taken in turn within one run.

| network | variant | ratio |
| --- | --- | ---: |
{speed}
"""

OLD = {"max_iter": 100, "batch_size": 200, "learning_rate": "cosine", "solver": "adam"}
OLD_RATES = {
    "SparseAutoencoder": 0.01,
    "TopKAutoencoder": 0.003,
    "ConvolutionalAutoencoder": 0.003,
    "ReceptiveFieldAutoencoder": 0.01,
}

Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def splits(folder: Path | None, full: bool) -> dict[str, tuple[Split, int]]:
    """Training and test rows and labels of each set, and the number of components to compare at."""
    cancer = load_breast_cancer()
    found: dict[str, tuple[Split, int]] = {
        "digits": (_split(*load_digits(return_X_y=True)), 16),
        "breast_cancer": (_split(StandardScaler().fit_transform(cancer.data), cancer.target), 5),
    }
    if folder is not None:
        faces = loadmat(folder / "olivetti/olivettifaces.mat")["faces"].T.reshape(-1, 64, 64)
        small = faces.transpose(0, 2, 1).reshape(-1, 32, 2, 32, 2).mean((2, 4)).reshape(-1, 1024) / 255
        found["olivetti"] = (_split(small, np.arange(400) // 10), 30)
        found["mnist"] = (mnist(folder, full), 30)
    return found


def _split(X: np.ndarray, y: np.ndarray) -> Split:
    return tuple(train_test_split(X, y, stratify=y, random_state=0))[:4]  # type: ignore[return-value]


def mnist(folder: Path, full: bool) -> Split:
    """Grey values in [0, 1]: training images, test images, and their labels."""

    def images(name: str) -> np.ndarray:
        raw = gzip.decompress((folder / f"mnist/{name}-images-idx3-ubyte.gz").read_bytes())
        return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784).astype(np.float32) / 255

    def labels(name: str) -> np.ndarray:
        raw = gzip.decompress((folder / f"mnist/{name}-labels-idx1-ubyte.gz").read_bytes())
        return np.frombuffer(raw, np.uint8, offset=8).astype(int)

    n_train, n_test = (60_000, 10_000) if full else (4000, 2000)
    spread = np.linspace(0, 9999, n_test).astype(int)
    return images("train")[:n_train], images("t10k")[spread], labels("train")[:n_train], labels("t10k")[spread]


def variants(k: int, is_image: bool) -> dict[str, Any]:
    """The estimators of the table, with k components each."""
    found: dict[str, Any] = {
        "PCA": PCA(k),
        "Autoencoder": Autoencoder(k),
        "Autoencoder, dropout 0.1": Autoencoder(k, dropout=0.1),
        "Autoencoder, input_dropout 0.1": Autoencoder(k, input_dropout=0.1),
        "DenoisingAutoencoder": DenoisingAutoencoder(k),
        "DenoisingAutoencoder, masking": DenoisingAutoencoder(k, corruption="masking"),
        "DenoisingAutoencoder, swap": DenoisingAutoencoder(k, corruption="swap"),
        "ContractiveAutoencoder": ContractiveAutoencoder(k),
        f"SparseAutoencoder, {8 * k}": SparseAutoencoder(8 * k),
        f"SparseAutoencoder, kl, {8 * k}": SparseAutoencoder(8 * k, penalty="kl"),
        f"TopKAutoencoder, {8 * k}": skae.TopKAutoencoder(8 * k, k=k),
        "SemiSupervisedAutoencoder": skae.SemiSupervisedAutoencoder(k),
    }
    if is_image:
        found["ConvolutionalAutoencoder"] = skae.ConvolutionalAutoencoder(k)
        found["ReceptiveFieldAutoencoder"] = skae.ReceptiveFieldAutoencoder(k)
    return found


def with_old(models: dict[str, Any]) -> dict[str, Any]:
    """Each variant, and after it the same one with the settings of 100 epochs."""
    found = {}
    for label, model in models.items():
        found[label] = model
        if "max_iter" in model.get_params():
            rate = OLD_RATES.get(type(model).__name__, 0.001)
            found[f"{label}, 100 epochs"] = clone(model).set_params(**OLD, learning_rate_init=rate)
    return found


def evaluate(name: str, split: Split, k: int, only: list[str] | None, old: bool) -> list[str]:
    """Lines of the table for one set."""
    train, test, y_train, y_test = split
    lines = []
    models = variants(k, is_image=name != "breast_cancer")
    for label, model in (with_old(models) if old else models).items():
        if only and not any(word.lower() in label.lower() for word in only):
            continue
        if "random_state" in model.get_params():
            model.set_params(random_state=0)
        start = time.perf_counter()
        model.fit(train, y_train if get_tags(model).target_tags.required else None)
        seconds = time.perf_counter() - start
        codes = model.transform(train), model.transform(test)
        linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        scores = [m.fit(codes[0], y_train).score(codes[1], y_test) for m in (linear, KNeighborsClassifier())]
        figures = [f"{figure:.3f}" for figure in (reconstruction_r2(model, test), *scores)]
        lines.append(f"| {' | '.join([f'{name}, {k}', label, *figures, f'{seconds:.1f}'])} |")
        print(lines[-1], flush=True)
    return lines


NETWORKS: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {
    "64-256-128-8, batch 200": ((1800, 64), {"n_components": 8, "hidden_layer_sizes": (256, 128)}),
    "784-256-32, batch 256": ((5120, 784), {"n_components": 32, "hidden_layer_sizes": (256,), "batch_size": 256}),
    "64-128 logistic, tied, batch 200": (
        (1800, 64),
        {"n_components": 128, "hidden_layer_sizes": (), "code_activation": "logistic", "tied_weights": True},
    ),
    "784-256 logistic, tied, batch 256": (
        (5120, 784),
        {
            "n_components": 256,
            "hidden_layer_sizes": (),
            "code_activation": "logistic",
            "tied_weights": True,
            "batch_size": 256,
        },
    ),
}
RIVALS: dict[str, Any] = {
    "DenoisingAutoencoder, masking": DenoisingAutoencoder(corruption="masking"),
    "DenoisingAutoencoder, gaussian": DenoisingAutoencoder(),
    "SparseAutoencoder, l1": SparseAutoencoder(),
    "SparseAutoencoder, kl": SparseAutoencoder(penalty="kl"),
    "ContractiveAutoencoder": ContractiveAutoencoder(),
}


def speed(repeats: int = 10) -> list[str]:
    """Ratios of the least seconds of an epoch."""
    lines = []
    for network, (shape, settings) in NETWORKS.items():
        X = np.random.default_rng(0).random(shape, dtype=np.float32)
        common = {"init": "random", "random_state": 0, "max_iter": 4, "tol": 0.0, **settings}
        if settings.get("code_activation") != "logistic":
            common |= {"code_activation": "identity", "tied_weights": False}
        least = {"Autoencoder": np.inf}
        models = {"Autoencoder": Autoencoder(**common)}
        for name, rival in RIVALS.items():
            if "kl" in name and common["code_activation"] != "logistic":
                continue
            models[name], least[name] = rival.set_params(**common), np.inf
        for model in models.values():
            model.fit(X)
        for _ in range(repeats):
            for name, model in models.items():
                start = time.perf_counter()
                model.fit(X)
                least[name] = min(least[name], time.perf_counter() - start)
        for name in list(models)[1:]:
            lines.append(f"| {network} | {name} | {least[name] / least['Autoencoder']:.2f} |")
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with Olivetti faces and MNIST")
    parser.add_argument("--full", action="store_true", help="all of MNIST")
    parser.add_argument("--only", nargs="+", help="words of which one is in the variant's name")
    parser.add_argument("--sets", nargs="+", help="names of sets")
    parser.add_argument("--old", action="store_true", help="also with the settings of 100 epochs")
    parser.add_argument("--no-speed", action="store_true")
    parser.add_argument("--no-quality", action="store_true")
    parser.add_argument("--markdown", type=Path, help="also write the page docs/measured/benchmarks.md here")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = ["| data | | R2 | linear | kNN | fit s |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    for name, (split, k) in splits(args.data, args.full).items():
        if not args.no_quality and (not args.sets or name in args.sets):
            lines += evaluate(name, split, k, args.only, args.old)
    ratios = [] if args.no_speed else speed()
    if args.markdown:
        args.markdown.write_text(PAGE.format(table="\n".join(lines), speed="\n".join(ratios)))


if __name__ == "__main__":
    main()
