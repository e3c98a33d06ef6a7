"""Fingerprint: by what a fit is told from others, which are not to go on from its checkpoint."""

from __future__ import annotations

import json
import os
from typing import Any

import joblib
import numpy as np
import torch
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

from .._version import __version__
from ..engine.data import resolve_device
from ..engine.digests import digest_of_bytes, digest_of_rows
from .arrow import names_of, outside
from .description import NO_EFFECT, described

__all__ = ["Fingerprint", "fingerprint_of"]

LONGEST = 60
"""Letters of the longest text of a parameter that is kept as it is, for messages."""
SUFFIX = ".skae"
DIGEST = ", "
"""What is between the sort of a table and its digest."""
PARTS = {"skae", "torch", "class", "parameters", "X", "y", "sample_weight"}
"""What a fingerprint tells."""


class Fingerprint:
    """What determines a fit.

    Parameters
    ----------
    entries : dict of str to (str or dict of str to str)
        Versions and the class by name, and digests of the data and of each parameter.
    """

    def __init__(self, entries: dict[str, Any]) -> None:
        self.entries = entries

    @property
    def file_name(self) -> str:
        """Name of a file for this fit alone."""
        name = self.entries["class"].rpartition(".")[2]
        return f"{name}-{digest_of_bytes(json.dumps(self.entries, sort_keys=True).encode())[:16]}{SUFFIX}"

    def require_same(self, entries: Any, path: Any) -> None:
        """Raise an error if the file at a path is of another fit.

        Parameters
        ----------
        entries : dict
            The fingerprint in the file.
        path : path
            Of the file, for the message.
        """
        own = self.entries
        for name in ("skae", "torch"):
            if entries[name] != own[name]:
                raise ValueError(
                    f"The checkpoint {str(path)!r} was written with {name} {entries[name]}, and a fit cannot go on "
                    f"with {name} {own[name]}: use that version, pass another path, or delete the file to start anew."
                )
        if entries["class"] != own["class"]:
            other = f"a fit of {entries['class'].rpartition('.')[2]}"
        else:
            other = "a fit with another " + " and another ".join(self._differing(entries))
        if entries != own:
            raise ValueError(
                f"The checkpoint {str(path)!r} is of {other}: pass another path, a folder such as 'runs/' if there are "
                "several fits, or delete the file to start anew."
            )

    def _differing(self, entries: dict[str, Any]) -> list[str]:
        """What differs from another fingerprint of the same class, and how, if that can be told shortly."""
        both = entries["parameters"], self.entries["parameters"]
        found = []
        for name in sorted({*both[0], *both[1]}):
            before, now = (values.get(name, "none") for values in both)
            if before != now:
                found.append(f"{name} ({before} there, {now} here)" if len(before) + len(now) < LONGEST else name)
        for name in ("X", "y", "sample_weight"):
            if entries[name] != self.entries[name]:
                before, now = (str(values[name]).rpartition(DIGEST)[0] for values in (entries, self.entries))
                found.append(f"{name} ({before} there, {now} here)" if before != now else name)
        return found


def fingerprint_of(estimator: Any, X: Any, y: Any, sample_weight: Any) -> Fingerprint:
    """The fingerprint of a fit of an estimator to what a user passed.

    Raises
    ------
    ValueError
        If two different values of an argument could not be told apart.
    """
    cls = type(estimator)
    values = {name: value for name, value in estimator.get_params(deep=False).items() if name not in NO_EFFECT}
    values["device"] = str(resolve_device(estimator.device, estimator.dtype))
    return Fingerprint(
        {
            "skae": __version__,
            "torch": str(torch.__version__),
            "class": f"{cls.__module__}.{cls.__qualname__}",
            "parameters": {name: _told(name, value) for name, value in values.items()},
            "X": _digest("X", X),
            "y": _digest("y", y),
            "sample_weight": _digest("sample_weight", sample_weight),
        }
    )


def _told(name: str, value: Any) -> str:
    """A parameter as text. What is long is told by its digest."""
    text = ":".join([described(value), *(_digest_of_object(name, part) for part in _frozen_in(value))])
    return text if len(text) <= LONGEST else digest_of_bytes(text.encode())


def _frozen_in(value: Any) -> list[Any]:
    """The fitted estimators in a parameter of which a fit takes the weights."""
    if isinstance(value, FrozenEstimator):
        return [value]
    parts = (
        value
        if isinstance(value, (list, tuple))
        else [*vars(value).values()]
        if isinstance(value, BaseEstimator)
        else []
    )
    return [found for part in parts for found in _frozen_in(part)]


def _digest(name: str, value: Any) -> str:
    """What sort of thing a user passed, for messages, and its digest."""
    if isinstance(value, torch.Tensor) and value.layout == torch.strided:
        value = value.detach().cpu()
        value = (value if value.dtype != torch.bfloat16 else value.float()).numpy()
    is_path = isinstance(value, (str, os.PathLike))
    if name == "X" and (is_path or not isinstance(value, np.ndarray)) and (table := outside(value)) is not None:
        return _sort_of(table) + DIGEST + digest_of_rows(table, names_of(table) or ())
    if isinstance(value, np.ndarray) and not value.dtype.hasobject and not isinstance(value, np.ma.MaskedArray):
        return _sort_of(value) + DIGEST + digest_of_rows(value)
    if sparse.issparse(value):  # a pickle would also hold whether somebody has asked if its indices are sorted
        value = value.tocsr()
        parts = map(digest_of_rows, (value.data, value.indices, value.indptr))
        return f"sparse {_sort_of(value)}" + DIGEST + digest_of_bytes("".join(parts).encode())
    return (str(value) if value is None else type(value).__name__) + DIGEST + _digest_of_object(name, value)


def _sort_of(table: Any) -> str:
    """Dtype and shape of a table of numbers, which are the same in a memory map and in an array."""
    return f"{table.dtype} of shape {tuple(table.shape)}"


def _digest_of_object(name: str, value: Any) -> str:
    try:
        return str(joblib.hash(value))
    except Exception as error:
        raise ValueError(
            f"checkpoint needs to tell fits apart, but {name}, of type {type(value).__name__}, cannot be pickled "
            f"({type(error).__name__}): use checkpoint=None, or functions of a module."
        ) from error
