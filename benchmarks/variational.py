"""Variational autoencoders beside the densities and loops that a reader would try first.

    python benchmarks/variational.py [--only PARTS] [--splits 100 101 102] [--rounds 5] [--json FILE]

Means over splits that no setting was chosen on: a quarter of the bundled digits is held out. Bounds are in nats a row.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.cluster import contingency_matrix
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from skae import (
    RBM,
    ConditionalVariationalAutoencoder,
    MixtureVariationalAutoencoder,
    SemiSupervisedAutoencoder,
    SemiSupervisedVariationalAutoencoder,
    VariationalAutoencoder,
)

Figures = dict[str, list[float]]


def told(title: str, figures: Figures) -> dict[str, float]:
    """Print the mean of each figure over the splits, and its standard deviation."""
    print(f"\n{title}")
    for name, values in figures.items():
        print(f"  {name:44s} {np.mean(values):10.4f} +- {np.std(values):.4f}")
    return {name: float(np.mean(values)) for name, values in figures.items()}


def best_mixture(X: np.ndarray) -> GaussianMixture:
    """The Gaussian mixture that describes a quarter of the rows best, fitted to all of them."""
    train, test = train_test_split(X, random_state=0)
    asked = [(n, kind) for n in (1, 5, 10, 20) for kind in ("diag", "full")]

    def made(n: int, kind: str) -> GaussianMixture:
        return GaussianMixture(n, covariance_type=kind, reg_covar=1e-2, random_state=0)

    best = max(asked, key=lambda options: made(*options).fit(train).score(test))
    return made(*best).fit(X)


def bounds(splits: list[int]) -> dict[str, float]:
    """Digits as they are: the ELBO and the importance-weighted bound with the defaults."""
    found: Figures = {}
    for split in splits:
        train, test = train_test_split(load_digits().data, random_state=split)
        for k in (2, 8, 16):
            found.setdefault(f"probabilistic PCA, k = {k}", []).append(PCA(k).fit(train).score(test))
            noisy = FactorAnalysis(k, noise_variance_init=train.var(0) + 1e-2).fit(train + 0.0)
            found.setdefault(f"factor analysis, k = {k}", []).append(noisy.score(test))
            for prior in ("mixture", "normal"):
                model = VariationalAutoencoder(k, prior=prior, random_state=0).fit(train)
                found.setdefault(f"{prior} prior, k = {k}, ELBO", []).append(model.elbo(test).mean())
                found.setdefault(f"{prior} prior, k = {k}, bound", []).append(model.score(test))
        full = GaussianMixture(1, reg_covar=1e-2).fit(train)
        found.setdefault("full Gaussian", []).append(full.score(test))
        found.setdefault("Gaussian mixture", []).append(best_mixture(train).score(test))
    return told("digits, held out, nats a row (densities of 64 columns)", found)


def binary(splits: list[int]) -> dict[str, float]:
    """Digits in black and white, 16 components."""
    found: Figures = {}
    for split in splits:
        train, test = train_test_split((load_digits().data > 8).astype(float), random_state=split)
        for name, options in {"ELBO trained": {}, "IWAE, 5 samples": {"n_importance_samples": 5}}.items():
            model = VariationalAutoencoder(16, likelihood="bernoulli", random_state=0, **options).fit(train)
            found.setdefault(f"{name}, ELBO", []).append(model.elbo(test).mean())
            found.setdefault(f"{name}, bound", []).append(model.score(test))
        for n in (16, 64):
            machine = RBM(n, visible="bernoulli", random_state=0).fit(train)
            found.setdefault(f"RBM, {n} hidden units, AIS", []).append(machine.score(test))
    return told("digits in black and white, 16 components, held out, nats a row", found)


def mmd(X: np.ndarray, Y: np.ndarray, width: float) -> float:
    """Unbiased squared maximum mean discrepancy with a Gaussian kernel."""

    def kernel(A: np.ndarray, B: np.ndarray) -> np.ndarray:
        squares = (A**2).sum(1)[:, None] + (B**2).sum(1) - 2 * A @ B.T
        return np.exp(-squares / (2 * width))

    within = [(kernel(Z, Z).sum() - len(Z)) / (len(Z) * (len(Z) - 1)) for Z in (X, Y)]
    return float(sum(within) - 2 * kernel(X, Y).mean())


def samples(splits: list[int]) -> dict[str, float]:
    """Squared MMD of samples to held-out digits; the kernel's width is the median squared distance of the data."""
    found: Figures = {}
    for split in splits:
        train, test = train_test_split(load_digits().data, random_state=split)
        width = float(np.median(((train[:400, None] - train[None, :400]) ** 2).sum(-1))) / 2
        others = {"full Gaussian": GaussianMixture(1, reg_covar=1e-2).fit(train), "mixture": best_mixture(train)}
        for name, model in others.items():
            found.setdefault(name, []).append(mmd(model.sample(len(test))[0], test, width))
        for k in (2, 8, 16):
            for prior in ("mixture", "normal"):
                ours = VariationalAutoencoder(k, prior=prior, random_state=0).fit(train)
                drawn = ours.sample(len(test), random_state=split)
                found.setdefault(f"{prior} prior, k = {k}", []).append(mmd(drawn, test, width))
        found.setdefault("other digits (the training rows)", []).append(mmd(train, test, width))
    return told("squared MMD of samples to held-out digits", found)


