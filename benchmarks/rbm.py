"""RBM beside scikit-learn's BernoulliRBM and a bare PyTorch loop: speed, and what is learnt.

    python benchmarks/rbm.py [--rounds 3] [--rows 20000] [--only speed quality] [--json FILE]

Persistent contrastive divergence for all, one epoch over random binary rows of 784 columns. Contestants take turns; the
ratio to BernoulliRBM of each round is taken, and its median is told. Quality is the pseudo-likelihood over all
columns, by one function for all models, on held-out rows of scikit-learn's digits after the same epochs.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import BernoulliRBM

from skae import RBM
from skae.energy.harmonium import Harmonium
from skae.energy.layers import Part
from skae.energy.pseudo_likelihood import pseudo_log_likelihood

CASES = {"batch 10, 256 hidden": (10, 256), "batch 100, 500 hidden": (100, 500)}


def bare_loop(X: np.ndarray, batch: int, n_components: int) -> None:
    """Persistent contrastive divergence as a tutorial writes it."""
    data = torch.from_numpy(X)
    W = 0.01 * torch.randn(n_components, X.shape[1])
    a, b = torch.zeros(X.shape[1]), torch.zeros(n_components)
    chain = torch.zeros(batch, n_components)
    for start in range(0, len(data), batch):
        v = data[start : start + batch]
        h = torch.sigmoid(torch.addmm(b, v, W.t()))
        v_model = torch.bernoulli(torch.sigmoid(torch.addmm(a, chain, W)))
        h_model = torch.sigmoid(torch.addmm(b, v_model, W.t()))
        rate = 0.01 / batch
        W.addmm_(h.t(), v, alpha=rate).addmm_(h_model.t(), v_model, alpha=-rate)
        a.add_(v.sum(0) - v_model.sum(0), alpha=rate)
        b.add_(h.sum(0) - h_model.sum(0), alpha=rate)
        chain = torch.bernoulli(h_model)


def contestants(X: np.ndarray, batch: int, n_components: int) -> dict[str, Callable[[], object]]:
    """Every contestant's fit, by name."""
    common = {"learning_rate_init": 0.01, "batch_size": batch, "n_chains": batch, "max_iter": 1, "device": "cpu"}
    return {
        "BernoulliRBM": lambda: BernoulliRBM(n_components, batch_size=batch, learning_rate=0.01, n_iter=1).fit(X),
        "bare loop": lambda: bare_loop(X, batch, n_components),
        "skae, defaults": lambda: RBM(n_components, visible="bernoulli", **common).fit(X),
        "skae, not centred": lambda: RBM(n_components, visible="bernoulli", centred=False, **common).fit(X),
    }


def speed(rounds: int, n_rows: int) -> list[dict[str, object]]:
    """Median seconds, and median ratio of BernoulliRBM's seconds to those of each contestant."""
    X = (np.random.default_rng(0).random((n_rows, 784)) < 0.2).astype(np.float32)
    table = []
    for case, (batch, n_components) in CASES.items():
        fits = contestants(X, batch, n_components)
        seconds: dict[str, list[float]] = {name: [] for name in fits}
        for _ in range(rounds):
            for name, fit in fits.items():
                start = time.perf_counter()
                fit()
                seconds[name].append(time.perf_counter() - start)
        peer = np.array(seconds["BernoulliRBM"])
        for name, measured in seconds.items():
            row = {"case": case, "fit": name, "seconds": float(np.median(measured))}
            table.append({**row, "times faster": float(np.median(peer / np.array(measured)))})
            print("{case:24} {fit:20} {seconds:7.2f} s {times faster:6.2f}x".format(**table[-1]), flush=True)
    return table


def pseudo_likelihood(weight: np.ndarray, a: np.ndarray, b: np.ndarray, X: np.ndarray) -> float:
    """Mean over the rows, of a machine with these parameters."""
    machine = Harmonium(visible=[Part("bernoulli", len(a))], hidden=[Part("bernoulli", len(b))]).double()
    with torch.no_grad():
        for parameter, values in ((machine.weight, weight), (machine.visible_bias, a), (machine.hidden_bias, b)):
            parameter.copy_(torch.from_numpy(np.asarray(values, dtype=float)))
        return float(pseudo_log_likelihood(machine, torch.from_numpy(X)).mean())


def quality(epochs: int = 20) -> list[dict[str, object]]:
    """Pseudo-likelihood of held-out digits after the same epochs, each model at its best of four rates."""
    X = load_digits().data / 16
    table = []
    for name, data in {"grey digits": X, "binary digits": (X > 0.5).astype(float)}.items():
        train, test = train_test_split(data, random_state=0)
        common = {"batch_size": 10, "random_state": 0}
        for rate in (0.01, 0.03, 0.1, 0.3):
            theirs = BernoulliRBM(64, learning_rate=rate, n_iter=epochs, **common).fit(train)
            ours = RBM(64, visible="bernoulli", learning_rate_init=rate, max_iter=epochs, n_chains=10, **common)
            for fit, model in {"BernoulliRBM": theirs, "skae": ours.fit(train)}.items():
                value = pseudo_likelihood(model.components_, model.intercept_visible_, model.intercept_hidden_, test)
                table.append({"data": name, "rate": rate, "fit": fit, "pseudo-likelihood": value})
                print(f"{name:14} rate {rate:<5} {fit:14} {value:8.2f}", flush=True)
    return table


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--only", nargs="+", choices=("speed", "quality"), default=("speed", "quality"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    found: dict[str, object] = {}
    if "speed" in options.only:
        found["speed"] = speed(options.rounds, options.rows)
    if "quality" in options.only:
        found["quality"] = quality()
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
