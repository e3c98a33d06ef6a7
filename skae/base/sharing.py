"""Fits of several processes: they begin alike, divide the rows, and end with the same model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from .._version import __version__
from ..engine.data import Source
from ..engine.group import ALONE, Group, current, is_offered, together
from .description import described, is_ours

__all__ = ["fitting_together", "shared"]

OF_A_PROCESS = {"device", "verbose", "callback", "random_state", "n_jobs"}
"""Parameters that may differ between processes. The seed is that of the first one."""


class ProcessesDifferError(ValueError):
    """The processes of a group were given what does not go together. All of them raise this error."""


@contextmanager
def fitting_together(estimator: Any) -> Iterator[None]:
    """Fit an estimator, in all processes if they share the fits.

    Raises
    ------
    ValueError
        If the estimator cannot be fitted by several processes, or if they have different parameters.
    """
    if not is_offered() or current() is not ALONE:
        yield
        return
    with together() as group:
        _require_same(group, {"class": type(estimator).__name__})
        _require_shareable(estimator)
        _require_same(group, {"skae": __version__, "torch": torch.__version__, **_parameters(estimator)})
        _require_same(group, {"fitted weights": _digest(estimator)}, "load the same file in all processes")
        yield
        _require_same(group, {"fitted weights": _digest(estimator)}, _blame(estimator))


def _blame(estimator: Any) -> str:
    """What to do about weights that have come apart."""
    if is_ours(type(estimator)):
        return "this is an error of skae, please report it"
    name = type(estimator).__name__
    return (
        f"fit it in one process, and let _needs_all_rows of {name} say why its steps depend on more than sums over rows"
    )


def _require_shareable(estimator: Any) -> None:
    """Raise an error for an estimator that several processes cannot fit."""
    reason = "it fits more than a module"
    if hasattr(estimator, "_needs_all_rows"):
        reason = estimator._needs_all_rows()
    if reason is not None:
        raise ValueError(
            f"{type(estimator).__name__} cannot be fitted by several processes, because {reason}: fit it outside "
            "data_parallel, in one process."
        )


def shared(data: Source, estimator: Any) -> Source:
    """The rows of all processes, given those of this one."""
    group = current()
    if group.size == 1:
        return data
    _require_shareable(estimator)  # it may be a layer of another one
    X, y = getattr(data, "X", None), getattr(data, "y", None)
    names = getattr(estimator, "feature_names_in_", None)
    _require_same(
        group,
        {
            "kind of X": type(data).__name__,
            "number of columns of X": data.width,
            "dtype of X": None if X is None else str(X.dtype),
            "names of the columns of X": None if names is None else names.tolist(),
            "sample_weight": "none" if data.weight is None else "weights",
            "number of columns of y": None if y is None else y.shape[1],
        },
        "pass shards of one data set",
    )
    data.has_gaps = group.any(bool(data.has_gaps))
    whole = data.shared(group)
    if whole.weight is not None and not whole.weight.any():
        raise ValueError("All sample weights are zero: at least one row must count.")
    return whole


def _parameters(estimator: Any) -> dict[str, str]:
    found = estimator.get_params(deep=False)
    return {name: described(value, OF_A_PROCESS) for name, value in found.items() if name not in OF_A_PROCESS}


def _require_same(group: Group, things: Mapping[str, Any], cure: str = "pass the same in all processes") -> None:
    """Raise an error, in all processes, for the first thing that differs from that of the first process."""
    first, *others = group.gather(dict(things))
    for rank, theirs in enumerate(others, 1):
        for name, value in first.items():
            if theirs.get(name) != value:
                raise ProcessesDifferError(
                    f"rank {rank} has {_short(name, theirs.get(name))}, but rank 0 has {_short(name, value)}: {cure}."
                )


def _short(name: str, value: Any) -> str:
    text = str(value)
    return f"{name} {text if len(text) <= 100 else text[:97] + '...'}"


def _digest(estimator: Any) -> str:
    """A checksum of all that was learnt, to the last bit."""
    if not hasattr(estimator, "module_"):
        return "none"
    found = hashlib.sha256()
    moments = sorted(estimator._optimizer.moments.items())
    for tensor in (estimator._flat.theta, *estimator._flat.buffers, *(moment for _, moment in moments)):
        found.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    found.update(estimator._rng.get_state().numpy().tobytes())
    found.update(repr(estimator.history_).encode())
    return found.hexdigest()[:16]
