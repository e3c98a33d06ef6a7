"""Estimators made of estimators, one file a kind."""

from .fine_tuned import FineTunedClassifier, FineTunedRegressor
from .stacked import StackedAutoencoder

__all__ = ["FineTunedClassifier", "FineTunedRegressor", "StackedAutoencoder"]