def settings(splits: list[int]) -> dict[str, float]:
    """Digits, 16 components: what weights of the objective and priors do to bounds, to codes and to samples."""
    found: Figures = {}
    asked: list[dict[str, Any]] = [
        {},
        {"warm_up": 0.3},
        {"free_bits": 0.5},
        {"n_importance_samples": 8},
        {"beta": 0.25},
        {"beta": 4},
        {"total_correlation": 4},
        {"variance": "column"},
        *({"prior": prior} for prior in ("normal", "vamp", "flow")),
    ]
    for split in splits:
        train, test = train_test_split(load_digits().data, random_state=split)
        width = float(np.median(((train[:400, None] - train[None, :400]) ** 2).sum(-1))) / 2
        for options in asked:
            model = VariationalAutoencoder(16, random_state=0, **options).fit(train)
            name = ", ".join(f"{key}={value!r}" for key, value in options.items()) or "defaults"
            error = np.square(model.reconstruct(test) - test).sum(1).mean()
            found.setdefault(f"{name}, squared error", []).append(float(error))
            found.setdefault(f"{name}, score", []).append(model.score(test))
            found.setdefault(f"{name}, ELBO", []).append(float(model.elbo(test).mean()))
            found.setdefault(f"{name}, MMD", []).append(mmd(model.sample(2000, random_state=split), test, width))
    return told("digits, 16 components, held out: bounds in nats, squared errors, squared MMD of 2000 samples", found)


def classes(splits: list[int]) -> dict[str, float]:
    """Samples of the class that was asked for, read by a classifier of held-out digits."""
    found: Figures = {}
    X, y = load_digits(return_X_y=True)
    for split in splits:
        train, test, y_train, y_test = train_test_split(X, y, random_state=split, stratify=y)
        reader = SVC().fit(test, y_test)
        found.setdefault("real digits", []).append(reader.score(train, y_train))
        asked = np.repeat(np.arange(10), 100)
        for k in (2, 8, 16):
            for init in ("auto", "random"):
                model = ConditionalVariationalAutoencoder(k, init=init, random_state=0).fit(train, y_train)
                drawn = model.sample(y=asked, random_state=split)
                found.setdefault(f"k = {k}, init={init!r}, recognised", []).append(reader.score(drawn, asked))
                found.setdefault(f"k = {k}, init={init!r}, nats a row", []).append(
                    model.score_samples(test, y_test).mean()
                )
    return told("digits given their class", found)


def labels(draws: range) -> dict[str, float]:
    """Accuracy on held-out digits with 5 labels a class."""
    found: Figures = {}
    X, y = load_digits(return_X_y=True)
    for draw in draws:
        train, test, y_train, y_test = train_test_split(X / 16, y, random_state=draw, stratify=y)
        rng = np.random.default_rng(draw)
        known = np.concatenate([rng.choice(np.flatnonzero(y_train == label), 5, replace=False) for label in range(10)])
        few = np.full(len(y_train), -1)
        few[known] = y_train[known]
        models = {
            "SemiSupervisedVariationalAutoencoder": SemiSupervisedVariationalAutoencoder(
                likelihood="bernoulli", random_state=0
            ).fit(train, few),
            "SemiSupervisedAutoencoder": SemiSupervisedAutoencoder(random_state=0).fit(train, few),
            "LabelSpreading, 7 neighbours": LabelSpreading(kernel="knn", n_neighbors=7, max_iter=100).fit(train, few),
            "LogisticRegression, labels alone": LogisticRegression(max_iter=5000).fit(train[known], few[known]),
        }
        for name, model in models.items():
            found.setdefault(name, []).append(model.score(test, y_test))
    return told("digits, 50 labels, accuracy on held-out rows", found)


def clusters(seeds: range) -> dict[str, float]:
    """Share of digits whose cluster is that of their digit, after the best matching of ten clusters."""
    found: Figures = {}
    X, y = load_digits(return_X_y=True)

    def matched(found_labels: np.ndarray) -> float:
        table = contingency_matrix(y, found_labels)
        return float(table[linear_sum_assignment(-table)].sum() / len(y))

    for seed in seeds:
        ours = MixtureVariationalAutoencoder(16, n_clusters=10, random_state=seed).fit(X)
        found.setdefault("MixtureVariationalAutoencoder, k = 16", []).append(matched(ours.labels_))
        codes = PCA(16).fit_transform(X)
        found.setdefault("k-means on X", []).append(matched(KMeans(10, n_init=10, random_state=seed).fit_predict(X)))
        by_codes = KMeans(10, n_init=10, random_state=seed).fit_predict(codes)
        found.setdefault("k-means on 16 PCA codes", []).append(matched(by_codes))
        mixture = GaussianMixture(10, random_state=seed, n_init=3, reg_covar=1e-2).fit_predict(codes)
        found.setdefault("Gaussian mixture on 16 PCA codes", []).append(matched(mixture))
    return told("digits, ten clusters, accuracy after matching", found)


