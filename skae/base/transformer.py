"""TorchTransformer: an estimator that encodes rows as so many numbers, and decodes them."""

from __future__ import annotations

from dataclasses import field

from .encoding import Coding, Generative
from .estimator import TorchEstimator
from .params import PositiveInt

__all__ = ["GenerativeTransformer", "TorchTransformer"]


class TorchTransformer(TorchEstimator, Coding):
    """A transformer whose code is learnt by a PyTorch module.

    Parameters
    ----------
    n_components : int, default=2
        Width of the code.
    """

    n_components: PositiveInt = field(default=2, kw_only=False)


class GenerativeTransformer(TorchTransformer, Generative):
    """A transformer that is a model of the density, and scores rows by their log-likelihood."""
