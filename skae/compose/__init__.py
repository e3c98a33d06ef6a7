"""Estimators that are made of other estimators."""

from .fine_tuned import FineTunedClassifier, FineTunedRegressor
from .outliers import OutlierDetector
from .stacked import StackedAutoencoder
from .table import TableAutoencoder

__all__ = ["FineTunedClassifier", "FineTunedRegressor", "OutlierDetector", "StackedAutoencoder", "TableAutoencoder"]
