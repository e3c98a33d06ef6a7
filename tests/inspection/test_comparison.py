"""ComparisonDisplay: what it takes from a comparison, and what it draws."""

import importlib
import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.text import Text
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_iris, load_linnerud
from sklearn.decomposition import PCA, KernelPCA
from sklearn.manifold import TSNE

from skae import Autoencoder, compare
from skae.inspection import ComparisonDisplay

X, Y = load_iris(return_X_y=True)
TINY = Autoencoder(hidden_layer_sizes=(4,), max_iter=1)


@pytest.fixture(scope="module", autouse=True)
def _quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.import_module("skae.comparison.evaluation"), "TIMED", 0.0)
        yield


@pytest.fixture(scope="module")
def comparison():
    """KernelPCA, which cannot reconstruct, between two that can."""
    return compare(X, Y, {"kernel": KernelPCA(), "tiny": TINY}, [1, 2, 3], cv=2)


@pytest.fixture(scope="module")
def digits_comparison(digits):
    return compare(digits, None, [TINY, KernelPCA()], [2, 5], cv=2)


def find(comparison, column, reducer):
    return [[row["n_components"], row[column]] for row in comparison.rows if row["reducer"] == reducer]


# -------------------------------------------------------------------- arrays


def test_the_scores_are_those_of_the_rows(comparison):
    display = ComparisonDisplay.from_comparison(comparison)
    assert list(display.scores) == ["r2", "linear", "knn", "neighbors"]
    for name, curves in display.scores.items():
        assert list(curves) == (["PCA", "tiny"] if name == "r2" else ["PCA", "kernel", "tiny"])
        for reducer, points in curves.items():
            np.testing.assert_array_equal(points, find(comparison, name, reducer))


@pytest.mark.parametrize(("sizes", "drawn", "width"), [([1, 2, 3], 2, 2), ([3, 1], 3, 2), ([1], 1, 1)])
def test_the_codes_are_the_first_columns_of_the_narrowest_with_two(sizes, drawn, width):
    comparison = compare(X, Y, [TINY], sizes, cv=2)
    display = ComparisonDisplay.from_comparison(comparison)
    assert list(display.codes) == ["PCA", "Autoencoder"]
    for reducer, codes in display.codes.items():
        model = comparison.estimators[reducer, drawn]
        np.testing.assert_array_equal(codes, model.transform(comparison.X_test)[:, :width])


def test_the_codes_are_coloured_by_the_held_out_target(comparison):
    display = ComparisonDisplay.from_comparison(comparison)
    np.testing.assert_array_equal(display.y, comparison.y_test)
    points = display.axes_["codes PCA"].collections[0]
    colors = [to_rgba(f"C{label}", points.get_alpha()) for label in comparison.y_test]
    np.testing.assert_allclose(points.get_facecolors(), colors)
    np.testing.assert_array_equal(points.get_offsets(), display.codes["PCA"])


def test_without_a_target_codes_have_one_colour_and_scores_need_none():
    display = ComparisonDisplay.from_comparison(compare(X, None, [TINY], [1, 2], cv=2))
    assert display.y is None
    assert sorted(display.axes_) == ["codes Autoencoder", "codes PCA", "neighbors", "r2"]
    assert len(display.axes_["codes PCA"].collections[0].get_facecolors()) == 1


@pytest.mark.parametrize(
    ("rows", "y"),
    [(load_linnerud().data, load_linnerud().target), (X[:84], [f"c{i % 21}" for i in range(84)])],
    ids=["several", "many"],
)
def test_a_target_that_colours_cannot_tell_is_not_drawn(rows, y):
    display = ComparisonDisplay.from_comparison(compare(rows, y, [TINY], [1, 2], cv=2))
    assert display.y is None


# -------------------------------------------------------------------- drawing


def test_there_are_axes_for_each_score_and_each_code(comparison):
    display = ComparisonDisplay.from_comparison(comparison)
    codes = ["codes PCA", "codes kernel", "codes tiny"]
    assert sorted(display.axes_) == [*codes, "knn", "linear", "neighbors", "r2"]
    assert all(ax.figure.figure is display.figure_ for ax in display.axes_.values())
    assert display.axes_["codes kernel"].get_title() == "kernel"
    assert display.axes_["r2"].get_title() == "Reconstruction R2"
    display.figure_.canvas.draw()


def test_a_map_has_its_scores_above_it(comparison):
    display = ComparisonDisplay.from_comparison(comparison)
    for reducer in ("kernel", "tiny"):
        (row,) = (row for row in comparison.rows if (row["reducer"], row["n_components"]) == (reducer, 2))
        r2 = f"R2 {row['r2']:.2f}, " if reducer == "tiny" else ""
        expected = f"{r2}kNN {row['knn']:.2f}, neighbours kept {row['neighbors']:.2f}"
        assert expected in [text.get_text() for text in display.axes_[f"codes {reducer}"].texts]


