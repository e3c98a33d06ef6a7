"""Names, cells and file names as they may be shown: control characters escaped, long ones cut, long lists ended."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["listed", "one_line", "plural", "printable", "quoted", "quoted_path", "short"]

LONGEST = 60
"""Characters of a cell or a name in a message."""


def printable(text: object) -> str:
    r"""Escape what would not be seen, or would steer a terminal: control characters, line ends, changes of direction.

    Parameters
    ----------
    text : object
        A name, or anything with a text form.

    Returns
    -------
    text : str
        Of printable characters only. The escapes are those of Python, such as ``\x1b``.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def one_line(name: object) -> str:
    """A printable name without line ends and without blanks around it."""
    return printable(" ".join(str(name).split()))


def short(text: object) -> str:
    """A printable text that is cut if it is long."""
    shown = printable(text)
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 3] + "..."


def quoted(text: object) -> str:
    """A name or a cell in quotation marks, for a message."""
    return f"'{short(text)}'"


def quoted_path(path: object) -> str:
    """A file name in quotation marks, in its full length."""
    return f"'{printable(path)}'"


def listed(items: Iterable[str], most: int = 20) -> str:
    """The items with commas, and how many more there are."""
    items = list(items)
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


def plural(count: int, noun: str) -> str:
    """The count and its noun, such as "2 rows"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
