"""A table from a Parquet file, whose columns keep their types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ._column import Column, read
from ._dataset import Dataset, assemble
from ._faults import Faults
from ._options import Options
from ._words import one_line, printable, quoted_path

__all__ = ["read_parquet"]


def read_parquet(path: Path, options: Options) -> Dataset:
    """Read a Parquet file with pandas.

    Parameters
    ----------
    path : Path
    options : Options
    """
    try:
        import pandas as pd

        frame = pd.read_parquet(path)
    except ImportError:
        raise ImportError('Reading .parquet files needs pandas and pyarrow: pip install "skae[plot,tables]".') from None
    except (ValueError, OSError, MemoryError) as error:
        raise ValueError(f"Cannot read {quoted_path(path)} as a table: {str(error).partition(chr(10))[0]}") from None
    if frame.empty:
        raise ValueError(f"{quoted_path(path)} holds no rows.")
    name = printable(path.stem)
    names = [one_line(column) for column in frame.columns]
    target, kept = options.choose(names, name)
    columns = [_column(names[i], frame.iloc[:, i]) for i in kept]
    y = None if target is None else _column(names[target], frame.iloc[:, target])
    return assemble(name, columns, y, Faults(str(path), lambda row: f"row {row + 1}"), options)


def _column(name: str, series: Any) -> Column:
    import pandas as pd

    types, kind = pd.api.types, pd.api.types.infer_dtype(series, skipna=True)
    if isinstance(series.dtype, pd.CategoricalDtype):
        column = _text(name, series)
        column.categories = [str(category) for category in series.cat.categories]
        return column
    if types.is_bool_dtype(series):
        return _text(name, series)
    if types.is_numeric_dtype(series):
        return Column(name, series.to_numpy(dtype=float, na_value=np.nan))
    if types.is_timedelta64_dtype(series):
        return Column(name, (series / pd.Timedelta(days=1)).to_numpy(dtype=float))
    if types.is_datetime64_any_dtype(series):
        days = (pd.to_datetime(series, utc=True) - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
        example = next((str(date) for date in series.dropna()), "")
        return Column(name, days.to_numpy(dtype=float), is_date=True, example=example)
    if kind in ("date", "datetime", "decimal"):
        return _read(name, series)
    as_in_a_file_of_text = _read(name, series)
    return as_in_a_file_of_text if as_in_a_file_of_text.is_date else _text(name, series)


def _read(name: str, series: Any) -> Column:
    """A column of objects, read from what they are written as."""
    return read(name, np.array(["" if gap else str(value).strip() for value, gap in _cells(series)], dtype=object), ".")


def _text(name: str, series: Any) -> Column:
    values = [None if gap else str(value) for value, gap in _cells(series)]
    return Column(name, np.array(values, dtype=object), is_text=True)


def _cells(series: Any) -> Iterator[tuple[Any, bool]]:
    """Each cell, and whether it is missing."""
    return zip(series, series.isna(), strict=True)
