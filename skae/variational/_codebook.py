"""Codebooks: where they start, and how their indices are counted and checked."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from ..base import Table
from ..base.encoding import widest
from ..engine.data import chunks

__all__ = ["checked_indices", "counts_of", "perplexity", "some_codes", "start_codebook"]

MOST_VECTORS = 2**14
"""Vectors of the training rows on which k-means finds the codebook to start with."""


@torch.no_grad()
def some_codes(module: Any, data: Table) -> tuple[Tensor, Tensor]:
    """What the encoder puts out for evenly spaced rows of positive weight, and their weights.

    They are at least as many as the entries of the codebook, if need be with the same rows again.
    """
    among = torch.arange(len(data)) if data.weight is None else data.weight.cpu().nonzero().squeeze(1)
    n = max(module.quantizer.size, min(len(among), MOST_VECTORS // module.quantizer.n_codes))
    some = among[torch.linspace(0, len(among) - 1, n).long()]
    batches = [data[some[rows]] for rows in chunks(n, max(data.width, widest(module)))]
    e = torch.cat([module.encode(batch.x, known=batch.told_known) for batch in batches])
    weights = [torch.ones_like(batch.x[:, 0]) if batch.weight is None else batch.weight for batch in batches]
    return e, torch.cat(weights).to(e)


def start_codebook(quantizer: Any, e: Tensor, weight: Tensor, n_vectors: float, seed: int) -> None:
    """Start the codebook of a vector quantiser at k-means of the codes of some rows.

    Nothing is drawn from the estimator's generator, so that training sees the same batches as without quantisation.
    """
    z, w = quantizer.cut(e).cpu().numpy(), weight.repeat_interleave(quantizer.n_codes).cpu().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fewer distinct vectors than entries: some entries are equal then
        found = KMeans(quantizer.size, n_init=1, random_state=seed % 2**32).fit(z, sample_weight=w)
    share = np.bincount(found.labels_, weights=w, minlength=quantizer.size) / w.sum()
    quantizer.start(torch.from_numpy(found.cluster_centers_), torch.from_numpy(share * n_vectors))


def counts_of(quantizer: Any, indices: Tensor, weight: Tensor | None) -> Tensor:
    """Sums of the weights of the rows with each index, of shape (n_codes, size)."""
    n_codes, size = quantizer.n_codes, quantizer.size
    places = (indices.cpu() + size * torch.arange(n_codes)).flatten()
    w = None if weight is None else weight.cpu().double().repeat_interleave(n_codes)
    return torch.bincount(places, w, minlength=n_codes * size).view(n_codes, size).double()


def perplexity(counts: Tensor) -> float:
    """Exponential of the entropy of frequencies, which need not sum to one."""
    total = float(counts.sum())
    return float(torch.special.entr(counts.double() / total).sum().exp()) if total else 1.0


def checked_indices(indices: Any, n_codes: int, size: int) -> np.ndarray:
    """Indices as an array of whole numbers in range."""
    try:
        found = np.asarray(indices)
    except ValueError:  # rows of different lengths
        found = np.asarray(indices, dtype=object)
    if found.dtype.kind not in "buif":
        raise ValueError("indices are no numbers: pass what encode_indices returned.")
    if found.ndim != 2 or found.shape[1] != n_codes or len(found) == 0:
        raise ValueError(
            f"indices must have the shape (n_samples, {n_codes}), but theirs is {found.shape}: pass what "
            "encode_indices returned."
        )
    with np.errstate(invalid="ignore"):
        wrong = np.argwhere(~((found >= 0) & (found < size) & (found == np.floor(found))))
    if len(wrong):
        row, column = (int(i) for i in wrong[0])
        raise ValueError(
            f"indices has {found[row, column]} in row {row}, column {column}, but an index is a whole number from 0 to "
            f"{size - 1}: pass what encode_indices returned."
        )
    return found.astype(np.int64)
