"""What an estimator takes and needs, as it says itself, and what a pipeline takes and needs, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.base import is_classifier, is_regressor
from sklearn.feature_selection import SelectorMixin
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

__all__ = ["learns_from_target", "restores", "selects_columns", "steps_of", "takes_gaps", "takes_sparse"]


def steps_of(estimator: Any) -> list[Any]:
    """The estimators in a pipeline, in their order, or the estimator itself."""
    if not isinstance(estimator, Pipeline):
        return [estimator]
    steps = [step for _, step in estimator.steps if step is not None and step != "passthrough"]
    return [inner for step in steps for inner in steps_of(step)]


def takes_gaps(estimator: Any) -> bool:
    """Whether an estimator takes NaN where an entry is missing."""
    return _takes(estimator, "allow_nan", lambda step: _encodes(step) or _fills(step))


def takes_sparse(estimator: Any) -> bool:
    """Whether an estimator takes a sparse X."""
    return _takes(estimator, "sparse", lambda step: _encodes(step) and getattr(step, "dense_output", True))


def restores(estimator: Any) -> bool:
    """Whether an estimator can decode its codes. A pipeline with an imputer has the method, which does not work."""
    return hasattr(estimator, "inverse_transform") and not (
        isinstance(estimator, Pipeline) and any(map(_fills, steps_of(estimator)))
    )


def _takes(estimator: Any, tag: str, removes: Callable[[Any], bool]) -> bool:
    """Whether all steps take something, up to the one that removes it. A pipeline's own tags do not tell that."""
    for step in steps_of(estimator):
        if not (hasattr(step, "__sklearn_tags__") and getattr(get_tags(step).input_tags, tag)):
            return False
        if removes(step):
            return True
    return True


def _encodes(step: Any) -> bool:
    """Whether a step makes codes, which are arrays without gaps."""
    return "n_components" in step.get_params(deep=False)


def _fills(step: Any) -> bool:
    """Whether a step is an imputer. There is no tag for that."""
    return any(cls.__name__.endswith("Imputer") for cls in type(step).__mro__)


def learns_from_target(estimator: Any) -> bool:
    """Whether an estimator, or a step of it, needs y. PLSRegression says that it does not."""
    return any(map(_needs_target, steps_of(estimator)))


def selects_columns(estimator: Any) -> bool:
    """Whether an estimator, or a step of it, selects columns. Most do so by y, and some of these do not say it."""
    return any(isinstance(step, SelectorMixin) for step in steps_of(estimator))


def _needs_target(step: Any) -> bool:
    if not hasattr(step, "__sklearn_tags__"):
        return False
    return bool(get_tags(step).target_tags.required or is_classifier(step) or is_regressor(step))
