"""Boltzmann machines, one file an estimator."""

from .dbm import DeepBoltzmannMachine
from .dbn import DeepBeliefNetwork
from .multimodal import MultimodalDeepBoltzmannMachine
from .rbm import RBM

__all__ = ["RBM", "DeepBeliefNetwork", "DeepBoltzmannMachine", "MultimodalDeepBoltzmannMachine"]
