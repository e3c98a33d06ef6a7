"""Finished fits of compare(): kept in a folder, so that a comparison that was killed goes on from them."""

from __future__ import annotations

import json
import math
import platform
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import sklearn.exceptions
from scipy import sparse

from .. import exceptions
from ..base.description import NO_EFFECT, described, is_ours
from ..base.encoding import Encoding
from ..base.typed import Typed
from ..engine.digests import digest_of_bytes, digest_of_rows
from ..engine.notices import warn
from ..engine.replaced import replaced
from ..exceptions import FileError
from ..loading import load

__all__ = ["Finished", "Nothing", "description", "versions_of"]

FORMAT = 1
"""Number of the layout of these files."""
SETTINGS = "comparison.json"
"""What the fits of a folder are fits of."""
NEUTRAL = {*NO_EFFECT, "n_jobs"}
"""Parameters of a reducer that do not change what is learnt."""
COMMON = ("skae", "numpy", "scipy", "sklearn", "torch")
"""Packages on whose versions all fits depend."""
CLASS, VERSION = "class", "version of "
"""What the description of a reducer says besides its parameters."""
LONGEST = 60
"""Longer values of parameters are not shown in messages."""


class Nothing:
    """Keeps no fits. It is what a comparison without a folder uses."""

    def find(self, name: str, k: int, fold: int) -> list[dict[str, Any]] | None:
        """Find the rows of a finished fit. There are none."""

    @contextmanager
    def keeping(self, name: str, k: int, fold: int) -> Iterator[list[dict[str, Any]]]:
        """A list for the rows of a fit. They are kept when the context ends."""
        yield []

    def keep_model(self, name: str, k: int, model: Any) -> None:
        """Keep the model of the first fold, if it can be saved."""

    def find_model(self, name: str, k: int, model: Any) -> Any:
        """Find the model of the first fold, given the unfitted one. There is none."""


