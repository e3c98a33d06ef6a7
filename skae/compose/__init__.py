"""Estimators that are made of other estimators."""

from .fine_tuned import FineTunedClassifier, FineTunedRegressor
from .imputer import AutoencoderImputer
from .outliers import OutlierDetector
from .stacked import StackedAutoencoder
from .table import TableAutoencoder

__all__ = [
    "AutoencoderImputer",
    "FineTunedClassifier",
    "FineTunedRegressor",
    "OutlierDetector",
    "StackedAutoencoder",
    "TableAutoencoder",
]
