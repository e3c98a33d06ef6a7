"""Fits of two processes against one: equal curves, what a step sends, and how much of that is hidden behind work.

Run it with ``python benchmarks/distributed.py``. It starts its own processes. The two of them share the cores of one
machine with each other, and with whatever else runs, so that times of the wall say little here. What does not depend
on that is counted: bytes that a step sends, and processor time of a process. A model of the time on many machines is
computed from these.
"""

from __future__ import annotations

import argparse
import multiprocessing
import pickle
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from skae import RBM, Autoencoder, ConvolutionalAutoencoder
from skae.distributed import data_parallel, shard
from skae.engine import group as engine

QUICK = {"random_state": 0, "max_iter": 3, "dtype": "float32"}
MODELS: dict[str, tuple[Any, int, int]] = {
    "Autoencoder, 784 columns, (256, 128)": (Autoencoder(32, batch_size=512, **QUICK), 8000, 784),
    "Autoencoder, 784 columns, (1024, 512)": (
        Autoencoder(64, hidden_layer_sizes=(1024, 512), batch_size=1024, **QUICK),
        4000,
        784,
    ),
    "ConvolutionalAutoencoder, 28 x 28": (
        ConvolutionalAutoencoder(16, image_shape=(28, 28), channels=(16, 32), batch_size=256, **QUICK),
        1000,
        784,
    ),
    "RBM, 784 columns, 256 units": (
        RBM(256, visible="bernoulli", batch_size=512, n_chains=512, **QUICK),
        4000,
        784,
    ),
}
"""Estimator, rows and columns."""

LATENCY, BANDWIDTH = 25e-6, 1.25e9
"""Seconds of a message between two machines, and bytes a second, of an Ethernet of 10 gigabits."""


def rows_of(n: int, d: int) -> np.ndarray:
    """Rows on a curved surface of 20 dimensions, in [0, 1]."""
    rng = np.random.RandomState(0)
    z = rng.randn(n, 20)
    x = 1 / (1 + np.exp(-np.tanh(z @ rng.randn(20, 64)) @ rng.randn(64, d) / 4))
    return x.astype(np.float32)


def timed(estimator: Any, X: np.ndarray) -> dict[str, Any]:
    """Fit, and return the curves, the processor time, and what was sent and waited for."""
    counted = {"bytes": 0, "sums": 0, "waited": 0.0}
    start, wait = engine.Team.start, engine.Team.wait

    def counting(team: Any, tensor: torch.Tensor) -> Any:
        counted["bytes"] += tensor.nbytes
        counted["sums"] += 1
        return start(team, tensor)

    def waiting(team: Any, work: Any, at_once: bool = True) -> None:
        began = time.perf_counter()
        wait(team, work, at_once)
        counted["waited"] += time.perf_counter() - began

    engine.Team.start, engine.Team.wait = counting, waiting  # type: ignore[method-assign]
    before, began = time.process_time(), time.perf_counter()
    model = estimator.fit(X)
    wall, processor = time.perf_counter() - began, time.process_time() - before
    engine.Team.start, engine.Team.wait = start, wait  # type: ignore[method-assign]
    theta = model._flat.theta
    return counted | {"wall": wall, "cpu": processor, "history": model.history_, "gradient": theta.nbytes}


def member(rank: int, place: str, name: str, prefetch: bool, answers: Any) -> None:
    """One of two processes."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=2)
    if not prefetch:
        _fetch_late()
    estimator, n, d = MODELS[name]
    X = shard(rows_of(n, d))
    with data_parallel():
        timed(estimator, X[:500])  # imports, threads and connections
        found = timed(estimator, X)
    answers.put((rank, pickle.dumps(found)))
    dist.barrier()
    dist.destroy_process_group()


def _fetch_late() -> None:
    """Wait for the sums of a step before the next batch is gathered."""
    from skae.engine import course

    of = course._Sums.of

    def late(sums: Any, terms: Any, share: float, meanwhile: Any) -> Any:
        found = of(sums, terms, share, lambda: None)
        meanwhile()
        return found

    course._Sums.of = late  # type: ignore[method-assign]


def pair(name: str, prefetch: bool = True) -> list[dict[str, Any]]:
    """What two processes measure."""
    spawned = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        answers, place = spawned.Queue(), str(Path(folder) / "store")
        processes = [spawned.Process(target=member, args=(r, place, name, prefetch, answers)) for r in (0, 1)]
        for process in processes:
            process.start()
        found = dict(answers.get(timeout=600) for _ in processes)
        for process in processes:
            process.join()
    return [pickle.loads(found[rank]) for rank in (0, 1)]


def report(name: str) -> None:
    """Compare two processes with one, and print what was found."""
    torch.set_num_threads(1)
    estimator, n, d = MODELS[name]
    X = rows_of(n, d)
    timed(estimator, X[:500])
    alone = timed(estimator, X)
    first, second = pair(name)
    late, _ = pair(name, prefetch=False)
    curve = "loss" if "loss" in alone["history"] else "reconstruction"
    apart = np.abs(np.array(first["history"][curve]) / np.array(alone["history"][curve]) - 1).max()
    size = int(estimator.batch_size)
    n_steps = len(alone["history"][curve]) * -(-n // size)
    both = first["cpu"] + second["cpu"]
    print(f"\n{name}: {n} rows, {size} rows a step, {n_steps} steps")
    equal = first["history"] == second["history"]
    waited, waited_late = first["waited"] / first["wall"], late["waited"] / late["wall"]
    print(f"  largest relative difference of the curves      {apart:.1e}   equal in both: {equal}")
    print(f"  processor time of one process, of two together {alone['cpu']:.2f} s, {both:.2f} s")
    print(f"  bytes a step, of which gradient                {first['bytes'] / n_steps:,.0f}, {first['gradient']:,}")
    print(f"  sums a step                                    {first['sums'] / n_steps:.2f}")
    print(f"  wall time waiting, with and without prefetch   {waited:.0%}, {waited_late:.0%}")
    model(size, alone["cpu"] / n_steps / size, first["bytes"] / n_steps, first["sums"] / n_steps)


def model(size: int, a_row: float, a_step: float, sums: float) -> None:
    """Print the time of a step on many machines, if all rows of a batch are divided among them, or each has as many.

    A ring sends 2 (p - 1) / p of the bytes and takes 2 (p - 1) messages one after the other, and a tree takes
    2 log2 p. The faster of both is taken, as the libraries do.
    """
    print("  machines   ms a step, same batch   efficiency   ms a step, same rows a machine   efficiency")
    for p in (1, 8, 64, 1024):
        sent = exchanged(p, a_step, sums)
        divided, grown = size * a_row / p + sent, size * a_row + sent
        print(
            f"  {p:8d}   {1e3 * divided:21.2f}   {size * a_row / p / divided:10.2f}   {1e3 * grown:30.2f}   "
            f"{size * a_row / grown:10.2f}"
        )


def exchanged(p: int, n_bytes: float, sums: float) -> float:
    """Seconds in which p machines sum so many bytes, in so many sums."""
    if p == 1:
        return 0.0
    ring = 2 * (p - 1) * LATENCY * sums + 2 * (p - 1) / p * n_bytes / BANDWIDTH
    tree = 2 * np.log2(p) * (LATENCY * sums + n_bytes / BANDWIDTH)
    return float(min(ring, tree))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="beginnings of the names of models")
    asked = parser.parse_args().names
    for each in MODELS:
        if not asked or any(each.startswith(begin) for begin in asked):
            report(each)
