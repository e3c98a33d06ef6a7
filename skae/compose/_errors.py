"""Reconstruction errors of several small autoencoders that are trained for a short time, together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..base.estimator import Run, TorchEstimator
from ..base.params import PositiveInt
from ..base.transformer import row_by_row
from ..engine.arrays import Arrays
from ..engine.completion import fit_completion
from ..engine.data import Batch, Source, chunks
from ..engine.optim import Terms
from ..functional import average
from ..nn.stacked_dense import StackedDense
from ._near import frame_of_columns

__all__ = ["ShortAutoencoders"]

BATCH = 64
"""Rows a step."""
TINY = 1e-12
"""Mean square below which errors are equal."""
LEAST = 1e-4
"""Least variance of an error, in variances of the column, so that a constant column does not drown the others."""


class Autoencoders(nn.Module):
    """Autoencoders d-width-code-width-d with SiLU units, and the mean squared error of each in each column.

    Parameters
    ----------
    n_features, n_components, width, n_networks : int
    """

    variance: Tensor

    def __init__(self, n_features: int, n_components: int, width: int, n_networks: int) -> None:
        super().__init__()
        sizes = [n_features, width, n_components, width, n_features]
        self.layers = StackedDense(n_networks, sizes, ["silu", "identity", "silu", "identity"])
        self.n_copies, self.widest, self.multiplications = n_networks, self.layers.widest, self.layers.multiplications
        self.register_buffer("variance", torch.ones(n_networks, 1, n_features))

    def errors(self, batch: Batch) -> Tensor:
        """Squared errors of the observed entries, of shape (n_networks, n, n_features). They are 0 at the others."""
        error = (self.layers(batch.x) - batch.x).square()
        return error if batch.known is None else error * batch.known


class ShortAutoencoders(TorchEstimator):
    """Autoencoders whose errors show what is unusual, also if unusual rows are among those that they learn from.

    Their codes are narrow and their training is short. So they learn what most rows have in common, and not the rows
    that differ from it.

    Parameters
    ----------
    n_components : int, default=8
    width : int, default=64
        Number of units of a hidden layer.
    n_networks : int, default=5
    n_steps : int, default=100
        Number of steps of the training.
    """

    n_components: PositiveInt = 8
    width: PositiveInt = 64
    n_networks: PositiveInt = 5
    n_steps: PositiveInt = 100

    _Module = Autoencoders
    _takes_gaps = True
    _peak = 1e-2

    # ---------------------------------------------------------------- rows

    def _learnt(self, data: Any, run: Run) -> Any:
        """As many rows as the steps take, drawn at random. So the training is short for any number of rows."""
        most = int(self.n_steps) * self._batch_size(len(data))
        if len(data) > most:
            data = data.take(torch.randperm(len(data), generator=self._rng)[:most].sort().values.numpy())
        return data.learnt(merge=False)

    def _measure(self, data: Arrays) -> None:
        self._frame = frame_of_columns(data.X)
        self._completion = fit_completion(data, self._frame, int(self.n_components)) if data.has_gaps else None

    def _batch_size(self, n_samples: int) -> int:
        return min(n_samples, BATCH)

    def _n_steps(self, n_samples: int) -> int:
        return int(self.n_steps)

    def _is_noisy(self) -> bool:
        """True: nothing is watched, because training ends before anything converges."""
        return True

    # ---------------------------------------------------------------- networks

    def _architecture(self, n_features: int) -> dict[str, Any]:
        return {
            "n_features": n_features,
            "n_components": min(int(self.n_components), n_features),
            "width": int(self.width),
            "n_networks": int(self.n_networks),
        }

    def _initialise(self, module: Autoencoders, data: Any, rng: torch.Generator) -> None:
        module.layers.initialise(rng)

    def _loss(self, module: Autoencoders, batch: Batch, rng: torch.Generator | None) -> Terms:
        return {"reconstruction": average(module.errors(batch).sum((0, 2)), batch.weight)}

    @torch.no_grad()
    def _conclude(self, data: Source) -> None:
        """Measure the variance of the errors in each column, with each row as far as it was learnt from."""
        module = self.module_
        sums, counts = torch.zeros_like(module.variance), torch.zeros_like(module.variance[0])
        for rows in chunks(len(data), module.widest):
            batch = data[rows]
            weight = torch.ones_like(batch.x[:, :1]) if batch.weight is None else batch.weight[:, None]
            sums += (module.errors(batch) * weight).sum(1, keepdim=True)
            counts += (weight * (torch.ones_like(batch.x) if batch.known is None else batch.known)).sum(0)
        module.variance.copy_(sums / counts.clamp_min(LEAST) + LEAST)

    def _failure(self, data: Source) -> None:
        """Nothing: a code that is constant is one that has found nothing in common."""

    # ---------------------------------------------------------------- using

    def log_error(self, X: Any) -> Any:
        """The logarithm of the root mean square error of each row, in deviations of that column's error.

        The mean square is one over the observed entries, and its logarithm is averaged over the networks.
        """
        return self._map(lambda module, batch: row_by_row(lambda rows: _log_error(module, rows), batch), X)

    def _encode(self, module: Autoencoders, batch: Batch) -> Tensor:
        return module.layers(batch.x).mean(0)

    @property
    def _n_features_out(self) -> int:
        return int(self._spec["n_features"])


def _log_error(module: Autoencoders, batch: Batch) -> Tensor:
    relative = (module.errors(batch) / module.variance).double()
    mean = relative.mean(2) if batch.known is None else relative.sum(2) / batch.known.sum(1).clamp_min(1)
    return 0.5 * (mean + TINY).log().mean(0)
