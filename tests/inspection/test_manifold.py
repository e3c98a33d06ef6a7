"""ManifoldDisplay: the grid of codes, the order of its pictures, and what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import norm
from sklearn.cluster import DBSCAN
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import BidirectionalGAN, WassersteinAutoencoder
from skae.inspection import ManifoldDisplay


class Normal(PCA):
    """A decoder of codes whose distribution is standard normal."""

    prior = "normal"


@pytest.fixture(scope="module")
def plane(digits):
    return Normal(2).fit(digits)


@pytest.fixture(scope="module")
def cube(digits):
    return Normal(3).fit(digits)


def draw(estimator, X=None, **options):
    return ManifoldDisplay.from_estimator(estimator, X, **{"n_steps": 4, **options})


# -------------------------------------------------------------------- the grid


def test_without_rows_the_grid_is_at_quantiles_of_the_normal_distribution(plane):
    display = draw(plane)
    values = norm.ppf([0.125, 0.375, 0.625, 0.875])
    np.testing.assert_allclose(display.values, [values, values])
    for i in range(4):
        for j in range(4):
            np.testing.assert_allclose(display.rows[i, j], plane.inverse_transform([[values[j], values[i]]])[0])


@pytest.mark.parametrize("estimator", [BidirectionalGAN, WassersteinAutoencoder])
def test_a_normal_prior_needs_no_name(estimator, digits):
    model = estimator(2, hidden_layer_sizes=(8,), max_iter=1, random_state=0).fit(digits[:100])
    values = norm.ppf([0.125, 0.375, 0.625, 0.875])
    np.testing.assert_allclose(draw(model).values, [values, values])


def test_with_rows_the_grid_is_at_quantiles_of_their_codes(plane, digits):
    display = draw(plane, digits)
    codes = plane.transform(digits)
    np.testing.assert_allclose(display.values, np.quantile(codes, [0.125, 0.375, 0.625, 0.875], axis=0).T)
    h = [[display.values[0][0], display.values[1][3]]]
    np.testing.assert_allclose(display.rows[3, 0], plane.inverse_transform(h)[0])


@pytest.mark.parametrize("with_rows", [False, True])
def test_the_other_components_stay_in_the_middle(cube, digits, with_rows):
    X = digits[:50] if with_rows else None
    display = draw(cube, X, components=(2, 0))
    x, y = display.values
    middle = cube.transform(X).mean(axis=0)[1] if with_rows else 0.0
    np.testing.assert_allclose(display.rows[1, 3], cube.inverse_transform([[y[1], middle, x[3]]])[0])
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("normal2", "normal0")


def test_any_transformer_is_taken_with_rows(digits):
    pipeline = make_pipeline(StandardScaler(), PCA(2)).fit(digits)
    assert draw(pipeline, digits).rows.shape == (4, 4, 64)


@pytest.mark.parametrize("condition", [3.0, (1.0, 3.0)])
def test_all_pictures_have_the_condition(digits, condition):
    class Told(Normal):
        def inverse_transform(self, H, y):
            return super().inverse_transform(H) + np.reshape(y, (len(H), -1))[:, -1:]

    model = Told(2).fit(digits)
    np.testing.assert_allclose(draw(model, condition=condition).rows, draw(Normal(2).fit(digits)).rows + 3.0)


# -------------------------------------------------------------------- what is drawn


def test_the_components_grow_to_the_right_and_upwards(plane):
    display = draw(plane)
    (image,) = display.ax_.images
    np.testing.assert_array_equal(image.get_array()[-8:, :8], display.rows[0, 0].reshape(8, 8))
    np.testing.assert_array_equal(image.get_array()[-8:, -8:], display.rows[0, 3].reshape(8, 8))
    np.testing.assert_array_equal(image.get_array()[:8, :8], display.rows[3, 0].reshape(8, 8))
    assert image.get_clim() == pytest.approx(tuple(np.percentile(display.rows, (1, 99))))
    for axis, pixels in ((display.ax_.xaxis, 8 * np.arange(4) + 4), (display.ax_.yaxis, 8 * np.arange(4) + 4)):
        np.testing.assert_array_equal(axis.get_ticklocs(), pixels)
        assert [tick.get_text() for tick in axis.get_ticklabels()] == ["-1.2", "-0.32", "0.32", "1.2"]
    left, right = display.ax_.get_xlim()
    bottom, top = display.ax_.get_ylim()
    assert (left, right, bottom, top) == (0, 32, 0, 32)
    for axis in (display.ax_.xaxis, display.ax_.yaxis):  # where the lines between pictures are
        np.testing.assert_array_equal(axis.get_minorticklocs(), [8, 16, 24])


def test_few_values_are_written(plane):
    display = draw(plane, n_steps=20)
    assert len(display.ax_.get_xticks()) == len(display.ax_.get_yticks()) == 5


@pytest.mark.parametrize(("image_shape", "shape"), [((3, 2, 4), (4, 8, 3)), ((2, 4, 3), (4, 8, 3)), ((4, 6), (8, 12))])
def test_pictures_that_are_not_square_or_not_grey(image_shape, shape):
    rows = np.random.default_rng(0).random((2, 2, 24))
    display = ManifoldDisplay(rows=rows, values=np.array([[0, 1], [2, 3]]), image_shape=image_shape).plot()
    assert display.ax_.images[0].get_array().shape == shape
    display.figure_.canvas.draw()


# -------------------------------------------------------------------- what is refused


def test_codes_that_are_no_plane_are_refused(cube, digits):
    message = r"A grid is over 2 components, but the code of Normal has 3: pass .* components=\(0, 1\)"
    for X in (None, digits):
        with pytest.raises(ValueError, match=message):
            draw(cube, X)
    with pytest.raises(ValueError, match="the code of PCA has 1: fit it with n_components=2"):
        draw(PCA(1).fit(digits), digits)
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"components": (0, 3)}, r"components=\(0, 3\) cannot be drawn from a code with 3 columns: pass two different"),
        ({"components": (0, 0)}, "cannot be drawn"),
        ({"components": (0, 1, 2)}, "cannot be drawn"),
        ({"components": (0, 1), "n_steps": 0}, "n_steps=0 leaves nothing to draw"),
        ({"components": (0, 1), "n_steps": 1.5}, r"n_steps=1\.5 leaves nothing to draw"),
        ({"components": (0, 1), "image_shape": (3, 3)}, r"image_shape=\(3, 3\) has 9 numbers, but X has 64"),
        ({"components": (0, 1), "image_shape": None}, "Rows with 64 features are no pictures: pass their image_shape"),
    ],
)
def test_bad_choices_are_refused(cube, digits, options, message):
    with pytest.raises(ValueError, match=message):
        draw(cube, digits, **options)
    assert not plt.get_fignums()


def test_codes_without_a_standard_normal_prior_need_rows(digits):
    learned = Normal(2).fit(digits)
    learned.prior = "flow"
    for model in (PCA(2).fit(digits), learned):
        with pytest.raises(ValueError, match="has no standard normal prior to take quantiles of: pass X"):
            draw(model)
    assert not plt.get_fignums()


def test_estimators_that_do_not_decode_are_refused(digits):
    with pytest.raises(TypeError, match="DBSCAN has no transform: pass a transformer that can reconstruct"):
        draw(DBSCAN().fit(digits), digits)
