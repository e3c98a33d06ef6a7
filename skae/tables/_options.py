"""What the user says about a file, and which columns that means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ._words import listed, one_line, quoted

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """The options of ``load``. See there."""

    target: str | None = None
    drop: tuple[str, ...] = ()
    impute: bool = False
    separator: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    dates: str = "numbers"

    def __post_init__(self) -> None:
        """Check what can be checked without a file."""
        if self.separator is not None and (len(self.separator) != 1 or self.separator in '"\r\n\0'):
            raise ValueError(f"--separator is one character, such as ; or \\t, and not {quoted(self.separator)}.")
        if self.decimal not in (None, ".", ","):
            raise ValueError(f"--decimal is a point or a comma, and not {quoted(self.decimal)}.")
        if self.dates not in ("refuse", "numbers"):
            raise ValueError(f"--dates is refuse or numbers, and not {quoted(self.dates)}.")

    def without_target(self) -> Options:
        """The options where the target is no column."""
        return replace(self, target=None)

    def choose(self, names: Sequence[str], source: str) -> tuple[int | None, list[int]]:
        """Index of the target, or None, and the indices of the columns that are neither it nor dropped.

        Parameters
        ----------
        names : sequence of str
            Printable names of all columns of the file.
        source : str
            Name of the file, for errors.
        """
        asked = [*self.drop, *([] if self.target is None else [self.target])]
        unknown = [column for column in asked if _index(column, names) is None]
        if unknown:
            several = "are no columns" if len(unknown) > 1 else "is no column"
            raise ValueError(
                f"There {several} {listed(map(quoted, unknown))} in {quoted(source)}, which has {listed(names, 10)}."
            )
        dropped = {_index(column, names) for column in self.drop}
        target = None if self.target is None else _index(self.target, names)
        if target in dropped:
            raise ValueError(f"Column {quoted(self.target)} is the target, so it cannot be dropped.")
        return target, [i for i in range(len(names)) if i != target and i not in dropped]


def _index(column: str, names: Sequence[str]) -> int | None:
    """Index of a column that is given by its name, or by its number. None if there is none."""
    if (name := one_line(column)) in names and name:
        return list(names).index(name)
    if re.fullmatch("-?[0-9]{1,9}", str(column)) and -len(names) <= int(column) < len(names):
        return int(column) % len(names)
    return None
