"""Autoencoders and Boltzmann machines as scikit-learn estimators."""

from ._version import __version__
from .autoencoders import Autoencoder

__all__ = ["Autoencoder", "__version__"]
