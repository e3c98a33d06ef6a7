"""SampleDisplay: what is drawn from which model, beside which rows, and what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from skae import RBM, DeepBeliefNetwork, TableAutoencoder, VariationalAutoencoder
from skae.inspection import SampleDisplay

Y = np.arange(100) % 3


class Classes(BaseEstimator):
    """Rows that say which class they were asked for, and with which seed."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.n_features_in_ = X.shape[1]
        return self

    def sample(self, n_samples=1, y=None, random_state=None):
        y = np.full(n_samples, np.nan if y is None else y)
        seed = -1 if random_state is None else random_state
        return np.column_stack([np.nan_to_num(y, nan=100), np.full(n_samples, seed), np.zeros((n_samples, 62))])

    def sample_codes(self, n_samples=1, random_state=None):
        return self.sample(n_samples, None, random_state)[:, :2]

    def inverse_transform(self, H, y=None):
        return np.column_stack([H, y, np.zeros((len(H), 61))])


class Clusters(BaseEstimator):
    """Rows that say which cluster they were asked for."""

    n_clusters = 4

    def fit(self, X):
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        return np.arange(len(X)) % 4

    def sample(self, n_samples=1, cluster=None):
        return np.full((n_samples, 64), -1 if cluster is None else cluster)


@pytest.fixture(scope="module")
def X(digits):
    return digits[:100]


@pytest.fixture(scope="module")
def mixture(X):
    return GaussianMixture(2, covariance_type="diag", random_state=0).fit(X)


@pytest.fixture(scope="module")
def classes(X):
    return Classes().fit(X, Y)


def draw(estimator, *args, **options):
    return SampleDisplay.from_estimator(estimator, *args, **{"n_samples": 4, **options})


# -------------------------------------------------------------------- what is drawn from the model


def test_rows_are_samples_of_the_model_and_the_first_rows_of_x(mixture, X):
    display = draw(mixture, X)
    np.testing.assert_array_equal(display.samples[""], mixture.sample(4)[0])
    np.testing.assert_array_equal(display.data[""], X[:4])
    assert draw(mixture).data is None


@pytest.mark.parametrize("container", [sparse.csr_array, pd.DataFrame, list])
def test_all_kinds_of_rows(mixture, X, container):
    np.testing.assert_array_equal(draw(mixture, container(X)).data[""], X[:4])


def test_a_seed_is_passed_on(X):
    model = KernelDensity(bandwidth=1.0).fit(X)
    np.testing.assert_array_equal(draw(model, random_state=3).samples[""], model.sample(4, random_state=3))
    rbm = RBM(3, visible="bernoulli", max_iter=1, random_state=0).fit(X / 16)
    np.testing.assert_array_equal(draw(rbm, random_state=3).samples[""], rbm.sample(4, random_state=3))


def test_samples_of_all_classes_share_one_seed(classes):
    display = draw(classes, random_state=np.random.RandomState(0))
    seed = np.random.RandomState(0).randint(2**31 - 1)
    assert list(display.samples) == ["0", "1", "2"]
    for name, rows in display.samples.items():
        np.testing.assert_array_equal(rows[:, :2], np.tile([int(name), seed], (4, 1)))
    assert (draw(classes).samples["2"][:, 1] == -1).all()


def test_groups_are_chosen(classes):
    assert list(draw(classes, groups=[2, 0]).samples) == ["2", "0"]
    assert (draw(classes, groups=[2, 0]).samples["2"][:, 0] == 2).all()
    assert (draw(classes, groups=None).samples[""][:, 0] == 100).all()


def test_clusters_are_passed_on(X):
    model = Clusters().fit(X)
    assert {name: rows[0, 0] for name, rows in draw(model).samples.items()} == {"0": 0, "1": 1, "2": 2, "3": 3}
    assert list(draw(model, groups=[3]).samples) == ["3"]
    assert (draw(model, groups=None).samples[""] == -1).all()


def test_classes_of_a_network(X):
    network = DeepBeliefNetwork(3, hidden_layer_sizes=(4,), labels=True, max_iter=1, random_state=0).fit(X, Y)
    display = draw(network, X, Y, random_state=0, image_shape=(8, 8))
    assert list(display.samples) == ["0", "1", "2"]
    np.testing.assert_array_equal(display.samples["1"], network.sample(4, random_state=0, y=1))
    without = DeepBeliefNetwork(3, hidden_layer_sizes=(4,), max_iter=1, random_state=0).fit(X)
    assert list(draw(without).samples) == [""]


