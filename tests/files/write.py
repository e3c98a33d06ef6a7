"""Write a small file of each estimator, and what it makes of some rows, into a folder of the present version.

    PYTHONPATH=tests python tests/files/write.py

The files of a release are kept for good: later versions have to load them, or to say in one sentence why they cannot.
Those of a version in development are written anew when the format changes.
"""

import sys
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from contract.tables import CLASSES, QUICK, SMALL, rows_for, target_of
from packaging.version import Version
from sklearn.base import clone

import skae
from skae.compose import _recipe

FOLDER = Path(__file__).parent
ROWS = np.random.default_rng(0).random((30, 5))
GAPS = np.where(np.random.default_rng(1).random((40, 5)) < 0.2, np.nan, np.tile(ROWS, (2, 1))[:40])
TREES = [(("a", "+", "b"), "*", "c"), ("a", "*", ("b", "+", "c")), ("a", "+", "b"), (("a", "*", "b"), "+", "c")]
OUTPUTS = ("transform", "inverse_transform", "score_samples", "predict")
"""Methods whose results are kept. What is decoded are the codes."""


def frame():
    """A table with a column of each kind."""
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "length": np.where(np.arange(40) % 7 == 3, np.nan, rng.normal(size=40).round(3)),
            "n": rng.poisson(1.0, 40),
            "is": rng.random(40) < 0.5,
            "sort": pd.Categorical(rng.choice(["low", "middle", "high"], 40), ["low", "middle", "high"], ordered=True),
            "day": pd.date_range("2020-02-20", periods=40, tz="UTC"),
            "word": [f"word {i % 11}" for i in range(40)],
            "span": pd.cut(rng.normal(size=40), 3),
        }
    )


def cases():
    """Unfitted estimators by their names, each with X and y."""
    tables = {name: (model, rows_for(model, ROWS), target_of(model, 30)) for name, model in CLASSES.items()}
    encoder = skae.Autoencoder(2, max_iter=2, hidden_layer_sizes=(3,), random_state=0)
    trees = {"max_iter": 3, "random_state": 0}
    return tables | {
        "RecursiveAutoencoder": (skae.RecursiveAutoencoder(3, **trees), TREES, None),
        "RecursiveAutoencoderClassifier": (skae.RecursiveAutoencoderClassifier(3, **trees), TREES, list("xyxy")),
        "AutoencoderImputer": (skae.AutoencoderImputer(max_iter=30, random_state=0), GAPS, None),
        "AutoencoderImputer model": (skae.AutoencoderImputer(encoder, add_indicator=True, random_state=0), GAPS, None),
        "OutlierDetector": (skae.OutlierDetector(random_state=0), GAPS, None),
        "OutlierDetector model": (skae.OutlierDetector(encoder, random_state=0), ROWS, None),
        "TableAutoencoder": (
            skae.TableAutoencoder(
                2, estimator=encoder, columns={"word": "text"}, max_categories=2, random_state=np.random.RandomState(0)
            ),
            frame(),
            None,
        ),
        "MultimodalDeepBoltzmannMachine slices": (
            skae.MultimodalDeepBoltzmannMachine(
                2,
                modalities={"numbers": slice(0, None, 2), "bits": slice(1, None, 2)},
                visible={"bits": "bernoulli"},
                hidden_layer_sizes=(3,),
                pretrain_iter=0,
                n_chains=5,
                **QUICK,
            ),
            ROWS,
            None,
        ),
        "VariationalAutoencoder vamp": (
            skae.VariationalAutoencoder(2, prior="vamp", prior_size=3, variance="column", **SMALL),
            ROWS,
            None,
        ),
        "AdversarialAutoencoder": (skae.AdversarialAutoencoder(critic_layer_sizes=(8,), **SMALL), ROWS, None),
    }


def fitted(model, X, y):
    """A fitted clone. The networks of an imputer are small, so that its file is."""
    small = mock.patch.object(_recipe, "Refinement", lambda **given: Refinement(width=4, depth=1, **given))
    with small, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clone(model).fit(X) if y is None else clone(model).fit(X, y)


Refinement = _recipe.Refinement


def outputs(model, X):
    """Numbers that a fitted model makes of X, by method. Of a frame, its numbers."""
    found = {}
    for method in OUTPUTS:
        if not hasattr(model, method) or (method == "inverse_transform" and isinstance(X, list)):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = getattr(model, method)(found["transform"] if method == "inverse_transform" else X)
        found[method] = made.select_dtypes("number").to_numpy(float) if hasattr(made, "dtypes") else np.asarray(made)
    return found


def newest():
    """The folder of the newest version that has files."""
    return max(
        (folder for folder in FOLDER.iterdir() if folder.is_dir() and folder.name[0].isdigit()),
        key=lambda folder: Version(folder.name),
    )


def main():
    """Write all files."""
    folder = FOLDER / skae.__version__
    if folder.exists() and "dev" not in skae.__version__:
        raise SystemExit(f"The files of {skae.__version__} are there, and are kept as they are.")
    folder.mkdir(exist_ok=True)
    numbers = {}
    for name, (model, X, y) in cases().items():
        known = fitted(model, X, y)
        known.save(folder / f"{name}.skae")
        numbers |= {f"{name}/{method}": made for method, made in outputs(known, X).items()}
    np.savez_compressed(folder / "numbers.npz", **numbers)
    size = sum(file.stat().st_size for file in folder.iterdir())
    sys.stdout.write(f"{len(cases())} files in {folder}, {size / 1e6:.2f} MB\n")


if __name__ == "__main__":
    main()
