"""The documentation of each parameter tells the default that the constructor has."""

import ast
import inspect
import re

import pytest

import skae

ESTIMATORS = [getattr(skae, name) for name in skae.__all__ if isinstance(getattr(skae, name), type)]
ENTRY = re.compile(r"^(\w[\w, ]*) : (?:[^\n\\]|\\\n)*?default=(.+)$", re.MULTILINE)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_defaults_are_those_that_are_documented(estimator):
    parameters = inspect.signature(estimator).parameters
    told = {
        name.strip(): ast.literal_eval(default)
        for names, default in ENTRY.findall(inspect.getdoc(estimator))
        for name in names.split(",")
        if name.strip() in parameters
    }
    assert set(told) == {name for name, p in parameters.items() if p.default is not p.empty}
    assert told == {name: parameters[name].default for name in told}
