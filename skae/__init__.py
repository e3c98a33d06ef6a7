"""Autoencoders and Boltzmann machines as scikit-learn estimators."""

from ._version import __version__
from .autoencoders import (
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    ReceptiveFieldAutoencoder,
    SemiSupervisedAutoencoder,
    SemiSupervisedAutoencoderRegressor,
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
    "SemiSupervisedAutoencoder",
    "SemiSupervisedAutoencoderRegressor",
    "SparseAutoencoder",
    "TopKAutoencoder",
    "__version__",
    "compare",
]
