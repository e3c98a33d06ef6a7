"""Variational autoencoders and their relatives: generative models of rows, with one file per estimator."""

from .conditional_vae import ConditionalVariationalAutoencoder
from .mixture_vae import MixtureVariationalAutoencoder
from .vae import VariationalAutoencoder
from .vector_quantized import VectorQuantizedAutoencoder

__all__ = [
    "ConditionalVariationalAutoencoder",
    "MixtureVariationalAutoencoder",
    "VariationalAutoencoder",
    "VectorQuantizedAutoencoder",
]
