"""DeepBoltzmannMachine: seconds beside a bare PyTorch loop, and figures of digits beside RBM and DeepBeliefNetwork.

    python benchmarks/dbm.py [--only speed density codes labels] [--seeds 100 101 102] [--epochs 50 200]

"speed": an epoch of joint training, beside a loop as a tutorial would write it, with the same mean field, the same
chains, centring and momentum. Both run on one thread, and the time of that thread is measured.

The other three are of black-and-white digits, of which a quarter is held out. Defaults were chosen on the seeds 0, 1
and 2, and are judged on others.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from skae import RBM, DeepBeliefNetwork, DeepBoltzmannMachine
from skae.boltzmann.machine import BoltzmannMachine

CASES = {"64-64-64": (1797, 64, 64, 64, 30), "784-500-1000": (2000, 784, 500, 1000, 8)}
"""Rows, their width, units of the two hidden layers, and epochs that are timed."""
BATCH, SWEEPS, RATE, MOMENTUM, FOLLOW = 100, 5, 0.05, 0.5, 0.01


def up(x: Tensor, W: Tensor, bias: Tensor) -> Tensor:
    """Fields of the layer above."""
    return torch.addmm(bias, x, W.t())


class BareLoop:
    """A centred machine of two hidden layers, learnt by mean field and persistent chains."""

    def __init__(self, X: np.ndarray, n_1: int, n_2: int) -> None:
        self.data, width = torch.from_numpy(X), X.shape[1]
        mean = self.data.mean(0)
        self.W1, self.W2 = 0.1 * torch.randn(n_1, width), 0.1 * torch.randn(n_2, n_1)
        self.a, self.b, self.c = torch.logit(mean.clamp(0.01, 0.99)), torch.zeros(n_1), torch.zeros(n_2)
        self.mu, self.lam_1, self.lam_2 = mean.clone(), torch.full((n_1,), 0.5), torch.full((n_2,), 0.5)
        self.speeds = [torch.zeros_like(p) for p in self.parameters()]
        self.chain = torch.bernoulli(torch.full((BATCH, n_1), 0.5))

    def parameters(self) -> list[Tensor]:
        """All of them."""
        return [self.W1, self.W2, self.a, self.b, self.c]

    def epoch(self) -> None:
        """One pass over shuffled rows."""
        for rows in torch.randperm(len(self.data)).split(BATCH):
            self.step(self.data[rows])

    def step(self, v: Tensor) -> None:
        """One update of the parameters and the offsets."""
        below = up(v, self.W1, self.b)
        h_2 = self.lam_2.expand(len(v), -1)
        for _ in range(SWEEPS):
            h_1 = torch.sigmoid(torch.addmm(below, h_2, self.W2))
            h_2 = torch.sigmoid(up(h_1, self.W2, self.c))
        h_1 = torch.sigmoid(torch.addmm(below, h_2, self.W2))
        v_model = torch.bernoulli(torch.sigmoid(torch.addmm(self.a, self.chain, self.W1)))
        h_2_model = torch.bernoulli(torch.sigmoid(up(self.chain, self.W2, self.c)))
        h_1_model = torch.sigmoid(torch.addmm(up(v_model, self.W1, self.b), h_2_model, self.W2))
        self.chain = torch.bernoulli(h_1_model)
        self.update(self.gradient(v, h_1, h_2), self.gradient(v_model, h_1_model, h_2_model))
        self.mu.lerp_(v.mean(0), FOLLOW)
        self.lam_1.lerp_(h_1.mean(0), FOLLOW)
        self.lam_2.lerp_(h_2.mean(0), FOLLOW)

    def gradient(self, v: Tensor, h_1: Tensor, h_2: Tensor) -> list[Tensor]:
        """Means over the rows of the centred statistics, in the order of the parameters."""
        v, h_1, h_2 = v - self.mu, h_1 - self.lam_1, h_2 - self.lam_2
        return [h_1.t() @ v / len(v), h_2.t() @ h_1 / len(v), v.mean(0), h_1.mean(0), h_2.mean(0)]

    def update(self, data: list[Tensor], model: list[Tensor]) -> None:
        """Go up the gradient. The biases take up what the offsets move."""
        d_W1, d_W2, d_a, d_b, d_c = (one - other for one, other in zip(data, model, strict=True))
        d_a -= self.lam_1 @ d_W1
        d_b -= d_W1 @ self.mu + self.lam_2 @ d_W2
        d_c -= d_W2 @ self.lam_1
        for p, speed, d in zip(self.parameters(), self.speeds, (d_W1, d_W2, d_a, d_b, d_c), strict=True):
            speed.mul_(MOMENTUM).add_(d)
            p.add_(speed, alpha=RATE)


def speed(rounds: int) -> None:
    """Milliseconds of an epoch, and the median ratio of ours to that of the bare loop."""
    torch.set_num_threads(1)
    print("| units | batch | skae, ms | bare loop, ms | ratio |\n| --- | ---: | ---: | ---: | ---: |")
    for case, (n, width, n_1, n_2, n_epochs) in CASES.items():
        X = (np.random.default_rng(0).random((n, width)) < 0.3).astype(np.float32)
        loop = BareLoop(X, n_1, n_2)
        model = DeepBoltzmannMachine(n_2, hidden_layer_sizes=(n_1,), visible="bernoulli", dtype="float32", device="cpu")
        model.set_params(batch_size=BATCH, n_chains=BATCH, n_mean_field=SWEEPS, learning_rate_init=RATE)
        model.set_params(learning_rate="constant", max_iter=n_epochs, warm_start=True, random_state=0).fit(X)
        contestants: tuple[Callable[[], object], ...] = (
            lambda model=model, X=X: model.fit(X),
            lambda loop=loop, n_epochs=n_epochs: [loop.epoch() for _ in range(n_epochs)],
        )
        taken = np.array([[seconds(work) / n_epochs for work in contestants] for _ in range(rounds)])
        ours, bare = 1000 * np.median(taken, axis=0)
        print(
            f"| {case} | {BATCH} | {ours:.1f} | {bare:.1f} | {np.median(taken[:, 0] / taken[:, 1]):.2f} |", flush=True
        )


def seconds(work: Callable[[], object]) -> float:
    """Time of this thread, which others on the machine do not lengthen much."""
    start = time.process_time()
    work()
    return time.process_time() - start


# ---------------------------------------------------------------- digits


def digits(seed: int) -> list[np.ndarray]:
    """Binary digits and their labels: train, test, y_train, y_test."""
    X, y = load_digits(return_X_y=True)
    parts: list[np.ndarray] = train_test_split((X > 7).astype(float), y, random_state=seed)
    return parts


def accuracy(codes: Callable[[np.ndarray], np.ndarray], seed: int) -> float:
    """Of a LogisticRegression of held-out digits on standardised codes."""
    train, test, y_train, y_test = digits(seed)
    reader = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=500))
    return float(reader.fit(codes(train), y_train).score(codes(test), y_test))


def density(epochs: Sequence[int], seeds: Sequence[int]) -> None:
    """Bounds of binary digits with both ends of log Z, and the seconds of a fit."""
    deep = {"hidden_layer_sizes": (64,)}
    models: dict[str, BoltzmannMachine] = {
        "`RBM`, 64": RBM(64),
        "`RBM`, 128": RBM(128),
        "`DeepBeliefNetwork`, 64-64": DeepBeliefNetwork(64, **deep),
        "`DeepBoltzmannMachine`, 64-64": DeepBoltzmannMachine(64, **deep),
        "`pretrain_iter=5`": DeepBoltzmannMachine(64, pretrain_iter=5, **deep),
        "64-64-64": DeepBoltzmannMachine(64, hidden_layer_sizes=(64, 64)),
    }
    print("| model | epochs | s | log p(x), its bound | with the upper end of log Z | training rows |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for n_epochs in epochs:
        for name, model in models.items():
            model.set_params(visible="bernoulli", max_iter=n_epochs)
            found = [judged(clone(model), seed) for seed in seeds]
            print(
                "| {} | {} | {:.1f} | {:.2f} | {:.2f} | {:.2f} |".format(name, n_epochs, *np.mean(found, 0)), flush=True
            )


def judged(model: BoltzmannMachine, seed: int) -> list[float]:
    """Seconds, and means of the bound over held-out rows with both ends of log Z, and over training rows."""
    train, test, *_ = digits(seed)
    taken = seconds(lambda: model.set_params(random_state=seed).fit(train))
    lower, upper = model.log_partition_bounds(random_state=0)
    F_train, F_test = (model.free_energy(X).mean() for X in (train, test))
    return [taken, -F_test - lower.value, -F_test - upper.value, -F_train - lower.value]


def codes(seeds: Sequence[int]) -> None:
    """Accuracy of a linear model on the layers of machines with the default budget."""
    found: dict[str, list[float]] = defaultdict(list)
    for seed in seeds:
        train = digits(seed)[0]
        found["pixels"].append(accuracy(lambda X: X, seed))
        found["`RBM`"].append(accuracy(RBM(64, visible="bernoulli", random_state=seed).fit(train).transform, seed))
        for n_epochs in (0, 5, 20):
            machine = DeepBoltzmannMachine(64, visible="bernoulli", pretrain_iter=n_epochs, random_state=seed).fit(
                train
            )
            for code in ("top", "all"):
                machine.set_params(code=code)
                found[f'`code="{code}"`, `pretrain_iter={n_epochs}`'].append(accuracy(machine.transform, seed))
    print("| code | accuracy |\n| --- | ---: |")
    print("\n".join(f"| {name} | {np.mean(values):.3f} |" for name, values in found.items()))


def labels(seeds: Sequence[int]) -> None:
    """Accuracy on held-out digits of machines with a label above the top."""
    models: dict[str, Any] = {
        "`LogisticRegression`": make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=500)),
        "`DeepBeliefNetwork`": DeepBeliefNetwork(64, hidden_layer_sizes=(64,), visible="bernoulli", labels=True),
        "`DeepBoltzmannMachine`": DeepBoltzmannMachine(64, visible="bernoulli", labels=True),
        "`pretrain_iter=20`": DeepBoltzmannMachine(64, visible="bernoulli", labels=True, pretrain_iter=20),
    }
    print("| classifier | accuracy |\n| --- | ---: |")
    for name, model in models.items():
        found = []
        for seed in seeds:
            train, test, y_train, y_test = digits(seed)
            if name != "`LogisticRegression`":
                model.set_params(random_state=seed)
            found.append(clone(model).fit(train, y_train).score(test, y_test))
        print(f"| {name} | {np.mean(found):.3f} |", flush=True)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=("speed", "density", "codes", "labels"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[100, 101, 102])
    parser.add_argument("--epochs", nargs="+", type=int, default=[50, 200])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    jobs: dict[str, Callable[[], None]] = {
        "speed": lambda: speed(options.rounds),
        "density": lambda: density(options.epochs, options.seeds),
        "codes": lambda: codes(options.seeds),
        "labels": lambda: labels(options.seeds),
    }
    for name in options.only or jobs:
        jobs[name]()


if __name__ == "__main__":
    main()
