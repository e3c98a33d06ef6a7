"""Variational autoencoders and their relatives: generative models of rows, with one file per estimator."""

from .mixture_vae import MixtureVariationalAutoencoder
from .vae import VariationalAutoencoder
from .vector_quantized import VectorQuantizedAutoencoder

__all__ = ["MixtureVariationalAutoencoder", "VariationalAutoencoder", "VectorQuantizedAutoencoder"]
