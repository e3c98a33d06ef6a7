"""Maps of other packages: their short names, and how they are prepared for a comparison."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..base.abilities import steps_of

__all__ = ["PEERS", "is_map", "lacking", "peer", "prepare", "quiet"]

PEERS = {
    "umap": ("umap", "UMAP", "umap-learn"),
    "tsne": ("sklearn.manifold", "TSNE", "scikit-learn"),
    "pacmap": ("pacmap", "PaCMAP", "pacmap"),
}
"""Module, class and package of each short name."""
MAPS = {"NeighborAutoencoder", *(name for _, name, _ in PEERS.values())}
"""Names of the classes that are made for two components."""


def peer(name: str) -> Any:
    """Import the class with a short name.

    Raises
    ------
    ValueError
        If its package is not installed: the message says how to install it.
    """
    module, attribute, package = PEERS[name]
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:  # a folder of that name, such as one with data, has no such class
        raise ValueError(
            f"--reducers {name} needs the package {package}: python -m pip install {package} ({error})."
        ) from None


def is_map(reducer: Any) -> bool:
    """Whether a reducer, or a step of a pipeline, is made for two components."""
    return any(cls.__name__ in MAPS for step in steps_of(reducer) for cls in type(step).__mro__)


def lacking(reducer: Any) -> str | None:
    """The first method that a reducer, or a class, lacks. Without ``transform``, ``fit_transform`` makes a map."""
    encode = "fit_transform" if hasattr(reducer, "fit_transform") else "transform"
    return next((m for m in ("fit", encode, "get_params", "set_params") if not hasattr(reducer, m)), None)


def prepare(reducer: Any, random_state: int | None) -> None:
    """Set the seed where there is none, and let PaCMAP keep its search tree, with which it can place new rows."""
    for name, value in reducer.get_params().items():
        last = name.rpartition("__")[2]
        if last == "random_state" and value is None:
            reducer.set_params(**{name: random_state})
        elif last == "save_tree":
            reducer.set_params(**{name: True})


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out what UMAP and PaCMAP say each time that they get a seed."""
    logger = logging.getLogger("pacmap.pacmap")
    logger.addFilter(_is_not_of_seeds)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "n_jobs value .* overridden to 1 by setting random_state", UserWarning)
            yield
    finally:
        logger.removeFilter(_is_not_of_seeds)


def _is_not_of_seeds(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("Warning: random state")
