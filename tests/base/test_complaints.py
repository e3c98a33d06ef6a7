"""What is no table of numbers is told in one sentence: where, what, and what to do about it."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow
import pytest
import torch
from contract.requirements import refuses
from scipy import sparse
from sklearn.base import clone

from skae import Autoencoder
from skae.base.checks import check_weight
from skae.base.complaints import BLOCK, as_numbers

GOOD = np.arange(12.0).reshape(4, 3) ** 2 % 7
MODEL = Autoencoder(2, hidden_layer_sizes=(4,), max_iter=1, random_state=0)
DAY = datetime.date(2020, 2, 29)
ENCODE = "encode the column (sklearn's OneHotEncoder), take TableAutoencoder, which does it, or drop it."
NO_DATES = (
    "turn dates into numbers, such as days since the first one, take TableAutoencoder, which reads them, or drop them."
)
NO_NUMBER = "the argument must be an array of numbers, or of strings that spell a number."
RESHAPE = "Reshape your data: X.reshape(1, -1) if it is one row, or X.reshape(-1, 1) if it is one column."


def frame(column, **types):
    """Four rows of numbers, and a column named "city"."""
    return pd.DataFrame({"age": [1.0, 2.0, 3.0, 5.0], "city": pd.Series(column, **types)})


def cell(value, row=2, column=1):
    X = GOOD.astype(object)
    X[row, column] = value
    return X


TEXTS = {
    "objects": frame(["Rome", "Oslo", "Rome", "Oslo"], dtype=object),
    "strings": frame(["Rome", "Oslo", "Rome", None], dtype="string"),
    "categories": frame(["Rome", "Oslo", "Rome", "Oslo"], dtype="category"),
    "arrow in pandas": frame(["Rome", "Oslo", "Rome", "Oslo"], dtype="string[pyarrow]"),
    "polars": pl.from_pandas(frame(["Rome", "Oslo", "Rome", "Oslo"])),
    "categories of polars": pl.from_pandas(frame(["Rome", "Oslo", "Rome", "Oslo"], dtype="category")),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_named_with_its_column_and_row(name):
    assert refuses(MODEL, "fit", TEXTS[name]) == f"Input X contains text, 'Rome', in row 0, column 'city': {ENCODE}"


STAMPS = pd.date_range("2020", periods=4)
COLUMNS_OF_DATES = {
    "datetime64[us]": frame(STAMPS.as_unit("us")),
    "datetime64[us, UTC]": frame(STAMPS.as_unit("us").tz_localize("UTC")),
    "timedelta64[us]": frame((STAMPS - STAMPS[0]).as_unit("us")),
    "period[D]": frame(STAMPS.to_period("D")),
    "timestamp[us][pyarrow]": frame(STAMPS, dtype="timestamp[us][pyarrow]"),
    "Date": pl.DataFrame({"age": [1.0, 2.0], "city": [DAY, DAY]}),
    "Duration(time_unit='us')": pl.DataFrame({"age": [1.0], "city": [datetime.timedelta(1)]}),
    "timestamp[us]": pyarrow.table({"city": pyarrow.array([datetime.datetime(2020, 1, 1)])}),
}


@pytest.mark.parametrize("kind", COLUMNS_OF_DATES)
def test_columns_of_dates_are_named_with_their_type(kind):
    """numpy reads some of them as numbers of days or nanoseconds, where no other column is an object."""
    sentence = f"Input X contains dates or times in column 'city', of type {kind}: {NO_DATES}"
    assert refuses(MODEL, "fit", COLUMNS_OF_DATES[kind]) == sentence
    table = COLUMNS_OF_DATES[kind]
    only = table[["city"]] if isinstance(table, pd.DataFrame) else table.select(["city"])
    assert refuses(MODEL, "fit", only) == sentence


@pytest.mark.parametrize("kind", ["datetime64[D]", "timedelta64[h]"])
def test_arrays_of_dates_are_refused(kind):
    sentence = f"Input X contains dates or times, of type {kind}: {NO_DATES}"
    assert refuses(MODEL, "fit", GOOD.astype(int).astype(kind)) == sentence


@pytest.mark.parametrize(
    ("X", "place", "shown"),
    [
        (cell(datetime.datetime(2020, 2, 29)), "row 2, column 1", "'2020-02-29 00:00:00'"),
        (cell(DAY, 0, 2), "row 0, column 2", "'2020-02-29'"),
        (cell(datetime.timedelta(3)), "row 2, column 1", "'3 days, 0:00:00'"),
        ([[1.0, np.datetime64("2020-02-29")]] * 3, "row 0, column 1", "'2020-02-29'"),
        (frame([DAY] * 4, dtype=object), "row 0, column 'city'", "'2020-02-29'"),
        (frame(pd.Categorical(STAMPS))[["city"]], "row 0, column 'city'", "'2020-01-01 00:00:00'"),
    ],
    ids=["datetime", "date", "timedelta", "list", "objects", "categories"],
)
def test_cells_that_are_dates_are_named(X, place, shown):
    assert refuses(MODEL, "fit", X) == f"Input X contains a date or time, {shown}, in {place}: {NO_DATES}"


@pytest.mark.parametrize(
    ("X", "sentence"),
    [
        (cell("a"), "Input X contains text, 'a', in row 2, column 1: correct or impute the cell, or drop it."),
        (cell(b"\x1b[31m"), 'Input X contains text, "b\'\\\\x1b[31m\'", in row 2, column 1: correct or impute'),
        (cell("x" * 99), f"Input X contains text, '{'x' * 35}...', in row 2, column 1: correct"),
        (GOOD.astype(str) + np.array(["", "?", ""]), f"Input X contains text, '1.0?', in row 0, column 1: {ENCODE}"),
        (cell({"a": 1}), f"Input X contains \"{{'a': 1}}\", of type dict, in row 2, column 1: {NO_NUMBER}"),
        (cell([1, 2]), f"Input X contains '[1, 2]', of type list, in row 2, column 1: {NO_NUMBER}"),
        ([[1, 2, [3]]] * 3, f"Input X contains '[3]', of type list, in row 0, column 2: {NO_NUMBER}"),
        (frame([pd.Interval(0, 1)] * 4), "Input X contains '(0, 1]', of type Interval, in row 0, column 'city': the"),
        (cell(1j), "Complex data not supported: pass the real part, or real and imaginary parts side by side."),
        (frame([1j] * 4), "Complex data not supported: pass the real part"),
        (GOOD + 1j, "Complex data not supported: pass the real part"),
        (sparse.csr_array(GOOD + 1j), "Complex data not supported: pass the real part"),
        (torch.ones(2, 2) + 1j, "Complex data not supported: pass the real part"),
        (GOOD[0], f"Expected 2D array, got 1D array instead. {RESHAPE}"),
        (torch.ones(3), f"Expected 2D array, got 1D array instead. {RESHAPE}"),
        (
            pd.Series([1.0, 2.0]),
            "Expected 2D array, got a Series instead: pass a frame of one row, such as frame.iloc[[0]], or of one "
            "column, such as frame[['a']].",
        ),
        (3.0, f"Expected 2D array, got a single number instead. {RESHAPE}"),
        (np.float64(3), f"Expected 2D array, got a single number instead. {RESHAPE}"),
        (GOOD[None], "Found array with dim 3, while dim <= 2 is required: X has shape (1, 4, 3). Flatten what belongs"),
        (torch.ones(2, 2, 2), "Found array with dim 3, while dim <= 2 is required: X has shape (2, 2, 2). Flatten"),
        ([[1, 2, 3], [1, 2, 3], [1, 2]], "The rows of X differ in length: row 0 has 3 cells and row 2 has 2."),
        ([[1, 2], 3], "The rows of X differ in length: row 0 has 2 cells and row 1 has 1."),
        (np.ones((3, 0)), "X has no columns: 0 feature(s) (shape=(3, 0)) while a minimum of 1 is required."),
        (pd.DataFrame(index=range(3)), "X has no columns: 0 feature(s) (shape=(3, 0))"),
        (pd.DataFrame(GOOD, columns=["a", "b", "a"]), "X has several columns named 'a': rename or drop them."),
        (None, "X is None: pass an array or a DataFrame of numbers."),
        ("data.csv", "X is of type str: pass an array or a DataFrame of numbers."),
        ({"a": [1, 2]}, "X is of type dict: pass an array or a DataFrame of numbers."),
        ((row for row in GOOD), f"In chunk 0 of X: Expected 2D array, got 1D array instead. {RESHAPE}"),
    ],
)  # fmt: skip
def test_the_sentence(X, sentence):
    assert refuses(MODEL, "fit", X).startswith(sentence)


SAME = {
    "objects": GOOD.astype(object),
    "strings that spell numbers": GOOD.astype(str),
    "categories of numbers": pd.DataFrame(GOOD).astype("category"),
    "nullable": pd.DataFrame(GOOD, columns=["a", "b", "c"]).astype("Int64"),
    "arrow in pandas": pd.DataFrame(GOOD, columns=["a", "b", "c"]).astype("int64[pyarrow]"),
    "list": GOOD.tolist(),
    "float16": GOOD.astype(np.float16),
}


@pytest.mark.parametrize("name", SAME)
def test_numbers_of_other_types_stay_numbers(name):
    H = clone(MODEL).fit(SAME[name]).transform(SAME[name])
    np.testing.assert_allclose(H, clone(MODEL).fit(GOOD).transform(GOOD), rtol=1e-4)  # another order in memory


def test_a_cell_far_down_is_found():
    X = np.zeros((BLOCK + 5, 2), dtype=object)
    X[BLOCK + 3, 1] = "far"
    assert refuses(MODEL, "fit", X).startswith(f"Input X contains text, 'far', in row {BLOCK + 3}, column 1:")


@pytest.mark.parametrize("method", ["transform", "score_samples", "inverse_transform", "partial_fit"])
def test_every_method_says_so(method):
    fitted = Autoencoder(2, hidden_layer_sizes=(4,), max_iter=1, random_state=0).fit(GOOD)
    assert refuses(fitted, method, cell("Rome")).startswith("Input X contains text, 'Rome', in row 2, column 1:")


def test_codes_that_are_no_numbers_are_named():
    fitted = Autoencoder(2, hidden_layer_sizes=(4,), max_iter=1, random_state=0).fit(GOOD)
    for kind in (np.asarray, torch.tensor):
        for name, value in {"NaN": np.nan, "infinity": -np.inf}.items():
            codes = kind([[1.0, 2.0], [3.0, value]])
            expected = f"Input X contains {name} in row 1, column 1: drop the row."
            assert refuses(fitted, "inverse_transform", codes) == expected


def test_weights_that_are_no_numbers_are_named():
    with pytest.raises(
        ValueError, match="Input sample_weight contains text, 'a', in row 1: correct or impute the cell"
    ):
        check_weight([1, "a", 2], 3)
    with pytest.raises(ValueError, match="Input sample_weight contains dates or times, of type datetime64"):
        check_weight(np.array(["2020-01-01"] * 3, dtype="datetime64[D]"), 3)


def test_an_error_about_numbers_is_passed_on():
    def check(X):
        raise ValueError("X has 3 features, but 2 are expected.")

    with pytest.raises(ValueError, match="3 features, but 2"):
        as_numbers(pd.DataFrame(GOOD, columns=["a", "b", "c"]), check)
