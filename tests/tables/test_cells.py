"""Cells as numbers, dates, texts and missing values, and one message for all that do not fit."""

from datetime import datetime

import numpy as np
import pytest

from skae.tables import load


def column(cells, name="x", other="i"):
    """A file with a column of these cells, in quotation marks, and one of numbers that say nothing."""
    return f"{name};{other}\n" + "".join(f'"{cell}";{i % 7}\n' for i, cell in enumerate(cells))


def read(cells, write, **options):
    data = load(write("a.csv", column(cells)), **options)
    assert data.feature_names == ["x", "i"]
    return data.X[:, 0].tolist()


# -------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1", " 2.5 ", "+3", "-4e-3", ".5", "6."], [1, 2.5, 3, -0.004, 0.5, 6]),
        (["20,1", "19,5", "-3", ",5"], [20.1, 19.5, -3, 0.5]),
        (["1.234,5", "1.234.567", "12"], [1234.5, 1234567, 12]),
        (["1,234.5", "1,234,567", "12"], [1234.5, 1234567, 12]),
        (["0,123", "1,234"], [0.123, 1.234]),
        (["1 234", "1 234 567", "12"], [1234, 1234567, 12]),
        (["1\u00a0234,5", "1\u202f234", "2"], [1234.5, 1234, 2]),
        (["1'234.50", "1\u2019234", "2"], [1234.5, 1234, 2]),
        (["$1,234.50", "-$2.25", "$ 3", "($4.00)", "0"], [1234.5, -2.25, 3, -4, 0]),
        (["12,50 €", "1.000,00 €", "-3 €"], [12.5, 1000, -3]),
        (["EUR 12.5", "EUR 3", "EUR 4"], [12.5, 3, 4]),
        (["12.5%", "3 %", "-4%", "0"], [12.5, 3, -4, 0]),
        (["(1,200.50)", "300.25", "(7)"], [-1200.5, 300.25, -7]),
        (["\u22123", "4", "\u22125.5"], [-3, 4, -5.5]),
        (["1,5e3", "2,5E-1", "3"], [1500, 0.25, 3]),
    ],
)
def test_numbers_are_read_as_they_are_written(cells, numbers, write):
    assert read(cells, write) == numbers


@pytest.mark.parametrize(("cells", "sign"), [(["$1", "$2"], "$"), (["1 %", "3 %"], "%"), (["1 CHF", "2 CHF"], "CHF")])
def test_a_sign_that_is_left_out_is_told(cells, sign, write):
    data = load(write("a.csv", column(cells)))
    assert data.notes == [f"Column 'x' is read as numbers, without its sign '{sign}'."]


@pytest.mark.parametrize(("decimal", "numbers"), [(".", [1234, 5678, 12]), (",", [1.234, 5.678, 12]), (None, None)])
def test_a_comma_that_can_be_both_is_asked_for(decimal, numbers, write):
    cells = ["1,234", "5,678", "12"]
    if decimal is None:
        sentence = r"^Column 'x' can be read in two ways \('1,234' may be 1234 or 1\.234\): tell with --decimal"
        with pytest.raises(ValueError, match=sentence):
            read(cells, write)
    else:
        assert read(cells, write, decimal=decimal) == numbers


@pytest.mark.parametrize(("price", "numbers"), [("2,50", [1234, 12345, 7]), ("2.50", [1.234, 12.345, 7])])
def test_a_column_that_shows_no_mark_has_that_of_the_others(price, numbers, write):
    rows = "".join(f"{cell};{price}\n" for cell in ["1.234", "12.345", "7"])
    np.testing.assert_array_equal(load(write("a.csv", "sum;price\n" + rows)).X, [[n, 2.5] for n in numbers])


def test_each_column_may_have_its_own_mark(write):
    data = load(write("a.csv", "a;b;c\n1,5;2.5;3\n2,5;3.5;4\n2,75;4.5;5\n"))
    np.testing.assert_array_equal(data.X, [[1.5, 2.5, 3], [2.5, 3.5, 4], [2.75, 4.5, 5]])


@pytest.mark.parametrize("decimal", ["..", "x", ""])
def test_a_decimal_mark_is_a_point_or_a_comma(decimal, write):
    with pytest.raises(ValueError, match=r"^--decimal is a point or a comma, and not '.*'\.$"):
        load(write("a.csv", "a\n1\n"), decimal=decimal)


# -------------------------------------------------------------------- cells that do not fit


