"""Entries of tables that are neither numbers nor text, in files: dates, times, decimals and intervals.

pandas is not imported before a file has an entry of it.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from importlib import import_module
from types import NoneType
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


def _checked(make: Callable[..., Any], sort: type = list) -> Callable[[Any], Any]:
    """A maker of entries from text or from a list, whose items are its arguments. It tells what it cannot make."""

    def made(told: Any) -> Any:
        try:
            if type(told) is sort:
                return make(*told) if isinstance(told, list) else make(told)
        except ImportError:
            raise
        except Exception:
            raise DamagedError("an entry of a table is none") from None
        raise DamagedError("an entry of a table is none")

    return made


ENTRIES: dict[str, Callable[[Any], Any]] = {
    "Day": _checked(datetime.date.fromisoformat, str),
    "Moment": _checked(datetime.datetime.fromisoformat, str),
    "Time": _checked(datetime.time.fromisoformat, str),
    "Duration": _checked(lambda days, seconds, microseconds: datetime.timedelta(days, seconds, microseconds)),
    "Decimal": _checked(decimal.Decimal, str),
    "NAType": _checked(lambda told: import_module("pandas").NA, NoneType),
    "Timestamp": _checked(_timestamp),
    "Timedelta": _checked(lambda value, unit: import_module("pandas").Timedelta(value, "ns").as_unit(unit)),
    "Interval": _checked(lambda *parts: import_module("pandas").Interval(*parts)),
    "Period": _checked(lambda text, freq: import_module("pandas").Period(text, freq)),
}
"""What makes entries again, by their kinds."""
