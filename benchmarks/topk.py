"""TopKAutoencoder: quality beside PCA and dictionary learning, speed, and memory at scale.

    python benchmarks/topk.py [--only gather speed quality dead memory] [--data DIR] [--rounds 5]

Tables are printed in Markdown. Machines are noisy, so contestants take turns and medians of ratios
within a round are told. ``--data`` adds a set that does not come with scikit-learn: ``DIR`` holds
``frey_faces/frey_faces.npz`` with an array "images".
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, MiniBatchDictionaryLearning
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from skae import TopKAutoencoder, dictionary
from skae.engine.data import Batch
from skae.metrics import code_statistics


def seconds(call: Callable[[], object]) -> float:
    """Wall time."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


# ------------------------------------------------------------------ from where on to gather


def coder(n_features: int, n_components: int, k: int, gathered: bool) -> tuple[TopKAutoencoder, Any]:
    """An estimator and a module of random weights, which gathers or does not."""
    usual = dictionary.GATHERED_SIZE, dictionary.GATHERED_RATIO
    dictionary.GATHERED_SIZE, dictionary.GATHERED_RATIO = (0, 1) if gathered else (2**62, 1)
    try:
        model = TopKAutoencoder(n_components, k=k)
        model.mean_, model.scale_, model._centred = np.zeros(n_features), 1.0, True
        module = dictionary.DictionaryAutoencoder(**model._architecture(n_features))
    finally:
        dictionary.GATHERED_SIZE, dictionary.GATHERED_RATIO = usual
    rng = torch.Generator().manual_seed(0)
    module.initialise(torch.zeros(n_features), rng)
    module.start_at_atoms(rng)
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return model, module


