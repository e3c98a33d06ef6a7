"""Autoencoders that sample, trained against a critic or by a distance to a prior, with one file per estimator."""

from .adversarial import AdversarialAutoencoder
from .regularized import AdversariallyRegularizedAutoencoder

__all__ = ["AdversarialAutoencoder", "AdversariallyRegularizedAutoencoder"]
