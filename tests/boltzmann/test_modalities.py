"""Modalities of a table: which columns they are, what each has for itself, and how gaps are measured."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skae.boltzmann._gaps import Arranged, SupportOfEach, frame_of_modalities, require_known_groups
from skae.boltzmann._modalities import ALL, Modality, modalities_of
from skae.engine.moments import moments

DEFAULTS = {"visible": "gaussian", "categories": None, "hidden_layer_sizes": (64,)}
NAMES = ("a", "b", "c", "d", "e")


def read(modalities, n_features=5, names=NAMES, **settings):
    return modalities_of(modalities, {**DEFAULTS, **settings}, DEFAULTS, n_features, names)


# ------------------------------------------------------------------ columns


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (slice(0, 2), slice(2, None)),
        ([0, 1], [2, 3, 4]),
        (range(2), np.arange(2, 5)),
        (["a", "b"], pd.Index(["c", "d", "e"])),
        ([0, "b"], [-3, -2, -1]),
        (np.array([True, True, False, False, False]), [False, False, True, True, True]),
    ],
)
def test_columns_are_told_in_many_ways(image, text):
    found = read({"image": image, "text": text})
    assert [(m.name, m.columns) for m in found] == [("image", (0, 1)), ("text", (2, 3, 4))]


def test_columns_may_be_interleaved_and_one_alone():
    found = read({"image": [4, 0, 2], "label": "d", "more": 1})
    assert [m.columns for m in found] == [(4, 0, 2), (3,), (1,)]
    assert [m.place for m in found] == [[4, 0, 2], slice(3, 4), slice(1, 2)]


def test_all_columns_are_one_modality_if_none_is_told():
    (found,) = read(None, visible="bernoulli")
    assert found == Modality(ALL, (0, 1, 2, 3, 4), "bernoulli", (), (64,))


@pytest.mark.parametrize(
    ("modalities", "sentence"),
    [
        ({}, "modalities={} names no modality: pass None for one modality of all columns."),
        ({1: [0]}, "modalities has 1 as a name: the name of a modality must be a string."),
        ({"image": slice(0, 5), "text": []}, "modality 'text' has no columns: give it some of the 5 columns of X"),
        ({"image": slice(0, 5), "text": slice(5, None)}, "modality 'text' has no columns"),
        ({"image": slice(0, 3), "text": [3, 5]}, "modality 'text' has a column 5, but X has 5 columns."),
        ({"image": [0, -6]}, "modality 'image' has a column -6, but X has 5 columns."),
        ({"image": ["a", "B"]}, "modality 'image' has a column 'B', which X does not have: use 'b'."),
        ({"image": "pixel"}, "which X does not have: the columns are 'a', 'b', 'c', 'd' and 'e'."),
        ({"image": [0, 1, 2], "text": [2, 3, 4]}, "Column 'c' is in 'image' and 'text': leave it out of one."),
        ({"image": [0, 1, 2, 1], "text": [3, 4]}, "Column 'b' is twice in modality 'image'"),
        ({"image": [0, 1], "text": [3, 4]}, "Column 'c' is in no modality: add it to one, or leave it out of X."),
        ({"image": [0, 1.5]}, "modality 'image' has 1.5 among its columns: pass numbers or names of columns."),
        ({"image": None}, "modality 'image' has None among its columns"),
        ({"image": [0, True]}, "modality 'image' has True among its columns"),
        ({"image": [True, False]}, "modality 'image' is a mask of 2 columns, but X has 5 columns."),
        ({"image": slice("a", "c")}, "a slice must be of numbers: pass a list of names."),
    ],
)
def test_columns_that_cannot_be(modalities, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        read(modalities)


def test_names_need_columns_with_names():
    with pytest.raises(ValueError, match="the columns of X have no names: pass a DataFrame, or numbers of columns"):
        read({"image": ["a"]}, names=None)
    with pytest.raises(ValueError, match=r"the first columns are 'x0', 'x1' and 'x2'"):
        read({"image": ["pixel"]}, 20, [f"x{i}" for i in range(20)])


# ------------------------------------------------------------------ settings


TWO = {"image": slice(0, 2), "text": slice(2, 5)}


def test_a_setting_is_one_for_all_or_one_for_each():
    one = read(TWO, visible="bernoulli", hidden_layer_sizes=7)
    assert [m[2:] for m in one] == [("bernoulli", (), (7,))] * 2
    own = read(TWO, visible={"text": "softmax"}, categories={"text": (2, 1)}, hidden_layer_sizes={"image": (9, 8, 7)})
    assert [m[2:] for m in own] == [("gaussian", (), (9, 8, 7)), ("softmax", (2, 1), (64,))]


def test_categories_are_those_of_softmax_units_alone():
    found = read(TWO, visible={"image": "bernoulli", "text": "softmax"}, categories=(3,))
    assert [m.sizes for m in found] == [(), (3,)]
    assert [m.part.kind for m in found] == ["bernoulli", "softmax"]
    assert [m.part.kind for m in read(TWO, visible={"text": "softmax"})] == ["gaussian", "counts"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"visible": {"txt": "softmax"}}, "visible has an entry for 'txt', which is no modality: use 'text'."),
        ({"categories": {"tags": (2,)}}, "which is no modality: the modalities are 'image' and 'text'."),
        ({"visible": {"text": "normal"}}, "visible='normal' of modality 'text' is no kind of units: use 'gaussian'."),
        ({"visible": {"text": 3}}, "visible=3 of modality 'text' is no kind of units: use 'gaussian' or 'bernoulli'"),
        ({"visible": "softmax", "categories": {"image": (2,), "text": (2, 2)}}, "(2, 2) sum to 4, but modality 'text'"),
        ({"visible": "softmax"}, "The modalities 'image' and 'text' are counts, but a row has one number of draws"),
        ({"hidden_layer_sizes": {"text": (4, 0)}}, "hidden_layer_sizes of modality 'text'=(4, 0) has 0 in it"),
        ({"hidden_layer_sizes": {"text": (4, 3)}}, "hidden_layer_sizes has 1 for 'image', 2 for 'text': the numbers"),
    ],
)
def test_settings_that_cannot_be(settings, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        read(TWO, **settings)


# ------------------------------------------------------------------ frames


def table(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 5)) * [1.0, 2.0, 3.0, 1.0, 1.0] + [0.0, 5.0, -5.0, 1.0, 100.0]


MIXED = {"image": [3, 0], "text": [1, 4, 2]}


@pytest.mark.parametrize("weight", [None, np.arange(60.0)])
def test_without_gaps_each_gaussian_modality_is_standardised_as_a_table_alone(weight):
    X = table()
    frame = frame_of_modalities(X, weight, read(MIXED, visible={"image": "bernoulli"}))
    mean, scale = moments(X[:, [1, 4, 2]], weight)
    assert_array_equal(frame.mean[[1, 4, 2]], mean)
    assert_array_equal(frame.scale, [1.0, scale, scale, 1.0, scale])
    assert_allclose(frame.mean[[3, 0]], np.average(X[:, [3, 0]], axis=0, weights=weight), rtol=1e-12)


def with_gaps(X, seed=1):
    X = X.copy()
    X[np.random.default_rng(seed).random(X.shape) < 0.3] = np.nan
    X[:7, 2] = np.nan
    return X


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weight", [None, np.arange(60.0) % 5])
def test_the_moments_of_a_table_with_gaps_are_those_of_its_known_entries(weight, dtype):
    X = with_gaps(table()).astype(dtype)
    frame = frame_of_modalities(X, weight, read(MIXED))
    w = np.where(np.isnan(X), 0.0, 1.0 if weight is None else weight[:, None])
    mean = (w * np.nan_to_num(X, 0)).sum(0) / w.sum(0)
    variance = (w * np.nan_to_num(X - mean, 0) ** 2).sum(0) / w.sum(0)
    assert_allclose(frame.mean, mean, rtol=1e-6, atol=1e-7)
    for columns in MIXED.values():
        assert_allclose(frame.scale[columns], np.sqrt(variance[columns].mean()), rtol=1e-6)


@pytest.mark.parametrize("X", [table(), with_gaps(table()).astype(np.float32)])
def test_a_frame_sends_rows_there_and_back(X):
    frame = frame_of_modalities(X, None, read(MIXED, visible={"image": "bernoulli"}))
    x = torch.from_numpy(X)
    seen = frame.apply(x)
    expected = np.hstack([X[:, [3, 0]], (X - frame.mean)[:, [1, 4, 2]] / frame.scale[1]])
    assert_allclose(seen.numpy(), expected, rtol=1e-4, atol=1e-6)
    assert_allclose(frame.undo(seen).numpy(), X, rtol=1e-5, atol=1e-5)
    assert_allclose(frame.center, [frame.mean[3], frame.mean[0], 0, 0, 0])
    assert frame.log_volume == pytest.approx(3 * np.log(frame.scale[1]))


def test_a_frame_counts_distances_and_volumes_in_units_of_x():
    X = table(8)
    frame = frame_of_modalities(X, None, read(MIXED))
    x = frame.apply(torch.from_numpy(X))
    assert_allclose(frame.squared_distance(x[:4], x[4:]), ((X[:4] - X[4:]) ** 2).sum(1), rtol=1e-10)
    known = torch.tensor([[True, False, True, True, False]])
    assert_allclose(frame.log_volumes(known), np.log(frame.scale[3] * frame.scale[1] * frame.scale[4]))
    again = object.__new__(Arranged)
    again.__setstate__(frame.__getstate__())
    assert torch.equal(again.apply(torch.from_numpy(X)), x)
    g = torch.ones(2, 5)
    assert_allclose(frame.pull_back(g), np.tile(1 / frame.scale, (2, 1)))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda X: X.__setitem__((slice(None), 4), np.nan), "Column 4 of X has no known entry to learn from"),
        (lambda X: X.__imul__(1e200), "X has values so large that their variance is infinite"),
        (lambda X: X.__imul__(1e-200), "X has values so close together that their variance is rounded to 0"),
    ],
)
def test_tables_that_cannot_be_measured(spoil, sentence):
    for X in (table(), with_gaps(table())):
        spoil(X)
        with pytest.raises(ValueError, match=sentence):
            frame_of_modalities(X, None, read(MIXED))


@pytest.mark.parametrize("row", [0, 13])
def test_a_row_without_any_known_group_is_named(row):
    X = np.tile([1.0, 0.0, 0.0, 1.0, 0.0], (60, 1))
    X[::2, 0], X[1::2, 3] = np.nan, np.nan
    groups = [Modality(ALL, (0, 1, 2, 3, 4), "softmax", (2, 3), ())]
    require_known_groups(X, groups)
    X[row, [1, 4]] = np.nan
    with pytest.raises(ValueError, match=rf"Row {row} of X has no known entry, as groups of one-hot columns"):
        require_known_groups(X, groups)
    require_known_groups(X, [Modality(ALL, (0, 1, 2, 3, 4), "bernoulli", (), ())])


# ------------------------------------------------------------------ support


def test_the_support_is_that_of_each_modality():
    found = read(MIXED, visible={"image": "bernoulli", "text": "softmax"}, categories={"text": (2, 1)})
    X = torch.tensor([[0.5, 1.0, 1.0, 0.5, 0.0], [0.5, 0.0, 1.0, 0.5, 0.0], [2.0, 1.0, 1.0, 0.5, 0.0]])
    X = torch.cat([X, torch.full((1, 5), torch.nan)])
    wrong = SupportOfEach.of(found, arranged=False).outside(X)
    assert wrong.nonzero().tolist() == [[1, 1], [1, 4], [2, 0]]
    there = SupportOfEach.of(found, arranged=True).outside(X[:, [3, 0, 1, 4, 2]])
    assert_array_equal(there, wrong[:, [3, 0, 1, 4, 2]])
    assert SupportOfEach.of(read(TWO), arranged=False).outside(X) is None
