"""Completion: guesses of the missing entries of a table, by probabilistic PCA of the observed ones."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..functional.corruptions import any_of_variable
from .arrays import Arrays
from .data import Index, Rows, Table, chunks, to_tensor
from .factors import factors_given, parts_of, summed_moments
from .frame import Frame
from .moments import pointing_up, principal_axes
from .shared import SharedRows, held_of

__all__ = ["Completion", "FilledRows", "MaskedRows", "filled", "fit_completion"]

MOST_FACTORS, LEAST_FACTORS = 64, 16
"""Limits of the number of factors, where the table has as many columns and ten times as many rows."""
MOST_ROWS = 20_000
"""Largest number of rows to which the factors are fitted."""
PRODUCTS = 2**32
"""Limit of the number of multiplications of an iteration. Wider tables are fitted to fewer rows."""
MOST_ITERATIONS = 100
TOL = 1e-3
"""Iterations end once none changes the noise variance by more than this fraction of it."""
LEAST_VARIANCE, TINY = 1e-6, 1e-30
"""Least noise variance, as a fraction of the mean variance of the columns, and at all."""
ENTRIES = 2**24
"""Limit of the number of entries to which the factors are fitted."""


class Completion:
    """Probabilistic PCA of the rows of a table with gaps.

    A row is x = m + W z + noise, with z from N(0, I) and noise from N(0, s^2 I). The guess of a missing entry is its
    mean given the observed entries x_o of its row: m + W E[z | x_o], where
    E[z | x_o] = (W_o' W_o + s^2 I)^-1 W_o' (x_o - m_o). Without factors it is m.

    Parameters
    ----------
    mean : ndarray of shape (n_features,), float64
        m.
    loadings : ndarray of shape (n_features, n_factors), float64
        W.
    variance : float
        s^2.
    has_gaps : ndarray of bool of shape (n_features,)
        The columns that had gaps when the model was fitted.
    scale : ndarray of shape (n_features,), float64, or None, default=None
        By which x is divided first, if its columns are in different units. The others are in these units then.

    References
    ----------
    Tipping and Bishop (1999), "Probabilistic Principal Component Analysis", https://doi.org/10.1111/1467-9868.00196
    """

    def __init__(
        self,
        mean: np.ndarray,
        loadings: np.ndarray,
        variance: float,
        has_gaps: np.ndarray,
        scale: np.ndarray | None = None,
    ) -> None:
        self.mean, self.loadings, self.variance, self.has_gaps, self.scale = mean, loadings, variance, has_gaps, scale
        self._tensors: dict[torch.device, tuple[Tensor, Tensor]] = {}

    def complete(self, x: Tensor) -> Tensor:
        """Fill the gaps of rows, with each row by itself.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)
            Rows on the scale of the module, with NaN where an entry is missing.

        Returns
        -------
        x : Tensor of shape (n, n_features)
            A new tensor.
        """
        place = torch.device("cpu") if x.device.type == "mps" else x.device
        if place not in self._tensors:
            self._tensors[place] = torch.tensor(self.mean).to(place), torch.tensor(self.loadings).to(place)
        mean, W = self._tensors[place]
        return torch.cat([self._completed(x[rows], mean, W) for rows in parts_of(max(1, len(x)), W.shape[1])])

    def _completed(self, x: Tensor, mean: Tensor, W: Tensor) -> Tensor:
        exact = x.to(W.device, W.dtype)
        scale = 1.0 if self.scale is None else torch.from_numpy(self.scale).to(W.device)
        known = ~exact.isnan()
        z, _ = factors_given(exact / scale - mean, known, W, W.new_tensor([self.variance]))
        guess = (mean + z @ W.t()) * scale
        return torch.where(x.isnan(), guess.to(x), x)

    def axes(self, n_components: int) -> tuple[Tensor, Tensor] | None:
        """Leading eigenvectors and eigenvalues of the covariance W W' + s^2 I, or None if there are fewer factors.

        Parameters
        ----------
        n_components : int

        Returns
        -------
        axes : Tensor of shape (n_components, n_features), float64
            Orthonormal rows. The largest entry of each is positive.
        variances : Tensor of shape (n_components,), float64
            In descending order.
        """
        if n_components > self.loadings.shape[1]:
            return None
        U, S, _ = torch.linalg.svd(torch.from_numpy(self.loadings), full_matrices=False)
        return pointing_up(U[:, :n_components].t()), S[:n_components].square() + self.variance

    def __getstate__(self) -> tuple[object, ...]:
        return self.mean, self.loadings, self.variance, self.has_gaps, self.scale

    def __setstate__(self, state: tuple[object, ...]) -> None:
        self.__init__(*state)  # type: ignore[misc]


# ------------------------------------------------------------------ fitting


def fit_completion(
    data: Arrays, frame: Frame, n_components: int, member: Tensor | None = None, scale: np.ndarray | None = None
) -> Completion:
    """Fit probabilistic PCA to the observed entries of rows by expectation maximisation (Tipping and Bishop, 1999).

    There are as many factors as components, but at least 16 and at most 64, and fewer if the table has fewer columns or
    few rows. The loadings have the prior N(0, 1), so that columns with few observed entries have small ones. Without
    gaps the factors are the principal axes.

    Parameters
    ----------
    data : Arrays
        Rows with NaN where an entry is missing.
    frame : Frame
        Offset and scale with which the module sees them.
    n_components : int
    member : LongTensor of shape (n_features,) or None, default=None
        See ``FilledRows``.
    scale : ndarray of shape (n_features,) or None, default=None
        See ``Completion``.
    """
    d = data.width
    rows = np.arange(len(data)) if data.weight is None else np.flatnonzero(data.weight)
    q = max(0, min(d - 1, len(rows) // 10, MOST_FACTORS, max(n_components, LEAST_FACTORS)))
    cost = d * (q + 1) ** 2 if data.has_gaps else d * (q + 1)
    most = max(10 * q, min(MOST_ROWS, ENTRIES // d, PRODUCTS // cost))
    some = data.take(rows[:: max(1, -(-len(rows) // most))])  # evenly spaced
    batch = some.seen(frame, None, torch.float64, torch.device("cpu"))[:]
    unit = np.ones(d) if scale is None else scale
    x, center = batch.x / torch.from_numpy(unit), torch.from_numpy(frame.center / unit)
    weight = torch.ones_like(x[:, 0]) if batch.weight is None else batch.weight
    known = ~any_of_variable(x.isnan(), member)
    x = torch.where(known, x - center, 0.0)
    W, variance = _start(x, known, weight, q)
    shift = torch.zeros_like(center)
    for _ in range(MOST_ITERATIONS if data.has_gaps and q else 0):
        before = variance
        W, shift, variance = _improved(x, known, weight, W, shift, variance)
        if abs(variance - before) <= TOL * before:
            break
    return Completion((center + shift).numpy(), W.numpy(), variance, _columns_with_gaps(data, member), scale)


def _columns_with_gaps(data: Arrays, member: Tensor | None) -> np.ndarray:
    """Mask of the columns of which an entry is missing."""
    found = torch.zeros(1, data.width, dtype=torch.bool)
    if data.has_gaps:
        X, _, group = held_of(data.X)
        for rows in chunks(X.shape[0], data.width):
            found |= to_tensor(X[rows]).isnan().any(0).cpu()
        found = group.any(found)
    return any_of_variable(found, member)[0].numpy()


def _start(x: Tensor, known: Tensor, weight: Tensor, q: int) -> tuple[Tensor, float]:
    """Loadings along the principal axes of rows with zeros in their gaps, and the variance that these leave over."""
    d, counts = x.shape[1], float((weight[:, None] * known).sum()) / x.shape[1]
    rows = Rows(x, dtype=x.dtype, device=x.device)
    axes, moments = principal_axes(rows, q, torch.Generator().manual_seed(0), weight) if q else (x[:0], x[:0, 0])
    variances, total = moments * float(weight.sum()) / counts, float(weight @ x.square().sum(1)) / counts
    variance = max(float(total - variances.sum()) / (d - q), LEAST_VARIANCE * total / d, TINY)
    return axes.t() * (variances - variance).clamp_min(variance / 10).sqrt(), variance


def _improved(
    x: Tensor, known: Tensor, weight: Tensor, W: Tensor, shift: Tensor, variance: float
) -> tuple[Tensor, Tensor, float]:
    """One iteration: new loadings, means and noise variance of centred rows with zeros in their gaps."""
    q = W.shape[1]
    G, products, squares = summed_moments(x, known, weight, W, shift, W.new_tensor([variance]))
    prior = torch.full((q + 1,), variance, dtype=torch.float64)
    prior[q] = 1e-9
    theta = torch.linalg.solve(G + torch.diag(prior), products)
    error = squares.sum() - 2 * (theta * products).sum() + torch.einsum("di,dij,dj->", theta, G, theta)
    total = float((weight[:, None] * known).sum())
    return theta[:, :q], theta[:, q], max(float(error) / total, LEAST_VARIANCE * float(squares.sum()) / total, TINY)


# ------------------------------------------------------------------ filled tables


class FilledRows(Rows):
    """Rows whose gaps are filled when they are read.

    Parameters
    ----------
    rows : Rows
    fill : callable
        Maps rows with NaN to rows without, in a new tensor.
    member : LongTensor of shape (n_features,) or None
        Group of each column. If an entry is missing, all of its group are. None if each column is a group.
    """

    def __init__(self, rows: Rows, fill: Callable[[Tensor], Tensor], member: Tensor | None) -> None:
        vars(self).update(vars(rows))
        self._fill, self._member = fill, member

    def __getitem__(self, index: Index) -> Tensor:
        return self.with_mask(index)[0]

    def with_mask(self, index: Index) -> tuple[Tensor, Tensor | None]:
        """See ``Rows``."""
        x = super().__getitem__(index)
        if not math.isnan(float(x.sum())):
            return x, None
        missing = any_of_variable(x.isnan(), self._member)
        gappy = torch.nonzero(missing.any(1))[:, 0]
        guess = self._fill(x[gappy].masked_fill(missing[gappy], torch.nan))
        return x.index_copy(0, gappy, guess), ~missing


class MaskedRows(Rows):
    """Rows whose gaps are filled already, with a mask of the entries that were observed.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_features)
    known : Tensor of bool of shape (n_samples, n_features)
    """

    def __init__(self, x: Tensor, known: Tensor) -> None:
        super().__init__(x, dtype=x.dtype, device=x.device)
        self.known = known

    def with_mask(self, index: Index) -> tuple[Tensor, Tensor | None]:
        """See ``Rows``."""
        return self[index], self.known[index]

    def holding(self, x: Tensor, known: Tensor | None) -> Rows:
        """See ``Rows``."""
        assert known is not None
        return MaskedRows(x, known)


def filled(data: Table, fill: Callable[[Tensor], Tensor], member: Tensor | None = None) -> Table:
    """A table whose gaps are filled: at once if its rows are resident, and otherwise batch by batch.

    Parameters
    ----------
    data : Table
        Rows with NaN where an entry is missing.
    fill : callable
        Maps rows with NaN to rows without, in a new tensor.
    member : LongTensor of shape (n_features,) or None, default=None
        See ``FilledRows``.
    """
    if isinstance(data.x, SharedRows):
        own = filled(Table(data.x.own), fill, member)
        return Table(data.x.with_own(own.x, has_gaps=True), data.weight, data.y)
    rows: Rows = FilledRows(data.x, fill, member)
    if data.x.resident:
        known = torch.empty(data.x.X.shape, dtype=torch.bool, device=data.x.device)
        for part in chunks(len(data), data.width):
            data.x.X[part], mask = rows.with_mask(part)
            known[part] = True if mask is None else mask
        rows = MaskedRows(data.x.X, known)
    return Table(rows, data.weight, data.y)
