"""Whether a column says anything: indices, identifiers and free text do not."""

from __future__ import annotations

import re

import numpy as np

from ._column import Column
from ._numbers import parse
from ._words import plural, quoted

__all__ = ["remark", "too_many", "useless"]

MANY_TEXTS = 50
"""A column with more distinct texts than this, in more than half of its rows, is free text and not a category."""
MOST_TEXTS = 1000
"""A column with more distinct texts than this is never one-hot encoded."""
SHORT = 10
"""In tables with no more rows than this, cells that are all different show nothing."""
IDENTIFIER = re.compile(r"(?:.*[ _.-])?(?:id|ids|idx|index|uid|uuid|guid|unnamed: 0)", re.IGNORECASE | re.DOTALL)
CAMEL_CASE = re.compile(r".*[a-z](?:Id|ID)", re.DOTALL)
WITH_UNIT = re.compile(r"[-+]?\d+(?:[.,]\d+)? ?[^\W\d]{1,4}(?:/[^\W\d]{1,4})?")
CODE = re.compile(r"[^\W\d]+[-_. ]?\d+")
OF_DIGITS = 0.6
"""A text of which a larger share of the letters and digits are digits may be a number or a time in some notation."""


def useless(column: Column, *, has_header: bool) -> str:
    """Why a column is left out: it is empty, an index or an identifier. Empty if it is kept."""
    if column.missing.all():
        return "it has no values"
    if column.is_date or column.odd or column.missing.any() or column.categories is not None:
        return ""
    if not (column.is_text or _is_whole(column.values)):
        return ""
    if len(set(column.values.tolist())) < len(column.values):
        return ""
    is_first = column.unnamed and column.name == "0"
    is_long = len(column.values) > SHORT
    if column.is_text:
        is_identifier = (is_long or (is_first and has_header)) and not (_has_units(column) or _is_of_digits(column))
        return f"its {len(column.values)} texts are all different, as in an identifier" if is_identifier else ""
    if is_first and (has_header or (is_long and _counts(column))):
        return "it numbers the rows"
    named = IDENTIFIER.fullmatch(column.name) or CAMEL_CASE.fullmatch(column.name)
    return "its values are all different, and its name is that of an identifier" if is_long and named else ""


def too_many(column: Column) -> tuple[str, str, str] | None:
    """Kind of fault, name and detail of a text that cannot be one-hot encoded. None if it can."""
    texts = set(column.values[~column.missing])
    example = quoted(column.values[~column.missing][0])
    if len(texts) > SHORT and _has_units(column):
        return "unit", column.name, f"such as {example}"
    if len(texts) > SHORT and _is_of_digits(column):
        odd = next((text for text in column.values[~column.missing] if not parse(text, ".")), example)
        return "digits", column.name, f"such as {quoted(odd)}"
    if len(texts) > MANY_TEXTS and (2 * len(texts) > len(column.values) or len(texts) > MOST_TEXTS):
        return "text", column.name, f"{len(texts)} in {plural(len(column.values), 'row')}, such as {example}"
    return None


def remark(column: Column) -> str:
    """What to say of a column that is kept, and that a user may not want. Empty if there is nothing to say."""
    if column.is_text:
        count = len(set(column.values))
        large = count > MANY_TEXTS
        cure = "--drop COLUMN leaves it out"
        return (
            f"Column {quoted(column.name)} becomes {count} columns, one for each of its texts: {cure}." if large else ""
        )
    if len(column.values) > SHORT and not column.unnamed and _counts(column):
        return f"Column {quoted(column.name)} numbers the rows: --drop COLUMN leaves it out."
    return ""


def _is_whole(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all() and (values % 1 == 0).all())


def _counts(column: Column) -> bool:
    """Whether a column of numbers counts the rows, from 0 or 1 on."""
    return column.values[0] in (0, 1) and bool((np.diff(column.values) == 1).all())


def _has_units(column: Column) -> bool:
    """Whether most of the texts are numbers with a unit, such as 5 kg."""
    texts = set(column.values[~column.missing])
    return 2 * sum(1 for text in texts if WITH_UNIT.fullmatch(text)) > len(texts)


def _is_of_digits(column: Column) -> bool:
    """Whether most of the texts consist of digits for the most part, such as 12:30 or R$ 12,50, and not A12."""
    texts = set(column.values[~column.missing])
    words = [text for text in texts if not CODE.fullmatch(text)]
    shares = [sum(map(str.isdigit, word)) / max(sum(map(str.isalnum, word)), 1) for word in words]
    return 2 * sum(share > OF_DIGITS for share in shares) > len(texts)
