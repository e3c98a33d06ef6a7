"""Fits that are killed by SIGKILL at random moments, and go on from their checkpoints in new processes.

Each model is fitted once without a checkpoint. Then its fit is killed again and again, at a random moment of what is
left of it, until so many kills are done and the last process ends by itself. All that is left of both fits must be the
same, to the bit: weights, moments, random numbers, history, layers, scores of a search.

    python benchmarks/killed.py                 # 50 kills in all
    python benchmarks/killed.py --kills 5 stack
"""

from __future__ import annotations

import argparse
import hashlib
import math
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from skae import (
    RBM,
    Autoencoder,
    Checkpoint,
    DeepBeliefNetwork,
    DeepBoltzmannMachine,
    FineTunedClassifier,
    MixtureVariationalAutoencoder,
    NeighborAutoencoder,
    StackedAutoencoder,
)
from skae.engine.listeners import Listener, attending

MODELS = {
    "autoencoder": Autoencoder(8, hidden_layer_sizes=(64,), early_stopping=True),
    "stack": StackedAutoencoder([Autoencoder(32, max_iter=20), RBM(16, max_iter=10)], max_iter=20),
    "dbn": DeepBeliefNetwork(8, hidden_layer_sizes=(32, 16), max_iter=5, up_down_iter=5),
    "dbm": DeepBoltzmannMachine(8, hidden_layer_sizes=(32,), pretrain_iter=8, max_iter=8),
    "fine-tuned": FineTunedClassifier(Autoencoder(16, max_iter=20), max_iter=20),
    "clusters": MixtureVariationalAutoencoder(4, n_clusters=5, max_iter=20),
    "map": NeighborAutoencoder(2, max_iter=20),
    "search": GridSearchCV(Autoencoder(2, max_iter=10), {"n_components": [2, 4], "solver": ["adamw", "sgd"]}, cv=2),
}


def made(name: str, checkpoint: Checkpoint | None) -> Any:
    """A model with a seed, and with this checkpoint."""
    model = MODELS[name]
    inner = "estimator__" if isinstance(model, GridSearchCV) else ""
    return model.set_params(**{f"{inner}random_state": 0, f"{inner}checkpoint": checkpoint})


def digest(value: Any) -> str:
    """Digest of all that a fit has left, but for where its checkpoint is and how long it took."""
    found = hashlib.sha256()
    _add(found, value)
    return found.hexdigest()


def _add(found: Any, value: Any) -> None:
    if isinstance(value, BaseEstimator) and hasattr(value, "module_"):
        value = value.__getstate__()
    elif isinstance(value, BaseEstimator):
        value = vars(value)
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            if key != "checkpoint" and "_time" not in str(key):
                found.update(str(key).encode())
                _add(found, value[key])
    elif isinstance(value, (list, tuple)):
        for item in value:
            _add(found, item)
    elif isinstance(value, np.ndarray) and value.dtype != object:
        found.update(value.tobytes())
    elif hasattr(value, "__dict__") and not callable(value):
        _add(found, vars(value))
    else:
        found.update(repr(value).encode())


class Stages(Listener):
    """Tells where a fit is."""

    def __init__(self, tell: Any) -> None:
        self.tell = tell

    def ends_epoch(self, training: Any) -> None:
        """Send the stage and the epoch."""
        self.tell.send(("at", training.stage or "the only stage", training.epoch))


def run(name: str, folder: str | None, tell: Any) -> None:
    """Fit a model in this process."""
    warnings.simplefilter("ignore")
    X, y = load_digits(return_X_y=True)
    model = made(name, None if folder is None else Checkpoint(f"{folder}/", every_seconds=0.05))
    with attending(Stages(tell)):
        model.fit(X[:300], np.where(np.arange(300) < 100, y[:300], -1) if name == "fine-tuned" else None)
    tell.send(("ends", digest(model)))


class Process:
    """A process that fits a model, and what it has told. Its parent has imported this package and fitted nothing."""

    def __init__(self, name: str, folder: str | None) -> None:
        context = multiprocessing.get_context("fork")
        self.ear, mouth = context.Pipe(duplex=False)
        self.process = context.Process(target=run, args=(name, folder, mouth))
        self.start, self.told = time.monotonic(), []
        self.process.start()
        mouth.close()

    def after(self, seconds: float) -> tuple[str | None, int, float]:
        """Kill it after so many seconds. The digest, if it has ended, the epochs that it trained, and its seconds."""
        end, is_open = self.start + seconds, True
        while is_open and self.ear.poll(max(0.0, end - time.monotonic()) if seconds < math.inf else None):
            is_open = self._hear()
        if is_open:
            os.kill(self.process.pid, signal.SIGKILL)
            while self._hear():
                pass
        self.process.join()
        took = time.monotonic() - self.start
        ended = self.told[-1][1] if self.told and self.told[-1][0] == "ends" else None
        if ended is None and self.process.exitcode != -signal.SIGKILL:
            raise SystemExit(f"The process failed with {self.process.exitcode}.")
        return ended, sum(line[0] == "at" for line in self.told), took

    def _hear(self) -> bool:
        """Note what it tells. False if there is no more to come."""
        try:
            self.told.append(self.ear.recv())
        except EOFError:
            return False
        return True

    @property
    def stage(self) -> str:
        """Where it was."""
        return self.told[-1][1] if self.told else "before the first epoch"


def measure(name: str, n_kills: int, rng: random.Random) -> bool:
    """Kill the fit of a model so often, and compare. Prints a row of a table."""
    whole, n_epochs, seconds = Process(name, None).after(math.inf)
    stages, n_same, n_fits, n_done, trained = set(), 0, 0, 0, 0
    while n_done < n_kills:
        with tempfile.TemporaryDirectory() as folder:
            found = None
            while found is None:
                process = Process(name, folder)
                found, n, _ = process.after(rng.uniform(0, seconds) if n_done < n_kills else math.inf)
                trained += n
                if found is None:
                    n_done += 1
                    stages.add(process.stage)
            n_fits += 1
            n_same += found == whole
    again = trained / n_fits / n_epochs
    print(f"| {name} | {n_epochs} | {n_done} | {len(stages)} | {n_fits} | {n_same} | {again:.2f} |", flush=True)
    return n_same == n_fits


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", choices=[[], *MODELS], default=[])
    parser.add_argument("--kills", type=int, default=50, help="number of kills of all models together")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    names, rng = asked.models or list(MODELS), random.Random(asked.seed)
    print("| model | epochs | kills | stages killed in | fits | equal to the bit | epochs trained / epochs |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    shares = [asked.kills * (k + 1) // len(names) - asked.kills * k // len(names) for k in range(len(names))]
    same = [measure(name, share, rng) for name, share in zip(names, shares, strict=True)]
    if not all(same):
        sys.exit("A fit that was killed ended at another model.")


if __name__ == "__main__":
    main()
