"""Variational autoencoders and their relatives: generative models of rows, with one file per estimator."""

from .vae import VariationalAutoencoder

__all__ = ["VariationalAutoencoder"]
