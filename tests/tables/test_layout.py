"""Layouts of files of text, as Excel, R, pandas, numpy and the UCI repository write them."""

import io

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from skae.tables import load

NUMBERS = np.random.default_rng(0).normal(5, 1, (120, 3)).round(3)


def text(rows, mark=","):
    return "".join(mark.join(map(str, row)) + "\n" for row in rows)


# -------------------------------------------------------------------- headers


def test_labels_at_the_end_are_no_header(write):
    X, _ = load_iris(return_X_y=True)
    path = write("iris.data", text([*row, f"Iris-{label}"] for row, label in zip(X, "svr" * 50, strict=True)) + "\n")
    data = load(path, "-1")
    np.testing.assert_array_equal(data.X, X)
    assert data.y.tolist() == [f"Iris-{label}" for label in "svr" * 50]
    assert data.feature_names == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("first", "rows", "is_header"),
    [
        (["p", "x", "s"], [["e", "x", "y"], ["p", "f", "s"], ["e", "x", "s"]], False),
        (["kind", "cap", "class"], [["e", "x", "y"], ["p", "f", "s"], ["e", "x", "s"]], True),
        (["vhigh", "2", "unacc"], [["low", "3", "acc"], ["vhigh", "5more", "unacc"], ["low", "5more", "acc"]], False),
        (["?", "1", "a"], [["2", "3", "a"], ["4", "5", "b"], ["4", "5", "b"]], False),
        (["", "-", "7"], [["2", "3", "8"], ["4", "5", "9"], ["4", "5", "9"]], False),
        (["label", "400", "402"], [["1", "2.5", "3.5"], ["2", "1.5", "3.5"], ["1", "1.5", "2.5"]], True),
        (["country", "1990", "1991"], [["A", "2.5", "3.5"], ["B", "1.5", "3.5"], ["C", "1.5", "2.5"]], True),
        (["0.1", "0.2", "0.3", "0.4", "0.5"], [["1", "7", "3", "9", "0"], ["2", "4", "4", "4", "1"]], True),
        (["1", "2", "3", "4", "5"], [["6", "7", "8", "9", "10"], ["11", "12", "13", "14", "15"]], False),
        (["a", "b", "c"], [["2020-01-31", "1,5", "$3"], ["2020-02-28", "2,5", "$4"]], True),
        (["2020-01-30", "1", "b"], [["2020-01-31", "2", "a"], ["2020-02-28", "3", "b"]], False),
        (["150", "4", "setosa"], [["5.1", "3.5", "0"], ["4.9", "3.0", "1"], ["4.7", "3.2", "0"]], True),
        (["x", "7", "8", "9", "3", "4"], [["1", "2", "4", "3", "5", "6"], ["1", "3", "3", "4", "5", "6"]], False),
    ],
)
def test_the_first_row_is_compared_with_the_others(first, rows, is_header, write):
    rows = [[f"{cell}" for cell in row] for row in rows]
    path = write("a.csv", "".join(";".join(row) + "\n" for row in [first, *rows]))
    data = load(path, drop=["0"], dates="numbers", impute=True)
    assert len(data.X) == len(rows) + (not is_header)


def test_a_header_without_rows_and_a_row_without_header(write):
    with pytest.raises(ValueError, match=r"holds no rows\.$"):
        load(write("a.csv", "a,b\n"))
    np.testing.assert_array_equal(load(write("a.csv", "1,2\n")).X, [[1, 2]])


def test_names_are_distinct_and_of_one_line(write):
    data = load(write("a.csv", 'a,a," b\n(years) ",\n1,2,3,4\n5,6,7,8\n5,6,7,8\n'))
    assert data.feature_names == ["a", "a.1", "b (years)", "3"]
    assert load(write("a.csv", '"b\n(years)",c\n1,2\n3,5\n'), "b (years)").y.tolist() == [1, 3]


# -------------------------------------------------------------------- indices


