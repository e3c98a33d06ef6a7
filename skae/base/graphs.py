"""Neighbour graphs: the nearest rows of each row, found here or read from scikit-learn's sparse graphs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn import config_context
from sklearn.metrics.pairwise import PAIRWISE_BOOLEAN_FUNCTIONS
from sklearn.neighbors import VALID_METRICS, NearestNeighbors

from ..engine.data import Array
from ..engine.moments import moments
from ..engine.notices import warn
from ..engine.suggestions import suggest
from ..exceptions import DisconnectedGraphWarning

__all__ = ["Graph", "check_metric", "nearest_rows", "read_graph", "tell_of_pieces"]

EXACT = 2**39
"""Largest product of rows and numbers, n * n * n_features, for which all distances are computed without a warning.

That is half a minute, for example for 26 000 rows of 784 columns."""
BLOCK_MIB = 32
"""Size of a block of distances, in MiB. scikit-learn's own 1024 take more than twice the time, too."""
FEW_COLUMNS = 15
"""Up to so many columns a tree finds neighbours quickly among any number of rows."""
ALIASES = {"cityblock": "manhattan", "infinity": "chebyshev", "p": "minkowski"}
"""Metrics that have another name in pynndescent."""
FAR_OFF = 1e3
"""Largest mean of a column, in units of the scale of X, for which neighbours are sought without centring X first."""
OF_DIFFERENCES = {"euclidean", "l2", "sqeuclidean", "minkowski", "p", "manhattan", "l1", "cityblock", "chebyshev"}
"""Metrics that do not change if X is centred."""


