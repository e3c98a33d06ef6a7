"""Deterministic autoencoders, one file an estimator."""

from .contractive import ContractiveAutoencoder
from .denoising import DenoisingAutoencoder
from .dense import Autoencoder
from .receptive_field import ReceptiveFieldAutoencoder
from .sparse import SparseAutoencoder

__all__ = [
    "Autoencoder",
    "ContractiveAutoencoder",
    "DenoisingAutoencoder",
    "ReceptiveFieldAutoencoder",
    "SparseAutoencoder",
]
