"""Variational autoencoders and their relatives: generative models of rows, with one file per estimator."""

from .conditional_vae import ConditionalVariationalAutoencoder
from .mixture_vae import MixtureVariationalAutoencoder
from .semi_supervised_vae import SemiSupervisedVariationalAutoencoder
from .vae import VariationalAutoencoder
from .vector_quantized import VectorQuantizedAutoencoder

__all__ = [
    "ConditionalVariationalAutoencoder",
    "MixtureVariationalAutoencoder",
    "SemiSupervisedVariationalAutoencoder",
    "VariationalAutoencoder",
    "VectorQuantizedAutoencoder",
]
