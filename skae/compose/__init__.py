"""Estimators that are made of other estimators."""

from .fine_tuned import FineTunedClassifier, FineTunedRegressor
from .imputer import AutoencoderImputer
from .stacked import StackedAutoencoder
from .table import TableAutoencoder

__all__ = [
    "AutoencoderImputer",
    "FineTunedClassifier",
    "FineTunedRegressor",
    "StackedAutoencoder",
    "TableAutoencoder",
]
