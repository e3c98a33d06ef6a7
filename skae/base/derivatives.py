"""Derivatives of the code with respect to the input: Jacobians, singular values, and activations of units.

The functions take fitted estimators of this package and return numpy arrays in units of X.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import accumulate
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..engine.data import Batch, chunks
from ..engine.modes import plain_torch

__all__ = [
    "UnitDrive",
    "code_jacobian",
    "dense_fields",
    "first_layer_weights",
    "jacobian_singular_values",
    "receptive_fields",
]

BLOCK = 2**22
"""Number of entries of Jacobians that are in memory at a time."""


def code_jacobian(estimator: Any, X: Any) -> np.ndarray:
    """Jacobian dh_j / dx_i of the code at each row.

    Parameters
    ----------
    estimator : object
        A fitted estimator of this package.
    X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

    Returns
    -------
    J : ndarray of shape (n_samples, n_components, n_features), float64
        Derivatives of each component of the code in each feature, in units of the code per unit of X.

    Raises
    ------
    TypeError
        If the estimator is not from this package, or if its code is not differentiable.
    ValueError
        If ``transform`` would not accept X.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import Autoencoder
    >>> from skae.inspection import code_jacobian
    >>> X = load_iris().data
    >>> code_jacobian(Autoencoder(2, max_iter=2, random_state=0).fit(X), X).shape
    (150, 2, 4)
    """
    _require_derivatives(estimator)
    J: np.ndarray = estimator._map(lambda module, batch: _jacobians(estimator, module, batch), X)
    return J


def jacobian_singular_values(estimator: Any, X: Any) -> np.ndarray:
    """Singular values of the Jacobian of the code at each row.

    A singular value s means that a small step of length e in some direction of X moves the code by s * e.

    Parameters
    ----------
    estimator : object
        A fitted estimator of this package.
    X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

    Returns
    -------
    s : ndarray of shape (n_samples, min(n_components, n_features)), float64
        Singular values in descending order, in units of the code per unit of X.

    Raises
    ------
    TypeError
        If the estimator is not from this package, or if its code is not differentiable.
    ValueError
        If ``transform`` would not accept X.

    References
    ----------
    Rifai, Vincent, Muller, Glorot and Bengio (2011), "Contractive Auto-Encoders: Explicit Invariance
    During Feature Extraction", https://icml.cc/2011/papers/455_icmlpaper.pdf
    """
    _require_derivatives(estimator)
    s: np.ndarray = estimator._map(lambda module, batch: _singular_values(estimator, module, batch), X)
    return s


def first_layer_weights(estimator: Any) -> np.ndarray:
    """Weights of the layer that sees X, with one row per unit. See ``receptive_fields``."""
    return receptive_fields(estimator, 1)


def receptive_fields(estimator: Any, layer: int = 1) -> np.ndarray:
    """Weights of a layer as patterns in X: W_layer ... W_2 W_1, with one row per unit.

    The patterns say how much the input of a unit changes per unit of X, as far as the layers below are linear (Lee,
    Ekanadham and Ng, 2008). ``components_`` are returned unchanged. For the code of an autoencoder, the patterns
    include the linear projection that comes with ``init="pca"``.

    Parameters
    ----------
    estimator : object
        A fitted estimator of one of three kinds. It has ``components_``, such as PCA or RBM. Or it is from this package
        and its encoder is a stack of dense layers. Or it consists of such estimators, and its method
        ``_receptive_fields()`` lists the patterns of its layers, first layer first.
    layer : int, default=1
        Number of the layer. 1 is the layer that sees X. For an estimator made of layers, k is the code of
        ``layers_[k - 1]``.

    Returns
    -------
    W : ndarray of shape (n_units, n_features)

    Raises
    ------
    TypeError
        If the estimator has no such layers.
    ValueError
        If the estimator has no layer of this number.

    References
    ----------
    Lee, Ekanadham and Ng (2008), "Sparse deep belief net model for visual area V2",
    https://papers.nips.cc/paper/2007/hash/4daa3db355ef2b0e64b472968cb70f0d-Abstract.html
    """
    check_is_fitted(estimator)
    fields = _fields_of(estimator)
    if not fields:
        raise TypeError(
            f"{type(estimator).__name__} has no components_ and no dense first layer whose weights are filters: "
            'pass another estimator, or draw kind="stimuli".'
        )
    if not isinstance(layer, Integral) or not 1 <= layer <= len(fields):
        raise ValueError(
            f"layer={layer!r} is none of the {len(fields)} layers with receptive fields of {type(estimator).__name__}: "
            f"pass a whole number from 1 to {len(fields)}."
        )
    return np.array(fields[layer - 1], dtype=float)


def _fields_of(estimator: Any) -> list[Any]:
    """Receptive fields of all layers, first layer first."""
    if hasattr(estimator, "_receptive_fields"):
        return list(estimator._receptive_fields())
    if hasattr(estimator, "components_"):
        return [estimator.components_]
    own = dense_fields(getattr(estimator, "module_", None), len(getattr(estimator, "mean_", ())))
    return [field / estimator.scale_ for field in own]


def dense_fields(module: Any, n_inputs: int) -> list[np.ndarray]:
    """Receptive fields of the dense layers of a module's encoder, on the scale of the module.

    The list is empty if there are no such layers. The fields of the last layer include the module's linear projection,
    if it has one. An encoder that is told conditions beside X has fields in X alone.
    """
    weights = getattr(getattr(module, "encoder", None), "weights", ())
    n_seen = n_inputs + getattr(module, "n_conditions", 0)
    if not isinstance(weights, list) or not weights or weights[0].shape[1] != n_seen:
        return []
    in_x = [weights[0][:, :n_inputs], *weights[1:]]
    fields = list(accumulate((W.detach().cpu().double() for W in in_x), lambda below, W: W @ below))
    fields[-1] = fields[-1][: getattr(module, "n_components", None)]  # without log variances, if it puts them out too
    projection = getattr(module, "projection", None)
    if projection is not None:
        fields[-1] = fields[-1] + projection.cpu().double()[:, :n_inputs]
    return [field.numpy() for field in fields]


class UnitDrive:
    """Activation of a unit of the code and its gradient in the input, in double precision.

    Inputs are deviations d from the training mean, in units of X. The encoder sees mean_ + d.

    Parameters
    ----------
    estimator : object
        A fitted estimator of this package.
    """

    def __init__(self, estimator: Any) -> None:
        _require_derivatives(estimator)
        self.n_units = estimator._n_features_out
        self.n_features = len(estimator.mean_)
        self.widest = max(self.n_features, *(p.shape[0] for p in estimator.module_.parameters() if p.ndim))
        self._estimator = estimator
        self._frame = estimator._frame
        with plain_torch():  # a copy, so that the fitted module does not change
            self._module = deepcopy(estimator.module_).to("cpu", torch.float64).requires_grad_(False)

    def __call__(self, d: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The activation of one unit for each row of d, of shape (n,), and its gradient, of shape (n, n_features)."""
        with plain_torch():
            x = self._seen(d).requires_grad_()
            h = _differentiable(self._estimator, self._encode(x))
            driven = h.gather(1, torch.from_numpy(units)[:, None]).squeeze(1)
            (gradient,) = torch.autograd.grad(driven.sum(), x, materialize_grads=True)
        return driven.detach().numpy(), gradient.numpy() / self._frame.scale

    @property
    def reach(self) -> float:
        """Distance of a typical training row from the mean, in units of X.

        Rows that are not centred are numbers from 0 to 1 or counts, whose variances are about as large as their means.
        """
        scale = np.broadcast_to(self._frame.scale, self.n_features)
        shifted = self._frame.centred if self._frame.shifted is None else self._frame.shifted
        variances = np.where(shifted, np.square(scale), np.abs(self._frame.mean))
        return float(np.sqrt(variances.sum())) or 1.0

    def atoms(self, units: np.ndarray) -> np.ndarray:
        """Change of the reconstruction of the mean when a unit rises by one.

        It is zero if the decoder does not return as many columns as X has.
        """
        with plain_torch(grad=False):
            h = self._encode(self._seen(np.zeros((1, self.n_features))))
            raised = h.repeat(len(units), 1)
            raised[torch.arange(len(units)), torch.from_numpy(units)] += 1.0
            atoms = self._decode(raised) - self._decode(h)
        # The decoder may have been trained to return another array than X.
        fits = atoms.shape[1] == self.n_features
        return atoms.numpy() if fits else np.zeros((len(units), self.n_features))

    def _seen(self, d: np.ndarray) -> Tensor:
        return torch.from_numpy(self._frame.center + d / self._frame.scale)

    def _encode(self, x: Tensor) -> Tensor:
        code: Tensor = self._estimator._encode(self._module, Batch(x))
        return code

    def _decode(self, h: Tensor) -> Tensor:
        mean: Tensor = self._estimator._decode(self._module, h, Batch(h))
        return mean