@pytest.mark.parametrize("n_maps", [3, 4])
def test_the_scores_above_maps_beside_each_other_have_room(n_maps):
    comparison = compare(X, Y, {str(i): PCA() for i in range(n_maps)}, [2], cv=2)
    display = ComparisonDisplay.from_comparison(comparison)
    display.figure_.canvas.draw()
    maps = [ax for name, ax in display.axes_.items() if name.startswith("codes")]
    texts = [text.get_window_extent() for ax in maps for text in ax.texts if "kept" in text.get_text()]
    assert len(texts) == n_maps
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(texts))
    assert texts[0].x0 > 0
    assert all(text.y1 < ax.title.get_window_extent().y0 for text, ax in zip(texts, maps, strict=True))


def test_what_cannot_encode_held_out_rows_is_not_drawn():
    """t-SNE would be drawn with rows that it was fitted to, beside maps of rows that others have not seen."""
    comparison = compare(X, Y, [TSNE()], [2], cv=2)
    display = ComparisonDisplay.from_comparison(comparison)
    assert list(display.codes) == ["PCA"]
    assert {reducer for curves in display.scores.values() for reducer in curves} == {"PCA"}


def test_curves_go_over_the_sizes(comparison):
    display = ComparisonDisplay.from_comparison(comparison)
    for name in ("r2", "linear", "knn"):
        lines = display.axes_[name].get_lines()[: len(display.scores[name])]
        assert {line.get_label() for line in lines} == set(display.scores[name])
        for line in lines:
            np.testing.assert_array_equal(line.get_xydata(), display.scores[name][line.get_label()])
        assert [tick.get_text() for tick in display.axes_[name].get_xticklabels()] == ["1", "2", "3"]


@pytest.mark.parametrize("sizes", [[2], [1, 2]])
def test_a_reducer_has_one_colour_everywhere(sizes):
    comparison = compare(X, Y, {"kernel": KernelPCA(), "tiny": TINY}, sizes, cv=2)
    display = ComparisonDisplay.from_comparison(comparison)
    for name, curves in display.scores.items():
        ax = display.axes_[name]
        drawn = [bar.get_facecolor() for bar in ax.patches] or [line.get_color() for line in ax.get_lines()]
        expected = {"PCA": "C0", "kernel": "C1", "tiny": "C2"}
        assert [to_rgba(color) for color in drawn[: len(curves)]] == [to_rgba(expected[reducer]) for reducer in curves]


def test_one_size_is_drawn_as_bars_with_their_values():
    comparison = compare(X, Y, [TINY], [2], cv=2)
    display = ComparisonDisplay.from_comparison(comparison)
    ax = display.axes_["knn"]
    values = [row["knn"] for row in comparison.rows]
    assert [line.get_label() for line in ax.get_lines()] == ["all columns", "majority class"]
    legend = display.axes_["neighbors"].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["PCA", "Autoencoder", "all columns", "majority class"]
    assert [bar.get_height() for bar in ax.patches] == values
    assert [text.get_text() for text in ax.texts] == [f"{value:.3f}" for value in values]
    assert ax.get_xlabel() == "n_components = 2"
    display.figure_.canvas.draw()


def test_only_the_codes_at_the_right_edge_have_a_legend(comparison):
    display = ComparisonDisplay.from_comparison(comparison)
    legends = {reducer: display.axes_[f"codes {reducer}"].get_legend() for reducer in display.codes}
    assert [reducer for reducer, legend in legends.items() if legend is not None] == ["tiny"]
    assert [text.get_text() for text in legends["tiny"].get_texts()] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("title", "n_components", "heading"),
    [
        (None, None, ""),
        ("Flowers", None, "Flowers"),
        (None, 1, "held-out rows on 1 component"),
        ("Flowers", 2, "Flowers: held-out rows on 2 components"),
        ("Flowers", 8, "Flowers: held-out rows on the first 2 of 8 components"),
    ],
)
def test_a_heading_tells_what_the_codes_are(title, n_components, heading):
    display = ComparisonDisplay(scores={}, codes={"mine": np.eye(2)}, n_components=n_components, title=title).plot()
    assert display.axes_["codes mine"].figure.get_suptitle() == heading


def test_the_scores_of_all_columns_and_of_a_guess_are_lines_across(comparison):
    display = ComparisonDisplay.from_comparison(comparison)
    everything, guess = comparison.baselines
    assert list(display.baselines) == ["linear", "knn"]
    for name in ("linear", "knn"):
        levels = {"all columns": everything[name], "majority class": guess[name]}
        assert display.baselines[name] == levels
        lines = display.axes_[name].get_lines()[-2:]
        assert {line.get_label(): set(line.get_ydata()) for line in lines} == {k: {v} for k, v in levels.items()}
    assert [text.get_text() for text in display.axes_["neighbors"].get_legend().get_texts()] == [
        "PCA", "kernel", "tiny", "all columns", "majority class",
    ]  # fmt: skip
    assert display.axes_["linear"].get_legend() is None


