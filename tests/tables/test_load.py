"""Tables on disk: what is read from them, and what is said of those that cannot be."""

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from skae.tables import BUNDLED, load

ROWS = [[1.5, 2.0, 3.0], [4.0, 5.5, 6.0], [7.0, 8.0, 9.5]]


def lines(rows, mark=",", header=None):
    return "\n".join(mark.join(str(value) for value in row) for row in ([header] if header else []) + rows) + "\n"


# -------------------------------------------------------------------- bundled


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_set_is_loaded_as_scikit_learn_has_it(name):
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    data = load(name)
    np.testing.assert_array_equal(data.X, X)
    np.testing.assert_array_equal(data.y, y)
    assert data.X.dtype == float
    assert len(data.feature_names) == X.shape[1]
    assert data.name == name
    assert data.image_shape == ((8, 8) if name == "digits" else None)


def test_a_bundled_set_has_its_own_target():
    with pytest.raises(ValueError, match=r"^The bundled set 'iris' has its own target: leave --target out.$"):
        load("iris", "0")


# -------------------------------------------------------------------- text


@pytest.mark.parametrize(
    ("name", "mark"),
    [("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t"), ("a.txt", " "), ("a.data", ", "), ("A.CSV", ",")],
)
@pytest.mark.parametrize("header", [None, ["length", "width", "height"]])
def test_tables_of_text_are_read_with_any_separator_and_header(name, mark, header, write):
    data = load(write(name, lines(ROWS, mark, header)))
    np.testing.assert_array_equal(data.X, ROWS)
    assert data.feature_names == (header or ["0", "1", "2"])
    assert data.name == name[:-4] or name == "a.data"
    assert data.y is None
    assert data.image_shape is None


@pytest.mark.parametrize("first", ["-1e3,2.5,.5", "1,,3", "?,1,2", "nan,1,2"])
def test_a_first_line_of_numbers_and_gaps_is_data(first, write):
    path = write("a.csv", first + "\n1,2,3\n4,5,6\n")
    if first.startswith("-"):
        np.testing.assert_array_equal(load(path).X[0], [-1000, 2.5, 0.5])
        assert len(load(path).X) == 3
    else:
        data = load(path)
        assert len(data.X) == 3
        assert np.isnan(data.X).sum() == 1
        assert np.isnan(data.X[0]).any()


def test_a_first_line_that_counts_columns_is_a_header(tmp_path):
    pd.DataFrame(ROWS).to_csv(tmp_path / "a.csv", index=False)
    np.testing.assert_array_equal(load(str(tmp_path / "a.csv")).X, ROWS)


def test_a_byte_order_mark_is_no_header(write):
    np.testing.assert_array_equal(load(write("a.csv", "\ufeff" + lines(ROWS))).X, ROWS)


def test_quoted_texts_may_hold_separators(write):
    path = write("a.csv", '"size; of it","kind, or so"\n1,"red, dark"\n2,"blue"\n3,"red, dark"\n')
    data = load(path)
    assert data.feature_names == ["size; of it", "kind, or so_blue", "kind, or so_red, dark"]
    np.testing.assert_array_equal(data.X, [[1, 0, 1], [2, 1, 0], [3, 0, 1]])


def test_texts_and_truth_values_become_columns_of_zeros_and_ones(write):
    path = write("a.csv", "kind,x,flag\nb,1,True\na,2,False\nb,3,False\n")
    data = load(path)
    assert data.feature_names == ["x", "kind_a", "kind_b", "flag_False", "flag_True"]
    np.testing.assert_array_equal(data.X, [[1, 0, 1, 0, 1], [2, 1, 0, 1, 0], [3, 0, 1, 1, 0]])
    assert data.X.dtype == float


# -------------------------------------------------------------------- targets


@pytest.mark.parametrize(("target", "column"), [("width", 1), ("0", 0), ("2", 2), ("-1", 2), ("-3", 0)])
def test_a_target_is_found_by_name_or_number(target, column, write):
    header = ["length", "width", "height"]
    data = load(write("a.csv", lines(ROWS, header=header)), target)
    np.testing.assert_array_equal(data.y, np.array(ROWS)[:, column])
    np.testing.assert_array_equal(data.X, np.delete(ROWS, column, axis=1))
    assert data.feature_names == [name for i, name in enumerate(header) if i != column]


def test_a_name_goes_before_a_number(write):
    data = load(write("a.csv", lines(ROWS, header=["2", "x", "0"])), "0")
    np.testing.assert_array_equal(data.y, [3.0, 6.0, 9.5])


def test_columns_without_names_are_found_by_number(write):
    path = write("a.csv", lines(ROWS))
    np.testing.assert_array_equal(load(path, "1").y, [2.0, 5.5, 8.0])
    np.testing.assert_array_equal(load(path, "-1").y, [3.0, 6.0, 9.5])


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["yes", "no", "yes"], ["yes", "no", "yes"]),
        (["True", "False", "True"], ["True", "False", "True"]),
        (["3", "1", "3"], [3, 1, 3]),
        (["0.5", "1", "2"], [0.5, 1.0, 2.0]),
    ],
)
def test_a_target_is_of_texts_whole_or_real_numbers(texts, expected, write):
    y = load(write("a.csv", "x,y\n" + "".join(f"{i},{text}\n" for i, text in enumerate(texts))), "y").y
    assert y.tolist() == expected
    assert y.dtype.kind == np.array(expected).dtype.kind


def test_a_target_of_many_texts_is_taken(write):
    rows = "".join(f"{i},name{i}\n" for i in range(60))
    assert len(set(load(write("a.csv", "x,y\n" + rows), "y").y)) == 60


