"""Deterministic autoencoders, one file an estimator."""

from .dense import Autoencoder

__all__ = ["Autoencoder"]
