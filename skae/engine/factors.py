"""The E step of x = m + W z + noise, for rows with gaps: z given what is observed, and the sums over the rows."""

from __future__ import annotations

import torch
from torch import Tensor

from .data import chunks

__all__ = ["factors_given", "parts_of", "summed_moments"]

BLOCK = 2**20
"""Numbers in the second moments of the factors of the rows that are processed at a time."""


def factors_given(x: Tensor, known: Tensor, W: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """The distribution of the factors z of rows, given the observed entries o of each.

    With x = W z + noise, z ~ N(0, I) and noise ~ N(0, V) with a diagonal V, it is N(P W_o' V_o^-1 x_o, P), where
    P = (I + W_o' V_o^-1 W_o)^-1.

    Parameters
    ----------
    x : Tensor of shape (n, d)
        Centred rows. What they hold at missing entries does not matter.
    known : Tensor of bool of shape (n, d)
    W : Tensor of shape (d, q)
    variance : Tensor of shape (d,) or (1,)
        Diagonal of V, or its one value.

    Returns
    -------
    z : Tensor of shape (n, q)
        The mean.
    root : Tensor of shape (n, q, q)
        Cholesky factors of P^-1.
    """
    n, q = len(x), W.shape[1]
    scaled = W / variance[:, None]
    squares = (scaled[:, :, None] * W[:, None, :]).flatten(1)
    precision = (known.to(W.dtype) @ squares).view(n, q, q) + torch.eye(q, dtype=W.dtype, device=W.device)
    root = torch.linalg.cholesky(precision)
    pull = torch.where(known, x, 0.0) @ scaled
    return torch.cholesky_solve(pull[:, :, None], root)[:, :, 0], root


def summed_moments(
    x: Tensor, known: Tensor, weight: Tensor, W: Tensor, mean: Tensor, variance: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """What the M step needs. With a = [z, 1], the mean is a loading too: that of a factor that is always 1.

    Parameters
    ----------
    x : Tensor of shape (n, d)
        Rows with zeros in their gaps.
    known : Tensor of bool of shape (n, d)
    weight : Tensor of shape (n,)
    W, mean, variance : Tensor
        As in ``factors_given``, and the mean m, of shape (d,).

    Returns
    -------
    moments : Tensor of shape (d, q + 1, q + 1)
        Sums of E[a a'] over the rows that observe the column.
    products : Tensor of shape (d, q + 1)
        Sums of x E[a].
    squares : Tensor of shape (d,)
        Sums of x^2.
    """
    d, q = W.shape
    moments, products = x.new_zeros(d, (q + 1) ** 2), x.new_zeros(d, q + 1)
    for rows in parts_of(len(x), q):
        part, mask, w = x[rows], known[rows], weight[rows, None]
        z, root = factors_given(part - mean, mask, W, variance)
        a = torch.cat([z, torch.ones_like(w)], 1)
        second = a[:, :, None] * a[:, None, :]
        second[:, :q, :q] += torch.cholesky_inverse(root)
        moments += (w * mask).t() @ second.flatten(1)
        products += (w * part).t() @ a
    return moments.view(d, q + 1, q + 1), products, (weight[:, None] * x.square()).sum(0)


def parts_of(n: int, q: int) -> list[slice]:
    """Slices of n rows with q factors that are processed at a time."""
    return list(chunks(n, 1, max(1, BLOCK // (q + 1) ** 2)))
