"""Entries of tables that are neither numbers nor text, in files: dates, times, decimals and intervals.

pandas is not imported before a file has an entry of it.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..engine.unpacking import DamagedError

__all__ = ["ENTRIES", "told_of"]


def told_of(value: Any) -> tuple[str, Any] | None:
    """The kind of an entry and what makes it again, or None if it is of no kind that is known."""
    cls = type(value)
    if cls.__module__.partition(".")[0] == "pandas":
        tell = PANDAS.get(cls.__name__)
        return None if tell is None else (cls.__name__, tell(value))
    if cls is datetime.date:
        return "Day", value.isoformat()
    if cls is datetime.datetime and isinstance(value.tzinfo, (datetime.timezone, type(None))):
        return "Moment", value.isoformat()
    if cls is datetime.time and value.tzinfo is None:
        return "Time", value.isoformat()
    if cls is datetime.timedelta:
        return "Duration", [value.days, value.seconds, value.microseconds]
    return ("Decimal", str(value)) if cls is decimal.Decimal else None


PANDAS: dict[str, Callable[[Any], Any]] = {
    "NAType": lambda value: None,
    "Timestamp": lambda value: [value.isoformat(), value.unit, None if value.tz is None else str(value.tz)],
    "Timedelta": lambda value: [int(value.value), value.unit],
    "Interval": lambda value: [value.left, value.right, value.closed],
    "Period": lambda value: [str(value), value.freqstr],
}
"""What makes objects of pandas again, by the names of their classes."""


def _timestamp(text: str, unit: str, zone: str | None) -> Any:
    moment = import_module("pandas").Timestamp(text).as_unit(unit)
    return moment if zone is None else moment.tz_convert(zone)


def _checked(make: Callable[..., Any], *, spread: bool) -> Callable[[Any], Any]:
    """A maker of entries that tells what it cannot make. ``spread`` passes the items of a list one by one."""

    def made(told: Any) -> Any:
        if isinstance(told, list) != spread:
            raise DamagedError("an entry of a table is none")
        try:
            return make(*told) if spread else make(told)
        except ImportError:
            raise
        except Exception:
            raise DamagedError("an entry of a table is none") from None

    return made


def _na(told: None) -> Any:
    return import_module("pandas").NA


ENTRIES: dict[str, Callable[[Any], Any]] = {
    "Day": _checked(datetime.date.fromisoformat, spread=False),
    "Moment": _checked(datetime.datetime.fromisoformat, spread=False),
    "Time": _checked(datetime.time.fromisoformat, spread=False),
    "Duration": _checked(datetime.timedelta, spread=True),
    "Decimal": _checked(decimal.Decimal, spread=False),
    "NAType": _checked(_na, spread=False),
    "Timestamp": _checked(_timestamp, spread=True),
    "Timedelta": _checked(
        lambda value, unit: import_module("pandas").Timedelta(value, "ns").as_unit(unit), spread=True
    ),
    "Interval": _checked(lambda *parts: import_module("pandas").Interval(*parts), spread=True),
    "Period": _checked(lambda text, freq: import_module("pandas").Period(text, freq), spread=True),
}
"""What makes entries again, by their kinds."""
