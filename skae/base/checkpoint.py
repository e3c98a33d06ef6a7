"""Checkpoints: files from which a fit that was killed goes on, to the bit."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate
from numbers import Real
from pathlib import Path
from typing import Any

from sklearn.frozen import FrozenEstimator

from ..engine.container import DamagedFileError, damaged
from ..engine.group import is_offered
from ..engine.journal import Journal, StrangeStateError
from ..engine.listeners import attending
from ..engine.notices import warn
from ..engine.packing import save
from ..engine.unpacking import load
from ..engine.watch import NonFiniteLossError
from ..exceptions import FileError
from .fingerprint import PARTS, Fingerprint, fingerprint_of
from .streams import is_stream

__all__ = ["Checkpoint", "refuse_checkpoint", "refuse_nested", "resumable"]

LARGEST_SHARE = 0.05
"""Largest share of the time of a fit that is spent with writing, but for its end."""
KIND = "checkpoint"
CONTENT, NOTES = {"fingerprint", "journal"}, {"seeds", "finished", "running"}
SHORT = 1.0
"""Seconds of training that are too few to be kept when a stage ends."""


@dataclass(frozen=True)
class Checkpoint:
    """A file from which a fit goes on if it was killed, and how often it is written.

    It is a value of the parameter ``checkpoint`` of every estimator of this package. A path in its place stands for
    ``Checkpoint(path)``.

    Parameters
    ----------
    path : str or os.PathLike
        A file, which belongs to one fit. Or a folder, which exists or whose name ends with "/": then each fit has a
        file of its own in it, so that the candidates and folds of a search keep apart.
    every_seconds : float or None, default=30.0
        The file is written at the end of an epoch if so many seconds have passed since it was written last. None does
        not count seconds. It is written less often where writing would take more than a twentieth of the time, and at
        the end of a fit in any case.
    every_epochs : int or None, default=None
        It is also written after so many epochs of each stage.

    Raises
    ------
    ValueError
        If a number is not as described.
    TypeError
        If ``path`` is no path.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_digits
    >>> from skae import Autoencoder, Checkpoint
    >>> X = load_digits().data[:300]
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name, "run.skae")
    >>> model = Autoencoder(2, max_iter=5, random_state=0, checkpoint=Checkpoint(path, every_epochs=2)).fit(X)
    >>> path.exists()  # a fit that goes on would start here
    True
    >>> folder.cleanup()
    """

    path: str | os.PathLike[str]
    every_seconds: float | None = 30.0
    every_epochs: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.path, (str, os.PathLike)):
            raise TypeError(f"path={self.path!r} must be a path.")
        if not os.fspath(self.path) or "\0" in os.fspath(self.path):
            raise ValueError(f"path={self.path!r} is no path: name a file or a folder.")
        seconds, epochs = self.every_seconds, self.every_epochs
        if seconds is not None and not (_is_number(seconds) and seconds >= 0):
            raise ValueError(f"every_seconds={seconds!r} must be None or a number of at least 0.")
        if epochs is not None and not (_is_number(epochs) and epochs == int(epochs) and epochs >= 1):
            raise ValueError(f"every_epochs={epochs!r} must be None or a whole number of at least 1.")


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def refuse_checkpoint(estimator: Any, where: str, cure: str) -> None:
    """Raise an error if an estimator has a checkpoint where there can be none.

    Parameters
    ----------
    estimator : TorchEstimator
    where : str
        Why, as the start of a sentence.
    cure : str
        What to do.
    """
    if estimator.checkpoint is not None:
        raise ValueError(f"{where}, so that checkpoint={estimator.checkpoint!r} has nothing to go on from: {cure}.")


@contextmanager
def resumable(estimator: Any, X: Any, y: Any, sample_weight: Any) -> Iterator[None]:
    """Let a fit go on from the checkpoint of an estimator, and keep what it trains in the context.

    Parameters
    ----------
    estimator : TorchEstimator
    X, y, sample_weight : object
        What a user passed.

    Raises
    ------
    ValueError
        If the file is not of this fit, or is damaged, or if there can be no checkpoint.
    """
    asked = estimator.checkpoint
    if asked is None:
        yield
        return
    if is_offered():
        refuse_checkpoint(
            estimator,
            "Several processes share this fit, and their files would not be in step",
            "use checkpoint=None, and save the model after the fit",
        )
    if is_stream(X):
        refuse_checkpoint(estimator, "X gives one chunk at a time", "pass a table, or save the model between chunks")
    if estimator.warm_start and hasattr(estimator, "module_"):
        refuse_checkpoint(
            estimator,
            "warm_start=True goes on from a model that no file of a fit knows",
            "use checkpoint=None, or warm_start=False",
        )
    asked = asked if isinstance(asked, Checkpoint) else Checkpoint(asked)
    journal = _Kept(asked, fingerprint_of(estimator, X, y, sample_weight))
    with attending(journal):
        try:
            yield
        except NonFiniteLossError:
            journal.forget()
            raise
    journal.complete()


def refuse_nested(estimator: Any) -> None:
    """Raise an error if a part of an estimator, which is fitted with the whole, has a checkpoint of its own.

    Parameters
    ----------
    estimator : TorchEstimator
    """
    values = estimator.get_params()
    for name, value in values.items():
        inner, _, last = name.rpartition("__")
        if last != "checkpoint" or not inner or value is None:
            continue
        around = accumulate(inner.split("__"), "{}__{}".format)
        if not any(isinstance(values.get(part), FrozenEstimator) for part in around):  # those are fitted already
            raise ValueError(
                f"{inner} has checkpoint={value!r}, but it is fitted as a part of this {type(estimator).__name__}: set "
                "checkpoint of the whole, whose file holds all parts."
            )


class _Kept(Journal):
    """A journal that is kept in a file.

    Parameters
    ----------
    asked : Checkpoint
    fingerprint : Fingerprint
        Of this fit.
    """

    def __init__(self, asked: Checkpoint, fingerprint: Fingerprint) -> None:
        self.asked, self.fingerprint = asked, fingerprint
        self.path = _file(asked.path, fingerprint)
        found = _read(self.path)
        if found is not None:
            fingerprint.require_same(found["fingerprint"], self.path)
        super().__init__(None if found is None else found["journal"])
        self._size_in_file = None if found is None else self.size
        self._written, self._took, self._is_warned = time.monotonic(), 0.0, False

    # ---------------------------------------------------------------- when

    def is_due(self, training: Any) -> bool:
        """See ``Journal``."""
        seconds, epochs = self.asked.every_seconds, self.asked.every_epochs
        if epochs is not None and (training.outcome is not None or training.epoch % epochs == 0):
            return True
        least = math.inf if seconds is None else seconds
        if training.outcome is not None:
            least = min(least, SHORT)
        return time.monotonic() - self._written >= max(least, self._took / LARGEST_SHARE)

    def complete(self) -> None:
        """Keep the journal of a finished fit, unless it is that of the file."""
        if self.size != self._size_in_file:
            self.keep(self.content())

    def begins(self, training: Any) -> None:
        """See ``Listener``."""
        try:
            super().begins(training)
        except StrangeStateError as error:
            raise _with_cure(damaged(self.path, error)) from None

    def forget(self) -> None:
        """Remove the file of a fit that would fail again."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    # ---------------------------------------------------------------- how

    def keep(self, content: dict[str, Any]) -> None:
        """See ``Journal``."""
        start = time.monotonic()
        try:
            save(self.path, KIND, {"fingerprint": self.fingerprint.entries, "journal": content})
            self._size_in_file = self.size
        except (OSError, FileError) as error:
            if not self._is_warned:
                why = getattr(error, "strerror", None) or error
                warn(
                    f"The checkpoint {str(self.path)!r} cannot be written ({why}): this fit goes "
                    "on, but if it is killed it is lost."
                )
            self._is_warned = True
        self._written = time.monotonic()
        self._took = self._written - start