def test_means_are_decoded_codes(classes):
    display = draw(classes, means=True, random_state=5)
    assert list(display.samples) == ["0", "1", "2"]
    np.testing.assert_array_equal(display.samples["1"][:, :3], np.tile([100, 5, 1], (4, 1)))


def test_means_of_a_variational_autoencoder(X):
    model = VariationalAutoencoder(2, hidden_layer_sizes=(8,), max_iter=1, random_state=0).fit(X)
    display = draw(model, means=True, random_state=3)
    expected = model.inverse_transform(model.sample_codes(4, random_state=3))
    np.testing.assert_allclose(display.samples[""], expected, rtol=1e-5)


def test_means_by_cluster():
    class Coded(Clusters):
        def sample_codes(self, n_samples=1, cluster=None):
            return np.full((n_samples, 1), cluster)

        def inverse_transform(self, H):
            return np.tile(H, (1, 64))

    model = Coded().fit(np.zeros((4, 64)))
    assert {name: rows[0, 0] for name, rows in draw(model, means=True).samples.items()} == {
        "0": 0,
        "1": 1,
        "2": 2,
        "3": 3,
    }


def test_means_need_the_classes_of_their_codes(classes):
    with pytest.raises(ValueError, match="means=True decodes codes of given y, and there is none: pass groups"):
        draw(classes, groups=None, means=True)


# -------------------------------------------------------------------- real rows


def test_real_rows_are_shown_by_class(classes, X):
    display = draw(classes, X, Y)
    for k in range(3):
        np.testing.assert_array_equal(display.data[str(k)], X[k == Y][:4])


def test_groups_of_several_columns(X):
    class Pairs(Classes):
        def sample(self, n_samples=1, y=None):
            return np.column_stack([y, np.zeros((n_samples, 62))])

    y = np.column_stack([Y, np.arange(100) % 2])
    display = draw(Pairs().fit(X, Y), X, y, groups=[(0, 1), [2, 0]])
    assert list(display.samples) == ["(0, 1)", "[2, 0]"]
    np.testing.assert_array_equal(display.samples["[2, 0]"][:, :2], np.tile([2, 0], (4, 1)))
    np.testing.assert_array_equal(display.data["(0, 1)"], X[(Y == 0) & (y[:, 1] == 1)][:4])


def test_real_rows_are_shown_by_predicted_cluster(X):
    model = Clusters().fit(X)
    np.testing.assert_array_equal(draw(model, X).data["3"], X[3::4][:4])
    np.testing.assert_array_equal(draw(model, X, np.full(100, 3)).data["3"], X[:4])


def test_a_group_without_real_rows_leaves_its_places_empty(classes, X):
    display = draw(classes, X, np.where(Y == 1, 0, Y))
    assert len(display.data["1"]) == 0
    assert len(display.ax_.images) == 3 * 4 + 2 * 4


# -------------------------------------------------------------------- what is drawn of them


def test_data_stand_at_the_left_of_samples():
    rng = np.random.default_rng(0)
    samples = {"a": rng.random((3, 16)), "b": rng.random((3, 16))}
    data = {"a": rng.random((2, 16)), "b": 5 * rng.random((1, 16))}
    display = SampleDisplay(samples=samples, data=data, image_shape=(4, 4)).plot()
    images = [image.get_array() for image in display.ax_.images]
    rows = np.concatenate([data["a"], samples["a"], data["b"], samples["b"]])
    np.testing.assert_array_equal(images, rows.reshape(-1, 4, 4))
    known = np.concatenate(list(data.values()))
    assert {image.get_clim() for image in display.ax_.images} == {(known.min(), known.max())}
    left, right, bottom, _ = np.array([image.get_extent() for image in display.ax_.images]).T
    texts = {
        tick.get_text(): place
        for tick, place in zip(display.ax_.get_xticklabels(), display.ax_.get_xticks(), strict=True)
    }
    assert texts["data"] == (left[0] + right[1]) / 2
    assert texts["samples"] == (left[2] + right[4]) / 2
    assert left[2] - right[1] > 4
    np.testing.assert_array_equal(left[[0, 2, 3, 4]], left[[5, 6, 7, 8]])
    assert (bottom[:5] < bottom[5]).all()
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["a", "b"]