# ------------------------------------------------------------------ speed


def plain_networks(sizes: list[int]) -> tuple[torch.nn.Sequential, torch.nn.Sequential]:
    """Encoder and decoder as a tutorial writes them."""

    def stack(widths: list[int]) -> torch.nn.Sequential:
        layers: list[torch.nn.Module] = []
        for n_in, n_out in pairwise(widths):
            layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
        return torch.nn.Sequential(*layers[:-1])

    return stack([*sizes[:-1], 2 * sizes[-1]]), stack(sizes[::-1])


def bare_loop(X: np.ndarray, sizes: list[int], batch: int, epochs: int) -> None:
    """The variational autoencoder that a user would write by hand."""
    data = torch.from_numpy(X)
    encoder, decoder = plain_networks(sizes)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    for _ in range(epochs):
        order = torch.randperm(len(data))
        for start in range(0, len(data), batch):
            x = data[order[start : start + batch]]
            optimizer.zero_grad()
            mu, log_variance = encoder(x).chunk(2, 1)
            h = mu + (log_variance / 2).exp() * torch.randn_like(mu)
            error = (decoder(h) - x).square().sum(1) / 2
            divergence = 0.5 * (mu.square() + log_variance.exp() - 1 - log_variance).sum(1)
            (error + divergence).mean().backward()
            optimizer.step()


def pythae_fit(X: np.ndarray, sizes: list[int], batch: int, epochs: int) -> Callable[[], object]:
    """The VAE of pythae around the same network."""
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = plain_networks(sizes)[0]

        def forward(self, x: torch.Tensor) -> ModelOutput:
            mu, log_variance = self.layers(x).chunk(2, 1)
            return ModelOutput(embedding=mu, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = plain_networks(sizes)[1]

        def forward(self, z: torch.Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.layers(z))

    def fit() -> None:
        with tempfile.TemporaryDirectory() as folder:
            training = BaseTrainerConfig(
                output_dir=folder,
                num_epochs=epochs,
                per_device_train_batch_size=batch,
                learning_rate=1e-3,
                no_cuda=True,
            )
            config = VAEConfig(input_dim=(sizes[0],), latent_dim=sizes[-1])
            model = VAE(config, encoder=Encoder(), decoder=Decoder())
            TrainingPipeline(model=model, training_config=training)(X)

    return fit


def seconds(fit: Callable[[], object]) -> float:
    """Wall time of a fit whose chatter is swallowed."""
    noise = io.StringIO()
    with contextlib.redirect_stdout(noise), contextlib.redirect_stderr(noise):
        start = time.perf_counter()
        fit()
        return time.perf_counter() - start


def speed(rounds: int) -> dict[str, float]:
    """Median ratio to the bare loop within a round; the same network, batches, epochs and optimizer."""
    X = (load_digits().data / 16).astype(np.float32)
    results: dict[str, float] = {}
    for sizes, batch in (([64, 64, 32, 8], 32), ([64, 256, 128, 16], 200)):
        options: dict[str, Any] = {
            "hidden_layer_sizes": tuple(sizes[1:-1]),
            "activation": "relu",
            "batch_size": batch,
            "max_iter": 20,
            "solver": "adam",
            "learning_rate_init": 1e-3,
            "variance": 1.0,
            "init": "random",
            "prior": "normal",
        }
        fits: dict[str, Callable[[], object]] = {
            "bare loop": lambda sizes=sizes, batch=batch: bare_loop(X, sizes, batch, 20),
            "ours": lambda options=options, k=sizes[-1]: VariationalAutoencoder(k, **options).fit(X),
            "ours, defaults but for the sizes": lambda options=options, k=sizes[-1]: VariationalAutoencoder(
                k, **{name: options[name] for name in ("hidden_layer_sizes", "batch_size", "max_iter")}
            ).fit(X),
        }
        with contextlib.suppress(ImportError):
            fits["pythae"] = pythae_fit(X, sizes, batch, 20)
        with threadpool_limits(1):
            seconds(fits["bare loop"])
            times = [{name: seconds(fit) for name, fit in fits.items()} for _ in range(rounds)]
        print(f"\ndigits, {sizes}, batch {batch}, 20 epochs, one thread")
        for name in fits:
            ratio = float(np.median([took[name] / took["bare loop"] for took in times]))
            results[f"{sizes} {name}"] = ratio
            print(f"  {name:44s} {ratio:6.2f} x the bare loop")
    return results


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, float]]] = {
    "bounds": lambda args: bounds(args.splits),
    "binary": lambda args: binary(args.splits),
    "samples": lambda args: samples(args.splits),
    "classes": lambda args: classes(args.splits),
    "labels": lambda args: labels(range(100, 110)),
    "settings": lambda args: settings(args.splits),
    "clusters": lambda args: clusters(range(100, 105)),
    "speed": lambda args: speed(args.rounds),
}


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--splits", nargs="+", type=int, default=[100, 101, 102])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    os.environ.setdefault("TQDM_DISABLE", "1")
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    results = {name: PARTS[name](args) for name in args.only}
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
