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
    StackedAutoencoder,
    TopKAutoencoder,
)
from .boltzmann import RBM, DeepBeliefNetwork
from .compare import compare
from .supervised import FineTunedClassifier, FineTunedRegressor

__all__ = [
    "RBM",
    "Autoencoder",
    "ContractiveAutoencoder",
    "ConvolutionalAutoencoder",
    "DeepBeliefNetwork",
    "DenoisingAutoencoder",
    "FineTunedClassifier",
    "FineTunedRegressor",
    "ReceptiveFieldAutoencoder",
    "SemiSupervisedAutoencoder",
    "SemiSupervisedAutoencoderRegressor",
    "SparseAutoencoder",
    "StackedAutoencoder",
    "TopKAutoencoder",
    "__version__",
    "compare",
]