class Finished(Nothing):
    """A folder of finished fits.

    Parameters
    ----------
    folder : Path
        It is made if it is not there.
    settings : dict
        What the fits are fits of, as JSON can hold it: texts by their names, and those of each reducer under
        "reducers". See ``description``.

    Raises
    ------
    ValueError
        If the folder holds fits of something else, or if it cannot be written to.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder, self.has_warned = folder, False
        self.settings = settings = {"layout": str(FORMAT), **settings}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=folder):
                pass
        except (OSError, ValueError) as error:
            raise ValueError(
                f"Fits cannot be kept in resume={str(folder)!r} ({getattr(error, 'strerror', None) or error}): pass a "
                "folder that can be written to."
            ) from None
        before = _read(folder / SETTINGS)
        if before is not None:
            self._require_same(before, settings)
            settings = {**settings, "reducers": {**before["reducers"], **settings["reducers"]}}
        if settings != before:
            self._write(folder / SETTINGS, settings)

    def _require_same(self, before: Any, now: dict[str, Any]) -> None:
        """Refuse fits of something else. Reducers that only one of both runs has do not matter."""
        if not isinstance(before, dict) or not isinstance(before.get("reducers"), dict):
            self._refuse("of what nobody can read", "remove it")
        for name in {**now, **before}:
            if name != "reducers" and before.get(name) != now.get(name):
                self._refuse(*_of_another(name, before.get(name), now.get(name)))
        for name, reducer in now["reducers"].items():
            old = before["reducers"].get(name, reducer)
            changed = [p for p in {**reducer, **old} if old.get(p) != reducer.get(p)]
            if changed:
                # the class tells most, and steps=[...] less than what changed in them
                p = min(changed, key=lambda p: (p != CLASS, not p.startswith(VERSION), len(str(old.get(p)))))
                self._refuse(*_of_another_reducer(name, p, old.get(p), reducer.get(p)))

    def _refuse(self, what: str, cure: str) -> None:
        raise ValueError(f"resume={str(self.folder)!r} holds fits {what}: {cure}, or pass another folder.")

    def _path(self, name: str, k: int, fold: int) -> Path:
        """The file of a fit. Its name tells what the fit is of, in case the settings in the folder are lost."""
        plain = re.sub(r"\W+", "_", name, flags=re.ASCII)[:40]
        fit_of = {**self.settings, "reducers": self.settings["reducers"].get(name)}
        digest = digest_of_bytes(json.dumps([name, fit_of], sort_keys=True).encode())[:16]
        return self.folder / f"{plain}-{digest}-{k}-{fold}.json"

    def find(self, name: str, k: int, fold: int) -> list[dict[str, Any]] | None:
        """Find the rows of a finished fit, and issue its warnings again.

        Returns
        -------
        rows : list of dict, or None
            None if the fit was not finished, or if its file cannot be read.
        """
        content = _read(self._path(name, k, fold))
        if not _is_whole(content, name, k, fold):
            return None
        for category, message in content["warnings"]:
            warn(message, _category(category))
        rows: list[dict[str, Any]] = content["rows"]
        return rows

    @contextmanager
    def keeping(self, name: str, k: int, fold: int) -> Iterator[list[dict[str, Any]]]:
        """A list for the rows of a fit. They are kept with the fit's warnings when the context ends without an error.

        If they cannot be written, a warning says so, once.
        """
        rows: list[dict[str, Any]] = []
        told: list[Any] = []
        try:
            with warnings.catch_warnings(record=True) as told:
                yield rows
        finally:
            for one in told:  # again, where others hear them
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
        said = [[one.category.__name__, str(one.message)] for one in told]
        content = {"reducer": name, "n_components": k, "fold": fold, "rows": rows, "warnings": said}
        self._write(self._path(name, k, fold), content)

    def keep_model(self, name: str, k: int, model: Any) -> None:
        """Keep the model of the first fold, if it is of this package. Others are fitted again where they are needed."""
        if isinstance(model, Encoding | Typed):
            with self._writing(), suppress(FileError):  # a function among its parameters, for example
                model.save(self._path(name, k, 0).with_suffix(".skae"))

    def find_model(self, name: str, k: int, model: Any) -> Any:
        """Find the model of the first fold, given the unfitted one. None if it was not kept, or cannot be read."""
        try:
            found = load(self._path(name, k, 0).with_suffix(".skae"), [] if is_ours(type(model)) else [type(model)])
        except (OSError, ValueError, TypeError):
            return None
        return found if described(found, NEUTRAL) == described(model, NEUTRAL) else None

    def _write(self, path: Path, content: dict[str, Any]) -> None:
        with self._writing(), replaced(path) as part:
            part.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Go on if nothing can be written, and tell so once."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)  # somebody may have removed it
            yield
        except OSError as error:
            if not self.has_warned:
                warn(
                    f"Finished fits cannot be kept in {str(self.folder)!r} ({error.strerror or error}): the comparison "
                    "goes on without them. Make room, and call again with the same folder if it is killed."
                )
            self.has_warned = True


def _read(path: Path) -> Any:
    """What a file of JSON holds. None if it is not there or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _is_whole(content: Any, name: str, k: int, fold: int) -> bool:
    """Whether a file holds the rows of this very fit, with numbers as ``compare`` can use them."""
    if not isinstance(content, dict) or (content.get("reducer"), content.get("n_components")) != (name, k):
        return False
    rows, said = content.get("rows"), content.get("warnings")
    return (
        content.get("fold") == fold
        and isinstance(rows, list)
        and all(isinstance(row, dict) and all(map(_is_value, row.values())) for row in rows)
        and isinstance(said, list)
        and all(isinstance(s, list) and len(s) == 2 and all(isinstance(part, str) for part in s) for s in said)
    )


def _is_value(value: Any) -> bool:
    return value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _category(name: str) -> type[Warning]:
    """A warning of this package or of scikit-learn by its name. Others are plain warnings."""
    for module in (exceptions, sklearn.exceptions):
        found = getattr(module, name, None)
        if isinstance(found, type) and issubclass(found, Warning):
            return found
    return UserWarning


