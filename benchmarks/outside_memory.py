"""Memory and time of a fit to a Parquet file that is larger than what is held, and what its shuffling costs.

    python benchmarks/outside_memory.py [--rows 5000000] [--only memory shuffle] [--markdown FILE]

The file is made in a temporary directory and deleted afterwards. It is sorted by class, as files often are. Each
contestant runs in a process of its own: its memory is the peak resident size minus that before its first line, with
all packages imported. Seconds are of processor time, with one thread. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import torch
from sklearn.decomposition import IncrementalPCA

from skae import Autoencoder
from skae.engine import data, outside

WIDTH, N_COMPONENTS, N_CLASSES = 50, 8, 10
SETTINGS: dict[str, Any] = {"hidden_layer_sizes": (64, 32), "batch_size": 1000, "random_state": 0}
PIECE = 250_000
"""Rows that are made at a time."""
HEAD = """# Tables outside memory

Made by `python benchmarks/outside_memory.py`. Load at the start: {load}.
"""


def rows_of(kind: int, n: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of a class: a curved surface of four dimensions with noise, somewhere in space."""
    shape = np.random.default_rng(kind)
    centre, axes = shape.normal(size=width), shape.normal(size=(4, width)) / 2
    z = rng.normal(size=(n, 4))
    rows: np.ndarray = (centre + np.tanh(2 * z) @ axes + 0.1 * rng.normal(size=(n, width))).astype(np.float32)
    return rows


def write(path: Path, n_rows: int, width: int, group: int | None = None) -> None:
    """Write a file sorted by class, with the row groups that pyarrow makes by default, or of so many rows."""
    rng = np.random.default_rng(0)
    schema = pa.schema([(f"x{j}", pa.float32()) for j in range(width)])
    of_class = n_rows // N_CLASSES
    pieces = [(kind, min(PIECE, of_class - a)) for kind in range(N_CLASSES) for a in range(0, of_class, PIECE)]
    held: list[np.ndarray] = []
    size = 2**20 if group is None else group
    with pq.ParquetWriter(path, schema) as writer:
        for number, (kind, n) in enumerate(pieces):
            held.append(rows_of(kind, n, width, rng))
            while sum(map(len, held)) >= size or (number == len(pieces) - 1 and sum(map(len, held))):
                rows = np.concatenate(held)
                writer.write_table(pa.table(list(rows[:size].T.copy()), schema=schema))
                held = [rows[size:]]


# ------------------------------------------------------------------ contestants


def read(path: Path) -> dict[str, Any]:
    """Decode the file once, and nothing else."""
    for _ in pq.ParquetFile(path, buffer_size=2**17, pre_buffer=False).iter_batches(2**14, use_threads=False):
        pass
    return {}


def whole(path: Path) -> dict[str, Any]:
    """Read the file as one array, as most users would, and then fit and transform."""
    frame = pq.read_table(path, use_threads=False).to_pandas()
    return use(Autoencoder(N_COMPONENTS, **SETTINGS), frame.to_numpy())


def parquet(path: Path) -> dict[str, Any]:
    """Pass the path."""
    return use(Autoencoder(N_COMPONENTS, **SETTINGS), path)


def dataset(path: Path) -> dict[str, Any]:
    """Pass an Arrow data set."""
    return use(Autoencoder(N_COMPONENTS, **SETTINGS), pyarrow.dataset.dataset(path))


def pca(path: Path) -> dict[str, Any]:
    """scikit-learn's IncrementalPCA over batches: the only peer that takes a table in parts."""
    model, total, error = IncrementalPCA(N_COMPONENTS), 0.0, 0.0
    start = time.process_time()

    def batches() -> Any:
        for batch in pq.ParquetFile(path, buffer_size=2**17, pre_buffer=False).iter_batches(2**14, use_threads=False):
            yield np.stack([column.to_numpy() for column in batch.columns], 1)

    for X in batches():
        model.partial_fit(X)
    seconds = {"fit": time.process_time() - start}
    for X in batches():
        X = X.astype(float)
        error += ((X - model.inverse_transform(model.transform(X))) ** 2).sum()
        total += ((X - model.mean_) ** 2).sum()
    return seconds | {"R2": 1 - error / total}


def use(model: Autoencoder, X: Any) -> dict[str, Any]:
    """Seconds of fit, transform and score, and R2."""
    found: dict[str, Any] = {}
    for name in ("fit", "transform", "score"):
        start = time.process_time()
        value = getattr(model, name)(X)
        found[name] = time.process_time() - start
    return found | {"R2": value}


CONTESTANTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "the file is decoded once": read,
    "Autoencoder, path": parquet,
    "Autoencoder, Arrow data set": dataset,
    "IncrementalPCA, batch by batch": pca,
    "Autoencoder, one array": whole,
}


