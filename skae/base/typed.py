"""Typed: a scikit-learn estimator whose parameters are typed fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from typing_extensions import dataclass_transform

from .advice import validate
from .callbacks import without_callbacks
from .compat import CallbackSupportMixin
from .params import constraints, sign_plainly

__all__ = ["Typed"]


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
class Typed(CallbackSupportMixin, BaseEstimator):
    """A scikit-learn estimator without a module of its own. Its annotated attributes are its parameters."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        dataclass(kw_only=True, eq=False, repr=False)(cls)
        sign_plainly(cls)
        cls._parameter_constraints = constraints(cls)

    def _validate_params(self) -> None:
        validate(self)

    def __getstate__(self) -> dict[str, Any]:
        return without_callbacks(self, dict(super().__getstate__()))
