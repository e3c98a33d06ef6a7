"""Boltzmann machines, one file an estimator."""

from .dbn import DeepBeliefNetwork
from .rbm import RBM

__all__ = ["RBM", "DeepBeliefNetwork"]
