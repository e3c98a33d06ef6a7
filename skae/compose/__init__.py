"""Estimators that are made of other estimators."""

from .fine_tuned import FineTunedClassifier, FineTunedRegressor
from .stacked import StackedAutoencoder

__all__ = ["FineTunedClassifier", "FineTunedRegressor", "StackedAutoencoder"]
