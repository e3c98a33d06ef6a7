"""Estimators that are made of other estimators."""

from .fine_tuned import FineTunedClassifier, FineTunedRegressor
from .stacked import StackedAutoencoder
from .table import TableAutoencoder

__all__ = ["FineTunedClassifier", "FineTunedRegressor", "StackedAutoencoder", "TableAutoencoder"]
