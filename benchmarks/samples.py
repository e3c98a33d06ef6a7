"""Samples and codes of adversarial, Wasserstein and variational autoencoders, beside mixtures of normal distributions.

    python benchmarks/samples.py [--only PARTS] [--models NAMES] [--seeds 100 101 102] [--data FOLDER] [--json FILE]

Default settings, nothing tuned, means over seeds, of the data and of the models. ``--models`` takes parts of names.
Squared MMDs are those of ``skae.metrics.squared_mmd``. ``--data`` adds 4000 rows of MNIST to "codes" and "digits", from
a folder that has ``mnist`` in it.

- "mixtures": in two dimensions, samples of models of 2000 rows beside 2000 held-out rows. The distance is divided by
  that of a single normal distribution. A mode is found if a quarter of its share of the samples lies within three
  deviations.
- "codes": the distance of the codes of held-out rows to N(0, I), with the kernel of ``WassersteinAutoencoder``.
- "digits": what a classifier, which was trained on the training digits, says about samples. "sure" is the share of
  samples with a probability above 0.9, "entropy" that of the predicted classes in nats, at most log 10 = 2.303.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_digits, make_moons
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits
from variants import mnist

from skae import (
    RBM,
    AdversarialAutoencoder,
    AdversariallyRegularizedAutoencoder,
    BidirectionalGAN,
    VariationalAutoencoder,
    WassersteinAutoencoder,
)
from skae.metrics import reconstruction_r2, squared_mmd

Figures = dict[str, dict[str, list[float]]]
"""Values over the seeds, by model and figure."""

N_ROWS = 2000
"""Rows to fit, to hold out and to draw, in two dimensions."""
WIDTHS = {"digits": (2, 8, 16), "mnist": (8,)}
"""Numbers of components of "codes"."""
SCALES = WassersteinAutoencoder().scales


class Mixture(NamedTuple):
    """A distribution in two dimensions."""

    draw: Callable[[int, np.random.Generator], np.ndarray]
    modes: np.ndarray
    deviation: float


def around(modes: np.ndarray, deviation: float) -> Mixture:
    """Round normal distributions around these modes."""

    def draw(n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.normal(modes[rng.integers(len(modes), size=n)], deviation)

    return Mixture(draw, modes, deviation)


def circle(n: int, radius: float) -> np.ndarray:
    """Corners of a polygon."""
    angles = 2 * np.pi * np.arange(n) / n
    return radius * np.stack([np.cos(angles), np.sin(angles)], 1)


def moons(n: int, rng: np.random.Generator) -> np.ndarray:
    """Two half circles."""
    found: np.ndarray = make_moons(n, noise=0.05, random_state=int(rng.integers(2**31)))[0]
    return found


MIXTURES = {
    "three lobes": around(circle(3, 3.0), 0.4),
    "ring of 8": around(circle(8, 2.0), 0.1),
    "grid of 25": around(2.0 * np.stack(np.meshgrid(*[np.arange(5) - 2] * 2), -1).reshape(-1, 2), 0.1),
    "two moons": Mixture(moons, np.empty((0, 2)), 0.05),
}


class BestMixture(GaussianMixture):
    """A mixture of as many normal distributions as the Bayesian information criterion asks for."""

    def fit(self, X: np.ndarray, y: Any = None) -> BestMixture:
        """Choose the number, and fit."""
        sizes = (1, 2, 3, 5, 8, 12, 20, 25, 30)
        best = min(sizes, key=lambda k: GaussianMixture(k, reg_covar=self.reg_covar, random_state=0).fit(X).bic(X))
        self.set_params(n_components=best)
        super().fit(X)
        return self


def autoencoders(k: int, seed: int) -> dict[str, Any]:
    """The models of this package that have codes and samples, with default settings."""
    classes = (
        AdversarialAutoencoder,
        AdversariallyRegularizedAutoencoder,
        WassersteinAutoencoder,
        BidirectionalGAN,
        VariationalAutoencoder,
    )
    found: dict[str, Any] = {cls.__name__: cls(k, random_state=seed) for cls in classes}
    return found | {"VariationalAutoencoder normal": VariationalAutoencoder(k, prior="normal", random_state=seed)}


def chosen(models: dict[str, Any], asked: list[str] | None) -> dict[str, Any]:
    """The models with a name of which a part was asked for."""
    return {name: m for name, m in models.items() if not asked or any(part.lower() in name.lower() for part in asked)}


def add(figures: Figures, model: str, **values: float) -> None:
    """Add values of a seed to the figures of a model."""
    for name, value in values.items():
        figures.setdefault(model, {}).setdefault(name, []).append(float(value))


def told(title: str, figures: Figures) -> dict[str, dict[str, float]]:
    """Print and return the mean of each figure over the seeds."""
    print(f"\n{title}", flush=True)
    names = list(dict.fromkeys(name for values in figures.values() for name in values))
    print(f"  {'':34s}" + "".join(f"{name:>12s}" for name in names))
    for model, values in figures.items():
        cells = (f"{np.mean(values[name]):12.4f}" if name in values else f"{'':12s}" for name in names)
        print(f"  {model:34s}" + "".join(cells), flush=True)
    return {model: {name: float(np.mean(v)) for name, v in values.items()} for model, values in figures.items()}


def rows_of(model: Any, n: int, seed: int) -> np.ndarray:
    """Samples of a model, from here or from scikit-learn."""
    found = model.sample(n)[0] if isinstance(model, GaussianMixture) else model.sample(n, random_state=seed)
    return np.asarray(found)


def n_found(mixture: Mixture, rows: np.ndarray) -> int:
    """Number of modes that samples find."""
    distances = np.linalg.norm(rows[:, None] - mixture.modes, axis=2)
    shares = (distances < 3 * mixture.deviation).mean(0)
    return int((shares > 0.25 / len(mixture.modes)).sum())


def fitted(model: Any, X: np.ndarray) -> float:
    """Fit, and return the seconds that it took."""
    start = time.perf_counter()
    model.fit(X)
    return time.perf_counter() - start


def mixtures(args: argparse.Namespace) -> dict[str, Any]:
    """Distributions in two dimensions."""
    results = {}
    for name, mixture in MIXTURES.items():
        figures: Figures = {}
        for seed in args.seeds:
            rng = np.random.default_rng(seed)
            train, test = mixture.draw(N_ROWS, rng), mixture.draw(N_ROWS, rng)
            single = GaussianMixture(1, random_state=seed).fit(train)
            unit = squared_mmd(test, rows_of(single, N_ROWS, seed))
            others = {"GaussianMixture by BIC": BestMixture(reg_covar=1e-4, random_state=seed)}
            for title, model in chosen(autoencoders(2, seed) | others, args.models).items():
                seconds = fitted(model, train)
                rows = rows_of(model, N_ROWS, seed)
                values = {"MMD ratio": squared_mmd(test, rows) / unit, "s": seconds}
                if len(mixture.modes):
                    values["modes"] = n_found(mixture, rows)
                if hasattr(model, "inverse_transform"):
                    values["R2"] = reconstruction_r2(model, test)
                add(figures, title, **values)
            add(figures, "other rows of the data", **{"MMD ratio": squared_mmd(test, train) / unit})
        results[name] = told(f"{name}: MMD of samples to held-out rows, that of one normal distribution is 1", figures)
    return results


def splits(args: argparse.Namespace, seed: int) -> dict[str, tuple[np.ndarray, ...]]:
    """Training and held-out images and their labels, by the name of the set."""
    X, y = load_digits(return_X_y=True)
    found = {"digits": tuple(train_test_split(X, y, random_state=seed, stratify=y))}
    if args.data is not None:
        found["mnist"] = mnist(args.data, full=False)
    return found


def to_normal(h: np.ndarray, seed: int) -> float:
    """Squared MMD of codes to draws from N(0, I)."""
    draws = np.random.default_rng(seed + 1).normal(size=(4000, h.shape[1]))
    return squared_mmd(draws, h, scales=SCALES, unit=2.0 * h.shape[1])


def codes(args: argparse.Namespace) -> dict[str, Any]:
    """How near the codes of held-out rows are to the prior."""
    tables: dict[str, tuple[int, list[tuple[int, np.ndarray, np.ndarray]]]] = {}
    for seed in args.seeds:
        for name, (train, test, _, _) in splits(args, seed).items():
            for k in WIDTHS[name]:
                tables.setdefault(f"{name}, {k} components", (k, []))[1].append((seed, train, test))
        for name, mixture in MIXTURES.items():
            rng = np.random.default_rng(seed)
            rows = mixture.draw(N_ROWS, rng), mixture.draw(N_ROWS, rng)
            tables.setdefault(f"{name}, 2 components", (2, []))[1].append((seed, *rows))
    results = {}
    for title, (k, cases) in tables.items():
        figures: Figures = {}
        for seed, train, test in cases:
            models = autoencoders(k, seed) | {"WassersteinAutoencoder 0": WassersteinAutoencoder(k, mmd_weight=0.0)}
            models["WassersteinAutoencoder 0"].set_params(random_state=seed)
            del models["VariationalAutoencoder"]  # its prior is fitted to the codes
            for name, model in chosen(models, args.models).items():
                fitted(model, train)
                values = {"codes": to_normal(model.transform(test), seed), "R2": reconstruction_r2(model, test)}
                if callable(getattr(model, "posterior", None)):
                    mean, deviation = model.posterior(test)
                    drawn = mean + deviation * np.random.default_rng(seed).normal(size=mean.shape)
                    values["drawn codes"] = to_normal(drawn, seed)
                add(figures, name, **values)
            add(figures, "N(0, I)", codes=to_normal(np.random.default_rng(seed + 2).normal(size=(len(test), k)), seed))
        results[title] = told(f"{title}: squared MMD of codes of held-out rows to N(0, I)", figures)
    return results


class Bits(RBM):
    """A machine of numbers in [0, 1], whose samples are probabilities of the last step."""

    def sample(self, n_samples: int = 1, n_steps: int = 1000, random_state: Any = None) -> np.ndarray:
        """Draw rows."""
        bits = super().sample(n_samples, n_steps, random_state)
        found: np.ndarray = self.inverse_transform(self.transform(bits))
        return found


def digits(args: argparse.Namespace) -> dict[str, Any]:
    """What a classifier says about samples of digits."""
    results = {}
    for name in splits(args, 0):
        figures: Figures = {}
        for seed in args.seeds:
            train, test, y, y_test = splits(args, seed)[name]
            top = train.max()
            judge = MLPClassifier((128,), alpha=0.1, max_iter=100, random_state=seed).fit(train / top, y)

            def judged(rows: np.ndarray, judge: Any = judge, test: np.ndarray = test, top: float = top) -> Any:
                found = judge.predict_proba(np.clip(rows, 0, top) / top)
                shares = np.bincount(found.argmax(1), minlength=10) / len(rows)
                entropy = -(shares[shares > 0] * np.log(shares[shares > 0])).sum()
                return {"sure": (found.max(1) > 0.9).mean(), "entropy": entropy, "MMD": squared_mmd(test, rows)}

            models = autoencoders(16, seed) | {
                "RBM 256": Bits(256, visible="bernoulli", random_state=seed),
                "GaussianMixture 1": GaussianMixture(1, reg_covar=1e-3 * top**2, random_state=seed),
                "GaussianMixture 10": GaussianMixture(10, reg_covar=1e-3 * top**2, random_state=seed),
            }
            for title, model in chosen(models, args.models).items():
                scale = top if title.startswith("RBM") else 1.0
                seconds = fitted(model, train / scale)
                add(figures, title, **judged(scale * rows_of(model, len(test), seed)), s=seconds)
                if title.startswith("Var"):
                    means = model.inverse_transform(model.sample_codes(len(test), random_state=seed))
                    add(figures, f"{title}, means", **judged(means))
            held_out = {"sure": judged(test)["sure"], "entropy": judged(test)["entropy"]}
            add(figures, "held-out rows", **held_out, accuracy=judge.score(test / top, y_test))
            add(figures, "training rows", **judged(train))
        results[name] = told(f"{name}: samples of 16 components, judged by a classifier", figures)
    return results


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "mixtures": mixtures,
    "codes": codes,
    "digits": digits,
}


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--models", nargs="+", help="parts of names of models")
    parser.add_argument("--seeds", nargs="+", type=int, default=[100, 101, 102, 103, 104])
    parser.add_argument("--data", type=Path, help="folder with MNIST")
    parser.add_argument("--threads", type=int, help="threads of a fit (default: as many as there are cores)")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    os.environ.setdefault("TQDM_DISABLE", "1")
    warnings.simplefilter("ignore")
    with threadpool_limits(args.threads):
        results = {name: PARTS[name](args) for name in args.only}
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
