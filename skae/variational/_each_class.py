"""Rows of unknown classes, with the same steps for all of them: what a graph of ONNX needs.

Without this, classes that have no share in a row are left out, which saves time and depends on the row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..base import Batch, Exported
from ..base.support import scored_inside
from ..engine.frame import in_double
from ..functional import common_normal
from ..nn.latent import Posterior

__all__ = ["with_every_class"]


def with_every_class(estimator: Any) -> dict[str, Exported]:
    """The methods of a fitted SemiSupervisedVariationalAutoencoder that sum over classes, as functions of tensors."""
    return {
        "transform": Exported(partial(_codes, estimator)),
        "inverse_transform": Exported(partial(_rows, estimator), estimator._output_frame, of_codes=True),
        "score_samples": Exported(partial(_scores, estimator)),
    }


def _of_each_class(function: Callable[[Any, Batch], Tensor], module: Any, batch: Batch) -> Tensor:
    """``function(module, batch)`` of rows that are told each class in turn, of shape (n_classes, ...)."""
    found = []
    for row in torch.eye(module.n_conditions, dtype=batch.x.dtype, device=batch.x.device):
        c = row.expand(len(batch.x), -1)
        found.append(function(module, Batch(batch.x, y=c, corrupted=torch.cat([batch.x, c], 1))))
    return torch.stack(found)


def _codes(estimator: Any, module: Any, batch: Batch) -> Tensor:
    """Codes of each class, weighted by q(y | x)."""
    share = estimator._logits(module, batch).softmax(1).T[..., None]
    mu = _of_each_class(estimator._moments_of, module, batch).chunk(2, 2)[0]
    return (share * mu).sum(0)


def _rows(estimator: Any, module: Any, batch: Batch) -> Tensor:
    """Rows of each class, weighted by p(y)."""

    def of_class(module: Any, told: Batch) -> Tensor:
        mean: Tensor = module.likelihood.mean(estimator._decode_draws(module, told.x[None], told)[0])
        return mean

    return (module.log_prior.exp()[:, None, None] * _of_each_class(of_class, module, batch)).sum(0)


def _scores(estimator: Any, module: Any, batch: Batch) -> Tensor:
    """Importance-weighted bounds of all classes, summed."""
    eps = common_normal(int(estimator.n_draws), estimator._n_features_out).to(batch.x)[:, None]

    def of_class(module: Any, told: Batch) -> Tensor:
        q = Posterior(*estimator._moments_of(module, told).chunk(2, 1))
        weights: Tensor = estimator._log_weights_at(module, told, q, q.drawn(eps))
        return weights

    joint = _of_each_class(of_class, module, batch) + module.log_prior[:, None, None]
    log_w = in_double(joint.logsumexp(0))
    bound = log_w.logsumexp(0) - math.log(len(log_w)) - estimator._frame.log_volume
    return scored_inside(estimator._support(), batch.x, bound)
