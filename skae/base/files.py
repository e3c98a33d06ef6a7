"""Files of models: ``save`` of every estimator, and what ``skae.load`` does with a table of classes."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import sklearn
import torch
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

from .._version import __version__
from ..engine.container import FilePath, damaged, read, write
from ..engine.packing import pack
from ..engine.unpacking import DamagedError, unpack
from ..exceptions import FileError
from . import damage
from .description import is_ours
from .entries import ENTRIES, told_of
from .midway import CALLBACKS

__all__ = ["is_known", "loaded", "save", "table_of"]

OURS = __name__.partition(".")[0] + "."
"""Beginning of the names of the modules of this package, and of its classes in a file."""
NOT_SAVED = ("callback", "checkpoint")
"""Parameters that are about a running fit and its machine, and no part of the model. They are None in a file, and those
of scikit-learn's callbacks are not in it at all."""
REQUESTS = "_metadata_request"
"""Where scikit-learn keeps which arguments are routed to an estimator."""


# ------------------------------------------------------------------ saving


def save(self: Any, path: FilePath) -> None:
    """Write the estimator to a file, which ``skae.load`` reads.

    The file has the parameters, estimators inside, all that was learnt, the random numbers and the optimizer, so that
    the loaded estimator goes on as this one would. It holds numbers and text, and no code: unlike a pickle, a file of a
    stranger can be loaded. It is a safetensors file. An estimator that is not fitted can be saved too.

    Parameters
    ----------
    path : str or path-like
        Where to write, such as "model.skae". A file that is there is replaced. After an error or a crash it is as it
        was before.

    Raises
    ------
    skae.exceptions.FileError
        A ValueError, if a file cannot hold a part of the estimator, such as a function or an estimator of another
        package, or if the path is a folder, or if ``skae.load`` would refuse the file, because weights are NaN, say.
        ``callback`` and ``checkpoint`` are left out, and nothing is said.
    ValueError
        If a parameter is not as described.
    OSError
        If the file cannot be written.

    See Also
    --------
    skae.load : Reads the file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import skae
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> model = skae.Autoencoder(2, max_iter=5, random_state=0).fit(X)
    >>> path = Path(tempfile.mkdtemp(), "model.skae")
    >>> model.save(path)
    >>> bool((skae.load(path).transform(X) == model.transform(X)).all())
    True
    """
    classes: dict[str, type] = {}

    def tell(value: Any) -> tuple[str, Any] | None:
        classes[_name_of(type(value))] = type(value)
        return _tell(value)

    told, arrays = pack(self, tell)
    _require_loadable(self, told, arrays, classes)
    write(path, "model", {"versions": _versions(), "model": told}, arrays)


def _require_loadable(estimator: Any, told: Any, arrays: Mapping[str, np.ndarray], classes: Mapping[str, type]) -> None:
    """Load what is about to be written, so that no file is written which cannot be loaded."""
    try:
        _unpacked(told, arrays, classes)
    except (DamagedError, ValueError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, damage.DamageError) else error
        raise FileError(
            f"This {type(estimator).__name__} cannot be saved, because skae.load would refuse the file: {cause}: "
            "correct it, or fit again."
        ) from error


def _versions() -> dict[str, str]:
    """Versions of what the numbers depend on, for readers of the file."""
    modules = {"numpy": np, "scipy": scipy, "scikit-learn": sklearn, "torch": torch}
    return {"python": platform.python_version(), **{name: str(m.__version__) for name, m in modules.items()}}


def _tell(value: Any) -> tuple[str, Any] | None:
    """Tell what is neither numbers nor text: estimators, and what their parameters may be."""
    if isinstance(value, FrozenEstimator):
        return "Frozen", value.estimator
    if isinstance(value, BaseEstimator):
        return "Estimator", _described(value)
    if isinstance(value, os.PathLike):
        return "Path", os.fspath(value)
    return told_of(value)


def _described(estimator: Any) -> dict[str, Any]:
    """The class of an estimator by its name, and its attributes. Its parameters must be what they may be."""
    cls = type(estimator)
    if not is_known(cls):
        raise FileError(
            f"A file of skae cannot hold a {cls.__name__}, which is of another package: save the whole with "
            "skops.io.dump, and load it with skops.io.load(path, trusted=skae.trusted_types())."
        )
    estimator._validate_params()
    state = dict(estimator.__getstate__())
    state.update({name: None for name in NOT_SAVED if name in state})
    state.pop(CALLBACKS, None)
    for name, value in state.items():
        if callable(value) and name in cls._parameter_constraints and not isinstance(value, BaseEstimator):
            raise FileError(
                f"A file of skae cannot hold {name}={value!r} of this {cls.__name__}, because it is code: set "
                f"{name} to another value first."
            )
    if REQUESTS in state:
        routed = vars(state[REQUESTS]).items()
        state[REQUESTS] = {method: dict(of.requests) for method, of in routed if getattr(of, "requests", None)}
    return {"class": _name_of(cls), "_skae_version": __version__, **state}