# ------------------------------------------------------------------ what fits are fits of


def description(
    X: Any,
    y: np.ndarray | None,
    splits: list[tuple[Any, Any]],
    reducers: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Describe what a comparison is of, as short texts.

    Parameters
    ----------
    X : {ndarray, sparse matrix} of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,) or (n_samples, n_targets), or None
    splits : list of pairs of ndarray
    reducers : dict of str to reducer
    settings : dict
        Further parameters on which the result depends, by their names.

    Returns
    -------
    description : dict
        Texts by their names. Those of each reducer's parameters are under "reducers".
    """
    return {
        **{name: _version(name) for name in COMMON},
        "X": _array(X),
        "y": _array(y),
        **{name: described(value) for name, value in settings.items()},
        "folds": ", ".join(_array(np.asarray(rows)) for split in splits for rows in split),
        "reducers": {name: _parameters(reducer) for name, reducer in reducers.items()},
    }


def _packages(reducer: Any) -> list[str]:
    """Names of further packages that a reducer and the estimators in it are from."""
    estimators = [reducer, *(value for value in reducer.get_params().values() if hasattr(value, "get_params"))]
    return sorted({type(estimator).__module__.partition(".")[0] for estimator in estimators} - {*COMMON})


def _version(package: str) -> str:
    return str(getattr(sys.modules.get(package), "__version__", None))


def _parameters(reducer: Any) -> dict[str, str]:
    """The class of a reducer, its packages and its parameters as texts, with those of the estimators in it."""
    told = {p: value for p, value in reducer.get_params().items() if p.rpartition("__")[2] not in NEUTRAL}
    versions = {VERSION + package: _version(package) for package in _packages(reducer)}
    return {CLASS: described(type(reducer)), **versions, **{p: _told(value) for p, value in sorted(told.items())}}


def _told(value: Any) -> str:
    """A parameter as text. That of an estimator names its class alone, because its parameters are told too."""
    return described(type(value) if hasattr(value, "get_params") else value, ignore=NEUTRAL)


def versions_of(reducers: Mapping[str, Any]) -> str:
    """Python, and the packages that the fits depend on, with their versions."""
    packages = dict.fromkeys([*COMMON, *(package for reducer in reducers.values() for package in _packages(reducer))])
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {_version(name)}" for name in packages)])


def _array(value: Any) -> str:
    if sparse.issparse(value):
        parts = ", ".join(digest_of_rows(part)[:32] for part in (value.data, value.indices, value.indptr))
        return f"{value.dtype} sparse matrix of shape {value.shape}, {parts}"
    return "None" if value is None else f"{value.dtype} array of shape {value.shape}, {digest_of_rows(value)[:32]}"


# ------------------------------------------------------------------ what differs


def _of_another(name: str, before: Any, now: Any) -> tuple[str, str]:
    """What is different, and what to do about it."""
    if name == "layout":
        return "that another version of skae kept in another layout", "use that version"
    if name in ("X", "y"):
        return f"to another {name} than this one", f"pass that {name}"
    if name == "folds":
        return "to other folds than these", "pass the same cv"
    if name == "scoring":
        return "with other scorers than these", "pass the same scoring"
    if name in ("standardize", "random_state", "params"):
        return f"with {name}={_shown(before)} instead of {_shown(now)}", f"pass the same {name}"
    return f"by {name} {before} instead of {now}", f"use that version of {name}"


def _of_another_reducer(name: str, parameter: str, before: str | None, now: str | None) -> tuple[str, str]:
    if parameter == CLASS:
        classes = [str(path).rpartition(".")[2] for path in (before, now)]
        return f"of {name!r} as {classes[0]} instead of {classes[1]}", "give the reducer another name"
    if parameter.startswith(VERSION):
        package = parameter.removeprefix(VERSION)
        return f"of {name!r} by {package} {before} instead of {now}", f"use that version of {package}"
    return (
        f"of {name!r} with {parameter}={_shown(before)} instead of {_shown(now)}",
        "restore it, give the reducer another name",
    )


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
