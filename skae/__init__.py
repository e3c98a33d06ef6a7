"""Autoencoders and Boltzmann machines as scikit-learn estimators."""

from ._version import __version__
from .autoencoders import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    ReceptiveFieldAutoencoder,
    SparseAutoencoder,
)
from .compare import compare

__all__ = [
    "Autoencoder",
    "ContractiveAutoencoder",
    "DenoisingAutoencoder",
    "ReceptiveFieldAutoencoder",
    "SparseAutoencoder",
    "__version__",
    "compare",
]