@pytest.mark.parametrize(
    ("slips", "shown"),
    [
        ({500: "x"}, "999 of 1000 cells are numbers, but not 'x' in line 502"),
        ({7: "12a", 9: "12a", 3: "1O"}, "997 of 1000 cells are numbers, but not '1O' in line 5, '12a' in line 9"),
        ({0: "1,5"}, "999 of 1000 cells are numbers, but not '1,5' in line 2"),
        ({5: "1_0"}, "999 of 1000 cells are numbers, but not '1_0' in line 7"),
        ({5: "$3"}, "999 of 1000 cells are numbers, but not '$3' in line 7"),
        ({5: "2020-01-01"}, "999 of 1000 cells are numbers, but not '2020-01-01' in line 7"),
        (
            dict.fromkeys(range(0, 400), "unknown"),
            "600 of 1000 cells are numbers, but not 'unknown' in line 2",
        ),
        (
            {i: f"no {i}" for i in range(5)},
            "995 of 1000 cells are numbers, but not 'no 0' in line 2, 'no 1' in line 3, 'no 2' in line 4 and 2 more",
        ),
    ],
)
@pytest.mark.parametrize("impute", [False, True])
def test_a_slip_among_numbers_is_named(slips, shown, impute, write):
    cells = [slips.get(i, f"{20 + i % 60}.5") for i in range(1000)]
    cure = "correct them, or leave the column out with --drop COLUMN."
    with pytest.raises(ValueError, match=r"^Column") as raised:
        read(cells, write, impute=impute)
    assert str(raised.value) == f"Column 'x' has cells that do not fit ({shown}): {cure}"


def test_a_slip_among_dates_is_named(write):
    cells = ["2020-01-31", "2020-02-30", "2020-02-28", "2020-03-01"]
    with pytest.raises(ValueError, match=r"\(3 of 4 cells are dates, but not '2020-02-30' in line 3\)"):
        read(cells, write, dates="numbers")


def test_numbers_and_words_that_come_again_and_again_are_categories(write):
    data = load(write("a.csv", column(["0", "1", "2", "3+"] * 20)))
    assert data.feature_names == ["i", "x_0", "x_1", "x_2", "x_3+"]
    assert data.notes == ["Column 'x' has numbers and words, and is read as text: '0', '1', '2', '3+'."]
    assert load(write("a.csv", column(["0", "1", "2", "3+"] * 20)), "x").y.tolist() == ["0", "1", "2", "3+"] * 20


def test_numbers_with_units_are_refused(write):
    with pytest.raises(ValueError, match=r"^Column 'x' has numbers with units \(such as '0.5 kg'\): take the units"):
        read([f"{i}.5 kg" for i in range(60)], write)


def test_a_target_with_a_slip_is_refused(write):
    with pytest.raises(ValueError, match=r"^Column 'x' has cells that do not fit \(59 of 60 .* not 'x' in line 42\)"):
        load(write("a.csv", column(["x" if i == 40 else str(i) for i in range(60)])), "x")


# -------------------------------------------------------------------- missing values