def size_of_process(name: str) -> float:
    """Resident memory of this process in MB: "VmRSS" now, "VmHWM" at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def measured(name: str, path: Path) -> dict[str, Any]:
    """What a contestant takes, in this process."""
    Path("/proc/self/clear_refs").write_text("5")
    before, start = size_of_process("VmRSS"), time.process_time()
    found = CONTESTANTS[name](path)
    return {"MB": size_of_process("VmHWM") - before, "all": time.process_time() - start, **found}


def table_of_memory(n_rows: int, names: list[str]) -> str:
    """Measure all contestants, and return a section of markdown."""
    lines = [
        "| | added memory, MB | fit, s | transform, s | score, s | R2 |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        write(path, n_rows, WIDTH)
        groups, size = pq.ParquetFile(path).metadata.num_row_groups, path.stat().st_size / 1e6
        for name in names:
            run = subprocess.run(
                [sys.executable, __file__, "--contestant", name, str(path)], check=True, stdout=subprocess.PIPE
            )
            found = json.loads(run.stdout)
            print(name, found, file=sys.stderr)
            told = [found.get("fit", found["all"]), found.get("transform"), found.get("score")]
            cells = ["" if seconds is None else f"{seconds:.1f}" for seconds in told]
            r2 = f"{found['R2']:.4f}" if "R2" in found else ""
            lines.append(f"| {name} | {found['MB']:.0f} | {' | '.join(cells)} | {r2} |")
    settings = " ".join(repr(Autoencoder(N_COMPONENTS, **SETTINGS)).split())
    return (
        f"\n{n_rows} x {WIDTH} float32, {n_rows * WIDTH * 4 / 1e6:.0f} MB of numbers, sorted by class, in a file of "
        f"{size:.0f} MB with {groups} row groups. `{settings}`, which takes one epoch. "
        "Time is processor time with one thread.\n\n" + "\n".join(lines) + "\n"
    )


# ------------------------------------------------------------------ shuffling


def table_of_shuffling(n_rows: int = 200_000, width: int = 20, n_seeds: int = 3) -> str:
    """R2 on other rows after one epoch, where the windows are a small part of a file that is sorted by class."""
    lines = ["| a file sorted by class | R2 |", "| --- | ---: |"]
    rng = np.random.default_rng(1)
    other = np.concatenate([rows_of(kind, 500, width, rng) for kind in range(N_CLASSES)])
    held_out = pa.table(list(other.T.copy()), [f"x{j}" for j in range(width)])
    data.RESIDENT_BYTES = 0
    outside.Outside.in_memory = lambda self: self  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        for n_groups in (100, 20):
            write(path, n_rows, width, n_rows // n_groups)
            cases = {
                "all rows shuffled": (1.0, outside.PASSES, True),
                f"windows of a fortieth of the file, {outside.PASSES} passes an epoch": (1 / 40, outside.PASSES, True),
                "windows of a fortieth of the file, 1 pass an epoch": (1 / 40, 1, True),
                "not shuffled": (1.0, outside.PASSES, False),
            }
            for name, (share, passes, shuffle) in cases.items():
                outside.WINDOW_BYTES, outside.PASSES = int(share * n_rows * width * 4), passes
                models = [
                    Autoencoder(4, hidden_layer_sizes=(64, 32), max_iter=1, shuffle=shuffle, random_state=seed)
                    for seed in range(n_seeds)
                ]
                scores = [model.fit(path).score(held_out) for model in models]
                lines.append(f"| {n_groups} row groups, {name} | {np.mean(scores):.3f} ± {np.std(scores):.3f} |")
                print(lines[-1], file=sys.stderr)
            outside.PASSES = 8
    return (
        f"\nWhat is shuffled together: {n_rows} x {width}, one epoch, Autoencoder(4, hidden_layer_sizes=(64, 32)), "
        f"mean and standard deviation over {n_seeds} seeds, R2 of other rows.\n\n" + "\n".join(lines) + "\n"
    )


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--only", nargs="+", choices=["memory", "shuffle"], default=["memory", "shuffle"])
    parser.add_argument("--names", nargs="+", default=list(CONTESTANTS), help="contestants of the first table")
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--contestant", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pa.set_cpu_count(1)
    if options.contestant:
        print(json.dumps(measured(options.contestant[0], Path(options.contestant[1]))))
        return
    text = HEAD.format(load=", ".join(f"{load:.2f}" for load in os.getloadavg()))
    text += table_of_memory(options.rows, options.names) if "memory" in options.only else ""
    text += table_of_shuffling() if "shuffle" in options.only else ""
    print(text)
    if options.markdown:
        options.markdown.write_text(text)


if __name__ == "__main__":
    main()
