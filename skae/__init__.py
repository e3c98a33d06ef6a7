"""Autoencoders and Boltzmann machines as scikit-learn estimators."""

from ._version import __version__
from .autoencoders import Autoencoder
from .compare import compare

__all__ = ["Autoencoder", "__version__", "compare"]