@pytest.mark.parametrize("target", ["colour", "3", "-4", "--1", "1.0", "", "²"])
def test_a_target_that_is_not_there_lists_the_columns(target, write):
    path = write("a.csv", lines(ROWS, header=["length", "width", "height"]))
    with pytest.raises(ValueError, match=rf"^There is no column {target!r} in 'a', which has length, width, height\.$"):
        load(path, target)


def test_only_the_first_ten_columns_are_listed(write):
    path = write("a.csv", lines([list(range(10, 22))] * 3))
    with pytest.raises(ValueError, match=r"which has 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more\.$"):
        load(path, "y")


def test_a_target_alone_is_refused(write):
    with pytest.raises(ValueError, match=r"^'a' has no column beside the target.$"):
        load(write("a.csv", "y\n1\n2\n"), "y")


# -------------------------------------------------------------------- columns that are refused


@pytest.mark.parametrize("value", ["inf", "-inf"])
def test_infinite_values_are_refused_with_their_column(value, write, save):
    cure = r"replace them, or leave the column out with --drop COLUMN\."
    with pytest.raises(ValueError, match=rf"^Column 'x' has infinite values \({value} in line 3\): {cure}$"):
        load(write("a.csv", f"w,x\n1,2\n3,{value}\n"))
    with pytest.raises(ValueError, match=rf"^Column '1' has infinite values \({value} in row 2\): {cure}$"):
        load(save("a.npy", np.array([[1.0, 2.0], [3.0, float(value)]])))


def test_free_text_is_refused_with_its_column_and_an_example(write):
    rows = "".join(f"{i % 7},letter no. {i // 2}\n" for i in range(109))
    with pytest.raises(ValueError, match=r"^Column 'text' has too many .* \(55 in 109 rows, such as 'letter no. 0'\)"):
        load(write("a.csv", "x,text\n" + rows))


def test_fifty_categories_are_no_free_text(write):
    rows = "".join(f"{i % 7},c{i % 50}\n" for i in range(51))
    data = load(write("a.csv", "x,text\n" + rows))
    assert data.X.shape == (51, 51)
    assert data.notes == []


def test_many_categories_are_told(write):
    rows = "".join(f"{i % 7},c{i % 60}\n" for i in range(180))
    data = load(write("a.csv", "x,text\n" + rows))
    assert data.X.shape == (180, 61)
    assert data.notes == ["Column 'text' becomes 60 columns, one for each of its texts: --drop COLUMN leaves it out."]


# -------------------------------------------------------------------- parquet


def test_parquet_keeps_its_types(tmp_path):
    frame = pd.DataFrame(
        {
            "number": [1, 2, 3],
            "kind": pd.Categorical(["b", "a", "b"], categories=["a", "b", "unused"]),
            "flag": [True, False, True],
            "nullable": pd.array([1, 2, 3], dtype="Int64"),
            "y": pd.array([5, 6, 5], dtype="Int64"),
        }
    )
    frame.to_parquet(tmp_path / "a.parquet")
    data = load(str(tmp_path / "a.parquet"), "y")
    assert data.y.tolist() == [5, 6, 5]
    assert data.y.dtype.kind == "i"
    found = dict(zip(data.feature_names, data.X.T.tolist(), strict=True))
    assert found == {
        "number": [1, 2, 3],
        "nullable": [1, 2, 3],
        "kind_a": [0, 1, 0],
        "kind_b": [1, 0, 1],
        "kind_unused": [0, 0, 0],
        "flag_False": [0, 1, 0],
        "flag_True": [1, 0, 1],
    }
    assert load(str(tmp_path / "a.parquet"), "kind").y.tolist() == ["b", "a", "b"]


def test_dates_that_are_texts_in_parquet_are_dates(tmp_path):
    frame = pd.DataFrame({"day": ["1970-01-03", None, "1970-01-05", "1970-01-03 12:00"], "size": ["1", "2", "1", "1"]})
    frame.to_parquet(tmp_path / "a.parquet")
    data = load(str(tmp_path / "a.parquet"))
    assert data.feature_names == ["day", "size_1", "size_2"]  # numbers that are texts are texts
    np.testing.assert_array_equal(data.X[:, 0], [2, np.nan, 4, 2.5])
    assert data.notes[0] == "Dates are read as days since 1970: 'day'."


def test_rows_without_a_value_are_left_out(tmp_path, write):
    data = load(write("a.csv", "a,b,y\n1,x,0\n,,1\n3,,0\n"), "y")
    np.testing.assert_array_equal(data.X, [[1, 1], [3, np.nan]])
    assert data.y.tolist() == [0, 0]
    assert data.notes[-1] == "1 row without a value beside the target left out: line 3."
    np.save(tmp_path / "a.npy", [[np.nan, np.nan], [1, np.nan], [2, 3], [np.nan, np.nan]])
    data = load(str(tmp_path / "a.npy"))
    np.testing.assert_array_equal(data.X, [[1, np.nan], [2, 3]])
    assert data.notes[-1] == "2 rows without a value left out: row 1, row 4."


def test_missing_values_of_parquet_stay_and_are_told(tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "kind": pd.Categorical([None, "x"])})
    frame.to_parquet(tmp_path / "a.parquet")
    data = load(str(tmp_path / "a.parquet"))
    assert data.feature_names == ["a", "kind_x"]
    np.testing.assert_array_equal(data.X, [[1, np.nan], [2, 1]])
    assert data.notes == ["1 missing value in 'kind'."]
