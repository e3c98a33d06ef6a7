"""Parquet files, Arrow data sets and Arrow tables as tables outside memory.

Arrow decodes some rows of all columns at a time, in one thread. Missing entries become NaN.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.outside import Columns, Outside, Part, block_rows
from .complaints import NO_DATES

__all__ = ["outside"]

READ_BYTES = 2**17
"""Size of the pieces in which a column of a file is read."""
ALL_COLUMNS_BYTES = 2**26
"""Size of these pieces of all columns together, if there are very many."""
LEAST_BYTES = 2**12


def outside(X: Any) -> Outside | None:
    """X as a table outside memory. None if it is neither a Parquet file, nor an Arrow data set, nor an Arrow table.

    Parameters
    ----------
    X : object
        What a user passed. A path may be a Parquet file, or a folder of such files.

    Raises
    ------
    ValueError
        If a column does not hold numbers, or if the table has no rows or no columns, or if a file is no Parquet file.
    FileNotFoundError
        If there is no such file.
    ImportError
        If pyarrow is not installed.
    """
    if isinstance(X, Outside):
        return X
    if isinstance(X, Path) or (isinstance(X, str) and (X.lower().endswith(".parquet") or _exists(X))):
        X = _open(Path(X))
    elif type(X).__module__.partition(".")[0] != "pyarrow":
        return None
    import pyarrow as pa
    from pyarrow.dataset import Dataset
    from pyarrow.parquet import ParquetFile

    if isinstance(X, pa.RecordBatch):
        X = pa.Table.from_batches([X])
    if isinstance(X, ParquetFile):
        return _table(X, X.schema_arrow, _parts_of_file)
    if isinstance(X, Dataset):
        return _table(X, X.schema, _parts_of_dataset)
    return _table(X, X.schema, _parts_of_table) if isinstance(X, pa.Table) else None


def _exists(text: str) -> bool:
    """Whether a text is the path of a file or folder. A text that cannot be a path is not."""
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False


def _open(path: Path) -> Any:
    if not path.exists():
        raise FileNotFoundError(f"X is the path {str(path)!r}, but there is no such file: correct the path.")
    try:
        import pyarrow as pa
        from pyarrow import dataset, parquet
    except ImportError:
        raise ImportError(
            'X is the path of a file, which needs pyarrow to be read: pip install "skae[tables]".'
        ) from None
    try:
        if path.is_dir():
            return dataset.dataset(path, format="parquet", partitioning="hive")
        n_columns = len(parquet.read_schema(path))
        size = max(LEAST_BYTES, min(READ_BYTES, ALL_COLUMNS_BYTES // max(1, n_columns)))
        return parquet.ParquetFile(path, buffer_size=size, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        why = str(error).partition("\n")[0].rstrip(".")
        raise ValueError(f"X is the path {str(path)!r}, which cannot be read as Parquet: {why}.") from None


def _table(X: Any, schema: Any, parts: Callable[[Any, list[str]], list[Part]]) -> Outside:
    names, header = _header(schema)
    dtype = _dtype([schema.field(name) for name in names])
    as_columns = partial(_columns, names=names, dtype=dtype)
    found = Outside(
        [Part(part.n_rows, partial(_converted, part.blocks, as_columns)) for part in parts(X, names)],
        len(names),
        dtype,
        header,
    )
    if not all(found.shape):
        kind = "0 sample(s)" if names else "0 feature(s)"
        raise ValueError(f"Found array with {kind} (shape={found.shape}) while a minimum of 1 is required.")
    return found


def _header(schema: Any) -> tuple[list[str], Any]:
    """Names of the columns without the index of a pandas frame, and an empty table with these columns.

    The names are missing in the empty table, if they were no texts in the pandas frame.
    """
    told = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    index = [name for name in told.get("index_columns", ()) if isinstance(name, str)]
    names = [name for name in schema.names if name not in index]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise ValueError(f"X has several columns named {twice!r}: rename or drop them.")
    kinds = {of.get("pandas_type") for of in told.get("column_indexes", ())}
    if kinds - {"unicode", "empty"}:
        return names, np.empty((0, len(names)))
    import pyarrow as pa

    return names, pa.schema([(name, pa.float32()) for name in names]).empty_table()


def _dtype(fields: list[Any]) -> np.dtype:
    """float32 if numpy finds it for all columns together, and otherwise float64, as scikit-learn does for frames."""
    import pyarrow as pa

    of, found = pa.types, set()
    for field in fields:
        kind = field.type
        if of.is_temporal(kind):
            raise ValueError(f"Input X contains dates or times in column {field.name!r}, of type {kind}: {NO_DATES}.")
        if of.is_decimal(kind):
            found.add(np.dtype(np.float64))
        elif of.is_integer(kind) or of.is_floating(kind) or of.is_boolean(kind):
            found.add(np.dtype(kind.to_pandas_dtype()))
        elif not of.is_null(kind):
            raise ValueError(
                f"Column {field.name!r} of X is of type {kind} and not of numbers: encode it, drop it, or use "
                "TableAutoencoder."
            )
    common = np.result_type(*found) if found else np.float32
    return np.dtype(np.float32 if common == np.float32 else np.float64)


def _converted(
    blocks: Callable[[], Iterator[Any]], as_columns: Callable[[Any], Columns]
) -> Iterator[tuple[int, Callable[[], Columns]]]:
    for batch in blocks():
        yield batch.num_rows, partial(as_columns, batch)


def _columns(batch: Any, names: list[str], dtype: np.dtype) -> Columns:
    """The columns of a record batch as arrays, with NaN for missing entries."""
    import pyarrow as pa

    kind = pa.from_numpy_dtype(dtype)
    columns = (batch.column(batch.schema.get_field_index(name)) for name in names)
    same = (column if column.type == kind else column.cast(kind, safe=False) for column in columns)
    return [column.to_numpy(zero_copy_only=False) for column in same]


def _parts_of_file(file: Any, names: list[str]) -> list[Part]:
    size = block_rows(len(names))
    read = partial(file.iter_batches, batch_size=size, columns=names, use_threads=False)
    counts = (file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups))
    return [Part(count, partial(read, row_groups=[group])) for group, count in enumerate(counts)]


def _parts_of_dataset(dataset: Any, names: list[str]) -> list[Part]:
    """The row groups of all files, or the files if their format has no such groups."""
    try:
        pieces = [piece for file in dataset.get_fragments() for piece in _pieces(file)]
        options: dict[str, Any] = {"schema": dataset.schema}
    except ValueError:  # a data set of only some rows of its files does not tell which
        pieces, options = [(dataset, dataset.count_rows())], {}
    options |= {"columns": names, "batch_size": block_rows(len(names)), "use_threads": False, "batch_readahead": 1}
    return [Part(count, partial(piece.to_batches, **options)) for piece, count in pieces]


def _pieces(file: Any) -> list[tuple[Any, int]]:
    """The row groups of a file with their numbers of rows. A file of another format is one piece."""
    if not hasattr(file, "split_by_row_group"):
        return [(file, file.count_rows())]
    pieces = file.split_by_row_group()
    return [(piece, sum(group.num_rows for group in piece.row_groups)) for piece in pieces]


def _parts_of_table(table: Any, names: list[str]) -> list[Part]:
    size = block_rows(len(names))
    starts = range(0, table.num_rows, size)
    cuts = (table.slice(start, size) for start in starts)
    return [Part(cut.num_rows, partial(cut.to_batches, max_chunksize=size)) for cut in cuts]
