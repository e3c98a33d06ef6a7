"""Autoencoders that sample, trained against a critic or by a distance to a prior, with one file per estimator."""

from .adversarial import AdversarialAutoencoder
from .bigan import BidirectionalGAN
from .regularized import AdversariallyRegularizedAutoencoder
from .wasserstein import WassersteinAutoencoder

__all__ = [
    "AdversarialAutoencoder",
    "AdversariallyRegularizedAutoencoder",
    "BidirectionalGAN",
    "WassersteinAutoencoder",
]
