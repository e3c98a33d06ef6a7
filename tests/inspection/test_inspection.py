"""Displays: what is stored, what is drawn, and what is said when it cannot be."""

import importlib
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import DBSCAN
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler

import skae
import skae.inspection
from skae import Autoencoder, DenoisingAutoencoder
from skae.inspection import LatentSpaceDisplay, LearningCurveDisplay, ReconstructionDisplay

IRIS = load_iris(as_frame=True)
X = IRIS.data.to_numpy()
SPECIES = IRIS.target_names[IRIS.target]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def autoencoder():
    return Autoencoder(2, hidden_layer_sizes=8, max_iter=3, early_stopping=True, random_state=0).fit(X)


@pytest.fixture(scope="module")
def pca():
    return PCA(3).fit(X)


def draw_learning_curve(estimator, ax=None):
    return LearningCurveDisplay.from_estimator(estimator, ax=ax)


def draw_reconstruction(estimator, ax=None):
    return ReconstructionDisplay.from_estimator(estimator, X, n_samples=2, ax=ax)


def draw_pictures(estimator, ax=None):
    return ReconstructionDisplay.from_estimator(estimator, X, image_shape=(2, 2), ax=ax)


def draw_latent_space(estimator, ax=None):
    return LatentSpaceDisplay.from_estimator(estimator, X, SPECIES, ax=ax)


def draw_restored(estimator, ax=None):
    return ReconstructionDisplay.from_estimator(estimator, X, corrupted=X[::-1], image_shape=(2, 2), ax=ax)


DRAWINGS = [draw_learning_curve, draw_reconstruction, draw_pictures, draw_restored, draw_latent_space]


# -------------------------------------------------------------------- conventions of all displays


@pytest.mark.parametrize("draw", DRAWINGS)
def test_a_new_figure_is_made_where_no_axes_are_given(draw, autoencoder):
    display = draw(autoencoder)
    assert display.figure_ is display.ax_.figure is plt.gcf()
    display.figure_.canvas.draw()


@pytest.mark.parametrize("draw", DRAWINGS)
@pytest.mark.parametrize("layout", [None, "constrained", "tight"])
def test_given_axes_are_drawn_on(draw, layout, autoencoder):
    figure, (left, right) = plt.subplots(1, 2, layout=layout)
    display = draw(autoencoder, ax=right)
    assert display.ax_ is right
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert not left.has_data()
    figure.canvas.draw()


@pytest.mark.parametrize("draw", DRAWINGS)
def test_plot_draws_again_and_returns_the_display(draw, autoencoder):
    display = draw(autoencoder)
    before = display.ax_
    assert display.plot() is display
    assert display.ax_ is not before


