"""Metadata of compare(), such as sample weights: checked, cut into folds, and given to those that take them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import signature
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import get_config
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import has_fit_parameter

from ..base.checks import check_weight

__all__ = ["WEIGHT", "check_params", "of_rows", "require_taken", "taken_by_reducer", "taken_by_scorer"]

WEIGHT = "sample_weight"
"""The metadata that scores of the table know."""


def check_params(params: Any, n_rows: int) -> dict[str, Any]:
    """Metadata by their names. Those with an entry for each row are arrays that can be cut into folds."""
    if params is None:
        return {}
    if not isinstance(params, Mapping):
        kind = type(params).__name__
        raise TypeError(f'params is of type {kind}: pass a dict, such as {{"{WEIGHT}": weights}}, or None.')
    known = {str(name): value for name, value in params.items() if value is not None}
    if WEIGHT in known:
        known[WEIGHT] = check_weight(known[WEIGHT], n_rows)
    return {name: _cuttable(value) if _is_by_row(value, n_rows) else value for name, value in known.items()}


def _is_by_row(value: Any, n_rows: int) -> bool:
    if isinstance(value, str | bytes | Mapping) or not (hasattr(value, "shape") or hasattr(value, "__len__")):
        return False
    return bool((value.shape[:1] if hasattr(value, "shape") else (len(value),)) == (n_rows,))


def _cuttable(value: Any) -> Any:
    return value.tocsr() if sparse.issparse(value) else np.asarray(value)


def of_rows(params: Mapping[str, Any], rows: Any, n_rows: int) -> dict[str, Any]:
    """The metadata of some rows. What does not have an entry for each row stays as it is."""
    return {name: value[rows] if _is_by_row(value, n_rows) else value for name, value in params.items()}


def taken_by_reducer(model: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """What ``fit`` of a reducer is given of the metadata, by the names of its arguments.

    Without metadata routing, these are the arguments that it has, and in a pipeline those that a step has. With it, the
    requests of the reducer decide.
    """
    if not params:
        return {}
    if get_config()["enable_metadata_routing"]:
        return _routed(model, "fit", params)
    return {path: value for name, value in params.items() for path in _paths(model, name)}


def _paths(model: Any, name: str) -> list[str]:
    """The arguments of ``fit`` through which a reducer takes something."""
    if not isinstance(model, Pipeline):
        return [name] if has_fit_parameter(model, name) else []
    steps = {step: inner for step, inner in model.steps if inner is not None and inner != "passthrough"}
    asked, _, rest = name.partition("__")
    wanted = {asked: rest} if rest and asked in steps else dict.fromkeys(steps, name)
    return [f"{step}__{path}" for step, part in wanted.items() for path in _paths(steps[step], part)]


def taken_by_scorer(function: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """What a scorer is given of the metadata: those of which its function has arguments, or which it requests."""
    if not params:
        return {}
    if get_config()["enable_metadata_routing"] and hasattr(function, "set_score_request"):
        return _routed(function, "score", params)
    try:
        known = signature(getattr(function, "_score_func", function)).parameters
    except (TypeError, ValueError):  # some functions of C do not tell their arguments
        return {}
    return {name: value for name, value in params.items() if name in known}


def _routed(consumer: Any, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    mapping = MethodMapping().add(caller="fit", callee=method)
    router = MetadataRouter(owner="compare").add(consumer=consumer, method_mapping=mapping)
    return dict(router.route_params(caller="fit", params=dict(params))["consumer"][method])


def require_taken(params: Mapping[str, Any], reducers: Iterable[Any], scorers: Iterable[Any]) -> None:
    """Refuse metadata that nobody takes, and those of which routing does not know whether they are wanted.

    Weights are always taken, because they enter the scores of the table.
    """
    for name, value in params.items():
        given = [taken_by_reducer(reducer, {name: value}) for reducer in reducers]
        given += [taken_by_scorer(scorer.function, {name: value}) for scorer in scorers]
        if name != WEIGHT and not any(given):
            hint = ": pass it as groups" if name == "groups" else ""
            raise ValueError(f"params has {name!r}, which no reducer and no scorer takes{hint}.")