WORDS = ["", " ", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None", "?", "<NA>", "NaT"]


@pytest.mark.parametrize("word", [*WORDS, "-", "--", "\u2014", ".", "***"])
def test_what_stands_for_missing_numbers_is_named(word, write):
    cells = ["1", "2", word, "4", word]
    shown = "" if word in ("NaN", "nan") else f" ('{word}')" if word.strip() else " (empty)"
    data = load(write("a.csv", column(cells)))
    np.testing.assert_array_equal(data.X[:, 0], [1, 2, np.nan, 4, np.nan])
    assert data.notes[0] == f"2 missing values{shown} in 'x'."
    assert read(cells, write, impute=True) == [1, 2, 2, 4, 2]


@pytest.mark.parametrize("word", WORDS)
def test_missing_texts_are_a_category_of_their_own(word, write):
    path = write("a.csv", column(["red", word, "blue", "red"]))
    data = load(path)
    assert data.feature_names == ["i", "x_blue", "x_red"]
    np.testing.assert_array_equal(data.X[:, 1:], [[0, 1], [np.nan, np.nan], [1, 0], [0, 1]])
    assert data.columns == (("gaussian", 1), ("categorical", 2))
    data = load(path, impute=True)
    assert data.feature_names == ["i", "x_blue", "x_red", "x_missing"]
    np.testing.assert_array_equal(data.X[:, 1:], [[0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]])
    assert data.notes == [f"1 missing value ({repr(word.strip()) if word.strip() else 'empty'}) filled in 'x'."]


def test_a_dash_among_texts_is_a_text(write):
    assert load(write("a.csv", column(["red", "-", "blue", "-"]))).feature_names == ["i", "x_-", "x_blue", "x_red"]


@pytest.mark.parametrize("impute", [False, True])
def test_a_target_is_never_filled(impute, write):
    path = write("a.csv", column(["1", "NA", "2"]))
    sentence = r"^Column 'x' has missing values in the target \(1 of 3: 'NA' in line 3\): delete these rows"
    with pytest.raises(ValueError, match=sentence):
        load(path, "x", impute=impute)


def test_a_column_without_values_is_left_out(write):
    data = load(write("a.csv", column(["", "NA", "?"])))
    assert data.feature_names == ["i"]
    assert data.notes == ["Column 'x' was left out: it has no values."]


# -------------------------------------------------------------------- dates


@pytest.mark.parametrize(
    ("cells", "first", "second"),
    [
        (["2020-01-31", "1969-12-31"], datetime(2020, 1, 31), datetime(1969, 12, 31)),
        (
            ["2020-01-31 18:30", "2020-02-01T06:00:30.5Z"],
            datetime(2020, 1, 31, 18, 30),
            datetime(2020, 2, 1, 6, 0, 30, 500000),
        ),
        (
            ["2020-01-31T01:00:00+02:00", "2020-01-31 00:00:00-0130"],
            datetime(2020, 1, 30, 23),
            datetime(2020, 1, 31, 1, 30),
        ),
        (["2020-01", "2020-02"], datetime(2020, 1, 1), datetime(2020, 2, 1)),
        (["2020/1/31", "2020/2/1"], datetime(2020, 1, 31), datetime(2020, 2, 1)),
        (["31.01.2020", "1.2.2020"], datetime(2020, 1, 31), datetime(2020, 2, 1)),
        (["1.2.20", "3.4.99"], datetime(2020, 2, 1), datetime(1999, 4, 3)),
        (["1/31/2020", "2/1/2020"], datetime(2020, 1, 31), datetime(2020, 2, 1)),
        (["31/1/2020", "1/2/2020"], datetime(2020, 1, 31), datetime(2020, 2, 1)),
        (["1/31/20 6:30 PM", "2/1/20 12:15 AM"], datetime(2020, 1, 31, 18, 30), datetime(2020, 2, 1, 0, 15)),
        (["31 Jan 2020", "1-Feb-20"], datetime(2020, 1, 31), datetime(2020, 2, 1)),
        (["Jan 31, 2020", "September 1, 2020"], datetime(2020, 1, 31), datetime(2020, 9, 1)),
    ],
)
def test_dates_become_days_since_1970(cells, first, second, write):
    expected = [(date - datetime(1970, 1, 1)).total_seconds() / 86400 for date in (first, second)]
    np.testing.assert_allclose(read([*cells, cells[0]], write, dates="numbers"), [*expected, expected[0]], rtol=1e-15)
    target = load(write("a.csv", column([*cells, cells[0]])), "x", dates="numbers").y
    np.testing.assert_allclose(target, [*expected, expected[0]], rtol=1e-15)
    assert load(write("a.csv", column([*cells, cells[0]]))).notes[0] == "Dates are read as days since 1970: 'x'."
    sentence = r"^Column 'x' has dates \(such as '.*'\): they are read as days since 1970 without --dates refuse, and"
    for where in (None, "x"):
        with pytest.raises(ValueError, match=sentence):
            load(write("a.csv", column([*cells, cells[0]])), where, dates="refuse")


def test_missing_dates_are_filled_with_the_median(write):
    assert read(["1970-01-02", "", "1970-01-06", "1970-01-03", "-"], write, dates="numbers", impute=True) == [
        1,
        2,
        5,
        2,
        2,
    ]


def test_days_and_months_that_cannot_be_told_apart_are_refused(write):
    sentence = r"^Column 'x' has unclear dates \(the day or the month may come first in '1/2/2020'\): write them as"
    with pytest.raises(ValueError, match=sentence):
        read(["1/2/2020", "3/4/2020"], write, dates="numbers")


def test_dates_are_refused_or_numbers(write):
    with pytest.raises(ValueError, match=r"^--dates is refuse or numbers, and not 'days'\.$"):
        load(write("a.csv", "a\n1\n"), dates="days")


# -------------------------------------------------------------------- one message


def test_one_message_says_all(write):
    header = "id,name,when,unclear,age,gap,more,weight,text,limit,money\n"
    rows = [
        [
            *(i + 7, f"N{i}", f"2020-01-{i % 28 + 1}", f"{i % 9 + 1}/{i % 9 + 1}/2020", 20 + i % 60, i % 3, i % 5),
            *(f"{i} kg", f"text {i * 3 // 4}", i / 2, f'"{1 + i % 7},{123 + i}"'),
        ]
        for i in range(100)
    ]
    rows[4][4], rows[5][4], rows[6][5], rows[7][6], rows[8][6], rows[9][9] = "old", "", "NA", "?", "-", "inf"
    path = write("a.csv", header + "".join(",".join(map(str, row)) + "\n" for row in rows))
    with pytest.raises(ValueError, match="columns to decide on") as raised:
        load(path, dates="refuse")
    first, *lines = str(raised.value).split("\n")
    assert first == f"'{path}' has 6 kinds of columns to decide on:"
    assert lines == [
        "- Column 'age' has cells that do not fit (98 of 100 cells are numbers, but not 'old' in line 6): "
        "correct them, or leave the column out with --drop COLUMN.",
        "- Column 'money' can be read in two ways ('1,123' may be 1123 or 1.123): "
        "tell with --decimal . or --decimal ,.",
        "- 2 columns have dates, 'when' (such as '2020-01-1'), 'unclear' (such as '1/1/2020'): "
        "they are read as days since 1970 without --dates refuse, and --drop COLUMN leaves a column out.",
        "- Column 'text' has too many different texts (75 in 100 rows, such as 'text 0'): "
        "leave the column out with --drop COLUMN, or encode it before.",
        "- Column 'weight' has numbers with units (such as '0 kg'): "
        "take the units out, or leave the column out with --drop COLUMN.",
        "- Column 'limit' has infinite values (inf in line 11): "
        "replace them, or leave the column out with --drop COLUMN.",
    ]
    data = load(path, drop=["text", "weight", "limit", "unclear", "age"], impute=True, dates="numbers", decimal=".")
    assert data.feature_names == ["when", "gap", "more", "money"]
    assert [note.split(":")[0] for note in data.notes] == [
        "Column 'id' was left out",
        "Column 'name' was left out",
        "Dates are read as days since 1970",
        "3 missing values ('NA', '?', '-') filled in 'gap', 'more'.",
    ]


def test_columns_are_dropped_by_name_and_by_number(write):
    path = write("a.csv", "a,b,c,d\n1,2,x,4\n5,6,NA,8\n")
    assert load(path, drop=["c", "0"]).feature_names == ["b", "d"]
    assert load(path, drop="c").feature_names == ["a", "b", "d"]
    assert load(path, "-1", drop=["-2"]).feature_names == ["a", "b"]
    with pytest.raises(ValueError, match=r"^There are no columns 'q', '9', 'z' in 'a', which has a, b, c, d\.$"):
        load(path, "z", drop=["q", "9"])
    with pytest.raises(ValueError, match=r"^Column 'd' is the target, so it cannot be dropped\.$"):
        load(path, "d", drop=["3"])
    with pytest.raises(ValueError, match=r"^'a' has no column\.$"):
        load(path, drop=["a", "b", "c", "d"])


def test_columns_of_bundled_sets_are_dropped():
    data = load("wine", drop=["alcohol", "-1"])
    np.testing.assert_array_equal(data.X, load("wine").X[:, 1:-1])
    assert load("digits", drop=["0"]).image_shape is None


@pytest.mark.parametrize("option", [{"separator": ";"}, {"decimal": ","}, {"encoding": "latin-1"}])
def test_options_of_text_are_refused_for_arrays(option, save):
    with pytest.raises(ValueError, match=r"^--separator, --decimal and --encoding are for files of text, unlike '"):
        load(save("a.npy", np.eye(3)), **option)


@pytest.mark.parametrize(
    "cell", ["R$ {}2,50", "1,{:02d},456", "{}2.3*", "0{}:30:00", "0 days 00:{:02d}:37", "{}:0.5", "12.{}-"]
)
def test_different_texts_of_digits_are_no_identifier(cell, write):
    """They may be numbers or times in a notation that is not read, and would be lost."""
    rows = "\n".join(f"{i * 0.37};{cell.format(i)}" for i in range(1, 60))
    with pytest.raises(ValueError, match=r"Column 'b' has texts that may be numbers \(such as .*--drop COLUMN"):
        load(write("t.csv", "a;b\n" + rows))


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u202f"])
def test_a_blank_of_any_kind_before_a_sign(blank, write):
    rows = "\n".join(f"{i}{blank}234,50{blank}\u20ac;{i},5{blank}%" for i in range(1, 60))
    data = load(write("t.csv", "a;b\n" + rows))
    np.testing.assert_array_equal(data.X, [[1000 * i + 234.5, i + 0.5] for i in range(1, 60)])
