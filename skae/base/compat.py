"""All imports from scikit-learn that are private, or that moved between its versions."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import sklearn
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
from typing_extensions import Self

Method = TypeVar("Method", bound=Callable[..., Any])

if TYPE_CHECKING:  # scikit-learn has no types, and a method behind an untyped decorator would lose its own

    def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
        """See scikit-learn."""

    def available_if(check: Callable[[Any], Any]) -> Callable[[Method], Method]:
        """See scikit-learn."""

    class TransformerMixin:
        """See scikit-learn. What its other base classes of an estimator bring is here too."""

        n_features_in_: int

        def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> np.ndarray:
            """See scikit-learn."""

        def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
            """See scikit-learn."""

        def get_params(self, deep: bool = True) -> dict[str, Any]:
            """See scikit-learn."""

        def set_params(self, **params: Any) -> Self:
            """See scikit-learn."""

        def set_output(self, *, transform: str | None = None) -> Self:
            """See scikit-learn."""

else:
    from sklearn.base import TransformerMixin
    from sklearn.base import _fit_context as fit_context
    from sklearn.utils.metaestimators import available_if


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
    "TransformerMixin",
    "WithoutCallbacks",
    "available_if",
    "check_sample_weight",
    "fit_context",
    "validate_parameter_constraints",
]
