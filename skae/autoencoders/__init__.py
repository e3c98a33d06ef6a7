"""Deterministic autoencoders, with one file per estimator."""

from .coded import Coded as Coded  # for families of models that sample
from .contractive import ContractiveAutoencoder
from .convolutional import ConvolutionalAutoencoder
from .denoising import DenoisingAutoencoder
from .dense import Autoencoder
from .receptive_field import ReceptiveFieldAutoencoder
from .recursive import RecursiveAutoencoder
from .recursive_classifier import RecursiveAutoencoderClassifier
from .semi_supervised import SemiSupervisedAutoencoder, SemiSupervisedAutoencoderRegressor
from .sparse import SparseAutoencoder
from .topk import TopKAutoencoder

__all__ = [
    "Autoencoder",
    "ContractiveAutoencoder",
    "ConvolutionalAutoencoder",
    "DenoisingAutoencoder",
    "ReceptiveFieldAutoencoder",
    "RecursiveAutoencoder",
    "RecursiveAutoencoderClassifier",
    "SemiSupervisedAutoencoder",
    "SemiSupervisedAutoencoderRegressor",
    "SparseAutoencoder",
    "TopKAutoencoder",
]