def is_known(cls: type) -> bool:
    """Whether estimators of this class describe themselves for files."""
    return hasattr(cls, "_saved")


def _name_of(cls: type) -> str:
    """The name of a class in a file. Those of this package are told from a user's own ones of the same name."""
    return (OURS if is_ours(cls) else "") + cls.__name__


# ------------------------------------------------------------------ loading


def table_of(ours: list[type], classes: Any = ()) -> dict[str, type]:
    """The classes that a file may name: ours, those inside of them, and a user's own.

    Raises
    ------
    TypeError
        If a class of the user is none of an estimator of this package.
    """
    table = {_name_of(cls): cls for whole in ours for cls in (whole, *getattr(whole, "_inside", ()))}
    for cls in [classes] if isinstance(classes, type) else classes:
        if not isinstance(cls, type) or not is_known(cls):
            raise TypeError(f"classes has {cls!r} in it, which is no subclass of an estimator of skae.")
        table[_name_of(cls)] = cls
    return table


def loaded(path: FilePath, table: Mapping[str, type]) -> Any:
    """Read the estimator in a file. See ``skae.load``."""
    held = read(path, "model")
    if not (isinstance(held.content, dict) and held.content.keys() == {"versions", "model"}):
        raise damaged(path, "it holds no model")
    try:
        model = _unpacked(held.content["model"], held.arrays, table)
    except DamagedError as error:
        raise damaged(path, error) from None
    except FileError as error:
        raise FileError(f"{os.fspath(path)!r} {error}") from None
    except ValueError as error:
        raise FileError(f"{os.fspath(path)!r} cannot be loaded. {error}") from error
    if not isinstance(model, BaseEstimator) or isinstance(model, FrozenEstimator):
        raise damaged(path, "it holds no model")
    return model


def _unpacked(told: Any, arrays: Mapping[str, np.ndarray], table: Mapping[str, type]) -> Any:
    """What was packed, with the classes in a table."""
    makers: dict[str, Callable[[Any], Any]] = {
        "Estimator": lambda told: _made(told, table),
        "Frozen": _frozen,
        "Path": _path,
        **ENTRIES,
    }
    return unpack(told, arrays, makers)


def _made(told: Any, table: Mapping[str, type]) -> Any:
    """An estimator of what ``_described`` has told, with all that ``damage`` checks."""
    if not isinstance(told, dict) or not isinstance(told.get("class"), str):
        raise DamagedError("an estimator does not say what it is")
    name = told.pop("class")
    cls: Any = table.get(name)
    if cls is None:
        short = name.removeprefix(OURS)
        if not short.isidentifier() or len(short) > 80:
            raise DamagedError("an estimator does not say what it is")
        cure = "a newer version of skae may have it" if name != short else f"pass it, as classes=[{short}]"
        raise FileError(f"holds an estimator of the class {short}, which is none of this version of skae: {cure}.")
    requests = told.pop(REQUESTS, None)
    estimator = object.__new__(cls)
    estimator.__setstate__(told)
    _require_parameters(estimator)
    if requests is not None:
        _route(estimator, requests)
    return estimator


def _require_parameters(estimator: Any) -> None:
    try:
        estimator._validate_params()
    except Exception as error:
        if isinstance(error, Warning):
            raise
        raise DamagedError(f"a parameter of the {type(estimator).__name__} is none ({error})") from None


def _route(estimator: Any, requests: Any) -> None:
    """Set which arguments are routed to an estimator."""
    routing = estimator.get_metadata_routing()
    try:
        for method, of_method in requests.items():
            own = getattr(routing, method).requests
            if not own.keys() >= of_method.keys():
                raise KeyError
            for name, alias in of_method.items():
                getattr(routing, method).add_request(param=name, alias=alias)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise DamagedError("it does not say which arguments are routed to which method") from None
    setattr(estimator, REQUESTS, routing)


def _frozen(told: Any) -> FrozenEstimator:
    if not isinstance(told, BaseEstimator):
        raise DamagedError("there is a value in the place of an estimator")
    return FrozenEstimator(told)


def _path(told: Any) -> Path:
    if not isinstance(told, str) or "\0" in told:
        raise DamagedError("a path is none")
    return Path(told)
