"""Losses of a map in which neighbours should be near and other rows far, with their gradients.

All take the squared distances ||h_i - h_v||^2 between 2m codes, of shape (2m, 2m). Row m + i is the neighbour j of row
i, and row i is that of row m + i. All return the loss of each code, of shape (2m,), and its derivative in the squared
distances, of shape (2m, 2m).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = [
    "NEIGHBOR_LOSSES",
    "density_correlation",
    "info_nce",
    "pacmap",
    "pull_back_distances",
    "umap_cross_entropy",
]

CURVE = 1.577, 0.895
"""a and b of UMAP's 1 / (1 + a d^(2b)), which fit a minimum distance of 0.1 and a spread of 1."""
LEAST_SQUARE = 1e-3
"""What UMAP adds to a squared distance, so that equal codes have a finite repulsion."""
N_NEGATIVE = 5
"""How many rows UMAP pushes away for each neighbour that it pulls."""
NEAR, MID = 10.0, 10_000.0
"""Squared distances, plus 1, at which PaCMAP's pull has half its largest value: of neighbours and of mid-near rows."""
MID_SHARE, FAR_SHARE = 0.5, 2.0
"""How many mid-near rows and how many further rows PaCMAP takes for each neighbour."""
STAGES = 100 / 450, 200 / 450
"""Share of the training at which PaCMAP's second and third stage start."""


def pull_back_distances(h: Tensor, slopes: Tensor) -> Tensor:
    """Gradient in the codes h of a loss with these slopes in their squared distances."""
    both = slopes + slopes.t()
    return (both.sum(1, keepdim=True) * h).addmm_(both, h, alpha=-1).mul_(2)


def info_nce(squares: Tensor) -> tuple[Tensor, Tensor]:
    """-log(q_ij / sum_v q_iv) over all v but i, where q_iv = 1 / (1 + ||h_i - h_v||^2).

    References
    ----------
    Damrich, Boehm, Hamprecht and Kobak (2023), "From t-SNE to UMAP with Contrastive Learning",
    https://arxiv.org/abs/2206.01816
    """
    q = (squares + 1).reciprocal_().fill_diagonal_(0)
    near, total = of_neighbors(q), q.sum(1)
    slopes = q.square().div_(-total[:, None])
    add_to_neighbors(slopes, near)
    return total.log() - near.log(), slopes


def umap_cross_entropy(squares: Tensor) -> tuple[Tensor, Tensor]:
    """-log q_ij - 5 mean_v log(1 - q_iv) over all v but i and j, where q_iv = 1 / (1 + a d^(2b)).

    References
    ----------
    Sainburg, McInnes and Gentner (2021), "Parametric UMAP Embeddings for Representation and Semisupervised Learning",
    https://doi.org/10.1162/neco_a_01434
    """
    a, b = CURVE
    squares = squares + LEAST_SQUARE
    z = a * squares**b
    push = N_NEGATIVE / max(len(squares) - 2, 1)
    losses = z.reciprocal().log1p_().mul_(push)
    slopes = (z + 1).mul_(squares).reciprocal_().mul_(-push * b)
    near = of_neighbors(z)
    pull = near.log1p() - of_neighbors(losses), near / (near + 1) * b / of_neighbors(squares) - of_neighbors(slopes)
    for table, of_pull in zip((losses, slopes), pull, strict=True):
        table.fill_diagonal_(0)
        add_to_neighbors(table, of_pull)
    return losses.sum(1), slopes


def pacmap(squares: Tensor, mid: Tensor | None, progress: float) -> tuple[Tensor, Tensor]:
    """w_N e_ij / (10 + e_ij) + w_M e_ik / (10000 + e_ik) / 2 + 2 mean_v 1 / (1 + e_iv), where e = d^2 + 1.

    The weights (w_N, w_M) go from (2, 1000) to (2, 3) in the first 22 % of the training. They are (3, 3) until 44 %,
    and then (1, 0).

    Parameters
    ----------
    squares : Tensor of shape (2m, 2m)
    mid : LongTensor of shape (2m,) or None
        Number of the mid-near row k of each row i. None leaves the middle term out.
    progress : float
        Share of the training that is over, from 0 to 1.

    References
    ----------
    Wang, Huang, Rudin and Shaposhnik (2021), "Understanding How Dimension Reduction Tools Work",
    https://jmlr.org/papers/v22/20-1061.html
    """
    of_near, of_mid = _weights(progress)
    e = squares + 1
    q = (e + 1).reciprocal_().fill_diagonal_(0)
    push = FAR_SHARE / (len(e) - 1)
    losses, slopes = q.sum(1).mul_(push), q.square().mul_(-push)
    near = of_neighbors(e)
    losses += of_near * near / (NEAR + near)
    add_to_neighbors(slopes, of_near * NEAR / (NEAR + near).square())
    if mid is not None and of_mid:
        e_mid = e.gather(1, mid[:, None])
        losses += (MID_SHARE * of_mid * e_mid / (MID + e_mid))[:, 0]
        slopes.scatter_add_(1, mid[:, None], MID_SHARE * of_mid * MID / (MID + e_mid).square())
    return losses, slopes


def _weights(progress: float) -> tuple[float, float]:
    """w_N and w_M at a share of the training."""
    second, third = STAGES
    if progress < second:
        share = progress / second
        return 2.0, 1000.0 * (1 - share) + 3.0 * share
    return (3.0, 3.0) if progress < third else (1.0, 0.0)


NEIGHBOR_LOSSES: dict[str, Callable[[Tensor], tuple[Tensor, Tensor]]] = {
    "infonce": info_nce,
    "umap": umap_cross_entropy,
}
"""The losses that depend on the distances alone."""


def density_correlation(squares: Tensor, log_radius: Tensor) -> tuple[Tensor, Tensor]:
    """Correlation of log ||h_i - h_j||^2 with a given logarithm of the squared radius around each of m rows i.

    Parameters
    ----------
    squares : Tensor of shape (2m, 2m)
    log_radius : Tensor of shape (m,)

    Returns
    -------
    correlation : Tensor of shape ()
    slopes : Tensor of shape (2m, 2m)
        Its derivative in the squared distances.

    References
    ----------
    Narayan, Berger and Cho (2021), "Assessing Single-Cell Transcriptomic Variability through Density-Preserving Data
    Visualization", https://doi.org/10.1038/s41587-020-00801-7
    """
    near = squares.diagonal(len(log_radius)) + LEAST_SQUARE
    (a, _), (b, length) = _unit(log_radius), _unit(near.log())
    correlation = a @ b
    slopes = torch.zeros_like(squares)
    slopes.diagonal(len(a)).copy_((a - correlation * b) / (length * near))
    return correlation, slopes


def _unit(values: Tensor) -> tuple[Tensor, Tensor]:
    """Centred values divided by their length, and that length."""
    centred = values - values.mean()
    length = centred.norm().clamp_min(1e-6)
    return centred / length, length


def of_neighbors(table: Tensor) -> Tensor:
    """The entry of each row and its neighbour, of shape (2m,)."""
    m = len(table) // 2
    return torch.cat([table.diagonal(m), table.diagonal(-m)])


def add_to_neighbors(table: Tensor, values: Tensor) -> None:
    """Add to the entry of each row and its neighbour."""
    m = len(table) // 2
    table.diagonal(m).add_(values[:m])
    table.diagonal(-m).add_(values[m:])
