"""NeighborAutoencoder: a map of the rows that keeps neighbours, and that can be decoded."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Self

from ..autoencoders import Autoencoder
from ..base import (
    Arrays,
    Batch,
    Bottleneck,
    NonNegative,
    PositiveInt,
    Run,
    Saved,
    Sizes,
    Source,
    Subset,
    average,
    damage,
    spawn,
)
from ..base.budget import SMALL_TABLE
from ..base.compat import Interval, fit_context
from ..base.graphs import Graph, check_metric, nearest_rows, read_graph
from ..base.labels import read_labels
from ..engine.data import rows_of
from ..engine.notices import warn
from ..exceptions import DisconnectedGraphWarning
from ..functional import NEIGHBOR_LOSSES, density_correlation, pacmap, pull_back_distances, squared_distances
from ._pairs import LinkedArrays, Links, Pairs

__all__ = ["NeighborAutoencoder"]

N_NEIGHBORS = 15
"""Number of neighbours with n_neighbors="auto"."""
N_CANDIDATES = 6
"""Number of rows of which PaCMAP takes the second nearest as a mid-near row."""
ROWS_A_STEP = 200
DENSITY_WEIGHT = 0.3
CPU = torch.device("cpu")


class Told(NamedTuple):
    """y, together with a neighbour graph that was passed."""

    y: Any
    neighbors: Any


class Given(Arrays):
    """Checked rows, together with a graph that was passed, or None."""

    def __init__(self, arrays: Arrays, graph: Graph | None) -> None:
        super().__init__(arrays.X, arrays.weight, arrays.y)
        self.graph = graph


class NeighborAutoencoder(Autoencoder):
    """A map that keeps neighbours.

    Parameters
    ----------
    n_neighbors : int or "auto", default="auto"
        x
    """

    hidden_layer_sizes: Sizes = (128,) * 6
    n_neighbors: PositiveInt | Literal["auto"] = "auto"
    metric: str | Callable[..., Any] = "euclidean"
    objective: Literal["infonce", "umap", "pacmap"] = "infonce"
    reconstruction: NonNegative = 1.0
    noise_level: NonNegative = 0.8
    target_weight: Annotated[float, Interval(Real, 0, 1, closed="both")] = 0.0
    densities: bool = False

    _saved: ClassVar[dict[str, Saved]] = {"noise_scale_": Saved(damage.number(0.0))}
    _may_idle = True
    _decay = 0.0
    _peak = 6e-3

    # ---------------------------------------------------------------- rows and their neighbours

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.metric != "precomputed":
            check_metric(self.metric)

    def _source(self, X: Any, y: Any = None, weight: Any = None, reset: bool | None = None) -> Source:
        y, neighbors = y if isinstance(y, Told) else (y, None)
        data = super()._source(X, y, weight, reset)
        if reset is None:
            return data
        if (neighbors is not None) != (self.metric == "precomputed"):
            raise ValueError(
                "metric='precomputed' needs a graph: pass it as fit(X, neighbors=graph)."
                if neighbors is None
                else f"neighbors was passed, but metric={self.metric!r}: use metric='precomputed'."
            )
        return Given(data, None if neighbors is None else read_graph(neighbors, len(data), self._k(len(data))))

    def _targets(self, y: Any, n_samples: int, weight: np.ndarray | None, reset: bool | None) -> Any:
        """Numbers of the classes, -1 where unknown."""
        if not self.target_weight or reset is None:
            return None
        labels = read_labels(y, f"{type(self).__name__}(target_weight={self.target_weight:g})")
        classes = labels.distinct(weight)
        numbers = np.full((n_samples, 1), -1.0)
        known = np.isin(labels.values, classes)
        numbers[np.flatnonzero(labels.present)[known], 0] = np.searchsorted(classes, labels.values[known])
        return numbers

    def _k(self, n_samples: int) -> int:
        """Number of neighbours of each of so many rows."""
        if self.n_neighbors == "auto":
            return min(N_NEIGHBORS, n_samples - 1)
        if self.n_neighbors >= n_samples:
            raise ValueError(
                f"n_neighbors={self.n_neighbors} needs more different rows than that; got n_samples = {n_samples}: use "
                f"at most {n_samples - 1}, or n_neighbors='auto'."
            )
        return int(self.n_neighbors)

    def _learnt(self, data: Given, run: Run) -> LinkedArrays:
        n, graph = len(data), data.graph
        counting = np.arange(n) if data.weight is None else np.flatnonzero(data.weight)
        rows = data if len(counting) == n else data.take(counting)
        if not run.partial:
            rows = rows.learnt(merge=graph is None and len(rows) * rows.width <= SMALL_TABLE)
        if len(rows) < 2:
            raise ValueError(
                "All rows of X are equal, so that no row has a neighbour: a map needs at least 2 different rows."
                if n > 1
                else f"{type(self).__name__} needs at least 2 rows, the neighbours of each other; got n_samples = 1."
            )
        graph = nearest_rows(rows.X, self._k(len(rows)), self.metric) if graph is None else graph.among(counting)
        return self._linked(rows, graph, run)

    def _linked(self, rows: Arrays, graph: Graph, run: Run) -> LinkedArrays:
        if not run.partial:
            self._tell_of_pieces(graph)
        peers, told = None, graph.log_radii()[:, None] if self.densities else None
        if rows.y is not None:
            label = rows.y[:, 0].astype(int)
            peers = Links.of_classes(label)
            ends = label[graph.sources], label[graph.indices]
            graph = graph.keep((ends[0] == ends[1]) | (np.minimum(*ends) < 0))
        return LinkedArrays(rows.with_y(told), Links.of_graph(graph), peers, float(self.target_weight))

    def _tell_of_pieces(self, graph: Graph) -> None:
        sizes = graph.pieces()
        if len(sizes) == 1:
            return
        largest = ", ".join(map(str, sizes[:3])) + (" ..." if len(sizes) > 3 else "")
        warn(
            f"The neighbour graph has {len(sizes)} pieces, of {largest} rows: how they lie to each other in the map "
            "means nothing. Raise n_neighbors to join them.",
            DisconnectedGraphWarning,
        )

    def _measure(self, data: LinkedArrays) -> None:
        super()._measure(data)
        self.noise_scale_ = float(self.noise_level) * data.mean_difference()

    def _split(self, data: Pairs, run: Run) -> tuple[Source, Subset | None]:
        self.module_.progress = 1.0 if run.partial else 0.0
        train, held_out = super()._split(data, run)
        rng = spawn(self._rng, CPU)
        if held_out is None:
            return data.drawing(rng), None
        rows = rows_of(train)
        return Subset(data.among(rows).drawing(rng), rows), held_out

    def _batch_size(self, n_samples: int) -> int:
        automatic = self.batch_size == "auto" and self.solver != "lbfgs"
        return min(n_samples, ROWS_A_STEP) if automatic else super()._batch_size(n_samples)

    def _before_epoch(self, train: Source, progress: float) -> None:
        if progress:  # a chunk of partial_fit has one epoch, which is of the last stage
            self.module_.progress = progress

    def _examine(self, train: Source, held_out: Source | None) -> dict[str, float]:
        if held_out is None:
            return {}
        return {"validation_loss": self._mean_loss(held_out, self._batch_size(len(train)))}

    # ---------------------------------------------------------------- objective

    def _is_noisy(self) -> bool:
        return True

    def _rows_are_independent(self) -> bool:
        return False

    def _start_at_axes(self, module: Any, axes: Tensor, variances: Tensor) -> None:
        module.start_whitened(axes, variances)

    def _corrupt(self, module: Any, batch: Batch, rng: torch.Generator | None) -> Batch:
        batch = super()._corrupt(module, batch, rng)
        if rng is None or not self.noise_level:
            return batch
        noise = torch.empty_like(batch.shown).normal_(generator=rng)
        return batch._replace(corrupted=noise.mul_(self.noise_scale_ / self.scale_).add_(batch.shown))

    def _bottleneck(self, module: Any, batch: Batch, e: Tensor, rng: torch.Generator | None) -> Bottleneck:
        """Add the neighbour term to the codes of all rows, and decode those of the first half.

        ``reconstruction`` weighs only what the encoder learns. So the decoder learns as much with any weight.
        """
        neck = super()._bottleneck(module, batch, e, rng)
        squares = squared_distances(neck.h.detach())
        for name, (term, slopes) in self._neighbor_terms(module, batch, squares, rng).items():
            neck = neck.plus(name, term, pull_back_distances(neck.h.detach(), slopes))
        n, r = len(batch.x), float(self.reconstruction)
        h = neck.h[:n]
        h = h.detach() + r * (h - h.detach()) if h.requires_grad else h
        return Bottleneck(h, neck.terms, lambda g: neck.backward(F.pad(r * g, (0, 0, 0, len(e) - n))))

    def _neighbor_terms(
        self, module: Any, batch: Batch, squares: Tensor, rng: torch.Generator | None
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Terms of the squared distances of all codes, with their derivatives in these."""
        if self.objective == "pacmap":
            losses, slopes = pacmap(squares, self._mid_near(batch, rng), module.progress)
        else:
            losses, slopes = NEIGHBOR_LOSSES[self.objective](squares)
        weight = None if batch.weight is None else batch.weight.repeat(2)
        slopes.mul_(1 / len(slopes) if weight is None else weight[:, None] / len(slopes))
        terms = {"neighbors": (average(losses, weight), slopes)}
        if self.densities:
            correlation, slopes = density_correlation(squares, batch.y[:, 0])
            terms["density"] = -DENSITY_WEIGHT * correlation, -DENSITY_WEIGHT * slopes
        return terms

    def _mid_near(self, batch: Batch, rng: torch.Generator | None) -> Tensor | None:
        """For each row, the second nearest of some rows that are drawn from the batch. None without a generator."""
        if rng is None:
            return None
        squares = squared_distances(batch.shown)
        n = len(squares)
        some = torch.randint(n, (n, N_CANDIDATES), generator=rng, device=rng.device)
        second = squares.gather(1, some).topk(2, largest=False).indices[:, 1:]
        return some.gather(1, second)[:, 0]

    def _reconstruction(self, module: Any, eta: Tensor, batch: Batch) -> Tensor:
        return super()._reconstruction(module, eta, batch) / module.n_outputs

    def _reconstruction_and_slope(self, module: Any, eta: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        error, slope = super()._reconstruction_and_slope(module, eta, batch)
        return error / module.n_outputs, slope / module.n_outputs

    # ---------------------------------------------------------------- for users

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, neighbors: Any = None) -> Self:
        """Fit."""
        return super().fit(X, y if neighbors is None else Told(y, neighbors), sample_weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.target_weight > 0
        return tags