def _require_derivatives(estimator: Any) -> None:
    if not hasattr(estimator, "_encode"):
        raise TypeError(
            f"{type(estimator).__name__} has no derivative of its code: pass an estimator of skae, "
            "such as the last step of a Pipeline."
        )
    if not get_tags(estimator).input_tags.two_d_array:
        raise TypeError(f"{type(estimator).__name__} takes no tables, and so has no columns to take a derivative in.")
    check_is_fitted(estimator)


def _jacobians(estimator: Any, module: Any, batch: Batch) -> Tensor:
    """Jacobians at the rows of a batch, in units of X."""
    blocks = [estimator._frame.pull_back(J) for J in _blocks(estimator, module, batch)]
    return torch.cat(blocks)


def _singular_values(estimator: Any, module: Any, batch: Batch) -> Tensor:
    """Singular values of the Jacobians at the rows of a batch, computed in double precision."""
    found = [
        np.linalg.svd(estimator._frame.pull_back(J).cpu().numpy(), compute_uv=False)
        for J in _blocks(estimator, module, batch)
    ]
    return torch.from_numpy(np.concatenate(found))


def _blocks(estimator: Any, module: Any, batch: Batch) -> Iterator[Tensor]:
    """Jacobians of a few rows at a time, on the scale of the module."""
    n, n_features = batch.x.shape
    for rows in chunks(n, estimator._n_features_out * n_features, BLOCK):
        part = batch.take(rows)

        def encode(x: Tensor, part: Batch = part) -> Tensor:
            return _differentiable(estimator, estimator._encode(module, part._replace(x=x)))

        yield _jacobian(encode, part.x)


def _jacobian(encode: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Jacobians at a batch of rows, of shape (n, n_components, n_features), by one backward pass per component.

    The code of a row depends on that row alone. So the gradient of a sum over rows holds the gradient of each row.
    """
    with plain_torch():
        x = x.clone().requires_grad_()
        totals = encode(x).sum(0)
        gradients = [torch.autograd.grad(t, x, retain_graph=True, materialize_grads=True)[0] for t in totals]
    return torch.stack(gradients, 1)


def _differentiable(estimator: Any, h: Tensor) -> Tensor:
    if not h.requires_grad:
        raise TypeError(f"The code of {type(estimator).__name__} is not differentiable in X, so it has no Jacobian.")
    return h
