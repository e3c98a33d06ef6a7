"""AutoencoderImputer: missing entries, filled from a Gaussian and networks, or from any model that takes gaps."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.impute import SimpleImputer
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from typing_extensions import Self

from ..base.advice import validate
from ..base.checks import check_x
from ..base.compat import HasMethods, Interval, MissingValues, StrOptions, fit_context
from ..base.state import unchanged_on_error
from ..engine.data import chunks, to_tensor
from ..engine.modes import plain_torch
from ._recipe import Recipe
from ._restored import Restored

__all__ = ["AutoencoderImputer"]

ROWS = 2**14
"""Rows that are filled at a time."""


class AutoencoderImputer(TransformerMixin, BaseEstimator):
    pass
