"""The reducers and the numbers of components of a comparison: checked, named and prepared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone

from ..autoencoders import Autoencoder
from ..maps import NeighborAutoencoder
from .peers import lacking, prepare

__all__ = ["checked_sizes", "named_reducers", "with_components"]


def named_reducers(
    reducers: Mapping[str, Any] | Sequence[Any] | None, random_state: int | None, pca: Any
) -> dict[str, Any]:
    """The reducers by name, with PCA first unless it is among them, and with the seed."""
    if reducers is None:
        reducers = [Autoencoder(), NeighborAutoencoder()]
    if hasattr(reducers, "fit") or isinstance(reducers, str):
        one = "Autoencoder" if isinstance(reducers, str) else type(reducers).__name__
        raise TypeError(f"reducers must be a dict or a list of reducers: pass [{one}(...)].")
    named = {name: _reducer(name, reducer) for name, reducer in _numbered(reducers).items()}
    if not any(isinstance(reducer, type(pca)) for reducer in named.values()):
        if "PCA" in named:
            raise ValueError(
                "The name 'PCA' stands for PCA itself, which is always included: give that reducer another name."
            )
        named = {"PCA": pca, **named}
    for reducer in named.values():
        prepare(reducer, random_state)
    return named


def _reducer(name: str, reducer: Any) -> Any:
    """A clone of a reducer that can be fitted, and that encodes rows. t-SNE encodes only those it is fitted to."""
    if isinstance(reducer, type):
        raise TypeError(f"reducers has the class {reducer.__name__}: pass an instance, {reducer.__name__}().")
    if isinstance(reducer, str):
        raise TypeError(f"reducers has the text {reducer!r}: pass an estimator, such as Autoencoder().")
    missing = lacking(reducer)
    if missing:
        raise TypeError(f"{name} is not a reducer: it has no {missing}.")
    return clone(reducer)


def _numbered(reducers: Mapping[str, Any] | Sequence[Any]) -> Mapping[str, Any]:
    """The reducers by the names of their classes. Further reducers of one class get a number."""
    if isinstance(reducers, Mapping):
        number = next((name for name in reducers if not isinstance(name, str)), None)
        if number is not None:
            raise TypeError(f"reducers has the name {number!r}, which is no text: pass {str(number)!r}.")
        return reducers
    classes = [type(reducer).__name__ for reducer in reducers]
    before = [classes[:i].count(name) for i, name in enumerate(classes)]
    names = [f"{name} {n + 1}" if n else name for name, n in zip(classes, before, strict=True)]
    return dict(zip(names, reducers, strict=True))


def checked_sizes(n_components: Sequence[int] | None, most: int) -> list[int]:
    """The numbers of components, each once, or those that suit a table."""
    if n_components is None:
        return [k for k in (2, 8, 16) if k <= most] or [most]
    sizes = list(dict.fromkeys(np.atleast_1d(np.asarray(n_components, dtype=object)).tolist()))
    if not sizes:
        raise ValueError("n_components is empty: pass at least one number.")
    for k in sizes:
        if not (isinstance(k, (int, np.integer)) and 1 <= k <= most):
            raise ValueError(
                f"n_components={k} is not a whole number from 1 to {most}, "
                "the smaller of the numbers of columns and of training rows of a fold."
            )
    return [int(k) for k in sizes]


def with_components(reducer: Any, k: int) -> Any:
    """A clone with k components. In a pipeline the last step that has ``n_components`` gets them."""
    model = clone(reducer)
    names = [p for p in model.get_params() if p == "n_components" or p.endswith("__n_components")]
    if not names:
        return model
    return model.set_params(**{"n_components" if "n_components" in names else names[-1]: k})