def _file(path: Any, fingerprint: Fingerprint) -> Path:
    """The file of a fit: a path, or a file in a folder."""
    text = os.fspath(path)
    if not (text.endswith(("/", os.sep)) or _is_folder(Path(text))):
        return Path(text)
    try:
        Path(text).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"The folder of checkpoint={text!r} cannot be made ({error.strerror or error}): pass another path."
        ) from None
    return Path(text, fingerprint.file_name)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long, for example, of which reading tells
        return False


def _read(path: Path) -> Any:
    """What a file holds, or None if there is none."""
    try:
        found = load(path, KIND)[1]
        if not (_has(found, CONTENT) and _has(found["fingerprint"], PARTS) and _has(found["journal"], NOTES)):
            raise damaged(path, "it does not hold what a checkpoint does")
        return found
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise FileError(
                f"checkpoint={str(path)!r} is in a folder that does not exist: make it first, or correct the path."
            ) from None
        return None
    except FileError as error:
        raise _with_cure(error) from None
    except OSError as error:
        raise FileError(
            f"The checkpoint {str(path)!r} cannot be read ({error.strerror or error}): pass another path."
        ) from None


def _has(value: Any, names: set[str]) -> bool:
    return isinstance(value, dict) and value.keys() == names


def _with_cure(error: FileError) -> FileError:
    """The error about a file that was read, with what to do about a checkpoint at its end.

    Nobody is told to delete what may be a file of something else.
    """
    what = str(error).rpartition(": ")[0] or str(error)
    more = ", or delete the file to start anew" if isinstance(error, DamagedFileError) else ""
    return FileError(f"The checkpoint {what}: pass another path{more}.")
