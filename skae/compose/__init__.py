"""Estimators that are made of other estimators."""

from .fine_tuned import FineTunedClassifier, FineTunedRegressor
from .imputer import AutoencoderImputer
from .stacked import StackedAutoencoder

__all__ = ["AutoencoderImputer", "FineTunedClassifier", "FineTunedRegressor", "StackedAutoencoder"]
