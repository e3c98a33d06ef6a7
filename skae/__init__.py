"""Autoencoders and Boltzmann machines as scikit-learn estimators."""

from ._version import __version__
from .autoencoders import (
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    ReceptiveFieldAutoencoder,
    SparseAutoencoder,
    TopKAutoencoder,
)
from .compare import compare

__all__ = [
    "Autoencoder",
    "ContractiveAutoencoder",
    "ConvolutionalAutoencoder",
    "DenoisingAutoencoder",
    "ReceptiveFieldAutoencoder",
    "SparseAutoencoder",
    "TopKAutoencoder",
    "__version__",
    "compare",
]