def test_the_index_that_pandas_writes_is_left_out(write):
    names = pd.DataFrame(NUMBERS, columns=list("abc"))
    data = load(write("a.csv", names.to_csv()))
    np.testing.assert_array_equal(data.X, NUMBERS)
    assert data.feature_names == ["a", "b", "c"]
    assert data.notes == ["Column '0' was left out: it numbers the rows."]
    np.testing.assert_array_equal(load(write("a.csv", names.to_csv(index=False))).X, NUMBERS)
    np.testing.assert_array_equal(load(write("a.csv", pd.DataFrame(NUMBERS).to_csv())).X, NUMBERS)
    np.testing.assert_array_equal(load(write("a.csv", names.iloc[:3].to_csv())).X, NUMBERS[:3])
    np.testing.assert_array_equal(load(write("a.csv", names.iloc[::-3].to_csv())).X, NUMBERS[::-3])
    twice = pd.read_csv(io.StringIO(names.to_csv())).to_csv()
    np.testing.assert_array_equal(load(write("a.csv", twice)).X, NUMBERS)


def test_a_first_column_that_numbers_the_rows_is_left_out_without_a_header(write):
    rows = [[i + 1, *row] for i, row in enumerate(NUMBERS)]
    data = load(write("glass.data", text(rows)), "-1")
    np.testing.assert_array_equal(data.X, NUMBERS[:, :2])
    assert data.feature_names == ["1", "2"]
    assert load(write("a.data", text([[row[1], row[0]] for row in rows]))).X.shape == (120, 2)
    assert load(write("a.data", text(rows[:10]))).X.shape == (10, 4)


def test_a_named_column_that_numbers_the_rows_is_told(write):
    data = load(write("a.csv", text([["t", "x"], *([i, row[0]] for i, row in enumerate(NUMBERS))])))
    assert data.feature_names == ["t", "x"]
    assert data.notes == ["Column 't' numbers the rows: --drop COLUMN leaves it out."]


@pytest.mark.parametrize("name", ["id", "ID", "PassengerId", "customer_id", "Sample ID", "index", "Unnamed: 0"])
def test_numbers_that_identify_the_rows_are_left_out(name, write):
    rows = [[1000 + 37 * i % 997, row[0]] for i, row in enumerate(NUMBERS)]
    data = load(write("a.csv", text([[name, "x"], *rows])))
    assert data.feature_names == ["x"]
    reason = "its values are all different, and its name is that of an identifier"
    assert data.notes == [f"Column '{name}' was left out: {reason}."]
    assert load(write("a.csv", text([[name, "x"], *rows, rows[0]]))).feature_names == [name, "x"]
    assert load(write("a.csv", text([["acid", "x"], *rows]))).feature_names == ["acid", "x"]
    assert load(write("a.csv", text([[name, "x"], *rows])), name).y.tolist() == [row[0] for row in rows]


def test_texts_that_are_all_different_are_left_out(write):
    rows = [[f"Mr. N{i}", row[0]] for i, row in enumerate(NUMBERS)]
    data = load(write("a.csv", text([["name", "x"], *rows])))
    assert data.feature_names == ["x"]
    assert data.notes == ["Column 'name' was left out: its 120 texts are all different, as in an identifier."]
    with pytest.raises(ValueError, match=r"^'a' has no column beside the target\. Column 'name' was left out: its 120"):
        load(write("a.csv", text([["name", "x"], *rows])), "x")


# -------------------------------------------------------------------- R


@pytest.mark.parametrize("mark", [" ", "\t", ",", ";"])
@pytest.mark.parametrize("quote", ['"', ""])
def test_row_names_of_r_are_left_out(mark, quote, write):
    names = ["mpg", "cyl", "am"]
    rows = [["Mazda-RX4", "21", "6", "a"], ["Datsun-710", "22.8", "4", "b"], ["Hornet-4", "21.4", "6", "a"]]
    quoted = [[quote + name + quote for name in names], *([quote + row[0] + quote, *row[1:]] for row in rows)]
    data = load(write("a.txt", text(quoted, mark)), "am")
    np.testing.assert_array_equal(data.X, [[21, 6], [22.8, 4], [21.4, 6]])
    assert data.feature_names == ["mpg", "cyl"]
    assert data.y.tolist() == ["a", "b", "a"]
    assert data.notes == [
        "The header has no name for the first cell of each row, so it is the name of the row and left out."
    ]
    numbered = [quoted[0], *([f'"{i}"', *row[1:]] for i, row in enumerate(rows, 1))]
    np.testing.assert_array_equal(load(write("a.txt", text(numbered, mark)), "am").X, data.X)
    unnamed = [['""', *quoted[0]], *quoted[1:]]
    np.testing.assert_array_equal(load(write("a.txt", text(unnamed, mark)), "am").X, data.X)


