"""LatentTraversalDisplay: which code moves and where to, what is drawn of it, and what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.cluster import DBSCAN
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder
from skae.inspection import LatentTraversalDisplay


@pytest.fixture(scope="module")
def digits_pca(digits):
    return PCA(12).fit(digits)


def draw(estimator, X, y=None, **options):
    return LatentTraversalDisplay.from_estimator(estimator, X, y, **options)


# -------------------------------------------------------------------- the codes


@pytest.mark.parametrize("row", [0, 7, None])
def test_one_component_moves_over_its_quantiles_and_the_others_stay(pca, iris, row):
    display = draw(pca, iris, row=row, components=(2, 0), n_steps=3, quantiles=(0.1, 0.9))
    codes = pca.transform(iris)
    assert list(display.rows) == ["pca2", "pca0"]
    np.testing.assert_allclose(display.quantiles, [0.1, 0.5, 0.9])
    for name, k in (("pca2", 2), ("pca0", 0)):
        for x, share in zip(display.rows[name], (0.1, 0.5, 0.9), strict=True):
            h = (codes.mean(axis=0) if row is None else codes[row]).copy()
            h[k] = np.quantile(codes[:, k], share)
            np.testing.assert_allclose(x, pca.inverse_transform(h[None])[0])


def test_the_start_is_the_reconstruction_of_the_row(pca, iris):
    np.testing.assert_allclose(draw(pca, iris, row=3).start, pca.inverse_transform(pca.transform(iris[3:4]))[0])
    np.testing.assert_allclose(draw(pca, iris, row=None).start, iris.mean(axis=0))


def test_components_of_pca_are_moved_in_the_order_of_their_variance(digits_pca, digits):
    names = list(draw(digits_pca, digits).rows)
    codes = digits_pca.transform(digits)
    spans = np.quantile(codes, np.linspace(0.05, 0.95, 7), axis=0).var(axis=0)
    assert names == [f"pca{k}" for k in np.argsort(-spans)[:10]]


def test_a_component_that_is_not_decoded_comes_last(iris):
    class Deaf(PCA):
        def inverse_transform(self, H):
            return super().inverse_transform(H * [0, 1, 1])

    display = draw(Deaf(3).fit(iris), iris)
    assert list(display.rows)[-1] == "deaf0"
    np.testing.assert_allclose(display.rows["deaf0"], np.tile(display.start, (7, 1)))


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.coo_array])
def test_sparse_rows(iris, container):
    svd = TruncatedSVD(2, random_state=0).fit(iris)
    np.testing.assert_allclose(draw(svd, container(iris)).rows["truncatedsvd1"], draw(svd, iris).rows["truncatedsvd1"])


def test_frames_and_pipelines(iris):
    frame = pd.DataFrame(iris, columns=list("abcd"))
    pipeline = make_pipeline(StandardScaler(), PCA(2)).set_output(transform="pandas").fit(frame)
    display = draw(pipeline, frame)
    assert list(display.rows) == ["pca0", "pca1"]
    assert [tick.get_text() for tick in display.axes_[-1].get_xticklabels()] == list("abcd")


def test_our_own_transformers(digits):
    model = Autoencoder(3, max_iter=1, random_state=0).fit(digits)
    assert draw(model, digits).rows["autoencoder2"].shape == (7, 64)


class Told(PCA):
    """Codes of what y does not say of rows, which is all but their sum."""

    def transform(self, X, y):
        return super().transform(X - np.reshape(y, (-1, 1)))

    def inverse_transform(self, H, y):
        return super().inverse_transform(H) + np.reshape(y, (-1, 1))


def test_a_conditional_model_is_told_the_condition_of_the_start(iris):
    y = np.arange(150.0)
    model = Told(2).fit(iris)
    display = draw(model, iris, y, row=7, components=1, n_steps=2, quantiles=(0.0, 1.0))
    codes = model.transform(iris, y)
    h = np.array([[codes[7, 0], codes[:, 1].min()], [codes[7, 0], codes[:, 1].max()]])
    np.testing.assert_allclose(display.rows["told1"], model.inverse_transform(h, [7, 7]))
    np.testing.assert_allclose(display.start, model.inverse_transform(codes[7:8], [7])[0])
    with pytest.raises(ValueError, match="row=None is the mean of all codes, and y says no condition of it"):
        draw(model, iris, y, row=None)


# -------------------------------------------------------------------- what is drawn


def test_pictures_stand_in_lines_of_components_and_columns_of_quantiles(digits_pca, digits):
    display = draw(digits_pca, digits, components=(0, 3), n_steps=4, quantiles=(0.0, 1.0), image_shape=(8, 8))
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["pca0", "pca3"]
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["0 %", "33.3 %", "66.7 %", "100 %"]
    images = display.ax_.images
    rows = np.concatenate(list(display.rows.values()))
    np.testing.assert_array_equal([image.get_array() for image in images], rows.reshape(-1, 8, 8))
    assert {image.get_clim() for image in images} == {(rows.min(), rows.max())}
    left, _, bottom, _ = np.array([image.get_extent() for image in images]).T
    assert (np.diff(left.reshape(2, 4)) > 8).all()
    assert (np.diff(bottom.reshape(2, 4), axis=0) > 8).all()


def test_rows_that_are_no_pictures_are_profiles(pca, iris):
    display = draw(pca, iris, n_steps=3)
    assert [ax.get_title() for ax in display.axes_] == list(display.rows)
    for name, ax in zip(display.rows, display.axes_, strict=True):
        start, *lines = ax.get_lines()
        np.testing.assert_array_equal(start.get_ydata(), display.start)
        assert [line.get_label() for line in lines] == ["5 %", "50 %", "95 %"]
        np.testing.assert_array_equal([line.get_ydata() for line in lines], display.rows[name])
        assert len({tuple(line.get_color()) for line in lines}) == 3


# -------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"row": 150}, "row=150 is no row of X: pass a whole number from 0 to 149, or None"),
        ({"row": -1}, "row=-1 is no row of X"),
        ({"row": 0.5}, r"row=0\.5 is no row of X"),
        ({"components": (0, 3)}, r"components=\(0, 3\) cannot be drawn from a code with 3 columns: pass different"),
        ({"components": (1, 1)}, "cannot be drawn"),
        ({"components": ()}, "cannot be drawn"),
        ({"n_steps": 1}, "n_steps=1 shows no movement: pass a whole number of at least 2"),
        ({"n_steps": 2.5}, "n_steps=2.5 shows no movement"),
        ({"quantiles": (0.9, 0.1)}, r"quantiles=\(0.9, 0.1\) are no ends of a path"),
        ({"quantiles": (5, 95)}, r"quantiles=\(5, 95\) are no ends of a path"),
        ({"quantiles": 0.5}, "quantiles=0.5 are no ends of a path"),
        ({"image_shape": (3, 3)}, r"image_shape=\(3, 3\) has 9 numbers, but X has 4"),
    ],
)
def test_bad_choices_are_refused(pca, iris, options, message):
    with pytest.raises(ValueError, match=message):
        draw(pca, iris, **options)
    assert not plt.get_fignums()


def test_estimators_that_do_not_decode_are_refused(iris):
    with pytest.raises(TypeError, match="DBSCAN has no transform: pass a transformer that can reconstruct"):
        draw(DBSCAN().fit(iris), iris)