def legible(figure):
    """All text of a figure, as matplotlib draws it: None where it would be mathematics."""
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    read = [text._preprocess_math(text.get_text()) for text in texts]
    return [None if is_math else shown for shown, is_math in read]


@pytest.mark.parametrize("sizes", [[2], [1, 2]])
def test_names_are_drawn_as_they_are(sizes, digits):
    reducers = {"$a$": PCA(), r"\$x_$y$": PCA(), "_hidden": PCA(), "line\nend\x1b[31m": PCA()}
    rows, classes = digits[:60], np.array([r"$\frac$", "$1", "_b", "\udcff"])[np.arange(60) % 4]
    display = ComparisonDisplay.from_comparison(
        compare(rows, classes, reducers, sizes, cv=2), title="cost in $ or in $_$", image_shape=(8, 8)
    )
    drawn = legible(display.figure_)
    assert None not in drawn
    heading = f"cost in $ or in $_$: held-out rows on {display.n_components} components"
    expected = {"$a$", "$x_$y$", " _hidden", r"line\nend\x1b[31m", heading}
    assert expected | {r"$\frac$", "$1", " _b", r"\udcff"} <= {text.replace("\n", " ") for text in drawn}


def test_long_names_leave_room_for_the_axes():
    reducers = {letter * 200: PCA() for letter in "ab"}
    classes = np.array([f"{'x' * 100}{i}{'y' * 100}" for i in range(3)])[Y]
    display = ComparisonDisplay.from_comparison(compare(X, classes, reducers, [2], cv=2), title="t" * 500)
    display.figure_.canvas.draw()  # a warning of matplotlib would say that there is no room
    labels = [text.get_text() for text in display.axes_["codes " + "b" * 200].get_legend().get_texts()]
    assert len(set(labels)) == 3
    assert all(len(label) <= 24 for label in labels)


def test_many_reducers_are_drawn_in_several_lines():
    codes = {f"Reducer {i}": np.eye(2) for i in range(9)}
    display = ComparisonDisplay(scores={}, codes=codes, y=np.arange(2)).plot()
    axes = [display.axes_[f"codes Reducer {i}"] for i in range(9)]
    assert [ax.get_subplotspec().rowspan.start for ax in axes] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [i for i, ax in enumerate(axes) if ax.get_legend() is not None] == [2]


# -------------------------------------------------------------------- pictures


def test_pictures_are_decoded_from_the_codes_that_are_drawn(digits_comparison):
    display = ComparisonDisplay.from_comparison(digits_comparison, image_shape=(8, 8), n_pictures=3)
    assert list(display.pictures) == ["held-out rows", "PCA", "Autoencoder"]
    rows = digits_comparison.X_test[:3]
    np.testing.assert_array_equal(display.pictures["held-out rows"], rows)
    for name in ("PCA", "Autoencoder"):
        model = digits_comparison.estimators[name, 2]
        np.testing.assert_allclose(display.pictures[name], model.inverse_transform(model.transform(rows)))
    ax = display.axes_["pictures"]
    assert ax.get_title() == "held-out rows, decoded from 2 components"
    assert len(ax.images) == 9
    np.testing.assert_array_equal(ax.images[0].get_array(), rows[0].reshape(8, 8))
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list(display.pictures)
    display.figure_.canvas.draw()


@pytest.mark.parametrize(("image_shape", "drawn"), [(None, None), ("auto", (8, 8)), ((4, 16), (4, 16))])
def test_the_shape_of_pictures_may_be_left_to_the_display(image_shape, drawn, digits_comparison):
    display = ComparisonDisplay.from_comparison(digits_comparison, image_shape=image_shape)
    assert display.image_shape == drawn
    assert ("pictures" in display.axes_) is (display.pictures is not None) is (drawn is not None)


def test_a_shape_that_does_not_fit_is_refused(digits_comparison):
    with pytest.raises(ValueError, match=r"^image_shape=\(7, 8\) has 56 numbers, but X has 64 features"):
        ComparisonDisplay.from_comparison(digits_comparison, image_shape=(7, 8))


# -------------------------------------------------------------------- complaints


def test_arrays_are_drawn_without_a_comparison():
    points = np.array([[2.0, 0.5], [4.0, 0.75]])
    display = ComparisonDisplay(scores={"r2": {"mine": points}}, codes={"mine": np.eye(2)}).plot()
    np.testing.assert_array_equal(display.axes_["r2"].get_lines()[0].get_xydata(), points)
    assert sorted(display.axes_) == ["codes mine", "r2"]


