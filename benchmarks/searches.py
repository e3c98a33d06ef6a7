"""Searches over estimators of this package, by joblib's loky, dask and ray: the same results, and what they cost.

A grid search of a pipeline is run on each backend, twice, so that the second run finds workers that have imported
everything. What is printed:

- whether the chosen parameters are those of one process, and whether the scores are, to the bit
- the largest difference of a score
- wall time of the second search, as a ratio to that of loky, and of the first one

Run it as ``python benchmarks/searches.py`` in an environment with dask, distributed and ray. Backends that are not
installed are left out. ``--scheduler tcp://HOST:8786`` and ``--ray-address HOST:6379`` use clusters that are there.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import RBM, Autoencoder, StackedAutoencoder

SEARCHES: dict[str, tuple[Any, dict[str, list[Any]]]] = {
    "Autoencoder": (Autoencoder(max_iter=10, random_state=0), {"autoencoder__n_components": [2, 8, 16]}),
    "StackedAutoencoder": (
        StackedAutoencoder([32, 8], max_iter=5, random_state=0),
        {"stackedautoencoder__n_components": [4, 8]},
    ),
    "RBM": (RBM(visible="bernoulli", max_iter=5, random_state=0), {"rbm__n_components": [8, 32]}),
}
"""Estimators and the parameters to choose from."""


@contextmanager
def sequential(options: argparse.Namespace) -> Iterator[str]:
    """One process, which is the peer of all others."""
    yield "sequential"


@contextmanager
def loky(options: argparse.Namespace) -> Iterator[str]:
    """Joblib's own processes."""
    yield "loky"


@contextmanager
def dask(options: argparse.Namespace) -> Iterator[str]:
    """Processes of dask, with one thread each, on this machine unless a scheduler is given."""
    from dask.distributed import Client, LocalCluster

    if options.scheduler is not None:
        with Client(options.scheduler):
            yield "dask"
        return
    with (
        LocalCluster(n_workers=options.n_jobs, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        yield "dask"


@contextmanager
def ray(options: argparse.Namespace) -> Iterator[str]:
    """Actors of ray, on this machine unless an address is given."""
    import ray
    from ray.util.joblib import register_ray

    new = {"num_cpus": options.n_jobs, "include_dashboard": False}
    ray.init(address=options.ray_address, **({} if options.ray_address else new), log_to_driver=False)
    register_ray()
    try:
        yield "ray"
    finally:
        ray.shutdown()


BACKENDS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "sequential": sequential,
    "loky": loky,
    "dask": dask,
    "ray": ray,
}


def searched(name: str, X: np.ndarray, n_jobs: int) -> tuple[GridSearchCV, float]:
    """A search by the backend of the context, and its wall time in seconds."""
    estimator, grid = SEARCHES[name]
    search = GridSearchCV(make_pipeline(MinMaxScaler(clip=True), estimator), grid, cv=3, n_jobs=n_jobs)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(X)
    return search, time.perf_counter() - start


def scores(search: GridSearchCV) -> np.ndarray:
    """Scores of all candidates in all folds."""
    return np.array([search.cv_results_[f"split{i}_test_score"] for i in range(search.n_splits_)])


def main() -> None:
    """Run all searches on all backends, and print how they compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="take every so many rows of the digits")
    parser.add_argument("--backends", nargs="+", choices=[*BACKENDS], default=[*BACKENDS])
    parser.add_argument("--scheduler", help="address of a scheduler of dask")
    parser.add_argument("--ray-address", help="address of a head of ray")
    options = parser.parse_args()
    X = load_digits().data[:: options.every]
    found: dict[tuple[str, str], tuple[GridSearchCV, float, float]] = {}
    for backend in options.backends:
        if backend in ("dask", "ray") and find_spec("distributed" if backend == "dask" else "ray") is None:
            print(f"{backend} is not installed")
            continue
        with BACKENDS[backend](options) as registered, joblib.parallel_config(registered, n_jobs=options.n_jobs):
            for name in SEARCHES:
                first = searched(name, X, options.n_jobs)[1]
                found[backend, name] = (*searched(name, X, options.n_jobs), first)
                print(f"{backend} has searched {name}", file=sys.stderr, flush=True)
    print(f"{'search':<20}{'backend':<12}{'best':>6}{'bits':>6}{'difference':>12}{'codes':>7}{'/ loky':>8}{'first':>8}")
    for (backend, name), (search, seconds, first) in found.items():
        peer = found.get(("sequential", name), found[backend, name])[0]
        usual = found.get(("loky", name), found[backend, name])[1]
        same, bits = search.best_params_ == peer.best_params_, np.array_equal(scores(search), scores(peer))
        difference = np.abs(scores(search) - scores(peer)).max()
        codes = np.array_equal(search.transform(X[:100]), peer.transform(X[:100]))
        line = f"{name:<20}{backend:<12}{same!s:>6}{bits!s:>6}{difference:>12.1e}{codes!s:>7}"
        print(f"{line}{seconds / usual:>8.2f}{first / usual:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