def test_a_name_too_few_is_refused_if_the_rows_have_no_names(write):
    with pytest.raises(ValueError, match=r"line 2 has 3 cells, but the header has 2 \(rows of another length: 120\)\."):
        load(write("a.csv", text([["a", "b"], *NUMBERS.tolist()])))


# -------------------------------------------------------------------- separators


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("a (x;y),b\n1,2\n3,5\n", ["a (x;y)", "b"]),
        ("a,b;c\n1,5;2,5\n3,5;4,5\n", ["a,b", "c"]),
        ("a|b, c\n1|2\n3|5\n", ["a", "b, c"]),
        ("a b\tc d\n1\t2\n3\t5\n", ["a b", "c d"]),
        ("  a   b\n  1   2\n 3\t5  \n", ["a", "b"]),
        ("sep=;\na;b\n1;2\n3;5\n", ["a", "b"]),
        ('"sep=|"\r\na|b\r\n1|2\r\n3|5\r\n', ["a", "b"]),
        ("sep=,\na,b;c\n1,5;6\n3,7;8\n", ["a", "b;c_5;6", "b;c_7;8"]),
        ("SEP=\t\na\tb\n1\t2\n3\t5\n", ["a", "b"]),
        ("a,b\r1,2\r3,5\r", ["a", "b"]),
        ("\n\na,b\n\n1,2\n \n3,5\n\n", ["a", "b"]),
        ("# a b\n1 2\n3 5\n", ["a", "b"]),
        ("# made on Monday\n#\na,b\n1,2\n3,5\n", ["a", "b"]),
        ("#a,b\n1,2\n3,5\n", ["a", "b"]),
        ("age\n1\n3\n", ["age"]),
        ("1\n3\n", ["0"]),
        ("city\nNew York\nSan Jose\n", ["city_New York", "city_San Jose"]),
    ],
)
def test_the_separator_divides_all_rows_evenly(content, names, write):
    data = load(write("a.txt", content))
    assert data.feature_names == names
    assert len(data.X) == 2


def test_aligned_numbers_with_a_quoted_name_after_a_tab(write):
    rows = "".join(f'18.{i % 9}   8   307.0      3504.      12.{i % 7}   70\t"chevrolet {i % 4}"\n' for i in range(60))
    data = load(write("auto-mpg.data", rows), "0")
    assert data.X.shape == (60, 5 + 4)
    np.testing.assert_array_equal(data.X[:2, :5], [[8, 307, 3504, 12, 70], [8, 307, 3504, 12.1, 70]])


def test_a_separator_that_is_told_is_taken(write):
    path = write("a.csv", "a,b;c\n1,2;3\n4,5;6\n7,5;6\n")
    assert load(path, separator=";", decimal=",").feature_names == ["a,b", "c"]
    assert load(path, separator=",").feature_names == ["a", "b;c_2;3", "b;c_5;6"]
    assert load(write("a.csv", "a\tb\n1\t2\n3\t5\n"), separator="\\t").feature_names == ["a", "b"]
    assert load(write("a.csv", "a b\n1  2\n3 5\n"), separator=" ").feature_names == ["a", "b"]
    assert load(write("a.csv", "a^b\n1^2\n3^5\n"), separator="^").feature_names == ["a", "b"]


@pytest.mark.parametrize("separator", ["", ";;", '"', "\n", "\\n"])
def test_a_separator_is_one_character(separator, write):
    with pytest.raises(ValueError, match=r"^--separator is one character, such as ; or \\t, and not '.*'\.$"):
        load(write("a.csv", "a\n1\n"), separator=separator)


