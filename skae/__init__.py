"""Autoencoders and Boltzmann machines as scikit-learn estimators."""

from ._version import __version__
from .adversarial import (
    AdversarialAutoencoder,
    AdversariallyRegularizedAutoencoder,
    BidirectionalGAN,
    WassersteinAutoencoder,
)
from .autoencoders import (
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    ReceptiveFieldAutoencoder,
    RecursiveAutoencoder,
    RecursiveAutoencoderClassifier,
    SemiSupervisedAutoencoder,
    SemiSupervisedAutoencoderRegressor,
    SparseAutoencoder,
    TopKAutoencoder,
)
from .base.checkpoint import Checkpoint
from .boltzmann import RBM, DeepBeliefNetwork, DeepBoltzmannMachine, MultimodalDeepBoltzmannMachine
from .comparison import compare
from .compose import (
    AutoencoderImputer,
    FineTunedClassifier,
    FineTunedRegressor,
    OutlierDetector,
    StackedAutoencoder,
    TableAutoencoder,
)
from .loading import load, trusted_types
from .maps import NeighborAutoencoder
from .variational import (
    ConditionalVariationalAutoencoder,
    MixtureVariationalAutoencoder,
    SemiSupervisedVariationalAutoencoder,
    VariationalAutoencoder,
    VectorQuantizedAutoencoder,
)

__all__ = [
    "RBM",
    "AdversarialAutoencoder",
    "AdversariallyRegularizedAutoencoder",
    "Autoencoder",
    "AutoencoderImputer",
    "BidirectionalGAN",
    "Checkpoint",
    "ConditionalVariationalAutoencoder",
    "ContractiveAutoencoder",
    "ConvolutionalAutoencoder",
    "DeepBeliefNetwork",
    "DeepBoltzmannMachine",
    "DenoisingAutoencoder",
    "FineTunedClassifier",
    "FineTunedRegressor",
    "MixtureVariationalAutoencoder",
    "MultimodalDeepBoltzmannMachine",
    "NeighborAutoencoder",
    "OutlierDetector",
    "ReceptiveFieldAutoencoder",
    "RecursiveAutoencoder",
    "RecursiveAutoencoderClassifier",
    "SemiSupervisedAutoencoder",
    "SemiSupervisedAutoencoderRegressor",
    "SemiSupervisedVariationalAutoencoder",
    "SparseAutoencoder",
    "StackedAutoencoder",
    "TableAutoencoder",
    "TopKAutoencoder",
    "VariationalAutoencoder",
    "VectorQuantizedAutoencoder",
    "WassersteinAutoencoder",
    "__version__",
    "compare",
    "load",
    "trusted_types",
]
