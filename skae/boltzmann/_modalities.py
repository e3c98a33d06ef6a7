"""Modalities: which columns of X belong together, and what each group of columns has for itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from ..base.params import sizes_of
from ..energy.layers import Part, columns_of
from ..engine.suggestions import suggest
from .machine import visible_parts

__all__ = ["ALL", "KINDS", "Modality", "modalities_of", "settings_of"]

ALL = "all"
"""Name of the one modality of a table whose modalities are not told."""
KINDS = ("gaussian", "bernoulli", "softmax")
"""Kinds of the columns of a modality."""


class Modality(NamedTuple):
    """Columns of X that belong together, and the layers of hidden units above them alone."""

    name: str
    columns: tuple[int, ...]
    """Their numbers in X, in the order in which the machine sees them."""
    kind: str
    """One of ``KINDS``."""
    sizes: tuple[int, ...]
    """Columns of each group of softmax units. Without any, softmax units are counts."""
    pathway: tuple[int, ...]
    """Units of the layers between the columns and the joint layer."""

    @property
    def is_counts(self) -> bool:
        """Whether the columns are counts."""
        return self.kind == "softmax" and not self.sizes

    @property
    def place(self) -> slice | list[int]:
        """The columns as an index of arrays: a slice where they are adjacent and ascending."""
        first, n = self.columns[0], len(self.columns)
        adjacent = self.columns == tuple(range(first, first + n))
        return slice(first, first + n) if adjacent else list(self.columns)

    @property
    def groups(self) -> list[slice]:
        """Those of its columns that are only known together: each group of softmax units, or all counts."""
        return columns_of(self.sizes or (len(self.columns),)) if self.kind == "softmax" else []

    @property
    def part(self) -> Part:
        """The visible units."""
        (part,) = visible_parts(self.kind, len(self.columns), self.sizes, 0)
        return part


class Setting(NamedTuple):
    """What a modality has for itself, by the parameters alone."""

    kind: str
    sizes: tuple[int, ...]
    pathway: tuple[int, ...]

    @property
    def is_counts(self) -> bool:
        """Whether the columns are counts."""
        return self.kind == "softmax" and not self.sizes


def settings_of(modalities: Any, settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Setting]:
    """Read what each modality has for itself.

    Parameters
    ----------
    modalities : dict or None
        The parameter.
    settings, defaults : dict
        See ``modalities_of``.

    Returns
    -------
    settings : dict of str to Setting

    Raises
    ------
    ValueError
        If a name is no string, a setting is for a modality that there is not, a kind of units is unknown, several
        modalities are counts, or the pathways do not reach the joint layer from one side.
    """
    names = _names_of(modalities)
    told = {name: _setting_of(name, names, settings, defaults) for name in names}
    for name, (kind, _, _) in told.items():
        if kind not in KINDS:
            meant = suggest(kind, KINDS)
            use = " or ".join(map(repr, KINDS)) if meant is None else repr(meant)
            raise ValueError(f"visible={kind!r} of modality {name!r} is no kind of units: use {use}.")
    counts = [name for name, setting in told.items() if setting.is_counts]
    if len(counts) > 1:
        raise ValueError(
            f"The modalities {_listed(counts)} are counts, but a row has one number of draws: make them one modality, "
            "or pass the sizes of groups of one-hot columns as categories."
        )
    heights = {name: len(setting.pathway) for name, setting in told.items()}
    if len({height % 2 for height in heights.values()}) > 1:
        found = ", ".join(f"{height} for {name!r}" for name, height in heights.items())
        raise ValueError(
            f"hidden_layer_sizes has {found}: the numbers of layers must be all even or all odd, so that neighbours "
            "are never of one side of the machine."
        )
    return told


def modalities_of(
    modalities: Any,
    settings: Mapping[str, Any],
    defaults: Mapping[str, Any],
    n_features: int,
    feature_names: Sequence[str] | None,
) -> list[Modality]:
    """Read the modalities of a table.

    Parameters
    ----------
    modalities : dict or None
        For each name a slice, numbers, names or a mask of columns, or one number or name. None is one modality.
    settings : dict
        Parameters by their names. Those in ``defaults`` have one value for all, or a dictionary by modality.
    defaults : dict
        What a modality has that is not in such a dictionary.
    n_features : int
        Columns of X.
    feature_names : sequence of str or None
        Their names, if X has any.

    Returns
    -------
    modalities : list of Modality
        Each column is in one of them.

    Raises
    ------
    ValueError
        As ``settings_of``, and if a column is in none or in several, or a modality has no column or one that X
        does not have.
    """
    found = []
    for name, (kind, sizes, pathway) in settings_of(modalities, settings, defaults).items():
        asked = slice(None) if modalities is None else modalities[name]
        columns = _columns(name, asked, n_features, feature_names)
        if sizes and sum(sizes) != len(columns):
            whose = "X" if modalities is None else f"modality {name!r}"
            raise ValueError(f"categories={sizes} sum to {sum(sizes)}, but {whose} has {len(columns)} columns.")
        found.append(Modality(name, columns, kind, sizes, pathway))
    _require_partition(found, n_features, feature_names)
    return found


# ------------------------------------------------------------------ settings


def _names_of(modalities: Any) -> list[str]:
    if modalities is None:
        return [ALL]
    if not modalities:
        raise ValueError(f"modalities={modalities!r} names no modality: pass None for one modality of all columns.")
    for name in modalities:
        if not isinstance(name, str):
            raise ValueError(f"modalities has {name!r} as a name: the name of a modality must be a string.")
    return list(modalities)


def _setting_of(name: str, names: Sequence[str], settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> Setting:
    own = {}
    for parameter in defaults:
        value = settings[parameter]
        if isinstance(value, Mapping):
            _require_known(parameter, value, names)
            value = value.get(name, defaults[parameter])
        own[parameter] = value
    kind, sizes, pathway = (own[parameter] for parameter in ("visible", "categories", "hidden_layer_sizes"))
    if isinstance(settings["categories"], Mapping) and sizes is not None and kind != "softmax":
        raise ValueError(
            f"categories has an entry for {name!r}, whose columns are {kind!r}: leave it out, or set visible of "
            f"{name!r} to 'softmax'."
        )
    whose = "" if len(names) == 1 else f" of modality {name!r}"
    sizes = () if kind != "softmax" or sizes is None else sizes_of(f"categories{whose}", sizes)
    return Setting(kind, sizes, sizes_of(f"hidden_layer_sizes{whose}", pathway))


def _require_known(parameter: str, by_name: Iterable[Any], names: Sequence[str]) -> None:
    for name in by_name:
        if name not in names:
            raise ValueError(
                f"{parameter} has an entry for {name!r}, which is no modality: {_use(name, names, 'modalities are')}."
            )


# ------------------------------------------------------------------ columns


def _columns(name: str, asked: Any, n_features: int, feature_names: Sequence[str] | None) -> tuple[int, ...]:
    """Numbers of the columns that a modality asks for."""
    if isinstance(asked, slice):
        if not all(edge is None or isinstance(edge, Integral) for edge in (asked.start, asked.stop, asked.step)):
            raise ValueError(f"modality {name!r} is {asked}, but a slice must be of numbers: pass a list of names.")
        columns = tuple(range(n_features)[asked])
    else:
        listed = np.atleast_1d(np.asarray(asked, dtype=object)).ravel().tolist()
        if listed and all(isinstance(entry, (bool, np.bool_)) for entry in listed):
            columns = _masked(name, listed, n_features)
        else:
            columns = tuple(_column(name, entry, n_features, feature_names) for entry in listed)
    if not columns:
        raise ValueError(
            f"modality {name!r} has no columns: give it some of the {n_features} columns of X, or drop it."
        )
    return columns


def _masked(name: str, mask: Sequence[bool], n_features: int) -> tuple[int, ...]:
    if len(mask) != n_features:
        raise ValueError(f"modality {name!r} is a mask of {len(mask)} columns, but X has {n_features} columns.")
    return tuple(np.flatnonzero(mask).tolist())


def _column(name: str, entry: Any, n_features: int, feature_names: Sequence[str] | None) -> int:
    if isinstance(entry, str):
        if feature_names is None:
            raise ValueError(
                f"modality {name!r} has a column {entry!r}, but the columns of X have no names: pass a DataFrame, or "
                "numbers of columns."
            )
        if entry not in feature_names:
            raise ValueError(
                f"modality {name!r} has a column {entry!r}, which X does not have: "
                f"{_use(entry, list(feature_names), 'columns are')}."
            )
        return list(feature_names).index(entry)
    if isinstance(entry, bool) or not isinstance(entry, Integral):
        raise ValueError(f"modality {name!r} has {entry!r} among its columns: pass numbers or names of columns.")
    number = int(entry)
    if not -n_features <= number < n_features:
        raise ValueError(f"modality {name!r} has a column {number}, but X has {n_features} columns.")
    return number % n_features


def _require_partition(found: Sequence[Modality], n_features: int, feature_names: Sequence[str] | None) -> None:
    """Raise an error if a column is in no modality or in several."""
    owner: dict[int, str] = {}
    for name, columns, *_ in found:
        for column in columns:
            if column in owner:
                where = f"twice in modality {name!r}" if owner[column] == name else f"in {owner[column]!r} and {name!r}"
                raise ValueError(f"Column {_told(column, feature_names)} is {where}: leave it out of one.")
            owner[column] = name
    free = [column for column in range(n_features) if column not in owner]
    if free:
        raise ValueError(
            f"Column {_told(free[0], feature_names)} is in no modality: add it to one, or leave it out of X."
        )


# ------------------------------------------------------------------ words


def _told(column: int, feature_names: Sequence[str] | None) -> str:
    return str(column) if feature_names is None else repr(str(feature_names[column]))


def _use(given: Any, options: Sequence[str], are: str) -> str:
    """What to use instead: the option that was meant, or all of them if they are few."""
    meant = suggest(given, options)
    if meant is not None:
        return f"use {meant!r}"
    return f"the {are} {_listed(options)}" if len(options) <= 10 else f"the first {are} {_listed(options[:3])}"


def _listed(names: Sequence[str]) -> str:
    *rest, last = map(repr, map(str, names))
    return f"{', '.join(rest)} and {last}" if rest else last
