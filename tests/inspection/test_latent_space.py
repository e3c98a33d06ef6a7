"""LatentSpaceDisplay: points of the code, the colours of a target, and what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn import config_context
from sklearn.cluster import DBSCAN
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler

from skae import Autoencoder
from skae.inspection import LatentSpaceDisplay, _hidden
from skae.metrics import neighborhood_preservation, neighbors_kept, reconstruction_r2

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


def test_among_names_of_classes_minus_one_is_no_label():
    """As ``fit`` of semi-supervised estimators takes it."""
    display = LatentSpaceDisplay(codes=np.zeros((4, 2)), y=np.array(["b", -1, "a", None], dtype=object)).plot()
    assert legend_texts(display) == ["a", "b", "missing"]
    with pytest.raises(ValueError, match="y mixes labels that cannot be compared"):
        LatentSpaceDisplay(codes=np.zeros((2, 2)), y=np.array(["b", 7], dtype=object)).plot()


@pytest.mark.parametrize("color_by", ["target", "spread", "error"])
def test_tensors_are_drawn_like_arrays(color_by):
    model = Autoencoder(2, hidden_layer_sizes=(), max_iter=1, random_state=0).fit(R)
    y = np.arange(len(R)) % 3
    expected = LatentSpaceDisplay.from_estimator(model, R, y, color_by=color_by)
    with config_context(array_api_dispatch=True):
        given = torch.tensor(R, requires_grad=True), torch.tensor(y)
        display = LatentSpaceDisplay.from_estimator(model, *given, color_by=color_by)
    assert display.scores == pytest.approx(expected.scores)
    np.testing.assert_array_equal(display.y, y)
    if color_by != "target":
        np.testing.assert_allclose(display.quantity, expected.quantity, rtol=1e-4)


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
    few, many = (LatentSpaceDisplay(codes=np.zeros((n, 2))).plot().scatter_ for n in (100, 20_000))
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


# ---------------------------------------------------------------- what the map hides

R = np.random.default_rng(0).normal(size=(60, 4))


@pytest.mark.parametrize("container", [np.asarray, sparse.csc_array, pd.DataFrame])
def test_spread_is_the_distance_of_neighbours_on_the_map(container):
    rows = container(R)
    pca = PCA(3).fit(rows)
    display = LatentSpaceDisplay.from_estimator(pca, rows, components=(2, 0), color_by="spread")
    h = pca.transform(rows)[:, [2, 0]]
    nearest = [np.argsort(np.linalg.norm(R - x, axis=1))[1:16] for x in R]
    expected = np.array([np.sqrt(np.mean(np.sum((h[j] - h[i]) ** 2, axis=1))) for i, j in enumerate(nearest)])
    np.testing.assert_allclose(display.quantity, expected / np.median(expected))


def test_half_of_few_rows_are_neighbours():
    display = LatentSpaceDisplay.from_estimator(PCA(2).fit(R), R[:8], color_by="spread")
    assert "the 3 neighbours" in display.quantity_name
    display = LatentSpaceDisplay.from_estimator(PCA(2).fit(R), R[:2], color_by="spread")
    np.testing.assert_allclose(display.quantity, 1.0)
    assert list(display.scores) == ["reconstruction R2"]  # any map of two rows keeps the neighbour of each


def test_a_map_on_which_all_rows_are_one_has_no_spread():
    nothing = FunctionTransformer(lambda x: 0.0 * x).fit(R)
    np.testing.assert_array_equal(LatentSpaceDisplay.from_estimator(nothing, R, color_by="spread").quantity, 0.0)


def test_the_mean_error_is_what_r2_leaves():
    pipeline = make_pipeline(StandardScaler(), PCA(2)).fit(R[:30])
    display = LatentSpaceDisplay.from_estimator(pipeline, R, color_by="error")
    assert display.quantity.mean() == pytest.approx(1 - reconstruction_r2(pipeline, R))
    assert display.scores["reconstruction R2"] == pytest.approx(reconstruction_r2(pipeline, R))
    errors = np.sum((R - pipeline.inverse_transform(pipeline.transform(R))) ** 2, axis=1)
    np.testing.assert_allclose(display.quantity / display.quantity[0], errors / errors[0])


def test_rows_are_decoded_once_for_their_errors_and_r2():
    class Counting(PCA):
        n_decoded = 0

        def inverse_transform(self, X):
            self.n_decoded += len(X)
            return super().inverse_transform(X)

    X = np.random.default_rng(0).normal(size=(60, 4))
    pca = Counting(2).fit(X)
    by_error = LatentSpaceDisplay.from_estimator(pca, X, color_by="error")
    assert pca.n_decoded == 60
    assert by_error.scores == pytest.approx(LatentSpaceDisplay.from_estimator(pca, X).scores)


def test_errors_of_rows_without_variance_are_zero_or_one():
    rows = np.ones((4, 2))
    for shift in (0.0, 1.0):
        shifted = FunctionTransformer(inverse_func=lambda h, shift=shift: h + shift, check_inverse=False).fit(rows)
        display = LatentSpaceDisplay.from_estimator(shifted, rows, color_by="error")
        np.testing.assert_array_equal(display.quantity, shift)
        assert display.scores["reconstruction R2"] == 1.0 - shift


def test_errors_are_the_same_in_parts(monkeypatch):
    pca = PCA(2).fit(R)
    frame = pd.DataFrame(R)
    whole = LatentSpaceDisplay.from_estimator(pca, R, color_by="error").quantity
    monkeypatch.setattr(_hidden, "CHUNK_ROWS", 7)
    np.testing.assert_allclose(LatentSpaceDisplay.from_estimator(pca, frame, color_by="error").quantity, whole)


def test_both_scores_stand_between_the_axes_and_their_title(pca):
    plane = PCA(2).fit(X)
    display = LatentSpaceDisplay.from_estimator(plane, X)
    kept, r2 = neighborhood_preservation(plane, X), reconstruction_r2(plane, X)
    assert display.scores == pytest.approx({"15 neighbours kept": kept, "reconstruction R2": r2})
    display.ax_.set_title("PCA")
    display.figure_.canvas.draw()
    label = display.ax_.child_axes[0].xaxis.label
    assert label.get_text() == f"15 neighbours kept: {kept:.2f} \N{MIDDLE DOT} reconstruction R2: {r2:.2f}"
    box, title = label.get_window_extent(), display.ax_.title.get_window_extent()
    assert display.ax_.get_window_extent().y1 < box.y0 < box.y1 < title.y0
    part = LatentSpaceDisplay.from_estimator(pca, X, components=(2, 0)).scores
    kept = neighbors_kept(X, pca.transform(X)[:, [2, 0]]).mean()
    r2 = reconstruction_r2(pca, X)
    assert part == pytest.approx({"15 neighbours kept": kept, "reconstruction R2 of all 3 components": r2})
    assert LatentSpaceDisplay.from_estimator(pca, X, scores=False).ax_.child_axes == []


def test_narrow_axes_have_a_line_for_each_score():
    _, axes = plt.subplots(1, 3)
    display = LatentSpaceDisplay(codes=R[:, :2], scores={"one of them": 0.5, "and the other one": 0.25}).plot(axes[1])
    assert display.ax_.child_axes[0].get_xlabel() == "one of them: 0.50\nand the other one: 0.25"


def test_scores_that_are_not_defined_are_left_out():
    gaps = np.where(R > 2, np.nan, R)
    imputed = make_pipeline(SimpleImputer(), PCA(2)).fit(gaps)
    display = LatentSpaceDisplay.from_estimator(imputed, gaps)
    assert display.scores == {}
    assert display.ax_.child_axes == []
    no_decoder = make_pipeline(PolynomialFeatures(1), PCA(2)).fit(R)
    assert list(LatentSpaceDisplay.from_estimator(no_decoder, R).scores) == ["15 neighbours kept"]


def test_of_many_rows_some_are_scored(monkeypatch):
    monkeypatch.setattr(_hidden, "N_SCORED", 40)
    plane = PCA(2).fit(R)
    scores = [LatentSpaceDisplay.from_estimator(plane, rows).scores for rows in (R, pd.DataFrame(R))]
    assert scores[0] == pytest.approx(scores[1])
    rows = _hidden._some_rows(60)
    assert len(set(rows)) == 40
    assert scores[0] == pytest.approx(
        {
            "15 neighbours kept among 40 rows": neighborhood_preservation(plane, R[rows]),
            "reconstruction R2": reconstruction_r2(plane, R[rows]),
        }
    )


def test_a_quantity_is_drawn_in_place_of_the_target_with_the_names_of_the_classes():
    values = np.r_[np.linspace(0, 1, 100), 50.0]
    codes = np.column_stack([np.arange(101), np.arange(101)])
    display = LatentSpaceDisplay(codes=codes, y=np.arange(101) // 51, quantity=values, quantity_name="size").plot()
    np.testing.assert_array_equal(display.scatter_.get_array(), values)
    assert display.scatter_.get_cmap().name == "plasma_r"
    assert display.ax_.get_legend() is None
    assert [name.get_text() for name in display.class_names_] == ["0", "1"]
    (bar,) = (ax for ax in display.figure_.axes if ax is not display.ax_)
    assert bar.get_ylim() == pytest.approx((0, np.quantile(values, 0.95)))
    assert bar.get_ylabel() == "size\n(the scale ends at the 95 % quantile)"
    assert len(bar.patches) == 1  # the arrow of larger values
    display = LatentSpaceDisplay(codes=codes, quantity=np.ones(101), quantity_name="size").plot()
    (bar,) = (ax for ax in display.figure_.axes if ax is not display.ax_)
    assert bar.get_ylabel() == "size"
    assert len(bar.patches) == 0
    line = LatentSpaceDisplay(codes=codes[:, :1], quantity=values, quantity_name="size").plot()
    np.testing.assert_array_equal(line.scatter_.get_offsets()[:, 1], values)


@pytest.mark.parametrize(
    ("estimator", "rows", "color_by", "error", "message"),
    [
        (PCA(2), R, "spraed", ValueError, "color_by='spraed' must be 'target', 'spread' or 'error'"),
        (PCA(2), R[:1], "spread", ValueError, "needs at least 2 rows"),
        (make_pipeline(SimpleImputer(), PCA(2)), np.where(R > 2, np.nan, R), "spread", ValueError, "without missing"),
        (make_pipeline(PolynomialFeatures(1), PCA(2)), R, "error", TypeError, "Pipeline has no inverse_transform"),
        (FunctionTransformer(inverse_func=lambda h: h[:, :3]), R, "error", ValueError, "3 columns, but X has 4"),
    ],
)
def test_what_cannot_be_coloured_is_refused(estimator, rows, color_by, error, message):
    with pytest.raises(error, match=message):
        LatentSpaceDisplay.from_estimator(estimator.fit(R), rows, color_by=color_by)
    assert not plt.get_fignums()


def test_errors_of_rows_with_gaps_are_those_of_their_observed_entries():
    gaps = np.where(np.arange(R.size).reshape(R.shape) % 7 == 0, np.nan, R)
    model = Autoencoder(2, max_iter=2, random_state=0).fit(gaps)
    total = np.nansum((gaps - model.mean_) ** 2) / len(gaps)
    display = LatentSpaceDisplay.from_estimator(model, gaps, color_by="error")
    np.testing.assert_allclose(display.quantity, -model.score_samples(gaps) / total, rtol=1e-4)


# ---------------------------------------------------------------- names of classes


def test_names_of_classes_stand_at_their_medians():
    codes = np.array([[0, 0], [1, 5], [9, 1], [10, 10], [30, 10], [20, 40], [99, 99]], dtype=float)
    display = LatentSpaceDisplay(codes=codes, y=["a", "a", "a", "b", "b", "b", None]).plot()
    assert {name.get_text(): name.get_position() for name in display.class_names_} == {"a": (1, 1), "b": (20, 10)}
    assert legend_texts(display) == ["a", "b", "missing"]
    assert LatentSpaceDisplay(codes=codes, y=np.linspace(0, 1, 7) * 40.0, quantity=codes[:, 0]).plot().class_names_
    assert LatentSpaceDisplay(codes=codes).plot().class_names_ == ()


def test_a_name_does_not_cover_that_of_a_larger_class():
    codes = np.array([[0, 0]] * 5 + [[0.1, 0]] * 3 + [[50, 50]] * 2, dtype=float)
    display = LatentSpaceDisplay(codes=codes, y=["z"] * 5 + ["a"] * 3 + ["far"] * 2).plot()
    for _ in range(2):  # what was hidden is asked again
        display.figure_.canvas.draw()
        assert {name.get_text(): name.get_visible() for name in display.class_names_} == {
            "z": True,
            "a": False,
            "far": True,
        }


def test_a_name_stays_within_the_axes():
    codes = np.array([[0.0, 0.0], [1.0, 1.0]])
    display = LatentSpaceDisplay(codes=codes, y=["a rather long name", "another long name"]).plot()
    display.figure_.canvas.draw()
    axes = display.ax_.get_window_extent()
    for name in display.class_names_:
        box = name.get_window_extent()
        assert axes.x0 <= box.x0 + 1e-6
        assert box.x1 <= axes.x1 + 1e-6
    display.figure_.set_size_inches(40, 5)  # now there is room at the medians
    display.figure_.canvas.draw()
    middles = [name.get_window_extent().get_points()[:, 0].mean() for name in display.class_names_]
    np.testing.assert_allclose(middles, display.ax_.transData.transform(codes)[:, 0], atol=1.0)
    display.ax_.set_xlim(0.5, 1.5)  # only one of them is seen
    display.figure_.canvas.draw()
    assert [name.get_visible() for name in display.class_names_] == [False, True]


# ---------------------------------------------------------------- many rows

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
COUNTS = np.array([1, 10, 1000, 20_000])
MANY = np.repeat(CORNERS, COUNTS, axis=0)


def corners(display):
    """Pixels of the four corners, in their order."""
    assert display.scatter_ is None
    pixels = display.shading_.get_array()
    low, high = (0, -1)
    return np.array([pixels[j, i] for i, j in ((low, low), (high, low), (low, high), (high, high))])


def test_many_rows_are_a_shading_by_their_number():
    display = LatentSpaceDisplay(codes=np.r_[MANY, [[np.nan, 0.5]]]).plot()
    pixels = display.shading_.get_array()
    assert (pixels[..., 3] > 0).sum() == 4
    assert display.shading_.get_extent() == [0, 1, 0, 1]
    strength = 1 - corners(display)[:, 0]
    assert (np.diff(strength) > 0).all()
    np.testing.assert_allclose((strength[1] - strength[0]) / (strength[2] - strength[0]), 1 / 3)
    low, high = display.ax_.get_xlim()
    assert low < 0 < 1 < high
    assert LatentSpaceDisplay(codes=np.zeros((20_001, 2))).plot().shading_ is not None


def test_a_cell_has_the_colour_of_its_largest_class():
    y = np.array(["b"] * len(MANY), dtype=object)
    y[0] = None  # the first corner
    y[1:6], y[6:11] = "a", "c"  # the second corner has as many of both, and the third a missing majority
    y[11:911] = None
    display = LatentSpaceDisplay(codes=MANY, y=y).plot()
    assert legend_texts(display) == ["a", "b", "c", "missing"]
    colors = corners(display)[:, :3]
    a, b = np.array(plt.get_cmap("tab10").colors)[:2]
    np.testing.assert_allclose(colors[3], b)
    for color, pure in zip(colors[1:], (a, b, b), strict=True):  # mixed with white
        assert np.linalg.matrix_rank([1 - color, 1 - pure], tol=1e-9) == 1
    assert colors[0, 0] == colors[0, 1] == colors[0, 2] < 1


def test_a_cell_has_the_colour_of_the_mean_of_a_quantity():
    y = np.linspace(0, 1, len(MANY))
    y[0] = np.nan
    display = LatentSpaceDisplay(codes=MANY, y=y).plot(cmap="plasma")
    cell = np.repeat(np.arange(4), COUNTS)
    norm = plt.Normalize(np.nanmin(y), 1)
    expected = [plt.get_cmap("plasma")(norm(y[cell == k].mean()))[:3] for k in (1, 2, 3)]
    np.testing.assert_allclose(corners(display)[1:, :3], expected)
    assert len(set(corners(display)[0, :3])) == 1  # grey
    (bar,) = (ax for ax in display.figure_.axes if ax is not display.ax_)
    assert bar.get_ylim() == (norm.vmin, norm.vmax)
