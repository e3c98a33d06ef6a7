"""LearningCurveDisplay: the curves of a history, the epoch that is marked, and what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from skae import Autoencoder
from skae.inspection import LearningCurveDisplay

HISTORY = {"loss": [3.0, 1.0, 2.0], "reconstruction": [2.0, 0.5, 1.5], "sparsity": [1.0, 0.5, 0.5]}


def test_learning_curve_is_the_history(iris):
    options = {"hidden_layer_sizes": 8, "max_iter": 3, "early_stopping": True, "random_state": 0}
    autoencoder = Autoencoder(2, **options).fit(iris)
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
