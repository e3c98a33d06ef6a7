"""All imports from scikit-learn that are private, or that moved between its versions."""

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

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """What scikit-learn lacks before version 1.9."""

        @property
        def set_callbacks(self) -> Any:
            """Not there. The message says what is."""
            raise AttributeError(
                f"set_callbacks needs scikit-learn 1.9 or newer, and this is {sklearn.__version__}: use the parameter "
                "callback instead."
            )


__all__ = [
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "MissingValues",
    "Options",
    "StrOptions",
    "check_sample_weight",
    "fit_context",
    "validate_parameter_constraints",
]
