"""Estimators that are made of other estimators."""

from .fine_tuned import FineTunedClassifier, FineTunedRegressor
from .outliers import OutlierDetector
from .stacked import StackedAutoencoder

__all__ = ["FineTunedClassifier", "FineTunedRegressor", "OutlierDetector", "StackedAutoencoder"]
