"""Reconstruction errors of several small autoencoders that are trained for a short time, together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..base.estimator import Run, TorchEstimator
from ..base.params import PositiveInt
from ..base.transformer import row_by_row
from ..engine.completion import fit_completion
from ..engine.data import Batch, Source, chunks
from ..engine.optim import Terms
from ..functional import average
from ..nn.stacked_dense import StackedDense
from ._near import standard_frame

__all__ = ["ShortAutoencoders"]

BATCH = 64
"""Rows a step."""
TINY = 1e-12
"""Mean square below which deviations are equal."""
LEAST = 1e-4
"""Least variance of an error, in variances of the column, so that a constant column does not drown the others. Also the
least variance of a code, in mean variances of its coordinates."""


class Autoencoders(nn.Module):
    """Autoencoders d-width-code-width-d with SiLU units, and the moments of their errors and of their codes.

    Parameters
    ----------
    n_features, n_components, width, n_networks : int
    """

    variance: Tensor
    center: Tensor
    precision: Tensor

    def __init__(self, n_features: int, n_components: int, width: int, n_networks: int) -> None:
        super().__init__()
        self.encoder = StackedDense(n_networks, [n_features, width, n_components], ["silu", "identity"])
        self.decoder = StackedDense(n_networks, [n_components, width, n_features], ["silu", "identity"])
        self.n_copies, self.widest = n_networks, max(self.encoder.widest, self.decoder.widest)
        self.multiplications = self.encoder.multiplications + self.decoder.multiplications
        self.register_buffer("variance", torch.ones(n_networks, 1, n_features))
        self.register_buffer("center", torch.zeros(n_networks, 1, n_components))
        self.register_buffer("precision", torch.eye(n_components).repeat(n_networks, 1, 1))

    def codes_and_errors(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Codes, and squared errors of shape (n_networks, n, n_features). These are 0 where an entry is missing."""
        h = self.encoder(batch.x)
        error = (self.decoder(h) - batch.x).square()
        return h, error if batch.known is None else error * batch.known

    def log_deviation(self, batch: Batch) -> Tensor:
        """See ``ShortAutoencoders.log_deviation``."""
        h, error = self.codes_and_errors(batch)
        codes = ((h - self.center) @ self.precision * (h - self.center)).double().sum(2)
        errors = (error / self.variance).double().sum(2)
        n_observed = batch.x.shape[1] if batch.known is None else batch.known.sum(1)
        mean = (errors + codes) / (n_observed + h.shape[2])
        return 0.5 * (mean + TINY).log().mean(0)


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

    def _measure(self, data: Any) -> None:
        self._frame = standard_frame(data.X)
        self._completion = fit_completion(data, self._frame, int(self.n_components))  # later rows may have gaps too

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
        module.encoder.initialise(rng)
        module.decoder.initialise(rng)

    def _loss(self, module: Autoencoders, batch: Batch, rng: torch.Generator | None) -> Terms:
        return {"reconstruction": average(module.codes_and_errors(batch)[1].sum((0, 2)), batch.weight)}

    @torch.no_grad()
    def _conclude(self, data: Source) -> None:
        """Measure the moments of errors and of codes, with each row as far as it was learnt from."""
        module = self.module_
        errors, counts = torch.zeros_like(module.variance), torch.zeros_like(module.variance[0])
        weights, codes = [], []
        for rows in chunks(len(data), module.n_copies * module.widest):
            batch = data[rows]
            weight = torch.ones_like(batch.x[:, :1]) if batch.weight is None else batch.weight[:, None]
            h, error = module.codes_and_errors(batch)
            errors += (error * weight).sum(1, keepdim=True)
            counts += (weight * (torch.ones_like(batch.x) if batch.known is None else batch.known)).sum(0)
            weights.append(weight)
            codes.append(h)
        module.variance.copy_(errors / counts.clamp_min(LEAST) + LEAST)
        w, h = torch.cat(weights), torch.cat(codes, 1).double()
        w = (w / w.sum()).double()
        center = (w * h).sum(1, keepdim=True)
        covariance = (w * (h - center)).mT @ (h - center)
        spread = covariance.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
        unit = torch.eye(h.shape[2], dtype=h.dtype, device=h.device)
        module.center.copy_(center)
        module.precision.copy_(torch.linalg.inv(covariance + (LEAST * spread + TINY) * unit))

    def _failure(self, data: Source) -> None:
        """Nothing: a code that is constant is one that has found nothing in common."""

    # ---------------------------------------------------------------- using

    def log_deviation(self, X: Any) -> Any:
        """The logarithm of the root mean square deviation of each row, averaged over the networks.

        The deviations are the errors of the observed entries, each divided by the root mean square error of its column,
        and the coordinates of the code on axes on which codes have the covariance I.
        """
        return self._map(lambda module, batch: row_by_row(module.log_deviation, batch), X)

    def _encode(self, module: Autoencoders, batch: Batch) -> Tensor:
        return module.encoder(batch.x).mean(0)

    @property
    def _n_features_out(self) -> int:
        return int(self._spec["n_components"])
