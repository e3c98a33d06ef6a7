"""ReconstructionDisplay: rows as profiles and as pictures, corrupted and restored, and what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import DBSCAN
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer

from skae import DenoisingAutoencoder
from skae.inspection import ReconstructionDisplay

IRIS = load_iris(as_frame=True)
X = IRIS.data.to_numpy()


@pytest.mark.parametrize("container", [np.asarray, list, pd.DataFrame])
def test_rows_are_the_first_of_x_and_their_reconstruction(pca, container):
    display = ReconstructionDisplay.from_estimator(pca, container(X), n_samples=3)
    x_hat = pca.inverse_transform(pca.transform(X[:3]))
    assert list(display.rows) == ["input", "reconstruction"]
    np.testing.assert_array_equal(display.rows["input"], X[:3])
    np.testing.assert_allclose(display.rows["reconstruction"], x_hat)
    np.testing.assert_allclose(display.errors, ((X[:3] - x_hat) ** 2).sum(axis=1))


@pytest.mark.parametrize("form", ["csr", "coo"])
def test_sparse_rows_are_reconstructed(form):
    sparse = pytest.importorskip("scipy.sparse")
    S = sparse.csr_array(X).asformat(form)
    svd = TruncatedSVD(2, random_state=0).fit(S)
    display = ReconstructionDisplay.from_estimator(svd, S, n_samples=3)
    np.testing.assert_array_equal(display.rows["input"], X[:3])


def test_profiles_show_the_input_as_points_and_the_reconstruction_as_a_line(pca):
    display = ReconstructionDisplay.from_estimator(pca, X, n_samples=5)
    assert display.axes_.shape == (5,)
    for k, panel in enumerate(display.axes_):
        points, line = panel.get_lines()
        np.testing.assert_array_equal(points.get_ydata(), X[k])
        np.testing.assert_array_equal(line.get_ydata(), display.rows["reconstruction"][k])
        assert points.get_linestyle() == "None"
        assert line.get_linestyle() == "-"
        assert panel.get_title() == f"squared error {display.errors[k]:.3g}"


def test_profiles_name_up_to_30_features(pca):
    names = list(IRIS.data.columns)
    with_names = ReconstructionDisplay.from_estimator(PCA(2).fit(IRIS.data), IRIS.data)
    assert [tick.get_text() for tick in with_names.axes_[-1].get_xticklabels()] == names
    without = ReconstructionDisplay.from_estimator(pca, X)
    assert without.axes_[-1].get_xlabel() == "Feature"
    wide = pd.DataFrame(np.eye(31)).add_prefix("x")
    many = ReconstructionDisplay.from_estimator(FunctionTransformer().fit(wide), wide)
    assert "x0" not in [tick.get_text() for tick in many.axes_[-1].get_xticklabels()]


def test_panels_stay_inside_of_the_axes(pca):
    display = ReconstructionDisplay.from_estimator(pca, X, n_samples=10)
    display.figure_.canvas.draw()
    frame = display.ax_.get_window_extent()
    for panel in display.axes_:
        box = panel.get_window_extent()
        assert box.width > 0
        assert box.height > 0
        assert frame.x0 - 1 <= box.x0 < box.x1 <= frame.x1 + 1
        assert frame.y0 - 1 <= box.y0 < box.y1 <= frame.y1 + 1


def test_grey_pictures_share_their_shades():
    images = np.arange(32.0).reshape(2, 16)
    display = ReconstructionDisplay(rows={"input": images, "reconstruction": 2 * images}, image_shape=(4, 4)).plot()
    drawn = display.ax_.images
    expected = [*images.reshape(2, 4, 4), *(2 * images).reshape(2, 4, 4)]
    assert len(drawn) == len(expected)
    for picture, image in zip(drawn, expected, strict=True):
        np.testing.assert_array_equal(picture.get_array(), image)
        assert picture.get_clim() == (0.0, 31.0)
    assert list(display.axes_) == [display.ax_]
    assert len(display.ax_.get_xticks()) == 0


def test_pictures_stand_in_rows_by_name_and_columns_by_sample():
    rows = {name: np.zeros((2, 6)) for name in ("clean", "corrupted", "restored")}
    display = ReconstructionDisplay(rows=rows, errors=[0.5, 12.25], image_shape=(3, 2)).plot()
    lefts, tops = zip(*((p.get_extent()[0], p.get_extent()[3]) for p in display.ax_.images), strict=True)
    assert [len(set(lefts)), len(set(tops))] == [2, 3]
    assert all(p.get_extent()[1] <= display.ax_.get_xlim()[1] for p in display.ax_.images)
    assert all(p.get_extent()[2] <= display.ax_.get_ylim()[0] for p in display.ax_.images)
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == list(rows)
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["0.5", "12.2"]


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_colours_are_brought_to_the_unit_interval(scale):
    images = np.linspace(0, scale, 12).reshape(1, 12)
    display = ReconstructionDisplay(rows={"input": images, "reconstruction": 3 * images}, image_shape=(2, 2, 3)).plot()
    first, second = (picture.get_array() for picture in display.ax_.images)
    np.testing.assert_allclose(first, images.reshape(2, 2, 3) / scale)
    np.testing.assert_allclose(second, np.minimum(3 * images.reshape(2, 2, 3) / scale, 1))


def test_constant_colours_are_drawn():
    ReconstructionDisplay(rows={"input": np.ones((1, 12))}, image_shape=(2, 2, 3)).plot()


@pytest.mark.parametrize(("n_features", "n_pictures"), [(16, 2), (64, 2), (9, 0), (17, 0)])
def test_auto_takes_squares_of_at_least_16_for_pictures(n_features, n_pictures):
    rows = {"input": np.eye(n_features)[:1], "reconstruction": np.eye(n_features)[:1]}
    display = ReconstructionDisplay(rows=rows, image_shape="auto").plot()
    assert len(display.ax_.images) == n_pictures


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (DBSCAN(), "DBSCAN has no transform"),
        (Normalizer(), "Normalizer has no inverse_transform"),
        (make_pipeline(PCA(2), Normalizer()), "Pipeline has no inverse_transform"),
    ],
)
def test_an_estimator_that_cannot_reconstruct_is_refused(estimator, message):
    with pytest.raises(TypeError, match=message):
        ReconstructionDisplay.from_estimator(estimator, X)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"image_shape": (3, 2)}, r"image_shape=\(3, 2\) has 6 numbers, but X has 4 features"),
        ({"image_shape": (4,)}, r"image_shape=\(4,\) is not the shape of a picture"),
        ({"image_shape": (2, 1, 2)}, r"image_shape=\(2, 1, 2\) is not the shape of a picture"),
        ({"image_shape": (1, 4, 1)}, r"image_shape=\(1, 4, 1\) may have its channels first or last"),
        ({"image_shape": (1, 1, 1, 4)}, "is not the shape of a picture"),
        ({"image_shape": "square"}, "image_shape='square' is not the shape of a picture"),
        ({"image_shape": (-2, -2)}, "is not the shape of a picture"),
        ({"image_shape": (2.0, 2.0)}, "is not the shape of a picture"),
        ({"image_shape": 2}, "image_shape=2 is not the shape of a picture"),
        ({"n_samples": 0}, "n_samples=0 leaves nothing to draw"),
        ({"n_samples": -1}, "n_samples=-1 leaves nothing to draw"),
    ],
)
def test_bad_reconstructions_are_refused(pca, parameters, message):
    with pytest.raises(ValueError, match=message):
        ReconstructionDisplay.from_estimator(pca, X, **parameters)
    assert not plt.get_fignums()


# -------------------------------------------------------------------- clean, corrupted, restored


@pytest.fixture(scope="module")
def denoiser():
    return DenoisingAutoencoder(2, hidden_layer_sizes=8, max_iter=3, random_state=0).fit(IRIS.data)


@pytest.mark.parametrize("container", [np.asarray, list, pd.DataFrame])
def test_corrupted_rows_are_restored_and_compared_with_the_clean_ones(pca, container):
    noisy = X + np.linspace(-1, 1, X.size).reshape(X.shape)
    display = ReconstructionDisplay.from_estimator(pca, container(X), corrupted=container(noisy), n_samples=3)
    restored = pca.inverse_transform(pca.transform(noisy[:3]))
    assert list(display.rows) == ["clean", "corrupted", "restored"]
    np.testing.assert_array_equal(display.rows["clean"], X[:3])
    np.testing.assert_array_equal(display.rows["corrupted"], noisy[:3])
    np.testing.assert_allclose(display.rows["restored"], restored)
    np.testing.assert_allclose(display.errors, ((X[:3] - restored) ** 2).sum(axis=1))


def test_corrupted_sparse_rows_are_restored():
    sparse = pytest.importorskip("scipy.sparse")
    S = sparse.csr_array(X)
    svd = TruncatedSVD(2, random_state=0).fit(S)
    display = ReconstructionDisplay.from_estimator(svd, S, corrupted=2 * S, n_samples=3)
    np.testing.assert_array_equal(display.rows["corrupted"], 2 * X[:3])


def test_an_uncorrupted_copy_is_reconstructed_as_x_is(pca):
    plain = ReconstructionDisplay.from_estimator(pca, X)
    copied = ReconstructionDisplay.from_estimator(pca, X, corrupted=X)
    np.testing.assert_array_equal(copied.rows["restored"], plain.rows["reconstruction"])
    np.testing.assert_array_equal(copied.errors, plain.errors)


def test_the_greys_are_those_of_the_clean_rows(pca):
    display = ReconstructionDisplay.from_estimator(pca, X, corrupted=100 * X, image_shape=(2, 2), n_samples=3)
    assert {picture.get_clim() for picture in display.ax_.images} == {(X[:3].min(), X[:3].max())}


def test_the_estimator_corrupts_as_in_training(denoiser):
    display = ReconstructionDisplay.from_estimator(denoiser, IRIS.data, corrupted=True, random_state=7)
    noisy = denoiser.corrupt(IRIS.data[:8], random_state=7)
    np.testing.assert_array_equal(display.rows["corrupted"], noisy)
    restored = denoiser.denoise(pd.DataFrame(noisy, columns=IRIS.data.columns))
    np.testing.assert_allclose(display.rows["restored"], restored, rtol=1e-5)
    assert (noisy != X[:8]).any()
    assert list(display.axes_[-1].get_lines()[0].get_ydata()) == list(X[7])


def test_polars_frames_are_corrupted():
    frame = pytest.importorskip("polars").from_pandas(IRIS.data)
    model = DenoisingAutoencoder(2, hidden_layer_sizes=8, max_iter=3, random_state=0).fit(frame)
    display = ReconstructionDisplay.from_estimator(model, frame, corrupted=True, random_state=7)
    np.testing.assert_array_equal(display.rows["corrupted"], model.corrupt(frame.head(8), random_state=7))


@pytest.mark.parametrize("corrupted", [None, False])
def test_without_corruption_rows_are_reconstructed(pca, corrupted):
    display = ReconstructionDisplay.from_estimator(pca, X, corrupted=corrupted)
    assert list(display.rows) == ["input", "reconstruction"]


def test_an_estimator_that_cannot_corrupt_is_refused(pca):
    with pytest.raises(TypeError, match="PCA has no corrupt: pass corrupted rows"):
        ReconstructionDisplay.from_estimator(pca, X, corrupted=True)
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("corrupted", "message"),
    [
        (X[:3], r"The corrupted rows have shape \(3, 4\), but the clean rows have shape \(8, 4\)"),
        (X[:, :3], "X has 3 features, but PCA is expecting 4 features"),
        (X[:, 0], "Expected 2D array"),
        (np.full_like(X, np.nan), "contains NaN"),
    ],
)
def test_corrupted_rows_that_do_not_fit_are_refused(pca, corrupted, message):
    with pytest.raises(ValueError, match=message):
        ReconstructionDisplay.from_estimator(pca, X, corrupted=corrupted)
    assert not plt.get_fignums()


def test_reconstructions_of_something_else_than_x_are_refused():
    model = DenoisingAutoencoder(2, hidden_layer_sizes=8, max_iter=3, target="y", random_state=0).fit(X, X[:, :2])
    with pytest.raises(
        ValueError, match=r"The reconstruction rows have shape \(8, 2\), but the input rows have shape \(8, 4\)"
    ):
        ReconstructionDisplay.from_estimator(model, X)
