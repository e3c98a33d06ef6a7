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

__all__ = ["named_rows", "names_of", "outside"]

READ_BYTES = 2**17
"""Size of the pieces in which a column of a file is read."""
ALL_COLUMNS_BYTES = 2**26
"""Size of these pieces of all columns together, if there are very many."""
LEAST_BYTES = 2**12

Blocks = Callable[[], Iterator[Any]]
"""Starts to read a part, and yields record batches."""


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


def names_of(X: Any) -> Any:
    """Names of the columns of a frame, an Arrow table or a file. None if there are none."""
    if (table := outside(X)) is None:
        return getattr(X, "columns", None)
    return getattr(table.header, "column_names", None)


def named_rows(table: Outside, rows: np.ndarray) -> Any:
    """Rows by their numbers, as an Arrow table if the columns have names, and otherwise as an array."""
    found, header = table[rows], table.header
    if isinstance(header, np.ndarray):
        return found
    import pyarrow as pa

    return pa.table(dict(zip(header.column_names, found.T, strict=True)))


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
        return _read_by_pieces(path, len(parquet.read_schema(path)))
    except (pa.ArrowException, OSError) as error:
        why = str(error).partition("\n")[0].rstrip(".")
        raise ValueError(
            f"X is the path {str(path)!r}, which cannot be read as Parquet: {why}. Read other files first, for example "
            "with pandas.read_csv."
        ) from None


def _table(X: Any, schema: Any, parts: Callable[[Any, list[str]], list[Any]]) -> Outside:
    """X with the rows of its parts: the number of rows of each, what reads it, and constants that come with it."""
    names, header = _header(schema)
    dtype = _dtype([schema.field(name) for name in names])
    as_columns = partial(_columns, names=names, dtype=dtype)
    cut = [
        Part(count, partial(_converted, blocks, partial(as_columns, constants=told[0] if told else {})))
        for count, blocks, *told in parts(X, names)
    ]
    found = Outside(cut, len(names), dtype, header)
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
    if kinds - {"unicode", "string", "empty"}:
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


def _converted(blocks: Blocks, as_columns: Callable[[Any], Columns]) -> Iterator[tuple[int, Callable[[], Columns]]]:
    for batch in blocks():
        yield batch.num_rows, partial(as_columns, batch)


def _columns(batch: Any, names: list[str], dtype: np.dtype, constants: dict[str, Any]) -> Columns:
    """The columns of a record batch as arrays, with NaN for missing entries.

    A column that a file lacks has the same value in all its rows: that in the name of its folder, or NaN.
    """
    import pyarrow as pa

    kind, places = pa.from_numpy_dtype(dtype), {name: k for k, name in enumerate(batch.schema.names)}

    def read(name: str) -> np.ndarray:
        if name not in places:
            return np.full(batch.num_rows, constants.get(name, np.nan), dtype)
        column = batch.column(places[name])
        column = column if column.type == kind else column.cast(kind, safe=False)
        values: np.ndarray = column.to_numpy(zero_copy_only=False)
        return values

    return [read(name) for name in names]


# ---------------------------------------------------------------- parts


def _parts_of_file(file: Any, names: list[str]) -> list[tuple[int, Blocks]]:
    counts = (file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups))
    return [(count, partial(_row_group, lambda: file, group, names)) for group, count in enumerate(counts)]


def _row_group(opened: Callable[[], Any], group: int, names: list[str]) -> Iterator[Any]:
    file = opened()
    present = [name for name in names if name in file.schema_arrow.names]
    batches: Iterator[Any] = file.iter_batches(block_rows(len(names)), [group], columns=present, use_threads=False)
    return batches


def _parts_of_dataset(dataset: Any, names: list[str]) -> list[Any]:
    """The row groups of all files, or whole files if their format has no such groups."""
    from pyarrow.dataset import ParquetFileFragment, get_partition_keys

    parts: list[Any] = []
    for piece in _fragments(dataset):
        if isinstance(piece, ParquetFileFragment):  # Arrow itself would hold a row group as a whole
            told = get_partition_keys(piece.partition_expression)
            opened = partial(_opened, piece, len(names))
            parts += [(g.num_rows, partial(_row_group, opened, g.id, names), told) for g in piece.row_groups]
        else:
            read = partial(piece.to_batches, columns=names, batch_size=block_rows(len(names)), use_threads=False)
            parts.append((piece.count_rows(), partial(read, batch_readahead=1)))
    return parts


def _fragments(dataset: Any) -> list[Any]:
    try:
        return list(dataset.get_fragments())
    except ValueError:  # a data set of only some rows of its files does not tell which
        return [dataset]


def _opened(piece: Any, n_columns: int) -> Any:
    return _read_by_pieces(piece.open(), n_columns)


def _read_by_pieces(source: Any, n_columns: int) -> Any:
    """A Parquet file of which a column is read piece by piece."""
    from pyarrow.parquet import ParquetFile

    size = max(LEAST_BYTES, min(READ_BYTES, ALL_COLUMNS_BYTES // max(1, n_columns)))
    return ParquetFile(source, buffer_size=size, pre_buffer=False)


def _parts_of_table(table: Any, names: list[str]) -> list[tuple[int, Blocks]]:
    size = block_rows(len(names))
    cuts = (table.slice(start, size) for start in range(0, table.num_rows, size))
    return [(cut.num_rows, partial(cut.to_batches, max_chunksize=size)) for cut in cuts]
