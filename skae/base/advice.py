"""Advice in the error about a parameter: what the user meant, or what to write instead."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

from ..engine.suggestions import suggest
from .compat import InvalidParameterError, validate_parameter_constraints

__all__ = ["validate"]

CHOOSE = "choose a whole number, the smallest whose held-out score is enough, for example with skae.compare"
IDIOMS: list[tuple[str, Callable[[Any], bool], str]] = [
    ("n_components", lambda value: value is None, f"PCA then keeps all components; here {CHOOSE}."),
    (
        "n_components",
        lambda value: (isinstance(value, str) and value == "mle") or (isinstance(value, float) and 0.0 < value < 1.0),
        f"PCA then chooses by the variance, but components that are learnt together are not ordered by it: {CHOOSE}.",
    ),
    (
        "n_components",
        lambda value: isinstance(value, (list, tuple)),
        "It is the width of the code alone. The widths of other layers are in hidden_layer_sizes.",
    ),
    ("learning_rate", lambda value: isinstance(value, Real), "The rate itself is learning_rate_init."),
    ("hidden_layer_sizes", lambda value: value is None, "Use () for no hidden layers."),
    (
        "random_state",
        lambda value: type(value).__name__ == "Generator",
        "Use an int or a numpy.random.RandomState, as in scikit-learn.",
    ),
    ("device", lambda value: value is not None, "Use its name, such as 'cpu' or 'cuda:1'."),
    ("encoder", lambda value: True, "Use an estimator of skae, such as Autoencoder(16)."),
]
"""Parameter, values that are wrong there but usual elsewhere, and what to do."""


def validate(estimator: Any) -> None:
    """Check the parameters of an estimator, and tell what the first wrong one should be.

    Parameters
    ----------
    estimator : object
        Its class has ``_parameter_constraints``.

    Raises
    ------
    InvalidParameterError
        A ValueError and TypeError with the name of the parameter, the values that are allowed, the value that was
        given, and advice if the value is known from elsewhere.
    """
    found, caller = estimator.get_params(deep=False), type(estimator).__name__
    for name, constraints in estimator._parameter_constraints.items():
        try:
            validate_parameter_constraints({name: constraints}, {name: found[name]}, caller)
        except InvalidParameterError as error:
            message = " ".join([_with_public_names(str(error)), *_advice(name, found[name], constraints)])
            raise InvalidParameterError(message) from None


def _advice(name: str, value: Any, constraints: list[Any]) -> list[str]:
    """At most one sentence about a wrong value of a parameter."""
    for parameter, is_meant, sentence in IDIOMS:
        if parameter == name and is_meant(value):
            return [sentence]
    options = [option for c in constraints for option in getattr(c, "options", ()) if isinstance(option, str)]
    meant = "auto" if value is None and "auto" in options else suggest(value, options)
    if meant is not None:
        return [f"Use {meant!r}."]
    counts = any(getattr(c, "type", None) is Integral for c in constraints)
    whole = isinstance(value, float) and value.is_integer()
    return [f"Use the whole number {int(value)}."] if counts and whole else []


def _with_public_names(message: str) -> str:
    """A message that names classes by the modules from which users import them."""
    return re.sub(r"(?<=an instance of ')[\w.]+(?=')", lambda found: _public(found[0]), message)


def _public(path: str) -> str:
    """The shortest path by which a class can be imported."""
    module, _, name = path.rpartition(".")
    parts = module.split(".")
    modules = [".".join(parts[: n + 1]) for n in range(len(parts))]
    return next((f"{m}.{name}" for m in modules if hasattr(sys.modules.get(m), name)), path)