# -------------------------------------------------------------------- spreads, further scores, sparse rows


def test_spreads_are_bands_around_curves(comparison):
    display = ComparisonDisplay.from_comparison(comparison)
    assert display.spreads.keys() == display.scores.keys()
    for name, curves in display.scores.items():
        bands = display.axes_[name].collections
        assert len(bands) == len(curves)
        for band, (reducer, points) in zip(bands, curves.items(), strict=True):
            spread = [row[f"{name}_std"] for row in comparison.rows if row["reducer"] == reducer]
            np.testing.assert_array_equal(display.spreads[name][reducer], spread)
            corners = band.get_paths()[0].vertices
            for (size, score), sd in zip(points, spread, strict=True):
                heights = corners[corners[:, 0] == size, 1]
                assert (heights.min(), heights.max()) == pytest.approx((score - sd, score + sd))


def test_spreads_are_intervals_on_bars():
    comparison = compare(X, Y, [TINY], [2], cv=2)
    display = ComparisonDisplay.from_comparison(comparison)
    for name in ("r2", "knn"):
        (line, *others) = display.axes_[name].collections
        drawn = [segment[:, 1] for collection in (line, *others) for segment in collection.get_segments()]
        expected = [(row[name] - row[f"{name}_std"], row[name] + row[f"{name}_std"]) for row in comparison.rows]
        np.testing.assert_allclose(drawn, expected)


def test_the_spread_of_a_point_beside_curves_is_an_interval():
    curves = {"curve": np.array([[1.0, 0.5], [2.0, 0.6]]), "point": np.array([[2.0, 0.7]])}
    spreads = {"r2": {"curve": np.array([0.1, 0.1]), "point": np.array([0.2])}}
    display = ComparisonDisplay(scores={"r2": curves}, codes={"point": np.eye(2)}, spreads=spreads).plot()
    (segment,) = display.axes_["r2"].collections[1].get_segments()
    np.testing.assert_allclose(segment, [[2.0, 0.5], [2.0, 0.9]])


def test_of_one_fold_no_spread_is_drawn():
    for sizes in ([2], [1, 2]):
        comparison = compare(X, Y, [TINY], sizes, cv=[(np.arange(0, 150, 2), np.arange(1, 150, 2))])
        display = ComparisonDisplay.from_comparison(comparison)
        assert all(np.isnan(sd).all() for curves in display.spreads.values() for sd in curves.values())
        assert not [c for ax in (display.axes_["r2"], display.axes_["knn"]) for c in ax.collections]


@pytest.mark.parametrize("sizes", [[2], [1, 2]])
def test_further_scores_have_panels_below_the_others(sizes):
    scoring = ["f1_macro", "neg_log_loss", "trustworthiness"]
    comparison = compare(X, Y, {"kernel": KernelPCA()}, sizes, cv=2, scoring=scoring)
    display = ComparisonDisplay.from_comparison(comparison)
    assert list(display.scores) == ["r2", "linear", "knn", "neighbors", *scoring]
    places = [display.axes_[name].get_subplotspec() for name in display.scores]
    assert [(place.rowspan.start, place.colspan.start) for place in places] == [(i // 4, i % 4) for i in range(7)]
    assert [name for name in display.scores if display.axes_[name].get_legend()] == ["neighbors"]
    assert display.axes_["f1_macro"].get_title() == "f1_macro"
    # the loss of a guess is so large that nothing else could be read beside it
    labels = {name: {line.get_label() for line in display.axes_[name].get_lines()} for name in scoring}
    assert "majority class" in labels["f1_macro"]
    assert "majority class" not in labels["neg_log_loss"]
    assert "all columns" in labels["neg_log_loss"]
    display.figure_.canvas.draw()


def test_sparse_rows_are_drawn_as_their_array(digits):
    """By PCA, which takes them, and by a user's reducer, which is given an array."""
    reducers = {"mine": TakesArrays(), "PCA": PCA(svd_solver="covariance_eigh")}
    results = [compare(rows, None, reducers, [2], cv=2) for rows in (digits[:200], csr_matrix(digits[:200]))]
    one, other = (ComparisonDisplay.from_comparison(r, image_shape=(8, 8), n_pictures=3) for r in results)
    for name, codes in one.codes.items():
        np.testing.assert_allclose(other.codes[name], codes, atol=1e-8)
    assert list(other.pictures) == ["held-out rows", "mine", "PCA"]
    for name, pictures in one.pictures.items():
        np.testing.assert_allclose(other.pictures[name], pictures, atol=1e-8)


class TakesArrays(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.pca_ = PCA(2, svd_solver="full").fit(X)
        return self

    def transform(self, X):
        return self.pca_.transform(np.asarray(X, dtype=float))

    def inverse_transform(self, X):
        return self.pca_.inverse_transform(X)
