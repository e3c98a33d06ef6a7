"""Greedy trees over the sequences of a batch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..engine.forest import Forest, Packed, binary
from ..nn.parsing import greedy, post_order
from ..nn.recursive import RecursiveNetwork

__all__ = ["parsed"]


@torch.no_grad()
def parsed(module: RecursiveNetwork, batch: Packed, weighted: bool) -> Packed:
    """Build the trees of a batch by merging the neighbours that are reconstructed best (Socher et al., 2011).

    Parameters
    ----------
    module : RecursiveNetwork
    batch : Packed
        Trees whose leaves are taken as sequences.
    weighted : bool
        Whether a child counts in the reconstruction error by the number of its leaves.

    Returns
    -------
    batch : Packed
        The same leaves, weights and y under other trees.
    """
    d = module.d

    def errors(parent: Tensor, left: Tensor, right: Tensor, *of_children: Tensor) -> Tensor:
        targets = torch.stack([left[:, -d:], right[:, -d:]], 1)
        is_inner, n_leaves = torch.stack(of_children[:2], 1), torch.stack(of_children[2:], 1)
        return module.errors(parent[:, -d:], targets, is_inner, n_leaves, weighted)

    lengths = batch.n_leaves[batch.root].cpu()
    found = greedy(module.grown_leaf(batch.leaf), lengths, module.grown, errors)
    n_leaves = len(batch.leaf)
    place = post_order(found.children, n_leaves).cpu().numpy()
    arity = np.zeros(len(place), np.int64)
    arity[place[n_leaves:]] = 2
    trees = binary(arity, 2 * lengths.numpy() - 1)
    dtype, device = module.D.dtype, module.D.device
    return Forest(trees, batch.leaf, batch.weight, batch.y, dtype=dtype, device=device)[slice(None)]
