"""All imports from scikit-learn that are private, or that moved between its versions. See ``mixins`` too."""

from typing import Any

import sklearn
from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    MissingValues,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import _check_sample_weight as check_sample_weight


class WithoutCallbacks:
    """What estimators inherit before scikit-learn 1.9, which brought callbacks."""

    @property
    def set_callbacks(self) -> Any:
        """Not there. The message says what is."""
        raise AttributeError(
            f"set_callbacks needs scikit-learn 1.9 or newer, and this is {sklearn.__version__}: use the parameter "
            "callback instead."
        )


try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:
    CallbackSupportMixin = WithoutCallbacks

__all__ = [
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "MissingValues",
    "Options",
    "StrOptions",
    "WithoutCallbacks",
    "check_sample_weight",
    "fit_context",
    "validate_parameter_constraints",
]
