"""PosteriorDisplay: ellipses at the means, their size and colours, and what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from skae.inspection import PosteriorDisplay

MEAN = np.array([[0.0, 1.0], [2.0, -1.0], [4.0, 3.0]])
DEVIATION = np.array([[0.5, 0.25], [1.0, 2.0], [0.1, 0.1]])


class Uncertain(PCA):
    """Codes with a deviation of their own in each component."""

    def posterior(self, X):
        codes = self.transform(X)
        return codes, 0.1 + np.abs(codes)


@pytest.fixture(scope="module")
def model(iris):
    return Uncertain(3).fit(iris)


@pytest.mark.parametrize("components", [(0, 1), (2, 0)])
def test_means_and_deviations_are_those_of_the_estimator(model, iris, components):
    display = PosteriorDisplay.from_estimator(model, iris, components=components)
    mean, deviation = (moment[:, list(components)] for moment in model.posterior(iris))
    np.testing.assert_array_equal(display.mean, mean)
    np.testing.assert_array_equal(display.deviation, deviation)
    np.testing.assert_array_equal(display.scatter_.get_offsets(), mean)
    assert display.ax_.get_xlabel() == f"uncertain{components[0]}"
    assert display.ax_.get_ylabel() == f"uncertain{components[1]}"


def test_ellipses_have_radii_of_one_and_two_deviations():
    display = PosteriorDisplay(mean=MEAN, deviation=DEVIATION).plot()
    for n, ellipses in enumerate(display.ellipses_, 1):
        np.testing.assert_array_equal(ellipses.get_offsets(), MEAN)
        np.testing.assert_allclose(ellipses.get_widths(), 2 * n * DEVIATION[:, 0])
        np.testing.assert_allclose(ellipses.get_heights(), 2 * n * DEVIATION[:, 1])


def test_an_ellipse_is_drawn_in_units_of_the_code():
    display = PosteriorDisplay(mean=MEAN, deviation=DEVIATION).plot()
    display.figure_.canvas.draw()
    ellipses = display.ellipses_[1]
    to_code = display.ax_.transData.inverted()
    centers = ellipses.get_offset_transform().transform(MEAN)
    for transform, center, mean, deviation in zip(ellipses.get_transforms(), centers, MEAN, DEVIATION, strict=True):
        circle = ellipses.get_paths()[0].vertices
        code = to_code.transform(ellipses.get_transform().transform(circle @ transform[:2, :2].T) + center)
        np.testing.assert_allclose(code.max(axis=0), mean + 2 * deviation, rtol=1e-6)
        np.testing.assert_allclose(code.min(axis=0), mean - 2 * deviation, rtol=1e-6)


def test_the_whole_of_each_ellipse_is_in_sight():
    display = PosteriorDisplay(mean=MEAN, deviation=DEVIATION).plot()
    (left, right), (bottom, top) = display.ax_.get_xlim(), display.ax_.get_ylim()
    low, high = (MEAN - 2 * DEVIATION).min(axis=0), (MEAN + 2 * DEVIATION).max(axis=0)
    assert left < low[0]
    assert high[0] < right
    assert bottom < low[1]
    assert high[1] < top


@pytest.mark.parametrize("y", [["b", "a", "b"], [0.5, 1.0, 7.25], ["a", None, "b"]])
def test_ellipses_have_the_colours_of_their_points(y):
    display = PosteriorDisplay(mean=MEAN, deviation=DEVIATION, y=np.array(y, dtype=object)).plot()
    for ellipses in display.ellipses_:
        np.testing.assert_array_equal(ellipses.get_offsets(), display.scatter_.get_offsets())
        np.testing.assert_array_equal(ellipses.get_facecolors()[:, :3], display.scatter_.get_facecolors()[:, :3])
    rows = [np.flatnonzero((mean == MEAN).all(axis=1))[0] for mean in display.ellipses_[0].get_offsets()]
    np.testing.assert_allclose(display.ellipses_[0].get_widths(), 2 * DEVIATION[rows, 0])


def test_a_quantity_has_a_colour_bar(model, iris):
    display = PosteriorDisplay.from_estimator(model, iris, pd.Series(np.linspace(0, 1, 150), name="size"))
    (bar,) = (ax for ax in display.figure_.axes if ax is not display.ax_)
    assert bar.get_ylabel() == "size"
    assert len(np.unique(display.ellipses_[0].get_facecolors(), axis=0)) > 100


def test_many_ellipses_are_fainter():
    few, many = (
        PosteriorDisplay(mean=np.zeros((n, 2)), deviation=np.ones((n, 2))).plot().ellipses_ for n in (10, 1000)
    )
    assert few[0].get_alpha() > few[1].get_alpha() > many[1].get_alpha()


def test_bad_input_is_refused(model, iris):
    with pytest.raises(TypeError, match="PCA has no posterior: pass a variational model, such as VariationalAuto"):
        PosteriorDisplay.from_estimator(PCA(2).fit(iris), iris)
    with pytest.raises(ValueError, match="cannot be drawn from a code with 1 columns"):
        PosteriorDisplay.from_estimator(Uncertain(1).fit(iris), iris)
    with pytest.raises(ValueError, match="pass two different whole numbers from 0 to 2"):
        PosteriorDisplay.from_estimator(model, iris, components=1)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        PosteriorDisplay.from_estimator(model, iris, np.zeros(149))
    assert not plt.get_fignums()
