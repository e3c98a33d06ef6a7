"""Typed: a scikit-learn estimator whose parameters are typed fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from typing_extensions import dataclass_transform

from .._version import REFERENCE
from . import damage, files
from .advice import validate
from .callbacks import without_callbacks
from .damage import Saved
from .mixins import BaseEstimator, CallbackSupportMixin
from .params import constraints, sign_plainly
from .saving import intact, is_fitted, portable, readable, restore

__all__ = ["Typed"]


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
class Typed(CallbackSupportMixin, BaseEstimator):
    """A scikit-learn estimator without a module of its own. Its annotated attributes are its parameters."""

    _doc_link_module = "skae"
    _doc_link_template = REFERENCE
    _parameter_constraints: ClassVar[dict[str, list[Any]]]
    _saved: ClassVar[dict[str, Saved]] = {
        "n_features_in_": Saved(damage.whole(1)),
        "feature_names_in_": Saved(damage.names, required=False),
    }
    """What the attributes of a fit are like in a file. A class adds its own ones."""
    _inside: ClassVar[tuple[type, ...]] = ()
    """Classes of this package that are no public ones, and of which there are estimators inside."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        dataclass(kw_only=True, eq=False, repr=False)(cls)
        sign_plainly(cls)
        cls._parameter_constraints = constraints(cls)

    def _validate_params(self) -> None:
        validate(self)

    save = files.save

    def __getstate__(self) -> dict[str, Any]:
        return portable(self, without_callbacks(self, dict(super().__getstate__())))

    def __setstate__(self, state: dict[str, Any]) -> None:
        with intact(self):
            super().__setstate__(readable(self, state))
            if is_fitted(type(self), vars(self)):
                restore(self)
