"""FreeEnergyDisplay: what is stored, what is drawn, and what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import RBM
from skae.inspection import FreeEnergyDisplay


@pytest.fixture(scope="module")
def X(digits):
    return digits / 16


@pytest.fixture(scope="module")
def plain(X):
    return RBM(5, visible="bernoulli", max_iter=2, random_state=0).fit(X[:300])


@pytest.fixture(scope="module")
def watched(X):
    return RBM(5, visible="bernoulli", max_iter=4, early_stopping=True, random_state=0).fit(X[:300])


def draw(estimator, X, **options):
    return FreeEnergyDisplay.from_estimator(estimator, X[:300], X[300:], **options)


# -------------------------------------------------------------------- what is stored and drawn


def test_free_energies_are_those_of_the_rows(plain, X):
    display = draw(plain, X)
    np.testing.assert_array_equal(display.train, plain.free_energy(X[:300]))
    np.testing.assert_array_equal(display.test, plain.free_energy(X[300:]))


def test_free_energies_are_minus_log_likelihoods_but_for_log_z(plain, X):
    display = draw(plain, X)
    log_p = -display.test.mean() - plain.log_partition_
    np.testing.assert_allclose(log_p, plain.score(X[300:]), rtol=1e-5)


def test_without_a_gap_there_is_one_panel(plain, X):
    display = draw(plain, X)
    assert display.gap is None
    assert display.line_ is None
    assert list(display.axes_) == [display.ax_]


def test_the_gap_of_the_history_is_a_curve_over_the_epochs(watched, X):
    display = draw(watched, X)
    assert len(display.axes_) == 2
    np.testing.assert_array_equal(display.line_.get_ydata(), watched.history_["free_energy_gap"])
    np.testing.assert_array_equal(display.line_.get_xdata(), np.arange(watched.n_iter_) + 1)


@pytest.mark.parametrize("gap", [[np.nan, np.nan], []])
def test_a_gap_that_was_never_measured_is_not_drawn(gap):
    assert len(FreeEnergyDisplay(train=np.ones(3), test=np.ones(2), gap=gap).plot().axes_) == 1


def test_one_gap_among_epochs_without_is_visible():
    display = FreeEnergyDisplay(train=np.ones(3), test=np.ones(2), gap=[np.nan, 2.0]).plot()
    assert display.line_.get_marker() == "."


def test_histograms_share_bins_and_are_densities(rng):
    train, test = rng.normal(size=500), rng.normal(1.0, 2.0, 70)
    display = FreeEnergyDisplay(train=train, test=test).plot(bins=12)
    edges = np.histogram_bin_edges(np.concatenate([train, test]), 12)
    for name, values in {"training": train, "held out": test}.items():
        bars = list(display.histograms_[name])
        np.testing.assert_allclose([bar.get_x() for bar in bars], edges[:-1])
        np.testing.assert_allclose([bar.get_height() for bar in bars], np.histogram(values, edges, density=True)[0])
    means = [line.get_xdata()[0] for line in display.ax_.get_lines()]
    np.testing.assert_allclose(means, [train.mean(), test.mean()])
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == [f"training, mean {train.mean():.1f}", f"held out, mean {test.mean():.1f}"]


@pytest.mark.parametrize(("train", "test"), [([1.0], [1.0]), ([0.0, 0.0], [5.0]), ([-1e9], [1e9])])
def test_few_and_far_energies_are_drawn(train, test):
    FreeEnergyDisplay(train=train, test=test, gap=[1.0]).plot(bins=1).figure_.canvas.draw()


@pytest.mark.parametrize("container", [sparse.csr_array, pd.DataFrame, np.ndarray.tolist])
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_all_kinds_of_input(plain, X, container):
    display = FreeEnergyDisplay.from_estimator(plain, container(X[:50]), container(X[50:60]))
    np.testing.assert_allclose(display.test, plain.free_energy(X[50:60]), rtol=1e-5)


def test_panels_do_not_touch(watched, X):
    display = draw(watched, X)
    display.figure_.canvas.draw()
    left, right = (ax.get_tightbbox() for ax in display.axes_)
    assert left.x1 < right.x0


# -------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"train": []}, r"train of shape \(0,\) cannot be drawn: pass finite numbers, one per row"),
        ({"test": np.ones((2, 2))}, r"test of shape \(2, 2\) cannot be drawn"),
        ({"test": [np.nan]}, "test of shape .* pass finite numbers"),
        ({"train": [np.inf]}, "train of shape .* pass finite numbers"),
        ({"gap": np.ones((2, 2))}, r"gap of shape \(2, 2\) cannot be drawn: pass one number per epoch"),
    ],
)
def test_bad_energies_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        FreeEnergyDisplay(**{"train": [1.0], "test": [2.0], **parameters}).plot()
    assert not plt.get_fignums()


@pytest.mark.parametrize("bins", [0, 2.5, "auto"])
def test_bad_bins_are_refused(plain, X, bins):
    with pytest.raises(ValueError, match=f"bins={bins!r} leaves nothing to draw"):
        draw(plain, X, bins=bins)
    assert not plt.get_fignums()


def test_models_without_a_free_energy_are_refused(digits, X):
    pipeline = make_pipeline(MinMaxScaler(), RBM(2, visible="bernoulli", max_iter=1, random_state=0)).fit(digits)
    with pytest.raises(TypeError, match="Pipeline has no free_energy: pass a model that has one, such as RBM, or the"):
        draw(pipeline, X)
    with pytest.raises(TypeError, match="PCA has no free_energy"):
        draw(PCA(2).fit(X), X)
