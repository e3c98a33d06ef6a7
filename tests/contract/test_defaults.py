"""The documentation of each parameter tells the default that the constructor has, and help is for people."""

import ast
import inspect
import pydoc
import re
from typing import Literal, get_type_hints

import numpy as np
import pytest

import skae.inspection
import skae.metrics
import skae.tokens
import skae.trees
from skae.base import PositiveInt

ESTIMATORS = [getattr(skae, name) for name in skae.__all__ if hasattr(getattr(skae, name), "get_params")]
PUBLIC = [
    getattr(module, name)
    for module in (skae, skae.inspection, skae.metrics, skae.tokens, skae.trees)
    for name in module.__all__
    if callable(getattr(module, name))
]
ENTRY = re.compile(r"^(\w[\w, ]*) : (?:[^\n\\]|\\\n)*?default=(.+)$", re.MULTILINE)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_defaults_are_those_that_are_documented(estimator):
    parameters = inspect.signature(estimator).parameters
    told = {
        name.strip(): np.nan if default == "np.nan" else ast.literal_eval(default)
        for names, default in ENTRY.findall(inspect.getdoc(estimator))
        for name in names.split(",")
        if name.strip() in parameters
    }
    assert set(told) == {name for name, p in parameters.items() if p.default is not p.empty}
    assert told == {name: parameters[name].default for name in told}


@pytest.mark.parametrize("public", PUBLIC, ids=lambda public: public.__name__)
def test_help_shows_no_machinery(public):
    """No addresses of objects, no constraints in place of types, and a signature of names and defaults."""
    text = pydoc.render_doc(public, renderer=pydoc.plaintext)
    assert not re.search(r"\b0x[0-9a-f]{6}|Annotated\[|object at", text)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_the_signature_has_names_and_defaults_alone(estimator):
    told = str(inspect.signature(estimator))
    parameters = inspect.signature(estimator).parameters
    assert told == str(inspect.Signature([p.replace(annotation=p.empty) for p in parameters.values()]))
    assert list(inspect.signature(estimator.__init__).parameters)[1:] == list(estimator._parameter_constraints)
    hints = get_type_hints(estimator, include_extras=True)  # for type checkers and variants
    assert "max_iter" not in parameters or hints["max_iter"] == PositiveInt | Literal["auto"]
