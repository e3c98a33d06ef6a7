"""The columns of a table as the columns of a mixed likelihood, and back."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from ..base.mixed import KINDS
from ..engine.notices import warn
from ..engine.suggestions import suggest
from ._cells import Cells
from ._marginals import NormalScores
from ._texts import Texts

__all__ = ["Schema", "Variable", "schema_of"]

CHOICE = (*KINDS, "text")
"""Kinds of the columns of a table."""

MOST_STEPS = 2**53
"""Largest whole number that is told from its neighbours."""
STEPS = {
    "bool": (1.0,),
    "int": (1.0,),
    "float": (1.0, 0.1, 0.01, 0.001),
    "date": (86_400e6, 3_600e6, 60e6, 1e6, 1.0),
    "word": (),
}
"""What the numbers of each sort may be multiples of. Dates are in microseconds."""
DATE = re.compile(r"\d{4}[-/.]\d\d?[-/.]\d\d?\b|\d\d?[-/.]\d\d?[-/.]\d{4}\b")
"""What dates begin with."""
FEW_COUNTS = 20
"""Largest number of distinct values of whole numbers that are taken for counts."""


class Variable(NamedTuple):
    """One column of a table, and how it is encoded."""

    name: Any
    sort: str
    kind: str
    levels: tuple[Any, ...] = ()
    """Categories that have a column of their own."""
    rare: tuple[Any, ...] = ()
    """Categories that share the last column, the most frequent first."""
    rare_shares: np.ndarray | None = None
    scores: NormalScores | None = None
    """Map of numbers. None leaves them as they are."""
    texts: Texts | None = None
    """Map of texts to numbers."""
    step: float = 0.0
    """What all numbers are multiples of, and are rounded to. 0 if they are real numbers."""
    limits: tuple[float, float] = (-np.inf, np.inf)
    """Smallest and largest number of the training rows, if they are rounded."""

    @property
    def size(self) -> int:
        """Columns that encode it."""
        if self.texts is not None:
            return self.texts.size
        return len(self.levels) + bool(self.rare) if self.kind == "categorical" else 1

    @property
    def encoded_kind(self) -> str:
        """Kind of the columns that encode it."""
        return "gaussian" if self.kind == "text" else self.kind

    # ---------------------------------------------------------------- into numbers

    def encoded(self, cells: Cells, on_unknown: str) -> np.ndarray:
        """The columns that encode some entries. They are NaN where an entry is missing, or of an unknown category."""
        if self.kind == "categorical":
            return self._one_hot(cells, on_unknown)
        if self.texts is not None:
            found = np.full((len(cells.values), self.size), np.nan)
            if not cells.missing.all():
                found[~cells.missing] = self.texts.numbers([str(x) for x in cells.values[~cells.missing]])
            return found
        x = cells.values
        if cells.missing.all():
            return np.full((len(x), 1), np.nan)
        if cells.sort == "word" or (cells.sort == "date") != (self.sort == "date"):
            row = next((i for i, known in enumerate(~cells.missing) if known and not isinstance(x[i], Real)), 0)
            what = "date" if self.sort == "date" else "number"
            if cells.sort != "word":
                what = f"{what}, unlike those that were fitted"
            raise ValueError(f"X has {x[row]!r} in row {row}, column {self.name!r}, which is no {what}: replace it.")
        wrong = np.isinf(x)
        if self.kind == "bernoulli":
            wrong |= ~np.isnan(x) & (x != 0) & (x != 1)
        if self.kind == "poisson":
            wrong |= x < 0
        if wrong.any():
            row = int(np.argmax(wrong))
            told = {"bernoulli": "neither 0 nor 1", "poisson": "no count"}.get(self.kind, "not finite")
            raise ValueError(
                f"X has {x[row]:g} in row {row}, column {self.name!r}, which is {told}: replace it, or name another "
                "kind for the column in columns."
            )
        return (x if self.scores is None else self.scores.forward(x))[:, None]

    def _one_hot(self, cells: Cells, on_unknown: str) -> np.ndarray:
        code = {level: i for i, level in enumerate(self.levels)} | dict.fromkeys(self.rare, len(self.levels))
        other = len(self.levels) if self.rare else -1
        entries, missing = cells.values.tolist(), cells.missing
        codes = np.array([code.get(entry, -2) for entry in entries], dtype=np.int64)
        codes[missing] = -1
        unknown = codes == -2
        if unknown.any():
            row = int(np.argmax(unknown))
            told = f"X has the category {entries[row]!r} in row {row}, column {self.name!r}, which no training row had"
            if on_unknown == "error":
                raise ValueError(f"{told}: replace it, or set handle_unknown='warn'.")
            taken = "as a rare category" if self.rare else "as missing"
            warn(f"{told}: it is taken {taken}, like {int(unknown.sum())} of the {len(codes)} entries of the column.")
            codes[unknown] = other
        found = (codes[:, None] == np.arange(self.size)).astype(np.float64)
        found[codes == -1] = np.nan
        return found

    # ---------------------------------------------------------------- back

    def decoded(self, x: np.ndarray, rng: np.random.RandomState | None) -> np.ndarray:
        """Entries for the columns that encode them: the likeliest one, or with ``rng`` for columns that were drawn."""
        if self.kind == "categorical":
            return self._entries(x.argmax(1), rng)
        if self.texts is not None:
            return np.array([*self.texts.nearest(x), None], dtype=object)[:-1]
        values = x[:, 0]
        if self.kind == "bernoulli":
            return (values > 0.5).astype(np.float64)
        if self.scores is not None:
            values = self.scores.backward(values)
        if not self.step:
            return values
        whole = np.rint(values / self.step) + 0.0  # no -0.0
        # 3 * 0.1 is not 0.3, but 3 / 10 is
        return (whole * self.step if self.step >= 1 else whole / round(1 / self.step)).clip(*self.limits)

    def _entries(self, codes: np.ndarray, rng: np.random.RandomState | None) -> np.ndarray:
        entries = np.empty(len(codes), dtype=object)
        entries[:] = [self.levels[code] if code < len(self.levels) else self.rare[0] for code in codes.tolist()]
        is_rare = codes >= len(self.levels)
        if rng is not None and is_rare.any():
            drawn = rng.choice(len(self.rare), int(is_rare.sum()), p=self.rare_shares)
            entries[is_rare] = [self.rare[i] for i in drawn.tolist()]
        return entries if self.sort == "word" else entries.astype(np.float64)


class Schema(NamedTuple):
    """All columns of a table."""

    variables: tuple[Variable, ...]

    @property
    def order(self) -> list[int]:
        """The variables in the order in which they are encoded: those of one kind are adjacent."""
        return sorted(range(len(self.variables)), key=lambda i: KINDS.index(self.variables[i].encoded_kind))

    @property
    def columns(self) -> tuple[tuple[str, int], ...]:
        """Kinds and sizes of the encoded columns, as the mixed likelihood takes them."""
        return tuple((self.variables[i].encoded_kind, self.variables[i].size) for i in self.order)

    @property
    def owner(self) -> np.ndarray:
        """Number of the variable that each encoded column belongs to."""
        return np.repeat(self.order, [size for _, size in self.columns])

    def typical(self, encoded: np.ndarray) -> np.ndarray:
        """An encoded row of usual entries: medians of numbers, and of categories and texts the entry nearest the mean.

        The entry nearest the mean of one-hot columns is the most frequent category.
        """
        row = np.empty(encoded.shape[1])
        for variable in range(len(self.variables)):
            of_variable = np.flatnonzero(self.owner == variable)
            part = encoded[:, of_variable]
            part = part[~np.isnan(part).any(1)]
            nearest = np.square(part - part.mean(0)).sum(1).argmin()
            row[of_variable] = np.median(part, axis=0) if len(of_variable) == 1 else part[nearest]
        return row

    def encoded(self, columns: Sequence[Cells], on_unknown: str = "warn") -> np.ndarray:
        """The table of numbers, with NaN for what is missing.

        Raises
        ------
        ValueError
            If a column is of another sort than that of the training rows, or if a row has no known entry.
        """
        found = np.hstack([self.variables[i].encoded(columns[i], on_unknown) for i in self.order])
        empty = np.isnan(found).all(1)
        if empty.any():
            raise ValueError(f"Every entry is missing in row {int(np.argmax(empty))} of X: drop the row.")
        return found

    def decoded(self, X: np.ndarray, random_state: Any = None, drawn: bool = False) -> list[np.ndarray]:
        """The columns of the table of numbers, in the order of the table. ``drawn`` draws rare categories."""
        rng = check_random_state(random_state) if drawn else None
        parts = np.split(X, np.cumsum([size for _, size in self.columns])[:-1], axis=1)
        found = {i: self.variables[i].decoded(part, rng) for i, part in zip(self.order, parts, strict=True)}
        return [found[i] for i in range(len(found))]


def schema_of(
    names: Sequence[Any],
    columns: Sequence[Cells],
    weight: np.ndarray | None,
    kinds: Mapping[Any, str] | None,
    max_categories: int,
    normal: bool,
) -> Schema:
    """Learn how the columns of a table are encoded.

    Parameters
    ----------
    names : sequence
        Of the columns.
    columns : sequence of Cells
    weight : ndarray of shape (n_samples,) or None
        Sample weights.
    kinds : dict or None
        Kinds of some columns. Those of the others follow from what is in them.
    max_categories : int
        Largest number of columns for one categorical column.
    normal : bool
        Whether numbers are mapped to normal scores.

    Raises
    ------
    ValueError
        If a kind is unknown, is for a column that there is not, or does not suit its entries, or if all entries of a
        column are missing.
    """
    given = dict(kinds or {})
    for name, kind in given.items():
        if name not in names:
            meant = suggest(name, [str(other) for other in names])
            raise ValueError(f"columns has {name!r}, but X has no such column{f': use {meant!r}' if meant else ''}.")
        if kind not in CHOICE:
            meant = suggest(kind, CHOICE)
            raise ValueError(
                f"columns[{name!r}]={kind!r} is no kind: use {repr(meant) if meant else ' or '.join(CHOICE)}."
            )
    found = []
    for name, cells in zip(names, columns, strict=True):
        counts = ~cells.missing if weight is None else ~cells.missing & (weight > 0)
        if not counts.any():
            raise ValueError(f"Column {name!r} of X has no known entry to learn from: leave it out of X.")
        known, shares = cells._replace(values=cells.values[counts]), None if weight is None else weight[counts]
        variable = Variable(name, cells.sort, given.get(name) or _kind_of(known))
        if variable.kind == "categorical":
            if name not in given:
                _tell_of_dates(name, known)
            found.append(_with_levels(variable, known, shares, max_categories))
        elif variable.kind == "text":
            found.append(_with_texts(variable, known))
        else:
            variable.encoded(cells, "error")  # refuses what the kind does not describe
            found.append(_with_numbers(variable, known.values, shares, normal))
    return Schema(tuple(found))


def _kind_of(cells: Cells) -> str:
    """The kind of the known entries of a column."""
    if cells.sort == "word":
        return "categorical"
    if cells.sort != "int":
        return "bernoulli" if cells.sort == "bool" else "gaussian"
    distinct = np.unique(cells.values)
    if len(distinct) <= 2 and distinct[0] == 0 and distinct[-1] in (0, 1):
        return "bernoulli"
    is_count = distinct[0] == 0 and len(distinct) <= FEW_COUNTS and cells.values.var() >= cells.values.mean() / 2
    return "poisson" if is_count else "gaussian"


def _with_numbers(variable: Variable, x: np.ndarray, weight: np.ndarray | None, normal: bool) -> Variable:
    scores = NormalScores.of(x, weight) if normal and variable.kind == "gaussian" else None
    step = next((step for step in STEPS[variable.sort] if _are_multiples(x, step)), 0.0)
    limits = (float(x.min()), float(x.max())) if step else (-np.inf, np.inf)
    return variable._replace(scores=scores, step=step, limits=limits)


def _are_multiples(x: np.ndarray, step: float) -> bool:
    """Whether numbers are multiples of a step, up to rounding, and the step is not lost in rounding."""
    ratio = x / step
    off = np.abs(ratio - np.rint(ratio))
    return bool((np.abs(ratio) < MOST_STEPS).all() and (off <= 1e-6 * np.minimum(1.0, np.abs(ratio))).all())


def _tell_of_dates(name: Any, cells: Cells) -> None:
    """Warn of dates that were never read, as in a frame from a CSV file."""
    entries = cells.values.tolist() if cells.sort == "word" else []
    if all(isinstance(entry, str) and DATE.match(entry) for entry in entries) and len(set(entries)) > 2:
        warn(
            f"Column {name!r} of X holds dates as text, such as {entries[0]!r}, which are taken for categories "
            f"without an order: convert it with pandas.to_datetime, or pass columns={{{name!r}: 'categorical'}}."
        )


def _with_texts(variable: Variable, cells: Cells) -> Variable:
    if not all(isinstance(text, str) for text in cells.values.tolist()):
        raise ValueError(f"Column {variable.name!r} of X has entries that are no strings: leave 'text' out of columns.")
    texts = Texts.of(cells.values.tolist())
    if texts is None:
        raise ValueError(f"Column {variable.name!r} of X has no texts to tell apart: leave 'text' out of columns.")
    return variable._replace(texts=texts)


def _with_levels(variable: Variable, cells: Cells, weight: np.ndarray | None, max_categories: int) -> Variable:
    counts: dict[Any, float] = defaultdict(float)
    entries = cells.values.tolist()
    try:
        for entry, share in zip(entries, [1.0] * len(entries) if weight is None else weight.tolist(), strict=True):
            counts[entry] += share
    except TypeError:
        raise ValueError(
            f"Column {variable.name!r} of X holds objects of the type {type(entries[0]).__name__}, which are neither "
            "numbers, dates nor categories: leave it out of X."
        ) from None
    ranked = sorted(counts, key=lambda level: (-counts[level], str(level)))
    n_own = len(ranked) if len(ranked) <= max_categories else max_categories - 1
    own, rare = ranked[:n_own], ranked[n_own:]
    shares = np.array([counts[level] for level in rare], dtype=np.float64)
    if shares.sum() > sum(counts.values()) / 2:
        cures = ["leave it out of X", "raise max_categories"]
        if all(isinstance(level, str) for level in ranked):
            cures.append(f"pass columns={{{variable.name!r}: 'text'}}")
        warn(
            f"Column {variable.name!r} of X has {len(ranked)} different values, and most rows have one of the "
            f"{len(rare)} rare ones that share a column of the code: {', '.join(cures[:-1])}, or {cures[-1]}."
        )
    levels = tuple(sorted(own, key=str))
    return variable._replace(levels=levels, rare=tuple(rare), rare_shares=shares / shares.sum() if rare else None)