def gather(args: argparse.Namespace) -> None:
    """Seconds of a step and of decoding where rows are gathered, over those of dense products."""
    print("\n| columns | units | k | units / k | step, gathered / dense | decoding, gathered / dense |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for n_features in (64, 256, 768):
        for n_components in (256, 1024, 4096):
            for k in (8, 32, 128):
                step, decode = gathered_over_dense(n_features, n_components, k, args.rounds)
                ratio = n_components // k
                print(f"| {n_features} | {n_components} | {k} | {ratio} | {step:.2f} | {decode:.2f} |", flush=True)


def gathered_over_dense(n_features: int, n_components: int, k: int, rounds: int) -> tuple[float, float]:
    """The medians for a batch of 200 rows on one thread."""
    batch = Batch(torch.randn(200, n_features, generator=torch.Generator().manual_seed(1)))
    rng = torch.Generator().manual_seed(2)
    pairs = [coder(n_features, n_components, k, gathered) for gathered in (True, False)]
    with threadpool_limits(1):
        with torch.no_grad():
            h = pairs[0][1].encode(batch.x)
            decode = [[seconds(lambda: m.decode(h)) for _, m in pairs] for _ in range(4 * rounds)]  # noqa: B023
        step = [[seconds(lambda: e._step(m, batch, rng)) for e, m in pairs] for _ in range(4 * rounds)]  # noqa: B023
    ratios = [float(np.median([a / b for a, b in times[1:]])) for times in (step, decode)]
    return ratios[0], ratios[1]


# ------------------------------------------------------------------ speed


class BareTopK(torch.nn.Module):
    """The network as a tutorial writes it."""

    def __init__(self, n_features: int, n_components: int, k: int) -> None:
        super().__init__()
        self.encoder, self.decoder = (
            torch.nn.Linear(n_features, n_components),
            torch.nn.Linear(n_components, n_features),
        )
        self.k = k
        self.normalise()
        with torch.no_grad():
            self.encoder.weight.copy_(self.decoder.weight.t())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Reconstruct a batch."""
        values, units = torch.relu(self.encoder(x)).topk(self.k, 1)
        return self.decoder(torch.zeros(len(x), self.decoder.in_features).scatter(1, units, values))

    @torch.no_grad()
    def normalise(self) -> None:
        """Give atoms norm one."""
        self.decoder.weight /= self.decoder.weight.norm(dim=0)


def bare_loop(X: np.ndarray, n_components: int, k: int, batch: int, epochs: int) -> None:
    """The training loop that a user would write by hand, without an auxiliary loss."""
    data = torch.from_numpy(X)
    network = BareTopK(X.shape[1], n_components, k)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(epochs):
        for index in torch.randperm(len(data)).split(batch):
            x = data[index]
            optimizer.zero_grad()
            (network(x) - x).square().sum(1).mean().backward()
            optimizer.step()
            network.normalise()


def speed(args: argparse.Namespace) -> None:
    """Seconds of a fit over those of the bare loop."""
    rng = np.random.default_rng(0)
    digits = ((load_digits().data - 5) / 6).astype(np.float32)
    noise = rng.standard_normal((4000, 768), dtype=np.float32)
    cases = [(digits, 128, 8, 200, 20), (digits, 128, 8, 32, 20), (noise, 1024, 32, 200, 1), (noise, 4096, 32, 200, 1)]
    print("\n| rows x columns | units | k | batch | bare loop | skae | skae over bare |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for X, n_components, k, batch, epochs in cases:
        common = {"batch_size": batch, "max_iter": epochs, "tol": 0.0, "n_iter_no_change": epochs + 1}
        model = TopKAutoencoder(n_components, k=k, random_state=0, device="cpu", **common)
        with threadpool_limits(1):
            bare_loop(X[:200], n_components, k, batch, 1)
            fits = (lambda: bare_loop(X, n_components, k, batch, epochs), lambda: model.fit(X))  # noqa: B023
            times = np.array([[seconds(fit) for fit in fits] for _ in range(args.rounds)])
        bare, ours = np.median(times, axis=0) / epochs * 1000
        ratio = np.median(times[:, 1] / times[:, 0])
        shape = f"{len(X)} x {X.shape[1]}"
        print(f"| {shape} | {n_components} | {k} | {batch} | {bare:.0f} ms | {ours:.0f} ms | {ratio:.2f} |", flush=True)


# ------------------------------------------------------------------ quality


def data_sets(args: argparse.Namespace) -> dict[str, np.ndarray]:
    """Digits, and Frey faces where they are."""
    sets = {"digits": load_digits().data}
    if args.data:
        images = np.load(args.data / "frey_faces" / "frey_faces.npz")["images"]
        sets["frey faces"] = images.reshape(len(images), -1).astype(float)
    return sets


def quality(args: argparse.Namespace) -> None:
    """Held-out R2 with k numbers a row, median over three splits."""
    print(
        "\n| data | units | k | PCA(k) | TopKAutoencoder | s | selection='batch' | its L0 | OMP on its atoms |", end=""
    )
    print(" MiniBatchDictionaryLearning, OMP | s |\n| --- |" + " ---: |" * 10)
    for name, X in data_sets(args).items():
        for n_components, k in ((64, 4), (128, 8), (256, 8), (256, 16)):
            rows = [one_split(X, n_components, k, seed) for seed in range(args.splits)]
            cells = " | ".join(f"{value:.3f}" if value < 1 else f"{value:.1f}" for value in np.median(rows, axis=0))
            print(f"| {name} | {n_components} | {k} | {cells} |", flush=True)


def one_split(X: np.ndarray, n_components: int, k: int, seed: int) -> list[float]:
    """The figures of a row."""
    train, test = train_test_split(X, random_state=seed)
    mean = train.mean(axis=0)

    def r2(X_hat: np.ndarray) -> float:
        return float(1 - ((test - X_hat) ** 2).sum() / ((test - mean) ** 2).sum())

    pca = PCA(k, random_state=0).fit(train)
    row = TopKAutoencoder(n_components, k=k, random_state=0)
    ours = seconds(lambda: row.fit(train))
    batch = TopKAutoencoder(n_components, k=k, selection="batch", random_state=0).fit(train)
    theirs = MiniBatchDictionaryLearning(
        n_components, alpha=4 * row.scale_, batch_size=200, max_iter=100, random_state=0, **omp(k)
    )
    peer = seconds(lambda: theirs.fit(train - mean))
    return [
        r2(pca.inverse_transform(pca.transform(test))),
        row.score(test),
        ours,
        batch.score(test),
        code_statistics(batch, test).l0,
        r2(pursue(row.components_, test - mean, k) + mean),
        r2(theirs.transform(test - mean) @ theirs.components_ + mean),
        peer,
    ]


def omp(k: int) -> dict[str, Any]:
    """Parameters that give a transformer k nonzero coefficients a row."""
    return {"transform_algorithm": "omp", "transform_n_nonzero_coefs": k}


def pursue(atoms: np.ndarray, X: np.ndarray, k: int) -> np.ndarray:
    """Rows rebuilt by orthogonal matching pursuit with given atoms."""
    from sklearn.decomposition import SparseCoder

    atoms = atoms.astype(float)
    return SparseCoder(atoms, **omp(k)).fit(X).transform(X) @ atoms


def dead(args: argparse.Namespace) -> None:
    """Dead units on the training rows, and held-out R2, with the auxiliary loss and without it."""
    print("\n| data | units | k | learning rate | dead, R2 without | dead, R2 at 1/32 | dead, R2 at 1 |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, X in data_sets(args).items():
        train, test = train_test_split(X, random_state=0)
        for n_components, k, rate in ((256, 8, 0.003), (256, 8, 0.01), (1024, 8, 0.003)):
            cells = []
            for weight in (0.0, 1 / 32, 1.0):
                options = {"learning_rate_init": rate, "auxiliary_weight": weight, "random_state": 0}
                model = TopKAutoencoder(n_components, k=k, **options).fit(train)
                cells.append(f"{code_statistics(model, train).dead_fraction:.3f}, {model.score(test):.3f}")
            print(f"| {name} | {n_components} | {k} | {rate} | {' | '.join(cells)} |", flush=True)


# ------------------------------------------------------------------ memory

MEMORY = """
import sys, time, numpy as np
from skae import TopKAutoencoder
from skae.metrics import code_statistics
def status(field):
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith(field))
path, units, k, batch, rows = sys.argv[1], *map(int, sys.argv[2:])
X = np.load(path, mmap_mode="r")[:rows]
model = TopKAutoencoder(units, k=k, batch_size=batch, learning_rate_init=3e-4, random_state=0, device="cpu")
start = status("VmRSS")
begin = time.perf_counter()
model.partial_fit(X)
print(time.perf_counter() - begin, status("VmHWM") - start, code_statistics(model, X[:2048]).nmse)
"""


def memory(args: argparse.Namespace) -> None:
    """One pass over rows of 768 into 16 384 units, from a memory map (Linux only)."""
    print("\n| rows | batch | rows/s | pass | resident memory added | nmse |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "activations.npy"
        write_activations(path, args.rows)
        for rows, batch in ((4096, 200), (4096, 1024), (args.rows, 1024)):
            command = [sys.executable, "-c", MEMORY, str(path), "16384", "32", str(batch), str(rows)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            took, added, nmse = (float(x) for x in done.stdout.split())
            print(f"| {rows} | {batch} | {rows / took:.0f} | {took:.0f} s | {added:.0f} MB | {nmse:.3f} |", flush=True)


def write_activations(path: Path, n_rows: int) -> None:
    """Sums of 32 of 20 000 random directions with exponential weights: what activations are taken to be."""
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((20_000, 768), dtype=np.float32) / np.sqrt(np.float32(768))
    out = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, 768))
    for start in range(0, n_rows, 1000):
        n = min(1000, n_rows - start)
        which = rng.integers(0, 20_000, size=(n, 32))
        out[start : start + n] = np.einsum("nk,nkd->nd", rng.exponential(size=(n, 32)), directions[which])
    out.flush()


PARTS = {"gather": gather, "speed": speed, "quality": quality, "dead": dead, "memory": memory}


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--data", type=Path, help="a folder with further data sets")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--rows", type=int, default=100_000, help="of the memory map")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in args.only:
        PARTS[name](args)


if __name__ == "__main__":
    main()
