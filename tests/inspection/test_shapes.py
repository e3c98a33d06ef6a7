"""Shapes of pictures: channels first and last, what an estimator knows, and red images that are drawn red."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import RBM, ConvolutionalAutoencoder, FineTunedClassifier, ReceptiveFieldAutoencoder, StackedAutoencoder
from skae.inspection import FilterDisplay, GibbsDisplay, ReconstructionDisplay
from skae.inspection._shapes import as_images, known_shape, picture_shape

QUICK = {"channels": (2,), "max_iter": 1, "random_state": 0}
RED = np.zeros((10, 6, 5, 3))
RED[..., 0] = 0.5 + 0.5 * np.random.default_rng(0).random((10, 6, 5))
"""Ten images of six by five red pixels, with channels last as in numpy."""
ROWS = {"first": RED.transpose(0, 3, 1, 2).reshape(10, -1), "last": RED.reshape(10, -1)}
SHAPES = {"first": (3, 6, 5), "last": (6, 5, 3)}


def convolutional(axis="first", **options):
    return ConvolutionalAutoencoder(2, image_shape=SHAPES[axis], channel_axis=axis, **{**QUICK, **options})


@pytest.fixture(scope="module")
def fitted():
    return {axis: convolutional(axis).fit(ROWS[axis]) for axis in SHAPES}


# -------------------------------------------------------------------- the rule


@pytest.mark.parametrize(
    ("asked", "n_features", "found"),
    [
        ((6, 5), 30, (6, 5)),
        ([6, 5], 30, (6, 5)),
        (np.array([3, 6, 5]), 90, (3, 6, 5)),
        ((6, 5, 3), 90, (6, 5, 3)),
        ((1, 6, 5), 30, (6, 5)),
        ((6, 5, 1), 30, (6, 5)),
        ((2, 3, 1), 6, (2, 3)),
        ((3, 2), 6, (3, 2)),
        ("auto", 36, (6, 6)),
        ("auto", 90, None),
        (None, 36, None),
    ],
)
def test_a_shape_is_grey_or_has_three_channels_at_one_end(asked, n_features, found):
    shape = picture_shape(asked, n_features)
    assert shape == found
    assert shape is None or picture_shape(shape, n_features) == shape


@pytest.mark.parametrize("shape", [(3, 6, 3), (1, 6, 3), (3, 6, 1), (1, 6, 1)])
def test_a_shape_that_can_be_read_in_two_ways_is_refused(shape):
    with pytest.raises(ValueError, match="may have its channels first or last: leave out a single channel"):
        picture_shape(shape, int(np.prod(shape)))


@pytest.mark.parametrize("shape", [(2, 6, 5), (6, 3, 5), (6, 5, 4), (0, 5), (6, 5, 3, 1)])
def test_a_shape_with_other_channels_is_no_picture(shape):
    with pytest.raises(ValueError, match=r"pass \(height, width\), \(3, height, width\) or \(height, width, 3\)"):
        picture_shape(shape, int(np.prod(shape)))


@pytest.mark.parametrize("axis", SHAPES)
def test_rows_are_images_as_numpy_has_them(axis):
    np.testing.assert_array_equal(as_images(ROWS[axis], SHAPES[axis]), RED)
    np.testing.assert_array_equal(as_images(RED[..., 0].reshape(10, -1), (6, 5)), RED[..., 0])


# -------------------------------------------------------------------- what is drawn


@pytest.mark.parametrize("axis", SHAPES)
@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_red_images_are_drawn_red(fitted, axis, scale):
    def mean_colours(display, of):
        return np.array([image.get_array().mean(axis=(0, 1)) for image in display.ax_.images[:of]])

    rows, shape = scale * ROWS[axis], SHAPES[axis]
    expected = [[red.mean(), 0, 0] for red in RED[:8, :, :, 0] / RED[:8].max()]
    by_user = ReconstructionDisplay.from_estimator(PCA(2).fit(rows), rows, image_shape=shape)
    np.testing.assert_allclose(mean_colours(by_user, 8), expected, atol=1e-6)
    by_estimator = ReconstructionDisplay.from_estimator(fitted[axis], rows)
    assert by_estimator.image_shape == shape
    np.testing.assert_allclose(mean_colours(by_estimator, 8), expected, atol=1e-6)
    again = ReconstructionDisplay.from_estimator(fitted[axis], rows, image_shape=shape)
    np.testing.assert_allclose(mean_colours(again, 8), expected, atol=1e-6)
    chain = GibbsDisplay(states={0: rows[:8]}, image_shape=shape).plot()
    np.testing.assert_allclose(mean_colours(chain, 8), expected, atol=1e-6)


@pytest.mark.parametrize("axis", SHAPES)
def test_a_filter_of_red_pixels_is_drawn_red(axis):
    display = FilterDisplay(filters=ROWS[axis][:1], image_shape=SHAPES[axis]).plot()
    drawn = display.image_.get_array()[1:7, :5]
    np.testing.assert_allclose(drawn, 0.5 + 0.5 * RED[0] / RED[0].max())


@pytest.mark.parametrize("axis", SHAPES)
def test_stimuli_take_the_shape_of_the_estimator(fitted, axis):
    assert FilterDisplay.from_estimator(fitted[axis]).image_shape == SHAPES[axis]


def test_colours_of_rows_with_negative_values_use_the_whole_range():
    rows = np.linspace(-1, 1, 90).reshape(1, 90)
    display = ReconstructionDisplay(rows={"input": rows}, image_shape=(6, 5, 3)).plot()
    np.testing.assert_allclose(display.ax_.images[0].get_array(), (rows.reshape(6, 5, 3) + 1) / 2)


# -------------------------------------------------------------------- what an estimator knows


@pytest.mark.parametrize(
    ("make", "known"),
    [
        (convolutional, ((3, 6, 5), 0)),
        (lambda: convolutional("last"), ((6, 5, 3), 2)),
        (lambda: make_pipeline(MinMaxScaler(), "passthrough", convolutional()), ((3, 6, 5), 0)),
        (lambda: make_pipeline(PCA(9), ConvolutionalAutoencoder(2, **QUICK)), None),
        (lambda: GridSearchCV(convolutional(), {"n_components": [1]}, cv=2), ((3, 6, 5), 0)),
        (lambda: StackedAutoencoder([convolutional(), 2], max_iter=1, random_state=0), ((3, 6, 5), 0)),
        (lambda: StackedAutoencoder([2], max_iter=1, random_state=0), None),
        (lambda: FineTunedClassifier(convolutional(), max_iter=1, random_state=0), ((3, 6, 5), 0)),
        (lambda: ReceptiveFieldAutoencoder(2, image_shape=(6, 15), max_iter=1, random_state=0), ((6, 15), None)),
        (lambda: PCA(2), None),
    ],
)
def test_what_an_estimator_knows_of_its_images(make, known):
    rows = ROWS["last" if known and known[0][-1] == 3 else "first"]
    estimator = make().fit(rows, np.arange(10) % 2)
    assert known_shape(estimator) == known
    assert known_shape(FrozenEstimator(estimator)) == known


@pytest.mark.parametrize(
    ("image_shape", "n_features"), [("row", 64), ((2, 4, 8), 64), ((3, 7, 3), 63)], ids=["signal", "two", "either"]
)
def test_images_that_cannot_be_drawn_are_no_pictures(image_shape, n_features):
    X = np.random.default_rng(0).random((10, n_features))
    model = ConvolutionalAutoencoder(2, image_shape=image_shape, **QUICK).fit(X)
    assert ReconstructionDisplay.from_estimator(model, X).image_shape is None
    assert FilterDisplay.from_estimator(model).image_shape is None


def test_rows_of_other_estimators_are_profiles_unless_a_shape_is_given(digits):
    pca = PCA(2).fit(digits)
    assert ReconstructionDisplay.from_estimator(pca, digits).image_shape is None
    assert len(ReconstructionDisplay.from_estimator(pca, digits, image_shape="auto").ax_.images) == 16


@pytest.mark.parametrize("asked", [(6, 5, 3), (18, 5), (6, 15)])
def test_a_shape_that_contradicts_the_estimator_is_refused(fitted, asked):
    message = (
        rf"image_shape=\({', '.join(map(str, asked))}\) contradicts ConvolutionalAutoencoder, whose rows are "
        r"images of shape \(3, 6, 5\) with channels first"
    )
    with pytest.raises(ValueError, match=message):
        ReconstructionDisplay.from_estimator(fitted["first"], ROWS["first"], image_shape=asked)
    with pytest.raises(ValueError, match=message):
        FilterDisplay.from_estimator(fitted["first"], image_shape=asked)
    assert not plt.get_fignums()


def test_channels_first_contradict_an_estimator_with_channels_last(fitted):
    with pytest.raises(ValueError, match=r"\(3, 6, 5\) contradicts .* of shape \(6, 5, 3\) with channels last"):
        ReconstructionDisplay.from_estimator(fitted["last"], ROWS["last"], image_shape=(3, 6, 5))


def test_a_chain_takes_the_shape_of_its_machine(digits):
    rbm = RBM(2, visible="bernoulli", max_iter=1, random_state=0).fit(digits[:20] / 16)
    rbm.image_shape = (1, 4, 16)
    assert GibbsDisplay.from_estimator(rbm, digits / 16, n_steps=(0, 1)).image_shape == (4, 16)
    with pytest.raises(ValueError, match=r"image_shape=\(8, 8\) contradicts RBM"):
        GibbsDisplay.from_estimator(rbm, digits / 16, n_steps=(0, 1), image_shape=(8, 8))
