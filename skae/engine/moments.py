"""Mean, scale and principal axes of a table, computed chunk by chunk."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .data import Array, Rows, chunks, to_tensor
from .shared import held_of

__all__ = ["column_moments", "known_moments", "moments", "pointing_up", "principal_axes"]


def moments(X: Array, weight: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """Mean of each column, and the square root of the mean variance of the columns.

    Each chunk is summed in the precision of X, around its own mean. The chunks are merged in double precision (Chan,
    Golub and LeVeque, 1983). So one pass over X is enough, and no digits cancel. If entries are missing, the moments
    are those of the observed ones, from ``known_moments``.

    Parameters
    ----------
    X : array, memory map, CSR matrix or tensor of shape (n_samples, n_features)
    weight : ndarray of shape (n_samples,) or None, default=None
        Sample weights.

    Returns
    -------
    mean : ndarray of shape (n_features,), float64
    scale : float
        1.0 if all columns are constant. It is infinite or 0.0 if the variance is beyond the range of float64.
    """
    mean, variance = _moments(X, weight)
    if bool(mean.isnan().any()):
        return known_moments(X, weight)
    if not variance.any() and not _is_constant(X, weight):
        return mean.numpy(), 0.0
    return mean.numpy(), _scale(mean, variance)


def _scale(mean: Tensor, variance: Tensor) -> float:
    """The square root of the mean variance of the columns, or 1.0 if they are constant."""
    variance[variance.sqrt() <= 1e-15 * mean.abs()] = 0.0  # rounding noise of a constant column
    scale = math.sqrt(float(variance.mean()))
    return 1.0 if scale == 0.0 else scale


def known_moments(X: Array, weight: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """Mean of the observed entries of each column, and the square root of the mean of the columns' variances.

    Parameters
    ----------
    X : array, memory map, CSR matrix or tensor of shape (n_samples, n_features)
        NaN where an entry is missing.
    weight : ndarray of shape (n_samples,) or None, default=None
        Sample weights.

    Returns
    -------
    mean : ndarray of shape (n_features,), float64
        NaN for a column of which no entry that counts is observed.
    scale : float
        As that of ``moments``.
    """
    mean, variance, first = _known_mean_and_variance(X, weight)
    if not bool(variance.any()) and not _known_are_constant(X, weight, first):
        return mean.numpy(), 0.0
    return mean.numpy(), _scale(mean, variance)


def _known_mean_and_variance(X: Array, weight: np.ndarray | None) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance of the observed entries of each column, and the first of them."""
    first, count = _first_and_count(X, weight)
    mean = first + _sums(X, weight, first, torch.zeros_like(first), 1) / count
    return mean, _sums(X, weight, first, mean - first, 2) / count, first


def _first_and_count(X: Array, weight: np.ndarray | None) -> tuple[Tensor, Tensor]:
    """The first observed entry of each column that counts, and the weight of all."""
    X, weight, group = held_of(X, weight)
    first, count = torch.full((2, X.shape[1]), torch.nan, dtype=torch.float64)
    count.zero_()
    for rows in chunks(*X.shape):
        x, w = _double(X, weight, rows)
        known = ~x.isnan() & (w > 0)[:, None]
        top = x.gather(0, known.byte().argmax(0)[None])[0]
        first = torch.where(first.isnan() & known.any(0), top, first)
        count += w @ known.double()
    for theirs in group.gather(first)[::-1]:
        first = torch.where(theirs.isnan(), first, theirs)
    return first, group.sum(count)


def _known_are_constant(X: Array, weight: np.ndarray | None, first: Tensor) -> bool:
    """Whether the observed entries of each column that count are all equal to the first."""
    X, weight, group = held_of(X, weight)
    parts = (_double(X, weight, rows) for rows in chunks(*X.shape))
    return not group.any(any(not bool(((x == first) | x.isnan())[w > 0].all()) for x, w in parts))


