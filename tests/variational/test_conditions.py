"""Conditions: what is read from y of every kind, what the network is told, and what is refused."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse

from skae.variational._conditions import Conditions, fault_of_conditions

WORDS = np.array(["b", "a", "c", "a", "b", "a"])
INDEX = np.array([1, 0, 2, 0, 1, 0])
SIZES = np.array([1.0, 2.0, 4.0, 7.0, 11.0, 11.0])
DAYS = np.array(["2020-01-01", "2021-01-01"], "M8[D]")


def read(y, kind="auto", weight=None):
    return Conditions.of(y, 6, kind, weight)


def one_hot(index=INDEX):
    columns = np.eye(index.max() + 1)[index]
    return columns - columns.mean(0)


@pytest.mark.parametrize(
    "y",
    [
        INDEX,
        INDEX.astype(np.uint8),
        INDEX[:, None],
        INDEX.tolist(),
        torch.from_numpy(INDEX),
        pd.Series(INDEX, dtype="Int64"),
        WORDS,
        WORDS.tolist(),
        WORDS.astype(object),
        pd.Series(WORDS),
        pd.Series(WORDS, dtype="category"),
        pd.DataFrame({"y": WORDS}),
        pl.Series(WORDS.tolist()),
        pl.DataFrame({"y": WORDS.tolist()}),
        np.ma.array(WORDS, mask=False),
    ],
    ids=lambda y: f"{type(y).__module__}.{type(y).__name__} {getattr(y, 'dtype', '')}",
)
def test_classes_of_every_kind(y):
    conditions, table = read(y)
    np.testing.assert_allclose(table, one_hot())
    np.testing.assert_allclose(conditions.table(y), table)
    assert len(conditions.only_classes) == 3
    np.testing.assert_allclose(conditions.share, np.array([1, 2, 3]) / 6)  # in the order of the rows
    np.testing.assert_allclose(sorted(conditions.mean), np.array([1, 2, 3]) / 6)


@pytest.mark.parametrize("y", [INDEX == 0, DAYS[INDEX // 2]], ids=["bool", "dates"])
def test_two_classes(y):
    conditions, table = read(y)
    assert table.shape == (6, 2)
    np.testing.assert_allclose(table.sum(1), 0, atol=1e-12)
    np.testing.assert_array_equal(conditions.only_classes, np.unique(y))


@pytest.mark.parametrize(
    "y",
    [
        SIZES,
        SIZES[:, None],
        SIZES.tolist(),
        torch.from_numpy(SIZES),
        pd.Series(SIZES),
        pd.DataFrame({"size": SIZES}),
        pl.Series(SIZES),
        SIZES.astype(object),
    ],
    ids=lambda y: f"{type(y).__module__}.{type(y).__name__}",
)
def test_numbers_of_every_kind_are_standardised(y):
    conditions, table = read(y)
    np.testing.assert_allclose(table[:, 0], (SIZES - SIZES.mean()) / SIZES.std())
    np.testing.assert_allclose(conditions.table(y), table)
    assert conditions.rows.shape == (0, 1)
    with pytest.raises(AttributeError, match="one column of classes"):
        _ = conditions.only_classes


def test_the_columns_of_a_frame_are_read_by_their_types():
    y = pd.DataFrame({"kind": WORDS, "size": SIZES, "count": INDEX, "code": pd.Categorical(INDEX)})
    expected = np.column_stack([one_hot(), SIZES - SIZES.mean(), INDEX - INDEX.mean(), one_hot()])
    expected[:, 3:5] /= [SIZES.std(), INDEX.std()]
    conditions, table = read(y)
    np.testing.assert_allclose(table, expected)
    np.testing.assert_allclose(conditions.table(y.iloc[[2]]), expected[[2]])
    np.testing.assert_allclose(read(pl.DataFrame(y[["kind", "size", "count"]].to_dict("list")))[1], expected[:, :5])
    np.testing.assert_allclose(read([list(row) for row in zip(WORDS, SIZES, strict=True)])[1], expected[:, :4])


def test_what_y_holds_can_be_said():
    np.testing.assert_allclose(read(INDEX + 0.0, "classes")[1], one_hot())
    np.testing.assert_allclose(read(INDEX, "numbers")[1][:, 0], (INDEX - INDEX.mean()) / INDEX.std())
    many = np.column_stack([INDEX, INDEX])
    assert read(many)[1].shape == (6, 2)
    assert read(many, "classes")[1].shape == (6, 6)
    assert read(sparse.csr_array(many))[1].shape == (6, 2)


def test_whole_numbers_that_look_like_numbers_are_told():
    y = np.arange(50)
    with pytest.warns(UserWarning, match="y holds 50 different whole numbers in 50 rows, which are taken as classes"):
        Conditions.of(y, 50, "auto", None)
    assert Conditions.of(y, 50, "classes", None)[1].shape == (50, 50)
    assert Conditions.of(y, 50, "numbers", None)[1].shape == (50, 1)
    assert Conditions.of(y.repeat(5), 250, "auto", None)[1].shape == (250, 50)


def test_what_is_constant_is_not_told():
    conditions, table = read(pd.DataFrame({"one": np.full(6, 0.1), "two": SIZES, "three": "a"}))
    assert (conditions.n_conditions, table.shape) == (1, (6, 1))
    conditions, table = read(np.full(6, 0.1))
    assert (conditions.n_conditions, table.shape) == (0, (6, 0))
    assert conditions.rows.shape == (1, 0)
    np.testing.assert_array_equal(conditions.share, [1.0])


def test_no_number_stands_out():
    y = np.zeros(1000)
    y[7] = 1.0
    _, table = Conditions.of(y, 1000, "auto", None)
    assert table.max() == pytest.approx(5.0)


def test_weights_count():
    weight = np.array([1.0, 2.0, 0.0, 1.0, 3.0, 1.0])
    conditions, table = read(WORDS, weight=weight)
    assert conditions.only_classes.tolist() == ["a", "b"]
    np.testing.assert_allclose(weight @ table, 0, atol=1e-12)
    np.testing.assert_allclose(conditions.mean, [0.5, 0.5])
    _, table = read(SIZES, weight=weight)
    np.testing.assert_allclose(np.average(table[:, 0] ** 2, weights=weight), 1)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (
            None,
            "A conditional model requires y to be passed, but the target y is None: pass the condition of each row.",
        ),
        (WORDS[:5], "y holds conditions of 5 rows, but X has 6 rows: pass one condition for each row."),
        ("a", "y holds the condition of 1 row, but X has 6 rows: pass one condition for each row."),
        (np.where(INDEX == 2, None, WORDS), "y has no class in row 2: impute it, or drop the row."),
        (np.where(INDEX == 2, np.nan, SIZES), "Input y contains NaN in row 2: impute it, or drop the row."),
        (np.where(INDEX == 2, np.inf, SIZES), "Input y contains infinity in row 2: impute it, or drop the row."),
        (pd.DataFrame({"a": SIZES, "b": np.where(INDEX == 2, np.nan, SIZES)}), "NaN in row 2, column 'b': impute it"),
        (pd.DataFrame({"a": SIZES, "b": np.where(INDEX == 2, None, WORDS)}), "y has no class in row 2, column 'b'"),
        (np.zeros((6, 0)), "y has no conditions: pass at least one row and one column."),
        (np.zeros((6, 1, 1)), "y must have one or two dimensions, but its shape is (6, 1, 1)."),
        (SIZES * 1e307, "y has values so large that their variance is infinite: rescale y."),
        (SIZES * 1j, "Complex data not supported"),
        (np.array(["a", 1, "b", 2, "a", 1], object), "y mixes strings and other labels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "y",
)
def test_what_cannot_be_read_is_told_in_a_sentence(y, words):
    with pytest.raises(ValueError, match=r"^.*$") as caught:
        read(y)
    assert words in str(caught.value)


def test_other_columns_than_those_of_the_fit_are_told():
    y = pd.DataFrame({"kind": WORDS, "size": SIZES})
    conditions, _ = read(y)
    cases = {
        "y has 1 column, but the fitted y had 2: pass the same columns, and a single row as [row].": y[["kind"]],
        "y has the columns 'size', 'kind', but the fitted y had 'kind', 'size': pass the same ones.": y[
            ["size", "kind"]
        ],
        "y has the class 'd' in row 0, column 'kind', which the fit did not see: pass one of 'a', 'b', 'c', or fit": (
            y.replace("b", "d")
        ),
        "Input y contains text, 'b', in row 0": y.assign(size=WORDS),
    }
    for words, other in cases.items():
        with pytest.raises(ValueError, match=r"^.*$") as caught:
            conditions.table(other)
        assert words in str(caught.value)
    assert conditions.table(y.to_numpy()).shape == (6, 4)


class Fitted:
    """As much of an estimator as the check of a file looks at."""

    def __init__(self, n_conditions):
        self._spec = {"n_conditions": n_conditions}


def test_a_damaged_file_is_told():
    conditions, _ = read(pd.DataFrame({"kind": WORDS, "right": INDEX == 1}))
    names, classes, mean, scale, rows, share = conditions.__getstate__()
    whole = Conditions(names, classes, mean, scale, rows, share)
    assert fault_of_conditions(Fitted(5), whole) is None
    for wrong in (
        Conditions(("kind",), classes, mean, scale, rows, share),
        Conditions(("kind", 3), classes, mean, scale, rows, share),
        Conditions(names, [*classes], mean, scale, rows, share),
        Conditions(names, (), mean, scale, rows, share),
        Conditions(names, (classes[0].astype(object), None), mean, scale, rows, share),
        Conditions(names, (classes[0][:1], classes[1]), mean, scale, rows, share),
        Conditions(names, classes, mean, -scale, rows, share),
        Conditions(names, classes, mean, 0 * scale, rows, share),
        Conditions(names, classes, mean, scale, rows, 0 * share),
        Conditions(names, classes, mean, scale, rows[:, :1], share),
    ):
        assert isinstance(fault_of_conditions(Fitted(5), wrong), str)
