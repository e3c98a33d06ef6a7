"""Predicting: an autoencoder that also predicts y, where y is known for some of the rows."""

from __future__ import annotations

from numbers import Real
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn import functional as F

from ..base.compat import Interval
from ..base.params import NonNegative
from ..base.prediction import halves, merged
from ..engine.data import Array, Batch, Source, Subset, Table, to_tensor
from ..engine.moments import moments
from ..engine.optim import Flat, Optimizer, Terms
from ..engine.train import Plan, backward, minimise
from ..functional import average
from ..nn.heads import PredictingAutoencoder
from .dense import Autoencoder

__all__ = ["Predicting"]

LABELLED_SHARE = 0.25
"""Share of labelled rows below which an epoch takes each of them several times, with so much less weight."""

N_START = 4096
"""Labelled rows, spread over the data, to which the linear model at the start is fitted."""


class Predicting(Autoencoder):
    """What the classifier and the regressor share: the loss, the batches and the start.

    Parameters
    ----------
    n_components : int, default=16
        Width of the code.
    alpha : float, default=0.1
        Weight of the reconstruction, in [0, 1]. 1 is ``Autoencoder``, and nothing is learnt of y;
        0 reconstructs nothing.
    consistency : float, default=3.0
        Weight lambda of the consistency under noise. At 0 rows without a label only help to
        reconstruct.
    noise_level : float, default=0.5
        Standard deviation of that noise, in units of the root mean variance of the columns.

    Attributes
    ----------
    noise_scale_ : float
        Standard deviation of the noise, in units of X.
    """

    n_components = 16
    alpha: Annotated[float, Interval(Real, 0, 1, closed="both")] = 0.1
    consistency: NonNegative = 3.0
    noise_level: NonNegative = 0.5

    _Module: ClassVar[type[nn.Module]] = PredictingAutoencoder

    # ---------------------------------------------------------------- hooks of the two

    def _values(self, y: Any, weight: np.ndarray | None) -> np.ndarray:
        """What ``_targets`` returned as numbers of shape (n_samples, n_columns), NaN where y is unknown."""
        raise NotImplementedError

    def _n_predictions(self) -> int:
        """Width of the prediction."""
        raise NotImplementedError

    def _link(self, output: Tensor) -> Tensor:
        """The prediction, given what the last layer puts out."""
        return output

    def _misfit(self, output: Tensor, count: Tensor, value: Tensor) -> Tensor:
        """Mean over a batch of the loss of its predictions; a value counts so much, or zero where it is unknown."""
        raise NotImplementedError

    # ---------------------------------------------------------------- objective

    def _architecture(self, n_features: int) -> dict[str, Any]:
        return {**super()._architecture(n_features), "n_predictions": self._n_predictions() if self.alpha < 1.0 else 0}

    def _draws_noise(self) -> bool:
        return self.alpha < 1.0 and self.consistency > 0.0 and self.noise_level > 0.0

    def _is_noisy(self) -> bool:
        return super()._is_noisy() or self._draws_noise()

    def _measure(self, X: Array, y: Any, weight: np.ndarray | None) -> None:
        super()._measure(X, y, weight)
        self.noise_scale_ = float(self.noise_level) * (self.scale_ if self._centred else moments(X, weight)[1])

    def _corrupt(self, module: Any, batch: Batch, rng: torch.Generator | None) -> Batch:
        batch = super()._corrupt(module, batch, rng)
        if self.alpha == 1.0:
            return batch
        alpha = batch.x.new_full((len(batch.x), 1), float(self.alpha))
        return batch._replace(emphasis=alpha if batch.emphasis is None else alpha * batch.emphasis)

    def _penalties(self, module: Any, batch: Batch, h: Tensor, rng: torch.Generator | None) -> Terms:
        terms = super()._penalties(module, batch, h, rng)
        if self.alpha == 1.0:
            return terms
        beta = 1.0 - self.alpha
        output = module.predict(batch.shown, h)
        terms = {**terms, "prediction": beta * self._misfit(output, *halves(batch.y))}
        if rng is None or not self._draws_noise():
            return terms
        return {**terms, "consistency": beta * self.consistency * self._inconsistency(module, batch, output, rng)}

    def _inconsistency(self, module: Any, batch: Batch, output: Tensor, rng: torch.Generator) -> Tensor:
        """How far noise on x moves the predictions of the rows without a label; in mean over all rows."""
        noise = torch.empty_like(batch.x).normal_(generator=rng)
        x = torch.add(batch.shown, noise, alpha=self.noise_scale_ / self.scale_)
        nearby = self._link(module.predict(x, module.encode(x, rng)))
        moved = (nearby - self._link(output.detach())).square().sum(1)
        return average(moved * (halves(batch.y)[0] == 0).all(dim=1), batch.weight)

    # ---------------------------------------------------------------- start

    def _initialise(self, module: Any, data: Table, rng: torch.Generator) -> None:
        super()._initialise(module, data, rng)
        labelled = torch.nonzero(_is_labelled(data)).squeeze(1)
        if self.alpha < 1.0 and len(labelled):
            self._start_at_linear_model(module, Subset(data, labelled[:: -(-len(labelled) // N_START)]), rng)

    def _start_at_linear_model(self, module: Any, labelled: Subset, rng: torch.Generator) -> None:
        """Fit the layer from x alone, with the L2 penalty of LogisticRegression(C=1) and Ridge(alpha=1)."""
        n = len(labelled)
        everything = labelled[torch.arange(n, device=labelled.device)]
        share = float(halves(everything.y)[0].mean()) / n

        def step(batch: Batch) -> Terms:
            output = module.shortcut(module.likelihood.embed(batch.x))
            return backward({"prediction": self._misfit(output, *halves(batch.y))})

        plan = Plan(batch_size=n, max_iter=100, shuffle=False)
        minimise(step, labelled, Flat(module.shortcut), Optimizer("lbfgs", weight_decay=share), plan, rng)

    # ---------------------------------------------------------------- batches

    def _table(self, X: Array, y: Any, weight: np.ndarray | None, device: torch.device) -> Table:
        """Batches whose y has two blocks of columns: how much each value counts, and the values."""
        values = self._values(y, weight)
        known = ~np.isnan(values)
        columns = np.hstack([known, np.where(known, values, 0.0)])
        if self._is_one_batch(*X.shape):
            X, columns, weight = _merged(X, columns, weight)
        known, values = np.hsplit(columns, 2)
        table = super()._table(X, None, weight, device)
        counts = np.hstack([_normalised(known, weight), values])
        table.y = to_tensor(counts).to(table.x.out, getattr(torch, self.dtype))
        return table

    def _split(self, data: Table) -> tuple[Source, Subset | None]:
        train, held_out = super()._split(data)
        if self.alpha == 1.0 or len(train) <= self._batch_size(len(train)):
            return train, held_out
        return _with_labels_in_every_batch(data, _rows_of(train, data)), held_out

    # ---------------------------------------------------------------- using

    def _predicted(self, X: Any, like: Any = None) -> Any:
        """Predictions, a chunk of rows at a time."""
        check_is_fitted(self)
        X = self._check_x(X, reset=False, look_through=False)
        module: Any = self._ready_module()
        parts = ((part, self._link(self._output(module, x))) for part, x in self._finite_chunks(X))
        return self._collect(parts, X.shape[0], like)

    def _output(self, module: Any, x: Tensor) -> Tensor:
        output = module.predict(x, self._encode(module, x))
        return F.pad(output, (0, self._n_predictions() - output.shape[1]))  # alpha=1 has no layer that predicts


def _is_labelled(data: Table) -> Tensor:
    """Which rows have a value that counts."""
    return (halves(data.y)[0] > 0).any(dim=1)


def _rows_of(part: Source, data: Table) -> Tensor:
    """Which rows of the table a subset, or a subset of a subset, is made of."""
    rows = torch.arange(len(part), device=data.device)
    while isinstance(part, Subset):
        rows, part = part.rows[rows], part.data
    return rows


def _merged(
    X: Array, columns: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Distinct rows of X and y in lexical order, with weights that leave every mean over the rows as it was."""
    n, total = len(columns), len(columns) if weight is None else weight.sum()
    X, columns, sums = merged(X, columns, weight)
    scaled = np.full(len(X), total / n) if sums is None else sums * (len(X) / n)
    return X, columns, None if (scaled == 1.0).all() else scaled


def _normalised(known: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Weights of the known values, whose mean over all rows is that of the rows' weights."""
    w = np.ones((len(known), 1)) if weight is None else weight[:, None]
    counted = known * w
    return counted * (w.sum() / np.maximum(counted.sum(axis=0), 1e-290))


def _with_labels_in_every_batch(data: Table, rows: Tensor) -> Subset:
    """Rows of a table, of which the labelled ones come several times and count so much less each time.

    Few labelled rows would else be a handful of each batch, and the gradient of their loss noisy.
    All means over the rows stay as they were.
    """
    labelled = _is_labelled(data)
    few = rows[labelled.to(rows.device)[rows]]
    copies = max(1, round(LABELLED_SHARE / (1 - LABELLED_SHARE) * (len(rows) - len(few)) / max(1, len(few))))
    more = few.repeat(copies - 1)
    spread = torch.cat([torch.arange(len(rows)), torch.linspace(0, len(rows), len(more))]).argsort(stable=True)
    order = torch.cat([rows, more])[spread.to(rows.device)]
    count, value = halves(data.y)
    times = torch.where(labelled, 1 / copies, 1.0).to(count) * (len(order) / len(rows))
    weight = times if data.weight is None else data.weight * times
    return Subset(Table(data.x, weight, torch.cat([count * times[:, None], value], dim=1)), order)
