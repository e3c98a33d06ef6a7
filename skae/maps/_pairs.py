"""Rows with their neighbours as a source of batches: a batch is some edges of the neighbour graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..base import Arrays, Batch, Frame, Source, Table
from ..base.graphs import Graph
from ..engine.data import Index, chunks, to_tensor

__all__ = ["Given", "LinkedArrays", "Links", "Pairs"]

N_MEASURED = 1000
"""Largest number of rows whose distance to a neighbour is measured."""


class Links:
    """For each row, other rows of which one is drawn.

    Parameters
    ----------
    first, count : LongTensor of shape (n_samples,)
        Those of row i are ``indices[first[i]:first[i] + count[i]]``.
    indices : LongTensor of shape (n_links,)
    """

    def __init__(self, first: Tensor, count: Tensor, indices: Tensor) -> None:
        self.first, self.count, self.indices = first, count, indices

    @classmethod
    def of_graph(cls, graph: Graph) -> Links:
        """The neighbours of each row, the nearest first."""
        bounds = torch.from_numpy(graph.indptr)
        return cls(bounds[:-1], bounds.diff(), torch.from_numpy(graph.indices))

    @classmethod
    def of_classes(cls, label: np.ndarray) -> Links:
        """All rows of the same class, given its number. Rows with the number -1 have none."""
        shifted = torch.from_numpy(label + 1)
        counts = torch.bincount(shifted)
        firsts = counts.cumsum(0) - counts
        counts[0] = 0
        return cls(firsts[shifted], counts[shifted], shifted.argsort(stable=True))

    def among(self, rows: Tensor) -> Links:
        """The links to some rows alone."""
        kept = torch.zeros(len(self.first), dtype=torch.bool).index_fill_(0, rows.cpu(), True)[self.indices]
        before = torch.cat([torch.zeros(1, dtype=torch.long), kept.cumsum(0)])
        first = before[self.first]
        return Links(first, before[self.first + self.count] - first, self.indices[kept])

    def nearest(self, rows: Tensor) -> Tensor:
        """The first link of each of these rows, or the row itself where it has none."""
        return self._at(rows, torch.zeros(1, dtype=torch.long))

    def drawn(self, rows: Tensor, rng: torch.Generator) -> Tensor:
        """A link of each of these rows, all with the same probability, or the row itself where it has none."""
        u = torch.rand(len(rows), dtype=torch.float64, generator=rng)
        return self._at(rows, (u * self.count[rows]).long())

    def _at(self, rows: Tensor, place: Tensor) -> Tensor:
        if not len(self.indices):
            return rows
        last = len(self.indices) - 1  # where the place of a row without links may lie beyond all
        return torch.where(self.count[rows] > 0, self.indices[(self.first[rows] + place).clamp_max(last)], rows)


class Pairs(Table):
    """A table whose rows come with a neighbour: the encoder is shown the rows of a batch, and then their neighbours.

    An epoch draws a neighbour of each row. A batch that is not of an epoch has the nearest neighbour of each row.

    Parameters
    ----------
    table : Table
    neighbors : Links
    peers : Links or None, default=None
        Rows with the same label.
    share : float, default=0.0
        Probability that a row is paired with a peer, if it has one, and not with a neighbour.
    rng : torch.Generator or None, default=None
        A generator on the CPU.
    """

    def __init__(
        self,
        table: Table,
        neighbors: Links,
        peers: Links | None = None,
        share: float = 0.0,
        rng: torch.Generator | None = None,
    ) -> None:
        super().__init__(table.x, table.weight, table.y)
        self.neighbors, self.peers, self.share, self.rng = neighbors, peers, share, rng
        self.generators = () if rng is None else (rng,)

    def among(self, rows: Tensor) -> Pairs:
        """The same table, where neighbours and peers are among these rows alone."""
        peers = None if self.peers is None else self.peers.among(rows)
        return Pairs(self, self.neighbors.among(rows), peers, self.share)

    def drawing(self, rng: torch.Generator) -> Pairs:
        """The same table, with a generator that draws the neighbours of an epoch."""
        return Pairs(self, self.neighbors, self.peers, self.share, rng)

    def __getitem__(self, index: Index) -> Batch:
        rows = torch.arange(len(self))[index] if isinstance(index, slice) else index.cpu()
        batch = super().__getitem__(index)
        mates = self.x[self.neighbors.nearest(rows).to(self.device)]
        return batch._replace(corrupted=torch.cat([batch.x, mates]))

    def in_order(self, order: Tensor) -> Source:
        """The rows of an epoch in another order, each with a neighbour that is drawn."""
        assert self.rng is not None
        rows = order.cpu()
        mates = self.neighbors.drawn(rows, self.rng)
        if self.peers is not None and self.share:
            peers = self.peers.drawn(rows, self.rng)
            takes_peer = (torch.rand(len(rows), generator=self.rng) < self.share) & (peers != rows)
            mates = torch.where(takes_peer, peers, mates)
        table = Table(self.x, self.weight, self.y)
        return Beside(table.in_order(order), table.in_order(mates.to(order.device)))


class Beside(Source):
    """Two sources whose rows belong together: the encoder is shown those of the first, and then those of the second."""

    def __init__(self, rows: Source, mates: Source) -> None:
        self.rows, self.mates = rows, mates
        self.width, self.device, self.weight = rows.width, rows.device, rows.weight

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Index) -> Batch:
        batch: Batch = self.rows[index]
        return batch._replace(corrupted=torch.cat([batch.x, self.mates[index].x]))


class Given(Arrays):
    """Checked rows, together with a graph that was passed, or None."""

    def __init__(self, arrays: Arrays, graph: Graph | None) -> None:
        super().__init__(arrays.X, arrays.weight, arrays.y)
        self.graph = graph


class LinkedArrays(Arrays):
    """Arrays with links between their rows. Seen by a module, they are ``Pairs``."""

    def __init__(self, arrays: Arrays, neighbors: Links, peers: Links | None = None, share: float = 0.0) -> None:
        super().__init__(arrays.X, arrays.weight, arrays.y)
        self.links = neighbors, peers, share

    def mean_difference(self) -> float:
        """Root mean square of x_ic - x_jc over columns c, rows i and their neighbours j, of some rows."""
        rows = torch.arange(0, len(self), -(-len(self) // N_MEASURED))
        mates = self.links[0].drawn(rows, torch.Generator().manual_seed(0))
        total = 0.0
        for part in chunks(len(rows), self.width):  # since rows of a wide sparse table are dense here
            x, y = (to_tensor(self.X[index[part].numpy()]).cpu().double() for index in (rows, mates))
            total += float((x - y).square_().sum())
        return float((total / (len(rows) * self.width)) ** 0.5)

    def seen(
        self,
        frame: Frame | None,
        target_frame: Frame | None,
        dtype: torch.dtype,
        device: torch.device,
        resident: bool = False,
        look: Callable[[Index, Tensor], None] | None = None,
    ) -> Table:
        """See ``Arrays``."""
        return Pairs(super().seen(frame, target_frame, dtype, device, resident, look), *self.links)