def _sums(X: Array, weight: np.ndarray | None, first: Tensor, shift: Tensor, power: int) -> Tensor:
    """Sums of powers of the observed entries of each column, after what comes first and a shift are subtracted."""
    X, weight, group = held_of(X, weight)
    sums = torch.zeros_like(first)
    for rows in chunks(*X.shape):
        x, w = _double(X, weight, rows)
        sums += w @ x.sub_(first).sub_(shift).pow_(power).nan_to_num_(0.0, torch.inf, -torch.inf)
    return group.sum(sums)


def _double(X: Array, weight: np.ndarray | None, rows: slice) -> tuple[Tensor, Tensor]:
    """A copy of some rows, and their weights, in float64 on the CPU."""
    x = to_tensor(X[rows]).cpu().to(torch.float64, copy=True)
    return x, torch.ones(len(x), dtype=torch.float64) if weight is None else torch.from_numpy(weight[rows]).double()


def column_moments(X: Array, weight: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the observed entries of each column. The parameters are those of ``known_moments``.

    Returns
    -------
    mean, variance : ndarray of shape (n_features,), float64
        The variance of a column is 0 if it is constant.
    """
    mean, variance = _moments(X, weight)
    if bool(mean.isnan().any()):
        mean, variance, _ = _known_mean_and_variance(X, weight)
    variance[variance.sqrt() <= 1e-15 * mean.abs()] = 0.0  # rounding noise of a constant column
    return mean.numpy(), variance.numpy()


def _moments(X: Array, weight: np.ndarray | None) -> tuple[Tensor, Tensor]:
    """Mean and variance of each column, in the precision of X if that holds the squares."""
    mean, variance = _mean_and_variance(X, weight, _dtype(X))
    spread = float(variance.sum())
    if _dtype(X) == torch.float32 and not 1e-30 < spread < 1e30:
        mean, variance = _mean_and_variance(X, weight, torch.float64)  # the squares exceed the range of float32
    return mean, variance


def _is_constant(X: Array, weight: np.ndarray | None) -> bool:
    """Whether all rows that count are equal."""
    X, weight, group = held_of(X, weight)
    source = Rows(X, dtype=_dtype(X), device=torch.device("cpu"))
    counts = torch.ones(X.shape[0], dtype=torch.bool) if weight is None else torch.from_numpy(weight > 0)
    start = int(counts.int().argmax()) if len(counts) else 0
    firsts = group.gather(source[start : start + 1] if bool(counts.any()) else None)
    first = next(row for row in firsts if row is not None)
    return not group.any(any(not bool((source[rows][counts[rows]] == first).all()) for rows in chunks(*X.shape)))


def _mean_and_variance(X: Array, weight: np.ndarray | None, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Mean and variance of each column in double precision, from chunks of the given dtype."""
    X, weight, group = held_of(X, weight)
    parts = group.gather(_own_moments(X, weight, dtype))
    total, mean, squares = parts[0]
    for size, center, more in parts[1:]:
        if size:
            total, shift = total + size, center - mean
            mean = mean + shift * (size / total)
            squares = squares + more + shift.square() * (size * (total - size) / total)
    return mean, squares / total


def _own_moments(X: Array, weight: np.ndarray | None, dtype: torch.dtype) -> tuple[float, Tensor, Tensor]:
    """Sum of the weights, mean of each column, and the sum of squared deviations from it."""
    n_features = X.shape[1]
    if X.shape[0] == 0:  # other processes have all rows
        return 0.0, *torch.zeros((2, n_features), dtype=torch.float64)
    device = X.device if isinstance(X, Tensor) and dtype == X.dtype else torch.device("cpu")
    source = Rows(X, dtype=dtype, device=device)
    start = 0 if weight is None else int(np.argmax(weight > 0))
    first = source[start : start + 1]
    total = 0.0
    mean, squares = torch.zeros((2, n_features), dtype=torch.float64)
    for rows in chunks(X.shape[0], n_features):
        x = source[rows] - first  # a column that is constant is then exactly zero
        w = None if weight is None else torch.from_numpy(weight[rows]).to(x)
        size = float(len(x) if w is None else w.sum())
        if size == 0.0:
            continue
        center = x.mean(0) if w is None else (w @ x) / size
        deviation = (x - center).square_()
        squares += (deviation.sum(0) if w is None else w @ deviation).cpu().double()
        shift = center.cpu().double() - mean
        total += size
        mean += shift * (size / total)
        squares += shift.square() * (size * (total - size) / total)
    return total, mean + first[0].cpu().double(), squares


def _dtype(X: Array) -> torch.dtype:
    X, _, _ = held_of(X)
    return X.dtype if isinstance(X, Tensor) else torch.from_numpy(np.empty(0, X.dtype)).dtype


def principal_axes(
    x: Rows, n_components: int, rng: torch.Generator, weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Leading eigenvectors and eigenvalues of the second moment of centred rows.

    If the second moment M is small, it is computed as a whole. Otherwise block Krylov iteration (Musco and Musco, 2015)
    needs only its products with a few columns: the axes are in the span of B, M B, M^2 B and M^3 B for a random B.

    Parameters
    ----------
    x : Rows
        Centred rows.
    n_components : int
        Number of axes. If it is larger than the number of columns, spare axes and their variances are zero.
    rng : torch.Generator
    weight : Tensor of shape (n_samples,) or None, default=None
        Sample weights.

    Returns
    -------
    axes : Tensor of shape (n_components, n_features), float64
        Orthonormal rows. The largest entry of each is positive, as in scikit-learn's PCA.
    variances : Tensor of shape (n_components,), float64
        In descending order.
    """
    n_features = x[:1].shape[1]
    if n_components > n_features:
        axes, variances = principal_axes(x, n_features, rng, weight)
        n_spare = n_components - n_features
        return F.pad(axes, (0, 0, 0, n_spare)), F.pad(variances, (0, n_spare))
    width = min(n_features, n_components + 10)
    if len(x) < n_features and len(x) <= max(256, 16 * width):  # the rows span all directions of variation
        spare = torch.randn(n_features, max(0, n_components - len(x)), dtype=torch.float64, generator=rng)
        basis = torch.linalg.qr(torch.cat([x[:].cpu().double().T, spare], 1))[0]
        product = basis.T @ _second_moment(x, weight, basis)
    elif n_features <= max(256, 16 * width):
        basis = torch.eye(n_features, dtype=torch.float64)
        product = _second_moment(x, weight)
    else:
        block = torch.randn(n_features, width, dtype=torch.float64, generator=rng)
        basis = image = block[:, :0]
        for _ in range(4):
            basis = torch.linalg.qr(torch.cat([basis, block], 1))[0]
            block = _second_moment(x, weight, basis[:, image.shape[1] :])
            image = torch.cat([image, block], 1)
        product = basis.T @ image
    variances, vectors = torch.linalg.eigh((product + product.T) / 2)
    leading = slice(len(variances) - n_components, None)
    axes = (basis @ vectors[:, leading]).T.flip(0)
    return pointing_up(axes), variances[leading].flip(0).clamp_min(0)


def pointing_up(axes: Tensor) -> Tensor:
    """Axes, one in a row, of which the largest entry of each is positive."""
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    return axes * torch.where(largest < 0, -1.0, 1.0)


def _second_moment(x: Rows, weight: Tensor | None, block: Tensor | None = None) -> Tensor:
    """The matrix sum_i w_i x_i x_i' / sum_i w_i, or its product with a few columns."""
    total = float(len(x) if weight is None else weight.sum())
    n_features = x[:1].shape[1]
    x, weight, group = held_of(x, weight)
    result: Tensor = torch.zeros((), dtype=torch.float64)
    if group.size > 1:
        result = result.expand(n_features, n_features if block is None else block.shape[1])
    thin = None if block is None else block.to(x.out, x.dtype)
    for rows in chunks(len(x), n_features):
        part = x[rows]
        left = part if weight is None else part * weight[rows].to(part)[:, None]
        result = result + (left.T @ (part if thin is None else part @ thin)).cpu().double()
    return group.sum(result) / total
