"""load(): a table from a file or from scikit-learn, as numbers and a target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ._dataset import Dataset
from ._files import PACKED
from ._matrix import from_matrix, read_arrays
from ._options import Options
from ._parquet import read_parquet
from ._text import read_text
from ._words import quoted, quoted_path

__all__ = ["BUNDLED", "load"]

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")
TEXTS = (".csv", ".tsv", ".tab", ".txt", ".data", ".dat")
ARRAYS = (".npy", ".npz")


def load(
    path: str,
    target: str | None = None,
    *,
    drop: Sequence[str] = (),
    impute: bool = False,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    dates: str = "numbers",
) -> Dataset:
    r"""Read a bundled data set, or a file of text, of arrays or of Parquet.

    Parameters
    ----------
    path : str
        A name in ``BUNDLED``, or a path. Files of text end with .csv, .tsv, .tab, .txt, .data or .dat, and may be
        compressed: .gz, .bz2, .xz, or a .zip with one file in it. The others end with .npy, .npz or .parquet.
    target : str or None, default=None
        Name or number of the column to predict. In an .npz file it may be the name of an array. None looks for an array
        "y", "target" or "labels" in an .npz file. Bundled sets have their own targets.
    drop : sequence of str, default=()
        Names or numbers of columns to leave out. Numbers count the columns of the file from 0, or from -1 backwards.
    impute : bool, default=False
        Fill missing values: with the median in columns of numbers and dates, and with a category of its own in columns
        of text. Otherwise they are NaN, in all columns of a text. A target is never filled.
    separator : str or None, default=None
        The character between the columns, where "\t" is a tab and " " any number of blanks. None takes the one of tab,
        semicolon, bar, comma and blank that divides the first rows evenly.
    decimal : {".", ","} or None, default=None
        The decimal mark. None takes the one that the column shows, or else the other columns. The other of the two is
        then a thousands separator.
    encoding : str or None, default=None
        Name of a codec. None reads a byte order mark, and takes files without one as UTF-8.
    dates : {"numbers", "refuse"}, default="numbers"
        "numbers" reads dates as days since 1970.

    Returns
    -------
    data : Dataset
        Columns of texts, categories and truth values are one-hot encoded. An array with three dimensions holds images,
        one per row. Columns without values, indices and identifiers are left out. ``notes`` says so.

    Raises
    ------
    ValueError, OSError, ImportError
        If the file, the target or a column to drop does not exist, if the file cannot be read, or if a package for it
        is not installed. Also if the target has missing values, or if columns have cells that do not fit in, infinite
        values, too many texts, or dates that are refused: one message names all of these columns, and the options that
        help.

    Notes
    -----
    A first row of words above columns of numbers is a header. So is a first row of texts that do not come again below.
    Currency and percent signs are read over, and thousands separators too. Of a column of numbers, a cell without a
    letter or a digit, such as "-", is missing. Rows without any value are not counted as rows.
    """
    drop = (drop,) if isinstance(drop, str) else tuple(drop)
    separator = "\t" if separator == "\\t" else separator
    options = Options(target, drop, impute, separator, decimal, encoding, dates)
    if path in BUNDLED:
        return _bundled(path, options)
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(
            f"There is no file {quoted_path(path)}, and no bundled data set of that name: {', '.join(BUNDLED)}."
        )
    ending = file.suffix.lower()
    if ending in (*TEXTS, *PACKED):
        return read_text(file, options)
    if separator or decimal or encoding:
        raise ValueError(f"--separator, --decimal and --encoding are for files of text, unlike {quoted_path(path)}.")
    if ending in ARRAYS:
        return read_arrays(file, options)
    if ending == ".parquet":
        return read_parquet(file, options)
    known = ", ".join([*TEXTS, *PACKED, *ARRAYS, ".parquet"])
    raise ValueError(f"Cannot read {quoted_path(path)}: its ending is none of {known}.")


def _bundled(name: str, options: Options) -> Dataset:
    from sklearn import datasets

    if options.target is not None:
        raise ValueError(f"The bundled set {quoted(name)} has its own target: leave --target out.")
    bunch = getattr(datasets, f"load_{name}")()
    shape = bunch.images.shape[1:] if name == "digits" else None
    y = np.asarray(bunch.target)
    return from_matrix(np.asarray(bunch.data, float), y, name, list(bunch.feature_names), shape, options)