def test_many_samples_go_on_in_the_next_line():
    rows = np.arange(25.0)[:, None] * np.ones(16)
    display = SampleDisplay(samples={"$a": rows}, image_shape="auto").plot()
    assert len(display.ax_.images) == 25
    tops = [image.get_extent()[3] for image in display.ax_.images]
    assert [tops.count(top) for top in np.unique(tops)] == [10, 10, 5]
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == [r"\$a", "", ""]
    assert not display.ax_.get_xticklabels()


def test_rows_that_are_no_pictures_are_profiles(iris):
    mixture = GaussianMixture(2, random_state=0).fit(iris)
    display = draw(mixture, pd.DataFrame(iris, columns=list("abcd")), groups=None)
    (panel,) = display.axes_
    points, lines = panel.get_lines()
    assert (points.get_label(), lines.get_label()) == ("data", "samples")
    assert (points.get_linestyle(), lines.get_linestyle()) == ("None", "-")
    np.testing.assert_array_equal(np.reshape(points.get_ydata(), (4, 5))[:, :4], display.data[""])
    np.testing.assert_array_equal(np.reshape(lines.get_ydata(), (4, 5))[:, :4], display.samples[""])
    assert np.isnan(lines.get_ydata()[4::5]).all()
    assert [tick.get_text() for tick in panel.get_xticklabels()] == list("abcd")


def test_profiles_of_groups_have_a_panel_each():
    display = SampleDisplay(samples={"a": np.ones((3, 4)), "b": np.zeros((2, 4))}).plot()
    assert [panel.get_title() for panel in display.axes_] == ["a", "b"]
    (lines,) = display.axes_[1].get_lines()
    assert np.nansum(lines.get_ydata() == 0) == 8


# -------------------------------------------------------------------- what is refused


def test_models_without_samples_are_refused(X, mixture):
    with pytest.raises(TypeError, match="PCA has no sample: pass a generative model, such as RBM"):
        draw(PCA(2).fit(X))
    with pytest.raises(TypeError, match=r"GaussianMixture has no sample_codes: pass .* or leave means out"):
        draw(mixture, means=True)


def test_what_the_model_does_not_take_is_refused(mixture):
    with pytest.raises(TypeError, match="sample of GaussianMixture draws from the whole model only: leave groups out"):
        draw(mixture, groups=[0, 1])
    with pytest.raises(TypeError, match="sample of GaussianMixture takes no random_state: set that of the estimator"):
        draw(mixture, random_state=0)
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "n_samples=0 leaves nothing to draw"),
        ({"n_samples": 1.5}, r"n_samples=1\.5 leaves nothing to draw"),
        ({"groups": []}, r"groups=\[\] leaves nothing to draw: pass at least one group, or None"),
        ({"X": True}, "X is shown by class, and its classes are not known: pass y, or leave X out"),
        ({"X": True, "y": Y[:-1]}, "inconsistent numbers of samples"),
        ({"image_shape": (3, 3)}, r"image_shape=\(3, 3\) has 9 numbers, but X has 64"),
    ],
)
def test_bad_choices_are_refused(classes, X, options, message):
    rows = {"X": X} if options.pop("X", False) else {}
    with pytest.raises(ValueError, match=message):
        draw(classes, **rows, **options)
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("samples", "data", "message"),
    [
        ({}, None, "The samples cannot be drawn: pass arrays of rows"),
        ({"a": np.ones(4)}, None, "The samples cannot be drawn"),
        ({"a": np.ones((0, 4))}, None, "The samples cannot be drawn"),
        ({"a": np.ones((2, 4)), "b": np.ones((2, 5))}, None, "all of the same width"),
        ({"a": np.full((2, 4), np.nan)}, None, "The samples or data contain NaN or infinity"),
        ({"a": np.ones((2, 4))}, {"b": np.ones((2, 4))}, r"The data 'b' of shape \(2, 4\) belong to no samples"),
        ({"a": np.ones((2, 4))}, {"a": np.ones((2, 5))}, "pass data with names of samples and rows of width 4"),
    ],
)
def test_bad_rows_are_refused(samples, data, message):
    with pytest.raises(ValueError, match=message):
        SampleDisplay(samples=samples, data=data).plot()
    assert not plt.get_fignums()


def test_a_table_with_words_is_refused_in_a_sentence():
    frame = pd.DataFrame({"length": np.arange(20.0), "kind": ["a", "b"] * 10})
    model = TableAutoencoder(1, random_state=0).fit(frame)
    for X in (None, frame):
        with pytest.raises(ValueError, match=r"^Only columns of numbers can be drawn as rows, .*select_dtypes"):
            SampleDisplay.from_estimator(model, X)
