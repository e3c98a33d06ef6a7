"""LatentSpaceDisplay: points of the code, the colours of a target, and what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import DBSCAN
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skae.inspection import LatentSpaceDisplay

IRIS = load_iris(as_frame=True)
X = IRIS.data.to_numpy()
SPECIES = IRIS.target_names[IRIS.target]


def legend_texts(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


@pytest.mark.parametrize("components", [(0, 1), (2, 0), [1, 2]])
def test_points_are_the_components_of_the_code(pca, components):
    display = LatentSpaceDisplay.from_estimator(pca, X, components=components)
    codes = pca.transform(X)[:, list(components)]
    np.testing.assert_array_equal(display.codes, codes)
    np.testing.assert_array_equal(display.scatter_.get_offsets(), codes)
    assert display.ax_.get_xlabel() == f"pca{components[0]}"
    assert display.ax_.get_ylabel() == f"pca{components[1]}"
    assert display.ax_.get_legend() is None


def test_codes_in_frames_keep_their_names():
    pipeline = make_pipeline(StandardScaler(), PCA(2)).set_output(transform="pandas").fit(IRIS.data)
    display = LatentSpaceDisplay.from_estimator(pipeline, IRIS.data, IRIS.target)
    np.testing.assert_array_equal(display.scatter_.get_offsets(), pipeline.transform(IRIS.data))
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("pca0", "pca1")
    assert display.ax_.get_legend().get_title().get_text() == "target"


def test_codes_without_names_are_numbered():
    pipeline = make_pipeline(FunctionTransformer(), FunctionTransformer()).fit(X)  # has no feature names
    display = LatentSpaceDisplay.from_estimator(pipeline, X, components=(0, 3))
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("Component 0", "Component 3")


def test_sparse_codes_are_drawn():
    sparse = pytest.importorskip("scipy.sparse")
    S = sparse.csr_array(X)
    display = LatentSpaceDisplay.from_estimator(FunctionTransformer().fit(S), S)
    np.testing.assert_array_equal(display.scatter_.get_offsets(), X[:, :2])


@pytest.mark.parametrize("container", [np.asarray, list, pd.Series, pd.Categorical])
def test_classes_have_a_colour_and_a_line_in_the_legend(pca, container):
    display = LatentSpaceDisplay.from_estimator(pca, X, container(SPECIES))
    assert legend_texts(display) == ["setosa", "versicolor", "virginica"]
    colors = display.scatter_.get_facecolors()
    assert len(np.unique(colors, axis=0)) == 3
    for name in np.unique(SPECIES):
        assert len(np.unique(colors[name == SPECIES], axis=0)) == 1


def test_twenty_classes_have_twenty_colours():
    y = np.arange(40) % 20
    display = LatentSpaceDisplay(codes=np.zeros((40, 2)), y=y).plot()
    assert legend_texts(display) == [str(k) for k in range(20)]
    assert len(np.unique(display.scatter_.get_facecolors(), axis=0)) == 20


def test_a_quantity_has_a_colour_bar(pca):
    y = pd.Series(X @ np.arange(4.0), name="size")
    display = LatentSpaceDisplay.from_estimator(pca, X, y)
    np.testing.assert_array_equal(display.scatter_.get_array(), y)
    assert display.ax_.get_legend() is None
    (bar,) = (ax for ax in display.figure_.axes if ax is not display.ax_)
    assert bar.get_ylabel() == "size"
    assert bar.get_ylim() == (y.min(), y.max())


@pytest.mark.parametrize(
    "y",
    [
        np.r_[np.nan, np.arange(30.0)],
        *(np.array([na, *"abcabc"], dtype=object) for na in (None, np.nan, pd.NA)),
        *(np.ma.array(values, mask=np.arange(len(values)) == 0) for values in (np.arange(30), list("zabcabc"))),
    ],
)
def test_rows_without_a_target_are_grey_and_lie_below(y):
    codes = np.column_stack([np.arange(len(y)), np.arange(len(y))])
    y = y[::-1]
    display = LatentSpaceDisplay(codes=codes, y=y).plot()
    display.figure_.canvas.draw()
    np.testing.assert_array_equal(display.scatter_.get_offsets()[0], codes[-1])
    red, green, blue, _ = display.scatter_.get_facecolors()[0]
    assert red == green == blue


def test_missing_numbers_do_not_make_classes_into_fractions():
    display = LatentSpaceDisplay(codes=np.zeros((4, 2)), y=[1.0, np.nan, 3.0, 2.5]).plot()
    assert legend_texts(display) == ["1", "2.5", "3", "missing"]


def test_one_component_alone_is_a_histogram():
    display = LatentSpaceDisplay.from_estimator(PCA(1).fit(X), X)
    assert display.scatter_ is None
    assert sum(bar.get_height() for bar in display.ax_.patches) == len(X)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("pca0", "Rows")


def test_one_component_is_drawn_over_a_quantity(pca):
    y = X @ np.arange(4.0)
    display = LatentSpaceDisplay.from_estimator(pca, X, y, components=1)
    np.testing.assert_array_equal(display.scatter_.get_offsets(), np.column_stack([pca.transform(X)[:, 1], y]))
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("pca1", "y")


def test_one_component_is_drawn_in_strips_of_classes(pca):
    display = LatentSpaceDisplay.from_estimator(pca, X, SPECIES, components=(2,))
    np.testing.assert_array_equal(
        display.scatter_.get_offsets(), np.column_stack([pca.transform(X)[:, 2], IRIS.target])
    )
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == list(IRIS.target_names)


def test_more_points_are_smaller_and_fainter():
    few, many = (LatentSpaceDisplay(codes=np.zeros((n, 2))).plot().scatter_ for n in (100, 50_000))
    assert many.get_sizes()[0] < few.get_sizes()[0]
    assert 0 < many.get_alpha() < few.get_alpha()
    assert many.get_rasterized()
    assert not few.get_rasterized()


def test_legends_stand_outside_where_a_layout_makes_room(pca):
    _, ax = plt.subplots()
    inside = LatentSpaceDisplay.from_estimator(pca, X, SPECIES, ax=ax)
    outside = LatentSpaceDisplay.from_estimator(pca, X, SPECIES)
    for display in (inside, outside):
        display.figure_.canvas.draw()
    left, right = (d.ax_.get_legend().get_window_extent().x1 - d.ax_.get_window_extent().x1 for d in (inside, outside))
    assert left < 0 < right
    assert outside.ax_.get_legend().get_window_extent().x1 <= outside.figure_.bbox.x1


def test_an_estimator_without_transform_is_refused():
    with pytest.raises(TypeError, match="DBSCAN has no transform"):
        LatentSpaceDisplay.from_estimator(DBSCAN().fit(X), X)


@pytest.mark.parametrize("components", [3, (0, 3), (-1, 0), (0, 1, 2), (), (0.0, 1.0), "01"])
def test_components_that_the_code_does_not_have_are_refused(pca, components):
    with pytest.raises(ValueError, match="cannot be drawn from a code with 3 columns"):
        LatentSpaceDisplay.from_estimator(pca, X, components=components)
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([f"row {k}" for k in range(150)], "y has 150 classes, but only 20 colours can be told apart"),
        (SPECIES[:-1], "inconsistent numbers of samples"),
        (X, "y should be a 1d array"),
    ],
)
def test_bad_targets_are_refused(pca, y, message):
    with pytest.raises(ValueError, match=message):
        LatentSpaceDisplay.from_estimator(pca, X, y)
    assert not plt.get_fignums()
