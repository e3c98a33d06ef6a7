"""skae.load: models from files. And the names of the types that skops has to trust in pipelines around them."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import Any

from sklearn.base import BaseEstimator

from . import adversarial, autoencoders, boltzmann, compose, maps, variational
from .base.files import is_known, loaded, table_of

__all__ = ["load", "trusted_types"]

FOLDERS = (adversarial, autoencoders, boltzmann, compose, maps, variational)
CLASSES: list[type] = [
    cls
    for folder in FOLDERS
    for cls in (getattr(folder, name) for name in folder.__all__)
    if isinstance(cls, type) and issubclass(cls, BaseEstimator) and is_known(cls)
]
"""All estimators. A file names no other class, but for those that a user passes."""


def load(path: str | PathLike[str], classes: Iterable[type] = ()) -> Any:
    """Load an estimator that its method ``save`` has written.

    A file of a stranger can be loaded: it holds numbers and text, and nothing in it is run or imported. Its shapes,
    dtypes and numbers are checked before they are used. They are not checked for sense, so that what the model of a
    stranger says may be wrong.

    Parameters
    ----------
    path : str or path-like
    classes : iterable of type, default=()
        Your own subclasses of estimators of this package that the file may name. They are found by their names.

    Returns
    -------
    estimator : object
        As it was saved, on the CPU until it is used on its ``device``. It goes on as the saved one would.

    Raises
    ------
    skae.exceptions.FileError
        A ValueError, if the file is damaged, of another kind, or of a version that cannot be read. The message says
        what to do.
    OSError
        If the file is not there or cannot be read.
    TypeError
        If ``classes`` has something else in it than such subclasses.

    See Also
    --------
    skae.trusted_types : For pipelines, with skops.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import skae
    >>> class Narrow(skae.RBM):
    ...     n_components = 2
    >>> path = Path(tempfile.mkdtemp(), "narrow.skae")
    >>> Narrow(max_iter=3).save(path)
    >>> skae.load(path, classes=[Narrow])
    Narrow(max_iter=3)
    """
    return loaded(path, table_of(CLASSES, classes))


def trusted_types() -> list[str]:
    """Names of the types of this package, for ``skops.io.load(path, trusted=skae.trusted_types())``.

    skops saves pipelines, searches and whatever scikit-learn makes of estimators, without running code when they are
    loaded. It asks which types of other packages it may make. These are the estimators of this package. They check what
    they are made of, as ``skae.load`` does.

    Returns
    -------
    names : list of str

    Examples
    --------
    >>> import skae
    >>> "skae.autoencoders.dense.Autoencoder" in skae.trusted_types()
    True
    """
    return sorted(f"{cls.__module__}.{cls.__qualname__}" for cls in table_of(CLASSES).values())
