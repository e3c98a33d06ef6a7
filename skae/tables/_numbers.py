"""Cells as numbers: decimal commas, thousands separators, currencies and percent signs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np

__all__ = ["MISSING", "evidence", "parse", "plain", "with_commas"]

MISSING = frozenset(
    (
        *("", "?", "NA", "N/A", "n/a", "na", "#N/A", "#NA", "<NA>", "NaN", "nan", "NAN", "-nan", "NaT"),
        *("NULL", "Null", "null", "None", "none", "nil"),
    )
)
"""Words that stand for a missing value in a column of any kind."""
UNIT = "[$€£¥₹₽₩₺₴₪฿₫¢]|EUR|USD|GBP|CHF|JPY|CNY|INR"
ENOUGH = 100
"""So many cells tell a decimal comma from a thousands separator. The rest of the column is not asked."""


def plain(words: Sequence[str]) -> np.ndarray | None:
    """The words as float64 if Python reads all of them as numbers, else None."""
    try:
        values = np.fromiter(map(float, words), float, len(words))
    except ValueError:
        return None
    return None if "_" in "".join(words) else values


def with_commas(words: Sequence[str]) -> np.ndarray | None:
    """The words as float64 if all of them are numbers with a decimal comma and no other mark, else None."""
    text = "\n".join(words)
    return None if "." in text else plain(text.replace(",", ".").split("\n"))


@cache
def _grammar(decimal: str) -> re.Pattern[str]:
    """Numbers with this decimal mark. Groups of three digits are separated by one and the same mark."""
    group = "[ '\u2019\u00a0\u2009\u202f" + ("," if decimal == "." else ".") + "]"
    mark, blanks = re.escape(decimal), "[ \u00a0\u2009\u202f]*"
    whole = rf"[1-9]\d{{0,2}}(?P<mark>{group})\d{{3}}(?:(?P=mark)\d{{3}})*|\d+"
    digits = rf"(?:(?:{whole})(?:{mark}\d*)?|{mark}\d+)(?:[eE][+-]?\d+)?"
    signs = rf"(?P<open>\()?(?P<sign>[-\u2212+]?){blanks}(?P<front>{UNIT})?{blanks}(?P<inner>[-\u2212+]?)"
    return re.compile(rf"{signs}(?P<digits>{digits}){blanks}(?P<back>{UNIT}|%)?(?(open)\))", re.ASCII)


def parse(word: str, decimal: str) -> tuple[float, str] | None:
    """Read a word as a number and its unit, which is a currency, "%" or empty. None if it is not a number.

    Parentheses are the minus sign of bookkeepers.
    """
    found = _grammar(decimal).fullmatch(word)
    if found is None:
        return None
    signs = [found["sign"], found["inner"]]
    if all(signs) or (found["front"] and found["back"]):
        return None
    digits = found["digits"].replace(found["mark"], "") if found["mark"] else found["digits"]
    value = float(digits.replace(decimal, "."))
    negative = bool(found["open"]) != any(sign in ("-", "\u2212") for sign in signs)
    return (-value if negative else value), found["front"] or found["back"] or ""


def evidence(words: Iterable[str]) -> str | None:
    """The decimal mark that the words show, or None if they show none.

    "20,5" is a number with a decimal comma only, and "1,234,567" with a decimal point only. "1,234" shows nothing.
    """
    votes: Counter[str] = Counter()
    for word in words:
        if "," in word or "." in word:
            readers = [mark for mark in ".," if parse(word, mark)]
            votes.update(readers if len(readers) == 1 else ())
            if votes.total() == ENOUGH:
                break
    return votes.most_common(1)[0][0] if votes else None
