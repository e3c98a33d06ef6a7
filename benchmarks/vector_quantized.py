"""VectorQuantizedAutoencoder: held-out R2 beside k-means and PCA codes, all at the same number of bits a row.

    python benchmarks/vector_quantized.py [--seeds 100 101 102] [--data digits patches cancer wine]

Tables are printed in Markdown. The defaults were chosen on the splits 0, 1 and 2; so judge them on others.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_digits, load_sample_image, load_wine
from sklearn.decomposition import PCA
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skae import VectorQuantizedAutoencoder
from skae.metrics import reconstruction_r2


def patches() -> np.ndarray:
    """Patches of 8 by 8 pixels of a photograph in grey."""
    image = load_sample_image("china.jpg").mean(axis=2) / 255
    return extract_patches_2d(image, (8, 8), max_patches=3000, random_state=0).reshape(3000, -1)


Score = Callable[[np.ndarray, np.ndarray, int], float]
"""Held-out R2, given training rows, test rows and a seed."""

DATA: dict[str, Callable[[], np.ndarray]] = {
    "digits": lambda: load_digits().data,
    "patches": patches,
    "cancer": lambda: StandardScaler().fit_transform(load_breast_cancer().data),
    "wine": lambda: StandardScaler().fit_transform(load_wine().data),
}


def r2(restored: np.ndarray, test: np.ndarray, mean: np.ndarray) -> float:
    """Reconstruction R2 against the mean of the training rows."""
    return float(1 - ((test - restored) ** 2).sum() / ((test - mean) ** 2).sum())


def k_means(n_bits: int) -> Score:
    """One index a row."""

    def score(train: np.ndarray, test: np.ndarray, seed: int) -> float:
        found = KMeans(2**n_bits, n_init=3, random_state=seed).fit(train)
        return r2(found.cluster_centers_[found.predict(test)], test, train.mean(axis=0))

    return score


def quantised_pca(n_components: int, n_groups: int, size: int) -> Score:
    """k-means in each group of a PCA code: product quantisation. Component j is in group j modulo ``n_groups``."""

    def score(train: np.ndarray, test: np.ndarray, seed: int) -> float:
        pca = PCA(min(n_components, train.shape[1])).fit(train)
        codes, told = pca.transform(train), pca.transform(test)
        for g in range(n_groups):
            found = KMeans(size, n_init=3, random_state=seed).fit(codes[:, g::n_groups])
            told[:, g::n_groups] = found.cluster_centers_[found.predict(told[:, g::n_groups])]
        return r2(pca.inverse_transform(told), test, train.mean(axis=0))

    return score


def ours(n_components: int, **options: object) -> Score:
    """The autoencoder, with its defaults in all else."""

    def score(train: np.ndarray, test: np.ndarray, seed: int) -> float:
        model = VectorQuantizedAutoencoder(n_components, random_state=seed, **options)
        return reconstruction_r2(model.fit(train), test)

    return score


def contestants(n_bits: int, wide: bool) -> dict[str, Score | None]:
    """Models of so many bits. Tables of less than 16 columns get codes of 12 numbers instead of 16."""
    if n_bits == 7:
        return {
            "k-means": k_means(7),
            "quantised PCA": quantised_pca(8, 1, 128),
            "PCA, 16 levels a number": None,
            "vq": ours(8, n_groups=1, codebook_size=128),
            "fsq": ours(3, quantizer="fsq", levels=5),  # 6.97 bits
        }
    # (components, groups, entries) of vector quantisation, and (components, levels) of scalars
    grouped = {24: (16, 8, 8), 48: (16, 8, 64)} if wide else {24: (12, 6, 16), 48: (12, 12, 16)}
    scalars = {24: (8, 8), 48: (16, 8) if wide else (12, 16)}
    n_components, n_groups, size = grouped[n_bits]
    n_scalars, levels = scalars[n_bits]
    return {
        "k-means": None,
        "quantised PCA": quantised_pca(n_components, n_groups, size),
        "PCA, 16 levels a number": quantised_pca(n_bits // 4, n_bits // 4, 16),
        "vq": ours(n_components, n_groups=n_groups, codebook_size=size),
        "fsq": ours(n_scalars, quantizer="fsq", levels=levels),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 101, 102])
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    args = parser.parse_args()
    names = list(contestants(7, True))
    print(f"\n| data | bits | {' | '.join(names)} |")
    print(f"| --- | {' | '.join(['---:'] * (len(names) + 1))} |")
    for data in args.data:
        X = DATA[data]()
        for n_bits in (7, 24, 48):
            found = [mean_score(score, X, args.seeds) for score in contestants(n_bits, X.shape[1] >= 16).values()]
            print(f"| {data} | {n_bits} | {' | '.join(found)} |", flush=True)


def mean_score(score: Score | None, X: np.ndarray, seeds: list[int]) -> str:
    """Mean over splits of 75 to 25 percent, as text."""
    if score is None:
        return ""
    scores = []
    for seed in seeds:
        train, test = train_test_split(X, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores.append(score(train, test, seed))
    return f"{np.mean(scores):.3f}"


if __name__ == "__main__":
    main()
