"""Dates as days since 1970."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

__all__ = ["days"]

MONTHS = (
    *("jan(uary)?", "feb(ruary)?", "mar(ch)?", "apr(il)?", "may", "june?", "july?", "aug(ust)?"),
    *("sept?(ember)?", "oct(ober)?", "nov(ember)?", "dec(ember)?"),
)
TIME = (
    r"(?:(?:T| +)(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<part>\d{1,9}))?)?"
    r"(?: ?(?P<half>[aApP])\.?[mM]\.?)?(?: ?(?:Z|UTC|(?P<east>[+-])(?P<zone_h>\d\d):?(?P<zone_m>\d\d)?))?)?"
)
FORMS = [
    r"(?P<y>\d{4})-(?P<m>\d{1,2})(?:-(?P<d>\d{1,2}))?",
    r"(?P<y>\d{4})(?P<sep>[/.])(?P<m>\d{1,2})(?P=sep)(?P<d>\d{1,2})",
    r"(?P<d>\d{1,2})[ -](?P<name>[A-Za-z]{3,9})\.?,?[ -](?P<y>\d{4}|\d\d)",
    r"(?P<name>[A-Za-z]{3,9})\.? (?P<d>\d{1,2}),? (?P<y>\d{4})",
    r"(?P<a>\d{1,2})(?P<sep>[/.-])(?P<b>\d{1,2})(?P=sep)(?P<y>\d{4}|\d\d)",
]
PATTERNS = [re.compile(form + TIME, re.ASCII) for form in FORMS]


def days(words: Iterable[str]) -> tuple[dict[str, float], bool]:
    """Read the words that are dates, with or without a time of day.

    Parameters
    ----------
    words : iterable of str
        The different cells of a column.

    Returns
    -------
    days : dict of float
        Days since 1970-01-01 00:00 UTC, by the word. A time without a zone is taken as UTC. Words that are no dates are
        left out.
    unclear : bool
        Whether days and months cannot be told apart, as in 01/02/2020. Then the day is taken as first.
    """
    found = {word: match for word in words if (match := _match(word))}
    pairs = [match for match in found.values() if "a" in match.groupdict()]
    month_first = any(int(match["b"]) > 12 for match in pairs)
    day_first = any(int(match["a"]) > 12 or match["sep"] == "." for match in pairs)
    read = {word: _days(match, month_first and not day_first) for word, match in found.items()}
    return {word: day for word, day in read.items() if day is not None}, bool(pairs) and not (month_first or day_first)


def _match(word: str) -> re.Match[str] | None:
    return next((match for pattern in PATTERNS if (match := pattern.fullmatch(word))), None)


def _days(match: re.Match[str], month_first: bool) -> float | None:
    """Days of one date. None if there is no such day."""
    part = match.groupdict()
    year, month = int(part["y"]), _month(part, month_first)
    day = int(part.get("d") or (part["b"] if month_first else part.get("a")) or 1)
    if len(part["y"]) == 2:
        year += 1900 if year >= 69 else 2000
    try:
        date = datetime(year, month, day)
        time = _time(part)
    except ValueError:
        return None
    return (date - datetime(1970, 1, 1) + time) / timedelta(days=1)


def _month(part: dict[str, str], month_first: bool) -> int:
    """Number of the month, and 0 if its name is none."""
    if part.get("name"):
        return next((i for i, name in enumerate(MONTHS, 1) if re.fullmatch(name, part["name"], re.IGNORECASE)), 0)
    return int(part.get("m") or (part["a"] if month_first else part["b"]))


def _time(part: dict[str, str]) -> timedelta:
    """Time of day in UTC, as far as it is given."""
    hour, minute, second = (int(part[name] or 0) for name in ("hour", "minute", "second"))
    if part["half"]:
        hour = hour % 12 + (12 if part["half"] in "pP" else 0)
    if hour > 24 or minute > 59 or second > 60:
        raise ValueError
    zone = timedelta(hours=int(part["zone_h"] or 0), minutes=int(part["zone_m"] or 0))
    fraction = float(f"0.{part['part'] or 0}")
    return timedelta(hours=hour, minutes=minute, seconds=second + fraction) - (zone if part["east"] == "+" else -zone)