@pytest.mark.parametrize("draw", DRAWINGS)
def test_drawing_without_matplotlib_says_how_to_get_it(draw, autoencoder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "skae\[plot\]"'):
        draw(autoencoder)


def test_the_module_is_imported_without_matplotlib(monkeypatch):
    monkeypatch.setattr(skae, "inspection", skae.inspection)  # is put back after the test
    for name in [name for name in sys.modules if name.startswith(("skae.inspection", "matplotlib"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert importlib.import_module("skae.inspection").__all__ == skae.inspection.__all__


@pytest.mark.parametrize("draw", DRAWINGS)
def test_an_estimator_must_be_fitted(draw):
    with pytest.raises(NotFittedError):
        draw(Autoencoder())
    assert not plt.get_fignums()


# -------------------------------------------------------------------- learning curve


HISTORY = {"loss": [3.0, 1.0, 2.0], "reconstruction": [2.0, 0.5, 1.5], "sparsity": [1.0, 0.5, 0.5]}


def test_learning_curve_is_the_history(autoencoder):
    display = LearningCurveDisplay.from_estimator(autoencoder)
    history = autoencoder.history_
    assert list(display.lines_) == ["reconstruction", "validation_loss"]
    for name, line in display.lines_.items():
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
        np.testing.assert_array_equal(line.get_ydata(), history[name])
    assert display.best_epoch == np.argmin(history["validation_loss"]) + 1
    assert display.ax_.get_xlabel() == "Epoch"
    assert display.ax_.get_ylabel() == "Loss"


def test_a_loss_of_several_terms_is_drawn_beside_them():
    display = LearningCurveDisplay(history=HISTORY).plot()
    assert list(display.lines_) == list(HISTORY)
    assert display.lines_["sparsity"].get_linewidth() < display.lines_["loss"].get_linewidth()
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == [*HISTORY, "best (epoch 2)"]


def test_a_loss_without_terms_is_drawn():
    assert list(LearningCurveDisplay(history={"loss": [2.0, 1.0]}).plot().lines_) == ["loss"]


@pytest.mark.parametrize(
    ("monitor", "epoch"), [("auto", 3), ("loss", 2), ("reconstruction", 2), ("validation_loss", 3), (None, None)]
)
def test_the_best_epoch_of_the_monitored_curve_is_marked(monitor, epoch):
    history = {**HISTORY, "validation_loss": [np.nan, 2.0, 1.0]}
    display = LearningCurveDisplay(history=history, monitor=monitor).plot()
    rings = [line for line in display.ax_.get_lines() if line not in display.lines_.values()]
    assert display.best_epoch == epoch
    assert [ring.get_xdata()[0] for ring in rings] == ([] if epoch is None else [epoch])


def test_a_history_without_a_loss_has_no_best_epoch():
    assert LearningCurveDisplay(history={"a": [2.0, 1.0]}).plot().best_epoch is None


@pytest.mark.parametrize(
    ("losses", "log_scale", "scale"),
    [
        ([11.0, 1.0], "auto", "log"),
        ([9.0, 1.0], "auto", "linear"),
        ([11.0, -1.0], "auto", "linear"),
        ([11.0, 0.0], "auto", "linear"),
        ([11.0, np.nan, 1.0], "auto", "log"),
        ([11.0, 1.0], False, "linear"),
        ([9.0, 1.0], True, "log"),
    ],
)
def test_scale_of_the_loss(losses, log_scale, scale):
    display = LearningCurveDisplay(history={"loss": losses}).plot(log_scale=log_scale)
    assert display.ax_.get_yscale() == scale


def test_one_epoch_is_visible_and_its_tick_a_whole_number():
    display = LearningCurveDisplay(history={"loss": [1.0]}).plot()
    assert display.lines_["loss"].get_marker() == "."
    np.testing.assert_array_equal(display.ax_.get_xticks() % 1, 0)


def test_an_estimator_without_a_history_is_refused(pca):
    with pytest.raises(TypeError, match="PCA keeps no history_"):
        LearningCurveDisplay.from_estimator(pca)


@pytest.mark.parametrize(
    ("parameters", "log_scale", "message"),
    [
        ({"history": {}}, "auto", "history is empty"),
        ({"history": {"loss": []}}, "auto", "history is empty"),
        ({"history": {"loss": [1.0, 2.0], "a": [1.0]}}, "auto", "pad the short lists with NaN"),
        ({"history": HISTORY, "monitor": "elbo"}, "auto", "monitor='elbo' is not in the history"),
        ({"history": HISTORY}, "yes", "log_scale='yes' is unknown"),
    ],
)
def test_bad_learning_curves_are_refused(parameters, log_scale, message):
    with pytest.raises(ValueError, match=message):
        LearningCurveDisplay(**parameters).plot(log_scale=log_scale)
    assert not plt.get_fignums()


# -------------------------------------------------------------------- reconstruction


def identity():
    """A transformer that reconstructs without an error."""
    return FunctionTransformer()


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
    many = ReconstructionDisplay.from_estimator(identity().fit(wide), wide)
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
        ({"image_shape": (1, 2, 2)}, r"image_shape=\(1, 2, 2\) is not the shape of a picture"),
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
    model = DenoisingAutoencoder(2, hidden_layer_sizes=8, max_iter=3, random_state=0).fit(X, X[:, :2])
    with pytest.raises(
        ValueError, match=r"The reconstruction rows have shape \(8, 2\), but the input rows have shape \(8, 4\)"
    ):
        ReconstructionDisplay.from_estimator(model, X)


# -------------------------------------------------------------------- latent space


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
    display = LatentSpaceDisplay.from_estimator(identity().fit(S), S)
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
    "y", [np.r_[np.nan, np.arange(30.0)], *(np.array([na, *"abcabc"], dtype=object) for na in (None, np.nan, pd.NA))]
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