# -------------------------------------------------------------------- lengths of rows


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a,b\n1,2\n3,4,5\n", "line 3 has 3 cells, but the header has 2."),
        ("a,b\n1,2\n3\n", "line 3 has 1 cell, but the header has 2."),
        ("a,b\n1,2,3\n3,4\n5,6\n", "line 2 has 3 cells, but the header has 2."),
        ("1,2\n3,4\n5,6,\n", "line 3 has 3 cells, but the first row has 2."),
        ('a,b\n1,"two\nlines"\n\n3\n4\n', "line 5 has 1 cell, but the header has 2 (rows of another length: 2)."),
        ("1 2\n3 4\n5 6 7\n", "line 3 has 3 cells, but the first row has 2."),
    ],
)
def test_a_row_of_another_length_is_refused_with_its_line(content, sentence, write):
    cure = "Correct the file, or tell with --separator what is between the columns."
    with pytest.raises(ValueError, match=r"^Cannot read") as raised:
        load(write("a.csv", content))
    assert str(raised.value).endswith(f"a.csv' as a table: {sentence} {cure}")


def test_an_open_quotation_mark_is_refused_with_its_line(write):
    with pytest.raises(ValueError, match=r"as a table: a quotation mark in line 2 is not closed\.$"):
        load(write("a.csv", 'a,b\n1,"x\n2,y\n3,z\n'))
    with pytest.raises(ValueError, match=r"holds no rows\.$"):
        load(write("a.csv", 'a,b"\n'))
    assert load(write("a.csv", 'a,b\n1,5" pipe\n2,y\n')).feature_names == ["a", 'b_5" pipe', "b_y"]


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,2,\n3,5,\n",
        "a,b,\n1,2\n3,5\n",
        "a,b,\n1,2,\n3,5,\n",
        "a,b\n1,2\n3,5\n,\n,\n",
        "a;b\n1;2\n;\n3;5\n",
    ],
)
def test_separators_around_nothing_are_no_cells(content, write):
    data = load(write("a.csv", content))
    np.testing.assert_array_equal(data.X, [[1, 2], [3, 5]])
    assert data.feature_names == ["a", "b"]


# -------------------------------------------------------------------- two readers


@pytest.mark.parametrize("mark", [",", ";", "\t", " "])
@pytest.mark.parametrize("seed", range(5))
def test_the_quick_reader_reads_what_the_careful_one_does(mark, seed, write, monkeypatch):
    rng = np.random.default_rng(seed)
    texts = np.array(["x", '"q, r"', '"a""b"', '5"', '"two\nlines"', " 7 ", '"4"', "é", "-", '"b c"'])
    rows = [[f"{rng.normal():.17g}", f"{i % 5}", *rng.choice(texts, 3)] for i in range(30)]
    path = write("a.csv", text([list("abcde"), *rows], mark))
    quick = load(path)
    monkeypatch.setattr("skae.tables._rows._quickly", lambda *_: None)
    careful = load(path)
    np.testing.assert_array_equal(quick.X, careful.X)
    assert quick.feature_names == careful.feature_names
    np.testing.assert_array_equal(quick.X[:, 0], [float(row[0]) for row in rows])


@pytest.mark.parametrize("decimal", [".", ","])
def test_frames_are_read_to_the_last_bit(decimal, write):
    table = pd.DataFrame(np.random.default_rng(1).normal(size=(300, 4)) * [1, 1e-9, 1e9, 1e200], columns=list("abcd"))
    path = write("a.csv", table.to_csv(sep=";", decimal=decimal, index=False))
    np.testing.assert_array_equal(load(path).X, table.to_numpy())


@pytest.mark.parametrize("header", ["2019,2020,2021", "1,2,3"])
def test_whole_numbers_that_count_columns_of_fractions_are_names(header, write):
    rows = "\n".join(f"{i}.5,{i}.25,{i}.125" for i in range(30))
    data = load(write("t.csv", header + "\n" + rows))
    assert data.feature_names == header.split(",")
    assert data.X.shape == (30, 3)
