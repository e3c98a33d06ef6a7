"""Tables on disk: what is read from them, and what is said of those that cannot be."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from skae.tables import BUNDLED, load

ROWS = [[1.5, 2.0, 3.0], [4.0, 5.5, 6.0], [7.0, 8.0, 9.5]]


@pytest.fixture
def write(tmp_path):
    def to_file(name, text):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return to_file


@pytest.fixture
def save(tmp_path):
    def to_file(name, *arrays, **named):
        path = tmp_path / name
        np.savez(path, **named) if path.suffix == ".npz" else np.save(path, *arrays)
        return str(path)

    return to_file


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
        with pytest.raises(ValueError, match=r"^Column '[01]' has 1 missing value: impute or drop them.$"):
            load(path)


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
    with pytest.raises(ValueError, match=r"which has 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, \.\.\.\.$"):
        load(path, "y")


def test_a_target_alone_is_refused(write):
    with pytest.raises(ValueError, match=r"^'a' has no column beside the target.$"):
        load(write("a.csv", "y\n1\n2\n"), "y")


# -------------------------------------------------------------------- columns that are refused


@pytest.mark.parametrize(("gap", "x"), [("", "1"), ("NA", "1"), ("?", "1"), ("?", "red"), ("", "red")])
@pytest.mark.parametrize("target", [None, "x"])
def test_missing_values_are_refused_with_their_column_and_number(gap, x, target, write):
    path = write("a.csv", f"w,x,z\n1,{x},2\n2,{gap},3\n3,{gap},4\n")
    with pytest.raises(ValueError, match=r"^Column 'x' has 2 missing values: impute or drop them.$"):
        load(path, target)


def test_a_missing_value_is_counted_as_one(write):
    with pytest.raises(ValueError, match=r"^Column 'x' has 1 missing value: impute"):
        load(write("a.csv", "x,z\n1,2\n,3\n"))


@pytest.mark.parametrize("value", ["inf", "-inf"])
def test_infinite_values_are_refused_with_their_column(value, write, save):
    with pytest.raises(ValueError, match=r"^Column 'x' has infinite values: replace them.$"):
        load(write("a.csv", f"w,x\n1,2\n3,{value}\n"))
    with pytest.raises(ValueError, match=r"^Column '1' has infinite values: replace them.$"):
        load(save("a.npy", np.array([[1.0, 2.0], [3.0, float(value)]])))


def test_free_text_is_refused_with_its_column_and_an_example(write):
    rows = "".join(f"{i},letter no. {i}\n" for i in range(60))
    with pytest.raises(
        ValueError, match=r"^Column 'text' can be .* \(60 different texts in 60 rows, such as 'letter no. 0'\)"
    ):
        load(write("a.csv", "x,text\n" + rows))


def test_a_column_of_numbers_with_a_slip_shows_the_slip(write):
    rows = "".join(f"{i},{i}.5\n" for i in range(60))
    with pytest.raises(ValueError, match=r"^Column 'y' can be .* such as '1,5'\): clean it, drop it or encode it\.$"):
        load(write("a.csv", "x,y\n" + rows + '60,"1,5"\n'))


def test_fifty_categories_are_no_free_text(write):
    rows = "".join(f"{i},c{i}\n" for i in range(50))
    assert load(write("a.csv", "x,text\n" + rows)).X.shape == (50, 51)
    rows = "".join(f"{i},c{i % 60}\n" for i in range(180))
    assert load(write("a.csv", "x,text\n" + rows)).X.shape == (180, 61)


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


def test_missing_values_of_parquet_are_refused(tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "kind": pd.Categorical([None, "x"])})
    frame.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"^Column 'kind' has 1 missing value"):
        load(str(tmp_path / "a.parquet"))


# -------------------------------------------------------------------- npy and npz


def test_an_npy_of_two_dimensions_is_a_table(save):
    data = load(save("a.npy", np.array(ROWS)))
    np.testing.assert_array_equal(data.X, ROWS)
    assert (data.y, data.name, data.feature_names, data.image_shape) == (None, "a", ["0", "1", "2"], None)


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.float32])
def test_an_npy_of_three_dimensions_is_of_pictures(dtype, save):
    pictures = np.random.default_rng(0).integers(0, 2, (4, 3, 5)).astype(dtype)
    data = load(save("a.npy", pictures))
    assert data.image_shape == (3, 5)
    assert data.X.dtype == float
    np.testing.assert_array_equal(data.X.reshape(4, 3, 5), pictures)


def test_pictures_without_one_pixel_are_no_pictures(save):
    data = load(save("a.npy", np.arange(60.0).reshape(4, 3, 5)), "0")
    assert data.image_shape is None
    assert data.X.shape == (4, 14)


def test_a_column_of_an_npy_may_be_the_target(save):
    data = load(save("a.npy", np.array(ROWS)), "-1")
    np.testing.assert_array_equal(data.y, [3.0, 6.0, 9.5])
    np.testing.assert_array_equal(data.X, np.array(ROWS)[:, :2])
    assert data.feature_names == ["0", "1"]


@pytest.mark.parametrize("table", ["X", "data", "images", "anything"])
@pytest.mark.parametrize("target", ["y", "target", "labels"])
def test_the_arrays_of_an_npz_go_by_their_names(table, target, save):
    data = load(save("a.npz", **{target: np.array([0, 1, 0]), table: np.array(ROWS)}))
    np.testing.assert_array_equal(data.X, ROWS)
    np.testing.assert_array_equal(data.y, [0, 1, 0])


def test_the_best_known_name_is_the_table(save):
    data = load(save("a.npz", other=np.zeros((3, 2)), X=np.array(ROWS)))
    np.testing.assert_array_equal(data.X, ROWS)


def test_a_target_may_be_another_array_or_a_column(save):
    path = save("a.npz", X=np.array(ROWS), sex=np.array(["f", "m", "f"]), y=np.array([1, 2, 3]))
    assert load(path, "sex").y.tolist() == ["f", "m", "f"]
    assert load(path).y.tolist() == [1, 2, 3]
    data = load(path, "0")
    assert data.y.tolist() == [1.5, 4.0, 7.0]
    assert data.X.shape == (3, 2)


def test_a_target_of_one_column_becomes_flat(save):
    assert load(save("a.npz", X=np.array(ROWS), y=np.array([[1], [2], [1]]))).y.tolist() == [1, 2, 1]


def test_an_npz_without_a_target_has_none(save):
    assert load(save("a.npz", images=np.zeros((4, 2, 3)))).y is None


def test_missing_values_of_arrays_are_refused(save):
    with pytest.raises(ValueError, match=r"^Column '1' has 2 missing values: impute or drop them.$"):
        load(save("a.npy", np.array([[1.0, np.nan], [2.0, np.nan], [3.0, 1.0]])))


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.arange(3.0), "holds no table: none of its arrays has rows and columns of numbers.$"),
        (np.float64(1), "holds no table"),
        (np.zeros((0, 3)), "holds no table"),
        (np.array([["a", "b"]] * 3), "holds <U1, not numbers.$"),
        (np.ones((3, 2), complex), "holds complex128, not numbers.$"),
        (np.array([[1, None]] * 3), "^Cannot read '.*' as arrays of numbers: Object arrays cannot be loaded"),
    ],
)
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_arrays_that_are_no_numbers_are_refused(kind, array, sentence, save):
    with pytest.raises(ValueError, match=sentence):
        load(save("a.npy", array) if kind == "npy" else save("a.npz", X=array))


def test_a_target_that_is_not_there_lists_the_columns_of_an_npz(save):
    with pytest.raises(ValueError, match=r"^There is no column 'sex' in '.*a.npz', which has 0, 1, 2\.$"):
        load(save("a.npz", X=np.array(ROWS)), "sex")


# -------------------------------------------------------------------- files that cannot be read


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.parquet"])
@pytest.mark.parametrize(
    "content", [b"", b"neither this nor that", b"PK\x03\x04 half an archive", b"\x93NUMPY\x01\x00v"]
)
def test_corrupt_files_are_refused(name, content, write):
    with pytest.raises(ValueError, match=rf"^Cannot read '.*{name}' as (a table|arrays of numbers): [^\n]+$"):
        load(write(name, content))


def test_a_pickle_is_not_opened(write):
    import pickle

    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("was opened",))

    with pytest.raises(ValueError, match=r"^Cannot read '.*a.npy' as arrays of numbers"):
        load(write("a.npy", pickle.dumps(Trap())))


def test_an_archive_cut_short_is_refused(save, write):
    path = save("whole.npz", X=np.random.default_rng(0).normal(size=(50, 20)))
    with open(path, "rb") as file:  # noqa: PTH123
        content = file.read()
    with pytest.raises(ValueError, match=r"^Cannot read '.*a.npz' as arrays of numbers"):
        load(write("a.npz", content[: len(content) // 2]))
    damaged = bytearray(content)
    damaged[2000:2100] = bytes(100)
    with pytest.raises(ValueError, match=r"^Cannot read '.*b.npz' as arrays of numbers"):
        load(write("b.npz", bytes(damaged)))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "^Cannot read '.*a.csv' as a table: No columns to parse from file$"),
        (b"\n\n", "^Cannot read '.*a.csv' as a table: No columns to parse from file$"),
        (b"a,b\n", "^'.*a.csv' holds no rows.$"),
        (b"a,b\n1,2\n3,4,5,6\n", "^Cannot read '.*a.csv' as a table: Error tokenizing data. .* line 3"),
        (b"a,b\n1,\xff\xfe\n", "^Cannot read '.*a.csv' as a table: 'utf-8' codec can't decode"),
    ],
)
def test_texts_that_are_no_tables_are_refused(content, sentence, write):
    with pytest.raises(ValueError, match=sentence) as raised:
        load(write("a.csv", content))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["nowhere.csv", "", ".", "Iris"])
def test_a_file_that_is_not_there_lists_the_bundled_sets(name, tmp_path):
    source = str(tmp_path / name) if name else str(tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"^There is no file '.*', and no bundled data .*: breast_cancer, .*, wine\.$"
    ):
        load(source)


@pytest.mark.parametrize("name", ["a.xlsx", "a.json", "a", "a.csv.gz", "iris"])
def test_another_ending_lists_those_that_can_be_read(name, write):
    sentence = r"^Cannot read '.*': its ending is none of .csv, .tsv, .txt, .data, .parquet, .npy, .npz\.$"
    with pytest.raises(ValueError, match=sentence):
        load(write(name, "x"))


def test_without_pandas_it_is_told_how_to_get_it(write, save, monkeypatch):
    table, array = write("a.csv", lines(ROWS)), save("a.npy", np.array(ROWS))
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'^Reading .csv files needs pandas: pip install "skae\[plot\]"\.$'):
        load(table)
    np.testing.assert_array_equal(load(array).X, ROWS)
    assert load("iris").X.shape == (150, 4)