@dataclass(frozen=True)
class Graph:
    """The neighbours of each row. Those of row i are ``indices[indptr[i]:indptr[i + 1]]``, the nearest first.

    Attributes
    ----------
    indptr : ndarray of int64 of shape (n_samples + 1,)
    indices : ndarray of int64 of shape (n_edges,)
    distances : ndarray of float64 of shape (n_edges,)
    """

    indptr: np.ndarray
    indices: np.ndarray
    distances: np.ndarray

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def sources(self) -> np.ndarray:
        """The row at which each edge starts."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def keep(self, edges: np.ndarray) -> Graph:
        """The graph with some of its edges, given a mask."""
        counts = np.bincount(self.sources[edges], minlength=len(self))
        return Graph(np.append(0, counts.cumsum()), self.indices[edges], self.distances[edges])

    def among(self, rows: np.ndarray) -> Graph:
        """The graph of some rows, given in ascending order, with new numbers."""
        number = np.full(len(self), -1)
        number[rows] = np.arange(len(rows))
        kept = self.keep((number[self.indices] >= 0) & (number[self.sources] >= 0))
        ends = kept.indptr[1:][rows]
        return Graph(np.append(0, ends), number[kept.indices], kept.distances)

    def nearest(self, k: int) -> Graph:
        """The graph of at most k neighbours of each row."""
        return self.keep(np.arange(len(self.indices)) - self.indptr[:-1][self.sources] < k)

    def pieces(self) -> np.ndarray:
        """Sizes of the connected components, in descending order. The direction of edges does not matter."""
        ones = np.ones(len(self.indices), dtype=bool)
        matrix = sparse.csr_matrix((ones, self.indices, self.indptr), shape=(len(self), len(self)))
        sizes: np.ndarray = np.bincount(connected_components(matrix, directed=False)[1])
        return np.sort(sizes)[::-1]

    def log_radii(self) -> np.ndarray:
        """Logarithm of the mean squared distance of each row to its neighbours; where that is 0, the least of all."""
        squares = np.bincount(self.sources, self.distances**2, minlength=len(self)) / np.diff(self.indptr).clip(1)
        positive = squares > 0.0
        least = squares[positive].min() if positive.any() else 1.0
        radii: np.ndarray = np.log(np.where(positive, squares, least))
        return radii


def check_metric(metric: Any) -> None:
    """Raise an error for the name of a metric that scikit-learn does not have."""
    names = [*VALID_METRICS["brute"], *VALID_METRICS["ball_tree"]]
    if callable(metric) or metric in names:
        return
    meant = suggest(metric, names)
    use = f"one of {', '.join(map(repr, sorted(set(names))))}" if meant is None else repr(meant)
    raise ValueError(f"metric={metric!r} is no metric of scikit-learn: use {use}.")


def nearest_rows(X: Array, k: int, metric: Any) -> Graph:
    """Find the k nearest other rows of each row.

    All distances are computed in blocks, or a tree is searched if there are few columns. If that would take minutes,
    pynndescent finds almost all neighbours in less time, where it is installed.

    Parameters
    ----------
    X : array, memory map, CSR matrix or tensor of shape (n_samples, n_features)
    k : int
        From 1 to n_samples - 1.
    metric : str or callable
    """
    X = _centred(X.detach().cpu().numpy() if hasattr(X, "detach") else X, metric)
    n = X.shape[0]
    if not _has_tree(X, metric) and n * X.size > EXACT:
        found = _approximate(X, k, metric)
        if found is not None:
            return found
    largest = float(max(X.max(), -X.min()))
    if largest > (sys.float_info.max / 4 / X.shape[1]) ** 0.5:
        raise ValueError(f"X has values so large, up to {largest:.0e}, that distances are infinite: rescale X.")
    if metric in PAIRWISE_BOOLEAN_FUNCTIONS and not sparse.issparse(X) and np.isin(X, (0.0, 1.0)).all():
        X = X.astype(bool)  # else scikit-learn warns that it does this
    try:
        with config_context(working_memory=BLOCK_MIB):
            distances, indices = NearestNeighbors(n_neighbors=k, metric=metric, n_jobs=-1).fit(X).kneighbors()
    except (TypeError, ValueError) as error:
        why = str(error).rstrip(".")
        raise ValueError(
            f"metric={_named(metric)} finds no neighbours here ({why}): use another metric, or pass a graph as "
            "neighbors, with metric='precomputed'."
        ) from error
    if not np.isfinite(distances).all():
        raise ValueError(
            f"metric={_named(metric)} gives distances that are NaN or infinite: use another, or drop constant rows."
        )
    return Graph(np.arange(0, n * k + 1, k), indices.ravel().astype(np.int64), distances.ravel().astype(float))


def _named(metric: Any) -> str:
    """The metric as a message tells it."""
    name: str = getattr(metric, "__name__", repr(metric))
    return name


def _centred(X: Array, metric: Any) -> Array:
    """X around 0 if it is far off: else rounding hides distances, which are found by squares, and in float32."""
    if sparse.issparse(X) or metric not in OF_DIFFERENCES:
        return X
    mean, scale = moments(X, None)
    return X - mean if np.abs(mean).max() > FAR_OFF * scale else X


def _has_tree(X: Array, metric: Any) -> bool:
    """Whether scikit-learn searches a tree and does not compute all distances."""
    of_trees = callable(metric) or metric in VALID_METRICS["ball_tree"]
    return of_trees and not sparse.issparse(X) and X.shape[1] <= FEW_COLUMNS


def _approximate(X: Array, k: int, metric: Any) -> Graph | None:
    """The graph by pynndescent, or None with a warning where it is not installed, or has no such metric."""
    slow = f"The exact neighbours of {X.shape[0]} rows take minutes"
    try:
        from pynndescent import NNDescent
        from pynndescent.distances import named_distances
        from pynndescent.sparse import sparse_named_distances
    except ImportError:
        warn(f"{slow}: pip install pynndescent to find almost all of them sooner.")
        return None
    known = ALIASES.get(metric, metric)
    if known not in (sparse_named_distances if sparse.issparse(X) else named_distances):
        warn(
            f"{slow}, and pynndescent has no metric={_named(metric)}: use another, or pass a graph as neighbors, with "
            "metric='precomputed'."
        )
        return None
    options = {"n_neighbors": k + 1, "random_state": 0, "compressed": False}
    indices, distances = NNDescent(X, metric=known, **options).neighbor_graph
    is_other = indices != np.arange(len(indices))[:, None]
    is_other[is_other.all(axis=1), -1] = False  # equal rows: the row itself may be missing among its neighbours
    is_other &= indices >= 0  # it has -1 where it has found no more
    bounds = np.append(0, is_other.sum(axis=1).cumsum())
    return Graph(bounds, indices[is_other].astype(np.int64), distances[is_other].astype(float))


def tell_of_pieces(graph: Graph) -> None:
    """Warn of a graph with several pieces, whose places on a map no neighbours relate."""
    sizes = graph.pieces()
    if len(sizes) == 1:
        return
    largest = ", ".join(map(str, sizes[:3])) + (" ..." if len(sizes) > 3 else "")
    warn(
        f"The neighbour graph has {len(sizes)} pieces, of {largest} rows: how they lie to each other in the map means "
        f"nothing. Raise n_neighbors (now {np.diff(graph.indptr).max()}) to join them.",
        DisconnectedGraphWarning,
    )


def read_graph(graph: Any, n_samples: int, k: int = 1) -> Graph:
    """Read a sparse graph of distances, as ``KNeighborsTransformer`` and ``kneighbors_graph`` return it.

    Parameters
    ----------
    graph : sparse matrix of shape (n_samples, n_samples)
        Row i holds the distances to the neighbours of row i. Its own entry is left out.
    n_samples : int
    k : int, default=1
        How many neighbours a row must have. All are kept.

    Raises
    ------
    ValueError
        If the graph has another shape, a distance below 0 or NaN, or fewer than k neighbours in a row.
    """
    if not sparse.issparse(graph) or graph.shape != (n_samples, n_samples):
        got = f"shape {graph.shape}" if sparse.issparse(graph) else f"a {type(graph).__name__}"
        raise ValueError(
            f"neighbors must be a sparse matrix of shape ({n_samples}, {n_samples}), a row for each row of X, as "
            f"KNeighborsTransformer().fit_transform(X) returns it; got {got}."
        )
    edges = graph.tocoo()
    if not (np.isfinite(edges.data).all() and (edges.data >= 0).all()):
        row = int(edges.row[np.argmin(np.isfinite(edges.data) & (edges.data >= 0))])
        raise ValueError(f"neighbors has a negative, infinite or NaN distance in row {row}: pass distances.")
    order = np.lexsort((edges.col, edges.data, edges.row))
    order = order[edges.row[order] != edges.col[order]]
    counts = np.bincount(edges.row[order], minlength=n_samples)
    found = Graph(np.append(0, counts.cumsum()), edges.col[order].astype(np.int64), edges.data[order].astype(float))
    if counts.min() < k:
        row = int(counts.argmin())
        raise ValueError(
            f"neighbors has {counts[row]} neighbours of row {row}, but {k} are needed: build the graph with more "
            "neighbours, or lower n_neighbors."
        )
    return found
